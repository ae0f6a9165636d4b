/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pool: whom we keep a connection to, and whether that is everybody.
 *
 * A fabric no larger than the pool is *small*: every machine dials every other. It is *large* when
 * more members are connected than the pool holds, when somebody is named for whom there is no room,
 * or when the density of positions says so by far. Then a machine dials one random contact of its
 * passive view a second until its pool is full, and exchanges one member every OVERLAY_RENEW_MS
 * from then on. Others may connect to it beyond that, by an eighth; then the oldest makes room. It
 * is small again when the pool has long had room and no contact is left to fill it with.
 *
 * To give a member up is told (DISCONNECT): both ends then let the connection become idle, and
 * neither takes its end for a death.
 */
#include "overlay/internal.h"

#include <stdlib.h>

enum {
	TRANSIENTS_AT_ONCE = 16, /* over the limit: then so many are given up */
};

static bool is_replaceable(const struct overlay *overlay, const struct peer *peer)
{
	return peer_is_kept(peer) && !peer->active && !peer->watched && !peer->wanted &&
	       mono_reached(overlay->now, mono_add_ms(peer->since, OVERLAY_NEW_MS));
}

static struct peer *oldest_replaceable(const struct overlay *overlay, const struct peer *except)
{
	struct peer *oldest = NULL;

	for (size_t i = 0; i < overlay->peer_count; i++) {
		struct peer *peer = overlay->peers[i];

		if (peer == except || !is_replaceable(overlay, peer))
			continue;
		if (!oldest || peer->since.us < oldest->since.us)
			oldest = peer;
	}
	return oldest;
}

void pool_release(struct overlay *overlay, struct peer *peer, bool tell)
{
	struct contact contact = peer_contact(peer);

	if (tell && peer->connected)
		effect_to_peer(overlay, peer, MESSAGE_DISCONNECT)->disconnect.released = true;
	peer_set_state(overlay, peer, MEMBER_DEAD);
	peer_set_greeted(overlay, peer, false);
	peer_trust(peer);
	peer->wanted = false;
	peer->released = true;
	peer->since = overlay->now;
	view_remember(overlay->view, overlay->real, &contact);
	if (peer->connected)
		due_touch(overlay, peer);
	else
		peer_remove(overlay, peer);
}

bool pool_make_room(struct overlay *overlay, const struct peer *newcomer)
{
	size_t most = overlay->config.pool + overlay->config.pool / 8 + OVERLAY_GUESTS_MIN;
	struct peer *oldest;

	if (overlay->counts.kept < most || !overlay->large)
		return true;
	oldest = oldest_replaceable(overlay, newcomer);
	if (oldest)
		pool_release(overlay, oldest, true);
	return oldest != NULL;
}

/* One that we wanted has come: the exchange is complete when the oldest goes. */
void pool_greeted(struct overlay *overlay, struct peer *peer)
{
	struct peer *oldest;

	if (peer->wanted && overlay->large && overlay->counts.kept > overlay->config.pool) {
		oldest = oldest_replaceable(overlay, peer);
		if (oldest)
			pool_release(overlay, oldest, true);
	}
	peer->wanted = false;
	if (!overlay->large && overlay->counts.kept > overlay->config.pool)
		pool_set_large(overlay, true);
}

static struct mono used_at(const struct peer *peer)
{
	return peer->heard.us > peer->ping_sent.us ? peer->heard : peer->ping_sent;
}

/* Insert into @oldest, of which TRANSIENTS_AT_ONCE are kept, longest unused first. */
static size_t insert_oldest(struct peer **oldest, size_t count, struct peer *peer)
{
	size_t at = count;

	if (count < TRANSIENTS_AT_ONCE)
		count++;
	else if (used_at(oldest[--at]).us <= used_at(peer).us)
		return count;
	for (; at > 0 && used_at(oldest[at - 1]).us > used_at(peer).us; at--)
		oldest[at] = oldest[at - 1];
	oldest[at] = peer;
	return count;
}

