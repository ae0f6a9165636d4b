/* SPDX-License-Identifier: Apache-2.0 */
/* The index: what any machine finds by name and by list, however large, and after whatever loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "swarm.h"

enum {
	MACHINES = 24,
	MINUTE_MS = 60 * 1000,
	SETTLE_MS = 3000,
};

static struct swarm *swarm;

static int setup(void **state)
{
	*state = swarm = mem_new(struct swarm);
	swarm_init(swarm, MACHINES, 1);
	return 0;
}

static int teardown(void **state)
{
	swarm_deinit(*state);
	free(*state);
	return 0;
}

/* Objects @first to @last - 1, each said by some machine. */
static void own_many(const char *namespace, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i < last; i++)
		swarm_own(swarm, i % MACHINES, namespace, i, 1);
}

static void expect_found(size_t n, const char *namespace, uint32_t number)
{
	struct swarm_found found = swarm_find(swarm, n, namespace, number);
	struct uid uid = swarm_uid(number);

	assert_true(found.complete);
	assert_int_equal(found.count, 1);
	assert_true(uid_equal(&found.first, &uid));
}

static void expect_none(size_t n, const char *namespace, uint32_t number)
{
	struct swarm_found found = swarm_find(swarm, n, namespace, number);

	assert_true(found.complete);
	assert_int_equal(found.count, 0);
}

static void expect_listed(size_t n, const char *namespace, size_t count)
{
	struct swarm_found found = swarm_walk(swarm, n, namespace);

	assert_true(found.complete);
	assert_int_equal(found.count, count);
}

static void any_machine_finds_a_name_and_no_other(void **state)
{
	(void)state;
	swarm_own(swarm, 3, "default", 1, 10);
	swarm_run_ms(swarm, SETTLE_MS);
	for (size_t n = 0; n < MACHINES; n++)
		expect_found(n, "default", 1);
	expect_none(5, "default", 2);
	expect_none(5, "other", 1);
	expect_listed(7, "default", 1);
	expect_listed(7, "other", 0);
}

static void it_is_found_when_the_machine_that_said_it_is_gone(void **state)
{
	(void)state;
	swarm_own(swarm, 3, "default", 1, 10);
	swarm_run_ms(swarm, SETTLE_MS);
	swarm_stop(swarm, 3);
	swarm_run_ms(swarm, 10 * MINUTE_MS);
	expect_found(9, "default", 1);
}

static void what_is_deleted_is_not_found_even_if_an_older_row_comes_late(void **state)
{
	(void)state;
	swarm_own(swarm, 3, "default", 1, 10);
	swarm_run_ms(swarm, SETTLE_MS);
	swarm_end(swarm, 4, "default", 1, 11);
	swarm_run_ms(swarm, SETTLE_MS);
	expect_none(9, "default", 1);
	swarm_run_ms(swarm, 20 * MINUTE_MS); /* machine 3 has said it again meanwhile */
	expect_none(9, "default", 1);
	expect_listed(9, "default", 0);
}

static void a_row_that_nobody_confirms_is_dropped(void **state)
{
	(void)state;
	swarm_own(swarm, 3, "default", 1, 10);
	swarm_run_ms(swarm, SETTLE_MS);
	swarm_disown(swarm, 3, "default", 1);
	swarm_run_ms(swarm, SHARD_ROW_MS / 2);
	expect_found(9, "default", 1);
	swarm_run_ms(swarm, SHARD_ROW_MS);
	expect_none(9, "default", 1);
	/* ... and after a while nothing of the shard is left. */
	swarm_run_ms(swarm, SHARD_ROW_MS + 10 * MINUTE_MS);
	assert_int_equal(swarm_counts(swarm).shards, 0);
	assert_int_equal(swarm_counts(swarm).own, 0);
}

/* A write that came to few disks, which were lost. */
static void a_row_that_its_controller_never_says_is_dropped_soon(void **state)
{
	(void)state;
	swarm_say(swarm, 3, "default", 1, 10);
	swarm_say(swarm, 3, "default", 2, 10);
	swarm_run_ms(swarm, SETTLE_MS);
	swarm_own(swarm, 4, "default", 2, 10);
	expect_listed(9, "default", 2);
	swarm_run_ms(swarm, SHARD_ONCE_ROW_MS + 2 * SHARD_SYNC_MS);
	expect_none(9, "default", 1);
	expect_found(9, "default", 2);
}

