/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a pod may run: selectors, affinity, tolerations, spread, priority. What is checked here in
 * Kubernetes' words is read by needs.c once more, which has the last word about how much a tender
 * can carry.
 */
#include <stdlib.h>
#include <string.h>

#include "kube/member.h"
#include "kube/name.h"
#include "kube/needs.h"
#include "kube/selector.h"
#include "kube/validate.h"
#include "kube/workload.h"
#include "wire/message.h"

static const char required_key[] = "requiredDuringSchedulingIgnoredDuringExecution";
static const char preferred_key[] = "preferredDuringSchedulingIgnoredDuringExecution";
static const char hostname_label[] = "kubernetes.io/hostname";

static const char label_key_rule[] =
	"must be a label key: an optional DNS subdomain and '/', then at most 63 letters, digits, "
	"'-', '_' or '.'";

static void validate_label_key(struct check *check, const json_t *object, const char *field)
{
	const char *key = kube_member_string(object, field);
	if (!*key)
		check_required(check, field, "");
	else if (!kube_name_is_label_key(key))
		check_invalid(check, field, json_object_get(object, field), label_key_rule);
}

static void validate_node_selector(struct check *check, const json_t *spec)
{
	json_t *selector = json_object_get(spec, "nodeSelector");
	const char *key;
	json_t *value;
	size_t mark = check_enter(check, "nodeSelector");
	json_object_foreach (selector, key, value) {
		json_t *key_text = json_string(key);
		if (!kube_name_is_label_key(key))
			check_invalid(check, "", key_text, "must be a label key");
		if (!kube_name_is_label_value(json_string_value(value)))
			check_invalid(check, "", value, "must be a label value");
		json_decref(key_text);
	}
	check_leave(check, mark);
	if (json_object_size(selector) > KUBE_NODE_SELECTOR_MAX)
		check_forbidden(check, "nodeSelector", "must have at most 16 terms");
}

static bool is_integer(const char *text)
{
	char *end;
	errno = 0;
	(void)strtoll(text, &end, 10);
	return *text && strspn(text, "-0123456789") == strlen(text) && !*end && !errno;
}

