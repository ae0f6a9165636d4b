/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/renewal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "identity/issue.h"

static void test_half_time_is_of_what_is_left_after_the_issue(void **state)
{
	struct wall from = {1000000}, until = {1000000 + CERT_BACKDATE_MS + 60000};

	(void)state;
	assert_int_equal(renewal_due(from, until, 0).ms, 1000000 + CERT_BACKDATE_MS + 30000);
	for (uint64_t random = 0; random < 100000; random += 777) {
		int64_t due_ms = renewal_due(from, until, random).ms - from.ms - CERT_BACKDATE_MS;

		assert_true(due_ms <= 30000 && due_ms >= 27000);
	}
	/* Of no life at all it is at once. */
	assert_int_equal(renewal_due(from, from, 5).ms, 1000000 + CERT_BACKDATE_MS);
}

static void test_attempts_become_rarer_up_to_a_bound(void **state)
{
	int64_t ms = RENEWAL_RETRY_FIRST_MS, before;

	(void)state;
	for (int i = 0; i < 20; i++) {
		before = ms;
		ms = renewal_retry_ms(ms);
		assert_true(ms == before * 2 || ms == RENEWAL_RETRY_MAX_MS);
	}
	assert_int_equal(ms, RENEWAL_RETRY_MAX_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_time_is_of_what_is_left_after_the_issue),
		cmocka_unit_test(test_attempts_become_rarer_up_to_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
