/* SPDX-License-Identifier: Apache-2.0 */
/* A fabric whose pods are meshes in this process, on the loopback. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "identity/fabric.h"
#include "workplane/mesh.h"

struct pods {
	struct loop *loop;
	struct fabric_made fabric;
	uint32_t seed;
};

struct pod_config {
	const char *namespace, *workload, *pod;
	bool stateful; /* of a StatefulSet, with this ordinal; else of a Deployment */
	uint32_t ordinal;
	struct service_policy policy;
	const struct service_port *ports;
	size_t port_count;
	bool inherited; /* its socket is bound by another, as in a pod */
};

struct pod {
	struct mesh *mesh;
	struct key key;
	struct addr addr;
};

struct pods *pods_new(uint32_t seed);
void pods_free(struct pods *pods);

/* The chain of a pod's certificate for @path, "ns/...". */
struct buf pods_issue(struct pods *pods, const struct node_id *key, const char *path);

/* A mesh with an identity, which knows @contact (may be NULL), ready. */
struct pod pod_new(struct pods *pods, const struct pod_config *config, const struct pod *contact);

/* Let things happen until @is_true(@user), for five seconds at most (asserted). */
void pods_until(struct pods *pods, bool (*is_true)(void *user), void *user);

/* A connected pair of TCP sockets that do not block; the second is the application's end. */
void pair_of_sockets(int ret_pair[2]);
