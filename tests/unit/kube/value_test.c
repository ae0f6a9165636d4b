/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/name.h"
#include "kube/quantity.h"
#include "kube/selector.h"
#include "kube/time.h"

#include "kube_fixture.h"

#include "base/bytes.h"

static void test_cpu_is_read_in_thousandths(void **state)
{
	static const struct {
		const char *text;
		int result;
		int64_t milli;
	} rows[] = {
		{"500m", 0, 500},
		{"2", 0, 2000},
		{"0.1", 0, 100},
		{".5", 0, 500},
		{"1.", 0, 1000},
		{"1e3", 0, 1000000},
		{"1E-1", 0, 100},
		{"100u", 0, 1}, /* a tenth of a thousandth is rounded up */
		{"1n", 0, 1},
		{"0", 0, 0},
		{"-0", 0, 0},
		{"0.0001", 0, 1},
		{"9223372036854775", 0, 9223372036854775000},
		{"9223372036854776", KUBE_QUANTITY_E_RANGE, 0},
		{"1E", KUBE_QUANTITY_E_RANGE, 0},
		{"99999999999999999999", KUBE_QUANTITY_E_RANGE, 0},
		{"1e999999999999", KUBE_QUANTITY_E_RANGE, 0},
		{"0e999999999999", 0, 0},
		{"-1", KUBE_QUANTITY_E_NEGATIVE, 0},
		{"", KUBE_QUANTITY_E_SYNTAX, 0},
		{".", KUBE_QUANTITY_E_SYNTAX, 0},
		{"m", KUBE_QUANTITY_E_SYNTAX, 0},
		{"1.2.3", KUBE_QUANTITY_E_SYNTAX, 0},
		{"1 ", KUBE_QUANTITY_E_SYNTAX, 0},
		{"1e", KUBE_QUANTITY_E_SYNTAX, 0},
		{"1kb", KUBE_QUANTITY_E_SYNTAX, 0},
		{"0x10", KUBE_QUANTITY_E_SYNTAX, 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t milli = 0;
		int result = kube_quantity_milli(rows[i].text, &milli);
		if (result != rows[i].result || milli != rows[i].milli)
			fail_msg("%s: %d, %lld", rows[i].text, result, (long long)milli);
	}
}

static void test_memory_is_read_in_bytes_with_every_suffix(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} rows[] = {
		{"128974848", 128974848},
		{"129e6", 129000000},
		{"129M", 129000000},
		{"123Mi", 128974848},
		{"1.5Gi", 1610612736},
		{"0.1Ki", 103}, /* 102.4, rounded up */
		{"1k", 1000},
		{"1Ki", 1024},
		{"1T", 1000000000000},
		{"1Ti", 1099511627776},
		{"1P", 1000000000000000},
		{"1Pi", 1125899906842624},
		{"7Ei", 8070450532247928832},
		{"9E", 9000000000000000000},
		{"100m", 1},
		{"0.000000000000000000001", 1},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t bytes = 0;
		if (kube_quantity_units(rows[i].text, &bytes) != 0 || bytes != rows[i].bytes)
			fail_msg("%s: %lld", rows[i].text, (long long)bytes);
	}
	int64_t bytes;
	assert_int_equal(kube_quantity_units("8Ei", &bytes), KUBE_QUANTITY_E_RANGE);
}

static void test_quantities_print_as_kubernetes_does(void **state)
{
	json_t *tenth = json_real(0.1);
	int64_t milli;
	(void)state;
	assert_string_equal(kube_quantity_from_milli(500).text, "500m");
	assert_string_equal(kube_quantity_from_milli(2000).text, "2");
	assert_string_equal(kube_quantity_from_bytes(64 << 20).text, "64Mi");
	assert_string_equal(kube_quantity_from_bytes(1000).text, "1000");
	assert_string_equal(kube_quantity_from_bytes(0).text, "0");
	assert_string_equal(kube_quantity_from_json(tenth).text, "0.1");
	assert_int_equal(kube_quantity_json_milli(tenth, &milli), 0);
	assert_int_equal(milli, 100);
	json_decref(tenth);
}

