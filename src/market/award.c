/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An award arrives: accept it, once, or say why not.
 *
 * An award is accepted only for a bid this machine made, within the time it promised to hold, with
 * the digest its tender announced. The checks stand in the order of award_check(); every one of
 * them answers, so that the owner can go on at once. The answer to a repetition is the answer that
 * was given first.
 */
#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "base/mem.h"
#include "market/state.h"

static bool digest_matches(const struct digest *expected, struct bytes bytes)
{
	struct digest digest;

	crypto_hash_sha256(digest.byte, bytes.ptr, bytes.len);
	return digest_equal(&digest, expected);
}

static bool holds_slot(const struct hold *hold, uint32_t slot)
{
	for (size_t i = 0; i < hold->slot_count; i++)
		if (hold->slots[i] == slot)
			return true;
	return false;
}

/* The assignments must lie inside the bid: its slots, no more than its copies, each once. */
static bool assignments_fit(const struct market *market, const struct hold *hold,
			    const struct award *award)
{
	if (award->assignment_count == 0 || award->assignment_count > hold->bid.copies)
		return false;
	for (size_t i = 0; i < award->assignment_count; i++) {
		const struct assignment *assignment = &award->assignments[i];

		if (!holds_slot(hold, assignment->slot) ||
		    resident_find(market, &assignment->pod_uid))
			return false;
		for (size_t j = 0; j < i; j++)
			if (award->assignments[j].slot == assignment->slot ||
			    uid_equal(&award->assignments[j].pod_uid, &assignment->pod_uid))
				return false;
	}
	return true;
}

/* Still counting on this machine, or placing the slots elsewhere. */
static bool is_placing(const struct hold *hold)
{
	return hold->state == HOLD_HELD ||
	       (hold->state == HOLD_OVER && hold->answer == AWARD_REFUSED_NO_BID);
}

/* OUR rule: of several owners that announced one tender, the smallest id is to place it, unless it
 * let its bid lapse. All who saw both announcements decide alike, so the owners' awards do not
 * cross on different machines. */
static bool has_senior(const struct market *market, const struct hold *hold)
{
	map_for_each (entry, &market->holds) {
		const struct hold *other = entry->value;

		if (is_placing(other) && digest_equal(&other->tender_id, &hold->tender_id) &&
		    node_id_compare(&other->owner, &hold->owner) < 0)
			return true;
	}
	return false;
}

static enum award_answer award_check(const struct market *market, const struct hold *hold,
				     const struct award *award, const struct market_facts *facts)
{
	struct mono end = mono_add_ms(hold->bid_at, MARKET_HOLD_MS);

	if (map_get(&market->bound, bytes_of(hold->tender_id.byte, ID_LEN)) ||
	    has_senior(market, hold))
		return AWARD_REFUSED_NO_BID;
	if (mono_reached(market->now, end))
		return AWARD_REFUSED_LATE;
	if (!facts->steward)
		return AWARD_REFUSED_ROLE;
	if (facts->deleted)
		return AWARD_REFUSED_DELETED;
	/* Its owner has not heard of it yet: this machine was away. */
	if (facts->runs)
		return AWARD_REFUSED_NO_BID;
	if (!digest_matches(&hold->manifest_digest, bytes_buf(&award->manifest)) ||
	    !digest_matches(&hold->envelope_digest, bytes_buf(&award->tender_envelope)))
		return AWARD_REFUSED_DIGEST;
	if (!assignments_fit(market, hold, award))
		return AWARD_REFUSED_NO_BID;
	return AWARD_ACCEPTED;
}

static int outcome_of(enum award_answer answer)
{
	static const int outcomes[] = {
		[AWARD_ACCEPTED] = 0,
		[AWARD_REFUSED_NO_BID] = MARKET_E_NO_BID,
		[AWARD_REFUSED_LATE] = MARKET_E_LATE,
		[AWARD_REFUSED_FULL] = MARKET_E_FULL,
		[AWARD_REFUSED_DIGEST] = MARKET_E_DIGEST,
		[AWARD_REFUSED_ROLE] = MARKET_E_ROLE,
		[AWARD_REFUSED_POLICY] = MARKET_E_EXCLUDED,
		[AWARD_REFUSED_DELETED] = MARKET_E_DELETED,
	};

	assert((size_t)answer < ARRAY_LEN(outcomes));
	return outcomes[answer];
}

