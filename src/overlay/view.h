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
 * the caller dial it; if that fails the caller says view_unreachable().
 *
 * OUR deviations: a neighbour leaves the active view when the liveness of the overlay has given its
 * verdict or when its connection is gone and cannot be made again, not on the first broken
 * connection; a machine whose active view is empty asks with priority, again and again with
 * back-off, passive members first, then what the caller remembers (bootstrap addresses).
 */
#pragma once

#include "base/time.h"
#include "wire/message.h"

enum {
	VIEW_ACTIVE_MAX = 6, /* ln(100,000)/2: connected with overwhelming probability, and cheap */
	VIEW_ACTIVE_MIN = 4, /* below it a neighbour is sought at once */
	VIEW_PASSIVE_MAX = 96, /* six times the active view of the paper, rounded up */
	VIEW_JOIN_TTL = 6,     /* ARWL: active random walk length */
	VIEW_PASSIVE_TTL = 3,  /* PRWL: where on the walk a newcomer enters a passive view */
	VIEW_SHUFFLE_MS = 15 * 1000,
	VIEW_SHUFFLE_TTL = 3,
	VIEW_SHUFFLE_ACTIVE = 3,  /* ka */
	VIEW_SHUFFLE_PASSIVE = 8, /* kp: with ourselves 12 contacts, one datagram */
	VIEW_REPLACE_MS = 500,    /* between two tries to fill a hole; doubles while none answers */
	VIEW_REPLACE_MAX_MS = 15 * 1000,
	VIEW_ANSWER_MS = 3000, /* a NEIGHBOR that nobody answers has failed */
};

enum view_effect_type {
	VIEW_SEND, /* @message to @to, connected or not */
	VIEW_UP,   /* @to is now an active neighbour */
	VIEW_DOWN, /* it no longer is */
};

struct view_effect {
	enum view_effect_type type;
	struct contact to;
	struct message message; /* SEND: owned by the view until its next call */
};

struct view;

struct view *view_new(const struct contact *self, uint64_t seed, struct mono now);
void view_free(struct view *view);
void view_set_self(struct view *view, const struct contact *self); /* readdressed, reincarnated */

/* Enter the fabric through @contact, to which a connection stands. */
void view_join(struct view *view, struct mono now, const struct contact *contact);

/* JOIN, FORWARD_JOIN, NEIGHBOR, NEIGHBOR_REPLY, DISCONNECT, SHUFFLE or SHUFFLE_REPLY, over the
 * connection of @from. */
void view_receive(struct view *view, struct mono now, const struct contact *from,
		  const struct message *message);

/* Worth remembering: it goes into the passive view, a random other one makes room. */
void view_remember(struct view *view, struct mono now, const struct contact *contact);

/* Dead, left, or its connection is gone for good. Leaves both views. */
void view_lost(struct view *view, struct mono now, const struct node_id *id);

/* It could not be dialled: out of the passive view; a NEIGHBOR to it has failed. */
void view_unreachable(struct view *view, struct mono now, const struct node_id *id);

void view_tick(struct view *view, struct mono now);
struct mono view_deadline(const struct view *view);
const struct view_effect *view_next_effect(struct view *view);

/* Reads. */
size_t view_active_count(const struct view *view);
const struct contact *view_active(const struct view *view, size_t at);
bool view_is_active(const struct view *view, const struct node_id *id);
size_t view_passive_count(const struct view *view);
const struct contact *view_passive(const struct view *view, size_t at);
