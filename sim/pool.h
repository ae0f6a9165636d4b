/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pool: memory for many small things of short lives, in classes of size.
 *
 * Packets on their way and other events come and go by the million: a free list for each multiple
 * of 64 bytes, filled from blocks that are only returned at the end. What is larger than
 * POOL_SIZE_MAX comes from the heap.
 */
#pragma once

#include <stddef.h>

enum {
	POOL_STEP = 64,
	POOL_SIZE_MAX = 2048,
};

struct pool {
	void *free[POOL_SIZE_MAX / POOL_STEP + 1];
	void *blocks; /* the newest; each begins with a pointer to the one before */
	char *fresh;  /* not yet used, in the newest block */
	size_t fresh_len;
	size_t memory; /* bytes of all blocks */
};

void pool_deinit(struct pool *pool); /* frees what was not given back, too (not the large ones) */

/* Memory of @size bytes, not cleared. */
void *pool_take(struct pool *pool, size_t size);
void pool_give(struct pool *pool, void *memory, size_t size);
