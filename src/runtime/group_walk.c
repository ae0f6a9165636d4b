/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/group_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	FILE_MODE = 0660,
	DIR_MODE = 02770,
	MODE_BITS = 07777,
	FD_PATH_MAX = 32, /* "/proc/self/fd/" and a number */
};

struct group_walk {
	char *dir;
	gid_t group;
	dev_t device;
	bool on_mismatch, begun;
	DIR *open[GROUP_DEPTH_MAX]; /* from the volume down to where we are */
	size_t depth;
};

struct group_walk *group_walk_new(const char *dir, int64_t group, bool on_mismatch)
{
	struct group_walk *walk = mem_new(struct group_walk);

	walk->dir = mem_strdup(dir);
	walk->group = (gid_t)group;
	walk->on_mismatch = on_mismatch;
	return walk;
}

static void leave(struct group_walk *walk)
{
	(void)closedir(walk->open[--walk->depth]);
}

void group_walk_free(struct group_walk *walk)
{
	if (!walk)
		return;
	while (walk->depth)
		leave(walk);
	free(walk->dir);
	free(walk);
}

/* Takes @fd, a directory. */
static int enter(struct group_walk *walk, int fd)
{
	DIR *dir = walk->depth < GROUP_DEPTH_MAX ? fdopendir(fd) : NULL;
	int r = dir ? 0 : walk->depth < GROUP_DEPTH_MAX ? -errno : -ELOOP;

	if (dir)
		walk->open[walk->depth++] = dir;
	else
		(void)close(fd);
	return r;
}

static bool is_owned(const struct group_walk *walk, const struct stat *is, mode_t mode)
{
	return is->st_gid == walk->group && (is->st_mode & mode) == mode;
}

/* Takes the group first: that would take special bits away again. */
static int own_dir(const struct group_walk *walk, int fd)
{
	struct stat is;

	if (fstat(fd, &is) < 0)
		return -errno;
	if (is_owned(walk, &is, DIR_MODE))
		return 0;
	if (fchown(fd, (uid_t)-1, walk->group) < 0 ||
	    fchmod(fd, (is.st_mode & MODE_BITS) | DIR_MODE) < 0)
		return -errno;
	return 0;
}

/* @fd is only a place (O_PATH): nothing is opened that a pod has put there, as a pipe or a device.
 */
static int own_other(const struct group_walk *walk, int fd, const struct stat *is)
{
	mode_t mode = S_ISREG(is->st_mode) ? FILE_MODE : 0;
	char path[FD_PATH_MAX];

	if (is_owned(walk, is, mode))
		return 0;
	if (fchownat(fd, "", (uid_t)-1, walk->group, AT_EMPTY_PATH) < 0)
		return -errno;
	if (!mode)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, (is->st_mode & MODE_BITS) | mode) < 0 ? -errno : 0;
}

static int visit(struct group_walk *walk, const char *name)
{
	int parent = dirfd(walk->open[walk->depth - 1]), dir, r = 0;
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat is;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno; /* it was removed meanwhile */
	if (fstat(fd, &is) < 0) {
		r = -errno;
	} else if (!S_ISDIR(is.st_mode)) {
		r = own_other(walk, fd, &is);
	} else if (is.st_dev == walk->device) {
		dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = dir < 0 ? -errno : enter(walk, dir);
	}
	(void)close(fd);
	return r;
}

/* One more name, or back to the directory above. */
static int advance(struct group_walk *walk)
{
	DIR *dir = walk->open[walk->depth - 1];
	const struct dirent *entry;
	int r;

	errno = 0;
	entry = readdir(dir);
	if (entry)
		return strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0
			       ? 0
			       : visit(walk, entry->d_name);
	r = errno ? -errno : own_dir(walk, dirfd(dir));
	leave(walk);
	return r;
}

static int begin(struct group_walk *walk)
{
	int fd = open(walk->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat is;

	walk->begun = true;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &is) == 0 && walk->on_mismatch && is_owned(walk, &is, DIR_MODE)) {
		(void)close(fd);
		return 0;
	}
	walk->device = is.st_dev;
	return enter(walk, fd);
}

int group_walk_step(struct group_walk *walk, size_t max, struct err *err)
{
	int r = walk->begun ? 0 : begin(walk);

	for (size_t i = 0; r == 0 && walk->depth && i < max; i++)
		r = advance(walk);
	if (r == -ELOOP)
		return err_set(err, r,
			       "%.160s: more than %d directories in each other cannot be "
			       "given to a group",
			       walk->dir, GROUP_DEPTH_MAX);
	if (r < 0)
		return err_set(err, r, "give %.160s to group %u: %s", walk->dir, walk->group,
			       strerror(-r));
	return walk->depth ? GROUP_E_MORE : 0;
}
