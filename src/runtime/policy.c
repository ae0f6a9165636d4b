/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/policy.h"

#include <stdlib.h>
#include <string.h>

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

static int read_key(struct policy *policy, const char *key, const json_t *value, struct err *err)
{
	if (strcmp(key, "privileged") == 0) {
		if (!json_is_boolean(value))
			return err_set(err, -EINVAL, "privileged must be true or false");
		policy->privileged = json_is_true(value);
		return 0;
	}
	if (strcmp(key, "hostPath") == 0)
		return read_list(value, key, &policy->host_paths, &policy->host_path_count, err);
	if (strcmp(key, "registries") == 0) {
		policy->any_registry = false;
		return read_list(value, key, &policy->registries, &policy->registry_count, err);
	}
	if (strcmp(key, "priorityMax") == 0) {
		if (!json_is_integer(value) || json_integer_value(value) < INT32_MIN ||
		    json_integer_value(value) > INT32_MAX)
			return err_set(err, -EINVAL, "priorityMax must be a number of 32 bits");
		policy->priority_max = (int32_t)json_integer_value(value);
		return 0;
	}
	return err_set(err, -EINVAL, "unknown key \"%s\"", key);
}

int policy_load(const char *path, struct policy *ret_policy, struct err *err)
{
	struct policy policy = {.any_registry = true, .priority_max = KUBE_PRIORITY_MAX};
	struct buf text = {0};
	json_error_t where;
	json_t *root, *value;
	const char *key;
	int r = 0;

	if (!path) {
		*ret_policy = policy;
		return 0;
	}
	r = file_read(path, POLICY_FILE_MAX, &text);
	if (r < 0) {
		buf_deinit(&text);
		return err_set(err, r, "policy %s: %s", path, strerror(-r));
	}
	root = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &where);
	buf_deinit(&text);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(err, -EINVAL, "policy %s: line %d: %s", path, where.line,
			       where.text);
	}
	json_object_foreach (root, key, value) {
		r = read_key(&policy, key, value, err);
		if (r < 0)
			break;
	}
	json_decref(root);
	if (r < 0) {
		policy_deinit(&policy);
		return err_prefix(err, "policy %s", path);
	}
	*ret_policy = policy;
	return 0;
}

void policy_deinit(struct policy *policy)
{
	for (size_t i = 0; i < policy->host_path_count; i++)
		free(policy->host_paths[i]);
	for (size_t i = 0; i < policy->registry_count; i++)
		free(policy->registries[i]);
	free(policy->host_paths);
	free(policy->registries);
	*policy = (struct policy){0};
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

bool policy_allows_registry(const struct policy *policy, const char *domain)
{
	if (policy->any_registry)
		return true;
	for (size_t i = 0; i < policy->registry_count; i++)
		if (strcmp(policy->registries[i], domain) == 0)
			return true;
	return false;
}
