/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quic/conn.h"
#include "quic/endpoint_state.h"

enum {
	STREAM_CHUNK_MIN = 2048, /* small writes share a chunk */
	/* What all streams of a connection hold for their peer, unless they are very many. */
	STREAMS_BUFFER_MAX = 4 << 20,
	STREAM_SHARE_MIN = 16 << 10,
};

/* A quiet connection ends unless its users say something on it now and then. Who waits at a byte
 * stream, as for the next line of a log, has nothing to say. */
static void keep_alive_while_open(const struct quic_conn *conn)
{
	int64_t ms = conn->endpoint->config.keep_alive_ms;
	bool wanted = !list_is_empty(&conn->streams) && ms >= 0;

	if (conn->ng)
		ngtcp2_conn_set_keep_alive_timeout(
			conn->ng, wanted ? (ngtcp2_duration)ms * NGTCP2_MILLISECONDS : UINT64_MAX);
}

bool quic_conn_has_streams(const struct quic_conn *conn)
{
	return !list_is_empty(&conn->streams);
}

struct quic_stream *stream_new(struct quic_conn *conn, int64_t stream_id)
{
	struct quic_stream *stream = mem_new(struct quic_stream);

	flow_init(&stream->flow, FLOW_BYTES, conn, stream_id);
	list_append(&conn->streams, &stream->link);
	conn->stream_count++;
	keep_alive_while_open(conn);
	return stream;
}

void stream_free(struct quic_stream *stream)
{
	while (stream->head) {
		struct stream_chunk *chunk = stream->head;

		stream->head = chunk->next;
		free(chunk);
	}
	list_remove(&stream->flow.writer);
	list_remove(&stream->link);
	stream->flow.conn->stream_count--;
	keep_alive_while_open(stream->flow.conn);
	free(stream);
}

/* On the connection's list exactly while there are bytes or an end to give to the library. */
static void stream_schedule(struct quic_stream *stream)
{
	struct quic_conn *conn = stream->flow.conn;
	bool pending = stream->sending || (stream->finishing && !stream->finished);

	if (stream->dead || !pending) {
		list_remove(&stream->flow.writer);
		return;
	}
	if (list_is_empty(&stream->flow.writer))
		list_append(&conn->writers, &stream->flow.writer);
	conn_touch(conn);
}

int quic_stream_open(struct quic_conn *conn, void *user, struct quic_stream **ret_stream)
{
	struct quic_stream *stream;
	int64_t stream_id;

	if (conn->state != CONN_OPEN)
		return QUIC_E_CLOSED;
	if (ngtcp2_conn_open_bidi_stream(conn->ng, &stream_id, NULL) != 0)
		return QUIC_E_FULL;
	stream = stream_new(conn, stream_id);
	stream->user = user;
	(void)ngtcp2_conn_set_stream_user_data(conn->ng, stream_id, &stream->flow);
	*ret_stream = stream;
	return 0;
}

static void append(struct quic_stream *stream, struct bytes data)
{
	struct stream_chunk *tail = stream->tail;

	if (!tail || tail->cap - tail->len < data.len) {
		size_t cap = data.len > STREAM_CHUNK_MIN ? data.len : STREAM_CHUNK_MIN;

		tail = mem_resize(NULL, 1, sizeof(*tail) + cap); /* not zeroed: that costs much */
		*tail = (struct stream_chunk){.cap = cap};
		if (stream->tail)
			stream->tail->next = tail;
		else
			stream->head = tail;
		stream->tail = tail;
	}
	if (!stream->sending) {
		stream->sending = tail;
		stream->sending_at = tail->len;
	}
	memcpy(tail->data + tail->len, data.ptr, data.len);
	tail->len += data.len;
	stream->queued += data.len;
}

/* What it may hold: its share of what the connection may. */
static size_t stream_limit(const struct quic_stream *stream)
{
	size_t share = STREAMS_BUFFER_MAX / stream->flow.conn->stream_count;

	if (share < STREAM_SHARE_MIN)
		share = STREAM_SHARE_MIN;
	return share < QUIC_STREAM_BUFFER_MAX ? share : QUIC_STREAM_BUFFER_MAX;
}

static size_t stream_room(const struct quic_stream *stream)
{
	size_t limit = stream_limit(stream), held = (size_t)(stream->queued - stream->acked);

	return held < limit ? limit - held : 0;
}

