/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client. Everything happens in conn_advance(), which moves the state machine of server.h as
 * far as the bytes at hand allow, and conn_pump(), which keeps one write in flight.
 *
 * A connection is never closed inside a call that a handler makes: such failures only set a
 * deadline that has passed, and the timer closes it from the loop. So a handler's abort callback
 * never runs inside that handler's own exchange_*() call.
 */
#include "api/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	TLS_HANDSHAKE_BYTE = 22,   /* RFC 8446 section 5.1: ContentType handshake */
	OUT_COMPACT_MIN = 1 << 20, /* below it, moving the rest costs more than it frees */
};

static void conn_advance(struct conn *conn);
static void conn_pump(struct conn *conn);

static uint64_t conn_now(const struct conn *conn)
{
	return uv_now(conn->server->loop);
}

size_t conn_out_len(const struct conn *conn)
{
	return conn->out.len - conn->out_at + conn->wire.len;
}

bool conn_is_idle(const struct conn *conn)
{
	return conn->state == CONN_HEAD && conn->had_request && conn->in.len == 0 &&
	       conn_out_len(conn) == 0;
}

bool conn_is_pending(const struct conn *conn)
{
	if (conn->state == CONN_SNIFF || conn->state == CONN_HANDSHAKE)
		return true;
	return conn->state == CONN_HEAD && (!conn->had_request || conn->in.len > 0);
}

/* Closing. */

static void conn_handle_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;

	assert(conn->handles > 0);
	if (--conn->handles)
		return;
	tls_free(conn->tls);
	buf_deinit(&conn->in);
	buf_deinit(&conn->out);
	buf_deinit(&conn->wire);
	server_forget(conn->server, conn);
	free(conn);
}

static void conn_drop_exchange(struct conn *conn)
{
	struct exchange *exchange = conn->exchange;

	conn->exchange = NULL;
	if (!exchange)
		return;
	exchange->conn = NULL;
	exchange->aborted = true;
	if (exchange->abort)
		exchange->abort(exchange, exchange->arg);
}

void conn_close(struct conn *conn)
{
	bool with_handler = conn->state == CONN_ANSWER;

	if (conn->state == CONN_CLOSED)
		return;
	conn->state = CONN_CLOSED;
	uv_close((uv_handle_t *)&conn->tcp, conn_handle_closed);
	uv_close((uv_handle_t *)&conn->timer, conn_handle_closed);
	if (with_handler) {
		conn_drop_exchange(conn);
	} else {
		exchange_free(conn->exchange);
		conn->exchange = NULL;
	}
}

/* Deadlines. */

static void conn_refuse(struct conn *conn, uint16_t code, const char *why)
{
	struct exchange *exchange = conn->exchange ? conn->exchange : exchange_new(conn);

	conn->exchange = exchange;
	conn->state = CONN_ANSWER;
	exchange->request.keep_alive = false;
	conn->server->counters.bad_requests++;
	exchange_refuse(exchange, code, why);
}

static void conn_expired(struct conn *conn)
{
	bool stalled = conn->stall_deadline_ms && conn_now(conn) >= conn->stall_deadline_ms;
	bool half_request = conn->state == CONN_BODY || (conn->state == CONN_HEAD && conn->in.len);

	if (conn->state != CONN_LINGER && !conn_is_idle(conn))
		conn->server->counters.timeouts++;
	if (stalled || !half_request) {
		conn_close(conn);
		return;
	}
	conn_refuse(conn, 408, "the request did not arrive in time");
}

static void conn_rearm(struct conn *conn);

static void conn_on_timer(uv_timer_t *timer)
{
	struct conn *conn = timer->data;
	uint64_t now = conn_now(conn);

	if (conn->state == CONN_CLOSED)
		return;
	if (conn->doomed)
		conn_close(conn);
	else if ((conn->state_deadline_ms && now >= conn->state_deadline_ms) ||
		 (conn->stall_deadline_ms && now >= conn->stall_deadline_ms))
		conn_expired(conn);
	else
		conn_rearm(conn);
}

