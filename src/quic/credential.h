/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credential: a certificate chain and its private key, ready to be presented in handshakes.
 *
 * Counted references, so that connections being made keep the one they began with while a renewed
 * one replaces it. Only Ed25519 keys can authenticate: the endpoint offers no other signature.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

struct quic_credential;

enum {
	QUIC_CHAIN_MAX = 6,           /* leaf, intermediates; more is no chain of ours */
	QUIC_CHAIN_BYTES_MAX = 16384, /* all certificates of a peer together */
	QUIC_SEED_LEN = 32,           /* the private half of an Ed25519 key, RFC 8032 */
};

/* @chain: @count DER certificates, the leaf first; @seed its private key. Both are copied. On
 * success *@ret_credential has one reference. -EINVAL with a sentence in @err otherwise. */
_must_use_ int quic_credential_new(const struct bytes *chain, size_t count,
				   const uint8_t seed[QUIC_SEED_LEN], struct err *err,
				   struct quic_credential **ret_credential);

struct quic_credential *quic_credential_ref(struct quic_credential *credential);
void quic_credential_unref(struct quic_credential *credential); /* NULL is fine */
