/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/websocket.h"
#include "base/mem.h"

struct side {
	struct websocket *websocket;
	struct buf out, taken;
	size_t messages;
	bool full;
};

static bool take(void *user, const struct websocket_piece *piece)
{
	struct side *side = user;

	side->messages += piece->first;
	buf_append_bytes(&side->taken, piece->bytes);
	return !side->full;
}

static void side_init(struct side *side)
{
	*side = (struct side){0};
	side->websocket = websocket_new(&side->out, take, side);
}

static void side_deinit(struct side *side)
{
	websocket_free(side->websocket);
	buf_deinit(&side->out);
	buf_deinit(&side->taken);
}

/* A frame of a client: masked with zeros, so that its payload is what it is. */
static void append_frame(struct buf *out, uint8_t first, const void *data, size_t len)
{
	const uint8_t head[] = {
		first, (uint8_t)(0x80 | 126), (uint8_t)(len >> 8), (uint8_t)len, 0, 0, 0, 0};
	const uint8_t small[] = {first, (uint8_t)(0x80 | len), 0, 0, 0, 0};

	if (len < 126)
		buf_append(out, small, sizeof(small));
	else
		buf_append(out, head, sizeof(head));
	buf_append(out, data, len);
}

static int feed(struct side *side, struct buf *in)
{
	size_t used;
	int r = websocket_feed(side->websocket, bytes_buf(in), &used);

	buf_consume(in, used);
	return r;
}

static void the_accept_header_is_that_of_the_standard(void **state)
{
	char accept[WEBSOCKET_ACCEPT_MAX];

	(void)state;
	/* RFC 6455 section 1.3 */
	websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void messages_come_in_pieces_however_they_are_cut(void **state)
{
	struct buf wire = {0};
	char data[300];

	(void)state;
	memset(data, 'x', sizeof(data));
	append_frame(&wire, 0x02, data, sizeof(data)); /* first of two fragments */
	append_frame(&wire, 0x89, "hi", 2);            /* a ping between them */
	append_frame(&wire, 0x80, data, 10);           /* the last */
	append_frame(&wire, 0x82, "end", 3);
	for (size_t cut = 1; cut <= wire.len; cut += 7) {
		struct buf in = {0};
		struct side side;

		side_init(&side);
		for (size_t at = 0; at < wire.len; at += cut) {
			buf_append(&in, wire.ptr + at, cut < wire.len - at ? cut : wire.len - at);
			assert_int_equal(feed(&side, &in), 0);
			assert_int_equal(in.len, 0);
		}
		assert_int_equal(side.messages, 2);
		assert_int_equal(side.taken.len, 313);
		/* The pong repeats what the ping has said. */
		assert_int_equal(side.out.len, 4);
		assert_memory_equal(side.out.ptr, "\x8a\2hi", 4);
		buf_deinit(&in);
		side_deinit(&side);
	}
	buf_deinit(&wire);
}

static void who_is_full_is_given_no_more(void **state)
{
	enum {
		LEN = 60000,
		/* What the library reads at a time. */
		OVER_MAX = 8192,
	};
	uint8_t *data = mem_alloc(1, LEN);
	struct buf in = {0};
	struct side side;

	(void)state;
	side_init(&side);
	append_frame(&in, 0x82, data, LEN);
	side.full = true;
	assert_int_equal(feed(&side, &in), 0);
	assert_in_range(side.taken.len, 1, OVER_MAX);
	side.full = false;
	assert_int_equal(feed(&side, &in), 0);
	assert_int_equal(side.taken.len, LEN);
	assert_int_equal(in.len, 0);
	buf_deinit(&in);
	side_deinit(&side);
	free(data);
}

static void a_client_that_closes_is_answered(void **state)
{
	struct buf in = {0};
	struct side side;

	(void)state;
	side_init(&side);
	append_frame(&in, 0x88, "\x03\xe8", 2);
	assert_int_equal(feed(&side, &in), WEBSOCKET_E_CLOSED);
	assert_memory_equal(side.out.ptr, "\x88\2\x03\xe8", 4);
	buf_deinit(&in);
	side_deinit(&side);
}

static void nonsense_ends_the_connection(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"\x82\x02hi", 4},                          /* not masked */
		{"\xf2\x82\0\0\0\0hi", 8},                  /* reserved bits */
		{"\x83\x82\0\0\0\0hi", 8},                  /* an opcode of nobody */
		{"\x80\x82\0\0\0\0hi", 8},                  /* continues nothing */
		{"\x82\xff\xff\0\0\0\0\0\0\0\0\0\0\0", 14}, /* longer than can be */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf in = {0};
		struct side side;

		side_init(&side);
		buf_append(&in, bad[i].bytes, bad[i].len);
		assert_int_equal(feed(&side, &in), WEBSOCKET_E_CLOSED);
		buf_deinit(&in);
		side_deinit(&side);
	}
}

static void messages_of_every_length_are_framed(void **state)
{
	static const struct {
		size_t len, head;
	} cases[] = {{0, 2}, {124, 2}, {125, 4}, {65534, 4}, {65535, 10}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t *data = mem_alloc(1, cases[i].len + 1);
		struct side side;

		side_init(&side);
		websocket_send(side.websocket, bytes_of("\1", 1), bytes_of(data, cases[i].len));
		assert_int_equal(side.out.len, cases[i].head + 1 + cases[i].len);
		assert_int_equal(side.out.ptr[0], 0x82);
		assert_int_equal(side.out.ptr[cases[i].head], 1);
		side_deinit(&side);
		free(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_accept_header_is_that_of_the_standard),
		cmocka_unit_test(messages_come_in_pieces_however_they_are_cut),
		cmocka_unit_test(who_is_full_is_given_no_more),
		cmocka_unit_test(a_client_that_closes_is_answered),
		cmocka_unit_test(nonsense_ends_the_connection),
		cmocka_unit_test(messages_of_every_length_are_framed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
