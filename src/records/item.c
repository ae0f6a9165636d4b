/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/mem.h"
#include "records/internal.h"

static_assert(crypto_hash_sha256_BYTES == ID_LEN, "a digest is a SHA-256");

void record_key_bytes(const struct record_key *key, uint8_t out[RECORD_KEY_LEN])
{
	out[0] = (uint8_t)key->kind;
	memcpy(out + 1, key->uid.byte, UID_LEN);
	memcpy(out + 1 + UID_LEN, key->sub.byte, UID_LEN);
}

static void hash_u64(crypto_hash_sha256_state *hash, uint64_t value)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	crypto_hash_sha256_update(hash, bytes, sizeof(bytes));
}

/* Where the item is in anti-entropy: its bucket by its key, its share of it by its version too. */
static void item_place(struct item *item)
{
	const struct record_version *version = &item->shown.record.version;
	uint8_t digest[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state hash;

	crypto_hash_sha256(digest, item->key, RECORD_KEY_LEN);
	item->bucket = digest[0];
	crypto_hash_sha256_init(&hash);
	crypto_hash_sha256_update(&hash, item->key, RECORD_KEY_LEN);
	hash_u64(&hash, version->generation);
	hash_u64(&hash, version->hlc);
	crypto_hash_sha256_update(&hash, version->digest.byte, ID_LEN);
	crypto_hash_sha256_final(&hash, digest);
	for (size_t i = 0; i < sizeof(item->fold); i++)
		item->fold |= (uint64_t)digest[i] << (8 * i);
}

/* What a record says is in its envelope as it is: it lies in memory once, and not twice. */
static void borrow_value(struct item *item)
{
	const struct buf *envelope = &item->shown.envelope;
	struct buf *value = &item->shown.record.value;
	uint8_t *inside;

	if (value->len == 0)
		return;
	inside = memmem(envelope->ptr, envelope->len, value->ptr, value->len);
	if (!inside)
		return;
	free(value->ptr);
	*value = (struct buf){.ptr = inside, .len = value->len};
	item->value_is_lent = true;
}

struct item *item_new(const struct record *record, struct bytes envelope,
		      const struct node_id *writer)
{
	struct item *item = mem_new(struct item);

	record_copy(record, &item->shown.record);
	buf_append_bytes(&item->shown.envelope, envelope);
	borrow_value(item);
	item->shown.writer = *writer;
	item->refs = 1;
	record_key_bytes(&record->key, item->key);
	item_place(item);
	list_init(&item->in_bucket);
	list_init(&item->in_writer);
	list_init(&item->in_home);
	return item;
}

struct item *item_ref(struct item *item)
{
	item->refs++;
	return item;
}

void item_unref(struct item *item)
{
	if (!item || --item->refs > 0)
		return;
	assert(list_is_empty(&item->in_bucket) && list_is_empty(&item->in_writer));
	if (item->value_is_lent)
		item->shown.record.value = (struct buf){0};
	record_deinit(&item->shown.record);
	buf_deinit(&item->shown.envelope);
	free(item);
}

size_t item_bytes(const struct item *item)
{
	return item->shown.record.value.len + item->shown.envelope.len;
}

bool item_is_live(const struct item *item)
{
	return !item->shown.record.gone;
}

uint64_t item_created_hlc(const struct item *item)
{
	const struct record *record = &item->shown.record;

	return record->created_hlc ? record->created_hlc : record->version.hlc;
}

bool kind_is_durable(enum record_kind kind)
{
	return kind == RECORD_OBJECT || kind == RECORD_TOMBSTONE;
}
