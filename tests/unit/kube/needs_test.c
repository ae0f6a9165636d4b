/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/needs.h"

#include "kube_fixture.h"

#include "wire/message.h"

/* A Pod with the members of @spec, and its metadata. */
static json_t *pod_of(const char *metadata, const char *spec)
{
	char text[4096];
	snprintf(text, sizeof(text), "{'kind':'Pod','metadata':{%s},'spec':{%s}}", metadata, spec);
	return json_of(text);
}

static struct requirements read_needs(const char *metadata, const char *spec)
{
	json_t *pod = pod_of(metadata, spec);
	struct requirements needs;
	struct err err = {0};
	if (kube_needs_read(pod, &needs, &err) != 0)
		fail_msg("%s", err.text);
	json_decref(pod);
	return needs;
}

static void assert_unreadable(const char *spec)
{
	json_t *pod = pod_of("", spec);
	struct requirements needs;
	struct err err = {0};
	if (kube_needs_read(pod, &needs, &err) == 0)
		fail_msg("accepted: %s", spec);
	assert_int_equal(err.status, 422);
	json_decref(pod);
}

static void test_tolerations(void **state)
{
	struct requirements needs = read_needs(
		"",
		"'tolerations':[{'key':'a','operator':'Equal','value':'b','effect':'NoSchedule'},"
		"{'key':'c','value':'d'},{'operator':'Exists'},"
		"{'key':'e','operator':'Exists','effect':'NoExecute','tolerationSeconds':5}]");
	(void)state;
	assert_int_equal(needs.toleration_count, 4);
	assert_string_equal(needs.tolerations[0].key, "a");
	assert_string_equal(needs.tolerations[0].value, "b");
	assert_int_equal(needs.tolerations[0].effect, TAINT_NO_SCHEDULE);
	assert_false(needs.tolerations[0].exists);
	assert_int_equal(needs.tolerations[1].effect, TAINT_ANY);
	assert_false(needs.tolerations[1].exists);
	assert_string_equal(needs.tolerations[2].key, "");
	assert_true(needs.tolerations[2].exists);
	assert_int_equal(needs.tolerations[3].effect, TAINT_NO_EXECUTE);
	assert_int_equal(needs.tolerations[2].limit_s, 0);
	assert_int_equal(needs.tolerations[3].limit_s, 6);
	requirements_deinit(&needs);
}

static void test_terms_of_machines(void **state)
{
	struct requirements needs = read_needs(
		"",
		"'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':"
		"{'nodeSelectorTerms':[{'matchExpressions':["
		"{'key':'disk','operator':'In','values':['ssd','nvme']},"
		"{'key':'gpu','operator':'DoesNotExist'},{'key':'cores','operator':'Gt',"
		"'values':['8']}]},{'matchFields':[{'key':'metadata.name','operator':'NotIn',"
		"'values':['m1']}]}]},'preferredDuringSchedulingIgnoredDuringExecution':["
		"{'weight':7,'preference':{'matchExpressions':[{'key':'z','operator':'Exists'}]}}]"
		"}}");
	(void)state;
	assert_int_equal(needs.selector.count, 2);
	assert_int_equal(needs.selector.list[0].term_count, 3);
	assert_int_equal(needs.selector.list[0].terms[0].operator, TERM_IN);
	assert_int_equal(needs.selector.list[0].terms[0].value_count, 2);
	assert_string_equal(needs.selector.list[0].terms[0].values[1], "nvme");
	assert_int_equal(needs.selector.list[0].terms[1].operator, TERM_ABSENT);
	assert_int_equal(needs.selector.list[0].terms[2].operator, TERM_GREATER);
	assert_string_equal(needs.selector.list[1].terms[0].key, "kubernetes.io/hostname");
	assert_int_equal(needs.selector.list[1].terms[0].operator, TERM_NOT_IN);
	assert_int_equal(needs.preferred.count, 1);
	assert_int_equal(needs.preferred.list[0].weight, 7);
	assert_int_equal(needs.preferred.list[0].terms[0].operator, TERM_EXISTS);
	requirements_deinit(&needs);
}

#define REQUIRED "'requiredDuringSchedulingIgnoredDuringExecution'"
#define PREFERRED "'preferredDuringSchedulingIgnoredDuringExecution'"
#define BY_HOST "'topologyKey':'kubernetes.io/hostname'"

