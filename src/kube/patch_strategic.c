/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes' strategic merge: RFC 7386 with a schema. Lists whose field has a merge key are merged
 * element by element; directives inside the patch say what cannot be said by values:
 *
 *   "$patch": "replace" | "delete" | "merge"     of an object, or of an element of a keyed list
 *   "$retainKeys": [names]                       other members of the object go
 *   "$deleteFromPrimitiveList/<field>": [values]
 *   "$setElementOrder/<field>": [keys or values]
 */
#include <string.h>

#include "kube/member.h"
#include "kube/patch_kinds.h"

static const char order_prefix[] = "$setElementOrder/";
static const char delete_prefix[] = "$deleteFromPrimitiveList/";

struct strategic {
	struct err *err;
};

static int merge_object(struct strategic *strategic, json_t *object, const json_t *patch,
			const struct kube_message *message);

static int refuse(struct strategic *strategic, const char *what, const char *name)
{
	return err_set_status(strategic->err, -EINVAL, 400,
			      "invalid strategic merge patch: %s: %.80s", what, name);
}

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Index of the element with @key equal to @value (or, without a key, equal itself); -1: none. */
static ssize_t element_find(const json_t *list, const char *key, const json_t *value)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *element = json_array_get(list, i);
		if (json_equal(key ? json_object_get(element, key) : element, value))
			return (ssize_t)i;
	}
	return -1;
}

/* What identifies an element: the value of its key, or the element itself. */
static const json_t *element_key(const json_t *element, const char *key)
{
	return key ? json_object_get(element, key) : element;
}

static void elements_remove(json_t *list, const char *key, const json_t *value)
{
	ssize_t index;
	while ((index = element_find(list, key, value)) >= 0)
		(void)json_array_remove(list, (size_t)index); /* it is there */
}

/*
 * Bring @list into the order that the client sees: its elements as @order names them, and those it
 * does not know behind the neighbour they followed before.
 */
static json_t *list_ordered(const json_t *list, const char *key, const json_t *order)
{
	json_t *sorted = json_array();
	size_t index;
	json_t *element;
	json_array_foreach (order, index, element) {
		ssize_t at = element_find(list, key, element_key(element, key));
		if (at >= 0 && element_find(sorted, key, element_key(element, key)) < 0)
			kube_push(sorted, json_incref(json_array_get(list, (size_t)at)));
	}
	json_array_foreach (list, index, element) {
		const json_t *own = element_key(element, key);
		if (own && element_find(sorted, key, own) >= 0)
			continue;
		const json_t *before =
			index ? element_key(json_array_get(list, index - 1), key) : NULL;
		ssize_t at = before ? element_find(sorted, key, before) : -1;
		(void)json_array_insert_new(sorted, (size_t)(at + 1), json_incref(element));
	}
	return sorted;
}

static int merge_element(struct strategic *strategic, json_t *list, const json_t *element,
			 const struct kube_field *field)
{
	const char *directive = kube_member_string(element, "$patch");
	const json_t *key = json_object_get(element, field->merge_key);
	if (!json_is_object(element) || !key)
		return refuse(strategic, "an element without its merge key", field->name);
	if (strcmp(directive, "delete") == 0) {
		elements_remove(list, field->merge_key, key);
		return 0;
	}
	ssize_t at = element_find(list, field->merge_key, key);
	json_t *target = at >= 0 ? json_array_get(list, (size_t)at) : NULL;
	if (!json_is_object(target)) {
		target = json_object();
		kube_push(list, target);
	}
	return merge_object(strategic, target, element, &kube_messages[field->message]);
}

/* Whether @list is short enough to be compared with another element by element. */
static int list_bound(struct strategic *strategic, const json_t *list, const char *name)
{
	return json_array_size(list) <= KUBE_PATCH_LIST_MAX
		       ? 0
		       : refuse(strategic, "a list with too many elements", name);
}

/* A list whose elements have a key. An element that only says "$patch": "replace" makes the rest of
 * the patch the whole list. */
static int merge_keyed_list(struct strategic *strategic, json_t *list, const json_t *patch,
			    const struct kube_field *field)
{
	size_t index;
	json_t *element;
	json_array_foreach (patch, index, element) {
		if (strcmp(kube_member_string(element, "$patch"), "replace") == 0)
			(void)json_array_clear(list); /* it is an array */
	}
	json_array_foreach (patch, index, element) {
		if (strcmp(kube_member_string(element, "$patch"), "replace") == 0)
			continue;
		int r = merge_element(strategic, list, element, field);
		if (r)
			return r;
	}
	return 0;
}

/* A set of plain values: what is new is appended. */
static void merge_set(json_t *list, const json_t *patch)
{
	size_t index;
	json_t *value;
	json_array_foreach (patch, index, value) {
		if (element_find(list, NULL, value) < 0)
			kube_push(list, json_incref(value));
	}
}

