/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world of overlays on one virtual clock: dials, connections, delays, cuts, crashes, stalls.
 *
 * A dial succeeds when a running machine listens at the address and the link is whole; otherwise it
 * fails after a round trip. A connection whose link is cut, or whose other end crashed, is reported
 * as gone after WORLD_IDLE_MS. A stalled machine gets neither ticks nor messages until it wakes.
 * A message to a machine that is not connected makes a connection first, if it has an address.
 */
#pragma once

#include "overlay/overlay.h"

enum {
	WORLD_MACHINES_MAX = 320,
	WORLD_DELAY_US = 1000, /* one way */
	WORLD_IDLE_MS = 15000,
	WORLD_WAIT_MS = 100,          /* what a stalled machine is sent is tried again */
	WORLD_DIAL_MS = 10000,        /* a dial that is not answered for so long has failed */
	WORLD_FABRIC_MS = 1700000000, /* fabric time when the world begins */
};

struct world_event;

struct world_machine {
	struct overlay *overlay;
	struct node_id id;
	struct addr addr;
	struct mono deadline;
	bool up, stalled;
	bool connected[WORLD_MACHINES_MAX];
	unsigned joined, suspected, lost, dials; /* effects seen */
	unsigned sent, delivered, found;
	struct mono lost_at; /* the last OVERLAY_LOST */
	uint64_t bytes_sent;
	size_t found_count; /* contacts of the last OVERLAY_FOUND */
	struct contact found_first;
	bool relays; /* hands on what is delivered to it */
};

struct world {
	struct world_machine machines[WORLD_MACHINES_MAX];
	size_t machine_count;
	bool cut[WORLD_MACHINES_MAX][WORLD_MACHINES_MAX];     /* messages from, to are lost */
	bool one_way[WORLD_MACHINES_MAX][WORLD_MACHINES_MAX]; /* only these messages are lost */
	struct world_event **events;                          /* heap by time, then sequence */
	size_t event_count, event_cap;
	struct mono now;
	uint64_t sequence;
	size_t pool;            /* of machines started from now on */
	enum message_type drop; /* the next message of this type is lost */
	uint64_t trace;         /* a hash of all that happened */
};

void world_init(struct world *world);
void world_deinit(struct world *world);

/* Start machine @n (0, 1, ...) on host @host: its address is 10.0.<host / 256>.<host % 256>:7946.
 */
void world_start(struct world *world, size_t n, uint16_t host);
void world_bootstrap(struct world *world, size_t n, size_t at);
void world_crash(struct world *world, size_t n);
void world_stall(struct world *world, size_t n, bool stalled);
void world_broadcast(struct world *world, size_t n, const char *text);
void world_find(struct world *world, size_t n, const struct digest *target, bool providers);
void world_watch(struct world *world, size_t n, size_t about);
size_t world_connections(const struct world *world, size_t n);
void world_cut(struct world *world, size_t a, size_t b, bool cut); /* both ways */
void world_run_ms(struct world *world, int64_t ms);

/* Give @message to machine @to as if @from had sent it. */
void world_inject(struct world *world, size_t from, size_t to, const struct message *message);
struct wall world_fabric(const struct world *world);
enum member_state world_state(const struct world *world, size_t observer, size_t about);
bool world_knows(const struct world *world, size_t observer, size_t about);

/* Everybody who is up is connected to and sees all others who are up. */
bool world_is_whole(const struct world *world);
