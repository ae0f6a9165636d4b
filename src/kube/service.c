/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/service.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/id.h"
#include "kube/member.h"
#include "kube/name.h"
#include "kube/node_port.h"
#include "kube/port.h"

enum {
	PORTS_MAX = 100,
	NODE_PORT_COUNT = KUBE_NODE_PORT_MAX - KUBE_NODE_PORT_MIN + 1,
	ADDRESS_PREFIX_LEN = 6,
};

/* fd6d:6167:7376::/48: the letters of "mag" and "sv"; pods have a prefix of their own. */
static const uint8_t address_prefix[ADDRESS_PREFIX_LEN] = {0xfd, 0x6d, 0x61, 0x67, 0x73, 0x76};

static bool is_type(const json_t *service, const char *type)
{
	return strcmp(kube_member_string(service, "spec.type"), type) == 0;
}

static void default_ports(json_t *spec)
{
	json_t *port;
	size_t index;

	json_array_foreach (json_object_get(spec, "ports"), index, port) {
		if (!json_is_object(port))
			continue;
		kube_set_missing(port, "protocol", json_string("TCP"));
		if (json_object_get(port, "port"))
			kube_set_missing(port, "targetPort",
					 json_incref(json_object_get(port, "port")));
	}
}

void kube_default_service(json_t *service)
{
	json_t *spec = kube_object_at(service, "spec");

	if (!spec)
		return;
	kube_set_missing(spec, "type", json_string("ClusterIP"));
	kube_set_missing(spec, "sessionAffinity", json_string("None"));
	default_ports(spec);
	if (is_type(service, "ExternalName"))
		return;
	kube_set_missing(spec, "internalTrafficPolicy", json_string("Cluster"));
	kube_set_missing(spec, "ipFamilies", json_pack("[s]", "IPv6"));
	kube_set_missing(spec, "ipFamilyPolicy", json_string("SingleStack"));
	if (!kube_has_node_ports(service))
		return;
	kube_set_missing(spec, "externalTrafficPolicy", json_string("Cluster"));
	if (is_type(service, "LoadBalancer"))
		kube_set_missing(spec, "allocateLoadBalancerNodePorts", json_true());
}

/* ---- what follows from the uid */

static json_t *address_of(const struct uid *uid)
{
	uint8_t bytes[16];
	char text[INET6_ADDRSTRLEN];

	memcpy(bytes, address_prefix, ADDRESS_PREFIX_LEN);
	/* The first bytes are the home, which all of a family have. */
	memcpy(bytes + ADDRESS_PREFIX_LEN, uid->byte + UID_LEN - 10, 10);
	return json_string(inet_ntop(AF_INET6, bytes, text, sizeof(text)));
}

static void stamp_node_ports(json_t *spec, const struct uid *uid)
{
	unsigned next = (unsigned)(uid->byte[14] << 8 | uid->byte[15]);
	json_t *port;
	size_t index;

	json_array_foreach (json_object_get(spec, "ports"), index, port)
		if (json_is_object(port) && !json_integer_value(json_object_get(port, "nodePort")))
			kube_set_int(port, "nodePort",
				     KUBE_NODE_PORT_MIN +
					     (int64_t)((next + index) % NODE_PORT_COUNT));
}

void kube_service_stamp(json_t *service)
{
	json_t *spec = json_object_get(service, "spec");
	struct uid uid;

	if (!json_is_object(spec) || is_type(service, "ExternalName") ||
	    !uid_parse(kube_member_string(service, "metadata.uid"), &uid))
		return;
	if (!*kube_member_string(spec, "clusterIP"))
		kube_set(spec, "clusterIP", address_of(&uid));
	kube_set(spec, "clusterIPs", json_pack("[s]", kube_member_string(spec, "clusterIP")));
	if (kube_has_node_ports(service))
		stamp_node_ports(spec, &uid);
}

/* ---- validation */

