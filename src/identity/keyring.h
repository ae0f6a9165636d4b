/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyring: several named private keys as one text, each as PEM under a line with its name:
 *
 *	# machine.key
 *	-----BEGIN PRIVATE KEY-----
 *	...
 *
 * That is what an operator takes away of a fabric's roots (names: root_keys_names), and what a
 * machine keeps of itself while its request travels (names: join_key_names). Keys made by other
 * software, such as openssl genpkey -algorithm ed25519, have the same form.
 */
#pragma once

#include "base/err.h"
#include "identity/credentials.h"
#include "identity/key.h"

enum {
	KEYRING_KEYS_MAX = 8,
	KEYRING_LEN_MAX = KEYRING_KEYS_MAX * 256, /* a name and 119 bytes of PEM each, with room */
};

/* Append @keys under @names (ended by NULL) to @out: wipe it after use. */
void keyring_write(const char *const *names, const struct key *keys, struct buf *out);

/*
 * Read exactly the keys of @names, in that order. 0, or -EBADMSG with a sentence that names the one
 * that is missing or damaged, or the same key under two names. @ret_keys: wipe after use.
 */
_must_use_ int keyring_read(struct bytes text, const char *const *names, struct key *ret_keys,
			    struct err *err);

/*
 * The certificates of roots with @keys, made anew: a root signs itself, and is known by its key, so
 * one is as good as another. @serials: random. 0, or as cert_issue().
 */
_must_use_ int root_certs_make(const struct root_keys *keys, struct wall now,
			       uint8_t serials[CERT_FAMILY_COUNT][CERT_SERIAL_LEN],
			       struct buf ret_certs[CERT_FAMILY_COUNT], struct err *err);
