/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the view. A machine is, as we see it, one of
 *
 *	unknown --named, remembered--> PASSIVE --we ask it--> PASSIVE, REQUESTED
 *	   ^                              ^                        |
 *	   |                              |  refused, no answer ---+
 *	   +--lost, unreachable-----------+                        |
 *	   |                              |                        | accepted
 *	   |                  DISCONNECT, |                        v
 *	   +--lost, leaving----dropped----+---------------------ACTIVE <--it asked us, and was
 *accepted
 *
 * Invariants: nobody is both active and passive, or twice in either; we are in neither; the passive
 * members that were asked in this round of repair come first.
 */
#pragma once

#include "base/prng.h"
#include "overlay/throttle.h"
#include "overlay/view.h"

/* An active neighbour. */
struct view_link {
	struct contact contact;
	struct mono proven; /* it last showed that it counts us among its neighbours */
	struct throttle walks;
	bool doubted;
};

enum view_purpose {
	VIEW_FOR_HOLE,  /* fewer than VIEW_ACTIVE_MIN: dropped again when there is no room */
	VIEW_FOR_RENEW, /* another one goes for it */
	VIEW_FOR_JOIN,
};

/* A NEIGHBOR or JOIN of ours that waits for its answer. */
struct view_request {
	struct contact contact;
	struct mono until;
	enum view_purpose purpose;
};

/* An effect in short form. */
struct view_note {
	enum view_effect_type type;
	enum message_type message;
	struct contact to, subject; /* FORWARD_JOIN: who; SHUFFLE: its origin */
	uint32_t ttl;
	bool flag; /* urgent, accepted, leaving */
	struct contact *contacts;
	size_t contact_count;
};

struct view {
	struct contact self;
	struct prng prng;
	struct mono now;
	struct view_link active[VIEW_ACTIVE_MAX];
	size_t active_count;
	struct contact passive[VIEW_PASSIVE_MAX];
	size_t passive_count, passive_tried;
	struct view_request requests[VIEW_REQUESTS_MAX];
	size_t request_count;
	struct node_id shuffled[VIEW_SHUFFLE_PASSIVE]; /* sent in our last shuffle: they make room
							* for its answer */
	size_t shuffled_count;
	struct mono reply_until; /* of the shuffle reply that is awaited */
	struct mono seek_at, shuffle_at, check_at, renew_at, deadline;
	int64_t shuffle_ms, backoff_ms;
	bool exhausted;    /* all passive members were asked, and there is no neighbour */
	unsigned failures; /* requests in a row without any answer */
	struct throttle joins, evictions, ends;
	struct view_note *notes;
	size_t note_count, note_cap, note_next;
	struct view_effect effect; /* the one that was shown */
};

/* view_table.c: who is what */
struct view_link *view_find_link(struct view *view, const struct node_id *id);
struct view_request *view_find_request(struct view *view, const struct node_id *id);
void view_remove_request(struct view *view, struct view_request *request);
void view_add_passive(struct view *view, const struct contact *contact);
/* Hearsay: at most VIEW_TAKE_MAX; those of @sent leave first when there is no room. */
void view_take(struct view *view, const struct contacts *contacts, const struct node_id *sent,
	       size_t sent_count);
bool view_remove_passive(struct view *view, const struct node_id *id);
/* There is room; @contact is not active. */
void view_add_link(struct view *view, const struct contact *contact);
/* @link is gone; @keep: into the passive view. */
void view_drop_link(struct view *view, struct view_link *link, bool keep);
/* It showed that it counts us among its neighbours, and lives. */
void view_prove_link(struct view *view, struct view_link *link);
size_t view_doubted_count(const struct view *view);
/* A doubted neighbour, else a random one, makes room and is told. */
void view_evict(struct view *view, const struct node_id *except);
/* The same neighbour begins anew: it has forgotten us meanwhile. */
void view_renew_link(struct view *view, struct view_link *link, const struct contact *contact);
/* A random neighbour that is neither of the two (NULL: none to avoid), undoubted if possible. NULL
 * when there is none. */
const struct view_link *view_random_link(struct view *view, const struct node_id *a,
					 const struct node_id *b);

/* view_effect.c */
struct view_note *view_note(struct view *view, enum view_effect_type type,
			    const struct contact *to);
struct view_note *view_send(struct view *view, const struct contact *to, enum message_type type);
/* Up to @want random contacts of both views for @to, allocated; the caller hands them on. */
struct contact *view_sample(struct view *view, const struct node_id *to, size_t active_max,
			    size_t passive_max, size_t *ret_count);
void view_free_notes(struct view *view);

/* view_repair.c: what time brings */
void view_ask(struct view *view, const struct contact *contact, enum view_purpose purpose);
/* A request has ended; @answered: it was refused, but somebody lives there. */
void view_request_failed(struct view *view, bool answered);
void view_seek_soon(struct view *view);
bool view_has_hole(const struct view *view);
void view_settle(struct view *view); /* after every event: the next deadline */
