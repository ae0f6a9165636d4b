/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prng: reproducible variety for timers and choices, never for secrets.
 *
 * SplitMix64 (Steele, Lea, Flood 2014): every seed is good, also 0. A core takes its seed from its
 * configuration and has no other source, so that a run can be replayed to the byte.
 */
#pragma once

#include <stdint.h>

struct prng {
	uint64_t state;
};

static inline struct prng prng_seeded(uint64_t seed)
{
	return (struct prng){.state = seed};
}

static inline uint64_t prng_next(struct prng *prng)
{
	uint64_t z = prng->state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

/* A number in 0..@bound-1, without bias that matters for timers; 0 when @bound is 0. */
static inline uint64_t prng_below(struct prng *prng, uint64_t bound)
{
	return bound ? prng_next(prng) % bound : 0;
}

/* @value spread evenly over 75 to 125 % of itself, so that machines do not act in step. */
static inline int64_t prng_jitter(struct prng *prng, int64_t value)
{
	return value - value / 4 + (int64_t)prng_below(prng, (uint64_t)(value / 2) + 1);
}
