/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server: HTTP/1.1 over libuv, with TLS or (on loopback, when asked) without.
 *
 * Whether a connection speaks TLS is seen from its first byte: 22 begins a TLS handshake and no
 * HTTP request. Everything a client can make us hold is bounded: bytes, connections, and the time
 * each part of a request may take, which is absolute and not reset by every byte that trickles in.
 *
 *                  +--first byte 22--> HANDSHAKE --done--+
 *   accept -> SNIFF                                      v
 *                  +--else (plain allowed)-----------> HEAD <----------------+
 *                                                        |  complete         |
 *                                                        v                   | keep-alive
 *                                                      BODY --complete--> ANSWER
 *                                                                            | close, error
 *                                                                            v
 *                                              CLOSED <--timeout, EOF-- LINGER
 *
 * HEAD has two deadlines: idle while no byte of a request has come, header from its first byte.
 * LINGER reads and drops for a moment, so that the client can read our last answer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "api/api.h"
#include "api/response.h"
#include "api/tls.h"
#include "base/list.h"

enum {
	SERVER_LISTENERS_MAX = 2,
	SERVER_BACKLOG = 128,
	SERVER_LINGER_MS = 1000,
	SERVER_READ_CHUNK = 64 * 1024,
	SERVER_PIPELINE_MAX = 64 * 1024, /* bytes read ahead while an answer is being sent */
	SERVER_LOGIN_MS = 10000,         /* a kept connection's certificate is verified again */
	SERVER_KEEPALIVE_S = 30,         /* TCP keep-alive: a dead peer without FIN is noticed */
	SERVER_USER_TIMEOUT_MS = 60000,
	/* A terminal whose user has stopped its output, or reads a page of it. */
	SERVER_UPGRADED_STALL_MS = 600000,
};

struct server;

struct server_hooks {
	/* A complete request; see response.h. */
	void (*handle)(void *arg, struct exchange *exchange);
	/* As in backend.h. */
	int (*verify_user)(void *arg, const struct bytes *chain, size_t count,
			   struct api_user *ret_user, struct err *err);
	void *arg;
};

struct server_counters {
	uint64_t accepted, refused, requests, timeouts, bad_requests, tls_failures;
};

_must_use_ int server_new(uv_loop_t *loop, const struct api_options *options,
			  const struct server_hooks *hooks, struct server **ret_server,
			  struct err *err);
uint16_t server_port(const struct server *server);

/* Serve a client on @fd, a connected TCP socket, which is taken over. */
void server_adopt(struct server *server, int fd);
_must_use_ int server_set_certificate(struct server *server, const char *chain_pem,
				      const char *key_pem, struct err *err);
const struct server_counters *server_counters(const struct server *server);
size_t server_connections(const struct server *server);

/* Verify the certificates of all connections again; who is refused is disconnected. */
void server_login_again(struct server *server);

/* As api_close(). Frees the server. Exchanges that are still with the handler outlive it. */
void server_close(struct server *server, uint32_t drain_ms, void (*closed)(void *arg), void *arg);
