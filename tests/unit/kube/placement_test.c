/* SPDX-License-Identifier: Apache-2.0 */
/* Admission of where a pod may run: each mistake is named with its path, in Kubernetes' words. */
#include "kube/admit.h"

#include "kube_fixture.h"

#include "kube/status.h"

#define REQUIRED "'requiredDuringSchedulingIgnoredDuringExecution'"
#define PREFERRED "'preferredDuringSchedulingIgnoredDuringExecution'"
#define BY_HOST "'topologyKey':'kubernetes.io/hostname'"
#define EXPRESSION(expression)                  \
	"'affinity':{'nodeAffinity':{" REQUIRED \
	":{'nodeSelectorTerms':[{'matchExpressions':[" expression "]}]}}}"
#define EXPRESSION_PATH                                                              \
	"spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution." \
	"nodeSelectorTerms[0].matchExpressions[0]"
#define APART(list) "'affinity':{'podAntiAffinity':{" REQUIRED ":[" list "]}}"
#define APART_PATH "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"

struct admitted {
	json_t *object;
	struct kube_admission admission;
	int result;
};

/* A Pod whose spec has the members of @spec beside its container. */
static struct admitted admit(const char *annotations, const char *spec)
{
	char text[4096];
	struct admitted out;
	snprintf(text, sizeof(text),
		 "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'one','labels':{'app':'web'},"
		 "'annotations':{%s}},'spec':{'containers':[{'name':'c','image':'busybox:1'}],%s}}",
		 annotations, spec);
	out.object = json_of(text);
	out.result = kube_admit(out.object, kube_resource(KUBE_PODS), "default",
				KUBE_VALIDATION_STRICT, &out.admission);
	return out;
}

static void admitted_deinit(struct admitted *admitted)
{
	kube_admission_deinit(&admitted->admission);
	json_decref(admitted->object);
}

static void assert_accepted(const char *spec, const char *warnings)
{
	struct admitted admitted = admit("", spec);
	if (admitted.result != 0)
		fail_msg("%s", kube_member_string(admitted.admission.status, "message"));
	assert_json_equal(admitted.admission.warnings, warnings);
	admitted_deinit(&admitted);
}

static void assert_refused_with(const char *annotations, const char *spec, const char *why)
{
	struct admitted admitted = admit(annotations, spec);
	const char *message = kube_member_string(admitted.admission.status, "message");
	assert_int_equal(admitted.result, KUBE_ADMIT_E_REFUSED);
	if (!strstr(message, why))
		fail_msg("\"%s\" is not in \"%s\"", why, message);
	assert_int_equal(kube_status_code(admitted.admission.status), 422);
	admitted_deinit(&admitted);
}

static void assert_refused(const char *spec, const char *why)
{
	assert_refused_with("", spec, why);
}

static void test_constraints_that_are_honoured_pass_without_a_word(void **state)
{
	(void)state;
	assert_accepted("'nodeSelector':{'disk':'ssd'}", "[]");
	assert_accepted(EXPRESSION("{'key':'a','operator':'Lt','values':['-3']}"), "[]");
	assert_accepted("'tolerations':[{'operator':'Exists'},{'key':'a','value':'b',"
			"'effect':'PreferNoSchedule'}]",
			"[]");
	assert_accepted(APART("{" BY_HOST ",'labelSelector':{'matchLabels':{'app':'web'}}}"), "[]");
	assert_accepted("'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'zone',"
			"'whenUnsatisfiable':'DoNotSchedule','minDomains':2,'labelSelector':"
			"{'matchLabels':{'app':'web'}}}]",
			"[]");
	assert_accepted("'priorityClassName':'system-node-critical','preemptionPolicy':'Never'",
			"[]");
}

