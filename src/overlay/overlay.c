/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of the overlay. Each one first moves our time forward, which is also where a stall of
 * our own is noticed: when the deadline that we had named has passed long ago, nobody ticked us,
 * and our clock stood still since then. Shorter stalls are liveness.c's affair.
 */
#include "overlay/overlay.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/cache.h"
#include "base/mem.h"
#include "overlay/internal.h"

struct overlay *overlay_new(const struct overlay_config *config, struct mono now)
{
	struct overlay *overlay = mem_new(struct overlay);

	*overlay = (struct overlay){
		.config = *config,
		.prng = prng_seeded(config->seed),
		.now = now,
		.real = now,
		.fabric_at = now,
		.bootstrap_due = MONO_NEVER,
		.house_at = mono_add_ms(now, OVERLAY_FILL_MS),
		.judge_at = now,
		.renew_at = now,
		.merged_at = now,
		.small_since = MONO_NEVER,
	};
	if (config->pool == 0)
		overlay->config.pool = OVERLAY_POOL_DEFAULT;
	else if (config->pool < OVERLAY_POOL_MIN)
		overlay->config.pool = OVERLAY_POOL_MIN;
	overlay->grid_us =
		now.us - (int64_t)prng_below(&overlay->prng, OVERLAY_GRID_MS * US_PER_MS);
	member_copy(&config->self, &overlay->config.self);
	parts_new(overlay);
	return overlay;
}

void overlay_free(struct overlay *overlay)
{
	if (!overlay)
		return;
	while (overlay->peer_count > 0)
		peer_remove(overlay, overlay->peers[0]);
	free(overlay->peers);
	free(overlay->index);
	free(overlay->dues);
	free(overlay->bootstraps);
	free(overlay->news);
	free(overlay->looks);
	effect_deinit_all(overlay);
	parts_free(overlay);
	member_deinit(&overlay->config.self);
	free(overlay);
}

/* Every event ends with a look at all parts; none of them is waited for then. */
static void expect_parts(const struct overlay *overlay)
{
	if (overlay->dues)
		cache_expect(overlay->dues, CACHE_LINE);
	view_expect(overlay->view);
	tree_expect(overlay->tree);
	kad_expect(overlay->kad);
}

void overlay_advance(struct overlay *overlay, struct mono now)
{
	struct mono first = due_first(overlay);
	int64_t late_us = 0;

	expect_parts(overlay);
	assert(now.us >= overlay->real.us);
	overlay->real = now;
	if (first.us != MONO_NEVER.us)
		late_us = now.us - overlay->stalled_us - first.us;
	if (late_us >= OVERLAY_STALL_MS * (int64_t)US_PER_MS && !fault_is_planted(FAULT_SELF_DOUBT))
		overlay->stalled_us += late_us;
	overlay->now.us = now.us - overlay->stalled_us;
}

/* From our clock to the caller's. */
static struct mono overlay_real(const struct overlay *overlay, struct mono at)
{
	return mono_add_us(at, overlay->stalled_us);
}

static void overlay_set_fabric(struct overlay *overlay, struct wall fabric)
{
	overlay->fabric = fabric;
	overlay->fabric_at = overlay->real;
}

void overlay_bootstrap(struct overlay *overlay, struct mono now, const struct addr *addr)
{
	overlay_advance(overlay, now);
	if (overlay->bootstrap_count == OVERLAY_BOOTSTRAP_MAX || addr_is_none(addr) ||
	    addr_equal(addr, &overlay->config.self.addr) || bootstrap_find(overlay, addr))
		return;
	overlay->bootstraps = mem_resize(overlay->bootstraps, overlay->bootstrap_count + 1,
					 sizeof(*overlay->bootstraps));
	overlay->bootstraps[overlay->bootstrap_count++] = (struct bootstrap){
		.addr = *addr,
		.dial_at = overlay->now,
		.backoff_ms = OVERLAY_REDIAL_MIN_MS,
	};
	bootstrap_plan(overlay);
}