static bool selects(const char *selector, const char *labels)
{
	struct kube_selector parsed;
	struct err err;
	json_t *json = json_of(labels);
	if (kube_label_selector_parse(selector, &parsed, &err) != 0)
		fail_msg("%s: %s", selector, err.text);
	bool matches = kube_selector_matches_labels(&parsed, json);
	kube_selector_deinit(&parsed);
	json_decref(json);
	return matches;
}

static void test_label_selectors_select(void **state)
{
	(void)state;
	assert_true(selects("", "{}"));
	assert_true(selects("app=web", "{'app':'web'}"));
	assert_true(selects("app==web", "{'app':'web'}"));
	assert_false(selects("app=web", "{'app':'db'}"));
	assert_false(selects("app=web", "{}"));
	assert_true(selects("app!=web", "{}"));
	assert_false(selects("app!=web", "{'app':'web'}"));
	assert_true(selects("tier in (a, b)", "{'tier':'b'}"));
	assert_false(selects("tier in (a,b)", "{'tier':'c'}"));
	assert_true(selects("tier notin (a,b)", "{}"));
	assert_false(selects("tier notin (a,b)", "{'tier':'a'}"));
	assert_true(selects("app", "{'app':''}"));
	assert_false(selects("app", "{}"));
	assert_true(selects("!app", "{}"));
	assert_false(selects("! app", "{'app':'x'}"));
	assert_true(selects("a=1,b in (2),!c , d!=4", "{'a':'1','b':'2'}"));
	assert_true(selects("kubernetes.io/arch = amd64", "{'kubernetes.io/arch':'amd64'}"));
	assert_true(selects("app=", "{'app':''}"));
}

static void test_malformed_selectors_are_refused(void **state)
{
	static const char *const labels[] = {"=a",     ",",     "a b",       "a in",   "a in (b",
					     "a in b", "a=b c", "a in (b)c", "-a=b",   "a=b,,c",
					     "a>1",    "!",     "a=(b)",     "a/b/c=d"};
	static const char *const fields[] = {"metadata.name", "=b", "!a", "spec.unknown=a"};
	struct kube_selector parsed;
	struct err err;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		if (kube_label_selector_parse(labels[i], &parsed, &err) == 0)
			fail_msg("accepted: %s", labels[i]);
		assert_int_equal(err.status, 400);
	}
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (kube_field_selector_parse(fields[i], kube_resource(KUBE_PODS), &parsed, &err) ==
		    0)
			fail_msg("accepted: %s", fields[i]);
	}
}

static void test_a_selector_has_a_bounded_number_of_terms(void **state)
{
	struct buf text = {0};
	struct kube_selector parsed;
	struct err err;
	(void)state;
	for (int i = 0; i <= KUBE_SELECTOR_TERMS_MAX; i++)
		buf_append_format(&text, "%sa%d=b", i ? "," : "", i);
	assert_int_equal(kube_label_selector_parse(buf_cstr(&text), &parsed, &err), -EINVAL);
	buf_clear(&text);
	buf_append_str(&text, "a in (");
	for (int i = 0; i <= KUBE_SELECTOR_VALUES_MAX; i++)
		buf_append_format(&text, "%sv%d", i ? "," : "", i);
	buf_append_str(&text, ")");
	assert_int_equal(kube_label_selector_parse(buf_cstr(&text), &parsed, &err), -EINVAL);
	buf_deinit(&text);
}

