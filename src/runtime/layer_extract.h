/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layer extraction: a layer's archive into a directory that overlayfs can use as a lower layer.
 *
 * The archive is hostile. Nothing is ever created outside the directory: parents are opened with
 * the directory as the root of resolution, so that neither "..", nor absolute paths, nor links that
 * the archive itself brought lead out of it. Devices are not made (a container gets its own /dev),
 * and no attribute that overlayfs would obey. Whiteouts of the OCI image specification (layer.md)
 * become overlayfs' own: a character device 0/0, or the attribute "opaque" on a directory.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

enum {
	LAYER_ENTRIES_MAX = 1 << 20, /* the largest public images have some 300,000 files */
	LAYER_PATH_MAX = 4096,       /* PATH_MAX of the kernel */
	LAYER_DEPTH_MAX = 128,
	LAYER_XATTRS_MAX = 64, /* of one entry */
};

/* What one layer may unpack to; a bomb of a few megabytes unpacks to terabytes. */
#define LAYER_BYTES_MAX ((int64_t)32 << 30)

struct layer_limits {
	int64_t bytes_max;
	int64_t entries_max;
};

#define LAYER_LIMITS_DEFAULT \
	((struct layer_limits){.bytes_max = LAYER_BYTES_MAX, .entries_max = LAYER_ENTRIES_MAX})

/*
 * Unpack the archive on @archive_fd (tar, plain or compressed) below directory @root_fd. On failure
 * the directory is left as it is then: the caller removes it. -EINVAL: not an archive, or one with
 * an entry that must not be; -EFBIG: a limit.
 */
_must_use_ int layer_extract(int archive_fd, int root_fd, struct layer_limits limits,
			     struct err *err);
