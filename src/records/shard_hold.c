/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hold: what a steward does with the shards near to it.
 *
 * Takes rows, answers questions, splits what has become too large and merges what has become small,
 * compares with other holders, and hands on what is nearer to others now.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "records/shard_internal.h"

enum {
	QUORUM = 3, /* holders that must have a shard before it is forgotten here; all of fewer */
};

static bool recently(const struct shards *shards, const struct shard *shard)
{
	return !mono_reached(shards->now, mono_add_ms(shard->changed, SHARD_MERGING_MS));
}

static bool is_merging(const struct shards *shards, const struct shard *shard)
{
	return shard->state == SHARD_LEAF && shard->merged && recently(shards, shard);
}

static void become(struct shards *shards, struct shard *shard, enum shard_state state)
{
	shard->merged = state == SHARD_LEAF && shard->state == SHARD_SPLIT;
	shard->state = state;
	shard->changed = shards->now;
	memset(shard->halves, 0, sizeof(shard->halves));
}

/* Splitting. */

static void hand_halves(struct shards *shards, struct shard *shard)
{
	shard->handed = true;
	for (unsigned bit = 0; bit < 2; bit++) {
		struct shard_id half = shard_child(&shard->id, bit);
		struct call *call = shard_call_new(shards, CALL_SPLIT, &half);

		shard_id_copy(&shard->id, &call->origin);
		call->made = true;
		call->row_count = shard_rows(shards, shard, NULL, &half, &call->rows);
		shard->handing++;
		if (call->row_count) {
			shard_call_start(shards, call);
			continue;
		}
		shard->handing--;
		shard_call_free(shards, call);
	}
}

bool shard_is_large(const struct shard_id *shard, size_t rows)
{
	return rows > SHARD_ROWS_MAX && shard->depth < MESSAGE_SHARD_DEPTH_MAX;
}

static bool is_large(const struct shard *shard)
{
	return shard_is_large(&shard->id, shard->rows.count);
}

/* One that has just been merged is not split because somebody has not heard of that. */
static void split(struct shards *shards, struct shard *shard)
{
	if (shard->state == SHARD_SPLIT || (is_merging(shards, shard) && !is_large(shard)))
		return;
	become(shards, shard, SHARD_SPLIT);
	shards->counts.splits++;
	hand_halves(shards, shard);
}

static void split_if_large(struct shards *shards, struct shard *shard)
{
	if (is_large(shard))
		split(shards, shard);
}

/* Merging: rows go up, and when the holders of the parent have them, nothing is left here. */

static void hand_up(struct shards *shards, struct shard *shard)
{
	struct shard_id parent = shard_parent(&shard->id);
	struct call *call;

	if (shard->id.depth == 0 || shard->state != SHARD_LEAF || shard->handing)
		return;
	call = shard_call_new(shards, CALL_UP, &parent);
	shard_id_copy(&shard->id, &call->origin);
	call->row_count = shard_rows(shards, shard, NULL, NULL, &call->rows);
	shard->handing++;
	shard_call_start(shards, call);
}

/* Taking rows. */

static bool merge_rows(struct shards *shards, struct shard *shard, const struct index_row *rows,
		       size_t count)
{
	bool taken = true;

	for (size_t i = 0; i < count; i++)
		taken = shard_merge_row(shards, shard, &rows[i]) && taken;
	split_if_large(shards, shard);
	return taken;
}

static enum index_outcome take_write(struct shards *shards, const struct index_rows *rows)
{
	struct shard *shard = shard_find(shards, &rows->shard);

	if (!shard || shard->state == SHARD_HANDED) {
		if (rows->shard.depth && !rows->made)
			return INDEX_UNKNOWN;
		shard = shard_make(shards, &rows->shard);
	}
	if (!shard)
		return INDEX_FULL;
	if (shard->state == SHARD_SPLIT)
		return INDEX_SPLIT;
	if (shard->state == SHARD_HANDED)
		become(shards, shard, SHARD_LEAF);
	return merge_rows(shards, shard, rows->rows, rows->row_count) ? INDEX_OK : INDEX_FULL;
}

static enum index_outcome take_copy(struct shards *shards, const struct index_rows *rows)
{
	struct shard *shard = shard_make(shards, &rows->shard);

