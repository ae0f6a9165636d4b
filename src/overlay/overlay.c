/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of the overlay. Each one first moves our time forward, which is also where a stall of
 * our own is noticed: when the deadline that we had named has passed long ago, nobody ticked us.
 */
#include "overlay/overlay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "overlay/internal.h"

struct overlay *overlay_new(const struct overlay_config *config, struct mono now)
{
	struct overlay *overlay = mem_new(struct overlay);

	*overlay = (struct overlay){
		.config = *config,
		.prng = prng_seeded(config->seed),
		.now = now,
		.fabric_at = now,
	};
	member_copy(&config->self, &overlay->config.self);
	return overlay;
}

void overlay_free(struct overlay *overlay)
{
	if (!overlay)
		return;
	while (overlay->peer_count > 0)
		peer_remove(overlay, overlay->peers[0]);
	free(overlay->peers);
	for (size_t i = 0; i < overlay->effect_count; i++)
		message_deinit(&overlay->effects[i].message);
	free(overlay->effects);
	member_deinit(&overlay->config.self);
	free(overlay);
}

static void overlay_advance(struct overlay *overlay, struct mono now)
{
	struct mono deadline = liveness_deadline(overlay);

	assert(now.us >= overlay->now.us);
	overlay->now = now;
	if (mono_reached(now, mono_add_ms(deadline, OVERLAY_STALL_MS)))
		liveness_forgive(overlay);
}

static void overlay_set_fabric(struct overlay *overlay, struct wall fabric)
{
	overlay->fabric = fabric;
	overlay->fabric_at = overlay->now;
}

void overlay_bootstrap(struct overlay *overlay, struct mono now, const struct addr *addr)
{
	struct bootstrap *bootstrap;

	overlay_advance(overlay, now);
	if (overlay->bootstrap_count == OVERLAY_BOOTSTRAP_MAX || addr_is_none(addr) ||
	    addr_equal(addr, &overlay->config.self.addr))
		return;
	for (size_t i = 0; i < overlay->bootstrap_count; i++) {
		if (addr_equal(&overlay->bootstraps[i].addr, addr))
			return;
	}
	bootstrap = &overlay->bootstraps[overlay->bootstrap_count++];
	*bootstrap = (struct bootstrap){.addr = *addr};
	dial_soon(overlay, &bootstrap->dial, 0);
}

static struct bootstrap *bootstrap_find(struct overlay *overlay, const struct addr *addr)
{
	for (size_t i = 0; i < overlay->bootstrap_count; i++) {
		if (addr_equal(&overlay->bootstraps[i].addr, addr))
			return &overlay->bootstraps[i];
	}
	return NULL;
}

void overlay_connected(struct overlay *overlay, struct mono now, const struct node_id *id,
		       const struct addr *addr, struct wall fabric)
{
	struct bootstrap *bootstrap = bootstrap_find(overlay, addr);
	struct peer *peer;

	overlay_advance(overlay, now);
	overlay_set_fabric(overlay, fabric);
	if (bootstrap) {
		bootstrap->met = true;
		dial_ended(overlay, &bootstrap->dial);
		dial_soon(overlay, &bootstrap->dial, 0);
	}
	if (overlay->left || node_id_equal(id, &overlay->config.self.id))
		return;
	peer = peer_find(overlay, id);
	if (!peer)
		peer = peer_add(overlay, id, true);
	if (!peer)
		return;
	dial_ended(overlay, &peer->dial);
	peer->connected = true;
	peer->introduced = false;
	peer->connected_at = now;
	peer->heard = now;
	peer->hint = *addr;
	peer->ping_at = mono_add_ms(now, prng_jitter(&overlay->prng, OVERLAY_PING_MS));
	effect_send_hello(overlay, id);
}

/* A connection that did not last counts as a dial that failed, so that two machines of which one
 * turns the other away do not keep each other busy. */
