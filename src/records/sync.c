/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sync: anti-entropy between two machines that may hold different records.
 *
 *	A -> B   SYNC_SUMMARY   a digest of each of A's 256 buckets
 *	A <- B   SYNC_KEYS      keys and versions that B has in some buckets that differ
 *	A -> B   RECORD ...     what A has newer, or B lacks, in those buckets
 *	A -> B   SYNC_WANT      what B has newer, or A lacks
 *	A <- B   RECORD ...
 *
 * Every message is bounded, so a large difference takes several rounds, which follow each other
 * quickly. B begins at a random bucket, and in a bucket that is too large for one message at a
 * random place, so that rounds do not repeat each other.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "records/internal.h"

static bool is_self(const struct records *records, const struct node_id *id)
{
	return node_id_equal(id, &records->config.self);
}

bool sync_is_steward(const struct records *records, const struct node_id *id)
{
	for (size_t i = 0; i < records->steward_count; i++) {
		if (node_id_equal(&records->stewards[i], id))
			return true;
	}
	return false;
}

/* Of two machines that keep nothing for others neither has what the other lacks. */
void sync_start(struct records *records, const struct node_id *with)
{
	struct sync_summary *summary;

	if (is_self(records, with) || records->config.alone ||
	    (!records->config.keeper && !sync_is_steward(records, with)))
		return;
	summary = &effect_send(records, with, MESSAGE_SYNC_SUMMARY)->sync_summary;
	summary->bucket_count = SYNC_BUCKETS;
	summary->buckets = (uint64_t *)mem_alloc(SYNC_BUCKETS, sizeof(*summary->buckets));
	for (size_t i = 0; i < SYNC_BUCKETS; i++)
		summary->buckets[i] = records->buckets[i].fold;
}

void sync_tick(struct records *records)
{
	size_t others = records->steward_count, chosen;

	if (!mono_reached(records->now, records->sync_at))
		return;
	records->sync_at = mono_add_ms(records->now, prng_jitter(&records->prng, RECORDS_SYNC_MS));
	for (size_t i = 0; i < records->steward_count; i++)
		others -= is_self(records, &records->stewards[i]);
	if (others == 0)
		return;
	chosen = prng_below(&records->prng, others);
	for (size_t i = 0; i < records->steward_count; i++) {
		if (!is_self(records, &records->stewards[i]) && chosen-- == 0)
			sync_start(records, &records->stewards[i]);
	}
}

static void sync_again_soon(struct records *records)
{
	struct mono soon = mono_add_ms(records->now, RECORDS_SYNC_AGAIN_MS);

	records->sync_at = mono_min(records->sync_at, soon);
}

/* Add the bucket's entries; of a bucket that is too large those from a random place on. */
static void keys_add_bucket(struct records *records, struct sync_keys *keys, uint32_t bucket)
{
	size_t count = records->buckets[bucket].count;
	size_t room = MESSAGE_SYNC_KEYS_MAX - keys->entry_count;
	size_t skip = count > room ? prng_below(&records->prng, count - room + 1) : 0;

	keys->buckets[keys->bucket_count++] = bucket;
	list_for_each (link, &records->buckets[bucket].items) {
		const struct item *item = list_entry(link, struct item, in_bucket);

		if (skip > 0) {
			skip--;
			continue;
		}
		if (keys->entry_count == MESSAGE_SYNC_KEYS_MAX)
			return;
		keys->entries[keys->entry_count++] = (struct sync_entry){
			.key = item->shown.record.key,
			.version = item->shown.record.version,
		};
	}
}

static int u32_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* A message that is full may be missing entries of its buckets; one below that has them all. */
static bool keys_has_room(const struct records *records, const struct sync_keys *keys,
			  size_t bucket)
{
	return keys->bucket_count == 0 ||
	       keys->entry_count + records->buckets[bucket].count < MESSAGE_SYNC_KEYS_MAX;
}

