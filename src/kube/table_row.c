/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/table_row.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "kube/member.h"
#include "kube/time.h"

void kube_row_lower(const char *text, char *out, size_t size)
{
	size_t len = 0;
	for (; text[len] && len + 1 < size; len++)
		out[len] = text[len] >= 'A' && text[len] <= 'Z' ? (char)(text[len] - 'A' + 'a')
								: text[len];
	out[len] = 0;
}

void kube_row_age(json_t *cells, const json_t *object, struct wall now)
{
	const json_t *created = kube_member(object, "metadata.creationTimestamp");
	kube_push(cells, json_string(kube_age_of(json_string_value(created), now).text));
}

static void cell_string(json_t *cells, const json_t *object, const char *path)
{
	kube_push(cells, json_string(kube_member_string(object, path)));
}

static void cell_or_none(json_t *cells, const char *text)
{
	kube_push(cells, json_string(*text ? text : "<none>"));
}

/* Why a container does not run, as a word for the STATUS column; NULL when it runs. */
static json_t *container_trouble(const json_t *container, const char *prefix)
{
	const char *waiting = kube_member_string(container, "state.waiting.reason");
	const char *terminated = kube_member_string(container, "state.terminated.reason");
	if (*waiting)
		return kube_text("%s%s", prefix, waiting);
	if (*terminated)
		return kube_text("%s%s", prefix, terminated);
	if (kube_member(container, "state.terminated"))
		return kube_text("%sExitCode:%" PRId64, prefix,
				 kube_member_int(container, "state.terminated.exitCode", 0));
	return NULL;
}

/* The first init container that has not ended well decides. NULL: all have. */
static json_t *init_status(const json_t *inits)
{
	size_t index;
	json_t *container;
	json_array_foreach (inits, index, container) {
		const json_t *terminated = kube_member(container, "state.terminated");
		const char *waiting = kube_member_string(container, "state.waiting.reason");
		if (terminated && kube_member_int(terminated, "exitCode", -1) == 0)
			continue;
		if (terminated || (*waiting && strcmp(waiting, "PodInitializing") != 0))
			return container_trouble(container, "Init:");
		return kube_text("Init:%zu/%zu", index, json_array_size(inits));
	}
	return NULL;
}

static bool pod_is_ready(const json_t *pod)
{
	size_t index;
	json_t *condition;
	json_array_foreach (kube_member(pod, "status.conditions"), index, condition) {
		if (strcmp(kube_member_string(condition, "type"), "Ready") == 0)
			return strcmp(kube_member_string(condition, "status"), "True") == 0;
	}
	return false;
}

static bool container_is_running(const json_t *container)
{
	return kube_member_true(container, "ready") && kube_member(container, "state.running");
}

/* Containers are looked at from the last to the first, so that the first in trouble names it. */
static json_t *running_status(const json_t *pod, json_t *status)
{
	const json_t *containers = kube_member(pod, "status.containerStatuses");
	bool any_running = false;
	for (size_t i = json_array_size(containers); i-- > 0;) {
		const json_t *container = json_array_get(containers, i);
		json_t *trouble = container_trouble(container, "");
		any_running |= container_is_running(container);
		if (trouble) {
			json_decref(status);
			status = trouble;
		}
	}
	if (strcmp(json_string_value(status), "Completed") != 0 || !any_running)
		return status;
	json_decref(status);
	return json_string(pod_is_ready(pod) ? "Running" : "NotReady");
}

static json_t *pod_status(const json_t *pod)
{
	const char *phase = kube_member_string(pod, "status.phase");
	const char *reason = kube_member_string(pod, "status.reason");
	bool ended = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
	if (kube_member(pod, "metadata.deletionTimestamp") && !ended)
		return json_string("Terminating");
	json_t *status = init_status(kube_member(pod, "status.initContainerStatuses"));
	if (status)
		return status;
	return running_status(pod, json_string(*reason ? reason : phase));
}

