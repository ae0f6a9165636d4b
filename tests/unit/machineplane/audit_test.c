/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: a bounded number of files of a bounded size, and no change without a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "io/file.h"
#include "machineplane/fabric.h"

static char state_dir[64];

static int setup(void **state)
{
	char path[128];

	(void)state;
	(void)snprintf(state_dir, sizeof(state_dir), "/tmp/magik-audit-XXXXXX");
	assert_non_null(mkdtemp(state_dir));
	(void)snprintf(path, sizeof(path), "%s/" CREDENTIALS_DIR, state_dir);
	return mkdir(path, 0700);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool log_stat(const char *suffix, struct stat *info)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/" CREDENTIALS_DIR "/audit.log%s", state_dir, suffix);
	return stat(path, info) == 0;
}

static void test_lines_survive_the_daemon_and_are_private(void **state)
{
	struct audit_log *log;
	struct stat info;
	struct err err;

	(void)state;
	for (int i = 1; i <= 2; i++) {
		log = audit_log_new(state_dir);
		assert_true(audit_log_ready(log, &err));
		audit_log_write(log, bytes_str("{\"verb\":\"create\"}"));
		audit_log_free(log);
		assert_true(log_stat("", &info));
		assert_int_equal(info.st_size, i * 18);
	}
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_true(info.st_blocks > 16 * 2048); /* the space of the whole file is taken */
}

static void test_files_are_bounded_in_size_and_number(void **state)
{
	static char line[1024 * 1024];
	struct audit_log *log = audit_log_new(state_dir);
	struct stat info;
	struct err err;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	for (int i = 0; i < 10 * 17; i++) {
		assert_true(audit_log_ready(log, &err));
		audit_log_write(log, bytes_str(line));
	}
	assert_true(log_stat(".8", &info));
	assert_in_range(info.st_size, 16 << 20, 17 << 20);
	assert_false(log_stat(".9", &info));
	audit_log_free(log);
}

static void test_it_is_not_ready_where_it_cannot_write(void **state)
{
	struct audit_log *log = audit_log_new("/nonexistent");
	struct err err = {0};

	(void)state;
	assert_false(audit_log_ready(log, &err));
	assert_non_null(strstr(err.text, "/nonexistent/fabric/audit.log"));
	audit_log_free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines_survive_the_daemon_and_are_private,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_are_bounded_in_size_and_number, setup,
						teardown),
		cmocka_unit_test(test_it_is_not_ready_where_it_cannot_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
