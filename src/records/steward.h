/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stewards that this machine knows to live, ourselves included when we are one: all of them in
 * a small fabric, in a large one all of our neighbourhood by distance and some of everywhere.
 * Positions are the first 8 bytes, big-endian, of those of kad.h; ties are ordered by id.
 *
 * Which of them keep what lies at a position: of the RECORDS_AROUND nearest, the RECORDS_KEEPERS to
 * which the lot falls, and in its order. The nearest alone would be simpler, and of 10,000 machines
 * at random positions the one with the most would keep up to four times its share; so it is two and
 * a half times.
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
void stewards_remove(struct stewards *stewards, const struct node_id *id);
void stewards_deinit(struct stewards *stewards);
const struct record_steward *stewards_find(const struct stewards *stewards,
					   const struct node_id *id);

/* Up to @want of them, nearest to @target first. Returns how many. */
size_t stewards_nearest(const struct stewards *stewards, uint64_t target, size_t want,
			const struct record_steward **ret_nearest);

/* The lot of a steward at this distance from what is kept: who has the lowest comes first. */
uint64_t steward_lot(uint64_t distance);

/* Up to @want of them in the order in which they keep what lies at @target; beyond the
 * RECORDS_AROUND nearest by distance. Returns how many. */
size_t stewards_in_order(const struct stewards *stewards, uint64_t target, size_t want,
			 const struct record_steward **ret_list);

/* Who keeps what lies at @target; beyond *ret_radius nobody matters for that. */
size_t stewards_keepers(const struct stewards *stewards, uint64_t target,
			const struct record_steward *ret_keepers[RECORDS_KEEPERS],
			uint64_t *ret_radius);

/* Positions of those that only one of the two has: how many there are, of which @max are named. */
size_t stewards_differ(const struct stewards *old, const struct stewards *new, size_t max,
		       uint64_t *ret_positions);
