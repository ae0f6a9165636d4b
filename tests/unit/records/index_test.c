/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"
#include "records/index.h"

enum {
	NUMBERS = 3000,
	STEPS = 30000,
};

static int number_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The index must list exactly the numbers that are marked, ascending. */
static void expect_listing(const struct index *index, uint32_t *numbers, const bool *in)
{
	size_t position = 0, count = 0;

	for (size_t i = 0; i < NUMBERS; i++) {
		if (!in[i])
			continue;
		assert_ptr_equal(index_next(index, &position), &numbers[i]);
		count++;
	}
	assert_null(index_next(index, &position));
	assert_int_equal(index->count, count);
}

static void expect_bounds(const struct index *index, uint32_t *numbers, const bool *in)
{
	uint32_t *expected = NULL;

	for (size_t i = NUMBERS; i-- > 0;) {
		size_t position = index_lower_bound(index, &numbers[i]);

		if (in[i])
			expected = &numbers[i];
		assert_ptr_equal(index_next(index, &position), expected);
	}
}

static void an_index_lists_like_a_sorted_array(void **state)
{
	static uint32_t numbers[NUMBERS];
	static bool in[NUMBERS];
	struct prng prng = prng_seeded(7);
	struct index index;

	(void)state;
	index_init(&index, number_compare);
	for (uint32_t i = 0; i < NUMBERS; i++)
		numbers[i] = i;
	for (size_t step = 0; step < STEPS; step++) {
		/* Phases that mostly fill and mostly empty it. */
		bool fill = prng_below(&prng, 10) < (step / 6000 % 2 ? 2U : 8U);
		size_t i = prng_below(&prng, NUMBERS);

		if (fill == in[i])
			continue;
		if (fill)
			index_insert(&index, &numbers[i]);
		else
			index_remove(&index, &numbers[i]);
		in[i] = fill;
		if (step % 1000 == 0) {
			expect_listing(&index, numbers, in);
			expect_bounds(&index, numbers, in);
		}
	}
	for (size_t i = 0; i < NUMBERS; i++) {
		if (in[i])
			index_remove(&index, &numbers[i]);
	}
	memset(in, 0, sizeof(in));
	expect_listing(&index, numbers, in);
	index_deinit(&index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_lists_like_a_sorted_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
