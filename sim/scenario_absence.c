/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines are away for days, or cut off while they run: what was deleted meanwhile does not come
 * back with them, and nothing that lives is lost.
 */
#include "scenario_absence.h"

#include "checker.h"
#include "steps.h"

enum {
	PLACED_MS = 15 * 1000, /* by then everything runs */
	APART_MS = 25 * 1000,  /* between a loss and what happens then */
	WORKLOADS = 6,
	AGREED_MS = 12 * 60 * 1000, /* by then a new fabric knows that it is whole */
	SWEPT_MS = 13 * 60 * 1000,  /* after a merge: what was kept for it is gone */
	DAY_MS = 24 * 3600 * 1000,
};

static void apply(struct world *world, uint64_t replicas)
{
	(void)world_apply(world, (uint32_t)replicas, 100);
}

/* ---- a machine is away ---- */

static void off(struct world *world, uint64_t machine)
{
	world_power_off(world, machine);
}

static void delete_all(struct world *world, uint64_t kept)
{
	for (size_t i = kept; i < world->workload_count; i++)
		world_delete(world, i);
}

static void on(struct world *world, uint64_t machine)
{
	world->noted_resumed = world->totals.pods_resumed;
	world_power_on(world, machine, true);
}

static void expect_none_resumed(struct world *world, uint64_t argument)
{
	(void)argument;
	if (world->totals.pods_resumed != world->noted_resumed)
		world_violate(
			world, NULL,
			"%llu pods were started again although they were deleted or replaced",
			(unsigned long long)(world->totals.pods_resumed - world->noted_resumed));
}

/* Of its pods some are replaced, and the objects of others deleted, meanwhile. */
void away_scenario(struct world *world)
{
	int64_t away_ms = world->params.duration_s * MS_PER_S;
	uint64_t machine = world->machine_count - 1;
	int64_t at_ms = 5000;

	world_boot_all(world);
	world->distinct = false;
	for (int64_t i = 0; i < WORKLOADS; i++)
		world_action(world, at_ms + 50 * i, apply, world->machine_count);
	at_ms += PLACED_MS + 2 * NODE_VOUCH_MS;
	world_action(world, at_ms, off, machine);
	world_action(world, at_ms + APART_MS, delete_all, 2);
	at_ms += away_ms;
	world_action(world, at_ms, on, machine);
	world_action(world, at_ms + SIM_GRACE_MS, expect_none_resumed, 0);
	world_action(world, at_ms + SIM_GRACE_MS, steps_expect_objects, 0);
}

/* ---- and all others are replaced meanwhile ---- */

/* The first half of the machines is there at the beginning, the others are new ones. */
static size_t first_new(const struct world *world)
{
	return (world->machine_count + 1) / 2;
}

static void knows(struct world *world, size_t machine, size_t other)
{
	world->machines[machine].contacts[0] = world->machines[other].addr;
	world->machines[machine].contact_count = 1;
}

static void boot(struct world *world, uint64_t machine)
{
	world_boot(world, machine, true);
}

/* Who comes knows the one that came before, and so on to those that were there. */
static void boot_new(struct world *world, uint64_t machine)
{
	knows(world, machine, machine - 1);
	checker_joined(world);
	boot(world, machine);
}

/* Somebody tells it where the others are now. */
static void on_among_new(struct world *world, uint64_t machine)
{
	knows(world, machine, world->machine_count - 1);
	on(world, machine);
}

/*
 * A machine is away while the others are lost and new ones are in their place. One after the other
 * (params.broken), each comes before an old one goes: what is kept passes on, and what was deleted
 * stays deleted. Or all at once, with all that they kept: what lives comes from the one that was
 * away.
 */
void replaced_scenario(struct world *world)
{
	int64_t away_ms = world->params.duration_s * MS_PER_S, pause_ms;
	uint64_t old = first_new(world), count = world->machine_count - old;
	bool slowly = world->params.broken;
	int64_t at_ms = 5000;

	world->distinct = false;
	for (uint64_t i = 0; i < old; i++)
		world_action(world, (int64_t)i * world->params.boot_ms, boot, i);
	for (int64_t i = 0; i < WORKLOADS; i++)
		world_action(world, at_ms + 50 * i, apply, old);
	at_ms += PLACED_MS + AGREED_MS;
	world_action(world, at_ms, off, 0);
	if (slowly)
		world_action(world, at_ms + APART_MS, delete_all, 2);
	pause_ms = away_ms / (2 * (int64_t)count + 1);
	for (uint64_t i = 0; i < count; i++) {
		int64_t turn_ms = at_ms + pause_ms * (2 * (int64_t)i + 1);

		world_action(world, slowly ? turn_ms + pause_ms : at_ms + APART_MS, off, i + 1);
		world_action(world, turn_ms, boot_new, old + i);
	}
	at_ms += away_ms;
	world_action(world, at_ms, on_among_new, 0);
	if (slowly)
		world_action(world, at_ms + SIM_GRACE_MS, expect_none_resumed, 0);
	world_action(world, at_ms + NODE_DOUBT_MS + SIM_GRACE_MS, steps_expect_objects, 0);
}

