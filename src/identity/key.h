/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key: an Ed25519 key pair (RFC 8032), made from a 32-byte seed that the caller drew at random.
 *
 * A struct key is a value with a secret inside: wipe every copy with key_wipe(). The public half is
 * a struct node_id whatever the key is for, since both are 32 bytes and order alike. Text form:
 * PKCS#8 (RFC 8410) as PEM or DER, 48 bytes of DER.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/id.h"

enum {
	KEY_SEED_LEN = 32,
	KEY_SIGNATURE_LEN = 64,
	KEY_PKCS8_LEN = 48, /* RFC 8410 section 7, without attributes */
};

struct key {
	uint8_t seed[KEY_SEED_LEN];
	struct node_id public_key;
};

/* The key pair of a seed (RFC 8032). Wipe keys after use. */
struct key key_from_seed(const uint8_t seed[KEY_SEED_LEN]);
void key_wipe(struct key *key);

/* True while @key holds no key (zeroed, or wiped). */
bool key_is_none(const struct key *key);

/* Ed25519 over @message as it is. */
void key_sign(const struct key *key, struct bytes message,
	      uint8_t ret_signature[KEY_SIGNATURE_LEN]);

/* True if @signature is that of @public_key over @message. Small-order keys never verify. */
_must_use_ bool key_verify(const struct node_id *public_key, struct bytes message,
			   const uint8_t signature[KEY_SIGNATURE_LEN]);

/*
 * True if @public_key is a point of the prime-order group. Ask once, when a key is first learnt:
 * with a key of small order, anyone's signature would do.
 */
_must_use_ bool key_is_sound(const struct node_id *public_key);

/* PKCS#8 in PEM, appended to @out: wipe it after use. */
void key_export_pem(const struct key *key, struct buf *out);

/* False unless @pem is exactly one Ed25519 private key in that form. */
_must_use_ bool key_import_pem(struct bytes pem, struct key *ret_key);
