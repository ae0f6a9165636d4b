/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/daemonset.h"

#include <stdlib.h>
#include <string.h>

#include "kube/admit.h"
#include "kube/member.h"
#include "kube/needs.h"
#include "kube/validate.h"
#include "kube/workload.h"
#include "market/terms.h"

#define HOSTNAME_LABEL "kubernetes.io/hostname"

enum {
	HISTORY_DEFAULT = 10,
};

void kube_default_daemonset(json_t *set)
{
	json_t *spec = kube_object_at(set, "spec"), *strategy, *rolling, *template, *pod_spec;

	if (!spec)
		return;
	kube_set_missing(spec, "revisionHistoryLimit", json_integer(HISTORY_DEFAULT));
	strategy = kube_object_at(spec, "updateStrategy");
	if (strategy)
		kube_set_missing(strategy, "type", json_string("RollingUpdate"));
	if (strcmp(kube_member_string(strategy, "type"), "RollingUpdate") == 0) {
		rolling = kube_object_at(strategy, "rollingUpdate");
		if (rolling) {
			kube_set_missing(rolling, "maxUnavailable", json_integer(1));
			kube_set_missing(rolling, "maxSurge", json_integer(0));
		}
	}
	template = kube_object_at(spec, "template");
	pod_spec = template ? kube_object_at(template, "spec") : NULL;
	if (pod_spec)
		kube_default_pod_spec(pod_spec);
}

/* "0", "0%", 0 or nothing at all. */
static bool is_none(const json_t *portion)
{
	if (json_is_string(portion))
		return strtol(json_string_value(portion), NULL, 10) == 0;
	return json_integer_value(portion) == 0;
}

/* As Kubernetes: machines may be without a Pod for a while, or have two, but not both. */
static void validate_rolling(struct check *check, const json_t *rolling)
{
	const json_t *unavailable = json_object_get(rolling, "maxUnavailable");
	const json_t *surge = json_object_get(rolling, "maxSurge");
	size_t mark = check_enter(check, "updateStrategy.rollingUpdate");

	if (is_none(unavailable) && is_none(surge))
		check_invalid(check, "maxUnavailable", unavailable,
			      "cannot be 0 when maxSurge is 0");
	if (!is_none(unavailable) && !is_none(surge))
		check_invalid(check, "maxSurge", surge,
			      "may not be set when maxUnavailable is not 0");
	check_leave(check, mark);
}

void kube_validate_daemonset(struct check *check, const json_t *set)
{
	static const char *const types[] = {"RollingUpdate", "OnDelete", NULL};
	const json_t *spec = json_object_get(set, "spec");
	const json_t *selector = kube_member(spec, "selector.matchLabels");
	const json_t *labels = kube_member(spec, "template.metadata.labels");
	size_t mark = check_enter(check, "spec"), inner;
	const char *key;
	json_t *value;

	(void)check_one_of(check, "updateStrategy.type",
			   kube_member_string(spec, "updateStrategy.type"), types);
	if (kube_member(spec, "updateStrategy.rollingUpdate"))
		validate_rolling(check, kube_member(spec, "updateStrategy.rollingUpdate"));
	check_range(check, "minReadySeconds", json_object_get(spec, "minReadySeconds"), 0,
		    INT32_MAX);
	if (json_object_size(json_object_get(spec, "selector")) == 0)
		check_required(check, "selector", "");
	json_object_foreach ((json_t *)(uintptr_t)selector, key, value)
		if (!json_equal(value, json_object_get(labels, key))) {
			check_invalid(check, "template.metadata.labels", labels,
				      "`selector` does not match template `labels`");
			break;
		}
	if (kube_member(spec, "template.spec")) {
		inner = check_enter(check, "template.spec");
		kube_validate_pod_spec(check, kube_member(spec, "template.spec"), true);
		check_leave(check, inner);
	} else {
		check_required(check, "template", "");
	}
	check_leave(check, mark);
}

static bool has_labels(const struct requirements *needs, struct terms_labels labels)
{
	for (size_t i = 0; i < needs->label_count; i++) {
		const char *value = terms_value(labels, needs->labels[i].key);

		if (!value || strcmp(value, needs->labels[i].value) != 0)
			return false;
	}
	return true;
}

bool kube_daemon_fits(const json_t *set, const struct node_facts *facts)
{
	struct terms_labels labels = {facts->labels, facts->label_count};
	struct requirements needs;
	bool fits;

	if (!facts->worker || kube_needs_read(set, &needs, NULL) != 0)
		return false;
	fits = has_labels(&needs, labels) && terms_any_holds(&needs.selector, labels) &&
	       terms_tolerate_all(&needs, facts->taints, facts->taint_count);
	requirements_deinit(&needs);
	return fits;
}

