/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workload: what the market and the runtime need to know of an admitted ReplicaSet or Pod.
 *
 * Strings borrow from the object and live as long as it does.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/id.h"
#include "kube/name.h"
#include "kube/needs.h"

struct kube_workload {
	const char *kind; /* "ReplicaSet" or "Pod" */
	const char *namespace;
	const char *name;
	struct uid uid;
	int64_t generation;
	uint32_t replicas; /* 1 for a Pod */
	struct kube_priority priority;
};

/*
 * Read an object that kube_admit() accepted and kube_stamp() stamped. Returns 0, or -EINVAL when it
 * is not such an object (it came from a peer: never asserts).
 */
_must_use_ int kube_workload_read(const json_t *object, struct kube_workload *ret_workload,
				  struct err *err);

/* The pod spec inside a Pod or an object with a pod template, borrowed; NULL when there is none. */
const json_t *kube_pod_spec(const json_t *object);

/* The metadata a pod made from this object takes: the template's, or the Pod's own. May be NULL. */
const json_t *kube_pod_metadata(const json_t *object);
const char *kube_pod_metadata_path(const json_t *object);

/* The owner reference with `controller: true`, borrowed; NULL when there is none. */
const json_t *kube_controller_of(const json_t *object);

/* Does @text, an object as compact JSON, say of an owner that it is the controller? Without a
 * parser, which would take most of the time where many objects are looked at: a quote inside of a
 * string is escaped, so nothing else looks like it. */
bool kube_says_controlled(struct bytes text);

/* What a user would name as the reason why a pod is there: the object's controlling owner, or the
 * object itself. Borrowed. */
struct kube_origin {
	const char *kind, *name;
};
struct kube_origin kube_origin_of(const json_t *object);

/* @value as canonical JSON: keys sorted, no spaces; NULL is null. The caller owns the text
 * (zero-terminated). */
_must_use_ char *kube_canonical(const json_t *value, size_t *ret_len);
