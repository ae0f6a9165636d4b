/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routing table: one bucket for each length of the prefix that a position shares with ours.
 *
 * Seen from any target, all contacts of one bucket are nearer than all of another, and which bucket
 * comes first follows from the bits of target and own position alone: where they differ, the bucket
 * lies on the target's side of the tree and before all deeper ones, elsewhere after them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "identity/sha256.h"
#include "overlay/kad_internal.h"

enum {
	BUCKET_GROW = 4,
	BUCKET_NEAR_MAX = KAD_BUCKET + KAD_NEAR, /* with members of the neighbourhood */
};

struct digest kad_position(const struct node_id *id)
{
	return sha256(bytes_of(id->byte, sizeof(id->byte)));
}

struct digest kad_key(const char *text)
{
	return sha256(bytes_str(text));
}

int kad_nearer(const struct digest *target, const struct digest *a, const struct digest *b)
{
	for (size_t i = 0; i < ID_LEN; i++) {
		uint8_t from_a = target->byte[i] ^ a->byte[i],
			from_b = target->byte[i] ^ b->byte[i];

		if (from_a != from_b)
			return from_a < from_b ? -1 : 1;
	}
	return 0;
}

uint64_t kad_prefix(const struct digest *position)
{
	uint64_t prefix = 0;

	for (size_t i = 0; i < sizeof(prefix); i++)
		prefix = prefix << 8 | position->byte[i];
	return prefix;
}

uint64_t kad_id_prefix(const struct node_id *id)
{
	struct digest position = kad_position(id);

	return kad_prefix(&position);
}

uint32_t kad_heard_at(struct mono at)
{
	return (uint32_t)(at.us / KAD_HEARD_US);
}

unsigned kad_table_index(const struct kad_table *table, uint64_t position)
{
	uint64_t distance = position ^ table->self;

	return distance ? (unsigned)__builtin_clzll(distance) : KAD_BUCKETS - 1;
}

struct contact kad_entry_contact(const struct kad_entry *entry)
{
	struct contact contact = {
		.id = entry->id,
		.addr = {.port = entry->port, .is_v4 = entry->is_v4},
		.incarnation = entry->incarnation,
		.steward = entry->steward,
	};

	memcpy(contact.addr.ip, entry->ip, sizeof(entry->ip));
	return contact;
}

static void entry_refresh(struct kad_entry *entry, struct mono now, const struct contact *contact)
{
	memcpy(entry->ip, contact->addr.ip, sizeof(entry->ip));
	entry->port = contact->addr.port;
	entry->is_v4 = contact->addr.is_v4;
	entry->steward = contact->steward;
	if (contact->incarnation > entry->incarnation)
		entry->incarnation = contact->incarnation;
	entry->heard = kad_heard_at(now);
	entry->failures = 0;
}

static struct kad_entry entry_of(struct mono now, uint64_t position, const struct contact *contact)
{
	struct kad_entry entry = {.position = position, .id = contact->id};

	entry_refresh(&entry, now, contact);
	return entry;
}

static struct kad_entry *bucket_find(struct kad_bucket *bucket, uint64_t position,
				     const struct node_id *id)
{
	for (size_t i = 0; bucket && i < bucket->count; i++) {
		struct kad_entry *entry = &bucket->entries[i];

		if (entry->position == position && node_id_equal(&entry->id, id))
			return entry;
	}
	return NULL;
}

struct kad_entry *kad_table_find(const struct kad_table *table, uint64_t position,
				 const struct node_id *id)
{
	return bucket_find(table->buckets[kad_table_index(table, position)], position, id);
}

struct kad_bucket *kad_table_bucket(struct kad_table *table, unsigned index)
{
	if (!table->buckets[index])
		table->buckets[index] = mem_new(struct kad_bucket);
	return table->buckets[index];
}

const struct kad_entry *kad_bucket_oldest(const struct kad_bucket *bucket)
{
	const struct kad_entry *oldest = NULL;

	for (size_t i = 0; bucket && i < bucket->count; i++) {
		if (!oldest || bucket->entries[i].heard < oldest->heard)
			oldest = &bucket->entries[i];
	}
	return oldest;
}

