/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quic/conn.h"
#include "quic/endpoint_state.h"

enum {
	ATTEMPT_BITS = 3, /* MESSAGE_ATTEMPTS_MAX fits */
	/* Across all connections: authenticated peers only, but many. */
	ASSEMBLY_TOTAL_MAX = 256 * 1024 * 1024,
};

struct assembly {
	struct flow flow;
	struct list link;
	struct buf data;
	bool delivered;
};

void messages_init(struct messages *messages)
{
	list_init(&messages->small);
	list_init(&messages->outstanding);
	list_init(&messages->large);
	list_init(&messages->streaming);
	list_init(&messages->assembling);
	messages->next_id = 1;
}

static void header_write(uint8_t out[MESSAGE_HEADER_LEN], uint64_t id)
{
	for (size_t i = 0; i < MESSAGE_HEADER_LEN; i++)
		out[i] = (uint8_t)(id >> (8 * (MESSAGE_HEADER_LEN - 1 - i)));
}

static uint64_t header_read(const uint8_t *header)
{
	uint64_t id = 0;

	for (size_t i = 0; i < MESSAGE_HEADER_LEN; i++)
		id = id << 8 | header[i];
	return id;
}

static void message_free(struct messages *messages, struct message *message)
{
	if (message->due)
		messages->due--;
	if (message->taken_over)
		messages->taken_over--;
	messages->bytes -= message->len;
	messages->count--;
	list_remove(&message->link);
	list_remove(&message->flow.writer);
	free(message);
}

static void messages_free_all(struct messages *messages, struct list *list)
{
	while (!list_is_empty(list))
		message_free(messages, list_first(list, struct message, link));
}

void messages_deinit(struct quic_conn *conn)
{
	struct messages *messages = &conn->messages;

	messages_free_all(messages, &messages->small);
	messages_free_all(messages, &messages->outstanding);
	messages_free_all(messages, &messages->large);
	messages_free_all(messages, &messages->streaming);
	while (!list_is_empty(&messages->assembling))
		assembly_free(conn,
			      &list_first(&messages->assembling, struct assembly, link)->flow);
	free(messages->seen);
	messages->seen = NULL;
}

int messages_queue(struct quic_conn *conn, struct bytes bytes)
{
	struct messages *messages = &conn->messages;
	size_t len = MESSAGE_HEADER_LEN + bytes.len;
	struct message *message;

	if (bytes.len > QUIC_MESSAGE_MAX)
		return QUIC_E_TOO_LARGE;
	if (messages->bytes + len > QUIC_SEND_QUEUE_MAX || messages->count >= QUIC_SEND_COUNT_MAX)
		return QUIC_E_FULL;
	message = mem_alloc(1, sizeof(*message) + len);
	message->len = len;
	flow_init(&message->flow, FLOW_MESSAGE_OUT, conn, -1);
	if (bytes.len > 0)
		memcpy(message->data + MESSAGE_HEADER_LEN, bytes.ptr, bytes.len);
	list_append(len <= MESSAGE_DATAGRAM_MAX ? &messages->small : &messages->large,
		    &message->link);
	messages->bytes += len;
	messages->count++;
	return 0;
}

/* No more than the receiver is prepared to assemble may be half sent, or two peers could wait for
 * each other for ever. */
void messages_prepare(struct quic_conn *conn)
{
	struct messages *messages = &conn->messages;

	while (!list_is_empty(&messages->large)) {
		struct message *message = list_first(&messages->large, struct message, link);
		int64_t stream_id;

		if (messages->streaming_bytes > 0 &&
		    messages->streaming_bytes + message->len > QUIC_SEND_QUEUE_MAX)
			return;
		if (ngtcp2_conn_open_uni_stream(conn->ng, &stream_id, &message->flow) != 0)
			return;
		message->flow.id = stream_id;
		messages->streaming_bytes += message->len;
		list_remove(&message->link);
		list_append(&messages->streaming, &message->link);
		list_append(&conn->writers, &message->flow.writer);
	}
}

static uint64_t oldest_of(const struct list *list, uint64_t oldest)
{
	list_for_each (link, list) {
		const struct message *message = list_entry(link, struct message, link);

		if (message->id != 0 && message->id < oldest)
			oldest = message->id;
	}
	return oldest;
}

