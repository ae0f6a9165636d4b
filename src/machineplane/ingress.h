/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ingress: node ports of Services, at this machine.
 *
 *   ingress.c        which ports are listened at, and which pods are behind each
 *   ingress_visit.c  one connection, on its way to a pod
 *
 * The fabric process listens for every Service with node ports that it knows of; with
 * externalTrafficPolicy Local only where a replica of it is ready. A connection goes to one of all
 * ready replicas, whichever machine runs it: by the host process of this machine into the pod
 * (host_ingress.c), or by a stream of machineplane to the pod's machine, which does the same. So
 * nothing of it is in the mesh of pods: the pod sees a connection on its loopback, which no policy
 * of its agent judges, for it comes from outside.
 *
 * Of two Services that want one port, the older has it (kube/node_port.h).
 */
#pragma once

#include "base/id.h"
#include "base/list.h"
#include "machineplane/fabric.h"

enum {
	INGRESS_VISITS_MAX = 512, /* connections at a time: half of what streams there may be */
	INGRESS_TRIES_MAX = 3,    /* replicas that one connection tries */
};

/* A pod behind a port. */
struct ingress_replica {
	struct uid pod;
	struct node_id machine;
};

/* Where a connection goes; all borrowed. */
struct ingress_order {
	const char *namespace, *service;
	uint16_t port; /* of machines */
	struct ingress_replica tries[INGRESS_TRIES_MAX];
	size_t count;
};

struct ingress_visits {
	struct fabric *fabric;
	struct list open;
	size_t count;
};

void ingress_visits_init(struct ingress_visits *visits, struct fabric *fabric);
void ingress_visits_deinit(struct ingress_visits *visits);

/* Lead the connection @fd, which is taken over, to the first replica that takes it. */
void ingress_visit(struct ingress_visits *visits, int fd, const struct ingress_order *order);
