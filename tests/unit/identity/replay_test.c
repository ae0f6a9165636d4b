/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "identity/replay.h"

static struct replay replay;
static const struct digest alice = {.byte = {1}}, bob = {.byte = {2}};

static int setup(void **state)
{
	uint8_t seed[REPLAY_SEED_LEN] = {3};

	replay_init(&replay, seed, 1000);
	return 0;
}

static int teardown(void **state)
{
	replay_deinit(&replay);
	return 0;
}

static int admit(const struct digest *issuer, uint32_t number, int64_t at_ms, int64_t now_ms)
{
	uint8_t nonce[REPLAY_NONCE_LEN] = {0};

	memcpy(nonce, &number, sizeof(number));
	return replay_admit(&replay, issuer, nonce, (struct wall){at_ms}, (struct wall){now_ms});
}

static void test_a_message_is_admitted_once(void **state)
{
	assert_int_equal(admit(&alice, 1, NOW.ms, NOW.ms), 0);
	assert_int_equal(admit(&alice, 1, NOW.ms, NOW.ms), REPLAY_E_SEEN);
	assert_int_equal(admit(&alice, 1, NOW.ms + 1, NOW.ms), REPLAY_E_SEEN);
	assert_int_equal(admit(&alice, 2, NOW.ms, NOW.ms), 0);
	assert_int_equal(replay.refused[REPLAY_E_SEEN], 2);
}

static void test_two_issuers_may_use_the_same_nonce(void **state)
{
	assert_int_equal(admit(&alice, 1, NOW.ms, NOW.ms), 0);
	assert_int_equal(admit(&bob, 1, NOW.ms, NOW.ms), 0);
}

static void test_the_window_is_30_s_both_ways_to_the_millisecond(void **state)
{
	assert_int_equal(admit(&alice, 1, NOW.ms - 30000, NOW.ms), 0);
	assert_int_equal(admit(&alice, 2, NOW.ms - 30001, NOW.ms), REPLAY_E_STALE);
	assert_int_equal(admit(&alice, 3, NOW.ms + 30000, NOW.ms), 0);
	assert_int_equal(admit(&alice, 4, NOW.ms + 30001, NOW.ms), REPLAY_E_FUTURE);
}

static void test_a_replay_is_refused_for_as_long_as_its_timestamp_is_acceptable(void **state)
{
	assert_int_equal(admit(&alice, 1, NOW.ms + 30000, NOW.ms), 0);
	for (int64_t ms = 0; ms <= 60000; ms += 100)
		assert_int_equal(admit(&alice, 1, NOW.ms + 30000, NOW.ms + ms), REPLAY_E_SEEN);
	assert_int_equal(admit(&alice, 1, NOW.ms + 30000, NOW.ms + 60001), REPLAY_E_STALE);
}

static void test_what_is_not_acceptable_any_more_takes_no_room(void **state)
{
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(admit(&alice, i, NOW.ms + i * 10, NOW.ms), 0);
	assert_int_equal(replay.count, 500);
	assert_int_equal(admit(&alice, 500, NOW.ms + 33000, NOW.ms + 33000), 0);
	/* The first three seconds have gone; each holds a hundred. */
	assert_int_equal(replay.count, 201);
	assert_int_equal(admit(&alice, 501, NOW.ms + 3600000, NOW.ms + 3600000), 0);
	assert_int_equal(replay.count, 1);
}

static void test_when_full_new_messages_are_refused_and_counted(void **state)
{
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(admit(&alice, i, NOW.ms, NOW.ms), 0);
	assert_int_equal(admit(&alice, 1000, NOW.ms, NOW.ms), REPLAY_E_FULL);
	assert_int_equal(admit(&alice, 0, NOW.ms, NOW.ms), REPLAY_E_SEEN);
	assert_int_equal(replay.refused[REPLAY_E_FULL], 1);
	assert_int_equal(admit(&alice, 1000, NOW.ms + 32000, NOW.ms + 32000), 0);
}

static void test_time_that_steps_back_does_not_let_a_replay_in(void **state)
{
	assert_int_equal(admit(&alice, 1, NOW.ms, NOW.ms), 0);
	assert_int_equal(admit(&alice, 2, NOW.ms + 40000, NOW.ms + 40000), 0);
	assert_int_equal(admit(&alice, 1, NOW.ms, NOW.ms), REPLAY_E_STALE);
	assert_int_equal(admit(&alice, 3, NOW.ms + 30000, NOW.ms), 0);
}

/* Against a plain list of everything admitted, under a clock that wanders. */
static void test_it_agrees_with_a_plain_list(void **state)
{
	static struct {
		uint32_t number;
		int64_t at_ms;
	} seen[1000];
	size_t seen_count = 0;
	int64_t now_ms = NOW.ms;
	uint32_t random[3];

	for (uint32_t i = 0; i < 3000 && seen_count < ARRAY_LEN(seen); i++) {
		bool known = false;
		int64_t at_ms;
		int r;

		world_random(i, (uint8_t *)random, sizeof(random));
		now_ms += random[0] % 400;
		at_ms = now_ms + (int64_t)(random[1] % 70000) - 35000;
		for (size_t k = 0; k < seen_count; k++)
			known = known || (seen[k].number == random[2] % 800 &&
					  seen[k].at_ms / 1000 >= now_ms / 1000 - 30);
		r = admit(&alice, random[2] % 800, at_ms, now_ms);
		if (at_ms < now_ms - 30000)
			assert_int_equal(r, REPLAY_E_STALE);
		else if (at_ms > now_ms + 30000)
			assert_int_equal(r, REPLAY_E_FUTURE);
		else if (r == 0) {
			assert_false(known);
			seen[seen_count].number = random[2] % 800;
			seen[seen_count++].at_ms = at_ms;
		} else {
			assert_int_equal(r, REPLAY_E_SEEN);
			assert_true(known);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_message_is_admitted_once),
		TEST(test_two_issuers_may_use_the_same_nonce),
		TEST(test_the_window_is_30_s_both_ways_to_the_millisecond),
		TEST(test_a_replay_is_refused_for_as_long_as_its_timestamp_is_acceptable),
		TEST(test_what_is_not_acceptable_any_more_takes_no_room),
		TEST(test_when_full_new_messages_are_refused_and_counted),
		TEST(test_time_that_steps_back_does_not_let_a_replay_in),
		TEST(test_it_agrees_with_a_plain_list),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
