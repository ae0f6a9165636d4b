/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channel: typed messages between the host process of a machine and those beside it: the fabric
 * process, and the agent of each pod.
 *
 * Two of them share a stream socket. Each message travels as one frame:
 *
 *   0        4        6        7        8
 *   | length | type   | fds    | zero   | protobuf payload, @length bytes |      (little-endian)
 *
 * A descriptor rides with the first byte of its frame. messages.def names for each type its only
 * sender, its greatest length and whether it carries a descriptor; whatever differs from that is
 * IPC_E_PROTOCOL, after which the channel is of no more use: the receiver must drop its peer.
 *
 * Bodies are protobuf-c structs: set them up with magik__ipc__<message>__init() (the INIT macros
 * do not compile without warnings); strings in them are borrowed while sending.
 *
 * The channel never blocks and owns its descriptor. Sending queues; ipc_flush() writes what the
 * socket takes. link.h drives a channel from a libuv loop.
 */
#pragma once

#include <limits.h> /* for ipc.pb-c.h */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "base/attr.h"
#include "ipc.pb-c.h"

enum ipc_side {
	IPC_HOST,
	IPC_FABRIC,
	IPC_AGENT,
};

enum ipc_type {
#define IPC_MESSAGE(type, number, message, from, max, fds) IPC_##type = (number),
#include "ipc/messages.def"
#undef IPC_MESSAGE
};

enum {
	/* Two of the largest messages: a peer that reads nothing for so long is stuck. */
	IPC_QUEUE_BYTES_MAX = 256 * 1024 * 1024,
	IPC_HEADER_LEN = 8,
	/* Descriptors received ahead of the frames that own them. */
	IPC_FDS_MAX = 16,
	/* Descriptors that wait for a peer to read: one that reads nothing must not use up all that
	 * the sender may have open. */
	IPC_QUEUE_FDS_MAX = 64,
};

enum ipc_outcome {
	_IPC_E_OK,
	IPC_E_AGAIN,    /* no whole message has arrived yet */
	IPC_E_CLOSED,   /* the peer is gone */
	IPC_E_PROTOCOL, /* the peer sent what it may not send; drop it */
};

struct ipc_channel;

/* A received message. @fd is -1 or belongs to the receiver; free it with ipc_message_deinit(). */
struct ipc_message {
	enum ipc_type type;
	ProtobufCMessage *body; /* cast to the type that messages.def names */
	int fd;
};

/* Two connected descriptors, close-on-exec: one for each side. */
_must_use_ int ipc_pair(int *ret_host_fd, int *ret_fabric_fd);

/* A channel over @fd (made non-blocking, closed with the channel) from @self to @peer. */
_must_use_ struct ipc_channel *ipc_channel_new(int fd, enum ipc_side self, enum ipc_side peer);
struct ipc_channel *ipc_channel_free(struct ipc_channel *channel);

int ipc_channel_fd(const struct ipc_channel *channel);

/*
 * Queue @body, which must be the message that @type names and which this side may send: both are
 * asserted. @fd (-1: none) passes into the channel's ownership and is closed once sent.
 * -EMSGSIZE: longer than the type allows. -ENOBUFS: IPC_QUEUE_BYTES_MAX, or IPC_QUEUE_FDS_MAX
 * descriptors, are waiting already.
 */
_must_use_ int ipc_send(struct ipc_channel *channel, enum ipc_type type,
			const ProtobufCMessage *body, int fd);

/* Write what the socket takes now. 0, or IPC_E_CLOSED, or a negative errno. */
_must_use_ int ipc_flush(struct ipc_channel *channel);

/* Whether something waits for the socket to become writable. */
bool ipc_wants_write(const struct ipc_channel *channel);

/*
 * The next whole message. 0, or an ipc_outcome, or a negative errno. Call until IPC_E_AGAIN. A
 * descriptor is closed unless the receiver takes it by setting ret_message->fd to -1.
 */
_must_use_ int ipc_receive(struct ipc_channel *channel, struct ipc_message *ret_message);

void ipc_message_deinit(struct ipc_message *message);

/* "POD_START", for logs. */
const char *ipc_type_name(enum ipc_type type);
