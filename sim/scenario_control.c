/* SPDX-License-Identifier: Apache-2.0 */
/* Controllers at work: rollouts and families of all kinds, whatever happens meanwhile. */
#include "scenario_control.h"

#include "base/fault.h"
#include "family.h"

enum {
	/* Stewards are complete by then: who comes back need not wait to see who else does. */
	START_MS = NODE_COMPLETE_MS + 10 * 1000,
	ROLLED_MS = 25 * 1000, /* by then a rollout without accidents is over */
	MENDED_MS = 45 * 1000, /* and one with a lost machine */
	APART_MS = 40 * 1000,
	AGREED_MS = SIM_GRACE_MS + 20 * 1000, /* after a heal, and what it made necessary */
	CUT = 3, /* machines from here on are the other side: two of the five stewards */
	REPLICAS = 6,
	TEMPLATE = 100, /* of an argument: replicas + TEMPLATE * (template + 1) */
	GATEWAY = 100 * 1000,
	ROUNDS = 2,
	FIRST_TEMPLATE = 10, /* of a partition; the others are its multiples */
};

/* ---- actions ---- */

static void apply(struct world *world, uint64_t kind)
{
	static const struct family_wish wishes[] = {
		[FAMILY_DEPLOYMENT] = {FAMILY_DEPLOYMENT, REPLICAS, 2, 1, false},
		[FAMILY_STATEFULSET] = {FAMILY_STATEFULSET, 3, 0, 0, false},
		[FAMILY_DAEMONSET] = {FAMILY_DAEMONSET, 0, 0, 0, false},
		[FAMILY_JOB] = {FAMILY_JOB, 20, 0, 0, false},
		[FAMILY_CRONJOB] = {FAMILY_CRONJOB, 1, 0, 0, false},
	};

	(void)family_apply(world, SIM_ANY, &wishes[kind]);
}

static void change(struct world *world, uint64_t what)
{
	uint64_t gateway = what / GATEWAY;
	int64_t template = (int64_t)(what % GATEWAY / TEMPLATE),
		replicas = (int64_t)what % TEMPLATE;

	family_change(world, gateway ? gateway - 1 : SIM_ANY, 0,
		      &(struct family_change){template ? template : FAMILY_KEEP,
					      replicas ? replicas : FAMILY_KEEP});
}

/* Of the first family: at @gateway, or SIM_ANY; 0 replicas or template: as they are. */
static void change_at(struct world *world, int64_t at_ms, size_t gateway, uint64_t template,
		      uint64_t replicas)
{
	uint64_t number = gateway == SIM_ANY ? 0 : gateway + 1;

	world_action(world, at_ms, change, number * GATEWAY + template * TEMPLATE + replicas);
}

static void roll_all(struct world *world, uint64_t template)
{
	for (size_t i = 0; i < world->families->count; i++) {
		enum family_kind kind = world->families->family[i].wish.kind;

		if (kind == FAMILY_DEPLOYMENT || kind == FAMILY_STATEFULSET ||
		    kind == FAMILY_DAEMONSET)
			family_change(world, SIM_ANY, i,
				      &(struct family_change){(int64_t) template, FAMILY_KEEP});
	}
}

static void note(struct world *world, uint64_t family)
{
	family_note(world, family);
}

static void expect_made(struct world *world, uint64_t count)
{
	family_expect_made(world, 0, count);
}

static void expect_settled(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t i = 0; i < world->families->count; i++)
		family_expect_settled(world, i);
}

static void expect_available(struct world *world, uint64_t family)
{
	family_expect_available(world, family);
}

static void expect_told(struct world *world, uint64_t family)
{
	family_expect_told(world, family);
}

static void rival_changes(struct world *world, uint64_t family)
{
	family_rival_changes(world, family);
}

static void expect_one_won(struct world *world, uint64_t argument)
{
	(void)argument;
	family_expect_one_won(world);
}

static void power_off(struct world *world, uint64_t machine)
{
	world_power_off(world, machine);
}

/* The machine that controls a family. */
static void power_off_controller(struct world *world, uint64_t family)
{
	size_t machine = family_controller(world, family);

	if (machine != SIM_ANY)
		world_power_off(world, machine);
}

