/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoint: every QUIC connection of one UDP socket, those we dial and those we accept, with
 * certificates required on both sides.
 *
 * It is sans-IO: datagrams and the time go in, datagrams, events and a deadline come out. Socket
 * (quic/socket.h) drives it from the event loop; tests drive two of them with virtual time.
 *
 *   dial -----> HANDSHAKE --peer accepted us--> OPEN --close, error, silence--> CLOSED
 *   accept ---> HANDSHAKE --we accepted peer--> OPEN
 *
 * Rules
 * - Nothing is sent from inside an API call; what calls have queued leaves with
 *   quic_endpoint_flush(). Handlers may call any function of this file except input, expire, flush
 *   and free.
 * - A connection that was dialled, or announced by opened(), ends with exactly one closed(), also
 *   when we close it ourselves; never from inside an API call. Its pointer is invalid afterwards.
 * - A stream that was opened here or announced by stream_opened() ends with exactly one
 *   stream_closed(), before the closed() of its connection.
 * - Messages are delivered at most once, in no particular order, complete; if the connection closes
 *   some may be lost. Streams are ordered bytes.
 *
 * Outcomes below are positive (QUIC_E_*), environment failures negative (-errno).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/time.h"
#include "quic/credential.h"

struct quic_endpoint;
struct quic_conn;
struct quic_stream;

enum {
	QUIC_ALPN_MAX = 32,                 /* characters of a protocol name */
	QUIC_ACCEPTORS_MAX = 4,             /* protocols one endpoint answers to */
	QUIC_MESSAGE_MAX = 2 * 1024 * 1024, /* one message, as the receiver has to hold it */
	QUIC_SEND_QUEUE_MAX =
		4 * 1024 * 1024,    /* bytes of messages one connection may owe its peer */
	QUIC_SEND_COUNT_MAX = 2048, /* messages one connection may owe its peer */
	QUIC_STREAM_BUFFER_MAX =
		1024 * 1024,    /* bytes a stream accepts before they are acknowledged, at most */
	QUIC_STREAMS_MAX = 100, /* byte streams a peer may have open at a time, unless told */
	QUIC_REASON_MAX = 160,  /* characters of a reason sent to or taken from a peer */
	QUIC_RESET_SECRET_LEN = 32,
};

enum quic_result {
	_QUIC_E_OK,
	QUIC_E_FULL,      /* the queue or the table is full: drop, or try again later */
	QUIC_E_TOO_LARGE, /* more than QUIC_MESSAGE_MAX bytes: will never work */
	QUIC_E_CLOSED,    /* the connection or this direction of the stream has ended */
	QUIC_E_UNKNOWN,   /* no such protocol name */
};

/* One protocol the endpoint answers to, and the certificate it shows there. */
struct quic_acceptor {
	const char *alpn;                   /* copied */
	struct quic_credential *credential; /* a reference is taken */
};

/* Zero in any field means its default. */
struct quic_config {
	struct addr
		local; /* where the socket is bound; informs dialling when there is no route() */
	struct quic_acceptor acceptor[QUIC_ACCEPTORS_MAX];
	size_t acceptor_count;
	/* Makes connections of an earlier life of this process recognisable, so that peers learn of
	 * a restart at once: keep it across restarts, never share it. All zero: random. */
	uint8_t reset_secret[QUIC_RESET_SECRET_LEN];
	int64_t handshake_timeout_ms; /* 10 s */
	int64_t idle_timeout_ms;      /* 60 s without a packet from the peer */
	int64_t stream_silence_ms;    /* like it, while a byte stream is open; 0: no other */
	int64_t keep_alive_ms;        /* 10 s, while a byte stream is open; < 0: never */
	size_t conns_max;             /* 4096, dialled and accepted */
	size_t conns_per_ip_max;      /* 1024 accepted */
	size_t half_open_max;         /* 1024 accepted whose handshake is not complete */
	size_t half_open_per_ip_max;  /* 256 */
	size_t half_open_retry;       /* 64: beyond it a peer must prove its address first */
	size_t streams_max;           /* QUIC_STREAMS_MAX */
	size_t stream_window_max;     /* 2 MiB: what may be on its way to one stream here */
	bool find_mtu; /* probe for larger packets than 1200 bytes: where much is carried */
	/* Random bytes, and the local address from which @remote is reached (0 or -errno); given
	 * by tests and by socket. NULL: the kernel's entropy; config.local. */
	void (*random)(void *io, void *out, size_t len);
	int (*route)(void *io, const struct addr *remote, struct addr *ret_local);
	void *io;
};

