/* SPDX-License-Identifier: Apache-2.0 */
/* Connection: one client of the server, as drawn in server.h. Internal to server.c, conn.c and
 * response.c. */
#pragma once

#include "api/http_chunks.h"
#include "api/server.h"

enum conn_state {
	CONN_SNIFF,
	CONN_HANDSHAKE,
	CONN_HEAD,
	CONN_BODY,
	CONN_ANSWER,
	CONN_LINGER,
	CONN_CLOSED,
};

struct conn {
	struct list link; /* in server->conns, oldest first */
	struct server *server;
	enum conn_state state;
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_write_t write;
	unsigned handles; /* tcp and timer, until their close callbacks */
	struct sockaddr_storage peer;
	bool loopback; /* both ends are on a loopback address */

	struct tls *tls; /* NULL: plain */
	struct api_user user;
	bool authenticated;
	char auth_error[ERR_TEXT_MAX]; /* "" when there is none */
	uint64_t login_ms;             /* when the certificate was last verified */

	struct http_parser parser;
	struct buf in;  /* plaintext received, not yet parsed */
	struct buf out; /* plaintext to be sent, from out_at on */
	size_t out_at;
	struct buf wire; /* in flight */
	bool writing, reading, read_eof;
	bool advancing;      /* conn_advance() is on the stack */
	bool doomed;         /* the timer closes it in the next turn of the loop */
	bool closing_after;  /* close when everything has been sent */
	bool header_started; /* the header deadline of this request is running */
	bool had_request;    /* at least one head was complete */
	bool out_was_high;   /* the stream's writable callback is owed */

	struct exchange *exchange; /* BODY: being filled; ANSWER: with the handler, or NULL */
	uint64_t body_left;
	struct http_chunks chunks; /* of a body that comes in chunks */

	uint64_t state_deadline_ms; /* loop time; 0: none */
	uint64_t stall_deadline_ms; /* 0: nothing waits to be sent */
};

struct server {
	uv_loop_t *loop;
	struct server_hooks hooks;
	struct api_options options; /* strings are not kept */
	struct tls_context *tls;
	uv_tcp_t listeners[SERVER_LISTENERS_MAX];
	size_t listener_count, handle_count;
	uint16_t port;
	struct list conns;
	uint8_t *read_chunk; /* libuv reads into it; empty again after every read callback */
	size_t conn_count;
	struct server_counters counters;
	uv_timer_t drain;
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* conn.c */
void conn_accept(struct server *server, uv_stream_t *listener);
void conn_adopt(struct server *server, int fd);
void conn_close(struct conn *conn);            /* at once */
void conn_login_again(struct conn *conn);      /* closed when its certificate is refused */
bool conn_is_idle(const struct conn *conn);    /* keep-alive, no request under way */
bool conn_is_pending(const struct conn *conn); /* has not completed a request head */

/* For response.c: bytes were added to out, or an answer is complete. */
void conn_send(struct conn *conn);
void conn_answered(struct conn *conn, bool keep_alive);
void conn_upgraded(struct conn *conn); /* its exchange has left HTTP */
void conn_receive(struct conn *conn);  /* and takes more now */
size_t conn_out_len(const struct conn *conn);

/* response.c: an exchange of this connection; what the server itself answers. */
struct exchange *exchange_new(struct conn *conn);
void exchange_free(struct exchange *exchange);
void exchange_refuse(struct exchange *exchange, uint16_t code, const char *why);

/* server.c: whether one more connection may stay; a connection's memory is about to be freed. */
bool server_admits(struct server *server, const struct conn *conn);
void server_forget(struct server *server, struct conn *conn);
void server_log(struct server *server, const struct conn *conn, const char *format, ...)
	_printf_(3, 4);
