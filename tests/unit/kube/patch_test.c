/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/patch.h"

#include "kube_fixture.h"

#define DEPLOYMENT "'apiVersion':'apps/v1','kind':'Deployment'"
#define STRATEGIC "application/strategic-merge-patch+json"

static char *quoted(const char *text)
{
	json_t *value = json_of(text);
	char *body = json_dumps(value, JSON_ENCODE_ANY);
	json_decref(value);
	return body;
}

static int patch(const char *object, const char *type, const char *text, json_t **ret,
		 struct err *err)
{
	json_t *json = object ? json_of(object) : NULL;
	char *bytes = quoted(text);
	const struct kube_body body = {.bytes = bytes_str(bytes), .content_type = type};
	int r = kube_patch(json, &body, ret, err);
	free(bytes);
	json_decref(json);
	return r;
}

static void assert_patched(const char *object, const char *type, const char *text,
			   const char *expected)
{
	json_t *result;
	struct err err;
	if (patch(object, type, text, &result, &err) != 0)
		fail_msg("%s", err.text);
	assert_json_equal(result, expected);
	json_decref(result);
}

static void assert_refused(const char *object, const char *type, const char *text, uint16_t status)
{
	json_t *result;
	struct err err;
	assert_true(patch(object, type, text, &result, &err) < 0);
	assert_int_equal(err.status, status);
}

