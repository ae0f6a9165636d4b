/* SPDX-License-Identifier: Apache-2.0 */
/* Names of shards, and where names of objects are among them. */
#include <string.h>

#include <sodium.h>

#include "records/shard_internal.h"

void shard_text(const struct shard_id *shard, struct buf *out)
{
	buf_append_format(out, "%s/%s/", shard->kind, shard->namespace);
	for (uint32_t i = 0; i < shard->depth; i++)
		buf_append(out, shard->prefix >> (31 - i) & 1 ? "1" : "0", 1);
}

struct digest shard_key(const struct shard_id *shard)
{
	struct buf text = {0};
	struct digest key;

	buf_append_str(&text, "index ");
	shard_text(shard, &text);
	crypto_hash_sha256(key.byte, text.ptr, text.len);
	buf_deinit(&text);
	return key;
}

uint32_t name_position(const char *name)
{
	uint8_t digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(digest, (const uint8_t *)name, strlen(name));
	return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 |
	       digest[3];
}

static uint32_t upper_bits(uint32_t value, uint32_t count)
{
	return count == 0 ? 0 : value & ~(uint32_t)(((uint64_t)1 << (32 - count)) - 1);
}

bool shard_covers(const struct shard_id *shard, const char *name)
{
	return upper_bits(name_position(name), shard->depth) == shard->prefix;
}

struct shard_id shard_for(const char *kind, const char *namespace, uint32_t depth,
			  uint32_t position)
{
	return (struct shard_id){
		.kind = (char *)(uintptr_t)kind,
		.namespace = (char *)(uintptr_t) namespace,
		.depth = depth,
		.prefix = upper_bits(position, depth),
	};
}

struct shard_id shard_child(const struct shard_id *shard, unsigned bit)
{
	struct shard_id child = *shard;

	child.prefix |= (uint32_t)bit << (31 - child.depth);
	child.depth++;
	return child;
}

struct shard_id shard_parent(const struct shard_id *shard)
{
	struct shard_id parent = *shard;

	parent.depth--;
	parent.prefix = upper_bits(parent.prefix, parent.depth);
	return parent;
}

void row_key(const struct index_row *row, struct buf *out)
{
	buf_append(out, row->name, strlen(row->name) + 1);
	buf_append(out, row->uid.byte, UID_LEN);
	buf_append(out, row->sub.byte, UID_LEN);
}

uint64_t row_fold(const struct index_row *row)
{
	uint8_t digest[crypto_hash_sha256_BYTES];
	struct buf text = {0};
	uint64_t fold = 0;

	row_key(row, &text);
	buf_append_format(&text, "%llu %d", (unsigned long long)row->hlc, row->gone);
	crypto_hash_sha256(digest, text.ptr, text.len);
	buf_deinit(&text);
	for (size_t i = 0; i < sizeof(fold); i++)
		fold |= (uint64_t)digest[i] << (8 * i);
	return fold;
}
