/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validation of values, as Kubernetes does it, for objects whose types the schema has checked and
 * whose defaults are set. What is wrong goes into the check.
 */
#pragma once

#include <jansson.h>

#include "kube/check.h"
#include "kube/resource.h"

enum {
	KUBE_REPLICAS_MAX = 100000,       /* the controller keeps state per slot; more is a slip */
	KUBE_ANNOTATIONS_MAX = 256 << 10, /* bytes of all keys and values, as Kubernetes */
};

/* metadata of a whole object: name, namespace, labels, annotations. */
void kube_validate_metadata(struct check *check, const json_t *object,
			    const struct kube_resource *resource);

/* A PriorityClass: its value may not reach those of the system's own classes. */
void kube_validate_priority_class(struct check *check, const json_t *object);

/* spec of a Deployment, of a ReplicaSet, of a StatefulSet. */
void kube_validate_deployment(struct check *check, const json_t *object);
void kube_validate_replica_set(struct check *check, const json_t *object);
void kube_validate_statefulset(struct check *check, const json_t *object);

/* A PodSpec at the check's path
 * @always: restartPolicy must be Always, as in a Deployment. */
void kube_validate_pod_spec(struct check *check, const json_t *spec, bool always);

/* Where the pods of a Deployment or Pod may run, and their priority. @spec_path names the PodSpec.
 * To be called last: it checks as a whole what has no mistakes in its parts. */
void kube_validate_placement(struct check *check, const json_t *object, const char *spec_path);
