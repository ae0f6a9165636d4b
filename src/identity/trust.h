/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust: does this chain of certificates entitle its holder to what it is about to do?
 *
 * One struct trust per process, for one fabric. The chain is walked by hand from the pinned root
 * key to the leaf: signatures, then that everything narrows on its way down (issue.h), then time,
 * which is fabric time as the caller passes it: no clock is read here or below, so a machine whose
 * own clock is a year off judges as the others do. Chains that passed are remembered by the hash of
 * their leaf (bounded, least recently used out first), so that a message costs a look-up; time,
 * purpose and revocation are judged afresh each time.
 *
 * The same cache serves envelopes: they name their issuer by that hash (trust_leaf()).
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "identity/cert.h"
#include "identity/revocation.h"

enum {
	TRUST_CACHE_DEFAULT =
		512, /* leaves; about 4 KiB each: the pool of 128 and who they relay for */
};

enum trust_purpose {
	TRUST_MESH = 1, /* a peer on magik-machine/1; also who may sign envelopes */
	TRUST_JOINER,   /* client on magik-join/1: a voucher, or a machine renewing its leaf */
	TRUST_ADMITTER, /* server on magik-join/1: a machine with the role admit */
	TRUST_REST_SERVER,
	TRUST_REST_USER,
	TRUST_POD,         /* a peer on magik-work/1 */
	TRUST_APPLICATION, /* what a machine hands to the application of a pod */
};

/* Every refusal has its own code, and @err its own sentence: the daemon logs and counts them. */
enum trust_result {
	_TRUST_E_OK,
	TRUST_E_NO_CREDENTIAL, /* an empty chain */
	TRUST_E_MALFORMED,     /* a certificate that does not parse, or is not ours */
	TRUST_E_OTHER_FABRIC,  /* sound, but of another fabric */
	TRUST_E_WRONG_KIND,    /* a sound credential of this fabric, for something else */
	TRUST_E_UNTRUSTED,     /* no path of signatures to our root */
	TRUST_E_WIDENS,        /* somewhere the chain allows more than its issuer may */
	TRUST_E_NOT_YET,       /* validity starts in the future of fabric time */
	TRUST_E_EXPIRED,
	TRUST_E_RENEW_ONLY, /* an expired machine leaf, or one whose admitter was revoked: it may
			     * renew itself on magik-join/1 and do nothing else */
	TRUST_E_REVOKED,
	TRUST_E_NO_ROLE, /* TRUST_ADMITTER without the role admit */
	_TRUST_E_COUNT,
};

struct trust_query {
	enum trust_purpose purpose;
	struct wall now; /* fabric time */
	/* Fabric time is not known yet, only that it is not before @now (a machine that joins, or
	 * has just started: its @now is the last persisted value, or 0). Expiry is judged against
	 * @now; the start of validity is not. */
	bool now_is_floor;
	/* @now is when something was signed that is looked at now: only what was revoked before
	 * then is refused. Else a revocation counts whenever it was made. */
	bool signed_then;
};

struct trust_cached; /* private: one verified chain */

struct trust {
	struct node_id root[CERT_FAMILY_COUNT]; /* by family - 1 */
	char fabric[FABRIC_ID_LEN + 1];
	const struct revocations *revocations; /* borrowed; NULL: nothing is revoked */
	struct map cache;                      /* leaf hash -> struct trust_cached */
	struct list cache_order;               /* least recently used first */
	size_t cache_max;
	uint64_t cache_evicted;
	uint64_t refused[_TRUST_E_COUNT]; /* by outcome, for status and metrics */
};

/* Trust the fabric with these three root keys. @seed: random, for the cache's hash. */
void trust_init(struct trust *trust, const struct node_id root[CERT_FAMILY_COUNT], size_t cache_max,
		uint64_t seed);

/* The same from the three root certificates (by family - 1). 0, or TRUST_E_MALFORMED. */
_must_use_ int trust_init_certs(struct trust *trust, const struct bytes root[CERT_FAMILY_COUNT],
				size_t cache_max, uint64_t seed, struct err *err);

/* Trust one family only, by its root certificate: for who never meets the others, as an agent. 0,
 * or TRUST_E_MALFORMED. */
_must_use_ int trust_init_family(struct trust *trust, enum cert_family family, struct bytes root,
				 size_t cache_max, uint64_t seed, struct err *err);
void trust_deinit(struct trust *trust);

/*
 * Verify @chain for @query. 0, or TRUST_E_* with a sentence in @err (may be NULL).
 * @ret_leaf (may be NULL) is written on success and for TRUST_E_RENEW_ONLY. Nothing is asserted
 * about @chain: it is foreign.
 */
_must_use_ int trust_verify(struct trust *trust, const struct trust_query *query,
			    const struct chain *chain, struct cert *ret_leaf, struct err *err);

/*
 * The leaf with @hash if its chain is cached, judged again for @query: 0, TRUST_E_NO_CREDENTIAL
 * when it is unknown (fetch the chain and trust_verify() it), or another refusal. The pointer is
 * valid until the next call with this @trust.
 */
_must_use_ int trust_leaf(struct trust *trust, const struct trust_query *query,
			  const struct digest *hash, const struct cert **ret_leaf, struct err *err);

/* The cached chain of a leaf, concatenated DER (see chain_split()), to answer a peer that lacks it;
 * empty when unknown. Valid until the next call with this @trust. */
struct bytes trust_chain(struct trust *trust, const struct digest *hash);

/* What the client (or server) side of a magik ALPN must show; 0 for any other ALPN. */
enum trust_purpose trust_purpose_of(const char *alpn, bool peer_is_server);

#define ALPN_MACHINE "magik-machine/1"
#define ALPN_JOIN "magik-join/1"
#define ALPN_WORK "magik-work/1"
