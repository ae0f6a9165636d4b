/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod front: a second network namespace before a pod's own, in which everything is local that the
 * pod sends to virtual addresses.
 *
 *   pod: svc0   198.18.0.0/15 via 198.19.255.254, IPv6 prefixes of services and pods via fe80::1
 *        |      no IPv4 address of its own: the pod's is used, and no port of the pod is taken
 *   front: pod0   198.19.255.254, fe80::1; all prefixes are local addresses (any of them)
 *               one rule (netfilter.h): whatever arrives goes to these sockets, whose names then
 *               are the addresses that the application has asked for
 *
 * Nothing of it is in the machine's own namespace. The front is pinned as a file beside the pod's
 * namespaces, and is gone with the pin and the agent that holds its sockets; the pair of links goes
 * with it. The sockets are made here and handed to the agent, which needs no privileges for them.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "runtime/pod_net.h"

enum {
	POD_FRONT_PORT = 15001,   /* of the sockets; any would do, nothing else is there */
	POD_FRONT_BACKLOG = 1024, /* connections begun in one turn of the agent's loop */
};

/* Names that containers are told, and what is local in front of the pod. */
#define POD_FRONT_RESOLVER "198.19.255.254"
#define POD_FRONT_API_HOST "198.19.255.253" /* what the agent serves: workplane/front.h */
#define POD_FRONT_API "http://" POD_FRONT_API_HOST
#define POD_FRONT_API_TLS_PORT "443"

enum pod_front_socket {
	POD_FRONT_TCP,  /* listens for all connections, IPv4 too */
	POD_FRONT_UDP,  /* all datagrams, with the address that each was sent to */
	POD_FRONT_RAW4, /* sends datagrams from any address */
	POD_FRONT_RAW6,
	_POD_FRONT_SOCKETS,
};

struct pod_front {
	int fds[_POD_FRONT_SOCKETS]; /* RAW6 is -1 without IPv6 in the kernel */
};

/* Make the namespace, and pin it as file @pin. Blocks for a millisecond. On failure nothing is
 * left. */
_must_use_ int pod_front_create(const char *pin, struct err *err);

/* Its sockets, close-on-exec, which do not block; made anew for each agent. */
_must_use_ int pod_front_open(const char *pin, struct pod_front *ret_front, struct err *err);
void pod_front_close(struct pod_front *front);

/* Join it with the pod's namespace @netns, which has @net already. */
_must_use_ int pod_front_connect(const char *pin, int netns, const struct pod_net *net,
				 struct err *err);

/* Unpin; success if there is none. */
_must_use_ int pod_front_remove(const char *pin, struct err *err);
