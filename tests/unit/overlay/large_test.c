/* SPDX-License-Identifier: Apache-2.0 */
/* Fabrics that are larger than the pools of their machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "overlay/kad.h"
#include "overlay/view.h"
#include "world.h"

enum {
	S = 1000,
	MINUTE = 60 * S,
	HOUR = 60 * MINUTE,
	POOL = 12,
};

/* @count machines, each of which knows the address of one that was there before it. */
static struct world *world_of(size_t count, size_t pool)
{
	struct world *world = mem_new(struct world);

	world_init(world);
	world->pool = pool;
	for (size_t i = 0; i < count; i++) {
		world_start(world, i, (uint16_t)(i + 1));
		if (i > 0)
			world_bootstrap(world, i, i * 7 % 13 < i ? i * 7 % 13 : 0);
		world_run_ms(world, 100);
	}
	return world;
}

static void world_end(struct world *world)
{
	world_deinit(world);
	free(world);
}

static unsigned total_lost(const struct world *world)
{
	unsigned lost = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		lost += world->machines[i].lost;
	return lost;
}

static size_t up_count(const struct world *world)
{
	size_t up = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		up += world->machines[i].up;
	return up;
}

/* How many machines hear a broadcast of @from. */
static size_t reached_from(struct world *world, size_t from)
{
	static unsigned number;
	char text[32];
	size_t reached = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		world->machines[i].delivered = 0;
	(void)snprintf(text, sizeof(text), "broadcast %u", number++);
	world_broadcast(world, from, text);
	world_run_ms(world, 5 * S);
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].up)
			reached += world->machines[i].delivered > 0;
	return reached;
}

static void everybody_hears_a_broadcast(struct world *world)
{
	size_t from = 0;

	while (!world->machines[from].up)
		from++;
	assert_int_equal(reached_from(world, from), up_count(world) - 1);
}

static void pools_are_full_and_bounded(void **state)
{
	struct world *world = world_of(150, POOL);
	struct contact sample[POOL];

	(void)state;
	world_run_ms(world, 2 * MINUTE);
	for (size_t i = 0; i < 150; i++) {
		struct overlay *overlay = world->machines[i].overlay;

		assert_false(overlay_is_whole(overlay));
		assert_in_range(overlay_alive_count(overlay), POOL - 3,
				POOL + POOL / 4 + VIEW_ACTIVE_MAX);
		assert_in_range(overlay_size(overlay), 50, 450); /* an estimate */
		assert_true(view_active_count(overlay_view(overlay)) >= 2);
		assert_int_equal(overlay_sample(overlay, NULL, 0, 4, sample), 4);
		for (size_t k = 1; k < 4; k++)
			assert_false(node_id_equal(&sample[k].id, &sample[0].id));
	}
	assert_int_equal(total_lost(world), 0);
	world_run_ms(world, 2 * MINUTE);
	for (size_t i = 0; i < 150; i++) /* transient connections have gone */
		assert_in_range(world_connections(world, i), POOL - 3, 3 * POOL);
	everybody_hears_a_broadcast(world);
	world_end(world);
}

static void a_lookup_ends_at_the_nearest_machine(void **state)
{
	struct world *world = world_of(120, POOL);
	struct digest target = kad_key("something rare");
	struct digest best = {{0}}, position;
	size_t nearest = 0;

	(void)state;
	world_run_ms(world, MINUTE);
	for (size_t i = 1; i < 120; i++) {
		position = kad_position(&world->machines[i].id);
		if (nearest == 0 || kad_nearer(&target, &position, &best) < 0) {
			best = position;
			nearest = i;
		}
	}
	world_find(world, 0, &target, false);
	world_run_ms(world, 20 * S);
	assert_int_equal(world->machines[0].found, 1);
	assert_true(
		node_id_equal(&world->machines[0].found_first.id, &world->machines[nearest].id));
	assert_true(overlay_provide(world->machines[5].overlay, world->now, &target) == 0);
	world_run_ms(world, 20 * S);
	world_find(world, 0, &target, true);
	world_run_ms(world, 20 * S);
	assert_int_equal(world->machines[0].found, 2);
	assert_int_equal(world->machines[0].found_count, 1);
	assert_true(node_id_equal(&world->machines[0].found_first.id, &world->machines[5].id));
	world_end(world);
}

/* Those that observe @about closely. */
static size_t observers_of(const struct world *world, size_t about, size_t *ret_observers)
{
	size_t count = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].up && i != about && world->machines[i].connected[about] &&
		    world_knows(world, i, about) &&
		    view_is_active(overlay_view(world->machines[i].overlay),
				   &world->machines[about].id))
			ret_observers[count++] = i;
	return count;
}

