/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work that bench/fabric_bench.py gives to real daemons, and nothing else: what both count must
 * agree. Change them together.
 */
#include "scenario_small.h"

enum {
	GAP_MS = 100,   /* between two workloads */
	REST_MS = 5000, /* after the last event of a phase */
	MEMORY_MIB = 16,
	CPU_MILLI = 10,
	GIVEN_TO_STEP = 7, /* workload i is given to machine 7 i */
	POD_START_MS = 5,  /* of the null engine */
};

static void give(struct world *world, uint64_t workload)
{
	struct sim_wish wish = {.replicas = (uint32_t)world->params.replicas,
				.cpu_milli = CPU_MILLI,
				.memory_mib = MEMORY_MIB};

	(void)world_apply_wish(world, workload * GIVEN_TO_STEP % world->machine_count, &wish);
}

static void take(struct world *world, uint64_t workload)
{
	if (workload < world->workload_count)
		world_delete(world, workload);
}

static void open_placement(struct world *world, uint64_t argument)
{
	(void)argument;
	traffic_open(world, "placement");
}

static void open_disposal(struct world *world, uint64_t argument)
{
	(void)argument;
	traffic_open(world, "disposal");
}

static void open_idle(struct world *world, uint64_t argument)
{
	(void)argument;
	traffic_open(world, "idle");
}

static void close_idle(struct world *world, uint64_t argument)
{
	(void)argument;
	traffic_close(world);
}

void small_fabric(struct world *world)
{
	const struct params *params = &world->params;
	int64_t phase_ms = params->workloads * GAP_MS + REST_MS;
	int64_t begin_ms = params->settle_s * MS_PER_S;

	world->pod_start_ms_min = world->pod_start_ms_max = POD_START_MS;
	world->pod_stop_ms = 0;
	world_boot_all(world);
	world_action(world, begin_ms, open_placement, 0);
	world_action(world, begin_ms + phase_ms, open_disposal, 0);
	for (int64_t i = 0; i < params->workloads; i++) {
		world_action(world, begin_ms + i * GAP_MS, give, (uint64_t)i);
		world_action(world, begin_ms + phase_ms + i * GAP_MS, take, (uint64_t)i);
	}
	world_action(world, begin_ms + 2 * phase_ms, open_idle, 0);
	world_action(world, begin_ms + 2 * phase_ms + params->duration_s * MS_PER_S, close_idle, 0);
}
