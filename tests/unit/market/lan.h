/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lan: several markets in one process, on a virtual clock and a virtual network with faults, with
 * hosts that start and stop pods after a delay. Everything follows from the seed.
 */
#pragma once

#include "market/market.h"

enum {
	LAN_NODES_MAX = 64,
	LAN_PODS_MAX = 4096,
};

struct lan_pod {
	struct uid uid;
	struct uid object_uid;
	struct digest tender_id;
	size_t node;
	uint32_t slot;
	enum {
		LAN_POD_STARTING,
		LAN_POD_RUNNING,
		LAN_POD_STOPPING,
		LAN_POD_ENDED,
	} state;
};

struct lan_packet;

struct lan {
	size_t node_count;
	struct market *markets[LAN_NODES_MAX];
	struct node_id ids[LAN_NODES_MAX];
	bool down[LAN_NODES_MAX];
	bool cut[LAN_NODES_MAX][LAN_NODES_MAX]; /* from, to: dropped */
	enum message_type drop[LAN_NODES_MAX];  /* a type that this node's sends lose; 0 = none */
	struct mono now;
	uint64_t random;
	/* The network, per thousand and in microseconds; a node hears itself at once. */
	uint32_t loss, duplication;
	int64_t delay_us_min, delay_us_max;
	int64_t start_us, stop_us;       /* of a pod */
	uint32_t start_failures;         /* per thousand */
	bool not_steward, deleted, runs; /* the facts handed to every market */
	bool referred;                   /* tenders come by way of others */
	/* How tenders are shown to machines; NULL: to all at once. It calls lan_asked(). */
	void (*ask)(struct lan *lan, size_t from, const struct market_effect *effect);
	struct lan_packet *packets; /* by (at, order) */
	uint64_t order;
	struct lan_pod pods[LAN_PODS_MAX];
	size_t pod_count;
	size_t placed, failed, closed, unplaced, freed, rooms; /* effects, counted */
	struct buf story;
	bool tell;
	void (*check)(struct lan *lan); /* after every event */
};

void lan_init(struct lan *lan, size_t nodes, uint64_t seed);
void lan_deinit(struct lan *lan);
uint64_t lan_random(struct lan *lan, uint64_t below);

/* Let all machines offer this. */
void lan_machines(struct lan *lan, int64_t cpu_milli, int64_t memory_bytes);
struct market_machine lan_machine(int64_t cpu_milli, int64_t memory_bytes);

/* Make a tender of @owner for @count slots from @first, of 100 milli-cores and 64 MiB each. */
struct lan_tender {
	uint8_t object; /* names the workload */
	uint32_t first, count, attempt;
	int64_t cpu_milli;
	int32_t priority;
	bool preemptible;
	bool together;
	const struct requirements *needs; /* what more than CPU and memory; NULL: nothing */
	const struct node_id *excluded;
};
extern const char lan_manifest[]; /* what every award carries */

int lan_open(struct lan *lan, size_t owner, const struct lan_tender *tender);
/* The announcement itself; the caller frees it. */
void lan_make_tender(const struct lan_tender *from, struct message *ret_message);
struct digest lan_tender_id(const struct lan_tender *tender);
struct uid lan_object(uint8_t object);

/* Show the tender of @effect to @count machines from @first on, and tell the market so. */
void lan_show(struct lan *lan, size_t from, const struct market_effect *effect, size_t first,
	      size_t count, struct market_reach reach);

/* Hand a message to a market as if it came from @from, and run its effects. */
/* @encodable: the codec would let it pass. False for a message that only a core would have to
 * refuse; it then has no envelope. */
int lan_deliver_as(struct lan *lan, size_t from, size_t to, const struct message *message,
		   bool encodable);
int lan_deliver(struct lan *lan, size_t from, size_t to, const struct message *message);

/* Carry out the effects that are waiting, then let time pass. */
void lan_settle(struct lan *lan);
void lan_run(struct lan *lan, int64_t ms);

/* Lose a machine and all it runs; the others are told after @notice_ms. */
void lan_crash(struct lan *lan, size_t node);

/* Pods of the object that are starting or running. */
size_t lan_alive(const struct lan *lan, uint8_t object);
size_t lan_alive_on(const struct lan *lan, uint8_t object, size_t node);
size_t lan_alive_in_slot(const struct lan *lan, uint8_t object, uint32_t slot);
struct lan_pod *lan_find_pod(struct lan *lan, const struct uid *uid);
