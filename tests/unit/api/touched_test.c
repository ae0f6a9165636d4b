/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/touched.h"

static struct uid uid_of(size_t number)
{
	struct uid uid = {{0}};

	memcpy(uid.byte, &number, sizeof(number));
	return uid;
}

static void add_numbers(struct touched *touched, size_t from, size_t behind)
{
	for (size_t i = from; i < behind; i++) {
		struct uid uid = uid_of(i);

		touched_add(touched, &uid);
	}
}

static bool has_number(const struct touched *touched, size_t number)
{
	struct uid uid = uid_of(number);

	return touched_has(touched, &uid);
}

static void test_each_once_in_order(void **state)
{
	struct touched touched;
	struct uid second = uid_of(1);

	(void)state;
	touched_init(&touched);
	assert_false(touched_any(&touched));
	add_numbers(&touched, 0, 3);
	add_numbers(&touched, 0, 3);
	assert_int_equal(touched.count, 3);
	assert_true(uid_equal(&touched.list[1], &second));
	assert_true(has_number(&touched, 2));
	assert_false(has_number(&touched, 3));
	touched_deinit(&touched);
}

static void test_too_many_are_all(void **state)
{
	struct touched touched;

	(void)state;
	touched_init(&touched);
	add_numbers(&touched, 0, TOUCHED_MAX);
	assert_false(touched.all);
	assert_int_equal(touched.count, TOUCHED_MAX);
	add_numbers(&touched, 0, TOUCHED_MAX); /* nothing new */
	assert_false(touched.all);
	add_numbers(&touched, TOUCHED_MAX, TOUCHED_MAX + 1);
	assert_true(touched.all);
	assert_int_equal(touched.count, 0);
	assert_true(has_number(&touched, TOUCHED_MAX + 7));
	touched_deinit(&touched);
	assert_false(touched_any(&touched));
}

static void test_taken_away(void **state)
{
	struct touched touched, taken, sum;

	(void)state;
	touched_init(&touched);
	touched_init(&sum);
	add_numbers(&touched, 0, 5);
	add_numbers(&sum, 3, 8);
	taken = touched_take(&touched);
	assert_false(touched_any(&touched));
	assert_false(has_number(&touched, 0));
	add_numbers(&touched, 9, 10); /* it is usable at once */
	assert_int_equal(touched.count, 1);
	touched_add_all(&sum, &taken);
	assert_int_equal(sum.count, 8);
	taken.all = true;
	touched_add_all(&sum, &taken);
	assert_true(sum.all);
	touched_deinit(&touched);
	touched_deinit(&taken);
	touched_deinit(&sum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once_in_order),
		cmocka_unit_test(test_too_many_are_all),
		cmocka_unit_test(test_taken_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
