/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group walk: give a volume, with all that is in it, to a group: what Kubernetes does for fsGroup.
 *
 * Files become readable and writable for the group, directories that and such that what is made in
 * them belongs to it. The deepest go first and the directory itself last, so that one which was
 * cut off is begun again. Every name is opened without following a link and then changed by its
 * descriptor: pods that have the volume already may rename what they like meanwhile. Links are
 * given away themselves; other devices' mounts are left alone.
 *
 * A tree may be of any size: the caller goes through it in steps, on a thread that may block.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

enum {
	GROUP_DEPTH_MAX = 128, /* directories in directories: each is open while it is gone through
				* */
	GROUP_STEP_MAX = 4096, /* entries in one step: some 50 ms */
};

enum group_result {
	_GROUP_E_OK, /* all of it belongs to the group */
	GROUP_E_MORE /* take another step */
};

struct group_walk;

/* @on_mismatch: nothing is done when @dir itself is as it would be in the end. */
struct group_walk *group_walk_new(const char *dir, int64_t group, bool on_mismatch);
void group_walk_free(struct group_walk *walk);

/* Up to @max entries. Negative with @err: something could not be changed; the walk is at its end.
 * Blocks. */
_must_use_ int group_walk_step(struct group_walk *walk, size_t max, struct err *err);
