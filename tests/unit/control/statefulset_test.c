/* SPDX-License-Identifier: Apache-2.0 */
/* StatefulSets and their claims, and claims that end. */
#include "family.h"

#include "kube/claim.h"
#include "kube/group.h"
#include "kube/statefulset.h"
#include "kube/workload.h"

static const char set_json[] =
	"{'apiVersion':'apps/"
	"v1','kind':'StatefulSet','metadata':{'name':'db'},'spec':{'replicas':2,"
	"'podManagementPolicy':'Parallel','serviceName':'db','selector':{'matchLabels':{'app':'db'}"
	"},'template':{'metadata':{'labels':{'app':'db'}},'spec':{'containers':[{'name':'c',"
	"'image':'i'}]}},'volumeClaimTemplates':[{'metadata':{'name':'data'},'spec':{'accessModes':"
	"['ReadWriteOnce'],'resources':{'requests':{'storage':'1Gi'}}}}]}}";

static size_t find(const struct family *family, const char *kind, const char *name)
{
	for (size_t i = 0; i < family->derived_count; i++)
		if (strcmp(family->derived[i].ref.kind, kind) == 0 &&
		    strcmp(family->derived[i].ref.name, name) == 0)
			return i;
	return FAMILY_OBJECTS_MAX;
}

static const struct control_object *claim_named(const struct family *family, const char *name)
{
	size_t at = find(family, KUBE_CLAIM, name);

	assert_true(at < FAMILY_OBJECTS_MAX);
	return &family->derived[at];
}

static void test_each_ordinal_has_its_claim(void **state)
{
	struct family *family = family_new(control_statefulset, set_json);
	const struct control_object *claim;
	size_t pod;

	family_run(family);
	assert_int_equal(family_count(family, KUBE_CLAIM), 2);
	claim = claim_named(family, "data-db-1");
	assert_null(kube_controller_of(claim->json));
	assert_true(kube_claim_read(claim->json).ours);
	pod = find(family, "Pod", "db-1");
	assert_string_equal(
		kube_member_string(
			json_array_get(kube_member(family->derived[pod].json, "spec.volumes"), 0),
			"persistentVolumeClaim.claimName"),
		"data-db-1");
	family_free(family);
}

/* Under another uid: what is buried stays buried. */
static void test_a_claim_that_was_deleted_is_made_anew(void **state)
{
	struct family *family = family_new(control_statefulset, set_json);
	struct uid before;

	family_run(family);
	before = claim_named(family, "data-db-0")->ref.uid;
	family_delete(family, claim_named(family, "data-db-0"));
	family_run(family);
	assert_false(uid_equal(&claim_named(family, "data-db-0")->ref.uid, &before));
	family_free(family);
}

static void test_claims_stay_when_a_set_shrinks_unless_it_says_otherwise(void **state)
{
	struct family *family = family_new(control_statefulset, set_json);

	family_run(family);
	family_set(family, "spec", "replicas", json_integer(1));
	family_run(family);
	assert_false(kube_claim_read(claim_named(family, "data-db-1")->json).ending);
	family_set(family, "spec", "persistentVolumeClaimRetentionPolicy",
		   json_pack("{s:s}", "whenScaled", "Delete"));
	family_run(family);
	assert_true(kube_claim_read(claim_named(family, "data-db-1")->json).ending);
	assert_false(kube_claim_read(claim_named(family, "data-db-0")->json).ending);
	family_free(family);
}

static void test_claims_belong_to_a_set_that_says_so(void **state)
{
	struct family *family = family_new(control_statefulset, set_json);

	family_run(family);
	family_set(family, "spec", "persistentVolumeClaimRetentionPolicy",
		   json_pack("{s:s}", "whenDeleted", "Delete"));
	family_run(family);
	assert_non_null(kube_controller_of(claim_named(family, "data-db-0")->json));
	family_set(family, "spec", "persistentVolumeClaimRetentionPolicy", json_object());
	family_run(family);
	assert_null(kube_controller_of(claim_named(family, "data-db-0")->json));
	family_free(family);
}

/* The Pods of ordinals say who the registrars are, also when those change. */
static void test_new_registrars_are_handed_on(void **state)
{
	static const char *const versions[] = {"0.1/a", "0.2/b"};
	struct family *family = family_new(control_statefulset, set_json);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t pod;

		family_set(family, "metadata", "annotations",
			   json_pack("{s:s}", KUBE_REGISTRARS, versions[i]));
		family_run(family);
		pod = find(family, "Pod", "db-1");
		assert_string_equal(
			json_string_value(json_object_get(
				kube_member(family->derived[pod].json, "metadata.annotations"),
				KUBE_REGISTRARS)),
			versions[i]);
	}
	family_free(family);
}

/* ---- groups */

static const char *part_of(const struct family *family, const char *pod)
{
	size_t at = find(family, "Pod", pod);

	assert_true(at < FAMILY_OBJECTS_MAX);
	return json_string_value(json_object_get(
		kube_member(family->derived[at].json, "metadata.annotations"), KUBE_GROUP));
}

