/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broadcasts, as a node judges them before it hands them on (overlay/tree.h).
 *
 * What is broadcast is a packet: a signed disposal, or a referral that asks everybody. It goes on
 * only when its issuer is known, its signature holds, it is of now, its issuer may say it, and no
 * limit is passed. An issuer we have never met is asked for at the neighbour it came through, which
 * has believed it before us: so certificates follow a broadcast along the same tree.
 *
 * A broadcast costs as many messages as there are machines, and as many announcements. Tenders are
 * therefore limited over all owners, and the rarer the larger the fabric is: everybody hears all
 * broadcasts, so that an owner knows whether one more is within the limit, and asks nobody when it
 * is not. That bounds the fabric's work when many owners have something that fits nowhere. Relays
 * hold owners to it, with as much again to spare: an estimated size is not exact, several owners
 * may ask at a time, and what is handed on by some only costs more than what is handed on by all.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "identity/sha256.h"

/* Twice per attempt, and the back-off of attempts ends at five minutes. */
static const struct node_rate own_rate = {.per_minute = 6, .burst = 4};
static const struct node_rate owner_rate = {.per_minute = 12, .burst = 8};
/* Over all owners. A token is one machine's copy, so that a broadcast costs as many as there are
 * machines. */
enum {
	ALL_COPIES_PER_MIN = 3000, /* 50 in a second, and two announcements for each */
	ALL_MIN_PER_BROADCAST = 2, /* no rarer: a machine hardly notices, however many there are */
	ALL_BROADCASTS_PER_MIN = 60, /* no more often: what a small fabric handles */
	ALL_BROADCASTS_BURST = 30,
	RELAY_SLACK = 2,
};
/* A steward that deletes a thousand workloads at once; what is over the limit is told by the
 * tombstone records. */
static const struct node_rate disposal_rate = {.per_minute = 600, .burst = 1000};

static int64_t copies_of(const struct node *node)
{
	uint64_t size = overlay_size(node->overlay);

	return size > 0 ? (int64_t)size : 1;
}

static struct node_rate all_rate(int64_t copies)
{
	int64_t per_minute = ALL_COPIES_PER_MIN;

	if (per_minute < copies / ALL_MIN_PER_BROADCAST)
		per_minute = copies / ALL_MIN_PER_BROADCAST;
	if (per_minute > copies * ALL_BROADCASTS_PER_MIN)
		per_minute = copies * ALL_BROADCASTS_PER_MIN;
	return (struct node_rate){per_minute, ALL_BROADCASTS_BURST * copies};
}

static void send_all(struct node *node, struct mono now, const struct packet *packet)
{
	struct buf payload = {0};

	packet_encode(packet, &payload);
	if (payload.len <= MESSAGE_GOSSIP_MAX)
		overlay_broadcast(node->overlay, now, bytes_buf(&payload));
	buf_deinit(&payload);
}

void node_gossip_envelope(struct node *node, struct mono now, struct bytes envelope)
{
	send_all(node, now, &(struct packet){.is_envelope = true, .body = envelope});
}

bool node_gossip_may_ask(struct node *node, struct mono now)
{
	int64_t copies = copies_of(node);
	struct node_rate rate = all_rate(copies);

	if (fault_is_planted(FAULT_BROADCAST_LIMIT))
		return true;
	return node_bucket_take(&node->all_broadcasts, now, &rate, copies) &&
	       node_bucket_take(&node->own_broadcasts, now, &own_rate, 1);
}

void node_gossip_ask(struct node *node, struct mono now, const struct referral *referral)
{
	struct message message = {.type = MESSAGE_REFERRAL, .referral = *referral}; /* borrowed */
	struct buf encoded = {0};

	message_encode(&message, &encoded);
	send_all(node, now, &(struct packet){.body = bytes_buf(&encoded)});
	buf_deinit(&encoded);
}

/* ---- judging those of others ---- */

/* Of a thousand machines so many are to bid, and every tender means others. */
static bool is_in_share(const struct node *node, const struct digest *tender_id, uint32_t share)
{
	struct buf text = {0};
	struct digest digest;
	uint32_t draw;

	buf_append(&text, tender_id->byte, ID_LEN);
	buf_append(&text, node->config.self.id.byte, ID_LEN);
	digest = sha256(bytes_buf(&text));
	buf_deinit(&text);
	draw = (uint32_t)digest.byte[0] << 16 | (uint32_t)digest.byte[1] << 8 | digest.byte[2];
	return draw % MESSAGE_SHARE_MAX < share;
}

