/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair: replicas that were lost with their machines, and what became of each.
 *
 * A loss is noted when a machine loses power, for each of its pods that was alive. It is repaired
 * when another pod of that slot runs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct world;
struct sim_pod;

/* A replica that was lost. */
struct repair_loss {
	size_t workload;
	uint32_t slot;
	uint32_t begun;               /* pods that were started in its place */
	int64_t lost_us, repaired_us; /* the latter 0: not yet */
};

struct repairs {
	struct repair_loss *losses;
	size_t count, cap;
};

/* @machine is about to lose its power; for good, as far as the others know. */
void repair_lost(struct world *world, size_t machine);

void repair_pod_begins(struct world *world, const struct sim_pod *pod);
void repair_pod_runs(struct world *world, const struct sim_pod *pod);

/* Replicas lost so far that are not repaired yet. */
size_t repair_open(const struct world *world);

/* How long the slowest but one in a hundred took, and the slowest. */
void repair_times(const struct world *world, int64_t *ret_p99_us, int64_t *ret_max_us);