static void test_a_json_label_selector_is_read(void **state)
{
	json_t *json = json_of("{'matchLabels':{'app':'web'},'matchExpressions':["
			       "{'key':'tier','operator':'In','values':['a','b']},"
			       "{'key':'old','operator':'DoesNotExist'}]}");
	json_t *bad = json_of("{'matchExpressions':[{'key':'a','operator':'In'}]}");
	json_t *yes = json_of("{'app':'web','tier':'a'}");
	json_t *no = json_of("{'app':'web','tier':'a','old':'1'}");
	struct kube_selector parsed;
	struct err err;
	(void)state;
	assert_int_equal(kube_label_selector_from_json(json, &parsed, &err), 0);
	assert_true(kube_selector_matches_labels(&parsed, yes));
	assert_false(kube_selector_matches_labels(&parsed, no));
	kube_selector_deinit(&parsed);
	assert_int_equal(kube_label_selector_from_json(bad, &parsed, &err), -EINVAL);
	json_decref(json);
	json_decref(bad);
	json_decref(yes);
	json_decref(no);
}

static void test_field_selectors_look_into_the_object(void **state)
{
	json_t *pod = json_of("{'metadata':{'name':'web'},'spec':{'nodeName':'n1',"
			      "'hostNetwork':true},'status':{'phase':'Running'}}");
	static const struct {
		const char *text;
		bool matches;
	} rows[] = {
		{"metadata.name=web", true},
		{"metadata.name=web,status.phase!=Running", false},
		{"spec.nodeName==n1,status.phase!=Failed", true},
		{"spec.hostNetwork=true", true},
		{"status.podIP=", true},
		{"status.podIP!=", false},
		{"", true},
	};
	struct kube_selector parsed;
	struct err err;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(kube_field_selector_parse(rows[i].text, kube_resource(KUBE_PODS),
							   &parsed, &err),
				 0);
		if (kube_field_selector_matches(&parsed, pod) != rows[i].matches)
			fail_msg("%s", rows[i].text);
		kube_selector_deinit(&parsed);
	}
	assert_int_equal(kube_field_selector_parse("metadata.namespace!=b,metadata.name=web",
						   kube_resource(KUBE_CONFIGMAPS), &parsed, &err),
			 0);
	assert_string_equal(kube_field_selector_name(&parsed), "web");
	kube_selector_deinit(&parsed);
	json_decref(pod);
}

static void test_field_selectors_name_fields_of_their_kind(void **state)
{
	json_t *job = json_of("{'status':{'succeeded':3}}");
	struct kube_selector parsed;
	struct err err;
	(void)state;
	assert_true(kube_field_selector_parse("spec.nodeName=a", kube_resource(KUBE_JOBS), &parsed,
					      &err) < 0);
	assert_int_equal(err.status, 400);
	assert_string_equal(err.text, "field label not supported: spec.nodeName");
	assert_int_equal(kube_field_selector_parse("status.successful=3", kube_resource(KUBE_JOBS),
						   &parsed, &err),
			 0);
	assert_true(kube_field_selector_matches(&parsed, job));
	kube_selector_deinit(&parsed);
	json_decref(job);
}

static void test_names_follow_rfc_1123(void **state)
{
	char long_label[80];
	(void)state;
	memset(long_label, 'a', sizeof(long_label));
	long_label[64] = 0;
	assert_false(kube_name_is_label(long_label));
	long_label[63] = 0;
	assert_true(kube_name_is_label(long_label));
	assert_true(kube_name_is_label("web-1"));
	assert_false(kube_name_is_label("web."));
	assert_false(kube_name_is_label(""));
	assert_false(kube_name_is_label("-a"));
	assert_false(kube_name_is_label("A"));
	assert_true(kube_name_is_subdomain("a.b-c.d"));
	assert_false(kube_name_is_subdomain("a..b"));
	assert_false(kube_name_is_subdomain(".a"));
	assert_false(kube_name_is_subdomain("a."));
	assert_true(kube_name_is_label_key("app.kubernetes.io/name"));
	assert_false(kube_name_is_label_key("/name"));
	assert_false(kube_name_is_label_key("a/"));
	assert_true(kube_name_is_label_value(""));
	assert_true(kube_name_is_label_value("A_b.c-9"));
	assert_false(kube_name_is_label_value("a b"));
	assert_false(kube_name_is_label_value("_a"));
	assert_true(kube_name_is_port("http"));
	assert_false(kube_name_is_port("80"));
	assert_false(kube_name_is_port("a--b"));
	assert_true(kube_name_is_env("A.b-c"));
	assert_false(kube_name_is_env("A=B"));
}

