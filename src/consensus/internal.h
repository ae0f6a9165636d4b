/* SPDX-License-Identifier: Apache-2.0 */
/* Raft: what its files share. Private to src/consensus. */
#pragma once

#include "consensus/raft.h"

/* The entries after base_index, in one piece. */
struct raft_log {
	struct raft_entry *entries;
	size_t count, cap;
	uint64_t base_index, base_term;
	size_t bytes;     /* of their data */
	uint64_t durable; /* the last index that is on the disk */
};

enum progress_state {
	PROGRESS_PROBE,    /* where its log ends is not known: one message at a time */
	PROGRESS_STREAM,   /* as much as may be on its way */
	PROGRESS_SNAPSHOT, /* it needs what the log does not have any more */
};

/* A leader's view of one member (Figure 3.1: nextIndex, matchIndex). */
struct progress {
	uint64_t id, match, next;
	enum progress_state state;
	bool waiting; /* PROBE, SNAPSHOT: for an answer, until the next heartbeat */
	uint64_t told_round, acked_round; /* the last that it was sent, and has answered */
	struct mono heard;                /* when it last answered */
	int64_t rtt_us;                   /* smoothed; 0: unknown */
	uint64_t snapshot_index, snapshot_offset;
	struct {
		uint64_t last;
		size_t bytes;
	} inflight[RAFT_INFLIGHT_MAX];
	size_t inflight_count, inflight_bytes;
};

/* A round: what is sent from its beginning until the next one's carries its number. */
struct round {
	uint64_t number;
	struct mono at;
	uint32_t timeout_ms; /* promised by who answers it */
};

struct pending_read {
	uint64_t request, round;
};

struct held {
	uint64_t write;
	struct raft_message message;
};

struct raft {
	uint64_t id;
	struct raft_options options;
	struct raft_meta meta;
	enum raft_role role;
	uint64_t leader;
	struct mono now;
	uint64_t random;

	struct raft_log log;
	uint64_t commit;
	struct raft_snapshot snapshot; /* data is ours */
	uint8_t *snapshot_data;
	uint64_t write, durable_write, meta_write;

	/* Members: the last entry about them holds, agreed or not. */
	struct raft_members members;
	uint64_t members_index;
	struct raft_members agreed;
	uint64_t agreed_index;
	bool was_member;
	uint64_t change_request; /* who waits for the change at members_index */

	/* Followers: elect.c. */
	struct mono election_at, sticky_until;
	uint32_t timeout_ms; /* of the leader, or what we shall announce */
	bool by_transfer;
	uint64_t transfer_round;          /* of the leader who asked us to stand */
	uint64_t heard_term, heard_round; /* of a leader; 0: of none since we began */
	uint64_t vote_write;              /* our vote for ourselves counts when it is on the disk */
	uint64_t granted[RAFT_MEMBERS_MAX]; /* who votes for us, */
	size_t granted_count;

	/* Leaders. */
	struct progress peers[RAFT_MEMBERS_MAX];
	size_t peer_count;
	uint64_t term_index; /* of the no-op of our term */
	struct mono led_since;
	struct mono heartbeat_at;
	uint64_t heartbeat_round; /* the round that it began */
	struct round rounds[RAFT_ROUNDS_MAX];
	uint64_t round;
	uint64_t lease_after; /* only rounds after this one make a lease: transfer.c */
	struct pending_read *reads;
	size_t read_count;
	uint64_t transfer_to;
	bool transfer_asked; /* it has been told to stand */
	struct mono transfer_until;

	/* A snapshot that comes in: install.c. */
	uint8_t *install_data;
	uint64_t install_index, install_term, install_total, install_held;

	struct held held[RAFT_HELD_MAX];
	size_t held_count;
	struct raft_effect *effects;
	size_t effect_count, effect_cap, effect_next;
};

/* log.c */
void raft_log_deinit(struct raft_log *log);
uint64_t raft_log_last(const struct raft_log *log);
uint64_t raft_log_last_term(const struct raft_log *log);
bool raft_log_has(const struct raft_log *log, uint64_t index);
/* 0 for what is not there; the base counts as there. */
uint64_t raft_log_term(const struct raft_log *log, uint64_t index);
struct raft_entry *raft_log_at(const struct raft_log *log, uint64_t index);
bool raft_log_fits(const struct raft_log *log, size_t entries, size_t bytes);
/* Copies the data. */
struct raft_entry *raft_log_append(struct raft_log *log, const struct raft_entry *entry);
void raft_log_truncate(struct raft_log *log, uint64_t from);
void raft_log_compact(struct raft_log *log, uint64_t base); /* up to @base, which is in it */
void raft_log_reset(struct raft_log *log, uint64_t base_index, uint64_t base_term);
void raft_log_durable(struct raft_log *log, uint64_t write);

