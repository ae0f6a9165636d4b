/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/rootfs.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/bytes.h"
#include "runtime/files.h"

/*
 * mount(2) takes one page of options. Layers are named relative to their common directory, so that
 * some sixty of them fit; for that this thread gets a working directory of its own.
 */
static int mount_overlay(const char *layers_dir, const char *options, const char *to)
{
	int r = 0;

	if (unshare(CLONE_FS) < 0 || chdir(layers_dir) < 0)
		return err_origin(-errno);
	/* No devices: an image's own would be the machine's. */
	if (mount("overlay", to, "overlay", MS_NODEV, options) < 0)
		r = err_origin(-errno);
	/* Leaving the directory again only lets it be removed later. */
	if (chdir("/") < 0 && r == 0)
		r = err_origin(-errno);
	return r;
}

int rootfs_mount(const char *dir, const char *layers_dir, char *const *layers, size_t layer_count,
		 struct err *err)
{
	struct path to = path_format("%s/rootfs", dir);
	struct path upper = path_format("%s/upper", dir);
	struct path work = path_format("%s/work", dir);
	struct buf options = {0};
	int r;

	r = dir_make(to.text, 0755);
	if (r == 0)
		r = dir_make(upper.text, 0755);
	if (r == 0)
		r = dir_make(work.text, 0700);
	if (r < 0)
		return err_set(err, r, "make %s: %s", dir, strerror(-r));
	if (layer_count == 0)
		return err_set(err, -EINVAL, "the image has no layers");
	buf_append_str(&options, "lowerdir=");
	for (size_t i = layer_count; i > 0; i--)
		buf_append_format(&options, "%s%s", layers[i - 1], i > 1 ? ":" : "");
	buf_append_format(&options, ",upperdir=%s,workdir=%s", upper.text, work.text);
	if (options.len >= (size_t)sysconf(_SC_PAGESIZE))
		r = err_set(err, -E2BIG, "the image has too many layers, %zu", layer_count);
	else
		r = mount_overlay(layers_dir, buf_cstr(&options), to.text);
	buf_deinit(&options);
	if (r < 0 && r != -E2BIG)
		(void)err_set(err, r, "mount %s: %s", to.text, strerror(-r));
	return r;
}

int rootfs_unmount(const char *dir, struct err *err)
{
	static const char *const parts[] = {"rootfs", "upper", "work"};
	struct path to = path_format("%s/rootfs", dir);

	/* EINVAL: not mounted; ENOENT: never made. */
	if (umount2(to.text, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return err_set(err, -errno, "unmount %s: %s", to.text, strerror(errno));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct path path = path_format("%s/%s", dir, parts[i]);
		int r = tree_remove(path.text);

		if (r < 0)
			return err_set(err, r, "remove %s: %s", path.text, strerror(-r));
	}
	return 0;
}
