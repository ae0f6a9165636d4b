/* SPDX-License-Identifier: Apache-2.0 */
/* Checks, against servers on this machine's loopback that say what each test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "workplane/check.h"
#include "workplane/check_grpc.h"
#include "workplane/check_http.h"

enum {
	TIMEOUT_MS = 5000,
	SHORT_MS = 50,
	WAIT_MS = 20 * 1000,
};

/* A server that takes one connection, on a thread of its own. */
struct server {
	int fd;
	uint16_t port;
	pthread_t thread;
	const char *answer;
	char request[2048];
	gnutls_certificate_credentials_t credentials; /* NULL: no TLS */
};

struct result {
	bool done, ok;
	char text[CHECK_TEXT_MAX];
};

static void on_done(void *user, bool ok, const char *text)
{
	struct result *result = user;

	assert_false(result->done);
	result->done = true;
	result->ok = ok;
	(void)snprintf(result->text, sizeof(result->text), "%s", text);
}

static void server_listen(struct server *server, int family)
{
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(four);

	assert_int_equal(family, AF_INET);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server->fd >= 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&four, sizeof(four)), 0);
	assert_int_equal(listen(server->fd, 4), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&four, &len), 0);
	server->port = ntohs(four.sin_port);
}

static void serve_plain(struct server *server, int fd)
{
	ssize_t got = read(fd, server->request, sizeof(server->request) - 1);

	if (got > 0 && server->answer)
		(void)!write(fd, server->answer, strlen(server->answer));
}

static void serve_tls(struct server *server, int fd)
{
	gnutls_session_t tls;

	(void)gnutls_init(&tls, GNUTLS_SERVER);
	(void)gnutls_set_default_priority(tls);
	(void)gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, server->credentials);
	gnutls_transport_set_int(tls, fd);
	if (gnutls_handshake(tls) == 0 &&
	    gnutls_record_recv(tls, server->request, sizeof(server->request) - 1) > 0)
		(void)gnutls_record_send(tls, server->answer, strlen(server->answer));
	(void)gnutls_bye(tls, GNUTLS_SHUT_WR);
	gnutls_deinit(tls);
}

static void *serve(void *arg)
{
	struct server *server = arg;
	int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);

	if (server->credentials)
		serve_tls(server, fd);
	else
		serve_plain(server, fd);
	(void)close(fd);
	return NULL;
}

