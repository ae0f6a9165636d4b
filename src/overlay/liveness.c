/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liveness: silence, measured in our own ticks.
 *
 * Evidence of life is anything heard from a member itself, or the word of a witness that was asked.
 * After OVERLAY_SUSPECT_MS without any, a few witnesses are asked, again every OVERLAY_PING_MS with
 * others; after OVERLAY_DEAD_MS the member is dead. OUR rule for a slow observer (after Lifeguard):
 * a gap in our own ticks proves nothing about others, so everyone's silence starts again.
 */
#include "overlay/internal.h"

enum {
	RTT_SMOOTHING = 8, /* as TCP: an eighth of each new sample (RFC 6298) */
};

static void member_up(struct overlay *overlay, struct peer *peer)
{
	peer->state = MEMBER_ALIVE;
	effect_add(overlay, OVERLAY_JOINED, &peer->member.id);
}

void liveness_heard(struct overlay *overlay, struct peer *peer)
{
	peer->heard = overlay->now;
	if (peer->asker_count > 0)
		gossip_answer(overlay, peer);
	/* A goodbye outlasts what was still on its way; only a greeting ends it. */
	if (!peer->greeted || peer->state == MEMBER_LEFT)
		return;
	if (peer->state == MEMBER_SUSPECT)
		peer->state = MEMBER_ALIVE;
	else if (peer->state == MEMBER_DEAD && peer->connected)
		member_up(overlay, peer);
}

void liveness_vouched(struct overlay *overlay, struct peer *peer)
{
	if (!peer_is_member(peer))
		return;
	peer->vouched = overlay->now;
	peer->state = MEMBER_ALIVE;
}

void liveness_greeted(struct overlay *overlay, struct peer *peer, uint64_t incarnation)
{
	bool again = peer_is_member(peer) && incarnation <= peer->hello_incarnation;

	if (!peer->greeted)
		overlay->candidate_count--;
	peer->greeted = true;
	peer->hello_incarnation = incarnation;
	peer->told_incarnation = incarnation;
	if (!again)
		member_up(overlay, peer);
}

void liveness_gone(struct overlay *overlay, struct peer *peer, enum member_state state)
{
	bool was_member = peer_is_member(peer);

	if (!peer->greeted)
		return;
	peer->state = state;
	peer->witness_count = 0;
	peer->gone_since = overlay->now;
	if (was_member)
		effect_add(overlay, OVERLAY_LOST, &peer->member.id);
}

void liveness_ping(struct overlay *overlay, struct peer *peer)
{
	struct message *message = &effect_add(overlay, OVERLAY_SEND, &peer->member.id)->message;

	peer->ping_sequence = ++overlay->sequence;
	peer->ping_sent = overlay->now;
	message->type = MESSAGE_PING;
	message->ping.sequence = peer->ping_sequence;
	message->ping.fabric_ms = effect_fabric(overlay).ms;
	gossip_fill(overlay, &peer->member.id, &message->ping.gossip);
}

void liveness_pong(struct overlay *overlay, struct peer *peer, const struct ping *pong)
{
	int64_t sample_us = mono_since_us(overlay->now, peer->ping_sent);

	if (peer->ping_sequence == 0 || pong->sequence != peer->ping_sequence)
		return;
	peer->ping_sequence = 0;
	peer->pong_at = overlay->now;
	if (sample_us < 1)
		sample_us = 1; /* 0 would mean unknown */
	if (peer->rtt_us == 0)
		peer->rtt_us = sample_us;
	else
		peer->rtt_us += (sample_us - peer->rtt_us) / RTT_SMOOTHING;
}

void liveness_forgive(struct overlay *overlay)
{
	for (size_t i = 0; i < overlay->peer_count; i++)
		liveness_vouched(overlay, overlay->peers[i]);
}

static struct mono suspect_at(const struct peer *peer)
{
	return mono_add_ms(peer_evidence(peer), OVERLAY_SUSPECT_MS);
}

