/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revoked file: revocations on disk, one "<envelope> <chain of its signer>" in base64 a line. Each
 * of the two processes has its own, and believes of it only what verifies.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/bytes.h"

/* Append the line of one. */
void revoked_file_line(struct bytes envelope, struct bytes chain, struct buf *out);

/* Call @each for every line of @path; false from it, or a line that is none, counts in @ret_bad.
 * 0, -ENOENT, or another -errno. */
_must_use_ int revoked_file_read(const char *path,
				 bool (*each)(void *arg, struct bytes envelope, struct bytes chain),
				 void *arg, size_t *ret_bad);

/* Add one to @path, which is made with mode 0600. Not flushed to disk. */
_must_use_ int revoked_file_add(const char *path, struct bytes envelope, struct bytes chain);
