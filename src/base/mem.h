/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: checked sizes, and one policy when there is none left.
 *
 * Every quantity that foreign bytes can influence is bounded before it is allocated, so running out
 * means that the machine itself is out of memory. Then the process stops: pods do not depend on it,
 * and its supervisor starts it again. So these never return NULL.
 */
#pragma once

#include <stddef.h>

#include "base/attr.h"

/* @count objects of @size bytes, zeroed. Aborts on overflow and when memory is out. */
_must_use_ void *mem_alloc(size_t count, size_t size);

/* Resize an array to @count objects of @size bytes; new bytes are not cleared. */
_must_use_ void *mem_resize(void *array, size_t count, size_t size);

/* A copy of @len bytes with a terminating zero after it. */
_must_use_ char *mem_copy(const void *from, size_t len);

/* A copy of a string; NULL stays NULL. */
_must_use_ char *mem_strdup(const char *string);

#define mem_new(type) ((type *)mem_alloc(1, sizeof(type)))
