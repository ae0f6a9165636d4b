/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/fields.h"
#include "kube/managed.h"
#include "kube/schema.h"

#include "kube_fixture.h"

#define DEPLOYMENT "'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web'}"
#define CONTAINERS(list) "{" DEPLOYMENT ",'spec':{'template':{'spec':{'containers':" list "}}}}"
#define CONFIG(data) \
	"{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c'},'data':" data "}"

static const struct kube_manager ann = {.name = "ann", .subresource = "", .now = {1000}};
static const struct kube_manager bob = {.name = "bob", .subresource = "", .now = {2000}};

static const struct kube_resource *resource_of(const json_t *object)
{
	return kube_resource_of_kind(kube_member_string(object, "apiVersion"),
				     kube_member_string(object, "kind"));
}

/* Apply @config to @live, which is replaced by what comes out; false: there were conflicts. */
static bool apply(json_t **live, const char *config, const struct kube_manager *manager, bool force,
		  struct kube_applied *ret)
{
	json_t *json = json_of(config);
	struct err err;

	if (kube_apply(*live, json, resource_of(json), manager, force, ret, &err))
		fail_msg("%s", err.text);
	json_decref(json);
	if (ret->conflicts)
		return false;
	kube_set(json_object_get(ret->object, "metadata"), "managedFields",
		 json_incref(ret->managed));
	json_decref(*live);
	*live = json_incref(ret->object);
	return true;
}

static void apply_well(json_t **live, const char *config, const struct kube_manager *manager,
		       bool force)
{
	struct kube_applied applied;

	if (!apply(live, config, manager, force, &applied))
		fail_msg("%s", applied.sentence);
	kube_applied_deinit(&applied);
}

/* @live becomes what @json says, by an ordinary write. */
static void update(json_t **live, const char *text, const struct kube_manager *manager)
{
	json_t *json = json_of(text);

	kube_set(json_object_get(json, "metadata"), "managedFields",
		 kube_managed_update(*live, json, NULL, resource_of(json), manager));
	json_decref(*live);
	*live = json;
}

static void test_fields_are_written_as_kubernetes_does(void **state)
{
	json_t *object =
		json_of(CONTAINERS("[{'name':'a','image':'a:1','ports':[{'containerPort':80}],"
				   "'command':['x'],'resources':{'limits':{'cpu':1}}}]"));
	json_t *set = kube_fields_of(object, kube_schema_of("apps/v1", "Deployment"));
	(void)state;
	assert_json_equal(
		set,
		"{'f:spec':{'f:template':{'f:spec':{'f:containers':{'k:{\\'name\\':\\'a\\'}':{'.':{"
		"},"
		"'f:name':{},'f:image':{},'f:command':{},'f:resources':{'f:limits':{'.':{},'f:cpu':"
		"{}}},'f:ports':{'k:{\\'containerPort\\':80,\\'protocol\\':\\'TCP\\'}':{'.':{},"
		"'f:containerPort':{}}}}}}}}}");
	json_decref(set);
	json_decref(object);
}

static void test_what_is_applied_no_more_goes(void **state)
{
	json_t *live = NULL;
	(void)state;
	apply_well(&live, CONFIG("{'a':'1','b':'2'}"), &ann, false);
	apply_well(&live, CONFIG("{'b':'2','c':'3'}"), &ann, false);
	assert_json_equal(json_object_get(live, "data"), "{'b':'2','c':'3'}");
	assert_int_equal(json_array_size(kube_member(live, "metadata.managedFields")), 1);
	json_decref(live);
}

static void test_what_two_apply_stays_until_both_give_it_up(void **state)
{
	json_t *live = NULL;
	(void)state;
	apply_well(&live, CONFIG("{'a':'1','b':'2'}"), &ann, false);
	apply_well(&live, CONFIG("{'a':'1'}"), &bob, false);
	apply_well(&live, CONFIG("{'b':'2'}"), &ann, false);
	assert_json_equal(json_object_get(live, "data"), "{'a':'1','b':'2'}");
	apply_well(&live, CONFIG("{}"), &bob, false);
	assert_json_equal(json_object_get(live, "data"), "{'b':'2'}");
	json_decref(live);
}

