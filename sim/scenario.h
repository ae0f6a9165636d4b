/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios: what happens to a world, and for how long it is watched.
 *
 * There are two kinds under the same names. In *small* ones every steward keeps every record, and
 * people talk to whatever steward they meet. In *large* ones records stay where they were written
 * (node_config.records_stay), so that tens of thousands of machines can be watched; they are
 * parametrised, and measure what docs/performance.md shows. With params.records they are kept by
 * distance, as in a real large fabric.
 */
#pragma once

#include "params.h"
#include "world.h"

enum {
	SCENARIO_SMALL_MAX =
		OVERLAY_POOL_DEFAULT, /* machines, unless --set stay=... says otherwise: then all
				       * stewards know each other */
};

struct report_options;

struct scenario {
	const char *name;
	const char *text;
	bool large;
	size_t machines;   /* unless the command says otherwise */
	int64_t length_ms; /* without params.settle_s and params.duration_s */
	struct params params;
	/* Set the world up and schedule all that will happen to it. The end must be quiet. */
	void (*prepare)(struct world *world);
	/* What must be true at the end, beyond the general invariants. May be NULL. */
	void (*finish)(struct world *world);
	/* Instead of all this: a world of its own. The exit status. NULL as a rule. */
	int (*run)(const struct report_options *options);
};

const struct scenario *scenario_find(const char *name);

/* The one of that name for so many machines (0: as many as it says itself). */
const struct scenario *scenario_sized(const struct scenario *scenario, size_t machines,
				      const struct params *params);
int64_t scenario_length_ms(const struct scenario *scenario, const struct world *world);
const struct scenario *scenario_next(size_t *position); /* NULL at the end */

/*
 * Read a scenario from a file: a line each, "machines N", "stewards N", "length MS", "set
 * NAME=VALUE" or "at MS ACTION [NUMBER...]". NULL, and a sentence in @ret_error, if it is none.
 */
const struct scenario *scenario_read(const char *path, char ret_error[128]);
