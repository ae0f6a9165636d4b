/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/sha256.h"

#include <sodium.h>

struct digest sha256(struct bytes bytes)
{
	return sha256_pair(bytes, (struct bytes){0});
}

struct digest sha256_pair(struct bytes a, struct bytes b)
{
	crypto_hash_sha256_state state;
	struct digest digest;

	(void)crypto_hash_sha256_init(&state);
	if (a.len > 0)
		(void)crypto_hash_sha256_update(&state, a.ptr, a.len);
	if (b.len > 0)
		(void)crypto_hash_sha256_update(&state, b.ptr, b.len);
	(void)crypto_hash_sha256_final(&state, digest.byte);
	return digest;
}
