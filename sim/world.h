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

#include "account.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "bugs.h"
#include "disk.h"
#include "metrics.h"
#include "node/node.h"
#include "params.h"
#include "pool.h"
#include "queue.h"
#include "repair.h"
#include "traffic.h"

enum {
	SIM_MACHINES_MAX = 1 << 20,
	SIM_ADMITTERS = 3,        /* who made the fabric, and the first two who joined */
	SIM_STORY_MAX = 20000,    /* lines kept; older ones are dropped */
	SIM_GRACE_MS = 30 * 1000, /* agreement after a heal */
	SIM_REGIONS_MAX = 8,
	SIM_CONTACTS_MAX = 16, /* addresses that a machine finds on its disk when it starts */
};

enum sim_kind {
	SIM_PACKET,
	SIM_DIALLED,  /* the answer of a dial is here, or its time is over */
	SIM_ACCEPTED, /* the end of a handshake reaches who was dialled */
	SIM_RESET,    /* word of a process that knows nothing of a connection */
	SIM_IDLE,     /* are a machine's connections still worth anything? */
	SIM_PERSISTED,
	SIM_POD, /* the next step in the life of a pod */
	SIM_ACTION,
	SIM_CHECK,
};

struct world;
struct sim_dial;
struct sim_pod;

/* What was written to a disk. */
struct sim_persisted {
	struct record_key key;
	struct record_version version;
};

/*
 * Something that will happen. Owned by the queue; lies in the world's pool, the bytes of a packet
 * behind it.
 */
struct sim_event {
	enum sim_kind kind;
	uint32_t from, to;
	uint32_t process;       /* of machine @to: a restarted one has none of its past */
	uint32_t connection;    /* PACKET, ACCEPTED, RESET */
	uint32_t len;           /* PACKET */
	uint32_t tries;         /* PACKET: how often its way was found to be cut */
	bool computed;          /* its cost has been paid: processor.c */
	struct sim_event *next; /* PACKET: that waits for a dial, too */
	union {
		struct sim_dial *dial;           /* DIALLED */
		struct sim_persisted *persisted; /* PERSISTED */
		struct sim_pod *pod;             /* POD */
		struct {                         /* ACTION */
			void (*action)(struct world *world, uint64_t argument);
			uint64_t argument;
		};
	};
};

enum sim_pod_state {
	SIM_POD_STARTING,
	SIM_POD_RUNNING,
	SIM_POD_STOPPING,
	SIM_POD_ENDED, /* its work is done */
	SIM_POD_KEPT,  /* its machine lost power, and has not been told to start it again */
	SIM_POD_GONE,
};

struct sim_pod {
	struct uid uid;
	struct uid object_uid;
	size_t machine;
	struct list on_machine;    /* sim_machine.pods */
	struct sim_pod *slot_next; /* checker.c: older pods of the same slot */
	size_t workload;           /* SIM_ANY: nobody asked for it */
	uint32_t slot;
	enum sim_pod_state state;
	bool noted;    /* scenario_repair.c: it ran when the power went */
	bool family;   /* it belongs to one: family.h */
	bool given_up; /* an ordinal that a user has taken from its machine */
	uint32_t template_number;
	int64_t lost_us, done_us; /* when its machine lost power while it ran; when it ended */
	struct presence presence; /* what the host says about it */
	struct buf manifest;
	int64_t confirmed_ms; /* of its note on the machine's disk */
	struct buf object;
};

/*
 * What a machine has with another one: a connection, its certificate, or both. Kept in a small
 * open-addressing table at each machine, so that memory grows with the number of connections and
 * not with the square of the machines.
 */
struct sim_link {
	uint32_t peer_plus_1; /* index of the other machine; 0: a free place */
	uint32_t connection;  /* 0: none */
	bool opening;         /* we dialled, and the other end does not know yet */
	uint32_t leaf_used;   /* when the certificate was last needed, in leaf_clock; 0: unknown */
};

struct sim_links {
	struct sim_link *link;
	uint32_t cap; /* a power of two, or 0 */
	uint32_t count, leaves;
	uint32_t leaf_clock;
};

/* Nonces of one window of time. */
struct sim_nonces {
	uint64_t *nonce; /* open addressing; 0: a free place */
	size_t cap, count;
};

struct sim_machine;

/* A machine whose packets are changed on their way out: returns false to drop @packet. */
typedef bool sim_tamper_fn(struct world *world, struct sim_machine *from, struct sim_machine *to,
			   struct buf *packet, void *argument);

