/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments and the ReplicaSets that stand for their templates. */
#include "api/compose_internal.h"
#include "kube/deployment.h"

static void add_deployment(void *arg, const struct api_object *object)
{
	struct composer *composer = arg;
	struct roster_slice slice;
	struct kube_pods pods;
	uint64_t version = object->version;
	json_t *json;

	if (!composer_wants(composer, object))
		return;
	json = composer_parse(object);
	if (!json)
		return;
	slice = roster_of(&composer->roster, &object->uid);
	pods.count = slice.count;
	pods.pods = slice.presences;
	if (slice.version > version)
		version = slice.version;
	composer_add(composer,
		     composer->id == KUBE_REPLICASETS ? kube_replica_set(json, &pods)
						      : kube_deployment(json, &pods),
		     &object->uid, version);
	json_decref(json);
}

void compose_deployments(struct composer *composer)
{
	const struct api_backend *backend = composer->backend;
	struct uid workload;

	if (composer->id == KUBE_DEPLOYMENTS && composer_named(composer, "Deployment", &workload))
		composer->query.workload = &workload;
	roster_load(&composer->roster, backend, composer->query.workload);
	/* A name is that of the Deployment, unless a ReplicaSet is looked for. */
	if (composer->id == KUBE_DEPLOYMENTS || composer->query.workload)
		composer_objects(composer, "Deployment", add_deployment);
	else
		backend->ops->objects(backend->self, "Deployment", composer->query.namespace,
				      add_deployment, composer);
}
