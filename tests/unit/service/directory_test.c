/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of a few agents on virtual time. The net is in cluster.c; thousands are in the simulator.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cluster.h"

static void lookups_name_all_replicas(void **state)
{
	struct cluster *cluster = *state;
	size_t user = cluster_start(cluster, "shop", "front", "front-0");
	const struct service_record *records[8];

	(void)cluster_start(cluster, "shop", "web", "web-0");
	(void)cluster_start(cluster, "shop", "web", "web-1");
	(void)cluster_start(cluster, "shop", "web", "web-2");
	cluster_run(cluster, 2000);
	assert_int_equal(cluster_lookup(cluster, user, "shop", "web"), 3);
	assert_int_equal(cluster_records(cluster, user, "shop", "web", records, 8), 3);
	assert_int_equal(records[0]->ports[0].number, 8080);
	assert_int_equal(cluster_lookup(cluster, user, "shop", "none"), 0);
	assert_int_equal(cluster_lookup(cluster, user, "other", "web"), 0);
}

static void replicas_know_each_other_without_asking(void **state)
{
	struct cluster *cluster = *state;
	const struct service_record *records[CLUSTER_MAX];
	char pod[] = "web-a";

	for (size_t i = 0; i < 12; i++) {
		pod[sizeof(pod) - 2] = (char)('a' + i);
		(void)cluster_start(cluster, "shop", "web", pod);
	}
	cluster_run(cluster, 3 * SERVICE_TTL_MS);
	for (size_t i = 0; i < 12; i++)
		assert_int_equal(cluster_records(cluster, i, "shop", "web", records, CLUSTER_MAX),
				 12);
}

static bool is_ready(struct cluster *cluster, size_t user)
{
	const struct service_record *records[1];

	assert_int_equal(cluster_records(cluster, user, "shop", "web", records, 1), 1);
	return records[0]->ready;
}

static void a_change_of_readiness_is_pushed_to_users(void **state)
{
	struct cluster *cluster = *state;
	size_t user = cluster_start(cluster, "shop", "front", "front-0");
	size_t web = cluster_start(cluster, "shop", "web", "web-0");

	(void)cluster_start(cluster, "shop", "other", "other-0");
	(void)cluster_start(cluster, "shop", "other", "other-1");
	cluster_run(cluster, 2000);
	assert_int_equal(cluster_lookup(cluster, user, "shop", "web"), 1);
	assert_true(is_ready(cluster, user));
	cluster_set_ready(cluster, web, false);
	cluster_run(cluster, 5);
	assert_false(is_ready(cluster, user));
	cluster_set_ready(cluster, web, true);
	cluster_run(cluster, 5);
	assert_true(is_ready(cluster, user));
}

static void who_withdraws_is_gone_at_once(void **state)
{
	struct cluster *cluster = *state;
	size_t user = cluster_start(cluster, "shop", "front", "front-0");
	size_t web = cluster_start(cluster, "shop", "web", "web-0");
	const struct service_record *records[2];

	(void)cluster_start(cluster, "shop", "web", "web-1");
	cluster_run(cluster, 2000);
	assert_int_equal(cluster_lookup(cluster, user, "shop", "web"), 2);
	cluster_withdraw(cluster, web);
	cluster_run(cluster, 5);
	assert_int_equal(cluster_records(cluster, user, "shop", "web", records, 2), 1);
	assert_string_equal(records[0]->pod, "web-1");
}

static void who_is_lost_is_missed_and_then_forgotten(void **state)
{
	struct cluster *cluster = *state;
	size_t user = cluster_start(cluster, "shop", "front", "front-0");
	size_t lost = cluster_start(cluster, "shop", "web", "web-0");
	const struct service_record *records[2];

	(void)cluster_start(cluster, "shop", "web", "web-1");
	(void)cluster_start(cluster, "shop", "other", "other-0");
	cluster_run(cluster, 2 * SERVICE_HEARTBEAT_MS);
	assert_int_equal(cluster_lookup(cluster, user, "shop", "web"), 2);
	cluster_stop(cluster, lost);
	cluster_run(cluster, DIRECTORY_MISSING_MS + 10);
	assert_int_equal(cluster->missing, 1);
	assert_string_equal(cluster->last_missing, "web-0");
	for (int64_t ms = DIRECTORY_MISSING_MS + 10; ms < SERVICE_TTL_MS + 10; ms += 1000) {
		cluster_run(cluster, 1000);
		(void)cluster_records(cluster, user, "shop", "web", records, 2);
	}
	assert_int_equal(cluster_records(cluster, user, "shop", "web", records, 2), 1);
	assert_int_equal(cluster->missing, 1);
}

static void a_silence_of_the_network_is_no_loss_for_long(void **state)
{
	struct cluster *cluster = *state;
	size_t first = cluster_start(cluster, "shop", "web", "web-0");
	size_t second = cluster_start(cluster, "shop", "web", "web-1");
	const struct service_record *records[2];

	(void)cluster_start(cluster, "shop", "web", "web-2");
	cluster_run(cluster, 2 * SERVICE_HEARTBEAT_MS);
	cluster->cut = first + 1;
	cluster_run(cluster, 2 * SERVICE_TTL_MS);
	assert_int_equal(cluster_records(cluster, second, "shop", "web", records, 2), 2);
	assert_int_equal(cluster_records(cluster, first, "shop", "web", records, 2), 1);
	assert_int_equal(cluster->missing, 4); /* it misses two, and is missed by two */
	cluster->cut = 0;
	cluster_run(cluster, 4 * SERVICE_TTL_MS);
	assert_int_equal(cluster_lookup(cluster, first, "shop", "web"), 3);
	assert_int_equal(cluster_lookup(cluster, second, "shop", "web"), 3);
}

