/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Link: a channel driven by a libuv loop.
 *
 * The owner is told of each message, and once of the end; after on_closed it calls
 * ipc_link_close(). Callbacks may send. The message is the owner's to look at until it returns.
 */
#pragma once

#include <uv.h>

#include "ipc/channel.h"

struct ipc_link;

struct ipc_handler {
	void (*on_message)(void *owner, struct ipc_message *message);
	/* @why: IPC_E_CLOSED, IPC_E_PROTOCOL or a negative errno. */
	void (*on_closed)(void *owner, int why);
	void *owner;
};

/* Takes @fd. */
_must_use_ int ipc_link_new(uv_loop_t *loop, int fd, enum ipc_side self, enum ipc_side peer,
			    struct ipc_handler handler, struct ipc_link **ret_link);

/* Queue and write at once as far as possible; the errors of ipc_send(). A peer found gone here is
 * reported through on_closed, never from within this call. */
int ipc_link_send(struct ipc_link *link, enum ipc_type type, const ProtobufCMessage *body, int fd);

/* No callback follows. The memory goes when the loop has turned. NULL is accepted. */
void ipc_link_close(struct ipc_link *link);
