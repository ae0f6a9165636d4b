/* SPDX-License-Identifier: Apache-2.0 */
/* What a fabric process tells over its control socket. */
#include "process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"

enum {
	ANSWER_MAX = 64 * 1024,
	TOO_LONG = 6000,
};

static struct process *machine;

static int start(void **state)
{
	struct err err = {0};

	machine = process_new("alpha");
	assert_int_equal(process_prepare(machine, &err), 0);
	process_start(machine);
	return process_says(machine, "[member-of]", "alpha") ? 0 : -1;
}

static int stop(void **state)
{
	assert_int_equal(process_stop(machine), 0);
	process_free(machine);
	return 0;
}

static void socket_path(char path[108])
{
	(void)snprintf(path, 108, "%s/control.sock", process_options(machine)->run_dir);
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	socket_path(address.sun_path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Everything until the other side closes. */
static void read_all(int fd, struct buf *out)
{
	char chunk[1024];
	ssize_t len;

	while ((len = read(fd, chunk, sizeof(chunk))) > 0 && out->len < ANSWER_MAX)
		buf_append(out, chunk, (size_t)len);
}

static json_t *ask(const char *line)
{
	struct buf answer = {0};
	json_t *json;
	int fd = dial();

	assert_int_equal(write(fd, line, strlen(line)), (ssize_t)strlen(line));
	read_all(fd, &answer);
	(void)close(fd);
	json = json_loadb((const char *)answer.ptr, answer.len, 0, NULL);
	assert_non_null(json);
	assert_true(json_is_true(json_object_get(json, "done")));
	buf_deinit(&answer);
	return json;
}

static const char *text(const json_t *json, const char *name)
{
	const char *value = json_string_value(json_object_get(json, name));

	if (!value)
		fail_msg("there is no \"%s\"", name);
	return value;
}

static void the_status_says_who_and_where(void **state)
{
	json_t *json = ask("{\"verb\":\"status\"}\n");
	const json_t *machines = json_object_get(json, "machines");

	assert_string_equal(text(json, "node"), "alpha");
	assert_int_equal(strspn(text(json, "identity"), "0123456789abcdef"), 64);
	assert_int_equal(strlen(text(json, "identity")), 64);
	assert_int_equal(strncmp(text(json, "rest"), "127.0.0.1:", 10), 0);
	assert_non_null(strstr(text(json, "roles"), "steward"));
	assert_true(json_is_true(json_object_get(json, "admits")));
	assert_true(json_is_true(json_object_get(json, "root_here")));
	assert_true(json_is_true(json_object_get(json, "fabric_time_settled")));
	assert_int_equal(json_integer_value(json_object_get(json, "pods")), 0);
	assert_true(json_is_true(json_object_get(json_object_get(json, "overlay"), "whole")));
	assert_int_equal(json_array_size(machines), 1);
	assert_string_equal(text(json_array_get(machines, 0), "state"), "alive");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(json, "addresses"), 0)),
		process_address(machine));
	json_decref(json);
}

static void the_counters_are_those_of_the_metrics(void **state)
{
	json_t *json = ask("{\"verb\":\"counters\"}\n");
	const json_t *counters = json_object_get(json, "counters");

	assert_int_equal(json_integer_value(json_object_get(counters, "magik_members")), 1);
	assert_true(json_is_integer(json_object_get(counters, "magik_sent_tender_total")));
	assert_true(json_is_integer(json_object_get(counters, "magik_sent_tender_bytes_total")));
	assert_true(
		json_is_integer(json_object_get(counters, "magik_quic_handshakes_dialled_total")));
	json_decref(json);
}

static void what_is_no_question_gets_an_error(void **state)
{
	static const char *const lines[] = {
		"{\"verb\":\"reboot\"}\n", "{\"verb\":7}\n", "{}\n", "[]\n", "rubbish\n", "\n"};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		json_t *json = ask(lines[i]);

		assert_string_equal(text(json, "error"), "unknown verb");
		json_decref(json);
	}
}

static void a_line_without_end_is_cut_off(void **state)
{
	char line[TOO_LONG];
	struct buf answer = {0};
	int fd = dial();

	memset(line, 'x', sizeof(line));
	(void)!send(fd, line, sizeof(line), MSG_NOSIGNAL);
	read_all(fd, &answer);
	assert_int_equal(answer.len, 0);
	(void)close(fd);
	json_decref(ask("{\"verb\":\"status\"}\n")); /* it goes on */
}

static void who_says_nothing_stops_nobody(void **state)
{
	int idle = dial();

	json_decref(ask("{\"verb\":\"status\"}\n"));
	(void)close(idle);
}

static void the_socket_is_roots_alone(void **state)
{
	struct stat stat;
	char path[108];

	socket_path(path);
	assert_int_equal(lstat(path, &stat), 0);
	assert_int_equal(stat.st_mode & 0777, 0600);
	assert_int_equal(stat.st_uid, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_status_says_who_and_where),
		cmocka_unit_test(the_counters_are_those_of_the_metrics),
		cmocka_unit_test(what_is_no_question_gets_an_error),
		cmocka_unit_test(a_line_without_end_is_cut_off),
		cmocka_unit_test(who_says_nothing_stops_nobody),
		cmocka_unit_test(the_socket_is_roots_alone),
	};
	int status = process_main(argc, argv);

	if (status >= 0)
		return status;
	if (geteuid() != 0)
		return 77; /* skipped: the process gives up root */
	return cmocka_run_group_tests(tests, start, stop);
}
