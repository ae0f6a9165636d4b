/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Throttle: a rate limit in one number, the virtual scheduling form of the generic cell rate
 * algorithm (ITU-T I.371): the time at which all that was let through would have been due, had it
 * come evenly. A zeroed throttle has its full burst.
 */
#pragma once

#include <stdbool.h>

#include "base/time.h"

struct throttle {
	int64_t due_us;
};

/* One more at @now? At most @burst at once, and one per @interval_ms in the long run. */
static inline bool throttle_pass(struct throttle *throttle, struct mono now, int64_t burst,
				 int64_t interval_ms)
{
	int64_t interval_us = interval_ms * US_PER_MS;

	if (throttle->due_us > now.us + (burst - 1) * interval_us)
		return false;
	if (throttle->due_us < now.us)
		throttle->due_us = now.us;
	throttle->due_us += interval_us;
	return true;
}
