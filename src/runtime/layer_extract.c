/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/layer_extract.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <linux/openat2.h>

#include "base/mem.h"

#define WHITEOUT ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
#define WHITEOUT_RESERVED ".wh..wh."

enum {
	READ_BLOCK = 64 * 1024,
	MODE_BITS = 07777,
};

struct extraction {
	struct archive *archive;
	int root_fd;
	struct layer_limits limits;
	int64_t bytes, entries;
	struct err *err;
};

/* An entry's path: cleaned, relative, and cut into its directory and its last part. */
struct entry_path {
	char dir[LAYER_PATH_MAX]; /* "" for the root itself */
	char name[256];           /* NAME_MAX and its zero; "" if the entry is the root */
};

static int refuse(const struct extraction *x, const char *path, const char *why)
{
	return err_set(x->err, -EINVAL, "layer entry \"%.80s\": %s", path ? path : "", why);
}

static int failed(const struct extraction *x, const char *path, const char *what)
{
	int code = -errno;

	return err_set(x->err, code, "layer entry \"%.80s\": %s: %s", path, what, strerror(-code));
}

/* Drop empty and "." parts; ".." has no honest use in a layer. */
static int path_clean(const struct extraction *x, const char *raw, struct entry_path *ret)
{
	char clean[LAYER_PATH_MAX] = {0};
	size_t len = 0, depth = 0, part_len;
	char *slash;

	if (!raw || strlen(raw) >= LAYER_PATH_MAX - 1)
		return refuse(x, raw, "path is missing or too long");
	for (const char *part = raw; *part; part += part_len + (part[part_len] == '/')) {
		part_len = strcspn(part, "/");
		if (part_len == 0 || (part_len == 1 && part[0] == '.'))
			continue;
		if (part_len == 2 && part[0] == '.' && part[1] == '.')
			return refuse(x, raw, "path leads upwards");
		if (part_len >= sizeof(ret->name) || ++depth > LAYER_DEPTH_MAX)
			return refuse(x, raw, "path is too deep or a part of it too long");
		if (len > 0)
			clean[len++] = '/';
		memcpy(clean + len, part, part_len);
		len += part_len;
	}
	clean[len] = '\0';
	slash = strrchr(clean, '/');
	(void)snprintf(ret->name, sizeof(ret->name), "%s", slash ? slash + 1 : clean);
	if (slash)
		*slash = '\0';
	(void)snprintf(ret->dir, sizeof(ret->dir), "%s", slash ? clean : "");
	return 0;
}

static int open_in(int root_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

/* Open directory @dir, making what is missing of it. */
static int open_dir(const struct extraction *x, const char *dir)
{
	char path[LAYER_PATH_MAX];
	int fd = open_in(x->root_fd, dir[0] ? dir : ".", O_PATH | O_DIRECTORY);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? failed(x, dir, "open directory") : fd;
	(void)snprintf(path, sizeof(path), "%s", dir);
	for (char *at = path;; at++) {
		char saved = *at;
		char *slash;
		int parent;

		if (saved != '/' && saved != '\0')
			continue;
		*at = '\0';
		slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
		parent = open_in(x->root_fd, slash ? path : ".", O_PATH | O_DIRECTORY);
		if (slash)
			*slash = '/';
		if (parent < 0)
			return failed(x, dir, "open directory");
		if (mkdirat(parent, slash ? slash + 1 : path, 0755) < 0 && errno != EEXIST) {
			(void)close(parent);
			return failed(x, dir, "make directory");
		}
		(void)close(parent);
		*at = saved;
		if (saved == '\0')
			break;
	}
	fd = open_in(x->root_fd, dir, O_PATH | O_DIRECTORY);
	return fd < 0 ? failed(x, dir, "open directory") : fd;
}

/* Make room for an entry that an earlier one of the same name occupies. */
static int replace(const struct extraction *x, int parent, const char *name)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
		return 0;
	return failed(x, name, "replace");
}

/*
 * Attributes that a container may rely on. "trusted." is overlayfs' own language, and nobody but
 * the machine may speak it.
 */
static bool is_allowed_xattr(const char *name)
{
	return strcmp(name, "security.capability") == 0 || strncmp(name, "user.", 5) == 0;
}

static int set_xattrs(const struct extraction *x, struct archive_entry *entry, int fd)
{
	const char *name;
	const void *value;
	size_t size;
	int count = 0;

	(void)archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		if (++count > LAYER_XATTRS_MAX)
			return refuse(x, archive_entry_pathname(entry), "too many attributes");
		if (!is_allowed_xattr(name))
			continue;
		/* Not every filesystem keeps user attributes; capabilities must not be lost. */
		if (fsetxattr(fd, name, value, size, 0) < 0 && strncmp(name, "user.", 5) != 0)
			return failed(x, archive_entry_pathname(entry), "set attribute");
	}
	return 0;
}