unsigned kad_table_far(const struct kad_table *table)
{
	size_t count = 0;
	unsigned index = KAD_BUCKETS;

	while (index > 0 && count < KAD_NEAR) {
		index--;
		if (table->buckets[index])
			count += table->buckets[index]->count;
	}
	return index;
}

bool kad_table_is_near(const struct kad_table *table, uint64_t position)
{
	unsigned index = kad_table_index(table, position);
	const struct kad_bucket *bucket = table->buckets[index];
	size_t nearer = 0;

	for (size_t i = 0; bucket && i < bucket->count; i++)
		nearer += (bucket->entries[i].position ^ table->self) < (position ^ table->self);
	for (unsigned i = index + 1; i < KAD_BUCKETS && nearer < KAD_NEAR; i++) {
		if (table->buckets[i])
			nearer += table->buckets[i]->count;
	}
	return nearer < KAD_NEAR;
}

static bool has_room(const struct kad_table *table, unsigned index, uint64_t position)
{
	const struct kad_bucket *bucket = table->buckets[index];

	if (!bucket || bucket->count < KAD_BUCKET)
		return true;
	return bucket->count < BUCKET_NEAR_MAX && kad_table_is_near(table, position);
}

/* ---- machines that were silent ---- */

static struct kad_grave *grave_set(const struct kad_table *table, uint64_t position)
{
	return table->graves ? &table->graves[position % KAD_GRAVE_SETS * KAD_GRAVE_WAYS] : NULL;
}

static struct kad_grave *grave_find(const struct kad_table *table, uint64_t position)
{
	struct kad_grave *set = grave_set(table, position);

	for (size_t i = 0; set && i < KAD_GRAVE_WAYS; i++) {
		if (set[i].failures && set[i].position == position)
			return &set[i];
	}
	return NULL;
}

/* The oldest of its set gives way. */
static struct kad_grave *grave_get(struct kad_table *table, uint64_t position)
{
	struct kad_grave *grave = grave_find(table, position);

	if (grave)
		return grave;
	if (!table->graves)
		table->graves = mem_alloc(KAD_GRAVE_SETS * KAD_GRAVE_WAYS, sizeof(*table->graves));
	grave = grave_set(table, position);
	for (size_t i = 1; i < KAD_GRAVE_WAYS; i++) {
		struct kad_grave *other = &grave_set(table, position)[i];

		if (grave->failures && (!other->failures || other->at < grave->at))
			grave = other;
	}
	*grave = (struct kad_grave){.position = position};
	return grave;
}

/* Never 0, which is every place. */
static uint32_t place_of(const struct addr *addr)
{
	uint64_t folded = addr->port;

	for (size_t i = 0; i < sizeof(addr->ip); i++)
		folded = folded * UINT8_MAX + addr->ip[i];
	return (uint32_t)(prng_next(&(struct prng){folded}) >> 32) | 1;
}

static bool grave_is_fresh(const struct kad *kad, const struct kad_grave *grave, int64_t ms)
{
	return kad_heard_at(kad->now) - grave->at < ms * US_PER_MS / KAD_HEARD_US;
}

/* One of our own contacts: it is not there, whatever others say. */
static void grave_dig(struct kad *kad, uint64_t position)
{
	struct kad_grave *grave = grave_get(&kad->table, position);

	grave->at = kad_heard_at(kad->now);
	grave->place = 0;
	grave->failures = KAD_FAILURES;
}

/* Only named by others: silence may be theirs, who gave a wrong address. */
static void grave_dig_at(struct kad *kad, uint64_t position, const struct addr *at)
{
	struct kad_grave *grave = grave_get(&kad->table, position);
	uint32_t place = at ? place_of(at) : 0;

	if (grave->failures >= KAD_FAILURES && !grave->place)
		return;
	if (place != grave->place)
		grave->failures = 0;
	if (place ? grave->failures < KAD_FAILURES : !grave->failures)
		grave->failures++;
	grave->at = kad_heard_at(kad->now);
	grave->place = place;
}

