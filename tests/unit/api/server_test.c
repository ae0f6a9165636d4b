/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server over loopback sockets. Client and server share one loop: a client's wait runs it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/server.h"
#include "base/mem.h"
#include "fake_pki.h"

enum {
	WAIT_MS = 5000,  /* a test that waits longer has failed */
	SHORT_MS = 150,  /* the limits under test */
	ANSWER = 200000, /* bytes of /big */
	STREAM_PIECE = 16384,
};

struct world {
	uv_loop_t loop;
	struct server *server;
	struct fake_pki *pki;
	struct exchange *held;   /* of /hold */
	struct exchange *stream; /* of /stream */
	size_t streamed;         /* bytes written into it */
	int aborts, handled, iterations;
	bool closed;
	uv_prepare_t prepare;
};

/* The handler. */

static void on_abort(struct exchange *exchange, void *arg)
{
	struct world *world = arg;

	world->aborts++;
	if (exchange == world->stream)
		world->stream = NULL;
	if (exchange->streaming)
		exchange_end(exchange);
}

static void pour(struct exchange *exchange, void *arg)
{
	static uint8_t piece[STREAM_PIECE];
	struct world *world = arg;

	do {
		world->streamed += sizeof(piece);
	} while (exchange_write(exchange, bytes_of(piece, sizeof(piece))));
}

static void handle(void *arg, struct exchange *exchange)
{
	struct world *world = arg;
	const char *path = exchange->request.path;
	char *big;

	world->handled++;
	if (strcmp(path, "/hold") == 0) {
		world->held = exchange;
		exchange_on_abort(exchange, on_abort, world);
	} else if (strcmp(path, "/stream") == 0 || strcmp(path, "/pour") == 0) {
		world->stream = exchange;
		exchange_stream(exchange, 200, "text/plain",
				strcmp(path, "/pour") == 0 ? pour : NULL, on_abort, world);
		if (strcmp(path, "/pour") == 0)
			pour(exchange, world);
	} else if (strcmp(path, "/big") == 0) {
		big = mem_alloc(1, ANSWER);
		memset(big, 'b', ANSWER);
		exchange_respond(exchange, 200, "text/plain", bytes_of(big, ANSWER));
		free(big);
	} else if (strcmp(path, "/who") == 0) {
		exchange_respond(exchange, 200, "text/plain", bytes_str(exchange->user.name));
	} else {
		exchange_respond(exchange, 200, "text/plain", exchange->body);
	}
}

static int verify(void *arg, const struct bytes *chain, size_t count, struct api_user *ret_user,
		  struct err *err)
{
	(void)arg;
	(void)chain;
	(void)count;
	(void)ret_user;
	return err_set(err, -EKEYREJECTED, "nobody is known here");
}

/* The world. */

static void count_iteration(uv_prepare_t *prepare)
{
	((struct world *)prepare->data)->iterations++;
}

static void on_server_closed(void *arg)
{
	((struct world *)arg)->closed = true;
}

static void start(struct world *world, const struct api_options *options)
{
	struct server_hooks hooks = {.handle = handle, .verify_user = verify, .arg = world};
	struct fake_credential own = fake_pki_issue(world->pki, "server", NULL, true, false);
	struct api_options full = *options;
	struct err err = {0};

	full.host = "127.0.0.1";
	full.chain_pem = own.cert_pem;
	full.key_pem = own.key_pem;
	assert_int_equal(server_new(&world->loop, &full, &hooks, &world->server, &err), 0);
	fake_credential_deinit(&own);
}

static int setup(void **state)
{
	struct world *world = mem_new(struct world);

	world->pki = fake_pki_new();
	assert_int_equal(uv_loop_init(&world->loop), 0);
	(void)uv_prepare_init(&world->loop, &world->prepare);
	world->prepare.data = world;
	(void)uv_prepare_start(&world->prepare, count_iteration);
	uv_unref((uv_handle_t *)&world->prepare);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	if (world->server)
		server_close(world->server, 0, on_server_closed, world);
	uv_close((uv_handle_t *)&world->prepare, NULL);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_true(world->closed || !world->server);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	fake_pki_free(world->pki);
	free(world);
	return 0;
}

/* A client. */