/* The machine that has run the first pod of a family. */
static void power_off_worker(struct world *world, uint64_t family)
{
	const struct sim_family *one = &world->families->family[family];

	if (one->pod_count > 0)
		world_power_off(world, one->pods[0]->machine);
}

static void kill_controller(struct world *world, uint64_t family)
{
	size_t machine = family_controller(world, family);

	if (machine != SIM_ANY)
		world_kill_daemon(world, machine);
}

static void all_on(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t i = 0; i < world->machine_count; i++)
		if (!world->machines[i].node)
			world_power_on(world, i, true);
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

void control_begin(struct world *world)
{
	static char key[] = "kubernetes.io/hostname";

	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_machine *machine = &world->machines[i];

		machine->hostname = (struct label){key, machine->name};
		machine->labels = &machine->hostname;
		machine->label_count = 1;
	}
	world_boot_all(world);
	world->distinct = false;
	world->pod_start_ms_min = 300;
	world->pod_start_ms_max = 2000;
	world->pod_stop_ms = 1000;
}

/* ---- a Deployment ---- */

/* Nothing happens but what was asked for: not one pod more than that takes. */
static int64_t roll_quietly(struct world *world, int64_t at_ms)
{
	world_action(world, at_ms, apply, FAMILY_DEPLOYMENT);
	at_ms += ROLLED_MS;
	world_action(world, at_ms, expect_settled, 0);
	world_action(world, at_ms, note, 0);
	change_at(world, at_ms + 1, SIM_ANY, 2, 0);
	at_ms += ROLLED_MS;
	world_action(world, at_ms, expect_settled, 0);
	world_action(world, at_ms, expect_made, REPLICAS);
	/* Of writes at the same moment that name the same version one wins. */
	world_action(world, at_ms + 1, rival_changes, 0);
	world_action(world, at_ms + 5000, expect_one_won, 0);
	world_action(world, at_ms + 5000, expect_settled, 0);
	world_action(world, at_ms + 5000, expect_made, REPLICAS);
	/* A template that does not work, and back. */
	change_at(world, at_ms + 5001, SIM_ANY, FAMILY_BAD, 0);
	world_action(world, at_ms + 5001 + ROLLED_MS, expect_available, 0);
	change_at(world, at_ms + 5002 + ROLLED_MS, SIM_ANY, 2, 0);
	at_ms += 5002 + 2 * ROLLED_MS;
	world_action(world, at_ms, expect_settled, 0);
	return at_ms;
}

/* Its controller goes in the middle, then the one after it, then any machine. */
static int64_t roll_with_losses(struct world *world, int64_t at_ms)
{
	change_at(world, at_ms, SIM_ANY, 3, 0);
	world_action(world, at_ms + 1500, power_off_controller, 0);
	change_at(world, at_ms + 4000, SIM_ANY, 4, REPLICAS + 3);
	world_action(world, at_ms + 9000, kill_controller, 0);
	world_action(world, at_ms + 12000, power_off,
		     CUT + 2 + world_random(world, world->machine_count - CUT - 2));
	at_ms += MENDED_MS;
	world_action(world, at_ms, all_on, 0);
	return at_ms + AGREED_MS;
}

/* Both sides go on, and change it: one of them wins. */
static int64_t roll_apart(struct world *world, int64_t at_ms, uint64_t template)
{
	bool more = template == FIRST_TEMPLATE || world_random(world, 2);
	/* In the first round the side that wins has the later line. */
	int64_t first_ms = template == FIRST_TEMPLATE ? 8000 : (int64_t)world_random(world, 10000);
	int64_t other_ms = template == FIRST_TEMPLATE ? 4000 : (int64_t)world_random(world, 10000);

	world_action(world, at_ms, expect_settled, 0);
	world_action(world, at_ms + 1, partition, CUT);
	change_at(world, at_ms + 100 + first_ms, 0, template, 0);
	change_at(world, at_ms + 100 + other_ms, CUT, template + 1, 4);
	if (more)
		change_at(world, at_ms + 15000, 0, template + 2, 5);
	else
		change_at(world, at_ms + 15000, CUT, 2, REPLICAS);
	world_action(world, at_ms + 16000, power_off,
		     CUT + 2 + world_random(world, world->machine_count - CUT - 2));
	world_action(world, at_ms + 20000 + (int64_t)world_random(world, 15000), heal, 0);
	at_ms += APART_MS;
	world_action(world, at_ms, all_on, 0);
	world_action(world, at_ms + SIM_GRACE_MS, expect_told, 0);
	return at_ms + AGREED_MS;
}

