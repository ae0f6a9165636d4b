/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Effects wait as notes, and become messages when they are asked for: the queue exists only while
 * something is in it, for there are many idle views in a simulation.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "overlay/view_internal.h"

enum {
	NOTES_CAP_MIN = 4,
};

struct view_note *view_note(struct view *view, enum view_effect_type type, const struct contact *to)
{
	struct view_note *note;

	if (view->note_count == view->note_cap) {
		view->note_cap = view->note_cap ? view->note_cap * 2 : NOTES_CAP_MIN;
		view->notes = mem_resize(view->notes, view->note_cap, sizeof(*view->notes));
	}
	note = &view->notes[view->note_count++];
	*note = (struct view_note){.type = type, .to = *to};
	return note;
}

struct view_note *view_send(struct view *view, const struct contact *to, enum message_type type)
{
	struct view_note *note = view_note(view, VIEW_SEND, to);

	note->message = type;
	return note;
}

void view_free_notes(struct view *view)
{
	for (size_t i = 0; i < view->note_count; i++)
		free(view->notes[i].contacts);
	free(view->notes);
	view->notes = NULL;
	view->note_count = view->note_cap = view->note_next = 0;
}

/* The contacts are lent: the note keeps them until the next effect is asked for. */
static void fill_message(const struct view_note *note, struct message *message)
{
	*message = (struct message){.type = note->message};
	switch ((int)note->message) {
	case MESSAGE_FORWARD_JOIN:
		message->forward_join.contact = note->subject;
		message->forward_join.ttl = note->ttl;
		break;
	case MESSAGE_NEIGHBOR:
		message->neighbor.urgent = note->flag;
		break;
	case MESSAGE_NEIGHBOR_REPLY:
		message->neighbor_reply.accepted = note->flag;
		break;
	case MESSAGE_DISCONNECT:
		message->disconnect.leaving = note->flag;
		break;
	case MESSAGE_SHUFFLE:
		message->shuffle.origin = note->subject;
		message->shuffle.ttl = note->ttl;
		message->shuffle.contacts = (struct contacts){note->contacts, note->contact_count};
		break;
	case MESSAGE_SHUFFLE_REPLY:
		message->shuffle_reply.contacts =
			(struct contacts){note->contacts, note->contact_count};
		break;
	default:
		assert(note->message == MESSAGE_JOIN);
	}
}

const struct view_effect *view_next_effect(struct view *view)
{
	const struct view_note *note;

	if (view->note_next == view->note_count) {
		view_free_notes(view);
		return NULL;
	}
	note = &view->notes[view->note_next++];
	view->effect.type = note->type;
	view->effect.to = note->to;
	view->effect.message = (struct message){0};
	if (note->type == VIEW_SEND)
		fill_message(note, &view->effect.message);
	return &view->effect;
}

/* As many of @from as fit, each at most once, without @to, in random order. */
static size_t pick(struct view *view, const struct node_id *to, const struct contact *from,
		   size_t from_count, size_t stride, size_t want, struct contact *list)
{
	bool used[VIEW_PASSIVE_MAX] = {false};
	size_t count = 0;

	for (size_t left = from_count; left > 0 && count < want; left--) {
		size_t at = (size_t)prng_below(&view->prng, from_count);
		const struct contact *contact;

		while (used[at])
			at = (at + 1) % from_count;
		used[at] = true;
		contact = (const void *)((const char *)from + at * stride);
		if (!node_id_equal(&contact->id, to) && addr_can_be_dialled(&contact->addr))
			list[count++] = *contact;
	}
	return count;
}

struct contact *view_sample(struct view *view, const struct node_id *to, size_t active_max,
			    size_t passive_max, size_t *ret_count)
{
	struct contact *list = mem_alloc(active_max + passive_max, sizeof(*list));
	size_t count = pick(view, to, &view->active[0].contact, view->active_count,
			    sizeof(view->active[0]), active_max, list);

	count += pick(view, to, view->passive, view->passive_count, sizeof(view->passive[0]),
		      passive_max, list + count);
	*ret_count = count;
	return list;
}
