/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

void sync_summary_pack(struct packer *packer, const struct sync_summary *from,
		       Magik__SyncSummary *to)
{
	(void)packer;
	assert(from->bucket_count == SYNC_BUCKETS);
	to->n_buckets = from->bucket_count;
	to->buckets = from->buckets;
}

void sync_summary_unpack(struct unpacker *unpacker, const Magik__SyncSummary *from,
			 struct sync_summary *to)
{
	to->bucket_count = unpack_count(unpacker, from->n_buckets, SYNC_BUCKETS);
	to->buckets = array_copy(from->buckets, to->bucket_count, sizeof(*to->buckets));
	if (to->bucket_count != SYNC_BUCKETS)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
}

void sync_summary_deinit(struct sync_summary *sync_summary)
{
	free(sync_summary->buckets);
	*sync_summary = (struct sync_summary){0};
}

void sync_summary_copy(const struct sync_summary *from, struct sync_summary *to)
{
	*to = *from;
	to->buckets = array_copy(from->buckets, from->bucket_count, sizeof(*from->buckets));
}

/* Ascending and distinct, so that nobody is made to look at one bucket twice. */
static bool buckets_are_valid(const uint32_t *buckets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (buckets[i] >= SYNC_BUCKETS || (i > 0 && buckets[i - 1] >= buckets[i]))
			return false;
	}
	return true;
}

void sync_keys_pack(struct packer *packer, const struct sync_keys *from, Magik__SyncKeys *to)
{
	Magik__RecordKey **keys;
	Magik__RecordVersion **versions;
	size_t count = from->entry_count;

	assert(count <= MESSAGE_SYNC_KEYS_MAX && from->bucket_count <= SYNC_BUCKETS);
	assert(buckets_are_valid(from->buckets, from->bucket_count));
	to->n_buckets = from->bucket_count;
	to->buckets = from->buckets;
	to->n_entries = count;
	pack_array(packer, Magik__SyncEntry, magik__sync_entry__init, count, &to->entries);
	pack_array(packer, Magik__RecordKey, magik__record_key__init, count, &keys);
	pack_array(packer, Magik__RecordVersion, magik__record_version__init, count, &versions);
	for (size_t i = 0; i < count; i++) {
		record_key_pack(&from->entries[i].key, keys[i]);
		record_version_pack(&from->entries[i].version, versions[i]);
		to->entries[i]->key = keys[i];
		to->entries[i]->version = versions[i];
	}
	to->reply = from->reply;
}

void sync_keys_unpack(struct unpacker *unpacker, const Magik__SyncKeys *from, struct sync_keys *to)
{
	to->bucket_count = unpack_count(unpacker, from->n_buckets, SYNC_BUCKETS);
	to->buckets = array_copy(from->buckets, to->bucket_count, sizeof(*to->buckets));
	if (!buckets_are_valid(to->buckets, to->bucket_count))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	to->entry_count = unpack_count(unpacker, from->n_entries, MESSAGE_SYNC_KEYS_MAX);
	to->entries = to->entry_count ? mem_alloc(to->entry_count, sizeof(*to->entries)) : NULL;
	for (size_t i = 0; i < to->entry_count; i++) {
		record_key_unpack(unpacker, from->entries[i]->key, &to->entries[i].key);
		record_version_unpack(unpacker, from->entries[i]->version, &to->entries[i].version);
	}
	to->reply = from->reply;
}

void sync_keys_deinit(struct sync_keys *sync_keys)
{
	free(sync_keys->buckets);
	free(sync_keys->entries);
	*sync_keys = (struct sync_keys){0};
}

void sync_keys_copy(const struct sync_keys *from, struct sync_keys *to)
{
	*to = *from;
	to->buckets = array_copy(from->buckets, from->bucket_count, sizeof(*from->buckets));
	to->entries = array_copy(from->entries, from->entry_count, sizeof(*from->entries));
}

void sync_want_pack(struct packer *packer, const struct sync_want *from, Magik__SyncWant *to)
{
	assert(from->key_count <= MESSAGE_SYNC_KEYS_MAX);
	to->n_keys = from->key_count;
	pack_array(packer, Magik__RecordKey, magik__record_key__init, from->key_count, &to->keys);
	for (size_t i = 0; i < from->key_count; i++)
		record_key_pack(&from->keys[i], to->keys[i]);
}

void sync_want_unpack(struct unpacker *unpacker, const Magik__SyncWant *from, struct sync_want *to)
{
	to->key_count = unpack_count(unpacker, from->n_keys, MESSAGE_SYNC_KEYS_MAX);
	to->keys = to->key_count ? mem_alloc(to->key_count, sizeof(*to->keys)) : NULL;
	for (size_t i = 0; i < to->key_count; i++)
		record_key_unpack(unpacker, from->keys[i], &to->keys[i]);
}

void sync_want_deinit(struct sync_want *sync_want)
{
	free(sync_want->keys);
	*sync_want = (struct sync_want){0};
}

void sync_want_copy(const struct sync_want *from, struct sync_want *to)
{
	*to = *from;
	to->keys = array_copy(from->keys, from->key_count, sizeof(*from->keys));
}
