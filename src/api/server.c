/* SPDX-License-Identifier: Apache-2.0 */
#include "api/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/conn.h"
#include "base/mem.h"

enum {
	HANDSHAKE_MS = 10000, /* a handshake over a slow satellite link takes two seconds */
	HEADER_MS = 10000,    /* 2 KiB at modem speed */
	BODY_MS = 30000,      /* the largest body at 100 KiB/s */
	IDLE_MS = 60000,      /* kubectl reuses within seconds; Go closes idle ones at 90 s */
	STALL_MS = 30000,     /* no 64 KiB taken in so long: nobody is reading */
	CONNECTIONS_MAX = 1024,
	PER_IP_PENDING_MAX = 64,
	LOG_LINE_MAX = 512,
};

static void default_to(uint32_t *option, uint32_t value)
{
	if (*option == 0)
		*option = value;
}

static void set_defaults(struct api_options *options)
{
	default_to(&options->handshake_ms, HANDSHAKE_MS);
	default_to(&options->header_ms, HEADER_MS);
	default_to(&options->body_ms, BODY_MS);
	default_to(&options->idle_ms, IDLE_MS);
	default_to(&options->stall_ms, STALL_MS);
	default_to(&options->connections_max, CONNECTIONS_MAX);
	default_to(&options->per_ip_pending_max, PER_IP_PENDING_MAX);
	options->host = options->chain_pem = options->key_pem = NULL;
}

/* Only the address, without the port; a v4-mapped address is that v4 address. */
static void peer_text(const struct conn *conn, char *out, size_t size)
{
	if (uv_ip_name((const struct sockaddr *)&conn->peer, out, size))
		(void)snprintf(out, size, "unknown");
	if (strncmp(out, "::ffff:", 7) == 0)
		memmove(out, out + 7, strlen(out + 7) + 1);
}

void server_log(struct server *server, const struct conn *conn, const char *format, ...)
{
	char line[LOG_LINE_MAX], peer[INET6_ADDRSTRLEN];
	va_list args;
	int len;

	if (!server->options.log)
		return;
	peer_text(conn, peer, sizeof(peer));
	len = snprintf(line, sizeof(line), "rest client %s: ", peer);
	va_start(args, format);
	(void)vsnprintf(line + len, sizeof(line) - (size_t)len, format, args);
	va_end(args);
	server->options.log(server->options.log_arg, line);
}

/* Connections of one address that have not completed a request head. Counting walks the list: it
 * is short, and accepting is rare beside serving. */
static uint32_t pending_of(const struct server *server, const char *peer)
{
	char other[INET6_ADDRSTRLEN];
	uint32_t pending = 0;

	list_for_each (it, &server->conns) {
		const struct conn *conn = list_entry(it, struct conn, link);

		if (!conn_is_pending(conn))
			continue;
		peer_text(conn, other, sizeof(other));
		pending += strcmp(other, peer) == 0;
	}
	return pending;
}

static bool close_oldest_idle(struct server *server)
{
	list_for_each (it, &server->conns) {
		struct conn *conn = list_entry(it, struct conn, link);

		if (conn_is_idle(conn)) {
			conn_close(conn);
			return true;
		}
	}
	return false;
}

bool server_admits(struct server *server, const struct conn *conn)
{
	char peer[INET6_ADDRSTRLEN];

	/* @conn itself is counted already. */
	peer_text(conn, peer, sizeof(peer));
	if (pending_of(server, peer) > server->options.per_ip_pending_max)
		return false;
	return server->conn_count <= server->options.connections_max || close_oldest_idle(server);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct server *server = listener->data;

	if (status == 0)
		conn_accept(server, listener);
}

static int parse_host(const char *host, uint16_t port, struct sockaddr_storage *ret_address)
{
	if (uv_ip4_addr(host, port, (struct sockaddr_in *)ret_address) == 0)
		return 0;
	return uv_ip6_addr(host, port, (struct sockaddr_in6 *)ret_address);
}

static void listener_closed(uv_handle_t *handle);

static int server_listen(struct server *server, const char *host, uint16_t port, struct err *err)
{
	uv_tcp_t *listener = &server->listeners[server->listener_count];
	struct sockaddr_storage address = {0};
	int len = sizeof(address);
	int r;

	assert(server->listener_count < SERVER_LISTENERS_MAX);
	if (parse_host(host, port, &address))
		return err_set(err, err_origin(-EINVAL), "%s is not a numeric address", host);
	(void)uv_tcp_init(server->loop, listener);
	listener->data = server;
	server->listener_count++;
	server->handle_count++;
	r = uv_tcp_bind(listener, (const struct sockaddr *)&address, 0);
	if (r == 0)
		r = uv_listen((uv_stream_t *)listener, SERVER_BACKLOG, on_connection);
	if (r == 0)
		r = uv_tcp_getsockname(listener, (struct sockaddr *)&address, &len);
	if (r)
		return err_set(err, err_origin(r), "listen on %s port %u: %s", host, port,
			       uv_strerror(r));
	if (server->listener_count == 1)
		server->port = ntohs(((struct sockaddr_in *)&address)->sin_port);
	return 0;
}

