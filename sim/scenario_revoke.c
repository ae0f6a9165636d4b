/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine is revoked while the other half of the fabric, to which it belongs, cannot hear of it.
 * After the parts have met that half shuts it out within ten seconds of the first machine of it
 * that is told; and when all have lost their power and start again, nobody lets it in.
 */
#include "scenario_small.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
	PARTITION_MS = 12000,
	REVOKE_MS = 90000, /* no connection between the parts is left that would bring it later */
	HEAL_MS = 120000,
	TELL_MS = 10000, /* the promise */
	/* Dialling a lost machine may wait so long before; then the promise. */
	TOLD_MS = HEAL_MS + OVERLAY_REDIAL_MAX_MS * 5 / 4 + TELL_MS,
	POWER_MS = TOLD_MS + 10000,
	OFF_MS = 5000,
	AGAIN_MS = POWER_MS + OFF_MS + 30000,
	END_MS = AGAIN_MS + 30000,
	LOOK_MS = 250,
};

static size_t subject_of(const struct world *world)
{
	return world->machine_count - 1;
}

static bool is_told(const struct world *world, size_t machine)
{
	const struct node *node = world->machines[machine].node;

	return node && node_is_revoked(node, &world->machines[subject_of(world)].id);
}

static bool lets_it_in(const struct world *world, size_t machine)
{
	struct overlay_peer peer;
	const struct node *node = world->machines[machine].node;

	return node &&
	       overlay_find_peer(node_overlay(node), &world->machines[subject_of(world)].id,
				 &peer) &&
	       peer.state == MEMBER_ALIVE;
}

static void apply(struct world *world, uint64_t replicas)
{
	(void)world_apply(world, (uint32_t)replicas, 100);
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

static void revoke(struct world *world, uint64_t argument)
{
	struct sim_machine *admitter = &world->machines[0];
	struct revocation what = {
		.kind = REVOCATION_MACHINE,
		.machine = world->machines[subject_of(world)].id,
	};
	int r;

	(void)argument;
	what.user = what.reason = mem_strdup("");
	machine_call(admitter,
		     r = node_revoke(admitter->node, machine_now(world, admitter), &what));
	free(what.user);
	if (r)
		world_violate(world, NULL, "an admitter cannot revoke: %d", r);
	machine_pump(world, admitter);
}

static void expect_other_side_unaware(struct world *world, uint64_t first)
{
	for (size_t i = first; i + 1 < world->machine_count; i++)
		if (is_told(world, i))
			world_violate(world, NULL, "%s was told through a partition",
				      world->machines[i].name);
}

/* From the first of the other side that is told on, all are within the promise. */
static void look(struct world *world, uint64_t first)
{
	static int64_t first_us;
	size_t told = 0, late = 0;

	if (world->now_us < (HEAL_MS + LOOK_MS) * (int64_t)US_PER_MS)
		first_us = 0;
	for (size_t i = first; i + 1 < world->machine_count; i++) {
		told += is_told(world, i);
		late += !is_told(world, i) || lets_it_in(world, i);
	}
	if (told && !first_us)
		first_us = world->now_us;
	if (late && first_us && world->now_us - first_us > TELL_MS * (int64_t)US_PER_MS)
		world_violate(world, NULL,
			      "%zu machines let a revoked one in %d s after the first "
			      "one beside them was told",
			      late, TELL_MS / 1000);
}

static void expect_shut_out(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t i = 0; i + 1 < world->machine_count; i++) {
		if (!is_told(world, i))
			world_violate(world, NULL, "%s has not heard of a revocation",
				      world->machines[i].name);
		if (lets_it_in(world, i))
			world_violate(world, NULL, "%s lets a revoked machine in",
				      world->machines[i].name);
	}
}

static void power_off(struct world *world, uint64_t machine)
{
	world_power_off(world, machine);
}

static void power_on(struct world *world, uint64_t machine)
{
	world_power_on(world, machine, true);
}

/* The subject runs nothing and keeps nothing: it is only its membership that ends. */
void small_revocation(struct world *world)
{
	size_t half = world->machine_count / 2;

	world->machines[subject_of(world)].schedulable = false;
	world->machines[subject_of(world)].steward = false;
	world_boot_all(world);
	for (int64_t i = 0; i < 3; i++)
		world_action(world, 5000 + 100 * i, apply, 2 + (uint64_t)i);
	world_action(world, PARTITION_MS, partition, half);
	world_action(world, REVOKE_MS, revoke, 0);
	world_action(world, HEAL_MS - 1, expect_other_side_unaware, half);
	world_action(world, HEAL_MS, heal, 0);
	for (int64_t at_ms = HEAL_MS; at_ms < POWER_MS; at_ms += LOOK_MS)
		world_action(world, at_ms, look, half);
	world_action(world, TOLD_MS, expect_shut_out, 0);
	for (size_t i = 0; i < world->machine_count; i++) {
		world_action(world, POWER_MS, power_off, i);
		world_action(world, POWER_MS + OFF_MS + (int64_t)i * 50, power_on, i);
	}
	world_action(world, AGAIN_MS, expect_shut_out, 0);
	world_action(world, END_MS, power_off, subject_of(world));
	world->distinct = false;
}
