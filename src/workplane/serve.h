/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serve: what the host process asks of the agent (messages.def, to and from the agent).
 *
 * The agent listens in the pod's directory, where only root may connect: a host process that was
 * started anew finds the agent again. What was asked by one that has gone is dropped.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"

struct serve;

enum {
	SERVE_LINKS_MAX = 4,    /* the host process, and those before it that are still going */
	SERVE_CHECKS_MAX = 128, /* three for each of 32 containers, and some that are ending */
};

/* @listen_fd: a listening socket that does not block; it is taken over. */
_must_use_ int serve_new(struct loop *loop, int listen_fd, struct serve **ret_serve,
			 struct err *err);
void serve_free(struct serve *serve);
