/* SPDX-License-Identifier: Apache-2.0 */
#include "repair.h"

#include <stdlib.h>

#include "base/mem.h"
#include "checker.h"

static void loss_add(struct world *world, const struct sim_pod *pod)
{
	struct repairs *repairs = &world->repairs;

	if (repairs->count == repairs->cap) {
		repairs->cap = repairs->cap ? 2 * repairs->cap : 64;
		repairs->losses =
			mem_resize(repairs->losses, repairs->cap, sizeof(*repairs->losses));
	}
	repairs->losses[repairs->count++] = (struct repair_loss){
		.workload = pod->workload,
		.slot = pod->slot,
		.lost_us = world->now_us,
	};
}

void repair_lost(struct world *world, size_t machine)
{
	list_for_each (it, &world->machines[machine].pods) {
		const struct sim_pod *pod = list_entry(it, struct sim_pod, on_machine);

		if (host_is_alive(pod) && pod->workload != SIM_ANY)
			loss_add(world, pod);
	}
}

static struct repair_loss *find_open(struct world *world, const struct sim_pod *pod)
{
	for (size_t i = world->repairs.count; i-- > 0;) {
		struct repair_loss *loss = &world->repairs.losses[i];

		if (!loss->repaired_us && loss->workload == pod->workload &&
		    loss->slot == pod->slot)
			return loss;
	}
	return NULL;
}

void repair_pod_begins(struct world *world, const struct sim_pod *pod)
{
	struct repair_loss *loss = find_open(world, pod);

	if (loss)
		loss->begun++;
}

void repair_pod_runs(struct world *world, const struct sim_pod *pod)
{
	struct repair_loss *loss = find_open(world, pod);

	if (loss)
		loss->repaired_us = world->now_us;
}

size_t repair_open(const struct world *world)
{
	size_t open = 0;

	for (size_t i = 0; i < world->repairs.count; i++)
		open += !world->repairs.losses[i].repaired_us;
	return open;
}

static int time_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

void repair_times(const struct world *world, int64_t *ret_p99_us, int64_t *ret_max_us)
{
	const struct repairs *repairs = &world->repairs;
	int64_t *took = mem_alloc(repairs->count + 1, sizeof(*took));
	size_t count = 0;

	for (size_t i = 0; i < repairs->count; i++)
		if (repairs->losses[i].repaired_us)
			took[count++] = repairs->losses[i].repaired_us - repairs->losses[i].lost_us;
	qsort(took, count, sizeof(*took), time_compare);
	*ret_p99_us = count ? took[(count - 1) * 99 / 100] : 0;
	*ret_max_us = count ? took[count - 1] : 0;
	free(took);
}
