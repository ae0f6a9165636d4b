/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/openapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/member.h"
#include "kube/resource.h"

enum {
	FNV_OFFSET_32 = 0x811c9dc5,
	FNV_PRIME_32 = 0x01000193,
	PATH_MAX_LEN = 96,
};

/* "api/v1", "apis/apps/v1": where a resource's group and version live. */
static void group_path(const struct kube_resource *resource, char *out, size_t size)
{
	(void)snprintf(out, size, "api%s%s/%s", *resource->group ? "s/" : "", resource->group,
		       resource->version);
}

static json_t *kind_json(const struct kube_resource *resource)
{
	json_t *kind = json_object();
	kube_set_string(kind, "group", resource->group);
	kube_set_string(kind, "version", resource->version);
	kube_set_string(kind, "kind", resource->kind);
	return kind;
}

/* The one operation kubectl looks for: patch of this kind, with the parameter fieldValidation. */
static json_t *path_json(const struct kube_resource *resource)
{
	json_t *path = json_object();
	json_t *patch = json_object();
	json_t *parameters = json_array();
	json_t *parameter = json_object();
	kube_set_string(parameter, "name", "fieldValidation");
	kube_set_string(parameter, "in", "query");
	kube_push(parameters, parameter);
	kube_set(patch, "x-kubernetes-group-version-kind", kind_json(resource));
	kube_set(patch, "parameters", parameters);
	kube_set(path, "patch", patch);
	return path;
}

json_t *kube_openapi_document(const char *path)
{
	json_t *paths = json_object();
	json_t *document = json_object();
	json_t *info = json_object();
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)id);
		char own[PATH_MAX_LEN], url[PATH_MAX_LEN * 2];
		group_path(resource, own, sizeof(own));
		if (strcmp(own, path) != 0)
			continue;
		(void)snprintf(url, sizeof(url), "/%s/%s", own, resource->plural);
		kube_set(paths, url, path_json(resource));
	}
	if (json_object_size(paths) == 0) {
		json_decref(paths);
		json_decref(document);
		json_decref(info);
		return NULL;
	}
	kube_set_string(info, "title", "Magik");
	kube_set_string(info, "version", "v1");
	kube_set_string(document, "openapi", "3.0.0");
	kube_set(document, "info", info);
	kube_set(document, "paths", paths);
	return document;
}

/* A document's hash in its URL lets clients keep it until it changes. */
static uint32_t document_hash(const json_t *document)
{
	uint32_t hash = FNV_OFFSET_32;
	char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
	for (const char *at = text; at && *at; at++)
		hash = (hash ^ (uint8_t)*at) * FNV_PRIME_32;
	free(text);
	return hash;
}

json_t *kube_openapi_index(void)
{
	json_t *index = json_object();
	json_t *paths = json_object();
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		char path[PATH_MAX_LEN];
		group_path(kube_resource((enum kube_resource_id)id), path, sizeof(path));
		if (json_object_get(paths, path))
			continue;
		json_t *document = kube_openapi_document(path);
		json_t *entry = json_object();
		kube_set(entry, "serverRelativeURL",
			 kube_text("/openapi/v3/%s?hash=%08x", path, document_hash(document)));
		kube_set(paths, path, entry);
		json_decref(document);
	}
	kube_set(index, "paths", paths);
	return index;
}
