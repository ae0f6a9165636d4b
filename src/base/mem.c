/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *mem_alloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);

	if (!memory)
		abort();
	return memory;
}

void *mem_resize(void *array, size_t count, size_t size)
{
	size_t bytes;
	void *memory;

	if (__builtin_mul_overflow(count, size, &bytes))
		abort();
	memory = realloc(array, bytes ? bytes : 1);
	if (!memory)
		abort();
	return memory;
}

char *mem_copy(const void *from, size_t len)
{
	char *copy;

	if (len == SIZE_MAX)
		abort();
	copy = mem_alloc(len + 1, 1);
	if (len)
		memcpy(copy, from, len);
	return copy;
}

char *mem_strdup(const char *string)
{
	return string ? mem_copy(string, strlen(string)) : NULL;
}
