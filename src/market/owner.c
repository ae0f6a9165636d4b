/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's side: the life of a round, from the open tender to its end.
 *
 * A round is told to its caller as over (MARKET_CLOSED) when every slot has an accepted award or is
 * given up: then the controller can act on what is left. Inside it lives on until all pods have
 * reported, and MARKET_MEMORY_MS after its last bid, so that late replies are still answered.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "market/score.h"
#include "market/state.h"

static const uint32_t round_allowed[] = {
	[ROUND_COLLECTING] = LIFECYCLE(ROUND_AWARDING) | LIFECYCLE(ROUND_CLOSED),
	[ROUND_AWARDING] = LIFECYCLE(ROUND_DEPLOYING) | LIFECYCLE(ROUND_CLOSED),
	[ROUND_DEPLOYING] = LIFECYCLE(ROUND_CLOSED),
	[ROUND_CLOSED] = 0,
};

static const uint32_t offer_allowed[] = {
	[OFFER_STANDING] = LIFECYCLE(OFFER_AWARDED) | LIFECYCLE(OFFER_OVER),
	[OFFER_AWARDED] = LIFECYCLE(OFFER_ACCEPTED) | LIFECYCLE(OFFER_OVER),
	[OFFER_ACCEPTED] = LIFECYCLE(OFFER_OVER),
	[OFFER_OVER] = 0,
};

static const uint32_t place_allowed[] = {
	[PLACE_OPEN] = LIFECYCLE(PLACE_AWARDED) | LIFECYCLE(PLACE_LOST),
	[PLACE_AWARDED] = LIFECYCLE(PLACE_ACCEPTED) | LIFECYCLE(PLACE_OPEN) | LIFECYCLE(PLACE_LOST),
	[PLACE_ACCEPTED] =
		LIFECYCLE(PLACE_DEPLOYED) | LIFECYCLE(PLACE_OPEN) | LIFECYCLE(PLACE_LOST),
	[PLACE_DEPLOYED] = LIFECYCLE(PLACE_OPEN) | LIFECYCLE(PLACE_LOST),
	[PLACE_LOST] = 0,
};

void offer_move(struct offer *offer, enum offer_state to)
{
	offer->state = lifecycle_move(offer_allowed, offer->state, to);
	assert(to != OFFER_AWARDED || offer->pod_count > 0);
}

void place_move(struct place *place, enum place_state to)
{
	place->state = lifecycle_move(place_allowed, place->state, to);
	assert(to != PLACE_AWARDED || !uid_is_none(&place->pod_uid));
}

static bool has_place(const struct round *round, enum place_state state)
{
	for (size_t i = 0; i < round->tender.slot_count; i++)
		if (round->places[i].state == state)
			return true;
	return false;
}

static bool has_offer(const struct round *round, enum offer_state state)
{
	for (size_t i = 0; i < round->offer_count; i++)
		if (round->offers[i].state == state)
			return true;
	return false;
}

void round_move(struct round *round, enum round_state to)
{
	round->state = lifecycle_move(round_allowed, round->state, to);
	if (to != ROUND_DEPLOYING && to != ROUND_CLOSED)
		return;
	assert(!has_place(round, PLACE_OPEN) && !has_place(round, PLACE_AWARDED));
	assert(!has_offer(round, OFFER_STANDING) && !has_offer(round, OFFER_AWARDED));
	assert(to != ROUND_CLOSED || round->trace == NULL);
}

struct round *round_find(const struct market *market, const struct digest *tender_id)
{
	return map_get(&market->rounds, bytes_of(tender_id->byte, ID_LEN));
}

const struct tender *market_tender(const struct market *market, const struct digest *tender_id)
{
	const struct round *round = round_find(market, tender_id);

	return round && round->state == ROUND_COLLECTING ? &round->tender : NULL;
}

const struct object_ref *market_object(const struct market *market, const struct digest *tender_id)
{
	const struct round *round = round_find(market, tender_id);

	return round ? &round->tender.object : NULL;
}

