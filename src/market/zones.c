/* SPDX-License-Identifier: Apache-2.0 */
#include "market/zones.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
	ZONES_COUNT_MAX = 1000000, /* a claim beyond this is read as this: sums stay small */
	ZONES_EXCESS_OUTSIDE = ZONES_COUNT_MAX, /* of a machine without the label */
};

static int bucket_compare(const void *left, const void *right)
{
	const struct zones_bucket *a = left, *b = right;

	if (a->spread != b->spread)
		return a->spread < b->spread ? -1 : 1;
	return a->zone < b->zone ? -1 : a->zone > b->zone;
}

/* Equal ones become one. */
static void merge_buckets(struct zones *zones)
{
	size_t kept = 0;

	qsort(zones->buckets, zones->bucket_count, sizeof(*zones->buckets), bucket_compare);
	for (size_t i = 0; i < zones->bucket_count; i++) {
		struct zones_bucket *last = kept > 0 ? &zones->buckets[kept - 1] : NULL;

		if (last && bucket_compare(last, &zones->buckets[i]) == 0)
			last->count += zones->buckets[i].count;
		else
			zones->buckets[kept++] = zones->buckets[i];
		last = &zones->buckets[kept - 1];
		if (last->count > ZONES_COUNT_MAX)
			last->count = ZONES_COUNT_MAX;
	}
	zones->bucket_count = kept;
}

/* With fewer zones than are wanted, the ones that are missing are empty. */
static void find_least(struct zones *zones)
{
	size_t domains[MESSAGE_SPREADS_MAX] = {0};

	for (size_t i = 0; i < zones->bucket_count; i++) {
		const struct zones_bucket *bucket = &zones->buckets[i];
		uint32_t *least = &zones->least[bucket->spread];

		if (domains[bucket->spread]++ == 0 || bucket->count < *least)
			*least = bucket->count;
	}
	for (size_t i = 0; i < zones->spread_count; i++)
		if (domains[i] < zones->spreads[i].min_domains)
			zones->least[i] = 0;
}

void zones_init(struct zones *zones, const struct requirements *needs,
		const struct market_domain *domains, size_t domain_count)
{
	assert(needs->spread_count <= MESSAGE_SPREADS_MAX);
	*zones = (struct zones){
		.spreads = needs->spreads,
		.spread_count = needs->spread_count,
		.buckets = mem_alloc(domain_count, sizeof(*zones->buckets)),
	};
	for (size_t i = 0; i < domain_count; i++)
		if (domains[i].zone != 0 && domains[i].spread < needs->spread_count)
			zones->buckets[zones->bucket_count++] = (struct zones_bucket){
				.spread = domains[i].spread,
				.zone = domains[i].zone,
				.count = domains[i].count,
			};
	merge_buckets(zones);
	find_least(zones);
}

void zones_deinit(struct zones *zones)
{
	free(zones->buckets);
	*zones = (struct zones){0};
}

static struct zones_bucket *bucket_of(const struct zones *zones, size_t spread, uint64_t zone)
{
	struct zones_bucket key = {.spread = spread, .zone = zone};

	return bsearch(&key, zones->buckets, zones->bucket_count, sizeof(key), bucket_compare);
}

void zones_add(struct zones *zones, const uint64_t of[MESSAGE_SPREADS_MAX])
{
	for (size_t i = 0; i < zones->spread_count; i++) {
		struct zones_bucket *bucket = bucket_of(zones, i, of[i]);

		if (bucket && bucket->count < ZONES_COUNT_MAX)
			bucket->count++;
	}
	find_least(zones);
}

/* By how much one more replica in @zone would exceed the skew. */
static uint32_t excess(const struct zones *zones, size_t spread, uint64_t zone)
{
	const struct zones_bucket *bucket = bucket_of(zones, spread, zone);
	uint32_t allowed = zones->least[spread] + zones->spreads[spread].max_skew;
	uint32_t count;

	if (!bucket)
		return ZONES_EXCESS_OUTSIDE;
	count = bucket->count + 1;
	return count > allowed ? count - allowed : 0;
}

bool zones_allow(const struct zones *zones, const uint64_t of[MESSAGE_SPREADS_MAX])
{
	for (size_t i = 0; i < zones->spread_count; i++)
		if (zones->spreads[i].required && excess(zones, i, of[i]) > 0)
			return false;
	return true;
}

uint32_t zones_excess(const struct zones *zones, const uint64_t of[MESSAGE_SPREADS_MAX])
{
	uint32_t sum = 0;

	for (size_t i = 0; i < zones->spread_count; i++)
		if (!zones->spreads[i].required)
			sum += excess(zones, i, of[i]);
	return sum;
}

uint32_t zones_crowd(const struct zones *zones, const uint64_t of[MESSAGE_SPREADS_MAX])
{
	uint32_t sum = 0;

	for (size_t i = 0; i < zones->spread_count; i++) {
		const struct zones_bucket *bucket = bucket_of(zones, i, of[i]);

		sum += bucket ? bucket->count : 0;
	}
	return sum;
}
