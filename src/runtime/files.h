/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: small helpers on paths for the privileged side. All take absolute paths of our own making.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "io/file.h"

enum {
	FILES_PATH_MAX =
		1024, /* our directories are checked at start, foreign parts by their parsers */
};

/* A path on the caller's stack. */
struct path {
	char text[FILES_PATH_MAX];
};

/* Format a path; one too long aborts, because ours are bounded by construction. */
struct path path_format(const char *format, ...) _printf_(1, 2);

/* Replace @path at once: a reader sees the old or the new content. Not flushed to disk. */
_must_use_ int file_replace(const char *path, struct bytes content, mode_t mode);

/* Create a directory and its missing parents. */
_must_use_ int dir_make(const char *path, mode_t mode);

/* Remove a tree without following links or crossing into mounts. Success if there is none. */
_must_use_ int tree_remove(const char *path);

bool path_exists(const char *path);