/* @room for the award: what is free, and if that is too little, what preemption frees. */
_must_use_ static bool take_room(struct market *market, struct hold *hold, struct amount need)
{
	if (ledger_take(&market->ledger, need))
		return true;
	if (hold->modest)
		return false;
	resident_preempt(market, hold, need);
	return ledger_take(&market->ledger, need);
}

static void bind_pods(struct market *market, struct hold *hold, const struct award *award)
{
	for (size_t i = 0; i < award->assignment_count; i++) {
		const struct assignment *assignment = &award->assignments[i];
		struct resident *resident =
			resident_new(market, &assignment->pod_uid, hold->namespace, &hold->needs);

		resident->object_uid = hold->object_uid;
		resident->amount = hold->need;
		resident->state = RESIDENT_WAITING;
		resident->hold = hold;
		resident->slot = assignment->slot;
		hold->pods++;
	}
}

static void accept(struct market *market, struct hold *hold, const struct award *award,
		   struct bytes envelope)
{
	struct message message = {.type = MESSAGE_AWARD, .award = *award};

	hold_move(market, hold, HOLD_AWARDED);
	map_put(&market->bound, bytes_of(hold->tender_id.byte, ID_LEN), hold);
	bind_pods(market, hold, award);
	hold->award = mem_new(struct message);
	message_copy(&message, hold->award);
	buf_append_bytes(&hold->award_envelope, envelope);
	hold_reply(market, hold, AWARD_ACCEPTED);
	market_due(market, mono_add_ms(hold->bid_at, MARKET_HOLD_MS + MARKET_CONFIRM_MS));
	resident_start(market, hold);
}

/* The award that is bound already, or another one under the same tender id? */
static bool is_repetition(const struct market *market, const struct hold *hold,
			  const struct award *award)
{
	const struct resident *resident;

	if (award->assignment_count == 0)
		return false;
	resident = resident_find(market, &award->assignments[0].pod_uid);
	return resident && resident->hold == hold;
}

static int repeat_answer(struct market *market, struct hold *hold, const struct award *award)
{
	if (hold->state == HOLD_OVER) {
		hold_reply(market, hold, hold->answer);
		return outcome_of(hold->answer);
	}
	if (!is_repetition(market, hold, award))
		return MARKET_E_NO_BID;
	hold_reply(market, hold, AWARD_ACCEPTED);
	return MARKET_E_DUPLICATE;
}

int award_receive(struct market *market, const struct node_id *from, const struct award *award,
		  const struct market_facts *facts)
{
	struct hold *hold = hold_find(market, &award->tender_id, from);
	enum award_answer answer;
	struct amount need;

	if (!node_id_equal(&award->winner, &market->config.self))
		return MARKET_E_NOT_OWNER;
	if (!hold) {
		winner_refuse(market, from, &facts->addr, &award->tender_id);
		return MARKET_E_NO_BID;
	}
	if (hold->state != HOLD_HELD)
		return repeat_answer(market, hold, award);
	answer = award_check(market, hold, award, facts);
	need = amount_times(hold->need, (uint32_t)award->assignment_count);
	/* Other pods may have come since the bid. */
	if (answer == AWARD_ACCEPTED &&
	    (!cohabit_has_room(market, hold->namespace, &hold->needs) ||
	     !cohabit_has_company(market, hold->namespace, &hold->needs) ||
	     !take_room(market, hold, need)))
		answer = AWARD_REFUSED_FULL;
	if (answer != AWARD_ACCEPTED) {
		hold_over(market, hold, answer);
		hold_reply(market, hold, answer);
		return outcome_of(answer);
	}
	accept(market, hold, award, facts->envelope);
	return 0;
}
