/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, and the queue of what will happen. */
#include "archive.h"
#include "checker.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "family.h"
#include "liars.h"

enum {
	CHECK_MS = 1000,
	/* Beyond so many machines nobody reads who said what to whom, and telling it takes longer
	 * than doing it. */
	TOLD_PACKETS_MACHINES_MAX = 1024,
	/* Levels of the queue's heap: the next event, the next two after it, and so on. */
	LOOK_AHEAD_MACHINE = 3,
	LOOK_AHEAD_EVENT = 7,
	LOOK_AHEAD = 15,
};

uint64_t world_random(struct world *world, uint64_t below)
{
	return prng_below(&world->prng, below);
}

/* ---- events ---- */

/* An entry of the queue is an event, or the tick of a machine: its index, shifted, and one. */
static bool is_tick(uintptr_t what)
{
	return what & 1;
}

struct sim_event *world_event_new(struct world *world, enum sim_kind kind, size_t bytes)
{
	struct sim_event *event = pool_take(&world->pool, sizeof(*event) + bytes);

	*event = (struct sim_event){.kind = kind, .len = (uint32_t)bytes};
	return event;
}

void world_event_free(struct world *world, struct sim_event *event)
{
	if (event->kind == SIM_PERSISTED)
		free(event->persisted);
	pool_give(&world->pool, event, sizeof(*event) + event->len);
}

static void push(struct world *world, uintptr_t what, int64_t in_us)
{
	struct queue_entry entry = {world->now_us + in_us, world->order++, what};

	assert(in_us >= 0);
	queue_push(world->queue, &entry);
}

void world_schedule(struct world *world, struct sim_event *event, int64_t in_us)
{
	push(world, (uintptr_t)event, in_us);
}

void world_schedule_tick(struct world *world, const struct sim_machine *machine, int64_t in_us)
{
	push(world, ((uintptr_t)machine->index << 1) | 1, in_us);
}

struct sim_event *world_event(struct world *world, enum sim_kind kind, int64_t in_us)
{
	struct sim_event *event = world_event_new(world, kind, 0);

	world_schedule(world, event, in_us);
	return event;
}

void world_action(struct world *world, int64_t at_ms,
		  void (*action)(struct world *world, uint64_t argument), uint64_t argument)
{
	struct sim_event *event = world_event(world, SIM_ACTION, at_ms * US_PER_MS - world->now_us);

	event->action = action;
	event->argument = argument;
}

/* ---- the world ---- */

struct world *world_new(size_t machines, const struct params *params, uint64_t seed)
{
	struct world *world = mem_new(struct world);
	size_t stewards = params->stewards ? (size_t)params->stewards : machines;

	assert(machines > 0 && machines <= SIM_MACHINES_MAX);
	world->params = *params;
	world->seed = seed;
	world->prng = prng_seeded(seed);
	world->queue = queue_new();
	world->machine_count = machines;
	world->machines = mem_alloc(machines, sizeof(*world->machines));
	world->directory = sim_directory_new(machines);
	network_init(world);
	world->pod_start_ms_min = 20;
	world->pod_start_ms_max = 200;
	world->pod_stop_ms = 100;
	world->distinct = true;
	world->last_join_us = -1;
	world->tells_packets = machines <= TOLD_PACKETS_MACHINES_MAX;
	world->story = mem_alloc(SIM_STORY_MAX, sizeof(*world->story));
	world->metrics = metrics_new(machines);
	map_init(&world->workloads_by_uid, 1);
	map_init(&world->taken, 1);
	map_init(&world->envelopes, 1);
	map_init(&world->pods_by_uid, 1);
	for (size_t i = 0; i < machines; i++)
		machine_init(world, i, i < stewards);
	(void)world_event(world, SIM_CHECK, CHECK_MS * US_PER_MS);
	return world;
}

static void free_what_waits(struct world *world)
{
	struct queue_entry entry;

	while (queue_pop(world->queue, &entry)) {
		struct sim_event *event = (struct sim_event *)entry.what;

		if (!is_tick(entry.what) && event->kind != SIM_DIALLED)
			world_event_free(world, event);
	}
	queue_free(world->queue);
}

void world_free(struct world *world)
{
	liars_free(world);
	for (size_t i = 0; i < world->machine_count; i++)
		machine_deinit(&world->machines[i]);
	map_deinit(&world->envelopes);
	free_what_waits(world);
	free(world->repairs.losses);
	pool_deinit(&world->pool);
	for (size_t i = 0; i < SIM_STORY_MAX; i++)
		free(world->story[i].text);
	host_free(world);
	network_deinit(world);
	map_deinit(&world->pods_by_uid);
	sim_directory_free(world->directory);
	for (size_t i = 0; i < world->workload_count; i++)
		free(world->workloads[i].slots);
	map_deinit(&world->workloads_by_uid);
	map_deinit(&world->taken);
	metrics_free(world->metrics);
	archive_free(world->archive);
	families_free(world);
	free(world->workloads);
	free(world->machines);
	free(world->story);
	free(world);
}

/* ---- time ---- */

static bool is_of_this_process(const struct world *world, const struct sim_event *event)
{
	const struct sim_machine *machine = &world->machines[event->to];

	return machine->node && machine->process == event->process;
}

