/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "identity/fabric_time.h"

#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)

static const struct fabric_time_kept nothing = {0, 0};

static struct node_id peer(uint8_t number)
{
	return (struct node_id){.byte = {number}};
}

static struct mono at(int64_t ms)
{
	return (struct mono){.us = ms * US_PER_MS};
}

static int64_t hear(struct fabric_time *time, uint8_t number, int64_t now_ms, int64_t said_ms,
		    bool settled)
{
	struct node_id id = peer(number);

	return fabric_time_hear(time, at(now_ms), &id, (struct wall){said_ms}, settled);
}

static int64_t now_of(const struct fabric_time *time, int64_t mono_ms)
{
	return fabric_time_now(time, at(mono_ms)).ms;
}

static void test_it_runs_with_the_monotonic_clock(void **state)
{
	struct fabric_time time;

	fabric_time_init(&time, at(5000), NOW, &nothing);
	assert_int_equal(now_of(&time, 5000), NOW.ms);
	assert_int_equal(now_of(&time, 6500), NOW.ms + 1500);
	assert_false(fabric_time_is_settled(&time));
}

static void test_a_board_that_boots_in_1970_takes_the_fabrics_time(void **state)
{
	struct fabric_time time;

	fabric_time_init(&time, at(0), (struct wall){12000}, &nothing);
	assert_int_equal(hear(&time, 1, 100, NOW.ms, true), NOW.ms - 12100);
	assert_int_equal(now_of(&time, 200), NOW.ms + 100);
	assert_true(fabric_time_is_settled(&time));
}

static void test_a_clock_a_year_ahead_takes_the_fabrics_time_too(void **state)
{
	struct fabric_time time;

	fabric_time_init(&time, at(0), (struct wall){NOW.ms + YEAR_MS}, &nothing);
	assert_int_equal(hear(&time, 1, 0, NOW.ms, true), -YEAR_MS);
	assert_int_equal(now_of(&time, 0), NOW.ms);
}

static void test_the_offset_to_a_wrong_system_clock_is_kept_over_a_restart(void **state)
{
	struct fabric_time time;
	struct fabric_time_kept kept;

	fabric_time_init(&time, at(0), (struct wall){NOW.ms + YEAR_MS}, &nothing);
	fabric_time_set(&time, at(0), NOW);
	kept = fabric_time_keep(&time, at(1000), (struct wall){NOW.ms + YEAR_MS + 1000});
	fabric_time_init(&time, at(10), (struct wall){NOW.ms + YEAR_MS + 60000}, &kept);
	assert_int_equal(now_of(&time, 10), NOW.ms + 60000);
	assert_false(fabric_time_is_settled(&time));
}

static void test_it_never_starts_below_the_last_value_kept(void **state)
{
	struct fabric_time_kept kept = {.last_ms = NOW.ms};
	struct fabric_time time;

	fabric_time_init(&time, at(0), (struct wall){12000}, &kept);
	assert_int_equal(now_of(&time, 0), NOW.ms);
	(void)hear(&time, 1, 0, NOW.ms - YEAR_MS, true);
	assert_int_equal(now_of(&time, 0), NOW.ms);
}

static void test_a_machine_that_just_started_does_not_move_those_that_run(void **state)
{
	struct fabric_time time;

	fabric_time_init(&time, at(0), NOW, &nothing);
	fabric_time_set(&time, at(0), NOW);
	assert_int_equal(hear(&time, 1, 0, NOW.ms + YEAR_MS, false), 0);
	assert_int_equal(now_of(&time, 0), NOW.ms);
}

static void test_after_a_power_cut_of_everything_the_later_clock_counts(void **state)
{
	struct fabric_time a, b;

	fabric_time_init(&a, at(0), NOW, &nothing);
	fabric_time_init(&b, at(0), (struct wall){NOW.ms + 9000}, &nothing);
	assert_int_equal(hear(&a, 2, 0, now_of(&b, 0), false), 9000);
	assert_int_equal(hear(&b, 1, 0, NOW.ms, false), 0);
	assert_true(fabric_time_is_settled(&a));
	assert_int_equal(now_of(&a, 0), now_of(&b, 0));
}

