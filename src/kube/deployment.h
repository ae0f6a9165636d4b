/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deployment: the v1 Deployment and ReplicaSet that clients see.
 *
 * Status is computed from what is stored and from the presences of the pods; nothing stores it.
 * Results belong to the caller.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/time.h"
#include "kube/rollout.h"

/* The Deployment of @rollout with its revision and status. */
_must_use_ json_t *kube_deployment(const struct kube_rollout *rollout);

/* A stored ReplicaSet with its status, without what its controller notes for itself. */
_must_use_ json_t *kube_replica_set(const json_t *object, const struct kube_counts *counts);

/* The autoscaling/v1 Scale of an object with spec.replicas, of which @replicas pods exist. */
_must_use_ json_t *kube_scale(const json_t *object, int64_t replicas);

/* A Namespace object: they exist by being named; @name is copied. */
_must_use_ json_t *kube_namespace(const char *name, struct wall created);
