/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lost updates: two versions of an object that were made without knowing of each other, as on two
 * sides of a partition. One of them stays; what the other one changed is told, so that it can be
 * done again.
 *
 * A stored object carries its *line* as its metadata.resourceVersion: the version that it was made
 * from, the one before that, and so on, "30,20,10"; readers are shown the version of its record
 * instead. An object without a line was not made by a client, and never counts as lost.
 */
#pragma once

#include <stdint.h>

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"

enum {
	/* Versions in a line, 20 digits each: so many changes on the other side hide none. */
	KUBE_LINE_MAX = 16,
	KUBE_LOST_PATCH_MAX =
		4096, /* bytes of the patch in the message; a larger one is left out */
};

struct kube_version {
	struct bytes json;
	uint64_t generation, hlc;
};

/* Write into @object, which is to replace @version, the line it comes of; @line: that of @version,
 * as its stored object has it, or NULL. */
void kube_set_line(json_t *object, const char *line, uint64_t version);

/*
 * NULL when @winner came of @loser, or nothing but the server's own members differs. Else a
 * sentence with the merge patch that brings the loser's change back; the caller's.
 */
_must_use_ char *kube_lost_update(const struct kube_version *winner,
				  const struct kube_version *loser);