/* The examples of RFC 7386, appendix A, that start from an object. */
static void test_merge_patches_follow_rfc_7386(void **state)
{
	static const struct {
		const char *object, *patch, *result;
	} rows[] = {
		{"{'a':'b'}", "{'a':'c'}", "{'a':'c'}"},
		{"{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}"},
		{"{'a':'b'}", "{'a':null}", "{}"},
		{"{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}"},
		{"{'a':['b']}", "{'a':'c'}", "{'a':'c'}"},
		{"{'a':'c'}", "{'a':['b']}", "{'a':['b']}"},
		{"{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}"},
		{"{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}"},
		{"{'e':null}", "{'a':1}", "{'e':null,'a':1}"},
		{"{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_patched(rows[i].object, "application/merge-patch+json", rows[i].patch,
			       rows[i].result);
}

static void test_json_patches_follow_rfc_6902(void **state)
{
	static const struct {
		const char *object, *patch, *result;
	} rows[] = {
		{"{'foo':'bar'}", "[{'op':'add','path':'/baz','value':'qux'}]",
		 "{'foo':'bar','baz':'qux'}"},
		{"{'foo':['bar','baz']}", "[{'op':'add','path':'/foo/1','value':'qux'}]",
		 "{'foo':['bar','qux','baz']}"},
		{"{'foo':['bar']}", "[{'op':'add','path':'/foo/-','value':['abc']}]",
		 "{'foo':['bar',['abc']]}"},
		{"{'baz':'qux','foo':'bar'}", "[{'op':'remove','path':'/baz'}]", "{'foo':'bar'}"},
		{"{'foo':['a','b','c']}", "[{'op':'remove','path':'/foo/1'}]", "{'foo':['a','c']}"},
		{"{'foo':['a']}", "[{'op':'replace','path':'/foo/0','value':2}]", "{'foo':[2]}"},
		{"{'foo':{'a':1},'qux':{}}", "[{'op':'move','from':'/foo/a','path':'/qux/b'}]",
		 "{'foo':{},'qux':{'b':1}}"},
		{"{'foo':['a','b','c']}", "[{'op':'move','from':'/foo/0','path':'/foo/2'}]",
		 "{'foo':['b','c','a']}"},
		{"{'a':{'b':1}}", "[{'op':'copy','from':'/a','path':'/c'}]",
		 "{'a':{'b':1},'c':{'b':1}}"},
		{"{'a/b':1,'m~n':2}",
		 "[{'op':'test','path':'/a~1b','value':1},{'op':'replace','path':'/"
		 "m~0n','value':3}]",
		 "{'a/b':1,'m~n':3}"},
		{"{'a':1}", "[{'op':'add','path':'/b','value':null}]", "{'a':1,'b':null}"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_patched(rows[i].object, "application/json-patch+json", rows[i].patch,
			       rows[i].result);
}

static void test_json_patches_that_cannot_be_done_are_refused(void **state)
{
	static const char *const patches[] = {
		"[{'op':'test','path':'/a','value':2}]",
		"[{'op':'remove','path':'/x'}]",
		"[{'op':'replace','path':'/x','value':1}]",
		"[{'op':'add','path':'/x/y','value':1}]",
		"[{'op':'add','path':'/l/9','value':1}]",
		"[{'op':'add','path':'/l/01','value':1}]",
		"[{'op':'add','path':'','value':{}}]",
		"[{'op':'add','path':'a','value':1}]",
		"[{'op':'move','from':'/o','path':'/o/p'}]",
		"[{'op':'add','path':'/x'}]",
		"[{'op':'jump','path':'/a','value':1}]",
		"[1]",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(patches); i++)
		assert_refused("{'a':1,'l':[0],'o':{}}", "application/json-patch+json", patches[i],
			       422);
	assert_refused("{}", "application/json-patch+json", "{}", 400);
}

static void test_copies_cannot_grow_an_object_without_bound(void **state)
{
	json_t *list = json_array();
	(void)state;
	for (int i = 0; i < 40; i++)
		kube_push(list, json_of("{'op':'copy','from':'/a','path':'/a/-'}"));
	char *text = json_dumps(list, 0);
	const struct kube_body body = {.bytes = bytes_str(text),
				       .content_type = "application/json-patch+json"};
	json_t *object = json_of("{'a':[1]}"), *result;
	struct err err;
	assert_true(kube_patch(object, &body, &result, &err) < 0);
	assert_int_equal(err.status, 422);
	free(text);
	json_decref(object);
	json_decref(list);
}

/* As `kubectl set image deployment/web nginx=nginx:2` sends it. */
static void test_strategic_merge_finds_containers_by_name(void **state)
{
	(void)state;
	assert_patched(
		"{" DEPLOYMENT ",'spec':{'replicas':3,'template':{'spec':{'containers':["
		"{'name':'side','image':'s:1'},{'name':'nginx','image':'nginx:1','tty':true}]}}}}",
		STRATEGIC,
		"{'spec':{'template':{'spec':{'$setElementOrder/containers':[{'name':'side'},"
		"{'name':'nginx'}],'containers':[{'image':'nginx:2','name':'nginx'}]}}}}",
		"{" DEPLOYMENT ",'spec':{'replicas':3,'template':{'spec':{'containers':["
		"{'name':'side','image':'s:1'},{'name':'nginx','image':'nginx:2','tty':true}]}}}}");
}

static void test_strategic_merge_deletes_and_replaces_by_directive(void **state)
{
#define CONTAINERS(list) "{" DEPLOYMENT ",'spec':{'template':{'spec':{'containers':" list "}}}}"
#define PATCH(list) "{'spec':{'template':{'spec':{'containers':" list "}}}}"
	(void)state;
	assert_patched(CONTAINERS("[{'name':'a','image':'a:1'},{'name':'b','image':'b:1'}]"),
		       STRATEGIC, PATCH("[{'name':'a','$patch':'delete'}]"),
		       CONTAINERS("[{'name':'b','image':'b:1'}]"));
	assert_patched(CONTAINERS("[{'name':'a','image':'a:1'},{'name':'b','image':'b:1'}]"),
		       STRATEGIC, PATCH("[{'$patch':'replace'},{'name':'c','image':'c:1'}]"),
		       CONTAINERS("[{'name':'c','image':'c:1'}]"));
	assert_patched(CONTAINERS("[{'name':'a','image':'a:1','tty':true}]"), STRATEGIC,
		       PATCH("[{'name':'a','tty':null}]"),
		       CONTAINERS("[{'name':'a','image':'a:1'}]"));
	/* As `kubectl rollout undo` sends it. */
	assert_patched(
		"{'apiVersion':'apps/v1','kind':'Deployment','spec':{'replicas':2,'template':"
		"{'metadata':{'labels':{'a':'b'}},'spec':{'hostname':'h'}}}}",
		STRATEGIC, "{'spec':{'template':{'$patch':'replace','spec':{'hostname':'i'}}}}",
		"{'apiVersion':'apps/v1','kind':'Deployment','spec':{'replicas':2,'template':"
		"{'spec':{'hostname':'i'}}}}");
}

static void test_strategic_merge_keeps_the_order_that_the_client_sees(void **state)
{
	(void)state;
	assert_patched(CONTAINERS("[{'name':'a'},{'name':'server'},{'name':'b'}]"), STRATEGIC,
		       "{'spec':{'template':{'spec':{'$setElementOrder/containers':[{'name':'c'},"
		       "{'name':'b'},{'name':'a'}],'containers':[{'name':'c','image':'c:1'}]}}}}",
		       CONTAINERS("[{'name':'c','image':'c:1'},{'name':'b'},{'name':'a'},"
				  "{'name':'server'}]"));
}

static void test_strategic_merge_replaces_lists_without_a_key(void **state)
{
	(void)state;
	assert_patched(CONTAINERS("[{'name':'a','args':['1','2']}]"), STRATEGIC,
		       PATCH("[{'name':'a','args':['3']}]"),
		       CONTAINERS("[{'name':'a','args':['3']}]"));
}

static void test_strategic_merge_treats_finalizers_as_a_set(void **state)
{
	(void)state;
	assert_patched("{" DEPLOYMENT ",'metadata':{'finalizers':['a','b']}}", STRATEGIC,
		       "{'metadata':{'finalizers':['b','c'],"
		       "'$deleteFromPrimitiveList/finalizers':['a'],"
		       "'$setElementOrder/finalizers':['c','b']}}",
		       "{" DEPLOYMENT ",'metadata':{'finalizers':['c','b']}}");
}

/* As `kubectl apply` sends it when a strategy changes its type. */
static void test_strategic_merge_retains_only_the_keys_named(void **state)
{
	(void)state;
	assert_patched("{" DEPLOYMENT ",'spec':{'strategy':{'type':'RollingUpdate',"
		       "'rollingUpdate':{'maxSurge':1}}}}",
		       STRATEGIC,
		       "{'spec':{'strategy':{'$retainKeys':['type'],'type':'Recreate'}}}",
		       "{" DEPLOYMENT ",'spec':{'strategy':{'type':'Recreate'}}}");
}

static void test_strategic_merge_merges_labels_and_deletes_by_null(void **state)
{
	(void)state;
	assert_patched("{" DEPLOYMENT ",'metadata':{'labels':{'a':'1','b':'2'}}}", STRATEGIC,
		       "{'metadata':{'labels':{'a':null,'c':'3'}}}",
		       "{" DEPLOYMENT ",'metadata':{'labels':{'b':'2','c':'3'}}}");
}

static void test_malformed_strategic_patches_are_refused(void **state)
{
	(void)state;
	assert_refused(CONTAINERS("[]"), STRATEGIC, PATCH("[{'image':'a'}]"), 400);
	assert_refused(CONTAINERS("[]"), STRATEGIC, PATCH("[3]"), 400);
	assert_refused(CONTAINERS("[]"), STRATEGIC, "{'spec':{'$patch':'explode'}}", 400);
	assert_refused(CONTAINERS("[]"), STRATEGIC, "[]", 400);
	assert_refused(CONTAINERS("[]"), "application/json", "{}", 415);
}

static void test_a_configuration_is_no_patch(void **state)
{
	(void)state;
	assert_refused("{" DEPLOYMENT "}", "application/apply-patch+yaml", "{}", 415);
	assert_true(kube_patch_is_apply("application/apply-patch+yaml"));
	assert_false(kube_patch_is_apply(STRATEGIC));
}

/* Scale is patched with a merge patch by `kubectl scale`. */
static void test_a_scale_is_patched(void **state)
{
	(void)state;
	assert_patched("{'apiVersion':'autoscaling/v1','kind':'Scale','spec':{'replicas':3}}",
		       "application/merge-patch+json", "{'spec':{'replicas':4}}",
		       "{'apiVersion':'autoscaling/v1','kind':'Scale','spec':{'replicas':4}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge_patches_follow_rfc_7386),
		cmocka_unit_test(test_json_patches_follow_rfc_6902),
		cmocka_unit_test(test_json_patches_that_cannot_be_done_are_refused),
		cmocka_unit_test(test_copies_cannot_grow_an_object_without_bound),
		cmocka_unit_test(test_strategic_merge_finds_containers_by_name),
		cmocka_unit_test(test_strategic_merge_deletes_and_replaces_by_directive),
		cmocka_unit_test(test_strategic_merge_keeps_the_order_that_the_client_sees),
		cmocka_unit_test(test_strategic_merge_replaces_lists_without_a_key),
		cmocka_unit_test(test_strategic_merge_treats_finalizers_as_a_set),
		cmocka_unit_test(test_strategic_merge_retains_only_the_keys_named),
		cmocka_unit_test(test_strategic_merge_merges_labels_and_deletes_by_null),
		cmocka_unit_test(test_malformed_strategic_patches_are_refused),
		cmocka_unit_test(test_a_configuration_is_no_patch),
		cmocka_unit_test(test_a_scale_is_patched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
