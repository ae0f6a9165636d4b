/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Touched: workloads that something happened to, each once, in the order in which it did.
 *
 * More than TOUCHED_MAX are all: to look at all that there is costs no more then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/id.h"
#include "base/map.h"

enum {
	TOUCHED_MAX = 4096, /* 64 KiB; creations through one gateway take seconds for so many */
};

struct touched {
	struct uid *list;
	size_t count, cap;
	struct map at; /* uid -> something: it is in the list */
	bool all;
};

void touched_init(struct touched *touched);
void touched_deinit(struct touched *touched);

void touched_add(struct touched *touched, const struct uid *workload);
void touched_add_all(struct touched *touched, const struct touched *others);
bool touched_has(const struct touched *touched, const struct uid *workload);
bool touched_any(const struct touched *touched);

/* What there is is the caller's, who ends it; @touched has nothing then. */
_must_use_ struct touched touched_take(struct touched *touched);
