/* SPDX-License-Identifier: Apache-2.0 */
/* Small scenarios: a handful of machines, everything that can happen to them. */
#include "scenario_small.h"

enum {
	START_MS = 5000, /* by then the machines have met */
};

static void apply(struct world *world, uint64_t replicas)
{
	(void)world_apply(world, (uint32_t)replicas, 100);
}

static void scale(struct world *world, uint64_t argument)
{
	if (world->workload_count)
		world_scale(world, argument / 100 % world->workload_count,
			    (uint32_t)(argument % 100));
}

static void delete (struct world *world, uint64_t workload)
{
	if (world->workload_count)
		world_delete(world, workload % world->workload_count);
}

static void power_off(struct world *world, uint64_t machine)
{
	world_power_off(world, machine);
}

static void kill_daemon(struct world *world, uint64_t machine)
{
	world_kill_daemon(world, machine);
}

static void power_on(struct world *world, uint64_t machine)
{
	world_power_on(world, machine, true);
}

static void power_on_empty(struct world *world, uint64_t machine)
{
	world_power_on(world, machine, false);
}

static void partition(struct world *world, uint64_t first_of_other_side)
{
	world_partition(world, first_of_other_side);
}

static void heal(struct world *world, uint64_t argument)
{
	(void)argument;
	world_heal(world);
}

/* Pairs are one number: from * SIM_MACHINES_MAX + to. */
static void mute(struct world *world, uint64_t pair)
{
	world_mute(world, pair / SIM_MACHINES_MAX, pair % SIM_MACHINES_MAX, true);
}

static void unmute(struct world *world, uint64_t pair)
{
	world_mute(world, pair / SIM_MACHINES_MAX, pair % SIM_MACHINES_MAX, false);
}

static void calm(struct world *world, uint64_t argument)
{
	(void)argument;
	world_tell(world, NULL, "the network is good again");
	world->network.loss = world->network.vanish = world->network.duplication = 0;
	world->network.jitter_us = 1000;
	world->pod_failures = 0;
}

/* ---- the scenarios ---- */

void small_placement(struct world *world)
{
	world_boot_all(world);
	for (int64_t i = 0; i < 10; i++)
		world_action(world, START_MS + 20 * i, apply, 1 + (uint64_t)i);
	world_action(world, START_MS + 3000, apply, world->machine_count);
	world_action(world, START_MS + 4000, delete, 3);
}

void small_one_machine(struct world *world)
{
	world_boot_all(world);
	world_action(world, 1000, apply, 3);
	world_action(world, 1001, apply, 1);
	world_action(world, 20000, scale, 0 * 100 + 5);
	world_action(world, 30000, delete, 1);
	world_action(world, 40000, kill_daemon, 0);
	world_action(world, 41000, power_on, 0);
}

void small_uneven(struct world *world)
{
	world_boot_all(world);
	world_action(world, START_MS, apply, 3 * world->machine_count + 1);
	world_action(world, START_MS + 10, apply, world->machine_count + 2);
	world_action(world, START_MS + 8000, apply, 1);
}

static void apply_big(struct world *world, uint64_t replicas)
{
	(void)world_apply(world, (uint32_t)replicas, 3000);
}

static void expect_placed(struct world *world, uint64_t index)
{
	const struct sim_workload *workload = &world->workloads[index];

	if (!workload->placed_us)
		world_violate(world, &workload->uid, "%s is not placed although there is room",
			      workload->name);
}

/* The stewards run nothing, so that news of room has to come from elsewhere. */
void small_full(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++)
		world->machines[i].schedulable = !world->machines[i].steward;
	world_boot_all(world);
	world_action(world, START_MS, apply_big, 5);
	world_action(world, START_MS + 1000, apply_big, 3);
	/* By now it is tried every few minutes only. */
	world_action(world, 200 * 1000, delete, 0);
	world_action(world, 203 * 1000, expect_placed, 1);
}

void small_loss(struct world *world)
{
	world_boot_all(world);
	world->network.loss = 100;
	world->network.vanish = 30;
	world->network.duplication = 50;
	world->network.jitter_us = 30 * US_PER_MS;
	world->pod_failures = 50;
	world->distinct = false;
	for (int64_t i = 0; i < 8; i++)
		world_action(world, START_MS + 500 * i, apply, 1 + (uint64_t)i % 5);
	world_action(world, START_MS + 20000, scale, 1 * 100 + 6);
	world_action(world, START_MS + 25000, delete, 2);
	world_action(world, 45000, calm, 0);
}

static void mute_for(struct world *world, int64_t at_ms, uint64_t from, uint64_t to)
{
	world_action(world, at_ms, mute, from * SIM_MACHINES_MAX + to);
	world_action(world, at_ms + 4500, unmute, from * SIM_MACHINES_MAX + to);
}

