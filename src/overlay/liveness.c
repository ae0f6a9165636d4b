/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liveness: silence, measured in our own ticks.
 *
 * Evidence of life is anything heard from a member itself, or the word of a witness that was asked.
 * After OVERLAY_SUSPECT_MS without any, a few witnesses are asked, again every
 * OVERLAY_SUSPECT_PING_MS with others; after OVERLAY_DEAD_MS the member is dead. What a witness
 * says counts for what it is: that it heard something, at most OVERLAY_WITNESS_FRESH_MS ago.
 *
 * In a large fabric only neighbours and the watched are observed so closely. Of the others it is
 * enough that their connections stay: something is said every OVERLAY_KEEPALIVE_MS, by whoever is
 * first, and only a long silence is asked about.
 *
 * OUR rule for a slow observer (after Lifeguard): our own stall proves nothing about others. So
 * silence alone condemns nobody: a question must have gone unanswered for OVERLAY_ANSWER_MS, which
 * is longer than the other's stall, and what has come while we were stalled ourselves is heard
 * first: there are OVERLAY_LAST_WORD_MS before a suspicion, and again before the verdict. Then it
 * does not matter how often we are stalled, and a machine that is starved all the time comes to its
 * verdicts hardly later. Only a stall longer than an answer takes makes our clock stand still
 * (overlay.c), for it may have cost us the connections.
 */
#include "base/fault.h"
#include "overlay/internal.h"

enum {
	RTT_SMOOTHING = 8,                 /* as TCP: an eighth of each new sample (RFC 6298) */
	JITTER_UNIT = 4 * (UINT8_MAX + 1), /* up to a quarter of a period is left out */
};

static struct mono mono_max(struct mono a, struct mono b)
{
	return a.us > b.us ? a : b;
}

/* Is its life observed closely? Not that of one that is only kept among many. A suspicion is
 * brought to its end, though a replacement may have pushed the suspect out of the view meanwhile.
 */
static bool is_close(const struct overlay *overlay, const struct peer *peer)
{
	return !overlay->large || peer->active || peer->watched ||
	       (peer->doubt && peer->doubt->close);
}

static void member_up(struct overlay *overlay, struct peer *peer)
{
	bool merge = peer->mass;

	peer_set_state(overlay, peer, MEMBER_ALIVE);
	peer->mass = false;
	effect_add(overlay, OVERLAY_JOINED, &peer->member.id);
	parts_member(overlay, peer, merge);
	due_touch(overlay, peer);
}

static void suspicion_ended(struct overlay *overlay, struct peer *peer)
{
	peer_set_state(overlay, peer, MEMBER_ALIVE);
	if (peer->active)
		view_doubt(overlay->view, overlay->real, &peer->member.id, false);
}

void liveness_heard(struct overlay *overlay, struct peer *peer)
{
	peer->heard = overlay->now;
	if (overlay->look_count > 0)
		doubt_seen(overlay, peer);
	if (peer->doubt) {
		doubt_answer(overlay, peer);
		peer_trust(peer);
	}
	/* A goodbye outlasts what was still on its way; only a greeting ends it. */
	if ((!peer->greeted && !peer->watched) || peer->state == MEMBER_LEFT)
		return;
	if (peer->state == MEMBER_SUSPECT) {
		suspicion_ended(overlay, peer);
	} else if (peer->state == MEMBER_DEAD && peer->connected) {
		member_up(overlay, peer);
	}
}

static int64_t suspect_ms(const struct overlay *overlay, const struct peer *peer)
{
	if (is_close(overlay, peer))
		return OVERLAY_SUSPECT_MS;
	return peer->connected ? OVERLAY_COLD_SUSPECT_MS : OVERLAY_BROKEN_SUSPECT_MS;
}

static int64_t dead_ms(const struct overlay *overlay, const struct peer *peer)
{
	if (is_close(overlay, peer))
		return overlay->large ? OVERLAY_CLOSE_DEAD_MS : OVERLAY_DEAD_MS;
	return peer->connected ? OVERLAY_COLD_DEAD_MS : OVERLAY_BROKEN_DEAD_MS;
}