/* What such a machine hears. */
typedef void sim_overhear_fn(struct world *world, struct sim_machine *machine, struct bytes packet);

struct sim_machine {
	/* What every event looks at comes first. */
	struct node *node;        /* NULL: the daemon does not run */
	int64_t skew_us;          /* its monotonic clock less the world's */
	int64_t tick_at_us;       /* a tick is queued for then; INT64_MAX: none */
	int64_t stalled_until_us; /* it is starved of its processor: nothing is handled before */
	int64_t busy_until_us;    /* with what it computes on a shared one: processor.c */
	struct sim_links links;
	uint32_t index;
	uint32_t process;
	uint8_t side;   /* machines of different sides do not hear each other */
	uint8_t region; /* where it stands: network.c */
	bool powered;   /* the host runs, and the pods on it */
	bool steward;
	bool schedulable;
	bool rebooted;    /* it lost power since its daemon ran last */
	bool idle_queued; /* a SIM_IDLE is queued for it */
	int64_t ticked_at_us;
	uint32_t ticks; /* at that moment: many are a loop that never ends */
	struct node_id id;
	struct addr addr;
	char name[16];
	struct world *world;
	int64_t heap_bytes; /* held by its node: account.h */
	int64_t cpu_milli, memory_bytes;
	struct label *labels; /* borrowed */
	struct label hostname;
	size_t label_count;
	uint64_t incarnation;
	struct fabric_time_kept kept;
	struct node_complete complete;
	struct records_standing *standing; /* NULL: none was written down */
	int64_t clock_error_ms;            /* its system's clock less true time */
	int64_t started_us, ended_us;      /* its process, the last one before */
	int64_t stalled_since_us;          /* if it is stalled */
	struct map disk;                   /* record key -> struct sim_envelope */
	uint64_t *writers;                 /* bits by index: whose certificates are on it, with
					    * their records; NULL: none */
	struct buf *revocations;           /* on disk too: envelopes */
	size_t revocation_count;
	struct list pods;       /* struct sim_pod.on_machine: all that ever were, oldest first */
	struct sim_dial *dials; /* under way, dial_count of them */
	size_t dial_count;
	struct addr contacts[SIM_CONTACTS_MAX]; /* remembered on disk */
	size_t contact_count;
	sim_tamper_fn *tamper; /* NULL: an honest machine */
	sim_overhear_fn *overhear;
	void *tamper_argument;
	/* trust.c */
	struct sim_nonces seen[2]; /* of this and of the last window */
	int64_t seen_since_ms;
	/* checker.c */
	uint32_t *known; /* contacts when it was last looked at */
	size_t known_count;
	uint32_t known_process;
	uint64_t tenders_seen;
	int64_t tender_seen_us;
};

/* A target that machines may still be following. */
struct sim_target {
	uint32_t replicas;
	int64_t until_us; /* INT64_MAX: until the parts of the world have met again */
};

/* In place of a machine: any steward; of a workload: none. */
#define SIM_ANY SIZE_MAX

/* What is asked for. */
struct sim_wish {
	uint32_t replicas;
	int64_t cpu_milli;
	int64_t memory_mib;                  /* 0: 64 */
	const char *label_key, *label_value; /* a node selector; literals. NULL: none */
	const char *name;                    /* NULL: one that nothing has had */
};

struct sim_workload {
	struct uid uid;
	char name[16];
	size_t home; /* the machine it was given to, when records stay; else SIM_ANY */
	const char *label_key, *label_value;
	int64_t memory_mib;
	uint64_t generation;
	uint32_t replicas;
	int64_t cpu_milli;
	bool deleted;
	struct sim_target old[8]; /* earlier targets, newest last */
	size_t old_count;
	struct sim_pod **slots; /* checker.c: the newest pod of each */
	size_t slot_count;
	uint32_t running;
	bool hopeless; /* it fits nowhere, and that is known */
	int64_t applied_us;
	int64_t placed_us; /* all replicas ran for the first time; 0 = not yet */
};

struct sim_story_line {
	int64_t at_us;
	struct uid uid; /* none: about the world */
	char *text;
};

struct sim_network {
	int64_t latency_us, jitter_us; /* inside a region, one way */
	uint32_t loss;                 /* per thousand: sent again by QUIC, so it comes late */
	uint32_t vanish;               /* per thousand: never comes (a full queue, a bug below) */
	uint32_t duplication;          /* per thousand */
	bool is_cut;                   /* there are two sides */
	int64_t cut_us;                /* when sides last changed */
	struct map mute; /* pair of indices -> struct sim_mute: nothing arrives that way */
};

