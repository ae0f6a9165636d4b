/* SPDX-License-Identifier: Apache-2.0 */
/* What is deleted in steps, what is left behind, and what is made again after it was deleted. */
#include "family.h"

#include "identity/derive.h"
#include "kube/deletion.h"

static const char deployment[] =
	"{'apiVersion':'apps/"
	"v1','kind':'Deployment','metadata':{'name':'web'},'spec':{'replicas':2,"
	"'selector':{'matchLabels':{'app':'web'}},'template':{'metadata':{'labels':{'app':'web'}},"
	"'spec':{'containers':[{'name':'c','image':'i'}]}}}}";

static const char stateful_set[] =
	"{'apiVersion':'apps/"
	"v1','kind':'StatefulSet','metadata':{'name':'db'},'spec':{'replicas':3,"
	"'podManagementPolicy':'Parallel','selector':{'matchLabels':{'app':'db'}},"
	"'template':{'metadata':{'labels':{'app':'db'}},"
	"'spec':{'containers':[{'name':'c','image':'i'}]}}}}";

static struct family *family;

static int teardown(void **state)
{
	(void)state;
	family_free(family);
	return 0;
}

/* From now on it is being deleted: its own reconciler does not see it any more. */
static void condemn(const char *finalizer)
{
	kube_condemn((json_t *)(uintptr_t)family->root.json, finalizer, family->now);
	family->reconcile = control_deletion;
}

static struct uid uid_of_set(void)
{
	const struct control_object *set = family_find(family, "ReplicaSet");

	assert_non_null(set);
	return set->ref.uid;
}

static void test_a_deleted_replica_set_is_made_again(void **state)
{
	struct uid first, second;

	(void)state;
	family = family_new(control_deployment, deployment);
	family_run(family);
	first = uid_of_set();
	family_delete(family, family_find(family, "ReplicaSet"));
	family_run(family);
	second = uid_of_set();
	assert_false(uid_equal(&first, &second));
	assert_memory_equal(first.byte, second.byte, UID_HOME_LEN);
	family_delete(family, family_find(family, "ReplicaSet"));
	family_run(family);
	assert_int_equal(family_count(family, "ReplicaSet"), 1);
}

/* Whoever knows of the same deletions makes the same object. */
static void test_two_controllers_make_the_same_again(void **state)
{
	struct uid uids[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		family = family_new(control_deployment, deployment);
		family_run(family);
		family_delete(family, family_find(family, "ReplicaSet"));
		family->now.ms += 1000 * i; /* not at the same time */
		family_run(family);
		uids[i] = uid_of_set();
		if (i == 0)
			family_free(family);
	}
	assert_true(uid_equal(&uids[0], &uids[1]));
}

static void test_a_stateful_set_grows_again(void **state)
{
	(void)state;
	family = family_new(control_statefulset, stateful_set);
	family_run(family);
	assert_int_equal(family_count(family, "Pod"), 3);
	family_set(family, "spec", "replicas", json_integer(1));
	family_run(family);
	assert_int_equal(family_count(family, "Pod"), 1);
	family_set(family, "spec", "replicas", json_integer(3));
	family_run(family);
	assert_int_equal(family_count(family, "Pod"), 3);
}

static void test_orphans_live_on(void **state)
{
	(void)state;
	family = family_new(control_deployment, deployment);
	family_run(family);
	family_add_pod(family, family_find(family, "ReplicaSet"), 0, POD_RUNNING);
	condemn(KUBE_FINALIZER_ORPHAN);
	family_run(family);
	assert_true(family->root_disposed);
	assert_null(
		kube_member(family_find(family, "ReplicaSet")->json, "metadata.ownerReferences"));
	assert_false(family->presences[0].terminating);
}

static void test_an_owner_goes_after_its_dependents(void **state)
{
	(void)state;
	family = family_new(control_deployment, deployment);
	family_run(family);
	family_add_pod(family, family_find(family, "ReplicaSet"), 0, POD_RUNNING);
	condemn(KUBE_FINALIZER_FOREGROUND);
	family_run(family);
	assert_int_equal(family->derived_count, 0);
	assert_false(family->root_disposed); /* a pod is left */
	family->pod_count = 0;
	family_run(family);
	assert_true(family->root_disposed);
}

