/* SPDX-License-Identifier: Apache-2.0 */
/* Asking in a fabric that is larger than the pools of its machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

enum {
	MACHINES = 60,
	POOL = 8,
	FORMING_MS = 20 * 1000,
};

static struct world *begin(void)
{
	struct world *world = world_new(MACHINES);

	world->pool = POOL;
	world->records_stay = true;
	return world;
}

static void form(struct world *world)
{
	world_settle(world);
	world_run_ms(world, FORMING_MS);
	for (size_t i = 0; i < MACHINES; i++)
		assert_false(overlay_is_whole(node_overlay(world->machines[i].node)));
}

static size_t starts(const struct world *world, size_t *ret_most)
{
	size_t sum = 0, most = 0;

	for (size_t i = 0; i < MACHINES; i++) {
		sum += world->machines[i].starts;
		if (world->machines[i].starts > most)
			most = world->machines[i].starts;
	}
	if (ret_most)
		*ret_most = most;
	return sum;
}

static uint64_t sent(const struct world *world, enum message_type type)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < MACHINES; i++)
		sum += node_traffic(world->machines[i].node, type).messages;
	return sum;
}

static uint64_t counted(const struct world *world, enum node_counter counter)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < MACHINES; i++)
		sum += node_counter(world->machines[i].node, counter);
	return sum;
}

/* One slot: two neighbours, each hands it to two. */
static void test_a_slot_costs_a_sample_and_not_the_fabric(void **state)
{
	struct world *world = begin();
	uint64_t referrals, bids;
	struct uid uid;

	form(world);
	referrals = sent(world, MESSAGE_REFERRAL);
	bids = sent(world, MESSAGE_BID);
	uid = world_deploy(world, 7, 1);
	world_run_ms(world, 2000);
	assert_int_equal(world_running(world, 7, &uid, NULL), 1);
	assert_int_equal(starts(world, NULL), 1);
	assert_in_range(sent(world, MESSAGE_REFERRAL) - referrals, 3, 6);
	assert_in_range(sent(world, MESSAGE_BID) - bids, 1, 4);
	world_free(world);
}

static void test_many_replicas_spread_over_distinct_machines(void **state)
{
	struct world *world = begin();
	struct uid uid;
	size_t machines, most;

	form(world);
	uid = world_deploy(world, 3, 40);
	world_run_ms(world, 5000);
	assert_int_equal(world_running(world, 3, &uid, &machines), 40);
	assert_int_equal(starts(world, &most), 40);
	assert_in_range(machines, 35, 40);
	assert_in_range(most, 1, 2);
	assert_int_equal(counted(world, NODE_COUNT_REPLAY), 0);
	world_free(world);
}

static void test_rare_requirements_are_met_through_provider_sets(void **state)
{
	static char key[] = "disk", value[] = "tape";
	struct world *world = begin();
	uint64_t gossip, referrals;
	struct uid uid;

	world->machines[41].label = (struct label){key, value};
	form(world);
	gossip = sent(world, MESSAGE_GOSSIP);
	referrals = sent(world, MESSAGE_REFERRAL);
	uid = world_deploy_spec(world, 3, 2, "\"nodeSelector\":{\"disk\":\"tape\"},");
	world_run_ms(world, 5000);
	assert_int_equal(world_running(world, 3, &uid, NULL), 2);
	assert_int_equal(world->machines[41].starts, 2);
	assert_int_equal(sent(world, MESSAGE_REFERRAL) - referrals, 1);
	assert_int_equal(sent(world, MESSAGE_GOSSIP), gossip);
	world_free(world);
}

/* A label that is never announced: only everybody together knows who has it. */
static void test_what_no_sample_finds_is_broadcast(void **state)
{
	static char key[] = "kubernetes.io/hostname", value[] = "m42";
	struct world *world = begin();
	struct uid uid;

	world->machines[23].label = (struct label){key, value};
	form(world);
	uid = world_deploy_spec(world, 3, 1,
				"\"nodeSelector\":{\"kubernetes.io/hostname\":\"m42\"},");
	world_run_ms(world, 5000);
	assert_int_equal(world_running(world, 3, &uid, NULL), 1);
	assert_int_equal(world->machines[23].starts, 1);
	assert_true(sent(world, MESSAGE_GOSSIP) >= MACHINES - 1);
	world_free(world);
}

static void test_hopeless_work_does_not_flood(void **state)
{
	struct world *world = begin();
	uint64_t before;

	form(world);
	for (size_t i = 0; i < 20; i++)
		(void)world_deploy_spec(world, i, 3,
					"\"nodeSelector\":{\"kubernetes.io/hostname\":\"moon\"},");
	world_run_ms(world, 60 * 1000);
	before = sent(world, MESSAGE_GOSSIP);
	world_run_ms(world, 60 * 1000);
	assert_int_equal(starts(world, NULL), 0);
	/* Six broadcasts a minute, over a tree that is not quite one yet. */
	assert_in_range(sent(world, MESSAGE_GOSSIP) - before, 0, 7 * 3 * MACHINES);
	assert_in_range(sent(world, MESSAGE_REFERRAL), 1, 20 * 15 * 60);
	world_free(world);
}

/* Every machine is full but for the workload that is taken away again. */
static void test_room_that_comes_is_offered_to_who_missed_it(void **state)
{
	struct world *world = begin();
	struct uid first, second;

	for (size_t i = 0; i < MACHINES; i++)
		world->machines[i].cpu_milli = 100;
	form(world);
	first = world_deploy(world, 3, MACHINES);
	world_run_ms(world, 60 * 1000);
	assert_int_equal(world_running(world, 3, &first, NULL), MACHINES);
	second = world_deploy(world, 5, 1);
	world_run_ms(world, 60 * 1000);
	assert_int_equal(world_running(world, 5, &second, NULL), 0);
	world_delete(world, 3, &first);
	world_run_ms(world, 4000);
	assert_int_equal(world_running(world, 5, &second, NULL), 1);
	world_free(world);
}

