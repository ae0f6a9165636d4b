/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/family.h"

void sync_summary_pack(struct packer *packer, const struct sync_summary *from,
		       Magik__SyncSummary *to)
{
	(void)packer;
	assert(from->bucket_count == SYNC_BUCKETS || from->bucket_count == 1);
	to->n_buckets = from->bucket_count;
	to->buckets = from->buckets;
	to->complete_ms = pack_natural(from->complete_ms);
	to->apart_ms = pack_natural(from->apart_ms);
}

void sync_summary_unpack(struct unpacker *unpacker, const Magik__SyncSummary *from,
			 struct sync_summary *to)
{
	to->bucket_count = unpack_count(unpacker, from->n_buckets, SYNC_BUCKETS);
	to->buckets = array_copy(from->buckets, to->bucket_count, sizeof(*to->buckets));
	if (to->bucket_count != SYNC_BUCKETS && to->bucket_count != 1)
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	to->complete_ms = unpack_natural(unpacker, from->complete_ms);
	to->apart_ms = unpack_natural(unpacker, from->apart_ms);
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

static void entries_pack(struct packer *packer, const struct sync_entry *from, size_t count,
			 Magik__SyncEntry ***ret_to)
{
	Magik__RecordKey **keys;
	Magik__RecordVersion **versions;

	assert(count <= MESSAGE_SYNC_KEYS_MAX);
	pack_array(packer, Magik__SyncEntry, magik__sync_entry__init, count, ret_to);
	pack_array(packer, Magik__RecordKey, magik__record_key__init, count, &keys);
	pack_array(packer, Magik__RecordVersion, magik__record_version__init, count, &versions);
	for (size_t i = 0; i < count; i++) {
		record_key_pack(&from[i].key, keys[i]);
		record_version_pack(&from[i].version, versions[i]);
		(*ret_to)[i]->key = keys[i];
		(*ret_to)[i]->version = versions[i];
	}
}

/* Returns how many; they lie in *ret_entries, which the caller frees. */
static size_t entries_unpack(struct unpacker *unpacker, Magik__SyncEntry *const *from, size_t count,
			     struct sync_entry **ret_entries)
{
	struct sync_entry *entries;

	count = unpack_count(unpacker, count, MESSAGE_SYNC_KEYS_MAX);
	entries = count ? mem_alloc(count, sizeof(*entries)) : NULL;
	for (size_t i = 0; i < count; i++) {
		record_key_unpack(unpacker, from[i]->key, &entries[i].key);
		record_version_unpack(unpacker, from[i]->version, &entries[i].version);
	}
	*ret_entries = entries;
	return count;
}

void sync_keys_pack(struct packer *packer, const struct sync_keys *from, Magik__SyncKeys *to)
{
	assert(from->bucket_count <= SYNC_BUCKETS);
	assert(buckets_are_valid(from->buckets, from->bucket_count));
	to->n_buckets = from->bucket_count;
	to->buckets = from->buckets;
	to->n_entries = from->entry_count;
	entries_pack(packer, from->entries, from->entry_count, &to->entries);
	to->reply = from->reply;
	to->complete_ms = pack_natural(from->complete_ms);
	to->apart_ms = pack_natural(from->apart_ms);
}

void sync_keys_unpack(struct unpacker *unpacker, const Magik__SyncKeys *from, struct sync_keys *to)
{
	to->bucket_count = unpack_count(unpacker, from->n_buckets, SYNC_BUCKETS);
	to->buckets = array_copy(from->buckets, to->bucket_count, sizeof(*to->buckets));
	if (!buckets_are_valid(to->buckets, to->bucket_count))
		unpack_fail(unpacker, MESSAGE_E_MALFORMED);
	to->entry_count = entries_unpack(unpacker, from->entries, from->n_entries, &to->entries);
	to->reply = from->reply;
	to->complete_ms = unpack_natural(unpacker, from->complete_ms);
	to->apart_ms = unpack_natural(unpacker, from->apart_ms);
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

void sync_offer_pack(struct packer *packer, const struct sync_offer *from, Magik__SyncOffer *to)
{
	to->n_entries = from->entry_count;
	entries_pack(packer, from->entries, from->entry_count, &to->entries);
	to->apart_ms = pack_natural(from->apart_ms);
}

void sync_offer_unpack(struct unpacker *unpacker, const Magik__SyncOffer *from,
		       struct sync_offer *to)
{
	to->entry_count = entries_unpack(unpacker, from->entries, from->n_entries, &to->entries);
	to->apart_ms = unpack_natural(unpacker, from->apart_ms);
}

void sync_offer_deinit(struct sync_offer *sync_offer)
{
	free(sync_offer->entries);
	*sync_offer = (struct sync_offer){0};
}

void sync_offer_copy(const struct sync_offer *from, struct sync_offer *to)
{
	*to = *from;
	to->entries = array_copy(from->entries, from->entry_count, sizeof(*from->entries));
}

void fetch_pack(struct packer *packer, const struct fetch *from, Magik__Fetch *to)
{
	to->request = from->request;
	to->home = pack_bytes(from->home.byte, UID_LEN);
	to->full = from->full;
	if (!from->is_next)
		return;
	to->after = pack_one(packer, Magik__RecordKey, magik__record_key__init);
	record_key_pack(&from->after, to->after);
}

void fetch_unpack(struct unpacker *unpacker, const Magik__Fetch *from, struct fetch *to)
{
	to->request = from->request;
	to->home = unpack_uid(unpacker, from->home);
	to->full = from->full;
	to->is_next = from->after != NULL;
	if (from->after)
		record_key_unpack(unpacker, from->after, &to->after);
}

void fetch_deinit(struct fetch *fetch)
{
	*fetch = (struct fetch){0};
}

void fetch_copy(const struct fetch *from, struct fetch *to)
{
	*to = *from;
}

void fetched_pack(struct packer *packer, const struct fetched *from, Magik__Fetched *to)
{
	to->request = from->request;
	to->n_entries = from->entry_count;
	entries_pack(packer, from->entries, from->entry_count, &to->entries);
	to->more = from->more;
	to->far = from->far;
	to->complete_ms = pack_natural(from->complete_ms);
}

void fetched_unpack(struct unpacker *unpacker, const Magik__Fetched *from, struct fetched *to)
{
	to->request = from->request;
	to->entry_count = entries_unpack(unpacker, from->entries, from->n_entries, &to->entries);
	to->more = from->more;
	to->far = from->far;
	to->complete_ms = unpack_natural(unpacker, from->complete_ms);
}

void fetched_deinit(struct fetched *fetched)
{
	free(fetched->entries);
	*fetched = (struct fetched){0};
}

void fetched_copy(const struct fetched *from, struct fetched *to)
{
	*to = *from;
	to->entries = array_copy(from->entries, from->entry_count, sizeof(*from->entries));
}
