/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/node.h"

#include <inttypes.h>
#include <string.h>

#include "kube/member.h"
#include "kube/name.h"
#include "kube/quantity.h"
#include "kube/time.h"
#include "wire/presence.h"

enum {
	PODS_DEFAULT = 110, /* what Kubernetes assumes of a machine that names no limit */
	LEASE_S = 40,       /* Kubernetes' default: what clients compare renewTime with */
};

static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

static json_t *labels_new(const struct node_facts *facts)
{
	json_t *labels = json_object();
	for (size_t i = 0; i < facts->label_count; i++) {
		if (facts->labels[i].key)
			kube_set_string(labels, facts->labels[i].key,
					text_or_empty(facts->labels[i].value));
	}
	kube_set_string(labels, "kubernetes.io/hostname", text_or_empty(facts->name));
	kube_set_string(labels, "kubernetes.io/os", "linux");
	kube_set_string(labels, "kubernetes.io/arch", text_or_empty(facts->architecture));
	if (facts->steward)
		kube_set_string(labels, "node-role.kubernetes.io/steward", "");
	if (facts->admit)
		kube_set_string(labels, "node-role.kubernetes.io/admit", "");
	if (facts->worker)
		kube_set_string(labels, "node-role.kubernetes.io/worker", "");
	return labels;
}

static json_t *metadata_new(const struct node_facts *facts, const struct kube_node_view *view)
{
	json_t *metadata = json_object();
	json_t *annotations = json_object();
	/* A machine is its key; its uid is the first half of it, in the form of a UUID. */
	struct uid uid = uid_from_random(facts->id.byte);
	kube_set_string(metadata, "name", text_or_empty(facts->name));
	kube_set_string(metadata, "uid", uid_text(&uid).text);
	kube_set(metadata, "resourceVersion", kube_text("%" PRIu64, view->resource_version));
	kube_set_string(metadata, "creationTimestamp",
			kube_time_text((struct wall){.ms = facts->created_ms}).text);
	kube_set(metadata, "labels", labels_new(facts));
	kube_set_string(annotations, "magik.io/identity", node_id_text(&facts->id).text);
	if (*text_or_empty(facts->api_url))
		kube_set_string(annotations, "magik.io/api-url", facts->api_url);
	kube_set(metadata, "annotations", annotations);
	return metadata;
}

static json_t *taints_new(const struct node_facts *facts)
{
	static const char *const effects[] = {
		[TAINT_NO_SCHEDULE] = "NoSchedule",
		[TAINT_PREFER_NO_SCHEDULE] = "PreferNoSchedule",
		[TAINT_NO_EXECUTE] = "NoExecute",
	};
	json_t *taints = json_array();
	for (size_t i = 0; i < facts->taint_count; i++) {
		const struct taint *from = &facts->taints[i];
		json_t *taint = json_object();
		kube_set_string(taint, "key", text_or_empty(from->key));
		if (*text_or_empty(from->value))
			kube_set_string(taint, "value", from->value);
		kube_set_string(taint, "effect", effects[from->effect]);
		kube_push(taints, taint);
	}
	return taints;
}

static json_t *spec_new(const struct node_facts *facts)
{
	json_t *spec = json_object();
	kube_set(spec, "providerID", kube_text("magik://%s", node_id_text(&facts->id).text));
	if (!facts->schedulable)
		kube_set(spec, "unschedulable", json_true());
	if (facts->taint_count > 0)
		kube_set(spec, "taints", taints_new(facts));
	return spec;
}

/* All there is of extended resources can be allocated. */
static json_t *resources_new(const struct node_facts *facts, int64_t cpu_milli,
			     int64_t memory_bytes)
{
	json_t *resources = json_object();
	kube_set_string(resources, "cpu", kube_quantity_from_milli(cpu_milli).text);
	kube_set_string(resources, "memory", kube_quantity_from_bytes(memory_bytes).text);
	kube_set(resources, "pods",
		 kube_text("%" PRIu32, facts->pods_max ? facts->pods_max : PODS_DEFAULT));
	for (size_t i = 0; i < facts->resource_count; i++)
		kube_set(resources, text_or_empty(facts->resources[i].name),
			 kube_text("%" PRId64, facts->resources[i].count));
	return resources;
}

