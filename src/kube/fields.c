/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/map.h"
#include "kube/fields_node.h"
#include "kube/member.h"

enum shape_kind {
	SHAPE_LEAF,
	SHAPE_STRUCT, /* its members are those of a message */
	SHAPE_MAP,    /* its members have names of the user's */
	SHAPE_KEYED,  /* a list of messages that differ in their keys */
	SHAPE_SET,    /* a list of plain values, each once */
};

/* How a value is taken apart. @field: of what is in a map or list. */
struct shape {
	enum shape_kind kind;
	const struct kube_message *message;
	const struct kube_field *field;
};

/* Messages whose members only make sense together. */
static const char *const atomic_messages[] = {
	"core/v1.ConfigMapKeySelector",
	"core/v1.LocalObjectReference",
	"core/v1.NodeSelector",
	"core/v1.NodeSelectorTerm",
	"core/v1.ObjectFieldSelector",
	"core/v1.ObjectReference",
	"core/v1.ResourceFieldSelector",
	"core/v1.SecretKeySelector",
	"core/v1.SecretReference",
	"core/v1.TypedLocalObjectReference",
	"core/v1.TypedObjectReference",
	"meta/v1.LabelSelector",
	"rbac/v1.RoleRef",
};

/* Maps that only make sense as a whole. */
static const struct {
	const char *message, *field;
} atomic_maps[] = {
	{"core/v1.PodSpec", "nodeSelector"},
	{"core/v1.ServiceSpec", "selector"},
};

/* A second key of some lists, beside the one by which strategic merge knows their elements. */
static const struct {
	const char *message, *field, *otherwise;
} second_keys[] = {
	{"core/v1.ContainerPort", "protocol", "TCP"},
	{"core/v1.ServicePort", "protocol", "TCP"},
	{"core/v1.TopologySpreadConstraint", "whenUnsatisfiable", ""},
};

/* What only the server writes, and what names the object. */
static const char *const unowned_metadata[] = {
	"name",          "namespace",
	"uid",           "resourceVersion",
	"generation",    "creationTimestamp",
	"selfLink",      "deletionTimestamp",
	"managedFields", "deletionGracePeriodSeconds",
};

static bool is_atomic(const struct kube_message *owner, const struct kube_field *field)
{
	if (field->flags & KUBE_FIELD_MAP) {
		for (size_t i = 0; i < ARRAY_LEN(atomic_maps); i++) {
			if (strcmp(atomic_maps[i].message, owner->name) == 0 &&
			    strcmp(atomic_maps[i].field, field->name) == 0)
				return true;
		}
		return false;
	}
	for (size_t i = 0; field->type == KUBE_TYPE_MESSAGE && i < ARRAY_LEN(atomic_messages);
	     i++) {
		if (strcmp(kube_messages[field->message].name, atomic_messages[i]) == 0)
			return true;
	}
	return false;
}

static struct shape struct_shape(const struct kube_message *message)
{
	return (struct shape){.kind = SHAPE_STRUCT, .message = message};
}

/* The shape of one member of a message. */
static struct shape member_shape(const struct kube_message *message, const char *name,
				 const json_t *value)
{
	const struct kube_message *owner = message;
	const struct kube_field *field = message ? kube_schema_field(message, name, &owner) : NULL;
	struct shape shape = {.field = field};

	if (!field || is_atomic(owner, field))
		return shape;
	if (field->flags & KUBE_FIELD_LIST) {
		if (json_is_array(value) && (field->flags & KUBE_FIELD_MERGE) &&
		    json_array_size(value) <= KUBE_FIELDS_LIST_MAX)
			shape.kind = field->merge_key ? SHAPE_KEYED : SHAPE_SET;
	} else if (json_is_object(value) && (field->flags & KUBE_FIELD_MAP)) {
		shape.kind = SHAPE_MAP;
	} else if (json_is_object(value) && field->type == KUBE_TYPE_MESSAGE) {
		return struct_shape(&kube_messages[field->message]);
	}
	return shape;
}

/* The shape of what stands in a map. */
static struct shape value_shape(const struct shape *map, const json_t *value)
{
	if (map->kind == SHAPE_MAP && map->field->type == KUBE_TYPE_MESSAGE &&
	    json_is_object(value))
		return struct_shape(&kube_messages[map->field->message]);
	return (struct shape){0};
}

