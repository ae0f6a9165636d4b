/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS: the server side of one connection over buffers, by GnuTLS.
 *
 * No sockets here: the caller feeds what came from the network and sends what tls_wire() holds.
 * TLS 1.3 and 1.2, ALPN http/1.1 when the client asks (RFC 7301), no tickets, no renegotiation.
 * A client certificate is asked for and may be absent; it is *not* verified here: GnuTLS proves
 * only that the client has its key. tls_peer_chain() hands it to whoever decides about users.
 *
 * Context: shared by sessions, counted; a session keeps the one it started with.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

enum {
	TLS_WIRE_HIGH = 64 * 1024,     /* no more is encrypted while so much waits to be sent */
	TLS_HANDSHAKE_MAX = 32 * 1024, /* one handshake message; a chain of ours is below 4 KiB */
	TLS_FEED_MAX = 256 * 1024,     /* bytes from the network not yet consumed by GnuTLS */
	TLS_CHAIN_MAX = 8,             /* certificates a client may send */
};

struct tls_context;
struct tls;

enum tls_outcome {
	_TLS_E_OK,
	TLS_E_AGAIN,  /* feed more */
	TLS_E_CLOSED, /* the peer said goodbye */
	TLS_E_FAILED, /* protocol error: send what is on the wire (an alert), then close */
};

_must_use_ int tls_context_new(const char *chain_pem, const char *key_pem,
			       struct tls_context **ret_context, struct err *err);
void tls_context_unref(struct tls_context *context);

/* A session of @context. Never NULL. */
struct tls *tls_new(struct tls_context *context);
void tls_free(struct tls *tls);

/* Bytes from the network. False when the peer sends faster than it is read: close. */
_must_use_ bool tls_feed(struct tls *tls, struct bytes bytes);

/* 0 once the handshake is complete. @ret_why is a literal that stays valid. */
_must_use_ int tls_handshake(struct tls *tls, const char **ret_why);

/* Append decrypted bytes to @out, at most @max. 0 when something was appended. */
_must_use_ int tls_read(struct tls *tls, struct buf *out, size_t max);

/* Encrypt from the front of @bytes until the wire is full. *@ret_taken says how many. */
_must_use_ int tls_write(struct tls *tls, struct bytes bytes, size_t *ret_taken);

/* Put the closing alert on the wire. */
void tls_bye(struct tls *tls);

/* What is to be sent. The caller takes it out with buf_consume() or by swapping. */
struct buf *tls_wire(struct tls *tls);

/* The client's chain, leaf first; 0 when it sent none. Borrowed from the session. */
size_t tls_peer_chain(const struct tls *tls, struct bytes chain[TLS_CHAIN_MAX]);
