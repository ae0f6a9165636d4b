/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reach: who may call a pod, whom it calls first, and what it reaches outside of the mesh of pods,
 * as annotations of the pod or of its template say. They hold for a pod from its start; who changes
 * a template gets new pods.
 *
 *   magik.io/allow   "web, shop/front": who may call, patterns of service/policy.h
 *   magik.io/deny    likewise: who may not, whatever is allowed
 *   magik.io/prefer  anywhere, region or machine: whose replicas are called first
 *   magik.io/egress  none, all (if nothing is said) or networks: "10.0.0.0/8, 192.0.2.7"
 *
 * An allow pattern that names a namespace opens the pod to that namespace; without one, nobody of
 * another namespace is admitted.
 */
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "base/addr.h"
#include "base/attr.h"
#include "kube/check.h"

#define KUBE_ALLOW "magik.io/allow"
#define KUBE_DENY "magik.io/deny"
#define KUBE_PREFER "magik.io/prefer"
#define KUBE_EGRESS "magik.io/egress"

enum {
	KUBE_EGRESS_MAX = 32, /* networks of one pod: each is a rule of the packet filter */
};

struct kube_network {
	struct addr ip; /* without a port */
	uint8_t prefix; /* bits */
};

/* What a pod reaches outside. */
struct kube_egress {
	bool all;
	struct kube_network list[KUBE_EGRESS_MAX]; /* unless all of it: these only */
	size_t count;
};

/* Any object: where it has no pods, or beside its template, they have no effect, which is remarked
 * upon. */
void kube_validate_reach(struct check *check, const json_t *object);

/* Does @patterns, of KUBE_ALLOW, name other namespaces? */
bool kube_reach_crosses(const char *patterns);

/* Read KUBE_EGRESS; NULL: all. False: it is none of what it may be. */
_must_use_ bool kube_egress_read(const char *text, struct kube_egress *ret_egress);
