/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root filesystem of a container run: the image's layers below a writable layer of its own.
 *
 * In the container's directory: upper/ and work/ are overlayfs', rootfs/ is the mount. Each run
 * starts with an empty upper layer, as Kubernetes has it.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

/* @layers: names of directories below @layers_dir, lowest first. */
_must_use_ int rootfs_mount(const char *dir, const char *layers_dir, char *const *layers,
			    size_t layer_count, struct err *err);

/* Unmount and remove upper and work. Success if there is nothing. */
_must_use_ int rootfs_unmount(const char *dir, struct err *err);
