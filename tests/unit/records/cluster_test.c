/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cluster.h"
#include "make.h"

enum {
	S = 1000,
};

static struct cluster *cluster_of(size_t count, size_t keepers, uint64_t seed)
{
	struct cluster *cluster = mem_new(struct cluster);

	cluster_init(cluster, count, keepers, seed);
	return cluster;
}

static void cluster_end(struct cluster *cluster)
{
	cluster_deinit(cluster);
	free(cluster);
}

static size_t count_at(const struct cluster *cluster, size_t n, enum record_kind kind)
{
	return records_count(cluster->machines[n].records, kind);
}

/* One random write at one random machine. */
static void write_something(struct cluster *cluster)
{
	size_t n = prng_below(&cluster->prng, 5);
	uint8_t uid = (uint8_t)(1 + prng_below(&cluster->prng, 200)), self = (uint8_t)(n + 1);
	uint8_t pod = (uint8_t)(100 + 10 * n + prng_below(&cluster->prng, 5));
	char name[3] = {(char)('a' + uid / 16), (char)('a' + uid % 16), 0};

	if (!cluster->machines[n].up)
		return;
	switch (prng_below(&cluster->prng, 10)) {
	case 0:
		(void)cluster_put(cluster, n, make_tombstone(uid, 0), UINT64_MAX);
		break;
	case 1:
		(void)cluster_put(cluster, n, make_presence_end(uid, pod, 0), UINT64_MAX);
		break;
	case 2:
	case 3:
	case 4:
		(void)cluster_put(cluster, n, make_presence(uid, pod, self, 0), UINT64_MAX);
		break;
	case 5:
		(void)cluster_put(cluster, n, make_node(self, 0), UINT64_MAX);
		break;
	default:
		(void)cluster_put(cluster, n, make_object(uid, name, 0), UINT64_MAX);
	}
}

static void write_for_ms(struct cluster *cluster, int64_t ms)
{
	for (int64_t at = 0; at < ms; at += 50) {
		write_something(cluster);
		cluster_run_ms(cluster, 50);
	}
}

static void a_write_reaches_everybody_at_once(void **state)
{
	struct cluster *cluster = cluster_of(5, 5, 1);

	(void)state;
	assert_int_equal(cluster_put(cluster, 0, make_object(1, "web", 0), 0), 0);
	cluster_run_ms(cluster, 100);
	assert_int_equal(cluster->machines[0].quorums, 1);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(count_at(cluster, i, RECORD_OBJECT), 1);
		assert_int_equal(cluster->machines[i].disk_count, 1);
	}
	cluster_end(cluster);
}

static void a_machine_that_is_no_steward_reads_and_reports_its_pods(void **state)
{
	struct cluster *cluster = cluster_of(4, 3, 2);

	(void)state;
	assert_int_equal(cluster_put(cluster, 0, make_object(1, "web", 0), 0), 0);
	assert_int_equal(cluster_put(cluster, 3, make_presence(1, 7, 4, 0), UINT64_MAX), 0);
	cluster_run_ms(cluster, 100);
	assert_true(cluster_is_equal(cluster));
	assert_int_equal(count_at(cluster, 3, RECORD_OBJECT), 1);
	assert_int_equal(count_at(cluster, 0, RECORD_PRESENCE), 1);
	assert_int_equal(cluster->machines[3].disk_count, 0);
	assert_int_equal(cluster->machines[3].quorums, 1);
	cluster_end(cluster);
}

static void a_lossy_network_with_partitions_converges_after_the_heal(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct cluster *cluster = cluster_of(5, 5, seed);

		cluster->loss_percent = 20;
		write_for_ms(cluster, 10 * S);
		for (size_t n = 0; n < 2; n++)
			cluster_move(cluster, n, 1);
		write_for_ms(cluster, 20 * S);
		assert_false(cluster_is_equal(cluster));
		cluster_move(cluster, 4, 2);
		write_for_ms(cluster, 20 * S);
		for (size_t n = 0; n < 5; n++)
			cluster_move(cluster, n, 0);
		write_for_ms(cluster, 5 * S);
		cluster_run_ms(cluster, 120 * S);
		assert_true(cluster_is_equal(cluster));
		assert_true(count_at(cluster, 0, RECORD_OBJECT) > 0);
		assert_true(count_at(cluster, 0, RECORD_TOMBSTONE) > 0);
		assert_true(count_at(cluster, 0, RECORD_PRESENCE) > 0);
		assert_int_equal(count_at(cluster, 0, RECORD_NODE), 5);
		cluster_end(cluster);
	}
}