struct sim_totals {
	uint64_t events, packets, bytes; /* of messages */
	/* What QUIC adds, by the measured constants of network.c. */
	uint64_t handshakes, handshake_bytes, datagrams, overhead_bytes, ack_bytes;
	uint64_t dials, dials_failed, resets;
	uint64_t lost; /* packets for which no dial could wait */
	uint64_t pods_started, pods_stopped, pods_resumed;
	uint64_t self_stops; /* of winners that were not confirmed */
};

struct world {
	uint64_t seed;
	struct prng prng;
	struct params params; /* for scenarios; what concerns the world was read at its beginning */
	struct metrics *metrics;
	struct archive *archive;   /* archive.c; NULL: nothing is written to it */
	struct families *families; /* family.c; NULL: there are none */
	struct traffic traffic;
	enum sim_bug bug;
	int64_t now_us;
	uint64_t order;
	struct queue *queue;  /* of events; ticks are in the entries themselves: world.c */
	struct pool pool;     /* events */
	struct map envelopes; /* on any disk: disk.h */
	uint32_t connection_last;
	size_t machine_count;
	struct sim_machine *machines;
	struct sim_directory *directory; /* id -> machine */
	struct sim_network network;
	int64_t processor_free_us[PARAMS_CORES_MAX]; /* from then on: processor.c */
	struct sim_workload *workloads;              /* moves when it grows */
	size_t workload_count, workload_cap;
	struct map workloads_by_uid; /* uid -> index + 1 */
	struct sim_pod **pods;       /* all that ever were, oldest first */
	size_t pod_count, pod_cap;
	struct map pods_by_uid;
	bool tells_packets; /* signed messages are told of in the story */
	int64_t pod_start_ms_min, pod_start_ms_max, pod_stop_ms;
	uint32_t pod_failures;      /* per thousand starts */
	int64_t last_join_us;       /* machines met that did not hear each other before */
	bool distinct;              /* the network is good enough to promise distinct machines */
	int64_t starve_until_us;    /* steps.c */
	bool watches_replays;       /* checker.c: below */
	struct map taken;           /* messages that a machine has taken for new */
	int64_t no_tender_since_us; /* nowhere is one open */
	struct sim_totals totals;
	struct repairs repairs;
	uint64_t noted_started, noted_stopped, noted_resumed, noted_tenders; /* scenario_repair.c */
	struct sim_story_line *story; /* a ring of SIM_STORY_MAX */
	size_t story_count;
	char violation[256]; /* "" = none so far */
	struct uid violation_uid;
};

/* ---- world.c ---- */
/* @params are complete. */
struct world *world_new(size_t machines, const struct params *params, uint64_t seed);
void world_free(struct world *world);
uint64_t world_random(struct world *world, uint64_t below);

/* @bytes of room for a packet lie behind the event. */
struct sim_event *world_event_new(struct world *world, enum sim_kind kind, size_t bytes);
void world_event_free(struct world *world, struct sim_event *event);
void world_schedule(struct world *world, struct sim_event *event, int64_t in_us);
static inline struct bytes sim_event_bytes(const struct sim_event *event)
{
	return bytes_of(event + 1, event->len);
}

/* A new event, scheduled. */
struct sim_event *world_event(struct world *world, enum sim_kind kind, int64_t in_us);
void world_schedule_tick(struct world *world, const struct sim_machine *machine, int64_t in_us);
void world_action(struct world *world, int64_t at_ms,
		  void (*action)(struct world *world, uint64_t argument), uint64_t argument);

/* Let time pass until @until_ms of the world, or a violation. */
void world_run(struct world *world, int64_t until_ms);

/* The machine handles nothing for @us; then all that came meanwhile at once. */
void world_stall(struct world *world, size_t machine, int64_t us);

/* ---- machine.c ---- */
void machine_init(struct world *world, size_t index, bool steward);
void machine_new_id(struct world *world, struct sim_machine *machine);
void machine_deinit(struct sim_machine *machine);

void machine_start(struct world *world, struct sim_machine *machine, bool join);

/* Start the machine's daemon; @join: it gets the fabric's time with a token. */
void world_boot(struct world *world, size_t machine, bool join);

/* formed.c: all machines at once, with what they remember of each other. */
void world_boot_formed(struct world *world);

/* Boot all machines, some milliseconds apart, and give the first few as bootstrap addresses. */
void world_boot_all(struct world *world);

