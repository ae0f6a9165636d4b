/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dense array in insertion order plus an open-addressing index of positions. Removal leaves a
 * hole in the array and a tombstone in the index; growing compacts both.
 */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	MAP_INDEX_MIN = 16,       /* power of two */
	MAP_DELETED = UINT32_MAX, /* index slot of a removed entry */
};

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ h >> 32;
}

static uint64_t hash_key(const struct map *map, struct bytes key)
{
	uint64_t h = mix(map->seed ^ key.len);

	for (size_t i = 0; i < key.len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, key.ptr + i, key.len - i < 8 ? key.len - i : 8);
		h = mix(h ^ word) + map->seed;
	}
	return h;
}

void map_init(struct map *map, uint64_t seed)
{
	*map = (struct map){.seed = mix(seed + 0x9e3779b97f4a7c15ULL)};
}

void map_init_borrowing(struct map *map, uint64_t seed)
{
	map_init(map, seed);
	map->borrows_keys = true;
}

static void key_free(const struct map *map, const struct map_entry *entry)
{
	if (!map->borrows_keys)
		free((uint8_t *)(uintptr_t)entry->key);
}

void map_deinit(struct map *map)
{
	for (size_t i = 0; i < map->entry_count; i++)
		key_free(map, &map->entries[i]);
	free(map->entries);
	free(map->index);
	*map = (struct map){0};
}

/* The index slot holding @key, or -1. */
static ptrdiff_t find_slot(const struct map *map, struct bytes key, uint64_t hash)
{
	size_t mask = map->index_cap - 1;

	if (!map->index_cap)
		return -1;
	for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
		uint32_t at = map->index[slot];
		const struct map_entry *entry;

		if (!at)
			return -1;
		if (at == (uint32_t)MAP_DELETED)
			continue;
		entry = &map->entries[at - 1];
		if (entry->hash == hash && bytes_equal(bytes_of(entry->key, entry->key_len), key))
			return (ptrdiff_t)slot;
	}
}

static void index_entry(struct map *map, size_t position)
{
	size_t mask = map->index_cap - 1;
	size_t slot = map->entries[position].hash & mask;

	while (map->index[slot])
		slot = (slot + 1) & mask;
	map->index[slot] = (uint32_t)position + 1;
}

/* Close the holes and make room for one more entry. */
static void rehash(struct map *map)
{
	size_t live = 0;

	for (size_t i = 0; i < map->entry_count; i++)
		if (map->entries[i].key)
			map->entries[live++] = map->entries[i];
	map->entry_count = live;
	map->index_cap = MAP_INDEX_MIN;
	while (map->index_cap < (live + 1) * 3)
		map->index_cap *= 2;
	assert(map->index_cap < UINT32_MAX);
	map->entry_cap = map->index_cap / 2;
	map->entries = mem_resize(map->entries, map->entry_cap, sizeof(*map->entries));
	free(map->index);
	map->index = mem_alloc(map->index_cap, sizeof(*map->index));
	for (size_t i = 0; i < live; i++)
		index_entry(map, i);
}

void *map_get(const struct map *map, struct bytes key)
{
	ptrdiff_t slot = find_slot(map, key, hash_key(map, key));

	return slot < 0 ? NULL : map->entries[map->index[slot] - 1].value;
}

void *map_put(struct map *map, struct bytes key, void *value)
{
	uint64_t hash = hash_key(map, key);
	ptrdiff_t slot = find_slot(map, key, hash);

	assert(value);
	if (slot >= 0) {
		struct map_entry *entry = &map->entries[map->index[slot] - 1];
		void *old = entry->value;

		if (map->borrows_keys)
			entry->key = key.ptr;
		entry->value = value;
		return old;
	}
	if (map->entry_count == map->entry_cap)
		rehash(map);
	map->entries[map->entry_count] = (struct map_entry){
		.key = map->borrows_keys ? key.ptr : (uint8_t *)mem_copy(key.ptr, key.len),
		.key_len = key.len,
		.hash = hash,
		.value = value,
	};
	index_entry(map, map->entry_count++);
	map->count++;
	return NULL;
}

void *map_remove(struct map *map, struct bytes key)
{
	ptrdiff_t slot = find_slot(map, key, hash_key(map, key));
	struct map_entry *entry;
	void *value;

	if (slot < 0)
		return NULL;
	entry = &map->entries[map->index[slot] - 1];
	map->index[slot] = (uint32_t)MAP_DELETED;
	value = entry->value;
	key_free(map, entry);
	*entry = (struct map_entry){0};
	map->count--;
	return value;
}

struct map_entry *map_next(const struct map *map, size_t *position)
{
	while (*position < map->entry_count) {
		struct map_entry *entry = &map->entries[(*position)++];

		if (entry->key)
			return entry;
	}
	return NULL;
}
