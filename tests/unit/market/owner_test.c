/* SPDX-License-Identifier: Apache-2.0 */
/* The owner's side, as stories on virtual time. Node 0 owns every tender. */
#include "lan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lan lan; /* too big for a stack frame */

static const struct lan_tender one = {.object = 1, .count = 1};
static const struct lan_tender three = {.object = 1, .count = 3};

static void begin(size_t nodes)
{
	lan_init(&lan, nodes, 1);
	lan_machines(&lan, 1000, 1LL << 30);
}

/* Node 0 owns, but does not run anything itself. */
static void begin_with_idle_owner(size_t nodes)
{
	struct market_machine machine = lan_machine(1000, 1LL << 30);

	begin(nodes);
	machine.schedulable = false;
	market_set_machine(lan.markets[0], lan.now, &machine);
	lan.tell = true;
}

static void end(void)
{
	lan_deinit(&lan);
}

static void expect_story(const char *expected)
{
	assert_string_equal(buf_cstr(&lan.story), expected);
}

static void test_a_placement_reads_like_this(void **state)
{
	(void)state;
	begin_with_idle_owner(3);
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 1000);
	expect_story("[   0] n0 -> n0 tender\n"
		     "[   0] n0 -> n0 bid\n"
		     "[   1] n0 -> n1 tender\n"
		     "[   1] n0 -> n2 tender\n"
		     "[   2] n1 -> n0 bid\n"
		     "[   2] n2 -> n0 bid\n"
		     "[   3] n0 -> n1 award\n"
		     "[   3] n1 starts 1\n"
		     "[   4] n1 -> n0 award_reply\n"
		     "[   4] n0 placed slot 0 on n1\n"
		     "[   4] n0 closed, 0 unplaced\n"
		     "[   5] n0 -> n1 award_confirm\n"
		     "[   5] n0 -> n2 release\n"
		     "[  24] n1 -> n0 event\n"
		     "[  25] n0 -> n1 event\n");
	end();
}

static void test_the_window_ends_when_somebody_never_answers(void **state)
{
	(void)state;
	begin_with_idle_owner(3);
	lan.cut[0][2] = true;
	assert_int_equal(lan_open(&lan, 0, &three), 0);
	lan_run(&lan, MARKET_WINDOW_MS - 1);
	assert_int_equal(lan_alive(&lan, 1), 0);
	lan_run(&lan, 5);
	assert_int_equal(lan_alive_on(&lan, 1, 1), 3);
	end();
}

static void test_two_distinct_bids_per_slot_end_the_window_early(void **state)
{
	(void)state;
	begin_with_idle_owner(4);
	lan.cut[0][3] = true;
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 20);
	assert_int_equal(lan_alive(&lan, 1), 1);
	end();
}

static void test_nobody_can_run_it(void **state)
{
	static const struct lan_tender huge = {.object = 1, .count = 2, .cpu_milli = 5000};

	(void)state;
	begin(3);
	assert_int_equal(lan_open(&lan, 0, &huge), 0);
	lan_run(&lan, 10);
	assert_int_equal(lan.closed, 1);
	assert_int_equal(lan.unplaced, 2);
	assert_int_equal(market_usage(lan.markets[0]).tenders, 0);
	end();
}

static void test_an_open_tender_is_not_opened_twice(void **state)
{
	(void)state;
	begin(2);
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	assert_int_equal(lan_open(&lan, 0, &one), MARKET_E_DUPLICATE);
	lan_run(&lan, 1000);
	assert_int_equal(lan_alive(&lan, 1), 1);
	end();
}

/* Two owners tender for one machine's last room: both get a bid (it is overbooked), one is refused
 * and its next best bid takes over. */
static void test_a_full_winner_is_replaced_by_the_next_best_bid(void **state)
{
	static const struct lan_tender a = {.object = 1, .count = 1, .cpu_milli = 900};
	static const struct lan_tender b = {.object = 2, .count = 1, .cpu_milli = 900};

	(void)state;
	begin_with_idle_owner(3);
	assert_int_equal(lan_open(&lan, 0, &a), 0);
	assert_int_equal(lan_open(&lan, 0, &b), 0);
	lan_run(&lan, 50);
	assert_int_equal(lan_alive(&lan, 1), 1);
	assert_int_equal(lan_alive(&lan, 2), 1);
	assert_int_equal(lan_alive_on(&lan, 1, 1), 1);
	assert_int_equal(lan_alive_on(&lan, 2, 2), 1);
	end();
}

static void test_a_lost_reply_never_gives_two(void **state)
{
	(void)state;
	begin_with_idle_owner(3);
	lan.drop[1] = MESSAGE_AWARD_REPLY;
	lan.start_us = 60 * 1000LL * US_PER_MS; /* no event helps out */
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, MARKET_HOLD_MS + MARKET_CONFIRM_MS);
	assert_int_equal(lan_alive(&lan, 1), 1);
	lan_run(&lan, 10);
	/* It stopped by its own clock, before the owner gives up at H + 2 s. */
	assert_int_equal(lan_alive(&lan, 1), 0);
	assert_int_equal(lan.closed, 0);
	lan_run(&lan, 2000);
	assert_int_equal(lan.closed, 1);
	assert_int_equal(lan.failed, 1);
	assert_int_equal(lan.unplaced, 1);
	end();
}

