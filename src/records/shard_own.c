/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Own: the rows that this machine says, because it controls their records.
 *
 * Rows of one shard that are due at about the same time are one message. Which shard took a row is
 * remembered, and for new ones how deep a (kind, namespace) was split by the last answer; who
 * guessed too high is sent down, and who guessed too low tries one higher.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "records/shard_internal.h"

static void own_key(const char *kind, const char *namespace, const struct index_row *row,
		    struct buf *out)
{
	buf_append(out, kind, strlen(kind) + 1);
	buf_append(out, namespace, strlen(namespace) + 1);
	row_key(row, out);
}

static struct own *own_find(const struct shards *shards, const char *kind, const char *namespace,
			    const struct index_row *row)
{
	struct buf key = {0};
	struct own *own;

	own_key(kind, namespace, row, &key);
	own = map_get(&shards->own, bytes_buf(&key));
	buf_deinit(&key);
	return own;
}

static void own_free(struct own *own)
{
	list_remove(&own->urgent);
	free(own->kind);
	free(own->namespace);
	index_row_deinit(&own->row);
	free(own);
}

static struct own *own_make(struct shards *shards, const char *kind, const char *namespace,
			    const struct index_row *row)
{
	struct own *own = mem_new(struct own);
	struct buf key = {0};

	list_init(&own->urgent);
	own->kind = mem_strdup(kind);
	own->namespace = mem_strdup(namespace);
	index_row_copy(row, &own->row);
	own_key(kind, namespace, row, &key);
	(void)map_put(&shards->own, bytes_buf(&key), own);
	buf_deinit(&key);
	return own;
}

static void own_take(struct shards *shards, const char *kind, const char *namespace,
		     const struct index_row *row, bool once)
{
	struct own *own = own_find(shards, kind, namespace, row);
	struct mono now = shards->now;

	if (own)
		own->once = own->once && once;
	if (own &&
	    (own->row.hlc > row->hlc || (own->row.hlc == row->hlc && own->row.gone == row->gone)))
		return;
	if (!own) {
		own = own_make(shards, kind, namespace, row);
		own->once = once;
	}
	own->row.hlc = row->hlc;
	own->row.gone = row->gone;
	own->row.age_s = 0;
	own->since = own->due = now;
	own->said = false;
	list_remove(&own->urgent);
	list_append(&shards->urgent, &own->urgent);
}

void shards_own(struct shards *shards, struct mono now, const char *kind, const char *namespace,
		const struct index_row *row)
{
	shards->now = now;
	own_take(shards, kind, namespace, row, false);
}

void shards_say(struct shards *shards, struct mono now, const char *kind, const char *namespace,
		const struct index_row *row)
{
	shards->now = now;
	own_take(shards, kind, namespace, row, true);
}

void shards_said(struct shards *shards, struct mono now, const struct shard_id *leaf,
		 const struct index_row *row, const struct contact *holders, size_t count)
{
	/* Rows are said in batches: those of one machine begin when others' do not. */
	int64_t first_ms = (int64_t)(shards->config.seed % SHARD_BATCH_MS);
	struct own *own;

	shards->now = now;
	if (own_find(shards, leaf->kind, leaf->namespace, row))
		return;
	own = own_make(shards, leaf->kind, leaf->namespace, row);
	own->row.age_s = 0;
	own->said = true;
	own->depth = leaf->depth;
	own->since = now;
	own->due = mono_add_ms(now, first_ms + (int64_t)prng_below(&shards->prng, SHARD_RENEW_MS));
	shards->own_due = mono_min(shards->own_due, own->due);
	hint_set(shards, leaf);
	shard_place_note(shards, leaf, holders, count, now,
			 mono_add_ms(now, (int64_t)prng_below(&shards->prng, SHARD_HOLDERS_MS)));
}

void shards_disown(struct shards *shards, const char *kind, const char *namespace,
		   const struct index_row *row)
{
	struct buf key = {0};
	struct own *own;

	own_key(kind, namespace, row, &key);
	own = map_remove(&shards->own, bytes_buf(&key));
	if (own)
		own_free(own);
	buf_deinit(&key);
}

/* Hints. */

static void hint_key(const char *kind, const char *namespace, struct buf *out)
{
	buf_append_format(out, "%s/%s", kind, namespace);
}

uint32_t hint_get(const struct shards *shards, const char *kind, const char *namespace)
{
	struct buf key = {0};
	uintptr_t hint;

	hint_key(kind, namespace, &key);
	hint = (uintptr_t)map_get(&shards->hints, bytes_buf(&key));
	buf_deinit(&key);
	return hint ? (uint32_t)(hint - 1) : 0;
}

void hint_set(struct shards *shards, const struct shard_id *leaf)
{
	struct buf key = {0};

	if (shards->hints.count >= SHARD_PLACES_MAX) { /* learnt again at the price of a question */
		map_deinit(&shards->hints);
		map_init(&shards->hints, prng_next(&shards->prng));
	}
	hint_key(leaf->kind, leaf->namespace, &key);
	if (leaf->depth)
		(void)map_put(&shards->hints, bytes_buf(&key),
			      (void *)((uintptr_t)leaf->depth + 1));
	else
		(void)map_remove(&shards->hints, bytes_buf(&key));
	buf_deinit(&key);
}

/* Saying. */