/* Some at a time: all are looked at for that. */
void pool_bound_transients(struct overlay *overlay)
{
	struct peer *oldest[TRANSIENTS_AT_ONCE];
	size_t count = 0;

	if (overlay->counts.transients <= OVERLAY_TRANSIENT_MAX ||
	    (overlay->counts.transients - OVERLAY_TRANSIENT_MAX) % TRANSIENTS_AT_ONCE)
		return;
	for (size_t i = 0; i < overlay->peer_count; i++) {
		struct peer *peer = overlay->peers[i];

		if (peer->connected && !peer_is_kept(peer) && !peer->wanted && !peer->watched)
			count = insert_oldest(oldest, count, peer);
	}
	for (size_t i = 0; i < count; i++) {
		oldest[i]->ping_sent = overlay->now; /* others next time */
		effect_add(overlay, OVERLAY_CLOSE, &oldest[i]->member.id);
	}
}

/* Of the lost ones those who went together with many others stay: behind them may be the other
 * half of the fabric. Among equals the oldest goes, or of many a random one. */
void pool_bound_gone(struct overlay *overlay, struct peer *gone)
{
	struct peer *victim = NULL;
	size_t seen = 0;

	if (overlay->counts.gone <= OVERLAY_REMEMBERED_MAX)
		return;
	for (size_t i = 0; i < overlay->peer_count; i++) {
		struct peer *peer = overlay->peers[i];

		if (peer == gone || peer->connected || peer->watched || !peer->greeted ||
		    peer_is_member(peer))
			continue;
		if (!victim || (victim->mass && !peer->mass))
			victim = peer;
		else if (!peer->mass && peer->since.us < victim->since.us)
			victim = peer;
		else if (peer->mass && victim->mass && prng_below(&overlay->prng, ++seen) == 0)
			victim = peer;
	}
	if (victim)
		peer_remove(overlay, victim);
}

struct peer *pool_want(struct overlay *overlay, const struct contact *contact)
{
	struct peer *peer = peer_find(overlay, &contact->id);
	bool anew;

	if (node_id_equal(&contact->id, &overlay->config.self.id))
		return NULL;
	if (!peer) {
		peer = peer_add(overlay, &contact->id, false);
		if (!peer)
			return NULL;
		peer->hint = contact->addr;
	}
	anew = !peer->wanted && !peer_is_kept(peer);
	peer->wanted = !peer_is_kept(peer);
	peer->named = true;
	if (peer->connected && (anew || !peer->said_hello))
		effect_send_hello(overlay, peer);
	else if (!peer->connected && !peer->dialling)
		dial_peer_soon(overlay, peer);
	due_touch(overlay, peer);
	return peer;
}

void pool_named(struct overlay *overlay, const struct member *member)
{
	struct contact contact = {member->id, member->addr, member->incarnation, member->steward};

	if (!addr_can_be_dialled(&contact.addr))
		return;
	if (!overlay->large && overlay->counts.kept < overlay->config.pool) {
		(void)pool_want(overlay, &contact);
		return;
	}
	overlay->crowded = true;
	view_remember(overlay->view, overlay->real, &contact);
}

static void candidates_drop(struct overlay *overlay)
{
	for (size_t i = 0; i < overlay->peer_count;) {
		struct peer *peer = overlay->peers[i];
		struct contact contact = peer_contact(peer);

		if (peer->connected || peer->greeted || peer->watched || peer->active ||
		    peer->lasting) {
			i++;
			continue;
		}
		view_remember(overlay->view, overlay->real, &contact);
		peer_remove(overlay, peer);
	}
}

void pool_set_large(struct overlay *overlay, bool large)
{
	size_t gone;

	overlay->large = large;
	overlay->crowded = false;
	overlay->small_since = MONO_NEVER;
	overlay->renew_at =
		mono_add_ms(overlay->now, prng_jitter(&overlay->prng, OVERLAY_RENEW_MS));
	overlay->house_at = overlay->now;
	if (large) {
		candidates_drop(overlay);
		free(overlay->news);
		overlay->news = NULL;
		overlay->news_count = 0;
		do {
			gone = overlay->counts.gone;
			pool_bound_gone(overlay, NULL);
		} while (overlay->counts.gone < gone);
	}
	due_touch_all(overlay);
}

bool pool_is_refused(const struct overlay *overlay)
{
	size_t refused = 0;

	for (size_t i = 0; i < overlay->peer_count; i++)
		refused += overlay->peers[i]->connected && overlay->peers[i]->released;
	return refused >= OVERLAY_REFUSALS_MIN && refused > overlay->counts.kept;
}

