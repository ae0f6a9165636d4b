/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local port: one that leads through the mesh to a port of another workload, for an agent
 * that is run by hand, where nothing catches the application's connections.
 *
 *   [IP:]PORT=WORKLOAD[.NAMESPACE]:PORT[/tcp|/udp]
 *
 * The local address is 127.0.0.1 unless told, the namespace the agent's own; the port of the other
 * workload is a number, or the name under which it publishes one.
 */
#pragma once

#include "workplane/mesh.h"

struct local_port;

enum {
	LOCAL_PORTS_MAX = 64, /* of one agent */
};

struct local_port_spec {
	struct addr local;
	struct mesh_name target;
	enum service_protocol protocol;
	uint16_t port;
	char port_name[WORK_PORT_NAME_MAX + 1];
};

/* @text is one forward as above; @namespace the agent's own. -EINVAL with a sentence. */
_must_use_ int local_port_parse(const char *text, const char *namespace,
				struct local_port_spec *ret_spec, struct err *err);

/* Listen there, from now on. */
_must_use_ int local_port_new(struct loop *loop, struct mesh *mesh,
			      const struct local_port_spec *spec, enum pick_preference preference,
			      struct err *err, struct local_port **ret_port);
/* Before its mesh. */
void local_port_free(struct local_port *port);