static void test_what_has_no_effect_is_said(void **state)
{
	(void)state;
	assert_accepted("'tolerations':[{'key':'a','operator':'Exists','effect':'NoExecute',"
			"'tolerationSeconds':300}]",
			"[]");
	assert_accepted("'affinity':{'podAffinity':{" PREFERRED
			":[{'weight':1,'podAffinityTerm':{'topologyKey':'zone','labelSelector':"
			"{}}}]}}",
			"['spec.affinity.podAffinity."
			"preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm."
			"topologyKey: has no effect here: pods are kept together or apart by "
			"kubernetes.io/hostname only']");
	assert_accepted("'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'zone',"
			"'whenUnsatisfiable':'ScheduleAnyway','labelSelector':{'matchLabels':"
			"{'app':'other'}}}]",
			"['spec.topologySpreadConstraints[0].labelSelector: has no effect here: "
			"the replicas of this workload are counted, and no others']");
}

static void test_expressions_over_machines_are_checked(void **state)
{
	(void)state;
	assert_refused("'affinity':{'nodeAffinity':{" REQUIRED ":{'nodeSelectorTerms':[]}}}",
		       "nodeSelectorTerms: Required value: must have at least one node selector "
		       "term");
	assert_refused("'affinity':{'nodeAffinity':{" REQUIRED ":{'nodeSelectorTerms':[{}]}}}",
		       "nodeSelectorTerms[0]: Required value");
	assert_refused(EXPRESSION("{'key':'a b','operator':'Exists'}"),
		       EXPRESSION_PATH ".key: Invalid value");
	assert_refused(EXPRESSION("{'key':'a','operator':'Like'}"),
		       EXPRESSION_PATH ".operator: Unsupported value: \"Like\"");
	assert_refused(EXPRESSION("{'key':'a','operator':'In'}"),
		       EXPRESSION_PATH ".values: Required value: must be specified when "
				       "`operator` is 'In' or 'NotIn'");
	assert_refused(EXPRESSION("{'key':'a','operator':'Exists','values':['b']}"),
		       EXPRESSION_PATH ".values: Forbidden: may not be specified");
	assert_refused(EXPRESSION("{'key':'a','operator':'Gt','values':['many']}"),
		       EXPRESSION_PATH ".values: Invalid value");
	assert_refused(EXPRESSION("{'key':'a','operator':'In','values':['not a value']}"),
		       EXPRESSION_PATH ".values: Invalid value");
	assert_refused("'affinity':{'nodeAffinity':{" PREFERRED
		       ":[{'weight':0,'preference':{'matchExpressions':[{'key':'a','operator':"
		       "'Exists'}]}}]}}",
		       "[0].weight: Invalid value: 0: must be in the range 1-100");
	assert_refused("'affinity':{'nodeAffinity':{" REQUIRED
		       ":{'nodeSelectorTerms':[{'matchFields':[{'key':'metadata.uid','operator':"
		       "'In','values':['a']}]}]}}}",
		       "matchFields[0].key: Unsupported value: \"metadata.uid\"");
}

static void test_terms_over_pods_are_checked(void **state)
{
	(void)state;
	assert_refused(APART("{'labelSelector':{}}"), APART_PATH ".topologyKey: Required value");
	assert_refused(APART("{'topologyKey':'zone','labelSelector':{}}"),
		       APART_PATH ".topologyKey: Invalid value: \"zone\": pods are kept together "
				  "or apart by kubernetes.io/hostname only");
	assert_refused(APART("{" BY_HOST ",'labelSelector':{'matchExpressions':[{'key':'a',"
			     "'operator':'Gt'}]}}"),
		       APART_PATH ".labelSelector: Invalid value");
	assert_refused(APART("{" BY_HOST ",'labelSelector':{},'namespaces':['other']}"),
		       APART_PATH ".namespaces: unsupported field: only pods of the same "
				  "namespace are looked at");
	assert_refused("'affinity':{'podAffinity':{" REQUIRED ":[{" BY_HOST "}]}}",
		       "labelSelector: Required value: without it no pod matches");
}

