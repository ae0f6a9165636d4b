/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios: what happens to a world, and for how long it is watched. */
#pragma once

#include "world.h"

struct scenario {
	const char *name;
	const char *text;
	size_t machines; /* unless the command says otherwise */
	size_t stewards;
	int64_t length_ms;
	/* Set the world up and schedule all that will happen to it. The last third must be quiet.
	 */
	void (*prepare)(struct world *world);
};

const struct scenario *scenario_find(const char *name);
const struct scenario *scenario_next(size_t *position); /* NULL at the end */
