/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to the agents: they start; nothing happens for a while, which is measured; then pods
 * change, go, are replaced and moved, machines are lost with all their pods, services are looked up
 * and used; the fabric falls into halves, and heals.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "agents.h"
#include "base/mem.h"
#include "bugs.h"

enum {
	BOOT_MS = 20 * 1000,
	IDLE_MS = 30 * 1000, /* the last part of the quiet time */
	TICK_MS = 100,
	LOOKUPS_PER_TICK = 2,
	FLIPS_PER_TICK = 1,
	READY_AGAIN_MS = 3000,
	USER_EVERY = 10,       /* agents, one of which uses a service */
	REPLACE_MS = 8 * 1000, /* from a loss to its replacement */
	SPLIT_MS = 40 * 1000,
	END_MS = 90 * 1000, /* after the network is whole again */
	REPLICAS_STEP = 7,  /* sizes of workloads: 1, 8, 15, ... modulo the largest */
	PERCENT_TENTHS = 1000,
	MINUTE_TICKS = 600,
	P50 = 500,
	P99 = 990,
};

struct place_of_pod {
	uint32_t workload, slot;
};

static uint32_t random_machine(struct agents *agents)
{
	for (;;) {
		uint32_t machine = (uint32_t)agents_random(agents, agents->machine_count);

		if (!agents->machines[machine].lost)
			return machine;
	}
}

static bool is_steady(const struct agent *agent)
{
	return agent->directory && !agent->liar && agent->ended.us == MONO_NEVER.us;
}

/* One that runs and is about to go on doing so. */
static uint32_t random_agent(struct agents *agents)
{
	for (;;) {
		uint32_t index = (uint32_t)agents_random(agents, agents->count);

		if (is_steady(&agents->agents[index]))
			return index;
	}
}

/* ---- setting up ---- */

static void plan_workloads(struct agents *agents, size_t pods)
{
	size_t planned = 0;

	agents->workloads = mem_alloc(pods, sizeof(*agents->workloads));
	while (planned < pods) {
		size_t n = agents->workload_count++;
		struct workload *workload = &agents->workloads[n];

		(void)snprintf(workload->namespace, sizeof(workload->namespace), "ns%zu",
			       n % AGENTS_NAMESPACES);
		(void)snprintf(workload->name, sizeof(workload->name), "w%zu", n);
		workload->replicas = (uint32_t)(1 + n * REPLICAS_STEP % (AGENTS_REPLICAS_MAX - 1));
		if (workload->replicas > pods - planned)
			workload->replicas = (uint32_t)(pods - planned);
		planned += workload->replicas;
	}
}

static void start_in(struct agents *agents, uint64_t place)
{
	uint32_t workload = (uint32_t)(place >> 32), slot = (uint32_t)place;

	if (!agents->workloads[workload].slots[slot])
		(void)agents_start(agents, workload, slot, random_machine(agents));
}

static uint64_t place_number(uint32_t workload, uint32_t slot)
{
	return (uint64_t)workload << 32 | slot;
}

static void plan_boot(struct agents *agents, size_t pods)
{
	size_t started = 0;

	for (uint32_t slot = 0; slot < AGENTS_REPLICAS_MAX; slot++)
		for (uint32_t w = 0; w < agents->workload_count; w++)
			if (slot < agents->workloads[w].replicas)
				agents_at(agents, (int64_t)(started++ * BOOT_MS / pods), start_in,
					  place_number(w, slot));
}

static size_t planned_pods(const struct agents *agents)
{
	return agents->machine_count * (size_t)agents->options->params.replicas;
}

static struct agents *agents_new(const struct report_options *options, size_t machines)
{
	struct agents *agents = mem_new(struct agents);
	size_t pods = machines * (size_t)options->params.replicas;

