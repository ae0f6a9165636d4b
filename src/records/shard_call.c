/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls: one question to the holders of a shard, and what they answered.
 *
 *	waiting --a place is free--> locating --> asked --all answered, or late--> ended
 *
 * The holders are looked up, or remembered from a call before. A call that nobody has answered is
 * asked again of whom a new lookup finds, SHARD_ATTEMPTS times in all. What a call's end means is
 * the business of who made it: own, hold, read.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "records/shard_internal.h"

struct call *shard_call_new(struct shards *shards, enum call_purpose purpose,
			    const struct shard_id *shard)
{
	struct call *call = mem_new(struct call);

	call->request = ++shards->request;
	call->purpose = purpose;
	shard_id_copy(shard, &call->shard);
	list_init(&call->link);
	return call;
}

void shard_call_add(struct call *call, const struct index_row *row)
{
	call->rows = mem_resize(call->rows, call->row_count + 1, sizeof(*call->rows));
	index_row_copy(row, &call->rows[call->row_count++]);
}

void shard_call_free(struct shards *shards, struct call *call)
{
	(void)map_remove(&shards->calls, bytes_of(&call->request, sizeof(call->request)));
	list_remove(&call->link);
	shard_id_deinit(&call->shard);
	shard_id_deinit(&call->origin);
	index_rows_free(call->rows, call->row_count);
	free(call);
}

static void call_ended(struct shards *shards, struct call *call)
{
	if (call->purpose == CALL_ASK)
		read_ended(shards, call);
	else if (call->purpose == CALL_WRITE)
		own_ended(shards, call);
	else
		hold_ended(shards, call);
	shard_call_free(shards, call);
}

/* The rows are lent to the message and given back by clearing it: encoding is the caller's. */
static void rows_fill(const struct call *call, struct index_rows *rows)
{
	const struct index_rows lent = {
		.request = call->request,
		.shard = call->purpose == CALL_REPORT ? call->origin : call->shard,
		.purpose = call->purpose == CALL_WRITE    ? INDEX_WRITE
			   : call->purpose == CALL_REPORT ? INDEX_REPORT
							  : INDEX_COPY,
		.rows = call->rows,
		.row_count = call->row_count,
		.made = call->made,
		.split = call->is_split,
		.count = call->count,
		.fold = call->fold,
	};
	struct message from = {.type = MESSAGE_INDEX_ROWS, .index_rows = lent}, to;

	message_copy(&from, &to);
	*rows = to.index_rows;
}

static void call_send(struct shards *shards, const struct call *call, const struct contact *to)
{
	struct message *message;

	if (call->purpose != CALL_ASK) {
		message = shards_send(shards, to, MESSAGE_INDEX_ROWS);
		rows_fill(call, &message->index_rows);
		return;
	}
	if (!call->read)
		return; /* it was answered without this */
	message = shards_send(shards, to, MESSAGE_INDEX_ASK);
	message->index_ask.request = call->request;
	shard_id_copy(&call->shard, &message->index_ask.shard);
	message->index_ask.name = mem_strdup(call->read->name ? call->read->name : "");
}

static void call_ask_all(struct shards *shards, struct call *call)
{
	call->located = true;
	call->started = shards->now;
	for (size_t i = 0; i < call->target_count; i++)
		call_send(shards, call, &call->targets[i].contact);
}

static void call_targets(struct call *call, const struct contact *contacts, size_t count)
{
	/* A second question goes to all of them: the nearest have not answered. */
	size_t max = call->purpose == CALL_ASK && call->attempt == 0 ? SHARD_READS : SHARD_KEEPERS;

	call->target_count = 0;
	for (size_t i = 0; i < count && i < max; i++)
		call->targets[call->target_count++] = (struct target){.contact = contacts[i]};
}

static struct place *place_find(struct shards *shards, const struct shard_id *shard)
{
	struct buf text = {0};
	struct place *place;

	shard_text(shard, &text);
	place = map_get(&shards->places, bytes_buf(&text));
	if (place && mono_reached(shards->now, place->known_until)) {
		(void)map_remove(&shards->places, bytes_buf(&text));
		free(place);
		place = NULL;
	}
	buf_deinit(&text);
	return place;
}

static void place_forget(struct shards *shards, const struct shard_id *shard)
{
	struct place *place = place_find(shards, shard);

	if (place)
		place->until = place->known_until = shards->now;
}

void shard_place_note(struct shards *shards, const struct shard_id *shard,
		      const struct contact *contacts, size_t count, struct mono until,
		      struct mono known_until)
{
	struct place *place = mem_new(struct place);
	struct buf text = {0};

	if (shards->places.count >= SHARD_PLACES_MAX) {
		map_for_each (entry, &shards->places) {
			free(map_remove(&shards->places, bytes_of(entry->key, entry->key_len)));
			break; /* the oldest */
		}
	}
	for (size_t i = 0; i < count && i < SHARD_KEEPERS; i++)
		place->contacts[place->count++] = contacts[i];
	place->until = until;
	place->known_until = known_until;
	shard_text(shard, &text);
	free(map_put(&shards->places, bytes_buf(&text), place));
	buf_deinit(&text);
}

static bool place_serves(const struct shards *shards, const struct place *place,
			 const struct call *call)
{
	bool again = call->purpose == CALL_WRITE && !call->anew;

	return place && (again || !mono_reached(shards->now, place->until));
}

