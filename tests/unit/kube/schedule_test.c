/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/schedule.h"

#include "kube_fixture.h"

#include "kube/time.h"

static int64_t utc(void *ctx, struct wall at)
{
	(void)ctx;
	(void)at;
	return 0;
}

static struct wall time_of(const char *text)
{
	struct wall at;

	assert_true(kube_time_parse(text, &at));
	return at;
}

/* Berlin in 2027: two hours ahead in summer. */
static int64_t berlin(void *ctx, struct wall at)
{
	(void)ctx;
	return at.ms >= time_of("2027-03-28T01:00:00Z").ms &&
			       at.ms < time_of("2027-10-31T01:00:00Z").ms
		       ? 7200
		       : 3600;
}

static void expect_in(kube_offset_fn *zone, const char *text, const char *after,
		      const char *expected)
{
	struct kube_schedule schedule;
	struct err err = {0};
	struct wall at;

	if (kube_schedule_parse(text, &schedule, &err) != 0)
		fail_msg("%s", err.text);
	if (!kube_schedule_next(&schedule, time_of(after), zone, NULL, &at))
		fail_msg("%s never comes", text);
	assert_string_equal(kube_time_text(at).text, expected);
}

static void expect(const char *text, const char *after, const char *expected)
{
	expect_in(utc, text, after, expected);
}

static void refuse(const char *text)
{
	struct kube_schedule schedule;
	struct err err = {0};

	if (kube_schedule_parse(text, &schedule, &err) != -EINVAL)
		fail_msg("accepted: %s", text);
	assert_true(*err.text);
}

static void test_fields_ranges_steps_lists_and_names(void **state)
{
	(void)state;
	expect("* * * * *", "2026-11-21T10:00:00Z", "2026-11-21T10:01:00Z");
	expect("* * * * *", "2026-11-21T10:00:59Z", "2026-11-21T10:01:00Z");
	expect("*/15 * * * *", "2026-11-21T10:16:00Z", "2026-11-21T10:30:00Z");
	expect("5/20 * * * *", "2026-11-21T10:06:00Z", "2026-11-21T10:25:00Z");
	expect("0 9-17/4 * * *", "2026-11-21T10:00:00Z", "2026-11-21T13:00:00Z");
	expect("0 0 1,15 * *", "2026-11-21T10:00:00Z", "2026-12-01T00:00:00Z");
	expect("30 6 * jan-MAR mon", "2026-11-21T10:00:00Z", "2027-01-04T06:30:00Z");
	expect("0 0 ? * 7", "2026-11-21T10:00:00Z", "2026-11-22T00:00:00Z");
	expect("59 23 31 12 *", "2026-11-21T10:00:00Z", "2026-12-31T23:59:00Z");
}

static void test_shorthands(void **state)
{
	(void)state;
	expect("@hourly", "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z");
	expect("@daily", "2026-11-21T10:00:00Z", "2026-11-22T00:00:00Z");
	expect("@weekly", "2026-11-23T10:00:00Z", "2026-11-29T00:00:00Z");
	expect("@monthly", "2026-11-21T10:00:00Z", "2026-12-01T00:00:00Z");
	expect("@yearly", "2026-11-21T10:00:00Z", "2027-01-01T00:00:00Z");
}

static void test_two_restricted_day_fields_are_alternatives(void **state)
{
	(void)state;
	expect("0 0 13 * fri", "2026-11-21T10:00:00Z", "2026-11-27T00:00:00Z");
	expect("0 0 13 * fri", "2026-12-11T10:00:00Z", "2026-12-13T00:00:00Z");
}

static void test_leap_days_are_found_and_days_that_never_come_are_not(void **state)
{
	struct kube_schedule schedule;
	struct err err;
	struct wall at;

	(void)state;
	expect("0 0 29 2 *", "2026-11-21T10:00:00Z", "2028-02-29T00:00:00Z");
	assert_int_equal(kube_schedule_parse("0 0 31 2 *", &schedule, &err), 0);
	assert_false(
		kube_schedule_next(&schedule, time_of("2026-11-21T10:00:00Z"), utc, NULL, &at));
}

static void test_local_time_follows_the_zone(void **state)
{
	(void)state;
	expect_in(berlin, "0 9 * * *", "2027-01-10T00:00:00Z", "2027-01-10T08:00:00Z");
	expect_in(berlin, "0 9 * * *", "2027-07-10T00:00:00Z", "2027-07-10T07:00:00Z");
	/* 2:30 does not exist on the day clocks are put forward. */
	expect_in(berlin, "30 2 * * *", "2027-03-28T00:00:00Z", "2027-03-29T00:30:00Z");
	/* It happens twice when they are put back, and is kept once. */
	expect_in(berlin, "30 2 * * *", "2027-10-30T12:00:00Z", "2027-10-31T00:30:00Z");
	expect_in(berlin, "30 2 * * *", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z");
}

static void test_what_is_no_schedule_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"* * * *",
		"* * * * * *",
		"60 * * * *",
		"* 24 * * *",
		"* * 0 * *",
		"* * * 13 *",
		"* * * * 8",
		"5-2 * * * *",
		"*/0 * * * *",
		"a * * * *",
		"1,, * * * *",
		"@never",
		"1- * * * *",
		"-1 * * * *",
		"* * * xyz *",
		"@reboot",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		refuse(texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_ranges_steps_lists_and_names),
		cmocka_unit_test(test_shorthands),
		cmocka_unit_test(test_two_restricted_day_fields_are_alternatives),
		cmocka_unit_test(test_leap_days_are_found_and_days_that_never_come_are_not),
		cmocka_unit_test(test_local_time_follows_the_zone),
		cmocka_unit_test(test_what_is_no_schedule_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