/* What a verdict on a peer's certificates depends on. */
struct quic_peer {
	struct quic_conn *conn;
	void *conn_user; /* of quic_dial(); NULL when we are the server */
	const char *alpn;
	struct addr remote;
	bool we_are_server;
};

/* All called from input, expire or flush; all borrow. NULL entries are skipped, except verify. */
struct quic_handler {
	/* Judge the peer's chain (DER, leaf first, 1..QUIC_CHAIN_MAX): 0 accepts; anything else
	 * refuses, with a sentence in @err that is logged here and told to the peer. TLS has
	 * already proven that the peer holds the leaf's key. */
	int (*verify)(void *user, const struct quic_peer *peer, const struct bytes *chain,
		      size_t count, struct err *err);
	/* Both sides have accepted each other. */
	void (*opened)(void *user, struct quic_conn *conn);
	/* Why->code: -EACCES the peer refused us; -EKEYREJECTED we refused the peer; -ETIMEDOUT
	 * silence; -ECONNRESET the peer has lost the connection; -ESHUTDOWN closed in order;
	 * -EPROTONOSUPPORT no common protocol; -EPROTO anything else. */
	void (*closed)(void *user, struct quic_conn *conn, const struct err *why);
	void (*message)(void *user, struct quic_conn *conn, struct bytes message);
	void (*stream_opened)(void *user, struct quic_conn *conn, struct quic_stream *stream);
	/* Bytes in order, and whether they are the last. Give each length back with
	 * quic_stream_consumed(), now or later: the peer may send no more than a window ahead. */
	void (*stream_data)(void *user, struct quic_stream *stream, struct bytes data, bool end);
	/* After a short quic_stream_write(), or no quic_stream_room(): there is room again. */
	void (*stream_writable)(void *user, struct quic_stream *stream);
	/* Why is NULL when both directions ended in order. */
	void (*stream_closed)(void *user, struct quic_stream *stream, const struct err *why);
};

struct quic_stats {
	uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
	uint64_t handshakes_dialled, handshakes_accepted; /* completed */
	uint64_t refused_by_us, refused_by_peer;          /* certificates */
	uint64_t retries_sent, resets_sent, resets_received, versions_sent;
	uint64_t over_limit;   /* accepted nothing: a cap of config was reached */
	uint64_t unroutable;   /* datagrams of no connection */
	uint64_t guard_hello;  /* guard: a ClientHello without transport parameters */
	uint64_t guard_early;  /* guard: packets before their time (0-RTT, 0.5-RTT) */
	uint64_t guard_glitch; /* guard: connections closed for pointless work */
	uint64_t messages_in, messages_out, messages_repeated, messages_duplicate;
	size_t conns, half_open; /* now */
};

/* @handler is borrowed and must live as long as the endpoint. */
_must_use_ int quic_endpoint_new(const struct quic_config *config,
				 const struct quic_handler *handler, void *user, struct err *err,
				 struct quic_endpoint **ret_endpoint);

/* Without closed() callbacks and without telling peers; see quic_endpoint_close_all(). */
void quic_endpoint_free(struct quic_endpoint *endpoint);

/* Replace the certificate shown under @alpn in handshakes from now on. QUIC_E_UNKNOWN. */
_must_use_ int quic_endpoint_set_credential(struct quic_endpoint *endpoint, const char *alpn,
					    struct quic_credential *credential);

/* Say goodbye on every connection with the next flush; accept and dial no more. */
void quic_endpoint_close_all(struct quic_endpoint *endpoint, const char *reason);

const struct quic_stats *quic_endpoint_stats(const struct quic_endpoint *endpoint);

/* The addresses of one datagram, or of a train of them. */
struct quic_path {
	struct addr local, remote;
};

