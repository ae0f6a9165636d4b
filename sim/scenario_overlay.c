/* SPDX-License-Identifier: Apache-2.0 */
/* Large scenarios about the overlay. */
#include "checker.h"
#include "metrics.h"
#include "scenario_large.h"
#include "steps.h"

static const double lookups_min = 0.999;

enum {
	IDLE_MS = 60 * 1000,
	PROBE_SPACING_MS = 1000,
	WARM_BROADCASTS = 4,
	QUIET_MS = 60 * 1000,  /* after trouble: liveness, redials and replacements are done */
	MERGE_MS = 120 * 1000, /* halves that were apart are one again */
	MET_MS = SIM_GRACE_MS, /* by then so many have met that each finds every other */
	FIRST_MS = 5000,
	REDUNDANCY_MAX = 2, /* payloads too many for each machine; after a disaster trees are new */
	MACHINES_PER_OWNER = 50,
	DETECT_MS = 10 * 1000,  /* from a loss to the verdict of 99 % of the neighbours */
	DETECT_STALL_MS = 3000, /* where machines are starved like this */
	DETECT_LOSSES = 50,     /* fewer have too few neighbours for a percentile */
};

/* Machines come and go; lookups and broadcasts go on meanwhile, and what owners want runs at the
 * end. */
void large_churn(struct world *world)
{
	int64_t at_ms = steps_begin(world);
	int64_t busy_ms = world->params.duration_s * MS_PER_S;

	steps_work(world, at_ms, FIRST_MS);
	at_ms += 2 * FIRST_MS;
	steps_churn(world, at_ms, at_ms + busy_ms);
	steps_lookups(world, at_ms, busy_ms);
	at_ms += busy_ms + QUIET_MS;
	steps_expect_formed(world, at_ms);
	steps_broadcasts(world, at_ms, PROBE_SPACING_MS, WARM_BROADCASTS);
	world->distinct = false;
}

static void cut(struct world *world, uint64_t argument)
{
	(void)argument;
	world_partition(world, world->machine_count / 2);
}

static void heal(struct world *world, uint64_t argument)
{
	(void)argument;
	world_heal(world);
}

void large_partition(struct world *world)
{
	int64_t at_ms = steps_begin(world);
	int64_t apart_ms = world->params.duration_s * MS_PER_S;

	steps_work(world, at_ms, FIRST_MS);
	at_ms += 2 * FIRST_MS;
	world_action(world, at_ms, cut, 0);
	at_ms += apart_ms;
	world_action(world, at_ms, heal, 0);
	steps_lookups(world, at_ms + MET_MS, MERGE_MS - MET_MS);
	at_ms += MERGE_MS;
	steps_expect_formed(world, at_ms);
	steps_broadcasts(world, at_ms, PROBE_SPACING_MS, WARM_BROADCASTS);
	world->distinct = false;
}

static void vanish(struct world *world, uint64_t machine)
{
	world_power_off(world, machine);
}

/* Half of the machines within one second, no owner among them. Broadcasts begin right after: what
 * is counted are those from two heartbeats on. */
void large_mass_failure(struct world *world)
{
	int64_t at_ms = steps_begin(world);

	steps_work(world, at_ms, FIRST_MS);
	at_ms += 4 * FIRST_MS;
	for (size_t i = 0; i < world->machine_count; i++)
		if (world_random(world, 2) && !steps_is_owner(world, i))
			world_action(world, at_ms + (int64_t)world_random(world, MS_PER_S), vanish,
				     i);
	at_ms += MS_PER_S;
	steps_broadcasts(world, at_ms, PROBE_SPACING_MS, 2);
	steps_expect_formed(world, at_ms + MERGE_MS);
	world->distinct = false;
}

static void boot(struct world *world, uint64_t machine)
{
	world_boot(world, machine, true);
}

/* All of them come within params.settle_s. */
void large_join_storm(struct world *world)
{
	uint64_t storm_ms = (uint64_t)world->params.settle_s * MS_PER_S;
	int64_t at_ms = (int64_t)storm_ms + world->params.duration_s * MS_PER_S;

	steps_default_owners(world, MACHINES_PER_OWNER);
	for (size_t i = 0; i < world->machine_count; i++)
		world_action(world, (int64_t)world_random(world, storm_ms), boot, i);
	steps_expect_formed(world, at_ms);
	steps_work(world, at_ms, FIRST_MS);
	at_ms += 2 * FIRST_MS;
	steps_expect_placed(world, at_ms);
	steps_broadcasts(world, at_ms, PROBE_SPACING_MS, WARM_BROADCASTS);
	steps_lookups(world, at_ms, STEPS_PROBE_MS);
}

void large_slow_observers(struct world *world)
{
	int64_t at_ms = steps_begin(world);
	int64_t busy_ms = world->params.duration_s * MS_PER_S;

	steps_starve(world, at_ms, at_ms + busy_ms);
	if (world->params.broken)
		steps_break_ways(world, at_ms, at_ms + busy_ms);
	steps_losses(world, at_ms + QUIET_MS, busy_ms - 2 * QUIET_MS);
}

void large_probes_end(struct world *world)
{
	struct metrics_figures figures;

	metrics_read(world, &figures);
	if (figures.broadcasts && figures.broadcast_delivered < 1)
		world_violate(world, NULL, "broadcasts reached %.4f %% of the machines",
			      100 * figures.broadcast_delivered);
	if (figures.broadcasts && figures.broadcast_redundancy > REDUNDANCY_MAX)
		world_violate(world, NULL, "broadcasts came %.2f times too often",
			      figures.broadcast_redundancy);
	if (figures.lookups && figures.lookup_success < lookups_min)
		world_violate(world, NULL, "%.3f %% of the lookups found their machine",
			      100 * figures.lookup_success);
}

void large_detect_end(struct world *world)
{
	struct metrics_figures figures;

	metrics_read(world, &figures);
	if (figures.false_positives)
		world_violate(world, NULL, "%llu verdicts about machines that lived",
			      (unsigned long long)figures.false_positives);
	if (figures.losses < (uint64_t)world->params.lost)
		world_violate(world, NULL, "%llu of %lld lost machines were declared",
			      (unsigned long long)figures.losses, (long long)world->params.lost);
	if (figures.losses >= DETECT_LOSSES && world->params.stall_ms <= DETECT_STALL_MS &&
	    figures.detect_p99_us > DETECT_MS * US_PER_MS)
		world_violate(world, NULL, "lost machines were declared after %lld ms",
			      (long long)figures.detect_p99_us / US_PER_MS);
}
