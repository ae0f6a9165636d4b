/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Map: byte-string keys to pointers, iterated in insertion order.
 *
 * Order never depends on addresses or on a seed, so that a run can be replayed to the byte. The
 * hash is keyed (siphash-like mixing of a seed given at init) so that peers cannot choose
 * collisions. Keys are copied, values are borrowed: the owner frees them. A map that borrows keys,
 * too, is for values that have their key in them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

struct map_entry {
	const uint8_t *key; /* NULL: a removed entry, skipped by iteration */
	size_t key_len;
	uint64_t hash;
	void *value;
};

struct map {
	struct map_entry *entries; /* dense, in insertion order, with gaps until the next rehash */
	uint32_t *index;           /* open addressing into entries, biased by one; 0 = free */
	size_t entry_count, entry_cap, index_cap;
	size_t count; /* live entries */
	uint64_t seed;
	bool borrows_keys;
};

/* @seed should be random where keys come from peers; any constant elsewhere. */
void map_init(struct map *map, uint64_t seed);

/* Keys are not copied: each must stay where it is while it is in the map, and that of a value which
 * replaces another takes the place of the other's. */
void map_init_borrowing(struct map *map, uint64_t seed);

/* Frees the map's own memory, never the values. */
void map_deinit(struct map *map);

/* The value under @key, or NULL. */
void *map_get(const struct map *map, struct bytes key);

/* Store @value (not NULL) and return the one it replaces, or NULL. */
void *map_put(struct map *map, struct bytes key, void *value);

/* Remove and return the value, or NULL if there was none. Safe during iteration. */
void *map_remove(struct map *map, struct bytes key);

/* The first live entry at or after *@position, which moves past it; NULL at the end. */
struct map_entry *map_next(const struct map *map, size_t *position);

/* Iterate; removal of any entry is allowed inside, insertion is not. */
#define map_for_each(entry, map)                                                      \
	for (size_t entry##_at = 0, entry##_once = 1; entry##_once; entry##_once = 0) \
		for (struct map_entry * entry; (entry = map_next(map, &entry##_at)) != NULL;)
