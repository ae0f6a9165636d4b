/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registrars of a StatefulSet that are lost (market/college.h): one, one after another until none
 * of the first is left, most at once, behind a partition, and with the power in the middle of it.
 * Ordinals come and go meanwhile: none runs twice, and at the end all that are wanted run.
 */
#include "scenario_control.h"

#include "family.h"
#include "market/college.h"

enum {
	START_MS = NODE_COMPLETE_MS + 10 * 1000,
	ORDINALS = 4,
	BORN_MS = 30 * 1000,
	/* A registrar is noticed to be lost, and replaced: ranks, ballots and ticks come on top. */
	REPLACED_MS = COLLEGE_LOST_MS + 40 * 1000,
	CALM_MS = 100 * 1000, /* what fitted nowhere for a while is tried again by then */
	AWAY_MS = 90 * 1000,
};

static void apply(struct world *world, uint64_t on_lost_replace)
{
	(void)family_apply(
		world, SIM_ANY,
		&(struct family_wish){FAMILY_STATEFULSET, ORDINALS, 0, 0, on_lost_replace});
}

static void scale(struct world *world, uint64_t replicas)
{
	family_change(world, SIM_ANY, 0, &(struct family_change){FAMILY_KEEP, (int64_t)replicas});
}

static void heal(struct world *world, uint64_t argument)
{
	(void)argument;
	world_heal(world);
}

static void all_on(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t i = 0; i < world->machine_count; i++)
		if (!world->machines[i].node)
			world_power_on(world, i, true);
}

static void all_off(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].powered)
			world_power_off(world, i);
}

static void expect_settled(struct world *world, uint64_t argument)
{
	(void)argument;
	family_expect_settled(world, 0);
}

static void partition(struct world *world, uint64_t first_of_other_side)
{
	world_partition(world, first_of_other_side);
}

/* ---- registrars ---- */

static size_t machine_of(struct world *world, const struct addr_peer *registrar)
{
	const struct sim_machine *machine = network_find(world, &registrar->id);

	return machine ? machine->index : SIM_ANY;
}

/* The registrar in that place is lost; its pods wait for it. */
static void lose(struct world *world, uint64_t place)
{
	struct registrars registrars = family_registrars(world, 0);
	size_t machine =
		place < registrars.count ? machine_of(world, &registrars.list[place]) : SIM_ANY;

	if (machine != SIM_ANY && world->machines[machine].powered)
		world_power_off(world, machine);
}

static void lose_most(struct world *world, uint64_t argument)
{
	struct registrars registrars = family_registrars(world, 0);

	(void)argument;
	for (uint64_t i = 0; i < registrars.count / 2 + 1; i++)
		lose(world, i);
}

static void cut_off(struct world *world, uint64_t place)
{
	struct registrars registrars = family_registrars(world, 0);
	size_t machine =
		place < registrars.count ? machine_of(world, &registrars.list[place]) : SIM_ANY;

	if (machine != SIM_ANY)
		world_cut_off(world, machine);
}

/* So many decisions have been made since the set was made or reset. */
static void expect_number(struct world *world, uint64_t number)
{
	struct registrars registrars = family_registrars(world, 0);

	if (registrars.id.number < number)
		world_violate(world, NULL, "registrars: number %llu, %llu was to be reached",
			      (unsigned long long)registrars.id.number, (unsigned long long)number);
}

static void expect_living(struct world *world, uint64_t argument)
{
	struct registrars registrars = family_registrars(world, 0);

	(void)argument;
	for (size_t i = 0; i < registrars.count; i++) {
		size_t machine = machine_of(world, &registrars.list[i]);

		if (machine == SIM_ANY || !world->machines[machine].powered)
			world_violate(world, NULL, "a registrar that is lost is still one");
	}
}

/* A user gives up what waits for a machine that is lost. */
static void give_up_lost(struct world *world, uint64_t argument)
{
	(void)argument;
	for (uint32_t i = 0; i < ORDINALS; i++)
		if (family_runs_at(world, 0, i) == SIM_ANY)
			family_release(world, SIM_ANY, 0, i);
}

static void expect_all_run(struct world *world, uint64_t argument)
{
	(void)argument;
	for (uint32_t i = 0; i < ORDINALS; i++)
		if (family_runs_at(world, 0, i) == SIM_ANY)
			world_violate(world, NULL, "registrars: ordinal %u runs nowhere", i);
}

