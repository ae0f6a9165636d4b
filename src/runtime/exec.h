/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exec: a process that somebody runs in a container (`kubectl exec`), or the streams of the
 * container's first one (`kubectl attach`), from the request to its end.
 *
 *   exec_new() --> started(0): frames flow on the socket --> done()
 *             \--> started(why not)                      --> done()
 *
 * When the client leaves, a process that was run for it is hung up, and killed when that does not
 * end it; one that was only looked at goes on. exec_free() is for before done(): it does the same.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/id.h"
#include "runtime/pods.h"

struct exec;

enum {
	EXEC_WORDS_MAX = 1024, /* of a command; the same as in a manifest */
	/* For a shell to write its history, and for others to tidy up. */
	EXEC_HANGUP_MS = 2000,
};

struct exec_request {
	struct uid pod;
	const char *container;
	/* Borrowed; none: attach. */
	const char *const *command;
	size_t command_count;
	bool in, out, err, is_tty; /* which streams the client has; attach knows the tty itself */
};

struct exec_handler {
	/* @why->code 0: it runs. Called once, from the loop. */
	void (*started)(void *user, const struct err *why);
	/* All is over; nothing of it is left and it is gone after this. */
	void (*done)(void *user);
	void *user;
};

/* @socket: one end of a stream socket pair that will carry frames (wire/frame.h); it is taken over,
 * also on failure. Fails at once (404, 400, 501) without a call of @handler. */
_must_use_ int exec_new(struct pods *pods, const struct exec_request *request, int socket,
			const struct exec_handler *handler, struct exec **ret_exec,
			struct err *err);

/* The client's side is gone, for instance the process that held it: no more calls of @handler. */
void exec_abandon(struct exec *exec);
