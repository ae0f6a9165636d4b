/* SPDX-License-Identifier: Apache-2.0 */
/* One, some, all: what the caller asks of the overlay. */
#include "base/mem.h"
#include "overlay/internal.h"

enum {
	SAMPLE_SCAN = 4, /* from this share of the table on it is walked, not drawn from */
};

void overlay_remember(struct overlay *overlay, struct mono now, const struct contact *contact)
{
	struct peer *peer;

	overlay_advance(overlay, now);
	if (!addr_can_be_dialled(&contact->addr))
		return;
	peer = pool_want(overlay, contact);
	if (peer && !peer_is_kept(peer) && overlay->remembered_count < OVERLAY_REMEMBERED_MAX) {
		peer->lasting = true;
		overlay->remembered_count++;
	}
	view_remember(overlay->view, overlay->real, contact);
	parts_drain(overlay);
}

void overlay_know(struct overlay *overlay, struct mono now, const struct contact *contact)
{
	overlay_advance(overlay, now);
	kad_seen(overlay->kad, now, contact);
	parts_drain(overlay);
}

void overlay_formed(struct overlay *overlay, struct mono now)
{
	overlay_advance(overlay, now);
	kad_formed(overlay->kad, now);
	pool_judge(overlay);
	parts_drain(overlay);
}

void overlay_accuse(struct overlay *overlay, struct mono now, const struct node_id *id)
{
	struct peer *peer = peer_find(overlay, id);

	overlay_advance(overlay, now);
	if (peer && peer_is_judged(peer))
		doubt_accuse(overlay, peer);
	parts_drain(overlay);
}

bool overlay_watch(struct overlay *overlay, struct mono now, const struct contact *contact)
{
	struct peer *peer = peer_find(overlay, &contact->id);

	overlay_advance(overlay, now);
	if (node_id_equal(&contact->id, &overlay->config.self.id) || (peer && peer->watched))
		return true;
	if (overlay->counts.watched == OVERLAY_WATCH_MAX)
		return false;
	if (!peer)
		peer = peer_add(overlay, &contact->id, true);
	if (!peer)
		return false;
	if (addr_is_none(&peer->hint))
		peer->hint = contact->addr;
	if (!peer->member.name)
		peer->member.name = mem_strdup("");
	if (!peer->greeted) /* it counts as alive until we know better */
		peer->state = MEMBER_ALIVE;
	peer_set_watched(overlay, peer, true);
	if (!peer_is_kept(peer))
		(void)pool_want(overlay, contact);
	liveness_watch(overlay, peer);
	return true;
}

void overlay_unwatch(struct overlay *overlay, const struct node_id *id)
{
	struct peer *peer = peer_find(overlay, id);

	if (!peer || !peer->watched)
		return;
	peer_set_watched(overlay, peer, false);
	if (peer->greeted || peer->active || peer->connected)
		return;
	peer_remove(overlay, peer);
}

static bool is_among(const struct node_id *ids, size_t count, const struct node_id *id)
{
	for (size_t i = 0; i < count; i++)
		if (node_id_equal(&ids[i], id))
			return true;
	return false;
}

static bool is_sampled(const struct peer *peer, const struct node_id *except, size_t except_count)
{
	return peer->state == MEMBER_ALIVE && peer_is_kept(peer) &&
	       !is_among(except, except_count, &peer->member.id);
}

/* Reservoir sampling: every set of @count is equally likely. */
static size_t sample_walk(struct overlay *overlay, const struct node_id *except,
			  size_t except_count, size_t count, struct contact *ret_contacts)
{
	size_t seen = 0;

	for (size_t i = 0; i < overlay->peer_count; i++) {
		const struct peer *peer = overlay->peers[i];
		size_t at = seen;

		if (!is_sampled(peer, except, except_count))
			continue;
		if (seen++ >= count)
			at = prng_below(&overlay->prng, seen);
		if (at < count)
			ret_contacts[at] = peer_contact(peer);
	}
	return seen < count ? seen : count;
}

static bool is_drawn(const struct contact *contacts, size_t count, const struct node_id *id)
{
	for (size_t i = 0; i < count; i++)
		if (node_id_equal(&contacts[i].id, id))
			return true;
	return false;
}

/* A few of many are drawn one by one; what was drawn before, or does not count, is drawn again. */
static size_t sample_draw(struct overlay *overlay, const struct node_id *except,
			  size_t except_count, size_t count, struct contact *ret_contacts)
{
	size_t drawn = 0;

	for (size_t tries = SAMPLE_SCAN * count; tries > 0 && drawn < count; tries--) {
		const struct peer *peer =
			overlay->peers[prng_below(&overlay->prng, overlay->peer_count)];

		if (is_sampled(peer, except, except_count) &&
		    !is_drawn(ret_contacts, drawn, &peer->member.id))
			ret_contacts[drawn++] = peer_contact(peer);
	}
	return drawn;
}

size_t overlay_sample(struct overlay *overlay, const struct node_id *except, size_t except_count,
		      size_t count, struct contact *ret_contacts)
{
	size_t drawn = 0;

	if (count * SAMPLE_SCAN <= overlay->counts.kept)
		drawn = sample_draw(overlay, except, except_count, count, ret_contacts);
	if (drawn == count)
		return count;
	return sample_walk(overlay, except, except_count, count, ret_contacts);
}

void overlay_broadcast(struct overlay *overlay, struct mono now, struct bytes payload)
{
	overlay_advance(overlay, now);
	tree_broadcast(overlay->tree, now, payload);
	parts_drain(overlay);
}

void overlay_relay(struct overlay *overlay, struct mono now, const struct uid *broadcast)
{
	overlay_advance(overlay, now);
	tree_accept(overlay->tree, now, broadcast);
	parts_drain(overlay);
}

int overlay_find(struct overlay *overlay, struct mono now, const struct digest *target,
		 bool providers, uint64_t *ret_token)
{
	int outcome;

	overlay_advance(overlay, now);
	outcome = kad_find(overlay->kad, now, target, providers, ret_token);
	parts_drain(overlay);
	return outcome;
}

int overlay_find_stewards(struct overlay *overlay, struct mono now, const struct digest *target,
			  uint64_t *ret_token)
{
	int outcome;

	overlay_advance(overlay, now);
	outcome = kad_find_stewards(overlay->kad, now, target, ret_token);
	parts_drain(overlay);
	return outcome;
}

int overlay_provide(struct overlay *overlay, struct mono now, const struct digest *key)
{
	int outcome;

	overlay_advance(overlay, now);
	outcome = kad_provide(overlay->kad, now, key);
	parts_drain(overlay);
	return outcome;
}

void overlay_withdraw(struct overlay *overlay, struct mono now, const struct digest *key)
{
	overlay_advance(overlay, now);
	kad_withdraw(overlay->kad, now, key);
	parts_drain(overlay);
}

size_t overlay_nearest(const struct overlay *overlay, const struct digest *target,
		       struct contact *ret_contacts, size_t max)
{
	return kad_nearest(overlay->kad, target, ret_contacts, max);
}
