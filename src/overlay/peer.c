/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table: an array in order of id, to be shown, and an index by hash, to be found in. The first
 * eight bytes of a key are as good as random; nobody gains by making them collide but a slower
 * answer to himself.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "overlay/internal.h"

enum {
	PEERS_CAP_MIN = 8,
	INDEX_CAP_MIN = 16, /* a power of two */
};

static size_t index_slot(const struct overlay *overlay, const struct node_id *id)
{
	uint64_t hash;

	memcpy(&hash, id->byte, sizeof(hash));
	hash = (hash ^ overlay->config.seed) * 0x9e3779b97f4a7c15U;
	return (size_t)(hash >> 32) & (overlay->index_cap - 1);
}

struct peer *peer_find(const struct overlay *overlay, const struct node_id *id)
{
	size_t at;

	if (overlay->index_cap == 0)
		return NULL;
	at = index_slot(overlay, id);
	while (overlay->index[at] && !node_id_equal(&overlay->index[at]->member.id, id))
		at = (at + 1) & (overlay->index_cap - 1);
	return overlay->index[at];
}

static void index_put(struct overlay *overlay, struct peer *peer)
{
	size_t at = index_slot(overlay, &peer->member.id);

	while (overlay->index[at])
		at = (at + 1) & (overlay->index_cap - 1);
	overlay->index[at] = peer;
}

/* Those behind the hole move up, unless they would leave the chain from their own slot. */
static void index_remove(struct overlay *overlay, const struct node_id *id)
{
	size_t mask = overlay->index_cap - 1, hole = index_slot(overlay, id), next;

	while (!node_id_equal(&overlay->index[hole]->member.id, id))
		hole = (hole + 1) & mask;
	for (next = (hole + 1) & mask; overlay->index[next]; next = (next + 1) & mask) {
		size_t home = index_slot(overlay, &overlay->index[next]->member.id);

		if (((next - home) & mask) < ((next - hole) & mask))
			continue;
		overlay->index[hole] = overlay->index[next];
		hole = next;
	}
	overlay->index[hole] = NULL;
}

static void table_grow(struct overlay *overlay)
{
	if (overlay->peer_count < overlay->peer_cap)
		return;
	overlay->peer_cap += overlay->peer_cap / 4 + PEERS_CAP_MIN;
	overlay->peers = mem_resize(overlay->peers, overlay->peer_cap, sizeof(*overlay->peers));
	overlay->dues = mem_resize(overlay->dues, overlay->peer_cap, sizeof(*overlay->dues));
	if (overlay->peer_cap * 4 <= overlay->index_cap * 3)
		return;
	overlay->index_cap = overlay->index_cap ? overlay->index_cap * 2 : INDEX_CAP_MIN;
	free(overlay->index);
	overlay->index = mem_alloc(overlay->index_cap, sizeof(*overlay->index));
	for (size_t i = 0; i < overlay->peer_count; i++)
		index_put(overlay, overlay->peers[i]);
}

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

/* A candidate goes before any member; among the dead the one that is dead for longest. */
static struct peer *peer_to_evict(const struct overlay *overlay)
{
	struct peer *worst = NULL;

	for (size_t i = 0; i < overlay->peer_count; i++) {
		struct peer *peer = overlay->peers[i];

		if (peer->connected || peer_is_member(peer) || peer->watched)
			continue;
		if (!peer->greeted)
			return peer;
		if (!worst || peer->since.us < worst->since.us)
			worst = peer;
	}
	return worst;
}

