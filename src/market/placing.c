/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From bids to awards.
 *
 * Losers are released at once, except as many of the next best bids as there are slots: these are
 * kept until every award is answered (one round trip as a rule), so that a refusal costs one round
 * trip and not a new tender. A machine gets at most one award of a tender: a second
 * one could not be told from the first in its replies. What is left over goes into the next
 * attempt.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/derive.h"
#include "market/decide.h"
#include "market/state.h"

/* A bid can win while its hold stands, as far as the owner can know. */
static bool can_win(const struct market *market, const struct offer *offer)
{
	return offer->state == OFFER_STANDING && offer->bid.copies > 0 &&
	       !mono_reached(market->now, mono_add_ms(offer->at, MARKET_HOLD_MS));
}

/* Candidates for decide_winners(), and for each the offer behind it. */
struct field {
	struct decide_candidate *candidates;
	size_t *offers;
	size_t count;
};

static struct field field_of(const struct market *market, const struct round *round,
			     uint32_t copies_max)
{
	struct field field = {
		.candidates = mem_alloc(round->offer_count, sizeof(*field.candidates)),
		.offers = mem_alloc(round->offer_count, sizeof(*field.offers)),
	};

	for (size_t i = 0; i < round->offer_count; i++) {
		const struct offer *offer = &round->offers[i];

		if (!can_win(market, offer))
			continue;
		field.offers[field.count] = i;
		field.candidates[field.count++] = (struct decide_candidate){
			.node = offer->node,
			.score = offer->score,
			.copies = offer->bid.copies < copies_max ? offer->bid.copies : copies_max,
			.resident = offer->bid.resident,
		};
		memcpy(field.candidates[field.count - 1].zones, offer->bid.zones,
		       sizeof(offer->bid.zones));
	}
	return field;
}

static bool is_taken(const struct place *place)
{
	return place->state == PLACE_AWARDED || place->state == PLACE_ACCEPTED ||
	       place->state == PLACE_DEPLOYED;
}

/* The zones of what ran before, of the bidders, and of what this round has placed so far. */
static struct zones zones_of_round(const struct round *round)
{
	const struct requirements *needs = &round->tender.needs;
	struct market_domain *domains = mem_alloc(
		round->domain_count + round->offer_count * needs->spread_count, sizeof(*domains));
	size_t count = round->domain_count;
	struct zones zones;

	for (size_t i = 0; i < count; i++)
		domains[i] = round->domains[i];
	for (size_t i = 0; i < round->offer_count; i++)
		for (size_t j = 0; j < needs->spread_count; j++)
			domains[count++] = (struct market_domain){
				.spread = j, .zone = round->offers[i].bid.zones[j]};
	zones_init(&zones, needs, domains, count);
	free(domains);
	for (size_t i = 0; i < round->tender.slot_count; i++) {
		const struct place *place = &round->places[i];
		const struct offer *offer =
			is_taken(place) ? round_offer(round, &place->node) : NULL;

		if (offer)
			zones_add(&zones, offer->bid.zones);
	}
	return zones;
}

static void field_deinit(struct field *field)
{
	free(field->candidates);
	free(field->offers);
}

/* Replicas that want each other's company: the best machine takes as many as fit, nobody else any.
 * Once it has been chosen there is no other. */
static void keep_together(const struct round *round, struct field *field, size_t count)
{
	uint32_t most = 0;
	size_t best, kept = 0;

	for (size_t i = 0; i < round->tender.slot_count; i++)
		if (is_taken(&round->places[i]))
			field->count = 0;
	for (size_t i = 0; i < field->count; i++)
		if (field->candidates[i].copies > most)
			most = field->candidates[i].copies;
	if (most > count)
		most = (uint32_t)count;
	for (size_t i = 0; i < field->count; i++) {
		if (field->candidates[i].copies < most)
			continue;
		field->candidates[kept] = field->candidates[i];
		field->offers[kept++] = field->offers[i];
	}
	field->count = kept;
	if (decide_winners(field->candidates, kept, NULL, 1, &best) == 0)
		return;
	field->candidates[0] = field->candidates[best];
	field->offers[0] = field->offers[best];
	field->count = 1;
}

/* The winning offers for @count slots: ret_offers[i] is an index, or DECIDE_NONE. */
static void choose(const struct market *market, const struct round *round, uint32_t copies_max,
		   size_t count, size_t *ret_offers)
{
	struct field field =
		field_of(market, round, round->together ? MESSAGE_SLOTS_MAX : copies_max);
	bool is_spread = round->tender.needs.spread_count > 0;
	struct zones zones = is_spread ? zones_of_round(round) : (struct zones){0};

	if (round->together)
		keep_together(round, &field, count);
	(void)decide_winners(field.candidates, field.count, is_spread ? &zones : NULL, count,
			     ret_offers);
	zones_deinit(&zones);
	for (size_t i = 0; i < count; i++)
		if (ret_offers[i] != DECIDE_NONE)
			ret_offers[i] = field.offers[ret_offers[i]];
	field_deinit(&field);
}

static struct uid new_pod_uid(struct market *market, const struct uid *object,
			      const struct node_id *machine)
{
	uint64_t random = prng_next(&market->prng);
	uint8_t bytes[UID_POD_RANDOM_LEN];

	memcpy(bytes, &random, sizeof(bytes));
	return uid_of_pod(object, machine, bytes);
}