	if (!shard)
		return INDEX_FULL;
	if (shard->state == SHARD_HANDED && !rows->made && recently(shards, shard))
		return INDEX_MERGED;
	if (shard->state == SHARD_HANDED)
		become(shards, shard, SHARD_LEAF);
	if (rows->split) {
		split(shards, shard);
		return INDEX_OK;
	}
	if (shard->state == SHARD_SPLIT)
		return INDEX_SPLIT;
	if (!merge_rows(shards, shard, rows->rows, rows->row_count))
		return INDEX_FULL;
	return rows->row_count == 0 && rows->fold != shard->fold ? INDEX_DIFFERS : INDEX_OK;
}

static bool halves_are_small(const struct shards *shards, const struct shard *shard)
{
	uint32_t rows = 0;

	for (unsigned bit = 0; bit < 2; bit++) {
		const struct half *half = &shard->halves[bit];

		if (half->known &&
		    mono_reached(shards->now, mono_add_ms(half->heard, SHARD_SPLIT_MS)))
			return false;
		rows += half->known ? half->rows : 0;
	}
	/* A half that has never been heard of may be empty: nobody reports that. */
	return rows <= SHARD_MERGE_ROWS && !recently(shards, shard);
}

static enum index_outcome take_report(struct shards *shards, const struct index_rows *rows)
{
	struct shard_id id = shard_parent(&rows->shard);
	unsigned bit = rows->shard.prefix >> (32 - rows->shard.depth) & 1;
	struct shard *shard = shard_make(shards, &id);

	if (!shard)
		return INDEX_FULL;
	if (shard->state != SHARD_SPLIT) {
		if (shard->state == SHARD_LEAF && (shard->merged || shard->live) &&
		    shard->rows.count + rows->count <= SHARD_ROWS_MAX)
			return INDEX_MERGED;
		split(shards, shard);
	}
	if (shard->state != SHARD_SPLIT)
		return INDEX_OK;
	shard->halves[bit] = (struct half){true, rows->count, shards->now};
	if (!halves_are_small(shards, shard) || shard->rows.count)
		return INDEX_OK;
	become(shards, shard, SHARD_LEAF);
	shards->counts.merges++;
	return INDEX_MERGED;
}

static struct index_answer *answer_to(struct shards *shards, const struct contact *to,
				      uint64_t request, enum index_outcome outcome)
{
	struct message *message = shards_send(shards, to, MESSAGE_INDEX_ANSWER);

	message->index_answer.request = request;
	message->index_answer.outcome = outcome;
	return &message->index_answer;
}

void hold_rows(struct shards *shards, const struct contact *from, const struct index_rows *rows)
{
	struct index_answer *answer;
	enum index_outcome outcome;

	if (rows->purpose == INDEX_REPORT && rows->shard.depth == 0)
		return; /* the root has no parent: nonsense */
	if (rows->purpose == INDEX_WRITE)
		outcome = take_write(shards, rows);
	else if (rows->purpose == INDEX_COPY)
		outcome = take_copy(shards, rows);
	else
		outcome = take_report(shards, rows);
	answer = answer_to(shards, from, rows->request, outcome);
	if (outcome == INDEX_DIFFERS)
		answer->row_count = shard_rows(shards, shard_find(shards, &rows->shard), NULL, NULL,
					       &answer->rows);
}

void hold_ask(struct shards *shards, const struct contact *from, const struct index_ask *ask)
{
	struct shard *shard = shard_find(shards, &ask->shard);
	enum index_outcome outcome = INDEX_OK;
	struct index_answer *answer;

	if (!shard || shard->state == SHARD_HANDED)
		outcome = ask->shard.depth ? INDEX_UNKNOWN : INDEX_OK;
	else if (shard->state == SHARD_SPLIT || is_merging(shards, shard))
		outcome = INDEX_SPLIT;
	answer = answer_to(shards, from, ask->request, outcome);
	if (shard)
		answer->row_count = shard_rows(shards, shard, *ask->name ? ask->name : NULL, NULL,
					       &answer->rows);
}

/* Comparing with another holder. */

static struct call *sync_call(struct shards *shards, const struct shard *shard,
			      enum call_purpose purpose)
{
	struct call *call = shard_call_new(shards, purpose, &shard->id);

