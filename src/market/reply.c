/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes back to the owner: answers to awards, events of pods, and silence.
 *
 * A slot goes to someone else only when its winner cannot hold it: it refused, its pod failed, or
 * it has been silent for so long that it must have stopped by its own clock. OUR rule for NO_BID:
 * the winner knows the tender from another owner, or has restarted; in both cases the truth will be
 * in the presence records, so the slot is left to the controller instead of being awarded again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "market/state.h"

/* ---- giving a slot up ---- */

static void tell_failed(struct market *market, const struct round *round, const struct place *place,
			const char *text)
{
	struct effect_item *item = effects_add(&market->effects, MARKET_FAILED);

	item->effect.tender_id = round->tender.id;
	item->effect.object_uid = round->tender.object.uid;
	item->effect.generation = round->tender.generation;
	item->effect.slot = place->slot;
	item->effect.pod_uid = place->pod_uid;
	item->effect.to = place->node;
	effect_set_text(item, text);
}

void reply_lost(struct market *market, struct round *round, struct place *place, const char *text)
{
	place_move(place, PLACE_LOST);
	tell_failed(market, round, place, text);
}

static bool is_of(const struct place *place, const struct offer *offer)
{
	return (place->state == PLACE_AWARDED || place->state == PLACE_ACCEPTED) &&
	       node_id_equal(&place->node, &offer->node);
}

/* What @offer was awarded and has not deployed is open again, or lost. */
static void take_back(struct round *round, const struct offer *offer, enum place_state to)
{
	for (size_t i = 0; i < round->tender.slot_count; i++)
		if (is_of(&round->places[i], offer))
			place_move(&round->places[i], to);
}

void reply_cancel(struct market *market, struct round *round, struct offer *offer)
{
	struct message message = {.type = MESSAGE_CANCEL};
	struct cancel *cancel = &message.cancel;

	cancel->tender_id = round->tender.id;
	cancel->pods = mem_alloc(offer->pod_count, sizeof(*cancel->pods));
	memcpy(cancel->pods, offer->pods, offer->pod_count * sizeof(*cancel->pods));
	cancel->pod_count = offer->pod_count;
	effects_send(&market->effects, &offer->node, &offer->addr, &message);
	if (offer->state != OFFER_OVER)
		offer_move(offer, OFFER_OVER);
}

/*
 * The owner gives a slot to someone else only after an explicit refusal or cancel, or after the
 * hold and 2 s more. By now every other hold has run out as well, so these slots are lost for this
 * round.
 */
void reply_silent(struct market *market, struct round *round, struct offer *offer)
{
	reply_cancel(market, round, offer);
	for (size_t i = 0; i < round->tender.slot_count; i++)
		if (is_of(&round->places[i], offer))
			reply_lost(market, round, &round->places[i], "the winner did not answer");
}

/* While more machines are being asked, what is left stays open for them. */
static void award_again(struct market *market, struct round *round)
{
	placing_award(market, round,
		      round->state == ROUND_COLLECTING ? PLACING_DISTINCT : PLACING_FINAL);
}

/* ---- answers to awards ---- */

static void send_confirm(struct market *market, const struct round *round,
			 const struct offer *offer)
{
	struct message message = {
		.type = MESSAGE_AWARD_CONFIRM,
		.award_confirm.tender_id = round->tender.id,
	};

	effects_send(&market->effects, &offer->node, &offer->addr, &message);
}

static void tell_placed(struct market *market, struct round *round, const struct place *place,
			const struct addr *addr)
{
	struct effect_item *item = effects_add(&market->effects, MARKET_PLACED);

	item->effect.tender_id = round->tender.id;
	item->effect.object_uid = round->tender.object.uid;
	item->effect.generation = round->tender.generation;
	item->effect.slot = place->slot;
	item->effect.pod_uid = place->pod_uid;
	item->effect.to = place->node;
	item->effect.addr = *addr;
	round_trace(market, round,
		    &(struct trace_step){
			    .stage = TRACE_ACCEPTED, .node = place->node, .slot = place->slot});
}

static void accept(struct market *market, struct round *round, struct offer *offer)
{
	offer_move(offer, OFFER_ACCEPTED);
	send_confirm(market, round, offer);
	for (size_t i = 0; i < round->tender.slot_count; i++) {
		struct place *place = &round->places[i];

		if (place->state != PLACE_AWARDED || !node_id_equal(&place->node, &offer->node))
			continue;
		place_move(place, PLACE_ACCEPTED);
		tell_placed(market, round, place, &offer->addr);
	}
}

static int receive_accepted(struct market *market, struct round *round, struct offer *offer)
{
	switch (offer->state) {
	case OFFER_AWARDED:
		accept(market, round, offer);
		return 0;
	case OFFER_ACCEPTED:
		send_confirm(market, round, offer); /* the first one was lost */
		return MARKET_E_DUPLICATE;
	case OFFER_OVER:
		if (offer->pod_count == 0)
			return MARKET_E_NOT_OWNER;
		reply_cancel(market, round, offer);
		return MARKET_E_LATE;
	case OFFER_STANDING:
		break;
	}
	return MARKET_E_NOT_OWNER;
}

/* Whether another machine may be tried at once, or the controller has to look again. */
static bool tries_next(enum award_answer answer)
{
	switch (answer) {
	case AWARD_REFUSED_LATE:
	case AWARD_REFUSED_FULL:
	case AWARD_REFUSED_POLICY:
		return true;
	case AWARD_ACCEPTED:
	case AWARD_REFUSED_NO_BID:
	case AWARD_REFUSED_DIGEST:
	case AWARD_REFUSED_ROLE:
	case AWARD_REFUSED_DELETED:
		break;
	}
	return false;
}

