/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay: which machines there are, which of them live, how to reach one, some, or all of them.
 *
 * Sans-IO. The caller feeds events in time order, takes effects with overlay_next_effect() until it
 * returns NULL, and calls overlay_tick() when overlay_deadline() is reached. The overlay owns no
 * connection: it names a machine and an address, the caller connects.
 *
 * Parts, each a core of its own: view.h (HyParView: who is a neighbour), tree.h (Plumtree:
 * broadcast), kad.h (Kademlia: lookup and provider sets), liveness.c (suspicion and verdict). What
 * joins them is the table of peers, whose size does not depend on the fabric's:
 *
 *   active      neighbours of the view, at most VIEW_ACTIVE_MAX: probed every OVERLAY_PROBE_MS,
 *               watched, broadcast to
 *   pool        kept connections to random machines, config.pool with the active ones: samples are
 *               drawn from it; renewed one by one (OVERLAY_RENEW_MS), kept alive every
 *               OVERLAY_KEEPALIVE_MS; others may connect to it beyond that, by an eighth
 *   watched     machines whose life matters to the caller (overlay_watch()): probed as active ones
 *   transient   connections that somebody opened to say something: closed when idle for
 *               OVERLAY_TRANSIENT_MS, the oldest first beyond OVERLAY_TRANSIENT_MAX
 *   remembered  machines that are lost, or were once known: dialled with back-off, so that halves
 *               which were apart for an hour merge, a machine with one surviving contact rejoins,
 *               and restarted and readdressed ones are found again
 *
 * While a fabric is no larger than the pool every machine is connected to every other, knows all
 * members (overlay_is_whole()) and probes each every OVERLAY_PING_MS.
 *
 * A machine that others only named is dialled and nothing else; it becomes a member, is reported
 * (OVERLAY_JOINED) and shown, when it has connected and its HELLO has come. Only who wants a
 * connection for its pool sends HELLO, and it is answered; a transient connection carries none.
 *
 * Liveness: a member not heard from is probed, then suspected and asked about through others, and
 * only then declared dead; a machine that was itself stalled doubts itself first (after Lifeguard).
 * In a large fabric a neighbour's or watcher's verdict is told to all of its pool: they look for
 * themselves at once, with a shorter patience, so that one liar can cause a probe and nothing more.
 * A member that is only given up by a pool is forgotten, and nothing is told.
 */
#pragma once

#include "base/map.h"
#include "base/time.h"
#include "wire/message.h"

enum {
	OVERLAY_POOL_DEFAULT = 128, /* kept connections: 27 KiB each, 3.5 MiB */
	OVERLAY_POOL_MIN = 8,
	OVERLAY_MEMBERS_MAX = 1024, /* peers of all sorts in memory, dead ones included */
	OVERLAY_BOOTSTRAP_MAX = 16,
	OVERLAY_WATCH_MAX = 256,
	OVERLAY_TRANSIENT_MAX = 256, /* the bidders of one large tender stay connected */
	OVERLAY_TRANSIENT_MS = 10 * 1000,
	OVERLAY_RENEW_MS = 60 * 1000,     /* between two exchanges of a pool member, when not whole:
					   * a handshake costs as much as a minute of probing */
	OVERLAY_KEEPALIVE_MS = 40 * 1000, /* below the transport's idle timeout of 60 s */
	OVERLAY_PING_MS = 1000,           /* a quiet member is probed this often, when whole */
	OVERLAY_PROBE_MS = 2000,          /* a quiet neighbour or watched one, when not whole */
	OVERLAY_SUSPECT_MS = 3000,        /* silence until suspicion */
	OVERLAY_DEAD_MS = 8000,           /* silence until the verdict, when whole */
	OVERLAY_CLOSE_DEAD_MS = 5000,     /* the same of a neighbour or watched one, when not whole:
					   * few observe it, and they may be starved just then */
	OVERLAY_ANSWER_MS = 3500,         /* no verdict before a question went unanswered for this:
					   * longer than a stall */
	OVERLAY_REDIAL_MIN_MS = 500,      /* back-off of dialling, doubling */
	OVERLAY_REDIAL_MAX_MS = 15000,
	OVERLAY_FORGET_MS = 24 * 3600 * 1000, /* a dead member is dialled for a day */
};

