/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "market/terms.h"

static struct label machine[] = {
	{"disk", "ssd"}, {"zone", ""}, {"cores", "16"}, {"level", "-3"}, {"odd", "16x"}};
static const struct terms_labels labels = {machine, ARRAY_LEN(machine)};

static bool holds(const char *key, enum term_operator operator, const char * const * values,
		  size_t count)
{
	struct label_term term = {(char *)(uintptr_t)key, operator, (char **)(uintptr_t) values,
				  count};
	struct term_set set = {.terms = &term, .term_count = 1};

	return terms_hold(&set, labels);
}

#define HOLDS(key, operator, ...)                                                          \
	holds(key, TERM_##operator,(const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, \
	      ARRAY_LEN(((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})) - 1)

static void a_label_is_in_a_set_of_values(void **state)
{
	(void)state;
	assert_true(HOLDS("disk", IN, "ssd"));
	assert_true(HOLDS("disk", IN, "hdd", "ssd"));
	assert_false(HOLDS("disk", IN, "hdd", "SSD"));
	assert_false(HOLDS("gpu", IN, "ssd"));
	assert_true(HOLDS("zone", IN, ""));
	assert_false(HOLDS("gpu", IN, "")); /* absent is not empty */
}

static void what_is_absent_is_in_no_set(void **state)
{
	(void)state;
	assert_false(HOLDS("disk", NOT_IN, "ssd"));
	assert_true(HOLDS("disk", NOT_IN, "hdd"));
	assert_true(HOLDS("gpu", NOT_IN, "ssd"));
}

static void existence_needs_no_value(void **state)
{
	(void)state;
	assert_true(HOLDS("zone", EXISTS));
	assert_false(HOLDS("gpu", EXISTS));
	assert_false(HOLDS("zone", ABSENT));
	assert_true(HOLDS("gpu", ABSENT));
}

static void integers_are_compared_as_such(void **state)
{
	(void)state;
	assert_true(HOLDS("cores", GREATER, "9"));
	assert_false(HOLDS("cores", GREATER, "16"));
	assert_true(HOLDS("cores", LESS, "17"));
	assert_false(HOLDS("cores", LESS, "16"));
	assert_true(HOLDS("level", LESS, "-2"));
	assert_false(HOLDS("odd", GREATER, "1"));
	assert_false(HOLDS("odd", LESS, "1"));
	assert_false(HOLDS("zone", LESS, "1"));
	assert_false(HOLDS("gpu", LESS, "1"));
	assert_false(HOLDS("cores", GREATER, "1.5"));
	assert_false(HOLDS("cores", GREATER, ""));
	assert_false(HOLDS("cores", GREATER, "-"));
	assert_false(HOLDS("cores", GREATER, " 1"));
	assert_false(HOLDS("cores", LESS, "99999999999999999999"));
	assert_false(HOLDS("cores", GREATER, "1", "2"));
}

static void terms_of_a_set_are_joined_and_sets_are_alternatives(void **state)
{
	char *ssd = "ssd", *hdd = "hdd";
	struct label_term both[] = {{"disk", TERM_IN, &ssd, 1}, {"zone", TERM_EXISTS, NULL, 0}};
	struct label_term one[] = {{"disk", TERM_IN, &ssd, 1}, {"gpu", TERM_EXISTS, NULL, 0}};
	struct label_term none[] = {{"disk", TERM_IN, &hdd, 1}};
	struct term_set sets[] = {{one, 2, 0}, {none, 1, 0}, {both, 2, 0}};

	(void)state;
	assert_true(terms_hold(&sets[2], labels));
	assert_false(terms_hold(&sets[0], labels));
	assert_true(terms_any_holds(&(struct term_sets){sets, 3}, labels));
	assert_false(terms_any_holds(&(struct term_sets){sets, 2}, labels));
	assert_true(terms_any_holds(&(struct term_sets){NULL, 0}, labels));
	assert_true(terms_hold(&(struct term_set){0}, labels)); /* an empty selector */
}

static bool tolerated(struct toleration toleration, struct taint taint)
{
	struct requirements needs = {.tolerations = &toleration, .toleration_count = 1};

	return terms_tolerate(&needs, &taint);
}

static void a_toleration_names_key_value_and_effect(void **state)
{
	const struct taint taint = {"dedicated", "web", TAINT_NO_SCHEDULE};

	(void)state;
	assert_true(tolerated((struct toleration){"dedicated", "web", false, TAINT_NO_SCHEDULE},
			      taint));
	assert_true(tolerated((struct toleration){"dedicated", "web", false, TAINT_ANY}, taint));
	assert_true(tolerated((struct toleration){"dedicated", "", true, TAINT_ANY}, taint));
	assert_true(tolerated((struct toleration){"", "", true, TAINT_ANY}, taint));
	assert_true(tolerated((struct toleration){"", "", true, TAINT_NO_SCHEDULE}, taint));
	assert_false(tolerated((struct toleration){"dedicated", "db", false, TAINT_ANY}, taint));
	assert_false(tolerated((struct toleration){"dedicated", "", false, TAINT_ANY}, taint));
	assert_false(tolerated((struct toleration){"other", "web", true, TAINT_ANY}, taint));
	assert_false(
		tolerated((struct toleration){"dedicated", "", true, TAINT_NO_EXECUTE}, taint));
	assert_false(tolerated((struct toleration){"", "", false, TAINT_ANY}, taint));
}

static void only_a_preference_may_stay_untolerated(void **state)
{
	struct toleration toleration = {"a", "", true, TAINT_ANY};
	struct requirements needs = {.tolerations = &toleration, .toleration_count = 1};
	struct taint taints[] = {{"a", "", TAINT_NO_EXECUTE},
				 {"b", "", TAINT_PREFER_NO_SCHEDULE},
				 {"c", "", TAINT_NO_SCHEDULE}};

	(void)state;
	assert_true(terms_tolerate_all(&needs, taints, 2));
	assert_false(terms_tolerate_all(&needs, taints, 3));
	assert_false(terms_tolerate_all(&(struct requirements){0}, taints, 1));
	assert_true(terms_tolerate_all(&(struct requirements){0}, NULL, 0));
}

static void preferences_are_weighed(void **state)
{
	struct terms_wish wish = {0};

	(void)state;
	assert_int_equal(terms_wish_penalty(&wish), 0);
	terms_wish_add(&wish, 60, true);
	assert_int_equal(terms_wish_penalty(&wish), 0);
	terms_wish_add(&wish, 20, false);
	assert_int_equal(terms_wish_penalty(&wish), 250);
	terms_wish_add(&wish, -20, true);
	assert_int_equal(terms_wish_penalty(&wish), 400);
	terms_wish_add(&wish, -100, false);
	assert_int_equal(terms_wish_penalty(&wish), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_label_is_in_a_set_of_values),
		cmocka_unit_test(what_is_absent_is_in_no_set),
		cmocka_unit_test(existence_needs_no_value),
		cmocka_unit_test(integers_are_compared_as_such),
		cmocka_unit_test(terms_of_a_set_are_joined_and_sets_are_alternatives),
		cmocka_unit_test(a_toleration_names_key_value_and_effect),
		cmocka_unit_test(only_a_preference_may_stay_untolerated),
		cmocka_unit_test(preferences_are_weighed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
