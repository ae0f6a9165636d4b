/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Needs: what one replica of an admitted Deployment or Pod requires, as a tender says it
 * (wire/message.h). The object may come from a peer: what cannot be said is refused, never
 * asserted.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct requirements; /* wire/message.h */

enum {
	KUBE_NODE_SELECTOR_MAX = 16,        /* terms of a nodeSelector */
	KUBE_PRIORITY_MAX = 1000000000,     /* the highest that is not kept for the system, and with
					     * the sign turned the lowest */
	KUBE_PRIORITY_CLUSTER = 2000000000, /* system-cluster-critical */
	KUBE_PRIORITY_NODE = 2000001000,    /* system-node-critical */
};

/* Read @object. Returns 0, or -EINVAL with a sentence. The caller owns the result:
 * requirements_deinit(). */
_must_use_ int kube_needs_read(const json_t *object, struct requirements *ret_needs,
			       struct err *err);

/* Who goes first, and who gives way. */
struct kube_priority {
	int32_t value;
	bool preemptible; /* gives way to a higher one */
	bool preempts;    /* takes the place of a lower one */
};

/* The built-in priority classes, the annotations magik.io/priority and magik.io/preemptible,
 * preemptionPolicy. -EINVAL when one of them makes no sense. */
_must_use_ int kube_priority_read(const json_t *object, struct kube_priority *ret_priority,
				  struct err *err);

/* affinity.c: the part of it below spec.affinity. */
_must_use_ int kube_affinity_read(const json_t *affinity, struct requirements *needs,
				  struct err *err);
