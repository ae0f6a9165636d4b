/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accept: datagrams that belong to no connection, and what they may cost us.
 *
 * Before a peer has shown that it can receive at its address it gets at most one small answer per
 * datagram, and beyond half_open_retry half-open connections no memory either: it must first return
 * a token that only it could have received (RFC 9000 section 8.1.2). Caps bound connections, the
 * half-open ones, and both per IP address (per /64 for IPv6).
 */
#pragma once

#include "quic/endpoint_state.h"

enum {
	RETRY_TOKEN_VALID_S = 10,
	RETRY_SECRET_LIFE_S = 30, /* then a new one; the one before stays valid */
	ACCEPT_RESETS_BURST = 64, /* stateless resets; two endpoints must not feed each other */
	ACCEPT_RESETS_PER_S = 64,
	ACCEPT_VERSIONS_BURST = 64,
	ACCEPT_VERSIONS_PER_S = 64,
	ACCEPT_INITIAL_MIN = 1200, /* RFC 9000 section 14.1 */
	ACCEPT_RESET_MIN = 44,     /* a reset is shorter, so it never answers a reset */
};

/* What one address has. */
struct accept_address {
	size_t conns, half_open;
};

void accept_init(struct quic_endpoint *endpoint);
void accept_deinit(struct quic_endpoint *endpoint);

/* A datagram whose id is unknown. @version_unknown: it is of a version we do not speak. */
void accept_datagram(struct quic_endpoint *endpoint, struct mono now, const struct quic_path *path,
		     struct bytes datagram);
void accept_other_version(struct quic_endpoint *endpoint, struct mono now,
			  const struct quic_path *path, const ngtcp2_version_cid *ids,
			  size_t datagram_len);

/* The library wants the address of an accepted connection proven after all. */
void accept_send_retry(struct quic_endpoint *endpoint, struct mono now,
		       const struct quic_path *path, struct bytes datagram);

/* A connection counts from its first packet to its end. */
void accept_count(struct quic_endpoint *endpoint, struct quic_conn *conn);
void accept_uncount_half_open(struct quic_endpoint *endpoint, struct quic_conn *conn);
void accept_uncount(struct quic_endpoint *endpoint, struct quic_conn *conn);

/* Hand the waiting answers to the output. */
void accept_flush(struct quic_endpoint *endpoint);
