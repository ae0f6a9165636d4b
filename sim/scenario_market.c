/* SPDX-License-Identifier: Apache-2.0 */
/* Large scenarios about the market. */
#include "checker.h"
#include "metrics.h"
#include "scenario_large.h"
#include "steps.h"

enum {
	IDLE_MS = 60 * 1000,          /* two keep-alives, two shuffles, three renewals */
	PLACED_WITHIN_MS = 10 * 1000, /* of the last request, where there is room for all */
	PROBE_SPACING_MS = 1000,
	MACHINES_PER_BUSY_OWNER = 10,
	REPLICAS_PER_MACHINE_MAX = 20, /* half of what there is room for */
	LAST_DELIVERY_MS = 300,        /* of a broadcast, in a room without losses */
	/* Among very many a link of the tree is replaced somewhere at any moment, and who is behind
	 * it has to ask: TREE_LAZY_MS and up to TREE_GRAFT_MAX_MS later. */
	LAST_DELIVERY_MANY_MS = 1000,
	MANY_MACHINES = 10000,
	ATTEMPTS_MAX = 16,   /* at what fits nowhere in some minutes: each waits twice as long */
	WARM_BROADCASTS = 4, /* they carve the tree */
	UNIFORM_DEVIATIONS_MAX = 5,  /* of a normal distribution: once in three million runs */
	PODS_MAX = 4,                /* of one workload on one machine, where there are many */
	RARE_MESSAGES_MAX = 60,      /* per placement: a lookup takes some ten requests */
	HOPELESS_MESSAGES_MAX = 400, /* per second in the whole fabric, whatever is pending */
	BACKED_OFF_MS = 60 * 1000,   /* from then on what fits nowhere is tried rarely */
};

static const char rare_label[] = "example.org/rare";

/* Everything that the figures need, one after the other. */
void large_placement(struct world *world)
{
	int64_t at_ms = steps_begin(world);
	int64_t busy_ms = world->params.duration_s * MS_PER_S;

	steps_idle(world, at_ms, IDLE_MS);
	at_ms += IDLE_MS;
	steps_work(world, at_ms, busy_ms);
	at_ms += busy_ms + PLACED_WITHIN_MS;
	steps_expect_placed(world, at_ms);
	steps_lookups(world, at_ms, STEPS_PROBE_MS);
	steps_broadcasts(world, at_ms, PROBE_SPACING_MS, WARM_BROADCASTS);
	at_ms += world->params.broadcasts * PROBE_SPACING_MS + STEPS_PROBE_MS + MS_PER_S;
	steps_losses(world, at_ms, STEPS_PROBE_MS);
}

void large_placement_end(struct world *world)
{
	int64_t last_ms =
		world->machine_count > MANY_MACHINES ? LAST_DELIVERY_MANY_MS : LAST_DELIVERY_MS;
	struct metrics_figures figures;

	large_probes_end(world);
	metrics_read(world, &figures);
	if (world->params.profile == PARAMS_LAN && !world->network.loss && !world->network.vanish &&
	    figures.broadcast_last_p99_us > last_ms * US_PER_MS)
		world_violate(world, NULL, "the last machine had a broadcast after %.0f ms only",
			      (double)figures.broadcast_last_p99_us / US_PER_MS);
}

void large_one_owner(struct world *world)
{
	int64_t at_ms = steps_begin(world);
	int64_t room = (int64_t)world->machine_count * REPLICAS_PER_MACHINE_MAX;

	if (world->params.replicas > room)
		world->params.replicas = room;
	steps_work(world, at_ms, 0);
	steps_expect_placed(world, at_ms + world->params.duration_s * MS_PER_S);
}

void large_one_owner_end(struct world *world)
{
	struct metrics_figures figures;
	uint64_t even;

	metrics_read(world, &figures);
	even = figures.placed / world->machine_count;
	if (figures.chi_square_deviations > UNIFORM_DEVIATIONS_MAX)
		world_violate(world, NULL,
			      "the replicas of one owner are unevenly spread: chi-square %.1f with "
			      "%llu degrees of freedom",
			      figures.chi_square, (unsigned long long)figures.chi_square_freedom);
	if (figures.pods_max > even + PODS_MAX)
		world_violate(world, NULL, "one machine has %llu of %llu replicas on %zu machines",
			      (unsigned long long)figures.pods_max,
			      (unsigned long long)figures.placed, world->machine_count);
}

void large_burst(struct world *world)
{
	int64_t at_ms;

	steps_default_owners(world, MACHINES_PER_BUSY_OWNER);
	at_ms = steps_begin(world);
	steps_work_in_turn(world, at_ms);
	steps_expect_placed(world, at_ms + world->params.duration_s * MS_PER_S);
}

/* ---- full ---- */

/* Machines of four sizes and workloads of eight, so that there is something to do wrong. */
static void make_uneven(struct world *world)
{
	static const int64_t cores_milli[] = {2000, 4000, 8000, 16000};

	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_machine *machine = &world->machines[i];

		machine->cpu_milli = cores_milli[world_random(world, ARRAY_LEN(cores_milli))];
		machine->memory_bytes = 1LL << 40; /* only the cores are scarce */
	}
}

