/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "make.h"

#include "service/pick.h"

enum {
	REPLICAS = 6,
	ROUNDS = 600,
};

struct replicas {
	struct service_record made[REPLICAS];
	const struct service_record *list[REPLICAS];
	struct pick *pick;
};

static int setup(void **state)
{
	struct replicas *replicas = mem_new(struct replicas);

	for (uint8_t i = 0; i < REPLICAS; i++) {
		replicas->made[i] = make_record(i);
		replicas->list[i] = &replicas->made[i];
		replicas->made[i].machine = i + 1U;
	}
	replicas->pick = pick_new(1);
	*state = replicas;
	return 0;
}

static int teardown(void **state)
{
	struct replicas *replicas = *state;

	for (size_t i = 0; i < REPLICAS; i++)
		service_record_deinit(&replicas->made[i]);
	pick_free(replicas->pick);
	free(replicas);
	return 0;
}

static struct mono at_ms(int64_t ms)
{
	return mono_add_ms((struct mono){0}, ms);
}

/* Which one a fresh attempt is given; REPLICAS: none. */
static size_t pick_once(struct replicas *replicas, int64_t ms, struct pick_attempt attempt)
{
	const struct service_record *record =
		pick_next(replicas->pick, at_ms(ms), replicas->list, REPLICAS, &attempt);

	return record ? (size_t)(record - replicas->made) : REPLICAS;
}

static void only_ready_ones_are_picked(void **state)
{
	struct replicas *replicas = *state;

	replicas->made[0].ready = false;
	replicas->made[1].healthy = false;
	replicas->made[2].leaving = true;
	for (size_t i = 0; i < ROUNDS; i++)
		assert_in_range(pick_once(replicas, 0, (struct pick_attempt){0}), 3, 5);
	for (size_t i = 3; i < REPLICAS; i++)
		replicas->made[i].leaving = true;
	assert_int_equal(pick_once(replicas, 0, (struct pick_attempt){0}), REPLICAS);
}

static void work_is_spread_by_load(void **state)
{
	struct replicas *replicas = *state;
	size_t counts[REPLICAS + 1] = {0};

	replicas->made[0].load = WORK_LOAD_MAX;
	for (size_t i = 0; i < ROUNDS; i++) {
		counts[pick_once(replicas, 0, (struct pick_attempt){0})]++;
		for (size_t j = 0; j < REPLICAS; j++) /* its load is told anew */
			replicas->made[j].version++;
	}
	/* The busiest one loses every comparison. */
	assert_int_equal(counts[0], 0);
	for (size_t i = 1; i < REPLICAS; i++)
		assert_in_range(counts[i], ROUNDS / 10, ROUNDS / 3);
}

static void what_was_picked_since_the_last_word_counts(void **state)
{
	struct replicas *replicas = *state;
	size_t counts[REPLICAS + 1] = {0};

	for (size_t i = 0; i < ROUNDS; i++)
		counts[pick_once(replicas, 0, (struct pick_attempt){0})]++;
	for (size_t i = 0; i < REPLICAS; i++)
		assert_in_range(counts[i], ROUNDS / REPLICAS - 8, ROUNDS / REPLICAS + 8);
}

static void the_own_machine_comes_first_when_asked_for(void **state)
{
	struct replicas *replicas = *state;
	struct pick_attempt attempt = {.preference = PICK_MACHINE, .machine = 3, .region = "eu-2"};

	make_text(&replicas->made[4].region, "eu-2");
	assert_int_equal(pick_once(replicas, 0, attempt), 2);
	replicas->made[2].ready = false;
	assert_int_equal(pick_once(replicas, 0, attempt), 4);
	replicas->made[4].ready = false;
	assert_in_range(pick_once(replicas, 0, attempt), 0, 5);
	replicas->made[2].ready = replicas->made[4].ready = true;
	attempt.preference = PICK_REGION;
	assert_int_equal(pick_once(replicas, 0, attempt), 4);
}

static void an_attempt_goes_on_to_others_until_none_is_left(void **state)
{
	struct replicas *replicas = *state;
	struct pick_attempt attempt = {0};
	unsigned seen = 0;

	for (size_t i = 0; i < REPLICAS; i++) {
		const struct service_record *record =
			pick_next(replicas->pick, at_ms(0), replicas->list, REPLICAS, &attempt);

		assert_non_null(record);
		pick_failed(replicas->pick, at_ms(0), &record->peer);
		seen |= 1U << (record - replicas->made);
	}
	assert_int_equal(seen, (1U << REPLICAS) - 1);
	assert_null(pick_next(replicas->pick, at_ms(0), replicas->list, REPLICAS, &attempt));
}

static void one_that_failed_is_left_out_for_a_while(void **state)
{
	struct replicas *replicas = *state;
	const struct node_id *failed = &replicas->made[0].peer;

	for (size_t i = 2; i < REPLICAS; i++)
		replicas->made[i].ready = false;
	pick_failed(replicas->pick, at_ms(0), failed);
	for (size_t i = 0; i < ROUNDS; i++)
		assert_int_equal(
			pick_once(replicas, PICK_EXCLUDED_MS - 1, (struct pick_attempt){0}), 1);
	replicas->made[1].load = WORK_LOAD_MAX;
	replicas->made[1].version++;
	replicas->made[0].version++;
	assert_int_equal(pick_once(replicas, PICK_EXCLUDED_MS, (struct pick_attempt){0}), 0);
	pick_failed(replicas->pick, at_ms(PICK_EXCLUDED_MS), failed);
	assert_int_equal(pick_once(replicas, 3 * PICK_EXCLUDED_MS - 1, (struct pick_attempt){0}),
			 1);
	pick_worked(replicas->pick, failed);
	replicas->made[0].version++;
	assert_int_equal(pick_once(replicas, 3 * PICK_EXCLUDED_MS - 1, (struct pick_attempt){0}),
			 0);
}

static void when_all_are_excluded_the_first_of_them_is_tried(void **state)
{
	struct replicas *replicas = *state;

	for (size_t i = 0; i < REPLICAS; i++)
		pick_failed(replicas->pick, at_ms((int64_t)((i + 3) % REPLICAS)),
			    &replicas->made[i].peer);
	assert_int_equal(pick_once(replicas, 10, (struct pick_attempt){0}), 3);
}

static void memory_of_failures_is_bounded(void **state)
{
	struct replicas *replicas = *state;

	for (int i = 0; i < 10 * PICK_FAILURES_MAX; i++) {
		struct node_id id = {.byte = {(uint8_t)i, (uint8_t)(i >> 8), 9}};

		pick_failed(replicas->pick, at_ms(0), &id);
	}
	assert_in_range(pick_once(replicas, 0, (struct pick_attempt){0}), 0, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_ready_ones_are_picked, setup, teardown),
		cmocka_unit_test_setup_teardown(work_is_spread_by_load, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_picked_since_the_last_word_counts, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_own_machine_comes_first_when_asked_for, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_attempt_goes_on_to_others_until_none_is_left,
						setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_failed_is_left_out_for_a_while, setup,
						teardown),
		cmocka_unit_test_setup_teardown(when_all_are_excluded_the_first_of_them_is_tried,
						setup, teardown),
		cmocka_unit_test_setup_teardown(memory_of_failures_is_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
