/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pod_facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int compare_keys(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

/* key="value" line by line, sorted: a shell and a Go program read it alike. */
static void append_map(const json_t *map, struct buf *ret)
{
	const char **keys = mem_alloc(json_object_size(map) + 1, sizeof(*keys)), *key;
	size_t count = 0;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)map, key, value)
		keys[count++] = key;
	qsort(keys, count, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < count; i++) {
		json_t *text = json_object_get(map, keys[i]);
		char *quoted = json_dumps(text, JSON_ENCODE_ANY);

		buf_append_format(ret, "%s%s=%s", i ? "\n" : "", keys[i], quoted ? quoted : "\"\"");
		free(quoted);
	}
	free(keys);
}

/* "metadata.labels['app']" -> the label's value; "metadata.labels" -> all of them. */
static bool append_of_map(const char *path, const char *prefix, const json_t *map, struct buf *ret)
{
	size_t len = strlen(prefix);
	const char *end, *value;
	char *key;

	if (strncmp(path, prefix, len) != 0)
		return false;
	if (path[len] == '\0') {
		append_map(map, ret);
		return true;
	}
	if (strncmp(path + len, "['", 2) != 0)
		return false;
	end = strstr(path + len + 2, "']");
	if (!end || end[2] != '\0')
		return false;
	key = mem_copy(path + len + 2, (size_t)(end - path) - len - 2);
	value = json_string_value(json_object_get(map, key));
	free(key);
	buf_append_str(ret, value ? value : "");
	return true;
}

bool pod_facts_field(const struct pod_facts *facts, const char *path, struct buf *ret)
{
	const struct {
		const char *path, *value;
	} fields[] = {
		{"metadata.name", facts->name},
		{"metadata.namespace", facts->spec->namespace},
		{"metadata.uid", facts->uid},
		{"spec.nodeName", facts->node_name},
		{"spec.serviceAccountName",
		 facts->spec->service_account ? facts->spec->service_account : "default"},
		{"status.podIP", facts->ip},
		{"status.podIPs", facts->ip},
		{"status.hostIP", facts->host_ip},
		{"status.hostIPs", facts->host_ip},
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strcmp(fields[i].path, path) == 0) {
			buf_append_str(ret, fields[i].value ? fields[i].value : "");
			return true;
		}
	return append_of_map(path, "metadata.labels", facts->labels, ret) ||
	       append_of_map(path, "metadata.annotations", facts->annotations, ret);
}

static const struct container_spec *container_named(const struct pod_spec *spec, const char *name)
{
	for (size_t i = 0; name && i < spec->container_count; i++)
		if (strcmp(spec->containers[i].name, name) == 0)
			return &spec->containers[i];
	return NULL;
}

static int64_t or_else(int64_t value, int64_t otherwise)
{
	return value == LIMITS_UNSET ? otherwise : value;
}

bool pod_facts_resource(const struct pod_facts *facts, const struct container_spec *asking,
			const struct resource_field *field, struct buf *ret)
{
	const struct container_spec *container =
		field->container ? container_named(facts->spec, field->container) : asking;
	const struct resources *resources;
	int64_t value = 0;

	if (!container)
		return false;
	resources = &container->resources;
	if (strcmp(field->resource, "limits.cpu") == 0)
		value = or_else(resources->cpu_limit_milli, (int64_t)facts->cpu_capacity_milli);
	else if (strcmp(field->resource, "limits.memory") == 0)
		value = or_else(resources->memory_limit_bytes,
				(int64_t)facts->memory_capacity_bytes);
	else if (strcmp(field->resource, "requests.cpu") == 0)
		value = or_else(resources->cpu_request_milli,
				or_else(resources->cpu_limit_milli, 0));
	else if (strcmp(field->resource, "requests.memory") == 0)
		value = or_else(resources->memory_request_bytes,
				or_else(resources->memory_limit_bytes, 0));
	buf_append_format(ret, "%" PRId64, value / field->divisor + (value % field->divisor != 0));
	return true;
}
