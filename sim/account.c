/* SPDX-License-Identifier: Apache-2.0 */
#include "account.h"

#include <malloc.h>
#include <stddef.h>

enum {
	CHUNK_HEADER = sizeof(size_t), /* what the allocator of glibc adds to each piece */
};

static int64_t nobody;
static int64_t *charged = &nobody;

/* The linker's names (--wrap): what the program calls, and what the library has. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

void account_enter(int64_t *bytes)
{
	charged = bytes;
}

void account_leave(void)
{
	charged = &nobody;
}

static int64_t size_of(void *memory)
{
	return memory ? (int64_t)(malloc_usable_size(memory) + CHUNK_HEADER) : 0;
}

void *__wrap_malloc(size_t size)
{
	void *memory = __real_malloc(size);

	*charged += size_of(memory);
	return memory;
}

void *__wrap_calloc(size_t count, size_t size)
{
	void *memory = __real_calloc(count, size);

	*charged += size_of(memory);
	return memory;
}

void *__wrap_realloc(void *memory, size_t size)
{
	int64_t before = size_of(memory);
	void *moved = __real_realloc(memory, size);

	if (moved)
		*charged += size_of(moved) - before;
	return moved;
}

void __wrap_free(void *memory)
{
	*charged -= size_of(memory);
	__real_free(memory);
}
