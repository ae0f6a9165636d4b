/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sync: anti-entropy between two machines that may hold different records.
 *
 *	A -> B   SYNC_SUMMARY   one digest of all that A thinks both keep
 *	A <- B   SYNC_SUMMARY   if it is not B's: a digest of each of B's 256 buckets
 *	A -> B   SYNC_KEYS      keys and versions that A has in some buckets that differ
 *	A <- B   RECORD ...     what B has newer, or A lacks, in those buckets
 *	A <- B   SYNC_WANT      what A has newer, or B lacks
 *	A -> B   RECORD ...
 *
 * What several partners of B name is wanted of one of them (want.c). Every message is bounded, so a
 * large difference takes several rounds, which follow each other quickly. A begins at a random
 * bucket, and in a bucket that is too large for one message at a random place, so that rounds do
 * not repeat each other. In a large fabric partners may differ in what they think both keep, for a
 * moment: what A did not name is offered to it (handover.c), and A wants what it keeps.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "records/internal.h"

static bool is_self(const struct records *records, const struct node_id *id)
{
	return node_id_equal(id, &records->config.self);
}

static bool is_shared(const struct records *records, const struct item *item,
		      const struct node_id *with)
{
	return home_is_shared(records, item, partner_find(records, with));
}

/* One digest of all that is shared. */
static uint64_t shared_fold(const struct records *records, const struct node_id *with)
{
	const struct partner *partner = partner_find(records, with);

	if (!records->large)
		return records->fold;
	return partner ? partner->fold : 0;
}

static void shared_buckets(const struct records *records, const struct node_id *with,
			   uint64_t buckets[SYNC_BUCKETS])
{
	const struct partner *partner = partner_find(records, with);

	for (size_t i = 0; i < SYNC_BUCKETS; i++)
		buckets[i] = records->large ? 0 : records->buckets[i].fold;
	if (!records->large || !partner)
		return;
	map_for_each (entry, &records->homes) {
		const struct home *home = entry->value;

		list_for_each (link, &home->items) {
			const struct item *item = list_entry(link, struct item, in_home);

			if (!home_is_shared(records, item, partner))
				break;
			buckets[item->bucket] ^= item->fold;
		}
	}
}

static int64_t complete_for(const struct records *records, const struct node_id *with)
{
	return records->config.keeper ? partner_complete_since(records, partner_find(records, with))
				      : 0;
}

/* Of two machines that keep nothing for others neither has what the other lacks. */
static bool may_sync(const struct records *records, const struct node_id *with)
{
	if (is_self(records, with) || records->config.alone || records->unsized)
		return false;
	return records->large ? records->config.keeper
			      : records->config.keeper || partner_find(records, with);
}

/* Who keeps nothing for others lets itself be compared where everything is kept everywhere. */
static bool answers_sync(const struct records *records, const struct node_id *from)
{
	return may_sync(records, from) ||
	       !(records->config.alone || records->large || records->unsized);
}

static void send_summary(struct records *records, const struct node_id *with, bool buckets)
{
	const struct partner *partner = partner_find(records, with);
	struct records_effect *effect = effect_queue(records, RECORDS_SEND, NULL);
	struct sync_summary *summary = &effect->message.sync_summary;

	effect->to = *with;
	effect->addr = partner ? partner->contact.addr : (struct addr){0};
	effect->message.type = MESSAGE_SYNC_SUMMARY;
	summary->bucket_count = buckets ? SYNC_BUCKETS : 1;
	summary->buckets = (uint64_t *)mem_alloc(summary->bucket_count, sizeof(*summary->buckets));
	if (buckets)
		shared_buckets(records, with, summary->buckets);
	else
		summary->buckets[0] = shared_fold(records, with);
	summary->complete_ms = complete_for(records, with);
	summary->apart_ms = records_apart_since(records);
}

void sync_start(struct records *records, const struct node_id *with)
{
	struct partner *partner = partner_find(records, with);

	if (partner)
		partner->sync_at = MONO_NEVER;
	if (may_sync(records, with) && !(records->large && fault_is_planted(FAULT_REPAIR)))
		send_summary(records, with, false);
}

