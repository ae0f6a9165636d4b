/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job: which of its slots are to be filled now.
 *
 * The reconciler (control_job()) remembers what has ended, ends the Job and stops pods; the
 * market's controller fills the slots named here. Both look at the same view and come to the same
 * end: a slot with a success is never filled again, at most `parallelism` are open at a time, and
 * after failures no new one is opened before a back-off is over (10 s, doubled by each failure, at
 * most 6 minutes).
 */
#pragma once

#include "control/control.h"

enum {
	CONTROL_JOB_BACKOFF_MS = 10 * 1000,
	CONTROL_JOB_BACKOFF_MAX_MS = 360 * 1000,
};

struct control_job_plan {
	uint8_t *open; /* a bit per slot that is to have a pod; owned */
	uint32_t slots;
	struct wall due; /* it changes then, if nothing happens before; CONTROL_NEVER */
};

/* @view: of the Job, as its reconciler gets it. */
void control_job_plan(const struct control_view *view, struct control_job_plan *ret_plan);
void control_job_plan_deinit(struct control_job_plan *plan);

static inline bool control_job_is_open(const struct control_job_plan *plan, uint32_t slot)
{
	return slot < plan->slots && plan->open[slot / 8] & 1U << slot % 8;
}
