/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Score descending, machine id ascending, distinct machines first, then copies, evenly.
 *
 * The rule is one comparison, applied slot by slot: among the machines with room left, the one with
 * the fewest replicas of this workload (those it runs already and those it won so far), then the
 * higher score, then the smaller machine id. Fewest first is what spreads distinct machines before
 * copies and copies evenly; counting resident replicas extends that across tenders. Ids differ, so
 * the order is total and does not depend on the order in which bids came in. Integers only.
 */
#include "market/decide.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

/* True if @a, with @a_won slots so far, is to be preferred to @b. */
static bool is_better(const struct decide_candidate *a, uint32_t a_won,
		      const struct decide_candidate *b, uint32_t b_won)
{
	uint32_t a_load = a_won;
	uint32_t b_load = b_won;

	a_load += a->resident < DECIDE_RESIDENT_MAX ? a->resident : DECIDE_RESIDENT_MAX;
	b_load += b->resident < DECIDE_RESIDENT_MAX ? b->resident : DECIDE_RESIDENT_MAX;
	if (a_load != b_load)
		return a_load < b_load;
	if (a->score != b->score)
		return a->score > b->score;
	return node_id_compare(&a->node, &b->node) < 0;
}

static size_t best_candidate(const struct decide_candidate *candidates, size_t count,
			     const uint32_t *won)
{
	size_t best = DECIDE_NONE;

	for (size_t i = 0; i < count; i++) {
		if (won[i] >= candidates[i].copies)
			continue;
		if (best == DECIDE_NONE ||
		    is_better(&candidates[i], won[i], &candidates[best], won[best]))
			best = i;
	}
	return best;
}

size_t decide_winners(const struct decide_candidate *candidates, size_t count, size_t slot_count,
		      size_t *ret_winners)
{
	uint32_t *won = mem_alloc(count, sizeof(*won));
	size_t placed = 0;

	for (size_t i = 0; i < slot_count; i++) {
		ret_winners[i] = best_candidate(candidates, count, won);
		if (ret_winners[i] == DECIDE_NONE)
			continue;
		won[ret_winners[i]]++;
		placed++;
	}
	free(won);
	assert(placed <= slot_count);
	return placed;
}
