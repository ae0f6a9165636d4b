/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two shapes of one table: the legacy documents, one per group and version, and the aggregated one
 * that names everything at once. Groups appear in the order of resources.def.
 */
#include "kube/discovery.h"

#include <string.h>

#include "kube/member.h"
#include "kube/resource.h"

static const struct {
	const char *parameter; /* in an Accept header */
	const char *content_type;
	const char *api_version;
} forms[] = {
	[KUBE_DISCOVERY_LEGACY] = {"", "application/json", "v1"},
	[KUBE_DISCOVERY_V2] =
		{"v=v2;", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
		 "apidiscovery.k8s.io/v2"},
	[KUBE_DISCOVERY_V2BETA1] = {"v=v2beta1;",
				    "application/json;g=apidiscovery.k8s.io;v=v2beta1;"
				    "as=APIGroupDiscoveryList",
				    "apidiscovery.k8s.io/v2beta1"},
};

enum kube_discovery_form kube_discovery_form(const char *accept)
{
	if (!accept || !strstr(accept, "as=APIGroupDiscoveryList"))
		return KUBE_DISCOVERY_LEGACY;
	if (strstr(accept, forms[KUBE_DISCOVERY_V2].parameter))
		return KUBE_DISCOVERY_V2;
	if (strstr(accept, forms[KUBE_DISCOVERY_V2BETA1].parameter))
		return KUBE_DISCOVERY_V2BETA1;
	return KUBE_DISCOVERY_LEGACY;
}

const char *kube_discovery_content_type(enum kube_discovery_form form)
{
	return forms[form].content_type;
}

static json_t *verbs_json(unsigned verbs)
{
	static const struct {
		enum kube_verb verb;
		const char *word;
	} words[] = {
		{KUBE_VERB_CREATE, "create"}, {KUBE_VERB_DELETE, "delete"},
		{KUBE_VERB_GET, "get"},       {KUBE_VERB_LIST, "list"},
		{KUBE_VERB_PATCH, "patch"},   {KUBE_VERB_UPDATE, "update"},
		{KUBE_VERB_WATCH, "watch"},
	};
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (verbs & words[i].verb)
			kube_push(list, json_string(words[i].word));
	}
	return list;
}

/* "a,b" as a list under @key; nothing when it is empty. */
static void names_set(json_t *object, const char *key, const char *names)
{
	json_t *list = json_array();
	while (*names) {
		size_t len = strcspn(names, ",");
		kube_push(list, json_stringn(names, len));
		names += len + (names[len] == ',');
	}
	if (json_array_size(list))
		kube_set(object, key, list);
	else
		json_decref(list);
}

static json_t *response_kind(const char *group, const char *version, const char *kind)
{
	json_t *response = json_object();
	kube_set_string(response, "group", group);
	kube_set_string(response, "version", version);
	kube_set_string(response, "kind", kind);
	return response;
}

static json_t *aggregated_subresource(const struct kube_subresource *subresource)
{
	json_t *json = json_object();
	kube_set_string(json, "subresource", subresource->name);
	kube_set(json, "responseKind",
		 response_kind(subresource->group, subresource->version, subresource->kind));
	kube_set(json, "verbs", verbs_json(subresource->verbs));
	return json;
}

static json_t *aggregated_resource(const struct kube_resource *resource)
{
	json_t *json = json_object();
	json_t *subresources = json_array();
	const struct kube_subresource *subresource;
	kube_set_string(json, "resource", resource->plural);
	kube_set(json, "responseKind",
		 response_kind(resource->group, resource->version, resource->kind));
	kube_set_string(json, "scope", resource->namespaced ? "Namespaced" : "Cluster");
	kube_set_string(json, "singularResource", resource->singular);
	kube_set(json, "verbs", verbs_json(resource->verbs));
	names_set(json, "shortNames", resource->shorts);
	names_set(json, "categories", resource->categories);
	for (size_t i = 0; (subresource = kube_subresource_at(i)); i++) {
		if (subresource->parent == resource->id)
			kube_push(subresources, aggregated_subresource(subresource));
	}
	if (json_array_size(subresources))
		kube_set(json, "subresources", subresources);
	else
		json_decref(subresources);
	return json;
}

/* Does an earlier resource have the same group, and the same version? Each is written once. */
static bool version_is_seen(int id)
{
	const struct kube_resource *resource = kube_resource((enum kube_resource_id)id);
	for (int i = 0; i < id; i++) {
		const struct kube_resource *earlier = kube_resource((enum kube_resource_id)i);
		if (strcmp(earlier->group, resource->group) == 0 &&
		    strcmp(earlier->version, resource->version) == 0)
			return true;
	}
	return false;
}

static json_t *aggregated_version(const char *group, const char *version)
{
	json_t *entry = json_object();
	json_t *resources = json_array();
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)id);
		if (strcmp(resource->group, group) == 0 && strcmp(resource->version, version) == 0)
			kube_push(resources, aggregated_resource(resource));
	}
	kube_set_string(entry, "version", version);
	kube_set(entry, "resources", resources);
	kube_set_string(entry, "freshness", "Current");
	return entry;
}

static json_t *group_version(const char *group, const char *version)
{
	json_t *json = json_object();
	kube_set(json, "groupVersion", kube_text("%s/%s", group, version));
	kube_set_string(json, "version", version);
	return json;
}

/* The versions of a group, the preferred one first: it stands first in the table. */
static json_t *versions_json(const char *group, bool aggregated)
{
	json_t *versions = json_array();
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)id);
		if (strcmp(resource->group, group) != 0 || version_is_seen(id))
			continue;
		kube_push(versions, aggregated ? aggregated_version(group, resource->version)
					       : group_version(group, resource->version));
	}
	return versions;
}