/* All kinds but ticks. Those that keep their event say so by returning false. */
static bool happen(struct world *world, struct sim_event *event)
{
	struct sim_machine *machine = &world->machines[event->to];

	switch (event->kind) {
	case SIM_PACKET:
		return network_packet(world, event);
	case SIM_DIALLED:
		network_dialled(world, event);
		break;
	case SIM_ACCEPTED:
		network_accepted(world, event);
		break;
	case SIM_RESET:
		network_reset(world, event);
		break;
	case SIM_IDLE:
		network_idle(world, machine);
		break;
	case SIM_PERSISTED:
		if (is_of_this_process(world, event))
			machine_persisted(world, machine, event->persisted);
		break;
	case SIM_POD:
		host_pod_event(world, event->pod);
		break;
	case SIM_ACTION:
		event->action(world, event->argument);
		break;
	case SIM_CHECK:
		checker_periodic(world);
		metrics_periodic(world);
		(void)world_event(world, SIM_CHECK, CHECK_MS * US_PER_MS);
		break;
	}
	return true;
}

/* What a daemon does itself waits while it is starved; the order of all stays. */
static bool waits_for_processor(const struct world *world, const struct queue_entry *entry)
{
	const struct sim_event *event = (const struct sim_event *)entry->what;

	if (is_tick(entry->what))
		return world->machines[entry->what >> 1].stalled_until_us > world->now_us;
	if (event->kind != SIM_PACKET && event->kind != SIM_DIALLED &&
	    event->kind != SIM_ACCEPTED && event->kind != SIM_RESET && event->kind != SIM_PERSISTED)
		return false;
	return world->machines[event->to].stalled_until_us > world->now_us;
}

static void put_off(struct world *world, struct queue_entry *entry)
{
	const struct sim_event *event = (const struct sim_event *)entry->what;
	struct sim_machine *machine =
		&world->machines[is_tick(entry->what) ? entry->what >> 1 : event->to];

	if (is_tick(entry->what)) {
		/* One tick is enough, whatever came due. */
		if (machine->tick_at_us != entry->at_us)
			return;
		machine->tick_at_us = machine->stalled_until_us;
	}
	entry->at_us = machine->stalled_until_us;
	queue_push(world->queue, entry);
}

void world_stall(struct world *world, size_t machine, int64_t us)
{
	struct sim_machine *stalled = &world->machines[machine];

	if (stalled->stalled_until_us < world->now_us)
		stalled->stalled_since_us = world->now_us;
	stalled->stalled_until_us = world->now_us + us;
}

/* What comes to a machine is computed first. Returns when that is done; now: nothing is to do. */
static int64_t computed_at(struct world *world, const struct sim_event *event)
{
	struct sim_machine *machine = &world->machines[event->to];

	if (event->computed)
		return world->now_us;
	switch (event->kind) {
	case SIM_PACKET:
		return processors_message(world, machine);
	case SIM_DIALLED:
	case SIM_ACCEPTED:
		return processors_handshake(world, machine, world->now_us);
	case SIM_RESET:
	case SIM_IDLE:
	case SIM_PERSISTED:
	case SIM_POD:
	case SIM_ACTION:
	case SIM_CHECK:
		break;
	}
	return world->now_us;
}

static void take(struct world *world, struct queue_entry *entry)
{
	struct sim_event *event = (struct sim_event *)entry->what;

	assert(entry->at_us >= world->now_us);
	world->now_us = entry->at_us;
	if (waits_for_processor(world, entry)) {
		put_off(world, entry);
		return;
	}
	if (is_tick(entry->what)) {
		machine_tick(world, &world->machines[entry->what >> 1]);
		return;
	}
	entry->at_us = computed_at(world, event);
	if (entry->at_us > world->now_us) {
		event->computed = true;
		queue_push(world->queue, entry);
		return;
	}
	world->totals.events++;
	if (happen(world, event))
		world_event_free(world, event);
}

static const struct sim_machine *machine_of(const struct world *world, uintptr_t what)
{
	return &world->machines[is_tick(what) ? what >> 1 : ((const struct sim_event *)what)->to];
}

/*
 * With very many machines nothing that an event needs is in the processor's cache, and each step
 * of the way there (event, machine, node, its parts) would be waited for. So the next events are
 * sent ahead of this one: the further away, the fewer steps.
 */
static void look_ahead(const struct world *world)
{
	const struct queue_entry *entry;

	for (size_t i = 0; i < LOOK_AHEAD && (entry = queue_soon(world->queue, i)) != NULL; i++) {
		if (i >= LOOK_AHEAD_EVENT) {
			if (!is_tick(entry->what))
				__builtin_prefetch((const void *)entry->what);
		} else if (i >= LOOK_AHEAD_MACHINE) {
			machine_expect(machine_of(world, entry->what));
		} else if (machine_of(world, entry->what)->node) {
			node_expect(machine_of(world, entry->what)->node, i == 0);
		}
	}
}

void world_run(struct world *world, int64_t until_ms)
{
	int64_t until_us = until_ms * US_PER_MS;
	struct queue_entry entry;

	while (!world->violation[0] && queue_peek(world->queue, &entry) &&
	       entry.at_us <= until_us) {
		(void)queue_pop(world->queue, &entry);
		look_ahead(world);
		take(world, &entry);
	}
	if (!world->violation[0])
		world->now_us = until_us;
}
