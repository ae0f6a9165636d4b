/* SPDX-License-Identifier: Apache-2.0 */
/* A projected volume on its way to a directory, version by version. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/files.h"
#include "runtime/projected.h"

#define CURRENT "..data"
#define CURRENT_NEW "..data_new"

enum {
	GROUP_READS = 0440, /* with an fsGroup, its members may read, as in Kubernetes */
};

/* Which of the two versions is to be written; the other one is being read. */
static const char *next_version(const char *dir)
{
	char target[8] = {0};
	ssize_t len = readlink(path_format("%s/" CURRENT, dir).text, target, sizeof(target) - 1);

	return len > 0 && strcmp(target, "..a") == 0 ? "..b" : "..a";
}

static int make_parents(const char *root, const char *path)
{
	struct path dir = path_format("%s/%s", root, path);
	char *slash = strrchr(dir.text, '/');

	*slash = '\0';
	return dir_make(dir.text, 0755);
}

static int write_file(const char *root, const struct projected_file *file, uid_t owner,
		      int64_t group)
{
	struct path path = path_format("%s/%s", root, file->path);
	mode_t mode = (mode_t)file->mode;
	int r = make_parents(root, file->path);

	if (r < 0)
		return r;
	if (group != POD_ID_UNSET)
		mode |= GROUP_READS;
	r = file_replace(path.text, bytes_buf(&file->content), mode);
	if (r == 0 && (owner != 0 || group != POD_ID_UNSET) &&
	    chown(path.text, owner, group == POD_ID_UNSET ? (gid_t)-1 : (gid_t)group) < 0)
		r = err_origin(-errno);
	return r;
}

static int write_version(const char *root, const struct projected *projected, int64_t group)
{
	/* What was left of an attempt that was cut off. */
	int r = tree_remove(root);

	if (r == 0)
		r = dir_make(root, 0755);
	for (size_t i = 0; r == 0 && i < projected->count; i++)
		r = write_file(root, &projected->files[i], projected->owner, group);
	return r;
}

static int replace_link(const char *dir, const char *version)
{
	struct path temporary = path_format("%s/" CURRENT_NEW, dir);

	if ((unlink(temporary.text) < 0 && errno != ENOENT) ||
	    symlink(version, temporary.text) < 0 ||
	    rename(temporary.text, path_format("%s/" CURRENT, dir).text) < 0)
		return err_origin(-errno);
	return 0;
}

/* Names for what the present version holds at its top. */
static int add_names(const char *dir, const struct projected *projected)
{
	for (size_t i = 0; i < projected->count; i++) {
		int len = (int)strcspn(projected->files[i].path, "/");
		const char *path = projected->files[i].path;

		if (symlink(path_format(CURRENT "/%.*s", len, path).text,
			    path_format("%s/%.*s", dir, len, path).text) < 0 &&
		    errno != EEXIST)
			return err_origin(-errno);
	}
	return 0;
}

static bool has_name(const struct projected *projected, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < projected->count; i++)
		if (strncmp(projected->files[i].path, name, len) == 0 &&
		    (projected->files[i].path[len] == '/' || projected->files[i].path[len] == '\0'))
			return true;
	return false;
}

static int remove_names(const char *dir, const struct projected *projected)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;
	int r = 0;

	if (!stream)
		return err_origin(-errno);
	while ((entry = readdir(stream)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strncmp(entry->d_name, "..", 2) != 0 &&
		    !has_name(projected, entry->d_name) &&
		    unlinkat(dirfd(stream), entry->d_name, 0) < 0)
			r = err_origin(-errno);
	(void)closedir(stream);
	return r;
}

int projected_write(const char *dir, const struct projected *projected, int64_t group,
		    struct err *err)
{
	const char *version = next_version(dir), *before = version[2] == 'a' ? "..b" : "..a";
	int r = write_version(path_format("%s/%s", dir, version).text, projected, group);

	if (r == 0)
		r = replace_link(dir, version);
	if (r == 0)
		r = add_names(dir, projected);
	if (r == 0)
		r = remove_names(dir, projected);
	if (r == 0)
		r = tree_remove(path_format("%s/%s", dir, before).text);
	return r < 0 ? err_set(err, r, "write %s: %s", dir, strerror(-r)) : 0;
}
