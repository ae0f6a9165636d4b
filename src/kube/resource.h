/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources: the kinds this API serves, from one table (resources.def).
 *
 * Routing, discovery, OpenAPI, tables and Status objects all read this table, so a kind is added in
 * one place. All strings are static.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

enum kube_verb {
	KUBE_VERB_CREATE = 1 << 0,
	KUBE_VERB_DELETE = 1 << 1,
	KUBE_VERB_GET = 1 << 2,
	KUBE_VERB_LIST = 1 << 3,
	KUBE_VERB_PATCH = 1 << 4,
	KUBE_VERB_UPDATE = 1 << 5,
	KUBE_VERB_WATCH = 1 << 6,
};

enum kube_resource_id {
#define RESOURCE(id, ...) KUBE_##id,
#define SUBRESOURCE(...)
#include "kube/resources.def"
#undef RESOURCE
#undef SUBRESOURCE
	KUBE_RESOURCE_COUNT,
};

/* What becomes of the objects of a resource. */
enum kube_stance {
	KUBE_LIVE,    /* this project acts on it, or hands it to pods */
	KUBE_INERT,   /* stored and shown, without effect; clients are warned */
	KUBE_DERIVED, /* read only; a write is answered with the reason */
};

struct kube_resource {
	enum kube_resource_id id;
	const char *group;   /* "" for the core group */
	const char *version; /* "v1" */
	const char *plural;  /* "deployments" */
	const char *singular;
	const char *kind;        /* "Deployment" */
	const char *api_version; /* "v1", "apps/v1": as in an object */
	bool namespaced;
	unsigned verbs;         /* KUBE_VERB_* */
	const char *shorts;     /* "deploy"; comma-separated, may be "" */
	const char *categories; /* "all"; comma-separated, may be "" */
	enum kube_stance stance;
	const char *reason; /* why it is inert, or is not written by clients; "" when it is live */
};

struct kube_subresource {
	enum kube_resource_id parent;
	const char *name; /* "scale" */
	const char *group;
	const char *version;
	const char *kind; /* of its body */
	unsigned verbs;
};

/* The resource with this id; never NULL for a valid id. */
const struct kube_resource *kube_resource(enum kube_resource_id id);

/* By URL: group ("" for core), version, plural. NULL when there is none. */
const struct kube_resource *kube_resource_find(const char *group, const char *version,
					       const char *plural);

/* By the apiVersion and kind of an object. NULL when there is none. */
const struct kube_resource *kube_resource_of_kind(const char *api_version, const char *kind);

/* A subresource of @parent by name, or NULL. */
const struct kube_subresource *kube_subresource_find(enum kube_resource_id parent,
						     const char *name);

/* The @index-th subresource of the whole table, or NULL past its end. */
const struct kube_subresource *kube_subresource_at(size_t index);

enum {
	KUBE_QUALIFIED_SIZE = 96, /* for kube_resource_qualified() of any resource */
};

/* Write to @out the name used in sentences: "pods", "deployments.apps". */
void kube_resource_qualified(const struct kube_resource *resource, char *out, size_t size);
