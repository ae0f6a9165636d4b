/* SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

#include "checker.h"
#include "metrics.h"
#include "overlay/view.h"

enum {
	BOOT_MS = 20,         /* world_boot_all() starts a machine each so many ms */
	BOOT_CALM_MS = 10000, /* after the last one */
	AGAIN_MS = 1,         /* has the last workload of an owner been placed? */
	MACHINES_PER_OWNER = 50,
	BROKEN_MS = 15 * 1000,   /* longer than a verdict takes */
	JOINED_MS = 10 * 1000,   /* then a machine may look up and be looked up */
	AWAY_MS_MIN = 12 * 1000, /* longer than the verdict: where records stay, that is how an
				  * owner learns that its pods are gone */
	AWAY_MS_MAX = 40 * 1000,
	PER_THOUSAND = 1000,
	PERCENT = 100,
	MS_PER_MINUTE = 60 * 1000,
};

/* ---- who has work ---- */

size_t steps_owner(const struct world *world, size_t number)
{
	return number * world->machine_count / (size_t)world->params.owners;
}

bool steps_is_owner(const struct world *world, size_t machine)
{
	size_t owners = (size_t)world->params.owners;
	size_t number =
		owners ? (machine * owners + world->machine_count - 1) / world->machine_count : 0;

	return number < owners && steps_owner(world, number) == machine;
}

void steps_default_owners(struct world *world, size_t machines_per_owner)
{
	if (world->params.owners)
		return;
	world->params.owners = (int64_t)(world->machine_count / machines_per_owner);
	if (!world->params.owners)
		world->params.owners = 1;
}

static int64_t some_ms(struct world *world, int64_t at_ms, int64_t for_ms)
{
	return at_ms + (int64_t)world_random(world, for_ms > 0 ? (uint64_t)for_ms : 1);
}

/* A machine that runs and owns nothing. */
static size_t some_other(struct world *world)
{
	for (;;) {
		size_t machine = world_random(world, world->machine_count);

		if (!steps_is_owner(world, machine) && world->machines[machine].node)
			return machine;
	}
}

static size_t some_machine(struct world *world)
{
	for (;;) {
		size_t machine = world_random(world, world->machine_count);

		if (world->machines[machine].node)
			return machine;
	}
}

/* ---- begin ---- */

int64_t steps_boot_ms(const struct world *world)
{
	return world->params.formed ? 0 : (int64_t)world->machine_count * BOOT_MS + BOOT_CALM_MS;
}

int64_t steps_begin(struct world *world)
{
	steps_default_owners(world, MACHINES_PER_OWNER);
	if (world->params.formed)
		world_boot_formed(world);
	else
		world_boot_all(world);
	return steps_boot_ms(world) + world->params.settle_s * MS_PER_S;
}

static void window_open(struct world *world, uint64_t window)
{
	metrics_window_open(world, (enum metrics_window)window);
}

static void contacts_begin(struct world *world, uint64_t argument)
{
	(void)argument;
	checker_contacts_begin(world);
}

static void contacts_end(struct world *world, uint64_t argument)
{
	(void)argument;
	checker_contacts_end(world);
}

static void window_close(struct world *world, uint64_t window)
{
	metrics_window_close(world, (enum metrics_window)window);
}

void steps_idle(struct world *world, int64_t at_ms, int64_t for_ms)
{
	world_action(world, at_ms, window_open, METRICS_IDLE);
	world_action(world, at_ms + for_ms, window_close, METRICS_IDLE);
	world_action(world, at_ms, contacts_begin, 0);
	world_action(world, at_ms + for_ms, contacts_end, 0);
}

/* ---- work ---- */

static void give(struct world *world, uint64_t machine)
{
	struct sim_wish wish = {
		.replicas = (uint32_t)world->params.replicas,
		.cpu_milli = world->params.cpu_milli,
	};

	(void)world_apply_wish(world, machine, &wish);
}

void steps_work(struct world *world, int64_t at_ms, int64_t for_ms)
{
	for (int64_t i = 0; i < world->params.owners; i++)
		for (int64_t j = 0; j < world->params.workloads; j++)
			world_action(world, some_ms(world, at_ms, for_ms), give,
				     steps_owner(world, (size_t)i));
}

