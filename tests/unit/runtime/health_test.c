/* SPDX-License-Identifier: Apache-2.0 */
/* When probes are due, and what their answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "runtime/health.h"

enum {
	DELAY_S = 5,
	PERIOD_S = 10,
};

static struct mono at(int64_t s)
{
	return mono_add_ms((struct mono){0}, s * MS_PER_S);
}

static const struct kube_probe probe = {
	.action = KUBE_PROBE_TCP,
	.delay_s = DELAY_S,
	.period_s = PERIOD_S,
	.success_threshold = 1,
	.failure_threshold = 3,
};

static void with(struct kube_probe *probes, enum kube_probe_kind kind)
{
	probes[kind] = probe;
}

/* Take what is due at @s and answer it at once. */
static unsigned ask(struct health *health, enum kube_probe_kind kind, bool ok, int64_t s)
{
	assert_int_equal(health_take(health, at(s)), kind);
	return health_answer(health, kind, ok, at(s));
}

static void test_without_probes_it_is_well_and_nothing_is_due(void **state)
{
	struct kube_probe probes[KUBE_PROBE_COUNT] = {0};
	struct health health;

	(void)state;
	health_begin(&health, probes, at(0));
	assert_true(health.started);
	assert_true(health.ready);
	assert_int_equal(health_deadline(&health).us, MONO_NEVER.us);
	assert_int_equal(health_take(&health, at(1000)), KUBE_PROBE_COUNT);
}

static void test_the_first_comes_after_its_delay_and_the_next_after_its_period(void **state)
{
	struct kube_probe probes[KUBE_PROBE_COUNT] = {0};
	struct health health;

	(void)state;
	with(probes, KUBE_PROBE_LIVENESS);
	health_begin(&health, probes, at(0));
	assert_int_equal(health_deadline(&health).us, at(DELAY_S).us);
	assert_int_equal(health_take(&health, at(DELAY_S - 1)), KUBE_PROBE_COUNT);
	assert_int_equal(health_take(&health, at(DELAY_S)), KUBE_PROBE_LIVENESS);
	/* Never two of a kind at once. */
	assert_int_equal(health_deadline(&health).us, MONO_NEVER.us);
	assert_int_equal(health_take(&health, at(1000)), KUBE_PROBE_COUNT);
	assert_int_equal(health_answer(&health, KUBE_PROBE_LIVENESS, true, at(7)), 0);
	assert_int_equal(health_deadline(&health).us, at(7 + PERIOD_S).us);
}

static void test_life_ends_with_enough_failures_in_a_row_only(void **state)
{
	struct kube_probe probes[KUBE_PROBE_COUNT] = {0};
	struct health health;

	(void)state;
	with(probes, KUBE_PROBE_LIVENESS);
	health_begin(&health, probes, at(0));
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, false, 5), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, false, 15), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, true, 25), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, false, 35), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, false, 45), 0);
	assert_true(health.ready);
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, false, 55), HEALTH_DEAD | HEALTH_READY);
	assert_false(health.ready);
	assert_int_equal(health_deadline(&health).us, MONO_NEVER.us);
}

static void test_what_could_not_be_asked_counts_for_nothing(void **state)
{
	struct kube_probe probes[KUBE_PROBE_COUNT] = {0};
	struct health health;

	(void)state;
	with(probes, KUBE_PROBE_LIVENESS);
	health_begin(&health, probes, at(0));
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, false, 5), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, false, 15), 0);
	assert_int_equal(health_take(&health, at(25)), KUBE_PROBE_LIVENESS);
	health_give_back(&health, KUBE_PROBE_LIVENESS, at(26));
	assert_int_equal(health_deadline(&health).us, at(26 + PERIOD_S).us);
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, false, 40), HEALTH_DEAD | HEALTH_READY);
}

static void test_readiness_comes_and_goes_by_its_thresholds(void **state)
{
	struct kube_probe probes[KUBE_PROBE_COUNT] = {0};
	struct health health;

	(void)state;
	with(probes, KUBE_PROBE_READINESS);
	probes[KUBE_PROBE_READINESS].success_threshold = 2;
	health_begin(&health, probes, at(0));
	assert_true(health.started);
	assert_false(health.ready);
	assert_int_equal(ask(&health, KUBE_PROBE_READINESS, true, 5), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_READINESS, true, 15), HEALTH_READY);
	assert_true(health.ready);
	assert_int_equal(ask(&health, KUBE_PROBE_READINESS, true, 25), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_READINESS, false, 35), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_READINESS, false, 45), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_READINESS, false, 55), HEALTH_READY);
	assert_false(health.ready);
	assert_false(health.dead);
}

