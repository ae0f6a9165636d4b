/* SPDX-License-Identifier: Apache-2.0 */
#include "api/response.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/conn.h"
#include "base/mem.h"

struct reason_phrase {
	uint16_t status;
	const char *phrase;
};

/* RFC 9110 section 15; a client reads only the number. */
static const char *reason_phrase(uint16_t status)
{
	static const struct reason_phrase phrases[] = {
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{411, "Length Required"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Status";
}

struct exchange *exchange_new(struct conn *conn)
{
	struct exchange *exchange = mem_new(struct exchange);

	exchange->conn = conn;
	exchange->user = conn->user;
	exchange->authenticated = conn->authenticated;
	if (*conn->auth_error)
		exchange->auth_error = mem_strdup(conn->auth_error);
	return exchange;
}

const struct api_credential *exchange_credential(const struct exchange *exchange,
						 struct api_credential *ret)
{
	const struct conn *conn = exchange->conn;

	_Static_assert((int)TLS_CHAIN_MAX == (int)API_CHAIN_MAX, "one chain has room in the other");
	*ret = (struct api_credential){0};
	if (!conn || !exchange->authenticated)
		return NULL;
	if (conn->tls)
		ret->count = tls_peer_chain(conn->tls, ret->certs);
	return !conn->tls || ret->count ? ret : NULL;
}

static void tell_answer(struct exchange *exchange, uint16_t status, struct bytes body)
{
	void (*answered)(void *arg, uint16_t status, struct bytes body) = exchange->answered;

	exchange->answered = NULL;
	if (answered)
		answered(exchange->answered_arg, status, body);
}

void exchange_on_answer(struct exchange *exchange,
			void (*answered)(void *arg, uint16_t status, struct bytes body), void *arg)
{
	assert(!exchange->answered && !exchange->streaming);
	exchange->answered = answered;
	exchange->answered_arg = arg;
}

void exchange_source(const struct exchange *exchange, char ret_source[API_SOURCE_MAX])
{
	const struct sockaddr *peer =
		exchange->conn ? (const struct sockaddr *)(const void *)&exchange->conn->peer
			       : NULL;

	ret_source[0] = 0;
	if (peer && uv_ip_name(peer, ret_source, API_SOURCE_MAX) != 0)
		ret_source[0] = 0;
}

void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	tell_answer(exchange, 0, (struct bytes){0});
	http_request_deinit(&exchange->request);
	buf_deinit(&exchange->body_text);
	buf_deinit(&exchange->headers);
	free(exchange->auth_error);
	free(exchange);
}

void exchange_header(struct exchange *exchange, const char *name, const char *value)
{
	size_t len = 0;

	assert(!exchange->streaming);
	while ((unsigned char)value[len] >= ' ' && value[len] != 0x7f)
		len++;
	buf_append_format(&exchange->headers, "%s: %.*s\r\n", name, (int)len, value);
}

void exchange_warning(struct exchange *exchange, const char *text)
{
	struct buf quoted = {0};

	/* RFC 9110 section 5.6.4: a quoted string escapes quotes and backslashes. */
	buf_append_str(&quoted, "299 - \"");
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			buf_append_str(&quoted, "\\");
		if (c < ' ' || c == 0x7f)
			c = ' ';
		buf_append(&quoted, &c, 1);
	}
	buf_append_str(&quoted, "\"");
	exchange_header(exchange, "Warning", buf_cstr(&quoted));
	buf_deinit(&quoted);
}

static void append_date(struct buf *out)
{
	char text[64];
	struct tm tm;
	time_t now = time(NULL);

	if (gmtime_r(&now, &tm) && strftime(text, sizeof(text), "%a, %d %b %Y %T GMT", &tm) > 0)
		buf_append_format(out, "Date: %s\r\n", text);
}

static bool will_keep_alive(const struct exchange *exchange)
{
	return exchange->request.keep_alive && !exchange->conn->server->closing;
}

/* Status line and headers; framing headers are the caller's in @framing. */
static void append_head(struct exchange *exchange, uint16_t status, const char *content_type,
			const char *framing)
{
	struct buf *out = &exchange->conn->out;

	buf_append_format(out, "HTTP/1.1 %u %s\r\n", status, reason_phrase(status));
	append_date(out);
	if (content_type)
		buf_append_format(out, "Content-Type: %s\r\n", content_type);
	buf_append_str(out, "X-Content-Type-Options: nosniff\r\n");
	buf_append_bytes(out, bytes_buf(&exchange->headers));
	buf_append_str(out, framing);
	if (!will_keep_alive(exchange))
		buf_append_str(out, "Connection: close\r\n");
	else if (exchange->request.minor_zero)
		buf_append_str(out, "Connection: keep-alive\r\n");
	buf_append_str(out, "\r\n");
}

/* The answer is complete: give the connection back and free the exchange. */
static void finish(struct exchange *exchange, bool keep_alive)
{
	struct conn *conn = exchange->conn;

	exchange_free(exchange);
	if (conn)
		conn_answered(conn, keep_alive);
}

