/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conn: one connection, around ngtcp2's.
 *
 *   HANDSHAKE --> OPEN --> ENDING --> LINGER --> freed
 *       `-------------------^
 *
 * ENDING: the verdict is known (why), to be carried out by the next flush, for nothing may be torn
 * down inside a callback of the library. LINGER: only the ids and the goodbye packet are left, for
 * three probe timeouts, so that what is still on its way finds an answer (RFC 9000 section 10.2).
 *
 * Files: conn.c life, reading, ending; conn_write.c writing; conn_callbacks.c what the library
 * reports; tls.c the handshake; cid.c its ids; message.c and stream.c what it carries.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include "base/list.h"
#include "quic/bucket.h"
#include "quic/cid.h"
#include "quic/endpoint.h"
#include "quic/expiry.h"
#include "quic/message.h"
#include "quic/output.h"
#include "quic/path.h"

enum {
	/* Pointless work a peer may cause: the figures of later releases of the library, which
	 * count such frames themselves. */
	CONN_GLITCH_BURST = 1000,
	CONN_GLITCH_PER_S = 33,
	/* Packets that carried nothing forward. Honest ones exist (probes, acknowledgements of
	 * acknowledged window updates, data behind a hole), fewer than this. */
	CONN_IDLE_PACKET_BURST = 8192,
	CONN_IDLE_PACKET_PER_S = 500,
	CONN_BYTES_PER_CREDIT = 256, /* so much progress earns one more of those */
};

enum conn_state {
	CONN_HANDSHAKE,
	CONN_OPEN,
	CONN_ENDING,
	CONN_LINGER,
};

/* What the peer is told when we end a connection. */
struct conn_goodbye {
	bool send;
	bool in_order;      /* the application's wish, not an accident */
	ngtcp2_ccerr ccerr; /* its reason points to text, or nowhere */
	char text[QUIC_REASON_MAX];
};

struct quic_conn {
	struct quic_endpoint *endpoint;
	struct list all;   /* on endpoint->conns */
	struct list dirty; /* on endpoint->dirty while a flush has something to do */
	struct expiry expiry;
	enum conn_state state;
	bool dialled;
	bool announced;      /* opened() was called, or it was dialled: closed() is owed */
	bool told_open;      /* opened() was called */
	bool half_open;      /* counted in endpoint->stats.half_open */
	bool counted_ip;     /* counted in the table of addresses */
	bool released;       /* counted nowhere any more */
	bool short_allowed;  /* see packet.h */
	bool hello_bare;     /* refused: a ClientHello without transport parameters */
	bool peer_refused;   /* we refused the peer's certificates; why says the reason */
	bool reset_seen;     /* the peer sent a stateless reset */
	struct buf held;     /* the one early packet that waits for short_allowed */
	struct mono open_by; /* or it ends */
	struct mono now;     /* of the call being worked on, for callbacks */

	ngtcp2_conn *ng;      /* NULL from LINGER on */
	gnutls_session_t tls; /* NULL once the handshake is over */
	ngtcp2_crypto_conn_ref ref;
	struct quic_credential *credential;
	struct quic_path path;     /* follows migration */
	struct addr accepted_from; /* the account of addresses it is on */
	char alpn[QUIC_ALPN_MAX];
	void *user;

	uint8_t *chain_memory;
	struct bytes *chain; /* the peer's, accepted */
	size_t chain_count;

	struct cid_set cids;
	struct conn_goodbye *goodbye; /* while ENDING */
	struct err *why;              /* from ENDING on */
	uint8_t *farewell;            /* the packet, while LINGER; may be NULL */
	size_t farewell_len;
	uint32_t farewell_asked; /* packets that arrived since */

	struct bucket glitches, idle_packets;
	uint64_t progress; /* bytes and acknowledgements within the current read */

	struct messages messages;
	struct list streams; /* struct quic_stream */
	size_t stream_count;
	bool listening;      /* a byte stream is open: silence is counted */
	struct mono heard;   /* the peer, at last; or when that began */
	struct list writers; /* struct flow with something to write */
};

/* conn.c */
_must_use_ int conn_new_client(struct quic_endpoint *endpoint, struct mono now,
			       const struct quic_path *path, const struct quic_dial *dial,
			       struct quic_conn **ret_conn);

/* @hd is the client's first header; @odcid, if not NULL, the id before our Retry. */
_must_use_ int conn_new_server(struct quic_endpoint *endpoint, struct mono now,
			       const struct quic_path *path, const ngtcp2_pkt_hd *hd,
			       const ngtcp2_cid *odcid, struct quic_conn **ret_conn);
void conn_free(struct quic_conn *conn);

enum conn_read_result {
	_CONN_E_OK,
	CONN_E_RETRY, /* ask the peer to prove its address and forget the connection */
	CONN_E_DROP,  /* forget it without a word */
};

_must_use_ int conn_read(struct quic_conn *conn, struct mono now, const struct quic_path *path,
			 struct bytes datagram);

/* 1-RTT packets are permitted from now on; read the one that has been waiting. */
void conn_allow_short(struct quic_conn *conn, struct mono now);
void conn_expire(struct quic_conn *conn, struct mono now);

/* Let a flush visit it. */
void conn_touch(struct quic_conn *conn);

/* Carry out ENDING: tell the peer, tell the application, then linger. */
void conn_finish(struct quic_conn *conn, struct mono now, struct output *output);

/* Begin to end. The first verdict stands. The peer is told nothing, the library's error, or an
 * application's code. */
void conn_end_silently(struct quic_conn *conn, int code, const char *text);
void conn_end_library(struct quic_conn *conn, int ng_error);
void conn_end_application(struct quic_conn *conn, uint64_t code, const char *reason);

/* We have judged the peer's behaviour: a transport error with this @reason. */
void conn_end_violation(struct quic_conn *conn, const char *reason);

/* Both sides have accepted each other: tell the application, once. */
void conn_announce(struct quic_conn *conn);

/* Whether callbacks should still reach the application. */
static inline bool conn_is_live(const struct quic_conn *conn)
{
	return conn->state == CONN_HANDSHAKE || conn->state == CONN_OPEN;
}

/* A peer made us work for nothing: false when it has done so too often; the connection ends. */
_must_use_ bool conn_glitch(struct quic_conn *conn);

void conn_set_expiry(struct quic_conn *conn);

/* conn_callbacks.c */
void conn_callbacks_init(ngtcp2_callbacks *callbacks, bool server);

/* Packets that have passed authentication, ever, on this thread. */
uint64_t conn_packets_authenticated(void);

/* conn_write.c */
void conn_write(struct quic_conn *conn, struct mono now, struct output *output);