	agents->options = options;
	agents->queue = queue_new();
	agents->prng = prng_seeded(options->seed);
	agents->machine_count = machines;
	agents->machines = mem_alloc(machines, sizeof(*agents->machines));
	for (size_t i = 0; i < machines; i++)
		agents->machines[i].half = i % 2;
	agents->cap = pods * 8; /* with all that are replaced */
	agents->agents = mem_alloc(agents->cap, sizeof(*agents->agents));
	agents->calm_since = MONO_NEVER;
	map_init(&agents->by_id, options->seed);
	plan_workloads(agents, pods);
	plan_boot(agents, pods);
	return agents;
}

static void agents_free(struct agents *agents)
{
	struct queue_entry entry;

	for (size_t i = 0; i < agents->count; i++)
		directory_free(agents->agents[i].directory);
	while (queue_pop(agents->queue, &entry)) {
		struct agents_event *event = (struct agents_event *)entry.what;

		buf_deinit(&event->bytes);
		free(event);
	}
	queue_free(agents->queue);
	map_deinit(&agents->by_id);
	free(agents->agents);
	free(agents->workloads);
	free(agents->machines);
	free(agents);
}

/* ---- steps ---- */

static void calm(struct agents *agents, uint64_t number)
{
	(void)number;
	agents->calm_since = agents->now;
}

static void idle_begins(struct agents *agents, uint64_t number)
{
	(void)number;
	agents->counts_idle = true;
	agents_check_users(agents, 1);
}

static void use(struct agents *agents, uint32_t index)
{
	struct agent *agent = &agents->agents[index];

	agent->uses = (uint32_t)agents_random(agents, agents->workload_count);
	agent->user = agent->uses != agent->workload;
	agent->lookup_of = agent->uses;
	agent->lookup_began = agents->now;
	if (agent->user && agents_lookup(agents, index, agent->uses, &agent->lookup_token))
		agents_pump(agents, index);
}

static void lie_begins(struct agents *agents)
{
	for (int64_t i = 0; i < agents->options->params.liars; i++) {
		uint32_t liar = random_agent(agents);

		agents->agents[liar].liar = true;
		agents_lie(agents, liar);
	}
}

static void busy_begins(struct agents *agents, uint64_t number)
{
	(void)number;
	agents->counts_idle = false;
	for (uint32_t i = 0; i < agents->count; i += USER_EVERY)
		if (is_steady(&agents->agents[i]))
			use(agents, i);
	lie_begins(agents);
}

static void look_up(struct agents *agents)
{
	uint32_t index = random_agent(agents);
	struct agent *agent = &agents->agents[index];
	uint32_t workload = (uint32_t)agents_random(agents, agents->workload_count);

	if (agent->user || agent->lookup_token || workload == agent->workload)
		return;
	agent->lookup_of = workload;
	agent->lookup_began = agents->now;
	if (agents_lookup(agents, index, workload, &agent->lookup_token))
		agents_pump(agents, index);
}

static void ready_again(struct agents *agents, uint64_t index)
{
	if (is_steady(&agents->agents[index]) && !agents->agents[index].ready)
		agents_set_ready(agents, (uint32_t)index, true);
}

static void flip(struct agents *agents)
{
	uint32_t index = random_agent(agents);

	if (!agents->agents[index].ready)
		return;
	agents_set_ready(agents, index, false);
	agents_at(agents, READY_AGAIN_MS, ready_again, index);
}

/* As a rollout does: it goes in order, and another one comes, elsewhere. */
static void replace(struct agents *agents)
{
	uint32_t index = random_agent(agents);
	const struct agent *agent = &agents->agents[index];

	agents_at(agents, MS_PER_S, start_in, place_number(agent->workload, agent->slot));
	agents_leave(agents, index);
}

static void busy_tick(struct agents *agents, uint64_t left)
{
	const struct params *params = &agents->options->params;
	uint64_t expected = (uint64_t)params->churn * planned_pods(agents);

	for (int i = 0; i < LOOKUPS_PER_TICK; i++)
		look_up(agents);
	for (int i = 0; i < FLIPS_PER_TICK; i++)
		flip(agents);
	for (uint64_t share = PERCENT_TENTHS * MINUTE_TICKS; expected > 0;
	     expected -= expected < share ? expected : share)
		if (agents_random(agents, share) < expected)
			replace(agents);
	if (left > 0)
		agents_at(agents, TICK_MS, busy_tick, left - 1);
}

