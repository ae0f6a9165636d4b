/* SPDX-License-Identifier: Apache-2.0 */
/* Probes of the lookup. */
#include <stdlib.h>

#include "base/mem.h"
#include "metrics_state.h"
#include "overlay/kad.h"

static struct bytes lookup_key(size_t machine, uint64_t token, uint64_t space[2])
{
	space[0] = machine;
	space[1] = token;
	return bytes_of(space, 2 * sizeof(*space));
}

void metrics_lookup(struct world *world, size_t from, size_t to)
{
	struct sim_machine *machine = &world->machines[from];
	const struct sim_machine *target = &world->machines[to];
	struct digest position = kad_position(&target->id);
	struct metrics_lookup *lookup = mem_new(struct metrics_lookup);
	uint64_t space[2], token = 0;
	int refused;

	metrics_work_ends(world);
	*lookup = (struct metrics_lookup){
		.target = to,
		.process = target->process,
		.from_process = machine->process,
		.begin_us = world->now_us,
	};
	machine_call(machine, refused = node_find(machine->node, machine_now(world, machine),
						  &position, false, &token));
	if (refused) {
		world->metrics->lookups_ended++; /* too many at a time: it has failed */
		free(lookup);
		return;
	}
	free(map_put(&world->metrics->lookups, lookup_key(from, token, space), lookup));
	machine_pump(world, machine);
}

void metrics_found(struct world *world, const struct sim_machine *machine,
		   const struct node_effect *effect)
{
	struct metrics *metrics = world->metrics;
	uint64_t space[2];
	struct metrics_lookup *lookup =
		map_remove(&metrics->lookups, lookup_key(machine->index, effect->token, space));
	const struct sim_machine *target;

	if (!lookup)
		return;
	target = &world->machines[lookup->target];
	if (target->node && target->process == lookup->process) {
		metrics->lookups_ended++;
		metrics->lookups_found += effect->contact_count > 0 &&
					  node_id_equal(&effect->contacts[0].id, &target->id);
		samples_add(&metrics->lookup_time, world->now_us - lookup->begin_us);
		samples_add(&metrics->lookup_hops, effect->hops);
	}
	free(lookup);
}
