/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing: one packet after the other until the congestion window, the pacer or the sink says stop.
 *
 * While a packet is being filled (NGTCP2_ERR_WRITE_MORE) the library permits no other call on the
 * connection, so what may be written is decided before: streams for messages are opened first, and
 * a stream found blocked stays out for the rest of the round.
 */
#include <assert.h>

#include "quic/conn.h"
#include "quic/endpoint_state.h"
#include "quic/stream.h"

enum {
	WRITE_VEC_MAX = 8,
	WRITE_TURN = 16 << 10, /* bytes of one stream: four have their turn in a train of packets */
};

struct round {
	struct path_storage path;
	ngtcp2_tstamp ts;
	uint8_t *dest;
	bool application; /* the peer is known: data may go */
};

static struct flow *next_writer(struct quic_conn *conn)
{
	list_for_each (link, &conn->writers) {
		struct flow *flow = list_entry(link, struct flow, writer);

		if (!flow->blocked)
			return flow;
	}
	return NULL;
}

static ngtcp2_ssize write_datagram(struct quic_conn *conn, struct round *round,
				   struct message *message)
{
	ngtcp2_vec vec = {.base = message->data, .len = message->len};
	int accepted = 0;
	ngtcp2_ssize n = ngtcp2_conn_writev_datagram(
		conn->ng, &round->path.path, NULL, round->dest, OUTPUT_PACKET_LOCAL, &accepted,
		NGTCP2_WRITE_DATAGRAM_FLAG_MORE, message_attempt_id(message), &vec, 1, round->ts);

	if (accepted)
		message_sent(conn, message);
	if (n == NGTCP2_ERR_INVALID_STATE || n == NGTCP2_ERR_INVALID_ARGUMENT) {
		message_use_stream(conn, message);
		conn_touch(conn);
		return NGTCP2_ERR_WRITE_MORE;
	}
	return n;
}

/* Round robin: a stream that has had its turn goes to the end. A turn is several packets long, for
 * who receives them pays for each change of the stream. */
static void flow_advance(struct quic_conn *conn, struct flow *flow, size_t len, bool ended)
{
	if (flow->kind == FLOW_BYTES)
		stream_advance(stream_of_flow(flow), len, ended);
	else
		message_advance(container_of(flow, struct message, flow), len, ended);
	flow->turn += len;
	if (flow->kind == FLOW_BYTES && flow->turn >= WRITE_TURN && !list_is_empty(&flow->writer)) {
		flow->turn = 0;
		list_remove(&flow->writer);
		list_append(&conn->writers, &flow->writer);
	}
}

static ngtcp2_ssize write_flow(struct quic_conn *conn, struct round *round, struct flow *flow)
{
	uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
	ngtcp2_vec vec[WRITE_VEC_MAX];
	ngtcp2_ssize n, taken = -1;
	size_t count, offered = 0;
	bool end;

	if (flow->kind == FLOW_BYTES)
		count = stream_peek(stream_of_flow(flow), vec, WRITE_VEC_MAX, &end);
	else
		count = message_peek(container_of(flow, struct message, flow), vec, WRITE_VEC_MAX,
				     &end);
	for (size_t i = 0; i < count; i++)
		offered += vec[i].len;
	if (end)
		flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
	n = ngtcp2_conn_writev_stream(conn->ng, &round->path.path, NULL, round->dest,
				      OUTPUT_PACKET_LOCAL, &taken, flags, flow->id, vec, count,
				      round->ts);
	if (taken >= 0)
		flow_advance(conn, flow, (size_t)taken, end && (size_t)taken == offered);
	if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED || n == NGTCP2_ERR_STREAM_SHUT_WR ||
	    n == NGTCP2_ERR_STREAM_NOT_FOUND) {
		flow->blocked = true;
		return NGTCP2_ERR_WRITE_MORE;
	}
	return n;
}

static ngtcp2_ssize write_packet(struct quic_conn *conn, struct round *round)
{
	ngtcp2_ssize n;

	do {
		struct message *message = round->application ? messages_due(conn) : NULL;
		struct flow *flow = round->application ? next_writer(conn) : NULL;

		if (message)
			n = write_datagram(conn, round, message);
		else if (flow)
			n = write_flow(conn, round, flow);
		else
			n = ngtcp2_conn_writev_stream(
				conn->ng, &round->path.path, NULL, round->dest, OUTPUT_PACKET_LOCAL,
				NULL, NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL, 0, round->ts);
	} while (n == NGTCP2_ERR_WRITE_MORE);
	return n;
}

static void round_begin(struct quic_conn *conn, struct round *round, struct mono now)
{
	struct quic_path path = conn->path;

	path_storage_set(&round->path, &path);
	round->ts = ts_from_mono(now);
	/* Before that the other side is nobody yet, and 0.5-RTT is never sent. */
	round->application = ngtcp2_conn_get_handshake_completed(conn->ng);
	if (!round->application)
		return;
	list_for_each (link, &conn->writers)
		list_entry(link, struct flow, writer)->blocked = false;
	messages_prepare(conn);
}

void conn_write(struct quic_conn *conn, struct mono now, struct output *output)
{
	size_t sent = 0, quantum = ngtcp2_conn_get_send_quantum(conn->ng);
	struct round round;
	ngtcp2_ssize n = 0;
	bool wrote = false;

	conn->now = now;
	if (!conn->listening)
		conn->heard = now;
	conn->listening = conn->stream_count > 0 && conn->endpoint->config.stream_silence_ms > 0;
	round_begin(conn, &round, now);
	for (;;) {
		struct quic_path path = conn->path;

		if (output->stopped || sent >= quantum) {
			conn_touch(conn);
			break;
		}
		round.dest = output_room(output);
		n = write_packet(conn, &round);
		if (n < 0) {
			conn_end_library(conn, (int)n);
			return;
		}
		if (n == 0)
			break;
		path_from_ngtcp2(&round.path.path, &path);
		output_commit(output, &path, (size_t)n);
		sent += (size_t)n;
		wrote = true;
	}
	/* When the pacer permits the next packet is worth a timer only where there is one. */
	if (wrote && n == 0)
		conn_set_expiry(conn);
	ngtcp2_conn_update_pkt_tx_time(conn->ng, round.ts);
	if (!wrote || n > 0)
		conn_set_expiry(conn);
	if (wrote && round.application)
		conn_allow_short(conn, now);
}
