/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consensus: a small world of its own, for one group of replicas (src/consensus) and its clients.
 *
 *	consensus_world.c    the clock, messages, members that live, pause and die
 *	consensus_disk.c     what a member has written, and what of it survives
 *	consensus_client.c   clients, and the history of what they were told
 *	consensus_trouble.c  what goes wrong, and who keeps the membership as it is wanted
 *	consensus_check.c    what must be true after each step, and of the history
 *	consensus_run.c      the scenarios
 *
 * Everything follows from the seed. Members see only their own clocks, whose rates differ by as
 * much as raft.h allows for.
 */
#pragma once

#include "base/prng.h"
#include "bugs.h"
#include "consensus/group.h"
#include "linear.h"
#include "params.h"
#include "queue.h"

enum {
	CW_SLOTS = 5, /* places of replicas: ordinals */
	CW_REPLICAS = 3,
	CW_CLIENTS = 4,
	CW_KEYS = 3,
	CW_OPS_MAX = 4096, /* of all clients in a run */
	CW_STORY_MAX = 400,
	CW_COMPACT = 48, /* entries between snapshots: often, as runs are short */
	CW_INDEX_MAX = 1 << 16,
	CW_TERMS_MAX = 1 << 14,
};

struct cw_write {
	uint64_t number;
	int64_t done_us;
	enum raft_effect_type type;
	uint64_t index;
	struct raft_meta meta;
	struct raft_entry *entries; /* with data of their own */
	size_t entry_count;
	struct raft_snapshot snapshot; /* data is ours */
};

/* What is safely written, and in order what is not yet. */
struct cw_disk {
	struct raft_meta meta;
	struct raft_snapshot snapshot;
	uint64_t first;
	struct raft_entry *entries;
	size_t entry_count, entry_cap;
	struct cw_write *writes;
	size_t write_count, write_cap;
	int64_t latency_us, flush_us, next_us;
};

struct cw_member {
	size_t slot;
	uint64_t id;
	uint32_t instance;   /* of the ordinal: each lost disk one more */
	struct group *group; /* NULL: it is down */
	uint32_t life;       /* of the process: what was meant for an earlier one is dropped */
	int64_t paused_until_us;
	int64_t clock_at_us, clock_us; /* at that true time it showed that */
	int64_t rate_permille;
	int64_t tick_us; /* the only tick that counts */
	struct cw_disk disk;
	int64_t calm_since_us; /* nothing has happened to it since, nor to its links: */
	int64_t link_calm_since_us[CW_SLOTS];
	bool cut[CW_SLOTS]; /* what it sends there is lost */
	enum raft_role role;
	uint64_t role_term;
	int64_t led_us;   /* when it became a leader */
	uint64_t applied; /* checked */
};

enum cw_op_kind {
	CW_OP_SESSION,
	CW_OP_READ,
	CW_OP_WRITE,
	CW_OP_SWAP,
};

struct cw_client {
	size_t number;
	uint64_t session, sequence;
	bool busy;
	enum cw_op_kind kind;
	size_t key, record; /* of the history */
	uint64_t attempt, expect, value;
	int64_t began_us, sent_us;
	size_t target;
	uint64_t known_version[CW_KEYS], known_value[CW_KEYS];
	struct buf command;
};

struct cw_record {
	size_t key;
	struct linear_op op;
};

struct cw_index {
	uint64_t term, hash;
	uint64_t agreed_in; /* the term of the leader that found it agreed */
};

struct cw_figures {
	uint64_t messages, kills, elections, done, unknown, installs, changes, cuts, crashes,
		lost_disks, pauses, transfers, given_up;
	int64_t *writable_us;
	size_t writable_count, writable_cap;
};

struct cw {
	uint64_t seed;
	struct prng prng;
	struct queue *queue;
	uint64_t order;
	int64_t now_us, quiet_from_us, end_us;
	struct cw_member members[CW_SLOTS];
	bool wanted[CW_SLOTS];
	struct cw_client clients[CW_CLIENTS];
	size_t client_count;
	int64_t latency_us, jitter_us;
	uint64_t loss, duplication; /* per thousand */
	int64_t think_us, patience_ms, again_ms;
	bool only_writes;  /* and no history of them */
	int64_t killed_us; /* a leader; 0: writes have been done since */
	enum sim_bug bug;
	bool storm; /* trouble comes thick and fast */
	struct uid cluster;