struct overlay_config {
	struct member self; /* copied */
	struct digest leaf; /* announced in the hello */
	uint64_t seed;      /* randomises timers and choices; the only randomness */
	size_t pool;        /* 0: OVERLAY_POOL_DEFAULT */
};

struct overlay_peer {
	const struct member *member; /* borrowed, valid until the next event */
	enum member_state state;
	bool connected;
	int64_t rtt_us;     /* smoothed; 0 = unknown */
	int64_t silence_us; /* since it was heard last, itself; at the latest event */
};

enum overlay_effect_type {
	OVERLAY_SEND,      /* send @message to @to: on its connection, or at @addr, which is then
			    * dialled; dropped when neither is possible */
	OVERLAY_DIAL,      /* connect to @addr; @to is its id, or none for a bootstrap address */
	OVERLAY_CLOSE,     /* close the connection to @to: nobody here needs it */
	OVERLAY_JOINED,    /* a member appeared or came back to life */
	OVERLAY_SUSPECTED, /* for the log only */
	OVERLAY_LOST,      /* a member was declared dead, or left */
	OVERLAY_DELIVER,   /* a broadcast: judge @payload, then overlay_relay() if it is believed */
	OVERLAY_FOUND,     /* lookup @token has ended */
};

struct overlay_effect {
	enum overlay_effect_type type;
	struct node_id to; /* SEND, DIAL, CLOSE; DELIVER: from; else whom it is about */
	struct addr addr;
	struct message message; /* SEND: owned by the overlay until the next call */
	struct uid broadcast;   /* DELIVER */
	struct bytes payload;   /* DELIVER: valid until the next call */
	uint32_t hops;          /* DELIVER, FOUND */
	bool complete;          /* FOUND: as kad.h says */
	uint64_t token;         /* FOUND */
	const struct contact *contacts;
	size_t contact_count;
};

struct overlay;

struct overlay *overlay_new(const struct overlay_config *config, struct mono now);
void overlay_free(struct overlay *overlay);

/* The leaf to announce from now on: it has been renewed. */
void overlay_set_leaf(struct overlay *overlay, const struct digest *leaf);

/* An address to try until some member is known through it. Ignored beyond OVERLAY_BOOTSTRAP_MAX. */
void overlay_bootstrap(struct overlay *overlay, struct mono now, const struct addr *addr);

/* A member of an earlier life, or one that somebody vouches for: dialled for the pool as soon as
 * dials are free, and some of them again and again when they do not answer. */
void overlay_remember(struct overlay *overlay, struct mono now, const struct contact *contact);

/* overlay_know() was told the neighbourhood: there is nothing to look up, and how large the fabric
 * is can be told already. Whom to connect to is remembered after this. */
void overlay_formed(struct overlay *overlay, struct mono now);

/* A contact for lookups, known to live. */
void overlay_know(struct overlay *overlay, struct mono now, const struct contact *contact);

/* A connection to @contact stands (either side dialled): its id, the address it comes from, and
 * whether it is a steward, all three proved. @fabric is our fabric time. */
void overlay_connected(struct overlay *overlay, struct mono now, const struct contact *contact,
		       struct wall fabric);

/* The last connection to @id is gone, or a dial failed (@id none: of a bootstrap address). */
void overlay_disconnected(struct overlay *overlay, struct mono now, const struct node_id *id,
			  const struct addr *addr);

/* @id is no member any more, whatever it says: as if it had left. Nobody dials it; the caller
 * closes its connections. */
void overlay_expel(struct overlay *overlay, struct mono now, const struct node_id *id);

/* Any message of the overlay's families from @from over its own connection. */
void overlay_receive(struct overlay *overlay, struct mono now, const struct node_id *from,
		     const struct message *message, struct wall fabric);

/* Anything else arrived from @from: it lives. */
void overlay_heard(struct overlay *overlay, struct mono now, const struct node_id *from);

