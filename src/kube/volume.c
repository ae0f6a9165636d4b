/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/volume.h"

#include <string.h>

#include "kube/member.h"
#include "kube/name.h"
#include "kube/quantity.h"

enum {
	MODE_DEFAULT = 0644,
	MODE_MAX = 0777,
	ENV_FROM_MAX = 64,
	PATH_TEXT_MAX = 511, /* as machines take it */
};

static const char path_rule[] = "must be a relative path without '..'";
static const char key_rule[] = "must consist of alphanumeric characters, '-', '_' or '.'";

void kube_default_selectors(json_t *from)
{
	json_t *field = json_object_get(from, "fieldRef");
	json_t *resource = json_object_get(from, "resourceFieldRef");

	if (json_is_object(field))
		kube_set_missing(field, "apiVersion", json_string("v1"));
	if (json_is_object(resource))
		kube_set_missing(resource, "divisor", json_string("0"));
}

static void default_items(json_t *items)
{
	size_t index;
	json_t *item;

	json_array_foreach (items, index, item) {
		kube_default_selectors(item);
	}
}

void kube_default_volume(json_t *volume)
{
	static const char *const kinds[] = {"configMap", "secret", "downwardAPI", "projected"};
	json_t *source;
	size_t index;

	/* A volume that names no source is an emptyDir. */
	if (json_is_object(volume) && json_object_size(volume) == 1 &&
	    json_object_get(volume, "name"))
		kube_set(volume, "emptyDir", json_object());
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		source = json_object_get(volume, kinds[i]);
		if (json_is_object(source))
			kube_set_missing(source, "defaultMode", json_integer(MODE_DEFAULT));
	}
	default_items(kube_member(volume, "downwardAPI.items"));
	json_array_foreach (kube_member(volume, "projected.sources"), index, source)
		default_items(kube_member(source, "downwardAPI.items"));
}

bool kube_is_field_path(const char *path, bool file)
{
	static const char *const paths[] = {
		"metadata.name", "metadata.namespace",      "metadata.uid",
		"spec.nodeName", "spec.serviceAccountName", "status.podIP",
		"status.podIPs", "status.hostIP",           "status.hostIPs",
	};
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		/* In a file: metadata only, as in Kubernetes. */
		if (strcmp(paths[i], path) == 0)
			return !file || strncmp(path, "metadata.", strlen("metadata.")) == 0;
	if (file &&
	    (strcmp(path, "metadata.labels") == 0 || strcmp(path, "metadata.annotations") == 0))
		return true;
	return (strncmp(path, "metadata.labels['", 17) == 0 ||
		strncmp(path, "metadata.annotations['", 22) == 0) &&
	       strcmp(path + len - 2, "']") == 0;
}

static bool is_relative(const char *path)
{
	size_t len = strlen(path);

	return path[0] != '/' && strncmp(path, "..", 2) != 0 && !strstr(path, "/../") &&
	       (len < 3 || strcmp(path + len - 3, "/..") != 0);
}

static bool is_key(const char *key)
{
	return strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
	       strlen(key);
}

static void validate_path(struct check *check, const json_t *item)
{
	const char *path = kube_member_string(item, "path");

	if (!*path)
		check_required(check, "path", "");
	else if (!is_relative(path))
		check_invalid(check, "path", json_object_get(item, "path"), path_rule);
	check_range(check, "mode", json_object_get(item, "mode"), 0, MODE_MAX);
}

static void validate_key(struct check *check, const json_t *object)
{
	const char *key = kube_member_string(object, "key");

	if (!*key)
		check_required(check, "key", "");
	else if (!is_key(key))
		check_invalid(check, "key", json_object_get(object, "key"), key_rule);
}

static void validate_keys(struct check *check, const json_t *items)
{
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);
		size_t mark = check_enter(check, "items[%zu]", i);

		validate_key(check, item);
		validate_path(check, item);
		check_leave(check, mark);
	}
}

static void validate_resource_field(struct check *check, const json_t *field, bool file)
{
	static const char *const known[] = {
		"limits.cpu",   "limits.memory",   "limits.ephemeral-storage",
		"requests.cpu", "requests.memory", "requests.ephemeral-storage",
		NULL,
	};
	const json_t *divisor = json_object_get(field, "divisor");
	size_t mark = check_enter(check, "resourceFieldRef");
	int64_t milli;

	if (file && !*kube_member_string(field, "containerName"))
		check_required(check, "containerName", "");
	if (!*kube_member_string(field, "resource"))
		check_required(check, "resource", "");
	else
		(void)check_one_of(check, "resource", kube_member_string(field, "resource"), known);
	if (divisor && kube_quantity_json_milli(divisor, &milli) != 0)
		check_invalid(check, "divisor", divisor, "must be a quantity");
	check_leave(check, mark);
}

static void validate_fields(struct check *check, const json_t *items)
{
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);
		const json_t *field = json_object_get(item, "fieldRef");
		const json_t *resource = json_object_get(item, "resourceFieldRef");
		size_t mark = check_enter(check, "items[%zu]", i);

		validate_path(check, item);
		if (!field == !resource)
			check_required(check, "fieldRef",
				       "exactly one of fieldRef and resourceFieldRef");
		if (field && !kube_is_field_path(kube_member_string(field, "fieldPath"), true))
			check_invalid(check, "fieldRef.fieldPath",
				      json_object_get(field, "fieldPath"),
				      "field is not supported");
		if (resource)
			validate_resource_field(check, resource, true);
		check_leave(check, mark);
	}
}

static void validate_named(struct check *check, const json_t *source, const char *key)
{
	const char *name = kube_member_string(source, key);

	if (!*name)
		check_required(check, key, "");
	else if (!kube_name_is_subdomain(name))
		check_invalid(check, key, json_object_get(source, key),
			      "must be a lower case DNS subdomain");
}

