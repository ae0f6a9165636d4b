/* SPDX-License-Identifier: Apache-2.0 */
/* Samples: measured values, all of them kept, so that percentiles are exact. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct samples {
	int64_t *values;
	size_t count, cap;
};

void samples_deinit(struct samples *samples);
void samples_add(struct samples *samples, int64_t value);

/* The smallest value that at least @percent of all values do not exceed; 0 when there is none.
 * Puts the values in order. */
int64_t samples_percentile(struct samples *samples, unsigned percent);