static void the_deleted_stays_deleted_when_a_machine_returns_from_the_drawer(void **state)
{
	struct cluster *cluster = cluster_of(3, 3, 3);

	(void)state;
	for (uint8_t uid = 1; uid <= 10; uid++) {
		char name[2] = {(char)('A' + uid), 0};

		assert_int_equal(cluster_put(cluster, 0, make_object(uid, name, 0), 0), 0);
	}
	cluster_run_ms(cluster, S);
	assert_int_equal(cluster->machines[2].disk_count, 10);
	cluster_stop(cluster, 2);
	for (uint8_t uid = 1; uid <= 9; uid++)
		assert_int_equal(cluster_put(cluster, 1, make_tombstone(uid, 0), UINT64_MAX), 0);
	cluster_run_ms(cluster, 60 * S);
	assert_int_equal(count_at(cluster, 0, RECORD_OBJECT), 1);

	cluster_start(cluster, 2);
	assert_int_equal(count_at(cluster, 2, RECORD_OBJECT), 10);
	cluster_run_ms(cluster, 10 * S);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(count_at(cluster, i, RECORD_OBJECT), 1);
	assert_true(cluster_is_equal(cluster));
	assert_int_equal(cluster->machines[2].disk_count, 10); /* one object, nine tombstones */
	cluster_end(cluster);
}

static void a_power_cut_of_everything_loses_nothing_that_was_acknowledged(void **state)
{
	struct cluster *cluster = cluster_of(3, 3, 4);

	(void)state;
	for (uint8_t uid = 1; uid <= 20; uid++) {
		char name[2] = {(char)('A' + uid), 0};

		assert_int_equal(cluster_put(cluster, uid % 3, make_object(uid, name, 0), 0), 0);
	}
	cluster_run_ms(cluster, S);
	for (size_t i = 0; i < 3; i++)
		cluster_stop(cluster, i);
	cluster_run_ms(cluster, S);
	for (size_t i = 0; i < 3; i++)
		cluster_start(cluster, i);
	cluster_run_ms(cluster, 10 * S);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(count_at(cluster, i, RECORD_OBJECT), 20);
	cluster_end(cluster);
}

static void a_newcomer_catches_up_with_thousands_in_seconds(void **state)
{
	struct cluster *cluster = cluster_of(3, 3, 5);
	struct records *records = cluster->machines[0].records;

	(void)state;
	/* More than one message of keys can carry. */
	cluster_stop(cluster, 2);
	cluster_run_ms(cluster, 10 * S);
	for (uint32_t i = 0; i < 5000; i++) {
		struct record record = make_presence(1, 1, 1, 0);
		struct presence presence;

		assert_int_equal(presence_decode(bytes_buf(&record.value), &presence), 0);
		memcpy(record.key.sub.byte, &i, sizeof(i));
		presence.pod_uid = record.key.sub;
		buf_clear(&record.value);
		presence_encode(&presence, &record.value);
		presence_deinit(&presence);
		assert_int_equal(cluster_put(cluster, 0, record, UINT64_MAX), 0);
	}
	assert_int_equal(records_count(records, RECORD_PRESENCE), 5000);
	cluster_run_ms(cluster, S);
	cluster_start(cluster, 2);
	cluster_run_ms(cluster, 5 * S);
	assert_int_equal(count_at(cluster, 2, RECORD_PRESENCE), 5000);
	assert_true(cluster_is_equal(cluster));
	cluster_end(cluster);
}

static void writes_in_a_minority_are_reported_as_such(void **state)
{
	struct cluster *cluster = cluster_of(5, 5, 6);

	(void)state;
	cluster_move(cluster, 0, 1);
	assert_int_equal(cluster_put(cluster, 0, make_object(1, "web", 0), 0), 0);
	cluster_run_ms(cluster, S);
	assert_int_equal(cluster->machines[0].done, 1);
	assert_int_equal(cluster->machines[0].quorums, 0);
	cluster_move(cluster, 0, 0);
	cluster_run_ms(cluster, 10 * S);
	assert_int_equal(count_at(cluster, 4, RECORD_OBJECT), 1);
	cluster_end(cluster);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_reaches_everybody_at_once),
		cmocka_unit_test(a_machine_that_is_no_steward_reads_and_reports_its_pods),
		cmocka_unit_test(a_lossy_network_with_partitions_converges_after_the_heal),
		cmocka_unit_test(the_deleted_stays_deleted_when_a_machine_returns_from_the_drawer),
		cmocka_unit_test(a_power_cut_of_everything_loses_nothing_that_was_acknowledged),
		cmocka_unit_test(a_newcomer_catches_up_with_thousands_in_seconds),
		cmocka_unit_test(writes_in_a_minority_are_reported_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
