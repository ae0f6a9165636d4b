/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trust as a node sees it: a table of functions that make and open envelopes.
 *
 * The daemon's is src/identity (Ed25519, certificate chains); the simulator's is a keyed hash of
 * the same shape, so that a hundred machines fit into one process. Freshness and replay are judged
 * behind it.
 */
#pragma once

#include "base/id.h"
#include "base/time.h"
#include "wire/message.h"

enum {
	NODE_TRUST_NONCE_LEN = 16,
};

enum node_trust_result {
	_NODE_TRUST_E_OK,
	NODE_TRUST_E_MALFORMED,
	NODE_TRUST_E_SIGNATURE, /* made by someone else, or changed on its way */
	NODE_TRUST_E_LEAF,      /* the issuer's certificate is not known yet: ask for it */
	NODE_TRUST_E_REFUSED,   /* the issuer's certificate does not verify, or has expired */
	NODE_TRUST_E_STALE,     /* outside +-30 s of fabric time */
	NODE_TRUST_E_REPLAY,    /* seen before */
};

/* An opened envelope. Borrows from the envelope's bytes. */
struct node_signed {
	struct node_id issuer;
	struct digest leaf;
	struct wall signed_at;
	uint8_t nonce[NODE_TRUST_NONCE_LEN];
	struct bytes payload; /* an encoded message */
};

struct node_trust_ops {
	/* Append the envelope of @payload, signed by this machine at fabric time @now. */
	void (*seal)(void *self, struct wall now, struct bytes payload, struct buf *out);

	/*
	 * Open @envelope: signature and issuer, whose certificate is judged at the time that the
	 * envelope names: what is not of @now is refused by fresh(), and a stored record counts
	 * as long as it was valid when it was written. On NODE_TRUST_E_LEAF ret->leaf is the
	 * missing one, and ret->payload what the envelope says, verified by nobody.
	 */
	int (*open)(void *self, struct wall now, struct bytes envelope, struct node_signed *ret);

	/*
	 * Is an opened envelope of now, and the first of its kind? Asked for everything but
	 * records, which are replicated and idempotent.
	 */
	int (*fresh)(void *self, struct wall now, const struct node_signed *opened);

	/* Might the holder of @leaf act for @namespace at @at? False for unknown leaves. */
	bool (*is_steward)(void *self, struct wall at, const struct digest *leaf,
			   const char *namespace);

	/* Might the holder of @leaf let machines in, and so revoke, at @at? False for unknown
	 * leaves. */
	bool (*is_admitter)(void *self, struct wall at, const struct digest *leaf);

	/* The chain under @leaf, our own included; false when we do not have it. */
	bool (*leaf_get)(void *self, const struct digest *leaf, struct leaf *ret_leaf);

	/* Verify and remember a chain that a peer sent; it may have expired since it signed. */
	bool (*leaf_add)(void *self, struct wall now, const struct leaf *leaf);
};

struct node_trust {
	const struct node_trust_ops *ops;
	void *self;
};