static void validate_object(struct check *check, const json_t *source, const char *what,
			    const char *name_key)
{
	size_t mark;

	if (!source)
		return;
	mark = check_enter(check, "%s", what);
	validate_named(check, source, name_key);
	check_range(check, "defaultMode", json_object_get(source, "defaultMode"), 0, MODE_MAX);
	validate_keys(check, json_object_get(source, "items"));
	check_leave(check, mark);
}

static void validate_downward(struct check *check, const json_t *source)
{
	size_t mark;

	if (!source)
		return;
	mark = check_enter(check, "downwardAPI");
	check_range(check, "defaultMode", json_object_get(source, "defaultMode"), 0, MODE_MAX);
	validate_fields(check, json_object_get(source, "items"));
	check_leave(check, mark);
}

static void validate_projected(struct check *check, const json_t *projected)
{
	const json_t *sources = json_object_get(projected, "sources");

	if (!projected)
		return;
	check_range(check, "projected.defaultMode", json_object_get(projected, "defaultMode"), 0,
		    MODE_MAX);
	for (size_t i = 0; i < json_array_size(sources); i++) {
		const json_t *source = json_array_get(sources, i);
		size_t mark = check_enter(check, "projected.sources[%zu]", i);

		if (json_object_size(source) != 1)
			check_forbidden(check, "", "must specify exactly 1 source");
		validate_object(check, json_object_get(source, "configMap"), "configMap", "name");
		validate_object(check, json_object_get(source, "secret"), "secret", "name");
		validate_downward(check, json_object_get(source, "downwardAPI"));
		check_leave(check, mark);
	}
}

bool kube_is_mount_path(const char *path)
{
	if (*path != '/' || strchr(path, ':') || strlen(path) > PATH_TEXT_MAX)
		return false;
	for (const char *at = path; at; at = strchr(at + 1, '/'))
		if (strncmp(at, "/..", 3) == 0 && (!at[3] || at[3] == '/'))
			return false;
	return true;
}

void kube_validate_volume_source(struct check *check, const json_t *volume)
{
	static const char *const media[] = {"", "Memory", NULL};
	const json_t *limit = kube_member(volume, "emptyDir.sizeLimit");
	const json_t *host = json_object_get(volume, "hostPath");
	const json_t *claim = json_object_get(volume, "persistentVolumeClaim");
	int64_t bytes;

	(void)check_one_of(check, "emptyDir.medium", kube_member_string(volume, "emptyDir.medium"),
			   media);
	if (limit && kube_quantity_json_units(limit, &bytes) != 0)
		check_invalid(check, "emptyDir.sizeLimit", limit, "must be a quantity");
	if (host && !kube_is_mount_path(kube_member_string(host, "path")))
		check_invalid(check, "hostPath.path", json_object_get(host, "path"),
			      "must be an absolute path without '..' and ':'");
	validate_object(check, json_object_get(volume, "configMap"), "configMap", "name");
	validate_object(check, json_object_get(volume, "secret"), "secret", "secretName");
	validate_downward(check, json_object_get(volume, "downwardAPI"));
	validate_projected(check, json_object_get(volume, "projected"));
	if (claim)
		validate_named(check, claim, "claimName");
	if (json_object_size(volume) > 2)
		check_forbidden(check, "", "may not specify more than 1 volume type");
}

void kube_validate_sub_path(struct check *check, const json_t *mount)
{
	static const char *const names[] = {"subPath", "subPathExpr"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *path = kube_member_string(mount, names[i]);

		if (*path && !is_relative(path))
			check_invalid(check, names[i], json_object_get(mount, names[i]), path_rule);
	}
	if (*kube_member_string(mount, "subPath") && *kube_member_string(mount, "subPathExpr"))
		check_forbidden(check, "subPathExpr", "may not be used with subPath");
}

void kube_validate_env_source(struct check *check, const json_t *from)
{
	static const char *const kinds[] = {"configMapKeyRef", "secretKeyRef"};
	const json_t *field = json_object_get(from, "fieldRef");
	const json_t *resource = json_object_get(from, "resourceFieldRef");
	size_t mark = check_enter(check, "valueFrom");

	if (field && !kube_is_field_path(kube_member_string(field, "fieldPath"), false))
		check_invalid(check, "fieldRef.fieldPath", json_object_get(field, "fieldPath"),
			      "field is not supported");
	if (resource)
		validate_resource_field(check, resource, false);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const json_t *source = json_object_get(from, kinds[i]);
		size_t inner = check_enter(check, "%s", kinds[i]);

		if (source) {
			validate_named(check, source, "name");
			validate_key(check, source);
		}
		check_leave(check, inner);
	}
	check_leave(check, mark);
}

void kube_validate_env_from(struct check *check, const json_t *container)
{
	const json_t *list = json_object_get(container, "envFrom");

	if (json_array_size(list) > ENV_FROM_MAX) {
		check_forbidden(check, "envFrom", "has too many elements");
		return;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const json_t *map = json_object_get(item, "configMapRef");
		const json_t *secret = json_object_get(item, "secretRef");
		size_t mark = check_enter(check, "envFrom[%zu]", i);

		if (!map == !secret)
			check_required(check, "configMapRef",
				       "exactly one of configMapRef and secretRef");
		if (map)
			validate_named(check, map, "name");
		else if (secret)
			validate_named(check, secret, "name");
		if (strchr(kube_member_string(item, "prefix"), '='))
			check_invalid(check, "prefix", json_object_get(item, "prefix"),
				      "must not contain '='");
		check_leave(check, mark);
	}
}
