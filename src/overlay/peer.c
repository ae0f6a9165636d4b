/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "overlay/internal.h"

enum {
	PEERS_CAP_MIN = 16,
};

/* The position of @id, or where it would be inserted. */
static size_t peer_position(const struct overlay *overlay, const struct node_id *id)
{
	size_t low = 0, high = overlay->peer_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (node_id_compare(&overlay->peers[middle]->member.id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct peer *peer_find(const struct overlay *overlay, const struct node_id *id)
{
	size_t at = peer_position(overlay, id);

	if (at == overlay->peer_count || !node_id_equal(&overlay->peers[at]->member.id, id))
		return NULL;
	return overlay->peers[at];
}

/* A candidate goes before any member; among the dead the one that is dead for longest. */
static struct peer *peer_to_evict(const struct overlay *overlay)
{
	struct peer *worst = NULL;

	for (size_t i = 0; i < overlay->peer_count; i++) {
		struct peer *peer = overlay->peers[i];

		if (peer->connected || peer_is_member(peer))
			continue;
		if (!peer->greeted)
			return peer;
		if (!worst || peer->gone_since.us < worst->gone_since.us)
			worst = peer;
	}
	return worst;
}

static bool peer_make_room(struct overlay *overlay, bool wanted)
{
	struct peer *evicted;

	if (!wanted && overlay->candidate_count >= OVERLAY_CANDIDATES_MAX)
		return false;
	if (overlay->peer_count < OVERLAY_MEMBERS_MAX)
		return true;
	evicted = wanted ? peer_to_evict(overlay) : NULL;
	if (evicted)
		peer_remove(overlay, evicted);
	return evicted != NULL;
}

struct peer *peer_add(struct overlay *overlay, const struct node_id *id, bool wanted)
{
	struct peer *peer;
	size_t at;

	assert(!peer_find(overlay, id));
	if (!peer_make_room(overlay, wanted))
		return NULL;
	if (overlay->peer_count == overlay->peer_cap) {
		overlay->peer_cap = overlay->peer_cap ? overlay->peer_cap * 2 : PEERS_CAP_MIN;
		overlay->peers =
			mem_resize(overlay->peers, overlay->peer_cap, sizeof(*overlay->peers));
	}
	at = peer_position(overlay, id);
	memmove(&overlay->peers[at + 1], &overlay->peers[at],
		(overlay->peer_count - at) * sizeof(*overlay->peers));
	peer = mem_new(struct peer);
	*peer = (struct peer){
		.member = {.id = *id, .name = mem_strdup("")},
		.state = MEMBER_DEAD,
		.heard = overlay->now,
		.vouched = overlay->now,
		.pong_at = overlay->now,
		.dial = {.at = MONO_NEVER, .backoff_ms = OVERLAY_REDIAL_MIN_MS},
	};
	overlay->peers[at] = peer;
	overlay->peer_count++;
	overlay->candidate_count++;
	return peer;
}

void peer_remove(struct overlay *overlay, struct peer *peer)
{
	size_t at = peer_position(overlay, &peer->member.id);

	assert(at < overlay->peer_count && overlay->peers[at] == peer);
	dial_ended(overlay, &peer->dial);
	if (!peer->greeted)
		overlay->candidate_count--;
	overlay->peer_count--;
	memmove(&overlay->peers[at], &overlay->peers[at + 1],
		(overlay->peer_count - at) * sizeof(*overlay->peers));
	member_deinit(&peer->member);
	free(peer);
}

bool peer_is_member(const struct peer *peer)
{
	return peer->greeted && (peer->state == MEMBER_ALIVE || peer->state == MEMBER_SUSPECT);
}

struct mono peer_evidence(const struct peer *peer)
{
	return peer->heard.us > peer->vouched.us ? peer->heard : peer->vouched;
}

struct addr peer_addr(const struct peer *peer)
{
	bool hint =
		addr_is_none(&peer->member.addr) || (peer->hint_next && !addr_is_none(&peer->hint));

	return hint ? peer->hint : peer->member.addr;
}
