/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/pod.h"

#include <inttypes.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kube/job.h"
#include "kube/member.h"
#include "kube/name.h"
#include "kube/quantity.h"
#include "kube/time.h"
#include "kube/workload.h"
#include "wire/presence.h"

/* What metadata, spec and status are made of, whether or not a machine has reported. */
struct pod {
	const json_t *object;
	bool is_bare; /* the object is the Pod itself */
	struct uid uid;
	const char *name;
	const char *node_name;
	const char *node_id; /* hex, "" while there is none */
	uint32_t slot;
	struct wall created;
};

static json_t *time_json(int64_t ms)
{
	return json_string(kube_time_text((struct wall){.ms = ms}).text);
}

static void owner_set(json_t *metadata, const struct pod *pod)
{
	json_t *owner = json_object();
	json_t *owners = json_array();
	kube_set_string(owner, "apiVersion", kube_member_string(pod->object, "apiVersion"));
	kube_set_string(owner, "kind", kube_member_string(pod->object, "kind"));
	kube_set_string(owner, "name", kube_member_string(pod->object, "metadata.name"));
	kube_set_string(owner, "uid", kube_member_string(pod->object, "metadata.uid"));
	kube_set(owner, "controller", json_true());
	kube_set(owner, "blockOwnerDeletion", json_true());
	kube_push(owners, owner);
	kube_set(metadata, "ownerReferences", owners);
}

/* The labels by which any machine and any tool can tell what a container belongs to. */
static void labels_set(json_t *metadata, const struct pod *pod)
{
	json_t *labels = kube_object_at(metadata, "labels");
	const char *namespace = kube_member_string(pod->object, "metadata.namespace");
	struct kube_origin origin = kube_origin_of(pod->object);
	if (!labels)
		return;
	kube_set_string(labels, "magik.pod_id", uid_text(&pod->uid).text);
	kube_set_string(labels, "magik.namespace", namespace);
	kube_set_string(labels, "magik.kind", origin.kind);
	kube_set_string(labels, "magik.name", origin.name);
	if (*pod->node_id)
		kube_set_string(labels, "magik.local_peer_id", pod->node_id);
	kube_set_string(labels, "io.kubernetes.pod.namespace", namespace);
	kube_set_missing(labels, "app.kubernetes.io/name", json_string(origin.name));
}

/* A pod of an indexed Job is known by its slot. */
static void index_set(json_t *metadata, const struct pod *pod)
{
	static const char *const maps[] = {"annotations", "labels"};
	json_t *index;
	if (strcmp(kube_member_string(pod->object, "kind"), "Job") != 0 ||
	    !kube_job_is_indexed(pod->object) || !*pod->node_id)
		return;
	index = kube_text("%" PRIu32, pod->slot);
	for (size_t i = 0; i < ARRAY_LEN(maps); i++)
		kube_set_string(kube_object_at(metadata, maps[i]), KUBE_JOB_INDEX,
				json_string_value(index));
	json_decref(index);
}

static json_t *metadata_new(const struct pod *pod)
{
	const json_t *from = kube_pod_metadata(pod->object);
	json_t *metadata = from ? json_deep_copy(from) : json_object();
	if (!json_is_object(metadata)) {
		json_decref(metadata);
		metadata = json_object();
	}
	labels_set(metadata, pod);
	if (pod->is_bare)
		return metadata;
	kube_set_string(metadata, "name", pod->name);
	kube_set(
		metadata, "generateName",
		kube_text(
			"%s-",
			kube_name_pod_base(kube_member_string(pod->object, "metadata.name")).text));
	kube_set_string(metadata, "namespace",
			kube_member_string(pod->object, "metadata.namespace"));
	kube_set_string(metadata, "uid", uid_text(&pod->uid).text);
	kube_set(metadata, "creationTimestamp", time_json(pod->created.ms));
	owner_set(metadata, pod);
	index_set(metadata, pod);
	return metadata;
}

