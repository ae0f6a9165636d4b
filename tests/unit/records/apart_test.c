/* SPDX-License-Identifier: Apache-2.0 */
/* Keepers that ran, but were cut off from the others for longer than tombstones are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster.h"
#include "make.h"

enum {
	CALM_MS = 40000, /* several rounds of anti-entropy */
	DAY_MS = 24 * 3600 * 1000,
	DAYS = 8, /* no tombstone of the first is left */
};

static struct cluster cluster;

static const struct record_item *object_of(size_t n, uint8_t uid)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = make_uid(uid)};

	return records_get(cluster.machines[n].records, &key);
}

static int64_t fabric_ms(void)
{
	return MAKE_MS + cluster.now.us / 1000;
}

static void put(size_t n, uint8_t uid, const char *name)
{
	assert_int_equal(cluster_put(&cluster, n, make_object(uid, name, 0), 0), 0);
}

static void end(size_t n, uint8_t uid)
{
	assert_int_equal(cluster_put(&cluster, n, make_tombstone(uid, 0), UINT64_MAX), 0);
}

/* Objects 1 to 4 are everywhere; then the machines from @first on are cut off. */
static void cut(size_t count, size_t first)
{
	static const char *const names[] = {"a", "b", "c", "d"};

	cluster_init(&cluster, count, count, 1);
	for (uint8_t uid = 1; uid <= 4; uid++)
		put(0, uid, names[uid - 1]);
	cluster_run_ms(&cluster, 4 * CALM_MS);
	for (size_t n = 0; n < count; n++)
		records_set_complete(cluster.machines[n].records, MAKE_MS + 1);
	for (size_t n = first; n < count; n++)
		cluster_move(&cluster, n, 1);
	cluster_run_ms(&cluster, 4 * CALM_MS);
}

/* What machines ask for is done, as their nodes do it. */
static void delete_again(void)
{
	for (size_t n = 0; n < cluster.count; n++) {
		struct cluster_machine *machine = &cluster.machines[n];

		for (size_t i = 0; i < machine->absent_count; i++) {
			struct uid uid = make_uid(machine->absent[i]);

			if (!records_is_deleted(machine->records, &uid))
				end(n, machine->absent[i]);
		}
		machine->absent_count = 0;
	}
}

static void heal(size_t first)
{
	for (int day = 0; day < DAYS; day++)
		cluster_run_ms(&cluster, DAY_MS);
	for (size_t n = first; n < cluster.count; n++)
		cluster_move(&cluster, n, 0);
	for (int i = 0; i < 40; i++) {
		cluster_run_ms(&cluster, 1000);
		delete_again();
	}
}

static void expect(uint8_t uid, bool there)
{
	for (size_t n = 0; n < cluster.count; n++)
		assert_true((object_of(n, uid) != NULL) == there);
}

static bool is_apart(size_t n)
{
	struct records_standing standing;

	records_standing(cluster.machines[n].records, &standing);
	return standing.apart_ms != 0;
}

/* Those from @first on are cut off, and come back: what either side has deleted stays deleted. */
static void each_side_deletes(size_t count, size_t first)
{
	cut(count, first);
	end(0, 1);
	end(count - 1, 2);
	put(0, 5, "e");
	put(count - 1, 6, "f");
	cluster_run_ms(&cluster, CALM_MS);
	assert_null(object_of(0, 1));
	assert_non_null(object_of(count - 1, 1));
	heal(first);
	expect(1, false);
	expect(2, false);
	for (uint8_t uid = 3; uid <= 6; uid++)
		expect(uid, true);
	cluster_run_ms(&cluster, 20 * CALM_MS);
	expect(1, false);
	expect(2, false);
	assert_true(cluster_is_equal(&cluster));
	for (size_t n = 0; n < count; n++)
		assert_false(is_apart(n));
	cluster_deinit(&cluster);
}

