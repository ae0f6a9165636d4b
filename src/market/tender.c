/* SPDX-License-Identifier: Apache-2.0 */
#include "market/tender.h"

#include <sodium.h>

static void hash_u64(crypto_hash_sha256_state *state, uint64_t value)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
	crypto_hash_sha256_update(state, bytes, sizeof(bytes));
}

struct digest tender_id(const struct uid *uid, uint64_t generation, uint32_t attempt,
			const uint32_t *slots, size_t slot_count)
{
	crypto_hash_sha256_state state;
	struct digest id;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, uid->byte, sizeof(uid->byte));
	hash_u64(&state, generation);
	hash_u64(&state, attempt);
	for (size_t i = 0; i < slot_count; i++)
		hash_u64(&state, slots[i]);
	crypto_hash_sha256_final(&state, id.byte);
	return id;
}
