/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/deployment.h"

#include <inttypes.h>
#include <string.h>

#include "kube/member.h"
#include "kube/name.h"
#include "kube/time.h"
#include "wire/presence.h"

/* Annotations of a ReplicaSet that are the controller's own. */
static const char *const hidden[] = {KUBE_OBSERVED, KUBE_SCALED_AT, KUBE_ROLLED_OUT, KUBE_NOTED};

/* Kubernetes leaves counts of zero out. */
static void count_set(json_t *status, const char *key, int64_t count)
{
	if (count > 0)
		kube_set_int(status, key, count);
}

/* ---- conditions ---- */

struct condition {
	const char *type, *status, *reason;
	json_t *message; /* taken over */
};

static void condition_push(json_t *conditions, const struct condition *from, const char *time)
{
	json_t *condition = json_object();
	kube_set_string(condition, "type", from->type);
	kube_set_string(condition, "status", from->status);
	kube_set_string(condition, "lastUpdateTime", time);
	kube_set_string(condition, "lastTransitionTime", time);
	kube_set_string(condition, "reason", from->reason);
	kube_set(condition, "message", from->message);
	kube_push(conditions, condition);
}

static struct condition available_of(const struct kube_rollout *rollout,
				     const struct kube_counts *counts)
{
	bool available = counts->available >= rollout->replicas - rollout->unavailable;
	return (struct condition){
		.type = "Available",
		.status = available ? "True" : "False",
		.reason = available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
		.message =
			json_string(available ? "Deployment has minimum availability."
					      : "Deployment does not have minimum availability."),
	};
}

static json_t *set_sentence(const struct kube_rollout *rollout, const char *what)
{
	return kube_text("ReplicaSet \"%s\" %s.", rollout->new_set ? rollout->new_set->name : "",
			 what);
}

static struct condition progressing_of(const struct kube_rollout *rollout)
{
	struct condition condition = {.type = "Progressing", .status = "True"};
	if (kube_rollout_is_complete(rollout) || kube_rollout_was_complete(rollout)) {
		condition.reason = "NewReplicaSetAvailable";
		condition.message = set_sentence(rollout, "has successfully progressed");
	} else if (rollout->paused) {
		condition.status = "Unknown";
		condition.reason = "DeploymentPaused";
		condition.message = json_string("Deployment is paused");
	} else if (kube_rollout_deadline(rollout) <= rollout->now.ms) {
		condition.status = "False";
		condition.reason = "ProgressDeadlineExceeded";
		condition.message = set_sentence(rollout, "has timed out progressing");
	} else if (rollout->new_set) {
		condition.reason = "ReplicaSetUpdated";
		condition.message = set_sentence(rollout, "is progressing");
	} else {
		condition.reason = "NewReplicaSetCreated";
		condition.message = json_string("A new ReplicaSet is about to be created.");
	}
	return condition;
}

static json_t *conditions_new(const struct kube_rollout *rollout, const struct kube_counts *counts)
{
	const struct kube_time latest = kube_time_text((struct wall){.ms = counts->latest_ms});
	const char *time = counts->latest_ms ? latest.text
					     : kube_member_string(rollout->deployment,
								  "metadata.creationTimestamp");
	const struct condition available = available_of(rollout, counts);
	const struct condition progressing = progressing_of(rollout);
	json_t *conditions = json_array();
	condition_push(conditions, &available, time);
	condition_push(conditions, &progressing, time);
	return conditions;
}

/* ---- the Deployment ---- */

/* Kubernetes stores the number with the Deployment; here it follows from the ReplicaSet. */
static void revision_set(json_t *deployment, const struct kube_rollout *rollout)
{
	json_t *metadata = kube_object_at(deployment, "metadata");
	json_t *annotations = metadata ? kube_object_at(metadata, "annotations") : NULL;
	int64_t revision = rollout->new_set ? rollout->new_set->revision : 0;
	for (size_t i = 0; !rollout->new_set && i < rollout->set_count; i++)
		if (rollout->sets[i].revision > revision)
			revision = rollout->sets[i].revision;
	if (annotations && revision)
		kube_set(annotations, KUBE_REVISION, kube_text("%" PRId64, revision));
}

