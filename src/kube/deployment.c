/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting: a pod that is being stopped or has ended no longer counts. A pod is up to date when its
 * name carries the hash of the present template.
 */
#include "kube/deployment.h"

#include <inttypes.h>
#include <string.h>

#include "kube/member.h"
#include "kube/name.h"
#include "kube/time.h"
#include "wire/presence.h"

struct counts {
	int64_t desired, replicas, updated, ready, updated_ready;
	int64_t latest_ms; /* when the last of the ready ones started */
};

static struct kube_hash hash_of(const json_t *object)
{
	return kube_template_hash(kube_member(object, "spec.template"));
}

static struct kube_name replica_set_name(const json_t *object)
{
	const struct kube_hash hash = hash_of(object);
	return kube_name_replica_set(kube_member_string(object, "metadata.name"), &hash);
}

static bool is_of_replica_set(const struct presence *presence, const struct kube_name *name)
{
	size_t len = strlen(name->text);
	return presence->pod_name && strncmp(presence->pod_name, name->text, len) == 0 &&
	       presence->pod_name[len] == '-';
}

static struct counts count_pods(const json_t *object, const struct kube_pods *pods)
{
	const struct kube_name name = replica_set_name(object);
	struct counts counts = {.desired = kube_member_int(object, "spec.replicas", 1)};
	for (size_t i = 0; i < pods->count; i++) {
		const struct presence *presence = pods->pods[i];
		bool current = is_of_replica_set(presence, &name);
		bool ready = presence->ready && presence->phase == POD_RUNNING;
		if (presence->terminating || presence->phase > POD_RUNNING)
			continue;
		counts.replicas++;
		counts.updated += current;
		counts.ready += ready;
		counts.updated_ready += current && ready;
		if (ready && presence->started_ms > counts.latest_ms)
			counts.latest_ms = presence->started_ms;
	}
	return counts;
}

/* Kubernetes leaves counts of zero out. */
static void count_set(json_t *status, const char *key, int64_t count)
{
	if (count > 0)
		kube_set_int(status, key, count);
}

static json_t *condition_new(const char *type, bool is_true, const char *reason, const char *time)
{
	json_t *condition = json_object();
	kube_set_string(condition, "type", type);
	kube_set_string(condition, "status", is_true ? "True" : "False");
	kube_set_string(condition, "reason", reason);
	kube_set_string(condition, "lastUpdateTime", time);
	kube_set_string(condition, "lastTransitionTime", time);
	return condition;
}

