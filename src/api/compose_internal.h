/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compose, inside: what the files of one kind each share.
 *
 * A composer carries one query; the function of a resource finds the parts of its objects and hands
 * every whole one to composer_add(), which filters by name and keeps it. compose_RESOURCE() is
 * named in the table of compose.c.
 */
#pragma once

#include "api/compose.h"
#include "api/roster.h"

struct composer {
	const struct api_backend *backend;
	struct compose_query query;
	struct roster roster; /* loaded by who needs it */
	composed_fn *each;
	void *arg;
	size_t count; /* handed over */
	enum kube_resource_id id;
};

/* Keep @object, unless its name is not the one looked for. Takes it over. @workload: the stored
 * object it belongs to, NULL for none. */
void composer_add(struct composer *composer, json_t *object, const struct uid *workload,
		  uint64_t version);

/* Does the query ask for this namespace, this object? */
bool composer_wants_namespace(const struct composer *composer, const char *namespace);
bool composer_wants(const struct composer *composer, const struct api_object *object);

/* What of @kind the query asks for, by name where it has one; @each is called with the composer. */
void composer_objects(struct composer *composer, const char *kind, api_object_fn *each);

/* A stored object as JSON, NULL when it is none; the caller's. */
json_t *composer_parse(const struct api_object *object);

/* What is stored, as it is stored. */
void compose_stored(struct composer *composer);

void compose_claims(struct composer *composer);
void compose_volumes(struct composer *composer);
void compose_classes(struct composer *composer);
void compose_pods(struct composer *composer);
/* Of them, those that no machine has taken yet. */
void compose_pending(struct composer *composer);
void compose_deployments(struct composer *composer);
void compose_replica_sets(struct composer *composer);
void compose_cronjobs(struct composer *composer);
void compose_endpoints(struct composer *composer);
void compose_daemonsets(struct composer *composer);
void compose_jobs(struct composer *composer);
void compose_statefulsets(struct composer *composer);
void compose_nodes(struct composer *composer);
void compose_leases(struct composer *composer);
void compose_namespaces(struct composer *composer);
void compose_events(struct composer *composer);
