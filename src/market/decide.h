/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decide: which machines win the slots of a tender. A pure function of the bids: the same bids in
 * any order give the same winners on every machine.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "market/zones.h"

enum {
	DECIDE_RESIDENT_MAX = 100000, /* a machine's claim beyond this is read as this */
};

#define DECIDE_NONE SIZE_MAX

struct decide_candidate {
	struct node_id node; /* distinct among the candidates */
	int32_t score;
	uint32_t copies;   /* how many slots it could take */
	uint32_t resident; /* replicas of the workload that it runs already */
	uint64_t zones[MESSAGE_SPREADS_MAX];
};

/*
 * Name a candidate for each of @slot_count slots: ret_winners[i] is an index into @candidates, or
 * DECIDE_NONE from the first slot on for which nobody has room. Returns the number of slots won.
 * @zones (NULL: nothing is spread over zones) counts the winners in.
 */
size_t decide_winners(const struct decide_candidate *candidates, size_t count, struct zones *zones,
		      size_t slot_count, size_t *ret_winners);
