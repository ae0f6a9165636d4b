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
 *	story.c       what happened, in words            metrics*.c  what is measured
 *	steps.c       what large scenarios are made of   params.c    what --set can change
 *	liars.c       byzantine machines                 bugs.c      faults built in on purpose
 *	processor.c   machines that share cores       consensus*.c a group of replicas
 *	linear.c      histories that have an order    agents*.c    agents of pods
 *
 * The same arguments print the same bytes. Exit status 0: all held; 1: something did not, and the
 * story of it is printed with the command that repeats it; 2: the arguments make no sense.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <jansson.h>

#include "bugs.h"
#include "checker.h"
#include "report.h"
#include "scenario.h"

enum {
	EXIT_VIOLATED = 1,
	EXIT_USAGE = 2,
	KIB = 1024,
	HEAP_STEP = 16 * 1024 * KIB,
	NS_PER_S = 1000 * 1000 * 1000,
};

static int usage(FILE *out)
{
	(void)fprintf(out, "usage: magik-sim run [--scenario NAME|FILE] [--machines N] [--seed S] "
			   "[--set NAME=VALUE]...\n"
			   "                     [--json] [--story] [--bug NAME]\n"
			   "       magik-sim list [--scenarios|--bugs|--params]\n");
	return out == stdout ? EXIT_SUCCESS : EXIT_USAGE;
}

/* One line each, the name first. A scenario of two sizes is named once. */
static void list_scenarios(void)
{
	const struct scenario *scenario;
	size_t position = 0;

	while ((scenario = scenario_next(&position)) != NULL)
		if (scenario_find(scenario->name) == scenario)
			(void)printf("%-16s %s\n", scenario->name, scenario->text);
}

static void list_bugs(void)
{
	const struct bug *bug;
	size_t position = 0;

	while ((bug = bug_next(&position)) != NULL)
		(void)printf("%-24s %s\n", bug->name, bug->text);
}

static void list_params(void)
{
	const struct params_entry *entry;
	size_t position = 0;

	while ((entry = params_next(&position)) != NULL)
		(void)printf("%-12s %s\n", entry->name, entry->text);
}

/* For tests: the arguments of a run that finds each bug, and what it says. */
static void list_bug_runs(void)
{
	const struct bug *bug;
	size_t position = 0;

	while ((bug = bug_next(&position)) != NULL)
		(void)printf("%s\t%s\t%s\n", bug->name, bug->run, bug->what);
}

static int list(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "--scenarios";

	if (argc > 3)
		return usage(stderr);
	if (strcmp(what, "--scenarios") == 0)
		list_scenarios();
	else if (strcmp(what, "--bugs") == 0)
		list_bugs();
	else if (strcmp(what, "--params") == 0)
		list_params();
	else if (strcmp(what, "--bug-runs") == 0)
		list_bug_runs();
	else
		return usage(stderr);
	return EXIT_SUCCESS;
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

static bool parse_scenario(const char *name, struct report_options *options)
{
	char error[128];

	options->scenario_name = name;
	options->scenario = scenario_find(name);
	if (options->scenario)
		return true;
	options->scenario = scenario_read(name, error);
	if (!options->scenario)
		(void)fprintf(stderr, "magik-sim: %s: %s\n", name, error);
	return options->scenario != NULL;
}

static bool parse_set(const char *assignment, struct report_options *options)
{
	if (options->set_count == ARRAY_LEN(options->sets))
		return false;
	options->sets[options->set_count++] = assignment;
	return params_set(&options->params, assignment);
}

/* One option with its value. */
static bool parse_option(const char *name, const char *value, struct report_options *options)
{
	if (!value)
		return false;
	if (strcmp(name, "--scenario") == 0)
		return parse_scenario(value, options);
	if (strcmp(name, "--machines") == 0)
		return parse_number(value, SIM_MACHINES_MAX, &options->machines) &&
		       options->machines > 0;
	if (strcmp(name, "--seed") == 0)
		return parse_number(value, UINT64_MAX, &options->seed);
	if (strcmp(name, "--set") == 0)
		return parse_set(value, options);
	if (strcmp(name, "--bug") == 0) {
		options->bug = bug_find(value);
		return options->bug != NULL;
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

static double wall_seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / NS_PER_S;
}

static uint64_t peak_rss_bytes(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_maxrss * KIB;
}

static struct world *make_world(struct report_options *options)
{
	struct params *params = &options->params;
	const struct scenario *scenario =
		scenario_sized(options->scenario, options->machines, params);
	size_t machines = options->machines ? options->machines : scenario->machines;

	options->scenario = scenario;
	params_complete(params, &scenario->params);
	params->stay = scenario->large && !params->records; /* those are kept by distance */
	return world_new(machines, params, options->seed);
}

static int run(struct report_options *options)
{
	double began = wall_seconds();
	struct world *world = make_world(options);
	const struct scenario *scenario = options->scenario;
	struct metrics_outside outside = {.scenario = options->scenario_name};
	bool violated;

	if (options->bug) {
		world->bug = options->bug->bug;
		bug_plant(options->bug);
	}
	scenario->prepare(world);
	world_run(world, scenario_length_ms(scenario, world));
	if (!world->violation[0])
		checker_end(world);
	if (world->params.stay)
		world_check_memory(world);
	if (!world->violation[0] && scenario->finish)
		scenario->finish(world);
	violated = world->violation[0] != 0;
	outside.wall_seconds = wall_seconds() - began;
	outside.peak_rss_bytes = peak_rss_bytes();
	report_print(world, options, &outside);
	world_free(world);
	return violated ? EXIT_VIOLATED : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct report_options options = {
		.seed = 1,
		.scenario = scenario_find("placement"),
		.scenario_name = "placement",
	};

	/* Or the library draws a seed from the kernel, and pieces of memory differ in size. */
	json_object_seed(1);
	/* Merging the small pieces that were freed costs more than it gains, and what a second has
	 * needed the next one will need. */
	(void)mallopt(M_MXFAST, 0);
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_STEP);
	(void)mallopt(M_TOP_PAD, HEAP_STEP);
	params_init(&options.params);
	if (argc >= 2 && strcmp(argv[1], "list") == 0)
		return list(argc, argv);
	if (argc >= 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout);
	if (argc < 2 || strcmp(argv[1], "run") != 0 || !parse(argc, argv, &options))
		return usage(stderr);
	return options.scenario->run ? options.scenario->run(&options) : run(&options);
}
