/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World: many machines in one process, on a virtual clock and a virtual network.
 *
 * Every machine runs src/node unchanged. What the daemon takes from QUIC, disk and host process
 * comes from here: network.c (connections, delay, loss, partitions), host.c (pods), trust.c
 * (envelopes). checker.c watches from outside and knows everything. All that happens follows from
 * the seed, so a run can be repeated to the byte.
 *
 * Times named *_us are the world's; each machine's own monotonic clock is shifted against it, so
 * that a time which wrongly travels from one machine to another shows.
 */
#pragma once

#include "base/map.h"
#include "base/prng.h"
#include "node/node.h"

enum {
	SIM_MACHINES_MAX = 256,
	SIM_WORKLOADS_MAX = 256,
	SIM_STORY_MAX = 20000,    /* lines kept; older ones are dropped */
	SIM_GRACE_MS = 30 * 1000, /* agreement after a heal */
};

/* Faults built in on purpose, so that the checkers can be seen to work. */
enum sim_bug {
	SIM_BUG_NONE,
	SIM_BUG_AWARD_WITHOUT_BID_CHECK, /* hosts start whatever award passes by */
	SIM_BUG_NO_CONFIRM,              /* unconfirmed winners do not stop themselves */
	SIM_BUG_HOLD_LEAK,               /* machines whose timers never fire keep their holds */
};

enum sim_kind {
	SIM_PACKET,
	SIM_DIAL,
	SIM_IDLE, /* is a connection still worth anything? */
	SIM_TICK,
	SIM_PERSISTED,
	SIM_POD, /* the next step in the life of a pod */
	SIM_ACTION,
	SIM_CHECK,
};

struct world;

/* Something that will happen. Owned by the queue. */
struct sim_event {
	int64_t at_us;
	uint64_t order; /* ties are broken by the order of scheduling */
	enum sim_kind kind;
	size_t from, to;
	uint64_t process;    /* of machine @to: a restarted one has none of its past */
	uint64_t connection; /* PACKET, IDLE */
	struct buf bytes;    /* PACKET */
	struct addr addr;    /* DIAL */
	struct node_id id;   /* DIAL: whom it expects, or none */
	struct record_key key;
	struct record_version version;
	struct uid pod_uid;
	void (*action)(struct world *world, uint64_t argument);
	uint64_t argument;
};

enum sim_pod_state {
	SIM_POD_STARTING,
	SIM_POD_RUNNING,
	SIM_POD_STOPPING,
	SIM_POD_GONE,
};

struct sim_pod {
	struct uid uid;
	struct uid object_uid;
	size_t machine;
	uint32_t slot;
	enum sim_pod_state state;
	struct presence presence; /* what the host says about it */
	struct buf manifest;
};

struct sim_machine {
	size_t index;
	struct node *node; /* NULL: the daemon does not run */
	bool powered;      /* the host runs, and the pods on it */
	struct node_id id;
	struct addr addr;
	char name[16];
	bool steward;
	bool schedulable;
	int64_t cpu_milli, memory_bytes;
	int64_t skew_us; /* its monotonic clock less the world's */
	uint64_t process;
	struct fabric_time_kept kept;
	int64_t ticked_at_us;
	uint32_t ticks;     /* at that moment: many are a loop that never ends */
	int64_t tick_at_us; /* a tick is queued for then; INT64_MAX: none */
	struct map disk;    /* record key -> struct buf */
	uint64_t connections[SIM_MACHINES_MAX]; /* to each machine: 0 = none */
	/* trust.c */
	bool leaves[SIM_MACHINES_MAX];
	struct map seen[2]; /* nonces of this and of the last window */
	int64_t seen_since_ms;
	struct world *world;
	/* checker.c */
	uint64_t tenders_seen;
	int64_t tender_seen_us;
};

/* A target that machines may still be following. */
struct sim_target {
	uint32_t replicas;
	int64_t until_us; /* INT64_MAX: until the parts of the world have met again */
};

struct sim_workload {
	struct uid uid;
	char name[16];
	uint64_t generation;
	uint32_t replicas;
	int64_t cpu_milli;
	bool deleted;
	struct sim_target old[8]; /* earlier targets, newest last */
	size_t old_count;
	int64_t applied_us;
	int64_t placed_us; /* all replicas ran for the first time; 0 = not yet */
};

struct sim_story_line {
	int64_t at_us;
	struct uid uid; /* none: about the world */
	char *text;
};

struct sim_network {
	int64_t latency_us, jitter_us;
	uint32_t loss;                  /* per thousand: sent again by QUIC, so it comes late */
	uint32_t vanish;                /* per thousand: never comes (a full queue, a bug below) */
	uint32_t duplication;           /* per thousand */
	uint8_t side[SIM_MACHINES_MAX]; /* machines of different sides do not hear each other */
	bool mute[SIM_MACHINES_MAX][SIM_MACHINES_MAX]; /* from, to: nothing arrives that way */
};

struct sim_totals {
	uint64_t events, packets, bytes;
	uint64_t pods_started, pods_stopped;
	uint64_t self_stops; /* of winners that were not confirmed */
};