static struct shape inner_shape(const struct shape *shape, const char *key, const json_t *value)
{
	return shape->kind == SHAPE_STRUCT ? member_shape(shape->message, key, value)
					   : value_shape(shape, value);
}

static struct shape element_shape(const struct shape *list)
{
	return struct_shape(&kube_messages[list->field->message]);
}

/* The step to an element of a list: "k:{"name":"nginx"}" or "v:"a"". NULL: it has no key. */
static char *element_step(const struct shape *list, const json_t *element)
{
	const struct kube_field *field = list->field;
	struct buf step = {0};
	json_t *keys, *key = json_object_get(element, field->merge_key ? field->merge_key : "");
	char *text;

	if (list->kind == SHAPE_SET) {
		text = json_dumps(element, JSON_COMPACT | JSON_ENCODE_ANY);
	} else if (key) {
		keys = json_object();
		kube_set(keys, field->merge_key, json_incref(key));
		for (size_t i = 0; i < ARRAY_LEN(second_keys); i++) {
			const char *name = second_keys[i].field;
			json_t *second = json_object_get(element, name);

			if (strcmp(kube_messages[field->message].name, second_keys[i].message) != 0)
				continue;
			kube_set(keys, name,
				 second ? json_incref(second)
					: json_string(second_keys[i].otherwise));
		}
		text = json_dumps(keys, JSON_COMPACT | JSON_SORT_KEYS);
		json_decref(keys);
	} else {
		return NULL;
	}
	if (!text)
		abort(); /* only memory can be short */
	buf_append_format(&step, "%c:%s", list->kind == SHAPE_SET ? 'v' : 'k', text);
	free(text);
	return buf_steal(&step);
}

/*
 * The elements of a list by their steps; of several with one step the first. The values are the
 * elements, borrowed. A list has at most KUBE_FIELDS_LIST_MAX of them, so that a constant seed does
 * no harm.
 */
static void elements_index(const struct shape *list, const json_t *array, struct map *ret_index)
{
	map_init(ret_index, 1);
	for (size_t i = 0; i < json_array_size(array); i++) {
		json_t *element = json_array_get(array, i);
		char *step = element_step(list, element);

		if (step && !map_get(ret_index, bytes_str(step)))
			(void)map_put(ret_index, bytes_str(step), element);
		free(step);
	}
}

/* What an object sets. */

static json_t *fields_of(const json_t *value, const struct shape *shape);

static void add_members(json_t *node, const json_t *object, const struct shape *shape)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
		struct shape inner = inner_shape(shape, key, value);
		struct buf step = {0};

		buf_append_format(&step, "f:%s", key);
		fields_child_set(node, buf_cstr(&step), fields_of(value, &inner));
		buf_deinit(&step);
	}
}

static json_t *fields_of_element(const struct shape *list, const json_t *element)
{
	struct shape shape = element_shape(list);
	json_t *node = json_object();

	if (list->kind == SHAPE_SET)
		return node;
	add_members(node, element, &shape);
	return fields_node_new(true, node);
}

static json_t *fields_of(const json_t *value, const struct shape *shape)
{
	json_t *node = json_object(), *element;
	size_t index;

	if (shape->kind == SHAPE_STRUCT) {
		add_members(node, value, shape);
	} else if (shape->kind == SHAPE_MAP) {
		add_members(node, value, shape);
		return fields_node_new(true, node);
	} else if (shape->kind != SHAPE_LEAF) {
		json_array_foreach (value, index, element) {
			char *step = element_step(shape, element);

			if (step)
				fields_child_set(node, step, fields_of_element(shape, element));
			free(step);
		}
	}
	return node;
}

/* Take out what nobody owns; NULL when nothing is left. */
static json_t *owned(json_t *node)
{
	json_t *metadata = json_object_get(node, "f:metadata");
	struct buf step = {0};

	(void)json_object_del(node, "f:apiVersion"); /* none of these need be there */
	(void)json_object_del(node, "f:kind");
	(void)json_object_del(node, "f:status");
	for (size_t i = 0; i < ARRAY_LEN(unowned_metadata); i++) {
		buf_clear(&step);
		buf_append_format(&step, "f:%s", unowned_metadata[i]);
		(void)json_object_del(metadata, buf_cstr(&step));
	}
	buf_deinit(&step);
	if (metadata && json_object_size(metadata) == 0)
		(void)json_object_del(node, "f:metadata");
	return fields_node_new(false, node);
}

