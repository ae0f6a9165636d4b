/* SPDX-License-Identifier: Apache-2.0 */
#include "market/trace.h"

#include <assert.h>
#include <stdlib.h>

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
	if (entry->trace.step_count < MARKET_TRACE_STEPS_MAX)
		append(&entry->trace, step);
}

static void drop_oldest_finished(struct traces *traces)
{
	list_for_each_safe (link, &traces->entries) {
		struct trace_entry *entry = list_entry(link, struct trace_entry, link);

		if (entry->trace.open)
			continue;
		entry_free(entry);
		traces->finished--;
		return;
	}
}

void traces_close(struct traces *traces, struct trace_entry *entry, struct mono now)
{
	assert(entry->trace.open);
	append(&entry->trace, &(struct trace_step){.stage = TRACE_CLOSED, .at = now});
	entry->trace.open = false;
	if (++traces->finished > MARKET_TRACES_MAX)
		drop_oldest_finished(traces);
}
