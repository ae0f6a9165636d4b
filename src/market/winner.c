/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The winner's side up to the award, and its end: bids and their weak holds, confirmation, release,
 * cancellation.
 *
 * A hold is one bid of ours to one owner. Two owners may announce the same tender id (they saw the
 * same gap): each gets a bid, only one gets the machine, and the other is refused with NO_BID,
 * which tells its owner that somebody else is placing these slots. A tender that comes when the
 * machine is bound already is answered so at once. A hold that is over is remembered for
 * MARKET_MEMORY_MS after its bid, so that every repetition gets the same answer.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/mem.h"
#include "market/state.h"

enum {
	HOLD_KEY_LEN = 2 * ID_LEN,
};

struct hold_key {
	uint8_t byte[HOLD_KEY_LEN];
};

static const uint32_t hold_allowed[] = {
	[HOLD_HELD] = LIFECYCLE(HOLD_AWARDED) | LIFECYCLE(HOLD_OVER),
	[HOLD_AWARDED] = LIFECYCLE(HOLD_RUNNING) | LIFECYCLE(HOLD_OVER),
	[HOLD_RUNNING] = LIFECYCLE(HOLD_OVER),
	[HOLD_OVER] = 0,
};

static struct hold_key hold_key(const struct digest *tender_id, const struct node_id *owner)
{
	struct hold_key key;

	memcpy(key.byte, tender_id->byte, ID_LEN);
	memcpy(key.byte + ID_LEN, owner->byte, ID_LEN);
	return key;
}

struct hold *hold_find(const struct market *market, const struct digest *tender_id,
		       const struct node_id *owner)
{
	struct hold_key key = hold_key(tender_id, owner);

	return map_get(&market->holds, bytes_of(key.byte, sizeof(key.byte)));
}

/* ---- quotas ---- */

static struct bytes node_bytes(const struct node_id *node)
{
	return bytes_of(node->byte, sizeof(node->byte));
}

_must_use_ static bool quota_charge(struct market *market, const struct node_id *owner)
{
	struct quota *quota = map_get(&market->quotas, node_bytes(owner));

	if (market->holds.count >= MARKET_HOLDS_MAX)
		return false;
	if (!quota) {
		quota = mem_new(struct quota);
		quota->owner = *owner;
		map_put(&market->quotas, node_bytes(owner), quota);
	}
	if (quota->holds >= MARKET_HOLDS_PER_OWNER_MAX)
		return false;
	quota->holds++;
	return true;
}

static void quota_discharge(struct market *market, const struct node_id *owner)
{
	struct quota *quota = map_get(&market->quotas, node_bytes(owner));

	assert(quota && quota->holds > 0);
	if (--quota->holds > 0)
		return;
	map_remove(&market->quotas, node_bytes(owner));
	free(quota);
}

/* ---- the life of a hold ---- */

static void hold_check(const struct hold *hold)
{
	assert(hold->state != HOLD_HELD || (hold->pods == 0 && hold->victims == 0));
	assert(!hold->award || hold->state == HOLD_AWARDED || hold->state == HOLD_RUNNING);
}

void hold_move(struct market *market, struct hold *hold, enum hold_state to)
{
	enum hold_state from = hold->state;

	hold->state = lifecycle_move(hold_allowed, from, to);
	if (from == HOLD_HELD) {
		ledger_unhold(&market->ledger, hold->need);
		assert(market->holds_held > 0);
		market->holds_held--;
	}
	hold_check(hold);
}

void hold_drop_award(struct hold *hold)
{
	if (hold->award)
		message_deinit(hold->award);
	free(hold->award);
	hold->award = NULL;
	buf_deinit(&hold->award_envelope);
}

void hold_over(struct market *market, struct hold *hold, enum award_answer answer)
{
	struct mono memory = mono_add_ms(hold->bid_at, MARKET_MEMORY_MS);

	hold_drop_award(hold);
	hold_move(market, hold, HOLD_OVER);
	hold->answer = answer;
	hold->forget_at = memory.us > market->now.us ? memory : market->now;
	market_due(market, hold->forget_at);
}