static json_t *conditions_new(const json_t *object, const struct counts *counts)
{
	const struct kube_time latest = kube_time_text((struct wall){.ms = counts->latest_ms});
	const char *time = counts->latest_ms
				   ? latest.text
				   : kube_member_string(object, "metadata.creationTimestamp");
	bool complete =
		counts->updated_ready >= counts->desired && counts->updated == counts->replicas;
	/* A quarter may be missing: Kubernetes' default for maxUnavailable, rounded down. */
	bool available = counts->ready >= counts->desired - counts->desired / 4;
	json_t *conditions = json_array();
	json_t *condition = condition_new(
		"Available", available,
		available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable", time);
	kube_set_string(condition, "message",
			available ? "Deployment has minimum availability."
				  : "Deployment does not have minimum availability.");
	kube_push(conditions, condition);
	condition = condition_new("Progressing", true,
				  complete ? "NewReplicaSetAvailable" : "ReplicaSetUpdated", time);
	kube_set(condition, "message",
		 kube_text("ReplicaSet \"%s\" %s.", replica_set_name(object).text,
			   complete ? "has successfully progressed" : "is progressing"));
	kube_push(conditions, condition);
	return conditions;
}

/* The stored object has one revision; its number is only there because clients look for it. */
static void revision_set(json_t *metadata)
{
	json_t *annotations = kube_object_at(metadata, "annotations");
	if (annotations)
		kube_set_missing(annotations, "deployment.kubernetes.io/revision",
				 json_string("1"));
}

json_t *kube_deployment(const json_t *object, const struct kube_pods *pods)
{
	const struct counts counts = count_pods(object, pods);
	json_t *deployment = json_deep_copy(object);
	json_t *status = json_object();
	json_t *metadata = kube_object_at(deployment, "metadata");
	if (metadata)
		revision_set(metadata);
	kube_set_int(status, "observedGeneration",
		     kube_member_int(object, "metadata.generation", 0));
	count_set(status, "replicas", counts.replicas);
	count_set(status, "updatedReplicas", counts.updated);
	count_set(status, "readyReplicas", counts.ready);
	count_set(status, "availableReplicas", counts.ready);
	count_set(status, "unavailableReplicas", counts.desired - counts.ready);
	kube_set(status, "conditions", conditions_new(object, &counts));
	kube_set(deployment, "status", status);
	return deployment;
}

static void owner_set(json_t *metadata, const json_t *object)
{
	json_t *owner = json_object();
	json_t *owners = json_array();
	kube_set_string(owner, "apiVersion", "apps/v1");
	kube_set_string(owner, "kind", "Deployment");
	kube_set_string(owner, "name", kube_member_string(object, "metadata.name"));
	kube_set_string(owner, "uid", kube_member_string(object, "metadata.uid"));
	kube_set(owner, "controller", json_true());
	kube_set(owner, "blockOwnerDeletion", json_true());
	kube_push(owners, owner);
	kube_set(metadata, "ownerReferences", owners);
}

static void hash_label_set(json_t *parent, const char *hash)
{
	json_t *labels = kube_object_at(parent, "labels");
	if (labels)
		kube_set_string(labels, "pod-template-hash", hash);
}

static json_t *replica_set_metadata(const json_t *object, const struct kube_hash *hash)
{
	json_t *metadata = json_object();
	json_t *annotations = json_object();
	const json_t *labels = kube_member(object, "spec.template.metadata.labels");
	struct uid deployment;
	if (!uid_parse(kube_member_string(object, "metadata.uid"), &deployment))
		deployment = (struct uid){0};
	struct uid uid = kube_replica_set_uid(&deployment, hash);
	kube_set_string(metadata, "name", replica_set_name(object).text);
	kube_set_string(metadata, "namespace", kube_member_string(object, "metadata.namespace"));
	kube_set_string(metadata, "uid", uid_text(&uid).text);
	kube_set_string(metadata, "resourceVersion",
			kube_member_string(object, "metadata.resourceVersion"));
	kube_set_int(metadata, "generation", kube_member_int(object, "metadata.generation", 1));
	kube_set_string(metadata, "creationTimestamp",
			kube_member_string(object, "metadata.creationTimestamp"));
	kube_set(metadata, "labels",
		 json_is_object(labels) ? json_deep_copy(labels) : json_object());
	hash_label_set(metadata, hash->text);
	kube_set(annotations, "deployment.kubernetes.io/desired-replicas",
		 kube_text("%" PRId64, kube_member_int(object, "spec.replicas", 1)));
	kube_set(metadata, "annotations", annotations);
	revision_set(metadata);
	owner_set(metadata, object);
	return metadata;
}

static json_t *replica_set_spec(const json_t *object, const struct kube_hash *hash)
{
	json_t *spec = json_object();
	const json_t *selector = kube_member(object, "spec.selector");
	const json_t *template = kube_member(object, "spec.template");
	kube_set_int(spec, "replicas", kube_member_int(object, "spec.replicas", 1));
	kube_set(spec, "selector",
		 json_is_object(selector) ? json_deep_copy(selector) : json_object());
	kube_set(spec, "template",
		 json_is_object(template) ? json_deep_copy(template) : json_object());
	json_t *match = kube_object_at(json_object_get(spec, "selector"), "matchLabels");
	if (match)
		kube_set_string(match, "pod-template-hash", hash->text);
	json_t *metadata = kube_object_at(json_object_get(spec, "template"), "metadata");
	if (metadata)
		hash_label_set(metadata, hash->text);
	return spec;
}

json_t *kube_replica_set(const json_t *object, const struct kube_pods *pods)
{
	const struct kube_hash hash = hash_of(object);
	const struct counts counts = count_pods(object, pods);
	json_t *set = json_object();
	json_t *status = json_object();
	kube_set_string(set, "kind", "ReplicaSet");
	kube_set_string(set, "apiVersion", "apps/v1");
	kube_set(set, "metadata", replica_set_metadata(object, &hash));
	kube_set(set, "spec", replica_set_spec(object, &hash));
	kube_set_int(status, "replicas", counts.updated);
	count_set(status, "fullyLabeledReplicas", counts.updated);
	count_set(status, "readyReplicas", counts.updated_ready);
	count_set(status, "availableReplicas", counts.updated_ready);
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

json_t *kube_scale(const json_t *object, const struct kube_pods *pods)
{
	static const char *const kept[] = {"name", "namespace", "uid", "resourceVersion",
					   "creationTimestamp"};
	const struct counts counts = count_pods(object, pods);
	json_t *scale = json_object();
	json_t *metadata = json_object();
	json_t *spec = json_object();
	json_t *status = json_object();
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		json_t *value = json_object_get(json_object_get(object, "metadata"), kept[i]);
		if (value)
			kube_set(metadata, kept[i], json_incref(value));
	}
	kube_set_int(spec, "replicas", counts.desired);
	kube_set_int(status, "replicas", counts.replicas);
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