static void a_policy_decides_who_sees_a_record(void **state)
{
	struct cluster *cluster = *state;
	size_t near = cluster_start(cluster, "shop", "front", "front-0");
	size_t far = cluster_start(cluster, "other", "front", "front-0");
	size_t db = cluster_start(cluster, "shop", "db", "db-0");

	cluster_run(cluster, 2000);
	assert_int_equal(cluster_lookup(cluster, near, "shop", "db"), 1);
	assert_int_equal(cluster_lookup(cluster, far, "shop", "db"), 0);
	cluster->agents[db].cross_namespace = true;
	cluster_set_ready(cluster, db, true);
	cluster_run(cluster, 2 * DIRECTORY_USE_MS);
	assert_int_equal(cluster_lookup(cluster, far, "shop", "db"), 1);
}

/* The liar's certificate is sound, but not that of the pod it speaks of. */
static void what_others_say_of_a_pod_is_not_kept(void **state)
{
	struct cluster *cluster = *state;
	size_t liar = cluster_start(cluster, "shop", "liar", "liar-0");
	size_t user = cluster_start(cluster, "shop", "front", "front-0");
	const struct service_record *records[2];
	struct directory_stats stats;

	(void)cluster_start(cluster, "shop", "web", "web-0");
	cluster_run(cluster, 2000);
	assert_int_equal(cluster_lookup(cluster, user, "shop", "web"), 1);
	for (size_t i = 0; i < cluster->count; i++)
		if (i != liar)
			cluster_lie(cluster, liar, i, "web", "web-0");
	cluster_run(cluster, 10);
	assert_int_equal(cluster_records(cluster, user, "shop", "web", records, 2), 1);
	assert_false(node_id_equal(&records[0]->peer, &cluster->agents[liar].contact.id));
	directory_stats(cluster->agents[user].directory, &stats);
	assert_int_equal(stats.refused_foreign, 2); /* stored, and pushed */
}

static void only_ones_own_well_formed_record_is_announced(void **state)
{
	struct cluster *cluster = *state;
	size_t web = cluster_start(cluster, "shop", "web", "web-0");
	struct service_record record = cluster_record(cluster, web);

	assert_int_equal(directory_announce(cluster->agents[web].directory, cluster->now,
					    cluster_wall(cluster), &record),
			 0);
	record.load = WORK_LOAD_MAX + 1;
	assert_int_equal(directory_announce(cluster->agents[web].directory, cluster->now,
					    cluster_wall(cluster), &record),
			 DIRECTORY_E_RECORD);
	record.load = 0;
	make_text(&record.pod, "web-1");
	assert_int_equal(directory_announce(cluster->agents[web].directory, cluster->now,
					    cluster_wall(cluster), &record),
			 DIRECTORY_E_RECORD);
	service_record_deinit(&record);
	cluster_pump(cluster, web);
}

static void questions_without_sense_are_refused(void **state)
{
	struct cluster *cluster = *state;
	size_t user = cluster_start(cluster, "shop", "front", "front-0");
	struct directory *directory = cluster->agents[user].directory;
	uint64_t token;

	assert_int_equal(directory_lookup(directory, cluster->now, cluster_wall(cluster), "Shop",
					  "web", &token),
			 DIRECTORY_E_NAME);
	assert_int_equal(directory_lookup(directory, cluster->now, cluster_wall(cluster), "shop",
					  "", &token),
			 DIRECTORY_E_NAME);
}

static void subscriptions_of_one_peer_are_bounded(void **state)
{
	struct cluster *cluster = *state;
	size_t keeper = cluster_start(cluster, "shop", "web", "web-0");
	size_t asker = cluster_start(cluster, "shop", "front", "front-0");
	struct directory_peer from = {cluster->agents[asker].contact, &cluster->agents[asker].name};
	struct directory_stats stats;

	for (unsigned i = 0; i < 2 * DIRECTORY_RATE_BURST; i++) {
		struct buf name = {0};
		struct work_message message = {.type = WORK_LOOKUP};

		buf_append_format(&name, "n%u", i);
		message.lookup.namespace = mem_strdup("shop");
		message.lookup.name = buf_steal(&name);
		message.lookup.subscribe = true;
		directory_receive(cluster->agents[keeper].directory, cluster->now,
				  cluster_wall(cluster), &from, &message);
		work_message_deinit(&message);
	}
	cluster_pump(cluster, keeper);
	directory_stats(cluster->agents[keeper].directory, &stats);
	assert_in_range(stats.subscribers, 1, DIRECTORY_PER_SUBSCRIBER_MAX + 1);
	assert_true(stats.refused_rate >= DIRECTORY_RATE_BURST);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, cluster_setup, cluster_teardown)
	const struct CMUnitTest tests[] = {
		STORY(lookups_name_all_replicas),
		STORY(replicas_know_each_other_without_asking),
		STORY(a_change_of_readiness_is_pushed_to_users),
		STORY(who_withdraws_is_gone_at_once),
		STORY(who_is_lost_is_missed_and_then_forgotten),
		STORY(a_silence_of_the_network_is_no_loss_for_long),
		STORY(a_policy_decides_who_sees_a_record),
		STORY(what_others_say_of_a_pod_is_not_kept),
		STORY(only_ones_own_well_formed_record_is_announced),
		STORY(questions_without_sense_are_refused),
		STORY(subscriptions_of_one_peer_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
