/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

enum {
	FILE_CHUNK = 65536,
};

static int read_all(int fd, size_t max, struct buf *content)
{
	for (;;) {
		ssize_t got;

		buf_reserve(content, FILE_CHUNK);
		got = read(fd, content->ptr + content->len, FILE_CHUNK);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_origin(-errno);
		if (got == 0)
			return 0;
		content->len += (size_t)got;
		if (content->len > max)
			return err_origin(-EFBIG);
	}
}

int file_read(const char *path, size_t max, struct buf *ret_content)
{
	struct buf content = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_origin(-errno);
	r = read_all(fd, max, &content);
	(void)close(fd);
	if (r == 0)
		buf_append_bytes(ret_content, bytes_buf(&content));
	if (content.ptr)
		secret_wipe(content.ptr, content.len); /* it may have been a key */
	buf_deinit(&content);
	return r;
}

int file_write_all(int fd, struct bytes content)
{
	while (content.len > 0) {
		ssize_t put = write(fd, content.ptr, content.len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_origin(-errno);
		content.ptr += put;
		content.len -= (size_t)put;
	}
	return 0;
}

/* fchmod, because the caller's mode must hold whatever the umask is. */
static int write_temporary(int fd, struct bytes content, mode_t mode)
{
	int r = file_write_all(fd, content);

	if (r == 0 && fchmod(fd, mode) < 0)
		r = err_origin(-errno);
	if (r == 0 && fsync(fd) < 0)
		r = err_origin(-errno);
	return r;
}

static int sync_parent(const char *path)
{
	char *copy = mem_strdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	free(copy);
	if (fd < 0)
		return err_origin(-errno);
	if (fsync(fd) < 0)
		r = err_origin(-errno);
	(void)close(fd);
	return r;
}

int file_write(const char *path, struct bytes content, mode_t mode)
{
	char temporary[PATH_MAX];
	int fd, r;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return err_origin(-ENAMETOOLONG);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return err_origin(-errno);
	r = write_temporary(fd, content, mode);
	if (close(fd) < 0 && r == 0)
		r = err_origin(-errno);
	if (r == 0 && rename(temporary, path) < 0)
		r = err_origin(-errno);
	if (r < 0) {
		(void)unlink(temporary);
		return err_trace(r);
	}
	return sync_parent(path);
}

static int make_one(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return err_origin(-errno);
	if (stat(path, &st) < 0)
		return err_origin(-errno);
	return S_ISDIR(st.st_mode) ? 0 : err_origin(-ENOTDIR);
}

int file_make_dir(const char *path, mode_t mode)
{
	char *copy;
	int r = 0;

	if (!*path)
		return err_origin(-ENOENT);
	copy = mem_strdup(path);
	for (char *slash = strchr(copy + 1, '/'); slash && r == 0; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = make_one(copy, mode);
		*slash = '/';
	}
	if (r == 0)
		r = make_one(copy, mode);
	free(copy);
	return err_trace(r);
}