struct offer *round_offer(const struct round *round, const struct node_id *node)
{
	for (size_t i = 0; i < round->offer_count; i++)
		if (node_id_equal(&round->offers[i].node, node))
			return &round->offers[i];
	return NULL;
}

void round_trace(struct market *market, struct round *round, const struct trace_step *step)
{
	struct trace_step stamped = *step;

	if (!round->trace)
		return;
	stamped.at = market->now;
	trace_add(round->trace, &stamped);
}

void round_release(struct market *market, struct round *round, struct offer *offer)
{
	struct message message = {.type = MESSAGE_RELEASE, .release.tender_id = round->tender.id};

	offer_move(offer, OFFER_OVER);
	/* A machine that declined holds nothing. */
	if (offer->bid.copies > 0)
		effects_send(&market->effects, &offer->node, &offer->addr, &message);
}

static void round_free(struct market *market, struct round *round)
{
	map_remove(&market->rounds, bytes_of(round->tender.id.byte, ID_LEN));
	for (size_t i = 0; i < round->offer_count; i++)
		free(round->offers[i].pods);
	for (size_t i = 0; i < round->tender.slot_count; i++)
		free(round->places[i].pod_name);
	free(round->offers);
	free(round->places);
	free(round->domains);
	buf_deinit(&round->envelope);
	buf_deinit(&round->manifest);
	free(round->pod_name_base);
	free(round->pod_name);
	tender_deinit(&round->tender);
	free(round);
}

void owner_deinit(struct market *market)
{
	map_for_each (entry, &market->rounds)
		round_free(market, entry->value);
}

/* ---- opening ---- */

static struct round *round_new(struct market *market, const struct market_request *request)
{
	struct round *round = mem_new(struct round);
	const struct tender *tender = request->tender;

	tender_copy(tender, &round->tender);
	buf_append_bytes(&round->envelope, request->tender_envelope);
	buf_append_bytes(&round->manifest, request->manifest);
	round->pod_name_base = mem_copy(request->pod_name_base,
					strnlen(request->pod_name_base, MARKET_POD_NAME_BASE_MAX));
	round->pod_name = mem_strdup(request->pod_name);
	round->epoch = request->epoch;
	round->together = request->together;
	round->domains = mem_alloc(request->domain_count, sizeof(*round->domains));
	round->domain_count = request->domain_count;
	for (size_t i = 0; i < request->domain_count; i++)
		round->domains[i] = request->domains[i];
	round->opened_at = market->now;
	round->places = mem_alloc(tender->slot_count, sizeof(*round->places));
	for (size_t i = 0; i < tender->slot_count; i++)
		round->places[i].slot = tender->slots[i];
	round->trace = traces_open(&market->traces, tender);
	map_put(&market->rounds, bytes_of(tender->id.byte, ID_LEN), round);
	market->rounds_open++;
	return round;
}

int market_open(struct market *market, struct mono now, const struct market_request *request)
{
	struct round *round;

	assert(now.us >= market->now.us);
	assert(request->tender->slot_count > 0);
	market->now = now;
	if (round_find(market, &request->tender->id))
		return MARKET_E_DUPLICATE;
	if (market->rounds.count >= MARKET_TENDERS_MAX)
		return MARKET_E_FULL;
	round = round_new(market, request);
	stage_begin(market, round, MARKET_PROVIDERS);
	return 0;
}

/* ---- bids ---- */

static struct offer *offer_add(struct market *market, struct round *round,
			       const struct node_id *node, const struct bid *bid,
			       const struct market_facts *facts)
{
	size_t slots = round->tender.slot_count;
	struct offer *offer;

	if ((round->offer_count & (round->offer_count - 1)) == 0)
		round->offers =
			mem_resize(round->offers, round->offer_count ? 2 * round->offer_count : 1,
				   sizeof(*round->offers));
	offer = &round->offers[round->offer_count++];
	*offer = (struct offer){
		.node = *node,
		.bid = *bid,
		.addr = facts->addr,
		.at = market->now,
		.rtt_us = facts->rtt_us,
		.score = score_bid(bid, round->tender.image_count, facts->rtt_us),
	};
	if (bid->copies > slots)
		offer->bid.copies = (uint32_t)slots;
	return offer;
}