/* Carry out the effects of a machine's node, and see to its next tick. */
void machine_pump(struct world *world, struct sim_machine *machine);
void machine_tick(struct world *world, struct sim_machine *machine);
void machine_expect(const struct sim_machine *machine); /* an event of it is near */
void machine_persisted(struct world *world, struct sim_machine *machine,
		       const struct sim_persisted *persisted);
void machine_disk_clear(struct sim_machine *machine);
/* Before it is started: a record that lies on its disk, and the certificate of who signed it. */
void machine_keep(struct sim_machine *machine, const struct record_key *key, struct bytes envelope);
void machine_disk_key(const uint8_t *bytes, struct record_key *ret_key); /* of sim_machine.disk */
void machine_end(struct world *world, struct sim_machine *machine);      /* of its daemon */
struct mono machine_now(const struct world *world, const struct sim_machine *machine);
struct wall world_wall(const struct world *world);
struct wall machine_system(const struct world *world, const struct sim_machine *machine);

/* Does a machine need more memory for its protocols than it may, on average of a large fabric? */
void world_check_memory(struct world *world);

/* Call a function of the machine's node; what it allocates is the machine's. */
#define machine_call(machine, call)                    \
	do {                                           \
		account_enter(&(machine)->heap_bytes); \
		call;                                  \
		account_leave();                       \
	} while (0)

/* ---- story.c ---- */
void world_tell(struct world *world, const struct uid *uid, const char *format, ...) _printf_(3, 4);
void world_violate(struct world *world, const struct uid *uid, const char *format, ...)
	_printf_(3, 4);

/* ---- directory.c: machines by id ---- */
struct sim_directory *sim_directory_new(size_t machines);
void sim_directory_free(struct sim_directory *directory);
void sim_directory_put(struct sim_directory *directory, const struct node_id *id, uint32_t machine);
/* It knows the beginning of an id only: the caller compares the rest. False: nobody. */
bool sim_directory_find(const struct sim_directory *directory, const struct node_id *id,
			uint32_t *ret_machine);

/* ---- operator.c: what people and accidents do ---- */
size_t world_apply(struct world *world, uint32_t replicas, int64_t cpu_milli);
struct sim_workload *world_workload(const struct world *world, const struct uid *uid); /* or NULL */
/* Given to exactly this machine, or to any steward (SIM_ANY). */
size_t world_apply_wish(struct world *world, size_t machine, const struct sim_wish *wish);
void world_scale(struct world *world, size_t workload, uint32_t replicas);
void world_delete(struct world *world, size_t workload);
void world_delete_at(struct world *world, size_t workload, size_t machine);
/* Delete it, and make another one of its name at once, both at @machine. */
size_t world_give_again(struct world *world, size_t workload, size_t machine);
void world_power_off(struct world *world, size_t machine);   /* the pods die with it */
void world_kill_daemon(struct world *world, size_t machine); /* the pods live on */
void world_power_on(struct world *world, size_t machine, bool keep_state);
void world_reidentify(struct world *world, size_t machine); /* while off: a new key */
void world_readdress(struct world *world, size_t machine);  /* while off: another address */
void world_clock_jump(struct world *world, size_t machine, int64_t ms); /* of its system's clock */
void world_partition(struct world *world, size_t first_of_other_side);
void world_cut_off(struct world *world, size_t machine); /* nobody hears it */
void world_isolate(struct world *world); /* nobody hears anybody; at most 256 machines */
void world_heal(struct world *world);
void world_mute(struct world *world, size_t from, size_t to, bool mute);
bool world_is_whole(const struct world *world);

/* ---- network.c ---- */
void network_init(struct world *world);
void network_deinit(struct world *world);
/* On the connection, or after dialling @addr (may be none). */
void network_send(struct world *world, struct sim_machine *from, const struct node_id *to,
		  const struct addr *addr, struct bytes packet);
/* Returns true when the event has been used up. */
bool network_packet(struct world *world, struct sim_event *event);
struct sim_event *network_packet_new(struct world *world, const struct sim_machine *from,
				     struct bytes packet);
void network_transmit(struct world *world, struct sim_event *packet, struct sim_machine *to,
		      uint32_t connection); /* takes the packet */
/* A packet that @from never made: it travels as if, on the connection that stands. */
void network_inject(struct world *world, size_t from, size_t to, struct bytes packet,
		    int64_t in_us);
