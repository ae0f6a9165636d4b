/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Infra: the process that owns a pod's namespaces, and the pins that keep them should it die.
 *
 * The process is the workplane agent. The pins are files net, ipc and uts in one directory, each
 * with its namespace bind-mounted over it, in the private mount namespace of the host process.
 */
#pragma once

#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

/* A descriptor that the agent inherits, and the option that tells its number. */
struct infra_fd {
	const char *option;
	int fd; /* -1: it gets none */
};

/* One more option, and its value; NULL: it has none. */
struct infra_more {
	const char *option, *value;
};

enum {
	INFRA_FDS_MAX = 8,
	INFRA_MORE_MAX = 16,
};

struct infra_options {
	const char *agent;       /* path of the workplane binary */
	const char *pin_dir;     /* exists */
	const char *control_dir; /* where it listens, runtime/agent.h */
	const char *empty_dir;   /* becomes its root directory */
	const char *pid_file; /* "<pid> <start time>" is written there before the agent goes on */
	const char *namespace, *workload, *workload_kind, *pod, *hostname;
	uint32_t replicas;
	struct infra_fd fds[INFRA_FDS_MAX]; /* stay the caller's */
	size_t fd_count;
	struct infra_more more[INFRA_MORE_MAX];
	size_t more_count;
};

/* Start the agent in new namespaces and pin them. On failure nothing is left. Blocks for the few
 * milliseconds this takes. */
_must_use_ int infra_start(const struct infra_options *options, pid_t *ret_pid, struct err *err);

/* Start the agent again, in the pinned namespaces of its predecessor. */
_must_use_ int infra_restart(const struct infra_options *options, pid_t *ret_pid, struct err *err);

/* The live agent that @pid_file names, else 0. */
pid_t infra_find(const char *pid_file);

/* End the agent that @pid_file names, and wait for that. */
void infra_kill(const char *pid_file);

/* Unmount the pins, that of the namespace in front of the pod (pod_front.h) as well, and remove
 * their files. Success if there are none. */
_must_use_ int infra_unpin(const char *pin_dir, struct err *err);