static void release_bidder(struct market *market, const struct node_id *to, const struct addr *addr,
			   const struct bid *bid)
{
	struct message message = {.type = MESSAGE_RELEASE, .release.tender_id = bid->tender_id};

	if (bid->copies > 0)
		effects_send(&market->effects, to, addr, &message);
}

static bool is_excluded(const struct round *round, const struct node_id *node)
{
	for (size_t i = 0; i < round->tender.excluded_count; i++)
		if (node_id_equal(&round->tender.excluded[i], node))
			return true;
	return false;
}

/* A bid that cannot count any more is released, so that its machine has the room back at once. */
static int refuse_bid(struct market *market, const struct node_id *from, const struct bid *bid,
		      const struct market_facts *facts, int outcome)
{
	release_bidder(market, from, &facts->addr, bid);
	return outcome;
}

int owner_bid(struct market *market, const struct node_id *from, const struct bid *bid,
	      const struct market_facts *facts)
{
	struct round *round = round_find(market, &bid->tender_id);
	struct offer *offer;

	if (!round)
		return MARKET_E_UNKNOWN;
	if (round_offer(round, from))
		return MARKET_E_DUPLICATE;
	if (round->state != ROUND_COLLECTING)
		return refuse_bid(market, from, bid, facts, MARKET_E_LATE);
	if (bid->copies > 0 && is_excluded(round, from))
		return refuse_bid(market, from, bid, facts, MARKET_E_EXCLUDED);
	if (round->offer_count == MARKET_OFFERS_MAX)
		return refuse_bid(market, from, bid, facts, MARKET_E_FULL);
	offer = offer_add(market, round, from, bid, facts);
	round_trace(market, round,
		    &(struct trace_step){.stage = TRACE_BID, .node = *from, .count = bid->copies});
	stage_count(market, round, offer);
	return 0;
}

/* ---- the end ---- */

static void round_close(struct market *market, struct round *round)
{
	struct mono last = round->opened_at;

	traces_close(&market->traces, round->trace, market->now);
	round->trace = NULL;
	round_move(round, ROUND_CLOSED);
	assert(market->rounds_open > 0);
	market->rounds_open--;
	for (size_t i = 0; i < round->offer_count; i++)
		if (round->offers[i].at.us > last.us)
			last = round->offers[i].at;
	round->forget_at = mono_add_ms(last, MARKET_MEMORY_MS);
	if (round->forget_at.us < market->now.us)
		round->forget_at = market->now;
	market_due(market, round->forget_at);
}

/* Tell the caller which slots stay empty. */
static void tell_closed(struct market *market, struct round *round)
{
	struct effect_item *item = effects_add(&market->effects, MARKET_CLOSED);
	uint32_t unplaced[MESSAGE_SLOTS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < round->tender.slot_count; i++)
		if (round->places[i].state == PLACE_LOST)
			unplaced[count++] = round->places[i].slot;
	item->effect.tender_id = round->tender.id;
	item->effect.object_uid = round->tender.object.uid;
	item->effect.generation = round->tender.generation;
	effect_set_slots(item, unplaced, count);
}

/* Move on when nothing is open any more. */
void round_settle(struct market *market, struct round *round)
{
	if (round->state == ROUND_AWARDING && !has_place(round, PLACE_OPEN) &&
	    !has_place(round, PLACE_AWARDED) && !has_offer(round, OFFER_AWARDED)) {
		for (size_t i = 0; i < round->offer_count; i++)
			if (round->offers[i].state == OFFER_STANDING)
				round_release(market, round, &round->offers[i]);
		tell_closed(market, round);
		round_move(round, ROUND_DEPLOYING);
		/* Nothing is awarded any more. */
		buf_deinit(&round->envelope);
		buf_deinit(&round->manifest);
		market_due(market, round->deploy_by);
	}
	if (round->state == ROUND_DEPLOYING && !has_place(round, PLACE_ACCEPTED))
		round_close(market, round);
}