static void server_start(struct server *server, const char *answer)
{
	server->answer = answer;
	server_listen(server, AF_INET);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_end(struct server *server)
{
	assert_int_equal(pthread_join(server->thread, NULL), 0);
	(void)close(server->fd);
}

static struct result check(Magik__Ipc__CheckRun__Action action, uint16_t port, bool https,
			   uint32_t timeout_ms)
{
	static char *hosts[] = {(char *)(uintptr_t) "localhost"};
	struct loop *loop = loop_new();
	struct result result = {0};
	Magik__Ipc__CheckRun run;

	magik__ipc__check_run__init(&run);
	run.action = action;
	run.hosts = hosts;
	run.n_hosts = 1;
	run.port = port;
	run.https = https;
	run.timeout_ms = timeout_ms;
	run.path = (char *)(uintptr_t) "/healthz";
	(void)check_new(loop, &run, on_done, &result);
	assert_false(result.done);
	assert_true(loop_run_until(loop, &result.done, mono_add_ms(clock_mono(), WAIT_MS)));
	loop_free(loop);
	return result;
}

static struct result check_http(const char *answer)
{
	struct server server = {0};
	struct result result;

	server_start(&server, answer);
	result = check(MAGIK__IPC__CHECK_RUN__ACTION__HTTP, server.port, false, TIMEOUT_MS);
	server_end(&server);
	assert_non_null(strstr(server.request, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:"));
	assert_non_null(strstr(server.request, "\r\nUser-Agent: kube-probe/"));
	return result;
}

static void test_http_is_well_from_200_to_399(void **state)
{
	(void)state;
	assert_true(check_http("HTTP/1.1 200 OK\r\n\r\n").ok);
	assert_true(check_http("HTTP/1.0 399 Odd\r\n\r\n").ok);
	assert_true(check_http("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n").ok);
	assert_false(check_http("HTTP/1.1 400 Bad Request\r\n\r\n").ok);
	assert_string_equal(check_http("HTTP/1.1 503 Busy\r\n\r\n").text,
			    "HTTP probe failed with statuscode: 503");
}

static void test_what_is_not_http_is_not_well(void **state)
{
	static const char *const answers[] = {"", "H", "SSH-2.0-x\r\n", "HTTP/1.1 2x0 OK\r\n",
					      "HTTP/1.1 1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct result result = check_http(answers[i]);

		assert_false(result.ok);
		assert_string_equal(result.text, "the answer is not HTTP");
	}
}

static void test_a_silent_server_is_not_well_after_the_time_given(void **state)
{
	struct server server = {0};
	struct result result;

	(void)state;
	/* The kernel takes the connection; nobody answers. */
	server_listen(&server, AF_INET);
	result = check(MAGIK__IPC__CHECK_RUN__ACTION__HTTP, server.port, false, SHORT_MS);
	(void)close(server.fd);
	assert_false(result.ok);
	assert_non_null(strstr(result.text, "no answer within 50 ms"));
}

static void test_tcp_needs_a_connection_only(void **state)
{
	struct server server = {0};

	(void)state;
	server_listen(&server, AF_INET);
	assert_true(check(MAGIK__IPC__CHECK_RUN__ACTION__TCP, server.port, false, TIMEOUT_MS).ok);
	(void)close(server.fd);
	struct result result =
		check(MAGIK__IPC__CHECK_RUN__ACTION__TCP, server.port, false, TIMEOUT_MS);
	assert_false(result.ok);
	assert_non_null(strstr(result.text, "Connection refused"));
}

static void test_the_second_address_is_asked_when_the_first_refuses(void **state)
{
	static char *hosts[] = {(char *)(uintptr_t) "127.0.0.2", (char *)(uintptr_t) "127.0.0.1"};
	struct loop *loop = loop_new();
	struct result result = {0};
	struct server server = {0};
	Magik__Ipc__CheckRun run;

	(void)state;
	server_listen(&server, AF_INET);
	magik__ipc__check_run__init(&run);
	run.hosts = hosts;
	run.n_hosts = 2;
	run.port = server.port;
	run.timeout_ms = TIMEOUT_MS;
	(void)check_new(loop, &run, on_done, &result);
	assert_true(loop_run_until(loop, &result.done, mono_add_ms(clock_mono(), WAIT_MS)));
	assert_true(result.ok);
	loop_free(loop);
	(void)close(server.fd);
}

static void test_a_check_can_be_taken_back(void **state)
{
	struct loop *loop = loop_new();
	struct server server = {0};
	struct result result = {0};
	Magik__Ipc__CheckRun run;

	(void)state;
	server_listen(&server, AF_INET);
	magik__ipc__check_run__init(&run);
	run.port = server.port;
	run.timeout_ms = TIMEOUT_MS;
	/* No address at all: told later, so it can still be freed. */
	check_free(check_new(loop, &run, on_done, &result));
	assert_false(result.done);
	loop_free(loop);
	(void)close(server.fd);
}

/* ---- TLS */

static gnutls_certificate_credentials_t self_signed(void)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t cert;

	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(
		gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
					     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	assert_int_equal(gnutls_x509_crt_init(&cert), 0);
	assert_int_equal(gnutls_x509_crt_set_key(cert, key), 0);
	assert_int_equal(gnutls_x509_crt_set_serial(cert, "1", 1), 0);
	assert_int_equal(gnutls_x509_crt_set_version(cert, 3), 0);
	/* Long over: nobody looks. */
	assert_int_equal(gnutls_x509_crt_set_activation_time(cert, 1), 0);
	assert_int_equal(gnutls_x509_crt_set_expiration_time(cert, 2), 0);
	assert_int_equal(gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&credentials), 0);
	assert_int_equal(gnutls_certificate_set_x509_key(credentials, &cert, 1, key), 0);
	gnutls_x509_crt_deinit(cert);
	gnutls_x509_privkey_deinit(key);
	return credentials;
}

static void test_https_is_asked_whatever_its_certificate(void **state)
{
	struct server server = {.credentials = self_signed()};
	struct result result;

	(void)state;
	server_start(&server, "HTTP/1.1 200 OK\r\n\r\n");
	result = check(MAGIK__IPC__CHECK_RUN__ACTION__HTTP, server.port, true, TIMEOUT_MS);
	server_end(&server);
	gnutls_certificate_free_credentials(server.credentials);
	assert_string_equal(result.text, "HTTP probe failed with statuscode: 200");
	assert_true(result.ok);
}

static void test_a_server_without_tls_fails_https(void **state)
{
	struct server server = {0};
	struct result result;

	(void)state;
	server_start(&server, "HTTP/1.1 400 Bad Request\r\n\r\n");
	result = check(MAGIK__IPC__CHECK_RUN__ACTION__HTTP, server.port, true, TIMEOUT_MS);
	server_end(&server);
	assert_false(result.ok);
	assert_memory_equal(result.text, "TLS: ", 5);
}

/* ---- the request */

static void test_headers_of_the_manifest_take_the_place_of_ours(void **state)
{
	Magik__Ipc__CheckHeader host, evil, *headers[] = {&host, &evil};
	struct buf out = {0};
	Magik__Ipc__CheckRun run;

	(void)state;
	magik__ipc__check_header__init(&host);
	magik__ipc__check_header__init(&evil);
	host.name = (char *)(uintptr_t) "host";
	host.value = (char *)(uintptr_t) "shop.example";
	evil.name = (char *)(uintptr_t) "X";
	evil.value = (char *)(uintptr_t) "1\r\nEvil: 2";
	magik__ipc__check_run__init(&run);
	run.headers = headers;
	run.n_headers = 2;
	run.port = 80;
	run.path = (char *)(uintptr_t) "a?b=c";
	check_http_request(&run, "fd00::1", &out);
	assert_string_equal(buf_cstr(&out), "GET /a?b=c HTTP/1.1\r\n"
					    "User-Agent: kube-probe/1.32 magik/0.1.0\r\n"
					    "Accept: */*\r\n"
					    "host: shop.example\r\n"
					    "Connection: close\r\n\r\n");
	buf_deinit(&out);
}

/* ---- gRPC, with nghttp2's own server at the other end */

struct grpc_server {
	nghttp2_session *session;
	struct buf wire, request;
	const char *body; /* of the answer */
	size_t body_len;
	const char *status; /* "0" */
};

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t len,
			 uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct grpc_server *server = source->ptr;
	const nghttp2_nv trailer = {
		.name = (uint8_t *)(uintptr_t) "grpc-status",
		.namelen = 11,
		.value = (uint8_t *)(uintptr_t)server->status,
		.valuelen = strlen(server->status),
	};

	(void)user;
	assert_true(server->body_len <= len);
	memcpy(to, server->body, server->body_len);
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	assert_int_equal(nghttp2_submit_trailer(session, stream, &trailer, 1), 0);
	return (ssize_t)server->body_len;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
		   size_t len, void *user)
{
	struct grpc_server *server = user;

	(void)session;
	(void)flags;
	(void)stream;
	buf_append(&server->request, data, len);
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	const nghttp2_nv header = {
		.name = (uint8_t *)(uintptr_t) ":status",
		.namelen = 7,
		.value = (uint8_t *)(uintptr_t) "200",
		.valuelen = 3,
	};
	const nghttp2_data_provider body = {.source.ptr = user, .read_callback = read_body};

	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM && frame->hd.type == NGHTTP2_DATA)
		assert_int_equal(
			nghttp2_submit_response(session, frame->hd.stream_id, &header, 1, &body),
			0);
	return 0;
}

