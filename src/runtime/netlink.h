/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink: the few requests about links, addresses and routes that a pod's network needs. Each
 * waits for the kernel's answer and returns 0 or its negative errno. A socket acts in the network
 * namespace in which it was opened.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct mnl_socket;

struct netlink_address {
	int family; /* AF_INET, AF_INET6 */
	uint8_t bytes[16];
	uint8_t prefix;
};

_must_use_ int netlink_open(struct mnl_socket **ret_socket);
/* The same in the namespace of descriptor @netns, where the thread goes for a moment. */
_must_use_ int netlink_open_in(int netns, struct mnl_socket **ret_socket);
void netlink_close(struct mnl_socket *socket);

/* A veth pair: @name here, @peer in the namespace of descriptor @netns. @mtu 0: the usual one. */
_must_use_ int netlink_veth_add(struct mnl_socket *socket, const char *name, const char *peer,
				int netns, uint32_t mtu);
_must_use_ int netlink_link_up(struct mnl_socket *socket, const char *name);
_must_use_ int netlink_link_remove(struct mnl_socket *socket, const char *name);
_must_use_ int netlink_address_add(struct mnl_socket *socket, const char *name,
				   const struct netlink_address *address);

/* To @to through @via (NULL: on the link itself) on link @name; -EEXIST if there is one. */
_must_use_ int netlink_route_add(struct mnl_socket *socket, const char *name,
				 const struct netlink_address *to,
				 const struct netlink_address *via);

/* The same for part of what netlink_local_add() has made this namespace's own. */
_must_use_ int netlink_exception_add(struct mnl_socket *socket, const char *name,
				     const struct netlink_address *to,
				     const struct netlink_address *via);

/* All addresses of @to are this namespace's own, without being on a link. */
_must_use_ int netlink_local_add(struct mnl_socket *socket, const struct netlink_address *to);