static void hold_free(struct market *market, struct hold *hold)
{
	struct hold_key key = hold_key(&hold->tender_id, &hold->owner);
	struct bytes id = bytes_of(hold->tender_id.byte, ID_LEN);

	map_remove(&market->holds, bytes_of(key.byte, sizeof(key.byte)));
	if (map_get(&market->bound, id) == hold)
		map_remove(&market->bound, id);
	quota_discharge(market, &hold->owner);
	hold_drop_award(hold);
	requirements_deinit(&hold->needs);
	free(hold->namespace);
	free(hold->slots);
	free(hold);
}

/* How many replicas of the workload are bound here; those that are leaving do not count. */
uint32_t market_resident(const struct market *market, const struct uid *object_uid)
{
	uint32_t count = 0;

	map_for_each (entry, &market->residents) {
		const struct resident *resident = entry->value;

		if (resident->state != RESIDENT_STOPPING &&
		    uid_equal(&resident->object_uid, object_uid))
			count++;
	}
	return count;
}

static void send_bid(struct market *market, const struct node_id *owner, const struct addr *addr,
		     const struct bid *bid)
{
	struct message message = {.type = MESSAGE_BID, .bid = *bid};

	effects_send(&market->effects, owner, addr, &message);
}

/* Zero copies: the owner need not wait for this machine. A referral is declined by silence. */
static void decline(struct market *market, const struct node_id *owner, const struct tender *tender,
		    const struct market_facts *facts)
{
	struct bid bid = {.tender_id = tender->id};

	if (!facts->referred)
		send_bid(market, owner, &facts->addr, &bid);
}

/* Room for a copy: what is free, and if that is too little, what preemption would free. */
static struct amount winner_room(const struct market *market, const struct tender *tender,
				 struct amount need)
{
	struct amount room = ledger_free(&market->ledger), more;

	if (tender->modest || ledger_copies(room, need, 1) > 0)
		return room;
	more = resident_preemptible(market, tender->priority);
	return amount_add(room, more);
}

/* What this machine offers, or zero copies. Room that only preemption can make counts as room for
 * one copy, and as the worst fit. */
static struct bid compose_bid(struct market *market, const struct tender *tender,
			      struct amount *ret_room)
{
	struct amount need = ledger_amount(&market->ledger, &tender->needs);
	struct amount room = ledger_free(&market->ledger);
	bool allowed = cohabit_has_room(market, tender->object.namespace, &tender->needs);
	uint32_t copies =
		allowed ? cohabit_copies(&tender->needs, (uint32_t)tender->slot_count) : 0;
	struct bid bid = {
		.tender_id = tender->id,
		.copies = ledger_copies(room, need, copies),
		.resident = market_resident(market, &tender->object.uid),
		.hold_ms = MARKET_HOLD_MS,
		.fit = ledger_fit(&market->ledger, need),
		.images = eligible_images(market, tender),
		.reliability = market->machine.about.reliability,
		.penalty = eligible_penalty(market, tender),
	};

	if (bid.copies == 0 && allowed) {
		room = winner_room(market, tender, need);
		bid.copies = ledger_copies(room, need, 1);
		bid.fit = 0;
	}
	market_zones(market, &tender->needs, bid.zones);
	*ret_room = room;
	return bid;
}

bool market_would_bid(const struct market *market, const struct tender *tender)
{
	struct amount need = ledger_amount(&market->ledger, &tender->needs);

	return tender->slot_count > 0 && eligible(market, tender) &&
	       cohabit_has_room(market, tender->object.namespace, &tender->needs) &&
	       ledger_copies(winner_room(market, tender, need), need, 1) > 0;
}