static struct mono dead_at(const struct peer *peer)
{
	return mono_add_ms(peer_evidence(peer), OVERLAY_DEAD_MS);
}

static void silence_tick(struct overlay *overlay, struct peer *peer)
{
	if (!peer_is_member(peer) || !mono_reached(overlay->now, suspect_at(peer)))
		return;
	if (mono_reached(overlay->now, dead_at(peer))) {
		liveness_gone(overlay, peer, MEMBER_DEAD);
		return;
	}
	if (peer->state == MEMBER_ALIVE) {
		peer->state = MEMBER_SUSPECT;
		peer->ask_at = overlay->now;
		effect_add(overlay, OVERLAY_SUSPECTED, &peer->member.id);
	}
	if (mono_reached(overlay->now, peer->ask_at)) {
		peer->ask_at = mono_add_ms(overlay->now, OVERLAY_PING_MS);
		gossip_ask(overlay, peer);
	}
}

/* A connected machine whose greeting never came: greet again, and say that we know nothing of it,
 * which it answers with its greeting. */
static void greeting_ask(struct overlay *overlay, const struct peer *peer)
{
	struct message *message;

	effect_send_hello(overlay, &peer->member.id);
	message = &effect_add(overlay, OVERLAY_SEND, &peer->member.id)->message;
	*message = gossip_question(&peer->member);
}

static bool is_quiet(const struct overlay *overlay, const struct peer *peer)
{
	return mono_since_us(overlay->now, peer->heard) >= OVERLAY_PING_MS * US_PER_MS ||
	       mono_since_us(overlay->now, peer->pong_at) >= OVERLAY_RTT_AGE_MS * US_PER_MS ||
	       peer->rtt_us == 0;
}

static void ping_tick(struct overlay *overlay, struct peer *peer)
{
	if (!peer->connected || !mono_reached(overlay->now, peer->ping_at))
		return;
	peer->ping_at = mono_add_ms(overlay->now, prng_jitter(&overlay->prng, OVERLAY_PING_MS));
	if (!peer->greeted)
		greeting_ask(overlay, peer);
	else if (is_quiet(overlay, peer))
		liveness_ping(overlay, peer);
}

static bool is_forgotten(const struct overlay *overlay, const struct peer *peer)
{
	return peer->greeted && !peer_is_member(peer) && !peer->connected &&
	       mono_reached(overlay->now, mono_add_ms(peer->gone_since, OVERLAY_FORGET_MS));
}

void liveness_tick(struct overlay *overlay)
{
	for (size_t i = 0; i < overlay->peer_count;) {
		struct peer *peer = overlay->peers[i];

		silence_tick(overlay, peer);
		ping_tick(overlay, peer);
		if (is_forgotten(overlay, peer))
			peer_remove(overlay, peer);
		else
			i++;
	}
}

static struct mono mono_max(struct mono a, struct mono b)
{
	return a.us > b.us ? a : b;
}

static struct mono peer_deadline(const struct peer *peer)
{
	struct mono deadline = peer->connected ? peer->ping_at : MONO_NEVER;

	if (!peer->greeted)
		return deadline;
	if (peer->state == MEMBER_ALIVE)
		return mono_min(deadline, suspect_at(peer));
	if (peer->state == MEMBER_SUSPECT) {
		/* Heard of again and not cleared yet: nothing is asked before it is silent again.
		 */
		struct mono ask = mono_max(peer->ask_at, suspect_at(peer));

		return mono_min(deadline, mono_min(ask, dead_at(peer)));
	}
	if (!peer->connected)
		deadline = mono_add_ms(peer->gone_since, OVERLAY_FORGET_MS);
	return deadline;
}

struct mono liveness_deadline(const struct overlay *overlay)
{
	struct mono deadline = MONO_NEVER;

	for (size_t i = 0; i < overlay->peer_count; i++)
		deadline = mono_min(deadline, peer_deadline(overlay->peers[i]));
	return deadline;
}
