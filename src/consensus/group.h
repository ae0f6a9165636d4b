/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group: one replica's part in the consensus of its workload: Raft with the key space on top.
 *
 * Sans-IO, as raft.h, whose events it takes and whose duties of the caller it keeps: the writes, in
 * their order, and the messages. What raft.h calls APPLY and RESTORE happens in here, as does
 * compaction; requests are answered with what came of them.
 */
#pragma once

#include "consensus/keys.h"
#include "consensus/raft.h"

enum group_answer {
	GROUP_DONE,    /* a command: @result. A read: group_keys() may be read now. */
	GROUP_REFUSED, /* nothing happened, nor will: @refused, @leader */
	GROUP_UNKNOWN, /* it may have happened, or happen yet: try again in the same session */
};

enum group_effect_type {
	GROUP_DISK,    /* carry out @raft: SAVE, WRITE, TRUNCATE or SAVE_SNAPSHOT */
	GROUP_SEND,    /* and this: SEND */
	GROUP_ANSWER,  /* to @request */
	GROUP_ROLE,    /* @raft: ROLE */
	GROUP_MEMBERS, /* @raft: MEMBERS */
};

struct group_effect {
	enum group_effect_type type;
	const struct raft_effect *raft; /* valid until the next call of group_step() or
					 * group_next_effect() */
	uint64_t request;
	enum group_answer answer;
	struct keys_result result;
	enum raft_refused refused;
	uint64_t leader;
};

/* What a leader writes beside all it does elsewhere, so that those who store it can refuse what an
 * earlier leader sends late: it only grows. */
struct group_token {
	uint32_t epoch;
	uint64_t term;
};

struct group;

/* NULL: what is on the disk makes no sense. @compact_entries: entries between snapshots, 0: as
 * raft.h says. */
struct group *group_new(uint64_t id, uint64_t compact_entries, const struct raft_saved *saved,
			struct mono now, uint64_t random);
void group_free(struct group *group);

/* All effects of the step before must have been taken. */
void group_step(struct group *group, const struct raft_event *event);
const struct group_effect *group_next_effect(struct group *group);
struct mono group_deadline(const struct group *group);

/* As raft_serves(): with a fresh @now, at the time of the answer. */
bool group_serves(const struct group *group, struct mono now);
struct group_token group_token(const struct group *group);

/* What has been applied here. It may be old: a read that must not be asks RAFT_EVENT_READ. */
const struct keys *group_keys(const struct group *group);
const struct raft *group_raft(const struct group *group);