/* Plain HTTP is for loopback only: where --rest-api-host is some other address, listen there too.
 */
static bool needs_loopback(const struct api_options *options)
{
	static const char *const covered[] = {"0.0.0.0", "::", "::1"};

	if (!options->insecure || strncmp(options->host, "127.", 4) == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(covered); i++) {
		if (strcmp(options->host, covered[i]) == 0)
			return false;
	}
	return true;
}

static int server_start(struct server *server, const struct api_options *options, struct err *err)
{
	int r = 0;

	if (options->chain_pem)
		r = tls_context_new(options->chain_pem, options->key_pem, &server->tls, err);
	else if (!options->insecure && !options->plain)
		r = err_set(err, err_origin(-EINVAL), "a REST certificate is required");
	if (r == 0 && options->host)
		r = server_listen(server, options->host, options->port, err);
	if (r == 0 && options->host && needs_loopback(options))
		r = server_listen(server, "127.0.0.1", server->port, err);
	return r;
}

int server_new(uv_loop_t *loop, const struct api_options *options, const struct server_hooks *hooks,
	       struct server **ret_server, struct err *err)
{
	struct server *server = mem_new(struct server);
	int r;

	/* A client that goes away while we write is an error of that write, not of the process. */
	(void)signal(SIGPIPE, SIG_IGN);
	server->loop = loop;
	server->hooks = *hooks;
	server->options = *options;
	set_defaults(&server->options);
	server->read_chunk = mem_alloc(1, SERVER_READ_CHUNK);
	list_init(&server->conns);
	(void)uv_timer_init(loop, &server->drain);
	server->drain.data = server;
	server->handle_count = 1;
	r = server_start(server, options, err);
	if (r) {
		server_close(server, 0, NULL, NULL);
		return err_trace(r);
	}
	*ret_server = server;
	return 0;
}

void server_adopt(struct server *server, int fd)
{
	conn_adopt(server, fd);
}

uint16_t server_port(const struct server *server)
{
	return server->port;
}

int server_set_certificate(struct server *server, const char *chain_pem, const char *key_pem,
			   struct err *err)
{
	struct tls_context *context;
	int r = tls_context_new(chain_pem, key_pem, &context, err);

	if (r)
		return err_trace(r);
	tls_context_unref(server->tls);
	server->tls = context;
	return 0;
}

const struct server_counters *server_counters(const struct server *server)
{
	return &server->counters;
}

size_t server_connections(const struct server *server)
{
	return server->conn_count;
}

/* The last handle or connection has gone: so does the server. */
static void server_try_free(struct server *server)
{
	void (*closed)(void *arg) = server->closed;
	void *arg = server->closed_arg;

	if (!server->closing || server->conn_count || server->handle_count)
		return;
	tls_context_unref(server->tls);
	free(server->read_chunk);
	free(server);
	if (closed)
		closed(arg);
}

static void listener_closed(uv_handle_t *handle)
{
	struct server *server = handle->data;

	server->handle_count--;
	server_try_free(server);
}

static void drain_close(struct server *server)
{
	if (!uv_is_closing((uv_handle_t *)&server->drain))
		uv_close((uv_handle_t *)&server->drain, listener_closed);
}

void server_forget(struct server *server, struct conn *conn)
{
	list_remove(&conn->link);
	server->conn_count--;
	if (server->closing && server->conn_count == 0)
		drain_close(server);
	server_try_free(server);
}

static void close_connections(struct server *server, bool only_idle)
{
	list_for_each_safe (it, &server->conns) {
		struct conn *conn = list_entry(it, struct conn, link);

		if (!only_idle || conn_is_idle(conn) || conn_is_pending(conn))
			conn_close(conn);
	}
}

void server_login_again(struct server *server)
{
	list_for_each_safe (it, &server->conns)
		conn_login_again(list_entry(it, struct conn, link));
}

static void on_drained(uv_timer_t *timer)
{
	struct server *server = timer->data;

	close_connections(server, false);
}

void server_close(struct server *server, uint32_t drain_ms, void (*closed)(void *arg), void *arg)
{
	assert(!server->closing);
	server->closing = true;
	server->closed = closed;
	server->closed_arg = arg;
	for (size_t i = 0; i < server->listener_count; i++)
		uv_close((uv_handle_t *)&server->listeners[i], listener_closed);
	close_connections(server, drain_ms != 0);
	if (server->conn_count == 0)
		drain_close(server);
	else if (drain_ms)
		(void)uv_timer_start(&server->drain, on_drained, drain_ms, 0);
}