/* How an owner stands is one number: workloads left, then the last one's number. */
enum {
	WORKLOAD_BITS = 32,
};

static void next_turn(struct world *world, uint64_t turn)
{
	uint64_t left = turn >> WORKLOAD_BITS, last = turn & UINT32_MAX;
	size_t machine = world->workloads[last].home;

	if (metrics_all_accepted(world, last)) {
		if (left == 0)
			return;
		give(world, machine);
		last = world->workload_count - 1;
		left--;
	}
	world_action(world, world->now_us / US_PER_MS + AGAIN_MS, next_turn,
		     left << WORKLOAD_BITS | last);
}

static void first_turn(struct world *world, uint64_t machine)
{
	uint64_t left = (uint64_t)world->params.workloads - 1;

	give(world, machine);
	world_action(world, world->now_us / US_PER_MS + AGAIN_MS, next_turn,
		     left << WORKLOAD_BITS | (world->workload_count - 1));
}

void steps_work_in_turn(struct world *world, int64_t at_ms)
{
	for (int64_t i = 0; i < world->params.owners && world->params.workloads; i++)
		world_action(world, at_ms, first_turn, steps_owner(world, (size_t)i));
}

static void expect_placed(struct world *world, uint64_t argument)
{
	(void)argument;
	checker_all_accepted(world);
}

void steps_expect_placed(struct world *world, int64_t at_ms)
{
	world_action(world, at_ms, expect_placed, 0);
}

static void expect_formed(struct world *world, uint64_t argument)
{
	(void)argument;
	checker_overlay(world);
}

void steps_expect_formed(struct world *world, int64_t at_ms)
{
	world_action(world, at_ms, expect_formed, 0);
}

/* ---- probes ---- */

/* What is broadcast is the disposal of a workload without replicas, given to the machine before. */
static void broadcast(struct world *world, uint64_t warm)
{
	size_t machine = some_machine(world);
	struct sim_wish nothing = {.cpu_milli = world->params.cpu_milli};
	size_t workload = world_apply_wish(world, machine, &nothing);

	metrics_broadcast(world, machine, warm);
	world_delete(world, workload);
}

static void broadcasts_end(struct world *world, uint64_t argument)
{
	(void)argument;
	metrics_broadcasts_end(world);
}

void steps_broadcasts(struct world *world, int64_t at_ms, int64_t spacing_ms, int64_t warm)
{
	for (int64_t i = 0; i < world->params.broadcasts; i++, at_ms += spacing_ms)
		world_action(world, at_ms, broadcast, i < warm);
	if (world->params.broadcasts)
		world_action(world, at_ms + STEPS_PROBE_MS, broadcasts_end, 0);
}

static bool has_joined(const struct world *world, size_t machine)
{
	return world->now_us - world->machines[machine].started_us >= JOINED_MS * US_PER_MS;
}

static void lookup(struct world *world, uint64_t argument)
{
	size_t from = some_machine(world), to = some_machine(world);

	(void)argument;
	if (from != to && has_joined(world, from) && has_joined(world, to) &&
	    network_reaches(world, from, to))
		metrics_lookup(world, from, to);
}

void steps_lookups(struct world *world, int64_t at_ms, int64_t for_ms)
{
	for (int64_t i = 0; i < world->params.lookups; i++)
		world_action(world, at_ms + i * for_ms / world->params.lookups, lookup, 0);
}

/* ---- misfortune ---- */

static void lose(struct world *world, uint64_t argument)
{
	(void)argument;
	world_power_off(world, some_other(world));
}

void steps_losses(struct world *world, int64_t at_ms, int64_t for_ms)
{
	for (int64_t i = 0; i < world->params.lost; i++)
		world_action(world, some_ms(world, at_ms, for_ms), lose, 0);
}

static void come_back(struct world *world, uint64_t machine)
{
	world_power_on(world, machine, true);
}

static void come_back_empty(struct world *world, uint64_t machine)
{
	world_power_on(world, machine, false);
}

