/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking: whom a tender of ours is shown to, and what becomes of the tenders of others that reach
 * us by way of third machines.
 *
 * A fabric that is whole and small is asked directly. In a larger one machines are drawn by
 * *referral*: about as many neighbours as each of them is to name, so that one message more per
 * sqrt(n) machines buys candidates from two hops, some 16,000 with pools of 128, without bias
 * towards our own pool. What is referred is not believed but for what it costs: who hands it on
 * looks at nothing but its rate, who is asked first sees whether it would bid at all, and dials the
 * owner to learn its certificate only then. So a tender that fits few machines costs few dials, and
 * one machine cannot make another dial faster than it spends its own tokens.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/mem.h"
#include "market/rare.h"
#include "overlay/kad.h"

enum {
	ASK_DIRECT_MAX = 32, /* members that are all asked, whatever is wanted: no sample is cheaper
			      * than the certainty that everybody has answered */
	ASK_HINTS_MAX = 8,   /* machines with room now that are remembered per workload */
	ASK_RTTS_MAX = 128,  /* of as many peers the round-trip time is looked at */
	ASK_RTT_PERCENT = 90,
	ASK_BIDDERS_MAX = 1024, /* of one broadcast: half of what a tender keeps bids of */
};

/* Machines handed on for one peer: tenders of 64 slots, ten a second, each to a third of it. */
static const struct node_rate hand_on_rate = {.per_minute = 60 * 256, .burst = 2048};
/* Tenders that one peer hands to us: our answer to each may cost a handshake. */
static const struct node_rate referred_rate = {.per_minute = 60 * 64, .burst = 512};

/* Tenders of its own, and bids, of one peer. A busy owner opens a thousand tenders at a time. */
static const struct node_rate speech_rate = {.per_minute = 60 * 1000, .burst = 4096};

bool node_may_speak(struct node *node, struct mono now, const struct node_id *from,
		    enum message_type type)
{
	if ((type != MESSAGE_TENDER && type != MESSAGE_BID) ||
	    node_id_equal(from, &node->config.self.id) ||
	    node_rate_take(&node->speakers, now, from, &speech_rate, 1))
		return true;
	node_count(node, NODE_COUNT_RATE);
	return false;
}