static int dial(struct world *world)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(server_port(world->server)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void on_turn(uv_timer_t *timer)
{
	(void)timer;
}

/* One turn of the loop that lasts no longer than a few milliseconds. */
static void turn_once(struct world *world)
{
	uv_timer_t timer;

	(void)uv_timer_init(&world->loop, &timer);
	(void)uv_timer_start(&timer, on_turn, 5, 5);
	(void)uv_run(&world->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&world->loop, UV_RUN_NOWAIT);
}

static uint64_t now_ms(struct world *world)
{
	uv_update_time(&world->loop);
	return uv_now(&world->loop);
}

static void tell(struct world *world, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turn_once(world);
}

/* Receive until @end stands in what came, or until the server closes when @end is NULL. */
static bool hear(struct world *world, int fd, struct buf *got, const char *end)
{
	uint64_t until = now_ms(world) + WAIT_MS;
	char piece[4096];

	while (now_ms(world) < until) {
		ssize_t len = recv(fd, piece, sizeof(piece), 0);

		if (len > 0)
			buf_append(got, piece, (size_t)len);
		else if (len == 0 || errno != EAGAIN)
			return end == NULL || (got->len && strstr(buf_cstr(got), end));
		if (end && got->len && strstr(buf_cstr(got), end))
			return true;
		if (len < 0)
			turn_once(world);
	}
	return false;
}

static bool answers(struct world *world, const char *request, const char *end)
{
	struct buf got = {0};
	int fd = dial(world);
	bool ok;

	tell(world, fd, request);
	ok = hear(world, fd, &got, end);
	if (!ok)
		print_message("got: %s\n", buf_cstr(&got));
	buf_deinit(&got);
	(void)close(fd);
	turn_once(world);
	return ok;
}

static bool wait_for(struct world *world, const int *value, int wanted)
{
	uint64_t until = now_ms(world) + WAIT_MS;

	while (*value != wanted && now_ms(world) < until)
		turn_once(world);
	return *value == wanted;
}

/* Tests. */

static void test_a_request_is_answered_and_the_connection_kept(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true});
	fd = dial(world);
	for (int i = 0; i < 3; i++) {
		tell(world, fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
		assert_true(hear(world, fd, &got, "\r\n\r\nhello"));
		buf_clear(&got);
	}
	assert_int_equal(world->handled, 3);
	tell(world, fd, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_true(hear(world, fd, &got, NULL));
	assert_non_null(strstr(buf_cstr(&got), "Connection: close\r\n"));
	buf_deinit(&got);
	(void)close(fd);
}

static void test_the_insecure_user_is_named(void **state)
{
	struct world *world = *state;

	start(world, &(struct api_options){.insecure = true});
	assert_true(
		answers(world, "GET /who HTTP/1.1\r\nHost: a\r\n\r\n", "insecure-administrator"));
}

static void test_plain_http_is_refused_unless_asked_for(void **state)
{
	struct world *world = *state;

	start(world, &(struct api_options){0});
	assert_true(answers(world, "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
			    "client sent an HTTP request to an HTTPS server"));
	assert_int_equal(world->handled, 0);
}

static void test_malformed_requests_get_a_status_and_the_connection_ends(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true});
	fd = dial(world);
	tell(world, fd,
	     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
	     "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_true(hear(world, fd, &got, NULL));
	assert_non_null(strstr(buf_cstr(&got), "HTTP/1.1 400 "));
	assert_non_null(strstr(buf_cstr(&got), "\"kind\":\"Status\""));
	assert_int_equal(world->handled, 0);
	buf_deinit(&got);
	(void)close(fd);
	assert_true(answers(world, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99000000\r\n\r\n",
			    "HTTP/1.1 413 "));
	assert_true(answers(world, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
			    "HTTP/1.1 411 "));
}

#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_a_body_may_come_in_chunks(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true});
	fd = dial(world);
	tell(world, fd, CHUNKED "3\r\nhel\r\n00A\r\nlo, world!\r\n0\r\n\r\n");
	assert_true(hear(world, fd, &got, "\r\n\r\nhello, world!"));
	buf_clear(&got);
	/* The connection is kept, and what follows is the next request. */
	tell(world, fd, CHUNKED "0\r\n\r\n" CHUNKED "1\r\nx\r\n0\r\n\r\n");
	assert_true(hear(world, fd, &got, "\r\n\r\nx"));
	assert_int_equal(world->handled, 3);
	buf_deinit(&got);
	(void)close(fd);
}