/* With those that are registrars now, and without the machines that are gone. */
static int64_t serves(struct world *world, int64_t at_ms)
{
	world_action(world, at_ms, scale, ORDINALS);
	for (int i = 0; i < 3; i++) /* one waits for the other */
		world_action(world, at_ms + 1000 + i * 30 * 1000, give_up_lost, 0);
	at_ms += CALM_MS + 20 * 1000;
	world_action(world, at_ms, expect_all_run, 0);
	return at_ms + 1;
}

static void note(struct world *world, uint64_t family)
{
	family_note(world, family);
}

/* Nothing was started since: most of those who would have to give it are gone. */
static void expect_none_made(struct world *world, uint64_t family)
{
	family_expect_made(world, family, 0);
}

static void reset(struct world *world, uint64_t epoch)
{
	family_reset(world, 0, epoch);
}

static int64_t calm_down(struct world *world, int64_t at_ms)
{
	world_action(world, at_ms, heal, 0);
	world_action(world, at_ms, all_on, 0);
	world_action(world, at_ms + 20 * 1000, scale, ORDINALS);
	at_ms += CALM_MS;
	world_action(world, at_ms, expect_settled, 0);
	return at_ms + 1;
}

/* ---- stories ---- */

static int64_t one_is_lost(struct world *world, int64_t at_ms)
{
	world_action(world, at_ms, lose, world_random(world, 5));
	world_action(world, at_ms + 5000, scale, 2);
	at_ms += REPLACED_MS;
	world_action(world, at_ms, expect_living, 0);
	return calm_down(world, at_ms);
}

/* Slowly enough: at the end none of the first is left. They stay away, and are then back at once.
 */
static int64_t all_one_after_another(struct world *world, int64_t at_ms, uint64_t number)
{
	for (uint64_t i = 0; i < 4; i++) {
		world_action(world, at_ms, lose, i);
		at_ms += REPLACED_MS;
		world_action(world, at_ms, expect_living, 0);
		world_action(world, at_ms, expect_number, number + i + 1);
		/* Of those that are gone the ordinals wait; the others are taken down, and come. */
		world_action(world, at_ms + 1, scale, 1 + world_random(world, 2));
		world_action(world, at_ms + 15 * 1000, scale, ORDINALS);
		at_ms += BORN_MS;
	}
	return calm_down(world, serves(world, at_ms));
}

static int64_t apart(struct world *world, int64_t at_ms)
{
	if (world_random(world, 2))
		world_action(world, at_ms, partition,
			     1 + world_random(world, world->machine_count - 1));
	else
		for (uint64_t i = 0; i < 3; i++)
			world_action(world, at_ms + (int64_t)i * (COLLEGE_LOST_MS + 15 * 1000),
				     cut_off, i);
	for (int i = 0; i < 3; i++) {
		world_action(world, at_ms + COLLEGE_LOST_MS + i * 40 * 1000, scale,
			     1 + world_random(world, 2));
		world_action(world, at_ms + COLLEGE_LOST_MS + 15 * 1000 + i * 40 * 1000, scale,
			     ORDINALS);
	}
	return calm_down(world, at_ms + 3 * (COLLEGE_LOST_MS + 15 * 1000));
}

/* The power goes everywhere while the new one is being agreed on, or reads. */
static int64_t power_in_between(struct world *world, int64_t at_ms)
{
	int64_t off_ms = at_ms + COLLEGE_LOST_MS + (int64_t)world_random(world, 16 * 1000);

	world_action(world, at_ms, lose, world_random(world, 5));
	world_action(world, off_ms, all_off, 0);
	world_action(world, off_ms + 5000, all_on, 0);
	return calm_down(world, off_ms + AWAY_MS);
}

/* For good, as far as anybody knows: an operator says so. They come back nevertheless. */
static int64_t most_at_once(struct world *world, int64_t at_ms)
{
	world_action(world, at_ms - 5000, scale, 1);
	world_action(world, at_ms + 10 * 1000, lose_most, 0);
	at_ms += 10 * 1000 + REPLACED_MS;
	world_action(world, at_ms, note, 0);
	world_action(world, at_ms, scale, ORDINALS);
	at_ms += 40 * 1000;
	world_action(world, at_ms, expect_none_made, 0);
	world_action(world, at_ms, reset, 1);
	at_ms += REPLACED_MS;
	world_action(world, at_ms, expect_living, 0);
	return calm_down(world, serves(world, at_ms));
}

