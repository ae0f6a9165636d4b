/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index: pointers in the order of a comparison, for listing and ranges.
 *
 * A sequence of sorted blocks of at most INDEX_BLOCK_MAX pointers: insertion moves a part of one
 * block, so that a hundred thousand records cost as little as a hundred. The index owns nothing but
 * its blocks. A position is an opaque number, 0 at the start, and valid until the next change.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
	INDEX_BLOCK_MAX = 128, /* 1 KiB, which a machine with a few records pays, too */
};

typedef int (*index_compare_fn)(const void *a, const void *b);

struct index_block {
	size_t count;
	void *items[INDEX_BLOCK_MAX];
};

struct index {
	index_compare_fn compare; /* never 0 for two items of one index */
	struct index_block **blocks;
	size_t block_count, block_cap;
	size_t count;
};

void index_init(struct index *index, index_compare_fn compare);
void index_deinit(struct index *index);

/* Put @item, which is borrowed, at its place. */
void index_insert(struct index *index, void *item);

/* @item must be in the index. */
void index_remove(struct index *index, void *item);

/* The position of the first item that is not before @bound (compared as an item is). */
size_t index_lower_bound(const struct index *index, const void *bound);

/* The item at *position, which moves to the next one; NULL at the end. */
void *index_next(const struct index *index, size_t *position);
