/* SPDX-License-Identifier: Apache-2.0 */
/* What goes because something else went, in a fabric larger than the pools: owners and what they
 * own are kept by different machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

enum {
	MACHINES = 40,
	POOL = 16,
	FORMING_MS = 40 * 1000,
	SOON_MS = 5000,
	SWEPT_MS = 180 * 1000, /* owners that are kept elsewhere are asked for every minute */
	THINGS = 12,
};

static struct world *world;
static uint8_t serial;

static int setup(void **state)
{
	(void)state;
	world = world_new(MACHINES);
	world->pool = POOL;
	world_settle(world);
	world_run_ms(world, FORMING_MS);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_free(world);
	return 0;
}

struct thing {
	const char *kind, *namespace;
	char name[16];
	struct uid uid;
};

static struct object_ref ref_of(const struct thing *thing)
{
	return (struct object_ref){.uid = thing->uid,
				   .namespace = (char *)(uintptr_t)thing->namespace,
				   .kind = (char *)(uintptr_t)thing->kind,
				   .name = (char *)(uintptr_t)thing->name};
}

static void write_thing(size_t gateway, const struct thing *thing, const char *more)
{
	struct object_ref ref = ref_of(thing);
	struct buf json = {0};
	struct node_put put = {.object = &ref, .generation = 1, .expected_hlc = UINT64_MAX};
	uint64_t token, hlc;

	buf_append_format(&json,
			  "{\"apiVersion\":\"v1\",\"kind\":\"%s\",\"metadata\":{\"name\":\"%s\","
			  "\"namespace\":\"%s\",\"uid\":\"%s\",\"generation\":1%s},\"data\":{}}",
			  thing->kind, thing->name, thing->namespace, uid_text(&thing->uid).text,
			  more);
	put.json = bytes_buf(&json);
	assert_int_equal(node_put(world->machines[gateway].node, world->now, &put, &token, &hlc),
			 0);
	buf_deinit(&json);
}

static struct thing make(const char *kind, const char *namespace, const char *more)
{
	struct thing thing = {.kind = kind, .namespace = namespace};
	uint8_t random[UID_LEN];

	serial++;
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(serial * 37U + i * 11U);
	thing.uid = uid_from_random(random);
	(void)snprintf(thing.name, sizeof(thing.name), "t%u", (unsigned)serial);
	write_thing(serial % MACHINES, &thing, more);
	return thing;
}

static void remove_thing(size_t gateway, const struct thing *thing)
{
	struct object_ref ref = ref_of(thing);
	uint64_t token;

	assert_int_equal(node_dispose(world->machines[gateway].node, world->now, &ref,
				      &(struct uid){0}, 0, &token),
			 0);
}

static const char *owned_by(const struct thing *owner)
{
	static struct buf text;

	buf_clear(&text);
	buf_append_format(&text, ",\"ownerReferences\":[{\"kind\":\"%s\",\"uid\":\"%s\"}]",
			  owner->kind, uid_text(&owner->uid).text);
	return buf_cstr(&text);
}

/* On all machines that keep its home, or on none. */
static bool is_kept(const struct thing *thing)
{
	const struct record_key key = {.kind = RECORD_OBJECT, .uid = thing->uid};
	size_t keepers = 0, holders = 0;

	for (size_t i = 0; i < MACHINES; i++) {
		const struct records *records = node_records(world->machines[i].node);

		if (!records_keeps(records, &thing->uid))
			continue;
		keepers++;
		holders += records_get(records, &key) != NULL;
	}
	assert_true(keepers >= RECORDS_QUORUM);
	assert_true(holders == 0 || holders >= RECORDS_QUORUM);
	return holders > 0;
}

