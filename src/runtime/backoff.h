/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back-off: how long to wait before the next try. Pure.
 *
 * Kubernetes' numbers for a container that keeps ending: 10 s, doubled each time up to 5 min,
 * forgotten after a run of 10 min.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"

enum {
	BACKOFF_FIRST_MS = 10 * 1000,
	BACKOFF_MAX_MS = 300 * 1000,
	BACKOFF_RESET_MS = 600 * 1000,
};

/* Zeroed: no failure yet. */
struct backoff {
	int64_t delay_ms;
};

/*
 * The delay before the next start, after a run that lasted @ran_ms. The first restart comes at
 * once, as in Kubernetes; the second after BACKOFF_FIRST_MS.
 */
int64_t backoff_next_ms(struct backoff *backoff, int64_t ran_ms);