/* One datagram that arrived at @now, which never lies before that of an earlier call. */
void quic_endpoint_input(struct quic_endpoint *endpoint, struct mono now,
			 const struct quic_path *path, struct bytes datagram);

/* One or more datagrams for the same path: each @segment_len bytes, the last may be shorter. */
struct quic_train {
	struct quic_path path;
	struct bytes data;
	size_t segment_len;
};

/* Takes a train, borrowed; false: it was taken, but no more can be now. */
typedef bool (*quic_sink_fn)(void *io, const struct quic_train *train);

/* Hand everything that may be sent at @now to @sink, and make the pending closed() calls. False if
 * the sink stopped it: flush again when it has room. */
bool quic_endpoint_flush(struct quic_endpoint *endpoint, struct mono now, quic_sink_fn sink,
			 void *io);

/* When quic_endpoint_expire() is due if nothing else happens; MONO_NEVER if never. */
struct mono quic_endpoint_deadline(const struct quic_endpoint *endpoint);
void quic_endpoint_expire(struct quic_endpoint *endpoint, struct mono now);

struct quic_dial {
	struct addr remote;
	const char *alpn;
	struct quic_credential *credential; /* a reference is taken; NULL: nothing is shown */
	void *user;                         /* initial quic_conn_user() */
};

/* Begin a connection. QUIC_E_FULL; -ENETUNREACH and the like when there is no route; never waits.
 * What is sent on it before opened() leaves as soon as the handshake allows. */
_must_use_ int quic_dial(struct quic_endpoint *endpoint, struct mono now,
			 const struct quic_dial *dial, struct quic_conn **ret_conn);

/* Close in order, telling the peer why; @code is the application's own. Messages queued before
 * leave first, as far as they may be sent at once; they are not repeated. closed() follows. */
void quic_conn_close(struct quic_conn *conn, uint32_t code, const char *reason);

/* Queue one message. QUIC_E_FULL, QUIC_E_TOO_LARGE, QUIC_E_CLOSED; the bytes are copied. */
_must_use_ int quic_conn_send(struct quic_conn *conn, struct bytes message);

void quic_conn_set_user(struct quic_conn *conn, void *user);
void *quic_conn_user(const struct quic_conn *conn);
const char *quic_conn_alpn(const struct quic_conn *conn); /* "" before it is negotiated */
bool quic_conn_is_dialled(const struct quic_conn *conn);
struct addr quic_conn_remote(const struct quic_conn *conn);

/* The peer's certificates as verify() accepted them, leaf first; 0 before that. */
size_t quic_conn_peer_chain(const struct quic_conn *conn, const struct bytes **ret_chain);

/* Whether a byte stream is open on it. */
bool quic_conn_has_streams(const struct quic_conn *conn);

/* Smoothed round-trip time; the initial guess of 100 ms before the first sample. */
int64_t quic_conn_rtt_us(struct quic_conn *conn);

/* Open a byte stream. QUIC_E_FULL while the peer allows no more, QUIC_E_CLOSED. Not before
 * opened(). */
_must_use_ int quic_stream_open(struct quic_conn *conn, void *user,
				struct quic_stream **ret_stream);

/* Queue bytes; returns how many were accepted (0 when the stream cannot be written any more). When
 * fewer than offered, stream_writable() follows. */
_must_use_ size_t quic_stream_write(struct quic_stream *stream, struct bytes data);

/* How many bytes quic_stream_write() would take now. When none, stream_writable() follows. */
_must_use_ size_t quic_stream_room(struct quic_stream *stream);

/* No more writes; the peer sees the end after all bytes. */
void quic_stream_finish(struct quic_stream *stream);

/* Give up both directions; stream_closed() follows. */
void quic_stream_reset(struct quic_stream *stream, uint32_t code);

/* @len bytes of stream_data() are done with: the peer may send as many more. */
void quic_stream_consumed(struct quic_stream *stream, size_t len);

void quic_stream_set_user(struct quic_stream *stream, void *user);
void *quic_stream_user(const struct quic_stream *stream);
struct quic_conn *quic_stream_conn(const struct quic_stream *stream);
