/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engine: what a machine needs from something that can run containers.
 *
 * An engine is a table of functions. Every function blocks for as long as its work takes (bounded
 * by the engine's own timeouts), so the host process calls it from worker threads only, never two
 * calls for one container at once. What runs belongs to the operating system, not to the engine:
 * the engine, its caller and the whole host process may die and start again at any time, and find
 * by list() what is still there.
 *
 * Life of a container, as the engine sees it:
 *
 *   (nothing) --prepare--> PREPARED --start--> RUNNING --its own end, or stop--> EXITED
 *       ^                     |                   |                                |
 *       +------- remove ------+------- remove ----+------------ remove ------------+
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

struct engine;

enum engine_state {
	ENGINE_GONE, /* the engine knows nothing of it */
	ENGINE_PREPARED,
	ENGINE_RUNNING,
	ENGINE_EXITED,
};

enum {
	ENGINE_ID_MAX = 96, /* pod uid, dash, container name (63), dash, run; cut by its maker */
};

/* One run of one container. All strings are borrowed. */
struct engine_container {
	const char *id;       /* unique on this machine */
	const char *bundle;   /* directory with config.json and the mounted rootfs */
	const char *exit_dir; /* the file exit_dir/id appears with the exit code in it */
	const char *log_path; /* grows in the format of log_read.h */
	const char *cgroup;   /* cgroup path of the container, as in its config.json */
	bool is_tty;
	bool has_stdin;  /* what attach() brings reaches it; else its input is empty */
	bool stdin_once; /* its input ends with the first who was attached */
};

/* One more process in a running container. */
struct engine_exec {
	const char *name; /* unique among those of the container: names files in its bundle */
	const char *const *command;
	size_t command_count;
	bool is_tty;
	int in, out, err; /* its ends, borrowed; -1: none. Unused with a terminal. */
	/* Results. */
	pid_t runner; /* a child of the caller: ends with the process, with its exit code */
	int terminal; /* with @is_tty: the end of whoever sits at it; the caller's. Else -1. */
};

/* The streams of a running container's first process; both descriptors are the caller's. */
struct engine_attach {
	int streams; /* SOCK_SEQPACKET. Read: a byte 2 (stdout) or 3 (stderr), then data. Written:
			its input; half-closing it ends that. */
	int control; /* takes "ROWS COLUMNS\n" for its terminal */
};

struct engine_status {
	enum engine_state state;
	pid_t pid;       /* of the container's first process while RUNNING */
	int exit_code;   /* when EXITED: 0-255, 128 + signal where it died of one */
	bool oom_killed; /* when EXITED: the kernel killed in its cgroup for want of memory */
};

struct engine_ops {
	const char *name; /* as annotation magik.io/runtime has it */
	/* Whether it truly works here, found by doing. @err says why not. */
	int (*probe)(struct engine *engine, struct err *err);
	/* "1.8.1"; valid while the engine is. */
	const char *(*version)(const struct engine *engine);
	/* NULL for an engine that runs containers. Otherwise nothing is ever started: pods are said
	 * to run after so many milliseconds, and nothing below is called for them. */
	int64_t (*pretend_ms)(const struct engine *engine);
	/* Create everything but let no instruction of the image run. On failure nothing is left. */
	int (*prepare)(struct engine *engine, const struct engine_container *container,
		       struct err *err);
	int (*start)(struct engine *engine, const struct engine_container *container,
		     struct err *err);
	/* Send @signal to the container's first process; to all of them if it is SIGKILL. Does not
	 * wait. Success also if it has ended already. */
	int (*stop)(struct engine *engine, const struct engine_container *container, int signal,
		    struct err *err);
	int (*status)(struct engine *engine, const struct engine_container *container,
		      struct engine_status *ret_status, struct err *err);
	/* Start a process in a running container; returns as soon as it is on its way. */
	int (*exec)(struct engine *engine, const struct engine_container *container,
		    struct engine_exec *exec, struct err *err);
	/* Send @signal to the process @name and all of its session. Success also if it has ended;
	 * -EAGAIN while it is not yet known. Does not block. */
	int (*exec_signal)(struct engine *engine, const struct engine_container *container,
			   const char *name, int signal);
	/* After its runner has ended: remove its files. An error says why it could not be run.
	 * Does not block. */
	int (*exec_end)(struct engine *engine, const struct engine_container *container,
			const char *name, struct err *err);
	int (*attach)(struct engine *engine, const struct engine_container *container,
		      struct engine_attach *ret_attach, struct err *err);
	/* Kill what runs and remove every trace but bundle and log. Success if there is none. */
	int (*remove)(struct engine *engine, const struct engine_container *container,
		      struct err *err);
	/* Call @found for the id of everything the engine holds. */
	int (*list)(struct engine *engine, void (*found)(void *ctx, const char *id), void *ctx,
		    struct err *err);
	struct engine *(*free)(struct engine *engine);
};

/* The head of every engine's own struct. */
struct engine {
	const struct engine_ops *ops;
};

/*
 * crun under conmon. @run_dir holds crun's own state; @conmon and @crun are paths or NULL for
 * those found in PATH.
 */
_must_use_ struct engine *engine_crun_new(const char *run_dir, const char *crun,
					  const char *conmon);

/* Runs nothing, and says that a pod runs @delay_ms after it was asked for. For measurements. */
_must_use_ struct engine *engine_null_new(int64_t delay_ms);