void round_abandon(struct market *market, struct round *round)
{
	if (round->state == ROUND_COLLECTING)
		round_move(round, ROUND_AWARDING);
	if (round->state != ROUND_AWARDING)
		return;
	round->deploy_by = market->now;
	for (size_t i = 0; i < round->offer_count; i++) {
		if (round->offers[i].state == OFFER_STANDING)
			round_release(market, round, &round->offers[i]);
		else if (round->offers[i].state == OFFER_AWARDED)
			reply_cancel(market, round, &round->offers[i]);
	}
	for (size_t i = 0; i < round->tender.slot_count; i++)
		if (round->places[i].state == PLACE_OPEN || round->places[i].state == PLACE_AWARDED)
			place_move(&round->places[i], PLACE_LOST);
	round_settle(market, round);
}

void market_abandon(struct market *market, struct mono now, const struct uid *object_uid)
{
	assert(now.us >= market->now.us);
	market->now = now;
	map_for_each (entry, &market->rounds) {
		struct round *round = entry->value;

		if (uid_equal(&round->tender.object.uid, object_uid))
			round_abandon(market, round);
	}
}

/* ---- a lost machine ---- */

static void lose_offer(struct market *market, struct round *round, struct offer *offer)
{
	if (offer->state == OFFER_STANDING)
		offer_move(offer, OFFER_OVER);
	if (offer->state != OFFER_ACCEPTED)
		return;
	offer_move(offer, OFFER_OVER);
	for (size_t i = 0; i < round->tender.slot_count; i++) {
		struct place *place = &round->places[i];

		if (place->state == PLACE_ACCEPTED && node_id_equal(&place->node, &offer->node))
			reply_lost(market, round, place, "its machine was lost");
	}
}

void owner_peer_lost(struct market *market, const struct node_id *node)
{
	map_for_each (entry, &market->rounds) {
		struct round *round = entry->value;
		struct offer *offer = round_offer(round, node);

		if (offer) {
			lose_offer(market, round, offer);
			round_settle(market, round);
		} else if (round->state == ROUND_COLLECTING && round->reach.count > 1) {
			round->reach.count--;
			stage_consider(market, round);
		}
	}
}

/* ---- time ---- */

static void tick_awarding(struct market *market, struct round *round)
{
	for (size_t i = 0; i < round->offer_count; i++) {
		struct offer *offer = &round->offers[i];
		struct mono silent = mono_add_ms(offer->at, MARKET_HOLD_MS + MARKET_REASSIGN_MS);
		struct mono hold_end = mono_add_ms(offer->at, MARKET_HOLD_MS);

		if (offer->state != OFFER_AWARDED)
			continue;
		if (mono_reached(market->now, silent)) {
			reply_silent(market, round, offer);
			continue;
		}
		/* An award past its hold would be refused: it is no longer repeated. */
		if (mono_reached(market->now, offer->resend_at) &&
		    !mono_reached(market->now, hold_end))
			placing_send_award(market, round, offer);
		market_due(market, mono_reached(market->now, offer->resend_at)
					   ? silent
					   : mono_min(offer->resend_at, silent));
	}
	round_settle(market, round);
}

/* The owner forgets a tender after all events, or at the deploy timeout. */
static void tick_deploying(struct market *market, struct round *round)
{
	if (mono_reached(market->now, round->deploy_by))
		round_close(market, round);
	else
		market_due(market, round->deploy_by);
}

void owner_tick(struct market *market)
{
	map_for_each (entry, &market->rounds) {
		struct round *round = entry->value;

		if (round->state == ROUND_COLLECTING)
			stage_consider(market, round);
		if (round->state == ROUND_COLLECTING || round->state == ROUND_AWARDING)
			tick_awarding(market, round);
		if (round->state == ROUND_DEPLOYING)
			tick_deploying(market, round);
		if (round->state != ROUND_CLOSED)
			continue;
		if (mono_reached(market->now, round->forget_at))
			round_free(market, round);
		else
			market_due(market, round->forget_at);
	}
}