static void note_oldest(struct world *world, uint64_t family)
{
	family_note_oldest(world, family);
}

static void expect_oldest(struct world *world, uint64_t family)
{
	family_expect_oldest(world, family);
}

/* Both sides mend what they miss, and nobody changes anything. */
static int64_t part_quietly(struct world *world, int64_t at_ms)
{
	change_at(world, at_ms, SIM_ANY, 0, world->machine_count);
	at_ms += MENDED_MS;
	world_action(world, at_ms, expect_settled, 0);
	world_action(world, at_ms + 1, partition, CUT + 2);
	at_ms += APART_MS;
	world_action(world, at_ms - 1, note_oldest, 0);
	world_action(world, at_ms, heal, 0);
	at_ms += AGREED_MS;
	world_action(world, at_ms, expect_oldest, 0);
	return at_ms;
}

void control_rollout(struct world *world)
{
	int64_t at_ms = START_MS;

	control_begin(world);
	at_ms = roll_quietly(world, at_ms);
	at_ms = roll_with_losses(world, at_ms);
	for (uint64_t i = 0; i < ROUNDS; i++)
		at_ms = roll_apart(world, at_ms, FIRST_TEMPLATE * (i + 1));
	at_ms = part_quietly(world, at_ms);
	world_action(world, at_ms, expect_settled, 0);
}

/* ---- all kinds ---- */

static void apply_all(struct world *world, uint64_t argument)
{
	(void)argument;
	for (int i = 0; i < FAMILY_KIND_COUNT; i++)
		apply(world, (uint64_t)i);
}

void control_families(struct world *world)
{
	int64_t at_ms = START_MS;

	control_begin(world);
	world_action(world, at_ms, apply_all, 0);
	world_action(world, at_ms + 12000, power_off_worker, FAMILY_JOB);
	world_action(world, at_ms + 15000, kill_controller, FAMILY_STATEFULSET);
	at_ms += MENDED_MS;
	world_action(world, at_ms, all_on, 0);
	at_ms += AGREED_MS;
	world_action(world, at_ms, expect_settled, 0);
	for (int i = 0; i < ROUNDS; i++) {
		/* Over the minute, both ways. */
		world_action(world, at_ms, roll_all, 2 + (uint64_t)i);
		world_action(world, at_ms + 500, partition, i % 2 ? CUT : CUT + 1);
		world_action(world, at_ms + APART_MS, heal, 0);
		world_action(world, at_ms + APART_MS + AGREED_MS, kill_controller, FAMILY_CRONJOB);
		world_action(world, at_ms + APART_MS + AGREED_MS + 5000, all_on, 0);
		at_ms += APART_MS + 2 * AGREED_MS;
		world_action(world, at_ms, expect_settled, 0);
	}
}

static void forced(struct world *world, uint64_t on)
{
	world_tell(world, NULL, "every keeper is %s controller", on ? "a" : "no longer a");
	if (on)
		fault_plant(FAULT_CONTROLLERS);
	else
		fault_pull(FAULT_CONTROLLERS);
}

/* ---- ordinals ---- */

enum {
	ORDINALS = 4,
	CALM_MS = 100 * 1000, /* what fitted nowhere for a while is tried again by then */
	FAST_MS = 30 * 1000,  /* for all that may happen in a round */
};

static void cut_off_runner(struct world *world, uint64_t ordinal)
{
	size_t machine = family_runs_at(world, 0, (uint32_t)ordinal);

	if (machine != SIM_ANY)
		world_cut_off(world, machine);
}

static void power_off_runner(struct world *world, uint64_t ordinal)
{
	size_t machine = family_runs_at(world, 0, (uint32_t)ordinal);

	if (machine != SIM_ANY)
		world_power_off(world, machine);
}