static void test_terms_of_pods(void **state)
{
	struct requirements needs = read_needs(
		"'labels':{'app':'web'}",
		"'affinity':{'podAffinity':{" REQUIRED ":[{" BY_HOST
		",'labelSelector':{'matchLabels':{'app':'cache'}}}]," PREFERRED
		":[{'weight':10,'podAffinityTerm':{" BY_HOST ",'labelSelector':{}}},"
		"{'weight':10,'podAffinityTerm':{'topologyKey':'zone','labelSelector':{}}}]},"
		"'podAntiAffinity':{" REQUIRED ":[{" BY_HOST
		",'labelSelector':{'matchExpressions':[{'key':'app','operator':'NotIn',"
		"'values':['db']}]}},{" BY_HOST "}]," PREFERRED
		":[{'weight':3,'podAffinityTerm':{" BY_HOST
		",'labelSelector':{'matchExpressions':[{'key':'app','operator':'Exists'}]}}}]}}");
	(void)state;
	assert_int_equal(needs.with.count, 1);
	assert_string_equal(needs.with.list[0].terms[0].values[0], "cache");
	assert_int_equal(needs.apart.count, 1); /* without a selector no pod matches */
	assert_int_equal(needs.apart.list[0].terms[0].operator, TERM_NOT_IN);
	assert_int_equal(needs.pods_preferred.count, 2); /* not by zone */
	assert_int_equal(needs.pods_preferred.list[0].weight, 10);
	assert_int_equal(needs.pods_preferred.list[0].term_count, 0);
	assert_int_equal(needs.pods_preferred.list[1].weight, -3);
	assert_int_equal(needs.pod_label_count, 1);
	assert_string_equal(needs.pod_labels[0].key, "app");
	requirements_deinit(&needs);
}

static void test_spreads(void **state)
{
	struct requirements needs = read_needs(
		"", "'topologySpreadConstraints':[{'maxSkew':2,'topologyKey':'zone',"
		    "'whenUnsatisfiable':'DoNotSchedule','minDomains':3},"
		    "{'maxSkew':1,'topologyKey':'rack','whenUnsatisfiable':'ScheduleAnyway'}]");
	(void)state;
	assert_int_equal(needs.spread_count, 2);
	assert_string_equal(needs.spreads[0].key, "zone");
	assert_int_equal(needs.spreads[0].max_skew, 2);
	assert_int_equal(needs.spreads[0].min_domains, 3);
	assert_true(needs.spreads[0].required);
	assert_int_equal(needs.spreads[1].min_domains, 1);
	assert_false(needs.spreads[1].required);
	requirements_deinit(&needs);
}

static void test_resources_and_ports(void **state)
{
	struct requirements needs = read_needs(
		"", "'containers':[{'resources':{'limits':{'vendor.example/gpu':1,'cpu':'2'}},"
		    "'ports':[{'containerPort':80,'hostPort':8080,'protocol':'TCP'},"
		    "{'containerPort':81}]},"
		    "{'resources':{'limits':{'vendor.example/gpu':'2'}},'ports':"
		    "[{'containerPort':53,'hostPort':53,'protocol':'UDP','hostIP':'10.0.0.1'}]}],"
		    "'initContainers':[{'resources':{'limits':{'vendor.example/fpga':4}}}]");
	(void)state;
	assert_int_equal(needs.cpu_milli, 2000);
	assert_int_equal(needs.resource_count, 2);
	assert_string_equal(needs.resources[0].name, "vendor.example/gpu");
	assert_int_equal(needs.resources[0].count, 3);
	assert_string_equal(needs.resources[1].name, "vendor.example/fpga");
	assert_int_equal(needs.resources[1].count, 4);
	assert_int_equal(needs.port_count, 2);
	assert_int_equal(needs.ports[0].addr.port, 8080);
	assert_true(addr_is_wildcard(&needs.ports[0].addr));
	assert_int_equal(needs.ports[1].protocol, PORT_UDP);
	assert_string_equal(addr_text(&needs.ports[1].addr).text, "10.0.0.1:53");
	requirements_deinit(&needs);
}

#define NODE_TERM(term) \
	"'affinity':{'nodeAffinity':{" REQUIRED ":{'nodeSelectorTerms':[" term "]}}}"
#define EXPRESSION(expression) NODE_TERM("{'matchExpressions':[" expression "]}")

