/* SPDX-License-Identifier: Apache-2.0 */
/* Pod leaf: what a steward signs for a pod. The rest of pod_leaf.c is the fabric process's own. */
#pragma once

#include "identity/credentials.h"
#include "wire/message.h"

struct pod_leaf_terms {
	struct node_id key; /* its holder has proved possession */
	bool application;   /* not for the agent: a CERT_APPLICATION */
	struct wall now;    /* fabric time */
	int64_t life_ms;    /* 0: CERT_POD_LIFE_MS */
};

/* A certificate for exactly the pod that @warrant names, which has been verified, and the chain
 * below the root. 0 and @ret_leaf, which the caller frees, or as cert_issue(). */
_must_use_ int pod_leaf_issue(const struct credentials *credentials, const struct warrant *warrant,
			      const struct pod_leaf_terms *terms, struct pod_leaf *ret_leaf,
			      struct err *err);
