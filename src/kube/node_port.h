/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node port: a port of every machine that leads to a Service, of the types that have such ports.
 *
 * Nobody hands them out. A Service that names none has those that follow from its uid. When two
 * Services have the same one, the older holds it, on every machine that knows both.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	KUBE_NODE_PORT_MIN = 30000, /* Kubernetes' range */
	KUBE_NODE_PORT_MAX = 32767,
};

/* Is @service of a type with node ports? */
bool kube_has_node_ports(const json_t *service);

/* Its TCP port that is reached at @number of machines; NULL: it has none. Borrowed. */
const json_t *kube_node_port_find(const json_t *service, uint16_t number);

/* Only machines with a replica of it listen (externalTrafficPolicy: Local). */
bool kube_node_port_is_local(const json_t *service);

/* The number that @port of a Service leads to in the pods of @workload; 0: they have none of that
 * name. */
uint16_t kube_service_target(const json_t *port, const json_t *workload);

/* Of two Services with the same node port: does @one hold it? The older does, then the one of the
 * lower uid. */
bool kube_node_port_holds(const json_t *one, const json_t *other);
