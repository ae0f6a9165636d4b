/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sub path: a part of a volume, for a container that mounts no more of it.
 *
 * Containers write to volumes while others start: what a path leads to may change at any moment,
 * and a link in it may lead anywhere. So the kernel resolves it once, never out of the volume
 * (openat2 with RESOLVE_BENEATH), and what it found is held by a bind mount in a directory of ours,
 * which is what the engine is told of. The mount is needed only until the engine has made its own.
 *
 * All of it blocks.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"

/*
 * A descriptor (O_PATH) of @path in the directory @volume. Directories that are missing are made as
 * open to others as the volume itself is. -EXDEV when it leads out of the volume; -EINVAL when what
 * is there is neither a directory nor a file.
 */
_must_use_ int sub_path_open(int volume, const char *path, struct err *err);

/* Mount what @part is at @target, which is made. */
_must_use_ int sub_path_hold(int part, const char *target, struct err *err);

/* Undo that; nothing when it was not done. */
void sub_path_release(const char *target);
