/* SPDX-License-Identifier: Apache-2.0 */
/* Probe exec: a command run in a container to see whether it is well, with a time limit. */
#pragma once

#include "runtime/agent.h"
#include "runtime/pods.h"

struct container;
struct probe_exec;

enum {
	PROBE_OUTPUT_MAX = 1024, /* of what it says, as the text of a failure */
};

/* @command: JSON strings. Answered once, never from within this call, unless freed before. */
_must_use_ struct probe_exec *probe_exec_new(struct container *container, const json_t *command,
					     int64_t timeout_ms, agent_fn *done, void *user);
/* What still runs is hung up, then killed. NULL is accepted. */
void probe_exec_free(struct probe_exec *probe);
