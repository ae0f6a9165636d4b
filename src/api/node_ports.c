/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node ports: given to a Service when it is written, for nobody hands them out in a fabric. Which
 * one a port gets follows from the names, so that two gateways that are asked at once say the same;
 * those of Services that this machine knows are passed over, and refused to who names them. What
 * machines that do not hear each other give out twice, the older Service keeps (kube/node_port.h).
 */
#include <string.h>

#include "api/gateway.h"
#include "kube/check.h"
#include "kube/member.h"
#include "kube/node_port.h"

enum {
	PORT_COUNT = KUBE_NODE_PORT_MAX - KUBE_NODE_PORT_MIN + 1,
};

/* FNV-1a, 32 bits: any even spread will do. */
#define HASH_START 2166136261u
#define HASH_FACTOR 16777619u

struct node_ports {
	const char *namespace, *name; /* of the Service in question */
	json_t *before;               /* as it is stored; NULL: it is new */
	bool used[PORT_COUNT];        /* by others, or by itself */
};

static bool in_range(int64_t number)
{
	return number >= KUBE_NODE_PORT_MIN && number <= KUBE_NODE_PORT_MAX;
}

/* Machines listen for nothing else; one number may stand beside it for UDP. */
static bool is_tcp(const json_t *port)
{
	const char *protocol = kube_member_string(port, "protocol");

	return !*protocol || strcmp(protocol, "TCP") == 0;
}

static void note_ports(struct node_ports *ports, const json_t *service)
{
	const json_t *port;
	size_t index;

	if (!kube_has_node_ports(service))
		return;
	json_array_foreach (kube_member(service, "spec.ports"), index, port) {
		int64_t number = kube_member_int(port, "nodePort", 0);

		if (in_range(number) && is_tcp(port))
			ports->used[number - KUBE_NODE_PORT_MIN] = true;
	}
}

static void look_at(void *arg, const struct api_object *object)
{
	struct node_ports *ports = arg;
	json_t *service = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);

	if (strcmp(object->namespace, ports->namespace) == 0 &&
	    strcmp(object->name, ports->name) == 0 && !ports->before) {
		ports->before = service;
		return;
	}
	note_ports(ports, service);
	json_decref(service);
}

static uint32_t hash(uint32_t so_far, const char *text)
{
	for (; *text; text++)
		so_far = (so_far ^ (uint8_t)*text) * HASH_FACTOR;
	return so_far;
}

/* The port that the stored Service has for the same; 0: none. */
static int64_t given_before(const struct node_ports *ports, const json_t *port)
{
	const json_t *other;
	size_t index;

	json_array_foreach (kube_member(ports->before, "spec.ports"), index, other)
		if (json_equal(json_object_get(other, "port"), json_object_get(port, "port")) &&
		    strcmp(kube_member_string(other, "name"), kube_member_string(port, "name")) ==
			    0)
			return kube_member_int(other, "nodePort", 0);
	return 0;
}

/* The first that is free from where the names point to; 0: all are in use. */
static int64_t choose(const struct node_ports *ports, size_t index)
{
	uint32_t start = hash(hash(hash(HASH_START, ports->namespace), "/"), ports->name);

	for (uint32_t i = 0; i < PORT_COUNT; i++) {
		uint32_t at = (start + (uint32_t)index + i) % PORT_COUNT;

		if (!ports->used[at])
			return KUBE_NODE_PORT_MIN + (int64_t)at;
	}
	return 0;
}

static void give(struct node_ports *ports, json_t *port, size_t index)
{
	int64_t number = given_before(ports, port);

	if (!in_range(number) || ports->used[number - KUBE_NODE_PORT_MIN])
		number = choose(ports, index);
	if (number == 0)
		return; /* what follows from the uid is as good as any */
	kube_set_int(port, "nodePort", number);
	ports->used[number - KUBE_NODE_PORT_MIN] = true;
}

/* Those that are named first: they are not to be given to another port. */
static void check_named(struct check *check, struct node_ports *ports, const json_t *list)
{
	const json_t *port;
	size_t index;

	json_array_foreach (list, index, port) {
		const json_t *value = json_object_get(port, "nodePort");
		int64_t number = json_integer_value(value);
		size_t mark;

		if (!in_range(number) || !is_tcp(port))
			continue; /* what is wrong admission says */
		mark = check_enter(check, "spec.ports[%zu]", index);
		if (ports->used[number - KUBE_NODE_PORT_MIN])
			check_invalid(check, "nodePort", value,
				      "provided port is already allocated");
		ports->used[number - KUBE_NODE_PORT_MIN] = true;
		check_leave(check, mark);
	}
}

json_t *node_ports_resolve(struct call *call, json_t *object)
{
	const struct api_backend *backend = &call->api->backend;
	struct node_ports ports = {.namespace = call->namespace ? call->namespace : ""};
	json_t *list = kube_member(object, "spec.ports"), *port, *refused = NULL;
	struct check check;
	size_t index;

	if (call->resource->id != KUBE_SERVICES || !kube_has_node_ports(object))
		return NULL;
	ports.name = call->name ? call->name : kube_member_string(object, "metadata.name");
	backend->ops->objects(backend->self, "Service", NULL, look_at, &ports);
	check_init(&check);
	check_named(&check, &ports, list);
	if (json_array_size(check.causes))
		refused = kube_status_invalid(call->resource, ports.name, check.causes);
	json_array_foreach (list, index, port)
		if (json_is_object(port) && !json_integer_value(json_object_get(port, "nodePort")))
			give(&ports, port, index);
	check_deinit(&check);
	json_decref(ports.before);
	return refused;
}
