/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/log_line.h"
#include "runtime/log_stream.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/clock.h"

#define AT(second) "2026-11-21T16:29:" second ".511451088+00:00 "

static const char sample[] =
	AT("01") "stdout F one\n" AT("02") "stdout P two a\n" AT("02") "stdout P b\n" AT(
		"02") "stdout F c\n" AT("03") "stderr F three\n" AT("04") "stdout F \n";

static struct buf filter_all(struct log_options options, const char *log)
{
	struct log_filter filter = {.options = options};
	struct buf out = {0};
	const char *feed;

	for (; (feed = strchr(log, '\n')) != NULL; log = feed + 1)
		if (!log_filter_line(&filter, bytes_of(log, (size_t)(feed - log)), &out))
			break;
	return out;
}

static void expect_filtered(struct log_options options, const char *expected)
{
	struct buf out = filter_all(options, sample);

	assert_string_equal(buf_cstr(&out), expected);
	buf_deinit(&out);
}

static void test_partial_lines_are_joined(void **state)
{
	(void)state;
	expect_filtered((struct log_options){0}, "one\ntwo abc\nthree\n\n");
}

static void test_time_stamps_stand_once_per_line_and_end_in_z(void **state)
{
	(void)state;
	expect_filtered((struct log_options){.timestamps = true},
			"2026-11-21T16:29:01.511451088Z one\n"
			"2026-11-21T16:29:02.511451088Z two abc\n"
			"2026-11-21T16:29:03.511451088Z three\n"
			"2026-11-21T16:29:04.511451088Z \n");
}

static void test_lines_before_the_asked_time_are_left_out(void **state)
{
	struct log_line line;

	(void)state;
	assert_true(log_line_parse(bytes_str(AT("03") "stdout F x"), &line));
	assert_int_equal(line.at_ms % 60000, 3511);
	expect_filtered((struct log_options){.since_ms = line.at_ms}, "three\n\n");
}

static void test_the_limit_cuts_within_a_line(void **state)
{
	(void)state;
	expect_filtered((struct log_options){.limit_bytes = 6}, "one\ntw");
	expect_filtered((struct log_options){.limit_bytes = 4}, "one\n");
}

static void test_lines_of_another_format_are_left_out(void **state)
{
	struct log_line line;

	(void)state;
	assert_false(log_line_parse(bytes_str(""), &line));
	assert_false(log_line_parse(bytes_str("hello world"), &line));
	assert_false(log_line_parse(bytes_str("2026 stdout F x"), &line));
	assert_false(log_line_parse(bytes_str(AT("03") "stdout X x"), &line));
	assert_false(
		log_line_parse(bytes_str("abcd-11-21T16:29:03.511451088+00:00 stdout F x"), &line));
}

static const char *tail_of(int64_t lines)
{
	int64_t start = log_tail_start(bytes_str(sample), lines);

	return start < 0 ? NULL : sample + start;
}

static void test_a_tail_counts_whole_lines_of_the_application(void **state)
{
	(void)state;
	assert_string_equal(tail_of(0), "");
	assert_string_equal(tail_of(1), AT("04") "stdout F \n");
	assert_string_equal(tail_of(2), AT("03") "stderr F three\n" AT("04") "stdout F \n");
	assert_ptr_equal(tail_of(3), strstr(sample, AT("02")));
	assert_ptr_equal(tail_of(4), sample);
	assert_null(tail_of(5));
}

/* A log file that grows, and its reader. */
struct follow {
	struct loop *loop;
	char path[64];
	int file, reader;
	struct log_stream *stream;
	bool done;
	struct buf got;
};

static void on_done(void *user)
{
	struct follow *follow = user;

	follow->done = true;
	log_stream_free(follow->stream);
	follow->stream = NULL;
}

static int follow_setup(void **state)
{
	struct follow *follow = mem_new(struct follow);

	(void)snprintf(follow->path, sizeof(follow->path), "/tmp/log-test-XXXXXX");
	follow->file = mkostemp(follow->path, O_CLOEXEC | O_APPEND);
	follow->loop = loop_new();
	*state = follow;
	return follow->file < 0 ? -1 : 0;
}

static int follow_teardown(void **state)
{
	struct follow *follow = *state;

	log_stream_free(follow->stream);
	loop_free(follow->loop);
	(void)close(follow->file);
	(void)close(follow->reader);
	(void)unlink(follow->path);
	buf_deinit(&follow->got);
	free(follow);
	return 0;
}

static void follow_open(struct follow *follow, struct log_options options, bool ended)
{
	struct log_source source = {.path = follow->path, .ended = ended, .options = options};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	follow->reader = fds[1];
	assert_int_equal(
		log_stream_new(follow->loop, &source, fds[0], on_done, follow, &follow->stream), 0);
}

