/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Child: run a program to its end from a worker thread, with a time limit.
 *
 * Blocks; never call it on a loop's thread. The child starts with no descriptor but those named, an
 * environment of its own and the default signal dispositions.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
	CHILD_FDS_MAX = 16,
	CHILD_OUTPUT_MAX = 1 << 20, /* what is kept of its output */
};

/* Descriptor @ours becomes number @theirs in the child. */
struct child_fd {
	int ours, theirs;
};

struct child_options {
	const char *const *argv; /* argv[0] is a path, or a name to be looked for in PATH */
	const char *const *env;  /* NULL: PATH and LANG=C only */
	const char *cwd;         /* NULL: this process's own */
	const struct child_fd *fds;
	size_t fd_count;
	bool own_session;
	struct buf *output; /* child_run(): stdout and stderr are appended here; may be NULL */
};

/* Start and do not wait. stdin, stdout are /dev/null unless named in @fds, stderr is ours. */
_must_use_ int child_spawn(const struct child_options *options, pid_t *ret_pid, struct err *err);

/*
 * Run to the end or for @timeout_ms, then kill. 0 if it exited with 0; -EPROTO if with anything
 * else, @err then carries the last line it wrote to stderr; -ETIMEDOUT.
 */
_must_use_ int child_run(const struct child_options *options, int timeout_ms, struct err *err);

/* Wait until @fd is readable or closed: 0, -ETIMEDOUT, or a negative errno. */
_must_use_ int child_wait_readable(int fd, int timeout_ms);

/* A descriptor for process @pid that becomes readable when it ends; negative errno. */
int child_pidfd(pid_t pid);

/* When @pid started, in clock ticks since boot: with the pid it names a process for good. 0 if
 * there is no such process. */
uint64_t child_start_time(pid_t pid);
