/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/field_label.h"

#include <string.h>

#include "base/attr.h"

struct field_label {
	enum kube_resource_id id;
	const char *label;
	const char *path; /* NULL: the label itself */
};

static const char *const common[] = {"metadata.name", "metadata.namespace"};

static const struct field_label labels[] = {
	{KUBE_PODS, "spec.nodeName", NULL},
	{KUBE_PODS, "spec.restartPolicy", NULL},
	{KUBE_PODS, "spec.schedulerName", NULL},
	{KUBE_PODS, "spec.serviceAccountName", NULL},
	{KUBE_PODS, "spec.hostNetwork", NULL},
	{KUBE_PODS, "status.phase", NULL},
	{KUBE_PODS, "status.podIP", NULL},
	{KUBE_PODS, "status.nominatedNodeName", NULL},
	{KUBE_NODES, "spec.unschedulable", NULL},
	{KUBE_NAMESPACES, "status.phase", NULL},
	{KUBE_SECRETS, "type", NULL},
	{KUBE_SERVICES, "spec.clusterIP", NULL},
	{KUBE_SERVICES, "spec.type", NULL},
	{KUBE_REPLICASETS, "status.replicas", NULL},
	{KUBE_JOBS, "status.successful", "status.succeeded"},
	{KUBE_EVENTS, "involvedObject.kind", NULL},
	{KUBE_EVENTS, "involvedObject.namespace", NULL},
	{KUBE_EVENTS, "involvedObject.name", NULL},
	{KUBE_EVENTS, "involvedObject.uid", NULL},
	{KUBE_EVENTS, "involvedObject.apiVersion", NULL},
	{KUBE_EVENTS, "involvedObject.resourceVersion", NULL},
	{KUBE_EVENTS, "involvedObject.fieldPath", NULL},
	{KUBE_EVENTS, "reason", NULL},
	{KUBE_EVENTS, "reportingComponent", NULL},
	{KUBE_EVENTS, "source", "source.component"},
	{KUBE_EVENTS, "type", NULL},
};

const char *kube_field_label(const struct kube_resource *resource, const char *label)
{
	for (size_t i = 0; i < ARRAY_LEN(common); i++) {
		if (strcmp(common[i], label) == 0)
			return common[i];
	}
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		if (labels[i].id == resource->id && strcmp(labels[i].label, label) == 0)
			return labels[i].path ? labels[i].path : labels[i].label;
	}
	return NULL;
}
