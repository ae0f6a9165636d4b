/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that will be needed soon, told to the processor. It changes nothing but time, and only
 * where so much is held that the next piece is never in the cache: a process with many nodes.
 */
#pragma once

#include <stddef.h>

enum {
	CACHE_LINE = 64, /* of all processors that we know to be used */
};

static inline void cache_expect(const void *memory, size_t len)
{
	for (size_t at = 0; at < len; at += CACHE_LINE)
		__builtin_prefetch((const char *)memory + at);
}

/* The fields @first to @last of what @object points to. */
#define CACHE_EXPECT(object, first, last)                                             \
	cache_expect(&(object)->first, (size_t)((const char *)(&(object)->last + 1) - \
						(const char *)&(object)->first))