static void lose_machine(struct agents *agents, uint64_t number)
{
	uint32_t machine = random_machine(agents);

	(void)number;
	agents->machines[machine].lost = true;
	for (uint32_t i = 0; i < agents->count; i++) {
		const struct agent *agent = &agents->agents[i];

		if (agent->machine != machine || !agent->directory)
			continue;
		agents_at(agents, REPLACE_MS, start_in, place_number(agent->workload, agent->slot));
		agents_kill(agents, i);
	}
}

static void split(struct agents *agents, uint64_t number)
{
	(void)number;
	agents->split = true;
	agents->calm_since = MONO_NEVER;
}

static void heal(struct agents *agents, uint64_t number)
{
	(void)number;
	agents->split = false;
	agents->calm_since = agents->now;
}

/* Returns when it is over. */
static struct mono plan(struct agents *agents)
{
	const struct params *params = &agents->options->params;
	int64_t settled_ms = BOOT_MS + params->settle_s * MS_PER_S;
	int64_t busy_ms = params->duration_s * MS_PER_S;
	int64_t split_ms = settled_ms + busy_ms;

	agents_at(agents, BOOT_MS, calm, 0);
	agents_at(agents, settled_ms - IDLE_MS, idle_begins, 0);
	agents_at(agents, settled_ms, busy_begins, 0);
	agents_at(agents, settled_ms + MS_PER_S, busy_tick,
		  (uint64_t)((busy_ms + SPLIT_MS + END_MS / 2) / TICK_MS));
	for (int64_t i = 0; i < params->lost; i++)
		agents_at(agents, settled_ms + (i + 1) * busy_ms / (params->lost + 1), lose_machine,
			  0);
	agents_at(agents, split_ms, split, 0);
	agents_at(agents, split_ms + SPLIT_MS, heal, 0);
	return mono_add_ms(agents->now, split_ms + SPLIT_MS + END_MS);
}

/* ---- what there is to say ---- */