void control_registrars(struct world *world)
{
	int64_t at_ms = START_MS;

	control_begin(world);
	world_action(world, at_ms, apply, false);
	at_ms += BORN_MS;
	world_action(world, at_ms, expect_settled, 0);
	at_ms = one_is_lost(world, at_ms + 1);
	at_ms = power_in_between(world, at_ms);
	at_ms = apart(world, at_ms);
	(void)most_at_once(world, at_ms + 5000);
}

void control_registrars_all(struct world *world)
{
	int64_t at_ms = START_MS;

	control_begin(world);
	world_action(world, at_ms, apply, false);
	at_ms += BORN_MS;
	world_action(world, at_ms, expect_settled, 0);
	at_ms = all_one_after_another(world, at_ms + 1, 1);
	at_ms = apart(world, at_ms);
	(void)apart(world, at_ms);
}

/* The machines that are lost run ordinals too: those are placed again, by leave of whoever is a
 * registrar then. They stay away; control_recall() is about those that come back. */
void control_registrars_replace(struct world *world)
{
	int64_t at_ms = START_MS;

	control_begin(world);
	world_action(world, at_ms, apply, true);
	at_ms += BORN_MS;
	world_action(world, at_ms, expect_settled, 0);
	for (uint64_t i = 0; i < 4; i++) {
		world_action(world, at_ms + 1, lose, i);
		at_ms += REPLACED_MS + 1;
		world_action(world, at_ms, expect_living, 0);
		world_action(world, at_ms, expect_number, i + 2);
		world_action(world, at_ms + BORN_MS, expect_all_run, 0);
		at_ms += BORN_MS;
	}
}

/* ---- ordinals that are replaced while their machine is off ---- */

static void power_off_runner(struct world *world, uint64_t ordinal)
{
	size_t machine = family_runs_at(world, 0, (uint32_t)ordinal);

	if (machine != SIM_ANY)
		world_power_off(world, machine);
}

/* Those that are off come back, each by itself: it hears nobody. */
static void all_on_alone(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t i = 0; i < world->machine_count; i++) {
		if (world->machines[i].node)
			continue;
		world_cut_off(world, i);
		world_power_on(world, i, true);
	}
}

/* Its successor is gone before it is back, or about to be placed. */
static int64_t comes_back(struct world *world, int64_t at_ms, bool alone)
{
	uint64_t ordinal = world_random(world, ORDINALS);
	int64_t away_ms = 5000 + (int64_t)world_random(world, 40 * 1000);

	world_action(world, at_ms, power_off_runner, ordinal);
	if (world_random(world, 2))
		world_action(world, at_ms + away_ms / 2, power_off_runner,
			     world_random(world, ORDINALS));
	at_ms += away_ms;
	world_action(world, at_ms, alone ? all_on_alone : all_on, 0);
	if (alone && world_random(world, 2))
		world_action(world, at_ms + 10 * 1000, power_off_runner,
			     world_random(world, ORDINALS));
	return calm_down(world, at_ms + BORN_MS);
}

/* The power goes everywhere: who has most registrars within reach starts again what it ran. */
static int64_t power_everywhere(struct world *world, int64_t at_ms)
{
	world_action(world, at_ms, all_off, 0);
	at_ms += 5000;
	world_action(world, at_ms, all_on_alone, 0);
	at_ms += BORN_MS;
	world_action(world, at_ms, heal, 0);
	world_action(world, at_ms + BORN_MS, expect_all_run, 0);
	return at_ms + CALM_MS;
}

void control_recall(struct world *world)
{
	int64_t at_ms = START_MS;

	control_begin(world);
	world_action(world, at_ms, apply, true);
	at_ms += BORN_MS;
	world_action(world, at_ms, expect_settled, 0);
	for (uint64_t i = 0; i < 3; i++)
		at_ms = comes_back(world, at_ms + 1, i != 1);
	(void)power_everywhere(world, at_ms);
}