/* It is only its own reference that binds: others' objects are let be. */
static void test_only_dependents_go(void **state)
{
	struct uid other = {{1, 2, 3}};
	json_t *set;

	(void)state;
	family = family_new(control_deployment, deployment);
	family_run(family);
	set = (json_t *)(uintptr_t)family_find(family, "ReplicaSet")->json;
	kube_set_string(json_array_get(kube_member(set, "metadata.ownerReferences"), 0), "uid",
			uid_text(&other).text);
	condemn(KUBE_FINALIZER_FOREGROUND);
	family_run(family);
	assert_true(family->root_disposed);
	assert_int_equal(family_count(family, "ReplicaSet"), 1);
}

static void test_a_namespace_goes_last(void **state)
{
	(void)state;
	family = family_new(control_deployment, deployment);
	family_run(family);
	family_add_pod(family, family_find(family, "ReplicaSet"), 0, POD_RUNNING);
	family->root.ref.kind = (char[]){"Namespace"};
	condemn(NULL);
	family_run(family);
	assert_int_equal(family->derived_count, 0);
	assert_false(family->root_disposed);
	family->pod_count = 0;
	family_run(family);
	assert_true(family->root_disposed);
}

/* Finalizers of others hold nothing up. */
static void test_nobody_else_is_waited_for(void **state)
{
	(void)state;
	family = family_new(control_deployment, deployment);
	family_set(family, "metadata", "finalizers", json_pack("[s]", "example.com/protect"));
	condemn("example.com/protect");
	family_run(family);
	assert_true(family->root_disposed);
}

static const char *owner_of_set(void)
{
	return kube_member_string(
		json_array_get(kube_member(family_find(family, "ReplicaSet")->json,
					   "metadata.ownerReferences"),
			       0),
		"uid");
}

/* What an earlier Deployment of that name has left behind, in the same home. */
static void leave_behind(const char *app)
{
	json_t *set, *labels;

	family = family_new(control_deployment, deployment);
	family_run(family);
	set = (json_t *)(uintptr_t)family_find(family, "ReplicaSet")->json;
	labels = kube_member(set, "metadata.labels");
	(void)json_object_del(json_object_get(set, "metadata"), "ownerReferences");
	kube_set_string(labels, "app", app);
	family->root.ref.uid = uid_derive(&family->root.ref.uid, "another of that name");
	kube_set_string(kube_member(family->root.json, "metadata"), "uid",
			uid_text(&family->root.ref.uid).text);
}

static void test_what_was_left_behind_is_taken_over(void **state)
{
	struct uid left;

	(void)state;
	leave_behind("web");
	left = uid_of_set();
	family_run(family);
	assert_int_equal(family_count(family, "ReplicaSet"), 1);
	assert_true(uid_equal(&left, &family_find(family, "ReplicaSet")->ref.uid));
	assert_string_equal(owner_of_set(), uid_text(&family->root.ref.uid).text);
}

static void test_what_is_not_selected_is_let_be(void **state)
{
	(void)state;
	leave_behind("other");
	family_run(family);
	assert_int_equal(family_count(family, "ReplicaSet"), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_a_deleted_replica_set_is_made_again, teardown),
		cmocka_unit_test_teardown(test_two_controllers_make_the_same_again, teardown),
		cmocka_unit_test_teardown(test_a_stateful_set_grows_again, teardown),
		cmocka_unit_test_teardown(test_orphans_live_on, teardown),
		cmocka_unit_test_teardown(test_an_owner_goes_after_its_dependents, teardown),
		cmocka_unit_test_teardown(test_only_dependents_go, teardown),
		cmocka_unit_test_teardown(test_a_namespace_goes_last, teardown),
		cmocka_unit_test_teardown(test_nobody_else_is_waited_for, teardown),
		cmocka_unit_test_teardown(test_what_was_left_behind_is_taken_over, teardown),
		cmocka_unit_test_teardown(test_what_is_not_selected_is_let_be, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
