/* SPDX-License-Identifier: Apache-2.0 */
/* Awards for slots that a machine fills already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "identity/derive.h"
#include "identity/sha256.h"
#include "market/tender.h"
#include "world.h"

/* An ordinal whose only registrar is nowhere. */
static const char ordinal[] =
	"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"db-0\",\"annotations\":{"
	"\"magik.io/registrars\":\"0707070707070707070707070707070707070707070707070707070707070707"
	"@10.9.9.9:4000\"},\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":"
	"\"StatefulSet\",\"name\":\"db\",\"uid\":\"0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01\","
	"\"controller\":true}]}}";

static uint64_t refused(const struct world *world)
{
	return node_counter(world->machines[1].node, NODE_COUNT_AWARD_NO_BID);
}

/* Machine 0 tenders @slot, machine 1 bids, and gets it. */
static void award(struct world *world, uint32_t slot, uint32_t attempt, const char *manifest)
{
	static const uint8_t random[UID_POD_RANDOM_LEN] = {1};
	struct message tender = {.type = MESSAGE_TENDER}, award = {.type = MESSAGE_AWARD};
	struct message warrant = {.type = MESSAGE_WARRANT};
	struct assignment assignment = {.slot = slot, .pod_name = (char[]){"db-0"}};
	uint8_t own[UID_POD_RANDOM_LEN];
	struct buf envelope = {0};

	memcpy(own, random, sizeof(own));
	own[0] = (uint8_t)attempt;
	tender.tender.object = (struct object_ref){.namespace = (char[]){"default"},
						   .kind = (char[]){"Pod"},
						   .name = (char[]){"db-0"}};
	memset(tender.tender.object.uid.byte, 5, UID_LEN);
	assignment.pod_uid = uid_of_pod(&tender.tender.object.uid, &world->machines[1].id, own);
	tender.tender.generation = 1;
	tender.tender.attempt = attempt;
	tender.tender.slots = &slot;
	tender.tender.slot_count = 1;
	tender.tender.needs.engine = (char[]){""};
	tender.tender.needs.architecture = (char[]){""};
	tender.tender.manifest_digest = sha256(bytes_str(manifest));
	tender.tender.id = tender_id(&tender.tender.object.uid, 1, attempt, &slot, 1);
	world_seal(world, 0, 0, &tender, &award.award.tender_envelope);
	world_inject(world, 0, 1, bytes_buf(&award.award.tender_envelope));
	award.award.tender_id = tender.tender.id;
	award.award.winner = world->machines[1].id;
	buf_append_str(&award.award.manifest, manifest);
	warrant.warrant = (struct warrant){
		.pod_uid = assignment.pod_uid,
		.object = tender.tender.object,
		.pod_name = assignment.pod_name,
		.slot = slot,
		.machine = world->machines[1].id,
	};
	world_seal(world, 0, 0, &warrant, &assignment.warrant);
	award.award.assignments = &assignment;
	award.award.assignment_count = 1;
	world_seal(world, 0, 0, &award, &envelope);
	world_inject(world, 0, 1, bytes_buf(&envelope));
	buf_deinit(&award.award.tender_envelope);
	buf_deinit(&award.award.manifest);
	buf_deinit(&assignment.warrant);
	buf_deinit(&envelope);
}

static void test_a_slot_that_it_fills_is_not_filled_again(void **state)
{
	struct world *world = world_new(2);

	(void)state;
	world_settle(world);
	award(world, 0, 0, "{}");
	assert_int_equal(world->machines[1].starts, 1);
	assert_int_equal(refused(world), 0);
	award(world, 0, 1, "{}");
	assert_int_equal(world->machines[1].starts, 1);
	assert_int_equal(refused(world), 1);
	award(world, 1, 2, "{}"); /* another one */
	assert_int_equal(world->machines[1].starts, 2);
	assert_int_equal(refused(world), 1);
	world_free(world);
}

/* Nobody confirms what it accepted: it stops that, and what stops fills no slot. */
static void test_what_is_being_stopped_fills_no_slot(void **state)
{
	struct world *world = world_new(2);

	(void)state;
	world_settle(world);
	award(world, 0, 0, "{}");
	assert_int_equal(world->machines[1].starts, 1);
	for (int i = 0; i < 100 && world->machines[1].stops == 0; i++)
		world_run_ms(world, 100);
	assert_int_equal(world->machines[1].stops, 1);
	award(world, 0, 1, "{}");
	assert_int_equal(world->machines[1].starts, 2);
	assert_int_equal(refused(world), 0);
	world_free(world);
}

static void test_an_ordinal_that_it_asks_for_is_not_asked_for_again(void **state)
{
	struct world *world = world_new(2);

	(void)state;
	world_settle(world);
	award(world, 0, 0, ordinal);
	assert_int_equal(world->machines[1].starts, 0);
	assert_int_equal(refused(world), 0);
	award(world, 0, 1, ordinal);
	assert_int_equal(refused(world), 1);
	assert_int_equal(world->machines[1].starts, 0);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_slot_that_it_fills_is_not_filled_again),
		cmocka_unit_test(test_what_is_being_stopped_fills_no_slot),
		cmocka_unit_test(test_an_ordinal_that_it_asks_for_is_not_asked_for_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