static void validate_values(struct check *check, const json_t *expression, const char *operator)
{
	const json_t *values = json_object_get(expression, "values");
	size_t count = json_array_size(values);
	bool compares = strcmp(operator, "Gt") == 0 || strcmp(operator, "Lt") == 0;
	bool exists = strcmp(operator, "Exists") == 0 || strcmp(operator, "DoesNotExist") == 0;
	if (compares && (count != 1 || !is_integer(json_string_value(json_array_get(values, 0)))))
		check_invalid(check, "values", values,
			      "must be one integer when `operator` is 'Lt' or 'Gt'");
	else if (exists && count > 0)
		check_forbidden(
			check, "values",
			"may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
	else if (!exists && count == 0)
		check_required(check, "values",
			       "must be specified when `operator` is 'In' or 'NotIn'");
	for (size_t i = 0; i < count && !compares; i++) {
		const json_t *value = json_array_get(values, i);
		if (!kube_name_is_label_value(json_string_value(value)))
			check_invalid(check, "values", value, "must be a label value");
	}
}

static void validate_expressions(struct check *check, const json_t *term)
{
	static const char *const operators[] = {"DoesNotExist", "Exists", "Gt", "In",
						"Lt",           "NotIn",  NULL};
	json_t *expression;
	size_t index;
	json_array_foreach (json_object_get(term, "matchExpressions"), index, expression) {
		const char *operator= kube_member_string(expression, "operator");
		size_t mark = check_enter(check, "matchExpressions[%zu]", index);
		validate_label_key(check, expression, "key");
		if (check_one_of(check, "operator", operator, operators))
			validate_values(check, expression, operator);
		check_leave(check, mark);
	}
}

static void validate_fields(struct check *check, const json_t *term)
{
	static const char *const operators[] = {"In", "NotIn", NULL};
	static const char *const keys[] = {"metadata.name", NULL};
	json_t *expression;
	size_t index;
	json_array_foreach (json_object_get(term, "matchFields"), index, expression) {
		const json_t *values = json_object_get(expression, "values");
		size_t mark = check_enter(check, "matchFields[%zu]", index);
		(void)check_one_of(check, "key", kube_member_string(expression, "key"), keys);
		(void)check_one_of(check, "operator", kube_member_string(expression, "operator"),
				   operators);
		if (json_array_size(values) != 1)
			check_required(check, "values",
				       "must be only one value when `operator` is 'In' or "
				       "'NotIn' for node field selector");
		else if (!kube_name_is_label(json_string_value(json_array_get(values, 0))))
			check_invalid(check, "values", values, "must be the name of a machine");
		check_leave(check, mark);
	}
}

static void validate_node_term(struct check *check, const json_t *term)
{
	if (json_array_size(json_object_get(term, "matchExpressions")) +
		    json_array_size(json_object_get(term, "matchFields")) ==
	    0)
		check_required(check, "", "a term without expressions matches no machine");
	validate_expressions(check, term);
	validate_fields(check, term);
}

static void validate_weight(struct check *check, const json_t *object)
{
	int64_t weight = kube_member_int(object, "weight", 0);
	if (weight < 1 || weight > MESSAGE_WEIGHT_MAX)
		check_invalid(check, "weight", json_object_get(object, "weight"),
			      "must be in the range 1-100");
}

static void validate_node_affinity(struct check *check, const json_t *affinity)
{
	const json_t *required = json_object_get(affinity, required_key);
	const json_t *terms = json_object_get(required, "nodeSelectorTerms");
	json_t *term;
	size_t index;
	size_t mark = check_enter(check, "nodeAffinity");
	if (required && json_array_size(terms) == 0) {
		size_t inner = check_enter(check, "%s", required_key);
		check_required(check, "nodeSelectorTerms",
			       "must have at least one node selector term");
		check_leave(check, inner);
	}
	json_array_foreach (terms, index, term) {
		size_t inner = check_enter(check, "%s.nodeSelectorTerms[%zu]", required_key, index);
		validate_node_term(check, term);
		check_leave(check, inner);
	}
	json_array_foreach (json_object_get(affinity, preferred_key), index, term) {
		size_t inner = check_enter(check, "%s[%zu]", preferred_key, index);
		validate_weight(check, term);
		size_t preference = check_enter(check, "preference");
		validate_node_term(check, json_object_get(term, "preference"));
		check_leave(check, preference);
		check_leave(check, inner);
	}
	check_leave(check, mark);
}

static void validate_label_selector(struct check *check, const json_t *selector)
{
	struct kube_selector parsed;
	struct err err;
	if (kube_label_selector_from_json(selector, &parsed, &err) == 0)
		kube_selector_deinit(&parsed);
	else
		check_invalid(check, "labelSelector", selector, err.text);
}

static void validate_pod_term(struct check *check, const json_t *term, bool required, bool is_anti)
{
	const char *topology = kube_member_string(term, "topologyKey");
	const json_t *selector = json_object_get(term, "labelSelector");
	bool by_host = strcmp(topology, hostname_label) == 0;
	validate_label_key(check, term, "topologyKey");
	if (*topology && !by_host && required)
		check_invalid(check, "topologyKey", json_object_get(term, "topologyKey"),
			      "pods are kept together or apart by kubernetes.io/hostname only");
	else if (*topology && !by_host)
		check_warn(check, "topologyKey",
			   "pods are kept together or apart by kubernetes.io/hostname only");
	if (selector)
		validate_label_selector(check, selector);
	else if (required && !is_anti)
		check_required(check, "labelSelector", "without it no pod matches");
}

static void validate_pod_affinity(struct check *check, const json_t *affinity, const char *key)
{
	const json_t *pods = json_object_get(affinity, key);
	bool is_anti = strcmp(key, "podAntiAffinity") == 0;
	json_t *term;
	size_t index;
	size_t mark = check_enter(check, "%s", key);
	json_array_foreach (json_object_get(pods, required_key), index, term) {
		size_t inner = check_enter(check, "%s[%zu]", required_key, index);
		validate_pod_term(check, term, true, is_anti);
		check_leave(check, inner);
	}
	json_array_foreach (json_object_get(pods, preferred_key), index, term) {
		size_t inner = check_enter(check, "%s[%zu]", preferred_key, index);
		validate_weight(check, term);
		size_t deep = check_enter(check, "podAffinityTerm");
		validate_pod_term(check, json_object_get(term, "podAffinityTerm"), false, is_anti);
		check_leave(check, deep);
		check_leave(check, inner);
	}
	check_leave(check, mark);
}

static void validate_toleration(struct check *check, const json_t *toleration)
{
	static const char *const operators[] = {"", "Equal", "Exists", NULL};
	static const char *const effects[] = {"", "NoSchedule", "PreferNoSchedule", "NoExecute",
					      NULL};
	const char *key = kube_member_string(toleration, "key");
	const char *operator= kube_member_string(toleration, "operator");
	const char *effect = kube_member_string(toleration, "effect");
	const json_t *value = json_object_get(toleration, "value");
	bool exists = strcmp(operator, "Exists") == 0;
	if (*key && !kube_name_is_label_key(key))
		check_invalid(check, "key", json_object_get(toleration, "key"), label_key_rule);
	if (!*key && !exists)
		check_invalid(
			check, "operator", json_object_get(toleration, "operator"),
			"operator must be Exists when `key` is empty, which means \"match all "
			"values and all keys\"");
	(void)check_one_of(check, "operator", operator, operators);
	if (exists && *kube_member_string(toleration, "value"))
		check_invalid(check, "value", value,
			      "value must be empty when `operator` is 'Exists'");
	else if (value && !kube_name_is_label_value(json_string_value(value)))
		check_invalid(check, "value", value, "must be a label value");
	(void)check_one_of(check, "effect", effect, effects);
	if (json_object_get(toleration, "tolerationSeconds") && strcmp(effect, "NoExecute") != 0)
		check_invalid(check, "effect", json_object_get(toleration, "effect"),
			      "effect must be 'NoExecute' when `tolerationSeconds` is set");
}

/* What is counted are the replicas of one workload: a selector that means other pods is not
 * honoured. */
static void validate_spread_selector(struct check *check, const json_t *constraint,
				     const json_t *labels)
{
	const json_t *json = json_object_get(constraint, "labelSelector");
	struct kube_selector selector;
	struct err err;
	if (!json)
		return;
	if (kube_label_selector_from_json(json, &selector, &err) != 0) {
		check_invalid(check, "labelSelector", json, err.text);
		return;
	}
	if (!kube_selector_matches_labels(&selector, labels))
		check_warn(check, "labelSelector",
			   "the replicas of this workload are counted, and no others");
	kube_selector_deinit(&selector);
}

static bool is_repeated_spread(const json_t *constraints, size_t index)
{
	const json_t *constraint = json_array_get(constraints, index);
	for (size_t i = 0; i < index; i++) {
		const json_t *earlier = json_array_get(constraints, i);
		if (strcmp(kube_member_string(earlier, "topologyKey"),
			   kube_member_string(constraint, "topologyKey")) == 0 &&
		    strcmp(kube_member_string(earlier, "whenUnsatisfiable"),
			   kube_member_string(constraint, "whenUnsatisfiable")) == 0)
			return true;
	}
	return false;
}

static void validate_spread(struct check *check, const json_t *constraint, const json_t *labels)
{
	static const char *const answers[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
	const char *answer = kube_member_string(constraint, "whenUnsatisfiable");
	const json_t *skew = json_object_get(constraint, "maxSkew");
	const json_t *domains = json_object_get(constraint, "minDomains");
	if (json_integer_value(skew) < 1)
		check_invalid(check, "maxSkew", skew, "must be greater than zero");
	validate_label_key(check, constraint, "topologyKey");
	(void)check_one_of(check, "whenUnsatisfiable", answer, answers);
	if (domains && json_integer_value(domains) < 1)
		check_invalid(check, "minDomains", domains, "must be greater than 0");
	if (domains && strcmp(answer, "DoNotSchedule") != 0)
		check_invalid(check, "minDomains", domains,
			      "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not "
			      "ScheduleAnyway");
	validate_spread_selector(check, constraint, labels);
}

static void validate_lists(struct check *check, const json_t *spec, const json_t *labels)
{
	const json_t *spreads = json_object_get(spec, "topologySpreadConstraints");
	json_t *element;
	size_t index;
	json_array_foreach (json_object_get(spec, "tolerations"), index, element) {
		size_t mark = check_enter(check, "tolerations[%zu]", index);
		validate_toleration(check, element);
		check_leave(check, mark);
	}
	if (json_array_size(spreads) > MESSAGE_SPREADS_MAX) {
		check_forbidden(check, "topologySpreadConstraints", "must be at most 4");
		return;
	}
	json_array_foreach (spreads, index, element) {
		size_t mark = check_enter(check, "topologySpreadConstraints[%zu]", index);
		validate_spread(check, element, labels);
		if (is_repeated_spread(spreads, index))
			check_duplicate(check, "{topologyKey, whenUnsatisfiable}",
					kube_member_string(element, "topologyKey"));
		check_leave(check, mark);
	}
}

static void validate_affinity(struct check *check, const json_t *spec)
{
	const json_t *affinity = json_object_get(spec, "affinity");
	size_t mark = check_enter(check, "affinity");
	validate_node_affinity(check, json_object_get(affinity, "nodeAffinity"));
	validate_pod_affinity(check, affinity, "podAffinity");
	validate_pod_affinity(check, affinity, "podAntiAffinity");
	check_leave(check, mark);
}

void kube_validate_placement(struct check *check, const json_t *object, const char *spec_path)
{
	const json_t *spec = kube_pod_spec(object);
	const json_t *labels = json_object_get(kube_pod_metadata(object), "labels");
	struct requirements needs;
	struct kube_priority priority;
	struct err err;
	size_t mark = check_enter(check, "%s", spec_path);
	validate_node_selector(check, spec);
	validate_affinity(check, spec);
	validate_lists(check, spec, labels);
	if (kube_priority_read(object, &priority, &err) != 0)
		check_forbidden(check, "", err.text);
	if (json_array_size(check->causes) == 0) {
		if (kube_needs_read(object, &needs, &err) == 0)
			requirements_deinit(&needs);
		else
			check_forbidden(check, "", err.text);
	}
	check_leave(check, mark);
}