static void test_a_lost_confirmation_is_sent_again(void **state)
{
	(void)state;
	begin_with_idle_owner(2);
	lan.drop[0] = MESSAGE_AWARD_CONFIRM;
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 1000);
	lan.drop[0] = MESSAGE_NONE;
	lan_run(&lan, 10000);
	assert_int_equal(lan_alive(&lan, 1), 1);
	end();
}

static void test_confirmations_that_never_arrive_stop_the_pod_and_free_the_slot(void **state)
{
	(void)state;
	begin_with_idle_owner(2);
	lan.drop[0] = MESSAGE_AWARD_CONFIRM;
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 5000);
	assert_int_equal(lan_alive(&lan, 1), 0);
	assert_int_equal(lan.failed, 1);
	assert_int_equal(market_usage(lan.markets[0]).tenders, 0);
	end();
}

static void test_lost_awards_are_sent_again(void **state)
{
	(void)state;
	begin_with_idle_owner(2);
	lan.drop[0] = MESSAGE_AWARD;
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 1500);
	assert_int_equal(lan_alive(&lan, 1), 0);
	lan.drop[0] = MESSAGE_NONE;
	lan_run(&lan, 500);
	assert_int_equal(lan_alive(&lan, 1), 1);
	end();
}

static void test_a_failed_start_is_told_to_the_controller(void **state)
{
	(void)state;
	begin_with_idle_owner(2);
	lan.start_failures = 1000;
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 1000);
	assert_int_equal(lan.failed, 1);
	assert_int_equal(market_usage(lan.markets[1]).pods, 0);
	assert_int_equal(market_usage(lan.markets[0]).tenders, 0);
	end();
}

static void test_a_late_bid_is_released_at_once(void **state)
{
	struct message bid = {.type = MESSAGE_BID};

	(void)state;
	begin_with_idle_owner(3);
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan.cut[2][0] = true; /* its own bid is lost */
	lan_run(&lan, MARKET_WINDOW_MS + 10);
	assert_int_equal(market_usage(lan.markets[2]).holds, 1);
	bid.bid = (struct bid){.tender_id = lan_tender_id(&one), .copies = 1};
	assert_int_equal(lan_deliver(&lan, 2, 0, &bid), MARKET_E_LATE);
	lan_run(&lan, 10);
	assert_int_equal(market_usage(lan.markets[2]).holds, 0);
	bid.bid.tender_id.byte[0] ^= 1;
	assert_int_equal(lan_deliver(&lan, 2, 0, &bid), MARKET_E_UNKNOWN);
	end();
}

static void test_replies_and_events_of_strangers_are_refused(void **state)
{
	struct message reply = {.type = MESSAGE_AWARD_REPLY};
	struct message event = {.type = MESSAGE_EVENT};

	(void)state;
	begin_with_idle_owner(3);
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 5);
	reply.award_reply.tender_id = lan_tender_id(&one);
	reply.award_reply.text = (char[]){""};
	assert_int_equal(lan_deliver(&lan, 2, 0, &reply), MARKET_E_NOT_OWNER);
	event.event = (struct event){
		.tender_id = lan_tender_id(&one),
		.pod_uid = lan.pods[0].uid,
		.kind = EVENT_FAILED,
		.text = (char[]){""},
	};
	assert_int_equal(lan_deliver(&lan, 2, 0, &event), MARKET_E_NOT_OWNER);
	lan_run(&lan, 1000);
	assert_int_equal(lan.failed, 0);
	assert_int_equal(lan_alive(&lan, 1), 1);
	end();
}

static void test_a_lost_machine_is_not_waited_for(void **state)
{
	(void)state;
	begin_with_idle_owner(3);
	lan.cut[2][0] = true;
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 4);
	lan_crash(&lan, 2);
	lan_run(&lan, 5);
	assert_int_equal(lan_alive(&lan, 1), 1);
	end();
}

static void test_a_deployed_pod_survives_the_loss_of_its_owner(void **state)
{
	(void)state;
	begin_with_idle_owner(3);
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 100);
	lan_crash(&lan, 0);
	lan_run(&lan, 600000);
	assert_int_equal(lan_alive(&lan, 1), 1);
	end();
}

