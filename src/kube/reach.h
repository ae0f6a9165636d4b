/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reach: who may call a pod, and whom it calls first, as annotations of the pod or of its template
 * say. They hold for a pod from its start; who changes a template gets new pods.
 *
 *   magik.io/allow   "web, shop/front": who may call, patterns of service/policy.h
 *   magik.io/deny    likewise: who may not, whatever is allowed
 *   magik.io/prefer  anywhere, region or machine: whose replicas are called first
 *
 * An allow pattern that names a namespace opens the pod to that namespace; without one, nobody of
 * another namespace is admitted.
 */
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "kube/check.h"

#define KUBE_ALLOW "magik.io/allow"
#define KUBE_DENY "magik.io/deny"
#define KUBE_PREFER "magik.io/prefer"

/* Any object: where it has no pods, or beside its template, they have no effect, which is remarked
 * upon. */
void kube_validate_reach(struct check *check, const json_t *object);

/* Does @patterns, of KUBE_ALLOW, name other namespaces? */
bool kube_reach_crosses(const char *patterns);
