/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tls: the handshake's side of an endpoint and of a connection.
 *
 * TLS 1.3 with one group and one signature algorithm, so that no handshake takes a second round;
 * certificates required both ways; no tickets, hence no resumption and no 0-RTT. The session is
 * freed as soon as the handshake is over: nothing needs it afterwards, and it is a quarter of an
 * idle connection's memory.
 */
#pragma once

#include "base/err.h"
#include "quic/conn.h"

_must_use_ int tls_endpoint_init(struct quic_endpoint *endpoint, struct err *err);
void tls_endpoint_deinit(struct quic_endpoint *endpoint);

/* Make conn->tls and give it to conn->ng. 0, or -ENOMEM and the like. */
_must_use_ int tls_conn_init(struct quic_conn *conn);

/* Free the session; harmless when there is none. */
void tls_conn_deinit(struct quic_conn *conn);

/* After the handshake: learn the protocol. False: it is not the one that was dialled. */
_must_use_ bool tls_conn_completed(struct quic_conn *conn);