static void test_chunks_that_could_be_read_otherwise_are_refused(void **state)
{
	static const char *const wrong[] = {
		CHUNKED "\r\n",
		CHUNKED "3;name=value\r\nabc\r\n0\r\n\r\n",
		CHUNKED "0x3\r\n",
		CHUNKED "3\nabc\n0\n\n",
		CHUNKED " 3\r\n",
		CHUNKED "+3\r\n",
		CHUNKED "3\r\nabcd",
		CHUNKED "0\r\nTrailer: x\r\n\r\n",
		CHUNKED "000000003\r\nabc\r\n",
	};
	struct world *world = *state;

	start(world, &(struct api_options){.insecure = true});
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_true(answers(world, wrong[i], "HTTP/1.1 400 "));
	assert_true(answers(world, CHUNKED "1\r\nx\r\nffffffff\r\n", "HTTP/1.1 413 "));
	assert_int_equal(world->handled, 0);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true});
	fd = dial(world);
	tell(world, fd,
	     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
	     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\ntwo"
	     "GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
	     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nlast");
	/* A client may close its half once it has asked. */
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_true(hear(world, fd, &got, NULL));
	assert_true(strstr(buf_cstr(&got), "one") < strstr(buf_cstr(&got), "two"));
	assert_memory_equal(got.ptr + got.len - 4, "last", 4);
	assert_true(got.len > ANSWER);
	assert_int_equal(world->handled, 4);
	buf_deinit(&got);
	(void)close(fd);
}

static void test_a_client_that_expects_100_is_told_to_go_on(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true});
	fd = dial(world);
	tell(world, fd,
	     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	assert_true(hear(world, fd, &got, "HTTP/1.1 100 Continue\r\n\r\n"));
	tell(world, fd, "ok");
	assert_true(hear(world, fd, &got, "\r\n\r\nok"));
	buf_deinit(&got);
	(void)close(fd);
}

/* One byte every few milliseconds, for longer than the deadline. */
static void trickle(struct world *world, int fd)
{
	for (int i = 0; i < SHORT_MS / 5; i++) {
		(void)send(fd, "x", 1, MSG_NOSIGNAL);
		turn_once(world);
	}
}

static void test_trickling_headers_do_not_move_the_deadline(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true, .header_ms = SHORT_MS});
	fd = dial(world);
	tell(world, fd, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	trickle(world, fd);
	trickle(world, fd);
	(void)hear(world, fd, &got, NULL);
	assert_int_equal(server_counters(world->server)->timeouts, 1);
	assert_int_equal(world->handled, 0);
	buf_deinit(&got);
	(void)close(fd);
}

static void test_a_trickling_body_does_not_move_the_deadline(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true, .body_ms = SHORT_MS});
	fd = dial(world);
	tell(world, fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
	trickle(world, fd);
	trickle(world, fd);
	(void)hear(world, fd, &got, NULL);
	assert_int_equal(server_counters(world->server)->timeouts, 1);
	assert_int_equal(world->handled, 0);
	buf_deinit(&got);
	(void)close(fd);
}

static void test_a_silent_connection_is_closed(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true, .handshake_ms = SHORT_MS});
	fd = dial(world);
	assert_true(hear(world, fd, &got, NULL));
	assert_int_equal(got.len, 0);
	(void)close(fd);
}

static void test_an_idle_connection_is_closed_without_an_answer(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true, .idle_ms = SHORT_MS});
	fd = dial(world);
	tell(world, fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
	assert_true(hear(world, fd, &got, "\r\n\r\nhi"));
	buf_clear(&got);
	assert_true(hear(world, fd, &got, NULL));
	assert_int_equal(got.len, 0);
	assert_int_equal(server_counters(world->server)->timeouts, 0);
	buf_deinit(&got);
	(void)close(fd);
}

