/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File: small files as a whole, read with a limit and written so that a crash leaves either the old
 * or the new content.
 */
#pragma once

#include <sys/types.h>

#include "base/attr.h"
#include "base/bytes.h"

/* Append the content of @path to @ret_content. -EFBIG when it is longer than @max bytes (nothing is
 * appended then), -errno otherwise. */
_must_use_ int file_read(const char *path, size_t max, struct buf *ret_content);

/* Write all of @content to @fd, which blocks. 0 or -errno. */
_must_use_ int file_write_all(int fd, struct bytes content);

/* Replace @path: a temporary file beside it with @mode, fsync, rename, fsync of the directory. */
_must_use_ int file_write(const char *path, struct bytes content, mode_t mode);

/* Make @path and what is missing above it, new ones with @mode. 0 if it is already a directory. */
_must_use_ int file_make_dir(const char *path, mode_t mode);
