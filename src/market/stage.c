/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stages: who is asked next, and when a stage has brought what it can.
 *
 * After Sparrow (Ousterhout et al., SOSP 2013): a few random machines per slot are nearly as good
 * as all of them, and cost the same in a fabric of any size. A stage ends early in two ways. Either
 * everybody who was asked has answered; or there are BIDS_PER_SLOT bids per slot, each from a
 * machine without a replica: then what is still on its way comes from farther off, and we wait half
 * as long again, at most 3 smoothed round trips in all. Machines that a referral reached and that
 * do not fit stay silent, so that the window must be no longer than most answers need.
 */
#include <assert.h>

#include "market/state.h"

enum {
	BIDS_PER_SLOT = 2,
	RTTS_TO_DECIDE = 3,
	RTTS_OF_REFERRAL = 4,   /* two hops, a handshake and the bid are 2.5; and some jitter */
	RTTS_OF_BROADCAST = 16, /* ten hops more, and lazy links */
	BIDS_PER_MS = 2, /* what an owner handles when each bid comes over a new connection */
	BUSY_MS_MAX = 200,
};

static size_t open_slots(const struct round *round)
{
	size_t count = 0;

	for (size_t i = 0; i < round->tender.slot_count; i++)
		count += round->places[i].state == PLACE_OPEN;
	return count;
}

static size_t wanted(const struct round *round, size_t open)
{
	return open * (round->stage == MARKET_WIDE ? MARKET_WIDE_PER_SLOT : MARKET_SAMPLE_PER_SLOT);
}

/* A machine that runs a replica already does not count (OUR rule): a stage must not end early on
 * bids that would double it up. Of a sample it does: others that run none are not to be expected
 * when so many do. */
static bool is_distinct(const struct round *round, const struct offer *offer)
{
	return offer->state == OFFER_STANDING && offer->bid.copies > 0 &&
	       (offer->bid.resident == 0 || (round->asked && !round->reach.everyone));
}

static bool is_enough(const struct round *round)
{
	return round->distinct >= BIDS_PER_SLOT * open_slots(round);
}

void stage_begin(struct market *market, struct round *round, enum market_stage stage)
{
	struct effect_item *item = effects_add(&market->effects, MARKET_ASK);

	assert(round->state == ROUND_COLLECTING);
	round->stage = stage;
	round->stage_at = market->now;
	round->asked = false;
	round->reach = (struct market_reach){0};
	round->answers = 0;
	round->enough_at = MONO_NEVER;
	round->distinct = 0;
	for (size_t i = 0; i < round->offer_count; i++)
		round->distinct += is_distinct(round, &round->offers[i]);
	item->effect.tender_id = round->tender.id;
	item->effect.object_uid = round->tender.object.uid;
	item->effect.generation = round->tender.generation;
	item->effect.stage = stage;
	item->effect.open = open_slots(round);
	item->effect.wanted = wanted(round, item->effect.open);
	effect_set_envelope(item, bytes_buf(&round->envelope));
	market_due(market, mono_add_ms(market->now, MARKET_LOOKUP_MS));
}

