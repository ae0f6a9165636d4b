/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/openapi_schema.h"

#include <string.h>

#include "base/bytes.h"
#include "kube/member.h"
#include "kube/resource.h"
#include "kube/schema.h"
#include "kube/support.h"

/* "core/v1.PodSpec" as "core.v1.PodSpec": a slash would be a step in a reference. */
static void schema_name(const struct kube_message *message, struct buf *out)
{
	buf_append_str(out, message->name);
	for (size_t i = 0; i < out->len; i++) {
		if (out->ptr[i] == '/')
			out->ptr[i] = '.';
	}
}

static json_t *plain_type(const char *type, const char *format)
{
	json_t *schema = json_object();
	kube_set_string(schema, "type", type);
	if (*format)
		kube_set_string(schema, "format", format);
	return schema;
}

static json_t *number_or_text(void)
{
	json_t *schema = json_object(), *choices = json_array();
	kube_push(choices, plain_type("integer", ""));
	kube_push(choices, plain_type("string", ""));
	kube_set_string(schema, "format", "int-or-string");
	kube_set(schema, "oneOf", choices);
	return schema;
}

static json_t *reference(const struct kube_message *message)
{
	json_t *schema = json_object(), *all = json_array(), *one = json_object();
	struct buf name = {0};
	schema_name(message, &name);
	kube_set(one, "$ref", kube_text("#/components/schemas/%s", buf_cstr(&name)));
	kube_push(all, one);
	kube_set(schema, "allOf", all);
	buf_deinit(&name);
	return schema;
}

/* One value, not the list or map around it. */
static json_t *value_schema(const struct kube_field *field)
{
	switch ((enum kube_type)field->type) {
	case KUBE_TYPE_STRING:
	case KUBE_TYPE_QUANTITY:
		return plain_type("string", "");
	case KUBE_TYPE_INT:
		return plain_type("integer", "");
	case KUBE_TYPE_BOOL:
		return plain_type("boolean", "");
	case KUBE_TYPE_BYTES:
		return plain_type("string", "byte");
	case KUBE_TYPE_TIME:
		return plain_type("string", "date-time");
	case KUBE_TYPE_INTSTR:
		return number_or_text();
	case KUBE_TYPE_MESSAGE:
		return reference(&kube_messages[field->message]);
	case KUBE_TYPE_RAW:
		break;
	}
	return plain_type("object", "");
}

static json_t *field_schema(const struct kube_field *field)
{
	json_t *value = value_schema(field), *schema;
	if (!(field->flags & (KUBE_FIELD_LIST | KUBE_FIELD_MAP)))
		return value;
	schema = plain_type(field->flags & KUBE_FIELD_LIST ? "array" : "object", "");
	kube_set(schema, field->flags & KUBE_FIELD_LIST ? "items" : "additionalProperties", value);
	if (field->merge_key)
		kube_set_string(schema, "x-kubernetes-patch-merge-key", field->merge_key);
	return schema;
}

/* What becomes of a field, in a sentence. */
static json_t *field_description(const struct kube_message *message, const struct kube_field *field)
{
	static const char *const words[] = {
		[KUBE_SUPPORT_HONOURED] = "Honoured: it does what Kubernetes says.",
		[KUBE_SUPPORT_WARNED] = "Accepted without effect here",
		[KUBE_SUPPORT_REFUSED] = "Refused here",
	};
	const struct kube_support *row = kube_support_find(message->name, field->name);
	struct buf text = {0};
	json_t *description;
	if (strcmp(field->name, "status") == 0 && field->type == KUBE_TYPE_MESSAGE)
		buf_append_str(&text,
			       "What there is now; written by the fabric, never by clients.");
	else if (row && row->level == KUBE_SUPPORT_HONOURED)
		buf_append_str(&text, words[row->level]);
	else if (row)
		buf_append_format(&text, "%s: %s.", words[row->level], row->reason);
	if (row && *row->harmless)
		buf_append_format(&text, " The value %s is never remarked upon.", row->harmless);
	if (field->merge_key)
		buf_append_format(&text, "%sElements are told apart by their %s.",
				  text.len ? " " : "", field->merge_key);
	description = json_string(buf_cstr(&text));
	buf_deinit(&text);
	return description;
}

static void add_fields(json_t *properties, const struct kube_message *message)
{
	for (size_t i = 0; i < message->field_count; i++) {
		const struct kube_field *field = &message->fields[i];
		json_t *schema;
		if (field->flags & KUBE_FIELD_INLINE) {
			add_fields(properties, &kube_messages[field->message]);
			continue;
		}
		schema = field_schema(field);
		kube_set(schema, "description", field_description(message, field));
		kube_set(properties, field->name, schema);
	}
}

static void add_message(json_t *schemas, const struct kube_message *message);

/* Every message that one of the fields holds. */
static void add_reached(json_t *schemas, const struct kube_message *message)
{
	for (size_t i = 0; i < message->field_count; i++) {
		const struct kube_field *field = &message->fields[i];
		if (field->type != KUBE_TYPE_MESSAGE)
			continue;
		if (field->flags & KUBE_FIELD_INLINE)
			add_reached(schemas, &kube_messages[field->message]);
		else
			add_message(schemas, &kube_messages[field->message]);
	}
}

/* Messages may hold themselves: each is described once, before what it holds. */
static void add_message(json_t *schemas, const struct kube_message *message)
{
	json_t *schema, *properties;
	struct buf name = {0};
	schema_name(message, &name);
	if (!json_object_get(schemas, buf_cstr(&name))) {
		schema = plain_type("object", "");
		properties = json_object();
		add_fields(properties, message);
		kube_set(schema, "properties", properties);
		kube_set(schemas, buf_cstr(&name), schema);
		add_reached(schemas, message);
	}
	buf_deinit(&name);
}

static json_t *kind_description(const struct kube_resource *resource)
{
	if (resource->stance == KUBE_INERT)
		return kube_text("Stored and shown without effect here: %s.", resource->reason);
	if (resource->stance == KUBE_DERIVED)
		return kube_text("Read only here: %s.", resource->reason);
	return json_string("Fields tell what becomes of them here.");
}

/* The message of a kind says which kind it is, and has the two members that name it. */
static void add_kind(json_t *schemas, const struct kube_resource *resource)
{
	const struct kube_message *message = kube_schema_of(resource->api_version, resource->kind);
	json_t *schema, *kinds, *kind;
	struct buf name = {0};
	if (!message)
		return;
	add_message(schemas, message);
	schema_name(message, &name);
	schema = json_object_get(schemas, buf_cstr(&name));
	buf_deinit(&name);
	for (int i = 0; i < 2; i++) {
		json_t *member = plain_type("string", "");
		kube_set_string(member, "description", i ? resource->kind : resource->api_version);
		kube_set(json_object_get(schema, "properties"), i ? "kind" : "apiVersion", member);
	}
	kinds = json_array();
	kind = json_object();
	kube_set_string(kind, "group", resource->group);
	kube_set_string(kind, "version", resource->version);
	kube_set_string(kind, "kind", resource->kind);
	kube_push(kinds, kind);
	kube_set(schema, "x-kubernetes-group-version-kind", kinds);
	kube_set(schema, "description", kind_description(resource));
}

json_t *kube_openapi_schemas(const char *group, const char *version)
{
	json_t *schemas = json_object();
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)id);
		if (strcmp(resource->group, group) == 0 && strcmp(resource->version, version) == 0)
			add_kind(schemas, resource);
	}
	return schemas;
}