static json_t *spec_new(const struct pod *pod)
{
	const json_t *from = kube_pod_spec(pod->object);
	struct kube_priority priority;
	json_t *spec = json_is_object(from) ? json_deep_copy(from) : json_object();
	if (*pod->node_name)
		kube_set_string(spec, "nodeName", pod->node_name);
	if (kube_priority_read(pod->object, &priority, NULL) == 0 && priority.value != 0)
		kube_set_int(spec, "priority", priority.value);
	kube_set_missing(spec, "enableServiceLinks", json_true());
	return spec;
}

static json_t *pod_new(const struct pod *pod, json_t *status)
{
	json_t *json = json_object();
	kube_set_string(json, "kind", "Pod");
	kube_set_string(json, "apiVersion", "v1");
	kube_set(json, "metadata", metadata_new(pod));
	kube_set(json, "spec", spec_new(pod));
	kube_set(json, "status", status);
	return json;
}

/* Kubernetes' class: Guaranteed with equal requests and limits everywhere, BestEffort without any.
 */
static const char *qos_class(const json_t *spec)
{
	static const char *const names[] = {"cpu", "memory"};
	const json_t *containers = json_object_get(spec, "containers");
	bool any = false, all = true;
	for (size_t i = 0; i < json_array_size(containers); i++) {
		const json_t *resources =
			json_object_get(json_array_get(containers, i), "resources");
		const json_t *requests = json_object_get(resources, "requests");
		const json_t *limits = json_object_get(resources, "limits");
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			const json_t *request = json_object_get(requests, names[k]);
			const json_t *limit = json_object_get(limits, names[k]);
			any |= request || limit;
			all &= limit && (!request || json_equal(request, limit));
		}
	}
	return !any ? "BestEffort" : all ? "Guaranteed" : "Burstable";
}

static void condition_push(json_t *conditions, const char *type, bool is_true, int64_t since_ms)
{
	json_t *condition = json_object();
	kube_set_string(condition, "type", type);
	kube_set_string(condition, "status", is_true ? "True" : "False");
	kube_set(condition, "lastProbeTime", json_null());
	kube_set(condition, "lastTransitionTime", time_json(since_ms));
	kube_push(conditions, condition);
}

/* Say why the newest condition is not true. */
static void condition_explain(json_t *conditions, const char *reason, const char *message)
{
	json_t *condition = json_array_get(conditions, json_array_size(conditions) - 1);
	kube_set_string(condition, "reason", reason);
	kube_set_string(condition, "message", message);
}

static json_t *terminated_json(int32_t exit_code, const char *reason, int64_t started_ms,
			       int64_t finished_ms)
{
	json_t *state = json_object();
	json_t *terminated = json_object();
	kube_set_int(terminated, "exitCode", exit_code);
	kube_set_string(terminated, "reason", *reason ? reason : exit_code ? "Error" : "Completed");
	if (started_ms)
		kube_set(terminated, "startedAt", time_json(started_ms));
	if (finished_ms)
		kube_set(terminated, "finishedAt", time_json(finished_ms));
	kube_set(state, "terminated", terminated);
	return state;
}

static json_t *waiting_json(const char *reason, const char *message)
{
	json_t *state = json_object();
	json_t *waiting = json_object();
	kube_set_string(waiting, "reason", reason);
	if (*message)
		kube_set_string(waiting, "message", message);
	kube_set(state, "waiting", waiting);
	return state;
}

/* A string of a presence: absent ones may be NULL in a struct that was never encoded. */
static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

static json_t *state_json(const struct container_status *container)
{
	const char *reason = text_or_empty(container->reason);
	const char *message = text_or_empty(container->message);
	json_t *state;
	switch (container->state) {
	case CONTAINER_RUNNING:
		state = json_object();
		kube_set(state, "running", json_object());
		if (container->started_ms)
			kube_set(json_object_get(state, "running"), "startedAt",
				 time_json(container->started_ms));
		return state;
	case CONTAINER_TERMINATED:
		state = terminated_json(container->exit_code, reason, container->started_ms,
					container->finished_ms);
		if (*message)
			kube_set_string(json_object_get(state, "terminated"), "message", message);
		return state;
	case CONTAINER_WAITING:
		break;
	}
	return waiting_json(*reason ? reason : "ContainerCreating", message);
}

