/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gossip: what members say about members, and how little of it is believed.
 *
 * A report that somebody is ALIVE makes us dial it, and nothing else, unless we asked for it: a
 * witness whom we asked about a suspect answers only with what it saw itself, freshly (doubt.c).
 * A report that somebody is SUSPECT is that question. A verdict of others (DEAD) makes us look for
 * ourselves. About ourselves: a report of an older incarnation shows that the sender never got our
 * greeting, so it gets it; a suspicion of the present one is refuted by a higher one, told to all.
 *
 * In a small fabric members tell each other of all members, on their pings, until everybody knows
 * everybody. In a large one a newcomer is told of a few, and that is all.
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

/* Make @message one with room for @count reports. */
static void reports_init(struct message *message, size_t count)
{
	message->type = MESSAGE_MEMBERS;
	message->members.reports = mem_alloc(count, sizeof(*message->members.reports));
}

void gossip_report(struct overlay *overlay, const struct peer *to, const struct member *member,
		   enum member_state state)
{
	struct message *message = effect_to_peer(overlay, to, MESSAGE_MEMBERS);

	reports_init(message, 1);
	report_add(&message->members, member, state);
}

void gossip_news(struct overlay *overlay, const struct node_id *id)
{
	struct news *news = overlay->news;

	if (!news)
		overlay->news = news = mem_alloc(OVERLAY_NEWS_MAX, sizeof(*news));
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
	if (overlay->large)
		return;
	gossip->reports = mem_alloc(OVERLAY_GOSSIP_MAX, sizeof(*gossip->reports));
	news_fill(overlay, to, gossip);
	round_fill(overlay, to, gossip);
}

/* Tell a newcomer of everybody, in as many messages as it takes; in a large fabric of some, from a
 * random place in the table on. */
void gossip_introduce(struct overlay *overlay, const struct peer *to)
{
	size_t start = overlay->large ? prng_below(&overlay->prng, overlay->peer_count) : 0;
	size_t left = overlay->large ? OVERLAY_INTRODUCED_MAX : SIZE_MAX;
	struct message *message = NULL;

	for (size_t i = 0; i < overlay->peer_count && left > 0; i++) {
		const struct peer *peer = overlay->peers[(start + i) % overlay->peer_count];

		if (!is_worth_telling(peer, &to->member.id))
			continue;
		if (!message || message->members.report_count == MESSAGE_NODES_MAX) {
			message = effect_to_peer(overlay, to, MESSAGE_MEMBERS);
			reports_init(message, MESSAGE_NODES_MAX);
		}
		report_add(&message->members, &peer->member, MEMBER_ALIVE);
		left--;
	}
}

void gossip_announce(struct overlay *overlay, const struct peer *peer)
{
	for (size_t i = 0; i < overlay->peer_count; i++) {
		const struct peer *other = overlay->peers[i];

		if (other != peer && other->connected && (other->greeted || other->wanted))
			gossip_report(overlay, other, &peer->member, MEMBER_ALIVE);
	}
}

void gossip_announce_self(struct overlay *overlay, enum member_state state)
{
	struct message message = {0};

	reports_init(&message, 1);
	report_add(&message.members, &overlay->config.self, state);
	effect_send_to_all(overlay, &message);
}

static void receive_about_self(struct overlay *overlay, struct peer *from,
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
	parts_set_self(overlay);
	if (overlay->large)
		gossip_report(overlay, from, self, MEMBER_ALIVE);
	else
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

static void receive_alive(struct overlay *overlay, struct peer *from, struct peer *peer,
			  const struct member_report *report, bool direct)
{
	bool moved = !addr_equal(&report->member.addr, &peer->hint) &&
		     !addr_equal(&report->member.addr, &peer->member.addr) &&
		     addr_can_be_dialled(&report->member.addr);

	/* Whatever number it has: who was suspected by others only has refuted it to them only. */
	if (direct && doubt_asked(peer, &from->member.id))
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

static void receive_report(struct overlay *overlay, struct peer *from,
			   const struct member_report *report, bool direct)
{
	struct peer *peer = peer_find(overlay, &report->member.id);

	if (node_id_equal(&report->member.id, &overlay->config.self.id))
		receive_about_self(overlay, from, report);
	else if (peer == from)
		receive_about_sender(overlay, from, report);
	else if (report->state == MEMBER_SUSPECT)
		doubt_question(overlay, from, report);
	else if (report->state == MEMBER_DEAD && peer && overlay->large) /* else we see it too */
		doubt_accuse(overlay, peer);
	else if (report->state == MEMBER_ALIVE && peer)
		receive_alive(overlay, from, peer, report, direct);
	else if (report->state == MEMBER_ALIVE)
		pool_named(overlay, &report->member);
}

/* In a large fabric one introduction a connection is enough, and no more than an honest one. */
void gossip_receive(struct overlay *overlay, struct peer *from, const struct members *members,
		    bool direct)
{
	size_t count = members->report_count;

	if (overlay->large && count > 1) {
		if (from->told)
			return;
		from->told = true;
		if (count > OVERLAY_INTRODUCED_MAX)
			count = OVERLAY_INTRODUCED_MAX;
	}
	for (size_t i = 0; i < count; i++)
		receive_report(overlay, from, &members->reports[i], direct);
}