static void conn_rearm(struct conn *conn)
{
	uint64_t deadline = conn->state_deadline_ms, now = conn_now(conn);

	if (conn->state == CONN_CLOSED)
		return;
	if (conn->stall_deadline_ms && (!deadline || conn->stall_deadline_ms < deadline))
		deadline = conn->stall_deadline_ms;
	if (conn->doomed)
		deadline = now;
	if (!deadline)
		(void)uv_timer_stop(&conn->timer);
	else
		(void)uv_timer_start(&conn->timer, conn_on_timer,
				     deadline > now ? deadline - now : 0, 0);
}

static void conn_deadline(struct conn *conn, uint32_t ms)
{
	conn->state_deadline_ms = ms ? conn_now(conn) + ms : 0;
	conn_rearm(conn);
}

/* Close from the loop, soon; see the top of this file. */
static void conn_doom(struct conn *conn)
{
	conn->doomed = true;
	conn_rearm(conn);
}

/* Sending. */

static void conn_on_written(uv_write_t *write, int status)
{
	struct conn *conn = write->data;

	conn->writing = false;
	if (conn->state == CONN_CLOSED)
		return;
	if (status < 0) {
		conn_close(conn);
		return;
	}
	buf_deinit(&conn->wire);
	conn->stall_deadline_ms = 0;
	conn_pump(conn);
	if (conn->out_was_high && conn_out_len(conn) < EXCHANGE_OUT_HIGH) {
		struct exchange *exchange = conn->exchange;

		conn->out_was_high = false;
		if (exchange && exchange->streaming && exchange->writable)
			exchange->writable(exchange, exchange->arg);
	}
	conn_advance(conn);
}

/* Drop @len bytes from the front of out; memory is given back when it is empty. */
static void conn_out_taken(struct conn *conn, size_t len)
{
	conn->out_at += len;
	if (conn->out_at == conn->out.len) {
		buf_deinit(&conn->out);
		conn->out_at = 0;
	} else if (conn->out_at > OUT_COMPACT_MIN && conn->out_at > conn->out.len / 2) {
		buf_consume(&conn->out, conn->out_at);
		conn->out_at = 0;
	}
}

/* Fill wire with the next piece to send. False on a TLS failure. */
static bool conn_fill_wire(struct conn *conn)
{
	struct bytes rest = bytes_of(conn->out.ptr + conn->out_at, conn->out.len - conn->out_at);
	size_t taken = 0;

	if (!conn->tls) {
		taken = rest.len < TLS_WIRE_HIGH ? rest.len : TLS_WIRE_HIGH;
		buf_append(&conn->wire, rest.ptr, taken);
	} else if (conn->state != CONN_HANDSHAKE && rest.len &&
		   tls_write(conn->tls, rest, &taken)) {
		return false;
	}
	if (taken)
		conn_out_taken(conn, taken);
	if (conn->tls) {
		struct buf swap = conn->wire;

		assert(swap.len == 0);
		conn->wire = *tls_wire(conn->tls);
		*tls_wire(conn->tls) = swap;
	}
	return true;
}

/* Try to send wire at once. True when all of it has gone. */
static bool conn_send_wire(struct conn *conn)
{
	uv_buf_t piece = uv_buf_init((char *)conn->wire.ptr, (unsigned)conn->wire.len);
	int r = uv_try_write((uv_stream_t *)&conn->tcp, &piece, 1);

	if (r == (int)conn->wire.len) {
		buf_clear(&conn->wire);
		return true;
	}
	if (r < 0 && r != UV_EAGAIN) {
		conn_doom(conn);
		return false;
	}
	if (r > 0)
		buf_consume(&conn->wire, (size_t)r);
	piece = uv_buf_init((char *)conn->wire.ptr, (unsigned)conn->wire.len);
	conn->write.data = conn;
	if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &piece, 1, conn_on_written)) {
		conn_doom(conn);
		return false;
	}
	conn->writing = true;
	conn->stall_deadline_ms = conn_now(conn) + (conn->exchange && conn->exchange->upgraded
							    ? (uint32_t)SERVER_UPGRADED_STALL_MS
							    : conn->server->options.stall_ms);
	conn_rearm(conn);
	return false;
}