static struct hold *hold_new(struct market *market, const struct node_id *owner,
			     const struct tender *tender, struct bytes envelope)
{
	struct hold_key key = hold_key(&tender->id, owner);
	struct hold *hold = mem_new(struct hold);

	*hold = (struct hold){
		.tender_id = tender->id,
		.owner = *owner,
		.object_uid = tender->object.uid,
		.bid_at = market->now,
		.slots = mem_alloc(tender->slot_count, sizeof(*hold->slots)),
		.slot_count = tender->slot_count,
		.namespace = mem_strdup(tender->object.namespace ? tender->object.namespace : ""),
		.need = ledger_amount(&market->ledger, &tender->needs),
		.priority = tender->priority,
		.preemptible = tender->preemptible,
		.modest = tender->modest,
		.manifest_digest = tender->manifest_digest,
	};
	requirements_copy(&tender->needs, &hold->needs);
	memcpy(hold->slots, tender->slots, tender->slot_count * sizeof(*hold->slots));
	crypto_hash_sha256(hold->envelope_digest.byte, envelope.ptr, envelope.len);
	map_put(&market->holds, bytes_of(key.byte, sizeof(key.byte)), hold);
	market->holds_held++;
	market_due(market, mono_add_ms(market->now, MARKET_HOLD_MS));
	return hold;
}

/* The same tender again: the bid may have been lost. The hold is not prolonged by it. */
static int repeat_bid(struct market *market, const struct hold *hold)
{
	if (hold->state == HOLD_HELD)
		send_bid(market, &hold->owner, &hold->owner_addr, &hold->bid);
	return MARKET_E_DUPLICATE;
}

void winner_refuse(struct market *market, const struct node_id *owner, const struct addr *addr,
		   const struct digest *tender_id)
{
	struct message message = {
		.type = MESSAGE_AWARD_REPLY,
		.award_reply = {.tender_id = *tender_id, .answer = AWARD_REFUSED_NO_BID},
	};

	message.award_reply.text = mem_strdup("");
	effects_send(&market->effects, owner, addr, &message);
}

int winner_tender(struct market *market, const struct node_id *from, const struct tender *tender,
		  const struct market_facts *facts)
{
	struct hold *hold = hold_find(market, &tender->id, from);
	struct amount room, need = ledger_amount(&market->ledger, &tender->needs);
	struct bid bid;

	if (hold)
		return repeat_bid(market, hold);
	if (!facts->steward)
		return MARKET_E_ROLE;
	if (facts->deleted)
		return MARKET_E_DELETED;
	if (map_get(&market->bound, bytes_of(tender->id.byte, ID_LEN))) {
		winner_refuse(market, from, &facts->addr, &tender->id);
		return MARKET_E_DUPLICATE;
	}
	if (!eligible(market, tender)) {
		decline(market, from, tender, facts);
		return MARKET_E_EXCLUDED;
	}
	bid = compose_bid(market, tender, &room);
	if (bid.copies == 0)
		market_missed(market, market->now, from, &facts->addr, tender);
	if (bid.copies == 0 || !ledger_hold(&market->ledger, room, need)) {
		decline(market, from, tender, facts);
		return MARKET_E_EXCLUDED;
	}
	if (!quota_charge(market, from)) {
		ledger_unhold(&market->ledger, need);
		decline(market, from, tender, facts);
		return MARKET_E_FULL;
	}
	hold = hold_new(market, from, tender, facts->envelope);
	hold->bid = bid;
	hold->owner_addr = facts->addr;
	send_bid(market, from, &facts->addr, &bid);
	return 0;
}

void hold_reply(struct market *market, struct hold *hold, enum award_answer answer)
{
	struct message message = {
		.type = MESSAGE_AWARD_REPLY,
		.award_reply = {.tender_id = hold->tender_id, .answer = answer},
	};

	message.award_reply.text = mem_strdup("");
	effects_send(&market->effects, &hold->owner, &hold->owner_addr, &message);
	if (hold->state != HOLD_AWARDED)
		return;
	hold->resend_at = mono_add_ms(market->now, MARKET_RESEND_MS);
	market_due(market, hold->resend_at);
}

int winner_confirm(struct market *market, const struct node_id *from,
		   const struct digest *tender_id)
{
	struct hold *hold = hold_find(market, tender_id, from);

	if (!hold)
		return MARKET_E_UNKNOWN;
	if (hold->state == HOLD_RUNNING)
		return MARKET_E_DUPLICATE;
	if (hold->state == HOLD_AWARDED) {
		hold_move(market, hold, HOLD_RUNNING);
		return 0;
	}
	/* The owner counts on an award that this machine has given up: correct it. */
	if (hold->state == HOLD_OVER)
		hold_reply(market, hold, hold->answer);
	return MARKET_E_LATE;
}

