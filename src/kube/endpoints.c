/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints: which pods a Service selects, and on which ports they listen. */
#include <inttypes.h>
#include <string.h>

#include "base/id.h"
#include "kube/member.h"
#include "kube/name.h"
#include "kube/node_port.h"
#include "kube/service.h"
#include "kube/workload.h"

bool kube_service_selects(const json_t *service, const json_t *workload)
{
	const json_t *selector = kube_member(service, "spec.selector");
	const json_t *labels = json_object_get(kube_pod_metadata(workload), "labels");
	const char *key;
	json_t *value;

	if (json_object_size(selector) == 0)
		return false;
	json_object_foreach ((json_t *)(uintptr_t)selector, key, value)
		if (!json_equal(value, json_object_get(labels, key)))
			return false;
	return true;
}

static bool selects(const json_t *service, const struct kube_backend *pod)
{
	return pod->presence->pod_ip[0] && pod->presence->phase != POD_SUCCEEDED &&
	       pod->presence->phase != POD_FAILED &&
	       strcmp(pod->presence->object.namespace,
		      kube_member_string(service, "metadata.namespace")) == 0 &&
	       kube_service_selects(service, pod->workload);
}

/* The Service's ports as this pod has them. */
static json_t *ports_of(const json_t *service, const struct kube_backend *pod)
{
	json_t *ports = json_array();
	const json_t *port;
	size_t index;

	json_array_foreach (kube_member(service, "spec.ports"), index, port) {
		uint16_t number = kube_service_target(port, pod->workload);
		json_t *made;

		if (number == 0)
			continue;
		made = json_object();
		/* Also when it is empty: `kubectl describe` relies on it. */
		kube_set_string(made, "name", kube_member_string(port, "name"));
		kube_set_int(made, "port", number);
		kube_set_string(made, "protocol", kube_member_string(port, "protocol"));
		kube_push(ports, made);
	}
	return ports;
}

static bool is_ready(const json_t *service, const struct presence *pod)
{
	return (pod->ready && !pod->terminating) ||
	       kube_member_true(service, "spec.publishNotReadyAddresses");
}

static json_t *target_of(const struct presence *pod)
{
	return json_pack("{s:s,s:s,s:s,s:s}", "kind", "Pod", "name", pod->pod_name, "namespace",
			 pod->object.namespace, "uid", uid_text(&pod->pod_uid).text);
}

/* The element of @groups with these @ports (taken over), made if there is none. */
static json_t *group_of(json_t *groups, json_t *ports)
{
	json_t *group;
	size_t index;

	json_array_foreach (groups, index, group)
		if (json_equal(json_object_get(group, "ports"), ports)) {
			json_decref(ports);
			return group;
		}
	group = json_object();
	kube_set(group, "ports", ports);
	kube_push(groups, group);
	return group;
}

static json_t *list_at(json_t *object, const char *key)
{
	kube_set_missing(object, key, json_array());
	return json_object_get(object, key);
}

static json_t *metadata_of(const json_t *service, const char *name)
{
	json_t *metadata =
		json_pack("{s:s,s:s,s:s,s:s}", "name", name, "namespace",
			  kube_member_string(service, "metadata.namespace"), "uid",
			  kube_member_string(service, "metadata.uid"), "creationTimestamp",
			  kube_member_string(service, "metadata.creationTimestamp"));
	const json_t *labels = kube_member(service, "metadata.labels");

	if (labels)
		kube_set(metadata, "labels", json_deep_copy(labels));
	return metadata;
}

json_t *kube_endpoints(const json_t *service, const struct kube_backend *pods, size_t count)
{
	json_t *object, *subsets;

	if (json_object_size(kube_member(service, "spec.selector")) == 0)
		return NULL;
	subsets = json_array();
	for (size_t i = 0; i < count; i++) {
		const struct presence *pod = pods[i].presence;
		json_t *group;

		if (!selects(service, &pods[i]))
			continue;
		group = group_of(subsets, ports_of(service, &pods[i]));
		kube_push(
			list_at(group, is_ready(service, pod) ? "addresses" : "notReadyAddresses"),
			json_pack("{s:s,s:s,s:o}", "ip", pod->pod_ip, "nodeName", pod->node_name,
				  "targetRef", target_of(pod)));
	}
	object = json_pack("{s:s,s:s,s:o}", "apiVersion", "v1", "kind", "Endpoints", "metadata",
			   metadata_of(service, kube_member_string(service, "metadata.name")));
	if (json_array_size(subsets) > 0)
		kube_set(object, "subsets", subsets);
	else
		json_decref(subsets);
	return object;
}

static void add_endpoint(json_t *slice, const json_t *service, const struct presence *pod)
{
	kube_push(list_at(slice, "endpoints"),
		  json_pack("{s:[s],s:{s:b,s:b,s:b},s:s,s:o}", "addresses", pod->pod_ip,
			    "conditions", "ready", is_ready(service, pod), "serving", pod->ready,
			    "terminating", pod->terminating, "nodeName", pod->node_name,
			    "targetRef", target_of(pod)));
	kube_set_string(slice, "addressType", strchr(pod->pod_ip, ':') ? "IPv6" : "IPv4");
}

/* Named after the Service, its uid and their number, the same on every machine. */
static void complete_slice(json_t *slice, const json_t *service, size_t number)
{
	const char *name = kube_member_string(service, "metadata.name");
	json_t *metadata, *labels, *prefix = kube_text("%s-", name);
	struct uid uid = {0}, own;
	json_t *what = kube_text("EndpointSlice/%zu", number);
	uint64_t random = 0;

	(void)!uid_parse(kube_member_string(service, "metadata.uid"), &uid);
	own = kube_uid_derive(&uid, json_string_value(what));
	for (size_t i = UID_LEN - 4; i < UID_LEN; i++)
		random = random << 8 | own.byte[i];
	metadata = metadata_of(service, kube_name_generate(json_string_value(prefix), random).text);
	kube_set_string(metadata, "uid", uid_text(&own).text);
	kube_set(metadata, "generateName", prefix);
	labels = kube_object_at(metadata, "labels");
	kube_set_string(labels, "kubernetes.io/service-name", name);
	kube_set_string(labels, "endpointslice.kubernetes.io/managed-by",
			"endpointslice-controller.k8s.io");
	kube_set(metadata, "ownerReferences",
		 json_pack("[{s:s,s:s,s:s,s:s,s:b,s:b}]", "apiVersion", "v1", "kind", "Service",
			   "name", name, "uid", kube_member_string(service, "metadata.uid"),
			   "controller", 1, "blockOwnerDeletion", 1));
	kube_set_string(slice, "apiVersion", "discovery.k8s.io/v1");
	kube_set_string(slice, "kind", "EndpointSlice");
	kube_set(slice, "metadata", metadata);
	json_decref(what);
}

json_t *kube_endpoint_slices(const json_t *service, const struct kube_backend *pods, size_t count)
{
	json_t *slices = json_array(), *slice;
	size_t index;

	for (size_t i = 0; i < count; i++)
		if (selects(service, &pods[i]))
			add_endpoint(group_of(slices, ports_of(service, &pods[i])), service,
				     pods[i].presence);
	/* Of a selector that finds nothing there is an empty one, as in Kubernetes. */
	if (json_array_size(slices) == 0 &&
	    json_object_size(kube_member(service, "spec.selector")) > 0)
		kube_push(slices, json_pack("{s:s,s:[],s:[]}", "addressType", "IPv6", "endpoints",
					    "ports"));
	json_array_foreach (slices, index, slice)
		complete_slice(slice, service, index);
	return slices;
}
