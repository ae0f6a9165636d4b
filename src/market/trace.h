/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace: the stories of this owner's tenders. Open ones are kept as long as their round, of the
 * finished ones the last MARKET_TRACES_MAX with MARKET_TRACES_STEPS_MAX steps together.
 */
#pragma once

#include "base/list.h"
#include "market/market.h"

struct trace_entry {
	struct list link;
	struct trace trace;
	size_t bids;
};

struct traces {
	struct list entries; /* oldest first */
	size_t finished, finished_steps;
};

void traces_init(struct traces *traces);
void traces_deinit(struct traces *traces);

/* Begin the story of @tender. Owned by @traces. */
struct trace_entry *traces_open(struct traces *traces, const struct tender *tender);

/* Add a step; of more than MARKET_TRACE_STEPS_MAX the first half and the last ones are kept. */
void trace_add(struct trace_entry *entry, const struct trace_step *step);

/* The tender is over; @entry must not be used afterwards. */
void traces_close(struct traces *traces, struct trace_entry *entry, struct mono now);