static void test_a_referral_in_the_name_of_another_is_not_believed(void **state)
{
	struct world *world = begin();
	struct message tender = {.type = MESSAGE_TENDER};
	struct message referral = {.type = MESSAGE_REFERRAL};
	struct buf encoded = {0}, bytes = {0};
	uint64_t bids;

	form(world);
	(void)world_deploy(world, 9, 1);
	world_run_ms(world, 2000);
	referral.referral.owner = overlay_contact(node_overlay(world->machines[8].node));
	referral.referral.share = MESSAGE_SHARE_MAX;
	buf_append_bytes(&referral.referral.tender, bytes_buf(&world->machines[9].last_tender));
	message_encode(&referral, &encoded);
	packet_encode(&(struct packet){.body = bytes_buf(&encoded)}, &bytes);
	bids = sent(world, MESSAGE_BID);
	for (size_t i = 20; i < 40; i++)
		world->known[i][9] = true;
	for (size_t i = 20; i < 40; i++)
		world_packet(world, 8, i, bytes_buf(&bytes));
	world_run_ms(world, 1000);
	assert_int_equal(sent(world, MESSAGE_BID), bids);
	assert_in_range(counted(world, NODE_COUNT_NOT_OWNER), 10, 20);
	buf_deinit(&encoded);
	buf_deinit(&bytes);
	message_deinit(&tender);
	message_deinit(&referral);
	world_free(world);
}

/* The relay has a limit for each peer, whatever it is told. */
static void test_a_peer_has_no_more_handed_on_than_its_rate(void **state)
{
	struct world *world = begin();
	struct message referral = {.type = MESSAGE_REFERRAL};
	struct buf encoded = {0}, bytes = {0};

	form(world);
	(void)world_deploy(world, 9, 1);
	world_run_ms(world, 2000);
	referral.referral.owner = overlay_contact(node_overlay(world->machines[9].node));
	referral.referral.share = MESSAGE_SHARE_MAX;
	referral.referral.count = MESSAGE_REFERRAL_MAX;
	buf_append_bytes(&referral.referral.tender, bytes_buf(&world->machines[9].last_tender));
	message_encode(&referral, &encoded);
	packet_encode(&(struct packet){.body = bytes_buf(&encoded)}, &bytes);
	for (int i = 0; i < 100; i++)
		world_packet(world, 9, 20, bytes_buf(&bytes));
	assert_in_range(node_counter(world->machines[20].node, NODE_COUNT_RATE), 50, 99);
	buf_deinit(&encoded);
	buf_deinit(&bytes);
	message_deinit(&referral);
	world_free(world);
}

static size_t first_but(const struct world *world, size_t owner)
{
	size_t machine = 0;

	while (machine == owner || world->machines[machine].starts == 0)
		machine++;
	return machine;
}

static void test_a_lost_machines_pod_comes_back_where_records_stay(void **state)
{
	struct world *world = begin();
	struct uid uid;
	size_t most;

	form(world);
	uid = world_deploy(world, 3, 5);
	world_run_ms(world, 3000);
	assert_int_equal(world_running(world, 3, &uid, NULL), 5);
	world_crash(world, first_but(world, 3));
	world_run_ms(world, 40 * 1000);
	assert_int_equal(world_running(world, 3, &uid, NULL), 5);
	assert_int_equal(starts(world, &most), 6);
	world_free(world);
}

static void cut_off(struct world *world, size_t machine, bool off)
{
	for (size_t i = 0; i < MACHINES; i++)
		world->cut[machine][i] = world->cut[i][machine] = off;
}

static size_t stops(const struct world *world)
{
	size_t sum = 0;

	for (size_t i = 0; i < MACHINES; i++)
		sum += world->machines[i].stops;
	return sum;
}

/* Its owner has replaced what runs there, and it has nothing new to say. */
static void test_a_machine_that_was_cut_off_is_asked_what_it_runs(void **state)
{
	struct world *world = begin();
	struct uid uid;
	size_t away;

	form(world);
	uid = world_deploy(world, 3, 5);
	world_run_ms(world, 3000);
	away = first_but(world, 3);
	cut_off(world, away, true);
	world_run_ms(world, 40 * 1000);
	assert_int_equal(starts(world, NULL), 6);
	cut_off(world, away, false);
	world_run_ms(world, 30 * 1000);
	assert_int_equal(stops(world), 1);
	assert_int_equal(world_running(world, 3, &uid, NULL), 5);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_slot_costs_a_sample_and_not_the_fabric),
		cmocka_unit_test(test_many_replicas_spread_over_distinct_machines),
		cmocka_unit_test(test_rare_requirements_are_met_through_provider_sets),
		cmocka_unit_test(test_what_no_sample_finds_is_broadcast),
		cmocka_unit_test(test_hopeless_work_does_not_flood),
		cmocka_unit_test(test_room_that_comes_is_offered_to_who_missed_it),
		cmocka_unit_test(test_a_referral_in_the_name_of_another_is_not_believed),
		cmocka_unit_test(test_a_peer_has_no_more_handed_on_than_its_rate),
		cmocka_unit_test(test_a_lost_machines_pod_comes_back_where_records_stay),
		cmocka_unit_test(test_a_machine_that_was_cut_off_is_asked_what_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
