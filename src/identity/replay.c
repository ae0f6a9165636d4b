/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of 16-byte keys whose entries also hang on one list per second of their timestamps.
 * Seconds that have fallen out of the window are forgotten list by list; each entry is added once
 * and removed once, so the work per message is constant.
 */
#include "identity/replay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "identity/sha256.h"

enum {
	REPLAY_KEY_LEN = 16, /* 2^64 messages until two are taken for one */
	REPLAY_CAP_MIN = 256,
	WINDOW_S = REPLAY_WINDOW_MS / MS_PER_S,
};
_Static_assert(REPLAY_SLOTS > 2 * WINDOW_S + 1, "every second of the window has its own slot");

struct replay_entry {
	uint8_t key[REPLAY_KEY_LEN];
	uint32_t next_hash; /* index + 1 of the next in the hash chain, or of the next free */
	uint32_t next_slot; /* index + 1 of the next of the same second */
};

void replay_init(struct replay *replay, const uint8_t seed[REPLAY_SEED_LEN], uint32_t max)
{
	*replay = (struct replay){.max = max ? max : REPLAY_MAX_DEFAULT, .floor_s = INT64_MIN};
	memcpy(replay->seed, seed, sizeof(replay->seed));
}

void replay_deinit(struct replay *replay)
{
	free(replay->entries);
	free(replay->heads);
	*replay = (struct replay){0};
}

static uint32_t *replay_head(const struct replay *replay, const uint8_t key[REPLAY_KEY_LEN])
{
	uint32_t hash;

	/* The key is a keyed digest already; the capacity is a power of two. */
	memcpy(&hash, key, sizeof(hash));
	return &replay->heads[hash & (replay->cap - 1)];
}

static void replay_grow(struct replay *replay)
{
	uint32_t old = replay->cap, cap = old ? old * 2 : REPLAY_CAP_MIN;

	replay->entries = mem_resize(replay->entries, cap, sizeof(*replay->entries));
	free(replay->heads);
	replay->heads = mem_alloc(cap, sizeof(*replay->heads));
	replay->cap = cap;
	/* Only a full table grows, so all old entries are in use. */
	for (uint32_t i = 0; i < old; i++) {
		uint32_t *head = replay_head(replay, replay->entries[i].key);

		replay->entries[i].next_hash = *head;
		*head = i + 1;
	}
	for (uint32_t i = cap; i-- > old;) {
		replay->entries[i].next_hash = replay->free_head;
		replay->free_head = i + 1;
	}
}

static void replay_unhash(struct replay *replay, uint32_t index)
{
	uint32_t *at = replay_head(replay, replay->entries[index].key);

	while (*at != index + 1) {
		assert(*at != 0);
		at = &replay->entries[*at - 1].next_hash;
	}
	*at = replay->entries[index].next_hash;
}

static void replay_forget_slot(struct replay *replay, uint32_t *slot)
{
	while (*slot) {
		uint32_t index = *slot - 1;
		struct replay_entry *entry = &replay->entries[index];

		*slot = entry->next_slot;
		replay_unhash(replay, index);
		entry->next_hash = replay->free_head;
		replay->free_head = index + 1;
		replay->count--;
	}
}

static uint32_t *replay_slot(struct replay *replay, int64_t second)
{
	return &replay->slots[(uint64_t)second % REPLAY_SLOTS];
}

/* Forget the seconds that nothing acceptable at @now can lie in. */
static void replay_advance(struct replay *replay, struct wall now)
{
	int64_t floor_s = (now.ms - REPLAY_WINDOW_MS) / MS_PER_S;

	if (floor_s <= replay->floor_s)
		return;
	if (replay->floor_s == INT64_MIN || floor_s - replay->floor_s >= REPLAY_SLOTS) {
		for (size_t i = 0; i < REPLAY_SLOTS; i++)
			replay_forget_slot(replay, &replay->slots[i]);
	} else {
		for (int64_t s = replay->floor_s; s < floor_s; s++)
			replay_forget_slot(replay, replay_slot(replay, s));
	}
	replay->floor_s = floor_s;
}

static struct digest replay_key(const struct replay *replay, const struct digest *issuer,
				const uint8_t *nonce)
{
	uint8_t text[REPLAY_SEED_LEN + ID_LEN];

	memcpy(text, replay->seed, REPLAY_SEED_LEN);
	memcpy(text + REPLAY_SEED_LEN, issuer->byte, ID_LEN);
	return sha256_pair(bytes_of(text, sizeof(text)), bytes_of(nonce, REPLAY_NONCE_LEN));
}

static bool replay_has(const struct replay *replay, const uint8_t *key)
{
	uint32_t at;

	if (replay->cap == 0)
		return false;
	at = *replay_head(replay, key);
	while (at && memcmp(replay->entries[at - 1].key, key, REPLAY_KEY_LEN) != 0)
		at = replay->entries[at - 1].next_hash;
	return at != 0;
}

static void replay_add(struct replay *replay, const uint8_t *key, int64_t second)
{
	struct replay_entry *entry;
	uint32_t index, *head, *slot = replay_slot(replay, second);

	if (!replay->free_head)
		replay_grow(replay);
	index = replay->free_head - 1;
	entry = &replay->entries[index];
	replay->free_head = entry->next_hash;
	head = replay_head(replay, key);
	memcpy(entry->key, key, REPLAY_KEY_LEN);
	entry->next_hash = *head;
	entry->next_slot = *slot;
	*head = *slot = index + 1;
	replay->count++;
}

/* Is the timestamp acceptable, whoever it is from? */
static int replay_judge(const struct replay *replay, struct wall at, struct wall now)
{
	if (at.ms < now.ms - REPLAY_WINDOW_MS || at.ms / MS_PER_S < replay->floor_s)
		return REPLAY_E_STALE;
	return at.ms > now.ms + REPLAY_WINDOW_MS ? REPLAY_E_FUTURE : 0;
}

int replay_admit(struct replay *replay, const struct digest *issuer,
		 const uint8_t nonce[REPLAY_NONCE_LEN], struct wall at, struct wall now)
{
	struct digest key;
	int r;

	assert(now.ms >= 0);
	replay_advance(replay, now);
	r = replay_judge(replay, at, now);
	if (r == 0) {
		key = replay_key(replay, issuer, nonce);
		r = replay_has(replay, key.byte)   ? REPLAY_E_SEEN
		    : replay->count >= replay->max ? REPLAY_E_FULL
						   : 0;
	}
	if (r) {
		replay->refused[r]++;
		return r;
	}
	replay_add(replay, key.byte, at.ms / MS_PER_S);
	return 0;
}