	shard_id_copy(&shard->id, &call->origin);
	call->is_split = shard->state == SHARD_SPLIT;
	call->count = (uint32_t)shard->live;
	call->fold = shard->fold;
	return call;
}

/* Of our rows keep those that the other has as new as we, or newer, out of what is sent. */
static size_t drop_known(struct index_row *rows, size_t count, const struct map *theirs)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct buf key = {0};
		const struct index_row *other;

		row_key(&rows[i], &key);
		other = map_get(theirs, bytes_buf(&key));
		buf_deinit(&key);
		if (other && (other->hlc > rows[i].hlc ||
			      (other->hlc == rows[i].hlc && other->gone == rows[i].gone)))
			index_row_deinit(&rows[i]);
		else
			rows[kept++] = rows[i];
	}
	return kept;
}

void hold_differs(struct shards *shards, struct call *call, const struct contact *from,
		  const struct index_answer *answer)
{
	struct shard *shard = shard_find(shards, &call->origin);
	struct call *copy;
	struct map theirs;

	if (!shard || shard->state != SHARD_LEAF)
		return;
	map_init(&theirs, prng_next(&shards->prng));
	for (size_t i = 0; i < answer->row_count; i++) {
		struct buf key = {0};

		row_key(&answer->rows[i], &key);
		(void)map_put(&theirs, bytes_buf(&key), &answer->rows[i]);
		buf_deinit(&key);
	}
	copy = sync_call(shards, shard, CALL_COPY);
	copy->row_count = shard_rows(shards, shard, NULL, NULL, &copy->rows);
	copy->row_count = drop_known(copy->rows, copy->row_count, &theirs);
	map_deinit(&theirs);
	(void)merge_rows(shards, shard, answer->rows, answer->row_count);
	if (copy->row_count)
		shard_call_start_with(shards, copy, from);
	else
		shard_call_free(shards, copy);
}

/* Ends of calls. */

static void forget_handed(struct shards *shards, struct shard *shard)
{
	shard_drop_rows(shards, shard);
	become(shards, shard, SHARD_HANDED);
}

/* The half has been split itself: its halves get the rows. */
static void hand_down(struct shards *shards, struct shard *shard, const struct call *call)
{
	for (unsigned bit = 0; bit < 2; bit++) {
		struct shard_id half = shard_child(&call->shard, bit);
		struct call *next = shard_call_new(shards, CALL_SPLIT, &half);

		shard_id_copy(&shard->id, &next->origin);
		next->made = true;
		for (size_t i = 0; i < call->row_count; i++)
			if (shard_covers(&half, call->rows[i].name))
				shard_call_add(next, &call->rows[i]);
		if (next->row_count == 0) {
			shard_call_free(shards, next);
			continue;
		}
		shard->handing++;
		shard_call_start(shards, next);
	}
}

static void halves_have_it(struct shards *shards, struct shard *shard, const struct call *call)
{
	if (call->ok == 0 && call->split && call->shard.depth < MESSAGE_SHARD_DEPTH_MAX)
		hand_down(shards, shard, call);
	else
		shard->handed = shard->handed && call->ok > 0;
	if (shard->handing == 0 && shard->handed && shard->state == SHARD_SPLIT)
		shard_drop_rows(shards, shard);
}

void hold_ended(struct shards *shards, struct call *call)
{
	struct shard *shard = shard_find(shards, &call->origin);

	if (!shard)
		return;
	if (call->purpose == CALL_SPLIT || call->purpose == CALL_UP || call->purpose == CALL_MOVE)
		shard->handing -= shard->handing > 0;
	if (call->purpose == CALL_SPLIT)
		halves_have_it(shards, shard, call);
	else if (call->purpose == CALL_UP && call->ok * 2 > call->target_count &&
		 shard->state == SHARD_LEAF)
		forget_handed(shards, shard);
	else if (call->purpose == CALL_MOVE &&
		 call->ok >= (call->target_count < QUORUM ? call->target_count : QUORUM) &&
		 call->ok)
		shard_forget(shards, shard);
	else if ((call->purpose == CALL_SYNC || call->purpose == CALL_MOVE) && call->split &&
		 shard->state == SHARD_LEAF)
		split(shards, shard); /* its halves are the ones to have the rows */
	else if (call->merged * 2 > call->answered)
		hand_up(shards, shard);
}

/* Time. */

