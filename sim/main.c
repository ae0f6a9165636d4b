/* SPDX-License-Identifier: Apache-2.0 */
/*
 * magik-sim: many machines in one process, on a virtual clock and network.
 *
 *	world.c       the clock, and what happens next   machine.c   the machines' lives
 *	queue.c       all that will happen               host.c      pods
 *	pool.c        memory of events                   trust.c     envelopes
 *	network.c     packets and the ways they take     operator.c  what people and accidents do
 *	connection.c  dials, handshakes, ends            scenario.c  the runs by name
 *	links.c       who is connected to whom           checker.c   what must be true
 *	directory.c   machines by id                     report.c    what is printed
 *	story.c       what happened, in words
 *
 * The same arguments print the same bytes. Exit status 0: all held; 1: something did not, and the
 * story of it is printed with the command that repeats it; 2: the arguments make no sense.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "scenario.h"

enum {
	EXIT_VIOLATED = 1,
	EXIT_USAGE = 2,
};

static const struct {
	const char *name;
	enum sim_bug bug;
} bugs[] = {
	{"award-without-bid-check", SIM_BUG_AWARD_WITHOUT_BID_CHECK},
	{"no-confirm", SIM_BUG_NO_CONFIRM},
	{"hold-leak", SIM_BUG_HOLD_LEAK},
};

static int usage(FILE *out)
{
	size_t position = 0;
	const struct scenario *scenario;

	(void)fprintf(out, "usage: magik-sim run [--scenario NAME] [--machines N] [--seed S] "
			   "[--set NAME=VALUE]... [--json] [--story] [--bug NAME]\n"
			   "       magik-sim list\n\nscenarios:\n");
	while ((scenario = scenario_next(&position)) != NULL)
		(void)fprintf(out, "  %-12s %s\n", scenario->name, scenario->text);
	(void)fprintf(out, "\nbugs (built in on purpose; each must be found):\n");
	for (size_t i = 0; i < ARRAY_LEN(bugs); i++)
		(void)fprintf(out, "  %s\n", bugs[i].name);
	return out == stdout ? EXIT_SUCCESS : EXIT_USAGE;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || number > max)
		return false;
	*ret_number = number;
	return true;
}

static bool parse_bug(const char *name, enum sim_bug *ret_bug)
{
	for (size_t i = 0; i < ARRAY_LEN(bugs); i++) {
		if (strcmp(bugs[i].name, name) != 0)
			continue;
		*ret_bug = bugs[i].bug;
		return true;
	}
	return false;
}

/* One option with its value. */
static bool parse_option(const char *name, const char *value, struct report_options *options)
{
	if (!value)
		return false;
	if (strcmp(name, "--scenario") == 0) {
		options->scenario = scenario_find(value);
		return options->scenario != NULL;
	}
	if (strcmp(name, "--machines") == 0)
		return parse_number(value, SIM_MACHINES_MAX, &options->machines) &&
		       options->machines > 0;
	if (strcmp(name, "--seed") == 0)
		return parse_number(value, UINT64_MAX, &options->seed);
	if (strcmp(name, "--set") == 0)
		return params_set(&options->params, value);
	if (strcmp(name, "--bug") == 0) {
		options->bug_name = value;
		return parse_bug(value, &options->bug);
	}
	return false;
}

static bool parse(int argc, char **argv, struct report_options *options)
{
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			options->json = true;
		else if (strcmp(argv[i], "--story") == 0)
			options->story = true;
		else if (parse_option(argv[i], i + 1 < argc ? argv[i + 1] : NULL, options))
			i++;
		else
			return false;
	}
	return true;
}

static int run(const struct report_options *options)
{
	const struct scenario *scenario = options->scenario;
	size_t machines = options->machines ? options->machines : scenario->machines;
	struct params params = options->params, theirs = {0};
	struct world *world;
	bool violated;

	theirs.stewards = (int64_t)scenario->stewards;
	params_complete(&params, &theirs);
	world = world_new(machines, &params, options->seed);
	world->bug = options->bug;
	scenario->prepare(world);
	world_run(world, scenario->length_ms);
	if (!world->violation[0])
		checker_end(world);
	violated = world->violation[0] != 0;
	report_print(world, options);
	world_free(world);
	return violated ? EXIT_VIOLATED : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct report_options options = {.seed = 1, .scenario = scenario_find("placement")};

	params_init(&options.params);
	if (argc >= 2 && strcmp(argv[1], "list") == 0)
		return usage(stdout);
	if (argc < 2 || strcmp(argv[1], "run") != 0 || !parse(argc, argv, &options))
		return usage(stderr);
	return run(&options);
}
