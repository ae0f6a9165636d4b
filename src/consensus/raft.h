/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raft: one member of a group that agrees on one log, after Ongaro's dissertation (2014).
 *
 * Sans-IO: raft_step() takes what happened and notes what has to be done; the caller carries the
 * effects out in their order. Nothing here reads a clock, draws a number or touches a disk. It is a
 * core of our own because libraft, measured, missed elections without a cause that was found, calls
 * back through a function that its headers do not have, and is packaged without its assertions.
 *
 * What is written: each write has a number, in order. The caller brings them to the disk in that
 * order and says how far it is (RAFT_EVENT_DURABLE); a later number stands for all before it. What
 * depends on a write (a vote, an acknowledgement) is not sent before. After a crash raft_new() is
 * given what the disk has, which may lack any number of the last writes that were not yet durable.
 * A member whose disk is lost must never come back under its id: it begins with a new one, as a
 * learner.
 *
 * Time: struct mono must be a clock that never jumps and that counts time asleep. The rates of two
 * members' clocks may differ by RAFT_DRIFT_PERMILLE; leases rest on it.
 *
 * The rules beyond Figure 3.1, with the sections that they are from:
 * - Pre-vote (9.6): no term is begun before a majority would vote for it.
 * - Who has heard of a leader within its timeout votes for nobody (4.2.3). The leader names that
 *   timeout in its messages, so that it may follow the round trip; a restarted member keeps the
 *   promise of before, for the longest timeout that it has on its disk.
 * - A leader that does not reach a majority steps down (6.2).
 * - Leases (6.4.1): a leader serves alone while a majority must still be keeping that promise;
 *   else it asks them first (6.4). A leader's wish that its successor should stand (3.10) frees
 *   voters from what they promised before it, and from nothing they promise later.
 * - Members change one at a time (4.1), by entries of the log that hold once they are written, not
 *   before an entry of the own term is committed. New ones are learners until they have the log
 *   (4.2.1). An ordinal belongs to one member: a later instance (a higher epoch of the ordinal)
 *   takes the place of the earlier one in one entry.
 * - A leader counts its own disk as one of many (10.2.1).
 *
 * Ours: epochs. When a majority is lost for good, an operator makes a survivor go on alone under a
 * higher epoch (RAFT_EVENT_RECOVER). Every message names the epoch and the group's cluster; members
 * of an older epoch are refused, told, and stop. A message of another cluster is dropped: so a
 * second birth cannot mix with the first.
 *
 * Limits: the log holds RAFT_LOG_ENTRIES_MAX entries and RAFT_LOG_BYTES_MAX bytes, then proposals
 * are refused until there is a snapshot; to a peer at most RAFT_INFLIGHT_BYTES are on their way.
 */
#pragma once

#include "base/time.h"
#include "wire/consensus.h"

enum {
	RAFT_TIMEOUT_MS = 150,    /* election timeout: 150 to 300 ms on a LAN; grows with */
	RAFT_TIMEOUT_ROUNDS = 10, /* round trips, so that a late answer is no lost one */
	RAFT_HEARTBEATS = 3,      /* per timeout: 50 ms; two may be lost */
	RAFT_DRIFT_PERMILLE = 50, /* a crystal is wrong by 0.1, NTP slews by 0.5, and the clock of
				   * a virtual machine stutters */
	RAFT_VOTERS_MAX = 7,      /* more make it slower and no safer */
	RAFT_LOG_ENTRIES_MAX = 8192,
	RAFT_LOG_BYTES_MAX = 4 << 20,
	RAFT_COMPACT_ENTRIES = 1024,     /* since the last snapshot: time for another, */
	RAFT_COMPACT_BYTES = 1 << 20,    /* or so many bytes in the log */
	RAFT_LOG_KEEP = 128,             /* entries behind a snapshot, for who is a little late */
	RAFT_UNCOMMITTED_MAX = 1024,     /* entries; more waiting makes each wait longer */
	RAFT_INFLIGHT_MAX = 16,          /* messages with entries on their way to a peer, */
	RAFT_INFLIGHT_BYTES = 256 << 10, /* and bytes: what a LAN takes in a round trip */
	RAFT_CAUGHT_UP = 32,             /* entries that a learner may lack to become a voter */
	RAFT_HELD_MAX = 64,              /* answers that wait for the disk; more are lost */
	RAFT_READS_MAX = 1024,           /* reads that wait for a round */
	RAFT_ROUNDS_MAX = 64,            /* remembered; older answers tell nothing */
};

enum raft_role {
	RAFT_FOLLOWER,
	RAFT_PRECANDIDATE,
	RAFT_CANDIDATE,
	RAFT_LEADER,
	RAFT_REMOVED,    /* by the group: over */
	RAFT_SUPERSEDED, /* the group goes on under a higher epoch: over */
};

/* What was found on the disk. All zero: an empty one. Borrowed by raft_new(). */
struct raft_saved {
	struct raft_meta meta;
	struct raft_snapshot snapshot;
	uint64_t first; /* index of entries[0]; not more than snapshot.index + 1 */
	const struct raft_entry *entries;
	size_t entry_count;
};

