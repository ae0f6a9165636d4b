/* SPDX-License-Identifier: Apache-2.0 */
#include "market/decide.h"
#include "market/score.h"
#include "market/tender.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct decide_candidate candidate(uint8_t id, int32_t score, uint32_t copies,
					 uint32_t resident)
{
	struct decide_candidate candidate = {
		.score = score, .copies = copies, .resident = resident};

	memset(candidate.node.byte, id, sizeof(candidate.node.byte));
	return candidate;
}

static void test_the_higher_score_wins_and_ties_go_to_the_smaller_id(void **state)
{
	struct decide_candidate candidates[] = {
		candidate(3, 500, 1, 0),
		candidate(2, 700, 1, 0),
		candidate(1, 500, 1, 0),
	};
	size_t winners[3];

	(void)state;
	assert_int_equal(decide_winners(candidates, 3, NULL, 3, winners), 3);
	assert_int_equal(winners[0], 1);
	assert_int_equal(winners[1], 2);
	assert_int_equal(winners[2], 0);
}

static void test_distinct_machines_come_before_copies(void **state)
{
	struct decide_candidate candidates[] = {
		candidate(1, 10000, 8, 0),
		candidate(2, 1, 8, 0),
	};
	size_t winners[5];

	(void)state;
	assert_int_equal(decide_winners(candidates, 2, NULL, 5, winners), 5);
	assert_int_equal(winners[0], 0);
	assert_int_equal(winners[1], 1);
	assert_int_equal(winners[2], 0);
	assert_int_equal(winners[3], 1);
	assert_int_equal(winners[4], 0);
}

static void test_replicas_that_run_already_count(void **state)
{
	struct decide_candidate candidates[] = {
		candidate(1, 10000, 8, 2),
		candidate(2, 1, 8, 0),
	};
	size_t winners[3];

	(void)state;
	assert_int_equal(decide_winners(candidates, 2, NULL, 3, winners), 3);
	assert_int_equal(winners[0], 1);
	assert_int_equal(winners[1], 1);
	assert_int_equal(winners[2], 0);
}

static void test_slots_without_room_have_no_winner(void **state)
{
	struct decide_candidate candidates[] = {candidate(1, 1, 1, 0), candidate(2, 1, 0, 0)};
	size_t winners[2];

	(void)state;
	assert_int_equal(decide_winners(candidates, 2, NULL, 2, winners), 1);
	assert_int_equal(winners[0], 0);
	assert_true(winners[1] == DECIDE_NONE);
	assert_int_equal(decide_winners(NULL, 0, NULL, 1, winners), 0);
	assert_true(winners[0] == DECIDE_NONE);
}

static void test_the_order_of_bids_does_not_matter(void **state)
{
	enum { COUNT = 7, SLOTS = 12 };
	struct decide_candidate candidates[COUNT];
	struct node_id first[SLOTS];
	size_t winners[SLOTS];

	(void)state;
	for (size_t turn = 0; turn < COUNT; turn++) {
		for (size_t i = 0; i < COUNT; i++) {
			uint8_t id = (uint8_t)((i + turn) % COUNT);

			candidates[i] = candidate(id, id % 3 * 100, 3, id % 2);
		}
		assert_int_equal(decide_winners(candidates, COUNT, NULL, SLOTS, winners), SLOTS);
		for (size_t i = 0; i < SLOTS; i++) {
			const struct node_id *winner = &candidates[winners[i]].node;

			if (turn == 0)
				first[i] = *winner;
			assert_true(node_id_equal(&first[i], winner));
		}
	}
}

static void test_what_is_preferred_outweighs_everything_else(void **state)
{
	struct bid wished = {.penalty = 0},
		   perfect = {.fit = 1000, .images = 1, .reliability = 1000};
	struct bid half = perfect;

	(void)state;
	perfect.penalty = 1000;
	half.penalty = 500;
	assert_true(score_bid(&wished, 1, 5000000) >= score_bid(&perfect, 1, 1));
	assert_true(score_bid(&half, 1, 1) > score_bid(&perfect, 1, 1));
	perfect.penalty = UINT32_MAX;
	assert_true(score_bid(&perfect, 1, 1) >= -SCORE_MAX);
}

enum {
	ZONE_A = 1,
	ZONE_B,
	ZONE_C,
};

