/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Role: what a certificate allows its holder to do, and the rule that roles only ever narrow.
 *
 * worker may bid and run; steward (of named namespaces, or of all) takes API writes, keeps records,
 * controls objects, issues tenders and disposals and signs pods; admit lets machines in; relay
 * forwards for machines behind NAT. A struct grant is a value.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum role {
	ROLE_WORKER = 1 << 0,
	ROLE_STEWARD = 1 << 1,
	ROLE_ADMIT = 1 << 2,
	ROLE_RELAY = 1 << 3,
	ROLE_ALL = ROLE_WORKER | ROLE_STEWARD | ROLE_ADMIT | ROLE_RELAY,
	/* What a token gives when nothing else is asked for: equal machines in a small fabric. */
	ROLE_PLAIN = ROLE_WORKER | ROLE_STEWARD | ROLE_RELAY,
};

enum {
	GRANT_NAMESPACES_MAX = 8, /* keeps a certificate within one TLS flight; else take all */
	NAMESPACE_LEN_MAX = 63,   /* a DNS label, as Kubernetes has it */
};

/* Namespaces matter only with ROLE_STEWARD, and are the ones stewarded. */
struct grant {
	uint32_t roles;
	bool all_namespaces;
	uint8_t namespace_count;
	char namespaces[GRANT_NAMESPACES_MAX][NAMESPACE_LEN_MAX + 1];
};

/* worker + steward of all namespaces + relay. */
struct grant grant_plain(void);

/* Every role, all namespaces: what roots and admitters may hand on. */
struct grant grant_all(void);

/* True if everything @inner allows is allowed by @outer. */
bool grant_within(const struct grant *inner, const struct grant *outer);

/* Does @grant hold @role, in whatever namespace? */
bool grant_has(const struct grant *grant, enum role role);

/* True if @grant holds steward for @namespace. The empty name means objects of no namespace (nodes,
 * namespaces themselves): only a steward of all namespaces has those. */
bool grant_stewards(const struct grant *grant, struct bytes namespace);

/* Add a namespace. False when it is not a DNS label or the list is full. */
_must_use_ bool grant_add_namespace(struct grant *grant, struct bytes namespace);

/* "worker,steward(a,b),relay" appended to @out. */
void grant_format(const struct grant *grant, struct buf *out);

/* One role by its name, as --role takes it; 0 when there is no such role. */
uint32_t role_parse(const char *name);

/* A DNS label as Kubernetes has it (RFC 1123): lower case, 1 to 63 characters. Namespaces and node
 * names are. */
bool name_is_dns_label(struct bytes text);
