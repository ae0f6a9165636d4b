/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/schema.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

struct walk {
	kube_visit_fn *visit;
	void *arg;
	struct buf path;
};

const struct kube_message *kube_schema_of(const char *api_version, const char *kind)
{
	for (size_t i = 0; i < kube_schema_kind_count; i++) {
		const struct kube_schema_kind *row = &kube_schema_kinds[i];
		if (strcmp(row->api_version, api_version) == 0 && strcmp(row->kind, kind) == 0)
			return &kube_messages[row->message];
	}
	return NULL;
}

const struct kube_message *kube_schema_message(const char *name)
{
	size_t i = 0;
	while (strcmp(kube_messages[i].name, name) != 0)
		if (++i == kube_message_count)
			abort(); /* the caller names one that there is */
	return &kube_messages[i];
}

const struct kube_field *kube_schema_field(const struct kube_message *message, const char *name,
					   const struct kube_message **ret_owner)
{
	for (size_t i = 0; i < message->field_count; i++) {
		const struct kube_field *field = &message->fields[i];
		if (field->flags & KUBE_FIELD_INLINE) {
			const struct kube_field *inner =
				kube_schema_field(&kube_messages[field->message], name, ret_owner);
			if (inner)
				return inner;
		} else if (strcmp(field->name, name) == 0) {
			*ret_owner = message;
			return field;
		}
	}
	return NULL;
}

const struct kube_field *kube_schema_number(const struct kube_message *message, uint64_t number)
{
	for (size_t i = 0; i < message->field_count; i++) {
		if (message->fields[i].number == number)
			return &message->fields[i];
	}
	return NULL;
}

static void walk_object(struct walk *walk, json_t *object, const struct kube_message *message);

/* Go into a member that the visitor wants to see more of; a value of another type is left alone. */
static void walk_member(struct walk *walk, json_t *value, const struct kube_field *field)
{
	const struct kube_message *message = &kube_messages[field->message];
	size_t path_len = walk->path.len;
	if (field->type != KUBE_TYPE_MESSAGE)
		return;
	if (field->flags & KUBE_FIELD_LIST) {
		size_t index;
		json_t *element;
		json_array_foreach (value, index, element) {
			buf_append_format(&walk->path, "[%zu]", index);
			walk_object(walk, element, message);
			walk->path.len = path_len;
		}
		return;
	}
	if (field->flags & KUBE_FIELD_MAP) {
		const char *key;
		json_t *element;
		json_object_foreach (value, key, element) {
			buf_append_format(&walk->path, "[%s]", key);
			walk_object(walk, element, message);
			walk->path.len = path_len;
		}
		return;
	}
	walk_object(walk, value, message);
}

static void walk_object(struct walk *walk, json_t *object, const struct kube_message *message)
{
	size_t path_len = walk->path.len;
	const char *key;
	json_t *value;
	void *next;
	json_object_foreach_safe(object, next, key, value)
	{
		const struct kube_message *owner = message;
		if (path_len == 0 && (strcmp(key, "apiVersion") == 0 || strcmp(key, "kind") == 0))
			continue;
		buf_append_format(&walk->path, "%s%s", path_len ? "." : "", key);
		const struct kube_field *field = kube_schema_field(message, key, &owner);
		const struct kube_visit visit = {
			.path = buf_cstr(&walk->path),
			.message = owner,
			.field = field,
			.value = value,
		};
		enum kube_visit_answer answer = walk->visit(walk->arg, &visit);
		if (answer == KUBE_VISIT_DESCEND && field)
			walk_member(walk, value, field);
		walk->path.len = path_len;
		if (answer == KUBE_VISIT_REMOVE)
			(void)json_object_del(object, key); /* it is there */
	}
}

void kube_schema_walk(json_t *object, const struct kube_message *message, kube_visit_fn *visit,
		      void *arg)
{
	assert(message && visit);
	struct walk walk = {.visit = visit, .arg = arg};
	walk_object(&walk, object, message);
	buf_deinit(&walk.path);
}
