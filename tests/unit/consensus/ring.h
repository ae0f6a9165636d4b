/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ring: a few members in one process, on a clock that only the test moves. Messages arrive in the
 * order they were sent; disks write at once and say so at once, unless the test holds them back.
 */
#pragma once

#include "consensus/group.h"

enum {
	RING_MAX = 5,
	RING_ANSWERS_MAX = 32,
	RING_ENTRIES_MAX = 4096,
};

struct ring_answer {
	uint64_t request;
	enum group_answer answer;
	struct keys_result result;
	enum raft_refused refused;
};

struct ring_member {
	uint64_t id;
	struct group *group; /* NULL: it is down */
	struct raft_saved saved;
	struct raft_entry *entries;
	uint64_t write;        /* the last one that was made */
	bool disk_held;        /* nothing is said to be durable */
	bool silent[RING_MAX]; /* what it sends there is lost */
	enum raft_role role;
	size_t sent;
};

struct ring_message {
	size_t from, to;
	struct buf bytes;
};

struct ring {
	struct ring_member members[RING_MAX];
	size_t count;
	struct mono now;
	struct ring_message *queue;
	size_t queued, queue_cap;
	struct ring_answer answers[RING_ANSWERS_MAX];
	size_t answer_count;
	uint64_t random;
};

/* @count members with empty disks; the first is born with the others, or alone. */
void ring_init(struct ring *ring, size_t count);
void ring_deinit(struct ring *ring);
void ring_birth(struct ring *ring, size_t member);

/* Members 0..@count-1 are voters, 0 leads. */
void ring_form(struct ring *ring, size_t count);

/* One event to one member; what follows from it stays in the queue until ring_settle(). */
void ring_event(struct ring *ring, size_t member, struct raft_event event);
void ring_settle(struct ring *ring);               /* deliver until nothing moves */
void ring_pass(struct ring *ring, int64_t ms);     /* in steps, with all that happens */
void ring_flush(struct ring *ring, size_t member); /* the disk says that all is written */
void ring_stop(struct ring *ring, size_t member);
void ring_start(struct ring *ring, size_t member); /* from its disk */
void ring_cut(struct ring *ring, size_t from, size_t to, bool cut);
void ring_isolate(struct ring *ring, size_t member, bool cut);

void ring_join(struct ring *ring, size_t leader, size_t member, uint32_t ordinal, uint32_t epoch);
void ring_put(struct ring *ring, size_t member, uint64_t request, const char *name,
	      const char *value);
void ring_read(struct ring *ring, size_t member, uint64_t request);

/* The answer to @request, which must be there. */
struct ring_answer ring_answer(const struct ring *ring, uint64_t request);
bool ring_is_answered(const struct ring *ring, uint64_t request);
struct raft_view ring_view(const struct ring *ring, size_t member);
size_t ring_leader(const struct ring *ring); /* RING_MAX: none, or more than one */
bool ring_has(const struct ring *ring, size_t member, const char *name, const char *value);
