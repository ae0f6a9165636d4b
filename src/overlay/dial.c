/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dialling: bootstrap addresses until they have led somewhere, and every known machine that is not
 * connected, with a back-off that doubles. A machine that said goodbye is dialled as well, for its
 * next start may know nobody.
 */
#include <assert.h>

#include "overlay/internal.h"

void dial_soon(struct overlay *overlay, struct dial *dial, int64_t delay_ms)
{
	dial->backoff_ms = OVERLAY_REDIAL_MIN_MS;
	dial->tries = 0;
	dial->at = mono_add_ms(overlay->now, delay_ms);
}

void dial_peer_soon(struct overlay *overlay, struct peer *peer)
{
	bool first = node_id_compare(&overlay->config.self.id, &peer->member.id) < 0;

	dial_soon(overlay, &peer->dial, first ? 0 : OVERLAY_TIE_MS);
}

void dial_ended(struct overlay *overlay, struct dial *dial)
{
	if (!dial->running)
		return;
	dial->running = false;
	assert(overlay->dial_count > 0);
	overlay->dial_count--;
}

void dial_failed(struct overlay *overlay, struct dial *dial)
{
	dial_ended(overlay, dial);
	dial->tries++;
	dial->at = mono_add_ms(overlay->now, prng_jitter(&overlay->prng, dial->backoff_ms));
	dial->backoff_ms *= 2;
	if (dial->backoff_ms > OVERLAY_REDIAL_MAX_MS)
		dial->backoff_ms = OVERLAY_REDIAL_MAX_MS;
}

static void dial_start(struct overlay *overlay, struct dial *dial)
{
	assert(!dial->running);
	dial->running = true;
	dial->started = overlay->now;
	overlay->dial_count++;
}

/* When this dial needs attention: its timeout while it runs, else its turn. */
static struct mono dial_due(const struct overlay *overlay, const struct dial *dial)
{
	if (dial->running)
		return mono_add_ms(dial->started, OVERLAY_DIAL_TIMEOUT_MS);
	return overlay->dial_count < OVERLAY_DIALS_MAX ? dial->at : MONO_NEVER;
}

static bool is_alone(const struct overlay *overlay)
{
	for (size_t i = 0; i < overlay->peer_count; i++) {
		if (overlay->peers[i]->connected)
			return false;
	}
	return true;
}

/* An address that led to a member is tried again only when nobody is left to ask. */
static bool bootstrap_is_wanted(const struct bootstrap *bootstrap, bool alone)
{
	return !bootstrap->met || alone;
}

static bool peer_is_wanted(const struct peer *peer)
{
	struct addr addr = peer_addr(peer);

	return !peer->connected && !addr_is_none(&addr);
}

static void bootstrap_tick(struct overlay *overlay, struct bootstrap *bootstrap)
{
	struct dial *dial = &bootstrap->dial;

	if (!mono_reached(overlay->now, dial_due(overlay, dial)))
		return;
	if (dial->running) {
		dial_failed(overlay, dial);
		return;
	}
	dial_start(overlay, dial);
	effect_add(overlay, OVERLAY_DIAL, NULL)->addr = bootstrap->addr;
}

/* False when @peer is given up, and gone. */
static bool peer_dial_tick(struct overlay *overlay, struct peer *peer)
{
	struct dial *dial = &peer->dial;

	if (!mono_reached(overlay->now, dial_due(overlay, dial)))
		return true;
	if (dial->running) {
		dial_failed(overlay, dial);
	} else if (!peer->greeted && dial->tries >= OVERLAY_CANDIDATE_TRIES) {
		peer_remove(overlay, peer);
		return false;
	} else {
		dial_start(overlay, dial);
		effect_add(overlay, OVERLAY_DIAL, &peer->member.id)->addr = peer_addr(peer);
		peer->hint_next = !peer->hint_next;
	}
	return true;
}

void dial_tick(struct overlay *overlay)
{
	bool alone = is_alone(overlay);

	for (size_t i = 0; i < overlay->bootstrap_count; i++) {
		if (bootstrap_is_wanted(&overlay->bootstraps[i], alone))
			bootstrap_tick(overlay, &overlay->bootstraps[i]);
	}
	for (size_t i = 0; i < overlay->peer_count;) {
		struct peer *peer = overlay->peers[i];

		if (!peer_is_wanted(peer) || peer_dial_tick(overlay, peer))
			i++;
	}
}

struct mono dial_deadline(const struct overlay *overlay)
{
	struct mono deadline = MONO_NEVER;
	bool alone = is_alone(overlay);

	for (size_t i = 0; i < overlay->bootstrap_count; i++) {
		const struct bootstrap *bootstrap = &overlay->bootstraps[i];

		if (bootstrap_is_wanted(bootstrap, alone))
			deadline = mono_min(deadline, dial_due(overlay, &bootstrap->dial));
	}
	for (size_t i = 0; i < overlay->peer_count; i++) {
		const struct peer *peer = overlay->peers[i];

		if (peer_is_wanted(peer))
			deadline = mono_min(deadline, dial_due(overlay, &peer->dial));
	}
	return deadline;
}
