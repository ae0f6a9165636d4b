/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubt: a suspicion is shared before it becomes a verdict, and the verdict afterwards.
 *
 * Whoever suspects a machine asks it, and a few random members. A witness answers with what it saw
 * itself, freshly; one that knows nothing of the suspect looks, over a connection of the moment.
 * In a large fabric only neighbours and watchers observe a machine closely, so their verdict is
 * told to all of their pool: whoever keeps the machine probes it at once and, when no answer comes
 * within OVERLAY_ANSWER_MS, comes to its own verdict, which goes no further. So a liar costs a
 * probe, and nothing else.
 */
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "overlay/internal.h"

static bool id_is_among(const struct node_id *ids, size_t count, const struct node_id *id)
{
	for (size_t i = 0; i < count; i++) {
		if (node_id_equal(&ids[i], id))
			return true;
	}
	return false;
}

bool doubt_asked(const struct peer *suspect, const struct node_id *witness)
{
	const struct suspicion *doubt = suspect->doubt;

	return doubt && id_is_among(doubt->witnesses, OVERLAY_WITNESSES_MAX, witness);
}

static bool is_witness(const struct peer *peer, const struct peer *suspect)
{
	return peer != suspect && peer_is_kept(peer) && peer->state == MEMBER_ALIVE;
}

/* A few others, chosen by walking the table from a random place. */
static void ask_witnesses(struct overlay *overlay, struct peer *suspect)
{
	size_t start = prng_below(&overlay->prng, overlay->peer_count);
	struct suspicion *doubt = peer_doubt(suspect);
	struct member about = suspect->member;
	size_t asked = 0;

	about.addr = peer_addr(suspect);
	for (size_t i = 0; i < overlay->peer_count && asked < OVERLAY_WITNESSES; i++) {
		const struct peer *peer = overlay->peers[(start + i) % overlay->peer_count];

		if (!is_witness(peer, suspect))
			continue;
		doubt->witnesses[doubt->witness_at] = peer->member.id;
		doubt->witness_at = (uint8_t)((doubt->witness_at + 1) % OVERLAY_WITNESSES_MAX);
		gossip_report(overlay, peer, &about, MEMBER_SUSPECT);
		asked++;
	}
}

/* In a small fabric the suspect is asked in words, so that all hear it refute; in a large one every
 * machine has few who watch it, and an answer to their PINGs is enough. */
void doubt_ask(struct overlay *overlay, struct peer *suspect)
{
	if (!overlay->large && suspect->connected)
		gossip_report(overlay, suspect, &suspect->member, MEMBER_SUSPECT);
	if (!fault_is_planted(FAULT_WITNESSES))
		ask_witnesses(overlay, suspect);
}

/* When there is something to ask about: in a large fabric, where a witness may have to dial, a
 * stall is waited out first. Who is known to live in spite of its silence is asked about at once.
 */
struct mono doubt_first_at(const struct overlay *overlay, const struct peer *suspect)
{
	struct mono first = mono_add_ms(suspect->heard, OVERLAY_WITNESS_MS);

	return overlay->large && first.us > overlay->now.us ? first : overlay->now;
}

void doubt_answer(struct overlay *overlay, struct peer *peer)
{
	struct suspicion *doubt = peer->doubt;

	for (size_t i = 0; doubt && i < doubt->asker_count; i++) {
		const struct peer *asker = peer_find(overlay, &doubt->askers[i]);

		if (asker)
			gossip_report(overlay, asker, &peer->member, MEMBER_ALIVE);
	}
	if (doubt)
		doubt->asker_count = 0;
}

static void looks_expire(struct overlay *overlay)
{
	size_t left = 0;

	for (size_t i = 0; i < overlay->look_count; i++) {
		if (!mono_reached(overlay->now, overlay->looks[i].until))
			overlay->looks[left++] = overlay->looks[i];
	}
	overlay->look_count = left;
}

/* Probe a machine that we know nothing of, over a connection of the moment. */
static void look(struct overlay *overlay, const struct peer *from,
		 const struct member_report *report)
{
	struct contact about = {.id = report->member.id, .addr = report->member.addr};

	looks_expire(overlay);
	if (!peer_is_kept(from) || overlay->look_count == OVERLAY_LOOKS_MAX ||
	    !addr_can_be_dialled(&about.addr))
		return;
	if (!overlay->looks)
		overlay->looks = mem_alloc(OVERLAY_LOOKS_MAX, sizeof(*overlay->looks));
	overlay->looks[overlay->look_count++] = (struct look){
		about.id, from->member.id, mono_add_ms(overlay->now, OVERLAY_LOOK_MS)};
	effect_send_ping(overlay, effect_to_contact(overlay, &about), MESSAGE_PING,
			 ++overlay->sequence);
}

/* @peer was heard from: whoever made us look is told. */
void doubt_seen(struct overlay *overlay, const struct peer *peer)
{
	size_t left = 0;

	for (size_t i = 0; i < overlay->look_count; i++) {
		const struct look look = overlay->looks[i];
		const struct peer *asker = peer_find(overlay, &look.asker);

		if (!node_id_equal(&look.about, &peer->member.id))
			overlay->looks[left++] = look;
		else if (asker && !mono_reached(overlay->now, look.until))
			gossip_report(overlay, asker, &peer->member, MEMBER_ALIVE);
	}
	overlay->look_count = left;
}

static void asker_add(struct peer *peer, const struct node_id *asker)
{
	struct suspicion *doubt = peer_doubt(peer);

	if (!id_is_among(doubt->askers, doubt->asker_count, asker) &&
	    doubt->asker_count < OVERLAY_ASKERS_MAX)
		doubt->askers[doubt->asker_count++] = *asker;
}

/* Somebody asks about a machine: answer with what we saw ourselves, or look. */
void doubt_question(struct overlay *overlay, struct peer *from, const struct member_report *report)
{
	struct peer *peer = peer_find(overlay, &report->member.id);
	int64_t silence_us;

	if (!peer || (overlay->large && !peer->connected)) {
		look(overlay, from, report);
		return;
	}
	if (!peer->connected && !peer->greeted)
		return;
	if (peer->greeted && peer->state == MEMBER_LEFT)
		return;
	silence_us = mono_since_us(overlay->now, peer->heard);
	asker_add(peer, &from->member.id);
	if (peer->connected && silence_us < OVERLAY_WITNESS_FRESH_MS * US_PER_MS)
		doubt_answer(overlay, peer);
	else if (peer->connected)
		liveness_ping(overlay, peer);
}

/* Somebody's verdict: look at once, with a shorter patience. */
void doubt_accuse(struct overlay *overlay, struct peer *peer)
{
	struct suspicion *doubt;

	if ((overlay->large && !peer_is_kept(peer)) || (peer->doubt && peer->doubt->accused))
		return;
	doubt = peer_doubt(peer);
	doubt->accused = true;
	doubt->ask_at = overlay->now;
	liveness_ask(overlay, peer);
	due_touch(overlay, peer);
}

/* Our verdict, to all of our pool. */
void doubt_tell(struct overlay *overlay, const struct peer *dead)
{
	struct member about = dead->member;

	about.addr = peer_addr(dead);
	for (size_t i = 0; i < overlay->peer_count; i++) {
		const struct peer *peer = overlay->peers[i];

		if (peer != dead && peer_is_kept(peer))
			gossip_report(overlay, peer, &about, MEMBER_DEAD);
	}
}