static void grpc_server_init(struct grpc_server *server)
{
	nghttp2_session_callbacks *callbacks;

	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	assert_int_equal(nghttp2_session_server_new(&server->session, callbacks, server), 0);
	nghttp2_session_callbacks_del(callbacks);
	assert_int_equal(nghttp2_submit_settings(server->session, 0, NULL, 0), 0);
}

/* Carry bytes between the two until one has the answer. */
static int talk(struct check_grpc *grpc, struct grpc_server *server, const char **ret_text)
{
	for (int turn = 0; turn < 8; turn++) {
		struct buf *wire = check_grpc_wire(grpc);
		const uint8_t *data;
		ssize_t len;
		int r;

		assert_int_equal(nghttp2_session_mem_recv(server->session, wire->ptr, wire->len),
				 wire->len);
		buf_clear(wire);
		while ((len = nghttp2_session_mem_send(server->session, &data)) > 0)
			buf_append(&server->wire, data, (size_t)len);
		r = check_grpc_feed(grpc, bytes_buf(&server->wire), ret_text);
		buf_clear(&server->wire);
		if (r != CHECK_GRPC_E_MORE)
			return r;
	}
	return CHECK_GRPC_E_MORE;
}

static int call(const char *body, size_t len, const char *status, char *text, size_t size)
{
	struct grpc_server server = {.body = body, .body_len = len, .status = status};
	struct check_grpc *grpc = check_grpc_new("127.0.0.1:1", "shop");
	const char *why = "";
	int r;

	grpc_server_init(&server);
	r = talk(grpc, &server, &why);
	(void)snprintf(text, size, "%s", why);
	/* HealthCheckRequest{service: "shop"} */
	assert_int_equal(server.request.len, 11);
	assert_memory_equal(server.request.ptr, "\0\0\0\0\6\12\4shop", 11);
	nghttp2_session_del(server.session);
	buf_deinit(&server.wire);
	buf_deinit(&server.request);
	check_grpc_free(grpc);
	return r;
}