static struct mono suspect_at(const struct overlay *overlay, const struct peer *peer)
{
	return mono_add_ms(peer_evidence(peer), suspect_ms(overlay, peer));
}

/* A question has to go unanswered too, for our own stall may have held it back. Who is accused by
 * another has no longer than that; where all observe all, as long as a neighbour has elsewhere. */
static struct mono dead_at(const struct overlay *overlay, const struct peer *peer)
{
	const struct suspicion *doubt = peer->doubt;
	struct mono silent, unanswered;

	if (!doubt || !doubt->asked)
		return MONO_NEVER;
	if (doubt->condemned)
		return mono_add_ms(doubt->condemned_at, OVERLAY_LAST_WORD_MS);
	silent = mono_add_ms(peer_evidence(peer), dead_ms(overlay, peer));
	unanswered = mono_add_ms(doubt->asked_at, OVERLAY_ANSWER_MS);
	if (doubt->accused && overlay->large)
		return unanswered;
	if (doubt->accused)
		silent = mono_add_ms(peer_evidence(peer), OVERLAY_CLOSE_DEAD_MS);
	return mono_max(silent, unanswered);
}

void liveness_vouched(struct overlay *overlay, struct peer *peer)
{
	struct mono seen = mono_add_ms(overlay->now, -OVERLAY_WITNESS_FRESH_MS);

	if (!peer_is_judged(peer) || seen.us <= peer->vouched.us)
		return;
	peer->vouched = seen;
	if (peer->doubt)
		peer->doubt->accused = peer->doubt->asked = peer->doubt->condemned = false;
	if (peer->state == MEMBER_SUSPECT && !mono_reached(overlay->now, suspect_at(overlay, peer)))
		suspicion_ended(overlay, peer);
	due_touch(overlay, peer);
}

/* It is observed closely from now on: what silence there was says nothing. */
void liveness_watch(struct overlay *overlay, struct peer *peer)
{
	peer->vouched = overlay->now;
	due_touch(overlay, peer);
}

void liveness_greeted(struct overlay *overlay, struct peer *peer, uint64_t incarnation)
{
	bool again = peer_is_member(peer) && incarnation <= peer->hello_incarnation;

	if (!peer->greeted)
		peer_set_greeted(overlay, peer, true);
	peer_last(overlay, peer);
	peer->hello_incarnation = incarnation;
	peer->told_incarnation = incarnation;
	if (!again)
		member_up(overlay, peer);
}

/* Many at once: we are cut off from a part of the fabric, which may come back as one. */
static bool is_mass(struct overlay *overlay)
{
	struct mono end = mono_add_ms(overlay->mass_since, OVERLAY_MASS_MS);
	size_t many = overlay->counts.members / 8;

	if (overlay->mass_count == 0 || mono_reached(overlay->now, end)) {
		overlay->mass_since = overlay->now;
		overlay->mass_count = 0;
	}
	overlay->mass_count++;
	return overlay->mass_count >= (many > OVERLAY_MASS_MIN ? many : OVERLAY_MASS_MIN);
}

void liveness_gone(struct overlay *overlay, struct peer *peer, enum member_state state)
{
	bool first_hand = is_close(overlay, peer) && state == MEMBER_DEAD;
	bool was_judged = peer_is_judged(peer);

	if (!peer->greeted && !peer->watched)
		return;
	peer_set_state(overlay, peer, state);
	peer_trust(peer);
	if (!was_judged)
		return;
	if (!peer->connected)
		peer->since = overlay->now;
	peer->mass = is_mass(overlay);
	effect_add(overlay, OVERLAY_LOST, &peer->member.id);
	if (overlay->large && first_hand)
		doubt_tell(overlay, peer);
	parts_lost(overlay, &peer->member.id);
	if (overlay->large)
		pool_bound_gone(overlay, peer);
}

void liveness_ping(struct overlay *overlay, struct peer *peer)
{
	struct message *message = effect_to_peer(overlay, peer, MESSAGE_PING);

	peer->jitter = (uint8_t)prng_below(&overlay->prng, UINT8_MAX);
	peer->ping_sequence = ++overlay->sequence;
	peer->ping_sent = overlay->now;
	effect_send_ping(overlay, message, MESSAGE_PING, peer->ping_sequence);
	gossip_fill(overlay, &peer->member.id, &message->ping.gossip);
}

