/* SPDX-License-Identifier: Apache-2.0 */
/* What goes because something else went, among machines that hear and do not hear each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

enum {
	MACHINES = 5,
	SOON_MS = 3000,
	HEALED_MS = 30 * 1000, /* what is too many after a partition is gone by then */
};

static struct world *world;
static uint8_t serial;

static int setup(void **state)
{
	(void)state;
	world = world_new(MACHINES);
	world_settle(world);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_free(world);
	return 0;
}

static struct uid fresh(void)
{
	uint8_t random[UID_LEN];

	serial++;
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(serial * 37U + i * 11U);
	return uid_from_random(random);
}

struct thing {
	const char *kind, *namespace, *name;
	struct uid uid;
};

static struct object_ref ref_of(const struct thing *thing)
{
	return (struct object_ref){.uid = thing->uid,
				   .namespace = (char *)(uintptr_t)thing->namespace,
				   .kind = (char *)(uintptr_t)thing->kind,
				   .name = (char *)(uintptr_t)thing->name};
}

/* Written by @gateway with @more in its metadata. */
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

static struct thing config(size_t gateway, const char *name, const char *more)
{
	struct thing thing = {"ConfigMap", "team", name, fresh()};

	write_thing(gateway, &thing, more);
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

/* metadata that names two owners; @second may be NULL. */
static const char *owned_by(const struct thing *first, const struct thing *second)
{
	static struct buf text;

	buf_clear(&text);
	buf_append_format(&text, ",\"ownerReferences\":[{\"kind\":\"ConfigMap\",\"uid\":\"%s\"}",
			  uid_text(&first->uid).text);
	if (second)
		buf_append_format(&text, ",{\"kind\":\"ConfigMap\",\"uid\":\"%s\"}",
				  uid_text(&second->uid).text);
	buf_append_str(&text, "]");
	return buf_cstr(&text);
}

static void expect(const struct thing *thing, bool there)
{
	for (size_t i = 0; i < world->count; i++) {
		const struct records *records = node_records(world->machines[i].node);
		const struct record_item *item =
			records_find(records, thing->namespace, thing->kind, thing->name);

		if (there)
			assert_true(item && uid_equal(&item->record.key.uid, &thing->uid));
		else
			assert_true(!item || !uid_equal(&item->record.key.uid, &thing->uid));
	}
}

/* Two machines of five. */
static void cut(bool is_cut)
{
	for (size_t a = 0; a < 2; a++)
		for (size_t b = 2; b < MACHINES; b++)
			world->cut[a][b] = world->cut[b][a] = is_cut;
}

static void test_dependents_go_with_their_last_owner(void **state)
{
	struct thing one = config(0, "one", ""), two = config(1, "two", "");
	struct thing owned = config(2, "owned", owned_by(&one, NULL));
	struct thing shared = config(3, "shared", owned_by(&one, &two));
	struct thing chain = config(4, "chain", owned_by(&owned, NULL));

	(void)state;
	world_run_ms(world, SOON_MS);
	remove_thing(1, &one);
	world_run_ms(world, SOON_MS);
	expect(&owned, false);
	expect(&chain, false);
	expect(&shared, true);
	remove_thing(0, &two);
	world_run_ms(world, SOON_MS);
	expect(&shared, false);
}

/* That nothing is known of an owner is no deletion. */
static void test_an_owner_that_is_not_known_may_live(void **state)
{
	struct thing never = {"ConfigMap", "team", "never", fresh()};
	struct thing owned = config(2, "owned", owned_by(&never, NULL));

	(void)state;
	world_run_ms(world, 200 * 1000);
	expect(&owned, true);
}

/* The name is not the owner. */
static void test_another_of_that_name_owns_nothing(void **state)
{
	struct thing old = config(0, "owner", ""), new, owned;

	(void)state;
	world_run_ms(world, SOON_MS);
	remove_thing(0, &old);
	world_run_ms(world, SOON_MS);
	new = config(1, "owner", "");
	owned = config(2, "owned", owned_by(&new, NULL));
	world_run_ms(world, SOON_MS);
	expect(&owned, true);
	expect(&new, true);
}

static void test_a_dependent_made_where_the_end_was_not_heard_of_goes(void **state)
{
	struct thing owner = config(0, "owner", ""), owned;

	(void)state;
	world_run_ms(world, SOON_MS);
	cut(true);
	remove_thing(3, &owner);
	owned = config(0, "owned", owned_by(&owner, NULL));
	world_run_ms(world, 60 * 1000);
	cut(false);
	world_run_ms(world, 60 * 1000);
	expect(&owner, false);
	expect(&owned, false);
}

static const char dying[] = ",\"deletionTimestamp\":\"2026-11-21T10:00:00Z\"";

static void test_a_namespace_goes_last(void **state)
{
	struct thing namespace = {"Namespace", "", "team", fresh()};
	struct thing inside, outside = {"ConfigMap", "other", "outside", fresh()};

	(void)state;
	write_thing(0, &namespace, "");
	inside = config(1, "inside", "");
	write_thing(2, &outside, "");
	world_run_ms(world, SOON_MS);
	write_thing(3, &namespace, dying);
	world_run_ms(world, SOON_MS);
	expect(&inside, false);
	expect(&namespace, false);
	expect(&outside, true);
}

/* What was written into it on the other side of a partition before its end goes after the heal;
 * what was written after its end belongs to whoever uses the name now. */
static void test_what_comes_late_into_a_namespace_goes(void **state)
{
	struct thing namespace = {"Namespace", "", "team", fresh()}, late, new;

	(void)state;
	write_thing(0, &namespace, "");
	world_run_ms(world, SOON_MS);
	cut(true);
	world_run_ms(world, SOON_MS);
	late = config(0, "late", "");
	world_run_ms(world, 60 * 1000);
	write_thing(3, &namespace, dying);
	world_run_ms(world, SOON_MS);
	new = config(4, "new", "");
	world_run_ms(world, SOON_MS);
	cut(false);
	world_run_ms(world, 60 * 1000);
	expect(&namespace, false);
	expect(&late, false);
	expect(&new, true);
}

/* Machines that have not heard of a deletion see two objects of one name when they hear of the new
 * one: it is the deleted one that goes, also when the new one is theirs to control. */
static void test_a_name_that_is_given_again_is_no_clash(void **state)
{
	struct uid old, new;
	size_t machines;

	(void)state;
	for (int round = 0; round < 8; round++) {
		while (world_next_controller(world) == (size_t)round % 2)
			world->serial++;
		old = world_deploy(world, 3, 3);
		world_run_ms(world, SOON_MS);
		cut(true);
		world_run_ms(world, 30 * 1000);
		world_delete(world, 3, &old);
		world_run_ms(world, SOON_MS);
		while (world_next_controller(world) != (size_t)round % 2)
			world->serial++;
		new = world_deploy(world, 4, 3);
		world_run_ms(world, SOON_MS);
		cut(false);
		world_run_ms(world, 60 * 1000);
		for (size_t i = 0; i < MACHINES; i++) {
			const struct records *records = node_records(world->machines[i].node);

			assert_false(records_is_deleted(records, &new));
			assert_true(records_is_deleted(records, &old));
			assert_int_equal(world_running(world, i, &new, &machines), 3);
			assert_int_equal(world_running(world, i, &old, &machines), 0);
		}
		world_delete(world, 2, &new);
		world_run_ms(world, SOON_MS);
	}
}

static void count_taken(void *arg, const struct happening *what, const struct uid *id)
{
	size_t *count = arg;

	(void)id;
	*count += strcmp(what->reason, "NameTaken") == 0;
}

/* When nobody has deleted either, the one that was there first stays: half a minute after the heal,
 * whoever controls them, and every machine tells of it. */
static void test_of_two_of_one_name_the_older_stays(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	struct thing older[6], younger[6];
	size_t taken;

	(void)state;
	cut(true);
	world_run_ms(world, SOON_MS);
	for (size_t i = 0; i < 6; i++)
		older[i] = config(i % 2 ? 4 : 0, names[i], "");
	world_run_ms(world, SOON_MS);
	for (size_t i = 0; i < 6; i++)
		younger[i] = config(i % 2 ? 0 : 4, names[i], "");
	world_run_ms(world, 30 * 1000);
	cut(false);
	world_run_ms(world, HEALED_MS);
	for (size_t i = 0; i < MACHINES; i++) {
		for (size_t k = 0; k < 6; k++)
			assert_true(records_is_deleted(node_records(world->machines[i].node),
						       &younger[k].uid));
		taken = 0;
		node_journal_each(world->machines[i].node, world->now, "team", count_taken, &taken);
		assert_int_equal(taken, 6);
	}
	for (size_t k = 0; k < 6; k++)
		expect(&older[k], true);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_dependents_go_with_their_last_owner),
		TEST(test_an_owner_that_is_not_known_may_live),
		TEST(test_another_of_that_name_owns_nothing),
		TEST(test_a_dependent_made_where_the_end_was_not_heard_of_goes),
		TEST(test_a_namespace_goes_last),
		TEST(test_a_name_that_is_given_again_is_no_clash),
		TEST(test_of_two_of_one_name_the_older_stays),
		TEST(test_what_comes_late_into_a_namespace_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
