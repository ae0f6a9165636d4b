/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolver: what a pod's questions after names are answered with.
 *
 * A name of a Service, or of a workload, is answered with a virtual address that leads to its
 * replicas whichever these are (service/vip.h); of a headless one each ready replica has its own.
 * So nothing in an answer can become wrong while somebody keeps it. Names that are not ours are put
 * to the machine's resolvers (forward.h); without these, or when nobody can tell at the moment, the
 * answer is that it failed, never that a name does not exist.
 */
#pragma once

#include "base/attr.h"
#include "io/loop.h"
#include "service/dns.h"
#include "service/vip.h"
#include "workplane/catalog.h"
#include "workplane/forward.h"
#include "workplane/mesh.h"

enum {
	RESOLVER_TTL_S = 5,
	RESOLVER_PODS_MAX = 64, /* of a headless Service in one answer */
	RESOLVER_MAX = 256,     /* questions under way: resolvers ask again */
};

/* All borrowed. */
struct resolver_config {
	const char *namespace;
	struct mesh *mesh; /* NULL: replicas are not known */
	struct catalog *catalog;
	struct vip *vip;
	struct forward *forward; /* NULL: nobody outside is asked */
	bool by_hand;            /* no machine: workloads are all there is */
	bool has_v6;             /* IPv6 addresses of Services lead here */
};

struct resolver;
struct resolver_question;

/* @answer: to be sent back, valid within the call; empty: nothing is. */
typedef void resolver_fn(void *user, struct bytes answer);

struct resolver *resolver_new(const struct resolver_config *config);
/* Questions under way are dropped. NULL is accepted. */
void resolver_free(struct resolver *resolver);

/* Answer @packet, which came by TCP (@tcp) or as a datagram. @fn is called once, within this call
 * or later. */
void resolver_ask(struct resolver *resolver, struct bytes packet, bool tcp, resolver_fn *fn,
		  void *user);
/* Whoever asked as @user is not there any more. */
void resolver_forget(struct resolver *resolver, const void *user);