/* Returns whether the address was one of ours to try. */
static bool bootstrap_met(struct overlay *overlay, const struct addr *addr)
{
	struct bootstrap *bootstrap = bootstrap_find(overlay, addr);

	if (!bootstrap)
		return false;
	bootstrap_ended(overlay, bootstrap);
	bootstrap->met = true;
	bootstrap->dial_at = overlay->now;
	bootstrap->backoff_ms = OVERLAY_REDIAL_MIN_MS;
	return true;
}

static void peer_connected(struct overlay *overlay, struct peer *peer,
			   const struct contact *contact, bool wanted)
{
	dial_peer_ended(overlay, peer);
	peer_set_connected(overlay, peer, true);
	peer->introduced = peer->told = peer->said_hello = peer->released = false;
	peer->tries = 0;
	peer->since = peer->heard = peer->ping_sent = overlay->now;
	peer->hint = contact->addr;
	if (!peer->greeted)
		peer->member.steward = contact->steward;
	if (wanted)
		peer->wanted = true;
	if (peer->wanted || peer->greeted || peer->watched || peer->active)
		effect_send_hello(overlay, peer);
	pool_bound_transients(overlay);
	due_touch(overlay, peer);
}

void overlay_connected(struct overlay *overlay, struct mono now, const struct contact *contact,
		       struct wall fabric)
{
	struct peer *peer = peer_find(overlay, &contact->id);
	bool wanted;

	overlay_advance(overlay, now);
	overlay_set_fabric(overlay, fabric);
	wanted = bootstrap_met(overlay, &contact->addr) && !(peer && peer_is_member(peer));
	if (overlay->left || node_id_equal(&contact->id, &overlay->config.self.id))
		return;
	if (!peer)
		peer = peer_add(overlay, &contact->id, true);
	if (!peer)
		return;
	peer_connected(overlay, peer, contact, wanted);
	bootstrap_plan(overlay);
	parts_drain(overlay);
}

/* A connection that did not last counts as a dial that failed, so that two machines of which one
 * turns the other away do not keep each other busy. */
static void peer_disconnected(struct overlay *overlay, struct peer *peer)
{
	int64_t lasted_us = mono_since_us(overlay->now, peer->since);
	bool settled = lasted_us >= OVERLAY_SETTLED_MS * (int64_t)US_PER_MS;
	bool kept = peer_is_kept(peer);

	peer_set_connected(overlay, peer, false);
	peer->ping_sequence = 0;
	if (peer->doubt) /* what we asked over it is void */
		peer->doubt->asked = peer->doubt->condemned = false;
	peer->since = overlay->now;
	if (!peer->greeted && !peer->wanted && !peer->watched && !peer->active) {
		peer_remove(overlay, peer);
		return;
	}
	if (kept && overlay->large && !peer->active && !peer->watched)
		liveness_watch(overlay, peer);
	if (settled)
		dial_peer_soon(overlay, peer);
	else
		dial_peer_failed(overlay, peer);
}

static void bootstrap_disconnected(struct overlay *overlay, const struct addr *addr)
{
	struct bootstrap *bootstrap = bootstrap_find(overlay, addr);

	if (bootstrap && bootstrap->dialling)
		bootstrap_failed(overlay, bootstrap);
	bootstrap_plan(overlay);
}

void overlay_disconnected(struct overlay *overlay, struct mono now, const struct node_id *id,
			  const struct addr *addr)
{
	struct peer *peer;

	overlay_advance(overlay, now);
	if (node_id_is_none(id)) {
		bootstrap_disconnected(overlay, addr);
		return;
	}
	peer = peer_find(overlay, id);
	if (peer && peer->connected) {
		peer_disconnected(overlay, peer);
	} else {
		if (peer && peer->dialling)
			dial_peer_failed(overlay, peer);
		parts_unreachable(overlay, id);
	}
	bootstrap_plan(overlay);
	parts_drain(overlay);
}

void overlay_expel(struct overlay *overlay, struct mono now, const struct node_id *id)
{
	struct peer *peer;

	overlay_advance(overlay, now);
	peer = peer_find(overlay, id);
	if (peer)
		liveness_gone(overlay, peer, MEMBER_LEFT);
	parts_unreachable(overlay, id);
	parts_drain(overlay);
}

/* Where a machine says it is, unless that cannot be dialled from here: then where it came from. */
static struct addr hello_addr(const struct addr *said, const struct addr *seen)
{
	struct addr addr = *said;