static bool within_limits(struct node *node, struct mono now, const struct node_id *owner)
{
	int64_t copies = copies_of(node);
	struct node_rate rate = all_rate(copies);

	if (fault_is_planted(FAULT_BROADCAST_LIMIT))
		return true;
	node_bucket_owe(&node->all_broadcasts, now, &rate, copies);
	rate.per_minute *= RELAY_SLACK;
	rate.burst *= RELAY_SLACK;
	if (node_rate_take(&node->owner_broadcasts, now, owner, &owner_rate, 1) &&
	    node_bucket_take(&node->relayed, now, &rate, copies))
		return true;
	node_count(node, NODE_COUNT_RATE);
	return false;
}

/* An owner asks everybody. It may have asked us before, by referral: others still have to hear. */
static void judge_tender(struct node *node, struct mono now, const struct node_gossip *gossip,
			 const struct node_signed *opened, const struct message *message)
{
	int outcome = node->config.trust.ops->fresh(node->config.trust.self,
						    node_fabric_time(node, now), opened);
	const struct tender *tender = &message->tender;

	if (outcome == NODE_TRUST_E_STALE) {
		node_count(node, NODE_COUNT_STALE);
		return;
	}
	if (!node_id_equal(&opened->issuer, &gossip->owner.id) ||
	    !node_signer_is_steward(node, opened, tender->object.namespace)) {
		node_count(node, NODE_COUNT_ROLE);
		return;
	}
	if (!within_limits(node, now, &opened->issuer))
		return;
	overlay_relay(node->overlay, now, &gossip->id);
	if (!market_would_bid(node->market, tender))
		market_missed(node->market, now, &gossip->owner.id, &gossip->owner.addr, tender);
	else if (outcome == 0 && is_in_share(node, &tender->id, gossip->share))
		node_deliver_referred(node, now, opened, gossip->envelope, &gossip->owner.addr);
}

static void judge_disposal(struct node *node, struct mono now, const struct node_gossip *gossip,
			   const struct node_signed *opened, const struct disposal *disposal)
{
	int outcome = node->config.trust.ops->fresh(node->config.trust.self,
						    node_fabric_time(node, now), opened);

	if (outcome == NODE_TRUST_E_STALE) {
		node_count(node, NODE_COUNT_STALE);
		return;
	}
	if (!node_rate_take(&node->disposals, now, &opened->issuer, &disposal_rate, 1)) {
		node_count(node, NODE_COUNT_RATE);
		return;
	}
	/* Known already: it was told directly as well, and others still have to hear. */
	if (outcome == NODE_TRUST_E_REPLAY || node_deliver_disposal(node, now, opened, disposal))
		overlay_relay(node->overlay, now, &gossip->id);
}

/* NODE_TRUST_E_LEAF: to be judged again when its issuer's certificate is known. */
int node_gossip_judge(struct node *node, struct mono now, const struct node_gossip *gossip)
{
	struct node_signed opened = {0};
	struct message message;
	int outcome = node_open(node, now, gossip->envelope, &opened);

	if (outcome == NODE_TRUST_E_LEAF)
		node->missing_leaf = opened.leaf;
	if (outcome)
		return outcome;
	if (message_decode(opened.payload, &message) != 0)
		return NODE_TRUST_E_MALFORMED;
	if (message.type == MESSAGE_TENDER && !node_id_is_none(&gossip->owner.id))
		judge_tender(node, now, gossip, &opened, &message);
	else if (message.type == MESSAGE_DISPOSAL && node_id_is_none(&gossip->owner.id))
		judge_disposal(node, now, gossip, &opened, &message.disposal);
	else
		node_count(node, NODE_COUNT_PACKETS_MALFORMED);
	message_deinit(&message);
	return 0;
}

static void judge_or_park(struct node *node, struct mono now, const struct node_id *from,
			  const struct node_gossip *gossip)
{
	int outcome = node_gossip_judge(node, now, gossip);

	if (outcome == NODE_TRUST_E_LEAF)
		node_park_gossip(node, now, from, gossip);
	else if (outcome)
		node_count(node, NODE_COUNT_SIGNATURE);
}

void node_gossip_arrived(struct node *node, struct mono now, const struct node_id *from,
			 const struct uid *id, struct bytes payload)
{
	struct node_gossip gossip = {.id = *id};
	struct packet packet;
	struct message message;

	if (packet_decode(payload, &packet) != 0) {
		node_count(node, NODE_COUNT_PACKETS_MALFORMED);
		return;
	}
	gossip.envelope = packet.body;
	if (packet.is_envelope) {
		judge_or_park(node, now, from, &gossip);
		return;
	}
	if (message_decode(packet.body, &message) != 0)
		return;
	if (message.type == MESSAGE_REFERRAL && message.referral.count == 0) {
		gossip.owner = message.referral.owner;
		gossip.share = message.referral.share;
		gossip.envelope = bytes_buf(&message.referral.tender);
		judge_or_park(node, now, from, &gossip);
	}
	message_deinit(&message);
}
