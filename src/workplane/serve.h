/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serve: what the host process and the agent say to each other (messages.def, to and from the
 * agent). Probes are answered here; everything else is handed on.
 *
 * The agent listens in the pod's directory, where only root may connect: a host process that was
 * started anew finds the agent again. What was asked by one that has gone is dropped.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"
#include "ipc/channel.h"

struct serve;

enum {
	SERVE_LINKS_MAX = 4,    /* the host process, and those before it that are still going */
	SERVE_CHECKS_MAX = 128, /* three for each of 32 containers, and some that are ending */
};

/* @listen_fd: a listening socket that does not block; it is taken over. */
_must_use_ int serve_new(struct loop *loop, int listen_fd, struct serve **ret_serve,
			 struct err *err);
void serve_free(struct serve *serve);

/* Who wants to know what the host process says. Each is called from the loop and may ask back. */
struct serve_listener {
	/* A host process has connected: what was asked of one before has to be asked again. */
	void (*on_link)(void *user);
	/* @message is looked at within the call only. */
	void (*on_message)(void *user, const struct ipc_message *message);
	void *user;
};

enum {
	SERVE_LISTENERS_MAX = 6, /* one for each part of the agent that speaks with the machine */
};

/* Copied; either function may be NULL. Before the loop runs. */
void serve_listen(struct serve *serve, const struct serve_listener *listener);

/* Say something to the host process that has connected last. 0, or a negative errno: -ENOTCONN. */
_must_use_ int serve_say(struct serve *serve, enum ipc_type type, const ProtobufCMessage *body);
