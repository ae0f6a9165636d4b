/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Score descending, machine id ascending, distinct machines first, then copies, evenly.
 *
 * The rule is one comparison, applied slot by slot: among the machines with room left, the one with
 * the fewest replicas of this workload (those it runs already and those it won so far), then the
 * higher score, then the smaller machine id. Fewest first is what spreads distinct machines before
 * copies and copies evenly; counting resident replicas extends that across tenders. Ids differ, so
 * the order is total and does not depend on the order in which bids came in. Integers only.
 *
 * Spreading over zones: a machine whose zone is full by what is required has no room, one whose
 * zone is fuller than preferred comes last; of equally loaded machines the one in the emptier zone
 * comes first. Both change with every slot that is won.
 */
#include "market/decide.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

/* What is compared, in this order; fewer is better but for the score. */
struct rank {
	uint32_t excess, load, crowd;
	int32_t score;
	const struct node_id *node;
};

static struct rank rank_of(const struct decide_candidate *candidate, uint32_t won,
			   const struct zones *zones)
{
	uint32_t resident = candidate->resident < DECIDE_RESIDENT_MAX ? candidate->resident
								      : DECIDE_RESIDENT_MAX;

	return (struct rank){
		.excess = zones ? zones_excess(zones, candidate->zones) : 0,
		.load = resident + won,
		.crowd = zones ? zones_crowd(zones, candidate->zones) : 0,
		.score = candidate->score,
		.node = &candidate->node,
	};
}

static bool is_better(const struct rank *a, const struct rank *b)
{
	if (a->excess != b->excess)
		return a->excess < b->excess;
	if (a->load != b->load)
		return a->load < b->load;
	if (a->crowd != b->crowd)
		return a->crowd < b->crowd;
	if (a->score != b->score)
		return a->score > b->score;
	return node_id_compare(a->node, b->node) < 0;
}

static size_t best_candidate(const struct decide_candidate *candidates, size_t count,
			     const struct zones *zones, const uint32_t *won)
{
	size_t best = DECIDE_NONE;
	struct rank best_rank = {0};

	for (size_t i = 0; i < count; i++) {
		struct rank rank;

		if (won[i] >= candidates[i].copies ||
		    (zones && !zones_allow(zones, candidates[i].zones)))
			continue;
		rank = rank_of(&candidates[i], won[i], zones);
		if (best != DECIDE_NONE && !is_better(&rank, &best_rank))
			continue;
		best = i;
		best_rank = rank;
	}
	return best;
}

size_t decide_winners(const struct decide_candidate *candidates, size_t count, struct zones *zones,
		      size_t slot_count, size_t *ret_winners)
{
	uint32_t *won = mem_alloc(count, sizeof(*won));
	size_t placed = 0;

	for (size_t i = 0; i < slot_count; i++) {
		ret_winners[i] = best_candidate(candidates, count, zones, won);
		if (ret_winners[i] == DECIDE_NONE)
			continue;
		won[ret_winners[i]]++;
		if (zones)
			zones_add(zones, candidates[ret_winners[i]].zones);
		placed++;
	}
	free(won);
	assert(placed <= slot_count);
	return placed;
}
