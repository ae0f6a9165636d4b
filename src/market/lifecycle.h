/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lifecycle: the one way in which a state of this directory changes. @allowed[from] is the set of
 * states, as bits, that may follow; any other move is a bug.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

#define LIFECYCLE(state) (1U << (state))

static inline unsigned lifecycle_move(const uint32_t *allowed, unsigned from, unsigned to)
{
	assert(allowed[from] & LIFECYCLE(to));
	return to;
}