static void test_grpc_is_well_when_it_serves(void **state)
{
	char text[128];

	(void)state;
	assert_int_equal(call("\0\0\0\0\2\10\1", 7, "0", text, sizeof(text)), 0);
	assert_int_equal(call("\0\0\0\0\2\10\2", 7, "0", text, sizeof(text)),
			 CHECK_GRPC_E_UNHEALTHY);
	assert_string_equal(text, "service unhealthy (responded with \"NOT_SERVING\")");
	assert_int_equal(call("\0\0\0\0\0", 5, "0", text, sizeof(text)), CHECK_GRPC_E_UNHEALTHY);
	assert_int_equal(call("\0\0\0\0\2\10\1", 7, "12", text, sizeof(text)),
			 CHECK_GRPC_E_UNHEALTHY);
	assert_string_equal(text, "the server does not implement the health service");
	assert_int_equal(call("\1\0\0\0\2\10\1", 7, "0", text, sizeof(text)),
			 CHECK_GRPC_E_UNHEALTHY);
	assert_int_equal(call("\0\0\0\0\2\10\1", 7, "x", text, sizeof(text)),
			 CHECK_GRPC_E_MALFORMED);
}

static void test_what_is_not_http2_fails_grpc(void **state)
{
	struct check_grpc *grpc = check_grpc_new("127.0.0.1:1", "");
	const char *text = "";

	(void)state;
	assert_int_equal(
		check_grpc_feed(grpc, bytes_str("HTTP/1.1 400 Bad Request\r\n\r\n"), &text),
		CHECK_GRPC_E_MALFORMED);
	assert_string_equal(text, "the answer is not HTTP/2");
	check_grpc_free(grpc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_is_well_from_200_to_399),
		cmocka_unit_test(test_what_is_not_http_is_not_well),
		cmocka_unit_test(test_a_silent_server_is_not_well_after_the_time_given),
		cmocka_unit_test(test_tcp_needs_a_connection_only),
		cmocka_unit_test(test_the_second_address_is_asked_when_the_first_refuses),
		cmocka_unit_test(test_a_check_can_be_taken_back),
		cmocka_unit_test(test_https_is_asked_whatever_its_certificate),
		cmocka_unit_test(test_a_server_without_tls_fails_https),
		cmocka_unit_test(test_headers_of_the_manifest_take_the_place_of_ours),
		cmocka_unit_test(test_grpc_is_well_when_it_serves),
		cmocka_unit_test(test_what_is_not_http2_fails_grpc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
