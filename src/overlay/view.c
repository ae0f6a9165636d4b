/* SPDX-License-Identifier: Apache-2.0 */
/* What is said to the view: by its caller, and by other machines. */
#include "overlay/view.h"

#include <assert.h>
#include <stdlib.h>

#include "base/cache.h"
#include "base/mem.h"
#include "overlay/view_internal.h"

struct view *view_new(const struct contact *self, uint64_t seed, struct mono now)
{
	struct view *view = mem_new(struct view);

	view->self = *self;
	view->prng = prng_seeded(seed);
	view->now = now;
	view->backoff_ms = VIEW_REPLACE_MS;
	view->shuffle_ms = VIEW_SHUFFLE_FIRST_MS;
	view->seek_at = MONO_NEVER;
	view->shuffle_at = view->check_at = now;
	view->reply_until = now;
	view->renew_at = mono_add_ms(now, prng_jitter(&view->prng, VIEW_RENEW_MS));
	view_settle(view);
	return view;
}

void view_free(struct view *view)
{
	if (!view)
		return;
	view_free_notes(view);
	free(view);
}

void view_set_self(struct view *view, const struct contact *self)
{
	assert(node_id_equal(&view->self.id, &self->id));
	view->self = *self;
}

void view_expect(const struct view *view)
{
	CACHE_EXPECT(view, deadline, note_next);
}

struct mono view_deadline(const struct view *view)
{
	return view->deadline;
}

void view_join(struct view *view, struct mono now, const struct contact *contact)
{
	view->now = now;
	if (node_id_equal(&contact->id, &view->self.id) || view_find_link(view, &contact->id))
		return;
	view_add_passive(view, contact);
	if (view->request_count < VIEW_REQUESTS_MAX && !view_find_request(view, &contact->id)) {
		view_ask(view, contact, VIEW_FOR_JOIN);
		view->reply_until = mono_add_ms(now, VIEW_REPLY_MS);
	}
	view_settle(view);
}

void view_leave(struct view *view, struct mono now)
{
	view->now = now;
	for (size_t i = 0; i < view->active_count; i++)
		view_send(view, &view->active[i].contact, MESSAGE_DISCONNECT)->flag = true;
}

/* ---- what makes a neighbour ---- */

static void reply(struct view *view, const struct contact *to, bool accepted)
{
	view_send(view, to, MESSAGE_NEIGHBOR_REPLY)->flag = accepted;
}

/* Is there room for another neighbour, or does one go for it? */
static bool make_room(struct view *view, bool evict)
{
	if (view->active_count < VIEW_ACTIVE_MAX)
		return true;
	if (view_doubted_count(view) == 0 &&
	    (!evict ||
	     !throttle_pass(&view->evictions, view->now, VIEW_EVICT_BURST, VIEW_EVICT_INTERVAL_MS)))
		return false;
	view_evict(view, NULL);
	return true;
}

/* HyParView section 4.3: with priority it is accepted always, else only with room. OUR deviation:
 * with priority too it is refused when neighbours are being pushed out too fast. */
static void receive_neighbor(struct view *view, const struct contact *from, bool urgent)
{
	struct view_link *link = view_find_link(view, &from->id);
	bool accepted = true;

	if (link && urgent)
		view_renew_link(view, link, from);
	else if (link)
		view_prove_link(view, link);
	else if (make_room(view, urgent))
		view_add_link(view, from);
	else
		accepted = false;
	if (!accepted)
		view_add_passive(view, from);
	reply(view, from, accepted);
}

static void receive_answer(struct view *view, const struct contact *from, bool accepted,
			   enum view_purpose purpose)
{
	struct contact contact = view_find_request(view, &from->id)->contact;

	view_remove_request(view, view_find_request(view, &from->id));
	if (!accepted) {
		view_request_failed(view, true);
		return;
	}
	view->failures = 0;
	view->backoff_ms = VIEW_REPLACE_MS;
	if (purpose == VIEW_FOR_HOLE && !make_room(view, false)) {
		view_send(view, from, MESSAGE_DISCONNECT);
		return;
	}
	if (view->active_count == VIEW_ACTIVE_MAX)
		view_evict(view, NULL);
	view_add_link(view, from->incarnation >= contact.incarnation ? from : &contact);
	if (purpose == VIEW_FOR_RENEW && view->active_count > VIEW_RENEW_KEEP)
		view_evict(view, &from->id);
}

/* An answer that nobody waits for is late: it is taken as the wish to be neighbours. */
static void receive_neighbor_reply(struct view *view, const struct contact *from, bool accepted)
{
	struct view_link *link = view_find_link(view, &from->id);
	const struct view_request *request = view_find_request(view, &from->id);

	if (link && accepted)
		view_prove_link(view, link);
	else if (link)
		view_drop_link(view, link, true);
	else if (request)
		receive_answer(view, from, accepted, request->purpose);
	else if (accepted && make_room(view, false))
		view_add_link(view, from);
	else if (accepted)
		view_send(view, from, MESSAGE_DISCONNECT);
}