static void conn_flushed(struct conn *conn)
{
	if (conn->state != CONN_LINGER || !conn->closing_after)
		return;
	conn->closing_after = false;
	if (conn->tls) {
		tls_bye(conn->tls);
		conn_pump(conn);
	}
	/* libuv would wait for queued writes; half-close by hand keeps reading possible. */
	if (!conn->writing) {
		uv_os_fd_t fd;

		if (uv_fileno((const uv_handle_t *)&conn->tcp, &fd) == 0)
			(void)shutdown(fd, SHUT_WR);
	}
	conn_deadline(conn, SERVER_LINGER_MS);
}

static void conn_pump(struct conn *conn)
{
	/* A doomed connection may still hold what could not be sent; nothing more will be. */
	if (conn->writing || conn->doomed || conn->state == CONN_CLOSED)
		return;
	for (;;) {
		if (!conn_fill_wire(conn)) {
			conn_doom(conn);
			return;
		}
		if (conn->wire.len == 0)
			break;
		if (!conn_send_wire(conn))
			return;
	}
	buf_deinit(&conn->wire);
	conn_flushed(conn);
}

void conn_send(struct conn *conn)
{
	if (conn->state == CONN_CLOSED)
		return;
	conn_pump(conn);
	if (conn_out_len(conn) >= EXCHANGE_OUT_HIGH)
		conn->out_was_high = true;
	if (conn->exchange && conn->exchange->streaming && conn_out_len(conn) > EXCHANGE_OUT_MAX)
		conn_doom(conn);
}

void conn_answered(struct conn *conn, bool keep_alive)
{
	conn->exchange = NULL;
	conn->out_was_high = false;
	if (conn->state == CONN_CLOSED)
		return;
	if (keep_alive && (!conn->read_eof || conn->in.len)) {
		conn->state = CONN_HEAD;
	} else {
		conn->state = CONN_LINGER;
		conn->closing_after = true;
		buf_deinit(&conn->in);
	}
	conn_deadline(conn, 0);
	conn_pump(conn);
	conn_advance(conn);
}

/* Receiving. */

static void conn_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *conn = handle->data;

	(void)suggested;
	*buf = uv_buf_init((char *)conn->server->read_chunk, SERVER_READ_CHUNK);
}

static void conn_login(struct conn *conn)
{
	struct bytes chain[TLS_CHAIN_MAX];
	size_t count = tls_peer_chain(conn->tls, chain);
	struct err err = {0};

	if (count == 0)
		return;
	conn->login_ms = conn_now(conn);
	conn->authenticated = false;
	*conn->auth_error = 0;
	if (conn->server->hooks.verify_user(conn->server->hooks.arg, chain, count, &conn->user,
					    &err) == 0) {
		conn->authenticated = true;
		return;
	}
	memset(&conn->user, 0, sizeof(conn->user));
	(void)snprintf(conn->auth_error, sizeof(conn->auth_error), "%s",
		       *err.text ? err.text : "invalid certificate");
	server_log(conn->server, conn, "client certificate refused: %s", conn->auth_error);
}

void conn_login_again(struct conn *conn)
{
	if (!conn->tls || !conn->authenticated || conn->state == CONN_CLOSED)
		return;
	conn_login(conn);
	if (!conn->authenticated)
		conn_doom(conn);
}

/* We have nothing to send after a handshake that could carry the acknowledgement, and a client that
 * leaves Nagle's algorithm on would wait 40 ms for it before its first request. */
