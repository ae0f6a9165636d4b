/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream: ordered bytes in both directions, with back-pressure in each.
 *
 * Written bytes are copied into chunks that stay where they are until the peer has acknowledged
 * them, for the library sends from this memory, again if it must.
 */
#pragma once

#include <ngtcp2/ngtcp2.h>

#include "base/bytes.h"
#include "base/list.h"
#include "quic/endpoint.h"
#include "quic/flow.h"

struct stream_chunk {
	struct stream_chunk *next;
	size_t len, cap;
	uint8_t data[];
};

struct quic_stream {
	struct flow flow;
	struct list link; /* on conn->streams */
	void *user;
	struct stream_chunk *head, *tail; /* everything not acknowledged */
	struct stream_chunk *sending;     /* where the next byte to send is; NULL: at the end */
	size_t sending_at;
	uint64_t acked, head_offset; /* bytes acknowledged; offset of head's first byte */
	uint64_t queued;             /* bytes accepted, ever */
	bool wants_room;             /* the last write was short */
	bool finishing, finished;    /* the end is to be sent; was given to the library */
	bool dead;                   /* reset by either side */
	const char *why;             /* a static string, when dead */
};

/* The flow of a stream that the peer has opened; announced to the application by the caller. */
struct quic_stream *stream_new(struct quic_conn *conn, int64_t stream_id);
void stream_free(struct quic_stream *stream);

size_t stream_peek(const struct quic_stream *stream, ngtcp2_vec *vec, size_t vec_max,
		   bool *ret_end);
void stream_advance(struct quic_stream *stream, size_t len, bool ended);
void stream_acked(struct quic_stream *stream, uint64_t upto);

/* The peer has given up one direction: so do we with the other. */
void stream_broken(struct quic_stream *stream, const char *why);

/* Tell the application and free it. */
void stream_close(struct quic_stream *stream, const struct err *why);

static inline struct quic_stream *stream_of_flow(struct flow *flow)
{
	return container_of(flow, struct quic_stream, flow);
}