/* Who was misled to write it to others: they hand it on to the halves of a shard that is split. */
static void rows_that_went_astray_are_brought_where_they_belong(void **state)
{
	(void)state;
	own_many("default", 0, 1500);
	swarm_run_ms(swarm, 2 * MINUTE_MS);
	swarm->misled = true;
	swarm_own(swarm, 3, "default", 2000, 1);
	swarm_run_ms(swarm, SETTLE_MS);
	swarm->misled = false;
	swarm_run_ms(swarm, 4 * MINUTE_MS);
	expect_found(9, "default", 2000);
}

static void what_is_only_said_again_needs_no_lookup(void **state)
{
	uint64_t located;

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		swarm_own(swarm, 3, "default", i, 1);
	swarm_run_ms(swarm, 2 * MINUTE_MS);
	located = swarm->located;
	swarm_run_ms(swarm, 40 * MINUTE_MS);
	assert_int_equal(swarm->located, located);
	expect_listed(9, "default", 20);
}

static void lists_of_all_namespaces_have_all(void **state)
{
	(void)state;
	own_many("a", 0, 50);
	own_many("b", 50, 80);
	own_many("c", 80, 81);
	/* The holders of the roots tell of the namespaces when they look after their shards. */
	swarm_run_ms(swarm, 2 * SHARD_SYNC_MS);
	expect_listed(2, NULL, 81);
	expect_listed(2, "b", 30);
}

static void a_large_shard_splits_and_everything_is_found_meanwhile(void **state)
{
	(void)state;
	own_many("default", 0, 900);
	swarm_run_ms(swarm, SETTLE_MS);
	expect_listed(1, "default", 900);
	assert_int_equal(swarm_counts(swarm).splits, 0);
	own_many("default", 900, 6000);
	for (int i = 0; i < 20; i++) {
		swarm_run_ms(swarm, 300);
		expect_found((size_t)i, "default", 17 * (uint32_t)i);
	}
	swarm_run_ms(swarm, 5 * MINUTE_MS);
	expect_listed(1, "default", 6000);
	expect_found(11, "default", 5999);
	expect_none(11, "default", 6000);
	assert_true(swarm_counts(swarm).splits >= 5);
	assert_true(swarm_counts(swarm).largest <= SHARD_ROWS_MAX);
	assert_int_equal(swarm_counts(swarm).refused, 0);
}

/* Rows are said again, shards compared, sizes told; copies that agree are not sent to each other.
 */
static void an_index_at_rest_costs_little(void **state)
{
	uint64_t sent, rows;

	(void)state;
	own_many("default", 0, 3000);
	swarm_run_ms(swarm, 10 * MINUTE_MS);
	sent = swarm->sent;
	rows = swarm->rows_sent;
	swarm_run_ms(swarm, 10 * MINUTE_MS);
	assert_true(swarm->sent - sent < 20000);
	assert_true(swarm->rows_sent - rows < 2 * 3000 * SHARD_KEEPERS);
}

/* Lay @part at the machines that are nearest to it. */
static void lay_part(void *arg, const struct shards_part *part)
{
	struct contact holders[SHARD_KEEPERS];
	struct digest key = shard_key(&part->id);
	size_t count = swarm_nearest(swarm, &key, holders, SHARD_KEEPERS);
	uint32_t *said = arg;

	assert_true(part->row_count <= SHARD_ROWS_MAX);
	assert_true(!part->split || part->row_count == 0);
	for (size_t i = 0; i < count; i++)
		shards_hold(swarm_holder(swarm, &holders[i]), swarm->now, part);
	for (size_t i = 0; i < part->row_count; i++)
		shards_said(swarm->machines[(*said)++ % MACHINES].shards, swarm->now, &part->id,
			    &part->rows[i], holders, count);
}

