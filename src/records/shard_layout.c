/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout: shards in the state that they have in a fabric which has been there for long.
 *
 * Nothing of the product begins so: a machine that starts holds no shard, and says everything anew.
 * Simulations and tests of what comes later begin here, and are spared the hours before.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "records/shard_internal.h"

/* Those of @rows that @shard covers come first. Returns how many. */
static size_t divide(const struct shard_id *shard, struct index_row *rows, size_t count)
{
	size_t covered = 0;

	for (size_t i = 0; i < count; i++) {
		struct index_row row = rows[i];

		if (!shard_covers(shard, row.name))
			continue;
		rows[i] = rows[covered];
		rows[covered++] = row;
	}
	return covered;
}

/* No deeper than MESSAGE_SHARD_DEPTH_MAX: shard_is_large(). */
static void lay(const struct shard_id *shard, struct index_row *rows, size_t count,
		shards_layout_fn *each, void *arg)
{
	struct shards_part part = {.id = *shard, .rows = rows, .row_count = count};
	struct shard_id halves[2] = {shard_child(shard, 0), shard_child(shard, 1)};

	if (!shard_is_large(shard, count)) {
		each(arg, &part);
		return;
	}
	part.halves[0] = divide(&halves[0], rows, count);
	part.halves[1] = count - part.halves[0];
	part.rows = NULL;
	part.row_count = 0;
	part.split = true;
	each(arg, &part);
	for (unsigned bit = 0; bit < 2; bit++)
		if (part.halves[bit])
			lay(&halves[bit], rows + (bit ? part.halves[0] : 0), part.halves[bit], each,
			    arg);
}

void shards_layout(const char *kind, const char *namespace, const struct index_row *rows,
		   size_t count, shards_layout_fn *each, void *arg)
{
	struct shard_id root = shard_for(kind, namespace, 0, 0);
	struct index_row *lent = mem_alloc(count + 1, sizeof(*lent));

	for (size_t i = 0; i < count; i++)
		lent[i] = rows[i];
	lay(&root, lent, count, each, arg);
	free(lent);
}

void shards_hold(struct shards *shards, struct mono now, const struct shards_part *part)
{
	struct shard *shard;

	shards->now = now;
	shard = shard_make(shards, &part->id);
	if (!shard)
		return;
	shard->state = part->split ? SHARD_SPLIT : SHARD_LEAF;
	shard->changed = mono_add_ms(now, -SHARD_MERGING_MS);
	for (unsigned bit = 0; bit < 2; bit++)
		if (part->halves[bit])
			shard->halves[bit] = (struct half){true, (uint32_t)part->halves[bit], now};
	for (size_t i = 0; i < part->row_count; i++)
		(void)shard_merge_row(shards, shard, &part->rows[i]);
}
