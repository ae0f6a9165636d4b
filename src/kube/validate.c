/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/validate.h"

#include <string.h>

#include "kube/claim.h"
#include "kube/member.h"
#include "kube/needs.h"
#include "kube/name.h"
#include "kube/selector.h"

static const char subdomain_rule[] =
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
	"'.', and must start and end with an alphanumeric character";
static const char label_rule[] =
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
	"must start and end with an alphanumeric character";
static const char key_rule[] =
	"name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "
	"end with an alphanumeric character";
static const char value_rule[] =
	"a valid label must be an empty string or consist of at most 63 alphanumeric characters, "
	"'-', '_' or '.', and must start and end with an alphanumeric character";

static const char *const truths[] = {"true", "false", NULL};
static const char *const engines[] = {"crun", "krun", "wasm", NULL};

static void validate_annotations(struct check *check, json_t *annotations)
{
	const char *key;
	json_t *value;
	size_t total = 0;
	size_t mark = check_enter(check, "annotations");
	json_object_foreach (annotations, key, value) {
		json_t *key_text = json_string(key);
		if (!kube_name_is_label_key(key))
			check_invalid(check, "", key_text, key_rule);
		json_decref(key_text);
		total += strlen(key) + json_string_length(value);
	}
	check_leave(check, mark);
	if (total > KUBE_ANNOTATIONS_MAX)
		check_forbidden(check, "annotations", "must have at most 262144 bytes");
	const char *engine = json_string_value(json_object_get(annotations, "magik.io/runtime"));
	if (engine)
		(void)check_one_of(check, "annotations[magik.io/runtime]", engine, engines);
	const char *svid = json_string_value(json_object_get(annotations, "magik.io/svid"));
	if (svid)
		(void)check_one_of(check, "annotations[magik.io/svid]", svid, truths);
}

/* Labels and annotations of a pod or its template. */
static void validate_labels(struct check *check, const json_t *metadata)
{
	json_t *labels = json_object_get(metadata, "labels");
	const char *key;
	json_t *value;
	size_t mark = check_enter(check, "labels");
	json_object_foreach (labels, key, value) {
		json_t *key_text = json_string(key);
		if (!kube_name_is_label_key(key))
			check_invalid(check, "", key_text, key_rule);
		if (!kube_name_is_label_value(json_string_value(value)))
			check_invalid(check, "", value, value_rule);
		json_decref(key_text);
	}
	check_leave(check, mark);
	validate_annotations(check, json_object_get(metadata, "annotations"));
}

/* What the name of a kind may look like. */
enum name_rule {
	NAME_SUBDOMAIN,
	NAME_LABEL,
	NAME_SEGMENT, /* of a path: all but "/" and "%", as in "system:node" */
};

static enum name_rule name_rule_of(const struct kube_resource *resource)
{
	if (resource->id == KUBE_NAMESPACES || resource->id == KUBE_SERVICES)
		return NAME_LABEL;
	if (strcmp(resource->group, "rbac.authorization.k8s.io") == 0)
		return NAME_SEGMENT;
	return NAME_SUBDOMAIN;
}

static bool name_is_segment(const char *name)
{
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strpbrk(name, "/%") &&
	       strlen(name) <= KUBE_SUBDOMAIN_MAX;
}

static void validate_name(struct check *check, const char *field, const json_t *name,
			  const char *text, enum name_rule rule)
{
	if (rule == NAME_LABEL && !kube_name_is_label(text))
		check_invalid(check, field, name, label_rule);
	else if (rule == NAME_SUBDOMAIN && !kube_name_is_subdomain(text))
		check_invalid(check, field, name, subdomain_rule);
	else if (rule == NAME_SEGMENT && !name_is_segment(text))
		check_invalid(check, field, name, "may not contain '/' or '%'");
}

void kube_validate_metadata(struct check *check, const json_t *object,
			    const struct kube_resource *resource)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *name = kube_member_string(metadata, "name");
	const char *generate = kube_member_string(metadata, "generateName");
	size_t mark = check_enter(check, "metadata");
	enum name_rule rule = name_rule_of(resource);
	if (*name)
		validate_name(check, "name", json_object_get(metadata, "name"), name, rule);
	else if (!*generate)
		check_required(check, "name", "name or generateName is required");
	if (*generate) /* It is judged as what it becomes: with characters after it. */
		validate_name(check, "generateName", json_object_get(metadata, "generateName"),
			      kube_name_generate(generate, 0).text, rule);
	if (resource->namespaced && !kube_name_is_label(kube_member_string(metadata, "namespace")))
		check_invalid(check, "namespace", json_object_get(metadata, "namespace"),
			      label_rule);
	validate_labels(check, metadata);
	check_leave(check, mark);
}