/* What a peer stores need not have gone through any admission: it must never reach a tender. */
static void test_what_no_tender_can_say_is_refused(void **state)
{
	static const char *const specs[] = {
		"'nodeSelector':{'a':1}",
		"'nodeSelector':{'a':'\\u0001'}",
		"'nodeSelector':{'not a key':'a'}",
		"'runtimeClassName':'\\u001b[2J'",
		"'tolerations':[{'key':'a','operator':'Greater'}]",
		"'tolerations':[{'value':'a'}]",
		"'tolerations':[{'key':'a','effect':'Evict'}]",
		"'tolerations':[{'key':'a','value':'not a value'}]",
		"'tolerations':[3]",
		NODE_TERM(""),
		NODE_TERM("{}"),
		NODE_TERM("{'matchFields':[{'key':'spec.x','operator':'In','values':['a']}]}"),
		EXPRESSION("{'key':'a','operator':'In'}"),
		EXPRESSION("{'key':'a','operator':'In','values':[1]}"),
		EXPRESSION("{'key':'a','operator':'Like','values':['a']}"),
		EXPRESSION("{'key':'','operator':'Exists'}"),
		EXPRESSION("{'key':'a','operator':'Exists','values':['a']}"),
		EXPRESSION("{'key':'a','operator':'Gt','values':['1','2']}"),
		"'affinity':{'podAffinity':{" REQUIRED ":[{" BY_HOST "}]}}",
		"'affinity':{'podAffinity':{" REQUIRED
		":[{'topologyKey':'zone','labelSelector':{}}]}}",
		"'affinity':{'podAntiAffinity':{" REQUIRED ":[{" BY_HOST
		",'labelSelector':{'matchExpressions':[{'key':'a','operator':'In'}]}}]}}",
		"'affinity':{'podAntiAffinity':{" REQUIRED ":[{" BY_HOST
		",'labelSelector':{'matchLabels':{'a':'\\u0007'}}}]}}",
		"'affinity':{'podAntiAffinity':{" PREFERRED
		":[{'weight':101,'podAffinityTerm':{" BY_HOST ",'labelSelector':{}}}]}}",
		"'topologySpreadConstraints':[{'maxSkew':0,'topologyKey':'a',"
		"'whenUnsatisfiable':'DoNotSchedule'}]",
		"'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'a'}]",
		"'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'a b',"
		"'whenUnsatisfiable':'DoNotSchedule'}]",
		"'containers':[{'ports':[{'hostPort':65536}]}]",
		"'containers':[{'ports':[{'hostPort':-1}]}]",
		"'containers':[{'ports':[{'hostPort':80,'hostIP':'here'}]}]",
		"'containers':[{'ports':[{'hostPort':80,'protocol':'ICMP'}]}]",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(specs); i++)
		assert_unreadable(specs[i]);
}

/* @count elements, each with a number in place of %zu. */
static json_t *pod_with_many(const char *before, const char *element, size_t count,
			     const char *after)
{
	char one[512];
	struct buf spec = {0};
	buf_append_str(&spec, "{'kind':'Pod','metadata':{},'spec':{");
	buf_append_str(&spec, before);
	for (size_t i = 0; i < count; i++) {
		const char *at = strchr(element, '#');
		snprintf(one, sizeof(one), "%s%.*s%zu%s", i ? "," : "", (int)(at - element),
			 element, i, at + 1);
		buf_append_str(&spec, one);
	}
	buf_append_str(&spec, after);
	buf_append_str(&spec, "}}");
	json_t *pod = json_of(buf_cstr(&spec));
	buf_deinit(&spec);
	return pod;
}

struct limit {
	const char *before, *element, *after;
	size_t max;
};