/* A PONG that nobody asked for, and nobody answers: the connection stays. */
static void keep_alive(struct overlay *overlay, struct peer *peer)
{
	peer->jitter = (uint8_t)prng_below(&overlay->prng, UINT8_MAX);
	peer->ping_sent = overlay->now;
	peer->ping_sequence = 0;
	effect_send_ping(overlay, effect_to_peer(overlay, peer, MESSAGE_PONG), MESSAGE_PONG, 0);
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
		peer->rtt_us = (uint32_t)sample_us;
	else
		peer->rtt_us =
			(uint32_t)(peer->rtt_us + (sample_us - peer->rtt_us) / RTT_SMOOTHING);
}

void liveness_ask(struct overlay *overlay, struct peer *peer)
{
	struct suspicion *doubt = peer_doubt(peer);

	if (doubt->asked)
		return;
	if (peer->connected && (peer->ping_sequence == 0 || peer->ping_sent.us < peer->heard.us))
		liveness_ping(overlay, peer);
	doubt->asked = true;
	doubt->asked_at = peer->connected ? peer->ping_sent : overlay->now;
}

/* Is its time over? If we were stalled until now, its answer may have come meanwhile and wait to be
 * read: there is a last moment for that, and for witnesses. */
static bool is_dead(struct overlay *overlay, const struct peer *peer)
{
	struct suspicion *doubt = peer->doubt;

	if (fault_is_planted(FAULT_SELF_DOUBT))
		return mono_reached(overlay->now,
				    mono_add_ms(peer_evidence(peer), dead_ms(overlay, peer)));
	if (!mono_reached(overlay->now, dead_at(overlay, peer)))
		return false;
	if (doubt->condemned)
		return true;
	doubt->condemned = true;
	doubt->condemned_at = doubt->ask_at = overlay->now;
	return false;
}

static void suspect(struct overlay *overlay, struct peer *peer)
{
	struct suspicion *doubt = peer_doubt(peer);

	peer_set_state(overlay, peer, MEMBER_SUSPECT);
	doubt->close = is_close(overlay, peer);
	doubt->ask_at = doubt_first_at(overlay, peer);
	effect_add(overlay, OVERLAY_SUSPECTED, &peer->member.id);
	if (peer->active)
		view_doubt(overlay->view, overlay->real, &peer->member.id, true);
}

static void silence_tick(struct overlay *overlay, struct peer *peer)
{
	struct suspicion *doubt;

	if (!peer_is_judged(peer))
		return;
	if (is_dead(overlay, peer)) {
		liveness_gone(overlay, peer, MEMBER_DEAD);
		return;
	}
	if (!mono_reached(overlay->now, suspect_at(overlay, peer)))
		return;
	doubt = peer_doubt(peer);
	if (!doubt->asked) {
		liveness_ask(overlay, peer);
		doubt->ask_at = mono_add_ms(overlay->now, OVERLAY_LAST_WORD_MS);
	}
	if (peer->state == MEMBER_ALIVE && mono_reached(overlay->now, doubt->ask_at))
		suspect(overlay, peer);
	if (mono_reached(overlay->now, doubt->ask_at)) {
		doubt->ask_at = mono_add_ms(overlay->now,
					    prng_jitter(&overlay->prng, OVERLAY_SUSPECT_PING_MS));
		doubt_ask(overlay, peer);
	}
}

/* A machine that we want, and whose greeting never came: greet again, and say that we know nothing
 * of it, which it answers with its greeting. */
static void greeting_ask(struct overlay *overlay, struct peer *peer)
{
	struct member unknown = {.id = peer->member.id, .addr = peer->hint};

	peer->ping_sent = overlay->now;
	peer->jitter = (uint8_t)prng_below(&overlay->prng, UINT8_MAX);
	if (++peer->tries > OVERLAY_GREETING_TRIES) {
		peer->wanted = false;
		return;
	}
	effect_send_hello(overlay, peer);
	gossip_report(overlay, peer, &unknown, MEMBER_SUSPECT);
}