static int compare_rtts(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* Most peers are nearer than this: they are a random part of the fabric. */
static int64_t usual_rtt_us(const struct node *node)
{
	int64_t rtts[ASK_RTTS_MAX];
	struct overlay_peer peer;
	size_t count = 0, position = 0;

	while (count < ASK_RTTS_MAX && overlay_next_peer(node->overlay, &position, &peer))
		if (peer.rtt_us > 0)
			rtts[count++] = peer.rtt_us;
	if (count == 0)
		return 0;
	qsort(rtts, count, sizeof(rtts[0]), compare_rtts);
	return rtts[(count - 1) * ASK_RTT_PERCENT / 100];
}

static void send_tender(struct node *node, const struct contact *to, struct bytes envelope)
{
	node_send_packet(node, &(struct node_destination){to->id, to->addr}, MESSAGE_TENDER,
			 envelope);
}

static void ask_self(struct node *node, struct bytes envelope)
{
	struct contact self = {.id = node->config.self.id};

	send_tender(node, &self, envelope);
}

/* ---- our own tenders ---- */

static uint64_t fabric_size(const struct node *node)
{
	uint64_t size = overlay_size(node->overlay);

	return size > 0 ? size : 1;
}

/* Should we be among @wanted machines drawn from the whole fabric? */
static bool draws_self(struct node *node, size_t wanted)
{
	return prng_below(&node->prng, fabric_size(node)) < wanted;
}

static struct market_reach ask_everybody(struct node *node, struct bytes envelope)
{
	return (struct market_reach){
		.count = node_broadcast(node, MESSAGE_TENDER, envelope),
		.everyone = true,
	};
}

/* We know all members: @wanted of them at random. */
static struct market_reach ask_some(struct node *node, struct bytes envelope, size_t wanted)
{
	struct contact *members = mem_alloc(wanted, sizeof(*members));
	bool self = draws_self(node, wanted);
	size_t count = overlay_sample(node->overlay, NULL, 0, self ? wanted - 1 : wanted, members);

	for (size_t i = 0; i < count; i++)
		send_tender(node, &members[i], envelope);
	if (self)
		ask_self(node, envelope);
	free(members);
	return (struct market_reach){.count = count + self};
}

/* The least number whose square is not below @n. */
static size_t root_of(size_t n)
{
	size_t root = 0;

	while (root * root < n)
		root++;
	return root;
}

static void send_referral(struct node *node, const struct contact *to,
			  const struct referral *referral)
{
	struct message message = {.type = MESSAGE_REFERRAL, .referral = *referral}; /* borrowed */
	struct buf encoded = {0};

	message_encode(&message, &encoded);
	node_send_packet(node, &(struct node_destination){to->id, to->addr}, MESSAGE_REFERRAL,
			 bytes_buf(&encoded));
	buf_deinit(&encoded);
}

static struct market_reach ask_by_referral(struct node *node, struct bytes envelope, size_t wanted)
{
	struct contact relays[MESSAGE_REFERRAL_MAX];
	struct referral referral = {
		.owner = overlay_contact(node->overlay),
		.share = MESSAGE_SHARE_MAX,
	};
	size_t root = root_of(wanted);
	size_t count;

	if (!addr_can_be_dialled(&referral.owner.addr)) /* nobody could bid */
		return (struct market_reach){0};
	count = overlay_sample(node->overlay, NULL, 0,
			       root < MESSAGE_REFERRAL_MAX ? root : MESSAGE_REFERRAL_MAX, relays);
	if (count == 0)
		return (struct market_reach){0};
	referral.count = (uint32_t)((wanted + count - 1) / count);
	if (referral.count > MESSAGE_REFERRAL_MAX)
		referral.count = MESSAGE_REFERRAL_MAX;
	buf_append_bytes(&referral.tender, envelope);
	for (size_t i = 0; i < count; i++)
		send_referral(node, &relays[i], &referral);
	buf_deinit(&referral.tender);
	if (draws_self(node, wanted))
		ask_self(node, envelope);
	return (struct market_reach){
		.count = count * referral.count,
		/* So many that hardly anybody was left out. */
		.complete = wanted >= fabric_size(node),
	};
}

/* ---- machines that have room now ---- */

void node_hint(struct node *node, const struct market_effect *room)
{
	struct workload *workload = map_get(&node->workloads, uid_bytes(&room->object_uid));

	if (!workload || workload->hint_count == ASK_HINTS_MAX)
		return;
	if (!workload->hints)
		workload->hints = mem_alloc(ASK_HINTS_MAX, sizeof(*workload->hints));
	for (size_t i = 0; i < workload->hint_count; i++)
		if (node_id_equal(&workload->hints[i].id, &room->to))
			return;
	workload->hints[workload->hint_count++] =
		(struct contact){.id = room->to, .addr = room->addr};
}

/* Once: they may be full again the next time. */
static size_t ask_hinted(struct node *node, const struct market_effect *effect)
{
	struct workload *workload = map_get(&node->workloads, uid_bytes(&effect->object_uid));
	size_t count = workload ? workload->hint_count : 0;

	for (size_t i = 0; i < count; i++)
		send_tender(node, &workload->hints[i], effect->envelope);
	if (workload)
		workload->hint_count = 0;
	return count;
}

/* A small fabric has no second sample: all of it costs hardly more. Nor a first one of what few
 * machines have. */
static bool asks_everybody(const struct node *node, const struct market_effect *effect)
{
	const struct tender *tender = market_tender(node->market, &effect->tender_id);
	size_t members = overlay_alive_count(node->overlay);
	char *term;

	if (members <= ASK_DIRECT_MAX || members <= effect->wanted || effect->stage == MARKET_WIDE)
		return true;
	term = tender ? rare_term(&tender->needs) : NULL;
	free(term);
	return term != NULL;
}

static struct market_reach ask_sample(struct node *node, const struct market_effect *effect)
{
	if (overlay_is_large(node->overlay))
		return ask_by_referral(node, effect->envelope, effect->wanted);
	if (asks_everybody(node, effect))
		return ask_everybody(node, effect->envelope);
	return ask_some(node, effect->envelope, effect->wanted);
}

/* Everybody, as the last resort. @share: of a thousand so many are to bid. */
static struct market_reach ask_all(struct node *node, struct mono now,
				   const struct market_effect *effect, uint32_t share)
{
	struct referral referral = {.owner = overlay_contact(node->overlay), .share = share};

	if (!addr_can_be_dialled(&referral.owner.addr) || !node_gossip_may_ask(node, now))
		return (struct market_reach){0};
	buf_append_bytes(&referral.tender, effect->envelope);
	node_gossip_ask(node, now, &referral);
	buf_deinit(&referral.tender);
	if (share == MESSAGE_SHARE_MAX)
		ask_self(node, effect->envelope);
	return (struct market_reach){.count = fabric_size(node) * share / MESSAGE_SHARE_MAX + 1};
}

/*
 * For MARKET_BIDS_PER_SLOT bids, when so many machines of a sample did not fit that hardly one in
 * as many does. 0: even all who fit are few enough, and a second broadcast is saved.
 */
static uint32_t share_for(const struct node *node, size_t open)
{
	uint64_t sampled = (uint64_t)open * MARKET_WIDE_PER_SLOT;
	uint64_t size = fabric_size(node);

	if (size / sampled <= ASK_BIDDERS_MAX)
		return 0;
	return (uint32_t)(sampled * MARKET_BIDS_PER_SLOT * MESSAGE_SHARE_MAX / size + 1);
}

/* ---- provider sets ---- */

static struct node_lookup *lookup_of(struct node *node, uint64_t token)
{
	for (size_t i = 0; i < node->lookup_count; i++)
		if (node->lookups[i].token == token)
			return &node->lookups[i];
	return NULL;
}

/* Look up who has the rarest thing that the tender needs; node_found() goes on. */
static bool ask_providers(struct node *node, struct mono now, const struct market_effect *effect)
{
	const struct tender *tender = market_tender(node->market, &effect->tender_id);
	struct node_lookup lookup = {
		.tender_id = effect->tender_id,
		.wanted = effect->wanted,
	};
	char *term;
	bool asked;

	if (!tender || node->lookup_count == NODE_LOOKUPS_MAX || !overlay_is_large(node->overlay))
		return false;
	term = rare_term(&tender->needs);
	if (!term)
		return false;
	lookup.key = kad_key(term);
	free(term);
	asked = overlay_find(node->overlay, now, &lookup.key, true, &lookup.token) == 0;
	if (!asked)
		return false;
	if (!node->lookups)
		node->lookups = mem_alloc(NODE_LOOKUPS_MAX, sizeof(*node->lookups));
	buf_append_bytes(&lookup.envelope, effect->envelope);
	node->lookups[node->lookup_count++] = lookup;
	return true;
}

bool node_found(struct node *node, struct mono now, const struct overlay_effect *found)
{
	struct node_lookup *lookup = lookup_of(node, found->token), done;
	struct referral referral = {
		.owner = overlay_contact(node->overlay),
		.share = MESSAGE_SHARE_MAX,
	};
	struct market_reach reach = {.rtt_us = usual_rtt_us(node)};

	if (!lookup)
		return false;
	done = *lookup;
	*lookup = node->lookups[--node->lookup_count];
	referral.tender = done.envelope; /* borrowed */
	for (size_t i = 0; i < found->contact_count && reach.count < done.wanted; i++) {
		if (node_id_equal(&found->contacts[i].id, &node->config.self.id) ||
		    !addr_can_be_dialled(&referral.owner.addr))
			continue;
		send_referral(node, &found->contacts[i], &referral);
		reach.count++;
	}
	/* A set that was not cut off is all there is. */
	reach.complete = found->complete && found->contact_count < MESSAGE_CONTACTS_MAX &&
			 reach.count == found->contact_count;
	if (node_provides(node, &done.key)) {
		ask_self(node, bytes_buf(&done.envelope));
		reach.count++;
	}
	buf_deinit(&done.envelope);
	market_asked(node->market, now, &done.tender_id, MARKET_PROVIDERS, &reach);
	return true;
}

void node_lookups_deinit(struct node *node)
{
	for (size_t i = 0; i < node->lookup_count; i++)
		buf_deinit(&node->lookups[i].envelope);
	free(node->lookups);
}

void node_ask(struct node *node, struct mono now, const struct market_effect *effect)
{
	struct digest tender_id = effect->tender_id;
	enum market_stage stage = effect->stage;
	struct market_reach reach = {0};
	uint32_t share;

	switch (stage) {
	case MARKET_PROVIDERS:
		if (ask_providers(node, now, effect))
			return;
		break;
	case MARKET_SAMPLE:
	case MARKET_WIDE:
		reach = ask_sample(node, effect);
		reach.count += ask_hinted(node, effect);
		break;
	case MARKET_BROADCAST_SOME:
		share = share_for(node, effect->open);
		if (share > 0)
			reach = ask_all(node, now, effect, share);
		break;
	case MARKET_BROADCAST_ALL:
		reach = ask_all(node, now, effect, MESSAGE_SHARE_MAX);
		break;
	}
	reach.rtt_us = usual_rtt_us(node);
	market_asked(node->market, now, &tender_id, stage, &reach);
}

/* ---- tenders of others ---- */

static void hand_on(struct node *node, struct mono now, const struct node_id *from,
		    const struct referral *asked)
{
	struct contact members[MESSAGE_REFERRAL_MAX];
	struct node_id except[] = {*from, asked->owner.id};
	struct referral referral = *asked; /* borrowed */
	size_t count = asked->count < MESSAGE_REFERRAL_MAX ? asked->count : MESSAGE_REFERRAL_MAX;

	if (!node_rate_take(&node->hand_ons, now, from, &hand_on_rate, (int64_t)count)) {
		node_count(node, NODE_COUNT_RATE);
		return;
	}
	referral.count = 0;
	count = overlay_sample(node->overlay, except, ARRAY_LEN(except), count, members);
	for (size_t i = 0; i < count; i++)
		send_referral(node, &members[i], &referral);
}

/* Nobody may have verified it: good enough to be silent about it. */
static bool would_bid(struct node *node, struct mono now, struct bytes payload,
		      const struct contact *verified_owner)
{
	struct message message;
	bool would;

	if (message_decode(payload, &message) != 0)
		return false;
	would = message.type == MESSAGE_TENDER && market_would_bid(node->market, &message.tender);
	if (message.type == MESSAGE_TENDER && !would && verified_owner)
		market_missed(node->market, now, &verified_owner->id, &verified_owner->addr,
			      &message.tender);
	message_deinit(&message);
	return would;
}

/* NODE_TRUST_E_LEAF: to be tried again when its issuer's certificate is known. */
int node_referred(struct node *node, struct mono now, const struct contact *owner,
		  struct bytes envelope)
{
	const struct node_trust *trust = &node->config.trust;
	struct wall fabric = node_fabric_time(node, now);
	struct node_signed opened = {0};
	int outcome = node_open(node, now, envelope, &opened);

	if (outcome == NODE_TRUST_E_LEAF)
		node->missing_leaf = opened.leaf;
	if (outcome != 0 && outcome != NODE_TRUST_E_LEAF) {
		/* Not the fault of who handed it on: it cannot tell. */
		node_count(node, NODE_COUNT_SIGNATURE);
		return outcome;
	}
	if (outcome == 0 && !node_id_equal(&opened.issuer, &owner->id)) {
		node_count(node, NODE_COUNT_NOT_OWNER);
		return 0;
	}
	if (!would_bid(node, now, opened.payload, outcome == 0 ? owner : NULL))
		return 0;
	if (outcome == NODE_TRUST_E_LEAF)
		return outcome;
	/* Two neighbours of the owner may both draw us. */
	if (trust->ops->fresh(trust->self, fabric, &opened) != 0)
		return 0;
	node_deliver_referred(node, now, &opened, envelope, &owner->addr);
	return 0;
}

static void answer(struct node *node, struct mono now, const struct node_id *from,
		   const struct referral *referral)
{
	struct bytes envelope = bytes_buf(&referral->tender);

	if (!node_rate_take(&node->referred, now, from, &referred_rate, 1)) {
		node_count(node, NODE_COUNT_RATE);
		return;
	}
	if (node_referred(node, now, &referral->owner, envelope) == NODE_TRUST_E_LEAF)
		node_park_referred(node, now, from, envelope, &referral->owner);
}

void node_referral(struct node *node, struct mono now, const struct node_id *from,
		   const struct referral *referral)
{
	if (node_id_equal(&referral->owner.id, &node->config.self.id))
		return;
	if (referral->count > 0)
		hand_on(node, now, from, referral);
	else
		answer(node, now, from, referral);
}
