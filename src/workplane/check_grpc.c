/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/check_grpc.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	PREFIX_LEN = 5,             /* of a gRPC message: compressed or not, length big-endian */
	MESSAGE_MAX = 1024,         /* an answer is 7 bytes */
	SERVICE_MAX = 2048,         /* as a manifest may say */
	FIELD_SERVICE = 1 << 3 | 2, /* HealthCheckRequest.service: a string */
	FIELD_STATUS = 1 << 3,      /* HealthCheckResponse.status: an enum */
	STATUS_SERVING = 1,
	VARINT_BITS = 7,
	GRPC_UNIMPLEMENTED = 12,
	TEXT_MAX = 128,
};

struct check_grpc {
	nghttp2_session *session;
	struct buf request; /* the body; from @sent on still to be sent */
	size_t sent;
	struct buf wire;
	struct buf answer;
	int http_status, grpc_status; /* -1: not said */
	bool ended;
	char text[TEXT_MAX];
};

static const char *const status_names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};

/* ---- what nghttp2 calls */

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *to, size_t len,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct check_grpc *grpc = source->ptr;
	size_t left = grpc->request.len - grpc->sent;
	size_t now = left < len ? left : len;

	(void)session;
	(void)stream;
	(void)user;
	memcpy(to, grpc->request.ptr + grpc->sent, now);
	grpc->sent += now;
	if (now == left)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)now;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
		   size_t len, void *user)
{
	struct check_grpc *grpc = user;

	(void)session;
	(void)flags;
	(void)stream;
	if (grpc->answer.len + len > MESSAGE_MAX)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	buf_append(&grpc->answer, data, len);
	return 0;
}

static int number_of(const uint8_t *text, size_t len)
{
	char digits[8] = {0};

	if (len == 0 || len >= sizeof(digits))
		return -1;
	memcpy(digits, text, len);
	return digits[strspn(digits, "0123456789")] == '\0' ? (int)strtol(digits, NULL, 10) : -1;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	struct check_grpc *grpc = user;

	(void)session;
	(void)frame;
	(void)flags;
	if (bytes_equal(bytes_of(name, name_len), bytes_str(":status")))
		grpc->http_status = number_of(value, value_len);
	if (bytes_equal(bytes_of(name, name_len), bytes_str("grpc-status")))
		grpc->grpc_status = number_of(value, value_len);
	return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user)
{
	struct check_grpc *grpc = user;

	(void)session;
	(void)stream;
	(void)error;
	grpc->ended = true;
	return 0;
}

/* ---- the call */

static void make_request(const char *service, struct buf *out)
{
	size_t len = strnlen(service, SERVICE_MAX), body;
	uint8_t field[4] = {FIELD_SERVICE};
	size_t field_len = 1;

	for (size_t rest = len; field_len < sizeof(field); rest >>= VARINT_BITS) {
		bool more = rest >> VARINT_BITS > 0;

		field[field_len++] = (uint8_t)((rest & 0x7f) | (more ? 0x80 : 0));
		if (!more)
			break;
	}
	body = len > 0 ? field_len + len : 0;
	buf_append(out, (uint8_t[PREFIX_LEN]){0, 0, 0, (uint8_t)(body >> 8), (uint8_t)body},
		   PREFIX_LEN);
	if (len == 0)
		return;
	buf_append(out, field, field_len);
	buf_append(out, service, len);
}

static nghttp2_nv pair(const char *name, const char *value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
	};
}

static int call(struct check_grpc *grpc, const char *authority)
{
	const nghttp2_nv headers[] = {
		pair(":method", "POST"),
		pair(":scheme", "http"),
		pair(":path", "/grpc.health.v1.Health/Check"),
		pair(":authority", authority),
		pair("content-type", "application/grpc"),
		pair("te", "trailers"),
	};
	const nghttp2_data_provider body = {.source.ptr = grpc, .read_callback = read_request};
	int r = nghttp2_submit_settings(grpc->session, NGHTTP2_FLAG_NONE, NULL, 0);

	if (r == 0)
		r = nghttp2_submit_request(grpc->session, NULL, headers, ARRAY_LEN(headers), &body,
					   grpc);
	return r < 0 ? r : 0;
}

