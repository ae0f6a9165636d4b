/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod: the v1 Pod that clients see, composed from the stored object and a machine's report.
 *
 * Nothing is looked up: what is needed is passed in. Results belong to the caller.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"
#include "base/time.h"

struct presence; /* wire/presence.h */

/*
 * The Pod that @presence reports, made from @object, the stored Deployment or Pod. It carries the
 * labels of the contract, pod-template-hash and, for a Deployment, the owner reference to its
 * ReplicaSet.
 */
_must_use_ json_t *kube_pod(const json_t *object, const struct presence *presence);

/* What is known of a slot for which no machine has reported a pod. */
struct kube_pending {
	struct uid uid;     /* of the pod to come; the name follows from it */
	struct wall since;  /* when the slot came to be */
	const char *reason; /* NULL, or why it could not be placed: "Unschedulable" ... */
	const char *message;
};

/* The Pod for an empty slot of @object: phase Pending, no node. */
_must_use_ json_t *kube_pod_pending(const json_t *object, const struct kube_pending *pending);