/* Whether the receiver would still remember every id that may yet arrive after the next one. */
static bool window_has_room(const struct messages *messages)
{
	const struct message *first = list_first(&messages->outstanding, struct message, link);
	uint64_t oldest = first ? first->id : messages->next_id;

	if (messages->taken_over > 0) {
		oldest = oldest_of(&messages->large, oldest);
		oldest = oldest_of(&messages->streaming, oldest);
	}
	return messages->next_id - oldest < MESSAGE_WINDOW;
}

struct message *messages_due(struct quic_conn *conn)
{
	struct messages *messages = &conn->messages;
	struct message *message;

	if (messages->due > 0) {
		list_for_each (link, &messages->outstanding) {
			message = list_entry(link, struct message, link);
			if (message->due)
				return message;
		}
	}
	message = list_first(&messages->small, struct message, link);
	if (!message || !window_has_room(messages))
		return NULL;
	message->id = messages->next_id++;
	header_write(message->data, message->id);
	list_remove(&message->link);
	list_append(&messages->outstanding, &message->link);
	message->due = true;
	messages->due++;
	return message;
}

void message_sent(struct quic_conn *conn, struct message *message)
{
	if (message->attempts > 0)
		conn->endpoint->stats.messages_repeated++;
	message->attempts++;
	message->due = false;
	conn->messages.due--;
}

void message_use_stream(struct quic_conn *conn, struct message *message)
{
	if (message->due)
		conn->messages.due--;
	message->due = false;
	message->taken_over = true;
	conn->messages.taken_over++;
	list_remove(&message->link);
	list_append(&conn->messages.large, &message->link);
}

uint64_t message_attempt_id(const struct message *message)
{
	return message->id << ATTEMPT_BITS | message->attempts;
}

/* Acknowledgements come nearly in order, so the search is short. */
static struct message *outstanding_find(struct messages *messages, uint64_t id)
{
	list_for_each (link, &messages->outstanding) {
		struct message *message = list_entry(link, struct message, link);

		if (message->id == id)
			return message;
	}
	return NULL;
}

void messages_acked(struct quic_conn *conn, uint64_t attempt_id)
{
	struct message *message = outstanding_find(&conn->messages, attempt_id >> ATTEMPT_BITS);

	if (message) {
		conn->endpoint->stats.messages_out++;
		message_free(&conn->messages, message);
	}
}

void messages_lost(struct quic_conn *conn, uint64_t attempt_id)
{
	struct message *message = outstanding_find(&conn->messages, attempt_id >> ATTEMPT_BITS);

	/* Only the last attempt counts: an earlier one has been answered by it. */
	if (!message || message->due || message_attempt_id(message) != attempt_id + 1)
		return;
	if (message->attempts >= MESSAGE_ATTEMPTS_MAX) {
		message_use_stream(conn, message);
		return;
	}
	message->due = true;
	conn->messages.due++;
}

size_t message_peek(const struct message *message, ngtcp2_vec *vec, size_t vec_max, bool *ret_end)
{
	(void)vec_max;
	*ret_end = true;
	vec->base = (uint8_t *)(uintptr_t)message->data + message->written;
	vec->len = message->len - message->written;
	return vec->len > 0 ? 1 : 0;
}

void message_advance(struct message *message, size_t len, bool ended)
{
	message->written += len;
	message->ended = ended;
	if (ended)
		list_remove(&message->flow.writer);
}

void message_stream_closed(struct quic_conn *conn, struct flow *flow)
{
	struct message *message = container_of(flow, struct message, flow);

	conn->messages.streaming_bytes -= message->len;
	if (message->ended)
		conn->endpoint->stats.messages_out++;
	message_free(&conn->messages, message);
}

bool message_window_accept(struct message_window *window, uint64_t id)
{
	uint64_t *word = &window->bits[id % MESSAGE_WINDOW / 64], bit = 1ull << (id % 64);

	if (id > window->top) {
		uint64_t steps = id - window->top;

		if (steps > MESSAGE_WINDOW)
			steps = MESSAGE_WINDOW;
		for (uint64_t back = 0; back < steps; back++) {
			uint64_t skipped = id - back;

			window->bits[skipped % MESSAGE_WINDOW / 64] &= ~(1ull << (skipped % 64));
		}
		window->top = id;
	} else if (window->top - id >= MESSAGE_WINDOW || (*word & bit)) {
		return false;
	}
	*word |= bit;
	return true;
}