static void receive_disconnect(struct view *view, const struct contact *from, bool leaving)
{
	struct view_link *link = view_find_link(view, &from->id);
	struct view_request *request = view_find_request(view, &from->id);

	if (link)
		view_drop_link(view, link, !leaving);
	if (leaving)
		(void)view_remove_passive(view, &from->id);
	if (request) {
		view_remove_request(view, request);
		view_request_failed(view, true);
	}
}

/* ---- walks ---- */

/* HyParView section 4.2: the contact takes the newcomer and tells its neighbours. */
static void receive_join(struct view *view, const struct contact *from)
{
	struct view_link *link = view_find_link(view, &from->id);
	struct view_note *note;
	bool accepted = true;

	if (link)
		view_renew_link(view, link, from);
	else if (make_room(view, true))
		view_add_link(view, from);
	else
		accepted = false;
	if (!accepted)
		view_add_passive(view, from);
	reply(view, from, accepted);
	note = view_send(view, from, MESSAGE_SHUFFLE_REPLY);
	note->contacts = view_sample(view, &from->id, VIEW_SHUFFLE_ACTIVE, VIEW_SHUFFLE_PASSIVE,
				     &note->contact_count);
	if (!addr_can_be_dialled(&from->addr) ||
	    !throttle_pass(&view->joins, view->now, VIEW_JOIN_BURST, VIEW_JOIN_INTERVAL_MS))
		return;
	for (size_t i = 0; i < view->active_count; i++) {
		if (node_id_equal(&view->active[i].contact.id, &from->id))
			continue;
		note = view_send(view, &view->active[i].contact, MESSAGE_FORWARD_JOIN);
		note->subject = *from;
		note->ttl = VIEW_JOIN_TTL;
	}
}

/* Is @from a neighbour, and not too busy? One that is none is told so, unless it may have accepted
 * us in this moment. */
static struct view_link *walk_of(struct view *view, const struct contact *from)
{
	struct view_link *link = view_find_link(view, &from->id);

	if (!link && !view_find_request(view, &from->id))
		view_send(view, from, MESSAGE_DISCONNECT);
	if (!link)
		return NULL;
	view_prove_link(view, link);
	if (!throttle_pass(&link->walks, view->now, VIEW_WALK_BURST, VIEW_WALK_INTERVAL_MS))
		return NULL;
	return link;
}

static void receive_forward_join(struct view *view, const struct contact *from,
				 const struct forward_join *walk)
{
	const struct contact *newcomer = &walk->contact;
	uint32_t ttl = walk->ttl > VIEW_JOIN_TTL ? VIEW_JOIN_TTL : walk->ttl;
	const struct view_link *next = NULL;
	struct view_note *note;

	if (!walk_of(view, from) || node_id_equal(&newcomer->id, &view->self.id))
		return;
	if (ttl > 0)
		next = view_random_link(view, &from->id, &newcomer->id);
	if (!next) {
		view_add_passive(view, newcomer);
		if (view->active_count < VIEW_ACTIVE_MAX && view->request_count == 0 &&
		    !view_find_link(view, &newcomer->id))
			view_ask(view, newcomer, VIEW_FOR_HOLE);
		return;
	}
	if (ttl == VIEW_PASSIVE_TTL)
		view_add_passive(view, newcomer);
	note = view_send(view, &next->contact, MESSAGE_FORWARD_JOIN);
	note->subject = *newcomer;
	note->ttl = ttl - 1;
}

static void end_shuffle(struct view *view, const struct shuffle *shuffle)
{
	struct node_id sent[VIEW_SHUFFLE_ACTIVE + VIEW_SHUFFLE_PASSIVE];
	struct view_note *note;
	size_t sent_count;

	if (!throttle_pass(&view->ends, view->now, VIEW_END_BURST, VIEW_END_INTERVAL_MS))
		return;
	note = view_send(view, &shuffle->origin, MESSAGE_SHUFFLE_REPLY);
	note->contacts = view_sample(view, &shuffle->origin.id, VIEW_SHUFFLE_ACTIVE,
				     VIEW_SHUFFLE_PASSIVE, &note->contact_count);
	sent_count = note->contact_count;
	for (size_t i = 0; i < sent_count; i++)
		sent[i] = note->contacts[i].id;
	view_add_passive(view, &shuffle->origin);
	view_take(view, &shuffle->contacts, sent, sent_count);
}