static void peer_disconnected(struct overlay *overlay, struct peer *peer)
{
	int64_t lasted_us = mono_since_us(overlay->now, peer->connected_at);

	peer->connected = false;
	peer->ping_sequence = 0;
	if (lasted_us >= OVERLAY_SETTLED_MS * US_PER_MS)
		dial_peer_soon(overlay, peer);
	else
		dial_failed(overlay, &peer->dial);
}

void overlay_disconnected(struct overlay *overlay, struct mono now, const struct node_id *id,
			  const struct addr *addr)
{
	struct bootstrap *bootstrap;
	struct peer *peer;

	overlay_advance(overlay, now);
	if (node_id_is_none(id)) {
		bootstrap = bootstrap_find(overlay, addr);
		if (bootstrap && bootstrap->dial.running)
			dial_failed(overlay, &bootstrap->dial);
		return;
	}
	peer = peer_find(overlay, id);
	if (!peer)
		return;
	if (peer->connected)
		peer_disconnected(overlay, peer);
	else if (peer->dial.running)
		dial_failed(overlay, &peer->dial);
}

/* Where a machine says it is, unless that cannot be dialled from here: then where it came from. */
static struct addr hello_addr(const struct addr *said, const struct addr *seen)
{
	struct addr addr = *said;

	if (addr_is_none(said))
		return *seen;
	if (addr_is_wildcard(said) || (addr_is_loopback(said) && !addr_is_loopback(seen))) {
		addr = *seen;
		addr.port = said->port;
	}
	return addr;
}

static bool hello_is_acceptable(const struct peer *peer, const struct hello *hello)
{
	return node_id_equal(&hello->self.id, &peer->member.id) &&
	       hello->version_min <= MESSAGE_VERSION && hello->version_max >= MESSAGE_VERSION;
}

static void hello_receive(struct overlay *overlay, struct peer *peer, const struct hello *hello)
{
	struct addr addr = hello_addr(&hello->self.addr, &peer->hint);
	bool stranger = !peer->greeted && !peer->named;
	bool moved = peer->greeted && !addr_equal(&addr, &peer->member.addr);
	bool back = peer->greeted && !peer_is_member(peer);

	if (!hello_is_acceptable(peer, hello))
		return;
	member_deinit(&peer->member);
	member_copy(&hello->self, &peer->member);
	peer->member.addr = addr;
	liveness_greeted(overlay, peer, hello->self.incarnation);
	if (stranger || moved || back) {
		gossip_announce(overlay, peer);
		gossip_news(overlay, &peer->member.id);
	}
	if (!peer->introduced)
		gossip_introduce(overlay, &peer->member.id);
	peer->introduced = true;
}

static void ping_receive(struct overlay *overlay, const struct peer *peer, const struct ping *ping)
{
	struct message *message = &effect_add(overlay, OVERLAY_SEND, &peer->member.id)->message;

	message->type = MESSAGE_PONG;
	message->ping.sequence = ping->sequence;
	message->ping.fabric_ms = effect_fabric(overlay).ms;
	gossip_fill(overlay, &peer->member.id, &message->ping.gossip);
}

void overlay_receive(struct overlay *overlay, struct mono now, const struct node_id *from,
		     const struct message *message, struct wall fabric)
{
	struct peer *peer = peer_find(overlay, from);

	overlay_advance(overlay, now);
	overlay_set_fabric(overlay, fabric);
	if (!peer || !peer->connected || overlay->left)
		return;
	if (message->type == MESSAGE_HELLO)
		hello_receive(overlay, peer, &message->hello);
	liveness_heard(overlay, peer);
	if (message->type == MESSAGE_PING)
		ping_receive(overlay, peer, &message->ping);
	if (message->type == MESSAGE_PONG)
		liveness_pong(overlay, peer, &message->ping);
	if (message->type == MESSAGE_PING || message->type == MESSAGE_PONG)
		gossip_receive(overlay, peer, &message->ping.gossip, false);
	if (message->type == MESSAGE_MEMBERS)
		gossip_receive(overlay, peer, &message->members, true);
}

