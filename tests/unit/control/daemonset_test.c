/* SPDX-License-Identifier: Apache-2.0 */
#include "family.h"

#include "base/mem.h"
#include "kube/daemonset.h"

enum {
	NODES = 3,
};

struct scene {
	struct family *family;
	struct node_facts facts[NODES];
	struct control_node nodes[NODES];
	struct label labels[NODES][2];
};

static struct scene scene;

/* The family's reconciler, with machines to see. */
static void reconcile(const struct control_view *view, struct control_verdict *verdict)
{
	struct control_view with = *view;

	with.nodes = scene.nodes;
	with.node_count = NODES;
	control_daemonset(&with, verdict);
}

static void scene_new(const char *pod_spec)
{
	static const char *const names[] = {"a", "b", "c"};
	struct buf text = {0};

	buf_append_format(&text,
			  "{'apiVersion':'apps/v1','kind':'DaemonSet','metadata':{'name':'d'},"
			  "'spec':{'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{"
			  "'maxUnavailable':1}},'template':{'metadata':{'labels':{'app':'d'}},"
			  "'spec':{%s'containers':[{'name':'c','image':'i'}]}}}}",
			  pod_spec);
	scene.family = family_new(reconcile, buf_cstr(&text));
	buf_deinit(&text);
	for (size_t i = 0; i < NODES; i++) {
		scene.labels[i][0] =
			(struct label){.key = (char *)(uintptr_t) "kubernetes.io/hostname",
				       .value = (char *)(uintptr_t)names[i]};
		scene.labels[i][1] =
			(struct label){.key = (char *)(uintptr_t) "disk",
				       .value = (char *)(uintptr_t)(i ? "hdd" : "ssd")};
		scene.facts[i] = (struct node_facts){.name = (char *)(uintptr_t)names[i],
						     .worker = true,
						     .schedulable = true,
						     .labels = scene.labels[i],
						     .label_count = 2};
		scene.nodes[i] = (struct control_node){&scene.facts[i]};
	}
}

/* Every Pod without a pod gets one that is ready; pods of Pods that are gone go. */
static void run_pods(void)
{
	struct family *family = scene.family;

	family->pod_count = 0;
	for (size_t i = 0; i < family->derived_count; i++)
		if (strcmp(family->derived[i].ref.kind, "Pod") == 0)
			family_add_pod(family, &family->derived[i], 0, POD_RUNNING);
}

static size_t count_on(const char *node)
{
	size_t count = 0;

	for (size_t i = 0; i < scene.family->derived_count; i++)
		count += strcmp(scene.family->derived[i].ref.kind, "Pod") == 0 &&
			 strcmp(kube_daemon_node(scene.family->derived[i].json), node) == 0;
	return count;
}

static void test_every_machine_that_fits_has_one(void **state)
{
	(void)state;
	scene_new("");
	family_run(scene.family);
	assert_int_equal(family_count(scene.family, "Pod"), 3);
	assert_int_equal(count_on("a"), 1);
	assert_int_equal(count_on("c"), 1);
	run_pods();
	scene.family->now.ms += 60000;
	family_run(scene.family);
	assert_int_equal(family_count(scene.family, "Pod"), 3);
	family_free(scene.family);
}

static void test_selectors_and_taints_keep_it_away(void **state)
{
	struct taint taint = {.key = (char *)(uintptr_t) "x",
			      .value = (char *)(uintptr_t) "",
			      .effect = TAINT_NO_SCHEDULE};

	(void)state;
	scene_new("'nodeSelector':{'disk':'hdd'},");
	scene.facts[1].taints = &taint;
	scene.facts[1].taint_count = 1;
	family_run(scene.family);
	assert_int_equal(family_count(scene.family, "Pod"), 1);
	assert_int_equal(count_on("c"), 1);
	family_free(scene.family);
}

static void test_a_cordoned_machine_keeps_its_own_and_gets_no_new_one(void **state)
{
	(void)state;
	scene_new("");
	scene.facts[0].schedulable = false;
	family_run(scene.family);
	assert_int_equal(count_on("a"), 0);
	assert_int_equal(count_on("b"), 1);
	run_pods();
	scene.facts[1].schedulable = false;
	scene.family->now.ms += 60000;
	family_run(scene.family);
	assert_int_equal(count_on("b"), 1);
	assert_int_equal(family_count(scene.family, "Pod"), 2);
	family_free(scene.family);
}

static void test_a_failed_pod_is_replaced_under_another_uid(void **state)
{
	struct uid first;

	(void)state;
	scene_new("'nodeSelector':{'disk':'ssd'},");
	family_run(scene.family);
	first = family_find(scene.family, "Pod")->ref.uid;
	family_add_pod(scene.family, family_find(scene.family, "Pod"), 0, POD_FAILED);
	scene.family->now.ms += 1000;
	family_run(scene.family);
	assert_int_equal(family_count(scene.family, "Pod"), 1);
	assert_false(uid_equal(&first, &family_find(scene.family, "Pod")->ref.uid));
	family_free(scene.family);
}