json_t *kube_fields_of(const json_t *object, const struct kube_message *message)
{
	struct shape shape = struct_shape(message);
	json_t *node = json_object();

	add_members(node, object, &shape);
	return owned(node);
}

/* What differs. */

static json_t *fields_changed(const json_t *old, const json_t *new, const struct shape *shape);

static void add_changed_members(json_t *node, const json_t *old, const json_t *new,
				const struct shape *shape)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t) new, key, value) {
		struct shape inner = inner_shape(shape, key, value);
		struct buf step = {0};

		buf_append_format(&step, "f:%s", key);
		fields_child_set(node, buf_cstr(&step),
				 fields_changed(json_object_get(old, key), value, &inner));
		buf_deinit(&step);
	}
}

/* An element of a keyed list that was there before, or is new. */
static json_t *element_changed(const struct shape *list, const json_t *old, const json_t *element)
{
	struct shape shape = element_shape(list);
	json_t *node;

	if (!old)
		return fields_of_element(list, element);
	if (list->kind == SHAPE_SET)
		return NULL;
	node = json_object();
	add_changed_members(node, old, element, &shape);
	return fields_node_new(false, node);
}

static json_t *elements_changed(const json_t *old, const json_t *new, const struct shape *shape)
{
	json_t *node = json_object(), *element;
	struct map before;
	size_t index;

	elements_index(shape, old, &before);
	json_array_foreach (new, index, element) {
		char *step = element_step(shape, element);

		if (step)
			fields_child_set(
				node, step,
				element_changed(shape, map_get(&before, bytes_str(step)), element));
		free(step);
	}
	map_deinit(&before);
	return fields_node_new(false, node);
}

static json_t *fields_changed(const json_t *old, const json_t *new, const struct shape *shape)
{
	json_t *node;

	if (!old || json_typeof(old) != json_typeof(new))
		return fields_of(new, shape);
	if (json_equal(old, new))
		return NULL;
	if (shape->kind == SHAPE_LEAF)
		return json_object();
	if (shape->kind == SHAPE_KEYED || shape->kind == SHAPE_SET)
		return elements_changed(old, new, shape);
	node = json_object();
	add_changed_members(node, old, new, shape);
	return fields_node_new(false, node);
}

json_t *kube_fields_changed(const json_t *old, const json_t *new,
			    const struct kube_message *message)
{
	struct shape shape = struct_shape(message);
	json_t *node = json_object();

	add_changed_members(node, old, new, &shape);
	return owned(node);
}

/* Merging. */

static void merge_members(json_t *object, const json_t *from, const struct shape *shape);

/* What @list has beside the elements that were taken out of its index. */
static void append_rest(json_t *merged, const json_t *list, const struct shape *shape,
			const struct map *left)
{
	json_t *element;
	size_t index;

	json_array_foreach (list, index, element) {
		char *step = element_step(shape, element);

		if (!step || map_get(left, bytes_str(step)))
			kube_push(merged, json_incref(element));
		free(step);
	}
}

/* The elements of @from in their order, then those that only @list has. */
static json_t *merge_lists(json_t *list, const json_t *from, const struct shape *shape)
{
	json_t *merged = json_array(), *element;
	struct shape inner = shape->kind == SHAPE_KEYED ? element_shape(shape) : (struct shape){0};
	struct map left;
	size_t index;

	elements_index(shape, list, &left);
	json_array_foreach (from, index, element) {
		char *step = element_step(shape, element);
		json_t *old = step ? map_remove(&left, bytes_str(step)) : NULL;

		if (json_is_object(old) && json_is_object(element))
			merge_members(old, element, &inner);
		kube_push(merged, old ? json_incref(old) : json_deep_copy(element));
		free(step);
	}
	append_rest(merged, list, shape, &left);
	map_deinit(&left);
	return merged;
}

