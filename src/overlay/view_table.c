/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two views and the requests: who is what, and how one becomes another.
 *
 * All tables are small arrays, searched from end to end: the largest has VIEW_PASSIVE_MAX entries
 * and is searched when contacts are shuffled or lost, a few times a minute.
 */
#include <assert.h>

#include "overlay/view_internal.h"

struct view_link *view_find_link(struct view *view, const struct node_id *id)
{
	for (size_t i = 0; i < view->active_count; i++)
		if (node_id_equal(&view->active[i].contact.id, id))
			return &view->active[i];
	return NULL;
}

struct view_request *view_find_request(struct view *view, const struct node_id *id)
{
	for (size_t i = 0; i < view->request_count; i++)
		if (node_id_equal(&view->requests[i].contact.id, id))
			return &view->requests[i];
	return NULL;
}

void view_remove_request(struct view *view, struct view_request *request)
{
	*request = view->requests[--view->request_count];
}

static struct contact *find_passive(struct view *view, const struct node_id *id)
{
	for (size_t i = 0; i < view->passive_count; i++)
		if (node_id_equal(&view->passive[i].id, id))
			return &view->passive[i];
	return NULL;
}

/* The gap moves to the end: first that of those who were asked, then that of all. */
static void remove_passive_at(struct view *view, size_t at)
{
	assert(at < view->passive_count);
	if (at < view->passive_tried) {
		view->passive[at] = view->passive[--view->passive_tried];
		at = view->passive_tried;
	}
	view->passive[at] = view->passive[--view->passive_count];
}

bool view_remove_passive(struct view *view, const struct node_id *id)
{
	const struct contact *contact = find_passive(view, id);

	if (!contact)
		return false;
	remove_passive_at(view, (size_t)(contact - view->passive));
	return true;
}

/* One of @sent leaves first: the machine it was sent to has it now (HyParView section 4.5). */
static void make_room(struct view *view, const struct node_id *sent, size_t sent_count)
{
	if (view->passive_count < VIEW_PASSIVE_MAX)
		return;
	for (size_t i = 0; i < sent_count; i++)
		if (view_remove_passive(view, &sent[i]))
			return;
	remove_passive_at(view, (size_t)prng_below(&view->prng, view->passive_count));
}

static void add_passive(struct view *view, const struct contact *contact,
			const struct node_id *sent, size_t sent_count)
{
	struct contact *known = find_passive(view, &contact->id);

	if (known) {
		if (contact->incarnation > known->incarnation)
			*known = *contact;
		return;
	}
	if (!addr_can_be_dialled(&contact->addr) || node_id_equal(&contact->id, &view->self.id) ||
	    view_find_link(view, &contact->id))
		return;
	make_room(view, sent, sent_count);
	view->passive[view->passive_count++] = *contact;
	if (view_has_hole(view) && view->seek_at.us == MONO_NEVER.us)
		view_seek_soon(view); /* nobody was left to ask */
}

void view_add_passive(struct view *view, const struct contact *contact)
{
	add_passive(view, contact, NULL, 0);
}

void view_take(struct view *view, const struct contacts *contacts, const struct node_id *sent,
	       size_t sent_count)
{
	for (size_t i = 0; i < contacts->count && i < VIEW_TAKE_MAX; i++)
		add_passive(view, &contacts->list[i], sent, sent_count);
}

void view_add_link(struct view *view, const struct contact *contact)
{
	struct view_request *request = view_find_request(view, &contact->id);

	assert(view->active_count < VIEW_ACTIVE_MAX && !view_find_link(view, &contact->id));
	if (request)
		view_remove_request(view, request);
	(void)view_remove_passive(view, &contact->id);
	view->exhausted = false;
	if (view->active_count == 0) {
		view->check_at = mono_add_ms(view->now, VIEW_CHECK_MS);
		view->shuffle_ms = VIEW_SHUFFLE_FIRST_MS;
		view->shuffle_at =
			mono_add_ms(view->now, prng_jitter(&view->prng, VIEW_SHUFFLE_FIRST_MS));
	}
	view->active[view->active_count++] = (struct view_link){
		.contact = *contact,
		.proven = view->now,
	};
	view_note(view, VIEW_UP, contact);
}

void view_drop_link(struct view *view, struct view_link *link, bool keep)
{
	struct contact contact = link->contact;

	*link = view->active[--view->active_count];
	view_note(view, VIEW_DOWN, &contact);
	if (keep)
		view_add_passive(view, &contact);
	view_seek_soon(view);
}

void view_prove_link(struct view *view, struct view_link *link)
{
	link->proven = view->now;
	link->doubted = false;
}

size_t view_doubted_count(const struct view *view)
{
	size_t count = 0;

	for (size_t i = 0; i < view->active_count; i++)
		count += view->active[i].doubted;
	return count;
}

void view_evict(struct view *view, const struct node_id *except)
{
	const struct view_link *link = NULL;
	struct contact contact;

	for (size_t i = 0; i < view->active_count && !link; i++)
		if (view->active[i].doubted)
			link = &view->active[i];
	if (!link)
		link = view_random_link(view, except, NULL);
	if (!link)
		return;
	contact = link->contact;
	view_send(view, &contact, MESSAGE_DISCONNECT);
	view_drop_link(view, view_find_link(view, &contact.id), true);
}

void view_renew_link(struct view *view, struct view_link *link, const struct contact *contact)
{
	if (addr_can_be_dialled(&contact->addr) &&
	    contact->incarnation >= link->contact.incarnation)
		link->contact = *contact;
	view_prove_link(view, link);
	view_note(view, VIEW_DOWN, &link->contact);
	view_note(view, VIEW_UP, &link->contact);
}

const struct view_link *view_random_link(struct view *view, const struct node_id *a,
					 const struct node_id *b)
{
	const struct view_link *fit[VIEW_ACTIVE_MAX];
	size_t count = 0;
	bool all = view_doubted_count(view) == view->active_count;

	for (size_t i = 0; i < view->active_count; i++) {
		const struct view_link *link = &view->active[i];

		if ((all || !link->doubted) && !(a && node_id_equal(&link->contact.id, a)) &&
		    !(b && node_id_equal(&link->contact.id, b)))
			fit[count++] = link;
	}
	return count > 0 ? fit[prng_below(&view->prng, count)] : NULL;
}

size_t view_active_count(const struct view *view)
{
	return view->active_count;
}

const struct contact *view_active(const struct view *view, size_t at)
{
	assert(at < view->active_count);
	return &view->active[at].contact;
}

bool view_is_active(const struct view *view, const struct node_id *id)
{
	for (size_t i = 0; i < view->active_count; i++)
		if (node_id_equal(&view->active[i].contact.id, id))
			return true;
	return false;
}

size_t view_passive_count(const struct view *view)
{
	return view->passive_count;
}

const struct contact *view_passive(const struct view *view, size_t at)
{
	assert(at < view->passive_count);
	return &view->passive[at];
}

bool view_is_alone(const struct view *view)
{
	return view->active_count == 0 &&
	       (view->exhausted || view->passive_count + view->request_count == 0);
}
