/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/policy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "kube/needs.h"
#include "runtime/files.h"

static int read_list(const json_t *value, const char *key, char ***ret_items, size_t *ret_count,
		     struct err *err)
{
	size_t count = json_array_size(value);

	if (!json_is_array(value) || count > POLICY_LIST_MAX)
		return err_set(err, -EINVAL, "%s must be a list of at most %d strings", key,
			       POLICY_LIST_MAX);
	for (size_t i = 0; i < count; i++)
		if (!json_is_string(json_array_get(value, i)))
			return err_set(err, -EINVAL, "%s must hold strings only", key);
	*ret_items = mem_alloc(count + 1, sizeof(char *));
	for (size_t i = 0; i < count; i++)
		(*ret_items)[i] = mem_strdup(json_string_value(json_array_get(value, i)));
	*ret_count = count;
	return 0;
}

static int read_truth(const json_t *value, const char *key, bool *ret, struct err *err)
{
	*ret = json_is_true(value);
	return json_is_boolean(value) ? 0 : err_set(err, -EINVAL, "%s must be true or false", key);
}

static int read_priority(const json_t *value, int32_t *ret, struct err *err)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < INT32_MIN || number > INT32_MAX)
		return err_set(err, -EINVAL, "priorityMax must be a number of 32 bits");
	*ret = (int32_t)number;
	return 0;
}

/* What no pod has here may only be denied. */
static int read_never(const json_t *value, const char *key, struct err *err)
{
	if (json_is_false(value) || (json_is_array(value) && json_array_size(value) == 0))
		return 0;
	return err_set(err, -EINVAL, "%s cannot be allowed: no pod has it here", key);
}

static int read_key(struct policy *policy, const char *key, const json_t *value, struct err *err)
{
	static const char *const never[] = {"hostNetwork", "hostPID", "hostIPC", "devices"};

	if (strcmp(key, "privileged") == 0)
		return read_truth(value, key, &policy->privileged, err);
	if (strcmp(key, "runAsRoot") == 0)
		return read_truth(value, key, &policy->run_as_root, err);
	if (strcmp(key, "capabilities") == 0)
		return read_list(value, key, &policy->capabilities, &policy->capability_count, err);
	if (strcmp(key, "hostPath") == 0)
		return read_list(value, key, &policy->host_paths, &policy->host_path_count, err);
	if (strcmp(key, "registries") == 0) {
		policy->any_registry = false;
		return read_list(value, key, &policy->registries, &policy->registry_count, err);
	}
	if (strcmp(key, "priorityMax") == 0)
		return read_priority(value, &policy->priority_max, err);
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		if (strcmp(key, never[i]) == 0)
			return read_never(value, key, err);
	}
	return err_set(err, -EINVAL, "unknown key \"%s\"", key);
}

/* The line on which @key stands; the parser does not keep it. */
static size_t line_of(struct buf *text, const char *key)
{
	struct buf quoted = {0};
	const char *start = buf_cstr(text), *found;
	size_t line = 1;

	buf_append_format(&quoted, "\"%s\"", key);
	found = strstr(start, buf_cstr(&quoted));
	for (const char *at = start; found && at < found; at++)
		line += *at == '\n';
	buf_deinit(&quoted);
	return line;
}

static int read_keys(struct policy *policy, const json_t *root, struct buf *text, struct err *err)
{
	const json_t *value;
	const char *key;
	void *at;

	for (at = json_object_iter((json_t *)(uintptr_t)root); at;
	     at = json_object_iter_next((json_t *)(uintptr_t)root, at)) {
		int r;

		key = json_object_iter_key(at);
		value = json_object_iter_value(at);
		r = read_key(policy, key, value, err);
		if (r < 0)
			return err_prefix(err, "line %zu", line_of(text, key));
	}
	return 0;
}

/* A policy that others can write is theirs. */
static int check_owner(const char *path, struct err *err)
{
	struct stat info;

	if (stat(path, &info) != 0)
		return err_set(err, -errno, "%s", strerror(errno));
	if ((info.st_uid != 0 && info.st_uid != geteuid()) || info.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM,
			       "it must belong to root and be writable by nobody else");
	return 0;
}

static int parse(struct buf *text, struct policy *policy, struct err *err)
{
	json_error_t where;
	json_t *root =
		json_loadb((const char *)text->ptr, text->len, JSON_REJECT_DUPLICATES, &where);
	int r = json_is_object(root) ? read_keys(policy, root, text, err)
		: root               ? err_set(err, -EINVAL, "line 1: it must be an object")
				     : err_set(err, -EINVAL, "line %d: %s", where.line, where.text);

	json_decref(root);
	return r;
}

int policy_load(const char *path, struct policy *ret_policy, struct err *err)
{
	struct policy policy = {
		.any_registry = true, .run_as_root = true, .priority_max = KUBE_PRIORITY_MAX};
	struct buf text = {0};
	int r = path ? check_owner(path, err) : 0;

	if (path && r == 0) {
		r = file_read(path, POLICY_FILE_MAX, &text);
		r = r < 0 ? err_set(err, r, "%s", strerror(-r)) : parse(&text, &policy, err);
	}
	buf_deinit(&text);
	if (r < 0) {
		policy_deinit(&policy);
		return err_prefix(err, "policy %s", path);
	}
	*ret_policy = policy;
	return 0;
}

static void list_free(char **items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(items[i]);
	free(items);
}

void policy_deinit(struct policy *policy)
{
	list_free(policy->capabilities, policy->capability_count);
	list_free(policy->host_paths, policy->host_path_count);
	list_free(policy->registries, policy->registry_count);
	*policy = (struct policy){0};
}

bool policy_allows_capability(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->capability_count && !policy->privileged; i++) {
		if (strcmp(policy->capabilities[i], name) == 0)
			return true;
	}
	return policy->privileged;
}

bool policy_allows_host_path(const struct policy *policy, const char *path)
{
	for (size_t i = 0; i < policy->host_path_count; i++) {
		const char *allowed = policy->host_paths[i];
		size_t len = strlen(allowed);

		while (len > 1 && allowed[len - 1] == '/')
			len--;
		if (strncmp(path, allowed, len) != 0)
			continue;
		if (path[len] == '\0' || path[len] == '/' || len == 1)
			return true;
	}
	return false;
}

/* By whole parts: "docker.io/lib" begins no name of "docker.io/library/nginx". */
static bool begins_with(const char *image, const char *prefix)
{
	size_t len = strlen(prefix);

	while (len && prefix[len - 1] == '/')
		len--;
	return len && strncmp(image, prefix, len) == 0 && strchr("/:@", image[len]);
}

bool policy_allows_image(const struct policy *policy, const char *image)
{
	for (size_t i = 0; i < policy->registry_count && !policy->any_registry; i++) {
		if (begins_with(image, policy->registries[i]))
			return true;
	}
	return policy->any_registry;
}