enum raft_event_type {
	RAFT_EVENT_TICK, /* raft_deadline() was reached */
	RAFT_EVENT_MESSAGE,
	RAFT_EVENT_DURABLE,   /* everything up to @write is on the disk */
	RAFT_EVENT_PROPOSE,   /* @data; answered by DONE, REFUSED or UNKNOWN */
	RAFT_EVENT_READ,      /* answered by DONE, once what is applied may be read, or REFUSED */
	RAFT_EVENT_JOIN,      /* leader: @member becomes a learner, later a voter */
	RAFT_EVENT_LEAVE,     /* leader: @member.id leaves */
	RAFT_EVENT_TRANSFER,  /* leader: @member.id, or 0 for the best, shall lead */
	RAFT_EVENT_BOOTSTRAP, /* @cluster is born with @member, which is us; once per workload */
	RAFT_EVENT_RECOVER,   /* an operator: go on alone under @epoch */
	RAFT_EVENT_SNAPSHOT,  /* @data is the state after @index, which was applied */
};

struct raft_event {
	enum raft_event_type type;
	struct mono now;                    /* when it is handled, not when it was sent */
	uint64_t random;                    /* fresh */
	const struct raft_message *message; /* borrowed */
	uint64_t write, index;
	uint64_t request; /* chosen by the caller, not 0; unique among those open */
	struct bytes data;
	struct raft_member member;
	struct uid cluster;
	uint32_t epoch;
};

enum raft_refused {
	RAFT_REFUSED_NOT_LEADER, /* ask @leader, if it is not 0 */
	RAFT_REFUSED_BUSY,       /* a limit is reached, or leadership goes over: again later */
	RAFT_REFUSED_TOO_BIG,
	RAFT_REFUSED_CHANGING, /* members change one at a time: again later */
	RAFT_REFUSED_MEMBER,   /* there already, not there, or its ordinal has a later instance */
	RAFT_REFUSED_FULL,     /* too many members */
	RAFT_REFUSED_UNSAFE,   /* too few of the voters that would be left are there */
	RAFT_REFUSED_STATE,    /* born already; not a higher epoch; over */
};

enum raft_effect_type {
	RAFT_SAVE,     /* write @meta */
	RAFT_WRITE,    /* write @entries from @index on; what was there from @index on is gone */
	RAFT_TRUNCATE, /* write: what is there from @index on is gone */
	RAFT_SAVE_SNAPSHOT, /* write @snapshot, and with it, all or nothing: entries before @index
			     * go, and if @entry_count is 0 those from there on as well */
	RAFT_SEND,          /* @message to message.to; may be lost */
	RAFT_APPLY,   /* @entries from @index on are agreed; their request, if any, is answered by
		       * what comes of it: there is no other answer */
	RAFT_RESTORE, /* the state machine begins anew from @snapshot */
	RAFT_DONE,    /* @request: a read may be answered now; a change has happened */
	RAFT_REFUSED, /* @request will not happen: @refused */
	RAFT_UNKNOWN, /* @request may happen or not */
	RAFT_ROLE,    /* @role, @term, @leader: one of them is new */
	RAFT_MEMBERS, /* @members are agreed */
};

struct raft_effect {
	enum raft_effect_type type;
	uint64_t write; /* of SAVE, WRITE, TRUNCATE, SAVE_SNAPSHOT: its number */
	uint64_t index;
	uint64_t request, term, leader;
	enum raft_refused refused;
	enum raft_role role;
	struct raft_meta meta;
	const struct raft_entry *entries;
	size_t entry_count;
	const struct raft_snapshot *snapshot;
	const struct raft_members *members;
	struct raft_message message;
};

struct raft_options {
	uint64_t compact_entries; /* 0: RAFT_COMPACT_ENTRIES */
	/* Is this a state after @index that can be restored? Snapshots come from other machines.
	 * NULL: all are. */
	bool (*is_sound)(struct bytes snapshot, uint64_t index);
};

struct raft;

/* @id is this member's own, and @saved its disk. Takes no effect of its own: the log is applied
 * again as it is known to be agreed. A snapshot is not restored by an effect: the caller has it. */
struct raft *raft_new(uint64_t id, const struct raft_options *options,
		      const struct raft_saved *saved, struct mono now, uint64_t random);
void raft_free(struct raft *raft);

/* One event. All effects of the step before must have been taken. */
void raft_step(struct raft *raft, const struct raft_event *event);

/* The next effect, or NULL. What it points to is valid until the next call of either. */
const struct raft_effect *raft_next_effect(struct raft *raft);

/* When RAFT_EVENT_TICK is due. */
struct mono raft_deadline(const struct raft *raft);

/* May something be answered that only the leader may answer? Only with a @now that was read after
 * the question came: who was paused in between asks again. */
bool raft_serves(const struct raft *raft, struct mono now);

/* Reads. */
struct raft_view {
	uint64_t id, term, leader; /* leader: 0 when unknown */
	uint32_t epoch;
	struct uid cluster;
	enum raft_role role;
	uint64_t commit, last, first; /* indices: agreed; the log's last; the log's first */
	uint64_t durable;             /* of the log, on our disk */
	uint64_t snapshot;            /* the index of the snapshot */
	size_t log_bytes;
	uint32_t timeout_ms;
	const struct raft_members *members; /* as the log has them, agreed or not */
};
struct raft_view raft_view(const struct raft *raft);

/* Is it time for RAFT_EVENT_SNAPSHOT, with the state after view.commit? */
bool raft_wants_snapshot(const struct raft *raft);

/* The term of the entry at @index: 0 if it is not in the log. For checkers. */
uint64_t raft_term_at(const struct raft *raft, uint64_t index);
const struct raft_entry *raft_entry_at(const struct raft *raft, uint64_t index);
const char *raft_role_name(enum raft_role role);
