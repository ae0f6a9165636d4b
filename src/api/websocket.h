/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket: the server's side of one connection (RFC 6455), from bytes in memory to bytes in
 * memory.
 *
 * The framing is libwslay's; here it is fed, answers pings and closing handshakes by itself, and
 * hands out messages piece by piece, so that a long one is never held.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

struct websocket;

enum {
	WEBSOCKET_ACCEPT_MAX = 32, /* base64 of a SHA-1, and its zero */
	WEBSOCKET_NORMAL = 1000,   /* RFC 6455 section 7.4.1 */
};

enum websocket_outcome {
	_WEBSOCKET_E_OK,
	WEBSOCKET_E_CLOSED, /* the client has closed, or broke the protocol: end the connection */
};

/* A piece of a data message, borrowed. An empty message has none. */
struct websocket_piece {
	struct bytes bytes;
	bool first; /* the message begins with it */
};

/* False: no more for now; this piece has been taken. */
typedef bool websocket_fn(void *user, const struct websocket_piece *piece);

/* What the header Sec-WebSocket-Accept must answer to @key. */
void websocket_accept(const char *key, char ret_accept[WEBSOCKET_ACCEPT_MAX]);

/* What is to be sent is appended to @out, which is borrowed. */
_must_use_ struct websocket *websocket_new(struct buf *out, websocket_fn *take, void *user);
void websocket_free(struct websocket *websocket);

/* Take @bytes up to where take() wants no more; *@ret_used says how many. */
_must_use_ int websocket_feed(struct websocket *websocket, struct bytes bytes, size_t *ret_used);

/* Send a binary message of two parts. */
void websocket_send(struct websocket *websocket, struct bytes head, struct bytes body);
void websocket_ping(struct websocket *websocket);
void websocket_close(struct websocket *websocket, uint16_t code);