static void kill_runner(struct world *world, uint64_t ordinal)
{
	size_t machine = family_runs_at(world, 0, (uint32_t)ordinal);

	if (machine != SIM_ANY)
		world_kill_daemon(world, machine);
}

static void give_up(struct world *world, uint64_t ordinal)
{
	family_release(world, 0, 0, (uint32_t)ordinal);
}

static void kill_daemon(struct world *world, uint64_t machine)
{
	world_kill_daemon(world, machine);
}

static int64_t soon(struct world *world)
{
	return (int64_t)world_random(world, FAST_MS);
}

/* Fewer and more again, at either side. */
static void scale_twice(struct world *world, int64_t at_ms)
{
	size_t gateway = world_random(world, 2) ? SIM_ANY : world_random(world, CUT + 2);

	change_at(world, at_ms, gateway, 0, 1 + world_random(world, ORDINALS - 1));
	change_at(world, at_ms + 1000 + soon(world), gateway, 0, ORDINALS);
}

static void disturb(struct world *world, int64_t at_ms)
{
	uint64_t ordinal = world_random(world, ORDINALS);

	switch (world_random(world, 5)) {
	case 0:
		world_action(world, at_ms, partition,
			     1 + world_random(world, world->machine_count - 1));
		break;
	case 1:
		world_action(world, at_ms, power_off_runner, ordinal);
		break;
	case 2:
		world_action(world, at_ms, kill_runner, ordinal);
		break;
	default:
		world_action(world, at_ms, cut_off_runner, ordinal);
	}
	if (world_random(world, 3) == 0)
		world_action(world, at_ms + soon(world), give_up, ordinal);
	if (world_random(world, 2))
		scale_twice(world, at_ms + soon(world));
	if (world_random(world, 3) == 0)
		change_at(world, at_ms + soon(world), SIM_ANY, 2 + world_random(world, 80), 0);
	/* A registrar that comes back remembers. */
	if (world_random(world, 2)) {
		int64_t kill_ms = at_ms + soon(world);

		world_action(world, kill_ms, kill_daemon, world_random(world, CUT + 2));
		world_action(world, kill_ms + 200 + soon(world) / 10, all_on, 0);
	}
}

/* Whatever was asked for on either side. */
static void want_all(struct world *world, uint64_t argument)
{
	(void)argument;
	family_change(world, SIM_ANY, 0, &(struct family_change){FAMILY_KEEP, ORDINALS});
}

void control_ordinals(struct world *world)
{
	int64_t at_ms = START_MS;

	control_begin(world);
	if (world_random(world, 2))
		world_action(world, at_ms - 1, forced, true);
	world_action(world, at_ms, apply, FAMILY_STATEFULSET);
	for (int i = 0; i < 2 * ROUNDS; i++) {
		/* The first time while they are being born. */
		disturb(world, at_ms + (i ? 0 : 100 + (int64_t)world_random(world, 8000)));
		at_ms += 3 * FAST_MS;
		world_action(world, at_ms, heal, 0);
		world_action(world, at_ms, all_on, 0);
		world_action(world, at_ms + 20 * 1000, want_all, 0);
		at_ms += CALM_MS;
		world_action(world, at_ms, expect_settled, 0);
		at_ms++;
	}
	world_action(world, at_ms, forced, false);
}

/* ---- every keeper a controller ---- */

void control_controllers(struct world *world)
{
	int64_t at_ms = START_MS;

	control_begin(world);
	world_action(world, at_ms - 1, forced, true);
	world_action(world, at_ms, apply_all, 0);
	at_ms += MENDED_MS;
	world_action(world, at_ms, roll_all, 2);
	at_ms += AGREED_MS;
	world_action(world, at_ms, expect_settled, 0);
	world_action(world, at_ms + 1, power_off, world->machine_count - 1);
	at_ms += MENDED_MS;
	world_action(world, at_ms, all_on, 0);
	at_ms += AGREED_MS;
	world_action(world, at_ms, expect_settled, 0);
	world_action(world, at_ms + 1, forced, false);
}
