/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of a container, as its manifest asks for it. */
#include <string.h>

#include "base/mem.h"
#include "kube/name.h"
#include "kube/quantity.h"
#include "runtime/pod_spec_read.h"

int spec_read_object(const json_t *source, const char *kind, const char *name_key,
		     struct object_key *ret, struct err *err)
{
	ret->kind = kind;
	ret->name = spec_text(source, name_key);
	ret->optional = spec_truth(source, "optional");
	/* It becomes part of sentences and look-ups, never of a path. */
	if (!ret->name || !kube_name_is_subdomain(ret->name))
		return spec_malformed(err, "the name of a ConfigMap or Secret");
	return 0;
}

static int read_divisor(const json_t *value, bool cpu, int64_t *ret, struct err *err)
{
	int64_t divisor = 0;
	int r = 0;

	*ret = cpu ? 1000 : 1;
	if (!value)
		return 0;
	r = cpu ? kube_quantity_json_milli(value, &divisor)
		: kube_quantity_json_units(value, &divisor);
	if (r != 0 || divisor < 0)
		return spec_malformed(err, "resourceFieldRef divisor");
	/* "0" is how clients write that there is none. */
	if (divisor > 0)
		*ret = divisor;
	return 0;
}

int spec_read_resource_field(const json_t *from, struct resource_field *ret, struct err *err)
{
	static const char *const known[] = {
		"limits.cpu",   "limits.memory",   "limits.ephemeral-storage",
		"requests.cpu", "requests.memory", "requests.ephemeral-storage",
	};
	bool found = false;

	ret->container = spec_text(from, "containerName");
	if (ret->container && ret->container[0] == '\0')
		ret->container = NULL;
	ret->resource = spec_text(from, "resource");
	for (size_t i = 0; ret->resource && i < ARRAY_LEN(known); i++)
		found |= strcmp(ret->resource, known[i]) == 0;
	if (!found)
		return spec_malformed(err, "resourceFieldRef resource");
	return read_divisor(json_object_get(from, "divisor"), strstr(ret->resource, ".cpu") != NULL,
			    &ret->divisor, err);
}

static int read_key(const json_t *source, const char *kind, struct env_var *ret, struct err *err)
{
	ret->source = VALUE_OBJECT;
	ret->object.key = spec_text(source, "key");
	if (!ret->object.key)
		return spec_malformed(err, "env valueFrom without a key");
	return spec_read_object(source, kind, "name", &ret->object, err);
}

static int read_value_from(const json_t *from, struct env_var *ret, struct err *err)
{
	const json_t *map = json_object_get(from, "configMapKeyRef");
	const json_t *secret = json_object_get(from, "secretKeyRef");
	const json_t *resource = json_object_get(from, "resourceFieldRef");

	if (map)
		return read_key(map, "ConfigMap", ret, err);
	if (secret)
		return read_key(secret, "Secret", ret, err);
	if (resource) {
		ret->source = VALUE_RESOURCE;
		return spec_read_resource_field(resource, &ret->resource, err);
	}
	ret->source = VALUE_FIELD;
	ret->field_path = spec_text(json_object_get(from, "fieldRef"), "fieldPath");
	return ret->field_path ? 0 : spec_unsupported(err, "this source of env valueFrom");
}

static int read_var(const json_t *item, struct env_var *ret, struct err *err)
{
	const json_t *from = json_object_get(item, "valueFrom");

	ret->name = spec_text(item, "name");
	ret->value = spec_text(item, "value");
	if (!ret->name || ret->name[0] == '\0' || strchr(ret->name, '='))
		return spec_malformed(err, "env");
	if (from)
		return read_value_from(from, ret, err);
	ret->source = VALUE_TEXT;
	if (!ret->value)
		ret->value = "";
	return 0;
}

static int read_from(const json_t *item, struct env_from *ret, struct err *err)
{
	const json_t *map = json_object_get(item, "configMapRef");
	const json_t *secret = json_object_get(item, "secretRef");

	ret->prefix = spec_text(item, "prefix");
	if (!ret->prefix)
		ret->prefix = "";
	if (strchr(ret->prefix, '=') || (!map && !secret))
		return spec_malformed(err, "envFrom");
	return spec_read_object(map ? map : secret, map ? "ConfigMap" : "Secret", "name",
				&ret->object, err);
}

int spec_read_env(const json_t *container, struct container_spec *ret, struct err *err)
{
	const json_t *list = json_object_get(container, "env");
	const json_t *from = json_object_get(container, "envFrom");
	size_t count = json_array_size(list), from_count = json_array_size(from);
	int r = 0;

	if ((list && (!json_is_array(list) || count > POD_ENV_MAX)) ||
	    (from && (!json_is_array(from) || from_count > POD_ENV_FROM_MAX)))
		return spec_malformed(err, "env");
	ret->env = mem_alloc(count + 1, sizeof(*ret->env));
	ret->env_from = mem_alloc(from_count + 1, sizeof(*ret->env_from));
	for (; r == 0 && ret->env_from_count < from_count; ret->env_from_count++)
		r = read_from(json_array_get(from, ret->env_from_count),
			      &ret->env_from[ret->env_from_count], err);
	for (; r == 0 && ret->env_count < count; ret->env_count++)
		r = read_var(json_array_get(list, ret->env_count), &ret->env[ret->env_count], err);
	return r;
}