static int set_owner_and_mode(const struct extraction *x, struct archive_entry *entry, int fd)
{
	const char *path = archive_entry_pathname(entry);
	mode_t mode = archive_entry_mode(entry) & MODE_BITS;
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)},
	};

	if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return refuse(x, path, "owner is out of range");
	/* The mode after the owner: chown takes setuid bits away. */
	if (fchown(fd, (uid_t)uid, (gid_t)gid) < 0 || fchmod(fd, mode) < 0)
		return failed(x, path, "set owner and mode");
	if (times[1].tv_nsec < 0 || times[1].tv_nsec >= 1000000000)
		times[1].tv_nsec = 0;
	(void)futimens(fd, times);
	return set_xattrs(x, entry, fd);
}

static int write_block(const struct extraction *x, int fd, const void *block, size_t size,
		       int64_t offset)
{
	const char *from = block;

	while (size > 0) {
		ssize_t put = pwrite(fd, from, size, offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return err_set(x->err, -errno, "write layer: %s", strerror(errno));
		from += put;
		offset += put;
		size -= (size_t)put;
	}
	return 0;
}

/* Holes count as bytes: what claims to be huge is refused even if it takes no room. */
static int write_content(struct extraction *x, int fd)
{
	int64_t end = 0;

	for (;;) {
		const void *block;
		int64_t offset;
		size_t size;
		int r = archive_read_data_block(x->archive, &block, &size, &offset);

		if (r == ARCHIVE_EOF)
			return end > 0 && ftruncate(fd, end) < 0
				       ? err_set(x->err, -errno, "write layer: %s", strerror(errno))
				       : 0;
		if (r < ARCHIVE_WARN)
			return err_set(x->err, -EINVAL, "layer: %s",
				       archive_error_string(x->archive));
		if (offset < 0 || offset > x->limits.bytes_max ||
		    (int64_t)size > x->limits.bytes_max - offset)
			return err_set(x->err, -EFBIG, "layer is too large");
		if (offset + (int64_t)size > end) {
			x->bytes += offset + (int64_t)size - end;
			end = offset + (int64_t)size;
		}
		if (x->bytes > x->limits.bytes_max)
			return err_set(x->err, -EFBIG, "layer is too large");
		r = write_block(x, fd, block, size, offset);
		if (r < 0)
			return r;
	}
}

static int make_file(struct extraction *x, struct archive_entry *entry, int parent,
		     const char *name)
{
	int fd, r = replace(x, parent, name);

	if (r < 0)
		return r;
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed(x, name, "create");
	r = write_content(x, fd);
	if (r == 0)
		r = set_owner_and_mode(x, entry, fd);
	(void)close(fd);
	return r;
}

/* A directory may come after its content, or twice. One that is no directory yet is replaced. */
static int make_dir(struct extraction *x, struct archive_entry *entry, int parent, const char *name)
{
	struct stat info;
	int fd, r = 0;

	if (name[0] == '\0')
		name = ".";
	if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(info.st_mode))
		r = replace(x, parent, name);
	if (r < 0)
		return r;
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return failed(x, name, "make directory");
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return failed(x, name, "open directory");
	r = set_owner_and_mode(x, entry, fd);
	(void)close(fd);
	return r;
}

