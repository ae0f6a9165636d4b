/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair: replicas that were lost with their machines, and what became of each.
 *
 * A loss is noted when a machine loses power, for each of its pods that was alive. It is repaired
 * when another pod of that slot runs. A scenario loses machines in phases; each is summed up and
 * then forgotten.
 *
 * The JSON object "repair" (null where no phase has ended), durations in milliseconds:
 *
 *   started_while_slow   pods started while machines were slow and none was lost
 *   single, third        the phases: machines one by one, a third of all at once; of each
 *     lost, replaced     replicas; of them, those that run again
 *     started            pods that were started in their place
 *     p50, p99, max      from the loss of power to another pod of the slot running
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct world;
struct sim_pod;

/* A replica that was lost. */
struct repair_loss {
	size_t workload;
	uint32_t slot;
	uint32_t begun;               /* pods that were started in its place */
	int64_t lost_us, repaired_us; /* the latter 0: not yet */
};

enum repair_phase {
	REPAIR_SINGLE,
	REPAIR_THIRD,
	REPAIR_PHASE_COUNT,
};

struct repair_figures {
	uint64_t lost, replaced, started;
	int64_t p50_us, p99_us, max_us;
};

struct repairs {
	struct repair_loss *losses; /* of this phase */
	size_t count, cap;
	struct repair_figures phases[REPAIR_PHASE_COUNT]; /* that have ended */
	uint64_t started_while_slow;
	bool measured;
};

/* @machine is about to lose its power; for good, as far as the others know. */
void repair_lost(struct world *world, size_t machine);

void repair_pod_begins(struct world *world, const struct sim_pod *pod);
void repair_pod_runs(struct world *world, const struct sim_pod *pod);

/* What became of the replicas lost in this phase. */
void repair_sum(const struct world *world, struct repair_figures *ret_figures);
/* The losses so far are those of @phase, and it is over. */
void repair_phase_end(struct world *world, enum repair_phase phase);

void repair_json(const struct world *world, struct buf *out);
/* The same for people; nothing without a phase. */
void repair_text(const struct world *world, struct buf *out);
