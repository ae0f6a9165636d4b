/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vip: virtual IPv4 addresses, which mean something in one pod only.
 *
 * A name gets an address when it is first asked for, out of VIP_PREFIX, which is reserved for
 * benchmarks of networks (RFC 2544), so that nothing outside has an address in it; the host routes
 * it to the agent. The address stays the name's own while an answer with it may be in somebody's
 * cache, and while a connection to it is open (vip_hold()). Then it may be given to another name,
 * the one that was unused for longest first, and only when there is no fresh one.
 *
 * IPv6 addresses are unique local ones that follow from a uid: nobody hands them out.
 */
#pragma once

#include "base/addr.h"
#include "base/attr.h"
#include "base/id.h"
#include "base/time.h"

#define VIP_PREFIX "198.18.0.0"

enum {
	VIP_PREFIX_BITS = 15,
	VIP_MAX = 4096, /* names that a pod talks to at a time: 100 B each. An application that asks
			 * for ever new ones gets no address beyond until the oldest expire. */
	VIP_GRACE_MS = 60 * 1000, /* resolvers and applications keep an answer beyond its TTL */
};

enum vip_result {
	_VIP_E_OK,
	VIP_E_FULL, /* all addresses are in use: answer SERVFAIL */
};

struct vip;

/* @max: addresses to give, at most VIP_MAX. */
struct vip *vip_new(size_t max, uint64_t seed);
void vip_free(struct vip *vip);

/* The address of @name ("shop/web"), which is about to be answered with @ttl_ms. 0 or VIP_E_FULL.
 */
_must_use_ int vip_get(struct vip *vip, struct mono now, const char *name, int64_t ttl_ms,
		       struct addr *ret_addr);

/* The same address for who asks for IPv6 only; it leads to the same name. */
struct addr vip_as_v6(const struct addr *addr);

/* The name behind @addr, of either form; NULL: it is nobody's. Valid until the next call. */
const char *vip_name(const struct vip *vip, const struct addr *addr);

/* A connection to @addr begins, ends. The address must be somebody's (false: it is not). */
_must_use_ bool vip_hold(struct vip *vip, const struct addr *addr);
void vip_release(struct vip *vip, struct mono now, const struct addr *addr);

size_t vip_count(const struct vip *vip);

/* The unique local address (RFC 4193) that follows from the uid of a Service, of a pod; without a
 * port. The same ones that the API shows as clusterIP and podIP. */
struct addr vip_of_service(const struct uid *uid);
struct addr vip_of_pod(const struct uid *uid);
