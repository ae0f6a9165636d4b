/* SPDX-License-Identifier: Apache-2.0 */
#include "records/shard.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "records/shard_internal.h"

struct shards *shards_new(const struct shards_config *config, struct mono now)
{
	struct shards *shards = mem_new(struct shards);

	shards->config = *config;
	shards->prng = prng_seeded(config->seed);
	shards->now = now;
	shards->own_due = shards->shards_due = MONO_NEVER;
	/* Not to be mistaken for a request of an earlier life. */
	shards->request = prng_next(&shards->prng) >> 1;
	map_init(&shards->shards, prng_next(&shards->prng));
	map_init(&shards->own, prng_next(&shards->prng));
	map_init(&shards->places, prng_next(&shards->prng));
	map_init(&shards->hints, prng_next(&shards->prng));
	map_init(&shards->calls, prng_next(&shards->prng));
	list_init(&shards->urgent);
	list_init(&shards->waiting);
	list_init(&shards->active);
	list_init(&shards->reads);
	list_init(&shards->effects);
	return shards;
}

static void queued_free(struct queued *queued)
{
	if (!queued)
		return;
	list_remove(&queued->link);
	message_deinit(&queued->effect.message);
	for (size_t i = 0; i < queued->effect.row_count; i++) {
		free((char *)(uintptr_t)queued->rows[i].kind);
		free((char *)(uintptr_t)queued->rows[i].namespace);
		index_row_deinit(&queued->rows[i].row);
	}
	free(queued->rows);
	free(queued);
}

void shards_free(struct shards *shards)
{
	if (!shards)
		return;
	calls_deinit(shards);
	list_for_each_safe (it, &shards->reads)
		read_free(shards, list_entry(it, struct read, link));
	own_deinit(shards);
	map_for_each (entry, &shards->shards)
		shard_forget(shards, entry->value);
	map_deinit(&shards->shards);
	list_for_each_safe (at, &shards->effects)
		queued_free(list_entry(at, struct queued, link));
	queued_free(shards->shown);
	free(shards);
}

struct queued *shards_queue(struct shards *shards, enum shards_effect_type type)
{
	struct queued *queued = mem_new(struct queued);

	queued->effect.type = type;
	list_append(&shards->effects, &queued->link);
	return queued;
}

struct message *shards_send(struct shards *shards, const struct contact *to, enum message_type type)
{
	struct shards_effect *effect = &shards_queue(shards, SHARDS_SEND)->effect;

	effect->to = *to;
	effect->message.type = type;
	return &effect->message;
}

void shards_receive(struct shards *shards, struct mono now, const struct contact *from,
		    bool steward, const struct message *message)
{
	shards->now = now;
	switch ((int)message->type) {
	case MESSAGE_INDEX_ROWS:
		if (steward && shards->config.steward)
			hold_rows(shards, from, &message->index_rows);
		else
			shards->counts.refused++;
		return;
	case MESSAGE_INDEX_ASK:
		if (shards->config.steward)
			hold_ask(shards, from, &message->index_ask);
		return;
	case MESSAGE_INDEX_ANSWER:
		calls_answer(shards, from, &message->index_answer);
		return;
	}
}

void shards_tick(struct shards *shards, struct mono now)
{
	shards->now = now;
	own_tick(shards);
	hold_tick(shards);
	calls_tick(shards);
	reads_tick(shards);
}

struct mono shards_deadline(const struct shards *shards)
{
	struct mono deadline = mono_min(shards->own_due, shards->shards_due);

	if (!list_is_empty(&shards->urgent))
		return shards->now;
	if (shards->active_count)
		deadline = mono_min(deadline, calls_deadline(shards));
	list_for_each (it, &shards->reads)
		deadline = mono_min(deadline, list_entry(it, const struct read, link)->deadline);
	return deadline;
}

const struct shards_effect *shards_next_effect(struct shards *shards)
{
	queued_free(shards->shown);
	shards->shown = NULL;
	if (list_is_empty(&shards->effects))
		return NULL;
	shards->shown = list_first(&shards->effects, struct queued, link);
	list_remove(&shards->shown->link);
	return &shards->shown->effect;
}

/* Its halves are being told; until they have its rows it keeps them. */
static bool is_splitting(const struct shards *shards, const struct shard *shard)
{
	return shard->state == SHARD_SPLIT &&
	       !mono_reached(shards->now, mono_add_ms(shard->changed, 2 * SHARD_SYNC_MS));
}

struct shards_counts shards_counts(const struct shards *shards)
{
	struct shards_counts counts = shards->counts;

	counts.shards = shards->shards.count;
	counts.rows = shards->row_count;
	counts.own = shards->own.count;
	map_for_each (entry, &shards->shards) {
		const struct shard *shard = entry->value;

		if (shard->rows.count > counts.largest && !is_splitting(shards, shard))
			counts.largest = shard->rows.count;
	}
	return counts;
}
