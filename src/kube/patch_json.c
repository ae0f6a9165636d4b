/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 6902. A pointer is walked to the parent of what it names; the last step then decides whether
 * a member, an element or the whole document is meant. Copies could grow a document without bound,
 * so that every value put in is charged.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "kube/manifest.h"
#include "kube/member.h"
#include "kube/patch.h"
#include "kube/patch_kinds.h"

/* Where a pointer leads: the last step, below an existing parent. */
struct place {
	json_t *parent; /* borrowed */
	char *last;     /* owned; unescaped */
	size_t depth;   /* steps from the document to the value */
};

struct patcher {
	json_t *document;
	size_t node_count;
	struct err *err;
};

static int refuse(struct patcher *patcher, const char *what, const char *path)
{
	return err_set_status(patcher->err, -EINVAL, 422,
			      "the server rejected our request due to an error in our request: "
			      "%s: %.80s",
			      what, path);
}

/* One step of a pointer, "~1" and "~0" undone. The caller frees it. */
static char *step_unescape(const char *text, size_t len)
{
	struct buf step = {0};
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '~' && i + 1 < len && (text[i + 1] == '0' || text[i + 1] == '1'))
			c = text[++i] == '0' ? '~' : '/';
		buf_append(&step, &c, 1);
	}
	return buf_steal(&step);
}

/* An array index without leading zeros; false for anything else. */
static bool index_parse(const char *text, size_t *ret_index)
{
	size_t len = strspn(text, "0123456789");
	if (len == 0 || text[len] || len > 8 || (len > 1 && text[0] == '0'))
		return false;
	*ret_index = (size_t)strtoul(text, NULL, 10);
	return true;
}

static json_t *child_get(const json_t *parent, const char *step)
{
	size_t index;
	if (json_is_object(parent))
		return json_object_get(parent, step);
	if (json_is_array(parent) && index_parse(step, &index))
		return json_array_get(parent, index);
	return NULL;
}

/* Walk to the parent of @path. The empty path, the document itself, is refused: an object's whole
 * cannot be exchanged. */
static int place_find(struct patcher *patcher, const char *path, struct place *ret)
{
	*ret = (struct place){.parent = patcher->document};
	if (!path || *path != '/')
		return refuse(patcher, "not a path below the object", path ? path : "");
	while (true) {
		size_t len = strcspn(path + 1, "/");
		ret->depth++;
		ret->last = step_unescape(path + 1, len);
		path += len + 1;
		if (!*path)
			return 0;
		ret->parent = child_get(ret->parent, ret->last);
		free(ret->last);
		ret->last = NULL;
		if (!ret->parent)
			return refuse(patcher, "the path does not exist", path);
	}
}

static void place_deinit(struct place *place)
{
	free(place->last);
	*place = (struct place){0};
}

/* The value at @path, borrowed. */
static int value_find(struct patcher *patcher, const char *path, json_t **ret)
{
	struct place place;
	int r = place_find(patcher, path, &place);
	if (r == 0) {
		*ret = child_get(place.parent, place.last);
		if (!*ret)
			r = refuse(patcher, "the path does not exist", path);
	}
	place_deinit(&place);
	return r;
}

static int value_charge(struct patcher *patcher, const json_t *value, size_t depth)
{
	struct kube_size size;
	kube_measure(value, &size);
	patcher->node_count += size.nodes;
	if (patcher->node_count > KUBE_MANIFEST_NODES_MAX ||
	    depth + size.depth > KUBE_MANIFEST_DEPTH_MAX)
		return refuse(patcher, "the patch makes the object too large", "");
	return 0;
}

