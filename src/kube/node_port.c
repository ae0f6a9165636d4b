/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/node_port.h"

#include <string.h>

#include "kube/member.h"
#include "kube/workload.h"

bool kube_has_node_ports(const json_t *service)
{
	const char *type = kube_member_string(service, "spec.type");

	return strcmp(type, "NodePort") == 0 || strcmp(type, "LoadBalancer") == 0;
}

const json_t *kube_node_port_find(const json_t *service, uint16_t number)
{
	const json_t *port;
	size_t index;

	if (!kube_has_node_ports(service))
		return NULL;
	json_array_foreach (kube_member(service, "spec.ports"), index, port)
		if (kube_member_int(port, "nodePort", 0) == number &&
		    strcmp(kube_member_string(port, "protocol"), "TCP") == 0)
			return port;
	return NULL;
}

bool kube_node_port_is_local(const json_t *service)
{
	return strcmp(kube_member_string(service, "spec.externalTrafficPolicy"), "Local") == 0;
}

/* The number of a port that is named in the pod; 0: it has none of that name. */
static int64_t named_port(const json_t *spec, const char *name, const char *protocol)
{
	const json_t *container, *port;
	size_t i, k;

	json_array_foreach (json_object_get(spec, "containers"), i, container)
		json_array_foreach (json_object_get(container, "ports"), k, port)
			if (strcmp(kube_member_string(port, "name"), name) == 0 &&
			    strcmp(kube_member_string(port, "protocol"), protocol) == 0)
				return kube_member_int(port, "containerPort", 0);
	return 0;
}

uint16_t kube_service_target(const json_t *port, const json_t *workload)
{
	const json_t *target = json_object_get(port, "targetPort");
	int64_t number = target ? json_integer_value(target) : kube_member_int(port, "port", 0);

	if (json_is_string(target))
		number = named_port(kube_pod_spec(workload), json_string_value(target),
				    kube_member_string(port, "protocol"));
	return number > 0 && number <= UINT16_MAX ? (uint16_t)number : 0;
}

bool kube_node_port_holds(const json_t *one, const json_t *other)
{
	/* Times of this form are ordered as texts are. */
	int order = strcmp(kube_member_string(one, "metadata.creationTimestamp"),
			   kube_member_string(other, "metadata.creationTimestamp"));

	if (order == 0)
		order = strcmp(kube_member_string(one, "metadata.uid"),
			       kube_member_string(other, "metadata.uid"));
	return order < 0;
}
