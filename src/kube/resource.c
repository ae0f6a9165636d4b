/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/resource.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* An apiVersion is the group and the version, and for the core group the version alone. */
#define API_VERSION(group, version) (sizeof(group) == 1 ? version : group "/" version)

static const struct kube_resource resources[] = {
#define RESOURCE(name, group_, version_, plural_, singular_, kind_, namespaced_, verbs_, shorts_, \
		 categories_, stance_, reason_)                                                   \
	[KUBE_##name] = {                                                                         \
		.id = KUBE_##name,                                                                \
		.group = group_,                                                                  \
		.version = version_,                                                              \
		.plural = plural_,                                                                \
		.singular = singular_,                                                            \
		.kind = kind_,                                                                    \
		.api_version = API_VERSION(group_, version_),                                     \
		.namespaced = namespaced_,                                                        \
		.verbs = verbs_,                                                                  \
		.shorts = shorts_,                                                                \
		.categories = categories_,                                                        \
		.stance = KUBE_##stance_,                                                         \
		.reason = reason_,                                                                \
	},
#define SUBRESOURCE(...)
#include "kube/resources.def"
#undef RESOURCE
#undef SUBRESOURCE
};

static const struct kube_subresource subresources[] = {
#define RESOURCE(...)
#define SUBRESOURCE(parent_, name_, group_, version_, kind_, verbs_) \
	{                                                            \
		.parent = KUBE_##parent_,                            \
		.name = name_,                                       \
		.group = group_,                                     \
		.version = version_,                                 \
		.kind = kind_,                                       \
		.verbs = verbs_,                                     \
	},
#include "kube/resources.def"
#undef RESOURCE
#undef SUBRESOURCE
};

const struct kube_resource *kube_resource(enum kube_resource_id id)
{
	assert(id < KUBE_RESOURCE_COUNT);
	return &resources[id];
}

const struct kube_resource *kube_resource_find(const char *group, const char *version,
					       const char *plural)
{
	for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
		const struct kube_resource *resource = &resources[i];
		if (strcmp(resource->plural, plural) == 0 && strcmp(resource->group, group) == 0 &&
		    strcmp(resource->version, version) == 0)
			return resource;
	}
	return NULL;
}

const struct kube_resource *kube_resource_of_kind(const char *api_version, const char *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
		const struct kube_resource *resource = &resources[i];
		if (strcmp(resource->kind, kind) == 0 &&
		    strcmp(resource->api_version, api_version) == 0)
			return resource;
	}
	return NULL;
}

const struct kube_subresource *kube_subresource_find(enum kube_resource_id parent, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(subresources); i++) {
		if (subresources[i].parent == parent && strcmp(subresources[i].name, name) == 0)
			return &subresources[i];
	}
	return NULL;
}

const struct kube_subresource *kube_subresource_at(size_t index)
{
	return index < ARRAY_LEN(subresources) ? &subresources[index] : NULL;
}

void kube_resource_qualified(const struct kube_resource *resource, char *out, size_t size)
{
	(void)snprintf(out, size, "%s%s%s", resource->plural, resource->group[0] ? "." : "",
		       resource->group);
}
