/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quality: the market against an oracle.
 *
 * The oracle keeps books of its own about the same machines. Whenever the market has accepted a
 * replica, the oracle places one of the same size on the machine that would have won if all had
 * bid, by its own books. Both get the score of market/score.h for what they have chosen: images and
 * reliability are equal everywhere, the round-trip time counts as unknown for both, so the score
 * differs in the resource part alone. Since that part weighs 4 of 10, it is reported on its own
 * too.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "market/score.h"
#include "metrics_state.h"

enum {
	FIT_MAX = 1000,
};

void metrics_judge_quality(struct world *world)
{
	struct metrics *metrics = world->metrics;

	metrics->judging = true;
	metrics->oracle_free = mem_alloc(world->machine_count, sizeof(*metrics->oracle_free));
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].schedulable)
			metrics->oracle_free[i] = world->machines[i].cpu_milli;
}

static uint32_t score_of(int64_t fit)
{
	struct bid bid = {
		.copies = 1,
		.fit = (uint32_t)(fit > 0 ? fit : 0),
		.reliability = FIT_MAX,
	};

	return (uint32_t)score_bid(&bid, 0, 0); /* nothing is preferred: never below 0 */
}

static void oracle_place(struct world *world, int64_t cpu_milli)
{
	struct metrics *metrics = world->metrics;
	int64_t best_fit = -1;
	size_t best = 0;

	for (size_t i = 0; i < world->machine_count; i++) {
		int64_t left = metrics->oracle_free[i] - cpu_milli;
		int64_t fit = left >= 0 ? FIT_MAX * left / world->machines[i].cpu_milli : -1;

		if (fit > best_fit) {
			best_fit = fit;
			best = i;
		}
	}
	if (best_fit < 0)
		return;
	metrics->oracle_free[best] -= cpu_milli;
	metrics->oracle_placed++;
	metrics->oracle_fit += (double)best_fit;
	metrics->oracle_score += score_of(best_fit);
}

void metrics_oracle_accepted(struct world *world, const struct sim_machine *machine,
			     int64_t cpu_milli)
{
	struct metrics *metrics = world->metrics;
	int64_t *used = &metrics->machines[machine->index].used_milli;
	int64_t fit;

	*used += cpu_milli;
	if (!metrics->judging)
		return;
	fit = FIT_MAX * (machine->cpu_milli - *used) / machine->cpu_milli;
	metrics->judged++;
	metrics->score_fit += (double)fit;
	metrics->score += score_of(fit);
	oracle_place(world, cpu_milli);
}
