/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session: carries the streams of one process, as frames (wire/frame.h), between a socket and the
 * process's own ends.
 *
 * Nothing is read from one side that the other does not take: a client that reads slowly makes the
 * process wait, and the other way round. What is held is bounded by SESSION_HELD_MAX each way.
 *
 *   OPEN --session_end()--> ENDING: what the process has left is sent, then its status
 *     |                        | all taken
 *     |  the client has gone   v
 *     +-----------------> ended(), once; the owner then frees the session
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "io/loop.h"
#include "wire/frame.h"

struct session;

enum {
	SESSION_HELD_MAX = 64 * 1024,
};

/* The process's ends; each is the session's from now on, -1: none. */
struct session_ends {
	int in;       /* takes what the client writes */
	int out, err; /* what the process writes */
	/* What @out brings is packets of conmon: a byte that names the stream, then data. */
	bool is_packets;
	/* @in and @out are one terminal: the end of input is a character. */
	bool is_terminal;
};

struct session_handler {
	/* The client's window has changed, as a terminal at @out knows already; may be NULL. */
	void (*resize)(void *user, struct frame_size size);
	/* The process has closed all of its output; may be NULL. */
	void (*drained)(void *user);
	/* All has been said, or (@gone) the client has left before. */
	void (*ended)(void *user, bool gone);
	void *user;
};

/* @socket: one end of a stream socket pair, the session's from now on, also on failure. */
_must_use_ int session_new(struct loop *loop, int socket, const struct session_ends *ends,
			   const struct session_handler *handler, struct session **ret_session);
void session_free(struct session *session);

/* The process has ended, or could not be run (FRAME_NOT_RUN with @text). Once; ended() may be
 * called before this returns. */
void session_end(struct session *session, int32_t code, const char *text);
