/* SPDX-License-Identifier: Apache-2.0 */
/* The table: the newest version of every key, under its indexes. It judges nothing. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "records/internal.h"

static int item_compare(const void *a, const void *b)
{
	const struct item *left = a, *right = b;

	return record_key_compare(&left->shown.record.key, &right->shown.record.key);
}

void table_init(struct records *records)
{
	uint64_t seed = prng_next(&records->prng);

	map_init_borrowing(&records->items, seed);
	map_init(&records->kinds, seed + 1);
	map_init(&records->names, seed + 2);
	map_init(&records->buried, seed + 3);
	map_init(&records->writers, seed + 4);
	map_init(&records->doubts, seed + 5);
	for (size_t i = 0; i < RECORD_KINDS; i++)
		index_init(&records->by_key[i], item_compare);
	if (records->config.alone)
		return;
	records->buckets = mem_alloc(SYNC_BUCKETS, sizeof(*records->buckets));
	for (size_t i = 0; i < SYNC_BUCKETS; i++)
		list_init(&records->buckets[i].items);
}

void table_deinit(struct records *records)
{
	map_for_each (entry, &records->items)
		table_remove(records, entry->value);
	map_for_each (entry, &records->buried)
		item_unref(entry->value);
	map_for_each (entry, &records->kinds) {
		index_deinit(entry->value);
		free(entry->value);
	}
	map_deinit(&records->items);
	map_deinit(&records->kinds);
	map_deinit(&records->names);
	map_deinit(&records->buried);
	for (size_t i = 0; i < RECORD_KINDS; i++)
		index_deinit(&records->by_key[i]);
	free(records->buckets);
}

static void bucket_insert(struct records *records, struct item *item)
{
	struct bucket *bucket;

	if (!records->buckets || item->doubted)
		return;
	bucket = &records->buckets[item->bucket];
	list_append(&bucket->items, &item->in_bucket);
	bucket->fold ^= item->fold;
	bucket->count++;
}

static void bucket_remove(struct records *records, struct item *item)
{
	struct bucket *bucket;

	if (!records->buckets || item->doubted)
		return;
	bucket = &records->buckets[item->bucket];
	list_remove(&item->in_bucket);
	bucket->fold ^= item->fold;
	bucket->count--;
}

struct item *table_find(const struct records *records, const struct record_key *key)
{
	uint8_t bytes[RECORD_KEY_LEN];

	record_key_bytes(key, bytes);
	return map_get(&records->items, bytes_of(bytes, sizeof(bytes)));
}

void table_insert(struct records *records, struct item *item)
{
	struct item *old = table_find(records, &item->shown.record.key);
	struct writer *written = item->written;
	enum record_kind kind = item->shown.record.key.kind;

	/* First the new one, or its home would be forgotten in between. */
	item->kept = item->kept || (old && old->kept);
	home_insert(records, item);
	if (old)
		table_remove(records, old);
	(void)map_put(&records->items, bytes_of(item->key, RECORD_KEY_LEN), item);
	index_insert(&records->by_key[kind], item);
	bucket_insert(records, item);
	records->bytes += item_bytes(item);
	if (!item_is_live(item))
		records->gone_count++;
	records->doubted_count += item->doubted;
	if (written)
		writer_add(written, item);
	if (kind == RECORD_OBJECT)
		name_insert(records, item);
}

void table_remove(struct records *records, struct item *item)
{
	enum record_kind kind = item->shown.record.key.kind;

	if (map_remove(&records->items, bytes_of(item->key, RECORD_KEY_LEN)) != item)
		assert(false && "an item that is removed is in the table");
	index_remove(&records->by_key[kind], item);
	bucket_remove(records, item);
	home_remove(records, item);
	records->bytes -= item_bytes(item);
	if (!item_is_live(item))
		records->gone_count--;
	records->doubted_count -= item->doubted;
	if (item->unsaved)
		records->unsaved_count--;
	item->unsaved = false;
	writer_drop(item);
	if (kind == RECORD_OBJECT)
		name_remove(records, item);
	item_unref(item);
}

const struct item *table_tombstone(const struct records *records, const struct uid *uid)
{
	return table_find(records, &(struct record_key){.kind = RECORD_TOMBSTONE, .uid = *uid});
}

bool table_has_presence(const struct records *records, const struct uid *workload)
{
	struct item bound = {.shown.record.key = {.kind = RECORD_PRESENCE, .uid = *workload}};
	const struct index *index = &records->by_key[RECORD_PRESENCE];
	size_t position = index_lower_bound(index, &bound);
	const struct item *item;

	while ((item = index_next(index, &position))) {
		if (!uid_equal(&item->shown.record.key.uid, workload))
			return false;
		if (item_is_live(item))
			return true;
	}
	return false;
}
