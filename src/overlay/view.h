/* SPDX-License-Identifier: Apache-2.0 */
/*
 * View: partial membership, after HyParView (Leitao, Pereira, Rodrigues 2007).
 *
 * Every machine has a small *active view*, symmetric, over which broadcasts travel and whose
 * members watch each other; and a larger *passive view* of addresses from which lost neighbours are
 * replaced. Both have fixed sizes, whatever the size of the fabric. Shuffles keep the passive view
 * a random sample of it.
 *
 * Sans-IO: events in time order, effects with view_next_effect() until NULL, view_tick() at
 * view_deadline(). The view owns no connection. A message to a machine that is not connected makes
 * the caller dial it; if that fails the caller says view_unreachable(). Messages may be lost,
 * repeated, late, or forged by a member of the fabric: what others name enters the passive view and
 * nothing else, few per message, and no machine can push out a neighbour but by asking itself.
 *
 * OUR deviations:
 * - A neighbour leaves the active view when the liveness of the overlay has given its verdict or
 *   when it says so, not on the first broken connection.
 * - JOIN and NEIGHBOR are answered, and only an answer makes a neighbour. A JOIN is answered with
 *   contacts too, so that a newcomer finds its other neighbours itself when the walks of a storm of
 *   joins are throttled. A walk ends at a machine with room, or leaves the newcomer remembered.
 * - Both ends confirm their relation every VIEW_CHECK_MS unless other messages of neighbours have
 *   shown it, and view messages of a machine that is no neighbour are answered with DISCONNECT: a
 *   relation that only one end knows of heals.
 * - Every VIEW_RENEW_MS a neighbour is exchanged for a random machine, so that two halves which
 *   found each other again grow together, and the graph does not remember how it came to be.
 * - A machine without neighbours asks with priority, passive members first, again and again with
 *   back-off; it keeps those it could not reach, for then the fault may be its own.
 */
#pragma once

#include "base/time.h"
#include "wire/message.h"

enum {
	VIEW_ACTIVE_MAX = 6, /* ln(100,000)/2: connected with overwhelming probability, and cheap */
	VIEW_ACTIVE_MIN = 4, /* below it a neighbour is sought at once */
	VIEW_PASSIVE_MAX = 96,        /* so that some live when most of a fabric is gone; 7 KiB */
	VIEW_JOIN_TTL = 6,            /* ARWL: active random walk length */
	VIEW_PASSIVE_TTL = 3,         /* PRWL: where on the walk a newcomer enters a passive view */
	VIEW_SHUFFLE_MS = 60 * 1000,  /* with the handshake of its answer 110 bytes a second */
	VIEW_SHUFFLE_FIRST_MS = 2000, /* a newcomer's first; then doubling up to VIEW_SHUFFLE_MS */
	VIEW_SHUFFLE_TTL = 3,
	VIEW_SHUFFLE_ACTIVE = 3,  /* ka */
	VIEW_SHUFFLE_PASSIVE = 8, /* kp: with ourselves 12 contacts, one datagram */
	VIEW_TAKE_MAX = 12,       /* contacts of one message that are looked at */
	VIEW_CHECK_MS = 30 * 1000,
	VIEW_RENEW_MS = 5 * 60 * 1000,
	VIEW_RENEW_KEEP = 5,   /* so many are left after an exchange: there is room in the fabric */
	VIEW_REQUESTS_MAX = 4, /* NEIGHBOR and JOIN that wait for an answer */
	VIEW_REPLACE_MS = 500, /* between two tries to fill a hole; doubles while none answers */
	VIEW_REPLACE_MAX_MS = 5 * 1000,
	VIEW_REPLACE_FREE = 8, /* failures in a row before that: half of a fabric may be gone */
	VIEW_ANSWER_MS = 1500, /* a NEIGHBOR that nobody answers has failed; a late answer counts */
	VIEW_REPLY_MS = 10 * 1000, /* a SHUFFLE_REPLY is awaited so long, and no other taken */
	VIEW_JOIN_BURST = 8,       /* JOINs that are walked for; beyond them they are answered */
	VIEW_JOIN_INTERVAL_MS = 250,
	VIEW_EVICT_BURST = 4, /* neighbours that others can push out */
	VIEW_EVICT_INTERVAL_MS = 1000,
	VIEW_WALK_BURST = 32, /* FORWARD_JOIN and SHUFFLE of one neighbour */
	VIEW_WALK_INTERVAL_MS = 125,
	VIEW_END_BURST = 8, /* shuffles that end here: each makes us dial where others say */
	VIEW_END_INTERVAL_MS = 2000,
};

enum view_effect_type {
	VIEW_SEND, /* @message to @to, connected or not */
	VIEW_UP,   /* @to is now an active neighbour */
	VIEW_DOWN, /* it no longer is; DOWN and UP in a row: it is one anew */
};

struct view_effect {
	enum view_effect_type type;
	struct contact to;
	struct message message; /* SEND: owned by the view until its next call */
};

struct view;

struct view *view_new(const struct contact *self, uint64_t seed, struct mono now);
void view_free(struct view *view);

/* Readdressed, reincarnated. While the address is one that nobody can dial nothing is shuffled. */
void view_set_self(struct view *view, const struct contact *self);

/* Enter the fabric through @contact, to which a connection stands; also with neighbours, to bind
 * two parts of a fabric together: both ends then make room. */
void view_join(struct view *view, struct mono now, const struct contact *contact);

/* Tell the neighbours that this daemon ends. */
void view_leave(struct view *view, struct mono now);

/* JOIN, FORWARD_JOIN, NEIGHBOR, NEIGHBOR_REPLY, DISCONNECT, SHUFFLE or SHUFFLE_REPLY, over the
 * connection of @from. Its incarnation is 0 where the caller does not know it. */
void view_receive(struct view *view, struct mono now, const struct contact *from,
		  const struct message *message);

/* Tree traffic came from @from: if it is no neighbour it is told so. */
void view_traffic(struct view *view, struct mono now, const struct contact *from);

/* Worth remembering: it goes into the passive view, a random other one makes room. A neighbour of
 * which a higher incarnation is told is asked whether it still is one; its address is taken from
 * itself alone. */
void view_remember(struct view *view, struct mono now, const struct contact *contact);

/* Dead, left, or its connection is gone for good. Leaves both views. */
void view_lost(struct view *view, struct mono now, const struct node_id *id);

/* The neighbour @id is suspected, or no longer: meanwhile a replacement is sought, and it is the
 * first to make room. So a fabric that lost half of its machines is whole before the verdicts. */
void view_doubt(struct view *view, struct mono now, const struct node_id *id, bool doubted);

/* It could not be dialled: a NEIGHBOR to it has failed, and it leaves the passive view unless we
 * have no neighbour. Does nothing to a neighbour: that is for the liveness to judge. */
void view_unreachable(struct view *view, struct mono now, const struct node_id *id);

void view_tick(struct view *view, struct mono now);
struct mono view_deadline(const struct view *view); /* O(1) */
void view_expect(const struct view *view);          /* base/cache.h */
const struct view_effect *view_next_effect(struct view *view);

/* Reads. An index is valid until the next event. */
size_t view_active_count(const struct view *view);
const struct contact *view_active(const struct view *view, size_t at);
bool view_is_active(const struct view *view, const struct node_id *id);
size_t view_passive_count(const struct view *view);
const struct contact *view_passive(const struct view *view, size_t at);

/* No neighbour, and every passive member was asked in vain, which goes on: view_join() through
 * whatever the caller remembers. */
bool view_is_alone(const struct view *view);
