/* SPDX-License-Identifier: Apache-2.0 */
/* Port: what the ports of a container and those of a Service have in common. */
#pragma once

#include <stdbool.h>

#include <jansson.h>

#include "kube/check.h"

struct port_rules {
	const char *number;  /* "containerPort": must be there, 1 to 65535 */
	const char *outside; /* "hostPort": may be missing, or 0 for none */
	bool (*name_fits)(const char *name);
	const char *name_detail; /* what a name must be, for people */
	bool named_when_several; /* each of several must have a name */
};

/* Judge element @index of @ports; its name must be no earlier one's. */
void kube_validate_port(struct check *check, const json_t *ports, size_t index,
			const struct port_rules *rules);
