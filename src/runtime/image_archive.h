/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image archives: which images a file or directory on this machine holds, and what they are called.
 *
 * Three forms are told apart by what is in them, not by their names: an archive of an OCI layout,
 * an archive as `docker save` makes it, and a directory that is an OCI layout.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

enum {
	IMAGE_ARCHIVE_IMAGES_MAX = 64,
};

struct archived_image {
	char *source; /* as skopeo wants it: "oci-archive:/path:ref" */
	char *name;   /* full reference */
};

struct image_archive {
	struct archived_image images[IMAGE_ARCHIVE_IMAGES_MAX];
	size_t count;
};

/*
 * @name NULL: as the archive says; an archive that knows only a tag gives the name of its file and
 * that tag. With @name it must hold exactly one image. Reads the whole archive: blocks.
 */
_must_use_ int image_archive_read(const char *path, const char *name,
				  struct image_archive *ret_archive, struct err *err);
void image_archive_deinit(struct image_archive *archive);