static void test_before_it_has_started_nothing_else_is_asked(void **state)
{
	struct kube_probe probes[KUBE_PROBE_COUNT] = {0};
	struct health health;

	(void)state;
	for (int kind = 0; kind < KUBE_PROBE_COUNT; kind++)
		with(probes, (enum kube_probe_kind)kind);
	probes[KUBE_PROBE_STARTUP].failure_threshold = 100;
	health_begin(&health, probes, at(0));
	assert_int_equal(ask(&health, KUBE_PROBE_STARTUP, false, 5), 0);
	assert_int_equal(health_take(&health, at(14)), KUBE_PROBE_COUNT);
	assert_int_equal(ask(&health, KUBE_PROBE_STARTUP, true, 15), HEALTH_STARTED);
	assert_true(health.started);
	assert_false(health.ready);
	/* Their delays are over, so both are asked at once; the first one never again. */
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, true, 15), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_READINESS, true, 15), HEALTH_READY);
	assert_int_equal(health_deadline(&health).us, at(25).us);
	assert_int_equal(ask(&health, KUBE_PROBE_LIVENESS, true, 25), 0);
}

static void test_what_never_starts_dies(void **state)
{
	struct kube_probe probes[KUBE_PROBE_COUNT] = {0};
	struct health health;

	(void)state;
	with(probes, KUBE_PROBE_STARTUP);
	health_begin(&health, probes, at(0));
	assert_false(health.ready);
	assert_int_equal(ask(&health, KUBE_PROBE_STARTUP, false, 5), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_STARTUP, false, 15), 0);
	assert_int_equal(ask(&health, KUBE_PROBE_STARTUP, false, 25), HEALTH_DEAD);
	assert_true(health.dead);
}

static void test_an_answer_after_the_verdict_changes_nothing(void **state)
{
	struct kube_probe probes[KUBE_PROBE_COUNT] = {0};
	struct health health;

	(void)state;
	with(probes, KUBE_PROBE_LIVENESS);
	with(probes, KUBE_PROBE_READINESS);
	probes[KUBE_PROBE_LIVENESS].failure_threshold = 1;
	health_begin(&health, probes, at(0));
	assert_int_equal(health_take(&health, at(5)), KUBE_PROBE_LIVENESS);
	assert_int_equal(health_take(&health, at(5)), KUBE_PROBE_READINESS);
	assert_int_equal(health_answer(&health, KUBE_PROBE_LIVENESS, false, at(5)), HEALTH_DEAD);
	assert_int_equal(health_answer(&health, KUBE_PROBE_READINESS, true, at(6)), 0);
	assert_false(health.ready);
	assert_int_equal(health_deadline(&health).us, MONO_NEVER.us);
}

static void test_what_is_found_again_is_as_it_was(void **state)
{
	struct kube_probe probes[KUBE_PROBE_COUNT] = {0};
	struct health health;

	(void)state;
	with(probes, KUBE_PROBE_STARTUP);
	with(probes, KUBE_PROBE_READINESS);
	health_resume(&health, probes, true, true, at(0));
	assert_true(health.started);
	assert_true(health.ready);
	assert_int_equal(ask(&health, KUBE_PROBE_READINESS, false, 5), 0);
	health_resume(&health, probes, false, true, at(0));
	assert_false(health.ready);
	assert_int_equal(health_take(&health, at(5)), KUBE_PROBE_STARTUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_probes_it_is_well_and_nothing_is_due),
		cmocka_unit_test(
			test_the_first_comes_after_its_delay_and_the_next_after_its_period),
		cmocka_unit_test(test_life_ends_with_enough_failures_in_a_row_only),
		cmocka_unit_test(test_what_could_not_be_asked_counts_for_nothing),
		cmocka_unit_test(test_readiness_comes_and_goes_by_its_thresholds),
		cmocka_unit_test(test_before_it_has_started_nothing_else_is_asked),
		cmocka_unit_test(test_what_never_starts_dies),
		cmocka_unit_test(test_an_answer_after_the_verdict_changes_nothing),
		cmocka_unit_test(test_what_is_found_again_is_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