static void receive_shuffle(struct view *view, const struct contact *from,
			    const struct shuffle *shuffle)
{
	uint32_t ttl = shuffle->ttl > VIEW_SHUFFLE_TTL ? VIEW_SHUFFLE_TTL : shuffle->ttl;
	const struct view_link *next = NULL;
	struct view_note *note;
	size_t count = shuffle->contacts.count;

	if (!walk_of(view, from) || node_id_equal(&shuffle->origin.id, &view->self.id))
		return;
	if (ttl > 1)
		next = view_random_link(view, &from->id, &shuffle->origin.id);
	if (!next) {
		end_shuffle(view, shuffle);
		return;
	}
	note = view_send(view, &next->contact, MESSAGE_SHUFFLE);
	note->subject = shuffle->origin;
	note->ttl = ttl - 1;
	note->contact_count = count > VIEW_TAKE_MAX ? VIEW_TAKE_MAX : count;
	note->contacts = mem_alloc(note->contact_count, sizeof(*note->contacts));
	for (size_t i = 0; i < note->contact_count; i++)
		note->contacts[i] = shuffle->contacts.list[i];
}

/* The answer comes from wherever the walk has ended, so all that can be asked of it is to be
 * awaited. */
static void receive_shuffle_reply(struct view *view, const struct contact *from,
				  const struct contacts *contacts)
{
	if (mono_reached(view->now, view->reply_until))
		return;
	view->reply_until = view->now;
	view_add_passive(view, from);
	view_take(view, contacts, view->shuffled, view->shuffled_count);
	view->shuffled_count = 0;
}

/* ---- events ---- */

/* A neighbour with a higher incarnation has been restarted, and then it has forgotten us, or it has
 * only refuted a suspicion: ask. */
static void notice_incarnation(struct view *view, const struct contact *from)
{
	struct view_link *link = view_find_link(view, &from->id);

	if (!link || from->incarnation <= link->contact.incarnation)
		return;
	if (addr_can_be_dialled(&from->addr))
		link->contact = *from;
	else
		link->contact.incarnation = from->incarnation;
	view_send(view, &link->contact, MESSAGE_NEIGHBOR);
}

static void dispatch(struct view *view, const struct contact *from, const struct message *message)
{
	switch ((int)message->type) {
	case MESSAGE_JOIN:
		receive_join(view, from);
		break;
	case MESSAGE_FORWARD_JOIN:
		receive_forward_join(view, from, &message->forward_join);
		break;
	case MESSAGE_NEIGHBOR:
		receive_neighbor(view, from, message->neighbor.urgent);
		break;
	case MESSAGE_NEIGHBOR_REPLY:
		receive_neighbor_reply(view, from, message->neighbor_reply.accepted);
		break;
	case MESSAGE_DISCONNECT:
		receive_disconnect(view, from, message->disconnect.leaving);
		break;
	case MESSAGE_SHUFFLE:
		receive_shuffle(view, from, &message->shuffle);
		break;
	case MESSAGE_SHUFFLE_REPLY:
		receive_shuffle_reply(view, from, &message->shuffle_reply.contacts);
		break;
	default:
		break; /* not ours */
	}
}

void view_receive(struct view *view, struct mono now, const struct contact *from,
		  const struct message *message)
{
	view->now = now;
	if (node_id_equal(&from->id, &view->self.id))
		return;
	if (message->type != MESSAGE_JOIN && message->type != MESSAGE_DISCONNECT)
		notice_incarnation(view, from);
	dispatch(view, from, message);
	view_settle(view);
}

void view_traffic(struct view *view, struct mono now, const struct contact *from)
{
	struct view_link *link = view_find_link(view, &from->id);

	view->now = now;
	if (link)
		view_prove_link(view, link);
	else if (!view_find_request(view, &from->id))
		view_send(view, from, MESSAGE_DISCONNECT);
}

void view_remember(struct view *view, struct mono now, const struct contact *contact)
{
	const struct view_link *link = view_find_link(view, &contact->id);

	view->now = now;
	if (!link)
		view_add_passive(view, contact);
	else if (contact->incarnation > link->contact.incarnation)
		view_send(view, &link->contact, MESSAGE_NEIGHBOR);
	view_settle(view);
}

void view_lost(struct view *view, struct mono now, const struct node_id *id)
{
	struct view_link *link = view_find_link(view, id);
	struct view_request *request = view_find_request(view, id);

	view->now = now;
	(void)view_remove_passive(view, id);
	if (link)
		view_drop_link(view, link, false);
	if (request) {
		view_remove_request(view, request);
		view_request_failed(view, false);
	}
	view_settle(view);
}

void view_doubt(struct view *view, struct mono now, const struct node_id *id, bool doubted)
{
	struct view_link *link = view_find_link(view, id);

	view->now = now;
	if (!link || link->doubted == doubted)
		return;
	link->doubted = doubted;
	if (doubted)
		view_seek_soon(view);
	view_settle(view);
}

void view_unreachable(struct view *view, struct mono now, const struct node_id *id)
{
	struct view_request *request = view_find_request(view, id);

	view->now = now;
	if (view->active_count > 0)
		(void)view_remove_passive(view, id);
	if (request) {
		view_remove_request(view, request);
		view_request_failed(view, false);
	}
	view_settle(view);
}
