/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deployment: the v1 Deployment that clients see, and the ReplicaSet derived from it.
 *
 * Status is computed from the presences of the Deployment's pods, which are passed in (those of
 * other objects must not be among them). Results belong to the caller.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/time.h"

struct presence; /* wire/presence.h */

struct kube_pods {
	const struct presence *const *pods;
	size_t count;
};

/* @object with its status. */
_must_use_ json_t *kube_deployment(const json_t *object, const struct kube_pods *pods);

/* The ReplicaSet of the Deployment's present template: never stored, so that
 * `kubectl describe deployment` and `rollout status` find what they look for. */
_must_use_ json_t *kube_replica_set(const json_t *object, const struct kube_pods *pods);

/* The autoscaling/v1 Scale of a Deployment: its scale subresource. */
_must_use_ json_t *kube_scale(const json_t *object, const struct kube_pods *pods);

/* A Namespace object: they exist by being named; @name is copied. */
_must_use_ json_t *kube_namespace(const char *name, struct wall created);