json_t *kube_deployment(const struct kube_rollout *rollout)
{
	const struct kube_counts counts = kube_rollout_counts(rollout);
	json_t *deployment = json_deep_copy(rollout->deployment);
	json_t *status = json_object();
	revision_set(deployment, rollout);
	count_set(status, "observedGeneration", kube_rollout_observed(rollout));
	count_set(status, "replicas", counts.pods);
	count_set(status, "updatedReplicas", rollout->new_set ? rollout->new_set->counts.pods : 0);
	count_set(status, "readyReplicas", counts.ready);
	count_set(status, "availableReplicas", counts.available);
	count_set(status, "unavailableReplicas", kube_rollout_wanted(rollout) - counts.available);
	kube_set(status, "conditions", conditions_new(rollout, &counts));
	kube_set(deployment, "status", status);
	return deployment;
}

json_t *kube_replica_set(const json_t *object, const struct kube_counts *counts)
{
	json_t *set = json_deep_copy(object);
	json_t *annotations = kube_member(set, "metadata.annotations");
	json_t *status = json_object();
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		(void)json_object_del(annotations, hidden[i]); /* it may not be there */
	kube_set_int(status, "replicas", counts->pods);
	count_set(status, "fullyLabeledReplicas", counts->pods);
	count_set(status, "readyReplicas", counts->ready);
	count_set(status, "availableReplicas", counts->available);
	kube_set_int(status, "observedGeneration",
		     kube_member_int(object, "metadata.generation", 1));
	kube_set(set, "status", status);
	return set;
}

/* A selector as text, for clients older than structured selectors: "app=web,tier=front". */
static json_t *selector_text(const json_t *object)
{
	struct buf text = {0};
	const char *key;
	json_t *value;
	json_object_foreach (kube_member(object, "spec.selector.matchLabels"), key, value) {
		const char *word = json_string_value(value);
		buf_append_format(&text, "%s%s=%s", text.len ? "," : "", key, word ? word : "");
	}
	json_t *json = json_string(buf_cstr(&text));
	buf_deinit(&text);
	return json;
}

json_t *kube_scale(const json_t *object, int64_t replicas)
{
	static const char *const kept[] = {"name", "namespace", "uid", "resourceVersion",
					   "creationTimestamp"};
	json_t *scale = json_object();
	json_t *metadata = json_object();
	json_t *spec = json_object();
	json_t *status = json_object();
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		json_t *value = json_object_get(json_object_get(object, "metadata"), kept[i]);
		if (value)
			kube_set(metadata, kept[i], json_incref(value));
	}
	kube_set_int(spec, "replicas", kube_member_int(object, "spec.replicas", 1));
	kube_set_int(status, "replicas", replicas);
	kube_set(status, "selector", selector_text(object));
	kube_set_string(scale, "kind", "Scale");
	kube_set_string(scale, "apiVersion", "autoscaling/v1");
	kube_set(scale, "metadata", metadata);
	kube_set(scale, "spec", spec);
	kube_set(scale, "status", status);
	return scale;
}

json_t *kube_namespace(const char *name, struct wall created)
{
	json_t *namespace = json_object();
	json_t *metadata = json_object();
	json_t *labels = json_object();
	json_t *status = json_object();
	/* Namespaces that nobody has created still need a stable uid: it follows from the name. */
	struct uid uid = kube_uid_derive(&(struct uid){0}, name);
	kube_set_string(labels, "kubernetes.io/metadata.name", name);
	kube_set_string(metadata, "name", name);
	kube_set_string(metadata, "uid", uid_text(&uid).text);
	kube_set_string(metadata, "creationTimestamp", kube_time_text(created).text);
	kube_set(metadata, "labels", labels);
	kube_set_string(status, "phase", "Active");
	kube_set_string(namespace, "kind", "Namespace");
	kube_set_string(namespace, "apiVersion", "v1");
	kube_set(namespace, "metadata", metadata);
	kube_set(namespace, "spec", json_object());
	kube_set(namespace, "status", status);
	return namespace;
}
