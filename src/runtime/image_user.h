/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image user: "name", "uid", "name:group", "uid:gid" as numbers, by the image's own passwd and
 * group files. These are foreign: read inside the image's root, bounded, and never through links
 * that lead out of it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

enum {
	IMAGE_USER_FILE_MAX = 1 << 20,
	IMAGE_USER_GROUPS_MAX = 32, /* supplementary groups taken from the image */
};

struct image_user {
	uint32_t uid, gid;
	uint32_t groups[IMAGE_USER_GROUPS_MAX];
	size_t group_count;
};

/* @user "" is root. -ENOENT if it names nobody in the image. */
_must_use_ int image_user_resolve(const char *rootfs, const char *user, struct image_user *ret_user,
				  struct err *err);
