/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Markets under a bad network, from many seeds. After every event: no slot has two pods alive, and
 * no machine has promised or bound more than it may. At the end: every tender has ended, and no
 * hold, pod or round is left over.
 *
 * Each tender here is opened once, under an id of its own, so "never more than one pod per slot"
 * must hold at every moment, whatever is lost, late, repeated or out of order.
 */
#include "lan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
	NODES = 12,
	OBJECTS = 10,
	SLOTS = 8,
	SEEDS = 300,
	CPU_MILLI = 1000,
};

static struct lan lan; /* too big for a stack frame */
static uint64_t seed_now;

static void check(struct lan *world)
{
	uint8_t alive[OBJECTS + 1][SLOTS] = {0};

	for (size_t i = 0; i < world->pod_count; i++) {
		const struct lan_pod *pod = &world->pods[i];

		if (pod->state != LAN_POD_STARTING && pod->state != LAN_POD_RUNNING)
			continue;
		if (++alive[pod->object_uid.byte[0]][pod->slot] > 1)
			fail_msg("seed %llu at %lld us: two pods in slot %u of object %u",
				 (unsigned long long)seed_now, (long long)world->now.us, pod->slot,
				 pod->object_uid.byte[0]);
	}
	for (size_t i = 0; i < world->node_count; i++) {
		struct market_usage usage = market_usage(world->markets[i]);

		if (usage.cpu_milli < 0 || usage.cpu_milli > CPU_MILLI)
			fail_msg("seed %llu at %lld us: node %zu has bound %lld",
				 (unsigned long long)seed_now, (long long)world->now.us, i,
				 (long long)usage.cpu_milli);
	}
}

static void check_end(void)
{
	size_t pods[NODES] = {0};

	for (size_t i = 0; i < lan.pod_count; i++)
		if (lan.pods[i].state != LAN_POD_ENDED)
			pods[lan.pods[i].node]++;
	for (size_t i = 0; i < NODES; i++) {
		struct market_usage usage = market_usage(lan.markets[i]);

		if (lan.down[i])
			continue;
		assert_int_equal(usage.holds, 0);
		assert_int_equal(usage.tenders, 0);
		assert_int_equal(usage.pods, pods[i]);
	}
}

static void random_faults(void)
{
	lan.loss = (uint32_t)lan_random(&lan, 4) * 100;
	lan.duplication = (uint32_t)lan_random(&lan, 3) * 200;
	lan.delay_us_min = 200;
	lan.delay_us_max = 1000 + (int64_t)lan_random(&lan, 3) * 400 * US_PER_MS;
	lan.start_failures = (uint32_t)lan_random(&lan, 3) * 100;
	lan.start_us = (int64_t)lan_random(&lan, 4000) * US_PER_MS;
}

/* A link that works one way only for a while. */
static void random_cut(void)
{
	size_t from = lan_random(&lan, NODES), to = lan_random(&lan, NODES);

	if (from != to)
		lan.cut[from][to] = !lan.cut[from][to];
}

static void run_seed(uint64_t seed)
{
	seed_now = seed;
	lan_init(&lan, NODES, seed);
	lan_machines(&lan, CPU_MILLI, 1LL << 30);
	lan.check = check;
	random_faults();
	for (uint8_t object = 1; object <= OBJECTS; object++) {
		struct lan_tender tender = {
			.object = object,
			.count = 1 + (uint32_t)lan_random(&lan, SLOTS),
			.cpu_milli = 100 + (int64_t)lan_random(&lan, 4) * 100,
			.priority = (int32_t)lan_random(&lan, 3),
			.preemptible = lan_random(&lan, 2) == 0,
		};

		assert_int_equal(lan_open(&lan, lan_random(&lan, NODES), &tender), 0);
		lan_run(&lan, (int64_t)lan_random(&lan, 300));
		random_cut();
		if (lan_random(&lan, 15) == 0)
			lan_crash(&lan, NODES - 1);
	}
	lan_run(&lan, 2LL * MARKET_DEPLOY_MS);
	check_end();
	/* Some owner may be dead; those alive have all said that their tenders are over. */
	assert_in_range(lan.closed, 1, OBJECTS);
	lan_deinit(&lan);
}

static void test_no_seed_breaks_the_invariants(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run_seed(seed);
}

static void test_a_run_is_replayed_to_the_byte(void **state)
{
	struct buf first = {0};

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		lan_init(&lan, 5, 42);
		lan_machines(&lan, CPU_MILLI, 1LL << 30);
		random_faults();
		lan.tell = true;
		assert_int_equal(lan_open(&lan, 0, &(struct lan_tender){.object = 1, .count = 6}),
				 0);
		lan_run(&lan, 10000);
		if (turn == 0)
			buf_append_bytes(&first, bytes_buf(&lan.story));
		else
			assert_true(bytes_equal(bytes_buf(&first), bytes_buf(&lan.story)));
		lan_deinit(&lan);
	}
	assert_true(first.len > 0);
	buf_deinit(&first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_seed_breaks_the_invariants),
		cmocka_unit_test(test_a_run_is_replayed_to_the_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