static void say_namespace(struct shards *shards, const struct shard *shard)
{
	struct index_row row = {.name = shard->id.namespace, .hlc = 1};

	if (shard->id.depth || !*shard->id.namespace || strcmp(shard->id.namespace, "*") == 0)
		return;
	memcpy(row.uid.byte, shard->key.byte, UID_LEN); /* the same for all who say it */
	if (shard->live || shard->state == SHARD_SPLIT)
		shards_own(shards, shards->now, shard->id.kind, "*", &row);
	else
		shards_disown(shards, shard->id.kind, "*", &row);
}

/* Nothing in it, or nobody speaks of its halves any more. */
static bool is_over(struct shards *shards, const struct shard *shard)
{
	struct mono heard = shard->changed;

	if (shard->handing || recently(shards, shard))
		return false;
	if (shard->state != SHARD_SPLIT)
		return shard->rows.count == 0;
	for (unsigned bit = 0; bit < 2; bit++) {
		if (mono_reached(shard->halves[bit].heard, heard))
			heard = shard->halves[bit].heard;
	}
	return mono_reached(shards->now, mono_add_ms(heard, SHARD_SPLIT_MS));
}

static void move_away(struct shards *shards, struct shard *shard, const struct contact *nearest,
		      size_t count)
{
	struct call *call;

	if (shard->handing || count == 0)
		return;
	call = sync_call(shards, shard, CALL_MOVE);
	call->row_count = shard_rows(shards, shard, NULL, NULL, &call->rows);
	for (size_t i = 0; i < count; i++)
		call->targets[call->target_count++].contact = nearest[i];
	shard->handing++;
	shard_call_start(shards, call);
}

/* Another holder at random, if we are one ourselves; else they get it all. */
static void compare(struct shards *shards, struct shard *shard)
{
	struct contact nearest[SHARD_KEEPERS];
	size_t others = 0, count = shards->config.nearest(shards->config.arg, &shard->key, nearest,
							  SHARD_KEEPERS);

	for (size_t i = 0; i < count; i++) {
		if (!node_id_equal(&nearest[i].id, &shards->config.self))
			nearest[others++] = nearest[i];
	}
	if (fault_is_planted(FAULT_INDEX))
		return;
	if (others == count)
		move_away(shards, shard, nearest, others);
	else if (others)
		shard_call_start_with(shards, sync_call(shards, shard, CALL_SYNC),
				      &nearest[prng_below(&shards->prng, others)]);
}

static void report(struct shards *shards, struct shard *shard)
{
	struct shard_id parent;
	struct call *call;

	shard->report_due = mono_add_ms(shards->now, prng_jitter(&shards->prng, SHARD_REPORT_MS));
	if (shard->id.depth == 0 || shard->state == SHARD_HANDED || shard->handing)
		return;
	parent = shard_parent(&shard->id);
	call = shard_call_new(shards, CALL_REPORT, &parent);
	shard_id_copy(&shard->id, &call->origin);
	call->count = shard->state == SHARD_SPLIT ? SHARD_ROWS_MAX + 1 : (uint32_t)shard->live;
	shard_call_start(shards, call);
}

static void look_after(struct shards *shards, struct shard *shard)
{
	shard->sync_due = mono_add_ms(shards->now, prng_jitter(&shards->prng, SHARD_SYNC_MS));
	shard_expire(shards, shard);
	say_namespace(shards, shard);
	if (is_over(shards, shard)) {
		shard_forget(shards, shard);
		return;
	}
	if (shard->state == SHARD_HANDED)
		return;
	if (shard->state == SHARD_SPLIT && shard->rows.count && !shard->handing)
		hand_halves(shards, shard);
	if (mono_reached(shards->now, shard->report_due))
		report(shards, shard);
	compare(shards, shard);
}

void hold_tick(struct shards *shards)
{
	if (!mono_reached(shards->now, shards->shards_due))
		return;
	shards->shards_due = MONO_NEVER;
	map_for_each (entry, &shards->shards) {
		struct shard *shard = entry->value;
		struct mono due = shard->sync_due;

		if (mono_reached(shards->now, due)) {
			due = mono_add_ms(shards->now, SHARD_SYNC_MS * 3 / 4); /* or it is gone */
			look_after(shards, shard);
		}
		shards->shards_due = mono_min(shards->shards_due, due);
	}
}