static void put(const struct follow *follow, const char *text)
{
	assert_int_equal(write(follow->file, text, strlen(text)), (ssize_t)strlen(text));
}

/* Turn the loop until the reader has got @text in all. */
static void expect_read(struct follow *follow, const char *text)
{
	struct mono deadline = mono_add_ms(clock_mono(), 30000);

	while (strcmp(buf_cstr(&follow->got), text) != 0) {
		bool never = false;
		char chunk[4096];
		ssize_t got;

		assert_false(mono_reached(clock_mono(), deadline));
		(void)loop_run_until(follow->loop, &never, mono_add_ms(clock_mono(), 5));
		got = recv(follow->reader, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (got > 0)
			buf_append(&follow->got, chunk, (size_t)got);
	}
}

static void expect_done(struct follow *follow)
{
	assert_true(loop_run_until(follow->loop, &follow->done, mono_add_ms(clock_mono(), 30000)));
}

static void test_a_stream_ends_with_its_file(void **state)
{
	struct follow *follow = *state;

	put(follow, sample);
	follow_open(follow, (struct log_options){.tail_lines = -1}, false);
	expect_read(follow, "one\ntwo abc\nthree\n\n");
	expect_done(follow);
}

static void test_a_follower_sees_what_is_added_until_the_run_ends(void **state)
{
	struct follow *follow = *state;

	put(follow, AT("01") "stdout F one\n");
	follow_open(follow, (struct log_options){.tail_lines = 1, .follow = true}, false);
	expect_read(follow, "one\n");
	put(follow, AT("02") "stdout F tw");
	put(follow, "o\n");
	expect_read(follow, "one\ntwo\n");
	put(follow, AT("03") "stdout F three\n");
	log_stream_end(follow->stream);
	expect_read(follow, "one\ntwo\nthree\n");
	expect_done(follow);
}

static void test_a_follower_survives_the_cutting_of_the_log(void **state)
{
	struct follow *follow = *state;

	put(follow, sample);
	follow_open(follow, (struct log_options){.tail_lines = 0, .follow = true}, false);
	expect_read(follow, "");
	assert_int_equal(ftruncate(follow->file, 0), 0);
	put(follow, AT("05") "stdout F anew\n");
	expect_read(follow, "anew\n");
}

static void test_a_reader_that_leaves_ends_the_stream(void **state)
{
	struct follow *follow = *state;

	put(follow, AT("01") "stdout F one\n");
	follow_open(follow, (struct log_options){.tail_lines = -1, .follow = true}, false);
	expect_read(follow, "one\n");
	(void)close(follow->reader);
	follow->reader = -1;
	expect_done(follow);
}

static void test_a_slow_reader_gets_everything(void **state)
{
	struct follow *follow = *state;
	struct buf expected = {0};
	struct mono deadline = mono_add_ms(clock_mono(), 60000);

	for (int i = 0; i < 20000; i++) {
		char line[128];

		(void)snprintf(line, sizeof(line), AT("01") "stdout F this is line %d\n", i);
		put(follow, line);
		buf_append_format(&expected, "this is line %d\n", i);
	}
	follow_open(follow, (struct log_options){.tail_lines = -1}, true);
	while (follow->got.len < expected.len && !mono_reached(clock_mono(), deadline)) {
		bool never = false;
		char chunk[1000];
		ssize_t got;

		(void)loop_run_until(follow->loop, &never, mono_add_ms(clock_mono(), 1));
		while ((got = recv(follow->reader, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
			buf_append(&follow->got, chunk, (size_t)got);
	}
	assert_true(bytes_equal(bytes_buf(&follow->got), bytes_buf(&expected)));
	expect_done(follow);
	buf_deinit(&expected);
}

#define FOLLOW_TEST(fn) cmocka_unit_test_setup_teardown(fn, follow_setup, follow_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partial_lines_are_joined),
		cmocka_unit_test(test_time_stamps_stand_once_per_line_and_end_in_z),
		cmocka_unit_test(test_lines_before_the_asked_time_are_left_out),
		cmocka_unit_test(test_the_limit_cuts_within_a_line),
		cmocka_unit_test(test_lines_of_another_format_are_left_out),
		cmocka_unit_test(test_a_tail_counts_whole_lines_of_the_application),
		FOLLOW_TEST(test_a_stream_ends_with_its_file),
		FOLLOW_TEST(test_a_follower_sees_what_is_added_until_the_run_ends),
		FOLLOW_TEST(test_a_follower_survives_the_cutting_of_the_log),
		FOLLOW_TEST(test_a_reader_that_leaves_ends_the_stream),
		FOLLOW_TEST(test_a_slow_reader_gets_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
