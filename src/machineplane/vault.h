/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vault: what lies on this machine's disk sealed under a key of its own.
 *
 * The key is a file of 32 random bytes with mode 0600, made at the first start; it never leaves the
 * machine, so a copy of the database without it says nothing. XSalsa20-Poly1305 (libsodium's
 * secretbox) with a random nonce of 24 bytes, which at that length never repeats.
 *
 *   sealed = version (1 byte, VAULT_VERSION) || nonce (24) || box (text + 16)
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum {
	VAULT_VERSION = 1,
	VAULT_KEY_LEN = 32,
	VAULT_NONCE_LEN = 24,
	VAULT_MAC_LEN = 16,
	VAULT_OVERHEAD = 1 + VAULT_NONCE_LEN + VAULT_MAC_LEN,
};

struct vault {
	uint8_t key[VAULT_KEY_LEN];
};

/* Read the key at @path, or make it. -EIO with a sentence when neither is possible or the file is
 * no key: what was sealed under it cannot be read any more, which is not passed over. */
_must_use_ int vault_open(const char *path, struct vault *ret_vault, struct err *err);
void vault_close(struct vault *vault); /* wipes the key */

/* Append @text sealed to @ret_sealed. */
void vault_seal(const struct vault *vault, struct bytes text, struct buf *ret_sealed);

/* Append what was sealed to @ret_text. -EBADMSG: it was not sealed under this key, or was changed.
 */
_must_use_ int vault_unseal(const struct vault *vault, struct bytes sealed, struct buf *ret_text);
