/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upgrade: how a client wants to leave HTTP for a stream, as its request's head says.
 *
 *   WebSocket  GET, Upgrade: websocket, Sec-WebSocket-Protocol (RFC 6455)
 *   SPDY       POST, Upgrade: SPDY/3.1, X-Stream-Protocol-Version
 */
#pragma once

#include "api/response.h"
#include "api/websocket.h"

enum upgrade_kind {
	UPGRADE_WEBSOCKET,
	UPGRADE_SPDY,
};

struct upgrade {
	enum upgrade_kind kind;
	const char *protocol; /* one of those offered to upgrade_choose() */
	char accept[WEBSOCKET_ACCEPT_MAX];
};

/* A protocol that is spoken over either kind; a list ends with a NULL name. */
struct upgrade_protocol {
	enum upgrade_kind kind;
	const char *name;
};

/* The first of @spoken that the client offers as well. False, and a sentence for a 400: none. */
_must_use_ bool upgrade_choose(const struct http_request *request,
			       const struct upgrade_protocol *spoken, struct upgrade *ret_upgrade,
			       const char **ret_why);

/* exchange_upgrade() with the headers of that choice. */
void upgrade_answer(struct exchange *exchange, const struct upgrade *upgrade,
		    size_t (*received)(struct exchange *exchange, struct bytes bytes, void *arg),
		    void (*writable)(struct exchange *exchange, void *arg),
		    void (*abort)(struct exchange *exchange, void *arg), void *arg);
