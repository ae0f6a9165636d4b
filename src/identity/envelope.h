/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelope: exact bytes, an Ed25519 signature, and the issuer named by the hash of its leaf.
 *
 * Everything that is relayed or stored travels in one. On the wire (proto/identity.proto):
 *
 *	Envelope { issuer: 32-byte SHA-256 of the issuer's leaf (DER)
 *	           body:   bytes of Signed { timestamp_ms, nonce: 16 bytes, payload }
 *	           signature: 64 bytes }
 *
 * The signature covers ENVELOPE_DOMAIN, then issuer, then body, so that it can stand for nothing
 * else. An envelope has one encoding only: a second one with the same content is malformed, so its
 * digest can serve as its name.
 */
#pragma once

#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"
#include "identity/key.h"
#include "identity/trust.h"

#define ENVELOPE_DOMAIN "magik envelope/1"

enum {
	ENVELOPE_NONCE_LEN = 16,
	ENVELOPE_PAYLOAD_MAX =
		1536 * 1024, /* a Kubernetes object of 1 MiB and its record's frame */
	ENVELOPE_LEN_MAX = ENVELOPE_PAYLOAD_MAX + 512,
};

enum envelope_result {
	_ENVELOPE_E_OK,
	ENVELOPE_E_MALFORMED,
	ENVELOPE_E_UNKNOWN_ISSUER, /* fetch the leaf with ret_envelope->issuer, then open again */
	ENVELOPE_E_BAD_SIGNATURE,
	ENVELOPE_E_REFUSED, /* the issuer's chain is refused now (expired, revoked): see @err */
};

/* An opened envelope; the views borrow from the bytes it was opened from. */
struct envelope {
	struct digest issuer; /* hash of the leaf */
	struct wall at;       /* when it was signed, in fabric time */
	uint8_t nonce[ENVELOPE_NONCE_LEN];
	struct bytes payload;
	struct bytes body; /* what was signed */
	struct bytes signature;
};

/* Sign @payload, appending the envelope to @ret_bytes. @leaf is the hash of the signer's leaf. */
struct envelope_seal {
	const struct key *key;
	struct digest leaf;
	struct wall at;
	uint8_t nonce[ENVELOPE_NONCE_LEN]; /* random */
};
void envelope_seal(const struct envelope_seal *seal, struct bytes payload, struct buf *ret_bytes);

/* Take apart without checking the signature: 0 or ENVELOPE_E_MALFORMED. */
_must_use_ int envelope_parse(struct bytes bytes, struct envelope *ret_envelope);

/* True if @key signed @envelope. */
_must_use_ bool envelope_signed_by(const struct envelope *envelope, const struct node_id *key);

/*
 * Parse, find the issuer's leaf in the cache of @trust, judge it for @query (purpose TRUST_MESH),
 * and check the signature. 0 or ENVELOPE_E_*. On success and for UNKNOWN_ISSUER @ret_envelope is
 * written; on success @ret_leaf points to the issuer's certificate, valid until the next call with
 * @trust. Staleness and replays are replay.h's, the sender's role is the reader's to check.
 */
_must_use_ int envelope_open(struct bytes bytes, struct trust *trust,
			     const struct trust_query *query, struct envelope *ret_envelope,
			     const struct cert **ret_leaf, struct err *err);
