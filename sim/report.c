/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	STORY_LINES_MAX = 400, /* printed of a violation's story: its end */
};

struct figures {
	size_t placed;
	int64_t p50_us, p99_us;
	uint64_t tenders, awards, refused;
};

static int compare_times(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static struct figures figures_of(const struct world *world)
{
	struct figures figures = {0};
	int64_t *times = mem_alloc(world->workload_count, sizeof(*times));

	for (size_t i = 0; i < world->workload_count; i++)
		if (world->workloads[i].placed_us)
			times[figures.placed++] =
				world->workloads[i].placed_us - world->workloads[i].applied_us;
	if (figures.placed) {
		qsort(times, figures.placed, sizeof(*times), compare_times);
		figures.p50_us = times[figures.placed / 2];
		figures.p99_us = times[(figures.placed * 99) / 100];
	}
	for (size_t i = 0; i < world->machine_count; i++) {
		const struct node *node = world->machines[i].node;

		if (!node)
			continue;
		figures.tenders += node_counter(node, NODE_COUNT_TENDERS_OPENED);
		figures.awards += node_counter(node, NODE_COUNT_AWARDS_SENT);
		figures.refused += node_counter(node, NODE_COUNT_AWARD_FULL) +
				   node_counter(node, NODE_COUNT_AWARD_LATE) +
				   node_counter(node, NODE_COUNT_AWARD_NO_BID);
	}
	free(times);
	return figures;
}

static void print_command(const struct world *world, const struct report_options *options)
{
	(void)printf("magik-sim run --scenario %s --machines %zu --seed %" PRIu64,
		     options->scenario->name, world->machine_count, options->seed);
	if (options->bug_name)
		(void)printf(" --bug %s", options->bug_name);
}

static void print_json(const struct world *world, const struct report_options *options,
		       const struct figures *figures)
{
	(void)printf("{\"scenario\":\"%s\",\"machines\":%zu,\"seed\":%" PRIu64
		     ",\"virtual_ms\":%lld,\"events\":%" PRIu64 ",\"packets\":%" PRIu64
		     ",\"bytes\":%" PRIu64
		     ",\"workloads\":%zu,\"placed\":%zu,\"placed_p50_us\":%lld"
		     ",\"placed_p99_us\":%lld,\"tenders\":%" PRIu64 ",\"awards\":%" PRIu64
		     ",\"pods_started\":%" PRIu64 ",\"pods_stopped\":%" PRIu64
		     ",\"self_stops\":%" PRIu64 ",\"violation\":",
		     options->scenario->name, world->machine_count, options->seed,
		     (long long)(world->now_us / US_PER_MS), world->totals.events,
		     world->totals.packets, world->totals.bytes, world->workload_count,
		     figures->placed, (long long)figures->p50_us, (long long)figures->p99_us,
		     figures->tenders, figures->awards, world->totals.pods_started,
		     world->totals.pods_stopped, world->totals.self_stops);
	/* Its words are ours: names, numbers, no quotes. */
	if (world->violation[0])
		(void)printf("\"%s\"}\n", world->violation);
	else
		(void)printf("null}\n");
}

static void print_text(const struct world *world, const struct report_options *options,
		       const struct figures *figures)
{
	(void)printf("%s: %zu machines, seed %" PRIu64 ", %lld.%03lld s of their time\n",
		     options->scenario->name, world->machine_count, options->seed,
		     (long long)(world->now_us / US_PER_S),
		     (long long)(world->now_us / US_PER_MS % MS_PER_S));
	(void)printf("  %" PRIu64 " events, %" PRIu64 " packets, %" PRIu64 " bytes\n",
		     world->totals.events, world->totals.packets, world->totals.bytes);
	(void)printf("  %" PRIu64 " tenders, %" PRIu64 " awards, %" PRIu64 " refused; %" PRIu64
		     " pods started, %" PRIu64 " stopped, %" PRIu64 " of them unconfirmed\n",
		     figures->tenders, figures->awards, figures->refused,
		     world->totals.pods_started, world->totals.pods_stopped,
		     world->totals.self_stops);
	(void)printf(
		"  %zu of %zu workloads placed, p50 %lld.%03lld ms, p99 %lld.%03lld ms\n",
		figures->placed, world->workload_count, (long long)(figures->p50_us / US_PER_MS),
		(long long)(figures->p50_us % US_PER_MS), (long long)(figures->p99_us / US_PER_MS),
		(long long)(figures->p99_us % US_PER_MS));
}

/* The lines about the object of the violation and about the world itself; messages between machines
 * only in the full story. */
static bool is_told(const struct world *world, const struct sim_story_line *line, bool all)
{
	if (all || (!uid_is_none(&line->uid) && uid_equal(&line->uid, &world->violation_uid)))
		return true;
	return uid_is_none(&line->uid) &&
	       (!strstr(line->text, " -> ") || uid_is_none(&world->violation_uid));
}

static void print_story(const struct world *world, bool all)
{
	size_t first = world->story_count > SIM_STORY_MAX ? world->story_count - SIM_STORY_MAX : 0;
	size_t told = 0;

	for (size_t i = first; i < world->story_count; i++)
		told += is_told(world, &world->story[i % SIM_STORY_MAX], all);
	for (size_t i = first; i < world->story_count; i++) {
		const struct sim_story_line *line = &world->story[i % SIM_STORY_MAX];

		if (!is_told(world, line, all) || (!all && told-- > STORY_LINES_MAX))
			continue;
		(void)printf("  [%4lld.%06lld] %s\n", (long long)(line->at_us / US_PER_S),
			     (long long)(line->at_us % US_PER_S), line->text);
	}
}

void report_print(const struct world *world, const struct report_options *options)
{
	struct figures figures = figures_of(world);

	if (options->json) {
		print_json(world, options, &figures);
		return;
	}
	print_text(world, options, &figures);
	if (options->story)
		print_story(world, true);
	if (!world->violation[0]) {
		(void)printf("  all invariants held\n");
		return;
	}
	(void)printf("VIOLATED at %lld.%06lld s: %s\n", (long long)(world->now_us / US_PER_S),
		     (long long)(world->now_us % US_PER_S), world->violation);
	if (!options->story)
		print_story(world, false);
	(void)printf("again: ");
	print_command(world, options);
	(void)printf("\n");
}
