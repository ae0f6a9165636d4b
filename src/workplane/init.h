/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init: the agent as first process of a pod that has a process space of its own (a microVM, or a
 * container whose image has no init): it runs the application as its child.
 *
 * Signals go on to the application. Whatever process loses its parent becomes a child here, and is
 * reaped when it ends; the application's own end is never mistaken for one of those. When it ends
 * everything ends, with its status.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"

enum {
	/* As shells have it: */
	INIT_NOT_FOUND = 127,
	INIT_NOT_RUN = 126,
	INIT_SIGNALLED = 128, /* and the number of the signal above it */
};

/* Run @command (ended by NULL; looked for in PATH) until it ends. 0 with the exit status for this
 * process to end with, or a negative errno with a sentence: it could not even be begun. */
_must_use_ int init_run(char *const *command, int *ret_status, struct err *err);