void overlay_tick(struct overlay *overlay, struct mono now, struct wall fabric);
struct mono overlay_deadline(const struct overlay *overlay); /* O(1) */
void overlay_expect(const struct overlay *overlay);          /* as node_expect() */

/* Say goodbye to all who are connected. */
void overlay_leave(struct overlay *overlay, struct mono now);

/* The next effect, or NULL. Valid until the next call of any function of this overlay. */
const struct overlay_effect *overlay_next_effect(struct overlay *overlay);

/* ---- one, some, all ---- */

/* This machine's life matters: keep a connection and probe it; when it is lost dial it, for
 * OVERLAY_FORGET_MS. False beyond OVERLAY_WATCH_MAX. */
bool overlay_watch(struct overlay *overlay, struct mono now, const struct contact *contact);
void overlay_unwatch(struct overlay *overlay, const struct node_id *id);

/* Others say that this machine is silent: it is asked at once, and if nothing answers our own
 * verdict comes sooner. Who is judged by nobody here is not. */
void overlay_accuse(struct overlay *overlay, struct mono now, const struct node_id *id);

/* Up to @count different live, connected members of the pool, drawn at random; never ourselves and
 * none of @except. Returns how many. */
size_t overlay_sample(struct overlay *overlay, const struct node_id *except, size_t except_count,
		      size_t count, struct contact *ret_contacts);

/* Everyone that is known to live is connected: the fabric is no larger than the pool. */
bool overlay_is_whole(const struct overlay *overlay);

/* The fabric is larger than the pool. Neither this nor whole: somebody's connection is missing. */
bool overlay_is_large(const struct overlay *overlay);

/* Whether it is large has been judged by those around our own position, once they were looked up.
 * Before, a newcomer to a large fabric may take it for a small one. */
bool overlay_is_sized(const struct overlay *overlay);

/* To all live machines but ourselves. At most MESSAGE_GOSSIP_MAX bytes. */
void overlay_broadcast(struct overlay *overlay, struct mono now, struct bytes payload);
void overlay_relay(struct overlay *overlay, struct mono now, const struct uid *broadcast);

/* Look up by distance: kad.h. OVERLAY_FOUND follows. 0, or enum kad_result. */
_must_use_ int overlay_find(struct overlay *overlay, struct mono now, const struct digest *target,
			    bool providers, uint64_t *ret_token);
/* The live stewards nearest to @target: a third of what overlay_find() costs. */
_must_use_ int overlay_find_stewards(struct overlay *overlay, struct mono now,
				     const struct digest *target, uint64_t *ret_token);
_must_use_ int overlay_provide(struct overlay *overlay, struct mono now, const struct digest *key);
void overlay_withdraw(struct overlay *overlay, struct mono now, const struct digest *key);

/* Known machines nearest to @target, without asking anyone; ourselves not among them. */
size_t overlay_nearest(const struct overlay *overlay, const struct digest *target,
		       struct contact *ret_contacts, size_t max);

/* How many machines there are: exact when whole, else estimated from density. */
uint64_t overlay_size(const struct overlay *overlay);

/* ---- reads ---- */

/* Iterate all greeted members but ourselves, in order of id: false at the end. */
bool overlay_next_peer(const struct overlay *overlay, size_t *position,
		       struct overlay_peer *ret_peer);
bool overlay_find_peer(const struct overlay *overlay, const struct node_id *id,
		       struct overlay_peer *ret_peer);
struct view;
struct tree;
struct kad;

const struct view *overlay_view(const struct overlay *overlay);
const struct tree *overlay_tree(const struct overlay *overlay);
const struct kad *overlay_kad(const struct overlay *overlay);
/* Where a machine is to which a connection stands, or that is known otherwise. */
bool overlay_find_addr(const struct overlay *overlay, const struct node_id *id,
		       struct addr *ret_addr);
size_t overlay_alive_count(const struct overlay *overlay); /* ourselves included */
const struct member *overlay_self(const struct overlay *overlay);
struct contact overlay_contact(const struct overlay *overlay); /* ourselves, for others */
