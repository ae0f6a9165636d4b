/* SPDX-License-Identifier: Apache-2.0 */
/* A presence counts only with a warrant that fits it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "identity/derive.h"
#include "world.h"

enum {
	OWNER, /* the only one that controls and hears */
	RUNNER,
	WORKER, /* no steward */
};

static char namespace[] = "default", kind[] = "ReplicaSet", other_kind[] = "StatefulSet";
static char name[] = "web", pod_name[] = "web-1", other_pod_name[] = "web-2", none[] = "";

/* What the machine RUNNER says, and what is wrong with it. */
struct claim {
	struct presence presence;
	struct warrant warrant;
	size_t signer;
	bool without, gone;
};

static struct claim sound_claim(const struct world *world)
{
	static const uint8_t random[UID_POD_RANDOM_LEN] = {7};
	struct claim claim = {.presence = {.phase = POD_RUNNING, .slot = 2, .epoch = 5}};
	struct presence *pod = &claim.presence;

	memset(pod->object.uid.byte, 4, UID_LEN);
	pod->object.namespace = namespace;
	pod->object.kind = kind;
	pod->object.name = name;
	pod->pod_name = pod_name;
	pod->node_name = pod->reason = pod->message = pod->pod_ip = pod->host_ip = none;
	pod->node = world->machines[RUNNER].id;
	pod->pod_uid = uid_of_pod(&pod->object.uid, &pod->node, random);
	claim.warrant = (struct warrant){
		.pod_uid = pod->pod_uid,
		.object = pod->object,
		.pod_name = pod->pod_name,
		.slot = pod->slot,
		.epoch = pod->epoch,
		.machine = pod->node,
	};
	return claim;
}

/* Does OWNER believe it? */
static bool is_believed(struct world *world, struct claim *claim)
{
	struct message warrant = {.type = MESSAGE_WARRANT, .warrant = claim->warrant};
	struct message message = {.type = MESSAGE_RECORD};
	struct record *record = &message.record;
	struct buf envelope = {0};
	const struct record_item *item;
	static uint64_t later;
	bool believed;

	if (!claim->without)
		world_seal(world, claim->signer, 0, &warrant, &claim->presence.warrant);
	record->key = (struct record_key){.kind = RECORD_PRESENCE,
					  .uid = claim->presence.object.uid,
					  .sub = claim->presence.pod_uid};
	record->object = claim->presence.object;
	record->gone = claim->gone;
	record->version.hlc =
		((uint64_t)node_fabric_time(world->machines[RUNNER].node, world->now).ms
		 << RECORDS_HLC_SHIFT) +
		++later;
	record->written_ms = node_fabric_time(world->machines[RUNNER].node, world->now).ms;
	presence_encode(&claim->presence, &record->value);
	world_seal(world, RUNNER, 0, &message, &envelope);
	world_inject(world, RUNNER, OWNER, bytes_buf(&envelope));
	item = records_get(node_records(world->machines[OWNER].node), &record->key);
	believed = item && item->record.version.hlc == record->version.hlc;
	buf_deinit(&claim->presence.warrant);
	buf_deinit(&record->value);
	buf_deinit(&envelope);
	return believed;
}

static struct world *fabric_of_three(void)
{
	struct world *world = world_new(3);

	world->machines[WORKER].steward = false;
	world_settle(world);
	return world;
}

static void test_a_pod_that_was_awarded_is_believed(void **state)
{
	struct world *world = fabric_of_three();
	struct claim claim = sound_claim(world);

	(void)state;
	assert_true(is_believed(world, &claim));
	assert_true(is_believed(world, &claim)); /* and again, without a look at signatures */
	assert_int_equal(node_counter(world->machines[OWNER].node, NODE_COUNT_ROLE), 0);
	world_free(world);
}

static void spoil_signer(struct claim *claim)
{
	claim->signer = WORKER;
}

static void spoil_presence(struct claim *claim)
{
	claim->without = true;
}

static void spoil_slot(struct claim *claim)
{
	claim->warrant.slot++;
}

static void spoil_epoch(struct claim *claim)
{
	claim->presence.epoch++;
}

static void spoil_earlier_epoch(struct claim *claim)
{
	claim->presence.revision = 1; /* an ordinal: its epoch may have been raised only */
	claim->presence.epoch--;
}

static void spoil_machine(struct claim *claim)
{
	claim->warrant.machine.byte[0] ^= 1;
}

static void spoil_pod(struct claim *claim)
{
	claim->warrant.pod_uid.byte[0] ^= 1;
}

static void spoil_name(struct claim *claim)
{
	claim->warrant.pod_name = other_pod_name;
}

static void spoil_object(struct claim *claim)
{
	claim->warrant.object.uid.byte[0] ^= 1;
}

static void spoil_kind(struct claim *claim)
{
	claim->warrant.object.kind = other_kind;
}

static void test_any_other_warrant_is_worth_nothing(void **state)
{
	void (*const spoils[])(struct claim *) = {
		spoil_signer,  spoil_presence, spoil_slot, spoil_epoch,  spoil_earlier_epoch,
		spoil_machine, spoil_pod,      spoil_name, spoil_object, spoil_kind,
	};
	struct world *world = fabric_of_three();

	(void)state;
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		struct claim claim = sound_claim(world);

		spoils[i](&claim);
		assert_false(is_believed(world, &claim));
		assert_int_equal(node_counter(world->machines[OWNER].node, NODE_COUNT_ROLE), i + 1);
	}
	world_free(world);
}

/* What was believed once is no warrant for another slot. */
static void test_a_pod_does_not_move_to_another_slot(void **state)
{
	struct world *world = fabric_of_three();
	struct claim claim = sound_claim(world), moved = sound_claim(world);

	(void)state;
	assert_true(is_believed(world, &claim));
	moved.presence.slot++;
	assert_false(is_believed(world, &moved));
	world_free(world);
}

static void test_the_epoch_of_an_ordinal_may_be_raised(void **state)
{
	struct world *world = fabric_of_three();
	struct claim claim = sound_claim(world);

	(void)state;
	claim.presence.revision = 1;
	claim.presence.epoch++;
	assert_true(is_believed(world, &claim));
	world_free(world);
}

/* It claims nothing. */
static void test_that_a_pod_is_gone_needs_no_warrant(void **state)
{
	struct world *world = fabric_of_three();
	struct claim claim = sound_claim(world);

	(void)state;
	assert_true(is_believed(world, &claim));
	assert_int_equal(world_running(world, OWNER, &claim.presence.object.uid, NULL), 1);
	claim = sound_claim(world);
	claim.without = claim.gone = true;
	claim.presence.phase = POD_GONE;
	(void)is_believed(world, &claim);
	assert_int_equal(world_running(world, OWNER, &claim.presence.object.uid, NULL), 0);
	assert_int_equal(node_counter(world->machines[OWNER].node, NODE_COUNT_ROLE), 0);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pod_that_was_awarded_is_believed),
		cmocka_unit_test(test_any_other_warrant_is_worth_nothing),
		cmocka_unit_test(test_a_pod_does_not_move_to_another_slot),
		cmocka_unit_test(test_the_epoch_of_an_ordinal_may_be_raised),
		cmocka_unit_test(test_that_a_pod_is_gone_needs_no_warrant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
