/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines are lost, and what they ran is replaced elsewhere; the power goes everywhere, and each
 * machine starts again what it ran.
 */
#include "scenario_repair.h"

#include <stdlib.h>

#include "base/mem.h"
#include "checker.h"
#include "repair.h"
#include "service/directory.h"
#include "steps.h"

enum {
	PLACED_MS = 15 * 1000,        /* by then everything runs */
	SLOW_MS = 60 * 1000,          /* so long some machines are slow */
	APART_MS = 25 * 1000,         /* between two losses */
	REPAIRED_MS = 15 * 1000,      /* the promise: all but one in a hundred, in a room */
	REPAIRED_MANY_MS = 45 * 1000, /* all, after a third of the machines at once */
	TENDERS_PER_LOSS = 3,         /* that find a place, on average: more would be a storm */
	OFF_MS = 10 * 1000,
	ALONE_MS = 40 * 1000,       /* each by itself: less than NODE_REBOOT_MS */
	LONG_ALONE_MS = 150 * 1000, /* so long that each has replaced what it does not see */
	MISSED_MIN_MS = 1000,       /* beyond a heartbeat: DIRECTORY_MISSING_MS */
	REUSED = 4,                 /* names, */
	REUSES = 24,                /* given so often again while some hear nothing, */
	REUSE_MS = 700,             /* one after the other */
};

static uint64_t tenders_opened(const struct world *world)
{
	uint64_t opened = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].node)
			opened += node_counter(world->machines[i].node, NODE_COUNT_TENDERS_OPENED);
	return opened;
}

/* ---- replacement ---- */

static void note_started(struct world *world, uint64_t argument)
{
	(void)argument;
	world->noted_started = world->totals.pods_started;
	world->noted_tenders = tenders_opened(world);
}

static void expect_none_started(struct world *world, uint64_t argument)
{
	uint64_t started = world->totals.pods_started - world->noted_started;

	(void)argument;
	world->repairs.started_while_slow = started;
	if (started)
		world_violate(world, NULL, "%llu pods were replaced although no machine was lost",
			      (unsigned long long)started);
}

/* A pod whose agent misses that of another one. */
static const struct sim_pod *sibling_of(const struct world *world, const struct sim_pod *lost)
{
	for (size_t i = 0; i < world->pod_count; i++) {
		const struct sim_pod *pod = world->pods[i];

		if (uid_equal(&pod->object_uid, &lost->object_uid) && pod != lost &&
		    pod->state == SIM_POD_RUNNING && world->machines[pod->machine].node)
			return pod;
	}
	return NULL;
}

static void miss(struct world *world, uint64_t index)
{
	const struct sim_pod *lost = world->pods[index], *pod = sibling_of(world, lost);
	struct sim_machine *machine;

	if (!pod)
		return;
	machine = &world->machines[pod->machine];
	machine_call(machine, node_sibling_missing(machine->node, machine_now(world, machine),
						   &pod->uid, lost->presence.pod_name));
	machine_pump(world, machine);
}

/* The agents' own heartbeats are not in this simulation: their silence is noticed at any time of
 * what they take between two of them. */
static void siblings_notice(struct world *world, uint64_t machine)
{
	for (size_t i = 0; world->params.siblings && i < world->pod_count; i++)
		if (world->pods[i]->machine == machine && world->pods[i]->state == SIM_POD_RUNNING)
			world_action(world,
				     world->now_us / US_PER_MS + MISSED_MIN_MS +
					     (int64_t)world_random(world, SERVICE_HEARTBEAT_MS),
				     miss, i);
}

static void lose(struct world *world, uint64_t machine)
{
	siblings_notice(world, machine);
	repair_lost(world, machine);
	world_power_off(world, machine);
}

/* Every third machine, but no owner where records stay with their owners. */
static void lose_a_third(struct world *world, uint64_t argument)
{
	(void)argument;
	note_started(world, 0);
	for (size_t i = 0; i < world->machine_count; i++)
		if (i % 3 == 1 && world->machines[i].powered &&
		    !(world->params.stay && steps_is_owner(world, i)))
			lose(world, i);
}

static void lose_any(struct world *world, uint64_t argument)
{
	size_t machine;

	(void)argument;
	do
		machine = world_random(world, world->machine_count);
	while (!world->machines[machine].powered ||
	       (world->params.stay && steps_is_owner(world, machine)));
	lose(world, machine);
}