/* The same was compared a moment ago, and it had nothing that we lack. */
static bool is_agreed(const struct records *records, const struct partner *partner)
{
	return partner && partner->settled && partner->theirs == partner->agreed_theirs &&
	       partner->fold == partner->agreed_ours &&
	       !mono_reached(records->now, partner->agreed_until);
}

static void agree(struct records *records, struct partner *partner)
{
	partner->agreed_theirs = partner->theirs;
	partner->agreed_ours = partner->fold;
	partner->agreed_until = mono_add_ms(records->now, RECORDS_AGREED_MS);
}

/* With whom something durable is kept: those are connected. What lives in memory is repeated by its
 * writers, which costs less than to connect for comparing it. */
static bool is_in_turn(const struct records *records, const struct partner *partner)
{
	return !records->large || partner->lasting > 0;
}

static void sync_random(struct records *records)
{
	size_t count = 0, chosen;

	map_for_each (entry, &records->partners)
		count += is_in_turn(records, entry->value);
	chosen = prng_below(&records->prng, count);
	map_for_each (entry, &records->partners) {
		const struct partner *partner = entry->value;

		if (is_in_turn(records, partner) && chosen-- == 0) {
			sync_start(records, &partner->contact.id);
			return;
		}
	}
}

/* Partners that are due out of turn, and one in turn. */
void sync_tick(struct records *records)
{
	if (mono_reached(records->now, records->sync_at)) {
		records->sync_at =
			mono_add_ms(records->now, prng_jitter(&records->prng, RECORDS_SYNC_MS));
		partners_sweep(records);
		homes_note_sole(records);
		apart_tick(records);
		copies_sweep(records);
		want_sweep(records);
		sync_random(records);
	}
	if (!mono_reached(records->now, records->repair_at))
		return;
	records->repair_at = MONO_NEVER;
	map_for_each (entry, &records->partners) {
		struct partner *partner = entry->value;

		if (mono_reached(records->now, partner->sync_at))
			sync_start(records, &partner->contact.id);
		records->repair_at = mono_min(records->repair_at, partner->sync_at);
	}
	handover_tick(records);
}

/* One round could not carry everything. */
static void sync_again_soon(struct records *records, const struct node_id *with)
{
	struct mono soon = mono_add_ms(records->now, RECORDS_SYNC_AGAIN_MS);
	struct partner *partner = partner_find(records, with);

	if (!partner)
		return;
	partner->sync_at = mono_min(partner->sync_at, soon);
	records->repair_at = mono_min(records->repair_at, soon);
}

/* What a bucket holds of what is shared. */
static size_t shared_count(const struct records *records, const struct node_id *with, size_t bucket)
{
	size_t count = 0;

	if (!records->large)
		return records->buckets[bucket].count;
	list_for_each (link, &records->buckets[bucket].items)
		count += is_shared(records, list_entry(link, struct item, in_bucket), with);
	return count;
}

