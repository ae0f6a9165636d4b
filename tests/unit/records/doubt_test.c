/* SPDX-License-Identifier: Apache-2.0 */
/* What may have been deleted while its keeper was away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster.h"
#include "make.h"

enum {
	AWAY = 2,        /* the machine that was */
	CALM_MS = 40000, /* several rounds of anti-entropy */
};

static const struct record_item *object_of(const struct records *records, uint8_t uid)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = make_uid(uid)};

	return records_get(records, &key);
}

static void restore(struct records *records, uint8_t uid, const char *name, int64_t ms)
{
	struct record record = make_object(uid, name, ms);
	struct buf envelope = make_envelope(&record);
	struct record_writer writer = {.id = make_id(2), .steward = true};

	assert_int_equal(records_restore(records, &record, bytes_buf(&envelope), &writer), 0);
	buf_deinit(&envelope);
	record_deinit(&record);
}

static struct cluster cluster;

/* A keeper that was away with "web", which nobody else has. */
static struct records *cluster_with_doubt(void)
{
	struct records *records;

	cluster_init(&cluster, 3, 3, 1);
	cluster_run_ms(&cluster, CALM_MS);
	cluster_move(&cluster, AWAY, 1);
	cluster_run_ms(&cluster, CLUSTER_LOST_MS + 1000);
	assert_int_equal(cluster_put(&cluster, AWAY, make_object(1, "web", 0), UINT64_MAX), 0);
	cluster_run_ms(&cluster, 1000);
	records = cluster.machines[AWAY].records;
	records_doubt(records, cluster.now, (struct wall){INT64_MAX});
	assert_int_equal(records_doubts(records), 1);
	cluster_move(&cluster, AWAY, 0);
	cluster_run_ms(&cluster, CALM_MS);
	assert_non_null(object_of(records, 1));
	for (size_t i = 0; i < AWAY; i++)
		assert_null(object_of(cluster.machines[i].records, 1));
	return records;
}

static void what_is_in_doubt_is_shared_with_nobody_until_it_is_vouched_for(void **state)
{
	struct records *records;
	struct uid uid = make_uid(1);

	(void)state;
	records = cluster_with_doubt();
	records_vouch(records, cluster.now, &uid, true);
	assert_int_equal(records_doubts(records), 0);
	cluster_run_ms(&cluster, CALM_MS);
	assert_true(cluster_is_equal(&cluster));
	assert_non_null(object_of(cluster.machines[0].records, 1));
	cluster_deinit(&cluster);
}

static void what_was_deleted_goes_from_the_disk_as_well(void **state)
{
	struct records *records;
	struct uid uid = make_uid(1);

	(void)state;
	records = cluster_with_doubt();
	records_vouch(records, cluster.now, &uid, false);
	assert_null(object_of(records, 1));
	cluster_run_ms(&cluster, CALM_MS);
	assert_true(cluster_is_equal(&cluster));
	cluster_stop(&cluster, AWAY);
	cluster_start(&cluster, AWAY);
	cluster_run_ms(&cluster, CALM_MS);
	assert_true(cluster_is_equal(&cluster));
	assert_null(object_of(cluster.machines[AWAY].records, 1));
	cluster_deinit(&cluster);
}

static void what_another_keeper_has_is_not_in_doubt(void **state)
{
	struct records *records;

	(void)state;
	records = cluster_with_doubt();
	assert_int_equal(cluster_put(&cluster, 0, make_object(1, "web", 0), UINT64_MAX), 0);
	cluster_run_ms(&cluster, CALM_MS);
	assert_int_equal(records_doubts(records), 0);
	assert_true(cluster_is_equal(&cluster));
	cluster_deinit(&cluster);
}

static void the_same_record_of_another_keeper_is_a_word_for_it(void **state)
{
	struct records *records = make_records(1);
	struct record record = make_object(1, "web", 10);

	(void)state;
	records_doubt(records, (struct mono){0}, make_fabric(100));
	restore(records, 1, "web", 10);
	assert_int_equal(records_doubts(records), 1);
	assert_int_equal(receive(records, &record, 2), RECORDS_E_OLD);
	assert_int_equal(records_doubts(records), 0);
	record_deinit(&record);
	records_free(records);
}

static void hidden_ones_are_not_found_until_they_are_shown(void **state)
{
	struct records *records = make_records(1);

	(void)state;
	records_doubt(records, (struct mono){0}, make_fabric(100));
	records_doubts_hide(records);
	restore(records, 1, "web", 10);
	restore(records, 2, "new", 200); /* made after the absence began */
	assert_int_equal(drain(records, RECORDS_CHANGED), 1);
	assert_null(object_of(records, 1));
	assert_null(records_find(records, "default", "Deployment", "web"));
	assert_non_null(object_of(records, 2));
	assert_int_equal(records_doubts(records), 1);
	records_doubts_show(records, (struct mono){0});
	assert_int_equal(drain(records, RECORDS_CHANGED), 1);
	assert_non_null(object_of(records, 1));
	assert_int_equal(records_doubts(records), 1);
	records_free(records);
}

static void a_tombstone_ends_a_hidden_one(void **state)
{
	struct records *records = make_records(1);
	struct record tombstone = make_tombstone(1, 20);

	(void)state;
	records_doubt(records, (struct mono){0}, make_fabric(100));
	records_doubts_hide(records);
	restore(records, 1, "web", 10);
	assert_int_equal(receive(records, &tombstone, 2), 0);
	assert_int_equal(drain(records, RECORDS_FORGET), 1);
	assert_int_equal(records_doubts(records), 0);
	records_doubts_show(records, (struct mono){0});
	assert_null(object_of(records, 1));
	record_deinit(&tombstone);
	records_free(records);
}

static void a_newer_version_takes_the_place_of_a_hidden_one(void **state)
{
	struct records *records = make_records(1);
	struct record newer = make_object(1, "web", 50);

	(void)state;
	records_doubt(records, (struct mono){0}, make_fabric(100));
	records_doubts_hide(records);
	restore(records, 1, "web", 10);
	assert_int_equal(receive(records, &newer, 2), 0);
	assert_int_equal(records_doubts(records), 0);
	assert_int_equal(object_of(records, 1)->record.version.hlc, newer.version.hlc);
	record_deinit(&newer);
	records_free(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_doubt_is_shared_with_nobody_until_it_is_vouched_for),
		cmocka_unit_test(what_was_deleted_goes_from_the_disk_as_well),
		cmocka_unit_test(what_another_keeper_has_is_not_in_doubt),
		cmocka_unit_test(the_same_record_of_another_keeper_is_a_word_for_it),
		cmocka_unit_test(hidden_ones_are_not_found_until_they_are_shown),
		cmocka_unit_test(a_tombstone_ends_a_hidden_one),
		cmocka_unit_test(a_newer_version_takes_the_place_of_a_hidden_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