static void tell_unrepaired(struct world *world)
{
	for (size_t i = 0; i < world->repairs.count; i++) {
		const struct repair_loss *loss = &world->repairs.losses[i];

		if (!loss->repaired_us)
			world_tell(world, &world->workloads[loss->workload].uid,
				   "slot %u of %s was lost at %lld ms and is not replaced",
				   loss->slot, world->workloads[loss->workload].name,
				   (long long)(loss->lost_us / US_PER_MS));
	}
}

static void expect_repaired(struct world *world, uint64_t limit_ms)
{
	struct repair_figures figures;

	repair_sum(world, &figures);
	tell_unrepaired(world);
	world_tell(world, NULL, "%zu replicas were lost; 99 of 100 were replaced in %lld ms",
		   (size_t)figures.lost, (long long)(figures.p99_us / US_PER_MS));
	if (figures.replaced < figures.lost)
		world_violate(world, NULL, "%zu of %zu lost replicas were not replaced",
			      (size_t)(figures.lost - figures.replaced), (size_t)figures.lost);
	else if (figures.p99_us > (int64_t)limit_ms * US_PER_MS)
		world_violate(world, NULL, "replacing took %lld ms for one replica in a hundred",
			      (long long)(figures.p99_us / US_PER_MS));
}

static void expect_no_storm(struct world *world, uint64_t argument)
{
	uint64_t losses = world->repairs.count;
	uint64_t started = world->totals.pods_started - world->noted_started;

	(void)argument;
	for (size_t i = 0; i < world->repairs.count; i++)
		if (world->repairs.losses[i].begun > 1)
			world_violate(world, NULL, "slot %u of %s was replaced %u times",
				      world->repairs.losses[i].slot,
				      world->workloads[world->repairs.losses[i].workload].name,
				      world->repairs.losses[i].begun);
	if (started > losses)
		world_violate(world, NULL, "%llu pods were started for %llu that were lost",
			      (unsigned long long)started, (unsigned long long)losses);
	if (tenders_opened(world) > world->noted_tenders + TENDERS_PER_LOSS * losses)
		world_violate(world, NULL, "%llu tenders for %llu lost replicas",
			      (unsigned long long)(tenders_opened(world) - world->noted_tenders),
			      (unsigned long long)losses);
}

static void end_phase(struct world *world, uint64_t phase)
{
	repair_phase_end(world, (enum repair_phase)phase);
}

void repair_scenario(struct world *world)
{
	int64_t at_ms = steps_begin(world);

	world->distinct = false;
	steps_work(world, at_ms, PLACED_MS / 3);
	at_ms += PLACED_MS;
	steps_expect_placed(world, at_ms);
	world_action(world, at_ms, note_started, 0);
	steps_starve(world, at_ms, at_ms + SLOW_MS);
	at_ms += SLOW_MS + OFF_MS;
	world_action(world, at_ms, expect_none_started, 0);
	for (int64_t i = 0; i < world->params.lost; i++, at_ms += APART_MS)
		world_action(world, at_ms, lose_any, 0);
	world_action(world, at_ms, expect_repaired, REPAIRED_MS);
	world_action(world, at_ms + 1, end_phase, REPAIR_SINGLE);
	world_action(world, at_ms + 2, lose_a_third, 0);
	world_action(world, at_ms + REPAIRED_MANY_MS, expect_repaired, REPAIRED_MANY_MS);
	world_action(world, at_ms + REPAIRED_MANY_MS, expect_no_storm, 0);
	world_action(world, at_ms + REPAIRED_MANY_MS + 1, end_phase, REPAIR_THIRD);
}

/* ---- the power is gone everywhere ---- */

static void note_pods(struct world *world, uint64_t argument)
{
	(void)argument;
	world->noted_started = world->totals.pods_started;
	world->noted_stopped = world->totals.pods_stopped;
	for (size_t i = 0; i < world->pod_count; i++)
		world->pods[i]->noted = world->pods[i]->state == SIM_POD_RUNNING;
}

static void all_off(struct world *world, uint64_t argument)
{
	note_pods(world, argument);
	for (size_t i = 0; i < world->machine_count; i++)
		world_power_off(world, i);
}

/* Without a network between them. Every third one believes that it is 1970. */
static void all_on_alone(struct world *world, uint64_t argument)
{
	(void)argument;
	world_isolate(world);
	for (size_t i = 0; i < world->machine_count; i++) {
		if (i % 3 == 0)
			world_clock_jump(world, i, -machine_system(world, &world->machines[i]).ms);
		world_power_on(world, i, true);
	}
}