static json_t *container_json(const struct container_status *container)
{
	json_t *status = json_object();
	bool running = container->state == CONTAINER_RUNNING;
	kube_set_string(status, "name", text_or_empty(container->name));
	kube_set(status, "state", state_json(container));
	kube_set(status, "lastState",
		 container->last_finished_ms
			 ? terminated_json(container->last_exit_code,
					   text_or_empty(container->last_reason),
					   container->last_started_ms, container->last_finished_ms)
			 : json_object());
	kube_set(status, "ready", json_boolean(container->ready));
	kube_set_int(status, "restartCount", container->restarts);
	kube_set_string(status, "image", text_or_empty(container->image));
	kube_set_string(status, "imageID", text_or_empty(container->image_id));
	if (container->container_id && *container->container_id)
		kube_set_string(status, "containerID", container->container_id);
	kube_set(status, "started", json_boolean(running && !container->starting));
	return status;
}

/* What a container of the manifest shows before its machine has said anything about it. */
static json_t *container_unreported(const json_t *container, const char *reason)
{
	const struct container_status status = {
		.name = (char *)(uintptr_t)kube_member_string(container, "name"),
		.image = (char *)(uintptr_t)kube_member_string(container, "image"),
		.reason = (char *)(uintptr_t)reason,
		.state = CONTAINER_WAITING,
	};
	return container_json(&status);
}

static json_t *statuses_unreported(const json_t *containers, const char *reason)
{
	json_t *statuses = json_array();
	for (size_t i = 0; i < json_array_size(containers); i++)
		kube_push(statuses, container_unreported(json_array_get(containers, i), reason));
	return statuses;
}

static json_t *statuses_reported(const struct presence *presence, bool init)
{
	json_t *statuses = json_array();
	for (size_t i = 0; i < presence->container_count; i++) {
		if (presence->containers[i].init == init)
			kube_push(statuses, container_json(&presence->containers[i]));
	}
	return statuses;
}

static void statuses_set(json_t *status, const json_t *spec, const struct presence *presence)
{
	const json_t *inits = json_object_get(spec, "initContainers");
	bool known = presence->container_count > 0;
	if (json_array_size(inits))
		kube_set(status, "initContainerStatuses",
			 known ? statuses_reported(presence, true)
			       : statuses_unreported(inits, "PodInitializing"));
	kube_set(status, "containerStatuses",
		 known ? statuses_reported(presence, false)
		       : statuses_unreported(json_object_get(spec, "containers"),
					     "ContainerCreating"));
}

static bool inits_are_done(const struct presence *presence)
{
	if (presence->phase == POD_RUNNING || presence->phase == POD_SUCCEEDED)
		return true;
	for (size_t i = 0; i < presence->container_count; i++) {
		const struct container_status *container = &presence->containers[i];
		if (container->init &&
		    (container->state != CONTAINER_TERMINATED || container->exit_code != 0))
			return false;
	}
	return true;
}

static json_t *conditions_new(const struct presence *presence)
{
	json_t *conditions = json_array();
	int64_t since = presence->started_ms ? presence->started_ms : presence->created_ms;
	int64_t ready_since = presence->ready && presence->ready_ms ? presence->ready_ms : since;
	bool done = presence->phase == POD_SUCCEEDED;
	condition_push(conditions, "PodReadyToStartContainers", *text_or_empty(presence->pod_ip),
		       presence->created_ms);
	condition_push(conditions, "Initialized", inits_are_done(presence), since);
	condition_push(conditions, "Ready", presence->ready, ready_since);
	if (!presence->ready)
		condition_explain(conditions, done ? "PodCompleted" : "ContainersNotReady", "");
	condition_push(conditions, "ContainersReady", presence->ready, ready_since);
	if (!presence->ready)
		condition_explain(conditions, done ? "PodCompleted" : "ContainersNotReady", "");
	condition_push(conditions, "PodScheduled", true, presence->created_ms);
	return conditions;
}

