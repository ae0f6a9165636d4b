/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys: the state that a group agrees on: small values and Leases, each with a version.
 *
 * A pure function of the log: the same entries make the same state everywhere. A version is the
 * index of the entry that wrote it, so it only grows, and is a resourceVersion. Each change is
 * conditional (this version, none at all, or any), so that clients build what they need of it.
 *
 * Retries: a client opens a session (its id is the index of the entry that made it) and numbers its
 * commands. The last command of a session is remembered with what came of it, so that it happens
 * once however often it is sent. One command of a session is open at a time. Sessions are bounded:
 * the one that was not used longest goes, and its client learns that from KEYS_EXPIRED: what it
 * last sent may have happened or not.
 *
 * Ownership: everything is copied. What is returned is valid until the next change.
 */
#pragma once

#include "wire/consensus.h"

enum {
	KEYS_CHANGES_MAX = 256, /* remembered for watches, in 70 KB; who is further behind reads
				 * anew */
};

enum keys_outcome {
	KEYS_DONE,
	KEYS_CONFLICT, /* there is another version; it is told */
	KEYS_ABSENT,   /* there is none, and one was expected or to be deleted */
	KEYS_FULL,     /* a limit is reached */
	KEYS_EXPIRED,  /* the session is not known */
	KEYS_STALE,    /* the session has sent a later command */
	KEYS_INVALID,  /* no command that we know */
	KEYS_OUTCOME_COUNT,
};

struct keys_result {
	enum keys_outcome outcome;
	uint64_t version; /* DONE: written, or of the deletion, or the session's id. CONFLICT: there
			   */
};

struct keys_change {
	uint64_t version;
	enum keys_kind kind;
	bool gone;
	uint8_t name_len;
	char name[KEYS_NAME_MAX]; /* not terminated */
};

struct keys;

struct keys *keys_new(void);
void keys_free(struct keys *keys);

/* One agreed command. Never fails for what it says: that is an outcome. */
struct keys_result keys_apply(struct keys *keys, uint64_t index, struct bytes command);

/* NULL: there is none. */
const struct keys_item *keys_find(const struct keys *keys, enum keys_kind kind, struct bytes name);

/* All of a kind in order of their names: from @*position (0) on, NULL at the end. */
const struct keys_item *keys_next(const struct keys *keys, enum keys_kind kind, size_t *position);

/* The first change after version @after; NULL: none. False: some are not known any more; read all,
 * and watch from keys_index() on. */
bool keys_changed(const struct keys *keys, uint64_t after, const struct keys_change **ret_change);

/* The last entry that was applied, or that a snapshot stands for. */
uint64_t keys_index(const struct keys *keys);

/* Entries that are no commands move the index, too. */
void keys_skip(struct keys *keys, uint64_t index);

/* A snapshot: appended to @out. Loading replaces everything; an enum message_result. */
void keys_save(const struct keys *keys, struct buf *out);
_must_use_ int keys_load(struct keys *keys, struct bytes snapshot);

size_t keys_count(const struct keys *keys);
size_t keys_session_count(const struct keys *keys);
