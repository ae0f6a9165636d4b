/* SPDX-License-Identifier: Apache-2.0 */
#include "io/clock.h"
#include "io/entropy.h"
#include "io/file.h"
#include "io/local.h"
#include "io/log.h"
#include "io/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"

struct fixture {
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_watch *watch;
	struct loop_signal *signal;
	int calls, fd, signum;
	bool done;
};

static void on_fire(void *user)
{
	struct fixture *f = user;

	f->calls++;
	f->done = true;
}

static void on_fire_and_free_itself(void *user)
{
	struct fixture *f = user;

	loop_timer_free(f->timer);
	on_fire(f);
}

static void test_a_timer_never_fires_before_its_deadline(void **state)
{
	struct fixture f = {.loop = loop_new()};
	struct mono deadline = mono_add_us(clock_mono(), 2500);

	(void)state;
	f.timer = loop_timer_new(f.loop, on_fire_and_free_itself, &f);
	loop_timer_set(f.timer, deadline);
	loop_run(f.loop);
	assert_int_equal(f.calls, 1);
	assert_true(mono_reached(clock_mono(), deadline));
	loop_free(f.loop);
}

static void test_a_stopped_timer_does_not_fire(void **state)
{
	struct fixture f = {.loop = loop_new()};

	(void)state;
	f.timer = loop_timer_new(f.loop, on_fire, &f);
	loop_timer_set(f.timer, clock_mono());
	loop_timer_set(f.timer, MONO_NEVER);
	loop_run(f.loop);
	assert_int_equal(f.calls, 0);
	loop_timer_free(f.timer);
	loop_free(f.loop);
}

static void test_waiting_ends_at_the_deadline(void **state)
{
	struct fixture f = {.loop = loop_new()};

	(void)state;
	assert_false(loop_run_until(f.loop, &f.done, mono_add_ms(clock_mono(), 2)));
	loop_defer(f.loop, on_fire, &f);
	assert_int_equal(f.calls, 0);
	assert_true(loop_run_until(f.loop, &f.done, mono_add_ms(clock_mono(), 5000)));
	loop_free(f.loop);
}

static void on_readable(void *user, int events)
{
	struct fixture *f = user;
	char byte;

	assert_int_equal(events, LOOP_READABLE);
	assert_int_equal(read(f->fd, &byte, 1), 1);
	loop_watch_free(f->watch);
	on_fire(f);
}

