/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dialling: bootstrap addresses until they have led somewhere, candidates, and machines that were
 * lost, with a back-off that doubles. A machine that said goodbye is dialled as well, for its next
 * start may know nobody. In a large fabric only those are dialled whom we want, and lost ones.
 */
#include <assert.h>

#include "overlay/internal.h"

/* What a failed dial leaves: when to try again. */
static void back_off(struct overlay *overlay, struct mono *dial_at, uint32_t *backoff_ms,
		     uint32_t max_ms)
{
	*dial_at = mono_add_ms(overlay->now, prng_jitter(&overlay->prng, *backoff_ms));
	*backoff_ms *= 2;
	if (*backoff_ms > max_ms)
		*backoff_ms = max_ms;
}

/* One that is watched is wanted back soon, but not for ever. */
static uint32_t backoff_max_ms(const struct overlay *overlay, const struct peer *peer)
{
	struct mono late = mono_add_ms(peer->since, OVERLAY_WATCH_REDIAL_MS);
	bool soon = peer->watched && !mono_reached(overlay->now, late);

	return overlay->large && !soon ? OVERLAY_FAR_REDIAL_MS : OVERLAY_REDIAL_MAX_MS;
}

void dial_peer_soon(struct overlay *overlay, struct peer *peer)
{
	bool first = node_id_compare(&overlay->config.self.id, &peer->member.id) < 0;

	peer->backoff_ms = OVERLAY_REDIAL_MIN_MS;
	peer->tries = 0;
	peer->dial_at = mono_add_ms(overlay->now, first ? 0 : OVERLAY_TIE_MS);
	due_touch(overlay, peer);
}

void dial_peer_ended(struct overlay *overlay, struct peer *peer)
{
	if (!peer->dialling)
		return;
	peer->dialling = false;
	assert(overlay->dial_count > 0);
	overlay->dial_count--;
}

void dial_peer_failed(struct overlay *overlay, struct peer *peer)
{
	dial_peer_ended(overlay, peer);
	if (peer->tries < UINT8_MAX)
		peer->tries++;
	back_off(overlay, &peer->dial_at, &peer->backoff_ms, backoff_max_ms(overlay, peer));
	due_touch(overlay, peer);
}

bool dial_is_wanted(const struct overlay *overlay, const struct peer *peer)
{
	struct addr addr = peer_addr(peer);

	if (peer->connected || addr_is_none(&addr))
		return false;
	return !overlay->large || peer->wanted || peer->watched || peer->active || peer->greeted;
}

/* A name that nobody answers to: in a large fabric there are others to try. */
static bool is_given_up(const struct overlay *overlay, const struct peer *peer)
{
	int tries = overlay->large && !peer->active ? 1 : OVERLAY_CANDIDATE_TRIES;

	if (peer->greeted || peer->watched || peer->tries < tries)
		return false;
	return !peer->lasting ||
	       mono_reached(overlay->now, mono_add_ms(peer->since, OVERLAY_FORGET_MS));
}

bool dial_peer_tick(struct overlay *overlay, struct peer *peer)
{
	if (!mono_reached(overlay->now, dial_peer_due(overlay, peer)))
		return true;
	if (peer->dialling) {
		dial_peer_failed(overlay, peer);
		parts_unreachable(overlay, &peer->member.id);
	} else if (is_given_up(overlay, peer)) {
		parts_lost(overlay, &peer->member.id);
		peer_remove(overlay, peer);
		return false;
	} else if (overlay->dial_count >= OVERLAY_DIALS_MAX) {
		peer->dial_at = mono_add_ms(overlay->now,
					    prng_jitter(&overlay->prng, OVERLAY_DIAL_WAIT_MS));
	} else {
		peer->dialling = true;
		peer->dial_at = overlay->now;
		overlay->dial_count++;
		effect_add(overlay, OVERLAY_DIAL, &peer->member.id)->addr = peer_addr(peer);
		peer->hint_next = !peer->hint_next;
	}
	return true;
}

/* When this peer's dial needs attention: its timeout while it runs, else its turn. */
struct mono dial_peer_due(const struct overlay *overlay, const struct peer *peer)
{
	if (peer->dialling)
		return mono_add_ms(peer->dial_at, OVERLAY_DIAL_TIMEOUT_MS);
	return dial_is_wanted(overlay, peer) ? peer->dial_at : MONO_NEVER;
}

struct bootstrap *bootstrap_find(struct overlay *overlay, const struct addr *addr)
{
	for (size_t i = 0; i < overlay->bootstrap_count; i++) {
		if (addr_equal(&overlay->bootstraps[i].addr, addr))
			return &overlay->bootstraps[i];
	}
	return NULL;
}

void bootstrap_ended(struct overlay *overlay, struct bootstrap *bootstrap)
{
	if (bootstrap->dialling)
		overlay->dial_count--;
	bootstrap->dialling = false;
}

void bootstrap_failed(struct overlay *overlay, struct bootstrap *bootstrap)
{
	bootstrap_ended(overlay, bootstrap);
	back_off(overlay, &bootstrap->dial_at, &bootstrap->backoff_ms,
		 overlay->large ? OVERLAY_FAR_REDIAL_MS : OVERLAY_REDIAL_MAX_MS);
}

static struct mono bootstrap_next(const struct overlay *overlay, const struct bootstrap *bootstrap)
{
	/* An address that led to a member is tried again only when nobody is left to ask. */
	if (bootstrap->met && overlay->counts.connected > 0)
		return MONO_NEVER;
	if (bootstrap->dialling)
		return mono_add_ms(bootstrap->dial_at, OVERLAY_DIAL_TIMEOUT_MS);
	return bootstrap->dial_at;
}

static void bootstrap_dial(struct overlay *overlay, struct bootstrap *bootstrap)
{
	if (bootstrap->dialling) {
		bootstrap_failed(overlay, bootstrap);
	} else if (overlay->dial_count >= OVERLAY_DIALS_MAX) {
		bootstrap->dial_at = mono_add_ms(overlay->now, OVERLAY_DIAL_WAIT_MS);
	} else {
		bootstrap->dialling = true;
		bootstrap->dial_at = overlay->now;
		overlay->dial_count++;
		effect_add(overlay, OVERLAY_DIAL, NULL)->addr = bootstrap->addr;
	}
}

void bootstrap_tick(struct overlay *overlay)
{
	for (size_t i = 0; i < overlay->bootstrap_count; i++) {
		struct bootstrap *bootstrap = &overlay->bootstraps[i];

		if (mono_reached(overlay->now, bootstrap_next(overlay, bootstrap)))
			bootstrap_dial(overlay, bootstrap);
	}
}

void bootstrap_plan(struct overlay *overlay)
{
	overlay->bootstrap_due = MONO_NEVER;
	for (size_t i = 0; i < overlay->bootstrap_count; i++)
		overlay->bootstrap_due = mono_min(overlay->bootstrap_due,
						  bootstrap_next(overlay, &overlay->bootstraps[i]));
}
