/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compose: the objects clients see, made from what the backend holds.
 *
 * Nothing composed is stored: a Pod is a stored object plus a machine's report, a Deployment is a
 * stored object plus the reports about its pods, a Node is what its machine announced. The JSON is
 * made by kube/; here the parts are found and put together.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "api/backend.h"
#include "base/id.h"
#include "kube/resource.h"

enum {
	COMPOSE_PENDING_MS = 3000, /* placing takes far less: a slot empty for longer, since its
				    * object was written, is shown as a pod that waits */
};

struct composed_item {
	const char *key; /* "namespace/name"; "/name" without a namespace */
	json_t *object;
	struct uid workload; /* the Deployment or bare Pod it belongs to; none otherwise */
	uint64_t version;
};

/* Sorted by key, as etcd would list it. */
struct composed {
	struct composed_item *items;
	size_t count, cap;
};

/* What to compose; NULL means any. */
struct compose_query {
	const char *namespace;
	const char *name;
	const struct uid *workload;
};

/* Hand over each object as soon as it is made, in no order: ten thousand are large when they are
 * all there at once. The item is borrowed. */
typedef void composed_fn(void *arg, const struct composed_item *item);
void compose_each(const struct api_backend *backend, enum kube_resource_id id,
		  const struct compose_query *query, composed_fn *each, void *arg);

/* The same, kept. */
void compose(const struct api_backend *backend, enum kube_resource_id id,
	     const struct compose_query *query, struct composed *ret_composed);
void composed_deinit(struct composed *composed);

/* One object by name, or NULL. The caller owns it. */
json_t *compose_one(const struct api_backend *backend, enum kube_resource_id id,
		    const char *namespace, const char *name);

/* Where a pod runs, for logs and for stopping it. */
struct pod_place {
	struct uid pod;
	struct uid workload;
	struct node_id machine;
	bool placed;  /* a machine reports it */
	bool bare;    /* it is an object of its own, not a Deployment's */
	bool ordinal; /* of a StatefulSet: @workload is the object of the ordinal, which stays */
};

/* False when there is no pod of that name. */
bool compose_find_pod(const struct api_backend *backend, const char *namespace, const char *name,
		      struct pod_place *ret_place);

/* A Node as its machine describes itself, without what people set; NULL: no such machine. */
_must_use_ json_t *compose_node_own(const struct api_backend *backend, const char *name);

/* The namespaces that always exist. */
bool compose_namespace_is_built_in(const char *name);

/* Whether nothing new may come into a namespace, because it is being deleted. */
bool compose_namespace_is_dying(const struct api_backend *backend, const char *name);