	if (said->port == 0)
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

static void hello_take(struct overlay *overlay, struct peer *peer, const struct hello *hello,
		       const struct addr *addr)
{
	struct contact contact;

	member_deinit(&peer->member);
	member_copy(&hello->self, &peer->member);
	peer->member.addr = *addr;
	liveness_greeted(overlay, peer, hello->self.incarnation);
	contact = peer_contact(peer);
	kad_seen(overlay->kad, overlay->real, &contact);
}

static void hello_receive(struct overlay *overlay, struct peer *peer, const struct hello *hello)
{
	struct addr addr = hello_addr(&hello->self.addr, &peer->hint);
	bool stranger = !peer->greeted && !peer->named;
	bool moved = peer->greeted && !addr_equal(&addr, &peer->member.addr);
	bool back = peer->greeted && !peer_is_member(peer), stays, introduce;

	if (!hello_is_acceptable(peer, hello))
		return;
	stays = peer_is_member(peer) || pool_make_room(overlay, peer) || peer->active ||
		peer->watched;
	hello_take(overlay, peer, hello, &addr);
	/* In a large fabric only who was there before can tell the other something. */
	introduce = !peer->introduced && (!overlay->large || !peer->said_hello);
	/* For want of room it is not answered in kind: both ends would then have said nothing, and
	 * take each answer for a greeting. */
	if (!peer->said_hello && stays)
		effect_send_hello(overlay, peer);
	if ((stranger || moved || back) && !overlay->large) {
		gossip_announce(overlay, peer);
		gossip_news(overlay, &peer->member.id);
	}
	if (introduce)
		gossip_introduce(overlay, peer);
	peer->introduced = true;
	pool_greeted(overlay, peer);
	if (!stays)
		pool_release(overlay, peer, true);
	due_touch(overlay, peer);
}

static void ping_receive(struct overlay *overlay, const struct peer *peer, const struct ping *ping)
{
	struct message *message = effect_to_peer(overlay, peer, MESSAGE_PONG);

	effect_send_ping(overlay, message, MESSAGE_PONG, ping->sequence);
	gossip_fill(overlay, &peer->member.id, &message->ping.gossip);
}

/* A member gives us up, for its pool is full. One that has much to choose from speaks for a large
 * fabric, and so do several that outnumber those who keep us: a newcomer, which nobody greets,
 * knows too little to tell, and would ask everybody again and again. A neighbour, and one that we
 * watch, is kept all the same. */
static void released_receive(struct overlay *overlay, struct peer *peer)
{
	if ((!peer_is_kept(peer) && !peer->wanted) || peer->active || peer->watched)
		return;
	pool_release(overlay, peer, false);
	if (overlay->large)
		return;
	if (pool_is_refused(overlay))
		pool_set_large(overlay, true);
	else if (kad_estimate(overlay->kad) > overlay->config.pool)
		overlay->crowded = true;
}

static void peer_receive(struct overlay *overlay, struct peer *peer, const struct message *message)
{
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
	else if (message->type == MESSAGE_DISCONNECT && message->disconnect.released)
		released_receive(overlay, peer);
	else if (message->type >= MESSAGE_JOIN)
		parts_receive(overlay, peer, message);
}

void overlay_receive(struct overlay *overlay, struct mono now, const struct node_id *from,
		     const struct message *message, struct wall fabric)
{
	struct peer *peer = peer_find(overlay, from);

	overlay_advance(overlay, now);
	overlay_set_fabric(overlay, fabric);
	if (!peer || !peer->connected || overlay->left)
		return;
	peer_receive(overlay, peer, message);
	parts_drain(overlay);
}

void overlay_heard(struct overlay *overlay, struct mono now, const struct node_id *from)
{
	struct peer *peer = peer_find(overlay, from);
	bool doubted;

	overlay_advance(overlay, now);
	if (!peer || !peer->connected)
		return;
	doubted = peer->state != MEMBER_ALIVE;
	liveness_heard(overlay, peer);
	if (doubted)
		parts_drain(overlay);
}

void overlay_tick(struct overlay *overlay, struct mono now, struct wall fabric)
{
	overlay_advance(overlay, now);
	overlay_set_fabric(overlay, fabric);
	if (overlay->left)
		return;
	due_run(overlay);
	if (mono_reached(overlay->now, overlay->bootstrap_due)) {
		bootstrap_tick(overlay);
		bootstrap_plan(overlay);
	}
	if (mono_reached(overlay->now, overlay->house_at))
		pool_house(overlay);
	parts_tick(overlay);
	parts_drain(overlay);
}

void overlay_expect(const struct overlay *overlay)
{
	CACHE_EXPECT(overlay, now, fabric_at);
	CACHE_EXPECT(overlay, peers, dues);
	CACHE_EXPECT(overlay, bootstrap_due, kad);
	CACHE_EXPECT(overlay, effects, effect_next);
}

struct mono overlay_deadline(const struct overlay *overlay)
{
	struct mono ours;