static void test_two_settled_machines_meet_at_the_later(void **state)
{
	struct fabric_time a, b;

	fabric_time_init(&a, at(0), NOW, &nothing);
	fabric_time_init(&b, at(0), NOW, &nothing);
	fabric_time_set(&a, at(0), NOW);
	fabric_time_set(&b, at(0), (struct wall){NOW.ms + 3000});
	assert_int_equal(hear(&a, 2, 0, NOW.ms + 3000, true), 3000);
	assert_int_equal(hear(&b, 1, 0, NOW.ms, true), 0);
}

static void test_with_three_peers_one_that_lies_does_not_count(void **state)
{
	struct fabric_time time;

	fabric_time_init(&time, at(0), NOW, &nothing);
	fabric_time_set(&time, at(0), NOW);
	(void)hear(&time, 1, 0, NOW.ms + 10, true);
	(void)hear(&time, 2, 0, NOW.ms - 10, true);
	assert_int_equal(hear(&time, 3, 0, NOW.ms + YEAR_MS, true), 0);
	assert_int_equal(now_of(&time, 0), NOW.ms);
}

static void test_a_machine_alone_in_being_wrong_joins_the_majority(void **state)
{
	struct fabric_time time;

	fabric_time_init(&time, at(0), NOW, &nothing);
	fabric_time_set(&time, at(0), (struct wall){NOW.ms + 60000});
	(void)hear(&time, 1, 0, NOW.ms, true);
	(void)hear(&time, 2, 0, NOW.ms, true);
	assert_int_equal(now_of(&time, 0), NOW.ms + 60000);
	assert_int_equal(hear(&time, 3, 0, NOW.ms, true), -60000);
	assert_int_equal(now_of(&time, 0), NOW.ms);
}

static void test_jitter_makes_no_steps(void **state)
{
	struct fabric_time time;

	fabric_time_init(&time, at(0), NOW, &nothing);
	fabric_time_set(&time, at(0), NOW);
	assert_int_equal(hear(&time, 1, 0, NOW.ms + 249, true), 0);
	assert_int_equal(now_of(&time, 0), NOW.ms);
	assert_int_equal(hear(&time, 1, 0, NOW.ms + 250, true), 250);
}

static void test_a_peer_that_left_does_not_count(void **state)
{
	struct fabric_time time;
	struct node_id gone = peer(1);

	fabric_time_init(&time, at(0), NOW, &nothing);
	fabric_time_set(&time, at(0), NOW);
	(void)hear(&time, 1, 0, NOW.ms - 60000, true);
	(void)hear(&time, 2, 0, NOW.ms - 60000, true);
	fabric_time_forget(&time, &gone);
	assert_int_equal(hear(&time, 3, 0, NOW.ms - 60000, true), 0);
	assert_int_equal(time.peer_count, 2);
}

static void test_peers_beyond_the_table_are_ignored(void **state)
{
	struct fabric_time time;

	fabric_time_init(&time, at(0), NOW, &nothing);
	fabric_time_set(&time, at(0), NOW);
	for (unsigned i = 0; i < 2 * FABRIC_TIME_PEERS_MAX; i++)
		(void)hear(&time, (uint8_t)(i + 1), 0, NOW.ms, true);
	assert_int_equal(time.peer_count, FABRIC_TIME_PEERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_runs_with_the_monotonic_clock),
		cmocka_unit_test(test_a_board_that_boots_in_1970_takes_the_fabrics_time),
		cmocka_unit_test(test_a_clock_a_year_ahead_takes_the_fabrics_time_too),
		cmocka_unit_test(test_the_offset_to_a_wrong_system_clock_is_kept_over_a_restart),
		cmocka_unit_test(test_it_never_starts_below_the_last_value_kept),
		cmocka_unit_test(test_a_machine_that_just_started_does_not_move_those_that_run),
		cmocka_unit_test(test_after_a_power_cut_of_everything_the_later_clock_counts),
		cmocka_unit_test(test_two_settled_machines_meet_at_the_later),
		cmocka_unit_test(test_with_three_peers_one_that_lies_does_not_count),
		cmocka_unit_test(test_a_machine_alone_in_being_wrong_joins_the_majority),
		cmocka_unit_test(test_jitter_makes_no_steps),
		cmocka_unit_test(test_a_peer_that_left_does_not_count),
		cmocka_unit_test(test_peers_beyond_the_table_are_ignored),
	};

	return cmocka_run_group_tests_name("fabric time", tests, NULL, NULL);
}
