/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas that miss each other: what that brings about, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "world.h"

enum {
	MACHINES = 5,
	REPLICAS = 4, /* one machine has none */
	RUNNING_MS = 5000,
	NOTICED_MS = 1500, /* after the loss: heartbeats of agents are missed after 1 to 6 s */
	STEP_MS = 10,
	GIVE_UP_MS = 30 * 1000,
	SOONER_MS = 2000,
	QUIET_MS = 20 * 1000,
	REPORTS = 1000,
};

struct replica {
	size_t machine;
	struct uid uid;
	char name[MESSAGE_NAME_MAX + 1];
};

struct story {
	struct world *world;
	struct uid object;
	struct replica replicas[REPLICAS];
	size_t count;
	size_t idle; /* the machine without a replica */
};

static size_t machine_of(const struct world *world, const struct node_id *id)
{
	for (size_t i = 0; i < world->count; i++)
		if (node_id_equal(&world->machines[i].id, id))
			return i;
	return world->count;
}

static void note(struct story *story, const struct record_item *item)
{
	struct replica *replica = &story->replicas[story->count++];
	struct presence presence;

	assert_true(story->count <= REPLICAS);
	assert_int_equal(presence_decode(bytes_buf(&item->record.value), &presence), 0);
	replica->machine = machine_of(story->world, &presence.node);
	replica->uid = presence.pod_uid;
	memcpy(replica->name, presence.pod_name, strlen(presence.pod_name) + 1);
	story->object = presence.object.uid;
	presence_deinit(&presence);
}

static void begin(struct story *story)
{
	const struct record_item *item;
	size_t position = 0;
	bool busy[MACHINES] = {0};

	*story = (struct story){.world = world_new(MACHINES)};
	world_settle(story->world);
	(void)world_deploy(story->world, 0, REPLICAS);
	world_run_ms(story->world, RUNNING_MS);
	while ((item = records_next(node_records(story->world->machines[0].node), RECORD_PRESENCE,
				    NULL, NULL, &position)))
		note(story, item);
	assert_int_equal(story->count, REPLICAS);
	for (size_t i = 0; i < REPLICAS; i++)
		busy[story->replicas[i].machine] = true;
	while (busy[story->idle])
		story->idle++;
	assert_true(story->idle < MACHINES);
}

static size_t alive(const struct story *story)
{
	return overlay_alive_count(node_overlay(story->world->machines[story->idle].node));
}

static uint64_t accused(const struct story *story, size_t machine)
{
	return node_counter(story->world->machines[machine].node, NODE_COUNT_ACCUSED);
}

static void miss(struct story *story, const struct replica *reporter, const struct replica *lost)
{
	node_sibling_missing(story->world->machines[reporter->machine].node, story->world->now,
			     &reporter->uid, lost->name);
}

/* How long the others take to know that a machine is lost. */
static int64_t lost_after_ms(bool missed)
{
	struct story story;
	int64_t ms = 0;

	begin(&story);
	world_crash(story.world, story.replicas[1].machine);
	for (; alive(&story) == MACHINES && ms < GIVE_UP_MS; ms += STEP_MS) {
		if (missed && ms == NOTICED_MS)
			miss(&story, &story.replicas[0], &story.replicas[1]);
		world_run_ms(story.world, STEP_MS);
	}
	world_free(story.world);
	return ms;
}

static void a_lost_machine_is_known_sooner_when_replicas_miss_its_own(void **state)
{
	int64_t by_silence_ms = lost_after_ms(false), missed_ms = lost_after_ms(true);

	(void)state;
	print_message("lost after %lld ms by silence alone, %lld ms when missed\n",
		      (long long)by_silence_ms, (long long)missed_ms);
	assert_in_range(by_silence_ms, 1, GIVE_UP_MS - STEP_MS);
	assert_true(missed_ms + SOONER_MS <= by_silence_ms);
}

/* Its machine answers, and that is the end of it. */
static void who_is_missed_and_lives_stays(void **state)
{
	struct story story;

	(void)state;
	begin(&story);
	for (size_t i = 1; i < REPLICAS; i++)
		miss(&story, &story.replicas[i], &story.replicas[0]);
	world_run_ms(story.world, QUIET_MS);
	assert_true(accused(&story, story.idle) > 0);
	assert_int_equal(alive(&story), MACHINES);
	for (size_t i = 0; i < MACHINES; i++)
		assert_int_equal(story.world->machines[i].stops, 0);
	world_free(story.world);
}

static void say(struct story *story, size_t from, const char *pod)
{
	struct message message = {.type = MESSAGE_SIBLING_MISSING};
	struct packet packet = {.is_envelope = false};
	struct buf body = {0}, bytes = {0};

	message.sibling_missing = (struct sibling_missing){story->object, (char *)(uintptr_t)pod};
	message_encode(&message, &body);
	packet.body = bytes_buf(&body);
	packet_encode(&packet, &bytes);
	world_packet(story->world, from, (from + 1) % MACHINES, bytes_buf(&bytes));
	buf_deinit(&body);
	buf_deinit(&bytes);
}

static void who_has_no_replica_is_not_believed(void **state)
{
	struct story story;
	size_t to;

	(void)state;
	begin(&story);
	to = (story.idle + 1) % MACHINES;
	for (size_t i = 0; i < REPLICAS; i++)
		say(&story, story.idle, story.replicas[i].name);
	world_run_ms(story.world, STEP_MS);
	assert_int_equal(accused(&story, to), 0);
	world_free(story.world);
}

static void who_misses_without_end_is_not_heard(void **state)
{
	struct story story;
	size_t from, to;

	(void)state;
	begin(&story);
	from = story.replicas[0].machine;
	to = (from + 1) % MACHINES;
	for (size_t i = 0; i < REPORTS; i++)
		say(&story, from, "nobody");
	world_run_ms(story.world, STEP_MS);
	assert_int_equal(accused(&story, to), 0); /* there is none of that name */
	assert_true(node_counter(story.world->machines[to].node, NODE_COUNT_RATE) > 0);
	world_free(story.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lost_machine_is_known_sooner_when_replicas_miss_its_own),
		cmocka_unit_test(who_is_missed_and_lives_stays),
		cmocka_unit_test(who_has_no_replica_is_not_believed),
		cmocka_unit_test(who_misses_without_end_is_not_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
