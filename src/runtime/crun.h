/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the crun engine share, and what its caller needs for watching a container. */
#pragma once

#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"
#include "runtime/engine.h"

enum {
	CRUN_VERSION_MAX = 32,
};

struct engine_crun {
	struct engine base;
	char *root; /* crun's own state */
	char *crun, *conmon;
	char version[CRUN_VERSION_MAX];
};

struct engine_crun *engine_crun(struct engine *engine);

/* The conmon of the container in @bundle; 0 if there is none on record. Its end is the container's.
 */
pid_t crun_conmon_pid(const char *bundle);

/* crun_exec.c: as in engine.h */
int crun_exec(struct engine *engine, const struct engine_container *container,
	      struct engine_exec *exec, struct err *err);
int crun_exec_signal(struct engine *engine, const struct engine_container *container,
		     const char *name, int signal);
int crun_exec_end(struct engine *engine, const struct engine_container *container, const char *name,
		  struct err *err);
int crun_attach(struct engine *engine, const struct engine_container *container,
		struct engine_attach *ret_attach, struct err *err);

/* Run one container that does nothing, with limits, and see it end well. */
_must_use_ int crun_probe_container(struct engine *engine, const char *root, struct err *err);
