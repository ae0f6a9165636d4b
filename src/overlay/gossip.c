/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gossip: what members say about members, and how little of it is believed.
 *
 * A report that somebody is ALIVE makes us dial it, and nothing else, unless we asked for it: a
 * witness whom we asked about a suspect answers only with what it saw itself, freshly. A report
 * that somebody is SUSPECT is that question. Verdicts of others (DEAD, LEFT) are not taken over.
 * About ourselves: a report of an older incarnation shows that the sender never got our greeting,
 * so it gets it; a suspicion of the present one is refuted by a higher one, told to all.
 */
#include <string.h>

#include "base/mem.h"
#include "overlay/internal.h"

static void report_add(struct members *members, const struct member *member,
		       enum member_state state)
{
	struct member_report *report = &members->reports[members->report_count++];

	member_copy(member, &report->member);
	report->state = state;
}

/* A MEMBERS message with one report. */
static struct message report_message(const struct member *member, enum member_state state)
{
	struct message message = {.type = MESSAGE_MEMBERS};

	message.members.reports = mem_alloc(1, sizeof(*message.members.reports));
	report_add(&message.members, member, state);
	return message;
}

static void report_send(struct overlay *overlay, const struct node_id *to,
			const struct member *member, enum member_state state)
{
	effect_add(overlay, OVERLAY_SEND, to)->message = report_message(member, state);
}

void gossip_news(struct overlay *overlay, const struct node_id *id)
{
	struct news *news = overlay->news;

	for (size_t i = 0; i < overlay->news_count; i++) {
		if (node_id_equal(&news[i].id, id)) {
			news[i].repeats = OVERLAY_NEWS_REPEATS;
			return;
		}
	}
	if (overlay->news_count == OVERLAY_NEWS_MAX)
		memmove(&news[0], &news[1], --overlay->news_count * sizeof(*news));
	news[overlay->news_count++] = (struct news){*id, OVERLAY_NEWS_REPEATS};
}

static bool is_worth_telling(const struct peer *peer, const struct node_id *to)
{
	return peer && peer_is_member(peer) && !node_id_equal(&peer->member.id, to);
}

/* The first pieces of news, which then go to the end of the line. */
static void news_fill(struct overlay *overlay, const struct node_id *to, struct members *gossip)
{
	for (size_t turns = overlay->news_count; turns > 0; turns--) {
		struct news news = overlay->news[0];
		const struct peer *peer = peer_find(overlay, &news.id);

		if (gossip->report_count == OVERLAY_GOSSIP_MAX)
			return;
		overlay->news_count--;
		memmove(&overlay->news[0], &overlay->news[1],
			overlay->news_count * sizeof(overlay->news[0]));
		if (is_worth_telling(peer, to)) {
			report_add(gossip, &peer->member, MEMBER_ALIVE);
			news.repeats--;
		} else if (!peer || !peer_is_member(peer)) {
			news.repeats = 0;
		}
		if (news.repeats > 0)
			overlay->news[overlay->news_count++] = news;
	}
}

/* One member in turn, so that every view becomes complete even if news was lost. */
static void round_fill(struct overlay *overlay, const struct node_id *to, struct members *gossip)
{
	const struct peer *peer;

	if (overlay->peer_count == 0 || gossip->report_count == OVERLAY_GOSSIP_MAX)
		return;
	peer = overlay->peers[overlay->gossip_at++ % overlay->peer_count];
	if (is_worth_telling(peer, to))
		report_add(gossip, &peer->member, MEMBER_ALIVE);
}

void gossip_fill(struct overlay *overlay, const struct node_id *to, struct members *gossip)
{
	gossip->reports = mem_alloc(OVERLAY_GOSSIP_MAX, sizeof(*gossip->reports));
	news_fill(overlay, to, gossip);
	round_fill(overlay, to, gossip);
}

/* Tell a newcomer of everybody, in as many messages as it takes. */
void gossip_introduce(struct overlay *overlay, const struct node_id *to)
{
	struct message *message = NULL;

	for (size_t i = 0; i < overlay->peer_count; i++) {
		const struct peer *peer = overlay->peers[i];

		if (!is_worth_telling(peer, to))
			continue;
		if (!message || message->members.report_count == MESSAGE_NODES_MAX) {
			message = &effect_add(overlay, OVERLAY_SEND, to)->message;
			message->type = MESSAGE_MEMBERS;
			message->members.reports =
				mem_alloc(MESSAGE_NODES_MAX, sizeof(struct member_report));
		}
		report_add(&message->members, &peer->member, MEMBER_ALIVE);
	}
}

void gossip_announce(struct overlay *overlay, const struct peer *peer)
{
	for (size_t i = 0; i < overlay->peer_count; i++) {
		const struct peer *other = overlay->peers[i];

		if (other != peer && other->connected)
			report_send(overlay, &other->member.id, &peer->member, MEMBER_ALIVE);
	}
}

void gossip_announce_self(struct overlay *overlay, enum member_state state)
{
	struct message message = report_message(&overlay->config.self, state);

	effect_send_to_all(overlay, &message);
}

static bool id_is_among(const struct node_id *ids, size_t count, const struct node_id *id)
{
	for (size_t i = 0; i < count; i++) {
		if (node_id_equal(&ids[i], id))
			return true;
	}
	return false;
}

static bool is_witness(const struct peer *peer, const struct peer *suspect)
{
	return peer != suspect && peer->connected && peer->greeted && peer->state == MEMBER_ALIVE;
}

