/* SPDX-License-Identifier: Apache-2.0 */
#include "swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/mem.h"

enum {
	READ_MS_MAX = 20000,
};

/* A message on its way, or the answer to a SHARDS_LOCATE. */
struct letter {
	struct list link;
	size_t from, to;
	struct mono due;
	bool located;
	uint64_t token;
	struct digest key;
	struct buf packet;
};

static struct contact contact_of(uint32_t n)
{
	struct contact contact = {.steward = true};

	crypto_hash_sha256(contact.id.byte, (const uint8_t *)&n, sizeof(n));
	return contact;
}

struct uid swarm_uid(uint32_t number)
{
	struct uid uid;

	memset(uid.byte, 7, UID_LEN);
	memcpy(uid.byte, &number, sizeof(number));
	return uid;
}

/* -1, 0, 1 by XOR distance. */
static int nearer(const struct digest *key, const struct digest *a, const struct digest *b)
{
	for (size_t i = 0; i < ID_LEN; i++) {
		int x = a->byte[i] ^ key->byte[i], y = b->byte[i] ^ key->byte[i];

		if (x != y)
			return x - y;
	}
	return 0;
}

size_t swarm_nearest(const struct swarm *swarm, const struct digest *key,
		     struct contact *ret_contacts, size_t max)
{
	bool taken[SWARM_MAX] = {0};
	size_t count = 0;

	while (count < max) {
		const struct swarm_machine *best = NULL;

		for (size_t i = 0; i < swarm->count; i++) {
			const struct swarm_machine *machine = &swarm->machines[i];

			if (machine->up && !taken[i] &&
			    (!best || nearer(key, &machine->position, &best->position) < 0))
				best = machine;
		}
		if (!best)
			break;
		taken[best - swarm->machines] = true;
		ret_contacts[count++] = best->contact;
	}
	return count;
}

static size_t nearest(void *arg, const struct digest *key, struct contact *ret_contacts, size_t max)
{
	return swarm_nearest(((struct swarm_machine *)arg)->swarm, key, ret_contacts, max);
}

struct shards *swarm_holder(const struct swarm *swarm, const struct contact *contact)
{
	for (size_t i = 0; i < swarm->count; i++)
		if (node_id_equal(&swarm->machines[i].contact.id, &contact->id))
			return swarm->machines[i].shards;
	return NULL;
}

static struct letter *post(struct swarm *swarm, size_t from, size_t to)
{
	struct letter *letter = mem_new(struct letter);

	letter->from = from;
	letter->to = to;
	letter->due = mono_add_ms(swarm->now, prng_jitter(&swarm->prng, SWARM_DELAY_MS));
	list_append(&swarm->letters, &letter->link);
	return letter;
}

static void send(struct swarm *swarm, size_t from, const struct shards_effect *effect)
{
	swarm->sent++;
	if (effect->message.type == MESSAGE_INDEX_ROWS)
		swarm->rows_sent += effect->message.index_rows.row_count;
	else if (effect->message.type == MESSAGE_INDEX_ANSWER)
		swarm->rows_sent += effect->message.index_answer.row_count;
	if (prng_below(&swarm->prng, 100) < swarm->loss_percent)
		return;
	for (size_t i = 0; i < swarm->count; i++) {
		if (node_id_equal(&swarm->machines[i].contact.id, &effect->to.id))
			message_encode(&effect->message, &post(swarm, from, i)->packet);
	}
}

static void note_found(struct swarm *swarm, size_t n, const struct shards_effect *effect)
{
	if (effect->token != swarm->reading || n != swarm->reader)
		return;
	swarm->found.ended = true;
	swarm->found.complete = effect->complete;
	swarm->found.count = effect->row_count;
	if (effect->row_count)
		swarm->found.first = effect->rows[0].row.uid;
}

static void drain(struct swarm *swarm, size_t n)
{
	const struct shards_effect *effect;
	struct letter *letter;

	while ((effect = shards_next_effect(swarm->machines[n].shards))) {
		switch (effect->type) {
		case SHARDS_SEND:
			send(swarm, n, effect);
			break;
		case SHARDS_LOCATE:
			letter = post(swarm, n, n);
			letter->located = true;
			letter->token = effect->token;
			letter->key = effect->key;
			break;
		case SHARDS_FOUND:
			note_found(swarm, n, effect);
			break;
		}
	}
}

static void deliver(struct swarm *swarm, const struct letter *letter)
{
	struct swarm_machine *to = &swarm->machines[letter->to];
	struct contact contacts[SHARD_KEEPERS];
	struct message message;

	if (!to->up)
		return;
	if (letter->located) {
		struct digest key = letter->key;
		size_t count;

		for (size_t i = 0; swarm->misled && i < ID_LEN; i++)
			key.byte[i] ^= UINT8_MAX;
		count = nearest(to, &key, contacts, SHARD_KEEPERS);
		swarm->located++;
		shards_located(to->shards, swarm->now, letter->token, contacts, count);
	} else if (message_decode(bytes_buf(&letter->packet), &message) == 0) {
		shards_receive(to->shards, swarm->now, &swarm->machines[letter->from].contact, true,
			       &message);
		message_deinit(&message);
	} else {
		abort();
	}
	drain(swarm, letter->to);
}

static void letter_free(struct letter *letter)
{
	list_remove(&letter->link);
	buf_deinit(&letter->packet);
	free(letter);
}

