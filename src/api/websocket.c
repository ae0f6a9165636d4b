/* SPDX-License-Identifier: Apache-2.0 */
#include "api/websocket.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <wslay/wslay.h>

#include "base/mem.h"

enum {
	SHA1_LEN = 20,
	/* RFC 6455 section 5.2: final, binary; lengths of 7, 16 and 64 bits. */
	BINARY_FRAME = 0x82,
	LEN_SMALL_MAX = 125,
	LEN_16 = 126,
	LEN_64 = 127,
};

struct websocket {
	wslay_event_context_ptr context;
	struct buf *out;
	websocket_fn *take;
	void *user;
	struct bytes in; /* while it is fed */
	bool full;       /* take() wants no more */
	bool is_data, is_first;
};

void websocket_accept(const char *key, char ret_accept[WEBSOCKET_ACCEPT_MAX])
{
	/* RFC 6455 section 1.3 */
	static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	struct buf text = {0}, encoded = {0};
	uint8_t hash[SHA1_LEN];
	int r;

	buf_append_str(&text, key);
	buf_append_str(&text, magic);
	r = gnutls_hash_fast(GNUTLS_DIG_SHA1, text.ptr, text.len, hash);
	assert(r == 0);
	(void)r;
	base64_encode(bytes_of(hash, sizeof(hash)), &encoded);
	assert(encoded.len < WEBSOCKET_ACCEPT_MAX);
	memcpy(ret_accept, buf_cstr(&encoded), encoded.len + 1);
	buf_deinit(&text);
	buf_deinit(&encoded);
}

static ssize_t on_recv(wslay_event_context_ptr context, uint8_t *data, size_t len, int flags,
		       void *user)
{
	struct websocket *websocket = user;
	size_t take = len < websocket->in.len ? len : websocket->in.len;

	(void)flags;
	if (take == 0 || websocket->full) {
		wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(data, websocket->in.ptr, take);
	websocket->in = bytes_of(websocket->in.ptr + take, websocket->in.len - take);
	return (ssize_t)take;
}

static ssize_t on_send(wslay_event_context_ptr context, const uint8_t *data, size_t len, int flags,
		       void *user)
{
	struct websocket *websocket = user;

	(void)context;
	(void)flags;
	buf_append(websocket->out, data, len);
	return (ssize_t)len;
}

static void on_frame(wslay_event_context_ptr context,
		     const struct wslay_event_on_frame_recv_start_arg *arg, void *user)
{
	struct websocket *websocket = user;

	(void)context;
	websocket->is_data = !wslay_is_ctrl_frame(arg->opcode);
	if (websocket->is_data && arg->opcode != WSLAY_CONTINUATION_FRAME)
		websocket->is_first = true;
}

static void on_chunk(wslay_event_context_ptr context,
		     const struct wslay_event_on_frame_recv_chunk_arg *arg, void *user)
{
	struct websocket *websocket = user;
	struct websocket_piece piece = {
		.bytes = bytes_of(arg->data, arg->data_length),
		.first = websocket->is_first,
	};

	(void)context;
	if (!websocket->is_data || arg->data_length == 0)
		return;
	websocket->is_first = false;
	if (!websocket->take(websocket->user, &piece))
		websocket->full = true;
}

struct websocket *websocket_new(struct buf *out, websocket_fn *take, void *user)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = on_recv,
		.send_callback = on_send,
		.on_frame_recv_start_callback = on_frame,
		.on_frame_recv_chunk_callback = on_chunk,
	};
	struct websocket *websocket = mem_new(struct websocket);

	websocket->out = out;
	websocket->take = take;
	websocket->user = user;
	if (wslay_event_context_server_init(&websocket->context, &callbacks, websocket) != 0)
		abort(); /* only memory can be short */
	wslay_event_config_set_no_buffering(websocket->context, 1);
	return websocket;
}

void websocket_free(struct websocket *websocket)
{
	if (!websocket)
		return;
	wslay_event_context_free(websocket->context);
	free(websocket);
}

int websocket_feed(struct websocket *websocket, struct bytes bytes, size_t *ret_used)
{
	int r;

	websocket->full = false;
	websocket->in = bytes;
	r = wslay_event_recv(websocket->context);
	*ret_used = bytes.len - websocket->in.len;
	/* Pongs, and the answer to a closing handshake. */
	if (r == 0)
		r = wslay_event_send(websocket->context);
	return r == 0 && wslay_event_want_read(websocket->context) ? 0 : WEBSOCKET_E_CLOSED;
}

/* Written here and not by the library: it would copy each message into a queue first. */
void websocket_send(struct websocket *websocket, struct bytes head, struct bytes body)
{
	uint64_t len = head.len + body.len;
	uint8_t frame[10] = {BINARY_FRAME};
	size_t frame_len = 2;

	if (len <= LEN_SMALL_MAX) {
		frame[1] = (uint8_t)len;
	} else if (len <= UINT16_MAX) {
		frame[1] = LEN_16;
		frame[2] = (uint8_t)(len >> 8);
		frame[3] = (uint8_t)len;
		frame_len = 4;
	} else {
		frame[1] = LEN_64;
		for (int i = 0; i < 8; i++)
			frame[2 + i] = (uint8_t)(len >> (56 - 8 * i));
		frame_len = 10;
	}
	buf_append(websocket->out, frame, frame_len);
	buf_append_bytes(websocket->out, head);
	buf_append_bytes(websocket->out, body);
}

static void send_control(struct websocket *websocket, uint8_t opcode)
{
	const struct wslay_event_msg message = {.opcode = opcode};

	(void)wslay_event_queue_msg(websocket->context, &message);
	(void)wslay_event_send(websocket->context);
}

void websocket_ping(struct websocket *websocket)
{
	send_control(websocket, WSLAY_PING);
}

void websocket_close(struct websocket *websocket, uint16_t code)
{
	(void)wslay_event_queue_close(websocket->context, code, NULL, 0);
	(void)wslay_event_send(websocket->context);
}