static void test_lists_end_at_the_limits_of_a_tender(void **state)
{
	static const struct limit limits[] = {
		{"'nodeSelector':{", "'k#':'v'", "}", KUBE_NODE_SELECTOR_MAX},
		{"'tolerations':[", "{'key':'k#'}", "]", MESSAGE_TOLERATIONS_MAX},
		{"'topologySpreadConstraints':[",
		 "{'maxSkew':1,'topologyKey':'k#','whenUnsatisfiable':'ScheduleAnyway'}", "]",
		 MESSAGE_SPREADS_MAX},
		{"'containers':[{'resources':{'limits':{", "'v/r#':1", "}}}]",
		 MESSAGE_RESOURCES_MAX},
		{"'containers':[{'ports':[", "{'hostPort':10#}", "]}]", MESSAGE_PORTS_MAX},
		{"'affinity':{'nodeAffinity':{" REQUIRED ":{'nodeSelectorTerms':[",
		 "{'matchExpressions':[{'key':'k#','operator':'Exists'}]}", "]}}}",
		 MESSAGE_SETS_MAX},
		{"'affinity':{'nodeAffinity':{" REQUIRED
		 ":{'nodeSelectorTerms':[{'matchExpressions':[",
		 "{'key':'k#','operator':'Exists'}", "]}]}}}", MESSAGE_TERMS_MAX},
		{"'affinity':{'nodeAffinity':{" REQUIRED
		 ":{'nodeSelectorTerms':[{'matchExpressions':[{'key':'k','operator':'In','values':"
		 "[",
		 "'v#'", "]}]}]}}}", MESSAGE_VALUES_MAX},
		{"'affinity':{'podAntiAffinity':{" REQUIRED ":[",
		 "{" BY_HOST ",'labelSelector':{'matchLabels':{'k#':'v'}}}", "]}}",
		 MESSAGE_SETS_MAX},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		const struct limit *limit = &limits[i];
		json_t *most =
			pod_with_many(limit->before, limit->element, limit->max, limit->after);
		json_t *more =
			pod_with_many(limit->before, limit->element, limit->max + 1, limit->after);
		struct message message = {.type = MESSAGE_TENDER}, decoded;
		struct buf bytes = {0};
		struct err err;

		if (kube_needs_read(most, &message.tender.needs, &err) != 0)
			fail_msg("%s: %s", limit->before, err.text);
		message_encode(&message, &bytes); /* it asserts the same limits */
		assert_int_equal(message_decode(bytes_buf(&bytes), &decoded), 0);
		message_deinit(&decoded);
		requirements_deinit(&message.tender.needs);
		if (kube_needs_read(more, &message.tender.needs, &err) == 0)
			fail_msg("one more: %s", limit->before);
		buf_deinit(&bytes);
		json_decref(most);
		json_decref(more);
	}
}

static void assert_priority(const char *metadata, const char *spec, int32_t value, bool preemptible,
			    bool preempts)
{
	json_t *pod = pod_of(metadata, spec);
	struct kube_priority priority;
	struct err err = {0};
	if (kube_priority_read(pod, &priority, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(priority.value, value);
	assert_true(priority.preemptible == preemptible);
	assert_true(priority.preempts == preempts);
	json_decref(pod);
}

static void test_priority_and_preemption(void **state)
{
	(void)state;
	assert_priority("", "", 0, true, true);
	assert_priority("", "'priorityClassName':'system-node-critical'", 2000001000, true, true);
	assert_priority("", "'priorityClassName':'system-cluster-critical'", 2000000000, true,
			true);
	assert_priority("'annotations':{'magik.io/priority':'-7'}", "", -7, true, true);
	assert_priority("'annotations':{'magik.io/priority':'1000000000'}", "", 1000000000, true,
			true);
	assert_priority("'annotations':{'magik.io/preemptible':'false'}", "", 0, false, true);
	assert_priority("", "'preemptionPolicy':'Never'", 0, true, false);
	/* The number of a class stands beside its name; alone it says nothing. */
	assert_priority("", "'priorityClassName':'high','priority':1000", 1000, true, true);
	assert_priority("", "'priority':1000", 0, true, true);
}

static void test_a_priority_that_makes_no_sense_is_refused(void **state)
{
	static const char *const pods[][2] = {
		{"'annotations':{'magik.io/priority':'1000000001'}", ""},
		{"'annotations':{'magik.io/priority':'-1000000001'}", ""},
		{"'annotations':{'magik.io/priority':'high'}", ""},
		{"'annotations':{'magik.io/priority':''}", ""},
		{"'annotations':{'magik.io/priority':' 1'}", ""},
		{"'annotations':{'magik.io/priority':5}", ""},
		{"'annotations':{'magik.io/priority':'5'}",
		 "'priorityClassName':'system-node-critical'"},
		{"", "'priorityClassName':'mine'"},
		{"", "'preemptionPolicy':'Sometimes'"},
		{"'annotations':{'magik.io/preemptible':'maybe'}", ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pods); i++) {
		json_t *pod = pod_of(pods[i][0], pods[i][1]);
		struct kube_priority priority;
		if (kube_priority_read(pod, &priority, NULL) == 0)
			fail_msg("accepted: %s %s", pods[i][0], pods[i][1]);
		json_decref(pod);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tolerations),
		cmocka_unit_test(test_terms_of_machines),
		cmocka_unit_test(test_terms_of_pods),
		cmocka_unit_test(test_spreads),
		cmocka_unit_test(test_resources_and_ports),
		cmocka_unit_test(test_what_no_tender_can_say_is_refused),
		cmocka_unit_test(test_lists_end_at_the_limits_of_a_tender),
		cmocka_unit_test(test_priority_and_preemption),
		cmocka_unit_test(test_a_priority_that_makes_no_sense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