static void test_another_value_is_a_conflict_unless_forced(void **state)
{
	struct kube_applied applied;
	json_t *live = NULL;
	(void)state;
	apply_well(&live, CONFIG("{'a':'1','b':'2'}"), &ann, false);
	assert_false(apply(&live, CONFIG("{'a':'7','x':'y'}"), &bob, false, &applied));
	assert_string_equal(applied.sentence,
			    "Apply failed with 1 conflict: conflict with \"ann\": .data.a");
	assert_json_equal(applied.conflicts,
			  "[{'reason':'FieldManagerConflict','message':'conflict with \\'ann\\'',"
			  "'field':'.data.a'}]");
	kube_applied_deinit(&applied);
	assert_false(apply(&live, CONFIG("{'a':'7','b':'8'}"), &bob, false, &applied));
	assert_string_equal(applied.sentence,
			    "Apply failed with 2 conflicts: conflict with \"ann\":"
			    "\n- .data.a\n- .data.b");
	kube_applied_deinit(&applied);
	apply_well(&live, CONFIG("{'a':'7'}"), &bob, true);
	assert_json_equal(json_object_get(live, "data"), "{'a':'7','b':'2'}");
	/* It is bob's now: the first one no longer holds it, and may not write it. */
	apply_well(&live, CONFIG("{'b':'2'}"), &ann, false);
	assert_json_equal(json_object_get(live, "data"), "{'a':'7','b':'2'}");
	assert_false(apply(&live, CONFIG("{'a':'1','b':'2'}"), &ann, false, &applied));
	kube_applied_deinit(&applied);
	json_decref(live);
}

static void test_an_update_takes_what_it_changes(void **state)
{
	struct kube_applied applied;
	json_t *live = NULL;
	(void)state;
	apply_well(&live, CONFIG("{'a':'1','b':'2'}"), &ann, false);
	update(&live, CONFIG("{'a':'9','b':'2'}"), &bob);
	assert_false(apply(&live, CONFIG("{'a':'1','b':'2'}"), &ann, false, &applied));
	assert_string_equal(applied.sentence,
			    "Apply failed with 1 conflict: conflict with \"bob\": .data.a");
	kube_applied_deinit(&applied);
	json_decref(live);
}

static void test_a_write_that_changes_nothing_changes_no_owner(void **state)
{
	const struct kube_manager later = {.name = "ann", .subresource = "", .now = {99000}};
	json_t *live = NULL, *before;
	(void)state;
	apply_well(&live, CONFIG("{'a':'1'}"), &ann, false);
	update(&live, CONFIG("{'a':'2'}"), &bob);
	before = json_deep_copy(live);
	update(&live, CONFIG("{'a':'2'}"), &later);
	assert_true(json_equal(before, live));
	json_decref(before);
	json_decref(live);
}

static void test_elements_of_keyed_lists_belong_to_who_applies_them(void **state)
{
	json_t *live = NULL;
	(void)state;
	apply_well(&live, CONTAINERS("[{'name':'a','image':'a:1'}]"), &ann, false);
	apply_well(&live, CONTAINERS("[{'name':'side','image':'s:1'}]"), &bob, false);
	apply_well(&live, CONTAINERS("[{'name':'a','image':'a:2'}]"), &ann, false);
	assert_json_equal(kube_member(live, "spec.template.spec.containers"),
			  "[{'name':'a','image':'a:2'},{'name':'side','image':'s:1'}]");
	apply_well(&live, CONTAINERS("[]"), &bob, false);
	assert_json_equal(kube_member(live, "spec.template.spec.containers"),
			  "[{'name':'a','image':'a:2'}]");
	json_decref(live);
}