struct world {
	uint64_t seed;
	struct prng prng;
	enum sim_bug bug;
	int64_t now_us;
	uint64_t order;
	struct sim_event **queue; /* a binary heap by (at_us, order) */
	size_t queue_count, queue_cap;
	uint64_t connection_last;
	size_t machine_count;
	struct sim_machine machines[SIM_MACHINES_MAX];
	struct map machines_by_id;
	struct sim_network network;
	struct sim_workload workloads[SIM_WORKLOADS_MAX];
	size_t workload_count;
	struct sim_pod **pods; /* all that ever were, oldest first */
	size_t pod_count, pod_cap;
	struct map pods_by_uid;
	int64_t pod_start_ms_min, pod_start_ms_max, pod_stop_ms;
	uint32_t pod_failures; /* per thousand starts */
	int64_t last_join_us;  /* machines met that did not hear each other before */
	bool distinct;         /* the network is good enough to promise distinct machines */
	struct sim_totals totals;
	struct sim_story_line *story; /* a ring of SIM_STORY_MAX */
	size_t story_count;
	char violation[256]; /* "" = none so far */
	struct uid violation_uid;
};

/* ---- world.c ---- */
struct world *world_new(size_t machines, size_t stewards, uint64_t seed);
void world_free(struct world *world);
uint64_t world_random(struct world *world, uint64_t below);

/* Start the machine's daemon; @join: it gets the fabric's time with a token. */
void world_boot(struct world *world, size_t machine, bool join);

/* Boot all machines, some milliseconds apart, and give the first few as bootstrap addresses. */
void world_boot_all(struct world *world);

struct sim_event *world_event(struct world *world, enum sim_kind kind, int64_t in_us);
void world_action(struct world *world, int64_t at_ms,
		  void (*action)(struct world *world, uint64_t argument), uint64_t argument);

/* Let time pass until @until_ms of the world, or a violation. */
void world_run(struct world *world, int64_t until_ms);

/* Carry out the effects of a machine's node, and see to its next tick. */
void machine_pump(struct world *world, struct sim_machine *machine);
struct mono machine_now(const struct world *world, const struct sim_machine *machine);
struct wall world_wall(const struct world *world);

void world_tell(struct world *world, const struct uid *uid, const char *format, ...) _printf_(3, 4);
void world_violate(struct world *world, const struct uid *uid, const char *format, ...)
	_printf_(3, 4);

/* ---- operator.c: what people and accidents do ---- */
size_t world_apply(struct world *world, uint32_t replicas, int64_t cpu_milli);
void world_scale(struct world *world, size_t workload, uint32_t replicas);
void world_delete(struct world *world, size_t workload);
void world_power_off(struct world *world, size_t machine);   /* the pods die with it */
void world_kill_daemon(struct world *world, size_t machine); /* the pods live on */
void world_power_on(struct world *world, size_t machine, bool keep_state);
void world_partition(struct world *world, size_t first_of_other_side);
void world_heal(struct world *world);
void world_mute(struct world *world, size_t from, size_t to, bool mute);
bool world_is_whole(const struct world *world);

/* ---- network.c ---- */
void network_send(struct world *world, size_t from, const struct node_id *to, struct bytes packet);
void network_dial(struct world *world, size_t from, const struct node_id *to,
		  const struct addr *addr);
void network_close(struct world *world, size_t from, const struct node_id *to);
void network_packet(struct world *world, struct sim_event *event);
void network_dialled(struct world *world, const struct sim_event *event);
void network_idle(struct world *world, const struct sim_event *event);
void network_process_ended(struct world *world, size_t machine);
void network_sides_changed(struct world *world);
bool network_reaches(const struct world *world, size_t from, size_t to);
struct sim_machine *network_find(struct world *world, const struct node_id *id);

/* ---- host.c ---- */
void host_start(struct world *world, struct sim_machine *machine, const struct award *award);
void host_stop(struct world *world, struct sim_machine *machine, const struct uid *pod_uid,
	       const char *text);
void host_pod_event(struct world *world, const struct sim_event *event);
void host_power_off(struct world *world, struct sim_machine *machine);
void host_recover(struct world *world, struct sim_machine *machine);
bool host_is_alive(const struct sim_pod *pod); /* starting or running, and not told to stop */
void host_free(struct world *world);

/* ---- trust.c ---- */
struct node_trust trust_of(struct sim_machine *machine);
struct digest trust_leaf(const struct sim_machine *machine);
void trust_reset(struct sim_machine *machine, uint64_t seed);
void trust_deinit(struct sim_machine *machine);
/* What a signed packet says, for the story and for broken hosts. False: not a signed message. */
bool trust_peek(struct bytes packet, struct node_id *ret_issuer, struct message *ret_message);

/* ---- checker.c ---- */
void checker_machine(struct world *world, struct sim_machine *machine);
void checker_pods(struct world *world);
void checker_joined(struct world *world);
void checker_workload(struct world *world, const struct uid *object_uid);
void checker_periodic(struct world *world);
void checker_end(struct world *world);