static bool is_candidate(const struct overlay *overlay, const struct contact *contact)
{
	const struct peer *peer = peer_find(overlay, &contact->id);

	if (addr_is_none(&contact->addr) || node_id_equal(&contact->id, &overlay->config.self.id))
		return false;
	if (!peer)
		return true;
	/* Whom we gave up, or who gave us up, is left in peace for a while. */
	return peer->connected && !peer->greeted && !peer->wanted &&
	       (!peer->released ||
		mono_reached(overlay->now, mono_add_ms(peer->since, OVERLAY_RENEW_MS)));
}

/* Somebody we are not connected to: from the passive view, which is random, from a random place
 * on; only when that is exhausted, from the contacts by distance. */
static bool candidate_draw(struct overlay *overlay, struct contact *ret_contact)
{
	size_t count = view_passive_count(overlay->view);
	size_t start = prng_below(&overlay->prng, count), position = 0;

	for (size_t i = 0; i < count; i++) {
		*ret_contact = *view_passive(overlay->view, (start + i) % count);
		if (is_candidate(overlay, ret_contact))
			return true;
	}
	while (kad_next_contact(overlay->kad, &position, ret_contact)) {
		if (is_candidate(overlay, ret_contact))
			return true;
	}
	return false;
}

/* Returns whether there was somebody to want. */
static bool want_another(struct overlay *overlay)
{
	struct contact contact;

	return candidate_draw(overlay, &contact) && pool_want(overlay, &contact) != NULL;
}

void pool_judge(struct overlay *overlay)
{
	size_t pool = overlay->config.pool;
	bool dense = kad_estimate(overlay->kad) > 2 * ((uint64_t)pool + 1);

	overlay->judge_at = mono_add_ms(overlay->now, OVERLAY_JUDGE_MS);
	if (!overlay->large && (dense || overlay->crowded))
		pool_set_large(overlay, true);
	else if (overlay->large && !dense &&
		 mono_reached(overlay->now, mono_add_ms(overlay->small_since, OVERLAY_SMALL_MS)))
		pool_set_large(overlay, false);
}

/* The pool of a large fabric has room: one dial at a time. */
static void fill(struct overlay *overlay)
{
	bool waiting = overlay->dial_count > 0 || overlay->counts.candidates > 0;

	if (want_another(overlay) || waiting)
		overlay->small_since = MONO_NEVER;
	else if (overlay->small_since.us == MONO_NEVER.us)
		overlay->small_since = overlay->now;
}

/* No neighbour, and nobody of the passive view answers: enter anew through whom we keep. */
static void join_again(struct overlay *overlay)
{
	struct contact contact;

	if (overlay_sample(overlay, NULL, 0, 1, &contact) == 1)
		view_join(overlay->view, overlay->real, &contact);
}

/* One goes and another comes; while others fill our pool by their dials, one only goes. */
static void renew(struct overlay *overlay)
{
	size_t pool = overlay->config.pool;
	struct peer *oldest;

	overlay->renew_at =
		mono_add_ms(overlay->now, prng_jitter(&overlay->prng, OVERLAY_RENEW_MS));
	if (overlay->counts.kept <= pool + pool / 16) {
		(void)want_another(overlay);
		return;
	}
	oldest = oldest_replaceable(overlay, NULL);
	if (oldest)
		pool_release(overlay, oldest, true);
}

void pool_house(struct overlay *overlay)
{
	bool full = overlay->counts.kept >= overlay->config.pool;

	if (view_is_alone(overlay->view))
		join_again(overlay);
	overlay->house_at = mono_add_ms(overlay->now, OVERLAY_JUDGE_MS);
	if (mono_reached(overlay->now, overlay->judge_at))
		pool_judge(overlay);
	if (!overlay->large) {
		(void)want_another(overlay);
	} else if (!full) {
		fill(overlay);
		overlay->house_at = mono_add_ms(overlay->now, OVERLAY_FILL_MS);
	} else {
		overlay->small_since = MONO_NEVER;
		if (mono_reached(overlay->now, overlay->renew_at))
			renew(overlay);
	}
}
