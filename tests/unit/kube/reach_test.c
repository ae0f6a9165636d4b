/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/reach.h"

#include "kube_fixture.h"

/* What is said about @object, "FIELD: message" of causes and warnings as they come. */
static void expect(const char *object, size_t cause_count, const char *field, const char *warning)
{
	json_t *json = json_of(object);
	struct check check;

	check_init(&check);
	kube_validate_reach(&check, json);
	assert_int_equal(json_array_size(check.causes), cause_count);
	if (field)
		assert_string_equal(kube_member_string(json_array_get(check.causes, 0), "field"),
				    field);
	if (warning)
		assert_string_equal(json_string_value(json_array_get(check.warnings, 0)), warning);
	else
		assert_int_equal(json_array_size(check.warnings), 0);
	check_deinit(&check);
	json_decref(json);
}

static void test_patterns_are_taken(void **state)
{
	expect("{'kind':'Pod','metadata':{'annotations':{'magik.io/allow':'web, shop/front,*/mon*',"
	       "'magik.io/deny':'*/stranger','magik.io/prefer':'machine'}}}",
	       0, NULL, NULL);
	expect("{'kind':'Deployment','metadata':{},'spec':{'template':{'metadata':{'annotations':{"
	       "'magik.io/allow':'w?b'}}}}}",
	       0, NULL, NULL);
}

static void test_what_is_no_pattern_is_refused(void **state)
{
	static const char *const bad[] = {"",      "web,", "a/b/c", "/web",
					  "shop/", "Web",  "a b",   "web;x"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[256];

		(void)snprintf(text, sizeof(text),
			       "{'kind':'Pod','metadata':{'annotations':{'magik.io/deny':'%s'}}}",
			       bad[i]);
		expect(text, 1, "metadata.annotations[magik.io/deny]", NULL);
	}
	expect("{'kind':'Pod','metadata':{'annotations':{'magik.io/allow':"
	       "'a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q'}}}",
	       1, "metadata.annotations[magik.io/allow]", NULL);
	expect("{'kind':'Pod','metadata':{'annotations':{'magik.io/prefer':'moon'}}}", 1,
	       "metadata.annotations[magik.io/prefer]", NULL);
	expect("{'kind':'CronJob','spec':{'jobTemplate':{'spec':{'template':{'metadata':{"
	       "'annotations':{'magik.io/allow':'A'}}}}}}}",
	       1, "spec.jobTemplate.spec.template.metadata.annotations[magik.io/allow]", NULL);
}

static void test_elsewhere_it_has_no_effect(void **state)
{
	static const char warning[] =
		"metadata.annotations[magik.io/allow]: has no effect here: it "
		"belongs to the metadata of a Pod or of a pod template";

	expect("{'kind':'Deployment','metadata':{'annotations':{'magik.io/allow':'web'}},"
	       "'spec':{'template':{}}}",
	       0, NULL, warning);
	expect("{'kind':'Service','metadata':{'annotations':{'magik.io/allow':'web'}}}", 0, NULL,
	       warning);
}

static void test_a_namespace_in_a_pattern_crosses(void **state)
{
	assert_true(kube_reach_crosses("web, shop/front"));
	assert_false(kube_reach_crosses("web,front"));
	assert_false(kube_reach_crosses(NULL));
}

static void test_egress_is_read(void **state)
{
	static const char *const bad[] = {"",           "some",       "10.0.0.0/33", "10.0.0.0/",
					  "10.0.0/8",   "fd00::/129", "10.0.0.0/8,", "[::1]",
					  "10.0.0.0/-1"};
	struct kube_egress egress;

	assert_true(kube_egress_read(NULL, &egress) && egress.all);
	assert_true(kube_egress_read("all", &egress) && egress.all);
	assert_true(kube_egress_read("none", &egress) && !egress.all && egress.count == 0);
	assert_true(kube_egress_read("10.1.0.0/16, 192.0.2.7,fd00::/8,0.0.0.0/0", &egress));
	assert_false(egress.all);
	assert_int_equal(egress.count, 4);
	assert_int_equal(egress.list[0].prefix, 16);
	assert_int_equal(egress.list[1].prefix, 32);
	assert_int_equal(egress.list[2].prefix, 8);
	assert_false(egress.list[2].ip.is_v4);
	assert_int_equal(egress.list[3].prefix, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(kube_egress_read(bad[i], &egress));
	expect("{'kind':'Pod','metadata':{'annotations':{'magik.io/egress':'10.0.0.0/99'}}}", 1,
	       "metadata.annotations[magik.io/egress]", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns_are_taken),
		cmocka_unit_test(test_what_is_no_pattern_is_refused),
		cmocka_unit_test(test_elsewhere_it_has_no_effect),
		cmocka_unit_test(test_a_namespace_in_a_pattern_crosses),
		cmocka_unit_test(test_egress_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