static void conn_ack(struct conn *conn)
{
	int on = 1;
	uv_os_fd_t fd;

	if (uv_fileno((const uv_handle_t *)&conn->tcp, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static void conn_handshake(struct conn *conn)
{
	const char *why = "";
	int r = tls_handshake(conn->tls, &why);

	if (r == TLS_E_AGAIN) {
		conn_pump(conn);
		return;
	}
	if (r) {
		conn->server->counters.tls_failures++;
		server_log(conn->server, conn, "TLS handshake failed: %s", why);
		conn_pump(conn); /* the alert */
		conn_close(conn);
		return;
	}
	conn_login(conn);
	conn_ack(conn);
	conn->state = CONN_HEAD;
	conn_deadline(conn, conn->server->options.header_ms);
	conn_pump(conn);
}

/* Only a client on this machine may do without TLS, and only when asked for; or everybody may. */
static void conn_plain(struct conn *conn)
{
	static const char name[] = "insecure-administrator", group[] = "system:masters";

	conn->state = CONN_HEAD;
	if (!conn->server->options.plain && (!conn->server->options.insecure || !conn->loopback)) {
		conn->had_request = true;
		conn_refuse(conn, 400, "client sent an HTTP request to an HTTPS server");
		return;
	}
	memcpy(conn->user.name, name, sizeof(name));
	memcpy(conn->user.groups[0], group, sizeof(group));
	conn->user.group_count = 1;
	conn->authenticated = true;
	conn_deadline(conn, conn->server->options.header_ms);
}

static void conn_sniff(struct conn *conn, uint8_t first)
{
	if (first != TLS_HANDSHAKE_BYTE) {
		conn_plain(conn);
		return;
	}
	if (!conn->server->tls) {
		conn_close(conn);
		return;
	}
	conn->tls = tls_new(conn->server->tls);
	conn->state = CONN_HANDSHAKE;
}

/* The peer will send no more. Half-closing after a request is allowed; a stream ends. */
static void conn_eof(struct conn *conn)
{
	bool streaming = conn->exchange && conn->exchange->streaming;

	conn->read_eof = true;
	if (conn->state == CONN_ANSWER && !streaming)
		return;
	if (conn->state == CONN_HEAD && (conn->in.len || conn_out_len(conn)))
		return; /* conn_advance() decides once it has looked at what is left */
	if (conn->state == CONN_LINGER && conn_out_len(conn))
		return;
	conn_close(conn);
}

/* Decrypt as much as may be held now. */
static void conn_decrypt(struct conn *conn)
{
	int r;

	if (!conn->tls || conn->read_eof || conn->in.len >= SERVER_PIPELINE_MAX)
		return;
	r = tls_read(conn->tls, &conn->in, SERVER_PIPELINE_MAX - conn->in.len);
	if (r == TLS_E_CLOSED || r == TLS_E_FAILED)
		conn_eof(conn);
}

static void conn_received(struct conn *conn, struct bytes bytes)
{
	if (conn->state == CONN_SNIFF)
		conn_sniff(conn, bytes.ptr[0]);
	if (conn->state == CONN_CLOSED || conn->state == CONN_LINGER)
		return; /* lingering: dropped */
	if (!conn->tls) {
		buf_append_bytes(&conn->in, bytes);
	} else if (!tls_feed(conn->tls, bytes)) {
		conn_close(conn);
		return;
	}
	if (conn->state == CONN_HANDSHAKE)
		conn_handshake(conn);
	if (conn->state != CONN_HANDSHAKE)
		conn_advance(conn);
}

static void conn_on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct conn *conn = stream->data;

	if (conn->state == CONN_CLOSED || len == 0)
		return;
	if (len > 0) {
		conn_received(conn, bytes_of(buf->base, (size_t)len));
		return;
	}
	(void)uv_read_stop(stream);
	conn->reading = false;
	if (len == UV_EOF)
		conn_eof(conn);
	else
		conn_close(conn);
	if (conn->state != CONN_CLOSED)
		conn_advance(conn);
}

/* Stop reading from a client that sends ahead of our answers. */
static void conn_update_reading(struct conn *conn)
{
	bool want = !conn->read_eof && conn->in.len < SERVER_PIPELINE_MAX;

	if (conn->state == CONN_CLOSED || want == conn->reading)
		return;
	if (!want)
		(void)uv_read_stop((uv_stream_t *)&conn->tcp);
	else if (uv_read_start((uv_stream_t *)&conn->tcp, conn_alloc, conn_on_read)) {
		conn_doom(conn);
		return;
	}
	conn->reading = want;
}

/* Requests. */

static void conn_begin(struct conn *conn, struct http_request *request)
{
	struct exchange *exchange;

	/* A certificate may expire or be revoked while its connection is kept. */
	if (conn->tls && conn_now(conn) - conn->login_ms > SERVER_LOGIN_MS)
		conn_login(conn);
	exchange = exchange_new(conn);
	exchange->request = *request;
	exchange->head = strcmp(request->method, "HEAD") == 0;
	conn->exchange = exchange;
	conn->body_left = request->content_length;
	conn->chunks = (struct http_chunks){0};
	conn->had_request = true;
	conn->state = CONN_BODY;
	conn->server->counters.requests++;
	if (request->expect_continue &&
	    (conn->in.len < conn->body_left || (request->chunked && !conn->in.len))) {
		buf_append_str(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n");
		conn_pump(conn);
	}
	conn_deadline(conn, conn->server->options.body_ms);
}

/* True when the state moved on. */
static bool conn_read_head(struct conn *conn)
{
	struct http_request request;
	const char *why = "";
	size_t used = 0;
	int r;

	/* A client that takes no answers gets no more work done. */
	if (conn_out_len(conn) >= EXCHANGE_OUT_HIGH)
		return false;
	r = conn->in.len
		    ? http_parse_head(&conn->parser, bytes_buf(&conn->in), &request, &used, &why)
		    : HTTP_E_MORE;
	if (r == 0) {
		buf_consume(&conn->in, used);
		conn_begin(conn, &request);
		return true;
	}
	if (r != HTTP_E_MORE) {
		conn_refuse(conn, http_outcome_status((enum http_outcome)r), why);
		return false;
	}
	if (conn->read_eof) {
		if (conn_out_len(conn) == 0)
			conn_close(conn);
		return false;
	}
	if (conn->in.len && !conn->header_started)
		conn_deadline(conn, conn->server->options.header_ms);
	else if (!conn->in.len && !conn->state_deadline_ms)
		conn_deadline(conn, conn->had_request ? conn->server->options.idle_ms
						      : conn->server->options.header_ms);
	conn->header_started = conn->in.len > 0;
	return false;
}

/* True when something was taken and the body is not refused; *ret_complete: it is all there. */
static bool conn_take_chunks(struct conn *conn, bool *ret_complete)
{
	const char *why = "";
	size_t used = 0;
	int r = http_chunks_feed(&conn->chunks, bytes_buf(&conn->in), &conn->exchange->body_text,
				 &used, &why);

	buf_consume(&conn->in, used);
	*ret_complete = r == 0;
	if (r == 0 || r == HTTP_E_MORE)
		return used > 0;
	conn_refuse(conn, http_outcome_status((enum http_outcome)r), why);
	return false;
}

static bool conn_take_body(struct conn *conn, bool *ret_complete)
{
	size_t take = conn->in.len < conn->body_left ? conn->in.len : (size_t)conn->body_left;

	buf_append(&conn->exchange->body_text, conn->in.ptr, take);
	buf_consume(&conn->in, take);
	conn->body_left -= take;
	*ret_complete = conn->body_left == 0;
	return take > 0;
}

static bool conn_read_body(struct conn *conn)
{
	struct exchange *exchange = conn->exchange;
	bool complete, taken;

	conn->header_started = false;
	taken = exchange->request.chunked ? conn_take_chunks(conn, &complete)
					  : conn_take_body(conn, &complete);
	if (conn->state != CONN_BODY) /* it was refused */
		return false;
	if (!complete) {
		if (conn->read_eof)
			conn_close(conn);
		return taken;
	}
	exchange->body = bytes_buf(&exchange->body_text);
	conn->state = CONN_ANSWER;
	conn_deadline(conn, 0);
	conn->server->hooks.handle(conn->server->hooks.arg, exchange);
	return true;
}

/* True when some of what waits was taken. */
static bool conn_feed(struct conn *conn)
{
	struct exchange *exchange = conn->exchange;
	struct buf held = conn->in;
	size_t used;

	if (held.len == 0)
		return false;
	/* The exchange may end in there, and what is received is dropped with it. */
	conn->in = (struct buf){0};
	used = exchange->received(exchange, bytes_buf(&held), exchange->arg);
	if (conn->exchange == exchange && used < held.len) {
		buf_consume(&held, used);
		conn->in = held;
	} else {
		buf_deinit(&held);
	}
	return used > 0;
}

static void set_user_timeout(struct conn *conn, unsigned timeout_ms)
{
	uv_os_fd_t fd;

	if (uv_fileno((const uv_handle_t *)&conn->tcp, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
				 sizeof(timeout_ms));
}

void conn_upgraded(struct conn *conn)
{
	/* Someone sits there and reads a page; the kernel counts that as silence as well. */
	set_user_timeout(conn, SERVER_UPGRADED_STALL_MS);
}

void conn_receive(struct conn *conn)
{
	if (conn->state == CONN_ANSWER)
		conn_advance(conn);
}

static void conn_advance(struct conn *conn)
{
	bool moved = true;

	if (conn->advancing)
		return;
	conn->advancing = true;
	while (moved && conn->state != CONN_CLOSED) {
		conn_decrypt(conn);
		if (conn->state == CONN_HEAD)
			moved = conn_read_head(conn);
		else if (conn->state == CONN_BODY)
			moved = conn_read_body(conn);
		else if (conn->state == CONN_ANSWER && conn->exchange && conn->exchange->upgraded)
			moved = conn_feed(conn);
		else
			moved = false;
	}
	conn->advancing = false;
	/* Thousands of idle watches must not each hold an empty buffer. */
	if (conn->in.len == 0 || conn->state == CONN_LINGER)
		buf_deinit(&conn->in);
	if (conn->state == CONN_LINGER) {
		if (conn->read_eof && conn_out_len(conn) == 0 && !conn->writing)
			conn_close(conn);
	}
	conn_update_reading(conn);
}

/* Accepting. */

static bool address_is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
	}
	return false;
}

static void conn_find_addresses(struct conn *conn)
{
	struct sockaddr_storage local = {0};
	int peer_len = sizeof(conn->peer), local_len = sizeof(local);

	if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&conn->peer, &peer_len) == 0 &&
	    uv_tcp_getsockname(&conn->tcp, (struct sockaddr *)&local, &local_len) == 0)
		conn->loopback = address_is_loopback(&conn->peer) && address_is_loopback(&local);
}

