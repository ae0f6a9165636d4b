/* SPDX-License-Identifier: Apache-2.0 */
/* What happened is told by every machine of a fabric that is larger than the pools. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

enum {
	MACHINES = 24,
	POOL = 8,
	REPLICAS = 3,
	FORMING_MS = 40 * 1000,
	READ_MS = 12 * 1000, /* longer than any refresh takes */
};

struct count {
	const char *reason;
	size_t count;
};

static void count_reason(void *arg, const struct happening *what, const struct uid *id)
{
	struct count *count = arg;

	(void)id;
	count->count += strcmp(what->reason, count->reason) == 0;
}

static size_t told(struct world *world, size_t machine, const char *reason)
{
	struct count count = {.reason = reason};

	node_journal_each(world->machines[machine].node, world->now, "default", count_reason,
			  &count);
	return count.count;
}

static void refresh(struct world *world, size_t machine)
{
	struct node_scope scope = {.kind = "Event", .namespace = "default"};
	uint64_t token;

	assert_int_equal(node_refresh(world->machines[machine].node, world->now, &scope, &token),
			 0);
}

static struct world *large_world(void)
{
	struct world *world = world_new(MACHINES);

	world->pool = POOL;
	world_settle(world);
	world_run_ms(world, FORMING_MS);
	return world;
}

static void test_every_machine_can_tell_what_happened(void **state)
{
	struct world *world = large_world();
	size_t strangers = 0;

	(void)state;
	(void)world_deploy(world, 0, REPLICAS);
	world_run_ms(world, READ_MS);
	for (size_t i = 0; i < MACHINES; i++)
		strangers += told(world, i, "Scheduled") == 0;
	assert_true(strangers > MACHINES / 2); /* only keepers know without asking */
	for (size_t i = 0; i < MACHINES; i++)
		refresh(world, i);
	world_run_ms(world, READ_MS);
	for (size_t i = 0; i < MACHINES; i++)
		assert_int_equal(told(world, i, "Scheduled"), REPLICAS);
	world_free(world);
}

static void test_what_was_heard_is_forgotten_unless_it_is_asked_for_again(void **state)
{
	struct world *world = large_world();
	size_t knowing = 0;

	(void)state;
	(void)world_deploy(world, 0, REPLICAS);
	world_run_ms(world, READ_MS);
	for (size_t i = 0; i < MACHINES; i++)
		refresh(world, i);
	world_run_ms(world, READ_MS + 2 * JOURNAL_COPY_MS);
	for (size_t i = 0; i < MACHINES; i++)
		knowing += told(world, i, "Scheduled") > 0;
	assert_true(knowing <= RECORDS_KEEPERS + 1);
	world_free(world);
}

static void test_in_a_small_fabric_nobody_needs_to_ask(void **state)
{
	struct world *world = world_new(4);

	(void)state;
	world_settle(world);
	(void)world_deploy(world, 0, REPLICAS);
	world_run_ms(world, READ_MS);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(told(world, i, "Scheduled"), REPLICAS);
		assert_int_equal(
			node_traffic(world->machines[i].node, MESSAGE_JOURNAL_ASK).messages, 0);
	}
	world_free(world);
}

/* A Service with the node port 30080, written now. */
static void put_service(struct world *world, const char *name, uint8_t id, const char *created)
{
	struct object_ref object = {.namespace = (char[]){"default"},
				    .kind = (char[]){"Service"},
				    .name = (char *)(uintptr_t)name};
	struct node_put put = {.object = &object, .generation = 1};
	struct buf json = {0};
	uint64_t token, hlc;

	memset(object.uid.byte, id, sizeof(object.uid.byte));
	buf_append_format(
		&json,
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"%s\","
		"\"namespace\":\"default\",\"uid\":\"%s\",\"creationTimestamp\":\"%s\"},"
		"\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"protocol\":"
		"\"TCP\",\"nodePort\":30080}]}}",
		name, uid_text(&object.uid).text, created);
	put.json = bytes_buf(&json);
	assert_int_equal(node_put(world->machines[0].node, world->now, &put, &token, &hlc), 0);
	buf_deinit(&json);
}

static void check_clash(void *arg, const struct happening *what, const struct uid *id)
{
	size_t *count = arg;

	(void)id;
	if (strcmp(what->reason, "PortAlreadyAllocated") != 0)
		return;
	++*count;
	assert_string_equal(what->name, "younger");
	assert_non_null(strstr(what->message, "30080"));
	assert_non_null(strstr(what->message, "default/older"));
}

static void test_a_node_port_that_two_services_have_is_told_of_the_younger(void **state)
{
	struct world *world = world_new(4);
	size_t count = 0;

	(void)state;
	world_settle(world);
	put_service(world, "younger", 1, "2024-01-01T00:00:01Z");
	world_run_ms(world, READ_MS);
	assert_int_equal(told(world, 2, "PortAlreadyAllocated"), 0);
	put_service(world, "older", 2, "2024-01-01T00:00:00Z");
	world_run_ms(world, READ_MS);
	node_journal_each(world->machines[2].node, world->now, "default", check_clash, &count);
	assert_int_equal(count, 1);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_machine_can_tell_what_happened),
		cmocka_unit_test(test_what_was_heard_is_forgotten_unless_it_is_asked_for_again),
		cmocka_unit_test(test_in_a_small_fabric_nobody_needs_to_ask),
		cmocka_unit_test(test_a_node_port_that_two_services_have_is_told_of_the_younger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
