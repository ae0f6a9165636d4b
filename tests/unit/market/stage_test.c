/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is asked, stage by stage. Node 0 owns every tender and runs nothing; each test says which
 * machines a stage reaches.
 */
#include "lan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct lan lan; /* too big for a stack frame */

enum {
	STAGES = MARKET_BROADCAST_ALL + 1,
};

/* What each stage reaches, and what was asked for. */
static struct {
	size_t first, count;
	struct market_reach reach;
	bool forgets; /* the caller never says how far it reached */
	size_t times, wanted, open;
	struct mono at;
} plan[STAGES];

static void ask_as_planned(struct lan *to, size_t from, const struct market_effect *effect)
{
	size_t stage = effect->stage;

	plan[stage].times++;
	plan[stage].wanted = effect->wanted;
	plan[stage].open = effect->open;
	plan[stage].at = to->now;
	if (!plan[stage].forgets)
		lan_show(to, from, effect, plan[stage].first, plan[stage].count, plan[stage].reach);
}

static void begin(size_t nodes)
{
	struct market_machine machine = lan_machine(1000, 1LL << 30);

	memset(plan, 0, sizeof(plan));
	lan_init(&lan, nodes, 1);
	lan_machines(&lan, 1000, 1LL << 30);
	machine.schedulable = false;
	market_set_machine(lan.markets[0], lan.now, &machine);
	lan.ask = ask_as_planned;
	lan.referred = true;
}

static void end(void)
{
	lan_deinit(&lan);
}

static void open_tender(uint32_t slots)
{
	struct lan_tender tender = {.object = 1, .count = slots};

	assert_int_equal(lan_open(&lan, 0, &tender), 0);
}

static int64_t ms_of(enum market_stage stage)
{
	return plan[stage].at.us / US_PER_MS;
}

static void test_stages_come_in_order_until_nobody_is_left(void **state)
{
	(void)state;
	begin(2);
	open_tender(3);
	lan_run(&lan, 10);
	for (size_t stage = 0; stage < STAGES; stage++) {
		assert_int_equal(plan[stage].times, 1);
		assert_int_equal(plan[stage].open, 3);
	}
	assert_int_equal(plan[MARKET_SAMPLE].wanted, 12);
	assert_int_equal(plan[MARKET_WIDE].wanted, 48);
	assert_int_equal(lan.closed, 1);
	assert_int_equal(lan.unplaced, 3);
	end();
}

static void test_the_window_of_a_silent_stage_is_a_quarter_of_a_second(void **state)
{
	(void)state;
	begin(3);
	lan.cut[0][1] = true;
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 1;
	plan[MARKET_WIDE].first = 2;
	plan[MARKET_WIDE].count = 1;
	open_tender(1);
	lan_run(&lan, 1000);
	assert_int_equal(ms_of(MARKET_WIDE), MARKET_WINDOW_MS);
	assert_int_equal(plan[MARKET_BROADCAST_SOME].times, 0);
	assert_int_equal(lan_alive_on(&lan, 1, 2), 1);
	end();
}

static void test_among_near_machines_silence_is_believed_sooner(void **state)
{
	(void)state;
	begin(2);
	lan.cut[0][1] = true;
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 1;
	plan[MARKET_SAMPLE].reach.rtt_us = 2000;
	open_tender(1);
	lan_run(&lan, 1000);
	assert_int_equal(ms_of(MARKET_WIDE), MARKET_WINDOW_MIN_MS);
	end();
}

static void test_far_machines_get_their_round_trips(void **state)
{
	(void)state;
	begin(2);
	lan.cut[0][1] = true;
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 1;
	plan[MARKET_SAMPLE].reach.rtt_us = 20 * US_PER_MS;
	open_tender(1);
	lan_run(&lan, 1000);
	assert_in_range(ms_of(MARKET_WIDE), 60, MARKET_WINDOW_MS);
	end();
}

/* Two slots, one bidder at first: one is awarded at once, the other goes to somebody else. */
static void test_what_has_a_bid_is_awarded_and_the_rest_is_asked_for(void **state)
{
	(void)state;
	begin(3);
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 1;
	plan[MARKET_WIDE].first = 2;
	plan[MARKET_WIDE].count = 1;
	open_tender(2);
	lan_run(&lan, 1000);
	assert_int_equal(plan[MARKET_WIDE].open, 1);
	assert_int_equal(plan[MARKET_WIDE].wanted, MARKET_WIDE_PER_SLOT);
	assert_int_equal(lan_alive_on(&lan, 1, 1), 1);
	assert_int_equal(lan_alive_on(&lan, 1, 2), 1);
	assert_int_equal(lan.placed, 2);
	assert_int_equal(lan.unplaced, 0);
	end();
}

/* Nobody else has it: there is no point in looking for other machines. */
static void test_the_only_providers_get_copies(void **state)
{
	(void)state;
	begin(2);
	plan[MARKET_PROVIDERS].first = 1;
	plan[MARKET_PROVIDERS].count = 1;
	plan[MARKET_PROVIDERS].reach.complete = true;
	open_tender(3);
	lan_run(&lan, 1000);
	assert_int_equal(plan[MARKET_SAMPLE].times, 0);
	assert_int_equal(lan_alive_on(&lan, 1, 1), 3);
	end();
}