/* @count objects that have been there for long. */
static void lay_many(uint32_t count)
{
	static char names[3000][32];
	static struct index_row rows[3000];
	uint32_t said = 0;

	for (uint32_t i = 0; i < count; i++)
		rows[i] = swarm_row(i, 1, names[i]);
	shards_layout("ConfigMap", "default", rows, count, lay_part, &said);
	assert_int_equal(said, count);
}

static void rows_are_said_again_where_they_are_whatever_the_depth(void **state)
{
	uint64_t rounds = 4, ideal = rounds * 2050 * SHARD_KEEPERS;

	(void)state;
	lay_many(2050); /* one half is large enough to be split again, and the other is not */
	swarm_run_ms(swarm, SHARD_RENEW_MS);
	swarm->rows_sent = 0;
	swarm_run_ms(swarm, (int64_t)rounds * SHARD_RENEW_MS);
	assert_in_range(swarm->rows_sent, ideal * 8 / 10, ideal * 12 / 10);
	expect_listed(9, "default", 2050);
}

static void what_is_laid_is_an_index_at_rest(void **state)
{
	uint64_t splits;

	(void)state;
	lay_many(3000);
	splits = swarm_counts(swarm).splits;
	expect_listed(7, "default", 3000);
	swarm_run_ms(swarm, 30 * MINUTE_MS); /* rows that nobody says again are gone by now */
	for (uint32_t i = 0; i < 3000; i += 37)
		expect_found(i % MACHINES, "default", i);
	expect_listed(9, "default", 3000);
	assert_int_equal(swarm_counts(swarm).splits, splits);
	assert_int_equal(swarm_counts(swarm).merges, 0);
}

static void halves_that_have_become_small_merge(void **state)
{
	(void)state;
	own_many("default", 0, 1500);
	swarm_run_ms(swarm, 5 * MINUTE_MS);
	for (uint32_t i = 100; i < 1500; i++)
		swarm_end(swarm, i % MACHINES, "default", i, 2);
	swarm_run_ms(swarm, SHARD_GONE_MS + 60 * MINUTE_MS);
	assert_true(swarm_counts(swarm).merges > 0);
	for (size_t n = 0; n < MACHINES; n++)
		expect_found(n, "default", (uint32_t)n);
	expect_listed(4, "default", 100);
	/* The root with its copies, and the directory of namespaces. */
	assert_true(swarm_counts(swarm).shards <= 2 * SHARD_KEEPERS + 2);
}

static void holders_that_die_are_replaced_by_others_who_get_the_rows(void **state)
{
	(void)state;
	own_many("default", 0, 2500);
	swarm_run_ms(swarm, 5 * MINUTE_MS);
	/* Half of all machines, two at a time: fewer than the holders of a shard in one interval.
	 */
	for (size_t n = 0; n < MACHINES / 2; n += 2) {
		swarm_stop(swarm, n);
		swarm_stop(swarm, n + 1);
		swarm_run_ms(swarm, 3 * SHARD_SYNC_MS);
	}
	for (uint32_t i = 0; i < 2500; i += 97)
		expect_found(MACHINES - 1 - i % (MACHINES / 2), "default", i);
	expect_listed(MACHINES - 1, "default", 2500);
}

static void machines_that_come_get_what_is_near_to_them(void **state)
{
	(void)state;
	for (size_t n = 0; n < MACHINES / 2; n++)
		swarm_stop(swarm, n);
	for (uint32_t i = 0; i < 500; i++)
		swarm_own(swarm, MACHINES - 1, "default", i, 1);
	swarm_run_ms(swarm, 2 * MINUTE_MS);
	for (size_t n = 0; n < MACHINES / 2; n++)
		swarm_start(swarm, n);
	swarm_run_ms(swarm, 3 * MINUTE_MS);
	for (size_t n = 0; n < MACHINES; n++)
		expect_found(n, "default", (uint32_t)n);
	/* Who is not near any longer has handed it on: one copy on each holder. */
	assert_int_equal(swarm_counts(swarm).rows, SHARD_KEEPERS * (500 + 1));
}

