/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay: which machines there are, which of them live, and how to reach all of them.
 *
 * Sans-IO. The caller feeds events in time order, takes effects with overlay_next_effect() until it
 * returns NULL, and calls overlay_tick() when overlay_deadline() is reached. The overlay owns no
 * connection: it names a machine and an address, the caller connects.
 *
 * Members are learned from bootstrap addresses and from each other; every member keeps a connection
 * to every other.
 * A machine that others only named is dialled and nothing else; it becomes a member, is reported
 * (OVERLAY_JOINED) and shown, when it has connected and its HELLO has come. A restarted machine is
 * reported again, by its higher incarnation.
 *
 * Liveness: a member not heard from is probed, then suspected and asked about through others, and
 * only then declared dead; a machine that was itself stalled doubts itself first (OUR rule, after
 * Lifeguard): after a gap in its own ticks it gives everyone a full period again. A dead member is
 * dialled again with back-off for as long as it is remembered, so halves that were apart merge.
 */
#pragma once

#include "base/map.h"
#include "base/time.h"
#include "wire/message.h"

enum {
	OVERLAY_MEMBERS_MAX = 1024, /* remembered machines, dead ones included */
	OVERLAY_BOOTSTRAP_MAX = 16,
	OVERLAY_PING_MS = 1000,      /* a quiet member is probed this often */
	OVERLAY_SUSPECT_MS = 3000,   /* silence until suspicion */
	OVERLAY_DEAD_MS = 8000,      /* silence until the verdict */
	OVERLAY_REDIAL_MIN_MS = 500, /* back-off of dialling, doubling */
	OVERLAY_REDIAL_MAX_MS = 15000,
	OVERLAY_FORGET_MS = 24 * 3600 * 1000, /* a dead member is dialled for a day */
};

struct overlay_config {
	struct member self; /* copied */
	struct digest leaf; /* announced in the hello */
	uint64_t seed;      /* randomises timers; the only randomness */
};

struct overlay_peer {
	const struct member *member; /* borrowed, valid until the next event */
	enum member_state state;
	bool connected;
	int64_t rtt_us; /* smoothed; 0 = unknown */
};

enum overlay_effect_type {
	OVERLAY_SEND,      /* send @message to @to (known, connected or not: else it is dropped) */
	OVERLAY_DIAL,      /* connect to @addr; @to is its id, or none for a bootstrap address */
	OVERLAY_JOINED,    /* a member appeared or came back to life */
	OVERLAY_SUSPECTED, /* for the log only */
	OVERLAY_LOST,      /* a member was declared dead, or left */
};

struct overlay_effect {
	enum overlay_effect_type type;
	struct node_id to; /* SEND, DIAL; JOINED, SUSPECTED, LOST: whom it is about */
	struct addr addr;
	struct message message; /* SEND: owned by the overlay until the next call */
};

struct overlay;

struct overlay *overlay_new(const struct overlay_config *config, struct mono now);
void overlay_free(struct overlay *overlay);

/* The leaf to announce from now on: it has been renewed. */
void overlay_set_leaf(struct overlay *overlay, const struct digest *leaf);

/* An address to try until some member is known through it. Ignored beyond OVERLAY_BOOTSTRAP_MAX. */
void overlay_bootstrap(struct overlay *overlay, struct mono now, const struct addr *addr);

/* A connection to @id stands (either side dialled), from @addr. @fabric is our fabric time. */
void overlay_connected(struct overlay *overlay, struct mono now, const struct node_id *id,
		       const struct addr *addr, struct wall fabric);

/* The last connection to @id is gone, or a dial failed (@id none: of a bootstrap address). */
void overlay_disconnected(struct overlay *overlay, struct mono now, const struct node_id *id,
			  const struct addr *addr);

/* A HELLO, MEMBERS, PING or PONG from @from over its own connection. */
void overlay_receive(struct overlay *overlay, struct mono now, const struct node_id *from,
		     const struct message *message, struct wall fabric);

/* Anything else arrived from @from: it lives. */
void overlay_heard(struct overlay *overlay, struct mono now, const struct node_id *from);

void overlay_tick(struct overlay *overlay, struct mono now, struct wall fabric);
struct mono overlay_deadline(const struct overlay *overlay);

/* Say goodbye: MEMBERS with our own state LEFT, sent to all. */
void overlay_leave(struct overlay *overlay, struct mono now);

/* The next effect, or NULL. Valid until the next call of any function of this overlay. */
const struct overlay_effect *overlay_next_effect(struct overlay *overlay);

/* Iterate all known members but ourselves, in order of id: false at the end. */
bool overlay_next_peer(const struct overlay *overlay, size_t *position,
		       struct overlay_peer *ret_peer);
bool overlay_find(const struct overlay *overlay, const struct node_id *id,
		  struct overlay_peer *ret_peer);
size_t overlay_alive_count(const struct overlay *overlay); /* ourselves included */
const struct member *overlay_self(const struct overlay *overlay);