static void step(struct swarm *swarm)
{
	list_for_each_safe (it, &swarm->letters) {
		struct letter *letter = list_entry(it, struct letter, link);

		if (!mono_reached(swarm->now, letter->due))
			continue;
		deliver(swarm, letter);
		letter_free(letter);
	}
	for (size_t i = 0; i < swarm->count; i++) {
		struct swarm_machine *machine = &swarm->machines[i];

		if (machine->up && mono_reached(swarm->now, shards_deadline(machine->shards))) {
			shards_tick(machine->shards, swarm->now);
			drain(swarm, i);
		}
	}
}

/* When something happens next. */
static struct mono next(const struct swarm *swarm)
{
	struct mono at = MONO_NEVER;

	list_for_each (it, &swarm->letters)
		at = mono_min(at, list_entry(it, const struct letter, link)->due);
	for (size_t i = 0; i < swarm->count; i++) {
		if (swarm->machines[i].up)
			at = mono_min(at, shards_deadline(swarm->machines[i].shards));
	}
	return at;
}

void swarm_run_ms(struct swarm *swarm, int64_t ms)
{
	struct mono end = mono_add_ms(swarm->now, ms);

	while (mono_reached(end, next(swarm))) {
		struct mono at = next(swarm);

		if (mono_reached(at, swarm->now))
			swarm->now = at;
		step(swarm);
	}
	swarm->now = end;
}

void swarm_start(struct swarm *swarm, size_t n)
{
	struct swarm_machine *machine = &swarm->machines[n];
	struct shards_config config = {
		.self = machine->contact.id,
		.steward = true,
		.seed = prng_next(&swarm->prng),
		.nearest = nearest,
		.arg = machine,
	};

	machine->shards = shards_new(&config, swarm->now);
	machine->up = true;
}

void swarm_stop(struct swarm *swarm, size_t n)
{
	shards_free(swarm->machines[n].shards);
	swarm->machines[n].shards = NULL;
	swarm->machines[n].up = false;
}

void swarm_init(struct swarm *swarm, size_t count, uint64_t seed)
{
	*swarm = (struct swarm){.count = count, .prng = prng_seeded(seed), .now = {1000000}};
	list_init(&swarm->letters);
	for (uint32_t i = 0; i < count; i++) {
		struct swarm_machine *machine = &swarm->machines[i];

		machine->swarm = swarm;
		machine->contact = contact_of(i);
		crypto_hash_sha256(machine->position.byte, machine->contact.id.byte, ID_LEN);
		swarm_start(swarm, i);
	}
}

void swarm_deinit(struct swarm *swarm)
{
	for (size_t i = 0; i < swarm->count; i++)
		shards_free(swarm->machines[i].shards);
	list_for_each_safe (it, &swarm->letters)
		letter_free(list_entry(it, struct letter, link));
}

struct index_row swarm_row(uint32_t number, uint64_t hlc, char name[32])
{
	(void)snprintf(name, 32, "name-%u", number);
	return (struct index_row){.name = name, .uid = swarm_uid(number), .hlc = hlc};
}

void swarm_say(struct swarm *swarm, size_t n, const char *namespace, uint32_t number, uint64_t hlc)
{
	char name[32];
	struct index_row row = swarm_row(number, hlc, name);

	shards_say(swarm->machines[n].shards, swarm->now, "ConfigMap", namespace, &row);
}

void swarm_own(struct swarm *swarm, size_t n, const char *namespace, uint32_t number, uint64_t hlc)
{
	char name[32];
	struct index_row row = swarm_row(number, hlc, name);

	shards_own(swarm->machines[n].shards, swarm->now, "ConfigMap", namespace, &row);
}

void swarm_end(struct swarm *swarm, size_t n, const char *namespace, uint32_t number, uint64_t hlc)
{
	char name[32];
	struct index_row row = swarm_row(number, hlc, name);

	row.gone = true;
	shards_own(swarm->machines[n].shards, swarm->now, "ConfigMap", namespace, &row);
}

void swarm_disown(struct swarm *swarm, size_t n, const char *namespace, uint32_t number)
{
	char name[32];
	struct index_row row = swarm_row(number, 0, name);

	shards_disown(swarm->machines[n].shards, "ConfigMap", namespace, &row);
}

static struct swarm_found wait_for(struct swarm *swarm, size_t n, uint64_t token)
{
	swarm->found = (struct swarm_found){0};
	swarm->reading = token;
	swarm->reader = n;
	drain(swarm, n);
	for (int64_t ms = 0; ms < READ_MS_MAX && !swarm->found.ended; ms += 10)
		swarm_run_ms(swarm, 10);
	return swarm->found;
}

struct swarm_found swarm_find(struct swarm *swarm, size_t n, const char *namespace, uint32_t number)
{
	uint64_t token;
	char name[32];

	(void)snprintf(name, sizeof(name), "name-%u", number);
	if (shards_find(swarm->machines[n].shards, swarm->now, "ConfigMap", namespace, name,
			&token))
		abort();
	return wait_for(swarm, n, token);
}

struct swarm_found swarm_walk(struct swarm *swarm, size_t n, const char *namespace)
{
	uint64_t token;

	if (shards_walk(swarm->machines[n].shards, swarm->now, "ConfigMap", namespace, &token))
		abort();
	return wait_for(swarm, n, token);
}

struct shards_counts swarm_counts(const struct swarm *swarm)
{
	struct shards_counts all = {0};

	for (size_t i = 0; i < swarm->count; i++) {
		struct shards_counts one;

		if (!swarm->machines[i].up)
			continue;
		one = shards_counts(swarm->machines[i].shards);
		all.shards += one.shards;
		all.rows += one.rows;
		all.own += one.own;
		all.splits += one.splits;
		all.merges += one.merges;
		all.refused += one.refused;
		if (one.largest > all.largest)
			all.largest = one.largest;
	}
	return all;
}