/* As a client that holds it in a struct writes it back. */
static void test_a_template_is_the_same_without_what_says_nothing(void **state)
{
	json_t *said = json_of("{'metadata':{'labels':{'app':'web'},'annotations':{}},'spec':{"
			       "'hostNetwork':false,'initContainers':[],'nodeName':null,"
			       "'volumes':[{'name':'v','emptyDir':{'medium':''}}],"
			       "'containers':[{'name':'c','env':[{'name':'A','value':''}],"
			       "'ports':[{'containerPort':80,'hostPort':0}]}]}}");
	json_t *left = json_of("{'metadata':{'labels':{'app':'web'}},'spec':{"
			       "'volumes':[{'name':'v','emptyDir':{}}],"
			       "'containers':[{'name':'c','env':[{'name':'A'}],"
			       "'ports':[{'containerPort':80}]}]}}");
	json_t *root = json_of("{'spec':{'securityContext':{'runAsUser':0}}}");
	json_t *any = json_of("{'spec':{'securityContext':{}}}");
	(void)state;
	assert_string_equal(kube_template_hash(said).text, kube_template_hash(left).text);
	assert_string_not_equal(kube_template_hash(root).text, kube_template_hash(any).text);
	assert_int_equal(json_array_size(kube_member(said, "spec.initContainers")), 0);
	assert_non_null(kube_member(said, "spec.initContainers"));
	json_decref(said);
	json_decref(left);
	json_decref(root);
	json_decref(any);
}

static void test_pod_names_are_made_of_the_hash_and_the_uid(void **state)
{
	json_t *one = json_of("{'spec':{'a':1},'metadata':{'labels':{'app':'web'}}}");
	json_t *same = json_of("{'metadata':{'labels':{'app':'web'}},'spec':{'a':1}}");
	json_t *other = json_of("{'spec':{'a':2},'metadata':{'labels':{'app':'web'}}}");
	struct kube_hash hash = kube_template_hash(one);
	struct uid uid, sibling;
	char start[64];
	(void)state;
	assert_string_equal(hash.text, kube_template_hash(same).text);
	assert_string_not_equal(hash.text, kube_template_hash(other).text);
	assert_int_equal(strspn(hash.text, "bcdfghjklmnpqrstvwxz2456789"), strlen(hash.text));
	assert_true(uid_parse("12345678-9abc-4def-8123-456789abcdef", &uid));
	assert_true(uid_parse("22345678-9abc-4def-8123-456789abcdef", &sibling));
	struct kube_name set = kube_name_replica_set("web", &hash);
	struct kube_name name = kube_name_pod(set.text, &uid);
	snprintf(start, sizeof(start), "web-%s-", hash.text);
	assert_memory_equal(name.text, start, strlen(start));
	assert_int_equal(strlen(name.text), strlen(start) + KUBE_SUFFIX_LEN);
	assert_true(kube_name_is_subdomain(name.text));
	assert_string_not_equal(name.text, kube_name_pod(set.text, &sibling).text);
	json_decref(one);
	json_decref(same);
	json_decref(other);
}