static json_t *conditions_new(const struct node_facts *facts, const struct kube_node_view *view)
{
	json_t *conditions = json_array();
	json_t *ready = json_object();
	struct wall since = view->ready_since;
	if (since.ms == 0)
		since.ms = facts->created_ms;
	kube_set_string(ready, "type", "Ready");
	kube_set_string(ready, "status", view->is_ready ? "True" : "Unknown");
	kube_set_string(ready, "lastHeartbeatTime", kube_time_text(view->last_heard).text);
	kube_set_string(ready, "lastTransitionTime", kube_time_text(since).text);
	kube_set_string(ready, "reason", view->is_ready ? "MachineReady" : "MachineUnreachable");
	kube_set_string(ready, "message",
			view->is_ready ? "the machine answers its peers"
				       : "the machine does not answer its peers");
	kube_push(conditions, ready);
	return conditions;
}

static void address_push(json_t *addresses, const char *type, const char *address)
{
	json_t *entry = json_object();
	kube_set_string(entry, "type", type);
	kube_set_string(entry, "address", address);
	kube_push(addresses, entry);
}

static json_t *addresses_new(const struct node_facts *facts)
{
	json_t *addresses = json_array();
	if (!addr_is_none(&facts->addr))
		address_push(addresses, "InternalIP", addr_ip_text(&facts->addr).text);
	address_push(addresses, "Hostname", text_or_empty(facts->name));
	return addresses;
}

static json_t *info_new(const struct node_facts *facts)
{
	json_t *info = json_object();
	const char *version = text_or_empty(facts->version);
	kube_set_string(info, "machineID", text_or_empty(facts->machine_id));
	kube_set_string(info, "systemUUID", text_or_empty(facts->machine_id));
	kube_set_string(info, "bootID", text_or_empty(facts->boot_id));
	kube_set_string(info, "kernelVersion", text_or_empty(facts->kernel));
	kube_set_string(info, "osImage", text_or_empty(facts->os_image));
	kube_set_string(info, "containerRuntimeVersion", text_or_empty(facts->runtime));
	kube_set_string(info, "kubeletVersion", version);
	kube_set_string(info, "kubeProxyVersion", "");
	kube_set_string(info, "operatingSystem", "linux");
	kube_set_string(info, "architecture", text_or_empty(facts->architecture));
	return info;
}

json_t *kube_node(const struct node_facts *facts, const struct kube_node_view *view)
{
	json_t *node = json_object();
	json_t *status = json_object();
	kube_set(status, "capacity", resources_new(facts, facts->cpu_milli, facts->memory_bytes));
	kube_set(status, "allocatable",
		 resources_new(facts, facts->cpu_milli_free_max, facts->memory_bytes_free_max));
	kube_set(status, "conditions", conditions_new(facts, view));
	kube_set(status, "addresses", addresses_new(facts));
	kube_set(status, "nodeInfo", info_new(facts));
	kube_set_string(node, "kind", "Node");
	kube_set_string(node, "apiVersion", "v1");
	kube_set(node, "metadata", metadata_new(facts, view));
	kube_set(node, "spec", spec_new(facts));
	kube_set(node, "status", status);
	return node;
}

json_t *kube_node_lease(const struct node_facts *facts, struct wall joined, struct wall renewed)
{
	json_t *lease = json_object(), *metadata = json_object(), *spec = json_object();
	struct uid node = uid_from_random(facts->id.byte);
	struct uid uid = kube_uid_derive(&node, "Lease");

	kube_set_string(metadata, "name", text_or_empty(facts->name));
	kube_set_string(metadata, "namespace", KUBE_LEASE_NAMESPACE);
	kube_set_string(metadata, "uid", uid_text(&uid).text);
	kube_set_string(metadata, "creationTimestamp", kube_time_text(joined).text);
	kube_set_string(spec, "holderIdentity", text_or_empty(facts->name));
	kube_set_int(spec, "leaseDurationSeconds", LEASE_S);
	kube_set_string(spec, "renewTime", kube_time_text(renewed).text);
	kube_set_string(lease, "kind", "Lease");
	kube_set_string(lease, "apiVersion", "coordination.k8s.io/v1");
	kube_set(lease, "metadata", metadata);
	kube_set(lease, "spec", spec);
	return lease;
}