static int compare_latencies(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double latency_ms(struct agents *agents, size_t per_mille)
{
	size_t count = agents->latency_count < ARRAY_LEN(agents->latencies_us)
			       ? agents->latency_count
			       : ARRAY_LEN(agents->latencies_us);

	if (count == 0)
		return 0;
	qsort(agents->latencies_us, count, sizeof(agents->latencies_us[0]), compare_latencies);
	return (double)agents->latencies_us[count * per_mille / PERCENT_TENTHS] / US_PER_MS;
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 1;
}

static void print_json(struct agents *agents, double seconds)
{
	const struct agents_figures *f = &agents->figures;

	(void)printf("{\"scenario\": \"%s\", \"seed\": %" PRIu64 ", \"agents\": %zu, "
		     "\"workloads\": %zu, ",
		     agents->options->scenario_name, agents->options->seed, planned_pods(agents),
		     agents->workload_count);
	(void)printf("\"idle_messages_per_agent_per_second\": %.3f, "
		     "\"idle_bytes_per_agent_per_second\": %.1f, ",
		     share(f->idle_messages, f->idle_agent_s),
		     share(f->idle_bytes, f->idle_agent_s));
	(void)printf("\"lookups\": %" PRIu64 ", \"lookups_complete\": %.6f, "
		     "\"replicas_named\": %.6f, \"lookup_ms\": {\"p50\": %.3f, \"p99\": %.3f}, ",
		     f->lookups, share(f->lookups_complete, f->lookups),
		     share(f->pairs_found, f->pairs_wanted), latency_ms(agents, P50),
		     latency_ms(agents, P99));
	(void)printf("\"changes\": %" PRIu64 ", \"changes_in_time\": %.6f, "
		     "\"losses\": %" PRIu64 ", \"losses_reported\": %.6f, ",
		     f->changes_seen,
		     1 - share(f->changes_late, f->changes_seen) * (f->changes_seen > 0),
		     f->missing_wanted, share(f->missing_reported, f->missing_wanted));
	(void)printf("\"received_per_second_max\": %" PRIu64 ", \"lies\": %" PRIu64 ", "
		     "\"heap_bytes_per_agent\": %" PRId64 ", \"heap_bytes_max\": %" PRId64 ", ",
		     f->keeper_max, f->lies, f->heap_mean, f->heap_max);
	(void)printf("\"messages\": %" PRIu64 ", \"wall_seconds\": %.1f, \"violations\": [",
		     f->messages, seconds);
	(void)printf(agents->violation[0] ? "\"%s\"]}\n" : "%s]}\n", agents->violation);
}

static void print_text(struct agents *agents, double seconds)
{
	const struct agents_figures *f = &agents->figures;

	(void)printf("agents: %zu in %zu workloads on %zu machines, seed %" PRIu64 "\n",
		     planned_pods(agents), agents->workload_count, agents->machine_count,
		     agents->options->seed);
	(void)printf("  idle: %.2f messages/s and %.0f bytes/s sent by each\n",
		     share(f->idle_messages, f->idle_agent_s),
		     share(f->idle_bytes, f->idle_agent_s));
	(void)printf("  looked at %" PRIu64 " times, %.4f %% complete, %.4f %% of replicas named\n",
		     f->lookups, 100 * share(f->lookups_complete, f->lookups),
		     100 * share(f->pairs_found, f->pairs_wanted));
	(void)printf("  %" PRIu64 " lookups: p50 %.2f ms, p99 %.2f ms\n", f->cold,
		     latency_ms(agents, P50), latency_ms(agents, P99));
	(void)printf("  changes: %" PRIu64 ", late %" PRIu64 "; losses: %" PRIu64
		     ", reported %" PRIu64 ", false %" PRIu64 "; lies: %" PRIu64 "\n",
		     f->changes_seen, f->changes_late, f->missing_wanted, f->missing_reported,
		     f->missing_false, f->lies);
	(void)printf("  most messages received by one: %" PRIu64 "/s; heap: %" PRId64
		     " bytes each, %" PRId64 " at most\n",
		     f->keeper_max, f->heap_mean, f->heap_max);
	(void)printf("  %" PRIu64 " messages in %.1f s\n", f->messages, seconds);
}

static void print_violation(struct agents *agents, FILE *out)
{
	const struct report_options *options = agents->options;

	(void)fprintf(out, "VIOLATED at %lld.%06lld s, seed %" PRIu64 ": %s\n",
		      (long long)(agents->now.us / US_PER_S),
		      (long long)(agents->now.us % US_PER_S), options->seed, agents->violation);
	(void)fprintf(out, "again: ");
	report_command(out, options);
}

static double wall_seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / ((double)US_PER_S * MS_PER_S);
}

int agents_scenario(const struct report_options *given)
{
	struct report_options options = *given;
	size_t machines = given->machines ? given->machines : given->scenario->machines;
	double began = wall_seconds();
	struct agents *agents;
	bool held;

	if (given->bug)
		bug_plant(given->bug);
	params_complete(&options.params, &given->scenario->params);
	agents = agents_new(&options, machines);
	held = agents_run_until(agents, plan(agents));
	if (held)
		agents_check_end(agents);
	held = !agents->violation[0];
	if (options.json)
		print_json(agents, wall_seconds() - began);
	else
		print_text(agents, wall_seconds() - began);
	if (!held)
		print_violation(agents, options.json ? stderr : stdout);
	else if (!options.json)
		(void)printf("  all invariants held\n");
	agents_free(agents);
	return held ? EXIT_SUCCESS : EXIT_FAILURE;
}
