/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of the index in any order, driven by the input: rows, questions and answers from a small
 * space of shards and names, with machines that come near and go, and messages as bytes to be
 * decoded.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "records/shard.h"

enum {
	MACHINES = 7,
	STEPS_MAX = 1000,
	ROWS = 40,
	RECENT = 16,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct script {
	const uint8_t *at;
	size_t left;
	struct shards *shards;
	struct mono now;
	uint8_t far; /* machines that are nearer than we */
	uint64_t requests[RECENT], locates[RECENT];
	size_t asked, located;
};

static char kind[] = "ConfigMap";
static char namespaces[][8] = {"default", "a", "*", ""};

static uint8_t next_byte(struct script *script)
{
	if (script->left == 0)
		return 0;
	script->left--;
	return *script->at++;
}

static struct contact machine(uint8_t n)
{
	struct contact contact = {.steward = true};

	memset(contact.id.byte, 1 + n % MACHINES, sizeof(contact.id.byte));
	return contact;
}

static size_t nearest(void *arg, const struct digest *key, struct contact *ret_contacts, size_t max)
{
	const struct script *script = arg;
	size_t count = 0;

	(void)key;
	for (uint8_t i = script->far; i < MACHINES && count < max; i++)
		ret_contacts[count++] = machine(i);
	return count;
}

static struct index_row next_row(struct script *script, char name[16])
{
	uint8_t n = next_byte(script), flags = next_byte(script);
	struct index_row row = {.name = name, .hlc = flags >> 4, .gone = flags & 1};

	(void)snprintf(name, 16, "n%u", (unsigned)n * (flags & 2 ? 1 : 7));
	memset(row.uid.byte, 1 + n, UID_LEN);
	row.age_s = flags & 4 ? 10000 : flags;
	return row;
}

static struct shard_id next_shard(struct script *script)
{
	uint8_t n = next_byte(script);
	struct shard_id shard = {kind, namespaces[n & 3], n >> 4 & 3, 0};

	if (shard.depth)
		shard.prefix = (uint32_t)next_byte(script) << 24 & ~(UINT32_MAX >> shard.depth);
	return shard;
}

static void receive_rows(struct script *script, uint8_t n)
{
	static char names[ROWS][16];
	struct index_row rows[ROWS];
	struct contact from = machine(n);
	struct message message = {.type = MESSAGE_INDEX_ROWS};
	struct index_rows *to = &message.index_rows;

	to->request = n;
	to->shard = next_shard(script);
	to->purpose = (enum index_purpose)(next_byte(script) % 3);
	to->made = n & 1;
	to->split = n & 2;
	to->count = (uint32_t)next_byte(script) * 8;
	to->rows = rows;
	to->row_count = next_byte(script) % (ROWS + 1);
	for (size_t i = 0; i < to->row_count; i++)
		rows[i] = next_row(script, names[i]);
	shards_receive(script->shards, script->now, &from, !(n & 64), &message);
}

static void receive_answer(struct script *script, uint8_t n)
{
	char name[16];
	struct index_row row = next_row(script, name);
	struct contact from = machine(n);
	struct message message = {
		.type = MESSAGE_INDEX_ANSWER,
		.index_answer = {script->requests[n % RECENT],
				 (enum index_outcome)(next_byte(script) % (INDEX_MERGED + 1)), &row,
				 n & 1},
	};

	shards_receive(script->shards, script->now, &from, true, &message);
}

static void receive_bytes(struct script *script, uint8_t n)
{
	size_t len = next_byte(script);
	struct contact from = machine(n);
	struct message message;

	if (len > script->left)
		len = script->left;
	if (message_decode(bytes_of(script->at, len), &message) == 0) {
		shards_receive(script->shards, script->now, &from, true, &message);
		message_deinit(&message);
	}
	script->at += len;
	script->left -= len;
}

static void locate(struct script *script, uint8_t n)
{
	struct contact contacts[MACHINES];
	size_t count = nearest(script, NULL, contacts, SHARD_KEEPERS);

	shards_located(script->shards, script->now, script->locates[n % RECENT], contacts,
		       n & 128 ? 0 : count);
}

static void read_some(struct script *script, uint8_t n)
{
	uint64_t token;
	char name[16];

	(void)snprintf(name, sizeof(name), "n%u", n);
	if (n & 1)
		(void)!shards_find(script->shards, script->now, kind, namespaces[0], name, &token);
	else
		(void)!shards_walk(script->shards, script->now, kind,
				   n & 2 ? NULL : namespaces[n >> 2 & 3], &token);
}

static void own_some(struct script *script, uint8_t n)
{
	char name[16];
	struct index_row row = next_row(script, name);

	if (n & 1)
		shards_own(script->shards, script->now, kind, namespaces[n >> 1 & 3], &row);
	else
		shards_disown(script->shards, kind, namespaces[n >> 1 & 3], &row);
}

static void step(struct script *script)
{
	uint8_t operation = next_byte(script), n = next_byte(script);

	switch (operation % 9) {
	case 0:
	case 1:
		receive_rows(script, n);
		return;
	case 2:
		receive_answer(script, n);
		return;
	case 3:
		receive_bytes(script, n);
		return;
	case 4:
	case 5:
		locate(script, n);
		return;
	case 6:
		read_some(script, n);
		return;
	case 7:
		own_some(script, n);
		return;
	default:
		script->far = n % 3;
		script->now = mono_add_ms(script->now, (int64_t)n * n * 20);
		shards_tick(script->shards, script->now);
	}
}

/* Every effect can be carried out, and no limit is broken. */
static void check(struct script *script)
{
	const struct shards_effect *effect;
	struct shards_counts counts = shards_counts(script->shards);
	struct buf encoded = {0};

	while ((effect = shards_next_effect(script->shards))) {
		buf_clear(&encoded);
		if (effect->type == SHARDS_LOCATE)
			script->locates[script->located++ % RECENT] = effect->token;
		if (effect->type != SHARDS_SEND)
			continue;
		message_encode(&effect->message, &encoded);
		if (effect->message.type == MESSAGE_INDEX_ROWS)
			script->requests[script->asked++ % RECENT] =
				effect->message.index_rows.request;
		else if (effect->message.type == MESSAGE_INDEX_ASK)
			script->requests[script->asked++ % RECENT] =
				effect->message.index_ask.request;
	}
	buf_deinit(&encoded);
	assert(counts.largest <= SHARD_HOLD_MAX && counts.shards <= SHARD_COUNT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct script script = {.at = data, .left = len};
	struct shards_config config = {
		.self = machine(0).id,
		.steward = true,
		.seed = 1,
		.nearest = nearest,
		.arg = &script,
	};

	script.shards = shards_new(&config, script.now);
	for (size_t i = 0; i < STEPS_MAX && script.left > 0; i++) {
		step(&script);
		check(&script);
	}
	shards_free(script.shards);
	return 0;
}
