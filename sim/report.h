/* SPDX-License-Identifier: Apache-2.0 */
/* Report: the outcome of a run, as text or JSON; of a violation also its story. */
#pragma once

#include <stdio.h>

#include "scenario.h"

enum {
	REPORT_SETS_MAX = 32,
};

struct report_options {
	const struct scenario *scenario;
	const char *scenario_name; /* as it was asked for: a name or a file */
	uint64_t machines;         /* 0: as the scenario says */
	uint64_t seed;
	struct params params;
	const char *sets[REPORT_SETS_MAX]; /* NAME=VALUE, as they were given */
	size_t set_count;
	bool json;
	bool story; /* print the whole story even if nothing was violated */
	const struct bug *bug;
};

/* With JSON, the object is all that goes to standard output; a story goes to standard error. */
void report_print(struct world *world, const struct report_options *options,
		  const struct metrics_outside *outside);

/* The command that repeats the run, as a line. */
void report_command(FILE *out, const struct report_options *options);