/* "<base>-<5 characters>": Kubernetes' letters, without vowels and look-alikes. */
static char *new_pod_name(struct market *market, const struct round *round)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	struct buf name = {0};
	uint64_t random = prng_next(&market->prng);

	if (round->pod_name)
		return mem_strdup(round->pod_name);
	buf_append_format(&name, "%s-", round->pod_name_base);
	for (int i = 0; i < 5; i++) {
		buf_append(&name, &letters[random % (sizeof(letters) - 1)], 1);
		random /= sizeof(letters) - 1;
	}
	return buf_steal(&name);
}

static void assign(struct market *market, struct round *round, struct place *place,
		   struct offer *offer)
{
	free(place->pod_name);
	place->pod_name = new_pod_name(market, round);
	place->pod_uid = new_pod_uid(market, &round->tender.object.uid, &offer->node);
	place->node = offer->node;
	place_move(place, PLACE_AWARDED);
	offer->pods = mem_resize(offer->pods, offer->pod_count + 1, sizeof(*offer->pods));
	offer->pods[offer->pod_count++] = place->pod_uid;
	round_trace(market, round,
		    &(struct trace_step){
			    .stage = TRACE_AWARDED, .node = offer->node, .slot = place->slot});
}

/* The places of @round that @offer was awarded. */
static struct award compose_award(const struct round *round, const struct offer *offer)
{
	struct award award = {.tender_id = round->tender.id, .winner = offer->node};

	award.assignments = mem_alloc(offer->pod_count, sizeof(*award.assignments));
	buf_append_bytes(&award.tender_envelope, bytes_buf(&round->envelope));
	buf_append_bytes(&award.manifest, bytes_buf(&round->manifest));
	for (size_t i = 0; i < round->tender.slot_count; i++) {
		const struct place *place = &round->places[i];

		if (place->state != PLACE_AWARDED || !node_id_equal(&place->node, &offer->node))
			continue;
		award.assignments[award.assignment_count++] = (struct assignment){
			.slot = place->slot,
			.epoch = round->epoch,
			.pod_uid = place->pod_uid,
			.pod_name = mem_strdup(place->pod_name),
		};
	}
	assert(award.assignment_count > 0 && award.assignment_count <= offer->pod_count);
	return award;
}

void placing_send_award(struct market *market, struct round *round, struct offer *offer)
{
	struct message message = {.type = MESSAGE_AWARD, .award = compose_award(round, offer)};

	effects_send(&market->effects, &offer->node, &offer->addr, &message);
	offer->resend_at = mono_add_ms(market->now, MARKET_RESEND_MS);
	market_due(market, offer->resend_at);
	market_due(market, mono_add_ms(offer->at, MARKET_HOLD_MS + MARKET_REASSIGN_MS));
}

static size_t open_places(const struct round *round, struct place **ret_places)
{
	size_t count = 0;

	for (size_t i = 0; i < round->tender.slot_count; i++)
		if (round->places[i].state == PLACE_OPEN)
			ret_places[count++] = &round->places[i];
	return count;
}

void placing_award(struct market *market, struct round *round, enum placing_rule rule)
{
	struct place *places[MESSAGE_SLOTS_MAX];
	size_t winners[MESSAGE_SLOTS_MAX];
	size_t count = open_places(round, places);

	choose(market, round, rule == PLACING_DISTINCT ? 1 : MESSAGE_SLOTS_MAX, count, winners);
	/* What does not fit beside the others is for the next attempt, which finds them there. */
	if (round->together && count > 0 && winners[0] != DECIDE_NONE)
		rule = PLACING_FINAL;
	for (size_t i = 0; i < count; i++) {
		if (winners[i] != DECIDE_NONE)
			assign(market, round, places[i], &round->offers[winners[i]]);
		else if (rule == PLACING_FINAL)
			place_move(places[i], PLACE_LOST);
	}
	for (size_t i = 0; i < round->offer_count; i++) {
		struct offer *offer = &round->offers[i];

		if (offer->state != OFFER_STANDING || offer->pod_count == 0)
			continue;
		offer_move(offer, OFFER_AWARDED);
		placing_send_award(market, round, offer);
	}
}

/* There may be hundreds, and nobody asks after them. */
static void forget_released(struct round *round)
{
	size_t kept = 0;

	for (size_t i = 0; i < round->offer_count; i++)
		if (round->offers[i].state != OFFER_OVER || round->offers[i].pod_count > 0)
			round->offers[kept++] = round->offers[i];
	round->offer_count = kept;
	round->offers = mem_resize(round->offers, kept, sizeof(*round->offers));
}

/* Keep the next best bids in case of refusals, release all others. */
void placing_keep_spares(struct market *market, struct round *round)
{
	size_t spares[MESSAGE_SLOTS_MAX];
	size_t slots = round->tender.slot_count;
	bool *is_spare = mem_alloc(round->offer_count, sizeof(*is_spare));

	choose(market, round, MESSAGE_SLOTS_MAX, slots, spares);
	for (size_t i = 0; i < slots; i++)
		if (spares[i] != DECIDE_NONE)
			is_spare[spares[i]] = true;
	for (size_t i = 0; i < round->offer_count; i++)
		if (round->offers[i].state == OFFER_STANDING && !is_spare[i])
			round_release(market, round, &round->offers[i]);
	free(is_spare);
	forget_released(round);
}