/* What Kubernetes has every daemon tolerate. */
static void add_tolerations(json_t *spec)
{
	static const struct {
		const char *key, *effect;
	} automatic[] = {
		{"node.kubernetes.io/not-ready", "NoExecute"},
		{"node.kubernetes.io/unreachable", "NoExecute"},
		{"node.kubernetes.io/disk-pressure", "NoSchedule"},
		{"node.kubernetes.io/memory-pressure", "NoSchedule"},
		{"node.kubernetes.io/pid-pressure", "NoSchedule"},
		{"node.kubernetes.io/unschedulable", "NoSchedule"},
	};
	json_t *list;

	kube_set_missing(spec, "tolerations", json_array());
	list = json_object_get(spec, "tolerations");
	for (size_t i = 0; i < ARRAY_LEN(automatic); i++)
		kube_push(list, json_pack("{s:s,s:s,s:s}", "key", automatic[i].key, "operator",
					  "Exists", "effect", automatic[i].effect));
}

json_t *kube_daemon_pod(const json_t *set, const char *node, const struct kube_hash *hash)
{
	json_t *metadata = json_object(), *spec = json_deep_copy(kube_pod_spec(set)), *labels;
	const json_t *from = kube_pod_metadata(set);

	labels = json_deep_copy(json_object_get(from, "labels"));
	kube_set(metadata, "labels", labels ? labels : json_object());
	if (json_object_get(from, "annotations"))
		kube_set(metadata, "annotations",
			 json_deep_copy(json_object_get(from, "annotations")));
	kube_set_string(json_object_get(metadata, "labels"), KUBE_DAEMON_HASH, hash->text);
	kube_set_string(kube_object_at(spec, "nodeSelector"), HOSTNAME_LABEL, node);
	add_tolerations(spec);
	return json_pack("{s:o,s:o}", "metadata", metadata, "spec", spec);
}

const char *kube_daemon_node(const json_t *pod)
{
	const char *node = json_string_value(
		json_object_get(kube_member(pod, "spec.nodeSelector"), HOSTNAME_LABEL));

	return node ? node : "";
}

/* While a template changes a machine may have two Pods: it counts once. */
static bool is_second(const struct kube_daemon *pods, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(kube_daemon_node(pods[i].pod), kube_daemon_node(pods[at].pod)) == 0)
			return true;
	return false;
}

static bool is_ready(const struct kube_daemon *pod, const char *hash)
{
	(void)hash;
	return pod->ready;
}

static bool is_updated(const struct kube_daemon *pod, const char *hash)
{
	const char *of = json_string_value(
		json_object_get(kube_member(pod->pod, "metadata.labels"), KUBE_DAEMON_HASH));

	return of && strcmp(of, hash) == 0;
}

/* Is one of those on the machine of @at so? */
static bool is_any(const struct kube_daemon *pods, size_t count, size_t at,
		   bool (*is_so)(const struct kube_daemon *pod, const char *hash), const char *hash)
{
	for (size_t i = at; i < count; i++)
		if (strcmp(kube_daemon_node(pods[i].pod), kube_daemon_node(pods[at].pod)) == 0 &&
		    is_so(&pods[i], hash))
			return true;
	return false;
}

json_t *kube_daemonset(const json_t *set, const struct kube_daemon *pods, size_t count,
		       size_t desired)
{
	struct kube_hash hash = kube_template_hash(kube_member(set, "spec.template"));
	json_t *shown = json_deep_copy(set), *status = json_object();
	int64_t current = 0, ready = 0, updated = 0, misplaced = 0;

	for (size_t i = 0; i < count; i++) {
		if (is_second(pods, i))
			continue;
		current += pods[i].fits;
		misplaced += !pods[i].fits;
		ready += pods[i].fits && is_any(pods, count, i, is_ready, NULL);
		updated += pods[i].fits && is_any(pods, count, i, is_updated, hash.text);
	}
	kube_set_int(status, "currentNumberScheduled", current);
	kube_set_int(status, "numberMisscheduled", misplaced);
	kube_set_int(status, "desiredNumberScheduled", (int64_t)desired);
	kube_set_int(status, "numberReady", ready);
	kube_set_int(status, "observedGeneration", kube_member_int(set, "metadata.generation", 1));
	kube_set_int(status, "updatedNumberScheduled", updated);
	kube_set_int(status, "numberAvailable", ready);
	kube_set_int(status, "numberUnavailable", (int64_t)desired - ready);
	kube_set(shown, "status", status);
	return shown;
}