static void expect_noted(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t i = 0; i < world->pod_count; i++) {
		const struct sim_pod *pod = world->pods[i];

		if (pod->noted && pod->state != SIM_POD_RUNNING)
			world_violate(world, &pod->object_uid, "%s does not run slot %u again",
				      world->machines[pod->machine].name, pod->slot);
	}
}

static void expect_untouched(struct world *world, uint64_t argument)
{
	expect_noted(world, argument);
	if (world->totals.pods_started != world->noted_started)
		world_violate(
			world, NULL, "%llu pods were placed anew after the power cut",
			(unsigned long long)(world->totals.pods_started - world->noted_started));
	if (world->totals.pods_stopped != world->noted_stopped)
		world_violate(
			world, NULL, "%llu pods were stopped after the power cut",
			(unsigned long long)(world->totals.pods_stopped - world->noted_stopped));
}

static void heal(struct world *world, uint64_t argument)
{
	(void)argument;
	world_heal(world);
}

static void apply(struct world *world, uint64_t replicas)
{
	(void)world_apply(world, (uint32_t)replicas, 100);
}

static void delete (struct world *world, uint64_t workload)
{
	world_delete(world, workload);
}

static int64_t begin_power(struct world *world)
{
	int64_t at_ms = 5000;

	world_boot_all(world);
	world->distinct = false;
	for (uint64_t i = 0; i < 6; i++)
		world_action(world, at_ms + 50 * (int64_t)i, apply, i); /* the first without pods */
	world_action(world, at_ms + PLACED_MS, delete, 3);
	return at_ms + 2 * PLACED_MS + NODE_VOUCH_MS;
}

void power_scenario(struct world *world)
{
	int64_t at_ms = begin_power(world);

	world_action(world, at_ms, all_off, 0);
	at_ms += OFF_MS;
	world_action(world, at_ms, all_on_alone, 0);
	world_action(world, at_ms + NODE_KEPT_MS + MS_PER_S * 3, expect_untouched, 0);
	at_ms += ALONE_MS;
	world_action(world, at_ms, expect_untouched, 0);
	world_action(world, at_ms, heal, 0);
	world_action(world, at_ms + SIM_GRACE_MS, expect_untouched, 0);
	world_action(world, at_ms + SIM_GRACE_MS, steps_expect_objects, 0);
}

/* Each has placed what it missed; when they meet, what was there before stays. */
void power_long_scenario(struct world *world)
{
	int64_t at_ms = begin_power(world);

	world_action(world, at_ms, all_off, 0);
	at_ms += OFF_MS;
	world_action(world, at_ms, all_on_alone, 0);
	at_ms += LONG_ALONE_MS;
	world_action(world, at_ms, expect_noted, 0);
	world_action(world, at_ms, heal, 0);
	world_action(world, at_ms + 2 * SIM_GRACE_MS, expect_noted, 0);
	world_action(world, at_ms + 2 * SIM_GRACE_MS, steps_expect_objects, 0);
}

/* ---- names are given again ---- */

/* The one that has had its name for the longest time, by a machine of the second side. */
static void give_again(struct world *world, uint64_t first_of_side)
{
	size_t machine;

	do
		machine = first_of_side + world_random(world, world->machine_count - first_of_side);
	while (!world->machines[machine].steward || !world->machines[machine].node);
	(void)world_give_again(world, world->workload_count - REUSED, machine);
}

static void cut(struct world *world, uint64_t first_of_side)
{
	world_partition(world, first_of_side);
}

/* Deleted and made again, over and over, while others hear nothing of it: when they do, the last of
 * each name is there, and none of the deletions before has ended it. */
void reuse_scenario(struct world *world)
{
	uint64_t half = world->machine_count / 2;
	int64_t at_ms = 5000;

	world_boot_all(world);
	world->distinct = false;
	for (int64_t i = 0; i < REUSED; i++)
		world_action(world, at_ms + 50 * i, apply, 3);
	at_ms += PLACED_MS;
	world_action(world, at_ms, cut, half);
	at_ms += SIM_GRACE_MS;
	for (int64_t i = 0; i < REUSES; i++)
		world_action(world, at_ms + REUSE_MS * i, give_again, half);
	at_ms += REUSE_MS * REUSES;
	world_action(world, at_ms, heal, 0);
	/* And again when they have heard of it. */
	at_ms += 4 * SIM_GRACE_MS;
	for (int64_t i = 0; i < REUSED; i++)
		world_action(world, at_ms + REUSE_MS * i, give_again, 0);
	at_ms += REUSE_MS * REUSED + PLACED_MS;
	world_action(world, at_ms, steps_expect_objects, 0);
}