static int receive_refused(struct market *market, struct round *round, struct offer *offer,
			   const struct award_reply *reply)
{
	if (offer->state == OFFER_OVER)
		return MARKET_E_DUPLICATE;
	if (offer->state == OFFER_STANDING)
		return MARKET_E_NOT_OWNER;
	round_trace(market, round,
		    &(struct trace_step){.stage = TRACE_REFUSED, .node = offer->node});
	if (offer->state == OFFER_AWARDED) {
		take_back(round, offer, tries_next(reply->answer) ? PLACE_OPEN : PLACE_LOST);
		offer_move(offer, OFFER_OVER);
		award_again(market, round);
		return 0;
	}
	/* It had accepted, then gave up because no confirmation reached it. */
	offer_move(offer, OFFER_OVER);
	for (size_t i = 0; i < round->tender.slot_count; i++)
		if (is_of(&round->places[i], offer))
			reply_lost(market, round, &round->places[i], "the winner gave up");
	return 0;
}

/* The machine has an award of this very tender from another owner: that one places these slots. */
static int give_way(struct market *market, struct round *round, const struct node_id *from)
{
	round_trace(market, round, &(struct trace_step){.stage = TRACE_REFUSED, .node = *from});
	round_abandon(market, round);
	return MARKET_E_DUPLICATE;
}

int reply_receive(struct market *market, const struct node_id *from,
		  const struct award_reply *reply)
{
	struct round *round = round_find(market, &reply->tender_id);
	struct offer *offer;
	int r;

	if (!round)
		return MARKET_E_UNKNOWN;
	offer = round_offer(round, from);
	if (reply->answer == AWARD_REFUSED_NO_BID && round->state == ROUND_COLLECTING &&
	    (!offer || offer->state == OFFER_STANDING))
		return give_way(market, round, from);
	if (!offer)
		return MARKET_E_NOT_OWNER;
	r = reply->answer == AWARD_ACCEPTED ? receive_accepted(market, round, offer)
					    : receive_refused(market, round, offer, reply);
	round_settle(market, round);
	return r;
}

/* ---- events ---- */

static struct place *find_place(const struct round *round, const struct node_id *node,
				const struct event *event)
{
	for (size_t i = 0; i < round->tender.slot_count; i++) {
		struct place *place = &round->places[i];

		if (place->slot == event->slot && node_id_equal(&place->node, node) &&
		    uid_equal(&place->pod_uid, &event->pod_uid))
			return place;
	}
	return NULL;
}

static int event_deployed(struct market *market, struct round *round, struct offer *offer,
			  struct place *place)
{
	/* It overtook its acceptance, or that was lost. */
	if (offer->state == OFFER_AWARDED)
		accept(market, round, offer);
	if (place->state != PLACE_ACCEPTED)
		return MARKET_E_DUPLICATE;
	place_move(place, PLACE_DEPLOYED);
	round_trace(market, round,
		    &(struct trace_step){
			    .stage = TRACE_DEPLOYED, .node = place->node, .slot = place->slot});
	return 0;
}

/* The pod is gone. While bids are kept, the next best one takes its slot. */
static int event_ended(struct market *market, struct round *round, struct place *place,
		       const struct event *event)
{
	if (place->state == PLACE_OPEN || place->state == PLACE_LOST)
		return MARKET_E_DUPLICATE;
	round_trace(market, round,
		    &(struct trace_step){
			    .stage = TRACE_FAILED, .node = place->node, .slot = place->slot});
	if ((round->state == ROUND_COLLECTING || round->state == ROUND_AWARDING) &&
	    event->kind == EVENT_FAILED) {
		place_move(place, PLACE_OPEN);
		award_again(market, round);
		if (place->state == PLACE_LOST)
			tell_failed(market, round, place, event->text);
		return 0;
	}
	reply_lost(market, round, place, event->text);
	return 0;
}

/* A machine of whose award nothing is left needs no answer any more. */
static void retire_offer(struct round *round, struct offer *offer)
{
	for (size_t i = 0; i < round->tender.slot_count; i++)
		if (is_of(&round->places[i], offer))
			return;
	if (offer->state == OFFER_AWARDED)
		offer_move(offer, OFFER_OVER);
}

/* Whatever became of its tender: the machine need not say it again. */
static void send_seen(struct market *market, const struct node_id *to, const struct event *event)
{
	struct message message = {.type = MESSAGE_EVENT, .event = *event};

	message.event.text = mem_strdup("");
	message.event.seen = true;
	effects_send(&market->effects, to, NULL, &message);
}

int reply_event(struct market *market, const struct node_id *from, const struct event *event)
{
	struct round *round = round_find(market, &event->tender_id);
	struct offer *offer;
	struct place *place;
	int r;

	send_seen(market, from, event);
	if (!round)
		return MARKET_E_UNKNOWN;
	offer = round_offer(round, from);
	place = offer ? find_place(round, from, event) : NULL;
	if (!place)
		return MARKET_E_NOT_OWNER;
	r = event->kind == EVENT_DEPLOYED ? event_deployed(market, round, offer, place)
					  : event_ended(market, round, place, event);
	retire_offer(round, offer);
	round_settle(market, round);
	return r;
}