bool network_reaches(const struct world *world, size_t from, size_t to);
/* Do both hear each other? If not: since when. */
bool network_talks(const struct world *world, size_t a, size_t b, int64_t *ret_since_us);
bool network_is_mute(const struct world *world, size_t from, size_t to);
void network_mute(struct world *world, size_t from, size_t to, bool mute);
uint8_t network_side(const struct world *world, size_t machine);
int64_t network_latency(struct world *world, const struct sim_machine *from,
			const struct sim_machine *to);
struct sim_machine *network_find(struct world *world, const struct node_id *id);
struct sim_machine *network_find_addr(struct world *world, const struct addr *addr);

/* ---- processor.c ---- */
bool processors_are_shared(const struct world *world);
/* When @machine will have taken a message that is here. */
int64_t processors_message(struct world *world, struct sim_machine *machine);
/* It makes, or checks, a signature now. */
void processors_seal(struct sim_machine *machine);
void processors_open(struct sim_machine *machine);
/* In how long what it sends now leaves it. */
int64_t processors_sent(const struct world *world, const struct sim_machine *machine);
/* When it will have done its next step of a handshake, which can begin at @from_us. */
int64_t processors_handshake(struct world *world, struct sim_machine *machine, int64_t from_us);
/* When its event loop will notice that a deadline has passed. */
int64_t processors_timer(const struct world *world, int64_t at_us);

/* ---- links.c ---- */
struct sim_link *links_find(const struct sim_links *links, uint32_t peer);
struct sim_link *links_get(struct sim_links *links, uint32_t peer); /* made when there is none */
void links_deinit(struct sim_links *links);
void links_disconnect(struct sim_links *links, uint32_t peer);
void links_leaf(struct sim_links *links, uint32_t peer);     /* the certificate of @peer is known */
bool links_has_leaf(struct sim_links *links, uint32_t peer); /* and is needed now */

/* ---- connection.c ---- */

void network_dial(struct world *world, struct sim_machine *from, const struct node_id *to,
		  const struct addr *addr);
/* A packet for a machine that is not connected: dial, and send it then. */
void network_dial_with(struct world *world, struct sim_machine *from, const struct node_id *to,
		       const struct addr *addr, struct bytes packet);
void network_dialled(struct world *world, struct sim_event *event);
void network_accepted(struct world *world, const struct sim_event *event);
/* Does the receiver of a packet know the connection that it comes on? */
bool network_arrives(struct world *world, const struct sim_event *packet);
void network_dials_drop(struct world *world, struct sim_machine *machine);
void network_reset(struct world *world, const struct sim_event *event);
void network_close(struct world *world, struct sim_machine *from, const struct node_id *to);
void network_idle(struct world *world, struct sim_machine *machine);
void network_process_ended(struct world *world, struct sim_machine *machine);
void network_sides_changed(struct world *world);
void network_watch(struct world *world, struct sim_machine *machine);
/* Two machines have been connected for a while: both are told now. */
void network_join(struct world *world, struct sim_machine *a, struct sim_machine *b);

/* ---- host.c ---- */
void host_start(struct world *world, struct sim_machine *machine, const struct award *award);
void host_stop(struct world *world, struct sim_machine *machine, const struct uid *pod_uid,
	       const char *text);
void host_resume(struct world *world, struct sim_machine *machine, const struct uid *pod_uid,
		 const char *text);
void host_note(struct world *world, const struct node_effect *note);
void host_forget_kept(struct world *world, struct sim_machine *machine); /* with its disk */
void host_pod_event(struct world *world, struct sim_pod *pod);
void host_power_off(struct world *world, struct sim_machine *machine);
void host_recover(struct world *world, struct sim_machine *machine);
bool host_is_alive(const struct sim_pod *pod); /* starting or running, and not told to stop */
void host_free(struct world *world);

/* ---- trust.c ---- */
struct node_trust trust_of(struct sim_machine *machine);
struct digest trust_leaf(const struct sim_machine *machine);
/* A record is written to @machine's disk, with the certificate of who signed it. */
void trust_keep_writer(struct sim_machine *machine, struct bytes envelope);
/* Nobody has the certificate of machine @index that lay with its records: it has another one. */
void trust_forget_writer(struct world *world, size_t index);
void trust_reset(struct sim_machine *machine);
void trust_deinit(struct sim_machine *machine);
/* What a signed packet says, for the story and for broken hosts. False: not a signed message. */
bool trust_peek(struct bytes packet, struct node_id *ret_issuer, struct message *ret_message);
/* An envelope of @payload under the machine's own key, as byzantine ones make them. */
void trust_seal_as(struct sim_machine *machine, struct bytes payload, struct buf *out);
