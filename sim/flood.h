/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flood: what the same broadcast would cost without a tree, for comparison.
 *
 * After gossipsub's mesh: every machine has FLOOD_DEGREE random partners, and hands what it has got
 * for the first time to all of them but the one it came from. No announcements, no repair, no
 * scores: the eager part alone. The network is the world's own, latency, jitter and losses
 * included.
 */
#pragma once

#include "samples.h"
#include "world.h"

enum {
	FLOOD_DEGREE = 6, /* on average; gossipsub's D */
};

struct flood;

struct flood *flood_new(struct world *world);
void flood_free(struct flood *flood);

struct flood_result {
	size_t reached; /* machines, without the origin */
	uint64_t copies;
	int64_t last_us; /* until the last of them had it */
};

/* To all machines that run now and hear the origin. Changes nothing in the world. */
struct flood_result flood_run(struct world *world, const struct flood *flood, size_t origin);
