/* SPDX-License-Identifier: Apache-2.0 */
/* Report: the outcome of a run, as text or JSON; of a violation also its story. */
#pragma once

#include "scenario.h"

struct report_options {
	const struct scenario *scenario;
	uint64_t machines; /* 0: as the scenario says */
	uint64_t seed;
	struct params params; /* as the command says */
	bool json;
	bool story; /* print the whole story even if nothing was violated */
	enum sim_bug bug;
	const char *bug_name;
};

void report_print(const struct world *world, const struct report_options *options);
