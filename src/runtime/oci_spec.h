/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI specification: the config.json of one container run, from pod, image and machine. Pure: it
 * reads nothing but its arguments.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/attr.h"
#include "base/err.h"
#include "runtime/files.h"
#include "runtime/image_config.h"
#include "runtime/image_user.h"
#include "runtime/pod_facts.h"
#include "runtime/pod_spec.h"

/* All borrowed. */
struct oci_inputs {
	const struct pod_spec *pod;
	const struct container_spec *container;
	const struct image_config *image;
	const struct image_user *image_user; /* of the user that oci_user() names */
	struct pod_facts facts;
	const json_t *config; /* a snapshot (config.h) with all that the container names */
	const char *local_peer_id;
	const char *volumes_dir; /* where claims lie; NULL: nowhere */
	const char *pod_dir;     /* where ns/, etc/, shm and volumes/ of the pod lie */
	const char *rootfs;
	const char *parts_dir; /* where parts of volumes are held, by the number of their mount */
	const char *cgroup;
	const char *seccomp;  /* compiled, base64 */
	uint64_t nofile_max;  /* this process's own hard limit: more cannot be given */
	int oom_score_min;    /* the least that this process may set */
	bool has_swap_limits; /* the kernel can limit memory and swap together */
};

/* Whom the container runs as, in image_user.h's notation: the manifest's word before the image's.
 */
void oci_user(const struct container_spec *container, const struct image_config *image,
	      char *ret_user, size_t size);

/* Where @volume lies on this machine. -ENOENT: its claim is not here. */
_must_use_ int oci_volume_path(const struct oci_inputs *inputs, const struct volume *volume,
			       struct path *ret_path, struct err *err);

/* Whether a part of its volume has to be held for @mount: not of those that we alone write. */
bool oci_mount_is_part(const struct volume_mount *mount);

/* Which part of its volume @mount wants: relative, without "..". -EINVAL when the environment does
 * not make one of it. */
_must_use_ int oci_sub_path(const struct oci_inputs *inputs, const struct volume_mount *mount,
			    struct path *ret_path, struct err *err);

/*
 * Build it; the caller owns *@ret_spec. -EINVAL with a sentence where image and manifest leave
 * nothing to run or contradict each other (runAsNonRoot with root).
 */
_must_use_ int oci_spec_build(const struct oci_inputs *inputs, json_t **ret_spec, struct err *err);
