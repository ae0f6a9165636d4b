/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sub_path.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "runtime/files.h"

enum {
	FD_PATH_MAX = 32, /* "/proc/self/fd/" and a number */
	AGAIN_MAX = 16,   /* the kernel asks for another try when something was renamed meanwhile */
};

/* No magic links: they are none of the volume's. */
static int open_beneath(int volume, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int fd, tries = 0;

	do
		fd = (int)syscall(SYS_openat2, volume, path, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN && ++tries < AGAIN_MAX);
	return fd < 0 ? -errno : fd;
}

/* The directory @name in @parent, as the volume itself is: whoever may write there may here. */
static int make_dir(int volume, int parent, const char *name)
{
	struct stat of_volume;
	int fd, r = 0;

	if (fstat(volume, &of_volume) < 0)
		return -errno;
	if (mkdirat(parent, name, 0700) < 0)
		return errno == EEXIST ? 0 : -errno; /* what it is, who opens it sees */
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fchown(fd, of_volume.st_uid, of_volume.st_gid) < 0 ||
	    fchmod(fd, of_volume.st_mode & 07777) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

/* What the first @len bytes of @path lead to, made if it is not there; @parent is what those before
 * its last name lead to. */
static int step(int volume, int parent, const char *path, size_t len)
{
	struct path prefix = path_format("%.*s", (int)len, path);
	const char *slash = strrchr(prefix.text, '/');
	int fd = open_beneath(volume, prefix.text), r;

	if (fd != -ENOENT)
		return fd;
	r = make_dir(volume, parent, slash ? slash + 1 : prefix.text);
	return r < 0 ? r : open_beneath(volume, prefix.text);
}

static int walk(int volume, const char *path)
{
	size_t at = 0;
	int fd = open_beneath(volume, ".");

	while (fd >= 0 && path[at]) {
		int parent = fd;

		at += strspn(path + at, "/");
		if (!path[at])
			break;
		at += strcspn(path + at, "/");
		fd = step(volume, parent, path, at);
		(void)close(parent);
	}
	return fd;
}

int sub_path_open(int volume, const char *path, struct err *err)
{
	struct stat found;
	int fd = walk(volume, path);

	if (fd == -EXDEV)
		return err_set(err, fd, "subPath %.100s leads out of its volume", path);
	if (fd < 0)
		return err_set(err, fd, "subPath %.100s: %s", path, strerror(-fd));
	if (fstat(fd, &found) == 0 && (S_ISDIR(found.st_mode) || S_ISREG(found.st_mode)))
		return fd;
	(void)close(fd);
	return err_set(err, -EINVAL, "subPath %.100s is neither a directory nor a file", path);
}

/* Something of the same kind to mount it on. */
static int make_target(int part, const char *target)
{
	struct stat found;
	int fd;

	if (fstat(part, &found) < 0)
		return -errno;
	if (S_ISDIR(found.st_mode))
		return dir_make(target, 0700);
	fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

int sub_path_hold(int part, const char *target, struct err *err)
{
	char from[FD_PATH_MAX];
	int r = make_target(part, target);

	if (r < 0)
		return err_set(err, r, "make %s: %s", target, strerror(-r));
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", part);
	if (mount(from, target, NULL, MS_BIND, NULL) < 0)
		return err_set(err, -errno, "mount %s: %s", target, strerror(errno));
	return 0;
}

void sub_path_release(const char *target)
{
	/* Not mounted, or never made: as it should be. */
	(void)umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
}