static void a_minority_that_was_cut_off_brings_nothing_back(void **state)
{
	(void)state;
	each_side_deletes(3, 2);
	each_side_deletes(5, 3);
}

/* The half with the smallest id is most of them. */
static void of_two_halves_neither_brings_anything_back(void **state)
{
	(void)state;
	each_side_deletes(2, 1);
	each_side_deletes(4, 2);
}

/* Nobody is among most of the others: all keep their tombstones. */
static void where_nobody_is_among_most_nothing_comes_back_and_nothing_is_lost(void **state)
{
	(void)state;
	cut(5, 2);
	cluster_move(&cluster, 4, 2);
	cluster_run_ms(&cluster, CALM_MS);
	end(0, 1);
	end(2, 2);
	end(4, 3);
	put(4, 5, "e");
	heal(2);
	for (uint8_t uid = 1; uid <= 3; uid++)
		expect(uid, false);
	expect(4, true);
	expect(5, true);
	cluster_deinit(&cluster);
}

/* Who cannot say since when it knows all deletions does not judge. */
static void news_are_not_judged_by_who_came_later(void **state)
{
	(void)state;
	cut(3, 2);
	end(0, 1);
	cluster_run_ms(&cluster, CALM_MS);
	for (size_t n = 0; n < 2; n++)
		records_set_complete(cluster.machines[n].records, fabric_ms());
	heal(2);
	expect(1, true);
	cluster_deinit(&cluster);
}

/* A cut of hours leaves nothing to judge: tombstones tell. */
static void a_short_cut_is_over_at_once(void **state)
{
	(void)state;
	cut(3, 2);
	assert_true(is_apart(2));
	assert_false(is_apart(0));
	cluster_move(&cluster, 2, 0);
	cluster_run_ms(&cluster, CALM_MS);
	assert_false(is_apart(2));
	cluster_deinit(&cluster);
}

/* A keeper that restarts while it is cut off still knows that it is. */
static void being_apart_outlives_a_restart(void **state)
{
	struct records_standing kept;

	(void)state;
	cut(3, 2);
	end(0, 1);
	cluster_run_ms(&cluster, DAY_MS);
	records_standing(cluster.machines[2].records, &kept);
	assert_int_equal(kept.elector_count, 2);
	cluster_stop(&cluster, 2);
	cluster_start(&cluster, 2);
	records_set_standing(cluster.machines[2].records, cluster.now, &kept);
	heal(2);
	expect(1, false);
	expect(2, true);
	cluster_deinit(&cluster);
}

/* A new keeper that has what it has from those who were cut off is as they are. */
static void who_comes_to_those_that_are_cut_off_is_as_they_are(void **state)
{
	static const struct records_standing nothing;

	(void)state;
	cut(4, 2);
	end(0, 1);
	cluster_stop(&cluster, 3);
	cluster.machines[3].disk_count = 0;
	cluster_run_ms(&cluster, DAY_MS);
	cluster_start(&cluster, 3);
	records_set_standing(cluster.machines[3].records, cluster.now, &nothing);
	cluster_run_ms(&cluster, 4 * CALM_MS);
	assert_non_null(object_of(3, 1));
	heal(2);
	expect(1, false);
	expect(2, true);
	cluster_run_ms(&cluster, 20 * CALM_MS);
	for (size_t n = 0; n < 4; n++)
		assert_false(is_apart(n));
	cluster_deinit(&cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_minority_that_was_cut_off_brings_nothing_back),
		cmocka_unit_test(of_two_halves_neither_brings_anything_back),
		cmocka_unit_test(where_nobody_is_among_most_nothing_comes_back_and_nothing_is_lost),
		cmocka_unit_test(news_are_not_judged_by_who_came_later),
		cmocka_unit_test(a_short_cut_is_over_at_once),
		cmocka_unit_test(being_apart_outlives_a_restart),
		cmocka_unit_test(who_comes_to_those_that_are_cut_off_is_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
