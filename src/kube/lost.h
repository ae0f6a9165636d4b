/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lost updates: two versions of an object that were made without knowing of each other, as on two
 * sides of a partition. One of them stays; what the other one changed is told, so that it can be
 * done again.
 *
 * A stored object carries the version that it was made from as its metadata.resourceVersion. An
 * object without it was not made by a client, and never counts as lost.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

enum {
	KUBE_LOST_PATCH_MAX =
		4096, /* bytes of the patch in the message; a larger one is left out */
};

struct kube_version {
	struct bytes json;
	uint64_t generation, hlc;
};

/*
 * NULL when @winner came of @loser, or nothing but the server's own members differs. Else a
 * sentence with the merge patch that brings the loser's change back; the caller's.
 */
_must_use_ char *kube_lost_update(const struct kube_version *winner,
				  const struct kube_version *loser);