static void test_half_a_client_hello_costs_no_turns_of_the_loop(void **state)
{
	struct world *world = *state;
	uint64_t until;
	int fd, before;

	start(world, &(struct api_options){.handshake_ms = 10 * SHORT_MS});
	fd = dial(world);
	assert_int_equal(send(fd, "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL), 6);
	turn_once(world);
	turn_once(world);
	before = world->iterations;
	until = now_ms(world) + SHORT_MS;
	while (now_ms(world) < until)
		turn_once(world);
	/* Every turn_once() is two turns of at least 5 ms together, and there are no others. */
	assert_true(world->iterations - before <= 2 * (SHORT_MS / 5) + 4);
	assert_int_equal(server_connections(world->server), 1);
	(void)close(fd);
}

static void test_a_client_that_never_reads_costs_a_bounded_amount(void **state)
{
	struct world *world = *state;
	int fd, handled;

	start(world, &(struct api_options){.insecure = true, .stall_ms = 2 * SHORT_MS});
	fd = dial(world);
	for (int i = 0; i < 200; i++)
		(void)send(fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n", 30, MSG_NOSIGNAL);
	for (int i = 0; i < 10; i++)
		turn_once(world);
	handled = world->handled;
	/* The kernel takes a few megabytes; beyond, answers are not even made. */
	assert_true(handled < 100);
	for (int i = 0; i < 10; i++)
		turn_once(world);
	assert_int_equal(world->handled, handled);
	/* And in the end it is cut off. */
	while (server_connections(world->server))
		turn_once(world);
	assert_int_equal(server_counters(world->server)->timeouts, 1);
	(void)close(fd);
}

static void test_a_stream_waits_for_its_client(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	size_t paused;
	int fd;

	start(world, &(struct api_options){.insecure = true});
	fd = dial(world);
	tell(world, fd, "GET /pour HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 20; i++)
		turn_once(world);
	paused = world->streamed;
	for (int i = 0; i < 5; i++)
		turn_once(world);
	assert_int_equal(world->streamed, paused);
	while (world->streamed == paused) {
		static char piece[65536];

		(void)recv(fd, piece, sizeof(piece), 0);
		turn_once(world);
	}
	assert_int_equal(world->aborts, 0);
	(void)close(fd);
	assert_true(wait_for(world, &world->aborts, 1));
	buf_deinit(&got);
}

static void test_a_stream_is_chunked_and_ends_properly(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true});
	fd = dial(world);
	tell(world, fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
	/* The head comes before the first piece. */
	assert_true(hear(world, fd, &got, "Transfer-Encoding: chunked\r\n"));
	assert_true(exchange_write(world->stream, bytes_str("hello")));
	assert_true(hear(world, fd, &got, "5\r\nhello\r\n"));
	exchange_end(world->stream);
	assert_true(hear(world, fd, &got, "\r\n0\r\n\r\n"));
	buf_clear(&got);
	tell(world, fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
	assert_true(hear(world, fd, &got, "\r\n\r\nhi"));
	buf_deinit(&got);
	(void)close(fd);
}

static void test_an_old_client_gets_a_stream_without_chunks(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true});
	fd = dial(world);
	tell(world, fd, "GET /stream HTTP/1.0\r\n\r\n");
	assert_true(hear(world, fd, &got, "\r\n\r\n"));
	assert_null(strstr(buf_cstr(&got), "chunked"));
	(void)exchange_write(world->stream, bytes_str("hello"));
	exchange_end(world->stream);
	assert_true(hear(world, fd, &got, NULL));
	assert_memory_equal(got.ptr + got.len - 5, "hello", 5);
	buf_deinit(&got);
	(void)close(fd);
}

static void test_a_stream_hears_of_its_clients_end(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true});
	fd = dial(world);
	tell(world, fd, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_true(hear(world, fd, &got, "\r\n\r\n"));
	(void)close(fd);
	assert_true(wait_for(world, &world->aborts, 1));
	buf_deinit(&got);
}

static void test_an_answer_may_come_after_its_client_has_gone(void **state)
{
	struct world *world = *state;
	struct linger hard = {.l_onoff = 1};
	int fd;

	start(world, &(struct api_options){.insecure = true});
	fd = dial(world);
	tell(world, fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_true(wait_for(world, &world->handled, 1));
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
	(void)close(fd);
	assert_true(wait_for(world, &world->aborts, 1));
	exchange_respond(world->held, 200, NULL, bytes_str("too late"));
}

static void test_an_answer_may_come_later(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fd;

	start(world, &(struct api_options){.insecure = true,
					   .header_ms = SHORT_MS,
					   .body_ms = SHORT_MS,
					   .idle_ms = SHORT_MS});
	fd = dial(world);
	tell(world, fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	for (int i = 0; i < 2 * SHORT_MS / 5; i++)
		turn_once(world);
	exchange_respond(world->held, 200, NULL, bytes_str("at last"));
	assert_true(hear(world, fd, &got, "\r\n\r\nat last"));
	buf_deinit(&got);
	(void)close(fd);
}

static void test_one_address_cannot_fill_the_waiting_room(void **state)
{
	struct world *world = *state;
	int fds[6];

	start(world, &(struct api_options){.insecure = true, .per_ip_pending_max = 4});
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(world);
		turn_once(world);
	}
	assert_int_equal(server_counters(world->server)->refused, 2);
	assert_int_equal(server_connections(world->server), 4);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		(void)close(fds[i]);
}

static void test_streams_do_not_count_as_waiting(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int fds[4];

	start(world, &(struct api_options){.insecure = true, .per_ip_pending_max = 1});
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(world);
		tell(world, fds[i], "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
		assert_true(hear(world, fds[i], &got, "\r\n\r\n"));
		buf_clear(&got);
	}
	assert_int_equal(server_counters(world->server)->refused, 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		(void)close(fds[i]);
	assert_true(wait_for(world, &world->aborts, (int)ARRAY_LEN(fds)));
	buf_deinit(&got);
}

static void test_an_idle_connection_makes_room_for_a_new_one(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int first, second;

	start(world, &(struct api_options){.insecure = true, .connections_max = 1});
	first = dial(world);
	tell(world, first, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
	assert_true(hear(world, first, &got, "\r\n\r\nhi"));
	buf_clear(&got);
	second = dial(world);
	tell(world, second, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nho");
	assert_true(hear(world, second, &got, "\r\n\r\nho"));
	buf_clear(&got);
	assert_true(hear(world, first, &got, NULL));
	buf_deinit(&got);
	(void)close(first);
	(void)close(second);
}

static void test_closing_lets_running_answers_end(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int idle, busy;

	start(world, &(struct api_options){.insecure = true});
	idle = dial(world);
	tell(world, idle, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
	assert_true(hear(world, idle, &got, "\r\n\r\nhi"));
	buf_clear(&got);
	busy = dial(world);
	tell(world, busy, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_true(wait_for(world, &world->handled, 2));
	server_close(world->server, WAIT_MS, on_server_closed, world);
	world->server = NULL;
	assert_true(hear(world, idle, &got, NULL));
	assert_int_equal(got.len, 0);
	assert_false(world->closed);
	exchange_respond(world->held, 200, NULL, bytes_str("goodbye"));
	assert_true(hear(world, busy, &got, "goodbye"));
	assert_non_null(strstr(buf_cstr(&got), "Connection: close\r\n"));
	(void)close(busy);
	(void)close(idle);
	while (!world->closed)
		turn_once(world);
	buf_deinit(&got);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_request_is_answered_and_the_connection_kept),
		TEST(test_the_insecure_user_is_named),
		TEST(test_plain_http_is_refused_unless_asked_for),
		TEST(test_malformed_requests_get_a_status_and_the_connection_ends),
		TEST(test_a_body_may_come_in_chunks),
		TEST(test_chunks_that_could_be_read_otherwise_are_refused),
		TEST(test_pipelined_requests_are_answered_in_order),
		TEST(test_a_client_that_expects_100_is_told_to_go_on),
		TEST(test_trickling_headers_do_not_move_the_deadline),
		TEST(test_a_trickling_body_does_not_move_the_deadline),
		TEST(test_a_silent_connection_is_closed),
		TEST(test_an_idle_connection_is_closed_without_an_answer),
		TEST(test_half_a_client_hello_costs_no_turns_of_the_loop),
		TEST(test_a_client_that_never_reads_costs_a_bounded_amount),
		TEST(test_a_stream_waits_for_its_client),
		TEST(test_a_stream_is_chunked_and_ends_properly),
		TEST(test_an_old_client_gets_a_stream_without_chunks),
		TEST(test_a_stream_hears_of_its_clients_end),
		TEST(test_an_answer_may_come_after_its_client_has_gone),
		TEST(test_an_answer_may_come_later),
		TEST(test_one_address_cannot_fill_the_waiting_room),
		TEST(test_streams_do_not_count_as_waiting),
		TEST(test_an_idle_connection_makes_room_for_a_new_one),
		TEST(test_closing_lets_running_answers_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