/* effect.c */
struct raft_effect *raft_effect_add(struct raft *raft, enum raft_effect_type type);
uint64_t raft_effect_save(struct raft *raft);
void raft_effect_refuse(struct raft *raft, uint64_t request, enum raft_refused refused);
void raft_effect_role(struct raft *raft);
/* Fill in who it is from, and note it to be sent. */
void raft_send_now(struct raft *raft, struct raft_message *message);
/* The same once @write is on the disk. */
void raft_send_after(struct raft *raft, struct raft_message *message, uint64_t write);
void raft_send_held(struct raft *raft);

/* role.c */
void raft_become_follower(struct raft *raft, uint64_t term, uint64_t leader);
void raft_become_leader(struct raft *raft);
void raft_become_over(struct raft *raft, enum raft_role role);

/* elect.c */
void raft_elect_rest(struct raft *raft); /* a new random timeout from now */
void raft_elect_tick(struct raft *raft);
void raft_elect_campaign(struct raft *raft, uint64_t transfer_round); /* 0: no transfer */
void raft_elect_durable(struct raft *raft);
void raft_elect_hear(struct raft *raft, const struct raft_message *message); /* from a leader */
void raft_elect_prevote(struct raft *raft, const struct raft_message *message);
void raft_elect_prevote_reply(struct raft *raft, const struct raft_message *message);
void raft_elect_vote(struct raft *raft, const struct raft_message *message);
void raft_elect_vote_reply(struct raft *raft, const struct raft_message *message);

/* replicate.c: leader to followers */
void raft_replicate_begin(struct raft *raft);
void raft_replicate_members(struct raft *raft); /* peers follow members */
void raft_replicate_all(struct raft *raft);
void raft_replicate_heartbeat(struct raft *raft); /* begins a round */
void raft_replicate_reply(struct raft *raft, const struct raft_message *message);
void raft_replicate_installed(struct raft *raft, const struct raft_message *message);
struct progress *raft_replicate_peer(struct raft *raft, uint64_t id);
/* For so long that it may be lost. */
bool raft_replicate_is_silent(const struct raft *raft, const struct progress *peer);

/* follow.c: follower */
void raft_follow_append(struct raft *raft, const struct raft_message *message);

/* commit.c */
void raft_commit_advance(struct raft *raft); /* leader: what has a majority */
void raft_commit_to(struct raft *raft, uint64_t index);

/* propose.c */
void raft_propose_event(struct raft *raft, const struct raft_event *event);
uint64_t raft_propose_entry(struct raft *raft, enum raft_entry_kind kind, struct bytes data,
			    uint64_t request);
void raft_propose_give_up(struct raft *raft); /* all that waits is unknown now */

/* install.c, compact.c */
void raft_install_receive(struct raft *raft, const struct raft_message *message);
void raft_install_forget(struct raft *raft);
void raft_compact_event(struct raft *raft, const struct raft_event *event);
void raft_snapshot_keep(struct raft *raft, const struct raft_snapshot *snapshot);

/* lease.c */
void raft_lease_begin_round(struct raft *raft);
void raft_lease_read(struct raft *raft, const struct raft_event *event);
void raft_lease_progress(struct raft *raft); /* reads whose round has been answered */
void raft_lease_give_up(struct raft *raft);
bool raft_lease_holds(const struct raft *raft, struct mono now);
bool raft_lease_has_majority(const struct raft *raft); /* within two timeouts */
uint64_t raft_lease_answered(const struct raft *raft); /* the round that a majority has answered */

/* reconfigure.c */
const struct raft_member *raft_member_find(const struct raft_members *members, uint64_t id);
bool raft_member_votes(const struct raft *raft, uint64_t id);
size_t raft_member_quorum(const struct raft *raft);
void raft_members_refresh(struct raft *raft); /* from the log */
void raft_members_written(struct raft *raft, uint64_t index);
void raft_members_agreed(struct raft *raft, uint64_t index);
void raft_reconfigure_join(struct raft *raft, const struct raft_event *event);
void raft_reconfigure_leave(struct raft *raft, const struct raft_event *event);
void raft_reconfigure_promote(struct raft *raft, const struct progress *peer);

/* transfer.c */
void raft_transfer_event(struct raft *raft, const struct raft_event *event);
void raft_transfer_progress(struct raft *raft);
void raft_transfer_tick(struct raft *raft);

/* recover.c */
void raft_recover_bootstrap(struct raft *raft, const struct raft_event *event);
void raft_recover_event(struct raft *raft, const struct raft_event *event);
bool raft_recover_admits(struct raft *raft, const struct raft_message *message);
void raft_recover_refused(struct raft *raft, const struct raft_message *message);
void raft_recover_stranger(struct raft *raft, const struct raft_message *message);
