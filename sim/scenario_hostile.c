/* SPDX-License-Identifier: Apache-2.0 */
/* Large scenarios in which much goes wrong at once, or on purpose. */
#include "liars.h"
#include "scenario_large.h"
#include "steps.h"

enum {
	PROBE_SPACING_MS = 1000,
	WARM_BROADCASTS = 4,
	MACHINES_PER_OWNER = 10,
	CALM_MS = 60 * 1000,
	FIRST_MS = 5000,
	TURN_MS = 60 * 1000,
	APART_MS = 20 * 1000,         /* longer than a verdict takes */
	CLAIMED_AFTER_MS = 15 * 1000, /* by then everything runs */
	CLAIMS_APART_MS = 40 * 1000,  /* more than a loss takes to be repaired */
	CLOCK_JUMP_MS_MAX = 10 * 60 * 1000,
};

void large_byzantine(struct world *world)
{
	int64_t at_ms, busy_ms = world->params.duration_s * MS_PER_S;

	steps_default_owners(world, MACHINES_PER_OWNER);
	liars_choose(world, (size_t)world->params.liars);
	world->watches_replays = true;
	world->distinct = false;
	at_ms = steps_begin(world);
	liars_act(world, at_ms, at_ms + busy_ms);
	steps_work(world, at_ms, busy_ms / 2);
	steps_expect_placed(world, at_ms + busy_ms);
}

/* One that runs something, and owns nothing. */
static void lose_a_worker(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t tries = 0; tries < world->pod_count; tries++) {
		size_t machine = world->pods[world_random(world, world->pod_count)]->machine;

		if (!world->machines[machine].powered || steps_is_owner(world, machine))
			continue;
		world_tell(world, NULL, "%s is lost for good", world->machines[machine].name);
		world_power_off(world, machine);
		return;
	}
}

/* Nobody asked for that. */
static void expect_no_stops(struct world *world, uint64_t argument)
{
	(void)argument;
	if (world->totals.pods_stopped)
		world_violate(world, NULL, "%llu pods were stopped for what others say they run",
			      (unsigned long long)world->totals.pods_stopped);
}

/* What is lost is replaced, and what runs is left alone, whatever others say that they run of it.
 */
void claims_scenario(struct world *world)
{
	int64_t at_ms, until_ms;

	world->distinct = false;
	liars_choose(world, (size_t)world->params.liars);
	at_ms = steps_begin(world);
	steps_work(world, at_ms, CLAIMED_AFTER_MS / 2);
	at_ms += CLAIMED_AFTER_MS;
	steps_expect_placed(world, at_ms);
	until_ms = at_ms + (world->params.lost + 1) * CLAIMS_APART_MS;
	liars_claim(world, at_ms, until_ms);
	for (int64_t i = 0; i < world->params.lost; i++)
		world_action(world, at_ms + (i + 1) * CLAIMS_APART_MS / 2, lose_a_worker, 0);
	world_action(world, until_ms, expect_no_stops, 0);
}

static void jump(struct world *world, uint64_t machine)
{
	world_clock_jump(world, machine,
			 (int64_t)world_random(world, 2 * CLOCK_JUMP_MS_MAX) - CLOCK_JUMP_MS_MAX);
}

static void calm(struct world *world, uint64_t argument)
{
	(void)argument;
	world_tell(world, NULL, "the network is good again");
	world->network.loss = world->network.vanish = world->network.duplication = 0;
}

static void cut(struct world *world, uint64_t argument)
{
	(void)argument;
	world_partition(world, 1 + world_random(world, world->machine_count - 1));
}

static void heal(struct world *world, uint64_t argument)
{
	(void)argument;
	world_heal(world);
}

void large_soak(struct world *world)
{
	int64_t at_ms = steps_begin(world);
	int64_t until_ms = at_ms + world->params.duration_s * MS_PER_S;

	world->distinct = false;
	world->pod_failures = 10;
	steps_work(world, at_ms, until_ms - at_ms);
	steps_churn(world, at_ms + FIRST_MS, until_ms);
	steps_starve(world, at_ms, until_ms);
	steps_lookups(world, at_ms, until_ms - at_ms);
	for (at_ms += TURN_MS; at_ms < until_ms; at_ms += TURN_MS) {
		world_action(world, at_ms, jump, world_random(world, world->machine_count));
		world_action(world, at_ms, cut, 0);
		world_action(world, at_ms + APART_MS, heal, 0);
	}
	world_action(world, until_ms, calm, 0);
	steps_expect_formed(world, until_ms + CALM_MS);
	steps_broadcasts(world, until_ms + CALM_MS, PROBE_SPACING_MS, WARM_BROADCASTS);
	steps_expect_placed(world, until_ms + 2 * CALM_MS);
}
