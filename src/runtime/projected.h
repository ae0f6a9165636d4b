/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projected volumes: files made from ConfigMaps, Secrets and what is known of the pod.
 *
 * Laid out as Kubernetes does, so that programs that watch for changes find what they know:
 *
 *   ..data -> ..a            the present version, replaced at once by renaming
 *   ..a/, ..b/               the versions, by turns
 *   NAME -> ..data/NAME      for each first component of a path
 *
 * A reader sees the old files or the new ones, never some of each.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "runtime/pod_facts.h"

struct projected_file {
	char *path;
	struct buf content;
	int mode;
};

struct projected {
	uid_t owner; /* of them all */
	struct projected_file *files;
	size_t count, cap;
};

/* What @volume is to hold. Pure. -ENOENT with a sentence when something it needs is not in the
 * snapshot; @ret is empty then. */
_must_use_ int projected_build(const struct pod_facts *facts, const struct volume *volume,
			       const json_t *snapshot, struct projected *ret, struct err *err);
void projected_deinit(struct projected *projected);

/* Make @dir, which exists, hold exactly @projected. @group: fsGroup, or POD_ID_UNSET. Blocks. */
_must_use_ int projected_write(const char *dir, const struct projected *projected, int64_t group,
			       struct err *err);
