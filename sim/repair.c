/* SPDX-License-Identifier: Apache-2.0 */
#include "repair.h"

#include <inttypes.h>
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

static int time_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

void repair_sum(const struct world *world, struct repair_figures *ret_figures)
{
	const struct repairs *repairs = &world->repairs;
	int64_t *took = mem_alloc(repairs->count + 1, sizeof(*took));
	size_t count = 0;

	*ret_figures = (struct repair_figures){.lost = repairs->count};
	for (size_t i = 0; i < repairs->count; i++) {
		const struct repair_loss *loss = &repairs->losses[i];

		ret_figures->started += loss->begun;
		if (loss->repaired_us)
			took[count++] = loss->repaired_us - loss->lost_us;
	}
	ret_figures->replaced = count;
	if (count) {
		qsort(took, count, sizeof(*took), time_compare);
		ret_figures->p50_us = took[(count - 1) / 2];
		ret_figures->p99_us = took[(count - 1) * 99 / 100];
		ret_figures->max_us = took[count - 1];
	}
	free(took);
}

void repair_phase_end(struct world *world, enum repair_phase phase)
{
	repair_sum(world, &world->repairs.phases[phase]);
	world->repairs.count = 0;
	world->repairs.measured = true;
}

/* ---- written down ---- */

static const char *const phase_names[] = {
	[REPAIR_SINGLE] = "single",
	[REPAIR_THIRD] = "third",
};

void repair_json(const struct world *world, struct buf *out)
{
	if (!world->repairs.measured) {
		buf_append_str(out, "\"repair\":null,");
		return;
	}
	buf_append_format(out, "\"repair\":{\"started_while_slow\":%" PRIu64,
			  world->repairs.started_while_slow);
	for (size_t i = 0; i < REPAIR_PHASE_COUNT; i++) {
		const struct repair_figures *phase = &world->repairs.phases[i];

		buf_append_format(
			out,
			",\"%s\":{\"lost\":%" PRIu64 ",\"replaced\":%" PRIu64
			",\"started\":%" PRIu64 ",\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}",
			phase_names[i], phase->lost, phase->replaced, phase->started,
			(double)phase->p50_us / US_PER_MS, (double)phase->p99_us / US_PER_MS,
			(double)phase->max_us / US_PER_MS);
	}
	buf_append_str(out, "},");
}

void repair_text(const struct world *world, struct buf *out)
{
	static const char *const losses[] = {
		[REPAIR_SINGLE] = "one machine after the other",
		[REPAIR_THIRD] = "a third at once",
	};

	for (size_t i = 0; world->repairs.measured && i < REPAIR_PHASE_COUNT; i++) {
		const struct repair_figures *phase = &world->repairs.phases[i];

		buf_append_format(
			out,
			"  %s: %" PRIu64 " replicas lost, %" PRIu64 " replaced by %" PRIu64
			" pods, within %.0f ms (p50), %.0f ms (p99), %.0f ms (max)\n",
			losses[i], phase->lost, phase->replaced, phase->started,
			(double)phase->p50_us / US_PER_MS, (double)phase->p99_us / US_PER_MS,
			(double)phase->max_us / US_PER_MS);
	}
}
