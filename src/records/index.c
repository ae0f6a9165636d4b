/* SPDX-License-Identifier: Apache-2.0 */
#include "records/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	INDEX_BLOCKS_MIN = 4,
};

void index_init(struct index *index, index_compare_fn compare)
{
	*index = (struct index){.compare = compare};
}

void index_deinit(struct index *index)
{
	for (size_t i = 0; i < index->block_count; i++)
		free(index->blocks[i]);
	free(index->blocks);
	*index = (struct index){0};
}

/* The last block whose first item is not after @item; 0 when there is none. */
static size_t block_of(const struct index *index, const void *item)
{
	size_t low = 0, high = index->block_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->compare(index->blocks[middle]->items[0], item) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? low - 1 : 0;
}

/* The first place in @block whose item is not before @item. */
static size_t place_in(const struct index *index, const struct index_block *block, const void *item)
{
	size_t low = 0, high = block->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->compare(block->items[middle], item) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void block_insert(struct index *index, size_t at)
{
	if (index->block_count == index->block_cap) {
		index->block_cap = index->block_cap ? index->block_cap * 2 : INDEX_BLOCKS_MIN;
		index->blocks = mem_resize(index->blocks, index->block_cap, sizeof(*index->blocks));
	}
	memmove(&index->blocks[at + 1], &index->blocks[at],
		(index->block_count - at) * sizeof(*index->blocks));
	index->blocks[at] = mem_new(struct index_block);
	index->block_count++;
}

/* Move the upper half of a full block into a new one after it. */
static void block_split(struct index *index, size_t at)
{
	struct index_block *full = index->blocks[at], *upper;

	block_insert(index, at + 1);
	upper = index->blocks[at + 1];
	upper->count = full->count / 2;
	full->count -= upper->count;
	memcpy(upper->items, &full->items[full->count], upper->count * sizeof(upper->items[0]));
}

void index_insert(struct index *index, void *item)
{
	struct index_block *block;
	size_t at = block_of(index, item), place;

	if (index->block_count == 0)
		block_insert(index, 0);
	if (index->blocks[at]->count == INDEX_BLOCK_MAX) {
		block_split(index, at);
		at = block_of(index, item);
	}
	block = index->blocks[at];
	place = place_in(index, block, item);
	assert(place == block->count || index->compare(block->items[place], item) != 0);
	memmove(&block->items[place + 1], &block->items[place],
		(block->count - place) * sizeof(block->items[0]));
	block->items[place] = item;
	block->count++;
	index->count++;
}

void index_remove(struct index *index, void *item)
{
	size_t at = block_of(index, item), place;
	struct index_block *block;

	assert(at < index->block_count);
	block = index->blocks[at];
	place = place_in(index, block, item);
	assert(place < block->count && block->items[place] == item);
	block->count--;
	index->count--;
	memmove(&block->items[place], &block->items[place + 1],
		(block->count - place) * sizeof(block->items[0]));
	if (block->count > 0)
		return;
	free(block);
	index->block_count--;
	memmove(&index->blocks[at], &index->blocks[at + 1],
		(index->block_count - at) * sizeof(*index->blocks));
}

size_t index_lower_bound(const struct index *index, const void *bound)
{
	size_t at = block_of(index, bound);

	if (index->block_count == 0)
		return 0;
	return at * INDEX_BLOCK_MAX + place_in(index, index->blocks[at], bound);
}

void *index_next(const struct index *index, size_t *position)
{
	size_t at = *position / INDEX_BLOCK_MAX, place = *position % INDEX_BLOCK_MAX;

	/* A position behind the last item of a block is the start of the next one. */
	if (at < index->block_count && place >= index->blocks[at]->count) {
		at++;
		place = 0;
	}
	if (at >= index->block_count)
		return NULL;
	*position = at * INDEX_BLOCK_MAX + place + 1;
	return index->blocks[at]->items[place];
}
