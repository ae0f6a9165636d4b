/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linear: could these calls on one register have happened one after the other, each between its
 * beginning and its end? (Herlihy and Wing 1990; the search of Wing and Gong 1993 with Lowe's
 * memory of 2017, as in Porcupine.)
 *
 * A register holds a number, 0 at first. A call that never ended may have happened at any time
 * after its beginning, or not at all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum linear_kind {
	LINEAR_READ,  /* told @to */
	LINEAR_WRITE, /* of @to */
	LINEAR_SWAP,  /* of @from by @to; @swapped: it was @from */
};

#define LINEAR_NEVER INT64_MAX

struct linear_op {
	enum linear_kind kind;
	uint64_t from, to;
	bool swapped;
	int64_t call, end; /* LINEAR_NEVER: it did not end; what it told is not known then */
};

enum linear_verdict {
	LINEAR_YES,
	LINEAR_NO,
	LINEAR_GIVEN_UP, /* after @steps_max */
};

enum linear_verdict linear_check(const struct linear_op *ops, size_t count, uint64_t steps_max);
