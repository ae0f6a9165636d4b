/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front: what the application of a pod sends to virtual addresses arrives here, and goes on to
 * whoever the address stands for.
 *
 *   front.c       connections: an accepted one has the address that was asked for as its own
 *   front_udp.c   datagrams, whose answers come from the address that was asked
 *   front_dns.c   questions after names, to POD_FRONT_RESOLVER, by both
 *
 * Connections to POD_FRONT_API_HOST, ports 80 and 443, are handed to whoever serves the application
 * there.
 *
 * The sockets were made by the host process in a namespace before the pod's (runtime/pod_front.h),
 * so no port of the application is taken. Which Service an address stands for is looked up when
 * something arrives (catalog.h), so an application that keeps an address for long meets the
 * replicas of now. What leads nowhere is refused at once.
 */
#pragma once

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"
#include "workplane/catalog.h"
#include "workplane/forward.h"
#include "workplane/mesh.h"

enum {
	FRONT_FD_NONE = -1,
	FRONT_WAITING_MAX = 1024, /* connections whose Service is being looked up */
	FRONT_FLOWS_MAX = 512,    /* UDP conversations; beyond that, datagrams are dropped */
	FRONT_DNS_MAX = 32,       /* connections with questions */
	FRONT_DNS_IDLE_MS = 10 * 1000,
};

/* Descriptors are taken over, even on failure; the rest is borrowed. */
struct front_config {
	struct loop *loop;
	const char *namespace;
	int tcp_fd, udp_fd, raw4_fd, raw6_fd; /* raw6: FRONT_FD_NONE without IPv6 */
	struct mesh *mesh; /* NULL: names are answered, but nobody can be connected to */
	struct catalog *catalog;
	struct forward *forward; /* may be NULL */
	bool by_hand;            /* there is no machine to ask */
	enum pick_preference preference;
	/* A connection to POD_FRONT_API_HOST, which is taken over; NULL: they are refused. */
	void (*on_api)(void *user, int fd);
	void *api_user;
};

struct front;

_must_use_ int front_new(const struct front_config *config, struct err *err,
			 struct front **ret_front);
/* Connections that have been handed to the mesh go on. NULL is accepted. */
void front_free(struct front *front);

struct front_stats {
	uint64_t connections, refused, datagrams, dropped, questions;
	size_t waiting, flows, dns;
};

void front_stats(const struct front *front, struct front_stats *ret_stats);
