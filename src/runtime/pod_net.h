/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod network: one veth pair between a pod's network namespace and its machine's, no bridge.
 *
 *   pod: eth0   fd6d:6167:696b:<80 bits of SHA-256(pod uid)>/128   169.254.a.b/32
 *        |      default routes through fe80::1 and 169.254.0.1
 *   machine: mk<12 hex of the same hash>   fe80::1, 169.254.0.1 (the same on every pod's link)
 *               routes to both addresses of the pod
 *
 * The IPv6 address follows from the uid, so nobody hands out addresses, and it is the pod's IP
 * everywhere. The IPv4 address means something on this machine only; it is there so that the
 * machine reaches applications that listen on 0.0.0.0 alone. It also starts from the hash; where
 * another pod of the machine holds it already, the next one is tried: the machine's routing table
 * is the register. Without IPv6 in the kernel, the IPv4 address is the pod's IP.
 */
#pragma once

#include <stdbool.h>

#include <netinet/in.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/id.h"

enum {
	POD_LINK_NAME_MAX = 16, /* IFNAMSIZ */
};

struct pod_net {
	char link[POD_LINK_NAME_MAX]; /* on the machine's side; empty: none */
	char ip6[INET6_ADDRSTRLEN];   /* empty: the kernel has no IPv6 */
	char ip4[INET_ADDRSTRLEN];
};

/* Names and addresses that follow from the uid; @attempt counts collisions of the IPv4 address. */
struct pod_net pod_net_plan(const struct uid *pod_uid, unsigned attempt);

/*
 * Make the pair and both ends' addresses and routes. @netns: descriptor of the pod's network
 * namespace. Changes the calling thread's namespace for a moment. On failure nothing is left.
 */
_must_use_ int pod_net_create(const struct uid *pod_uid, int netns, struct pod_net *ret_net,
			      struct err *err);

/* Remove the pair; success if there is none. */
_must_use_ int pod_net_remove(const struct pod_net *net, struct err *err);

/* What applications are told to be the pod's IP. */
const char *pod_net_ip(const struct pod_net *net);
