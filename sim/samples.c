/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
	SAMPLES_FIRST = 64,
	PERCENT = 100,
};

void samples_deinit(struct samples *samples)
{
	free(samples->values);
	*samples = (struct samples){0};
}

void samples_add(struct samples *samples, int64_t value)
{
	if (samples->count == samples->cap) {
		samples->cap = samples->cap ? 2 * samples->cap : SAMPLES_FIRST;
		samples->values =
			mem_resize(samples->values, samples->cap, sizeof(*samples->values));
	}
	samples->values[samples->count++] = value;
}

static int compare(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

int64_t samples_percentile(struct samples *samples, unsigned percent)
{
	size_t rank;

	if (!samples->count)
		return 0;
	qsort(samples->values, samples->count, sizeof(*samples->values), compare);
	rank = (samples->count * percent + PERCENT - 1) / PERCENT;
	return samples->values[rank ? rank - 1 : 0];
}
