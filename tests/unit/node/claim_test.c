/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads with PersistentVolumeClaims: where they may run, and where their claims end up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kube/claim.h"
#include "kube/deletion.h"
#include "kube/member.h"
#include "world.h"

static const char volumes[] = "\"volumes\":[{\"name\":\"d\",\"persistentVolumeClaim\":{"
			      "\"claimName\":\"disk\"}}],";
static const char *const names[] = {"m1", "m2", "m3", "m4"};

static struct world *named_world(size_t count)
{
	struct world *world = world_new(count);

	for (size_t i = 0; i < count; i++)
		world->machines[i].label =
			(struct label){.key = (char *)(uintptr_t) "kubernetes.io/hostname",
				       .value = (char *)(uintptr_t)names[i]};
	world_settle(world);
	return world;
}

static const struct record_item *find(const struct world *world, size_t observer)
{
	return records_find(node_records(world->machines[observer].node), "default", KUBE_CLAIM,
			    "disk");
}

/* The claim as @observer knows it; the caller's. NULL: it knows none. */
static json_t *seen(const struct world *world, size_t observer)
{
	const struct record_item *item = find(world, observer);

	return item ? json_loadb((const char *)item->record.value.ptr, item->record.value.len, 0,
				 NULL)
		    : NULL;
}

static void put(struct world *world, json_t *json, const struct record_item *old)
{
	struct object_ref object = {.namespace = (char[]){"default"},
				    .kind = (char[]){KUBE_CLAIM},
				    .name = (char[]){"disk"}};
	char *text = json_dumps(json, JSON_COMPACT);
	struct node_put request = {.object = &object,
				   .generation = old ? old->record.version.generation : 1,
				   .json = bytes_str(text),
				   .expected_hlc = old ? old->record.version.hlc : 0};
	uint64_t token, hlc;

	assert_true(uid_parse(kube_member_string(json, "metadata.uid"), &object.uid));
	assert_int_equal(node_put(world->machines[0].node, world->now, &request, &token, &hlc), 0);
	free(text);
	json_decref(json);
}

static void make_claim(struct world *world, const char *class)
{
	put(world,
	    json_pack("{s:s,s:s,s:{s:s,s:s,s:s},s:{s:s,s:[s],s:{s:{s:s}}}}", "apiVersion", "v1",
		      "kind", KUBE_CLAIM, "metadata", "name", "disk", "namespace", "default", "uid",
		      "0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01", "spec", "storageClassName", class,
		      "accessModes", "ReadWriteOnce", "resources", "requests", "storage", "1Gi"),
	    NULL);
}

/* The machine that runs pods; there must be one. */
static size_t machine_of_starts(const struct world *world)
{
	size_t found = world->count;

	for (size_t i = 0; i < world->count; i++) {
		if (!world->machines[i].starts)
			continue;
		assert_int_equal(found, world->count);
		found = i;
	}
	assert_true(found < world->count);
	return found;
}

static void expect_bound(const struct world *world, const char *machine)
{
	for (size_t i = 0; i < world->count; i++) {
		json_t *claim;

		if (!world->machines[i].up)
			continue;
		claim = seen(world, i);
		assert_non_null(claim);
		assert_string_equal(kube_claim_read(claim).machine, machine);
		json_decref(claim);
	}
}

static void test_a_pod_waits_for_its_claim(void **state)
{
	struct world *world = named_world(3);
	struct uid uid;
	size_t on;

	uid = world_deploy_spec(world, 0, 1, volumes);
	world_run_ms(world, 5000);
	assert_int_equal(world_running(world, 0, &uid, &on), 0);
	make_claim(world, KUBE_CLAIM_CLASS);
	world_run_ms(world, 10000);
	assert_int_equal(world_running(world, 0, &uid, &on), 1);
	expect_bound(world, names[machine_of_starts(world)]);
	world_free(world);
}

static void test_all_that_share_a_claim_run_where_it_is(void **state)
{
	struct world *world = named_world(4);
	struct uid uid;
	size_t machines;

	make_claim(world, KUBE_CLAIM_CLASS);
	world_run_ms(world, 100);
	uid = world_deploy_spec(world, 1, 3, volumes);
	world_run_ms(world, 10000);
	assert_int_equal(world_running(world, 0, &uid, &machines), 3);
	assert_int_equal(machines, 1);
	expect_bound(world, names[machine_of_starts(world)]);
	world_free(world);
}

static void test_a_pod_stays_with_the_data_of_a_lost_machine(void **state)
{
	struct world *world = named_world(4);
	struct uid uid;
	size_t lost, on;

	make_claim(world, KUBE_CLAIM_CLASS);
	uid = world_deploy_spec(world, 0, 1, volumes);
	world_run_ms(world, 5000);
	lost = machine_of_starts(world);
	world_crash(world, lost);
	world_run_ms(world, 60000);
	for (size_t i = 0; i < world->count; i++) {
		if (i == lost)
			continue;
		assert_int_equal(world->machines[i].starts, 0);
		assert_int_equal(world_running(world, i, &uid, &on), 0);
	}
	world_free(world);
}

static void test_a_claim_of_another_class_keeps_its_pod_waiting(void **state)
{
	struct world *world = named_world(3);
	struct uid uid;
	size_t on;

	make_claim(world, "fast");
	uid = world_deploy_spec(world, 0, 1, volumes);
	world_run_ms(world, 10000);
	assert_int_equal(world_running(world, 0, &uid, &on), 0);
	world_free(world);
}

static void test_a_deleted_claim_is_there_until_its_pod_is_gone(void **state)
{
	struct world *world = named_world(3);
	struct uid uid;
	json_t *claim;

	make_claim(world, KUBE_CLAIM_CLASS);
	uid = world_deploy_spec(world, 0, 1, volumes);
	world_run_ms(world, 5000);
	claim = seen(world, 0);
	kube_condemn(claim, NULL, (struct wall){1000});
	put(world, claim, find(world, 0));
	world_run_ms(world, 20000);
	assert_non_null(find(world, 0));
	world_delete(world, 1, &uid);
	world_run_ms(world, 20000);
	for (size_t i = 0; i < world->count; i++)
		assert_null(find(world, i));
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pod_waits_for_its_claim),
		cmocka_unit_test(test_all_that_share_a_claim_run_where_it_is),
		cmocka_unit_test(test_a_pod_stays_with_the_data_of_a_lost_machine),
		cmocka_unit_test(test_a_claim_of_another_class_keeps_its_pod_waiting),
		cmocka_unit_test(test_a_deleted_claim_is_there_until_its_pod_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