static void test_dependents_go_with_an_owner_that_is_kept_elsewhere(void **state)
{
	struct thing gone[THINGS], stays[THINGS], owned[THINGS], kept[THINGS], chain[THINGS];

	(void)state;
	for (size_t i = 0; i < THINGS; i++) {
		gone[i] = make("ConfigMap", "team", "");
		stays[i] = make("ConfigMap", "team", "");
		owned[i] = make("ConfigMap", "team", owned_by(&gone[i]));
		kept[i] = make("ConfigMap", "team", owned_by(&stays[i]));
		chain[i] = make("ConfigMap", "team", owned_by(&owned[i]));
		world_run_ms(world, 100);
	}
	world_run_ms(world, SOON_MS);
	for (size_t i = 0; i < THINGS; i++)
		remove_thing(i, &gone[i]);
	world_run_ms(world, 2 * SWEPT_MS);
	for (size_t i = 0; i < THINGS; i++) {
		assert_false(is_kept(&gone[i]));
		assert_false(is_kept(&owned[i]));
		assert_false(is_kept(&chain[i]));
		assert_true(is_kept(&stays[i]));
		assert_true(is_kept(&kept[i]));
	}
}

/* What names an owner that was deleted before it came goes, too. */
static void test_a_dependent_of_what_is_gone_goes(void **state)
{
	struct thing owner = make("ConfigMap", "team", ""), owned;

	(void)state;
	world_run_ms(world, SOON_MS);
	remove_thing(3, &owner);
	world_run_ms(world, SOON_MS);
	owned = make("ConfigMap", "team", owned_by(&owner));
	world_run_ms(world, SWEPT_MS);
	assert_false(is_kept(&owned));
}

static const char dying[] = ",\"deletionTimestamp\":\"2026-11-21T10:00:00Z\"";

/* What is to be set free before its owner goes is found wherever it is kept, and lives on; what is
 * to go before it goes. */
static void test_dependents_are_seen_wherever_they_are_kept(void **state)
{
	static const char *const marks[] = {
		",\"deletionTimestamp\":\"2026-11-21T10:00:00Z\",\"finalizers\":[\"orphan\"]",
		",\"deletionTimestamp\":\"2026-11-21T10:00:00Z\","
		"\"finalizers\":[\"foregroundDeletion\"]"};
	struct thing owner[2], owned[2][THINGS];

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		owner[k] = make("ConfigMap", "team", "");
		for (size_t i = 0; i < THINGS; i++)
			owned[k][i] = make("ConfigMap", "team", owned_by(&owner[k]));
	}
	world_run_ms(world, SOON_MS);
	for (size_t k = 0; k < 2; k++)
		write_thing(5, &owner[k], marks[k]);
	world_run_ms(world, SWEPT_MS);
	for (size_t k = 0; k < 2; k++) {
		assert_false(is_kept(&owner[k]));
		for (size_t i = 0; i < THINGS; i++)
			assert_true(is_kept(&owned[k][i]) == (k == 0));
	}
	world_run_ms(world, SWEPT_MS);
	for (size_t i = 0; i < THINGS; i++)
		assert_true(is_kept(&owned[0][i]));
}

/* All that is in it, wherever it is kept, and nothing else; then it goes itself. */
static void test_a_namespace_goes_last(void **state)
{
	struct thing namespace = {.kind = "Namespace", .namespace = "", .name = "team"};
	struct thing inside[THINGS], outside[THINGS];

	(void)state;
	namespace.uid = make("Secret", "other", "").uid;
	namespace.uid.byte[0] ^= 1;
	write_thing(0, &namespace, "");
	for (size_t i = 0; i < THINGS; i++) {
		inside[i] = make(i % 2 ? "ConfigMap" : "Secret", "team", "");
		outside[i] = make("ConfigMap", "other", "");
		world_run_ms(world, 100);
	}
	world_run_ms(world, SOON_MS);
	write_thing(3, &namespace, dying);
	for (int i = 0; i < 60 && is_kept(&namespace); i++) {
		world_run_ms(world, SOON_MS);
		for (size_t k = 0; !is_kept(&namespace) && k < THINGS; k++)
			assert_false(is_kept(&inside[k]));
	}
	assert_false(is_kept(&namespace));
	for (size_t i = 0; i < THINGS; i++)
		assert_true(is_kept(&outside[i]));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_dependents_go_with_an_owner_that_is_kept_elsewhere),
		TEST(test_a_dependent_of_what_is_gone_goes),
		TEST(test_dependents_are_seen_wherever_they_are_kept),
		TEST(test_a_namespace_goes_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