/* Ways that work in one direction only or not at all, too short for a verdict about anybody's life:
 * bids, awards, answers and confirmations are lost for longer than a hold lasts. */
void small_one_way(struct world *world)
{
	int64_t at_ms = START_MS;

	world_boot_all(world);
	for (int turn = 0; turn < 8; turn++) {
		for (int i = 0; i < 30; i++) {
			uint64_t from = world_random(world, world->machine_count);
			uint64_t to = world_random(world, world->machine_count);
			int64_t start_ms = at_ms + (int64_t)world_random(world, 10);

			mute_for(world, start_ms, from, to);
			if (world_random(world, 2))
				mute_for(world, start_ms + 1, to, from);
		}
		world_action(world, at_ms + 1, apply, 4 + (uint64_t)turn);
		at_ms += 15000;
	}
	world->distinct = false;
}

void small_crash(struct world *world)
{
	world_boot_all(world);
	for (int64_t i = 0; i < 6; i++)
		world_action(world, START_MS + 100 * i, apply, 2 + (uint64_t)i);
	/* A steward right after it was asked, a worker, a daemon alone. */
	world_action(world, START_MS + 103, power_off, 1);
	world_action(world, START_MS + 10000, power_off, world->machine_count - 1);
	world_action(world, START_MS + 12000, kill_daemon, world->machine_count - 2);
	world_action(world, START_MS + 14000, power_on, world->machine_count - 2);
	world_action(world, START_MS + 30000, power_on, 1);
	world_action(world, START_MS + 40000, power_on_empty, world->machine_count - 1);
	world_action(world, START_MS + 42000, kill_daemon, 2);
	world_action(world, START_MS + 60000, power_on, 2);
	/* Copies that run side by side are not moved apart again. */
	world->distinct = false;
}

void small_partition(struct world *world)
{
	size_t half = world->machine_count / 2;

	world_boot_all(world);
	for (int64_t i = 0; i < 5; i++)
		world_action(world, START_MS + 100 * i, apply, 2 + (uint64_t)i);
	world_action(world, START_MS + 5000, partition, half);
	world_action(world, START_MS + 25000, scale, 1 * 100 + 2);
	world_action(world, START_MS + 26000, delete, 2);
	world_action(world, START_MS + 27000, apply, 4);
	world_action(world, START_MS + 40000, heal, 0);
	world_action(world, START_MS + 80000, partition, half / 2 + 1);
	world_action(world, START_MS + 83000, heal, 0); /* over before anyone is lost */
	world->distinct = false;
}

void small_churn(struct world *world)
{
	int64_t at_ms = START_MS;

	world_boot_all(world);
	for (int64_t i = 0; i < 6; i++)
		world_action(world, START_MS + 50 * i, apply, 2 + (uint64_t)i % 4);
	/* One machine at a time goes and comes, in every way, stewards among them. */
	for (int turn = 0; turn < 8; turn++) {
		uint64_t machine = world_random(world, world->machine_count);
		bool daemon_only = world_random(world, 2);
		int64_t away_ms = 500 + (int64_t)world_random(world, 20000);

		at_ms += 1000 + (int64_t)world_random(world, 5000);
		world_action(world, at_ms, daemon_only ? kill_daemon : power_off, machine);
		at_ms += away_ms;
		world_action(world, at_ms, world_random(world, 4) ? power_on : power_on_empty,
			     machine);
		world_action(world, at_ms + 100, scale,
			     world_random(world, 6) * 100 + 1 + world_random(world, 6));
	}
	world->distinct = false;
}

/* All of it at once, then quiet. */
void small_soak(struct world *world)
{
	int64_t at_ms = START_MS;

	world_boot_all(world);
	world->network.loss = 50;
	world->network.vanish = 10;
	world->network.duplication = 20;
	world->network.jitter_us = 5 * US_PER_MS;
	world->pod_failures = 30;
	world->pod_start_ms_max = 4000;
	world->distinct = false;
	for (int turn = 0; turn < 10; turn++) {
		world_action(world, at_ms, apply, 1 + world_random(world, 8));
		world_action(world, at_ms + 100, scale,
			     world_random(world, 10) * 100 + world_random(world, 8));
		if (world_random(world, 2)) {
			world_action(world, at_ms + 200, partition,
				     1 + world_random(world, world->machine_count - 1));
			world_action(world, at_ms + 5000 + (int64_t)world_random(world, 15000),
				     heal, 0);
		} else {
			uint64_t machine = world_random(world, world->machine_count);

			world_action(world, at_ms + 300,
				     world_random(world, 2) ? kill_daemon : power_off, machine);
			world_action(world, at_ms + 1000 + (int64_t)world_random(world, 18000),
				     power_on, machine);
		}
		if (world_random(world, 3) == 0)
			world_action(world, at_ms + 12000, delete, world_random(world, 10));
		at_ms += 20000;
	}
	world_action(world, at_ms, calm, 0);
}