static bool first_time(struct quic_conn *conn, uint64_t id)
{
	if (!conn->messages.seen)
		conn->messages.seen = mem_new(struct message_window);
	if (message_window_accept(conn->messages.seen, id))
		return true;
	conn->endpoint->stats.messages_duplicate++;
	return false;
}

static void deliver(struct quic_conn *conn, struct bytes message)
{
	struct quic_endpoint *endpoint = conn->endpoint;

	endpoint->stats.messages_in++;
	conn_announce(conn);
	if (conn_is_live(conn) && endpoint->handler->message)
		endpoint->handler->message(endpoint->user, conn, message);
}

bool messages_recv_datagram(struct quic_conn *conn, struct bytes datagram)
{
	uint64_t id;

	if (datagram.len < MESSAGE_HEADER_LEN || (id = header_read(datagram.ptr)) == 0) {
		conn_end_violation(conn, "malformed datagram");
		return false;
	}
	/* A repeat answers a loss that was none; it moves nothing forward, and its packet is
	 * charged as such. */
	if (!first_time(conn, id))
		return true;
	conn->progress += datagram.len + CONN_BYTES_PER_CREDIT;
	deliver(conn,
		bytes_of(datagram.ptr + MESSAGE_HEADER_LEN, datagram.len - MESSAGE_HEADER_LEN));
	return true;
}

struct flow *assembly_new(struct quic_conn *conn, int64_t stream_id)
{
	struct assembly *assembly = mem_new(struct assembly);

	flow_init(&assembly->flow, FLOW_MESSAGE_IN, conn, stream_id);
	list_append(&conn->messages.assembling, &assembly->link);
	return &assembly->flow;
}

static void assembly_drop_data(struct quic_conn *conn, struct assembly *assembly)
{
	struct messages *messages = &conn->messages;

	messages->assembling_bytes -= assembly->data.len;
	conn->endpoint->assembling_bytes -= assembly->data.len;
	buf_deinit(&assembly->data);
	if (messages->assembling_bytes <= MESSAGE_ASSEMBLY_MAX && messages->withheld > 0 &&
	    conn->ng) {
		ngtcp2_conn_extend_max_offset(conn->ng, messages->withheld);
		messages->withheld = 0;
		conn_touch(conn);
	}
}

/* Bytes are held here, so their credit goes back at once; but beyond the budget the connection's
 * credit waits until a message is complete. */
static void assembly_credit(struct quic_conn *conn, const struct flow *flow, size_t len)
{
	struct messages *messages = &conn->messages;

	(void)ngtcp2_conn_extend_max_stream_offset(conn->ng, flow->id, len);
	if (messages->assembling_bytes > MESSAGE_ASSEMBLY_MAX)
		messages->withheld += len;
	else
		ngtcp2_conn_extend_max_offset(conn->ng, len);
}

bool assembly_recv(struct quic_conn *conn, struct flow *flow, struct bytes data, bool end)
{
	struct assembly *assembly = container_of(flow, struct assembly, flow);
	struct bytes whole;
	uint64_t id;

	if (assembly->data.len + data.len > MESSAGE_HEADER_LEN + (size_t)QUIC_MESSAGE_MAX) {
		conn_end_violation(conn, "message too large");
		return false;
	}
	if (conn->endpoint->assembling_bytes + data.len > ASSEMBLY_TOTAL_MAX) {
		conn_end_violation(conn, "no room for messages");
		return false;
	}
	buf_append_bytes(&assembly->data, data);
	conn->messages.assembling_bytes += data.len;
	conn->endpoint->assembling_bytes += data.len;
	conn->progress += data.len;
	assembly_credit(conn, flow, data.len);
	if (!end)
		return true;
	whole = bytes_buf(&assembly->data);
	if (whole.len < MESSAGE_HEADER_LEN) {
		conn_end_violation(conn, "malformed message");
		return false;
	}
	id = header_read(whole.ptr);
	if (id == 0 || first_time(conn, id))
		deliver(conn,
			bytes_of(whole.ptr + MESSAGE_HEADER_LEN, whole.len - MESSAGE_HEADER_LEN));
	assembly_drop_data(conn, assembly);
	return true;
}

void assembly_free(struct quic_conn *conn, struct flow *flow)
{
	struct assembly *assembly = container_of(flow, struct assembly, flow);

	assembly_drop_data(conn, assembly);
	list_remove(&assembly->link);
	free(assembly);
}
