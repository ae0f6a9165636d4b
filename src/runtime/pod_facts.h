/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod facts: what a container may learn about its own pod, through its environment or files (the
 * downward API). Pure; everything is borrowed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "runtime/pod_spec.h"

struct pod_facts {
	const struct pod_spec *spec;
	const char *uid, *name, *hostname, *ip, *host_ip, *node_name;
	const char *group_api;              /* URL of its group's API; NULL: it has no group */
	bool has_account;                   /* with that API (pod_account.h) */
	const char *index;                  /* of an indexed Job's pod; NULL: it has none */
	const json_t *labels, *annotations; /* objects of strings, or NULL */
	uint64_t cpu_capacity_milli, memory_capacity_bytes;
};

/* The value of a field such as "metadata.labels['app']" or "metadata.labels", appended; false for
 * one that is not known. */
_must_use_ bool pod_facts_field(const struct pod_facts *facts, const char *path, struct buf *ret);

/*
 * A figure of a container's resources, appended, rounded up to the divisor. A limit that is not set
 * is what the machine has. False when no container has that name.
 */
_must_use_ bool pod_facts_resource(const struct pod_facts *facts,
				   const struct container_spec *asking,
				   const struct resource_field *field, struct buf *ret);