/* Add the bucket's entries; of a bucket that is too large those from a random place on. */
static void keys_add_bucket(struct records *records, struct sync_keys *keys, uint32_t bucket,
			    const struct node_id *with)
{
	size_t count = shared_count(records, with, bucket);
	size_t room = MESSAGE_SYNC_KEYS_MAX - keys->entry_count;
	size_t skip = count > room ? prng_below(&records->prng, count - room + 1) : 0;

	keys->buckets[keys->bucket_count++] = bucket;
	list_for_each (link, &records->buckets[bucket].items) {
		const struct item *item = list_entry(link, struct item, in_bucket);

		if (!is_shared(records, item, with))
			continue;
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
			  const struct node_id *with, size_t bucket)
{
	return keys->bucket_count == 0 ||
	       keys->entry_count + shared_count(records, with, bucket) < MESSAGE_SYNC_KEYS_MAX;
}

/* Name what we have in the buckets of @theirs that differ from ours. */
static void send_keys(struct records *records, const struct node_id *from, const uint64_t *theirs,
		      const uint64_t *ours)
{
	size_t start = prng_below(&records->prng, SYNC_BUCKETS);
	struct sync_keys keys = {.reply = true,
				 .complete_ms = complete_for(records, from),
				 .apart_ms = records_apart_since(records)};

	keys.buckets = mem_alloc(SYNC_BUCKETS, sizeof(*keys.buckets));
	keys.entries = mem_alloc(MESSAGE_SYNC_KEYS_MAX, sizeof(*keys.entries));
	for (size_t i = 0; i < SYNC_BUCKETS; i++) {
		size_t bucket = (start + i) % SYNC_BUCKETS;

		if (theirs[bucket] != ours[bucket] && keys_has_room(records, &keys, from, bucket))
			keys_add_bucket(records, &keys, (uint32_t)bucket, from);
	}
	qsort(keys.buckets, keys.bucket_count, sizeof(*keys.buckets), u32_compare);
	effect_send(records, from, MESSAGE_SYNC_KEYS)->sync_keys = keys;
}

static void settle(struct records *records, const struct node_id *with, int64_t complete_ms)
{
	struct partner *partner = partner_find(records, with);

	if (!partner)
		return;
	partner_settle(records, partner, complete_ms);
	partner->same = true;
}

void sync_summary_received(struct records *records, const struct node_id *from,
			   const struct sync_summary *summary)
{
	struct partner *partner = partner_find(records, from);
	uint64_t ours[SYNC_BUCKETS];

	if (!answers_sync(records, from))
		return;
	apart_heard(records, from, summary->apart_ms);
	if (summary->bucket_count == 1) {
		if (partner)
			partner->theirs = summary->buckets[0];
		if (summary->buckets[0] == shared_fold(records, from))
			settle(records, from, summary->complete_ms);
		else if (!records->large || !is_agreed(records, partner))
			send_summary(records, from, true);
		return;
	}
	shared_buckets(records, from, ours);
	if (memcmp(ours, summary->buckets, sizeof(ours)) == 0)
		settle(records, from, summary->complete_ms);
	else
		send_keys(records, from, summary->buckets, ours);
}

/* What may be sent for one message of a peer. */
struct allowance {
	size_t records, bytes;
};

static bool is_left_out(const struct item *item)
{
	return item->shown.record.key.kind == RECORD_TOMBSTONE && fault_is_planted(FAULT_TOMBSTONE);
}

static bool allowed_send(struct records *records, struct allowance *allowance,
			 const struct node_id *to, struct item *item)
{
	size_t len = item->shown.envelope.len;

	if (allowance->records == 0 || allowance->bytes < len)
		return false;
	if (is_left_out(item))
		return true;
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
	if (entry->key.kind == RECORD_OBJECT && table_tombstone(records, &entry->key.uid))
		return false;
	return home_is_wanted(records, &entry->key);
}

static bool is_newer(const struct item *known, const struct sync_entry *entry)
{
	return record_version_compare(&known->shown.record.version, &entry->version) > 0;
}

/* Compare what the peer named with what we have; @seen collects our keys that it named. Returns how
 * much of it we lack. */
static size_t compare_named(struct records *records, const struct node_id *from,
			    const struct sync_keys *keys, struct allowance *allowance,
			    struct map *seen)
{
	struct sync_want want = {0};
	size_t lacking = 0;

	want.keys = mem_alloc(keys->entry_count, sizeof(*want.keys));
	for (size_t i = 0; i < keys->entry_count; i++) {
		const struct sync_entry *entry = &keys->entries[i];
		struct item *known;

		if (entry->key.kind == RECORD_OBJECT && partner_find(records, from))
			doubt_lives(records, &entry->key.uid);
		known = table_find(records, &entry->key);
		if (known)
			(void)map_put(seen, bytes_of(known->key, RECORD_KEY_LEN), known);
		if (is_wanted(records, entry, known)) {
			lacking++;
			if (want_may_ask(records, from, entry))
				want.keys[want.key_count++] = entry->key;
		} else if (known && is_newer(known, entry) &&
			   !allowed_send(records, allowance, from, known)) {
			sync_again_soon(records, from);
		}
	}
	if (want.key_count > 0)
		effect_send(records, from, MESSAGE_SYNC_WANT)->sync_want = want;
	else
		free(want.keys);
	return lacking;
}

/* We have all of what @from has, if it has named all that differs: far from filling a message. */
static void settle_named(struct records *records, const struct node_id *from,
			 const struct sync_keys *keys, size_t lacking)
{
	struct partner *partner = partner_find(records, from);

	if (!records->large || !partner || lacking > 0 ||
	    keys->entry_count > MESSAGE_SYNC_KEYS_MAX / 2)
		return;
	partner_settle(records, partner, keys->complete_ms);
	agree(records, partner);
}

/* What a peer did not name: sent at once where everything is kept everywhere, else offered. */
struct giving {
	struct allowance *allowance;
	struct sync_offer offer;
};

static bool give(struct records *records, const struct node_id *to, struct item *item,
		 struct giving *giving)
{
	struct sync_offer *offer = &giving->offer;

	if (!records->large)
		return allowed_send(records, giving->allowance, to, item);
	if (is_left_out(item))
		return true;
	if (offer->entry_count == MESSAGE_SYNC_KEYS_MAX)
		return false;
	if (!offer->entries)
		offer->entries = mem_alloc(MESSAGE_SYNC_KEYS_MAX, sizeof(*offer->entries));
	offer->entries[offer->entry_count++] =
		(struct sync_entry){item->shown.record.key, item->shown.record.version};
	return true;
}

/* What @from shares with us and did not name. */
static void each_missing(struct records *records, const struct node_id *from,
			 const struct sync_keys *keys, const struct map *seen,
			 struct giving *giving)
{
	for (size_t i = 0; i < keys->bucket_count; i++) {
		list_for_each (link, &records->buckets[keys->buckets[i]].items) {
			struct item *item = list_entry(link, struct item, in_bucket);

			if (!is_shared(records, item, from) ||
			    map_get(seen, bytes_of(item->key, RECORD_KEY_LEN)))
				continue;
			if (!give(records, from, item, giving)) {
				sync_again_soon(records, from);
				return;
			}
		}
	}
}

static void send_missing(struct records *records, const struct node_id *from,
			 const struct sync_keys *keys, struct allowance *allowance,
			 const struct map *seen)
{
	struct giving giving = {.allowance = allowance};

	each_missing(records, from, keys, seen, &giving);
	giving.offer.apart_ms = records_apart_since(records);
	if (giving.offer.entry_count > 0)
		effect_send(records, from, MESSAGE_SYNC_OFFER)->sync_offer = giving.offer;
	else
		free(giving.offer.entries);
}

void sync_keys_received(struct records *records, const struct node_id *from,
			const struct sync_keys *keys)
{
	struct allowance allowance = {RECORDS_SYNC_SEND_MAX, RECORDS_SYNC_BYTES_MAX};
	struct map seen;

	if (!answers_sync(records, from))
		return;
	apart_heard(records, from, keys->apart_ms);
	map_init(&seen, prng_next(&records->prng));
	settle_named(records, from, keys, compare_named(records, from, keys, &allowance, &seen));
	if (keys->entry_count < MESSAGE_SYNC_KEYS_MAX)
		send_missing(records, from, keys, &allowance, &seen);
	if (keys->entry_count > MESSAGE_SYNC_KEYS_MAX / 2)
		sync_again_soon(records, from);
	map_deinit(&seen);
}

void sync_want_received(struct records *records, const struct node_id *from,
			const struct sync_want *want)
{
	struct allowance allowance = {RECORDS_SYNC_SEND_MAX, RECORDS_SYNC_BYTES_MAX};

	for (size_t i = 0; i < want->key_count; i++) {
		struct item *known = table_find(records, &want->keys[i]);

		if (known && !known->doubted && !allowed_send(records, &allowance, from, known))
			return;
	}
}