	struct cw_record *history;
	size_t history_count;
	struct cw_index *agreed; /* by index */
	uint64_t agreed_last;
	uint64_t *leaders; /* by term */
	int64_t *term_born_us;
	uint64_t term_last;
	int64_t transfer_us;
	uint64_t next_value;

	struct cw_figures figures;
	char violation[256];
	char (*story)[160];
	int64_t *story_us;
	size_t story_count;
};

enum cw_event_type {
	CW_TICK,
	CW_MESSAGE,
	CW_DISK_DONE,
	CW_REQUEST,
	CW_REPLY,
	CW_CLIENT,   /* @client acts or loses patience */
	CW_TROUBLE,  /* something goes wrong */
	CW_OPERATOR, /* membership as it is wanted */
	CW_RESTART,
	CW_ACTION,
};

struct cw_event {
	enum cw_event_type type;
	size_t slot, client;
	uint32_t life;
	uint64_t number;
	struct buf bytes;
	/* CW_REPLY */
	enum group_answer answer;
	struct keys_result result;
	uint64_t leader, value;
	void (*action)(struct cw *cw, size_t slot);
};

/* consensus_world.c */
void cw_init(struct cw *cw, uint64_t seed);
void cw_deinit(struct cw *cw);
void cw_push(struct cw *cw, int64_t delay_us, const struct cw_event *event); /* takes its bytes */
void cw_run(struct cw *cw);
uint64_t cw_random(struct cw *cw, uint64_t bound);
bool cw_chance(struct cw *cw, uint64_t permille);
void cw_story(struct cw *cw, const char *format, ...) _printf_(2, 3);
void cw_violate(struct cw *cw, const char *format, ...) _printf_(2, 3);
void cw_step(struct cw *cw, struct cw_member *member, struct raft_event *event);
struct mono cw_clock(const struct cw *cw, const struct cw_member *member);
bool cw_is_paused(const struct cw *cw, const struct cw_member *member);
void cw_start(struct cw *cw, struct cw_member *member);
void cw_crash(struct cw *cw, struct cw_member *member);
void cw_wipe(struct cw *cw, struct cw_member *member);
void cw_birth(struct cw *cw, struct cw_member *member);
struct cw_member *cw_leader(struct cw *cw); /* that of the highest term; NULL: none */
struct cw_member *cw_by_id(struct cw *cw, uint64_t id);

/* consensus_disk.c */
void cw_disk_write(struct cw *cw, struct cw_member *member, const struct raft_effect *effect);
uint64_t cw_disk_done(struct cw *cw, struct cw_member *member); /* the last write that is */
void cw_disk_crash(struct cw *cw, struct cw_member *member);
void cw_disk_wipe(struct cw_member *member);
struct raft_saved cw_disk_saved(const struct cw_member *member);

/* consensus_client.c */
void cw_client_start(struct cw *cw);
void cw_client_act(struct cw *cw, const struct cw_event *event);
void cw_client_request(struct cw *cw, const struct cw_event *event); /* at a member */
void cw_client_answer(struct cw *cw, struct cw_member *member, const struct group_effect *effect);
void cw_client_reply(struct cw *cw, const struct cw_event *event); /* at the client */
void cw_client_deinit(struct cw *cw);

/* consensus_trouble.c */
void cw_trouble(struct cw *cw);
void cw_trouble_lease(struct cw *cw, size_t slot);
void cw_trouble_end(struct cw *cw);
void cw_operator(struct cw *cw);

/* consensus_check.c */
void cw_check_step(struct cw *cw, struct cw_member *member);
void cw_check_applied(struct cw *cw, struct cw_member *member, const struct raft *raft);
void cw_check_role(struct cw *cw, struct cw_member *member);
void cw_check_end(struct cw *cw);

struct report_options;
int cw_scenario(const struct report_options *options);
int cw_scenario_storm(const struct report_options *options);
int cw_scenario_lease(const struct report_options *options);
int cw_scenario_kill(const struct report_options *options);
int cw_scenario_idle(const struct report_options *options);