size_t quic_stream_room(struct quic_stream *stream)
{
	size_t room = stream_room(stream);

	if (room >= STREAM_CHUNK_MIN)
		return room;
	stream->wants_room = true;
	return 0;
}

size_t quic_stream_write(struct quic_stream *stream, struct bytes data)
{
	size_t room = stream_room(stream);

	if (stream->dead || stream->finishing || !conn_is_live(stream->flow.conn))
		return 0;
	stream->wants_room = data.len > room;
	if (data.len > room)
		data.len = room;
	if (data.len > 0) {
		append(stream, data);
		stream_schedule(stream);
	}
	return data.len;
}

void quic_stream_finish(struct quic_stream *stream)
{
	stream->finishing = true;
	stream_schedule(stream);
}

void quic_stream_reset(struct quic_stream *stream, uint32_t code)
{
	struct quic_conn *conn = stream->flow.conn;

	if (stream->dead || !conn_is_live(conn))
		return;
	stream->dead = true;
	stream->why = "given up here";
	stream_schedule(stream);
	(void)ngtcp2_conn_shutdown_stream(conn->ng, 0, stream->flow.id, code);
	conn_touch(conn);
}

void stream_broken(struct quic_stream *stream, const char *why)
{
	struct quic_conn *conn = stream->flow.conn;

	if (stream->dead)
		return;
	stream->dead = true;
	stream->why = why;
	stream_schedule(stream);
	(void)ngtcp2_conn_shutdown_stream(conn->ng, 0, stream->flow.id, 0);
}

void quic_stream_consumed(struct quic_stream *stream, size_t len)
{
	struct quic_conn *conn = stream->flow.conn;

	if (!conn_is_live(conn) || len == 0)
		return;
	(void)ngtcp2_conn_extend_max_stream_offset(conn->ng, stream->flow.id, len);
	conn_touch(conn);
}

size_t stream_peek(const struct quic_stream *stream, ngtcp2_vec *vec, size_t vec_max, bool *ret_end)
{
	struct stream_chunk *chunk = stream->sending;
	size_t at = stream->sending_at, count = 0;

	for (; chunk && count < vec_max; chunk = chunk->next, at = 0) {
		vec[count].base = chunk->data + at;
		vec[count].len = chunk->len - at;
		count++;
	}
	*ret_end = stream->finishing && !chunk;
	return count;
}

void stream_advance(struct quic_stream *stream, size_t len, bool ended)
{
	while (stream->sending) {
		size_t left = stream->sending->len - stream->sending_at;

		if (len < left) {
			stream->sending_at += len;
			break;
		}
		len -= left;
		stream->sending = stream->sending->next;
		stream->sending_at = 0;
	}
	stream->finished = stream->finished || ended;
	stream_schedule(stream);
}

void stream_acked(struct quic_stream *stream, uint64_t upto)
{
	struct quic_conn *conn = stream->flow.conn;

	stream->acked = upto;
	while (stream->head && stream->head != stream->sending &&
	       stream->head_offset + stream->head->len <= upto) {
		struct stream_chunk *chunk = stream->head;

		stream->head = chunk->next;
		stream->head_offset += chunk->len;
		if (stream->tail == chunk)
			stream->tail = NULL;
		free(chunk);
	}
	/* Half empty, so that a writer is woken for more than a few bytes. */
	if (stream->wants_room && stream->queued - stream->acked <= stream_limit(stream) / 2) {
		stream->wants_room = false;
		if (conn_is_live(conn) && conn->endpoint->handler->stream_writable)
			conn->endpoint->handler->stream_writable(conn->endpoint->user, stream);
	}
}

void stream_close(struct quic_stream *stream, const struct err *why)
{
	struct quic_endpoint *endpoint = stream->flow.conn->endpoint;
	struct err broken;

	if (stream->dead && !why) {
		(void)err_set(&broken, -ECONNRESET, "%s", stream->why);
		why = &broken;
	}
	/* Nothing it does in there may reach the library's stream, which is gone. */
	stream->dead = true;
	list_remove(&stream->flow.writer);
	if (endpoint->handler->stream_closed)
		endpoint->handler->stream_closed(endpoint->user, stream, why);
	stream_free(stream);
}

void quic_stream_set_user(struct quic_stream *stream, void *user)
{
	stream->user = user;
}

void *quic_stream_user(const struct quic_stream *stream)
{
	return stream->user;
}

struct quic_conn *quic_stream_conn(const struct quic_stream *stream)
{
	return stream->flow.conn;
}