void overlay_heard(struct overlay *overlay, struct mono now, const struct node_id *from)
{
	struct peer *peer = peer_find(overlay, from);

	overlay_advance(overlay, now);
	if (peer && peer->connected)
		liveness_heard(overlay, peer);
}

void overlay_tick(struct overlay *overlay, struct mono now, struct wall fabric)
{
	overlay_advance(overlay, now);
	overlay_set_fabric(overlay, fabric);
	if (overlay->left)
		return;
	liveness_tick(overlay);
	dial_tick(overlay);
}

struct mono overlay_deadline(const struct overlay *overlay)
{
	if (overlay->left)
		return MONO_NEVER;
	return mono_min(liveness_deadline(overlay), dial_deadline(overlay));
}

void overlay_set_leaf(struct overlay *overlay, const struct digest *leaf)
{
	overlay->config.leaf = *leaf;
}

void overlay_leave(struct overlay *overlay, struct mono now)
{
	overlay_advance(overlay, now);
	if (!overlay->left)
		gossip_announce_self(overlay, MEMBER_LEFT);
	overlay->left = true;
}

static void peer_show(const struct peer *peer, struct overlay_peer *ret_peer)
{
	*ret_peer = (struct overlay_peer){
		.member = &peer->member,
		.state = peer->state,
		.connected = peer->connected,
		.rtt_us = peer->rtt_us,
	};
}

bool overlay_next_peer(const struct overlay *overlay, size_t *position,
		       struct overlay_peer *ret_peer)
{
	while (*position < overlay->peer_count) {
		const struct peer *peer = overlay->peers[(*position)++];

		if (peer->greeted) {
			peer_show(peer, ret_peer);
			return true;
		}
	}
	return false;
}

bool overlay_find_peer(const struct overlay *overlay, const struct node_id *id,
		       struct overlay_peer *ret_peer)
{
	const struct peer *peer = peer_find(overlay, id);

	if (!peer || !peer->greeted)
		return false;
	peer_show(peer, ret_peer);
	return true;
}

size_t overlay_alive_count(const struct overlay *overlay)
{
	size_t count = 1;

	for (size_t i = 0; i < overlay->peer_count; i++)
		count += peer_is_member(overlay->peers[i]);
	return count;
}

struct contact overlay_contact(const struct overlay *overlay)
{
	const struct member *self = &overlay->config.self;

	return (struct contact){self->id, self->addr, self->incarnation, self->steward};
}

static bool is_among(const struct node_id *ids, size_t count, const struct node_id *id)
{
	for (size_t i = 0; i < count; i++)
		if (node_id_equal(&ids[i], id))
			return true;
	return false;
}

/* Reservoir sampling: every set of @count is equally likely. */
size_t overlay_sample(struct overlay *overlay, const struct node_id *except, size_t except_count,
		      size_t count, struct contact *ret_contacts)
{
	size_t seen = 0;

	for (size_t i = 0; i < overlay->peer_count; i++) {
		const struct peer *peer = overlay->peers[i];
		const struct member *member = &peer->member;
		size_t at = seen;

		if (!peer->connected || !peer->greeted || peer->state != MEMBER_ALIVE ||
		    is_among(except, except_count, &member->id))
			continue;
		if (seen++ >= count)
			at = prng_below(&overlay->prng, seen);
		if (at < count)
			ret_contacts[at] = (struct contact){member->id, member->addr,
							    member->incarnation, member->steward};
	}
	return seen < count ? seen : count;
}

bool overlay_is_whole(const struct overlay *overlay)
{
	for (size_t i = 0; i < overlay->peer_count; i++)
		if (peer_is_member(overlay->peers[i]) && !overlay->peers[i]->connected)
			return false;
	return true;
}

uint64_t overlay_size(const struct overlay *overlay)
{
	return overlay_alive_count(overlay);
}

const struct member *overlay_self(const struct overlay *overlay)
{
	return &overlay->config.self;
}