static void call_locate(struct shards *shards, struct call *call)
{
	const struct place *place = place_find(shards, &call->shard);
	struct shards_effect *effect;

	call->started = shards->now;
	if (place_serves(shards, place, call)) {
		call_targets(call, place->contacts, place->count);
		call_ask_all(shards, call);
		return;
	}
	effect = &shards_queue(shards, SHARDS_LOCATE)->effect;
	effect->token = call->request;
	effect->key = shard_key(&call->shard);
}

static void call_begin(struct shards *shards, struct call *call)
{
	list_remove(&call->link);
	list_append(&shards->active, &call->link);
	shards->active_count++;
	(void)map_put(&shards->calls, bytes_of(&call->request, sizeof(call->request)), call);
	if (call->target_count)
		call_ask_all(shards, call);
	else
		call_locate(shards, call);
}

static void calls_pump(struct shards *shards)
{
	while (shards->active_count < SHARD_CALLS_MAX && !list_is_empty(&shards->waiting)) {
		shards->waiting_count--;
		call_begin(shards, list_first(&shards->waiting, struct call, link));
	}
}

void shard_call_start(struct shards *shards, struct call *call)
{
	if (shards->waiting_count >= SHARD_WAITING_MAX) {
		call_ended(shards, call);
		return;
	}
	shards->waiting_count++;
	list_append(&shards->waiting, &call->link);
	calls_pump(shards);
}

void shard_call_start_with(struct shards *shards, struct call *call, const struct contact *target)
{
	call_targets(call, target, 1);
	shard_call_start(shards, call);
}

static void call_finish(struct shards *shards, struct call *call)
{
	shards->active_count--;
	list_remove(&call->link);
	call_ended(shards, call);
	calls_pump(shards);
}

/* Nobody has answered: once more, or that was it. */
static void call_retry(struct shards *shards, struct call *call)
{
	bool chosen = call->purpose == CALL_SYNC || call->purpose == CALL_COPY ||
		      call->purpose == CALL_MOVE;

	place_forget(shards, &call->shard);
	if (chosen || ++call->attempt >= SHARD_ATTEMPTS) {
		call_finish(shards, call);
		return;
	}
	call->located = false;
	call->target_count = 0;
	call_locate(shards, call);
}

void shards_located(struct shards *shards, struct mono now, uint64_t token,
		    const struct contact *contacts, size_t count)
{
	struct call *call = map_get(&shards->calls, bytes_of(&token, sizeof(token)));

	shards->now = now;
	if (!call || call->located || count == 0)
		return; /* none: it is asked again when it is late */
	shard_place_note(shards, &call->shard, contacts, count, mono_add_ms(now, SHARD_PLACE_MS),
			 mono_add_ms(now, SHARD_HOLDERS_MS));
	call_targets(call, contacts, count);
	call_ask_all(shards, call);
}

static void count_answer(struct call *call, enum index_outcome outcome)
{
	call->answered++;
	call->ok += outcome == INDEX_OK || outcome == INDEX_DIFFERS;
	call->split += outcome == INDEX_SPLIT;
	call->unknown += outcome == INDEX_UNKNOWN;
	call->merged += outcome == INDEX_MERGED;
}

void calls_answer(struct shards *shards, const struct contact *from,
		  const struct index_answer *answer)
{
	struct call *call =
		map_get(&shards->calls, bytes_of(&answer->request, sizeof(answer->request)));

	for (size_t i = 0; call && i < call->target_count; i++) {
		struct target *target = &call->targets[i];

		if (!node_id_equal(&target->contact.id, &from->id) ||
		    target->state == TARGET_ANSWERED)
			continue;
		target->state = TARGET_ANSWERED;
		count_answer(call, answer->outcome);
		if (call->purpose == CALL_ASK)
			read_answered(shards, call, answer);
		else if (call->purpose == CALL_SYNC && answer->outcome == INDEX_DIFFERS)
			hold_differs(shards, call, &target->contact, answer);
		if (call->answered == call->target_count)
			call_finish(shards, call);
		return;
	}
}

static struct mono call_deadline(const struct call *call)
{
	return mono_add_ms(call->started, call->answered ? SHARD_ANSWER_MS : SHARD_SLOW_MS);
}

void calls_tick(struct shards *shards)
{
	/* One that ends may begin others, which are not late. */
	list_for_each_safe (it, &shards->active) {
		struct call *call = list_entry(it, struct call, link);

		if (!mono_reached(shards->now, call_deadline(call)))
			continue;
		if (call->answered) {
			place_forget(shards, &call->shard); /* some have not */
			call_finish(shards, call);
		} else {
			call_retry(shards, call);
		}
	}
}

struct mono calls_deadline(const struct shards *shards)
{
	struct mono deadline = MONO_NEVER;

	list_for_each (it, &shards->active)
		deadline =
			mono_min(deadline, call_deadline(list_entry(it, const struct call, link)));
	return deadline;
}

void calls_deinit(struct shards *shards)
{
	list_for_each_safe (it, &shards->waiting)
		shard_call_free(shards, list_entry(it, struct call, link));
	list_for_each_safe (at, &shards->active)
		shard_call_free(shards, list_entry(at, struct call, link));
	map_for_each (entry, &shards->places)
		free(entry->value);
	map_deinit(&shards->places);
	map_deinit(&shards->calls);
}