static bool peer_make_room(struct overlay *overlay, bool wanted)
{
	struct peer *evicted;

	if (!wanted && overlay->counts.candidates >= OVERLAY_CANDIDATES_MAX)
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
	table_grow(overlay);
	at = peer_position(overlay, id);
	memmove(&overlay->peers[at + 1], &overlay->peers[at],
		(overlay->peer_count - at) * sizeof(*overlay->peers));
	peer = mem_new(struct peer);
	*peer = (struct peer){
		.member = {.id = *id},
		.state = MEMBER_DEAD,
		.heard = overlay->now,
		.vouched = overlay->now,
		.pong_at = overlay->now,
		.ping_sent = overlay->now,
		.since = overlay->now,
		.dial_at = MONO_NEVER,
		.backoff_ms = OVERLAY_REDIAL_MIN_MS,
		.jitter = (uint8_t)prng_below(&overlay->prng, UINT8_MAX),
	};
	overlay->peers[at] = peer;
	overlay->peer_count++;
	index_put(overlay, peer);
	peer_count(overlay, peer, 1);
	due_add(overlay, peer);
	return peer;
}

void peer_remove(struct overlay *overlay, struct peer *peer)
{
	size_t at = peer_position(overlay, &peer->member.id);

	assert(at < overlay->peer_count && overlay->peers[at] == peer);
	dial_peer_ended(overlay, peer);
	peer_count(overlay, peer, -1);
	due_remove(overlay, peer);
	index_remove(overlay, &peer->member.id);
	overlay->peer_count--;
	memmove(&overlay->peers[at], &overlay->peers[at + 1],
		(overlay->peer_count - at) * sizeof(*overlay->peers));
	peer_last(overlay, peer);
	peer_trust(peer);
	member_deinit(&peer->member);
	free(peer);
}

void peer_last(struct overlay *overlay, struct peer *peer)
{
	overlay->remembered_count -= peer->lasting;
	peer->lasting = false;
}

void peer_count(struct overlay *overlay, const struct peer *peer, int by)
{
	struct peer_counts *counts = &overlay->counts;
	size_t one = (size_t)by;

	counts->connected += peer->connected ? one : 0;
	counts->kept += peer_is_kept(peer) ? one : 0;
	counts->members += peer_is_member(peer) ? one : 0;
	counts->candidates += !peer->connected && !peer->greeted && !peer->watched ? one : 0;
	counts->transients += peer->connected && !peer_is_kept(peer) ? one : 0;
	counts->gone += peer->greeted && !peer_is_member(peer) ? one : 0;
	counts->watched += peer->watched ? one : 0;
}

void peer_set_connected(struct overlay *overlay, struct peer *peer, bool connected)
{
	peer_count(overlay, peer, -1);
	peer->connected = connected;
	peer_count(overlay, peer, 1);
}

void peer_set_greeted(struct overlay *overlay, struct peer *peer, bool greeted)
{
	peer_count(overlay, peer, -1);
	peer->greeted = greeted;
	peer_count(overlay, peer, 1);
}

void peer_set_state(struct overlay *overlay, struct peer *peer, enum member_state state)
{
	peer_count(overlay, peer, -1);
	peer->state = state;
	peer_count(overlay, peer, 1);
}

void peer_set_watched(struct overlay *overlay, struct peer *peer, bool watched)
{
	peer_count(overlay, peer, -1);
	peer->watched = watched;
	peer_count(overlay, peer, 1);
}

bool peer_is_member(const struct peer *peer)
{
	return peer->greeted && (peer->state == MEMBER_ALIVE || peer->state == MEMBER_SUSPECT);
}

bool peer_is_kept(const struct peer *peer)
{
	return peer->connected && peer_is_member(peer);
}

bool peer_is_judged(const struct peer *peer)
{
	return (peer->greeted || peer->watched) &&
	       (peer->state == MEMBER_ALIVE || peer->state == MEMBER_SUSPECT);
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

struct contact peer_contact(const struct peer *peer)
{
	const struct member *member = &peer->member;

	return (struct contact){member->id, addr_is_none(&member->addr) ? peer->hint : member->addr,
				member->incarnation, member->steward};
}

struct suspicion *peer_doubt(struct peer *peer)
{
	if (!peer->doubt)
		peer->doubt = mem_new(struct suspicion);
	return peer->doubt;
}

void peer_trust(struct peer *peer)
{
	free(peer->doubt);
	peer->doubt = NULL;
}
