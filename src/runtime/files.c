/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/files.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct path path_format(const char *format, ...)
{
	struct path path;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(path.text, sizeof(path.text), format, args);
	va_end(args);
	assert(len >= 0 && (size_t)len < sizeof(path.text));
	return path;
}

int file_replace(const char *path, struct bytes content, mode_t mode)
{
	struct path temporary = path_format("%s.new", path);
	int fd = open(temporary.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	int r;

	if (fd < 0)
		return err_origin(-errno);
	r = file_write_all(fd, content);
	/* The process's umask must not decide what a container may read. */
	if (r == 0 && fchmod(fd, mode) < 0)
		r = err_origin(-errno);
	(void)close(fd);
	if (r == 0 && rename(temporary.text, path) < 0)
		r = err_origin(-errno);
	if (r < 0)
		(void)unlink(temporary.text);
	return r;
}

int dir_make(const char *path, mode_t mode)
{
	struct path part = path_format("%s", path);

	for (char *at = part.text + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(part.text, 0755) < 0 && errno != EEXIST)
			return err_origin(-errno);
		*at = '/';
	}
	if (mkdir(path, mode) < 0)
		return errno == EEXIST ? 0 : err_origin(-errno);
	return chmod(path, mode) < 0 ? err_origin(-errno) : 0;
}

enum {
	/* Descriptors held at once while a tree is removed. Its makers may have made it deeper. */
	TREE_DEPTH_MAX = 64,
};

/* A removal under way. */
struct removal {
	int top;       /* the directory all of it lies in */
	unsigned next; /* number for the name of what is moved up into it */
	bool raised;   /* something has been, in this round */
};

/* Move a directory up, from where it is removed later. */
static int raise_dir(struct removal *removal, int parent, const char *name)
{
	char up[32];

	do {
		(void)snprintf(up, sizeof(up), ".raised-%u", removal->next++);
		if (renameat(parent, name, removal->top, up) == 0) {
			removal->raised = true;
			return 0;
		}
	} while (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR);
	return err_origin(-errno);
}

static int remove_in(struct removal *removal, int parent, const char *name, int depth);

/* Takes @dir_fd. */
static int remove_children(struct removal *removal, int dir_fd, int depth)
{
	DIR *dir = fdopendir(dir_fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = err_origin(-errno);
		(void)close(dir_fd);
		return r;
	}
	while ((entry = readdir(dir)) != NULL) {
		int one;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		one = remove_in(removal, dirfd(dir), entry->d_name, depth + 1);
		if (one < 0)
			r = one;
	}
	(void)closedir(dir);
	return r;
}

/* 1: a directory with something in it, which is still there. */
static int remove_one(int parent, const char *name)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_origin(-errno);
	/* A mount point refuses rmdir with EBUSY, but its content must not be touched either. */
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
		return 0;
	return errno == EBUSY ? err_origin(-EBUSY) : 1;
}

static int remove_in(struct removal *removal, int parent, const char *name, int depth)
{
	int fd, r = remove_one(parent, name);

	if (r <= 0)
		return r;
	if (depth > TREE_DEPTH_MAX)
		return raise_dir(removal, parent, name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_origin(-errno);
	r = remove_children(removal, fd, depth);
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT && r == 0)
		r = err_origin(-errno);
	return r;
}

int tree_remove(const char *path)
{
	struct removal removal = {0};
	int fd, r = remove_one(AT_FDCWD, path);

	if (r <= 0)
		return r;
	removal.top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (removal.top < 0)
		return err_origin(-errno);
	do {
		removal.raised = false;
		fd = openat(removal.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = fd < 0 ? err_origin(-errno) : remove_children(&removal, fd, 0);
	} while (removal.raised);
	(void)close(removal.top);
	if (rmdir(path) < 0 && errno != ENOENT && r == 0)
		r = err_origin(-errno);
	return r;
}

bool path_exists(const char *path)
{
	return access(path, F_OK) == 0;
}