struct message gossip_question(const struct member *member)
{
	return report_message(member, MEMBER_SUSPECT);
}

/* Ask the suspect itself, and a few others, chosen by walking the table from a random place. */
void gossip_ask(struct overlay *overlay, struct peer *suspect)
{
	size_t start = prng_below(&overlay->prng, overlay->peer_count);

	if (suspect->connected)
		report_send(overlay, &suspect->member.id, &suspect->member, MEMBER_SUSPECT);
	suspect->witness_count = 0;
	for (size_t i = 0; i < overlay->peer_count; i++) {
		const struct peer *peer = overlay->peers[(start + i) % overlay->peer_count];

		if (suspect->witness_count == OVERLAY_WITNESSES)
			return;
		if (!is_witness(peer, suspect))
			continue;
		suspect->witnesses[suspect->witness_count++] = peer->member.id;
		report_send(overlay, &peer->member.id, &suspect->member, MEMBER_SUSPECT);
	}
}

void gossip_answer(struct overlay *overlay, struct peer *peer)
{
	for (size_t i = 0; i < peer->asker_count; i++)
		report_send(overlay, &peer->askers[i], &peer->member, MEMBER_ALIVE);
	peer->asker_count = 0;
}

/* Somebody asks about @peer: answer with what we saw ourselves, or look. */
static void receive_question(struct overlay *overlay, const struct node_id *from, struct peer *peer)
{
	int64_t silence_us = mono_since_us(overlay->now, peer->heard);

	if (!peer->greeted || peer->state == MEMBER_LEFT)
		return;
	if (!id_is_among(peer->askers, peer->asker_count, from) &&
	    peer->asker_count < OVERLAY_ASKERS_MAX)
		peer->askers[peer->asker_count++] = *from;
	if (peer->connected && silence_us < OVERLAY_WITNESS_FRESH_MS * US_PER_MS)
		gossip_answer(overlay, peer);
	else if (peer->connected)
		liveness_ping(overlay, peer);
}

static void receive_about_self(struct overlay *overlay, const struct node_id *from,
			       const struct member_report *report)
{
	struct member *self = &overlay->config.self;
	uint64_t incarnation = report->member.incarnation;

	if (overlay->left)
		return;
	if (incarnation < self->incarnation) {
		if (report->state != MEMBER_ALIVE)
			effect_send_hello(overlay, from);
		return;
	}
	if (incarnation == self->incarnation && report->state == MEMBER_ALIVE)
		return;
	/* A forgery must not use up our numbers. */
	if (incarnation > (uint64_t)effect_fabric(overlay).ms + OVERLAY_INCARNATION_AHEAD_MS)
		return;
	self->incarnation = incarnation + 1;
	gossip_announce_self(overlay, MEMBER_ALIVE);
}

/* The sender about itself, over its own connection: this is believed. */
static void receive_about_sender(struct overlay *overlay, struct peer *from,
				 const struct member_report *report)
{
	if (report->state == MEMBER_LEFT)
		liveness_gone(overlay, from, MEMBER_LEFT);
	else if (report->member.incarnation > from->member.incarnation)
		from->member.incarnation = report->member.incarnation;
}

static void receive_unknown(struct overlay *overlay, const struct member_report *report)
{
	struct peer *peer;

	if (addr_is_none(&report->member.addr) || addr_is_wildcard(&report->member.addr))
		return;
	peer = peer_add(overlay, &report->member.id, false);
	if (!peer)
		return;
	peer->hint = report->member.addr;
	peer->named = true;
	dial_peer_soon(overlay, peer);
}

static void receive_alive(struct overlay *overlay, struct peer *from, struct peer *peer,
			  const struct member_report *report, bool direct)
{
	bool asked = id_is_among(peer->witnesses, peer->witness_count, &from->member.id);
	bool moved = !addr_equal(&report->member.addr, &peer->hint) &&
		     !addr_equal(&report->member.addr, &peer->member.addr) &&
		     !addr_is_wildcard(&report->member.addr);

	if (direct && asked && report->member.incarnation >= peer->member.incarnation)
		liveness_vouched(overlay, peer);
	if (peer->connected)
		return;
	if (moved && report->member.incarnation >= peer->member.incarnation) {
		peer->hint = report->member.addr;
		peer->hint_next = true;
		dial_peer_soon(overlay, peer);
	} else if (report->member.incarnation > peer->told_incarnation) {
		/* It has come back: others reach it, so the back-off has lost its reason. */
		dial_peer_soon(overlay, peer);
	}
	if (report->member.incarnation > peer->told_incarnation)
		peer->told_incarnation = report->member.incarnation;
}

void gossip_receive(struct overlay *overlay, struct peer *from, const struct members *members,
		    bool direct)
{
	for (size_t i = 0; i < members->report_count; i++) {
		const struct member_report *report = &members->reports[i];
		const struct node_id *id = &report->member.id;
		struct peer *peer = peer_find(overlay, id);

		if (node_id_equal(id, &overlay->config.self.id))
			receive_about_self(overlay, &from->member.id, report);
		else if (peer == from)
			receive_about_sender(overlay, from, report);
		else if (report->state == MEMBER_SUSPECT && peer)
			receive_question(overlay, &from->member.id, peer);
		else if (report->state == MEMBER_ALIVE && peer)
			receive_alive(overlay, from, peer, report, direct);
		else if (report->state == MEMBER_ALIVE)
			receive_unknown(overlay, report);
	}
}