/* The call of @batch that @own belongs to; one that is full is sent. */
static void batch_add(struct shards *shards, struct map *batch, const struct own *own)
{
	uint32_t depth = own->said ? own->depth : hint_get(shards, own->kind, own->namespace);
	struct shard_id shard =
		shard_for(own->kind, own->namespace, depth, name_position(own->row.name));
	struct buf text = {0};
	struct call *call;

	shard_text(&shard, &text);
	call = map_get(batch, bytes_buf(&text));
	if (!call) {
		call = shard_call_new(shards, CALL_WRITE, &shard);
		call->from_hint = depth > 0;
		(void)map_put(batch, bytes_buf(&text), call);
	}
	shard_call_add(call, &own->row);
	if (own->once && !own->row.gone)
		call->rows[call->row_count - 1].age_s =
			(SHARD_ROW_MS - SHARD_ONCE_ROW_MS) / MS_PER_S;
	call->anew = call->anew || !own->said;
	if (call->row_count == SHARD_ROWS_MAX) {
		(void)map_remove(batch, bytes_buf(&text));
		shard_call_start(shards, call);
	}
	buf_deinit(&text);
}

static void batch_send(struct shards *shards, struct map *batch)
{
	map_for_each (entry, batch)
		shard_call_start(shards, entry->value);
	map_deinit(batch);
}

static bool own_is_over(const struct shards *shards, const struct own *own)
{
	const struct shards_config *config = &shards->config;

	if (own->once)
		return mono_reached(shards->now, mono_add_ms(own->since, SHARD_ONCE_MS));
	if (own->row.gone)
		return mono_reached(shards->now, mono_add_ms(own->since, SHARD_GONE_MS));
	return strcmp(own->namespace, "*") != 0 && config->answers_for &&
	       !config->answers_for(config->arg, own->kind, &own->row);
}

static void own_say(struct shards *shards, struct map *batch, struct own *own)
{
	own->due = mono_add_ms(shards->now, prng_jitter(&shards->prng, SHARD_RENEW_MS));
	shards->own_due = mono_min(shards->own_due, own->due);
	batch_add(shards, batch, own);
}

static void own_scan(struct shards *shards, struct map *batch)
{
	struct mono soon = mono_add_ms(shards->now, SHARD_BATCH_MS);

	shards->own_due = MONO_NEVER;
	map_for_each (entry, &shards->own) {
		struct own *own = entry->value;

		if (own_is_over(shards, own)) {
			(void)map_remove(&shards->own, bytes_of(entry->key, entry->key_len));
			own_free(own);
		} else if (mono_reached(soon, own->due)) {
			own_say(shards, batch, own);
		} else {
			shards->own_due = mono_min(shards->own_due, own->due);
		}
	}
}

void own_tick(struct shards *shards)
{
	struct map batch;

	map_init(&batch, prng_next(&shards->prng));
	list_for_each_safe (it, &shards->urgent) {
		struct own *own = list_entry(it, struct own, urgent);

		list_remove(&own->urgent);
		own_say(shards, &batch, own);
	}
	if (mono_reached(shards->now, shards->own_due))
		own_scan(shards, &batch);
	batch_send(shards, &batch);
}

static void own_said(struct shards *shards, const struct call *call)
{
	for (size_t i = 0; i < call->row_count; i++) {
		struct own *own =
			own_find(shards, call->shard.kind, call->shard.namespace, &call->rows[i]);

		if (!own || own->row.hlc != call->rows[i].hlc)
			continue;
		own->said = true;
		own->depth = call->shard.depth;
	}
}

/* Nobody has taken them. */
static void own_again(struct shards *shards, const struct call *call)
{
	for (size_t i = 0; i < call->row_count; i++) {
		struct own *own =
			own_find(shards, call->shard.kind, call->shard.namespace, &call->rows[i]);

		if (!own)
			continue;
		own->due = mono_add_ms(shards->now, prng_jitter(&shards->prng, SHARD_RETRY_MS));
		shards->own_due = mono_min(shards->own_due, own->due);
	}
}

static void own_down(struct shards *shards, const struct call *call)
{
	for (unsigned bit = 0; bit < 2; bit++) {
		struct shard_id child = shard_child(&call->shard, bit);
		struct call *next = shard_call_new(shards, CALL_WRITE, &child);

		next->made = true;
		next->anew = call->anew;
		for (size_t i = 0; i < call->row_count; i++) {
			if (shard_covers(&child, call->rows[i].name))
				shard_call_add(next, &call->rows[i]);
		}
		if (next->row_count)
			shard_call_start(shards, next);
		else
			shard_call_free(shards, next);
	}
}

/* There is no such shard: others of the same depth may be there none the less. */
static void own_up(struct shards *shards, const struct call *call)
{
	struct shard_id parent = shard_parent(&call->shard);
	struct call *next = shard_call_new(shards, CALL_WRITE, &parent);

	hint_set(shards, &parent);
	next->from_hint = parent.depth > 0;
	next->anew = call->anew;
	for (size_t i = 0; i < call->row_count; i++)
		shard_call_add(next, &call->rows[i]);
	shard_call_start(shards, next);
}

void own_ended(struct shards *shards, struct call *call)
{
	if (call->split && call->shard.depth < MESSAGE_SHARD_DEPTH_MAX) {
		own_down(shards, call);
	} else if (call->unknown * 2 > call->answered && call->from_hint) {
		own_up(shards, call);
	} else if (call->ok) {
		hint_set(shards, &call->shard);
		own_said(shards, call);
	} else {
		own_again(shards, call);
	}
}

void own_deinit(struct shards *shards)
{
	map_for_each (entry, &shards->own)
		own_free(entry->value);
	map_deinit(&shards->own);
	map_deinit(&shards->hints);
}