/* "2 (5m ago)": restarts of all containers, and when the last one was. */
static void cell_restarts(json_t *cells, const json_t *pod, struct wall now)
{
	const json_t *containers = kube_member(pod, "status.containerStatuses");
	int64_t restarts = 0;
	struct wall last = {0}, at;
	size_t index;
	json_t *container;
	json_array_foreach (containers, index, container) {
		const char *finished =
			kube_member_string(container, "lastState.terminated.finishedAt");
		restarts += kube_member_int(container, "restartCount", 0);
		if (kube_time_parse(finished, &at) && at.ms > last.ms)
			last = at;
	}
	if (restarts && last.ms)
		kube_push(cells,
			  kube_text("%" PRId64 " (%s ago)", restarts, kube_age(last, now).text));
	else
		kube_push(cells, kube_text("%" PRId64, restarts));
}

void kube_pod_row(json_t *cells, const json_t *pod, struct wall now)
{
	const json_t *containers = kube_member(pod, "status.containerStatuses");
	size_t ready = 0, index;
	json_t *container;
	json_array_foreach (containers, index, container) {
		ready += container_is_running(container);
	}
	cell_string(cells, pod, "metadata.name");
	kube_push(cells, kube_text("%zu/%zu", ready,
				   json_array_size(kube_member(pod, "spec.containers"))));
	kube_push(cells, pod_status(pod));
	cell_restarts(cells, pod, now);
	kube_row_age(cells, pod, now);
	cell_or_none(cells, kube_member_string(pod, "status.podIP"));
	cell_or_none(cells, kube_member_string(pod, "spec.nodeName"));
	cell_or_none(cells, kube_member_string(pod, "status.nominatedNodeName"));
	cell_or_none(cells, "");
}

static void cell_node_status(json_t *cells, const json_t *node)
{
	const char *word = "Unknown";
	size_t index;
	json_t *condition;
	json_array_foreach (kube_member(node, "status.conditions"), index, condition) {
		if (strcmp(kube_member_string(condition, "type"), "Ready") != 0)
			continue;
		word = strcmp(kube_member_string(condition, "status"), "True") == 0 ? "Ready"
										    : "NotReady";
	}
	kube_push(cells,
		  kube_text("%s%s", word,
			    kube_member_true(node, "spec.unschedulable") ? ",SchedulingDisabled"
									 : ""));
}

static void cell_node_roles(json_t *cells, const json_t *node)
{
	static const char prefix[] = "node-role.kubernetes.io/";
	struct buf text = {0};
	const char *key;
	json_t *value;
	json_object_foreach (kube_member(node, "metadata.labels"), key, value) {
		if (strncmp(key, prefix, sizeof(prefix) - 1) == 0)
			buf_append_format(&text, "%s%s", text.len ? "," : "",
					  key + sizeof(prefix) - 1);
	}
	cell_or_none(cells, buf_cstr(&text));
	buf_deinit(&text);
}

static const char *node_address(const json_t *node, const char *type)
{
	size_t index;
	json_t *address;
	json_array_foreach (kube_member(node, "status.addresses"), index, address) {
		if (strcmp(kube_member_string(address, "type"), type) == 0)
			return kube_member_string(address, "address");
	}
	return "";
}

void kube_node_row(json_t *cells, const json_t *node, struct wall now)
{
	const json_t *info = kube_member(node, "status.nodeInfo");
	cell_string(cells, node, "metadata.name");
	cell_node_status(cells, node);
	cell_node_roles(cells, node);
	kube_row_age(cells, node, now);
	cell_string(cells, info, "kubeletVersion");
	cell_or_none(cells, node_address(node, "InternalIP"));
	cell_or_none(cells, node_address(node, "ExternalIP"));
	cell_or_none(cells, kube_member_string(info, "osImage"));
	cell_or_none(cells, kube_member_string(info, "kernelVersion"));
	cell_or_none(cells, kube_member_string(info, "containerRuntimeVersion"));
}
