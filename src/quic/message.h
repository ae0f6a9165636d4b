/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages: reliable, unordered, each delivered once.
 *
 *   DATAGRAM frame:        id (8 bytes, big endian, from 1), then the message to the frame's end
 *   unidirectional stream: id (8 bytes; 0: sent in no other way), then the message to the end
 *
 * A small message travels as a DATAGRAM. When the library reports it lost it goes again under the
 * same id, at last on a stream; a loss may have been imagined, so the receiver remembers the ids of
 * the last MESSAGE_WINDOW and drops repeats. The sender keeps the ids it has not seen acknowledged
 * within that window, so an honest peer never loses a message by it. A large message has a stream
 * of its own from the beginning.
 */
#pragma once

#include <ngtcp2/ngtcp2.h>

#include "base/bytes.h"
#include "base/list.h"
#include "quic/flow.h"

enum {
	MESSAGE_HEADER_LEN = 8,
	/* One packet of the smallest size QUIC permits (1200) less its own headers, with air. */
	MESSAGE_DATAGRAM_MAX = 1120,
	MESSAGE_ATTEMPTS_MAX = 3, /* as DATAGRAM, before a stream takes over */
	MESSAGE_WINDOW = 4096,    /* ids; twice what may be unacknowledged */
	/* What a peer may have half sent: as much as it may have queued, and headers. */
	MESSAGE_ASSEMBLY_MAX = 4 * 1024 * 1024 + 64 * 1024,
	MESSAGE_STREAMS_MAX = 100,
};

struct message {
	struct list link; /* on one list of struct messages */
	struct flow flow; /* when on a stream */
	uint64_t id;      /* 0: none yet */
	unsigned attempts;
	bool due;        /* outstanding, and to be sent (again) */
	bool taken_over; /* began as DATAGRAM, goes on a stream */
	bool ended;      /* on a stream: everything was given to the library */
	size_t written;  /* on a stream */
	size_t len;      /* header included */
	uint8_t data[];  /* header, then the message */
};

struct message_window {
	uint64_t top; /* the highest id seen */
	uint64_t bits[MESSAGE_WINDOW / 64];
};

struct messages {
	struct list small;       /* waiting for their first DATAGRAM */
	struct list outstanding; /* sent as DATAGRAM, in order of ids */
	struct list large;       /* waiting for a stream */
	struct list streaming;   /* on a stream */
	size_t due;              /* of outstanding */
	size_t taken_over; /* of large and streaming: began as DATAGRAM, still in the window */
	uint64_t next_id;
	size_t bytes, count; /* all of the above */
	size_t streaming_bytes;

	struct message_window *seen; /* NULL before the first */
	struct list assembling;      /* struct assembly */
	size_t assembling_bytes, withheld;
};

void messages_init(struct messages *messages);
void messages_deinit(struct quic_conn *conn);

_must_use_ int messages_queue(struct quic_conn *conn, struct bytes message);

/* Give streams to large messages as far as the peer allows. Before a round of writing. */
void messages_prepare(struct quic_conn *conn);

/* The message whose DATAGRAM is due, or NULL. */
struct message *messages_due(struct quic_conn *conn);
void message_sent(struct quic_conn *conn, struct message *message);

/* The peer takes no datagrams, or not of this size: use a stream. */
void message_use_stream(struct quic_conn *conn, struct message *message);

/* The library's name for one attempt. */
uint64_t message_attempt_id(const struct message *message);
void messages_acked(struct quic_conn *conn, uint64_t attempt_id);
void messages_lost(struct quic_conn *conn, uint64_t attempt_id);

/* What is left to write of a message on a stream, and that it was written. */
size_t message_peek(const struct message *message, ngtcp2_vec *vec, size_t vec_max, bool *ret_end);
void message_advance(struct message *message, size_t len, bool ended);

/* The stream of an outgoing message is gone. */
void message_stream_closed(struct quic_conn *conn, struct flow *flow);

/* Receiving. False: the peer broke the rules; the connection is ending. */
_must_use_ bool messages_recv_datagram(struct quic_conn *conn, struct bytes datagram);
struct flow *assembly_new(struct quic_conn *conn, int64_t stream_id);
_must_use_ bool assembly_recv(struct quic_conn *conn, struct flow *flow, struct bytes data,
			      bool end);
void assembly_free(struct quic_conn *conn, struct flow *flow);

/* Exposed for its test: whether @id was not seen before, which it is from now on. */
bool message_window_accept(struct message_window *window, uint64_t id);