static void a_lost_machine_is_declared_within_ten_seconds(void **state)
{
	struct world *world = world_of(100, POOL);
	size_t observers[100], dead = 0, alive = 0;

	(void)state;
	world_run_ms(world, MINUTE);
	for (size_t round = 0; round < 10; round++) {
		size_t about = 20 + 7 * round, count = observers_of(world, about, observers);

		assert_true(count >= 2);
		world_crash(world, about);
		world_run_ms(world, 9500);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(world_state(world, observers[i], about), MEMBER_DEAD);
		world_run_ms(world, 5500);
		for (size_t i = 0; i < world->machine_count; i++)
			if (world->machines[i].up && world_knows(world, i, about))
				(world_state(world, i, about) == MEMBER_DEAD ? &dead : &alive)[0]++;
	}
	/* Most who only kept it were told by an observer, and have looked for themselves. */
	assert_true(dead > 2 * alive);
	everybody_hears_a_broadcast(world);
	world_end(world);
}

static void a_liar_costs_a_probe_and_nothing_else(void **state)
{
	struct world *world = world_of(60, POOL);
	struct member_report report = {.state = MEMBER_DEAD};
	struct message lie = {.type = MESSAGE_MEMBERS, .members = {&report, 1}};

	(void)state;
	world_run_ms(world, MINUTE);
	for (size_t about = 1; about < 60; about++) {
		report.member = *overlay_self(world->machines[about].overlay);
		for (size_t to = 0; to < 60; to++)
			if (to != about && to != 7 && world->machines[to].connected[7])
				world_inject(world, 7, to, &lie);
	}
	world_run_ms(world, 30 * S);
	assert_int_equal(total_lost(world), 0);
	world_end(world);
}

static void a_watched_machine_is_observed_from_afar(void **state)
{
	struct world *world = world_of(100, POOL);
	size_t watched = 1;
	struct mono at;

	(void)state;
	world_run_ms(world, MINUTE);
	while (world->machines[0].connected[watched])
		watched++;
	world_watch(world, 0, watched);
	world_run_ms(world, 5 * S);
	assert_true(world->machines[0].connected[watched]);
	world_run_ms(world, 5 * MINUTE);
	assert_true(world->machines[0].connected[watched]);
	at = world->now;
	world_crash(world, watched);
	world_run_ms(world, 20 * S);
	assert_int_equal(world_state(world, 0, watched), MEMBER_DEAD);
	assert_int_equal(world->machines[0].lost, 1);
	assert_in_range(mono_since_us(world->machines[0].lost_at, at) / US_PER_MS,
			OVERLAY_ANSWER_MS, 8 * S);
	world_start(world, watched, (uint16_t)(watched + 1));
	world_run_ms(world, 3 * MINUTE);
	assert_int_equal(world_state(world, 0, watched), MEMBER_ALIVE);
	world_end(world);
}

/* Who is watched and was never reached is told as lost all the same. */
static void a_watched_machine_that_was_gone_before_is_lost(void **state)
{
	struct world *world = world_of(40, POOL);
	size_t watched = 1;

	(void)state;
	world_run_ms(world, MINUTE);
	while (world->machines[0].connected[watched])
		watched++;
	world_crash(world, watched);
	world_watch(world, 0, watched);
	assert_int_equal(world_state(world, 0, watched), MEMBER_ALIVE);
	world_run_ms(world, 10 * S);
	assert_int_equal(world_state(world, 0, watched), MEMBER_DEAD);
	assert_int_equal(world->machines[0].lost, 1);
	overlay_unwatch(world->machines[0].overlay, &world->machines[watched].id);
	assert_false(world_knows(world, 0, watched));
	world_end(world);
}

/* Machines 0, 3, 6, ... do nothing for up to 3 s, then work for up to 3 s, and so on. */
static void the_starved_are_lost_to_nobody_and_accuse_nobody(void **state)
{
	struct world *world = world_of(60, POOL);
	struct prng prng = prng_seeded(1);
	int64_t left_ms[60] = {0};

	(void)state;
	world_run_ms(world, MINUTE);
	for (size_t step = 0; step < 10 * MINUTE / 100; step++) {
		for (size_t i = 0; i < 60; i += 3) {
			left_ms[i] -= 100;
			if (left_ms[i] > 0)
				continue;
			left_ms[i] = 100 * (int64_t)(1 + prng_below(&prng, 30));
			world_stall(world, i, !world->machines[i].stalled);
		}
		world_run_ms(world, 100);
	}
	assert_int_equal(total_lost(world), 0);
	for (size_t i = 0; i < 60; i += 3)
		world_stall(world, i, false);
	world_run_ms(world, 10 * S);
	everybody_hears_a_broadcast(world);
	world_end(world);
}

