/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket: the one UDP socket of a daemon, driving one endpoint from the event loop.
 *
 * It reads batches (recvmmsg, GRO), writes trains (GSO where the kernel takes them) before the loop
 * waits, and wakes the endpoint at its deadlines. After any call into the endpoint from outside of
 * its own callbacks nothing else needs to be done.
 *
 * Bound to "::" it serves IPv6 and IPv4; to "0.0.0.0" IPv4 only. Answers leave from the address
 * they were asked at.
 */
#pragma once

#include "base/addr.h"
#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"
#include "quic/endpoint.h"

struct quic_socket;

/* Bind @config->local (port 0: any) and make the endpoint on it; random, route and io of @config
 * are filled in here. */
_must_use_ int quic_socket_new(struct loop *loop, const struct quic_config *config,
			       const struct quic_handler *handler, void *user, struct err *err,
			       struct quic_socket **ret_socket);

/*
 * The same on @fd, which is bound already, maybe in another network namespace than this process
 * lives in; it is taken over in any case. @config->local: the address from which it reaches others,
 * not a wildcard; with port 0, the port of @fd.
 */
_must_use_ int quic_socket_adopt(struct loop *loop, int fd, const struct quic_config *config,
				 const struct quic_handler *handler, void *user, struct err *err,
				 struct quic_socket **ret_socket);

/* Say goodbye to every peer, without waiting for answers, and free the endpoint too. No handler is
 * called. */
void quic_socket_free(struct quic_socket *socket);

/* Give the kernel back the memory that datagrams were read into: when a burst is over. */
void quic_socket_trim(struct quic_socket *socket);

struct quic_endpoint *quic_socket_endpoint(struct quic_socket *socket);

/* Where it is bound, with the port in use. */
struct addr quic_socket_local(const struct quic_socket *socket);