int winner_release(struct market *market, const struct node_id *from,
		   const struct digest *tender_id)
{
	struct hold *hold = hold_find(market, tender_id, from);

	if (!hold)
		return MARKET_E_UNKNOWN;
	if (hold->state == HOLD_OVER)
		return MARKET_E_DUPLICATE;
	/* An owner does not release what it awarded: this one was overtaken. */
	if (hold->state != HOLD_HELD)
		return MARKET_E_LATE;
	hold_over(market, hold, AWARD_REFUSED_NO_BID);
	return 0;
}

static void stop_pods(struct market *market, const struct hold *hold, enum event_kind end_event,
		      const char *text)
{
	map_for_each (entry, &market->residents) {
		struct resident *resident = entry->value;

		if (resident->hold == hold)
			resident_stop(market, resident, end_event, text);
	}
}

static bool names_pod(const struct cancel *cancel, const struct uid *pod_uid)
{
	for (size_t i = 0; i < cancel->pod_count; i++)
		if (uid_equal(&cancel->pods[i], pod_uid))
			return true;
	return false;
}

static void stop_named_pods(struct market *market, const struct hold *hold,
			    const struct cancel *cancel)
{
	map_for_each (entry, &market->residents) {
		struct resident *resident = entry->value;

		if (resident->hold == hold && names_pod(cancel, &resident->pod_uid))
			resident_stop(market, resident, EVENT_CANCELLED, "cancelled by its owner");
	}
}

int winner_cancel(struct market *market, const struct node_id *from, const struct cancel *cancel)
{
	struct hold *hold = hold_find(market, &cancel->tender_id, from);

	if (!hold)
		return MARKET_E_UNKNOWN;
	if (hold->state == HOLD_OVER)
		return MARKET_E_DUPLICATE;
	/* It overtook its award, which will be refused. */
	if (hold->state == HOLD_HELD) {
		hold_over(market, hold, AWARD_REFUSED_LATE);
		return 0;
	}
	stop_named_pods(market, hold, cancel);
	return 0;
}

/* ---- time ---- */

static void tick_awarded(struct market *market, struct hold *hold)
{
	struct mono end = mono_add_ms(hold->bid_at, MARKET_HOLD_MS + MARKET_CONFIRM_MS);

	/* A winner stops if its acknowledgement is not confirmed within the hold and 1 s more. */
	if (mono_reached(market->now, end)) {
		stop_pods(market, hold, EVENT_FAILED, "the award was not confirmed in time");
		/* With its last pod gone without a trace the hold is over already. */
		if (hold->state == HOLD_AWARDED)
			hold_over(market, hold, AWARD_REFUSED_LATE);
		return;
	}
	if (mono_reached(market->now, hold->resend_at))
		hold_reply(market, hold, AWARD_ACCEPTED);
	market_due(market, mono_min(end, hold->resend_at));
}

static void tick_hold(struct market *market, struct hold *hold)
{
	struct mono end = mono_add_ms(hold->bid_at, MARKET_HOLD_MS);

	switch (hold->state) {
	case HOLD_HELD:
		if (mono_reached(market->now, end))
			hold_over(market, hold, AWARD_REFUSED_LATE);
		else
			market_due(market, end);
		break;
	case HOLD_AWARDED:
		tick_awarded(market, hold);
		break;
	case HOLD_RUNNING:
		break;
	case HOLD_OVER:
		if (hold->pods > 0 || hold->victims > 0)
			break; /* looked at again when they have ended */
		if (mono_reached(market->now, hold->forget_at))
			hold_free(market, hold);
		else
			market_due(market, hold->forget_at);
		break;
	}
}

void winner_tick(struct market *market)
{
	map_for_each (entry, &market->holds)
		tick_hold(market, entry->value);
}

void winner_deinit(struct market *market)
{
	map_for_each (entry, &market->holds)
		hold_free(market, entry->value);
}