/* An address and the list of addresses that holds it alone. */
static void address_set(json_t *status, const char *key, const char *list_key, const char *address)
{
	if (!address || !*address)
		return;
	json_t *entry = json_object();
	json_t *list = json_array();
	kube_set_string(entry, "ip", address);
	kube_push(list, entry);
	kube_set_string(status, key, address);
	kube_set(status, list_key, list);
}

static json_t *status_new(const json_t *object, const struct presence *presence)
{
	static const char *const phases[] = {
		[POD_PENDING] = "Pending", [POD_RUNNING] = "Running", [POD_SUCCEEDED] = "Succeeded",
		[POD_FAILED] = "Failed",   [POD_GONE] = "Failed",
	};
	const json_t *spec = kube_pod_spec(object);
	json_t *status = json_object();
	assert(presence->phase < ARRAY_LEN(phases));
	kube_set_string(status, "phase", phases[presence->phase]);
	kube_set(status, "conditions", conditions_new(presence));
	if (*text_or_empty(presence->message))
		kube_set_string(status, "message", presence->message);
	if (*text_or_empty(presence->reason))
		kube_set_string(status, "reason", presence->reason);
	address_set(status, "hostIP", "hostIPs", presence->host_ip);
	address_set(status, "podIP", "podIPs", presence->pod_ip);
	kube_set(status, "startTime", time_json(presence->created_ms));
	statuses_set(status, spec, presence);
	kube_set_string(status, "qosClass", qos_class(spec));
	return status;
}

/* The latest moment the machine has reported of this pod. */
static int64_t latest_ms(const struct presence *presence)
{
	int64_t latest = presence->created_ms;
	latest = presence->started_ms > latest ? presence->started_ms : latest;
	for (size_t i = 0; i < presence->container_count; i++) {
		int64_t finished = presence->containers[i].finished_ms;
		latest = finished > latest ? finished : latest;
	}
	return latest;
}

static bool is_bare(const json_t *object)
{
	return strcmp(kube_member_string(object, "kind"), "Pod") == 0;
}

json_t *kube_pod(const json_t *object, const struct presence *presence)
{
	const struct id_text node_id = node_id_text(&presence->node);
	const struct pod pod = {
		.object = object,
		.is_bare = is_bare(object),
		.uid = presence->pod_uid,
		.slot = presence->slot,
		.name = text_or_empty(presence->pod_name),
		.node_name = text_or_empty(presence->node_name),
		.node_id = node_id.text,
		.created = {.ms = presence->created_ms},
	};
	json_t *json = pod_new(&pod, status_new(object, presence));
	if (presence->terminating) {
		json_t *metadata = json_object_get(json, "metadata");
		kube_set(metadata, "deletionTimestamp", time_json(latest_ms(presence)));
		kube_set_int(metadata, "deletionGracePeriodSeconds",
			     kube_member_int(kube_pod_spec(object), "terminationGracePeriodSeconds",
					     30));
	}
	return json;
}

static json_t *pending_status(const json_t *object, const struct kube_pending *pending)
{
	json_t *status = json_object();
	json_t *conditions = json_array();
	kube_set_string(status, "phase", "Pending");
	condition_push(conditions, "PodScheduled", false, pending->since.ms);
	condition_explain(conditions, pending->reason ? pending->reason : "Unschedulable",
			  pending->message ? pending->message : "waiting for a machine's bid");
	kube_set(status, "conditions", conditions);
	kube_set_string(status, "qosClass", qos_class(kube_pod_spec(object)));
	return status;
}

json_t *kube_pod_pending(const json_t *object, const struct kube_pending *pending)
{
	const struct kube_name name =
		kube_name_pod(kube_member_string(object, "metadata.name"), &pending->uid);
	const struct pod pod = {
		.object = object,
		.is_bare = is_bare(object),
		.uid = pending->uid,
		.name = name.text,
		.node_name = "",
		.node_id = "",
		.created = pending->since,
	};
	return pod_new(&pod, pending_status(object, pending));
}
