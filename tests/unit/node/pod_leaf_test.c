/* SPDX-License-Identifier: Apache-2.0 */
/* Who is asked to sign for a pod, and what is refused there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "identity/derive.h"
#include "identity/pod_key.h"
#include "world.h"

enum {
	OWNER,  /* awarded the pod */
	RUNNER, /* has it; no steward */
	OTHER,  /* a steward too */
};

static char namespace[] = "default", kind[] = "ReplicaSet", name[] = "web", pod_name[] = "web-1";
static char none[] = "";

struct story {
	struct world *world;
	struct presence pod;
	struct key key;
	struct node_pod_leaf_ask ask;
};

static void prove(struct story *story, enum pod_key_use use, const char *pod)
{
	pod_key_prove(&story->key, use, &(struct pod_key_name){namespace, pod}, story->ask.proof);
}

static void begin(struct story *story)
{
	static const uint8_t random[UID_POD_RANDOM_LEN] = {7}, seed[KEY_SEED_LEN] = {8};
	struct message warrant = {.type = MESSAGE_WARRANT};
	struct presence *pod = &story->pod;

	*story = (struct story){.world = world_new(3), .key = key_from_seed(seed)};
	story->world->machines[RUNNER].steward = false;
	world_settle(story->world);
	memset(pod->object.uid.byte, 4, UID_LEN);
	pod->object.namespace = namespace;
	pod->object.kind = kind;
	pod->object.name = name;
	pod->pod_name = pod_name;
	pod->node_name = pod->reason = pod->message = pod->pod_ip = pod->host_ip = none;
	pod->phase = POD_RUNNING;
	pod->started_ms = 1;
	pod->node = story->world->machines[RUNNER].id;
	pod->pod_uid = uid_of_pod(&pod->object.uid, &pod->node, random);
	warrant.warrant = (struct warrant){
		.pod_uid = pod->pod_uid,
		.object = pod->object,
		.pod_name = pod_name,
		.machine = pod->node,
		.kind = (char[]){"Deployment"},
		.name = name,
	};
	world_seal(story->world, OWNER, 0, &warrant, &pod->warrant);
	node_pod_recovered(story->world->machines[RUNNER].node, story->world->now, pod,
			   bytes_str("{}"));
	world_run_ms(story->world, 100);
	story->ask = (struct node_pod_leaf_ask){
		.pod_uid = pod->pod_uid, .request = 77, .key = story->key.public_key};
	prove(story, POD_KEY_AGENT, pod_name);
}

static void end(struct story *story)
{
	buf_deinit(&story->pod.warrant);
	world_free(story->world);
}

static int ask_of(struct story *story, size_t machine)
{
	int r = node_pod_leaf_ask(story->world->machines[machine].node, story->world->now,
				  &story->ask);

	world_run_ms(story->world, 100);
	return r;
}

static void test_the_owner_is_asked_first_then_any_steward(void **state)
{
	struct machine *machines;
	struct story story;

	(void)state;
	begin(&story);
	machines = story.world->machines;
	assert_int_equal(ask_of(&story, RUNNER), 0);
	assert_int_equal(machines[OWNER].leaf_wants, 1);
	assert_true(node_id_equal(&machines[OWNER].leaf_to, &machines[RUNNER].id));
	assert_true(node_id_equal(&machines[OWNER].leaf_key, &story.key.public_key));
	assert_int_equal(machines[OWNER].leaf_request, 77);
	assert_string_equal(machines[OWNER].leaf_pod, "web-1");
	for (story.ask.attempt = 1; story.ask.attempt < 3; story.ask.attempt++)
		assert_int_equal(ask_of(&story, RUNNER), 0);
	assert_int_equal(machines[OTHER].leaf_wants, 1); /* who did not award it */
	assert_int_equal(machines[RUNNER].leaf_wants, 0);
	end(&story);
}

static void test_the_answer_comes_back(void **state)
{
	struct pod_leaf answer = {.request = 77, .text = none};
	struct machine *machines;
	struct story story;

	(void)state;
	begin(&story);
	machines = story.world->machines;
	assert_int_equal(ask_of(&story, RUNNER), 0);
	buf_append_str(&answer.chain.certs[0], "leaf");
	answer.chain.cert_count = 1;
	node_pod_leaf_answer(machines[OWNER].node, story.world->now, &machines[OWNER].leaf_to,
			     &answer);
	world_run_ms(story.world, 100);
	assert_int_equal(machines[RUNNER].leaf_answers, 1);
	assert_int_equal(machines[RUNNER].leaf_request, 77);
	assert_int_equal(machines[RUNNER].leaf_certs, 1);
	buf_deinit(&answer.chain.certs[0]);
	end(&story);
}