/* Two controllers of one object see the same gap. */
static void test_two_owners_of_one_gap_place_it_once(void **state)
{
	(void)state;
	for (uint64_t turn = 0; turn < 20; turn++) {
		size_t first = turn % 2;
		size_t placed;

		begin(6);
		lan.delay_us_max = turn < 10 ? 1000 : 3000;
		assert_int_equal(lan_open(&lan, first, &three), 0);
		lan_run(&lan, (int64_t)turn / 2 % 5);
		assert_int_equal(lan_open(&lan, 1 - first, &three), 0);
		lan_run(&lan, 10000);
		assert_int_equal(lan.closed, 2);
		/* A slot that neither got is tendered again by its controller. */
		placed = lan_alive(&lan, 1);
		assert_true(placed <= 3);
		for (uint32_t slot = 0; slot < 3; slot++)
			assert_true(lan_alive_in_slot(&lan, 1, slot) <= 1);
		if (turn < 10 && first == 0)
			assert_int_equal(placed, 3);
		end();
	}
}

static void test_an_abandoned_tender_awards_nothing_more(void **state)
{
	struct uid object = lan_object(1);

	(void)state;
	begin_with_idle_owner(3);
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	market_abandon(lan.markets[0], lan.now, &object);
	lan_settle(&lan);
	lan_run(&lan, 10000);
	assert_int_equal(lan.pod_count, 0);
	assert_int_equal(lan.closed, 1);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(market_usage(lan.markets[i]).holds, 0);
	end();

	/* An award that is on its way is cancelled. */
	begin_with_idle_owner(3);
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 2);
	market_abandon(lan.markets[0], lan.now, &object);
	lan_settle(&lan);
	lan_run(&lan, 10000);
	assert_int_equal(lan_alive(&lan, 1), 0);
	assert_int_equal(lan.closed, 1);
	end();
}

static void test_the_trace_tells_the_story_of_a_tender(void **state)
{
	static const enum trace_stage stages[] = {TRACE_OPENED,   TRACE_BID,      TRACE_BID,
						  TRACE_BID,      TRACE_DECIDED,  TRACE_AWARDED,
						  TRACE_ACCEPTED, TRACE_DEPLOYED, TRACE_CLOSED};
	const struct trace *trace;
	size_t position = 0;

	(void)state;
	begin_with_idle_owner(3);
	assert_int_equal(lan_open(&lan, 0, &one), 0);
	lan_run(&lan, 100);
	trace = market_next_trace(lan.markets[0], &position);
	assert_non_null(trace);
	assert_false(trace->open);
	assert_string_equal(trace->object.name, "web");
	assert_int_equal(trace->step_count, sizeof(stages) / sizeof(stages[0]));
	for (size_t i = 0; i < trace->step_count; i++)
		assert_int_equal(trace->steps[i].stage, stages[i]);
	assert_int_equal(trace->steps[0].count, 3);
	assert_int_equal(trace->steps[7].at.us, 24 * US_PER_MS);
	assert_null(market_next_trace(lan.markets[0], &position));
	end();
}

static void test_finished_traces_are_bounded_and_newest_first(void **state)
{
	struct lan_tender tender = one;
	const struct trace *trace;
	size_t position = 0, count = 0;

	(void)state;
	begin(1);
	tender.cpu_milli = 5000;
	for (tender.attempt = 0; tender.attempt < MARKET_TRACES_MAX + 10U; tender.attempt++)
		assert_int_equal(lan_open(&lan, 0, &tender), 0);
	lan_run(&lan, 1000);
	while ((trace = market_next_trace(lan.markets[0], &position)) != NULL) {
		assert_int_equal(trace->attempt, MARKET_TRACES_MAX + 9U - count);
		count++;
	}
	assert_int_equal(count, MARKET_TRACES_MAX);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_placement_reads_like_this),
		cmocka_unit_test(test_the_window_ends_when_somebody_never_answers),
		cmocka_unit_test(test_two_distinct_bids_per_slot_end_the_window_early),
		cmocka_unit_test(test_nobody_can_run_it),
		cmocka_unit_test(test_an_open_tender_is_not_opened_twice),
		cmocka_unit_test(test_a_full_winner_is_replaced_by_the_next_best_bid),
		cmocka_unit_test(test_a_lost_reply_never_gives_two),
		cmocka_unit_test(test_a_lost_confirmation_is_sent_again),
		cmocka_unit_test(
			test_confirmations_that_never_arrive_stop_the_pod_and_free_the_slot),
		cmocka_unit_test(test_lost_awards_are_sent_again),
		cmocka_unit_test(test_a_failed_start_is_told_to_the_controller),
		cmocka_unit_test(test_a_late_bid_is_released_at_once),
		cmocka_unit_test(test_replies_and_events_of_strangers_are_refused),
		cmocka_unit_test(test_a_lost_machine_is_not_waited_for),
		cmocka_unit_test(test_a_deployed_pod_survives_the_loss_of_its_owner),
		cmocka_unit_test(test_two_owners_of_one_gap_place_it_once),
		cmocka_unit_test(test_an_abandoned_tender_awards_nothing_more),
		cmocka_unit_test(test_the_trace_tells_the_story_of_a_tender),
		cmocka_unit_test(test_finished_traces_are_bounded_and_newest_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
