/* SPDX-License-Identifier: Apache-2.0 */
/* DaemonSet: defaults, validation, which machines it fits, its Pods, and its status. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "kube/check.h"
#include "kube/name.h"
#include "wire/presence.h"

#define KUBE_DAEMON_HASH "controller-revision-hash"

void kube_default_daemonset(json_t *set);
void kube_validate_daemonset(struct check *check, const json_t *set);

/* Do node selector, required affinity and tolerations of the template let it run there? Machines
 * that are no workers are none of its; cordoned ones keep what they have. */
bool kube_daemon_fits(const json_t *set, const struct node_facts *facts);

/* The Pod for the machine @node: metadata without name, and spec. The caller owns it. */
_must_use_ json_t *kube_daemon_pod(const json_t *set, const char *node,
				   const struct kube_hash *hash);

/* The machine that a Pod is for; "": it is none of a DaemonSet's. Borrowed. */
const char *kube_daemon_node(const json_t *pod);

/* A Pod of the set, for its status. */
struct kube_daemon {
	const json_t *pod;
	bool ready, fits; /* @fits: its machine is one that the set is for */
};

_must_use_ json_t *kube_daemonset(const json_t *set, const struct kube_daemon *pods, size_t count,
				  size_t desired);