/* Everything that the session wants to say. */
static int pump(struct check_grpc *grpc)
{
	const uint8_t *data;
	ssize_t len;

	while ((len = nghttp2_session_mem_send(grpc->session, &data)) > 0)
		buf_append(&grpc->wire, data, (size_t)len);
	return len < 0 ? CHECK_GRPC_E_MALFORMED : 0;
}

/* These fail for want of memory only: as base/mem.h. */
static void must(int r)
{
	if (r != 0)
		abort();
}

struct check_grpc *check_grpc_new(const char *authority, const char *service)
{
	struct check_grpc *grpc = mem_new(struct check_grpc);
	nghttp2_session_callbacks *callbacks;
	int r = nghttp2_session_callbacks_new(&callbacks);

	must(r);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	r = nghttp2_session_client_new(&grpc->session, callbacks, grpc);
	nghttp2_session_callbacks_del(callbacks);
	must(r);
	grpc->http_status = grpc->grpc_status = -1;
	make_request(service, &grpc->request);
	r = call(grpc, authority);
	must(r);
	(void)pump(grpc);
	return grpc;
}

void check_grpc_free(struct check_grpc *grpc)
{
	if (!grpc)
		return;
	nghttp2_session_del(grpc->session);
	buf_deinit(&grpc->request);
	buf_deinit(&grpc->wire);
	buf_deinit(&grpc->answer);
	free(grpc);
}

struct buf *check_grpc_wire(struct check_grpc *grpc)
{
	return &grpc->wire;
}

/* The status in a HealthCheckResponse; one that leaves it out says 0. -1: no such message. */
static int status_of(struct bytes answer)
{
	size_t len;

	if (answer.len < PREFIX_LEN || answer.ptr[0] != 0 || answer.ptr[1] || answer.ptr[2])
		return -1;
	len = (size_t)answer.ptr[3] << 8 | answer.ptr[4];
	if (len != answer.len - PREFIX_LEN)
		return -1;
	if (len == 0)
		return 0;
	return len == 2 && answer.ptr[PREFIX_LEN] == FIELD_STATUS ? answer.ptr[PREFIX_LEN + 1] : -1;
}

/* The call is over. */
static int verdict(struct check_grpc *grpc)
{
	int status = status_of(bytes_buf(&grpc->answer));

	if (grpc->http_status != 200 || grpc->grpc_status < 0) {
		(void)snprintf(grpc->text, sizeof(grpc->text), "the answer is not gRPC");
		return CHECK_GRPC_E_MALFORMED;
	}
	if (grpc->grpc_status != 0) {
		(void)snprintf(grpc->text, sizeof(grpc->text),
			       grpc->grpc_status == GRPC_UNIMPLEMENTED
				       ? "the server does not implement the health service"
				       : "the call ended with gRPC status %d",
			       grpc->grpc_status);
		return CHECK_GRPC_E_UNHEALTHY;
	}
	if (status == STATUS_SERVING)
		return 0;
	(void)snprintf(grpc->text, sizeof(grpc->text), "service unhealthy (responded with \"%s\")",
		       status >= 0 && (size_t)status < ARRAY_LEN(status_names)
			       ? status_names[status]
			       : "something else");
	return CHECK_GRPC_E_UNHEALTHY;
}

int check_grpc_feed(struct check_grpc *grpc, struct bytes bytes, const char **ret_text)
{
	ssize_t taken = nghttp2_session_mem_recv(grpc->session, bytes.ptr, bytes.len);

	*ret_text = grpc->text;
	if (taken < 0 || (size_t)taken != bytes.len || pump(grpc) != 0 ||
	    (!grpc->ended && !nghttp2_session_want_read(grpc->session))) {
		(void)snprintf(grpc->text, sizeof(grpc->text), "the answer is not HTTP/2");
		return CHECK_GRPC_E_MALFORMED;
	}
	return grpc->ended ? verdict(grpc) : CHECK_GRPC_E_MORE;
}