static void restart(struct world *world, uint64_t argument)
{
	size_t machine = some_other(world);
	int64_t back_ms =
		some_ms(world, world->now_us / US_PER_MS + AWAY_MS_MIN, AWAY_MS_MAX - AWAY_MS_MIN);

	(void)argument;
	/* With its pods: where records stay, a daemon that comes back to them does not know any
	 * more who awarded them. Small scenarios kill daemons alone. */
	world_power_off(world, machine);
	if (world_random(world, PERCENT) < (uint64_t)world->params.readdress)
		world_readdress(world, machine);
	if (world->params.forget && world_random(world, PERCENT) < (uint64_t)world->params.forget)
		world_action(world, back_ms, come_back_empty, machine);
	else
		world_action(world, back_ms, come_back, machine);
}

void steps_churn(struct world *world, int64_t at_ms, int64_t until_ms)
{
	int64_t count = (int64_t)world->machine_count * world->params.churn * (until_ms - at_ms) /
			((int64_t)PER_THOUSAND * MS_PER_MINUTE);

	for (int64_t i = 0; i < count; i++)
		world_action(world, some_ms(world, at_ms, until_ms - at_ms), restart, 0);
}

static void mute(struct world *world, uint64_t pair)
{
	world_mute(world, pair / SIM_MACHINES_MAX, pair % SIM_MACHINES_MAX, true);
}

static void unmute(struct world *world, uint64_t pair)
{
	world_mute(world, pair / SIM_MACHINES_MAX, pair % SIM_MACHINES_MAX, false);
}

static void break_way(struct world *world, uint64_t argument)
{
	size_t from = some_machine(world);
	const struct view *view = overlay_view(node_overlay(world->machines[from].node));
	const struct sim_machine *to;
	uint64_t pair;

	(void)argument;
	if (!view_active_count(view))
		return;
	to = network_find(world,
			  &view_active(view, world_random(world, view_active_count(view)))->id);
	if (!to)
		return;
	pair = (uint64_t)from * SIM_MACHINES_MAX + to->index;
	mute(world, pair);
	world_action(world, world->now_us / US_PER_MS + BROKEN_MS, unmute, pair);
}

void steps_break_ways(struct world *world, int64_t at_ms, int64_t until_ms)
{
	for (; at_ms < until_ms; at_ms += BROKEN_MS)
		world_action(world, at_ms, break_way, 0);
}

/* A stall and its pause are equally long on average: half of the time. */
static void starve(struct world *world, uint64_t machine)
{
	uint64_t stall_us = 1 + world_random(world, (uint64_t)world->params.stall_ms * US_PER_MS);
	uint64_t pause_us = 1 + world_random(world, (uint64_t)world->params.stall_ms * US_PER_MS);
	int64_t next_ms = (world->now_us + (int64_t)(stall_us + pause_us)) / US_PER_MS + 1;

	if (world->now_us >= world->starve_until_us)
		return;
	if (world->machines[machine].node)
		world_stall(world, machine, (int64_t)stall_us);
	world_action(world, next_ms, starve, machine);
}

void steps_starve(struct world *world, int64_t at_ms, int64_t until_ms)
{
	world->starve_until_us = until_ms * US_PER_MS;
	for (size_t i = 0; i < world->machine_count; i++)
		if (world_random(world, PERCENT) < (uint64_t)world->params.starved)
			world_action(world, some_ms(world, at_ms, world->params.stall_ms), starve,
				     i);
}

void steps_expect_objects(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t i = 0; i < world->machine_count; i++)
		for (size_t k = 0; k < world->workload_count; k++) {
			const struct sim_workload *workload = &world->workloads[k];
			struct record_key key = {.kind = RECORD_OBJECT, .uid = workload->uid};
			const struct node *node = world->machines[i].node;

			if (!node || !world->machines[i].steward)
				continue;
			if (!records_get(node_records(node), &key) != workload->deleted)
				world_violate(
					world, &workload->uid, "%s %s %s", world->machines[i].name,
					workload->deleted ? "still has" : "has no", workload->name);
		}
}
