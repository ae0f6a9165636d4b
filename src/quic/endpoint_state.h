/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of an endpoint, for the files of this directory. */
#pragma once

#include <gnutls/gnutls.h>

#include "base/list.h"
#include "base/map.h"
#include "io/log.h"
#include "quic/bucket.h"
#include "quic/cid.h"
#include "quic/endpoint.h"
#include "quic/expiry.h"
#include "quic/output.h"

enum {
	RETRY_SECRET_LEN = 32,
	STRAY_MAX = 128, /* answers outside connections that wait for a flush; more are dropped */
	/* Refusals in the log: strangers cause them. */
	LOG_REFUSAL_INTERVAL_US = US_PER_S,
	LOG_REFUSALS_BURST = 60,
	LOG_REFUSALS_PER_S = 5,
	LINGERING_MAX = 1024, /* ended connections kept for a moment, ~3 KiB each */
};

/* A datagram that belongs to no connection: Retry, version negotiation, stateless reset. */
struct stray {
	struct list link;
	struct quic_path path;
	size_t len;
	uint8_t data[OUTPUT_PACKET_MAX];
};

struct endpoint_acceptor {
	char alpn[QUIC_ALPN_MAX];
	struct quic_credential *credential;
};

struct quic_endpoint {
	struct quic_config config; /* defaults filled in; its acceptors are not used */
	const struct quic_handler *handler;
	void *user;
	struct endpoint_acceptor acceptor[QUIC_ACCEPTORS_MAX];
	size_t acceptor_count;
	bool closing; /* no more connections */

	gnutls_priority_t priority;
	gnutls_certificate_credentials_t certificates;

	struct list conns, dirty;
	struct cid_table cids;
	struct expiry_heap expiries;
	size_t lingering;
	size_t assembling_bytes; /* of all connections, see message.c */

	/* accept.c */
	struct map addresses; /* ip (/64 for IPv6) -> struct accept_address */
	uint8_t retry_secret[2][RETRY_SECRET_LEN];
	struct mono retry_rotated;
	struct bucket resets, versions;
	struct list strays;
	size_t stray_count;

	struct log_limit log_limit; /* of refusals, by address */
	struct bucket log_lines;    /* of refusals, by everybody */
	struct quic_stats stats;
	struct output *output;
};

void endpoint_random(struct quic_endpoint *endpoint, void *out, size_t len);

/* An ended connection no longer counts against any limit. */
void endpoint_release(struct quic_endpoint *endpoint, struct quic_conn *conn);

/* Drop a connection's accounts and memory; it must not be used any more. */
void endpoint_forget(struct quic_endpoint *endpoint, struct quic_conn *conn);
