/* SPDX-License-Identifier: Apache-2.0 */
/* Path: struct addr to and from the socket addresses that ngtcp2 and the kernel use. */
#pragma once

#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>

#include "base/addr.h"
#include "quic/endpoint.h"

union quic_sockaddr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Returns the length of what it filled in. */
socklen_t sockaddr_from_addr(const struct addr *addr, union quic_sockaddr *ret_sockaddr);

/* False for a family that is neither IPv4 nor IPv6. */
_must_use_ bool sockaddr_to_addr(const struct sockaddr *sockaddr, struct addr *ret_addr);

/* A path with the memory that ngtcp2's points into; not to be copied. */
struct path_storage {
	union quic_sockaddr local, remote;
	ngtcp2_path path;
};

void path_storage_set(struct path_storage *storage, const struct quic_path *path);
void path_from_ngtcp2(const ngtcp2_path *ng, struct quic_path *ret_path);

/* ngtcp2 counts nanoseconds. */
static inline ngtcp2_tstamp ts_from_mono(struct mono at)
{
	return (ngtcp2_tstamp)at.us * NGTCP2_MICROSECONDS;
}

/* Rounded up, so that a deadline is never early. */
static inline struct mono ts_to_mono(ngtcp2_tstamp ts)
{
	if (ts >= (ngtcp2_tstamp)INT64_MAX)
		return MONO_NEVER;
	return (struct mono){.us = (int64_t)((ts + 999) / NGTCP2_MICROSECONDS)};
}