static void test_pods_of_a_long_name_still_have_a_host_name(void **state)
{
	const struct kube_hash hash = {.text = "7f766cbb7b"};
	const struct uid uid = {.byte = {1, 2, 3}};
	char deployment[KUBE_SUBDOMAIN_MAX + 1];
	(void)state;
	memset(deployment, 'a', sizeof(deployment));
	deployment[KUBE_SUBDOMAIN_MAX] = 0;
	struct kube_name set = kube_name_replica_set(deployment, &hash);
	assert_true(kube_name_is_subdomain(set.text));
	assert_non_null(strstr(set.text, "a-7f766cbb7b"));
	set.text[56] = '.'; /* just where it is cut */
	struct kube_name base = kube_name_pod_base(set.text);
	struct kube_name name = kube_name_pod(set.text, &uid);
	assert_true(kube_name_is_label(base.text));
	assert_true(kube_name_is_label(name.text));
	assert_memory_equal(name.text, base.text, strlen(base.text));
	assert_int_equal(strlen(name.text), strlen(base.text) + 1 + KUBE_SUFFIX_LEN);
}

static void test_times_are_written_and_read_back(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-21T18:30:00Z", 1795285800000},
		{"2000-02-29T23:59:59Z", 951868799000},
		{"1969-12-31T23:59:59Z", -1000},
		{"9999-12-31T23:59:59Z", 253402300799000},
	};
	struct wall at;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		at.ms = rows[i].ms;
		assert_string_equal(kube_time_text(at).text, rows[i].text);
		at.ms = 1;
		assert_true(kube_time_parse(rows[i].text, &at));
		assert_int_equal(at.ms, rows[i].ms);
	}
	assert_true(kube_time_parse("2026-11-21T20:30:00.250+02:00", &at));
	assert_int_equal(at.ms, 1795285800250);
	assert_false(kube_time_parse("2026-13-01T00:00:00Z", &at));
	assert_false(kube_time_parse("2026-02-29T00:00:00Z", &at));
	assert_false(kube_time_parse("2026-01-01 00:00:00Z", &at));
	assert_false(kube_time_parse("2026-01-01T00:00:00", &at));
	assert_false(kube_time_parse("2026-01-01T00:00:00.Z", &at));
	assert_false(kube_time_parse("", &at));
}

static void test_ages_are_those_that_kubectl_prints(void **state)
{
	static const struct {
		int64_t seconds;
		const char *age;
	} rows[] = {
		{0, "0s"},      {-1, "0s"},       {-2, "<invalid>"},   {45, "45s"},
		{119, "119s"},  {120, "2m"},      {125, "2m5s"},       {599, "9m59s"},
		{600, "10m"},   {10799, "179m"},  {10800, "3h"},       {12000, "3h20m"},
		{28800, "8h"},  {86400, "24h"},   {172800, "2d"},      {183600, "2d3h"},
		{691200, "8d"}, {63072000, "2y"}, {66528000, "2y40d"}, {252288000, "8y"},
	};
	struct wall now = {.ms = 1795285800000};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct wall since = {.ms = now.ms - rows[i].seconds * 1000};
		assert_string_equal(kube_age(since, now).text, rows[i].age);
	}
	assert_string_equal(kube_age_of("2026-11-21T18:29:00Z", now).text, "60s");
	assert_string_equal(kube_age_of(NULL, now).text, "<unknown>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_is_read_in_thousandths),
		cmocka_unit_test(test_memory_is_read_in_bytes_with_every_suffix),
		cmocka_unit_test(test_quantities_print_as_kubernetes_does),
		cmocka_unit_test(test_label_selectors_select),
		cmocka_unit_test(test_malformed_selectors_are_refused),
		cmocka_unit_test(test_a_selector_has_a_bounded_number_of_terms),
		cmocka_unit_test(test_a_json_label_selector_is_read),
		cmocka_unit_test(test_field_selectors_look_into_the_object),
		cmocka_unit_test(test_field_selectors_name_fields_of_their_kind),
		cmocka_unit_test(test_names_follow_rfc_1123),
		cmocka_unit_test(test_a_template_is_the_same_without_what_says_nothing),
		cmocka_unit_test(test_pod_names_are_made_of_the_hash_and_the_uid),
		cmocka_unit_test(test_pods_of_a_long_name_still_have_a_host_name),
		cmocka_unit_test(test_times_are_written_and_read_back),
		cmocka_unit_test(test_ages_are_those_that_kubectl_prints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
