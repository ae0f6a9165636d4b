/* SPDX-License-Identifier: Apache-2.0 */
/* How machines learn where the agents of pods are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "identity/derive.h"
#include "world.h"

enum {
	RUNNER, /* has the pod */
	OTHER,
	THIRD,
	MACHINES,
	SOON_MS = 200,
	FORGOTTEN_MS = 11 * 60 * 1000,
	LIES = 100,
};

static char namespace[] = "default", kind[] = "ReplicaSet", name[] = "web", pod_name[] = "web-1";
static char none[] = "";

struct story {
	struct world *world;
	struct uid pod;
	struct node_id key;
	struct addr addr;
};

/* A pod of RUNNER; its agent is not told of yet. */
static void begin(struct story *story)
{
	static const uint8_t random[UID_POD_RANDOM_LEN] = {7};
	struct message warrant = {.type = MESSAGE_WARRANT};
	struct presence pod = {
		.object = {.namespace = namespace, .kind = kind, .name = name},
		.pod_name = pod_name,
		.node_name = none,
		.reason = none,
		.message = none,
		.pod_ip = none,
		.host_ip = none,
		.phase = POD_RUNNING,
		.started_ms = 1,
	};

	*story = (struct story){.world = world_new(MACHINES)};
	world_settle(story->world);
	memset(pod.object.uid.byte, 4, UID_LEN);
	pod.node = story->world->machines[RUNNER].id;
	pod.pod_uid = story->pod = uid_of_pod(&pod.object.uid, &pod.node, random);
	warrant.warrant = (struct warrant){.pod_uid = pod.pod_uid,
					   .object = pod.object,
					   .pod_name = pod_name,
					   .machine = pod.node,
					   .kind = (char[]){"Deployment"},
					   .name = name};
	world_seal(story->world, OTHER, 0, &warrant, &pod.warrant);
	node_pod_recovered(story->world->machines[RUNNER].node, story->world->now, &pod,
			   bytes_str("{}"));
	world_run_ms(story->world, SOON_MS);
	buf_deinit(&pod.warrant);
	memset(story->key.byte, 9, ID_LEN);
	assert_true(addr_parse("10.0.0.7:7000", &story->addr));
}

static void tell_here(struct story *story)
{
	node_agent_here(story->world->machines[RUNNER].node, story->world->now, &story->pod,
			&story->key, &story->addr);
	world_run_ms(story->world, SOON_MS);
}

static size_t known(struct story *story, size_t machine,
		    struct agent_heard ret_agents[MESSAGE_AGENTS_MAX])
{
	return node_agents(story->world->machines[machine].node, story->world->now,
			   &(struct uid){{0}}, ret_agents);
}

static void a_new_agent_is_heard_of_at_once(void **state)
{
	struct agent_heard heard[MESSAGE_AGENTS_MAX];
	struct story story;

	(void)state;
	begin(&story);
	assert_int_equal(known(&story, OTHER, heard), 0);
	tell_here(&story);
	for (size_t i = 0; i < MACHINES; i++) {
		assert_int_equal(known(&story, i, heard), 1);
		assert_true(node_id_equal(&heard[0].id, &story.key));
		assert_true(addr_equal(&heard[0].addr, &story.addr));
	}
	/* Not to itself. */
	assert_int_equal(node_agents(story.world->machines[RUNNER].node, story.world->now,
				     &story.pod, heard),
			 0);
	world_free(story.world);
}

static void a_successor_takes_the_place_of_the_one_before(void **state)
{
	struct agent_heard heard[MESSAGE_AGENTS_MAX];
	struct story story;
	size_t position = 0;
	struct uid pod;

	(void)state;
	begin(&story);
	tell_here(&story);
	story.key.byte[0] = 1;
	tell_here(&story);
	/* Its own come first; others may still tell of the one before. */
	assert_true(known(&story, RUNNER, heard) >= 1);
	assert_true(node_id_equal(&heard[0].id, &story.key));
	assert_true(node_next_agent_here(story.world->machines[RUNNER].node, &position, &pod));
	assert_true(uid_equal(&pod, &story.pod));
	assert_false(node_next_agent_here(story.world->machines[RUNNER].node, &position, &pod));
	world_free(story.world);
}

static void who_is_not_told_of_any_more_is_forgotten(void **state)
{
	struct agent_heard heard[MESSAGE_AGENTS_MAX];
	struct story story;

	(void)state;
	begin(&story);
	tell_here(&story);
	world_run_ms(story.world, FORGOTTEN_MS);
	assert_int_equal(known(&story, OTHER, heard), 1); /* told again and again */
	world_crash(story.world, RUNNER);
	world_run_ms(story.world, FORGOTTEN_MS);
	assert_int_equal(known(&story, OTHER, heard), 0);
	assert_int_equal(known(&story, THIRD, heard), 0);
	world_free(story.world);
}

/* One message with a full list of agents that nobody has. */
static void lie(struct story *story, uint8_t number)
{
	struct agent_heard list[MESSAGE_AGENTS_MAX] = {0};
	struct message message = {.type = MESSAGE_AGENTS_HEARD};
	struct packet packet = {.is_envelope = false};
	struct buf body = {0}, bytes = {0};

	for (uint8_t i = 0; i < MESSAGE_AGENTS_MAX; i++) {
		memset(list[i].id.byte, 100 + i, ID_LEN);
		list[i].id.byte[0] = number;
		list[i].addr = story->addr;
	}
	message.agents_heard = (struct agents_heard){list, MESSAGE_AGENTS_MAX, true};
	message_encode(&message, &body);
	packet.body = bytes_buf(&body);
	packet_encode(&packet, &bytes);
	world_packet(story->world, THIRD, OTHER, bytes_buf(&bytes));
	buf_deinit(&body);
	buf_deinit(&bytes);
}

static void one_liar_does_not_drive_the_truth_out(void **state)
{
	struct agent_heard heard[MESSAGE_AGENTS_MAX];
	bool found = false;
	struct story story;

	(void)state;
	begin(&story);
	tell_here(&story);
	for (int i = 0; i < LIES; i++) {
		lie(&story, (uint8_t)i);
		world_run_ms(story.world, SOON_MS);
	}
	/* Which of them are told is chance: it is among them soon. */
	for (int i = 0; i < LIES && !found; i++) {
		size_t count = known(&story, OTHER, heard);

		assert_int_equal(count, MESSAGE_AGENTS_MAX);
		for (size_t k = 0; k < count; k++)
			found |= node_id_equal(&heard[k].id, &story.key);
	}
	assert_true(found);
	world_free(story.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_agent_is_heard_of_at_once),
		cmocka_unit_test(a_successor_takes_the_place_of_the_one_before),
		cmocka_unit_test(who_is_not_told_of_any_more_is_forgotten),
		cmocka_unit_test(one_liar_does_not_drive_the_truth_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