void sync_summary_received(struct records *records, const struct node_id *from,
			   const struct sync_summary *summary)
{
	size_t start = prng_below(&records->prng, SYNC_BUCKETS);
	struct sync_keys keys = {.reply = true};

	if (records->config.alone)
		return;
	keys.buckets = mem_alloc(SYNC_BUCKETS, sizeof(*keys.buckets));
	keys.entries = mem_alloc(MESSAGE_SYNC_KEYS_MAX, sizeof(*keys.entries));
	for (size_t i = 0; i < SYNC_BUCKETS; i++) {
		size_t bucket = (start + i) % SYNC_BUCKETS;

		if (summary->buckets[bucket] != records->buckets[bucket].fold &&
		    keys_has_room(records, &keys, bucket))
			keys_add_bucket(records, &keys, (uint32_t)bucket);
	}
	if (keys.bucket_count == 0) {
		free(keys.buckets);
		free(keys.entries);
		return;
	}
	qsort(keys.buckets, keys.bucket_count, sizeof(*keys.buckets), u32_compare);
	effect_send(records, from, MESSAGE_SYNC_KEYS)->sync_keys = keys;
}

/* What may be sent for one message of a peer. */
struct allowance {
	size_t records, bytes;
};

static bool allowed_send(struct records *records, struct allowance *allowance,
			 const struct node_id *to, struct item *item)
{
	size_t len = item->shown.envelope.len;

	if (allowance->records == 0 || allowance->bytes < len)
		return false;
	allowance->records--;
	allowance->bytes -= len;
	effect_send_item(records, to, item);
	return true;
}

static bool is_wanted(const struct records *records, const struct sync_entry *entry,
		      const struct item *known)
{
	if (known)
		return record_version_compare(&entry->version, &known->shown.record.version) > 0;
	return entry->key.kind != RECORD_OBJECT || !table_tombstone(records, &entry->key.uid);
}

static bool is_newer(const struct item *known, const struct sync_entry *entry)
{
	return record_version_compare(&known->shown.record.version, &entry->version) > 0;
}

/* Compare what the peer named with what we have; @seen collects our keys that it named. */
static void compare_named(struct records *records, const struct node_id *from,
			  const struct sync_keys *keys, struct allowance *allowance,
			  struct map *seen)
{
	struct sync_want want = {0};

	want.keys = mem_alloc(MESSAGE_SYNC_KEYS_MAX, sizeof(*want.keys));
	for (size_t i = 0; i < keys->entry_count; i++) {
		const struct sync_entry *entry = &keys->entries[i];
		struct item *known = table_find(records, &entry->key);

		if (known)
			(void)map_put(seen, bytes_of(known->key, RECORD_KEY_LEN), known);
		if (is_wanted(records, entry, known))
			want.keys[want.key_count++] = entry->key;
		else if (known && is_newer(known, entry) &&
			 !allowed_send(records, allowance, from, known))
			sync_again_soon(records);
	}
	if (want.key_count > 0)
		effect_send(records, from, MESSAGE_SYNC_WANT)->sync_want = want;
	else
		free(want.keys);
}

static void send_missing(struct records *records, const struct node_id *from,
			 const struct sync_keys *keys, struct allowance *allowance,
			 const struct map *seen)
{
	for (size_t i = 0; i < keys->bucket_count; i++) {
		list_for_each (link, &records->buckets[keys->buckets[i]].items) {
			struct item *item = list_entry(link, struct item, in_bucket);

			if (map_get(seen, bytes_of(item->key, RECORD_KEY_LEN)))
				continue;
			if (!allowed_send(records, allowance, from, item)) {
				sync_again_soon(records);
				return;
			}
		}
	}
}

void sync_keys_received(struct records *records, const struct node_id *from,
			const struct sync_keys *keys)
{
	struct allowance allowance = {RECORDS_SYNC_SEND_MAX, RECORDS_SYNC_BYTES_MAX};
	struct map seen;

	if (records->config.alone)
		return;
	map_init(&seen, prng_next(&records->prng));
	compare_named(records, from, keys, &allowance, &seen);
	if (keys->entry_count < MESSAGE_SYNC_KEYS_MAX)
		send_missing(records, from, keys, &allowance, &seen);
	if (keys->entry_count > MESSAGE_SYNC_KEYS_MAX / 2)
		sync_again_soon(records);
	map_deinit(&seen);
}

void sync_want_received(struct records *records, const struct node_id *from,
			const struct sync_want *want)
{
	struct allowance allowance = {RECORDS_SYNC_SEND_MAX, RECORDS_SYNC_BYTES_MAX};

	for (size_t i = 0; i < want->key_count; i++) {
		struct item *known = table_find(records, &want->keys[i]);

		if (known && !allowed_send(records, &allowance, from, known))
			return;
	}
}
