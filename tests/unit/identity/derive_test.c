/* SPDX-License-Identifier: Apache-2.0 */
/* Derived uids keep their owner's home and are the same wherever they are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "identity/derive.h"

static struct uid owner_uid(uint8_t first)
{
	const uint8_t random[UID_LEN] = {first, 2, 3, 4, 5, 6, 7, 8, 9, 10};

	return uid_from_random(random);
}

static void test_home_is_the_owners(void **state)
{
	struct uid owner = owner_uid(1), made = uid_derive(&owner, "ReplicaSet/5d59d67564");
	struct uid grandchild = uid_derive(&made, "Pod/0");

	(void)state;
	assert_false(uid_equal(&owner, &made));
	assert_memory_equal(owner.byte, made.byte, UID_HOME_LEN);
	assert_memory_equal(owner.byte, grandchild.byte, UID_HOME_LEN);
}

static void test_same_thing_same_uid(void **state)
{
	struct uid owner = owner_uid(1), other = owner_uid(2);
	struct uid a = uid_derive(&owner, "a"), again = uid_derive(&owner, "a");
	struct uid b = uid_derive(&owner, "b"), others = uid_derive(&other, "a"), parsed;

	(void)state;
	assert_true(uid_equal(&a, &again));
	assert_false(uid_equal(&a, &b));
	assert_memory_not_equal(a.byte + UID_HOME_LEN, others.byte + UID_HOME_LEN,
				UID_LEN - UID_HOME_LEN);
	assert_true(uid_parse(uid_text(&a).text, &parsed));
	assert_true(uid_equal(&a, &parsed));
}

/* Of pod, object, machine and the random half, none can be another's. */
static void test_a_pods_uid_says_whose_it_is(void **state)
{
	struct node_id machine = {.byte = {1}}, other = {.byte = {2}};
	struct uid object = {.byte = {3}}, another = {.byte = {4}}, pod, again;
	uint8_t random[UID_POD_RANDOM_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	pod = uid_of_pod(&object, &machine, random);
	assert_true(uid_is_of_pod(&pod, &object, &machine));
	assert_false(uid_is_of_pod(&pod, &object, &other));
	assert_false(uid_is_of_pod(&pod, &another, &machine));
	for (size_t i = 0; i < UID_LEN; i++) {
		struct uid changed = pod;

		changed.byte[i] ^= 1;
		assert_false(uid_is_of_pod(&changed, &object, &machine));
	}
	random[0] = 0;
	again = uid_of_pod(&object, &machine, random);
	assert_false(uid_equal(&again, &pod));
	assert_true(uid_is_of_pod(&again, &object, &machine));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pods_uid_says_whose_it_is),
		cmocka_unit_test(test_home_is_the_owners),
		cmocka_unit_test(test_same_thing_same_uid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