static void test_tolerations_are_checked(void **state)
{
	(void)state;
	assert_refused("'tolerations':[{'value':'a'}]",
		       "spec.tolerations[0].operator: Invalid value: null: operator must be "
		       "Exists when `key` is empty");
	assert_refused("'tolerations':[{'key':'a','operator':'Exists','value':'b'}]",
		       "spec.tolerations[0].value: Invalid value: \"b\": value must be empty when "
		       "`operator` is 'Exists'");
	assert_refused("'tolerations':[{'key':'a','effect':'Evict'}]",
		       "spec.tolerations[0].effect: Unsupported value: \"Evict\"");
	assert_refused("'tolerations':[{'key':'a','effect':'NoSchedule','tolerationSeconds':3}]",
		       "effect must be 'NoExecute' when `tolerationSeconds` is set");
}

static void test_spreads_are_checked(void **state)
{
	(void)state;
	assert_refused("'topologySpreadConstraints':[{'maxSkew':0,'topologyKey':'a',"
		       "'whenUnsatisfiable':'DoNotSchedule'}]",
		       "[0].maxSkew: Invalid value: 0: must be greater than zero");
	assert_refused("'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'a',"
		       "'whenUnsatisfiable':'Maybe'}]",
		       "[0].whenUnsatisfiable: Unsupported value: \"Maybe\"");
	assert_refused("'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'a',"
		       "'whenUnsatisfiable':'ScheduleAnyway','minDomains':2}]",
		       "can only use minDomains if whenUnsatisfiable=DoNotSchedule");
	assert_refused("'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'a',"
		       "'whenUnsatisfiable':'DoNotSchedule'},{'maxSkew':2,'topologyKey':'a',"
		       "'whenUnsatisfiable':'DoNotSchedule'}]",
		       "[1].{topologyKey, whenUnsatisfiable}: Duplicate value: \"a\"");
}

static void test_what_a_tender_cannot_carry_is_refused(void **state)
{
	struct buf spec = {0};
	(void)state;
	for (int i = 0; i < 33; i++)
		buf_append_format(&spec, "%s{'key':'k%d','operator':'Exists'}",
				  i ? "," : "'tolerations':[", i);
	buf_append_str(&spec, "]");
	assert_refused(buf_cstr(&spec), "spec: Forbidden: too many tolerations");
	buf_deinit(&spec);
}

static void test_priorities_are_checked(void **state)
{
	(void)state;
	assert_refused("'priorityClassName':'important'",
		       "spec: Forbidden: priorityClassName: no such class");
	assert_refused_with("'magik.io/priority':'2000000000'", "'restartPolicy':'Never'",
			    "spec: Forbidden: magik.io/priority: must be an integer");
}

/* The container's resources are in the way of the fixture: they come as a second container. */
static void test_extended_resources_are_whole_and_not_overcommitted(void **state)
{
	static const char other[] = "'initContainers':[{'name':'i','image':'a:1','resources':%s}]";
	static const char *const cases[][2] = {
		{"{'requests':{'v/gpu':1}}", "Limit must be set for non overcommitable resources"},
		{"{'limits':{'v/gpu':2},'requests':{'v/gpu':1}}", "must be equal to the limit"},
		{"{'limits':{'v/gpu':'500m'}}", "must be an integer"},
		{"{'limits':{'gpu':1}}", "only cpu, memory and extended resources"},
		{"{'limits':{'kubernetes.io/gpu':1}}", "only cpu, memory and extended resources"},
		{"{'limits':{'v/gpu':-1}}", "must be greater than or equal to 0"},
	};
	char spec[512];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		snprintf(spec, sizeof(spec), other, cases[i][0]);
		assert_refused(spec, cases[i][1]);
	}
	snprintf(spec, sizeof(spec), other, "{'limits':{'v/gpu':2},'requests':{'v/gpu':'2'}}");
	assert_accepted(spec, "[]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constraints_that_are_honoured_pass_without_a_word),
		cmocka_unit_test(test_what_has_no_effect_is_said),
		cmocka_unit_test(test_expressions_over_machines_are_checked),
		cmocka_unit_test(test_terms_over_pods_are_checked),
		cmocka_unit_test(test_tolerations_are_checked),
		cmocka_unit_test(test_spreads_are_checked),
		cmocka_unit_test(test_what_a_tender_cannot_carry_is_refused),
		cmocka_unit_test(test_priorities_are_checked),
		cmocka_unit_test(test_extended_resources_are_whole_and_not_overcommitted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
