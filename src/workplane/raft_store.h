/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raft store: what a member of a group must not forget (consensus/raft.h), in LMDB.
 *
 * Writes are collected while the loop turns and committed together, one transaction and one flush,
 * on a worker thread, in their order; the caller hears of each commit. The files are opened while
 * the agent still has a root directory, and belong to one process: a second one is refused.
 *
 * When a write fails (a full disk), nothing of it and of what came after it is there, and nothing
 * more is taken: the member has to begin anew from what raft_store_load() finds. If LMDB itself
 * gives up, that finds nothing either, and only a new process can open the files again.
 *
 * With the files a member loses its id: raft_store_id() is drawn at random when they are made.
 */
#pragma once

#include "consensus/raft.h"
#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"

enum {
	/* Address space and the size of the file: log and snapshot at their limits, each twice
	 * while one is replaced, and what LMDB adds. */
	RAFT_STORE_MAP_BYTES = 64 << 20,
};

struct raft_store;

struct raft_store_handler {
	/* Everything up to the write of this number is on the disk. */
	void (*durable)(void *user, uint64_t write);
	/* Nothing is taken any more; see raft_store_load(). */
	void (*failed)(void *user, const char *text);
	void *user;
};

/* @dir exists, and is this member's alone. -EBUSY: another process has it open. */
_must_use_ int raft_store_open(struct loop *loop, const char *dir,
			       const struct raft_store_handler *handler,
			       struct raft_store **ret_store, struct err *err);

/* Waits for the commit under way, so not from a callback of the loop; what has not begun is
 * dropped. NULL is accepted. */
void raft_store_close(struct raft_store *store);

/* Forget everything, the id as well: a new one is drawn. For a member that has left, whose id never
 * comes back. -EBUSY: a write is under way, of which the caller will hear. */
_must_use_ int raft_store_renew(struct raft_store *store, struct err *err);

uint64_t raft_store_id(const struct raft_store *store);

/* What is on the disk; valid until the next call of this or raft_store_release(). Not while a write
 * is under way; after a failure, writes are taken again from here on. */
_must_use_ int raft_store_load(struct raft_store *store, struct raft_saved *ret_saved,
			       struct err *err);
void raft_store_release(struct raft_store *store);

/* Carry out a RAFT_SAVE, WRITE, TRUNCATE or SAVE_SNAPSHOT; copied. */
void raft_store_write(struct raft_store *store, const struct raft_effect *effect);