static int merge_list(struct strategic *strategic, json_t *object, const json_t *patch,
		      const struct kube_field *field)
{
	json_t *list = json_object_get(object, field->name);
	if (!json_is_array(list)) {
		list = json_array();
		kube_set(object, field->name, list);
	}
	int r = list_bound(strategic, list, field->name);
	if (r == 0)
		r = list_bound(strategic, patch, field->name);
	if (r)
		return r;
	if (field->merge_key)
		return merge_keyed_list(strategic, list, patch, field);
	merge_set(list, patch);
	return 0;
}

/* The object at @key to merge into, made when something else is there. */
static json_t *target_object(json_t *object, const char *key)
{
	if (!json_is_object(json_object_get(object, key)))
		kube_set(object, key, json_object());
	return json_object_get(object, key);
}

static int merge_member(struct strategic *strategic, json_t *object, const char *key,
			const json_t *value, const struct kube_message *message)
{
	const struct kube_message *owner;
	const struct kube_field *field = message ? kube_schema_field(message, key, &owner) : NULL;
	unsigned flags = field ? field->flags : 0;
	if (json_is_null(value)) {
		(void)json_object_del(object, key); /* it may not be there */
		return 0;
	}
	if (json_is_array(value) && (flags & KUBE_FIELD_LIST) && (flags & KUBE_FIELD_MERGE))
		return merge_list(strategic, object, value, field);
	if (!json_is_object(value) || (flags & KUBE_FIELD_REPLACE)) {
		kube_set(object, key, json_deep_copy(value));
		return 0;
	}
	bool is_message = field && field->type == KUBE_TYPE_MESSAGE &&
			  !(flags & (KUBE_FIELD_MAP | KUBE_FIELD_LIST));
	return merge_object(strategic, target_object(object, key), value,
			    is_message ? &kube_messages[field->message] : NULL);
}

static void retain_keys(json_t *object, const json_t *names)
{
	const char *key;
	json_t *value;
	void *next;
	json_object_foreach_safe(object, next, key, value)
	{
		json_t *name = json_string(key);
		if (element_find(names, NULL, name) < 0)
			(void)json_object_del(object, key); /* it is there */
		json_decref(name);
	}
}

/* The directives that act on lists beside them, after the values have been merged. */
static int list_directive(struct strategic *strategic, json_t *object, const char *directive,
			  const json_t *value, const struct kube_message *message)
{
	const struct kube_message *owner;
	bool is_order = has_prefix(directive, order_prefix);
	const char *name = directive + strlen(is_order ? order_prefix : delete_prefix);
	const struct kube_field *field = message ? kube_schema_field(message, name, &owner) : NULL;
	json_t *list = json_object_get(object, name);
	size_t index;
	json_t *element;
	if (!json_is_array(list))
		return 0;
	int r = list_bound(strategic, list, name);
	if (r == 0)
		r = list_bound(strategic, value, name);
	if (r)
		return r;
	if (is_order) {
		kube_set(object, name, list_ordered(list, field ? field->merge_key : NULL, value));
		return 0;
	}
	json_array_foreach (value, index, element) {
		elements_remove(list, NULL, element);
	}
	return 0;
}

static int merge_values(struct strategic *strategic, json_t *object, const json_t *patch,
			const struct kube_message *message)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
		if (*key == '$')
			continue;
		int r = merge_member(strategic, object, key, value, message);
		if (r)
			return r;
	}
	json_object_foreach ((json_t *)(uintptr_t)patch, key, value) {
		if (!has_prefix(key, order_prefix) && !has_prefix(key, delete_prefix))
			continue;
		int r = list_directive(strategic, object, key, value, message);
		if (r)
			return r;
	}
	return 0;
}

static int merge_object(struct strategic *strategic, json_t *object, const json_t *patch,
			const struct kube_message *message)
{
	const char *directive = kube_member_string(patch, "$patch");
	const json_t *retained = json_object_get(patch, "$retainKeys");
	if (strcmp(directive, "delete") == 0) {
		(void)json_object_clear(object); /* it is an object */
		return 0;
	}
	if (strcmp(directive, "replace") == 0)
		(void)json_object_clear(object); /* it is an object */
	else if (*directive && strcmp(directive, "merge") != 0)
		return refuse(strategic, "an unknown directive", directive);
	if (retained && list_bound(strategic, retained, "$retainKeys") != 0)
		return -EINVAL;
	if (json_is_array(retained))
		retain_keys(object, retained);
	return merge_values(strategic, object, patch, message);
}

int kube_patch_strategic(json_t *object, const json_t *patch, const struct kube_message *message,
			 struct err *err)
{
	struct strategic strategic = {.err = err};
	return merge_object(&strategic, object, patch, message);
}
