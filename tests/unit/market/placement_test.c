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

static size_t on_one_machine(uint8_t object)
{
	size_t most = 0;

	for (size_t i = 0; i < lan.node_count; i++)
		if (lan_alive_on(&lan, object, i) > most)
			most = lan_alive_on(&lan, object, i);
	return most;
}

static void test_replicas_that_want_company_start_on_one_machine(void **state)
{
	(void)state;
	lan_init(&lan, 4, 1);
	lan_machines(&lan, 4000, 1LL << 32);
	assert_int_equal(
		lan_open(&lan, 0, &(struct lan_tender){.object = 1, .count = 4, .together = true}),
		0);
	lan_run(&lan, 1000);
	assert_int_equal(on_one_machine(1), 4);
	/* Room for two at a time: the rest is told to be unplaced, not put elsewhere. */
	lan_machines(&lan, 2000, 1LL << 32);
	assert_int_equal(
		lan_open(&lan, 0,
			 &(struct lan_tender){
				 .object = 2, .count = 4, .cpu_milli = 1000, .together = true}),
		0);
	lan_run(&lan, 60000);
	assert_int_equal(lan_alive(&lan, 2), on_one_machine(2));
	assert_in_range(lan_alive(&lan, 2), 1, 2);
	assert_int_equal(lan.unplaced, 4 - lan_alive(&lan, 2));
	lan_deinit(&lan);
}

/* Machines 0 and 1 are in zone a, 2 in zone b; 3 has no zone. */
static void set_zones(void)
{
	static struct label zones[] = {{"zone", "a"}, {"zone", "a"}, {"zone", "b"}};

	for (size_t i = 0; i < lan.node_count; i++) {
		struct market_machine machine = lan_machine(4000, 1LL << 32);

		machine.labels = i < 3 ? &zones[i] : NULL;
		machine.label_count = i < 3;
		market_set_machine(lan.markets[i], lan.now, &machine);
	}
	lan_settle(&lan);
}

static void test_slots_are_spread_over_zones_before_machines(void **state)
{
	struct spread spread = {"zone", 1, 1, true};
	const struct requirements needs = {.spreads = &spread, .spread_count = 1};

	(void)state;
	lan_init(&lan, 4, 1);
	set_zones();
	assert_int_equal(
		lan_open(&lan, 3, &(struct lan_tender){.object = 1, .count = 6, .needs = &needs}),
		0);
	lan_run(&lan, 10000);
	assert_int_equal(lan_alive(&lan, 1), 6);
	assert_int_equal(lan_alive_on(&lan, 1, 2), 3);
	assert_int_equal(lan_alive_on(&lan, 1, 3), 0);
	lan_deinit(&lan);
}

static void test_a_zone_that_is_full_holds_the_others_back(void **state)
{
	struct spread spread = {"zone", 1, 1, true};
	struct host_port port = {.protocol = PORT_TCP};
	const struct requirements needs = {
		.spreads = &spread, .spread_count = 1, .ports = &port, .port_count = 1};

	(void)state;
	assert_true(addr_parse("0.0.0.0:80", &port.addr)); /* one replica per machine */
	lan_init(&lan, 4, 1);
	set_zones();
	assert_int_equal(
		lan_open(&lan, 3, &(struct lan_tender){.object = 1, .count = 3, .needs = &needs}),
		0);
	lan_run(&lan, 10000);
	assert_int_equal(lan_alive(&lan, 1), 3); /* two in a, one in b */
	assert_int_equal(
		lan_open(&lan, 3, &(struct lan_tender){.object = 2, .count = 1, .needs = &needs}),
		0);
	lan_run(&lan, 10000);
	assert_int_equal(lan_alive(&lan, 2), 0); /* the port is taken everywhere */
	lan_deinit(&lan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_slots_land_on_three_machines),
		cmocka_unit_test(test_a_fabric_of_one_runs_its_own_work),
		cmocka_unit_test(test_more_slots_than_machines_are_spread_evenly),
		cmocka_unit_test(test_replicas_that_want_company_start_on_one_machine),
		cmocka_unit_test(test_slots_are_spread_over_zones_before_machines),
		cmocka_unit_test(test_a_zone_that_is_full_holds_the_others_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
