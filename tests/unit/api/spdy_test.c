/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/spdy.h"
#include "base/mem.h"

/*
 * The first bytes that a kubectl sends to forward a port: a stream for errors and one for data,
 * {streamtype, port: 9099, requestid: 0} both, and a ping.
 */
static const uint8_t opening[] = {
#include "spdy_opening.def"
};

static void streams_of_a_client_are_understood_however_they_are_cut(void **state)
{
	(void)state;
	for (size_t cut = 1; cut <= sizeof(opening); cut++) {
		struct spdy *spdy = spdy_new();
		const char *types[] = {"error", "data"};
		struct buf out = {0};
		size_t at = 0, opened = 0;

		while (at < sizeof(opening)) {
			size_t len = cut < sizeof(opening) - at ? cut : sizeof(opening) - at, used;
			struct spdy_event event;
			int r = spdy_next(spdy, bytes_of(opening + at, len), &out, &used, &event);

			at += used;
			if (r == SPDY_E_MORE)
				continue;
			assert_int_equal(r, 0);
			assert_int_equal(event.kind, SPDY_OPENED);
			assert_true(opened < 2);
			assert_int_equal(event.stream, 2 * opened + 1);
			assert_string_equal(spdy_header(spdy, "streamtype"), types[opened]);
			assert_string_equal(spdy_header(spdy, "port"), "9099");
			assert_string_equal(spdy_header(spdy, "requestid"), "0");
			assert_null(spdy_header(spdy, "nothing"));
			opened++;
		}
		assert_int_equal(opened, 2);
		/* The ping was answered with its own number. */
		assert_int_equal(out.len, 12);
		assert_memory_equal(out.ptr, "\x80\x03\0\x06\0\0\0\x04\0\0\0\x01", 12);
		buf_deinit(&out);
		spdy_free(spdy);
	}
}

static int feed(struct spdy *spdy, const void *data, size_t len, struct spdy_event *ret_event)
{
	struct buf out = {0};
	size_t used;
	int r = spdy_next(spdy, bytes_of(data, len), &out, &used, ret_event);

	buf_deinit(&out);
	return r;
}

static void data_come_in_pieces_and_end(void **state)
{
	struct spdy *spdy = spdy_new();
	struct spdy_event event;

	(void)state;
	assert_int_equal(feed(spdy, "\0\0\0\3\1\0\0\5he", 10, &event), 0);
	assert_int_equal(event.kind, SPDY_DATA);
	assert_int_equal(event.stream, 3);
	assert_true(bytes_equal(event.data, bytes_str("he")));
	assert_false(event.end);
	assert_int_equal(feed(spdy, "", 0, &event), SPDY_E_MORE);
	assert_int_equal(feed(spdy, "llo", 3, &event), 0);
	assert_true(bytes_equal(event.data, bytes_str("llo")));
	assert_true(event.end);
	/* An end without data. */
	assert_int_equal(feed(spdy, "\0\0\0\3\1\0\0\0", 8, &event), 0);
	assert_int_equal(event.data.len, 0);
	assert_true(event.end);
	spdy_free(spdy);
}

static void a_reset_is_told(void **state)
{
	struct spdy *spdy = spdy_new();
	struct spdy_event event;

	(void)state;
	assert_int_equal(feed(spdy, "\x80\3\0\3\0\0\0\x8\0\0\0\5\0\0\0\5", 16, &event), 0);
	assert_int_equal(event.kind, SPDY_RESET);
	assert_int_equal(event.stream, 5);
	spdy_free(spdy);
}

static void nonsense_ends_the_connection(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{"\x80\2\0\1\0\0\0\0", 8},                         /* another version */
		{"\x80\3\0\1\0\xff\xff\xff", 8},                   /* too long */
		{"\x80\3\0\1\0\0\0\0", 8},                         /* a stream without a number */
		{"\x80\3\0\2\0\0\0\4\0\0\0\1", 12},                /* a reply to nothing */
		{"\x80\3\0\6\0\0\0\1\0", 9},                       /* a short ping */
		{"\x80\3\0\3\0\0\0\1\0", 9},                       /* a short reset */
		{"\0\0\0\0\0\0\0\1x", 9},                          /* data of no stream */
		{"\x80\3\0\1\0\0\0\xc\0\0\0\2\0\0\0\0\0\0xx", 20}, /* even: that is ours to open */
		{"\x80\3\0\1\0\0\0\xc\0\0\0\1\0\0\0\0\0\0xx", 20}, /* headers that are not zlib */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct spdy *spdy = spdy_new();
		struct spdy_event event;

		assert_int_equal(feed(spdy, bad[i].bytes, bad[i].len, &event), SPDY_E_PROTOCOL);
		spdy_free(spdy);
	}
}

static void what_is_not_used_is_passed_over(void **state)
{
	/* SETTINGS, WINDOW_UPDATE and GOAWAY, then a reset. */
	static const char frames[] = "\x80\3\0\4\0\0\0\4\0\0\0\0"
				     "\x80\3\0\x9\0\0\0\x8\0\0\0\1\0\0\1\0"
				     "\x80\3\0\7\0\0\0\x8\0\0\0\1\0\0\0\0"
				     "\x80\3\0\3\0\0\0\x8\0\0\0\1\0\0\0\5";
	struct spdy *spdy = spdy_new();
	struct spdy_event event;

	(void)state;
	assert_int_equal(feed(spdy, frames, sizeof(frames) - 1, &event), 0);
	assert_int_equal(event.kind, SPDY_RESET);
	spdy_free(spdy);
}

static void what_is_sent_has_the_right_bytes(void **state)
{
	struct spdy *spdy = spdy_new();
	struct buf out = {0};

	(void)state;
	spdy_data(5, bytes_str("hi"), true, &out);
	assert_int_equal(out.len, 10);
	assert_memory_equal(out.ptr, "\0\0\0\5\1\0\0\2hi", 10);
	buf_clear(&out);
	spdy_data(5, (struct bytes){0}, true, &out);
	assert_int_equal(out.len, 8);
	assert_memory_equal(out.ptr, "\0\0\0\5\1\0\0\0", 8);
	buf_clear(&out);
	spdy_reply(spdy, 1, &out);
	assert_int_equal(out.len, 8 + 4 + 2 + 14);
	assert_memory_equal(out.ptr, "\x80\3\0\2\0\0\0\x14\0\0\0\1\x78\1", 14);
	buf_clear(&out);
	spdy_reply(spdy, 3, &out);
	assert_int_equal(out.len, 8 + 4 + 14);
	buf_clear(&out);
	spdy_reset(3, SPDY_CANCEL, &out);
	assert_memory_equal(out.ptr, "\x80\3\0\3\0\0\0\x8\0\0\0\3\0\0\0\5", 16);
	buf_clear(&out);
	spdy_ping(spdy, &out);
	assert_memory_equal(out.ptr, "\x80\3\0\6\0\0\0\4\0\0\0\2", 12);
	buf_deinit(&out);
	spdy_free(spdy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_of_a_client_are_understood_however_they_are_cut),
		cmocka_unit_test(data_come_in_pieces_and_end),
		cmocka_unit_test(a_reset_is_told),
		cmocka_unit_test(nonsense_ends_the_connection),
		cmocka_unit_test(what_is_not_used_is_passed_over),
		cmocka_unit_test(what_is_sent_has_the_right_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