void kube_validate_priority_class(struct check *check, const json_t *object)
{
	static const char *const policies[] = {"Never", "PreemptLowerPriority", NULL};
	const json_t *value = json_object_get(object, "value");
	if (!value)
		check_required(check, "value", "");
	check_range(check, "value", value, -KUBE_PRIORITY_MAX, KUBE_PRIORITY_MAX);
	(void)check_one_of(check, "preemptionPolicy",
			   kube_member_string(object, "preemptionPolicy"), policies);
}

static void validate_selector(struct check *check, const json_t *spec)
{
	const json_t *selector = json_object_get(spec, "selector");
	const json_t *labels = kube_member(spec, "template.metadata.labels");
	struct kube_selector parsed;
	struct err err;
	if (!selector) {
		check_required(check, "selector", "");
		return;
	}
	if (kube_label_selector_from_json(selector, &parsed, &err) != 0) {
		check_invalid(check, "selector", selector, err.text);
		return;
	}
	if (parsed.term_count == 0) {
		check_invalid(check, "selector", selector,
			      "empty selector is invalid for deployment");
	} else if (!kube_selector_matches_labels(&parsed, labels)) {
		check_invalid(check, "template.metadata.labels", labels,
			      "`selector` does not match template `labels`");
	}
	kube_selector_deinit(&parsed);
}

/* A count or a percentage. Zero is reported, because both limits at zero make no progress. */
static bool validate_portion(struct check *check, const char *field, const json_t *value)
{
	const char *text = json_string_value(value);
	if (!text) {
		check_range(check, field, value, 0, INT32_MAX);
		return json_integer_value(value) == 0;
	}
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 3 || strcmp(text + digits, "%") != 0)
		check_invalid(check, field, value,
			      "a valid percent string must be a numeric string followed by an "
			      "ending '%'");
	return strspn(text, "0") == digits;
}

static void validate_strategy(struct check *check, const json_t *strategy)
{
	static const char *const types[] = {"Recreate", "RollingUpdate", NULL};
	const char *type = kube_member_string(strategy, "type");
	const json_t *rolling = json_object_get(strategy, "rollingUpdate");
	size_t mark = check_enter(check, "strategy");
	bool known = check_one_of(check, "type", type, types);
	if (known && strcmp(type, "Recreate") == 0 && rolling)
		check_forbidden(check, "rollingUpdate",
				"may not be specified when strategy `type` is 'Recreate'");
	if (rolling) {
		size_t inner = check_enter(check, "rollingUpdate");
		const json_t *unavailable = json_object_get(rolling, "maxUnavailable");
		bool none = validate_portion(check, "maxUnavailable", unavailable);
		if (validate_portion(check, "maxSurge", json_object_get(rolling, "maxSurge")) &&
		    none)
			check_invalid(check, "maxUnavailable", unavailable,
				      "may not be 0 when `maxSurge` is 0");
		check_leave(check, inner);
	}
	check_leave(check, mark);
}

static void validate_template(struct check *check, const json_t *spec)
{
	size_t template = check_enter(check, "template");
	size_t metadata = check_enter(check, "metadata");
	validate_labels(check, kube_member(spec, "template.metadata"));
	check_leave(check, metadata);
	size_t pod = check_enter(check, "spec");
	kube_validate_pod_spec(check, kube_member(spec, "template.spec"), true);
	check_leave(check, pod);
	check_leave(check, template);
}

/* What every kind with replicas and a pod template has. */
static void validate_replicas(struct check *check, const json_t *spec)
{
	check_range(check, "replicas", json_object_get(spec, "replicas"), 0, KUBE_REPLICAS_MAX);
	check_range(check, "minReadySeconds", json_object_get(spec, "minReadySeconds"), 0,
		    INT32_MAX);
	validate_selector(check, spec);
	validate_template(check, spec);
}