static int64_t at_most(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When most of those who were asked have had their say. */
static struct mono window_end(const struct round *round)
{
	bool broadcast = round->stage >= MARKET_BROADCAST_SOME;
	int64_t window_us =
		(broadcast ? MARKET_BROADCAST_MS : MARKET_WINDOW_MS) * (int64_t)US_PER_MS;
	int64_t busy_ms = at_most((int64_t)round->reach.count / BIDS_PER_MS, BUSY_MS_MAX);
	int64_t likely_us = (MARKET_WINDOW_MIN_MS + busy_ms) * (int64_t)US_PER_MS;
	int64_t rtts = broadcast ? RTTS_OF_BROADCAST : RTTS_OF_REFERRAL;

	if (!round->asked)
		return mono_add_ms(round->stage_at, MARKET_LOOKUP_MS);
	/* Asked directly, everyone answers, if only to decline; and nobody else can be asked. */
	if (round->reach.everyone && !broadcast)
		return mono_add_us(round->stage_at, window_us);
	if (round->reach.rtt_us <= 0 || round->reach.rtt_us > window_us / rtts)
		return mono_add_us(round->stage_at, window_us);
	if (rtts * round->reach.rtt_us > likely_us)
		likely_us = rtts * round->reach.rtt_us;
	return mono_add_us(round->stage_at, at_most(likely_us, window_us));
}

/* When 3 smoothed round-trip times have passed since the tender went out. */
static struct mono rtts_end(const struct round *round)
{
	int64_t sum_us = 0, measured = 0;

	for (size_t i = 0; i < round->offer_count; i++) {
		if (round->offers[i].rtt_us <= 0)
			continue;
		sum_us += round->offers[i].rtt_us;
		measured++;
	}
	return measured ? mono_add_us(round->stage_at, RTTS_TO_DECIDE * sum_us / measured)
			: MONO_NEVER;
}

static struct mono early_end(struct market *market, struct round *round)
{
	int64_t took_us;

	if (!round->asked || !is_enough(round))
		return MONO_NEVER;
	if (round->enough_at.us == MONO_NEVER.us) {
		took_us = mono_since_us(market->now, round->stage_at);
		round->enough_at = mono_add_us(market->now, took_us / 2);
	}
	return mono_min(round->enough_at, rtts_end(round));
}

static void decided(struct market *market, struct round *round)
{
	round->deploy_by = mono_add_ms(market->now, MARKET_DEPLOY_MS);
	round_move(round, ROUND_AWARDING);
	placing_keep_spares(market, round);
	round_settle(market, round);
}

static enum placing_rule rule_of(const struct round *round)
{
	if (round->reach.everyone || round->stage == MARKET_BROADCAST_ALL)
		return PLACING_FINAL;
	return round->reach.complete || round->stage >= MARKET_WIDE ? PLACING_COPIES
								    : PLACING_DISTINCT;
}

/* Where it is certain that nobody has announced what the tender needs, a sample finds nobody
 * either: who has it without having said so hears of the tender with everybody. */
static enum market_stage next_stage(const struct round *round)
{
	if (round->stage == MARKET_PROVIDERS && round->reach.complete && round->reach.count == 0)
		return MARKET_BROADCAST_SOME;
	return round->stage + 1;
}

static void stage_over(struct market *market, struct round *round)
{
	if (round->reach.count > 0)
		round_trace(market, round,
			    &(struct trace_step){.stage = TRACE_DECIDED,
						 .slot = round->stage,
						 .count = (uint32_t)round->offer_count});
	placing_award(market, round, rule_of(round));
	if (open_slots(round) == 0)
		decided(market, round);
	else
		stage_begin(market, round, next_stage(round));
}

void stage_consider(struct market *market, struct round *round)
{
	struct mono end;

	assert(round->state == ROUND_COLLECTING);
	if (round->asked && round->answers >= round->reach.count) {
		stage_over(market, round);
		return;
	}
	end = mono_min(window_end(round), early_end(market, round));
	if (mono_reached(market->now, end))
		stage_over(market, round);
	else
		market_due(market, end);
}

void stage_count(struct market *market, struct round *round, const struct offer *offer)
{
	round->answers++;
	round->distinct += is_distinct(round, offer);
	stage_consider(market, round);
}

void market_asked(struct market *market, struct mono now, const struct digest *tender_id,
		  enum market_stage stage, const struct market_reach *reach)
{
	struct round *round = round_find(market, tender_id);

	assert(now.us >= market->now.us);
	market->now = now;
	if (!round || round->state != ROUND_COLLECTING || round->stage != stage || round->asked)
		return;
	round->asked = true;
	round->reach = *reach;
	round->stage_at = now;
	if (reach->count > 0)
		round_trace(market, round,
			    &(struct trace_step){.stage = TRACE_OPENED,
						 .slot = stage,
						 .count = (uint32_t)reach->count});
	stage_consider(market, round);
}
