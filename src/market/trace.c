/* SPDX-License-Identifier: Apache-2.0 */
#include "market/trace.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const stage_names[] = {
	[TRACE_OPENED] = "opened",     [TRACE_BID] = "bid",           [TRACE_DECIDED] = "decided",
	[TRACE_AWARDED] = "awarded",   [TRACE_ACCEPTED] = "accepted", [TRACE_REFUSED] = "refused",
	[TRACE_DEPLOYED] = "deployed", [TRACE_FAILED] = "failed",     [TRACE_CLOSED] = "closed",
};

const char *trace_stage_name(enum trace_stage stage)
{
	assert((size_t)stage < ARRAY_LEN(stage_names));
	return stage_names[stage];
}

void traces_init(struct traces *traces)
{
	list_init(&traces->entries);
	traces->finished = 0;
}

static void entry_free(struct trace_entry *entry)
{
	list_remove(&entry->link);
	object_ref_deinit(&entry->trace.object);
	free(entry->trace.steps);
	free(entry);
}

void traces_deinit(struct traces *traces)
{
	list_for_each_safe (link, &traces->entries)
		entry_free(list_entry(link, struct trace_entry, link));
}

struct trace_entry *traces_open(struct traces *traces, const struct tender *tender)
{
	struct trace_entry *entry = mem_new(struct trace_entry);

	entry->trace.tender_id = tender->id;
	object_ref_copy(&tender->object, &entry->trace.object);
	entry->trace.attempt = tender->attempt;
	entry->trace.open = true;
	list_append(&traces->entries, &entry->link);
	return entry;
}

static void append(struct trace *trace, const struct trace_step *step)
{
	/* Grown in powers of two. */
	if ((trace->step_count & (trace->step_count - 1)) == 0)
		trace->steps =
			mem_resize(trace->steps, trace->step_count ? 2 * trace->step_count : 1,
				   sizeof(*trace->steps));
	trace->steps[trace->step_count++] = *step;
}

void trace_add(struct trace_entry *entry, const struct trace_step *step)
{
	struct trace *trace = &entry->trace;
	struct trace_step *middle;

	if (step->stage == TRACE_BID && entry->bids++ >= MARKET_TRACE_BIDS_MAX)
		return;
	if (trace->step_count < MARKET_TRACE_STEPS_MAX) {
		append(trace, step);
		return;
	}
	middle = &trace->steps[MARKET_TRACE_STEPS_MAX / 2];
	memmove(middle, middle + 1, (MARKET_TRACE_STEPS_MAX / 2 - 1) * sizeof(*middle));
	trace->steps[MARKET_TRACE_STEPS_MAX - 1] = *step;
}

static void drop_oldest_finished(struct traces *traces)
{
	list_for_each_safe (link, &traces->entries) {
		struct trace_entry *entry = list_entry(link, struct trace_entry, link);

		if (entry->trace.open)
			continue;
		traces->finished--;
		traces->finished_steps -= entry->trace.step_count;
		entry_free(entry);
		return;
	}
}

void traces_close(struct traces *traces, struct trace_entry *entry, struct mono now)
{
	assert(entry->trace.open);
	trace_add(entry, &(struct trace_step){.stage = TRACE_CLOSED, .at = now});
	entry->trace.open = false;
	traces->finished++;
	traces->finished_steps += entry->trace.step_count;
	while (traces->finished > MARKET_TRACES_MAX ||
	       traces->finished_steps > MARKET_TRACES_STEPS_MAX)
		drop_oldest_finished(traces);
}