static void expect_refusal(struct story *story, const char *text)
{
	const struct machine *machines = story->world->machines;

	assert_int_equal(machines[OWNER].leaf_wants, 0);
	assert_int_equal(machines[RUNNER].leaf_answers, 1);
	assert_int_equal(machines[RUNNER].leaf_certs, 0);
	assert_string_equal(machines[RUNNER].leaf_refusal, text);
	end(story);
}

static void test_a_key_that_nobody_proved_to_have_is_refused(void **state)
{
	struct story story;

	(void)state;
	begin(&story);
	prove(&story, POD_KEY_AGENT, "web-2"); /* for another pod */
	assert_int_equal(ask_of(&story, RUNNER), 0);
	expect_refusal(&story, "nobody has proved to have that key");
}

static void test_the_key_of_an_application_is_none_of_an_agent(void **state)
{
	struct story story;

	(void)state;
	begin(&story);
	prove(&story, POD_KEY_APPLICATION, pod_name);
	assert_int_equal(ask_of(&story, RUNNER), 0);
	expect_refusal(&story, "nobody has proved to have that key");
	begin(&story);
	story.ask.application = true;
	assert_int_equal(ask_of(&story, RUNNER), 0);
	expect_refusal(&story, "nobody has proved to have that key");
	begin(&story);
	story.ask.application = true;
	prove(&story, POD_KEY_APPLICATION, pod_name);
	assert_int_equal(ask_of(&story, RUNNER), 0);
	assert_int_equal(story.world->machines[OWNER].leaf_wants, 1);
	assert_true(story.world->machines[OWNER].leaf_of_application);
	end(&story);
}

static void test_a_deleted_pod_is_refused(void **state)
{
	struct story story;
	uint64_t token;

	(void)state;
	begin(&story);
	assert_int_equal(node_dispose(story.world->machines[OWNER].node, story.world->now,
				      &story.pod.object, &story.pod.pod_uid, 3600, &token),
			 0);
	assert_int_equal(ask_of(&story, RUNNER), 0);
	expect_refusal(&story, "the pod is deleted");
}

/* A warrant is no secret: who shows that of another machine gets nothing. */
static void test_the_pod_of_another_machine_is_refused(void **state)
{
	struct message want = {.type = MESSAGE_POD_LEAF_WANT};
	struct packet packet = {0};
	struct buf encoded = {0}, bytes = {0};
	struct machine *machines;
	struct story story;

	(void)state;
	begin(&story);
	machines = story.world->machines;
	want.pod_leaf_want.request = 5;
	want.pod_leaf_want.warrant = story.pod.warrant;
	want.pod_leaf_want.key = story.key.public_key;
	memcpy(want.pod_leaf_want.proof, story.ask.proof, MESSAGE_PROOF_LEN);
	message_encode(&want, &encoded);
	packet.body = bytes_buf(&encoded);
	packet_encode(&packet, &bytes);
	world_packet(story.world, OTHER, OWNER, bytes_buf(&bytes));
	world_run_ms(story.world, 100);
	assert_int_equal(machines[OWNER].leaf_wants, 0);
	assert_int_equal(machines[OTHER].leaf_answers, 1);
	assert_string_equal(machines[OTHER].leaf_refusal, "the pod is awarded to another machine");
	buf_deinit(&encoded);
	buf_deinit(&bytes);
	end(&story);
}

static void test_who_asks_without_end_is_not_answered(void **state)
{
	struct machine *machines;
	struct story story;

	(void)state;
	begin(&story);
	machines = story.world->machines;
	for (int i = 0; i < 300; i++)
		(void)!node_pod_leaf_ask(machines[RUNNER].node, story.world->now, &story.ask);
	world_run_ms(story.world, 100);
	assert_true(machines[OWNER].leaf_wants >= 200 && machines[OWNER].leaf_wants <= 240);
	assert_true(node_counter(machines[OWNER].node, NODE_COUNT_RATE) > 0);
	end(&story);
}

static void test_a_pod_that_is_not_here_has_none(void **state)
{
	struct story story;

	(void)state;
	begin(&story);
	assert_int_equal(ask_of(&story, OTHER), NODE_E_NOT_FOUND);
	end(&story);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_owner_is_asked_first_then_any_steward),
		cmocka_unit_test(test_the_answer_comes_back),
		cmocka_unit_test(test_a_key_that_nobody_proved_to_have_is_refused),
		cmocka_unit_test(test_the_key_of_an_application_is_none_of_an_agent),
		cmocka_unit_test(test_a_deleted_pod_is_refused),
		cmocka_unit_test(test_the_pod_of_another_machine_is_refused),
		cmocka_unit_test(test_who_asks_without_end_is_not_answered),
		cmocka_unit_test(test_a_pod_that_is_not_here_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