static void test_an_element_without_its_key_is_refused(void **state)
{
	static const char *const configs[] = {CONTAINERS("[{'image':'a:1'}]"),
					      CONTAINERS("[{'name':'a'},{'name':'a'}]")};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
		struct kube_applied applied;
		json_t *config = json_of(configs[i]);
		struct err err;

		assert_int_equal(kube_apply(NULL, config, kube_resource(KUBE_DEPLOYMENTS), &ann,
					    false, &applied, &err),
				 -EINVAL);
		assert_int_equal(err.status, 400);
		json_decref(config);
	}
}

/* kubectl that applied in its own way before goes on at the server without a conflict with itself.
 */
static void test_kubectl_goes_over_to_the_server(void **state)
{
	const struct kube_manager before = {.name = "kubectl-client-side-apply", .subresource = ""};
	const struct kube_manager now = {.name = "kubectl", .subresource = ""};
	json_t *live = NULL;
	(void)state;
	update(&live,
	       "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'c','annotations':{"
	       "'kubectl.kubernetes.io/last-applied-configuration':'{\\'apiVersion\\':\\'v1\\',"
	       "\\'kind\\':\\'ConfigMap\\',\\'metadata\\':{},\\'data\\':{\\'a\\':\\'1\\'}}'}},"
	       "'data':{'a':'1'}}",
	       &before);
	apply_well(&live, CONFIG("{'a':'2'}"), &now, false);
	assert_json_equal(json_object_get(live, "data"), "{'a':'2'}");
	json_decref(live);
}

static void test_the_oldest_of_many_updaters_become_one(void **state)
{
	json_t *live = NULL;
	char data[64], name[16];
	(void)state;
	for (int i = 0; i < 2 * KUBE_MANAGED_UPDATES_MAX; i++) {
		const struct kube_manager manager = {.name = name, .subresource = ""};
		json_t *json = live ? json_deep_copy(live) : json_of(CONFIG("{}"));

		(void)snprintf(name, sizeof(name), "m%d", i);
		(void)snprintf(data, sizeof(data), "k%d", i);
		kube_set_string(json_object_get(json, "data"), data, "v");
		kube_set(json_object_get(json, "metadata"), "managedFields",
			 kube_managed_update(live, json, NULL, resource_of(json), &manager));
		json_decref(live);
		live = json;
	}
	assert_int_equal(json_array_size(kube_member(live, "metadata.managedFields")),
			 KUBE_MANAGED_UPDATES_MAX);
	assert_member(element(live, "metadata.managedFields", 0), "manager", "ancient-changes");
	json_decref(live);
}

static void test_managed_fields_of_clients_are_checked(void **state)
{
	static const char *const bad[] = {"7", "[7]", "[{'manager':'a'}]",
					  "[{'manager':'a','operation':'Apply','fieldsV1':[]}]"};
	struct err err;
	(void)state;
	assert_int_equal(kube_managed_check(NULL, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		json_t *managed = json_of(bad[i]);

		assert_int_equal(kube_managed_check(managed, &err), -EINVAL);
		json_decref(managed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_are_written_as_kubernetes_does),
		cmocka_unit_test(test_what_is_applied_no_more_goes),
		cmocka_unit_test(test_what_two_apply_stays_until_both_give_it_up),
		cmocka_unit_test(test_another_value_is_a_conflict_unless_forced),
		cmocka_unit_test(test_an_update_takes_what_it_changes),
		cmocka_unit_test(test_a_write_that_changes_nothing_changes_no_owner),
		cmocka_unit_test(test_elements_of_keyed_lists_belong_to_who_applies_them),
		cmocka_unit_test(test_an_element_without_its_key_is_refused),
		cmocka_unit_test(test_kubectl_goes_over_to_the_server),
		cmocka_unit_test(test_the_oldest_of_many_updaters_become_one),
		cmocka_unit_test(test_managed_fields_of_clients_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
