/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay: has this message been seen before, and is its timestamp acceptable at all?
 *
 * A timestamp is acceptable within REPLAY_WINDOW_MS of fabric time, either way. What was admitted
 * is remembered until its timestamp is not acceptable any more (to the second, never less), so
 * nothing can be admitted twice. If fabric time steps back, what has been forgotten stays refused.
 *
 * O(1) per message. Memory: at most @max entries of 24 bytes and as many 4-byte heads, grown by
 * doubling. When full, new messages are refused and counted rather than old ones forgotten: every
 * entry was signed by a member within the last minute, so a full table means a member that floods,
 * and the default holds 1,000 messages a second for the whole window.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"
#include "base/time.h"

enum {
	REPLAY_WINDOW_MS = 30 * 1000,
	REPLAY_SLOTS = 64, /* seconds remembered: twice the window and the one in progress */
	REPLAY_MAX_DEFAULT = 65536, /* 60 s of 1,000 messages/s, 1.8 MiB */
	REPLAY_NONCE_LEN = 16,
	REPLAY_SEED_LEN = 16,
};

enum replay_result {
	_REPLAY_E_OK,
	REPLAY_E_STALE,  /* timestamp too old */
	REPLAY_E_FUTURE, /* timestamp too far ahead */
	REPLAY_E_SEEN,   /* a replay */
	REPLAY_E_FULL,
	_REPLAY_E_COUNT,
};

struct replay_entry; /* private */

struct replay {
	uint8_t seed[REPLAY_SEED_LEN];
	struct replay_entry *entries;
	uint32_t *heads; /* hash chains: index + 1, 0 = empty */
	uint32_t cap, max, count, free_head;
	uint32_t slots[REPLAY_SLOTS]; /* entries by the second of their timestamp: index + 1 */
	int64_t floor_s;              /* seconds before this one have been forgotten */
	uint64_t refused[_REPLAY_E_COUNT];
};

/* @seed: random, so that nobody can aim at one hash chain. @max: entries, 0 for the default. */
void replay_init(struct replay *replay, const uint8_t seed[REPLAY_SEED_LEN], uint32_t max);
void replay_deinit(struct replay *replay);

/*
 * Admit the message of @issuer with @nonce and timestamp @at, at fabric time @now: 0 the first
 * time, else REPLAY_E_*. Check the signature before: only then is the issuer known to be one.
 */
_must_use_ int replay_admit(struct replay *replay, const struct digest *issuer,
			    const uint8_t nonce[REPLAY_NONCE_LEN], struct wall at, struct wall now);
