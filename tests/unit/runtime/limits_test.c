/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/backoff.h"

static struct resources asked(int64_t cpu_request, int64_t cpu_limit, int64_t memory_request,
			      int64_t memory_limit)
{
	return (struct resources){cpu_request, cpu_limit, memory_request, memory_limit};
}

static void test_half_a_core_is_half_the_period_and_half_the_shares(void **state)
{
	struct resources r = asked(LIMITS_UNSET, 500, LIMITS_UNSET, 64 << 20);
	struct limits limits = limits_compute(&r);

	(void)state;
	assert_int_equal(limits.cpu_quota_us, 50000);
	assert_int_equal(limits.cpu_period_us, 100000);
	assert_int_equal(limits.cpu_shares, 512);
	assert_int_equal(limits.memory_bytes, 64 << 20);
	assert_int_equal(limits.pids, LIMITS_PIDS_DEFAULT);
}

static void test_a_request_alone_sets_shares_and_no_quota(void **state)
{
	struct resources r = asked(2000, LIMITS_UNSET, 64 << 20, LIMITS_UNSET);
	struct limits limits = limits_compute(&r);

	(void)state;
	assert_int_equal(limits.cpu_shares, 2048);
	assert_int_equal(limits.cpu_quota_us, LIMITS_UNSET);
	assert_int_equal(limits.memory_bytes, LIMITS_UNSET);
}

static void test_nothing_asked_is_the_least_share(void **state)
{
	struct resources r = asked(LIMITS_UNSET, LIMITS_UNSET, LIMITS_UNSET, LIMITS_UNSET);

	(void)state;
	assert_int_equal(limits_compute(&r).cpu_shares, LIMITS_CPU_SHARES_MIN);
	assert_int_equal(limits_oom_score(&r, 8ull << 30), 1000);
}

static void test_values_the_kernel_refuses_are_clamped(void **state)
{
	struct resources tiny = asked(1, 1, LIMITS_UNSET, LIMITS_UNSET);
	struct resources huge = asked(INT64_MAX / 64, INT64_MAX / 64, LIMITS_UNSET, LIMITS_UNSET);

	(void)state;
	assert_int_equal(limits_compute(&tiny).cpu_quota_us, LIMITS_CPU_QUOTA_MIN_US);
	assert_int_equal(limits_compute(&tiny).cpu_shares, LIMITS_CPU_SHARES_MIN);
	assert_int_equal(limits_compute(&huge).cpu_shares, LIMITS_CPU_SHARES_MAX);
}

static void test_who_has_what_it_was_promised_is_killed_last(void **state)
{
	struct resources guaranteed = asked(100, 100, 1 << 30, 1 << 30);
	struct resources burstable = asked(100, 200, 2ll << 30, LIMITS_UNSET);
	struct resources cpu_only = asked(100, LIMITS_UNSET, LIMITS_UNSET, LIMITS_UNSET);

	(void)state;
	assert_int_equal(limits_oom_score(&guaranteed, 8ull << 30), -997);
	assert_in_range(limits_oom_score(&burstable, 8ull << 30), 740, 760);
	assert_int_equal(limits_oom_score(&cpu_only, 8ull << 30), 999);
}

static void test_restarts_come_at_once_then_slower_and_slower(void **state)
{
	static const int64_t expected_s[] = {0, 10, 20, 40, 80, 160, 300, 300};
	struct backoff backoff = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(expected_s) / sizeof(expected_s[0]); i++)
		assert_int_equal(backoff_next_ms(&backoff, 100), expected_s[i] * 1000);
}

static void test_a_long_run_is_forgiven(void **state)
{
	struct backoff backoff = {.delay_ms = BACKOFF_MAX_MS};

	(void)state;
	assert_int_equal(backoff_next_ms(&backoff, BACKOFF_RESET_MS), 0);
	assert_int_equal(backoff_next_ms(&backoff, BACKOFF_RESET_MS - 1), BACKOFF_FIRST_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_a_core_is_half_the_period_and_half_the_shares),
		cmocka_unit_test(test_a_request_alone_sets_shares_and_no_quota),
		cmocka_unit_test(test_nothing_asked_is_the_least_share),
		cmocka_unit_test(test_values_the_kernel_refuses_are_clamped),
		cmocka_unit_test(test_who_has_what_it_was_promised_is_killed_last),
		cmocka_unit_test(test_restarts_come_at_once_then_slower_and_slower),
		cmocka_unit_test(test_a_long_run_is_forgiven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