bool kad_table_mourns(const struct kad *kad, uint64_t position)
{
	const struct kad_grave *grave = grave_find(&kad->table, position);

	return grave && grave_is_fresh(kad, grave, KAD_GRAVE_MS);
}

bool kad_table_gave_up(const struct kad *kad, uint64_t position, const struct addr *at)
{
	const struct kad_grave *grave = grave_find(&kad->table, position);
	bool surely = grave && grave->failures >= KAD_FAILURES;

	if (!grave || (grave->place ? grave->place != place_of(at) : !surely))
		return false;
	return grave_is_fresh(kad, grave, surely ? KAD_GRAVE_MS : KAD_GRAVE_ONCE_MS);
}

void kad_table_forgive(struct kad_table *table)
{
	free(table->graves);
	table->graves = NULL;
}

bool kad_table_wants(const struct kad *kad, uint64_t position, const struct node_id *id)
{
	const struct kad_table *table = &kad->table;

	unsigned index = kad_table_index(table, position);
	const struct kad_bucket *bucket = table->buckets[index];
	bool is_poor = !bucket || bucket->count < KAD_BUCKET / 2;

	return (is_poor || (index >= kad->far && has_room(table, index, position))) &&
	       !kad_table_find(table, position, id) && !kad_table_mourns(kad, position);
}

/* ---- changes ---- */

static void changed(struct kad *kad, unsigned index)
{
	kad->table.changes++;
	kad->table.near_changes += index >= kad->far;
}

static struct kad_entry *bucket_insert(struct kad *kad, unsigned index,
				       const struct kad_entry *entry)
{
	struct kad_bucket *bucket = kad_table_bucket(&kad->table, index);

	if (bucket->count == bucket->cap) {
		bucket->cap = (uint8_t)(bucket->cap + BUCKET_GROW);
		bucket = mem_resize(bucket, 1,
				    sizeof(*bucket) + bucket->cap * sizeof(bucket->entries[0]));
		kad->table.buckets[index] = bucket;
	}
	bucket->entries[bucket->count++] = *entry;
	changed(kad, index);
	if (kad->table.contact_count++ == 0)
		kad_upkeep_first(kad);
	return &bucket->entries[bucket->count - 1];
}

static void bucket_remove(struct kad *kad, unsigned index, struct kad_entry *entry)
{
	struct kad_bucket *bucket = kad->table.buckets[index];

	assert(bucket->count > 0);
	*entry = bucket->entries[--bucket->count];
	kad->table.contact_count--;
	changed(kad, index);
	if (bucket->has_spare && bucket->count < KAD_BUCKET) {
		bucket->has_spare = false;
		(void)bucket_insert(kad, index, &bucket->spare);
	}
	if (bucket->count <= KAD_BUCKET / 2)
		bucket->refused = false;
}

/* An entry that has not answered when it was asked last. */
static struct kad_entry *bucket_silent(struct kad_bucket *bucket)
{
	for (size_t i = 0; i < bucket->count; i++) {
		if (bucket->entries[i].failures > 0)
			return &bucket->entries[i];
	}
	return NULL;
}

/* Ping before eviction: who has always answered stays, whoever else comes. */
static struct kad_entry *bucket_evictable(struct kad_bucket *bucket)
{
	if (fault_is_planted(FAULT_KAD_EVICT))
		return bucket_find(bucket, kad_bucket_oldest(bucket)->position,
				   &kad_bucket_oldest(bucket)->id);
	return bucket_silent(bucket);
}

static bool is_news(const struct kad_entry *entry, const struct kad_entry *fresh)
{
	return entry->failures > 0 || entry->steward != fresh->steward ||
	       entry->port != fresh->port || memcmp(entry->ip, fresh->ip, sizeof(entry->ip)) != 0;
}

