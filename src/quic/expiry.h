/* SPDX-License-Identifier: Apache-2.0 */
/* Expiry: one heap of all connections by the time at which each wants to be woken. */
#pragma once

#include <stddef.h>

#include "base/time.h"

/* Part of each connection. */
struct expiry {
	struct mono at;
	size_t slot; /* index in the heap, biased by one; 0: not in it */
};

struct expiry_heap {
	struct expiry **slots;
	size_t count, cap;
};

void expiry_heap_deinit(struct expiry_heap *heap);

/* Put @expiry in, or move it; MONO_NEVER takes it out. */
void expiry_set(struct expiry_heap *heap, struct expiry *expiry, struct mono at);

/* The earliest one, or NULL. */
struct expiry *expiry_first(const struct expiry_heap *heap);