/* ---- some are cut off, for long ---- */

/* The last machines, so many, are the other side. */
static size_t other_side(const struct world *world)
{
	return world->machine_count - (size_t)world->params.lost;
}

static void cut(struct world *world, uint64_t first_of_side)
{
	world_partition(world, first_of_side);
}

static void heal(struct world *world, uint64_t argument)
{
	(void)argument;
	world_heal(world);
}

/* Some machine of that side whose daemon runs. */
static size_t some_of(struct world *world, bool other)
{
	size_t first = other ? other_side(world) : 0;
	size_t count = other ? world->machine_count - first : other_side(world);
	size_t machine;

	do
		machine = first + world_random(world, count);
	while (!world->machines[machine].node);
	return machine;
}

/* Each side deletes something that was there before, and makes something. */
static void change_side(struct world *world, uint64_t other)
{
	const struct sim_wish wish = {.replicas = 2, .cpu_milli = 100};

	world_delete_at(world, 2 * other, some_of(world, other));
	world_delete_at(world, 2 * other + 1, some_of(world, other));
	(void)world_apply_wish(world, some_of(world, other), &wish);
}

/* But not one that is alone: it must be among others for a minute before it can judge. */
static void restart_one(struct world *world, uint64_t other)
{
	size_t machine = some_of(world, other);

	if (!other && other_side(world) == 1)
		return;
	if (world_random(world, 2))
		world_kill_daemon(world, machine);
	else
		world_power_off(world, machine);
	/* No two sides have met, so that what was wanted before counts on. */
	world->machines[machine].powered = true;
	world_boot(world, machine, false);
}

/* Somebody comes who has seen nothing of what was before, and knows one of that side. */
static void newcomer(struct world *world, uint64_t index)
{
	knows(world, index, some_of(world, true));
	boot(world, index);
}

static void expect_together(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t i = 0; i < world->machine_count; i++) {
		struct records_standing standing;

		if (!world->machines[i].node)
			continue;
		records_standing(node_records(world->machines[i].node), &standing);
		if (standing.apart_ms)
			world_violate(world, NULL, "%s takes itself to be cut off still",
				      world->machines[i].name);
	}
}

/* Machines restart meanwhile, and now and then one comes that was not there before. */
void apart_scenario(struct world *world)
{
	int64_t apart_ms = world->params.duration_s * MS_PER_S;
	bool grows = world->params.lost > 2 && world_random(world, 2);
	size_t first = world->machine_count - grows;
	int64_t at_ms = 5000;

	world->distinct = false;
	for (size_t i = 0; i < first; i++)
		world_action(world, world->params.boot_ms * (int64_t)i, boot, i);
	for (int64_t i = 0; i < WORKLOADS; i++)
		world_action(world, at_ms + 50 * i, apply, 1 + (uint64_t)i % 3);
	at_ms += AGREED_MS;
	world_action(world, at_ms, expect_together, 0);
	world_action(world, at_ms, cut, other_side(world));
	for (uint64_t side = 0; side < 2; side++) {
		int64_t restart_ms = (int64_t)world_random(world, (uint64_t)apart_ms);

		world_action(world, at_ms + APART_MS + (int64_t)side, change_side, side);
		world_action(world, at_ms + 2 * APART_MS + restart_ms, restart_one, side);
	}
	if (grows)
		world_action(world, at_ms + apart_ms - DAY_MS, newcomer, first);
	at_ms += apart_ms + 4 * APART_MS;
	world_action(world, at_ms, heal, 0);
	world_action(world, at_ms + SIM_GRACE_MS, steps_expect_objects, 0);
	world_action(world, at_ms + SWEPT_MS, steps_expect_objects, 0);
	world_action(world, at_ms + SWEPT_MS, expect_together, 0);
}