void exchange_respond(struct exchange *exchange, uint16_t status, const char *content_type,
		      struct bytes body)
{
	bool keep_alive = false;

	assert(!exchange->streaming);
	tell_answer(exchange, status, body);
	if (exchange->conn) {
		char framing[64];

		keep_alive = will_keep_alive(exchange);
		(void)snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n", body.len);
		append_head(exchange, status, content_type, framing);
		if (!exchange->head)
			buf_append_bytes(&exchange->conn->out, body);
	}
	finish(exchange, keep_alive);
}

void exchange_respond_json(struct exchange *exchange, uint16_t status, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	struct buf body = {0};

	json_decref(value);
	if (!text)
		abort(); /* only memory can be short: our own values are valid JSON */
	buf_append_str(&body, text);
	buf_append_str(&body, "\n");
	free(text);
	exchange_respond(exchange, status, "application/json", bytes_buf(&body));
	buf_deinit(&body);
}

void exchange_respond_status(struct exchange *exchange, json_t *status)
{
	exchange_respond_json(exchange, kube_status_code(status), status);
}

void exchange_refuse(struct exchange *exchange, uint16_t code, const char *why)
{
	json_t *status = kube_status(kube_reason_of_code(code), "%s", why);

	/* HTTP knows finer codes than Kubernetes has reasons. */
	(void)json_object_set_new(status, "code", json_integer(code));
	exchange_respond_json(exchange, code, status);
}

void exchange_on_abort(struct exchange *exchange,
		       void (*abort_fn)(struct exchange *exchange, void *arg), void *arg)
{
	assert(!exchange->streaming);
	exchange->abort = abort_fn;
	exchange->arg = arg;
}

void exchange_stream(struct exchange *exchange, uint16_t status, const char *content_type,
		     void (*writable)(struct exchange *exchange, void *arg),
		     void (*abort_fn)(struct exchange *exchange, void *arg), void *arg)
{
	assert(!exchange->streaming);
	tell_answer(exchange, status, (struct bytes){0});
	exchange->chunked = !exchange->request.minor_zero;
	exchange->writable = writable;
	exchange->abort = abort_fn;
	exchange->arg = arg;
	if (exchange->conn) {
		/* Without chunks the end of the connection is the end of the body. */
		if (!exchange->chunked)
			exchange->request.keep_alive = false;
		append_head(exchange, status, content_type,
			    exchange->chunked ? "Transfer-Encoding: chunked\r\n" : "");
	}
	exchange->streaming = true;
	if (exchange->conn)
		conn_send(exchange->conn);
}

void exchange_upgrade(struct exchange *exchange, const char *protocol,
		      size_t (*received)(struct exchange *exchange, struct bytes bytes, void *arg),
		      void (*writable)(struct exchange *exchange, void *arg),
		      void (*abort_fn)(struct exchange *exchange, void *arg), void *arg)
{
	assert(!exchange->streaming);
	tell_answer(exchange, 101, (struct bytes){0});
	exchange->received = received;
	exchange->writable = writable;
	exchange->abort = abort_fn;
	exchange->arg = arg;
	exchange->request.keep_alive = false;
	exchange->streaming = exchange->upgraded = true;
	if (!exchange->conn)
		return;
	buf_append_format(&exchange->conn->out,
			  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			  "Upgrade: %s\r\n",
			  protocol);
	buf_append_bytes(&exchange->conn->out, bytes_buf(&exchange->headers));
	buf_append_str(&exchange->conn->out, "\r\n");
	conn_upgraded(exchange->conn);
	conn_send(exchange->conn);
}

void exchange_receive(struct exchange *exchange)
{
	if (exchange->conn)
		conn_receive(exchange->conn);
}

bool exchange_write(struct exchange *exchange, struct bytes piece)
{
	struct conn *conn = exchange->conn;

	assert(exchange->streaming);
	if (!conn || exchange->head)
		return true;
	if (piece.len == 0)
		return conn_out_len(conn) < EXCHANGE_OUT_HIGH;
	if (exchange->chunked)
		buf_append_format(&conn->out, "%zx\r\n", piece.len);
	buf_append_bytes(&conn->out, piece);
	if (exchange->chunked)
		buf_append_str(&conn->out, "\r\n");
	conn_send(conn);
	return conn_out_len(conn) < EXCHANGE_OUT_HIGH;
}

size_t exchange_waiting(const struct exchange *exchange)
{
	return exchange->conn ? conn_out_len(exchange->conn) : 0;
}

void exchange_end(struct exchange *exchange)
{
	bool keep_alive = false;

	assert(exchange->streaming);
	if (exchange->conn) {
		keep_alive = will_keep_alive(exchange);
		if (exchange->chunked && !exchange->head)
			buf_append_str(&exchange->conn->out, "0\r\n\r\n");
	}
	finish(exchange, keep_alive);
}

void exchange_break(struct exchange *exchange)
{
	assert(exchange->streaming);
	/* The missing last chunk, or the early end, tells the client that something is missing. */
	finish(exchange, false);
}
