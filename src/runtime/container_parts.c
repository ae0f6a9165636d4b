/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/container_parts.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "runtime/files.h"
#include "runtime/sub_path.h"

struct path container_parts_dir(const char *bundle)
{
	return path_format("%s/parts", bundle);
}

static int open_volume(const struct oci_inputs *inputs, const struct policy *policy,
		       const struct volume *volume, struct err *err)
{
	struct path path, link;
	char real[FILES_PATH_MAX];
	ssize_t len;
	int fd, r = oci_volume_path(inputs, volume, &path, err);

	if (r < 0)
		return r;
	fd = open(path.text, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path.text, strerror(errno));
	if (volume->kind != VOLUME_HOST_PATH)
		return fd;
	link = path_format("/proc/self/fd/%d", fd);
	len = readlink(link.text, real, sizeof(real) - 1);
	real[len > 0 ? len : 0] = '\0';
	if (len > 0 && policy_allows_host_path(policy, real))
		return fd;
	(void)close(fd);
	return err_set(err, -EACCES, "hostPath %.100s leads to %.60s, which is forbidden",
		       volume->host_path, real);
}

static int hold_part(const struct oci_inputs *inputs, const struct policy *policy, size_t index,
		     struct err *err)
{
	const struct volume_mount *mount = &inputs->container->mounts[index];
	struct path wanted, target = path_format("%s/%zu", inputs->parts_dir, index);
	int volume, part, r = oci_sub_path(inputs, mount, &wanted, err);

	if (r < 0)
		return r;
	volume = open_volume(inputs, policy, mount->volume, err);
	if (volume < 0)
		return volume;
	part = sub_path_open(volume, wanted.text, err);
	(void)close(volume);
	if (part < 0)
		return part;
	r = sub_path_hold(part, target.text, err);
	(void)close(part);
	return r;
}

int container_parts_hold(const struct oci_inputs *inputs, const struct policy *policy,
			 struct err *err)
{
	const struct container_spec *container = inputs->container;
	int r = 0;

	for (size_t i = 0; r == 0 && i < container->mount_count; i++) {
		if (!oci_mount_is_part(&container->mounts[i]))
			continue;
		r = dir_make(inputs->parts_dir, 0700);
		r = r < 0 ? err_set(err, r, "make %s: %s", inputs->parts_dir, strerror(-r))
			  : hold_part(inputs, policy, i, err);
	}
	return r;
}

void container_parts_release(const struct container_spec *container, const char *bundle)
{
	struct path dir = container_parts_dir(bundle);

	for (size_t i = 0; i < container->mount_count; i++)
		if (oci_mount_is_part(&container->mounts[i]))
			sub_path_release(path_format("%s/%zu", dir.text, i).text);
}
