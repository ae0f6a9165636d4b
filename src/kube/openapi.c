/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/openapi.h"

#include <stdio.h>
#include <string.h>

#include "kube/member.h"
#include "kube/openapi_schema.h"
#include "kube/resource.h"
#include "kube/schema.h"
#include "kube/support.h"

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
	const struct kube_resource *own_group = NULL;
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)id);
		char own[PATH_MAX_LEN], url[PATH_MAX_LEN * 2];
		group_path(resource, own, sizeof(own));
		if (strcmp(own, path) != 0)
			continue;
		own_group = resource;
		(void)snprintf(url, sizeof(url), "/%s/%s", own, resource->plural);
		kube_set(paths, url, path_json(resource));
	}
	if (!own_group) {
		json_decref(paths);
		json_decref(document);
		json_decref(info);
		return NULL;
	}
	json_t *components = json_object();
	kube_set_string(info, "title", "Magik");
	kube_set_string(info, "version", "v1");
	kube_set_string(document, "openapi", "3.0.0");
	kube_set(document, "info", info);
	kube_set(document, "paths", paths);
	kube_set(components, "schemas", kube_openapi_schemas(own_group->group, own_group->version));
	kube_set(document, "components", components);
	return document;
}

static void hash_text(uint32_t *hash, const char *text)
{
	for (; *text; text++)
		*hash = (*hash ^ (uint8_t)*text) * FNV_PRIME_32;
}

/*
 * A hash in the URL of a document lets clients keep it until it changes. Documents are made from
 * tables only: their words are hashed, which is far less work than writing all documents.
 */
static uint32_t tables_hash(void)
{
	uint32_t hash = FNV_OFFSET_32;
	const struct kube_support *row;
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		hash_text(&hash, kube_resource((enum kube_resource_id)id)->plural);
		hash_text(&hash, kube_resource((enum kube_resource_id)id)->reason);
	}
	for (size_t i = 0; i < kube_message_count; i++) {
		hash_text(&hash, kube_messages[i].name);
		for (size_t k = 0; k < kube_messages[i].field_count; k++)
			hash_text(&hash, kube_messages[i].fields[k].name);
	}
	for (size_t i = 0; (row = kube_support_at(i)); i++) {
		hash_text(&hash, row->field);
		hash_text(&hash, row->reason);
	}
	return hash;
}

json_t *kube_openapi_index(void)
{
	json_t *index = json_object();
	json_t *paths = json_object();
	uint32_t hash = tables_hash();
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		char path[PATH_MAX_LEN];
		group_path(kube_resource((enum kube_resource_id)id), path, sizeof(path));
		if (json_object_get(paths, path))
			continue;
		json_t *entry = json_object();
		kube_set(entry, "serverRelativeURL",
			 kube_text("/openapi/v3/%s?hash=%08x", path, hash));
		kube_set(paths, path, entry);
	}
	kube_set(index, "paths", paths);
	return index;
}