	if (overlay->left)
		return MONO_NEVER;
	ours = mono_min(due_first(overlay), mono_min(overlay->bootstrap_due, overlay->house_at));
	return mono_min(overlay_real(overlay, ours), parts_deadline(overlay));
}

void overlay_set_leaf(struct overlay *overlay, const struct digest *leaf)
{
	overlay->config.leaf = *leaf;
}

void overlay_leave(struct overlay *overlay, struct mono now)
{
	overlay_advance(overlay, now);
	if (overlay->left)
		return;
	gossip_announce_self(overlay, MEMBER_LEFT);
	view_leave(overlay->view, now);
	parts_drain(overlay);
	overlay->left = true;
}

static bool is_shown(const struct peer *peer)
{
	return peer->greeted || peer->watched;
}

static void peer_show(const struct overlay *overlay, const struct peer *peer,
		      struct overlay_peer *ret_peer)
{
	*ret_peer = (struct overlay_peer){
		.member = &peer->member,
		.state = peer->state,
		.connected = peer->connected,
		.rtt_us = peer->rtt_us,
		.silence_us = mono_since_us(overlay->now, peer->heard),
	};
}

bool overlay_next_peer(const struct overlay *overlay, size_t *position,
		       struct overlay_peer *ret_peer)
{
	while (*position < overlay->peer_count) {
		const struct peer *peer = overlay->peers[(*position)++];

		if (is_shown(peer)) {
			peer_show(overlay, peer, ret_peer);
			return true;
		}
	}
	return false;
}

bool overlay_find_peer(const struct overlay *overlay, const struct node_id *id,
		       struct overlay_peer *ret_peer)
{
	const struct peer *peer = peer_find(overlay, id);

	if (!peer || !is_shown(peer))
		return false;
	peer_show(overlay, peer, ret_peer);
	return true;
}

bool overlay_find_addr(const struct overlay *overlay, const struct node_id *id,
		       struct addr *ret_addr)
{
	const struct peer *peer = peer_find(overlay, id);
	struct addr addr = peer ? peer_addr(peer) : (struct addr){0};

	if (addr_is_none(&addr))
		return false;
	*ret_addr = addr;
	return true;
}

size_t overlay_alive_count(const struct overlay *overlay)
{
	return 1 + overlay->counts.members;
}

struct contact overlay_contact(const struct overlay *overlay)
{
	const struct member *self = &overlay->config.self;

	return (struct contact){self->id, self->addr, self->incarnation, self->steward};
}

const struct member *overlay_self(const struct overlay *overlay)
{
	return &overlay->config.self;
}

const struct view *overlay_view(const struct overlay *overlay)
{
	return overlay->view;
}

const struct tree *overlay_tree(const struct overlay *overlay)
{
	return overlay->tree;
}

const struct kad *overlay_kad(const struct overlay *overlay)
{
	return overlay->kad;
}

bool overlay_is_whole(const struct overlay *overlay)
{
	return !overlay->large && overlay->counts.kept == overlay->counts.members;
}

bool overlay_is_large(const struct overlay *overlay)
{
	return overlay->large;
}

bool overlay_is_sized(const struct overlay *overlay)
{
	return overlay->sized;
}

uint64_t overlay_size(const struct overlay *overlay)
{
	uint64_t known = overlay_alive_count(overlay), estimate;

	if (!overlay->large)
		return known;
	estimate = kad_estimate(overlay->kad);
	return estimate > known ? estimate : known;
}
