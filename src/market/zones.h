/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zones: how many replicas run under each value of the labels that a workload spreads over.
 *
 * A zone that nobody names does not exist: what is known of the fabric is what runs already and who
 * bids. A machine without the label stands outside of all zones.
 */
#pragma once

#include "market/market.h"

struct zones_bucket {
	size_t spread;
	uint64_t zone;
	uint32_t count;
};

struct zones {
	const struct spread *spreads;
	size_t spread_count;
	struct zones_bucket *buckets; /* by spread, then zone */
	size_t bucket_count;
	uint32_t least[MESSAGE_SPREADS_MAX]; /* the fewest replicas in any zone */
};

/* What runs already; @count is 0 for a zone that is only known to be there. */
void zones_init(struct zones *zones, const struct requirements *needs,
		const struct market_domain *domains, size_t domain_count);
void zones_deinit(struct zones *zones);

/* One more replica in these zones. Zones that no domain named are left out. */
void zones_add(struct zones *zones, const uint64_t of[MESSAGE_SPREADS_MAX]);

/* Would one more replica there keep what is required? */
bool zones_allow(const struct zones *zones, const uint64_t of[MESSAGE_SPREADS_MAX]);

/* How far one more replica there would go beyond what is preferred; 0: not at all. */
uint32_t zones_excess(const struct zones *zones, const uint64_t of[MESSAGE_SPREADS_MAX]);

/* Replicas in these zones, all spreads together. */
uint32_t zones_crowd(const struct zones *zones, const uint64_t of[MESSAGE_SPREADS_MAX]);