static void merge_member(json_t *object, const char *key, const json_t *from,
			 const struct shape *shape)
{
	json_t *old = json_object_get(object, key);

	if (!old || json_typeof(old) != json_typeof(from) || shape->kind == SHAPE_LEAF)
		kube_set(object, key, json_deep_copy(from));
	else if (shape->kind == SHAPE_STRUCT || shape->kind == SHAPE_MAP)
		merge_members(old, from, shape);
	else
		kube_set(object, key, merge_lists(old, from, shape));
}

static void merge_members(json_t *object, const json_t *from, const struct shape *shape)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)from, key, value) {
		struct shape inner = inner_shape(shape, key, value);

		merge_member(object, key, value, &inner);
	}
}

void kube_fields_merge(json_t *object, const json_t *from, const struct kube_message *message)
{
	struct shape shape = struct_shape(message);

	merge_members(object, from, &shape);
}

/* Removing. */

static bool remove_from(json_t *value, const json_t *set, const struct shape *shape);

static void remove_members(json_t *object, const json_t *set, const struct shape *shape)
{
	const char *step;
	json_t *below;

	json_object_foreach ((json_t *)(uintptr_t)set, step, below) {
		const char *name = step + 2;
		json_t *value = strncmp(step, "f:", 2) == 0 ? json_object_get(object, name) : NULL;
		struct shape inner = value ? inner_shape(shape, name, value) : *shape;

		if (value && remove_from(value, below, &inner))
			(void)json_object_del(object, name); /* it is there */
	}
}

static void remove_elements(json_t *list, const json_t *set, const struct shape *shape)
{
	struct shape inner = shape->kind == SHAPE_KEYED ? element_shape(shape) : (struct shape){0};

	for (size_t i = json_array_size(list); i-- > 0;) {
		json_t *element = json_array_get(list, i);
		char *step = element_step(shape, element);
		json_t *below = step ? json_object_get(set, step) : NULL;

		free(step);
		if (!below)
			continue;
		/* An element goes with itself, whatever is left of it: its keys alone mean
		 * nothing. */
		if (!fields_has_self(below))
			(void)!remove_from(element, below, &inner);
		else
			(void)json_array_remove(list, i); /* it is there */
	}
}

/* True: nothing is left of @value, and it goes from where it stands. */
static bool remove_from(json_t *value, const json_t *set, const struct shape *shape)
{
	switch (shape->kind) {
	case SHAPE_LEAF:
		return fields_has_self(set);
	case SHAPE_STRUCT:
	case SHAPE_MAP:
		remove_members(value, set, shape);
		return json_object_size(value) == 0;
	case SHAPE_KEYED:
	case SHAPE_SET:
		remove_elements(value, set, shape);
		return json_array_size(value) == 0;
	}
	return false;
}

void kube_fields_remove(json_t *object, const json_t *set, const struct kube_message *message)
{
	struct shape shape = struct_shape(message);

	remove_members(object, set, &shape);
}

/* Checking. */

struct key_check {
	struct err *err;
	int result;
};

static void check_elements(struct key_check *check, const struct shape *list, const json_t *array,
			   const char *path)
{
	struct map first;
	json_t *element;
	size_t index;

	elements_index(list, array, &first);
	json_array_foreach (array, index, element) {
		char *step = element_step(list, element);
		bool twice = step && map_get(&first, bytes_str(step)) != element;

		if ((!step || twice) && !check->result)
			check->result = err_set_status(
				check->err, -EINVAL, 400, "%.200s[%zu]: %s \"%s\"", path, index,
				twice ? "another element has the same" : "there is no",
				list->field->merge_key);
		free(step);
	}
	map_deinit(&first);
}

static enum kube_visit_answer check_keys(void *arg, const struct kube_visit *visit)
{
	struct shape shape;

	if (!visit->field)
		return KUBE_VISIT_SKIP;
	shape = member_shape(visit->message, visit->field->name, visit->value);
	if (shape.kind == SHAPE_KEYED)
		check_elements(arg, &shape, visit->value, visit->path);
	return KUBE_VISIT_DESCEND;
}

int kube_fields_check(const json_t *object, const struct kube_message *message, struct err *err)
{
	struct key_check check = {.err = err};

	kube_schema_walk((json_t *)(uintptr_t)object, message, check_keys, &check);
	return check.result;
}
