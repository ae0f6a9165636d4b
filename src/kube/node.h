/* SPDX-License-Identifier: Apache-2.0 */
/* Node: the v1 Node that clients see, composed from the facts a machine announces. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/time.h"

struct node_facts; /* wire/presence.h */

/* What the gateway knows of a machine beside its facts. */
struct kube_node_view {
	bool is_ready;           /* alive to this gateway */
	struct wall last_heard;  /* heartbeat time of its conditions */
	struct wall ready_since; /* last change of is_ready; 0: unknown */
	uint64_t resource_version;
};

/* A v1 Node of what a machine tells of itself and how this gateway sees it. A new reference. */
_must_use_ json_t *kube_node(const struct node_facts *facts, const struct kube_node_view *view);

#define KUBE_LEASE_NAMESPACE "kube-node-lease"

/*
 * The Lease that says when a machine was last heard of, as `kubectl describe node` shows it. Nobody
 * writes it: the last writer wins here, which is no lock. @joined: its creation; 0: unknown.
 */
_must_use_ json_t *kube_node_lease(const struct node_facts *facts, struct wall joined,
				   struct wall renewed);
