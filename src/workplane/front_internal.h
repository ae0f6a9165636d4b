/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the front. Private to front*.c. */
#pragma once

#include <sys/socket.h>

#include "base/list.h"
#include "base/map.h"
#include "service/vip.h"
#include "workplane/front.h"
#include "workplane/resolver.h"

enum {
	FRONT_KEY_MAX = 3 * (MESSAGE_NAME_MAX + 1), /* "namespace/service/pod" */
	FRONT_TURN_MAX = 64, /* arrivals that are taken in one turn of the loop */
};

struct front {
	struct front_config config;
	struct vip *vip;
	struct resolver *resolver;
	struct loop_watch *tcp, *udp;
	struct loop_timer *pause; /* accepting goes on when it fires */
	struct list arrivals;     /* connections whose Service is being looked up */
	struct map flows;         /* both addresses -> struct flow */
	struct list dns;          /* connections with questions */
	struct list udp_questions;
	struct front_stats stats;
};

/* Where something that has arrived wants to go. */
struct front_wish {
	struct addr to; /* with its port */
	enum service_protocol protocol;
	char namespace[MESSAGE_NAMESPACE_MAX + 1];
	char service[MESSAGE_NAME_MAX + 1]; /* "": by address only */
	char pod[MESSAGE_NAME_MAX + 1];     /* "": any */
};

/* False: the address is nobody's. */
_must_use_ bool front_wish_read(struct front *front, const struct addr *to,
				enum service_protocol protocol, struct front_wish *ret_wish);
/* Ask what it means; as catalog_get(). */
struct catalog_question *front_wish_ask(struct front *front, const struct front_wish *wish,
					catalog_fn *fn, void *user);

/* An order in the making, with the workload it may name. */
struct front_order {
	struct mesh_order order;
	struct mesh_name target;
};

/* What @service (NULL: nobody could tell) makes of @wish; false: nothing, refuse it. Valid as long
 * as both. */
_must_use_ bool front_order_make(const struct front *front, const struct front_wish *wish,
				 const struct catalog_service *service,
				 struct front_order *ret_order);

/* Is it the address that questions after names go to? */
bool front_is_resolver(const struct addr *addr);
bool front_addr_of(const struct sockaddr_storage *from, struct addr *ret_addr);

/* front_udp.c */
_must_use_ int front_udp_start(struct front *front, struct err *err);
void front_udp_stop(struct front *front);
/* The bytes of a datagram from @from to @to with all its headers, appended. For tests as well. */
void front_packet_write(const struct addr *from, const struct addr *to, struct bytes payload,
			struct buf *out);

/* front_dns.c: takes @fd over. */
void front_dns_accept(struct front *front, int fd);
void front_dns_stop(struct front *front);
