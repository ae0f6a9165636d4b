/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/watch_log.h"
#include "base/mem.h"

static const struct uid nobody;

static struct watch_text *text(const char *json, uint64_t version)
{
	return watch_text_new(json, strlen(json), &nobody, version);
}

static bool note(struct watch_log *log, const char *key, const char *json, uint64_t version)
{
	return watch_log_note(log, key, json ? text(json, version) : NULL, version);
}

static void test_changes_carry_what_was_before_and_after(void **state)
{
	struct watch_log *log = watch_log_new(100);
	const struct watch_change *change;
	uint64_t at;

	(void)state;
	watch_log_seed(log, "a", text("one", 90));
	assert_true(watch_log_position(log, 100, &at));
	assert_null(watch_log_at(log, at));
	assert_true(note(log, "a", "two", 110));
	assert_true(note(log, "b", "new", 120));
	assert_true(note(log, "a", NULL, 130));

	change = watch_log_at(log, at);
	assert_string_equal(change->before->json, "one");
	assert_string_equal(change->after->json, "two");
	change = watch_log_at(log, at + 1);
	assert_null(change->before);
	assert_string_equal(change->after->json, "new");
	change = watch_log_at(log, at + 2);
	assert_string_equal(change->before->json, "two");
	assert_null(change->after);
	assert_int_equal(change->stamp, 130);
	assert_null(watch_log_at(log, at + 3));
	watch_log_free(log);
}

static void test_what_stays_the_same_is_no_change(void **state)
{
	struct watch_log *log = watch_log_new(100);

	(void)state;
	assert_true(note(log, "a", "one", 110));
	assert_false(note(log, "a", "one", 120));
	assert_false(note(log, "nothing", NULL, 130));
	assert_int_equal(watch_log_end(log), 1);
	assert_int_equal(log->stamp, 110);
	watch_log_free(log);
}

static void test_a_record_of_a_slower_clock_is_not_missed(void **state)
{
	struct watch_log *log = watch_log_new(100);
	uint64_t at;

	(void)state;
	assert_true(note(log, "a", "one", 200));
	/* A list is answered with 200; then a record written at 150 arrives. */
	assert_true(note(log, "b", "late", 150));
	assert_true(watch_log_position(log, 200, &at));
	assert_string_equal(watch_log_at(log, at)->after->json, "late");
	assert_true(watch_log_at(log, at)->stamp > 200);
	watch_log_free(log);
}

static void test_a_version_before_the_beginning_has_expired(void **state)
{
	struct watch_log *log = watch_log_new(100);
	uint64_t at;

	(void)state;
	assert_false(watch_log_position(log, 99, &at));
	assert_true(watch_log_position(log, 100, &at));
	/* Another gateway may be ahead: begin with what comes. */
	assert_true(watch_log_position(log, 5000, &at));
	assert_int_equal(at, watch_log_end(log));
	watch_log_free(log);
}

static void test_old_changes_are_forgotten_and_their_versions_expire(void **state)
{
	struct watch_log *log = watch_log_new(0);
	uint64_t at;
	char json[32];

	(void)state;
	for (uint64_t i = 1; i <= WATCH_LOG_CHANGES_MAX + 10; i++) {
		(void)snprintf(json, sizeof(json), "%lu", (unsigned long)i);
		assert_true(note(log, "a", json, i));
	}
	assert_true(watch_log_forgot(log, 9));
	assert_false(watch_log_forgot(log, 10));
	assert_null(watch_log_at(log, 9));
	assert_string_equal(watch_log_at(log, 10)->after->json, "11");
	assert_false(watch_log_position(log, 9, &at));
	assert_true(watch_log_position(log, 10, &at));
	assert_int_equal(at, 10);
	assert_true(watch_log_position(log, 2000, &at));
	assert_string_equal(watch_log_at(log, at)->after->json, "2001");
	watch_log_free(log);
}

static void test_large_texts_are_bounded_by_bytes(void **state)
{
	struct watch_log *log = watch_log_new(0);
	char *large = mem_alloc(1, (1 << 20) + 1);

	(void)state;
	memset(large, 'x', 1 << 20);
	for (uint64_t i = 1; i <= 100; i++) {
		large[0] = (char)('a' + i % 20);
		assert_true(note(log, "a", large, i));
		assert_true(log->bytes <= WATCH_LOG_BYTES_MAX + (2 << 20));
	}
	assert_true(log->count <= WATCH_LOG_BYTES_MAX / (1 << 20) + 1);
	free(large);
	watch_log_free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_carry_what_was_before_and_after),
		cmocka_unit_test(test_what_stays_the_same_is_no_change),
		cmocka_unit_test(test_a_record_of_a_slower_clock_is_not_missed),
		cmocka_unit_test(test_a_version_before_the_beginning_has_expired),
		cmocka_unit_test(test_old_changes_are_forgotten_and_their_versions_expire),
		cmocka_unit_test(test_large_texts_are_bounded_by_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