static void losses_on_the_way_are_made_good(void **state)
{
	(void)state;
	swarm->loss_percent = 20;
	own_many("default", 0, 1500);
	swarm_run_ms(swarm, 15 * MINUTE_MS);
	swarm->loss_percent = 0;
	swarm_run_ms(swarm, 5 * MINUTE_MS);
	expect_listed(3, "default", 1500);
	for (uint32_t i = 0; i < 1500; i += 131)
		expect_found(i % MACHINES, "default", i);
}

static void who_is_no_steward_writes_nothing(void **state)
{
	struct index_row row = {.name = (char[]){"name-1"}, .uid = swarm_uid(1), .hlc = 1};
	struct message message = {
		.type = MESSAGE_INDEX_ROWS,
		.index_rows = {.request = 1,
			       .shard = {(char[]){"ConfigMap"}, (char[]){"default"}, 0, 0},
			       .purpose = INDEX_WRITE,
			       .rows = &row,
			       .row_count = 1}};

	(void)state;
	for (size_t n = 0; n < MACHINES; n++)
		shards_receive(swarm->machines[n].shards, swarm->now, &swarm->machines[1].contact,
			       false, &message);
	expect_none(2, "default", 1);
	assert_int_equal(swarm_counts(swarm).refused, MACHINES);
}

static void nobody_makes_a_shard_grow_beyond_its_limit(void **state)
{
	enum {
		PIECE = 500,
	};
	static struct index_row rows[PIECE];
	static char name[] = "x";
	struct message message = {
		.type = MESSAGE_INDEX_ROWS,
		.index_rows = {.shard = {(char[]){"ConfigMap"}, (char[]){"default"},
					 MESSAGE_SHARD_DEPTH_MAX, 0},
			       .purpose = INDEX_WRITE,
			       .rows = rows,
			       .row_count = PIECE,
			       .made = true}};
	uint32_t number = 0;

	(void)state;
	/* A shard takes only what it covers: at full depth that is next to nothing. */
	for (size_t i = 0; i < PIECE; i++)
		rows[i] = (struct index_row){.name = name, .uid = swarm_uid(number++)};
	shards_receive(swarm->machines[0].shards, swarm->now, &swarm->machines[1].contact, true,
		       &message);
	assert_int_equal(shards_counts(swarm->machines[0].shards).rows, 0);
	/* The same name under ever other uids goes into one leaf, which cannot split: it refuses.
	 */
	message.index_rows.shard.depth = 0;
	for (size_t round = 0; round < 20; round++) {
		for (size_t i = 0; i < PIECE; i++)
			rows[i].uid = swarm_uid(number++);
		shards_receive(swarm->machines[0].shards, swarm->now, &swarm->machines[1].contact,
			       true, &message);
		swarm_run_ms(swarm, 1000);
	}
	assert_true(swarm_counts(swarm).largest <= SHARD_HOLD_MAX);
}

#define SWARM_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SWARM_TEST(any_machine_finds_a_name_and_no_other),
		SWARM_TEST(it_is_found_when_the_machine_that_said_it_is_gone),
		SWARM_TEST(what_is_deleted_is_not_found_even_if_an_older_row_comes_late),
		SWARM_TEST(a_row_that_nobody_confirms_is_dropped),
		SWARM_TEST(a_row_that_its_controller_never_says_is_dropped_soon),
		SWARM_TEST(rows_that_went_astray_are_brought_where_they_belong),
		SWARM_TEST(what_is_only_said_again_needs_no_lookup),
		SWARM_TEST(lists_of_all_namespaces_have_all),
		SWARM_TEST(a_large_shard_splits_and_everything_is_found_meanwhile),
		SWARM_TEST(an_index_at_rest_costs_little),
		SWARM_TEST(rows_are_said_again_where_they_are_whatever_the_depth),
		SWARM_TEST(what_is_laid_is_an_index_at_rest),
		SWARM_TEST(halves_that_have_become_small_merge),
		SWARM_TEST(holders_that_die_are_replaced_by_others_who_get_the_rows),
		SWARM_TEST(machines_that_come_get_what_is_near_to_them),
		SWARM_TEST(losses_on_the_way_are_made_good),
		SWARM_TEST(who_is_no_steward_writes_nothing),
		SWARM_TEST(nobody_makes_a_shard_grow_beyond_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
