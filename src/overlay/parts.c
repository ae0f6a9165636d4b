/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts: what view, tree and kad ask for, carried out on the table of peers; and what happens to
 * peers, told to them. Their time is the caller's, not OUR clock: their timers are for answers.
 */
#include "base/mem.h"
#include "overlay/internal.h"

static struct contact self_contact(const struct overlay *overlay)
{
	return overlay_contact(overlay);
}

void parts_new(struct overlay *overlay)
{
	struct contact self = self_contact(overlay);

	overlay->view = view_new(&self, prng_next(&overlay->prng), overlay->real);
	overlay->tree = tree_new(prng_next(&overlay->prng));
	overlay->kad = kad_new(&self, prng_next(&overlay->prng), overlay->real);
}

void parts_free(struct overlay *overlay)
{
	view_free(overlay->view);
	tree_free(overlay->tree);
	kad_free(overlay->kad);
}

void parts_set_self(struct overlay *overlay)
{
	struct contact self = self_contact(overlay);

	view_set_self(overlay->view, &self);
	kad_set_self(overlay->kad, &self);
}

/* @merge: it was lost together with many others, so that it may lead to the other half of a fabric
 * that was split: a join through it knits the two views together. */
void parts_member(struct overlay *overlay, struct peer *peer, bool merge)
{
	struct contact contact = peer_contact(peer);

	if (merge)
		kad_merge(overlay->kad, overlay->real);
	kad_seen(overlay->kad, overlay->real, &contact);
	if (merge && mono_reached(overlay->now, overlay->merged_at))
		overlay->merged_at = mono_add_ms(overlay->now, OVERLAY_MERGE_MS);
	else
		merge = false;
	if (merge || view_active_count(overlay->view) == 0)
		view_join(overlay->view, overlay->real, &contact);
	else
		view_remember(overlay->view, overlay->real, &contact);
}

void parts_lost(struct overlay *overlay, const struct node_id *id)
{
	view_lost(overlay->view, overlay->real, id);
	kad_lost(overlay->kad, overlay->real, id);
}

void parts_unreachable(struct overlay *overlay, const struct node_id *id)
{
	view_unreachable(overlay->view, overlay->real, id);
	kad_unreachable(overlay->kad, overlay->real, id);
}

void parts_receive(struct overlay *overlay, struct peer *from, const struct message *message)
{
	struct contact contact = peer_contact(from);

	if (message->type >= MESSAGE_JOIN && message->type <= MESSAGE_SHUFFLE_REPLY)
		view_receive(overlay->view, overlay->real, &contact, message);
	else if (message->type >= MESSAGE_FIND && message->type <= MESSAGE_WITHDRAW)
		kad_receive(overlay->kad, overlay->real, &contact, message);
	if (message->type < MESSAGE_GOSSIP || message->type > MESSAGE_PRUNE)
		return;
	view_traffic(overlay->view, overlay->real, &contact);
	tree_receive(overlay->tree, overlay->real, &contact.id, message);
}

void parts_tick(struct overlay *overlay)
{
	struct mono now = overlay->real;

	if (mono_reached(now, view_deadline(overlay->view)))
		view_tick(overlay->view, now);
	if (mono_reached(now, tree_deadline(overlay->tree)))
		tree_tick(overlay->tree, now);
	if (mono_reached(now, kad_deadline(overlay->kad)))
		kad_tick(overlay->kad, now);
}

struct mono parts_deadline(const struct overlay *overlay)
{
	return mono_min(view_deadline(overlay->view),
			mono_min(tree_deadline(overlay->tree), kad_deadline(overlay->kad)));
}

/* A neighbour is a member of the pool, and observed closely. */
static void neighbour_up(struct overlay *overlay, const struct contact *contact)
{
	struct peer *peer = pool_want(overlay, contact);

	if (!peer)
		return;
	peer->active = true;
	liveness_watch(overlay, peer);
	tree_up(overlay->tree, overlay->real, &contact->id);
}

static void neighbour_down(struct overlay *overlay, const struct contact *contact)
{
	struct peer *peer = peer_find(overlay, &contact->id);

	if (peer)
		peer->active = false;
	tree_down(overlay->tree, overlay->real, &contact->id);
}

static bool drain_view(struct overlay *overlay)
{
	const struct view_effect *effect = view_next_effect(overlay->view);
	struct contact to;

	if (!effect)
		return false;
	to = effect->to;
	if (effect->type == VIEW_SEND)
		message_copy(&effect->message, effect_to_contact(overlay, &to));
	else if (effect->type == VIEW_UP)
		neighbour_up(overlay, &to);
	else
		neighbour_down(overlay, &to);
	return true;
}

static bool drain_tree(struct overlay *overlay)
{
	const struct tree_effect *effect = tree_next_effect(overlay->tree);
	struct overlay_effect *out;
	const struct peer *peer;

	if (!effect)
		return false;
	if (effect->type == TREE_SEND) {
		out = effect_add(overlay, OVERLAY_SEND, &effect->to);
		peer = peer_find(overlay, &effect->to);
		if (peer)
			out->addr = peer_addr(peer);
		message_copy(&effect->message, &out->message);
		return true;
	}
	out = effect_add(overlay, OVERLAY_DELIVER, &effect->to);
	out->broadcast = effect->id;
	out->hops = effect->hops;
	out->payload =
		bytes_of(mem_copy(effect->payload.ptr, effect->payload.len), effect->payload.len);
	return true;
}

static bool drain_kad(struct overlay *overlay)
{
	const struct kad_effect *effect = kad_next_effect(overlay->kad);
	struct overlay_effect *out;

	if (!effect)
		return false;
	if (effect->type == KAD_SEND) {
		message_copy(&effect->message, effect_to_contact(overlay, &effect->to));
		return true;
	}
	out = effect_add(overlay, OVERLAY_FOUND, NULL);
	out->token = effect->token;
	out->hops = effect->hops;
	out->complete = effect->complete;
	out->contact_count = effect->contact_count;
	out->contacts = (const struct contact *)mem_copy(
		effect->contacts, effect->contact_count * sizeof(*effect->contacts));
	return true;
}

void parts_drain(struct overlay *overlay)
{
	bool busy;

	do {
		busy = drain_view(overlay);
		busy |= drain_tree(overlay);
		busy |= drain_kad(overlay);
	} while (busy);
	if (overlay->sized || !kad_has_joined(overlay->kad))
		return;
	overlay->sized = true;
	pool_judge(overlay);
}