/* Put @value, which is taken over, where @path says: a new element or member. */
static int value_add(struct patcher *patcher, const char *path, json_t *value)
{
	struct place place;
	size_t index;
	int r = place_find(patcher, path, &place);
	if (r == 0)
		r = value_charge(patcher, value, place.depth);
	if (r) {
		json_decref(value);
	} else if (json_is_object(place.parent)) {
		kube_set(place.parent, place.last, value);
	} else if (json_is_array(place.parent) && strcmp(place.last, "-") == 0) {
		kube_push(place.parent, value);
	} else if (json_is_array(place.parent) && index_parse(place.last, &index) &&
		   index <= json_array_size(place.parent)) {
		r = json_array_insert_new(place.parent, index, value) == 0 ? 0 : -ENOMEM;
	} else {
		json_decref(value);
		r = refuse(patcher, "the path does not exist", path);
	}
	place_deinit(&place);
	return r;
}

static int value_remove(struct patcher *patcher, const char *path)
{
	struct place place;
	size_t index;
	int removed = -1;
	int r = place_find(patcher, path, &place);
	if (r == 0) {
		if (json_is_object(place.parent))
			removed = json_object_del(place.parent, place.last);
		else if (json_is_array(place.parent) && index_parse(place.last, &index))
			removed = json_array_remove(place.parent, index);
		if (removed != 0)
			r = refuse(patcher, "the path does not exist", path);
	}
	place_deinit(&place);
	return r;
}

static int value_replace(struct patcher *patcher, const char *path, json_t *value)
{
	struct place place;
	size_t index;
	int r = place_find(patcher, path, &place);
	if (r == 0)
		r = value_charge(patcher, value, place.depth);
	if (r == 0 && !child_get(place.parent, place.last))
		r = refuse(patcher, "the path does not exist", path);
	if (r)
		json_decref(value);
	else if (json_is_object(place.parent))
		kube_set(place.parent, place.last, value);
	else if (index_parse(place.last, &index))
		r = json_array_set_new(place.parent, index, value) == 0 ? 0 : -ENOMEM;
	place_deinit(&place);
	return r;
}

static int value_copy(struct patcher *patcher, const char *from, const char *path, bool move)
{
	json_t *value;
	size_t from_len = from ? strlen(from) : 0;
	int r = value_find(patcher, from, &value);
	if (r)
		return r;
	if (move && strncmp(path, from, from_len) == 0 && path[from_len] == '/')
		return refuse(patcher, "a value cannot move into itself", path);
	value = json_deep_copy(value);
	if (move)
		r = value_remove(patcher, from);
	if (r) {
		json_decref(value);
		return r;
	}
	return value_add(patcher, path, value);
}

static int operation_run(struct patcher *patcher, const json_t *operation)
{
	const char *op = kube_member_string(operation, "op");
	const char *path = kube_member_string(operation, "path");
	const char *from = kube_member_string(operation, "from");
	const json_t *value = json_object_get(operation, "value");
	json_t *found;
	if (strcmp(op, "remove") == 0)
		return value_remove(patcher, path);
	if (strcmp(op, "move") == 0 || strcmp(op, "copy") == 0)
		return value_copy(patcher, from, path, *op == 'm');
	if (!value)
		return refuse(patcher, "an operation without a value, or an unknown one", op);
	if (strcmp(op, "add") == 0)
		return value_add(patcher, path, json_deep_copy(value));
	if (strcmp(op, "replace") == 0)
		return value_replace(patcher, path, json_deep_copy(value));
	if (strcmp(op, "test") != 0)
		return refuse(patcher, "an unknown operation", op);
	int r = value_find(patcher, path, &found);
	if (r == 0 && !json_equal(found, value))
		r = refuse(patcher, "a test failed", path);
	return r;
}

int kube_patch_json(json_t *object, const json_t *operations, struct err *err)
{
	struct patcher patcher = {.document = object, .err = err};
	struct kube_size size;
	size_t index;
	json_t *operation;
	int r = 0;
	if (json_array_size(operations) > KUBE_PATCH_OPERATIONS_MAX)
		return refuse(&patcher, "too many operations", "");
	kube_measure(object, &size);
	patcher.node_count = size.nodes;
	json_array_foreach (operations, index, operation) {
		r = operation_run(&patcher, operation);
		if (r)
			break;
	}
	return r;
}