void kube_validate_deployment(struct check *check, const json_t *object)
{
	const json_t *spec = json_object_get(object, "spec");
	size_t mark = check_enter(check, "spec");
	validate_replicas(check, spec);
	check_range(check, "revisionHistoryLimit", json_object_get(spec, "revisionHistoryLimit"), 0,
		    INT32_MAX);
	const json_t *deadline = json_object_get(spec, "progressDeadlineSeconds");
	check_range(check, "progressDeadlineSeconds", deadline, 0, INT32_MAX);
	if (json_integer_value(deadline) <= kube_member_int(spec, "minReadySeconds", 0))
		check_invalid(check, "progressDeadlineSeconds", deadline,
			      "must be greater than minReadySeconds");
	validate_strategy(check, json_object_get(spec, "strategy"));
	check_leave(check, mark);
}

void kube_validate_replica_set(struct check *check, const json_t *object)
{
	size_t mark = check_enter(check, "spec");
	validate_replicas(check, json_object_get(object, "spec"));
	check_leave(check, mark);
}

static json_t *volumes_of(json_t *pod_spec)
{
	kube_set_missing(pod_spec, "volumes", json_array());
	return json_object_get(pod_spec, "volumes");
}

/* The template as its pods have it: with a volume for each claim. */
static json_t *with_claims(const json_t *spec)
{
	json_t *full = json_deep_copy(spec);
	json_t *template = kube_member(full, "template.spec");
	json_t *volumes = template ? volumes_of(template) : NULL;
	const json_t *claims = json_object_get(spec, "volumeClaimTemplates");
	for (size_t i = 0; volumes && i < json_array_size(claims); i++) {
		const char *name = kube_member_string(json_array_get(claims, i), "metadata.name");
		kube_push(volumes, json_pack("{s:s, s:{s:s}}", "name", name,
					     "persistentVolumeClaim", "claimName", name));
	}
	return full;
}

static void validate_claim_templates(struct check *check, const json_t *claims)
{
	const json_t *claim;
	size_t index;
	json_array_foreach (claims, index, claim) {
		size_t mark = check_enter(check, "volumeClaimTemplates[%zu]", index);
		if (!kube_name_is_label(kube_member_string(claim, "metadata.name")))
			check_invalid(check, "metadata.name", kube_member(claim, "metadata.name"),
				      label_rule);
		size_t inner = check_enter(check, "spec");
		kube_validate_claim_spec(check, json_object_get(claim, "spec"));
		check_leave(check, inner);
		check_leave(check, mark);
	}
}

void kube_validate_statefulset(struct check *check, const json_t *object)
{
	static const char *const policies[] = {"OrderedReady", "Parallel", NULL};
	static const char *const strategies[] = {"RollingUpdate", "OnDelete", NULL};
	static const char *const retentions[] = {"persistentVolumeClaimRetentionPolicy.whenDeleted",
						 "persistentVolumeClaimRetentionPolicy.whenScaled"};
	static const char *const kept[] = {"Retain", "Delete", NULL};
	static const char *const on_lost[] = {"wait", "replace", NULL};
	json_t *spec = with_claims(json_object_get(object, "spec"));
	const json_t *annotations = kube_member(object, "metadata.annotations");
	const char *lost = json_string_value(json_object_get(annotations, "magik.io/on-lost"));
	if (lost)
		(void)check_one_of(check, "metadata.annotations[magik.io/on-lost]", lost, on_lost);
	size_t mark = check_enter(check, "spec");
	validate_replicas(check, spec);
	(void)check_one_of(check, "podManagementPolicy",
			   kube_member_string(spec, "podManagementPolicy"), policies);
	(void)check_one_of(check, "updateStrategy.type",
			   kube_member_string(spec, "updateStrategy.type"), strategies);
	check_range(check, "updateStrategy.rollingUpdate.partition",
		    kube_member(spec, "updateStrategy.rollingUpdate.partition"), 0, INT32_MAX);
	check_range(check, "revisionHistoryLimit", json_object_get(spec, "revisionHistoryLimit"), 0,
		    INT32_MAX);
	for (size_t i = 0; i < ARRAY_LEN(retentions); i++)
		(void)check_one_of(check, retentions[i], kube_member_string(spec, retentions[i]),
				   kept);
	validate_claim_templates(check, json_object_get(spec, "volumeClaimTemplates"));
	check_range(check, "ordinals.start", kube_member(spec, "ordinals.start"), 0, INT32_MAX);
	check_leave(check, mark);
	json_decref(spec);
}