static size_t count_current(void)
{
	struct kube_hash hash =
		kube_template_hash(kube_member(scene.family->root.json, "spec.template"));
	size_t count = 0;

	for (size_t i = 0; i < scene.family->derived_count; i++) {
		const json_t *labels =
			kube_member(scene.family->derived[i].json, "metadata.labels");

		count += strcmp(scene.family->derived[i].ref.kind, "Pod") == 0 &&
			 strcmp(json_string_value(json_object_get(labels, KUBE_DAEMON_HASH)),
				hash.text) == 0;
	}
	return count;
}

static void test_a_changed_template_rolls_one_by_one(void **state)
{
	(void)state;
	scene_new("");
	family_run(scene.family);
	run_pods();
	family_set(scene.family, "spec.template.spec", "hostname", json_string("new"));
	for (size_t done = 1; done <= NODES; done++) {
		scene.family->now.ms += 1000;
		family_run(scene.family);
		assert_int_equal(family_count(scene.family, "Pod"), 3);
		assert_int_equal(count_current(), done);
		family_run(scene.family);
		assert_int_equal(count_current(), done); /* not before that one is available */
		run_pods();
	}
	family_free(scene.family);
}

static void test_both_sides_of_a_partition_make_the_same_pod(void **state)
{
	struct uid one, other;
	char *name;

	(void)state;
	scene_new("'nodeSelector':{'disk':'ssd'},");
	family_run(scene.family);
	one = family_find(scene.family, "Pod")->ref.uid;
	name = mem_strdup(family_find(scene.family, "Pod")->ref.name);
	family_free(scene.family);
	/* The other side is later, and has its own clock. */
	scene_new("'nodeSelector':{'disk':'ssd'},");
	scene.family->now.ms += 4711;
	family_run(scene.family);
	other = family_find(scene.family, "Pod")->ref.uid;
	assert_true(uid_equal(&one, &other));
	assert_string_equal(name, family_find(scene.family, "Pod")->ref.name);
	family_free(scene.family);
	free(name);
}

static void test_with_surge_the_next_one_is_there_before_the_old_one_goes(void **state)
{
	(void)state;
	scene_new("");
	family_set(scene.family, "spec.updateStrategy.rollingUpdate", "maxUnavailable",
		   json_integer(0));
	family_set(scene.family, "spec.updateStrategy.rollingUpdate", "maxSurge", json_integer(1));
	family_run(scene.family);
	run_pods();
	family_set(scene.family, "spec.template.spec", "hostname", json_string("new"));
	for (size_t done = 1; done <= NODES; done++) {
		scene.family->now.ms += 1000;
		family_run(scene.family);
		assert_int_equal(family_count(scene.family, "Pod"), NODES + 1);
		assert_int_equal(count_current(), done);
		run_pods();
		family_run(scene.family);
	}
	assert_int_equal(family_count(scene.family, "Pod"), NODES);
	assert_int_equal(count_current(), NODES);
	family_free(scene.family);
}

static void test_templates_are_kept_as_revisions_up_to_the_limit(void **state)
{
	static const char *const names[] = {"r1", "r2", "r3", "r4"};

	(void)state;
	scene_new("");
	family_set(scene.family, "spec", "revisionHistoryLimit", json_integer(2));
	family_run(scene.family);
	assert_int_equal(family_count(scene.family, "ControllerRevision"), 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		family_set(scene.family, "spec.template.spec", "hostname", json_string(names[i]));
		for (size_t round = 0; round < 2 * NODES; round++) {
			scene.family->now.ms += 1000;
			family_run(scene.family);
			run_pods();
		}
		assert_int_equal(count_current(), NODES);
	}
	/* The present one and two before it. */
	assert_int_equal(family_count(scene.family, "ControllerRevision"), 3);
	family_free(scene.family);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_machine_that_fits_has_one),
		cmocka_unit_test(test_selectors_and_taints_keep_it_away),
		cmocka_unit_test(test_a_cordoned_machine_keeps_its_own_and_gets_no_new_one),
		cmocka_unit_test(test_a_failed_pod_is_replaced_under_another_uid),
		cmocka_unit_test(test_a_changed_template_rolls_one_by_one),
		cmocka_unit_test(test_both_sides_of_a_partition_make_the_same_pod),
		cmocka_unit_test(test_with_surge_the_next_one_is_there_before_the_old_one_goes),
		cmocka_unit_test(test_templates_are_kept_as_revisions_up_to_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
