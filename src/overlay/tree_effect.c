/* SPDX-License-Identifier: Apache-2.0 */
/* Effects wait as notes, without payloads: a broadcast is copied once, however many it goes to. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "overlay/tree_internal.h"

enum {
	NOTES_CAP_MIN = 8,
};

struct tree_note *tree_note(struct tree *tree, enum tree_effect_type type, const struct node_id *to)
{
	struct tree_note *note;

	if (tree->note_count == tree->note_cap) {
		tree->note_cap = tree->note_cap ? tree->note_cap * 2 : NOTES_CAP_MIN;
		tree->notes = mem_resize(tree->notes, tree->note_cap, sizeof(*tree->notes));
	}
	note = &tree->notes[tree->note_count++];
	*note = (struct tree_note){.type = type, .to = *to};
	return note;
}

struct tree_note *tree_send(struct tree *tree, const struct node_id *to, enum message_type type)
{
	struct tree_note *note = tree_note(tree, TREE_SEND, to);

	note->message = type;
	return note;
}

void tree_free_notes(struct tree *tree)
{
	for (size_t i = 0; i < tree->note_count; i++)
		free(tree->notes[i].ids);
	free(tree->notes);
	tree->notes = NULL;
	tree->note_count = tree->note_cap = tree->note_next = 0;
}

static struct tree_kept *find_kept(struct tree *tree, const struct uid *id)
{
	const struct tree_seen *seen = tree_find_seen(tree, id);

	return seen ? seen->kept : NULL;
}

static void fill_message(const struct tree_note *note, struct tree_kept *kept,
			 struct message *message)
{
	*message = (struct message){.type = note->message};
	switch ((int)note->message) {
	case MESSAGE_GOSSIP:
		message->gossip.id = kept->id;
		message->gossip.hops = kept->hops < MESSAGE_HOPS_MAX ? kept->hops + 1 : kept->hops;
		message->gossip.payload = (struct buf){kept->payload, kept->len, kept->len};
		break;
	case MESSAGE_IHAVE:
		message->ihave = (struct ihave){note->ids, note->id_count};
		break;
	case MESSAGE_GRAFT:
		message->graft.id = note->id;
		break;
	default:
		assert(note->message == MESSAGE_PRUNE);
	}
}

/* What has been pushed out before it was asked for is passed by. */
const struct tree_effect *tree_next_effect(struct tree *tree)
{
	while (tree->note_next < tree->note_count) {
		const struct tree_note *note = &tree->notes[tree->note_next++];
		bool carries = note->type == TREE_DELIVER || note->message == MESSAGE_GOSSIP;
		struct tree_kept *kept = carries ? find_kept(tree, &note->id) : NULL;

		if (carries && !kept)
			continue;
		tree->effect = (struct tree_effect){
			.type = note->type,
			.to = note->to,
			.id = note->id,
		};
		if (note->type == TREE_SEND) {
			fill_message(note, kept, &tree->effect.message);
		} else {
			tree->effect.hops = kept->hops;
			tree->effect.payload = bytes_of(kept->payload, kept->len);
		}
		return &tree->effect;
	}
	tree_free_notes(tree);
	return NULL;
}