static void a_fabric_grows_beyond_the_pool_and_shrinks_again(void **state)
{
	struct world *world = world_of(16, 16);

	(void)state;
	world_run_ms(world, 30 * S);
	assert_true(world_is_whole(world));
	for (size_t i = 16; i < 60; i++) {
		world_start(world, i, (uint16_t)(i + 1));
		world_bootstrap(world, i, i % 16);
		world_run_ms(world, 500);
	}
	world_run_ms(world, MINUTE);
	for (size_t i = 0; i < 60; i++)
		assert_false(overlay_is_whole(world->machines[i].overlay));
	assert_int_equal(total_lost(world), 0);
	everybody_hears_a_broadcast(world);
	for (size_t i = 5; i < 60; i++)
		if (i % 6)
			world_crash(world, i);
	world_run_ms(world, 10 * MINUTE);
	assert_true(world_is_whole(world));
	for (size_t i = 0; i < 60; i++)
		if (world->machines[i].up)
			assert_true(overlay_is_whole(world->machines[i].overlay));
	world_end(world);
}

static void halves_apart_for_an_hour_merge(void **state)
{
	struct world *world = world_of(80, POOL);

	(void)state;
	world_run_ms(world, MINUTE);
	for (size_t a = 0; a < 80; a += 2)
		for (size_t b = 1; b < 80; b += 2)
			world_cut(world, a, b, true);
	world_run_ms(world, HOUR);
	assert_int_equal(reached_from(world, 0), 39);
	for (size_t a = 0; a < 80; a += 2)
		for (size_t b = 1; b < 80; b += 2)
			world_cut(world, a, b, false);
	world_run_ms(world, 3 * MINUTE);
	everybody_hears_a_broadcast(world);
	world_end(world);
}

static void half_of_all_vanish_and_the_rest_heals(void **state)
{
	struct world *world = world_of(100, POOL);

	(void)state;
	world_run_ms(world, MINUTE);
	for (size_t i = 0; i < 100; i += 2)
		world_crash(world, i);
	world_run_ms(world, 30 * S);
	everybody_hears_a_broadcast(world);
	world_end(world);
}

static void a_machine_comes_back_by_one_contact_it_remembers(void **state)
{
	struct world *world = world_of(60, POOL);
	struct contact contact = overlay_contact(world->machines[30].overlay);

	(void)state;
	world_run_ms(world, MINUTE);
	world_crash(world, 17);
	world_run_ms(world, HOUR);
	world_start(world, 17, 317);
	overlay_remember(world->machines[17].overlay, world->now, &contact);
	world->machines[17].deadline = overlay_deadline(world->machines[17].overlay);
	world_run_ms(world, 2 * MINUTE);
	assert_in_range(overlay_alive_count(world->machines[17].overlay), POOL / 2, 60);
	everybody_hears_a_broadcast(world);
	world_end(world);
}

/* Content only: what the transport adds to a message is not ours. */
static void an_idle_fabric_says_little(void **state)
{
	struct world *world = world_of(100, 32);
	uint64_t bytes = 0, sent = 0;

	(void)state;
	world_run_ms(world, 20 * MINUTE);
	for (size_t i = 0; i < 100; i++) {
		bytes -= world->machines[i].bytes_sent;
		sent -= world->machines[i].sent;
	}
	world_run_ms(world, 10 * MINUTE);
	for (size_t i = 0; i < 100; i++) {
		bytes += world->machines[i].bytes_sent;
		sent += world->machines[i].sent;
	}
	print_message("%.1f messages/s, %.0f bytes/s\n", (double)sent / 100 / 600,
		      (double)bytes / 100 / 600);
	assert_in_range(sent / 100, 1, 6 * 600);
	assert_in_range(bytes / 100, 1, 250 * 600);
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pools_are_full_and_bounded),
		cmocka_unit_test(a_lookup_ends_at_the_nearest_machine),
		cmocka_unit_test(a_lost_machine_is_declared_within_ten_seconds),
		cmocka_unit_test(a_liar_costs_a_probe_and_nothing_else),
		cmocka_unit_test(a_watched_machine_is_observed_from_afar),
		cmocka_unit_test(a_watched_machine_that_was_gone_before_is_lost),
		cmocka_unit_test(the_starved_are_lost_to_nobody_and_accuse_nobody),
		cmocka_unit_test(a_fabric_grows_beyond_the_pool_and_shrinks_again),
		cmocka_unit_test(halves_apart_for_an_hour_merge),
		cmocka_unit_test(half_of_all_vanish_and_the_rest_heals),
		cmocka_unit_test(a_machine_comes_back_by_one_contact_it_remembers),
		cmocka_unit_test(an_idle_fabric_says_little),
	};

	if (getenv("ONLY"))
		cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
