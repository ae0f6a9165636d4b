/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of field sets, and their paths for people. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "kube/fields_node.h"
#include "kube/member.h"

bool fields_has_self(const json_t *node)
{
	return node && (json_object_size(node) == 0 || json_object_get(node, "."));
}

json_t *fields_node_new(bool self, json_t *children)
{
	if (self && json_object_size(children))
		kube_set(children, ".", json_object());
	if (self || json_object_size(children))
		return children;
	json_decref(children);
	return NULL;
}

void fields_child_set(json_t *node, const char *step, json_t *child)
{
	if (child)
		kube_set(node, step, child);
}

json_t *kube_fields_union(const json_t *a, const json_t *b)
{
	json_t *children, *child;
	const char *step;

	if (!a || !b)
		return json_deep_copy(a ? a : b);
	children = json_object();
	json_object_foreach ((json_t *)(uintptr_t)a, step, child) {
		if (strcmp(step, ".") != 0)
			fields_child_set(children, step,
					 kube_fields_union(child, json_object_get(b, step)));
	}
	json_object_foreach ((json_t *)(uintptr_t)b, step, child) {
		if (strcmp(step, ".") != 0 && !json_object_get(a, step))
			fields_child_set(children, step, json_deep_copy(child));
	}
	return fields_node_new(fields_has_self(a) || fields_has_self(b), children);
}

json_t *kube_fields_minus(const json_t *a, const json_t *b)
{
	json_t *children, *child;
	const char *step;

	if (!a || !b)
		return a ? json_deep_copy(a) : NULL;
	children = json_object();
	json_object_foreach ((json_t *)(uintptr_t)a, step, child) {
		if (strcmp(step, ".") != 0)
			fields_child_set(children, step,
					 kube_fields_minus(child, json_object_get(b, step)));
	}
	return fields_node_new(fields_has_self(a) && !fields_has_self(b), children);
}

json_t *kube_fields_both(const json_t *a, const json_t *b)
{
	json_t *children, *child;
	const char *step;

	if (!a || !b)
		return NULL;
	children = json_object();
	json_object_foreach ((json_t *)(uintptr_t)a, step, child) {
		if (strcmp(step, ".") != 0)
			fields_child_set(children, step,
					 kube_fields_both(child, json_object_get(b, step)));
	}
	return fields_node_new(fields_has_self(a) && fields_has_self(b), children);
}

/* Paths. */

/* "k:{"name":"nginx"}" as [name="nginx"]. */
static void append_keys(struct buf *path, const char *text)
{
	json_t *keys = json_loads(text, 0, NULL), *value;
	const char *key;
	size_t count = 0;

	buf_append_str(path, "[");
	json_object_foreach (keys, key, value) {
		char *one = json_dumps(value, JSON_ENCODE_ANY);

		buf_append_format(path, "%s%s=%s", count++ ? "," : "", key, one ? one : "");
		free(one);
	}
	buf_append_str(path, "]");
	json_decref(keys);
}

static void walk_paths(const json_t *node, struct buf *path, kube_field_path_fn *each, void *arg)
{
	size_t len = path->len;
	const char *step;
	json_t *below;

	if (fields_has_self(node))
		each(arg, buf_cstr(path));
	json_object_foreach ((json_t *)(uintptr_t)node, step, below) {
		if (strncmp(step, "f:", 2) == 0)
			buf_append_format(path, ".%s", step + 2);
		else if (strncmp(step, "k:", 2) == 0)
			append_keys(path, step + 2);
		else if (strncmp(step, "v:", 2) == 0)
			buf_append_format(path, "[=%s]", step + 2);
		else
			continue;
		walk_paths(below, path, each, arg);
		path->len = len;
	}
}

void kube_fields_paths(const json_t *set, kube_field_path_fn *each, void *arg)
{
	struct buf path = {0};

	if (set)
		walk_paths(set, &path, each, arg);
	buf_deinit(&path);
}
