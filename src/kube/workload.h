/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workload: what the market and the runtime need to know of an admitted Deployment or Pod.
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
	const char *kind; /* "Deployment" or "Pod" */
	const char *namespace;
	const char *name;
	struct uid uid;
	int64_t generation;
	uint32_t replicas;              /* 1 for a Pod */
	struct kube_hash template_hash; /* "" for a Pod */
	struct kube_priority priority;
};

/*
 * Read an object that kube_admit() accepted and kube_stamp() stamped. Returns 0, or -EINVAL when it
 * is not such an object (it came from a peer: never asserts).
 */
_must_use_ int kube_workload_read(const json_t *object, struct kube_workload *ret_workload,
				  struct err *err);

/* The pod spec inside a Deployment or Pod, borrowed; NULL when there is none. */
const json_t *kube_pod_spec(const json_t *object);

/* The metadata a pod made from this object takes: the template's, or the Pod's own. May be NULL. */
const json_t *kube_pod_metadata(const json_t *object);

/* @value as canonical JSON: keys sorted, no spaces; NULL is null. The caller owns the text
 * (zero-terminated). */
_must_use_ char *kube_canonical(const json_t *value, size_t *ret_len);
