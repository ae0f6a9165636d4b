/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents: the other plane. A world of its own: some dozens of agents on each machine, which find
 * each other through service/directory.h, on a virtual clock and a network of their own. Agents and
 * machines share nothing but that a machine's end is that of its pods.
 *
 *	agents.c        clock, network, lives of agents     agents_check.c  what must be true
 *	agents_story.c  what happens to them, and figures   agents_lies.c   what liars say
 *
 * Envelopes are a keyed hash of the same shape as those of src/identity, so that ten thousand
 * agents fit into one process; every message is encoded and decoded as on a wire.
 */
#pragma once

#include "base/map.h"
#include "base/prng.h"
#include "queue.h"
#include "report.h"
#include "service/directory.h"

enum {
	AGENTS_REPLICAS_MAX = 50,
	AGENTS_NAMESPACES = 8,
	AGENTS_HEADERS = 75, /* of QUIC, UDP and IPv4, for each datagram */
	AGENTS_DATAGRAM = 1120,

	/* What must be true, and when. */
	AGENTS_PUSH_MS = 100,    /* a change reaches those who use the service */
	AGENTS_SETTLE_MS = 1000, /* a new replica counts as one that has to be found */
	AGENTS_EXPIRE_MS = SERVICE_TTL_MS + 1000, /* nobody names a lost one any more */
	AGENTS_MISSING_MS = DIRECTORY_MISSING_MS + 1000,
	AGENTS_HEAL_MS = 30 * 1000,
};

struct agents;

struct agent {
	struct directory *directory; /* NULL: it does not run */
	struct contact contact;
	struct service_name name;
	uint32_t machine, workload, slot;
	uint64_t secret;
	bool ready, liar;
	bool user;               /* of one service, all the time */
	uint32_t uses;           /* workload; its own: none */
	struct mono using_since; /* has had its answer */
	struct mono began, ended, changed, ready_since;
	struct mono timer; /* when it is to be woken */
	bool reported;     /* missing, by a sibling */
	int64_t heap;
	uint64_t sent, sent_bytes, received, received_window;
	uint64_t lookup_token; /* of a cold lookup; 0: none */
	struct mono lookup_began;
	uint32_t lookup_of;
};

struct workload {
	char namespace[16], name[16];
	uint32_t replicas;
	uint32_t slots[AGENTS_REPLICAS_MAX]; /* agent + 1; 0: none */
	uint32_t made;                       /* pods so far */
};

struct machine_of_agents {
	bool lost;
	uint32_t half; /* of a partition */
};

enum agents_event_type {
	AGENTS_DELIVER,
	AGENTS_TIMER,
	AGENTS_UNREACHABLE,
	AGENTS_STEP, /* of the story */
};

struct agents_event {
	enum agents_event_type type;
	uint32_t from, to;
	uint64_t number;
	void (*act)(struct agents *agents, uint64_t number);
	struct buf bytes;
};

struct agents_figures {
	uint64_t lookups, lookups_complete, pairs_wanted, pairs_found;
	uint64_t cold, cold_incomplete;
	uint64_t changes_seen, changes_late;
	uint64_t missing_wanted, missing_reported, missing_false;
	uint64_t idle_messages, idle_bytes, idle_agent_s;
	uint64_t keeper_max; /* messages received by one agent in a second, mean of a window */
	uint64_t lies, messages, bytes;
	int64_t heap_mean, heap_max;
};

struct agents {
	const struct report_options *options;
	struct queue *queue;
	struct prng prng;
	struct mono now;
	uint64_t order;
	struct agent *agents;
	size_t count, cap;
	struct map by_id;
	struct workload *workloads;
	size_t workload_count;
	struct machine_of_agents *machines;
	size_t machine_count;
	bool split;
	struct mono
		calm_since; /* no partition, and none has just ended; MONO_NEVER: there is one */
	bool counts_idle;
	struct agents_figures figures;
	int64_t latencies_us[4096]; /* of cold lookups: the last ones */
	size_t latency_count;
	char violation[512];
};

/* ---- agents.c ---- */
uint64_t agents_random(struct agents *agents, uint64_t bound);
void agents_at(struct agents *agents, int64_t after_ms, void (*act)(struct agents *, uint64_t),
	       uint64_t number);
void agents_violated(struct agents *agents, const char *format, ...) _printf_(2, 3);
uint32_t agents_start(struct agents *agents, uint32_t workload, uint32_t slot, uint32_t machine);
void agents_kill(struct agents *agents, uint32_t agent);  /* as a power cut does */
void agents_leave(struct agents *agents, uint32_t agent); /* withdrawn, then ended */
void agents_set_ready(struct agents *agents, uint32_t agent, bool ready);
bool agents_lookup(struct agents *agents, uint32_t agent, uint32_t workload, uint64_t *ret_token);
void agents_send(struct agents *agents, uint32_t from, uint32_t to,
		 const struct work_message *message);
void agents_pump(struct agents *agents, uint32_t agent);
bool agents_run_until(struct agents *agents, struct mono end);
struct wall agents_wall(const struct agents *agents);
bool agents_reach(const struct agents *agents, uint32_t a, uint32_t b);
void agents_seal(const struct agent *agent, struct bytes payload, struct buf *out);
struct service_record agents_record(const struct agents *agents, const struct agent *agent);

/* ---- agents_check.c ---- */
void agents_check_found(struct agents *agents, uint32_t agent, uint32_t workload);
void agents_check_changed(struct agents *agents, uint64_t agent);
void agents_check_missing(struct agents *agents, uint32_t agent, const struct directory_effect *);
void agents_check_lost(struct agents *agents, uint64_t agent);
void agents_check_users(struct agents *agents, uint64_t number); /* every second */
void agents_check_end(struct agents *agents);

/* ---- agents_lies.c ---- */
void agents_lie(struct agents *agents, uint64_t number);

/* ---- agents_story.c ---- */
/* Run it all and print what there is to say; the exit status. */
int agents_scenario(const struct report_options *options);
