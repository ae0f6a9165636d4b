/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	STORY_LINES_MAX = 400, /* printed of a violation's story: its end */
};

void report_command(FILE *out, const struct report_options *options)
{
	(void)fprintf(out, "magik-sim run --scenario %s", options->scenario_name);
	if (options->machines)
		(void)fprintf(out, " --machines %" PRIu64, options->machines);
	(void)fprintf(out, " --seed %" PRIu64, options->seed);
	for (size_t i = 0; i < options->set_count; i++)
		(void)fprintf(out, " --set %s", options->sets[i]);
	if (options->bug)
		(void)fprintf(out, " --bug %s", options->bug->name);
	(void)fprintf(out, "\n");
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

static void print_story(FILE *out, const struct world *world, bool all)
{
	size_t first = world->story_count > SIM_STORY_MAX ? world->story_count - SIM_STORY_MAX : 0;
	size_t told = 0;

	for (size_t i = first; i < world->story_count; i++)
		told += is_told(world, &world->story[i % SIM_STORY_MAX], all);
	for (size_t i = first; i < world->story_count; i++) {
		const struct sim_story_line *line = &world->story[i % SIM_STORY_MAX];

		if (!is_told(world, line, all) || (!all && told-- > STORY_LINES_MAX))
			continue;
		(void)fprintf(out, "  [%4lld.%06lld] %s\n", (long long)(line->at_us / US_PER_S),
			      (long long)(line->at_us % US_PER_S), line->text);
	}
}

static void print_violation(FILE *out, const struct world *world,
			    const struct report_options *options)
{
	(void)fprintf(out, "VIOLATED at %lld.%06lld s, seed %" PRIu64 ": %s\n",
		      (long long)(world->now_us / US_PER_S), (long long)(world->now_us % US_PER_S),
		      world->seed, world->violation);
	if (!options->story)
		print_story(out, world, false);
	(void)fprintf(out, "again: ");
	report_command(out, options);
}

void report_print(struct world *world, const struct report_options *options,
		  const struct metrics_outside *outside)
{
	FILE *out = options->json ? stderr : stdout;
	struct buf text = {0};

	if (options->json)
		metrics_json(world, outside, &text);
	else
		metrics_text(world, outside, &text);
	(void)fwrite(text.ptr, 1, text.len, stdout);
	buf_deinit(&text);
	if (options->story)
		print_story(out, world, true);
	if (world->violation[0])
		print_violation(out, world, options);
	else if (!options->json)
		(void)printf("  all invariants held\n");
}
