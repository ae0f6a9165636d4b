/* SPDX-License-Identifier: Apache-2.0 */
#include "lan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lan lan; /* too big for a stack frame */

static void test_three_slots_land_on_three_machines(void **state)
{
	(void)state;
	lan_init(&lan, 5, 1);
	lan_machines(&lan, 4000, 1LL << 32);
	assert_int_equal(lan_open(&lan, 0, &(struct lan_tender){.object = 1, .count = 3}), 0);
	lan_run(&lan, 200);
	assert_int_equal(lan_alive(&lan, 1), 3);
	for (size_t i = 0; i < 5; i++)
		assert_true(lan_alive_on(&lan, 1, i) <= 1);
	assert_int_equal(lan.placed, 3);
	assert_int_equal(lan.closed, 1);
	assert_int_equal(lan.unplaced, 0);
	/* All holds of losers are given back, and the tender is over with its last event. */
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(market_usage(lan.markets[i]).holds, 0);
	assert_int_equal(market_usage(lan.markets[0]).tenders, 0);
	lan_deinit(&lan);
}

static void test_a_fabric_of_one_runs_its_own_work(void **state)
{
	(void)state;
	lan_init(&lan, 1, 1);
	lan_machines(&lan, 4000, 1LL << 32);
	assert_int_equal(lan_open(&lan, 0, &(struct lan_tender){.object = 1, .count = 3}), 0);
	lan_run(&lan, 1);
	assert_int_equal(lan_alive(&lan, 1), 3);
	lan_deinit(&lan);
}

static void test_more_slots_than_machines_are_spread_evenly(void **state)
{
	(void)state;
	lan_init(&lan, 3, 1);
	lan_machines(&lan, 4000, 1LL << 32);
	assert_int_equal(lan_open(&lan, 1, &(struct lan_tender){.object = 1, .count = 10}), 0);
	lan_run(&lan, 200);
	assert_int_equal(lan_alive(&lan, 1), 10);
	for (size_t i = 0; i < 3; i++)
		assert_in_range(lan_alive_on(&lan, 1, i), 3, 4);
	lan_deinit(&lan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_slots_land_on_three_machines),
		cmocka_unit_test(test_a_fabric_of_one_runs_its_own_work),
		cmocka_unit_test(test_more_slots_than_machines_are_spread_evenly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