/* Decide among @candidates, each in its zone of one spread; @counts run in ZONE_A, B and C. */
static size_t decide_in_zones(const struct decide_candidate *candidates, size_t count,
			      struct spread spread, const uint32_t counts[3], size_t slots,
			      size_t *ret_winners)
{
	struct requirements needs = {.spreads = &spread, .spread_count = 1};
	struct market_domain domains[16];
	size_t domain_count = 0, placed;
	struct zones zones;

	for (size_t i = 0; i < 3; i++)
		if (counts[i] > 0)
			domains[domain_count++] = (struct market_domain){0, ZONE_A + i, counts[i]};
	for (size_t i = 0; i < count; i++)
		domains[domain_count++] = (struct market_domain){0, candidates[i].zones[0], 0};
	zones_init(&zones, &needs, domains, domain_count);
	placed = decide_winners(candidates, count, &zones, slots, ret_winners);
	zones_deinit(&zones);
	return placed;
}

static struct decide_candidate in_zone(uint8_t id, int32_t score, uint32_t copies, uint64_t zone)
{
	struct decide_candidate made = candidate(id, score, copies, 0);

	made.zones[0] = zone;
	return made;
}

static const struct spread required = {"zone", 1, 1, true}, preferred = {"zone", 1, 1, false};
static const uint32_t nothing_runs[3];

static void test_replicas_are_spread_over_zones(void **state)
{
	const struct decide_candidate candidates[] = {
		in_zone(1, 900, 1, ZONE_A), in_zone(2, 800, 1, ZONE_A), in_zone(3, 700, 1, ZONE_A),
		in_zone(4, 100, 1, ZONE_B), in_zone(5, 50, 1, ZONE_B)};
	size_t winners[5];

	(void)state;
	assert_int_equal(decide_in_zones(candidates, 5, required, nothing_runs, 5, winners), 5);
	assert_int_equal(winners[0], 0);
	assert_int_equal(winners[1], 3);
	assert_int_equal(winners[2], 1);
	assert_int_equal(winners[3], 4);
	assert_int_equal(winners[4], 2); /* 3 to 2 is within the skew */
}

static void test_a_required_spread_leaves_slots_open(void **state)
{
	const struct decide_candidate candidates[] = {in_zone(1, 9, 9, ZONE_A),
						      in_zone(2, 1, 1, ZONE_B)};
	size_t winners[4];

	(void)state;
	assert_int_equal(decide_in_zones(candidates, 2, required, nothing_runs, 4, winners), 3);
	assert_true(winners[3] == DECIDE_NONE);
	assert_int_equal(decide_in_zones(candidates, 2, preferred, nothing_runs, 4, winners), 4);
	assert_int_equal(winners[3], 0);
}

static void test_what_runs_in_a_zone_counts(void **state)
{
	const struct decide_candidate candidates[] = {in_zone(1, 9, 9, ZONE_A),
						      in_zone(2, 1, 9, ZONE_B)};
	size_t winners[2];

	(void)state;
	assert_int_equal(
		decide_in_zones(candidates, 2, required, (uint32_t[]){2, 0, 0}, 2, winners), 2);
	assert_int_equal(winners[0], 1);
	assert_int_equal(winners[1], 1);
	/* A zone where nobody bids is a zone all the same. */
	assert_int_equal(
		decide_in_zones(candidates, 2, required, (uint32_t[]){2, 2, 1}, 2, winners), 0);
}

static void test_a_wider_skew_lets_scores_decide(void **state)
{
	const struct decide_candidate candidates[] = {
		in_zone(1, 9, 1, ZONE_A), in_zone(2, 8, 1, ZONE_A), in_zone(3, 1, 1, ZONE_B)};
	struct spread wide = {"zone", 2, 1, true};
	size_t winners[2];

	(void)state;
	assert_int_equal(decide_in_zones(candidates, 3, wide, nothing_runs, 2, winners), 2);
	assert_int_equal(winners[0], 0);
	assert_int_equal(winners[1], 2); /* allowed in A too, but B is emptier */
}