static json_t *aggregated_group(const char *group)
{
	json_t *json = json_object();
	json_t *metadata = json_object();
	if (*group)
		kube_set_string(metadata, "name", group);
	kube_set(json, "metadata", metadata);
	kube_set(json, "versions", versions_json(group, true));
	return json;
}

static json_t *legacy_group(const char *group)
{
	json_t *json = json_object();
	json_t *versions = versions_json(group, false);
	kube_set_string(json, "name", group);
	kube_set(json, "preferredVersion", json_deep_copy(json_array_get(versions, 0)));
	kube_set(json, "versions", versions);
	return json;
}

/* Whether an earlier resource belongs to the same group: each group is written once. */
static bool group_is_seen(int id)
{
	const char *group = kube_resource((enum kube_resource_id)id)->group;
	for (int i = 0; i < id; i++) {
		if (strcmp(kube_resource((enum kube_resource_id)i)->group, group) == 0)
			return true;
	}
	return false;
}

/* The groups with a name, or the one without. */
static json_t *groups_json(bool core, bool aggregated)
{
	json_t *groups = json_array();
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)id);
		if ((*resource->group == 0) != core || group_is_seen(id))
			continue;
		kube_push(groups, aggregated ? aggregated_group(resource->group)
					     : legacy_group(resource->group));
	}
	return groups;
}

static json_t *aggregated_list(enum kube_discovery_form form, bool core)
{
	json_t *list = json_object();
	kube_set_string(list, "kind", "APIGroupDiscoveryList");
	kube_set_string(list, "apiVersion", forms[form].api_version);
	kube_set(list, "metadata", json_object());
	kube_set(list, "items", groups_json(core, true));
	return list;
}

json_t *kube_discovery_core(enum kube_discovery_form form)
{
	if (form != KUBE_DISCOVERY_LEGACY)
		return aggregated_list(form, true);
	json_t *json = json_object();
	json_t *versions = json_array();
	kube_push(versions, json_string("v1"));
	kube_set_string(json, "kind", "APIVersions");
	kube_set(json, "versions", versions);
	return json;
}

json_t *kube_discovery_groups(enum kube_discovery_form form)
{
	if (form != KUBE_DISCOVERY_LEGACY)
		return aggregated_list(form, false);
	json_t *json = json_object();
	kube_set_string(json, "kind", "APIGroupList");
	kube_set_string(json, "apiVersion", "v1");
	kube_set(json, "groups", groups_json(false, false));
	return json;
}

json_t *kube_discovery_group(const char *group)
{
	for (int id = 0; *group && id < KUBE_RESOURCE_COUNT; id++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)id);
		if (strcmp(resource->group, group) != 0)
			continue;
		json_t *json = legacy_group(group);
		kube_set_string(json, "kind", "APIGroup");
		kube_set_string(json, "apiVersion", "v1");
		return json;
	}
	return NULL;
}

static json_t *legacy_resource(const struct kube_resource *resource)
{
	json_t *json = json_object();
	kube_set_string(json, "name", resource->plural);
	kube_set_string(json, "singularName", resource->singular);
	kube_set(json, "namespaced", json_boolean(resource->namespaced));
	kube_set_string(json, "kind", resource->kind);
	kube_set(json, "verbs", verbs_json(resource->verbs));
	names_set(json, "shortNames", resource->shorts);
	names_set(json, "categories", resource->categories);
	return json;
}

static json_t *legacy_subresource(const struct kube_resource *parent,
				  const struct kube_subresource *subresource)
{
	json_t *json = json_object();
	kube_set(json, "name", kube_text("%s/%s", parent->plural, subresource->name));
	kube_set_string(json, "singularName", "");
	kube_set(json, "namespaced", json_boolean(parent->namespaced));
	if (strcmp(parent->group, subresource->group) != 0) {
		kube_set_string(json, "group", subresource->group);
		kube_set_string(json, "version", subresource->version);
	}
	kube_set_string(json, "kind", subresource->kind);
	kube_set(json, "verbs", verbs_json(subresource->verbs));
	return json;
}

json_t *kube_discovery_resources(const char *group, const char *version)
{
	json_t *json = json_object();
	json_t *resources = json_array();
	const struct kube_subresource *subresource;
	for (int id = 0; id < KUBE_RESOURCE_COUNT; id++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)id);
		if (strcmp(resource->group, group) != 0 || strcmp(resource->version, version) != 0)
			continue;
		kube_push(resources, legacy_resource(resource));
		for (size_t i = 0; (subresource = kube_subresource_at(i)); i++) {
			if (subresource->parent == resource->id)
				kube_push(resources, legacy_subresource(resource, subresource));
		}
	}
	if (json_array_size(resources) == 0) {
		json_decref(resources);
		json_decref(json);
		return NULL;
	}
	kube_set_string(json, "kind", "APIResourceList");
	kube_set_string(json, "apiVersion", "v1");
	kube_set(json, "groupVersion", kube_text("%s%s%s", group, *group ? "/" : "", version));
	kube_set(json, "resources", resources);
	return json;
}

json_t *kube_discovery_version(const char *release, const char *platform)
{
	json_t *json = json_object();
	kube_set_string(json, "major", "1");
	kube_set_string(json, "minor", "32");
	/* Clients parse this as a semantic version; what comes after '+' is ours to say. */
	kube_set(json, "gitVersion", kube_text("v1.32.0+magik.%s", release));
	kube_set_string(json, "gitTreeState", "clean");
	kube_set_string(json, "platform", platform);
	return json;
}
