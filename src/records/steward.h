/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stewards that this machine knows to live, ourselves included when we are one: all of them in
 * a small fabric, in a large one all of our neighbourhood by distance and some of everywhere.
 * Positions are the first 8 bytes, big-endian, of those of kad.h; ties are ordered by id.
 */
#pragma once

#include "records/records.h"

struct stewards {
	struct record_steward *list; /* ascending by position, then id */
	size_t count;
};

uint64_t position_of(const struct digest *digest);
uint64_t position_of_machine(const struct node_id *id);

/* Copies @list. */
void stewards_set(struct stewards *stewards, const struct record_steward *list, size_t count);
void stewards_deinit(struct stewards *stewards);
const struct record_steward *stewards_find(const struct stewards *stewards,
					   const struct node_id *id);

/* Up to @want of them, nearest to @target first. Returns how many. */
size_t stewards_nearest(const struct stewards *stewards, uint64_t target, size_t want,
			const struct record_steward **ret_nearest);

/* Positions of those that only one of the two has: how many there are, of which @max are named. */
size_t stewards_differ(const struct stewards *old, const struct stewards *new, size_t max,
		       uint64_t *ret_positions);