static void give_some(struct world *world, uint64_t cpu_milli)
{
	struct sim_wish wish = {
		.replicas = (uint32_t)world->params.replicas,
		.cpu_milli = (int64_t)cpu_milli,
	};

	(void)world_apply_wish(world, world_random(world, world->machine_count), &wish);
}

void large_full(struct world *world)
{
	int64_t at_ms, busy_ms = world->params.duration_s * MS_PER_S;
	int64_t capacity = 0, used = 0;

	make_uneven(world);
	at_ms = steps_begin(world);
	for (size_t i = 0; i < world->machine_count; i++)
		capacity += world->machines[i].cpu_milli;
	capacity = capacity * world->params.load / 100;
	metrics_judge_quality(world);
	for (;;) {
		int64_t cpu_milli = 100 + 50 * (int64_t)world_random(world, 8);

		used += cpu_milli * world->params.replicas;
		if (used > capacity)
			break;
		/* In the order of use, so that the load rises evenly. */
		world_action(world, at_ms + busy_ms * used / capacity, give_some,
			     (uint64_t)cpu_milli);
	}
	steps_expect_placed(world, at_ms + busy_ms + 6 * PLACED_WITHIN_MS);
}

/* The ledger's bounds are general invariants; this is about how well it was filled. */
void large_full_end(struct world *world)
{
	struct metrics_figures figures;

	metrics_read(world, &figures);
	if (figures.quality_judged && figures.quality < 0.88)
		world_violate(world, NULL, "quality is %.3f of an oracle's", figures.quality);
}

/* ---- rare ---- */

static void give_rare(struct world *world, uint64_t machine)
{
	struct sim_wish wish = {
		.replicas = (uint32_t)world->params.replicas,
		.cpu_milli = world->params.cpu_milli,
		.label_key = rare_label,
		.label_value = "yes",
	};

	(void)world_apply_wish(world, machine, &wish);
}

void large_rare(struct world *world)
{
	static struct label label = {(char *)(uintptr_t)rare_label, (char *)(uintptr_t) "yes"};
	int64_t at_ms, busy_ms = world->params.duration_s * MS_PER_S;

	for (int64_t i = 0; i < world->params.fits; i++) {
		struct sim_machine *machine =
			&world->machines[world_random(world, world->machine_count)];

		machine->labels = &label;
		machine->label_count = 1;
	}
	at_ms = steps_begin(world);
	steps_idle(world, at_ms, IDLE_MS);
	at_ms += IDLE_MS;
	for (int64_t i = 0; i < world->params.workloads; i++)
		world_action(world, at_ms + i * busy_ms / world->params.workloads, give_rare,
			     world_random(world, world->machine_count));
	steps_expect_placed(world, at_ms + busy_ms + PLACED_WITHIN_MS);
}

/* In a small fabric all are asked, and a new one has no provider sets yet. */
void large_rare_end(struct world *world)
{
	size_t pool = world->params.pool ? (size_t)world->params.pool : OVERLAY_POOL_DEFAULT;
	bool large = world->machine_count > 2 * pool;
	struct metrics_figures figures;

	metrics_read(world, &figures);
	if (world->params.formed && large && !world->network.loss && !world->network.vanish &&
	    figures.messages_per_placement > RARE_MESSAGES_MAX)
		world_violate(world, NULL, "what is rare costs %.0f messages per placement",
			      figures.messages_per_placement);
}

/* ---- unsatisfiable ---- */

static void give_hopeless(struct world *world, uint64_t machine)
{
	struct sim_wish wish = {
		.replicas = (uint32_t)world->params.replicas,
		.cpu_milli = world->params.cpu_milli,
		.label_key = rare_label,
		.label_value = "nobody",
	};

	metrics_hopeless(world, world_apply_wish(world, machine, &wish));
}

static void window_open(struct world *world, uint64_t argument)
{
	(void)argument;
	metrics_window_open(world, METRICS_HOPELESS);
}

static void window_close(struct world *world, uint64_t argument)
{
	(void)argument;
	metrics_window_close(world, METRICS_HOPELESS);
}

void large_unsatisfiable(struct world *world)
{
	int64_t at_ms = steps_begin(world);
	int64_t busy_ms = world->params.duration_s * MS_PER_S;

	for (int64_t i = 0; i < world->params.owners; i++)
		for (int64_t j = 0; j < world->params.workloads; j++)
			world_action(world, at_ms + (int64_t)world_random(world, MS_PER_S),
				     give_hopeless,
				     (size_t)i * world->machine_count /
					     (size_t)world->params.owners);
	world_action(world, at_ms + BACKED_OFF_MS, window_open, 0);
	world_action(world, at_ms + BACKED_OFF_MS + busy_ms, window_close, 0);
}

void large_unsatisfiable_end(struct world *world)
{
	struct metrics_figures figures;

	metrics_read(world, &figures);
	if (figures.tenders > ATTEMPTS_MAX * (uint64_t)world->workload_count)
		world_violate(world, NULL, "%llu tenders for %zu workloads that fit nowhere",
			      (unsigned long long)figures.tenders, world->workload_count);
	if (figures.hopeless_messages_per_s > HOPELESS_MESSAGES_MAX)
		world_violate(world, NULL, "what fits nowhere costs %.0f messages per second",
			      figures.hopeless_messages_per_s);
}
