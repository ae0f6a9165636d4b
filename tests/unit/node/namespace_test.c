/* SPDX-License-Identifier: Apache-2.0 */
/* A steward of one namespace forges everything it can sign about another. Machine 2 is the liar: it
 * is a steward of "other", and what it means is in "default". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "identity/sha256.h"
#include "market/tender.h"
#include "world.h"

enum {
	LIAR = 2,
};

static char own[] = "other", foreign[] = "default", kind[] = "ReplicaSet", name[] = "web";
static struct world *world;
static struct uid uid;

static int setup(void **state)
{
	(void)state;
	world = world_new(3);
	world->machines[LIAR].namespace = own;
	world_settle(world);
	while (world_next_controller(world) == LIAR)
		world->serial++; /* whose task it is must be a steward of the namespace */
	uid = world_deploy(world, 0, 3);
	world_run_ms(world, 1000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_free(world);
	return 0;
}

static struct object_ref object_in(char *namespace)
{
	return (struct object_ref){.uid = uid, .namespace = namespace, .kind = kind, .name = name};
}

/* The liar says it to both others; each refuses it as not its to say. */
static void expect_refused(const struct message *message)
{
	struct buf envelope = {0};

	world_seal(world, LIAR, 0, message, &envelope);
	for (size_t to = 0; to < LIAR; to++) {
		uint64_t before = node_counter(world->machines[to].node, NODE_COUNT_ROLE);

		world_inject(world, LIAR, to, bytes_buf(&envelope));
		assert_int_equal(node_counter(world->machines[to].node, NODE_COUNT_ROLE),
				 before + 1);
	}
	buf_deinit(&envelope);
	world_run_ms(world, 2000);
	for (size_t i = 0; i < world->count; i++) {
		size_t machines;

		assert_int_equal(world_running(world, i, &uid, &machines), 3);
		assert_int_equal(world->machines[i].stops, 0);
	}
}

/* A record newer than any there is. */
static void fill_record(struct message *message, enum record_kind which, char *namespace,
			const char *value)
{
	struct record *record = &message->record;
	struct wall now = node_fabric_time(world->machines[0].node, world->now);

	message->type = MESSAGE_RECORD;
	record->key = (struct record_key){.kind = which, .uid = uid};
	record->object = object_in(namespace);
	record->version.generation = 99;
	record->version.hlc = ((uint64_t)now.ms + 1000) << RECORDS_HLC_SHIFT;
	record->version.digest = sha256(bytes_str(value));
	record->written_ms = now.ms;
	buf_append_str(&record->value, value);
}

static void test_it_writes_no_object_there(void **state)
{
	struct message message = {0};

	(void)state;
	fill_record(&message, RECORD_OBJECT, foreign, "{}");
	expect_refused(&message);
	buf_deinit(&message.record.value);
}

/* The record says its own namespace, and is about an object that lies in the other. */
static void test_it_moves_no_object_into_its_namespace(void **state)
{
	struct message message = {0};

	(void)state;
	fill_record(&message, RECORD_OBJECT, own, "{}");
	expect_refused(&message);
	buf_deinit(&message.record.value);
}

static void test_it_buries_no_object_there(void **state)
{
	struct message message = {0};

	(void)state;
	fill_record(&message, RECORD_TOMBSTONE, foreign, "");
	expect_refused(&message);
	buf_deinit(&message.record.value);
}

static void test_it_disposes_of_nothing_there(void **state)
{
	struct message message = {.type = MESSAGE_DISPOSAL};

	(void)state;
	message.disposal.object = object_in(foreign);
	expect_refused(&message);
}

static void test_it_tenders_for_nothing_there(void **state)
{
	static char nothing[] = "";
	static uint32_t slots[] = {7};
	struct message message = {.type = MESSAGE_TENDER};

	(void)state;
	message.tender.object = object_in(foreign);
	message.tender.slots = slots;
	message.tender.slot_count = 1;
	message.tender.generation = 1;
	message.tender.needs.engine = nothing;
	message.tender.needs.architecture = nothing;
	message.tender.id = tender_id(&uid, 1, 0, slots, 1);
	expect_refused(&message);
}

static void test_its_own_gateway_takes_no_write_there(void **state)
{
	const struct object_ref object = object_in(foreign);
	const struct node_put put = {.object = &object, .generation = 2, .json = bytes_str("{}")};
	uint64_t token, hlc;

	(void)state;
	assert_int_equal(node_put(world->machines[LIAR].node, world->now, &put, &token, &hlc),
			 NODE_E_ROLE);
	assert_int_equal(node_dispose(world->machines[LIAR].node, world->now, &object,
				      &(struct uid){0}, 0, &token),
			 NODE_E_ROLE);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_it_writes_no_object_there),
		TEST(test_it_moves_no_object_into_its_namespace),
		TEST(test_it_buries_no_object_there),
		TEST(test_it_disposes_of_nothing_there),
		TEST(test_it_tenders_for_nothing_there),
		TEST(test_its_own_gateway_takes_no_write_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