static void validate_target(struct check *check, const json_t *target)
{
	if (json_is_string(target)) {
		if (!kube_name_is_port(json_string_value(target)))
			check_invalid(check, "targetPort", target, "must be a port's name");
		return;
	}
	check_range(check, "targetPort", target, 1, 65535);
}

static void validate_node_port(struct check *check, const json_t *port)
{
	int64_t number = kube_member_int(port, "nodePort", 0);

	if (number != 0 && (number < KUBE_NODE_PORT_MIN || number > KUBE_NODE_PORT_MAX))
		check_invalid(
			check, "nodePort", json_object_get(port, "nodePort"),
			"provided port is not in the valid range. The range of valid ports is "
			"30000-32767");
}

static const struct port_rules port_rules = {
	.number = "port",
	.outside = "nodePort",
	.name_fits = kube_name_is_label,
	.name_detail = "must be a DNS label",
	.named_when_several = true,
};

static void validate_ports(struct check *check, const json_t *ports)
{
	for (size_t i = 0; i < json_array_size(ports) && i < PORTS_MAX; i++) {
		const json_t *target = json_object_get(json_array_get(ports, i), "targetPort");
		size_t mark;

		kube_validate_port(check, ports, i, &port_rules);
		mark = check_enter(check, "ports[%zu]", i);
		if (target)
			validate_target(check, target);
		validate_node_port(check, json_array_get(ports, i));
		check_leave(check, mark);
	}
}

static void validate_address(struct check *check, const json_t *spec)
{
	const char *address = kube_member_string(spec, "clusterIP");
	struct in6_addr six;
	struct in_addr four;

	if (*address && strcmp(address, "None") != 0 && inet_pton(AF_INET6, address, &six) != 1 &&
	    inet_pton(AF_INET, address, &four) != 1)
		check_invalid(check, "clusterIP", json_object_get(spec, "clusterIP"),
			      "must be empty, 'None', or a valid IP address");
}

/* What a client should know. */
static void warn(struct check *check, const json_t *service)
{
	const json_t *port;
	size_t index;

	if (is_type(service, "LoadBalancer"))
		check_warn(check, "type LoadBalancer",
			   "nobody gives it an address outside; its node ports lead to its pods");
	if (!kube_has_node_ports(service))
		return;
	json_array_foreach (kube_member(service, "spec.ports"), index, port)
		if (strcmp(kube_member_string(port, "protocol"), "TCP") != 0)
			check_warn(check, "nodePort", "machines listen for TCP only");
}

void kube_validate_service(struct check *check, const json_t *service)
{
	static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName",
					    NULL};
	static const char *const policies[] = {"Cluster", "Local", NULL};
	const json_t *spec = json_object_get(service, "spec");
	const json_t *ports = json_object_get(spec, "ports");
	size_t mark = check_enter(check, "spec");
	bool headless = strcmp(kube_member_string(spec, "clusterIP"), "None") == 0;

	(void)check_one_of(check, "type", kube_member_string(spec, "type"), types);
	if (kube_has_node_ports(service))
		(void)check_one_of(check, "externalTrafficPolicy",
				   kube_member_string(spec, "externalTrafficPolicy"), policies);
	if (is_type(service, "ExternalName")) {
		if (!*kube_member_string(spec, "externalName"))
			check_required(check, "externalName", "");
	} else if (json_array_size(ports) == 0 && !headless) {
		check_required(check, "ports", "");
	}
	if (json_array_size(ports) > PORTS_MAX)
		check_forbidden(check, "ports", "has too many elements");
	validate_ports(check, ports);
	validate_address(check, spec);
	check_leave(check, mark);
	warn(check, service);
}

void kube_validate_service_update(struct check *check, const json_t *old, const json_t *new)
{
	const char *before = kube_member_string(old, "spec.clusterIP");
	const char *after = kube_member_string(new, "spec.clusterIP");

	if (*before && *after && strcmp(before, after) != 0)
		check_invalid(check, "spec.clusterIP", kube_member(new, "spec.clusterIP"),
			      "field is immutable");
}
