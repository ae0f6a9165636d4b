/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time: two kinds that cannot be mixed, and plain integers with their unit in the name.
 *
 * struct mono is a machine's own monotonic clock: deadlines and durations. struct wall is fabric
 * time (milliseconds since 1970, agreed with peers): what is written on messages and records.
 * Durations are int64_t named *_us or *_ms. Nothing here reads a clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct mono {
	int64_t us;
};

struct wall {
	int64_t ms;
};

#define MONO_NEVER ((struct mono){.us = INT64_MAX})

enum {
	US_PER_MS = 1000,
	US_PER_S = 1000000,
	MS_PER_S = 1000,
};

static inline struct mono mono_add_us(struct mono at, int64_t us)
{
	bool over = us > 0 && at.us > INT64_MAX - us;

	return (struct mono){.us = over ? INT64_MAX : at.us + us};
}

static inline struct mono mono_add_ms(struct mono at, int64_t ms)
{
	return mono_add_us(at, ms * US_PER_MS);
}

static inline int64_t mono_since_us(struct mono now, struct mono then)
{
	return now.us - then.us;
}

static inline bool mono_reached(struct mono now, struct mono deadline)
{
	return now.us >= deadline.us;
}

static inline struct mono mono_min(struct mono a, struct mono b)
{
	return a.us < b.us ? a : b;
}