/* @period_ms with the peer's own jitter, after @start. */
static struct mono after(const struct peer *peer, struct mono start, int64_t period_ms)
{
	return mono_add_ms(start, period_ms - period_ms * peer->jitter / JITTER_UNIT);
}

/* When a connected member has to be talked to, if it stays as quiet as it is. */
static struct mono ping_due(const struct overlay *overlay, const struct peer *peer)
{
	bool close = is_close(overlay, peer), doubted = peer->doubt || peer->state != MEMBER_ALIVE;
	int64_t period_ms = !overlay->large ? OVERLAY_PING_MS
			    : close         ? OVERLAY_PROBE_MS
					    : OVERLAY_KEEPALIVE_MS;
	struct mono next = after(peer, peer->ping_sent,
				 !doubted && peer->rtt_us ? period_ms : OVERLAY_SUSPECT_PING_MS);
	struct mono quiet = after(peer, peer->heard, period_ms);

	if (peer->rtt_us == 0 || (peer->doubt && peer->doubt->accused))
		return next;
	if (close)
		quiet = mono_min(quiet, mono_add_ms(peer->pong_at, OVERLAY_RTT_AGE_MS));
	return mono_max(quiet, next);
}

static void talk(struct overlay *overlay, struct peer *peer)
{
	bool silent = mono_since_us(overlay->now, peer->heard) >=
		      2 * OVERLAY_KEEPALIVE_MS * (int64_t)US_PER_MS;

	if (is_close(overlay, peer) || silent || peer->doubt || peer->rtt_us == 0)
		liveness_ping(overlay, peer);
	else
		keep_alive(overlay, peer);
}

/* When a connection that has no place in the pool is closed. */
static struct mono idle_at(const struct peer *peer)
{
	return mono_add_ms(mono_max(peer->heard, peer->ping_sent), OVERLAY_TRANSIENT_MS);
}

static bool is_greeting(const struct peer *peer)
{
	return peer->wanted && !peer->greeted;
}

/* What the connection to @peer needs next, and when. */
static struct mono connection_due(const struct overlay *overlay, const struct peer *peer)
{
	if (!peer->connected)
		return MONO_NEVER;
	if (is_greeting(peer))
		return after(peer, peer->ping_sent, OVERLAY_GREETING_MS);
	if (peer_is_kept(peer) || (peer->greeted && !overlay->large))
		return ping_due(overlay, peer);
	return idle_at(peer);
}

static void connection_tick(struct overlay *overlay, struct peer *peer)
{
	if (!mono_reached(overlay->now, connection_due(overlay, peer)))
		return;
	if (is_greeting(peer)) {
		greeting_ask(overlay, peer);
	} else if (peer_is_kept(peer) || (peer->greeted && !overlay->large)) {
		talk(overlay, peer);
	} else {
		peer->ping_sent = overlay->now; /* not again at once */
		effect_add(overlay, OVERLAY_CLOSE, &peer->member.id);
	}
}

static struct mono forget_at(const struct peer *peer)
{
	if ((!peer->greeted && !peer->watched) || peer_is_judged(peer) || peer->connected)
		return MONO_NEVER;
	return mono_add_ms(peer->since, OVERLAY_FORGET_MS);
}

bool liveness_tick(struct overlay *overlay, struct peer *peer)
{
	silence_tick(overlay, peer);
	connection_tick(overlay, peer);
	if (!mono_reached(overlay->now, forget_at(peer)))
		return true;
	peer_remove(overlay, peer);
	return false;
}

struct mono liveness_due(const struct overlay *overlay, const struct peer *peer)
{
	struct mono deadline = mono_min(connection_due(overlay, peer), forget_at(peer));

	if (!peer_is_judged(peer))
		return deadline;
	if (peer->doubt && peer->doubt->asked)
		/* Heard of again and not cleared yet: nothing is asked before it is silent again.
		 */
		deadline = mono_min(deadline,
				    mono_max(peer->doubt->ask_at, suspect_at(overlay, peer)));
	else
		deadline = mono_min(deadline, suspect_at(overlay, peer));
	return mono_min(deadline, dead_at(overlay, peer));
}
