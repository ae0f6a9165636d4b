/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upkeep: what a table costs when nobody looks anything up.
 *
 *   ALONE --first contact--> JOINING --our own position was looked up--> JOINED --nobody left-->
 * ALONE
 *
 * Once joined, every question goes to the one contact that was not heard for longest:
 *   - check: of the KAD_NEAR nearest neighbours one is asked who is near us. Whoever it names
 * that we do not know is asked as well, and so enters the table;
 *   - survey: the same for each far bucket; one that is less than half full is asked for a random
 *     position in it, others for our own, by which two halves that were apart find together.
 * And of the machines that connect to us by chance, one in KAD_GREET_MS is asked the first
 * question. An interval grows while all is as it was, and falls to its minimum when somebody was
 * silent: so a quiet fabric costs next to nothing, and churn is met by as many questions as it
 * needs.
 */
#include <string.h>

#include "overlay/kad_internal.h"

enum {
	DISASTER_COUNT = 8,  /* troubles within KAD_REFRESH_MIN_MS: a sixteenth of a usual pool */
	SPACING_MS = 500,    /* between two surveys */
	RETRY_MS = 2 * 1000, /* the one asked was silent: the next one */
};

static struct mono soon(struct kad *kad, int64_t ms)
{
	return mono_add_ms(kad->now, prng_jitter(&kad->prng, ms));
}

static uint32_t grown(uint32_t ms, uint32_t factor, uint32_t ms_max)
{
	return ms < ms_max / factor ? ms * factor : ms_max;
}

static int64_t heard_ms_ago(const struct kad *kad, const struct kad_entry *entry)
{
	return (int64_t)(kad_heard_at(kad->now) - entry->heard) * (KAD_HEARD_US / US_PER_MS);
}

void kad_upkeep_first(struct kad *kad)
{
	kad->joined = false;
	kad->check_at = mono_min(kad->check_at, soon(kad, KAD_JOIN_MS));
}

static bool is_poor(const struct kad_bucket *bucket)
{
	return bucket->count < KAD_BUCKET / 2;
}

/* A bucket that has just become a far one. */
static void bucket_begin(struct kad *kad, struct kad_bucket *bucket)
{
	bucket->interval_ms = is_poor(bucket) ? KAD_FILL_MS : KAD_REFRESH_MS;
	bucket->due = soon(kad, bucket->interval_ms);
}

static void schedule_refresh(struct kad *kad)
{
	kad->far = kad_table_far(&kad->table);
	kad->refresh_at = mono_add_ms(kad->now, KAD_REFRESH_MS);
	for (unsigned i = 0; i < kad->far; i++) {
		struct kad_bucket *bucket = kad_table_bucket(&kad->table, i);

		if (bucket->interval_ms == 0)
			bucket_begin(kad, bucket);
		if (!bucket->surveyed)
			kad->refresh_at = mono_min(kad->refresh_at, bucket->due);
	}
}

void kad_upkeep_formed(struct kad *kad)
{
	kad->joined = true;
	kad->check_ms = KAD_SELF_MS;
	kad->check_at = mono_add_ms(kad->now, (int64_t)prng_below(&kad->prng, KAD_SELF_MS));
	kad->greet_at = mono_add_ms(kad->now, (int64_t)prng_below(&kad->prng, KAD_GREET_MS));
	schedule_refresh(kad);
	/* Whoever filled the table chose: a far bucket is a sample of the machines there. */
	for (unsigned i = 0; i < kad->far; i++)
		kad_table_bucket(&kad->table, i)->refused = !is_poor(kad->table.buckets[i]);
}

static void survey_soon(struct kad *kad, struct kad_bucket *bucket)
{
	if (bucket->interval_ms == 0)
		bucket->due = MONO_NEVER;
	bucket->interval_ms = KAD_REFRESH_MIN_MS;
	bucket->due = mono_min(bucket->due, soon(kad, KAD_REFRESH_MIN_MS));
	kad->refresh_at = mono_min(kad->refresh_at, bucket->due);
}

