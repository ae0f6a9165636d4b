/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work that bench/fabric_bench.py gives to real daemons, and nothing else: what both count must
 * agree. Change them together.
 *
 *   machines boot and settle; workloads are given; when all are placed, a rest; what only the last
 *   machine fits is given; when it is placed, a rest; all are deleted; when no pod is left, a rest;
 *   quiet
 */
#include "scenario_small.h"

enum {
	WINDOWS = 4, /* placement, rare, disposal, idle */
	RARE_COUNT = 30,
	GAP_MS = 250,   /* between two workloads */
	REST_MS = 5000, /* after the last event of a phase */
	LOOK_MS = 100,  /* is the phase over? */
	MEMORY_MIB = 16,
	CPU_MILLI = 10,
	MACHINE_MILLI = 2000, /* as where the figures are taken */
	GIVEN_TO_STEP = 7,    /* workload i is given to machine 7 i */
	POD_START_MS = 5,     /* of the null engine */
};

static const char rare_label[] = "example.org/rare";
static const char rare_value[] = "yes";

static int64_t soon_ms(const struct world *world, int64_t ms)
{
	return world->now_us / US_PER_MS + ms;
}

static void close_idle(struct world *world, uint64_t argument)
{
	(void)argument;
	traffic_close(world);
}

static void open_idle(struct world *world, uint64_t argument)
{
	(void)argument;
	traffic_open(world, "idle");
	world_action(world, soon_ms(world, world->params.duration_s * MS_PER_S), close_idle, 0);
}

static void until_gone(struct world *world, uint64_t argument)
{
	(void)argument;
	for (size_t i = 0; i < world->pod_count; i++)
		if (world->pods[i]->state != SIM_POD_GONE) {
			world_action(world, soon_ms(world, LOOK_MS), until_gone, 0);
			return;
		}
	world_action(world, soon_ms(world, REST_MS), open_idle, 0);
}

static void take(struct world *world, uint64_t workload)
{
	world_delete(world, workload);
}

static void open_disposal(struct world *world, uint64_t argument)
{
	size_t count = world->workload_count;

	(void)argument;
	traffic_open(world, "disposal");
	for (size_t i = 0; i < count; i++)
		world_action(world, soon_ms(world, (int64_t)i * GAP_MS), take, i);
	world_action(world, soon_ms(world, (int64_t)count * GAP_MS), until_gone, 0);
}

static bool all_placed(struct world *world)
{
	for (size_t i = 0; i < world->workload_count; i++)
		if (!metrics_all_accepted(world, i))
			return false;
	return true;
}

static void until_rare_placed(struct world *world, uint64_t argument)
{
	(void)argument;
	if (all_placed(world))
		world_action(world, soon_ms(world, REST_MS), open_disposal, 0);
	else
		world_action(world, soon_ms(world, LOOK_MS), until_rare_placed, 0);
}

static void apply(struct world *world, uint64_t workload, const struct sim_wish *wish)
{
	(void)world_apply_wish(world, workload * GIVEN_TO_STEP % world->machine_count, wish);
}

static void give_rare(struct world *world, uint64_t workload)
{
	struct sim_wish wish = {.replicas = 1,
				.cpu_milli = CPU_MILLI,
				.memory_mib = MEMORY_MIB,
				.label_key = rare_label,
				.label_value = rare_value};

	apply(world, workload, &wish);
}

static void open_rare(struct world *world, uint64_t argument)
{
	size_t first = world->workload_count;

	(void)argument;
	traffic_open(world, "rare");
	for (size_t i = 0; i < RARE_COUNT; i++)
		world_action(world, soon_ms(world, (int64_t)i * GAP_MS), give_rare, first + i);
	world_action(world, soon_ms(world, RARE_COUNT * GAP_MS), until_rare_placed, 0);
}

static void until_placed(struct world *world, uint64_t argument)
{
	(void)argument;
	if (all_placed(world))
		world_action(world, soon_ms(world, REST_MS), open_rare, 0);
	else
		world_action(world, soon_ms(world, LOOK_MS), until_placed, 0);
}

static void give(struct world *world, uint64_t workload)
{
	struct sim_wish wish = {.replicas = (uint32_t)world->params.replicas,
				.cpu_milli = CPU_MILLI,
				.memory_mib = MEMORY_MIB};

	apply(world, workload, &wish);
}

static void open_placement(struct world *world, uint64_t argument)
{
	int64_t count = world->params.workloads;

	(void)argument;
	traffic_open(world, "placement");
	for (int64_t i = 0; i < count; i++)
		world_action(world, soon_ms(world, i * GAP_MS), give, (uint64_t)i);
	world_action(world, soon_ms(world, count * GAP_MS), until_placed, 0);
}

void small_fabric(struct world *world)
{
	static struct label label = {(char *)(uintptr_t)rare_label, (char *)(uintptr_t)rare_value};
	struct sim_machine *last = &world->machines[world->machine_count - 1];

	world->pod_start_ms_min = world->pod_start_ms_max = POD_START_MS;
	world->pod_stop_ms = 0;
	for (size_t i = 0; i < world->machine_count; i++)
		world->machines[i].cpu_milli = MACHINE_MILLI;
	last->labels = &label;
	last->label_count = 1;
	world_boot_all(world);
	world_action(world, world->params.settle_s * MS_PER_S, open_placement, 0);
}

/* A phase that never ended has left no window behind. */
void small_fabric_end(struct world *world)
{
	struct uid none = {0};

	if (world->traffic.count != WINDOWS || world->traffic.open)
		world_violate(world, &none, "the work was not done in time");
}