/* Names outlive the object, which is written anew. */
static void start(struct family *family, const char *pod, const char *node)
{
	struct presence *presence =
		family_add_pod(family, &family->derived[find(family, "Pod", pod)], 0, POD_RUNNING);

	presence->object.kind = (char *)(uintptr_t) "Pod";
	presence->object.name = (char *)(uintptr_t)pod;
	presence->node_name = (char *)(uintptr_t)node;
}

/* The first ordinal does, as long as nobody knows of any member. */
static void test_a_group_is_founded_once(void **state)
{
	struct family *family = family_new(control_statefulset, set_json);

	(void)state;
	family_run(family);
	assert_string_equal(part_of(family, "db-0"), KUBE_GROUP_BIRTH);
	assert_string_equal(part_of(family, "db-1"), KUBE_GROUP_MEMBER);
	start(family, "db-0", "m1");
	family_run(family);
	assert_string_equal(part_of(family, "db-0"), KUBE_GROUP_MEMBER);
	family_free(family);
}

static const char *home_of(const struct family *family, const char *pod)
{
	return kube_member_string(family->derived[find(family, "Pod", pod)].json, "spec.nodeName");
}

/* What was agreed on is there. */
static void test_a_set_that_had_no_pods_comes_back_where_its_members_were(void **state)
{
	struct family *family = family_new(control_statefulset, set_json);

	(void)state;
	family_run(family);
	start(family, "db-0", "m1");
	start(family, "db-1", "m2");
	family_run(family);
	family_set(family, "spec", "replicas", json_integer(0));
	family_run(family);
	family->pod_count = 0;
	assert_int_equal(family_count(family, "Pod"), 0);
	family_set(family, "spec", "replicas", json_integer(2));
	family_run(family);
	assert_string_equal(home_of(family, "db-0"), "m1");
	assert_string_equal(home_of(family, "db-1"), "m2");
	assert_string_equal(part_of(family, "db-0"), KUBE_GROUP_MEMBER);
	family_free(family);
}

static void test_the_pod_that_is_to_go_on_alone_is_told(void **state)
{
	struct family *family = family_new(control_statefulset, set_json);
	struct kube_group group;
	const char *others[] = {"db-1:", "db-1:x", "db-1:0", "db-11:3", "db-1"};

	(void)state;
	family_set(family, "metadata", "annotations",
		   json_pack("{s:s}", KUBE_GROUP_RECOVER, "db-1:3"));
	family_run(family);
	assert_true(kube_group_read(family->derived[find(family, "Pod", "db-1")].json, &group));
	assert_int_equal(group.epoch, 3);
	assert_true(kube_group_read(family->derived[find(family, "Pod", "db-0")].json, &group));
	assert_int_equal(group.epoch, 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		family_set(family, "metadata", "annotations",
			   json_pack("{s:s}", KUBE_GROUP_RECOVER, others[i]));
		assert_int_equal(kube_group_recovery(family->root.json, "db-1"), 0);
	}
	family_free(family);
}

static void test_who_wants_no_group_has_none(void **state)
{
	struct family *family = family_new(control_statefulset, set_json);

	(void)state;
	family_set(family, "metadata", "annotations",
		   json_pack("{s:s}", KUBE_GROUP, KUBE_GROUP_NONE));
	family_run(family);
	assert_string_equal(part_of(family, "db-0"), KUBE_GROUP_NONE);
	family_free(family);
}

static bool claim_is_used;

static void go_on(const struct control_view *view, struct control_verdict *verdict)
{
	struct control_view with = *view;

	with.used = claim_is_used;
	control_deletion(&with, verdict);
}

static void test_a_deleted_claim_waits_for_its_pods(void **state)
{
	struct family *family =
		family_new(go_on, "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{"
				  "'name':'disk'},'spec':{}}");

	claim_is_used = true;
	family_set(family, "metadata", "deletionTimestamp", json_string("2026-11-21T10:00:00Z"));
	family_run(family);
	assert_false(family->root_disposed);
	claim_is_used = false;
	family_run(family);
	assert_true(family->root_disposed);
	family_free(family);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_ordinal_has_its_claim),
		cmocka_unit_test(test_a_claim_that_was_deleted_is_made_anew),
		cmocka_unit_test(test_claims_stay_when_a_set_shrinks_unless_it_says_otherwise),
		cmocka_unit_test(test_claims_belong_to_a_set_that_says_so),
		cmocka_unit_test(test_new_registrars_are_handed_on),
		cmocka_unit_test(test_a_group_is_founded_once),
		cmocka_unit_test(test_a_set_that_had_no_pods_comes_back_where_its_members_were),
		cmocka_unit_test(test_the_pod_that_is_to_go_on_alone_is_told),
		cmocka_unit_test(test_who_wants_no_group_has_none),
		cmocka_unit_test(test_a_deleted_claim_waits_for_its_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