/* Many at once, wherever they are: then others have gone of whom we do not hear. */
static bool is_disaster(struct kad *kad)
{
	if (mono_reached(kad->now, mono_add_ms(kad->trouble_at, KAD_REFRESH_MIN_MS))) {
		kad->trouble_at = kad->now;
		kad->trouble_count = 0;
	}
	return ++kad->trouble_count == DISASTER_COUNT;
}

/* A contact of bucket @index was silent, or is lost. */
void kad_upkeep_trouble(struct kad *kad, unsigned index)
{
	if (!kad->joined)
		return;
	kad->check_ms = KAD_SELF_MIN_MS;
	kad->check_at = mono_min(kad->check_at, soon(kad, KAD_SELF_MIN_MS));
	if (index < kad->far)
		survey_soon(kad, kad_table_bucket(&kad->table, index));
	if (!is_disaster(kad))
		return;
	kad_provider_soon(kad, KAD_REFRESH_MIN_MS);
	for (unsigned i = 0; i < kad->far; i++)
		survey_soon(kad, kad_table_bucket(&kad->table, i));
}

/* ---- the neighbourhood ---- */

static void check(struct kad *kad)
{
	struct digest position = kad_position(&kad->self.id);
	const struct kad_entry *nearest[KAD_NEAR], *oldest;
	size_t count = kad_table_nearest(&kad->table, kad->table.self, false, nearest, KAD_NEAR);

	kad->check_at = soon(kad, kad->joined ? kad->check_ms : KAD_SELF_MIN_MS);
	if (kad->checking)
		return;
	if (count == 0) {
		kad->joined = false;
		kad->check_at = MONO_NEVER;
		return;
	}
	if (!kad->joined || kad->rejoin) {
		kad->rejoin = false;
		kad->checking = kad_lookup_start(kad, KAD_LOOKUP_JOIN, &position, NULL);
		return;
	}
	oldest = nearest[0];
	for (size_t i = 1; i < count; i++) {
		if (nearest[i]->heard < oldest->heard)
			oldest = nearest[i];
	}
	if (heard_ms_ago(kad, oldest) >= kad->check_ms)
		kad->checking = kad_lookup_start(kad, KAD_LOOKUP_CHECK, &position, oldest);
}

/* Over a connection that stands, a question costs a tenth. That it goes to whoever comes is how
 * halves of a fabric that were apart find together: each newcomer from the other half knows those
 * of its half that are near us. */
void kad_upkeep_greeted(struct kad *kad, const struct kad_entry *newcomer)
{
	struct digest position = kad_position(&kad->self.id);

	if (!kad->joined || kad->checking || !mono_reached(kad->now, kad->greet_at))
		return;
	kad->greet_at = soon(kad, KAD_GREET_MS);
	kad->checking = kad_lookup_start(kad, KAD_LOOKUP_GREET, &position, newcomer);
}

static void greet_ended(struct kad *kad, const struct kad_lookup *lookup)
{
	if (lookup->near_news == 0)
		return;
	kad->rejoin = true;
	kad->check_at = mono_min(kad->check_at, soon(kad, KAD_SELF_MIN_MS));
	kad->greet_at = soon(kad, KAD_SELF_MIN_MS);
}

/* The one that was asked first, or any one of a join, has answered. */
static bool has_answer(const struct kad_lookup *lookup)
{
	for (size_t i = 0; i < lookup->count; i++) {
		if (lookup->list[i].state == KAD_ANSWERED)
			return true;
	}
	return false;
}

static void join_ended(struct kad *kad, const struct kad_lookup *lookup)
{
	kad->joined = has_answer(lookup);
	kad->check_ms = KAD_SELF_MIN_MS;
	kad->check_at = soon(kad, KAD_SELF_MIN_MS);
	if (!kad->joined)
		return;
	schedule_refresh(kad);
	kad_provider_soon(kad, KAD_JOIN_MS);
}

