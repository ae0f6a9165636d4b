/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/internal.h"

enum {
	DAY_MS = 24 * 3600 * 1000,
};

static const int64_t now_ms = 1800000000000;

static bool is_deleted(int64_t confirmed_days_ago, bool complete, int64_t since_days_ago)
{
	struct vouch vouch = {.complete = complete,
			      .complete_since_ms = now_ms - since_days_ago * DAY_MS};

	return absence_means_deleted(now_ms - confirmed_days_ago * DAY_MS, &vouch, now_ms);
}

static void what_a_steward_misses_that_was_there_all_the_time_was_deleted(void **state)
{
	(void)state;
	assert_true(is_deleted(30, true, 31));
	assert_true(is_deleted(30, true, 30));
	assert_true(is_deleted(7, true, 400));
}

static void a_steward_that_came_later_proves_nothing(void **state)
{
	(void)state;
	assert_false(is_deleted(30, true, 29));
	assert_false(is_deleted(30, false, 400));
}

static void as_long_as_tombstones_are_kept_nothing_is_deleted_without_one(void **state)
{
	(void)state;
	assert_false(is_deleted(0, true, 400));
	assert_false(is_deleted(6, true, 400));
}

static void what_was_never_confirmed_is_not_deleted(void **state)
{
	struct vouch vouch = {.complete = true, .complete_since_ms = 0};

	(void)state;
	assert_false(absence_means_deleted(0, &vouch, now_ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_steward_misses_that_was_there_all_the_time_was_deleted),
		cmocka_unit_test(a_steward_that_came_later_proves_nothing),
		cmocka_unit_test(as_long_as_tombstones_are_kept_nothing_is_deleted_without_one),
		cmocka_unit_test(what_was_never_confirmed_is_not_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