static void test_a_descriptor_is_watched(void **state)
{
	struct fixture f = {.loop = loop_new()};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	f.fd = fds[0];
	assert_int_equal(loop_watch_new(f.loop, fds[0], LOOP_READABLE, on_readable, &f, &f.watch),
			 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_run(f.loop);
	assert_int_equal(f.calls, 1);
	loop_free(f.loop);
	close(fds[0]);
	close(fds[1]);
}

static void on_signal(void *user, int signum)
{
	struct fixture *f = user;

	f->signum = signum;
	loop_signal_free(f->signal);
}

static void test_a_signal_is_delivered(void **state)
{
	struct fixture f = {.loop = loop_new()};

	(void)state;
	assert_int_equal(loop_signal_new(f.loop, SIGUSR1, on_signal, &f, &f.signal), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	loop_run(f.loop);
	assert_int_equal(f.signum, SIGUSR1);
	assert_true(loop_signal_new(f.loop, SIGKILL, on_signal, &f, &f.signal) < 0);
	loop_free(f.loop);
}

static void test_a_hook_runs_before_the_loop_waits(void **state)
{
	struct fixture f = {.loop = loop_new()};
	struct fixture other = {0};
	struct loop_hook *hook = loop_hook_new(f.loop, on_fire, &f);

	(void)state;
	f.timer = loop_timer_new(f.loop, on_fire, &other);
	loop_timer_set(f.timer, mono_add_ms(clock_mono(), 1));
	loop_run(f.loop);
	assert_true(f.calls >= 1);
	assert_int_equal(other.calls, 1);
	loop_hook_free(hook);
	loop_timer_free(f.timer);
	loop_free(f.loop);
}

static void test_files_are_replaced_whole_and_read_within_a_limit(void **state)
{
	char dir[] = "/tmp/io-test-XXXXXX", path[64], deep[64];
	struct buf content = {0};
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/key", dir);
	assert_int_equal(file_write(path, bytes_str("one"), 0600), 0);
	assert_int_equal(file_write(path, bytes_str("second"), 0640), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(file_read(path, 5, &content), -EFBIG);
	assert_int_equal(content.len, 0);
	assert_int_equal(file_read(path, 6, &content), 0);
	assert_string_equal(buf_cstr(&content), "second");
	(void)snprintf(deep, sizeof(deep), "%s/key/x", dir);
	assert_int_equal(file_make_dir(deep, 0755), -ENOTDIR);
	assert_true(file_write(deep, bytes_str("x"), 0600) < 0);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(deep, sizeof(deep), "%s/a/b", dir);
	assert_int_equal(file_make_dir(deep, 0755), 0);
	assert_int_equal(file_make_dir(deep, 0755), 0);
	assert_int_equal(rmdir(deep), 0);
	*strrchr(deep, '/') = '\0';
	assert_int_equal(rmdir(deep), 0);
	/* Nothing temporary is left behind, or this would fail. */
	assert_int_equal(rmdir(dir), 0);
	buf_deinit(&content);
}

static void test_a_log_line_is_one_line_in_both_forms(void **state)
{
	struct buf line = {0};
	struct log_config config = {.node = "n1", .process = "fabric"};
	struct wall at = {.ms = 1500};

	(void)state;
	log_init(&config);
	log_format(LOG_LEVEL_WARN, "peer-refused", "a \"b\"\nc", at, &line);
	assert_string_equal(buf_cstr(&line), "1970-01-01T00:00:01.500Z warn  n1 fabric "
					     "[peer-refused] a \"b\"\\u000ac");
	buf_clear(&line);
	config.json = true;
	log_init(&config);
	log_format(LOG_LEVEL_WARN, "peer-refused", "a \"b\"\nc", at, &line);
	assert_string_equal(buf_cstr(&line),
			    "{\"time\":\"1970-01-01T00:00:01.500Z\",\"level\":\"warn\","
			    "\"node\":\"n1\",\"process\":\"fabric\",\"event\":\"peer-refused\","
			    "\"message\":\"a \\\"b\\\"\\u000ac\"}");
	buf_deinit(&line);
	log_init(&(struct log_config){0});
}

static void test_a_repeated_event_is_held_back_and_counted(void **state)
{
	struct log_limit *limit = calloc(1, sizeof(*limit));
	struct mono now = {.us = 1};
	uint64_t suppressed = 99;

	(void)state;
	assert_true(log_limit_pass(limit, bytes_str("peer"), now, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_false(log_limit_pass(limit, bytes_str("peer"), now, &suppressed));
	assert_false(log_limit_pass(limit, bytes_str("peer"), now, &suppressed));
	assert_true(log_limit_pass(limit, bytes_str("other"), now, &suppressed));
	now = mono_add_ms(now, 60 * MS_PER_S);
	assert_true(log_limit_pass(limit, bytes_str("peer"), now, &suppressed));
	assert_int_equal(suppressed, 2);
	/* More keys than slots: old ones are forgotten, none is refused. */
	for (int i = 0; i < 3 * LOG_LIMIT_KEYS; i++)
		assert_true(log_limit_pass(limit, bytes_of(&i, sizeof(i)), now, &suppressed));
	free(limit);
}

static void test_random_bytes_differ(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};

	(void)state;
	entropy_fill(a, sizeof(a));
	entropy_fill(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_true(entropy_u64() != entropy_u64());
}

static void test_a_local_socket_may_stand_in_a_directory_with_a_long_name(void **state)
{
	char dir[] = "/tmp/io-test-XXXXXX", deep[200], path[256], got = 0;
	struct stat st;
	int server, client, accepted;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(deep, sizeof(deep), "%s/%0150d", dir, 0);
	(void)snprintf(path, sizeof(path), "%s/sock", deep);
	assert_int_equal(local_connect(deep, "sock"), -ENOENT);
	assert_int_equal(local_listen(deep, "sock", 1), -ENOENT);
	assert_int_equal(mkdir(deep, 0700), 0);
	/* What an earlier program left behind is in nobody's way. */
	assert_int_equal(file_write(path, bytes_str("old"), 0644), 0);
	server = local_listen(deep, "sock", 1);
	assert_true(server >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	client = local_connect(deep, "sock");
	assert_true(client >= 0);
	accepted = accept(server, NULL, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(recv(accepted, &got, 1, 0), 1);
	assert_int_equal(got, 'x');
	assert_int_equal(close(accepted) + close(client) + close(server), 0);
	assert_int_equal(local_connect(deep, "sock"), -ECONNREFUSED);
	assert_int_equal(unlink(path) + rmdir(deep) + rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_timer_never_fires_before_its_deadline),
		cmocka_unit_test(test_a_stopped_timer_does_not_fire),
		cmocka_unit_test(test_waiting_ends_at_the_deadline),
		cmocka_unit_test(test_a_descriptor_is_watched),
		cmocka_unit_test(test_a_signal_is_delivered),
		cmocka_unit_test(test_a_hook_runs_before_the_loop_waits),
		cmocka_unit_test(test_files_are_replaced_whole_and_read_within_a_limit),
		cmocka_unit_test(test_a_log_line_is_one_line_in_both_forms),
		cmocka_unit_test(test_a_repeated_event_is_held_back_and_counted),
		cmocka_unit_test(test_random_bytes_differ),
		cmocka_unit_test(test_a_local_socket_may_stand_in_a_directory_with_a_long_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
