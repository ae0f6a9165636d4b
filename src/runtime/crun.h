/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the crun engine share, and what its caller needs for watching a container. */
#pragma once

#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

struct engine;

/* The conmon of the container in @bundle; 0 if there is none on record. Its end is the container's.
 */
pid_t crun_conmon_pid(const char *bundle);

/* Run one container that does nothing, with limits, and see it end well. */
_must_use_ int crun_probe_container(struct engine *engine, const char *root, struct err *err);