/* What a symbolic link says is the container's business: it is resolved inside its root only. */
static int make_symlink(struct extraction *x, struct archive_entry *entry, int parent,
			const char *name)
{
	const char *target = archive_entry_symlink(entry);
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	int r;

	if (!target || target[0] == '\0' || strlen(target) >= LAYER_PATH_MAX)
		return refuse(x, name, "link without a target");
	r = replace(x, parent, name);
	if (r < 0)
		return r;
	if (symlinkat(target, parent, name) < 0)
		return failed(x, name, "make link");
	if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return refuse(x, name, "owner is out of range");
	if (fchownat(parent, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(x, name, "set owner");
	return 0;
}

/* The target of a hard link is a path of the archive: found inside the root, or refused. */
static int make_hardlink(struct extraction *x, struct archive_entry *entry, int parent,
			 const char *name)
{
	struct entry_path target;
	struct stat info;
	int dir, r = path_clean(x, archive_entry_hardlink(entry), &target);

	if (r < 0)
		return r;
	dir = open_in(x->root_fd, target.dir[0] ? target.dir : ".", O_PATH | O_DIRECTORY);
	if (dir < 0)
		return refuse(x, name, "hard link to nothing in this layer");
	if (fstatat(dir, target.name, &info, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(info.st_mode))
		r = refuse(x, name, "hard link to nothing in this layer");
	if (r == 0)
		r = replace(x, parent, name);
	if (r == 0 && linkat(dir, target.name, parent, name, 0) < 0)
		r = failed(x, name, "make hard link");
	(void)close(dir);
	return r;
}

static int make_fifo(struct extraction *x, struct archive_entry *entry, int parent,
		     const char *name)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	int r = replace(x, parent, name);

	if (r < 0)
		return r;
	if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return refuse(x, name, "owner is out of range");
	if (mknodat(parent, name, S_IFIFO | (archive_entry_mode(entry) & 0777), 0) < 0 ||
	    fchownat(parent, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(x, name, "make fifo");
	return 0;
}

static int make_whiteout(struct extraction *x, int parent, const char *name)
{
	const char *hidden = name + strlen(WHITEOUT);
	char self[64];
	int r;

	if (strcmp(name, WHITEOUT_OPAQUE) == 0) {
		/* setxattr() refuses O_PATH descriptors; their name under /proc is as good. */
		(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", parent);
		if (setxattr(self, "trusted.overlay.opaque", "y", 1, 0) < 0)
			return failed(x, name, "mark directory opaque");
		return 0;
	}
	/* Other reserved names are bookkeeping of old storage drivers. */
	if (strncmp(name, WHITEOUT_RESERVED, strlen(WHITEOUT_RESERVED)) == 0)
		return 0;
	if (hidden[0] == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		return refuse(x, name, "whiteout of nothing");
	r = replace(x, parent, hidden);
	if (r == 0 && mknodat(parent, hidden, S_IFCHR, makedev(0, 0)) < 0)
		r = failed(x, name, "make whiteout");
	return r;
}

static int make_entry(struct extraction *x, struct archive_entry *entry, int parent,
		      const char *name)
{
	if (strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0)
		return make_whiteout(x, parent, name);
	if (name[0] == '\0' && archive_entry_filetype(entry) != AE_IFDIR)
		return refuse(x, "/", "the root must be a directory");
	if (archive_entry_hardlink(entry))
		return make_hardlink(x, entry, parent, name);
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return make_file(x, entry, parent, name);
	case AE_IFDIR:
		return make_dir(x, entry, parent, name);
	case AE_IFLNK:
		return make_symlink(x, entry, parent, name);
	case AE_IFIFO:
		return make_fifo(x, entry, parent, name);
	case AE_IFCHR:
	case AE_IFBLK:
		return 0; /* left out: a container's /dev is made for it */
	default:
		return refuse(x, name, "unknown kind of file");
	}
}

static int extract_all(struct extraction *x)
{
	struct archive_entry *entry;
	struct entry_path *path = mem_new(struct entry_path);
	int r = 0;

	while (r == 0) {
		int parent, got = archive_read_next_header(x->archive, &entry);

		if (got == ARCHIVE_EOF)
			break;
		if (got < ARCHIVE_WARN) {
			r = err_set(x->err, -EINVAL, "layer: %s", archive_error_string(x->archive));
			break;
		}
		if (++x->entries > x->limits.entries_max) {
			r = err_set(x->err, -EFBIG, "layer has too many entries");
			break;
		}
		r = path_clean(x, archive_entry_pathname(entry), path);
		if (r < 0)
			break;
		parent = open_dir(x, path->dir);
		if (parent < 0) {
			r = parent;
			break;
		}
		r = make_entry(x, entry, parent, path->name);
		(void)close(parent);
	}
	free(path);
	return r;
}

int layer_extract(int archive_fd, int root_fd, struct layer_limits limits, struct err *err)
{
	struct extraction x = {.root_fd = root_fd, .limits = limits, .err = err};
	int r;

	x.archive = archive_read_new();
	if (!x.archive)
		return err_set(err, -ENOMEM, "libarchive: %s", strerror(ENOMEM));
	/* The kinds of layers there are; every other decoder of the library stays unreachable. */
	(void)archive_read_support_filter_gzip(x.archive);
	(void)archive_read_support_filter_zstd(x.archive);
	(void)archive_read_support_format_tar(x.archive);
	(void)archive_read_support_format_empty(x.archive);
	if (archive_read_open_fd(x.archive, archive_fd, READ_BLOCK) != ARCHIVE_OK)
		r = err_set(err, -EINVAL, "layer: %s", archive_error_string(x.archive));
	else
		r = extract_all(&x);
	(void)archive_read_free(x.archive);
	return r;
}
