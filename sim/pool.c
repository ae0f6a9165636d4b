/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	BLOCK_LEN = 1 << 20,
};

void pool_deinit(struct pool *pool)
{
	void *block = pool->blocks;

	while (block) {
		void *older;

		memcpy(&older, block, sizeof(older));
		free(block);
		block = older;
	}
	*pool = (struct pool){0};
}

static void add_block(struct pool *pool)
{
	char *block = mem_resize(NULL, BLOCK_LEN, 1);

	memcpy(block, &pool->blocks, sizeof(pool->blocks));
	pool->blocks = block;
	pool->fresh = block + POOL_STEP;
	pool->fresh_len = BLOCK_LEN - POOL_STEP;
	pool->memory += BLOCK_LEN;
}

void *pool_take(struct pool *pool, size_t size)
{
	size_t class = (size + POOL_STEP - 1) / POOL_STEP;
	void *memory;

	if (size > POOL_SIZE_MAX)
		return mem_resize(NULL, size, 1);
	memory = pool->free[class];
	if (memory) {
		memcpy(&pool->free[class], memory, sizeof(void *));
		return memory;
	}
	if (pool->fresh_len < class * POOL_STEP)
		add_block(pool);
	memory = pool->fresh;
	pool->fresh += class * POOL_STEP;
	pool->fresh_len -= class * POOL_STEP;
	return memory;
}

void pool_give(struct pool *pool, void *memory, size_t size)
{
	size_t class = (size + POOL_STEP - 1) / POOL_STEP;

	if (size > POOL_SIZE_MAX) {
		free(memory);
		return;
	}
	memcpy(memory, &pool->free[class], sizeof(void *));
	pool->free[class] = memory;
}