const struct kad_entry *kad_table_admit(struct kad *kad, uint64_t position,
					const struct contact *contact)
{
	struct kad_table *table = &kad->table;
	unsigned index = kad_table_index(table, position);
	struct kad_entry *entry = kad_table_find(table, position, &contact->id);
	struct kad_grave *grave = grave_find(table, position);
	struct kad_entry fresh = entry_of(kad->now, position, contact);
	struct kad_bucket *bucket;

	if (grave)
		grave->failures = 0;
	if (entry) {
		if (is_news(entry, &fresh))
			changed(kad, index);
		entry_refresh(entry, kad->now, contact);
		return NULL;
	}
	if (has_room(table, index, position))
		return bucket_insert(kad, index, &fresh);
	bucket = kad_table_bucket(table, index);
	bucket->refused = true;
	entry = bucket_evictable(bucket);
	if (!entry) {
		bucket->has_spare = true;
		entry = &bucket->spare;
	} else {
		changed(kad, index);
	}
	*entry = fresh;
	return entry;
}

void kad_table_silent(struct kad *kad, uint64_t position, const struct node_id *id,
		      const struct addr *at)
{
	struct kad_table *table = &kad->table;
	unsigned index = kad_table_index(table, position);
	struct kad_entry *entry = kad_table_find(table, position, id);

	if (!entry) {
		grave_dig_at(kad, position, at);
		return;
	}
	entry->failures++;
	changed(kad, index);
	if (entry->failures >= KAD_FAILURES || table->buckets[index]->has_spare) {
		grave_dig(kad, position);
		bucket_remove(kad, index, entry);
	}
	kad_upkeep_trouble(kad, index);
}

void kad_table_lost(struct kad *kad, uint64_t position, const struct node_id *id)
{
	unsigned index = kad_table_index(&kad->table, position);
	struct kad_bucket *bucket = kad->table.buckets[index];
	struct kad_entry *entry = bucket_find(bucket, position, id);

	if (bucket && bucket->has_spare && node_id_equal(&bucket->spare.id, id))
		bucket->has_spare = false;
	grave_dig(kad, position);
	if (!entry)
		return;
	bucket_remove(kad, index, entry);
	kad_upkeep_trouble(kad, index);
}

/* ---- reads ---- */

static bool is_nearer(uint64_t target, const struct kad_entry *a, const struct kad_entry *b)
{
	if (a->position != b->position)
		return (a->position ^ target) < (b->position ^ target);
	return node_id_compare(&a->id, &b->id) < 0;
}

/* The bucket's entries, sorted, behind those that are there. */
static size_t append_bucket(const struct kad_bucket *bucket, uint64_t target, bool lively,
			    const struct kad_entry **entries, size_t count, size_t max)
{
	size_t start = count;

	for (size_t i = 0; bucket && i < bucket->count; i++) {
		const struct kad_entry *entry = &bucket->entries[i];
		size_t at;

		if (lively && entry->failures > 0)
			continue;
		at = count;
		if (count == max) {
			if (start == max || !is_nearer(target, entry, entries[max - 1]))
				continue;
			at = max - 1;
		} else {
			count++;
		}
		for (; at > start && is_nearer(target, entry, entries[at - 1]); at--)
			entries[at] = entries[at - 1];
		entries[at] = entry;
	}
	return count;
}

size_t kad_table_nearest(const struct kad_table *table, uint64_t target, bool lively,
			 const struct kad_entry **ret_entries, size_t max)
{
	uint64_t differs = table->self ^ target;
	size_t count = 0;

	for (unsigned i = 0; i < KAD_BUCKETS && count < max; i++) {
		if (differs >> (KAD_BUCKETS - 1 - i) & 1)
			count = append_bucket(table->buckets[i], target, lively, ret_entries, count,
					      max);
	}
	for (unsigned i = KAD_BUCKETS; i-- > 0 && count < max;) {
		if (!(differs >> (KAD_BUCKETS - 1 - i) & 1))
			count = append_bucket(table->buckets[i], target, lively, ret_entries, count,
					      max);
	}
	return count;
}
