/* SPDX-License-Identifier: Apache-2.0 */
/* The node's trust: envelopes by identity, certificates judged at fabric time. */
#include "machineplane/fabric.h"

#include <string.h>

#include "identity/envelope.h"
#include "io/clock.h"
#include "io/entropy.h"

struct trust_query fabric_query(const struct fabric *fabric, enum trust_purpose purpose)
{
	struct trust_query query = {.purpose = purpose, .now_is_floor = true};

	if (fabric->node) {
		query.now = node_fabric_time(fabric->node, clock_mono());
		query.now_is_floor = !node_fabric_time_is_settled(fabric->node);
	} else {
		query.now = fabric->joined;
	}
	return query;
}

/* Judged at @at: by the fabric's clock, or a floor while that is not settled. */
static struct trust_query query_at(const struct fabric *fabric, struct wall at)
{
	struct trust_query query = fabric_query(fabric, TRUST_MESH);

	query.now = at;
	query.signed_then = true;
	return query;
}

static void seal(void *self, struct wall now, struct bytes payload, struct buf *out)
{
	struct fabric *fabric = self;
	struct envelope_seal seal = {
		.key = &fabric->credentials.machine_key, .leaf = fabric->leaf, .at = now};

	entropy_fill(seal.nonce, sizeof(seal.nonce));
	envelope_seal(&seal, payload, out);
}

/* The chain under @leaf, ours or from the disk: the cache of chains is bounded, and who wrote a
 * record that is kept here may be gone, so that nobody else has it any more. */
static bool kept_chain(struct fabric *fabric, const struct digest *leaf, struct buf *ret_chain)
{
	if (!digest_equal(leaf, &fabric->leaf))
		return fabric->store && store_leaf(fabric->store, leaf, ret_chain);
	buf_append_bytes(ret_chain, bytes_buf(&fabric->credentials.machine_chain));
	return true;
}

/* Remember a chain if it is sound; each envelope is judged at its own time. */
static bool chain_add(struct fabric *fabric, const struct trust_query *query,
		      const struct chain *chain)
{
	switch (trust_verify(&fabric->trust, query, chain, NULL, NULL)) {
	case _TRUST_E_OK:
	case TRUST_E_RENEW_ONLY:
	case TRUST_E_EXPIRED:
		return true;
	default:
		return false;
	}
}

/* Put a chain back that fell out of the cache. */
static bool is_known_again(struct fabric *fabric, const struct trust_query *query,
			   const struct digest *leaf)
{
	struct buf der = {0};
	struct chain chain;
	bool known = kept_chain(fabric, leaf, &der) && chain_split(bytes_buf(&der), &chain) &&
		     chain_add(fabric, query, &chain);

	buf_deinit(&der);
	return known;
}

static int open_envelope(void *self, struct wall now, struct bytes bytes, struct node_signed *ret)
{
	struct fabric *fabric = self;
	struct trust_query query;
	const struct cert *leaf;
	struct envelope envelope;
	int outcome;

	if (envelope_parse(bytes, &envelope) != 0)
		return NODE_TRUST_E_MALFORMED;
	query = query_at(fabric, envelope.at);
	outcome = envelope_open(bytes, &fabric->trust, &query, &envelope, &leaf, NULL);
	if (outcome == ENVELOPE_E_UNKNOWN_ISSUER &&
	    is_known_again(fabric, &query, &envelope.issuer))
		outcome = envelope_open(bytes, &fabric->trust, &query, &envelope, &leaf, NULL);
	switch (outcome) {
	case _ENVELOPE_E_OK:
		break;
	case ENVELOPE_E_UNKNOWN_ISSUER:
		ret->leaf = envelope.issuer;
		ret->payload = envelope.payload;
		return NODE_TRUST_E_LEAF;
	case ENVELOPE_E_BAD_SIGNATURE:
		return NODE_TRUST_E_SIGNATURE;
	case ENVELOPE_E_REFUSED:
		return NODE_TRUST_E_REFUSED;
	default:
		return NODE_TRUST_E_MALFORMED;
	}
	*ret = (struct node_signed){
		.issuer = leaf->key,
		.leaf = envelope.issuer,
		.signed_at = envelope.at,
		.payload = envelope.payload,
	};
	memcpy(ret->nonce, envelope.nonce, sizeof(ret->nonce));
	return 0;
}

static int fresh(void *self, struct wall now, const struct node_signed *opened)
{
	struct fabric *fabric = self;

	switch (replay_admit(&fabric->replay, &opened->leaf, opened->nonce, opened->signed_at,
			     now)) {
	case 0:
		return 0;
	case REPLAY_E_STALE:
	case REPLAY_E_FUTURE:
		return NODE_TRUST_E_STALE;
	default:
		return NODE_TRUST_E_REPLAY;
	}
}

static bool is_steward(void *self, struct wall at, const struct digest *leaf, const char *namespace)
{
	struct fabric *fabric = self;
	struct trust_query query = query_at(fabric, at);
	const struct cert *cert;

	if (trust_leaf(&fabric->trust, &query, leaf, &cert, NULL) != 0)
		return false;
	return grant_stewards(&cert->grant, bytes_str(namespace));
}

static bool is_admitter(void *self, struct wall at, const struct digest *leaf)
{
	struct fabric *fabric = self;
	struct trust_query query = query_at(fabric, at);
	const struct cert *cert;

	return trust_leaf(&fabric->trust, &query, leaf, &cert, NULL) == 0 &&
	       grant_has(&cert->grant, ROLE_ADMIT);
}

static bool leaf_get(void *self, const struct digest *hash, struct leaf *ret_leaf)
{
	struct fabric *fabric = self;
	struct bytes cached = trust_chain(&fabric->trust, hash);
	struct buf kept = {0};
	struct chain chain = {0};

	*ret_leaf = (struct leaf){0};
	if (!cached.len && kept_chain(fabric, hash, &kept))
		cached = bytes_buf(&kept);
	if (cached.len && chain_split(cached, &chain))
		for (size_t i = 0; i < chain.count && i < MESSAGE_CHAIN_MAX; i++)
			buf_append_bytes(&ret_leaf->certs[ret_leaf->cert_count++], chain.cert[i]);
	buf_deinit(&kept);
	return ret_leaf->cert_count > 0;
}

static bool leaf_add(void *self, struct wall now, const struct leaf *leaf)
{
	struct fabric *fabric = self;
	struct trust_query query = query_at(fabric, now);
	struct chain chain = {0};

	for (size_t i = 0; i < leaf->cert_count && i < CHAIN_CERTS_MAX; i++)
		chain.cert[chain.count++] = bytes_buf(&leaf->certs[i]);
	return chain_add(fabric, &query, &chain);
}

static const struct node_trust_ops ops = {
	.seal = seal,
	.open = open_envelope,
	.fresh = fresh,
	.is_steward = is_steward,
	.is_admitter = is_admitter,
	.leaf_get = leaf_get,
	.leaf_add = leaf_add,
};

struct node_trust fabric_node_trust(struct fabric *fabric)
{
	return (struct node_trust){.ops = &ops, .self = fabric};
}