static void test_missing_zones_count_as_empty(void **state)
{
	const struct decide_candidate candidates[] = {in_zone(1, 9, 9, ZONE_A),
						      in_zone(2, 1, 9, ZONE_B)};
	struct spread three = {"zone", 1, 3, true};
	size_t winners[4];

	(void)state;
	assert_int_equal(decide_in_zones(candidates, 2, three, nothing_runs, 4, winners), 2);
}

static void test_a_machine_outside_of_all_zones_comes_last(void **state)
{
	const struct decide_candidate candidates[] = {in_zone(1, 9, 1, 0),
						      in_zone(2, 1, 1, ZONE_A)};
	size_t winners[2];

	(void)state;
	assert_int_equal(decide_in_zones(candidates, 2, preferred, nothing_runs, 2, winners), 2);
	assert_int_equal(winners[0], 1);
	assert_int_equal(winners[1], 0);
	assert_int_equal(decide_in_zones(candidates, 2, required, nothing_runs, 2, winners), 1);
}

static void test_an_absurd_claim_of_replicas_is_clamped(void **state)
{
	struct decide_candidate candidates[] = {
		candidate(1, 5, 1, UINT32_MAX),
		candidate(2, 9, 1, DECIDE_RESIDENT_MAX),
	};
	size_t winners[1];

	(void)state;
	assert_int_equal(decide_winners(candidates, 2, NULL, 1, winners), 1);
	assert_int_equal(winners[0], 1);
}

static void test_what_a_machine_says_about_itself_is_clamped(void **state)
{
	struct bid honest = {.fit = 1000, .images = 1, .reliability = 1000};
	struct bid boasting = {.fit = UINT32_MAX, .images = 9, .reliability = UINT32_MAX};

	(void)state;
	assert_int_equal(score_bid(&honest, 1, 1000), SCORE_MAX);
	assert_int_equal(score_bid(&boasting, 1, 1000), SCORE_MAX);
}

static void test_a_near_machine_with_the_image_scores_higher(void **state)
{
	struct bid with = {.fit = 500, .images = 2};
	struct bid without = {.fit = 500, .images = 1};

	(void)state;
	assert_true(score_bid(&with, 2, 500) > score_bid(&without, 2, 500));
	assert_true(score_bid(&with, 2, 500) > score_bid(&with, 2, 50000));
	assert_true(score_bid(&with, 2, 50000) > score_bid(&with, 2, 5000000));
	/* The noise of one network does not reorder its machines. */
	assert_int_equal(score_bid(&with, 2, 300), score_bid(&with, 2, 900));
}

/* SHA-256 of 16 bytes 0x11 and the integers 7, 2, 0, 5 as 64 bits, computed with sha256sum. */
static void test_a_tender_id_is_the_digest_of_the_gap(void **state)
{
	static const uint32_t slots[] = {0, 5};
	struct uid uid;
	struct digest id, expected;

	(void)state;
	memset(uid.byte, 0x11, sizeof(uid.byte));
	id = tender_id(&uid, 7, 2, slots, 2);
	assert_true(digest_parse("aaedea46c98826b27a282a4d69886d466563065ccb16ccd8baf564c014e1d431",
				 &expected));
	assert_true(digest_equal(&id, &expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_higher_score_wins_and_ties_go_to_the_smaller_id),
		cmocka_unit_test(test_distinct_machines_come_before_copies),
		cmocka_unit_test(test_replicas_that_run_already_count),
		cmocka_unit_test(test_slots_without_room_have_no_winner),
		cmocka_unit_test(test_the_order_of_bids_does_not_matter),
		cmocka_unit_test(test_what_is_preferred_outweighs_everything_else),
		cmocka_unit_test(test_replicas_are_spread_over_zones),
		cmocka_unit_test(test_a_required_spread_leaves_slots_open),
		cmocka_unit_test(test_what_runs_in_a_zone_counts),
		cmocka_unit_test(test_a_wider_skew_lets_scores_decide),
		cmocka_unit_test(test_missing_zones_count_as_empty),
		cmocka_unit_test(test_a_machine_outside_of_all_zones_comes_last),
		cmocka_unit_test(test_an_absurd_claim_of_replicas_is_clamped),
		cmocka_unit_test(test_what_a_machine_says_about_itself_is_clamped),
		cmocka_unit_test(test_a_near_machine_with_the_image_scores_higher),
		cmocka_unit_test(test_a_tender_id_is_the_digest_of_the_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