static void check_ended(struct kad *kad, const struct kad_lookup *lookup)
{
	if (!has_answer(lookup)) {
		kad->check_ms = KAD_SELF_MIN_MS;
		kad->check_at = soon(kad, RETRY_MS);
		return;
	}
	kad->check_ms = lookup->news > 0 ? KAD_SELF_MIN_MS
					 : grown(kad->check_ms, KAD_SELF_GROWTH, KAD_SELF_MAX_MS);
	kad->check_at = soon(kad, kad->check_ms);
}

/* ---- far buckets ---- */

/* A random position in bucket @index. */
static struct digest position_in(struct kad *kad, unsigned index)
{
	uint64_t below = UINT64_MAX >> index >> 1;
	uint64_t position = (kad->table.self ^ (UINT64_C(1) << (KAD_BUCKETS - 1 - index))) & ~below;
	struct digest target = {0};

	position |= prng_next(&kad->prng) & below;
	for (size_t i = 0; i < sizeof(position); i++)
		target.byte[i] = (uint8_t)(position >> (56 - 8 * i));
	return target;
}

static void survey(struct kad *kad, unsigned index, struct kad_bucket *bucket)
{
	struct digest target =
		is_poor(bucket) ? position_in(kad, index) : kad_position(&kad->self.id);
	const struct kad_entry *first = kad_bucket_oldest(bucket);
	struct kad_lookup *lookup;

	bucket->due = soon(kad, bucket->interval_ms);
	if (!first && kad_table_nearest(&kad->table, kad_prefix(&target), false, &first, 1) == 0)
		return;
	if (!is_poor(bucket) && heard_ms_ago(kad, first) < bucket->interval_ms)
		return;
	lookup = kad_lookup_start(kad, KAD_LOOKUP_SURVEY, &target, first);
	if (!lookup)
		return;
	lookup->bucket = index;
	bucket->surveyed = true;
}

static void survey_ended(struct kad *kad, const struct kad_lookup *lookup)
{
	struct kad_bucket *bucket = kad_table_bucket(&kad->table, lookup->bucket);
	bool was_filling = bucket->interval_ms < KAD_REFRESH_MIN_MS;

	bucket->surveyed = false;
	if (!has_answer(lookup))
		bucket->interval_ms = KAD_REFRESH_MIN_MS;
	else if (is_poor(bucket) && lookup->news > 0)
		bucket->interval_ms = KAD_FILL_MS;
	else if (was_filling && !is_poor(bucket))
		bucket->interval_ms = KAD_REFRESH_MS;
	else
		bucket->interval_ms =
			grown(bucket->interval_ms, KAD_REFRESH_GROWTH, KAD_REFRESH_MAX_MS);
	bucket->due = soon(kad, has_answer(lookup) ? bucket->interval_ms : RETRY_MS);
	schedule_refresh(kad);
}

static void refresh(struct kad *kad)
{
	if (!kad->joined) {
		kad->refresh_at = MONO_NEVER;
		return;
	}
	schedule_refresh(kad);
	for (unsigned i = 0; i < kad->far; i++) {
		struct kad_bucket *bucket = kad_table_bucket(&kad->table, i);

		if (bucket->surveyed || !mono_reached(kad->now, bucket->due))
			continue;
		survey(kad, i, bucket);
		break;
	}
	schedule_refresh(kad);
	if (mono_reached(mono_add_ms(kad->now, SPACING_MS), kad->refresh_at))
		kad->refresh_at = soon(kad, SPACING_MS);
}

void kad_upkeep_ended(struct kad *kad, const struct kad_lookup *lookup)
{
	if (lookup->kind == KAD_LOOKUP_SURVEY) {
		survey_ended(kad, lookup);
		return;
	}
	kad->checking = false;
	if (lookup->kind == KAD_LOOKUP_JOIN)
		join_ended(kad, lookup);
	else if (lookup->kind == KAD_LOOKUP_GREET)
		greet_ended(kad, lookup);
	else
		check_ended(kad, lookup);
}

void kad_upkeep_tick(struct kad *kad)
{
	if (mono_reached(kad->now, kad->check_at))
		check(kad);
	if (mono_reached(kad->now, kad->refresh_at))
		refresh(kad);
}