/* A peer that vanishes without a word must not hold a watch for ever. */
static void conn_tune(struct conn *conn)
{
	(void)uv_tcp_nodelay(&conn->tcp, 1);
	(void)uv_tcp_keepalive(&conn->tcp, 1, SERVER_KEEPALIVE_S);
	set_user_timeout(conn, SERVER_USER_TIMEOUT_MS);
}

static struct conn *conn_new(struct server *server)
{
	struct conn *conn = mem_new(struct conn);

	conn->server = server;
	conn->tcp.data = conn->timer.data = conn;
	conn->handles = 2;
	(void)uv_timer_init(server->loop, &conn->timer);
	if (uv_tcp_init(server->loop, &conn->tcp))
		abort(); /* without a socket it only fails for lack of memory */
	list_append(&server->conns, &conn->link);
	server->conn_count++;
	return conn;
}

/* Its socket is connected. */
static void conn_welcome(struct conn *conn)
{
	struct server *server = conn->server;

	conn_find_addresses(conn);
	if (!server_admits(server, conn)) {
		server->counters.refused++;
		conn_close(conn);
		return;
	}
	server->counters.accepted++;
	conn_tune(conn);
	conn_deadline(conn, server->options.handshake_ms);
	conn_update_reading(conn);
}

void conn_accept(struct server *server, uv_stream_t *listener)
{
	struct conn *conn = conn_new(server);

	if (uv_accept(listener, (uv_stream_t *)&conn->tcp))
		conn_close(conn);
	else
		conn_welcome(conn);
}

void conn_adopt(struct server *server, int fd)
{
	struct conn *conn = conn_new(server);

	if (uv_tcp_open(&conn->tcp, fd)) {
		(void)close(fd);
		conn_close(conn);
	} else {
		conn_welcome(conn);
	}
}