/* Nobody has announced it: no sample would find it. */
static void test_what_nobody_provides_is_asked_of_all_or_nobody(void **state)
{
	(void)state;
	begin(2);
	plan[MARKET_PROVIDERS].reach.complete = true;
	plan[MARKET_BROADCAST_ALL].first = 1;
	plan[MARKET_BROADCAST_ALL].count = 1;
	open_tender(1);
	lan_run(&lan, 1000);
	assert_int_equal(plan[MARKET_SAMPLE].times, 0);
	assert_int_equal(plan[MARKET_WIDE].times, 0);
	assert_int_equal(lan_alive_on(&lan, 1, 1), 1);
	end();
}

static void test_when_everyone_was_asked_nobody_else_is(void **state)
{
	(void)state;
	begin(2);
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 1;
	plan[MARKET_SAMPLE].reach.everyone = true;
	open_tender(20); /* ten fit */
	lan_run(&lan, 1000);
	assert_int_equal(plan[MARKET_WIDE].times, 0);
	assert_int_equal(lan.placed, 10);
	assert_int_equal(lan.unplaced, 10);
	end();
}

static void test_a_stage_that_nobody_begins_is_passed_over(void **state)
{
	(void)state;
	begin(2);
	plan[MARKET_PROVIDERS].forgets = true;
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 1;
	open_tender(1);
	lan_run(&lan, 2 * MARKET_LOOKUP_MS);
	assert_int_equal(ms_of(MARKET_SAMPLE), MARKET_LOOKUP_MS);
	assert_int_equal(lan_alive_on(&lan, 1, 1), 1);
	end();
}

/* Bids for every slot twice: what is still on its way is waited for half as long again. */
static void test_two_bids_per_slot_end_a_stage_early(void **state)
{
	(void)state;
	begin(6);
	lan.delay_us_min = lan.delay_us_max = 20 * US_PER_MS;
	lan.cut[0][5] = true;
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 5;
	open_tender(2);
	/* Bids after 40 ms, decision at 60 at the latest, the award arrives 20 ms later. */
	lan_run(&lan, 80);
	assert_int_equal(lan_alive(&lan, 1), 2);
	end();
}

static void test_who_does_not_fit_is_silent_to_a_referral_only(void **state)
{
	struct market_machine machine = lan_machine(1000, 1LL << 30);

	(void)state;
	begin(2);
	machine.schedulable = false;
	market_set_machine(lan.markets[1], lan.now, &machine);
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 1;
	open_tender(1);
	lan_run(&lan, 1000);
	assert_int_equal(ms_of(MARKET_WIDE), MARKET_WINDOW_MS);
	end();
	begin(2);
	machine.schedulable = false;
	market_set_machine(lan.markets[1], lan.now, &machine);
	lan.referred = false;
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 1;
	open_tender(1);
	lan_run(&lan, 1000);
	assert_int_equal(ms_of(MARKET_WIDE), 2);
	end();
}

static void test_an_event_is_repeated_until_its_owner_has_it(void **state)
{
	(void)state;
	begin(2);
	lan.tell = true;
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 1;
	plan[MARKET_SAMPLE].reach.everyone = true;
	lan.drop[1] = MESSAGE_EVENT;
	open_tender(1);
	lan_run(&lan, 500);
	assert_null(strstr(buf_cstr(&lan.story), "event"));
	lan.drop[1] = 0;
	lan_run(&lan, 2 * MARKET_EVENT_RESEND_MS);
	assert_non_null(strstr(buf_cstr(&lan.story), "n1 -> n0 event"));
	assert_non_null(strstr(buf_cstr(&lan.story), "n0 -> n1 event"));
	buf_clear(&lan.story);
	lan_run(&lan, 60 * 1000);
	assert_null(strstr(buf_cstr(&lan.story), "event"));
	end();
}

static void test_an_event_is_not_repeated_for_ever(void **state)
{
	(void)state;
	begin(2);
	plan[MARKET_SAMPLE].first = 1;
	plan[MARKET_SAMPLE].count = 1;
	plan[MARKET_SAMPLE].reach.everyone = true;
	lan.drop[1] = MESSAGE_EVENT;
	open_tender(1);
	lan_run(&lan, 200 * 1000);
	lan.drop[1] = 0;
	lan.tell = true;
	lan_run(&lan, 60 * 1000);
	assert_string_equal(buf_cstr(&lan.story), "");
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stages_come_in_order_until_nobody_is_left),
		cmocka_unit_test(test_the_window_of_a_silent_stage_is_a_quarter_of_a_second),
		cmocka_unit_test(test_among_near_machines_silence_is_believed_sooner),
		cmocka_unit_test(test_far_machines_get_their_round_trips),
		cmocka_unit_test(test_what_has_a_bid_is_awarded_and_the_rest_is_asked_for),
		cmocka_unit_test(test_the_only_providers_get_copies),
		cmocka_unit_test(test_what_nobody_provides_is_asked_of_all_or_nobody),
		cmocka_unit_test(test_when_everyone_was_asked_nobody_else_is),
		cmocka_unit_test(test_a_stage_that_nobody_begins_is_passed_over),
		cmocka_unit_test(test_two_bids_per_slot_end_a_stage_early),
		cmocka_unit_test(test_who_does_not_fit_is_silent_to_a_referral_only),
		cmocka_unit_test(test_an_event_is_repeated_until_its_owner_has_it),
		cmocka_unit_test(test_an_event_is_not_repeated_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
