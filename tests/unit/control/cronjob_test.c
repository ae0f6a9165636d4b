/* SPDX-License-Identifier: Apache-2.0 */
#include "family.h"

#include "identity/derive.h"
#include "kube/cronjob.h"
#include "kube/job.h"
#include "kube/time.h"

enum {
	MINUTE_MS = 60000,
};

static struct family *cronjob_new(const char *more)
{
	struct buf text = {0};
	struct family *family;

	buf_append_format(
		&text,
		"{'apiVersion':'batch/v1','kind':'CronJob','metadata':{'name':'tick'},'spec':{"
		"'schedule':'*/5 * * * *','concurrencyPolicy':'Allow','successfulJobsHistoryLimit':"
		"3,'failedJobsHistoryLimit':1,'jobTemplate':{'metadata':{'labels':{'a':'b'}},"
		"'spec':{'completions':1,'template':{'spec':{}}}}%s}}",
		more);
	family = family_new(control_cronjob, buf_cstr(&text));
	buf_deinit(&text);
	return family;
}

static struct control_object *nth_job(struct family *family, size_t n)
{
	for (size_t i = 0; i < family->derived_count; i++)
		if (strcmp(family->derived[i].ref.kind, "Job") == 0 && n-- == 0)
			return &family->derived[i];
	fail_msg("there are not so many Jobs");
	return NULL;
}

/* What the Job's own reconciler writes down when it ends. */
static void end_job(struct family *family, const struct control_object *job, const char *key)
{
	struct control_view view = family_view(family);
	struct control_verdict verdict = {.due = CONTROL_NEVER};
	struct uid uid = uid_derive(&job->ref.uid, KUBE_JOB_PROGRESS);
	struct control_object *object = &family->derived[family->derived_count];
	json_t *json;

	view.root = job;
	json = control_object_new(&view, "magik.io/v1", KUBE_JOB_PROGRESS, uid_text(&uid).text,
				  KUBE_JOB_PROGRESS);
	kube_set(json, "spec", json_pack("{s:I}", key, (json_int_t)family->now.ms));
	*object = (struct control_object){.json = json, .hlc = 1, .generation = 1};
	object->ref.uid = uid;
	object->ref.kind = (char *)(uintptr_t)kube_member_string(json, "kind");
	object->ref.name = (char *)(uintptr_t)kube_member_string(json, "metadata.name");
	object->ref.namespace = (char *)(uintptr_t) "default";
	family->derived_count++;
	control_verdict_deinit(&verdict);
}

static void test_each_minute_of_the_schedule_has_one_run(void **state)
{
	struct family *family = cronjob_new("");
	const struct control_object *job;

	(void)state;
	family_run(family);
	assert_int_equal(family_count(family, "Job"), 0);
	assert_int_equal(family->due.ms, family->now.ms + 5 * MINUTE_MS);
	family->now = family->due;
	family_run(family);
	family_run(family);
	assert_int_equal(family_count(family, "Job"), 1);
	job = nth_job(family, 0);
	assert_string_equal(job->ref.name, "tick-29920925");
	assert_string_equal(kube_member_string(job->json, "metadata.labels.a"), "b");
	assert_true(kube_member(job->json, "spec.selector.matchLabels") != NULL);
	family_free(family);
}

static void test_a_schedule_is_kept_where_the_cronjob_says(void **state)
{
	/* Central European Time, in as few bytes as there can be. */
	static const char berlin[] =
		"VFppZjIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAAAAEAAA4QAAAAVFppZjIAAAAA"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAAAAEAAA4QAAAACkNFVC0xQ0VTVCxNMy41LjAs"
		"TTEwLjUuMC8zCg==";
	struct family *family = cronjob_new("");
	int64_t begin_ms = family->now.ms; /* ten o'clock in UTC, in November */

	(void)state;
	family_set(family, "spec", "schedule", json_string("0 9 * * *"));
	family_set(family, "spec", "timeZone", json_string("Europe/Berlin"));
	family_run(family);
	assert_int_equal(family->due.ms, INT64_MAX); /* nobody has said where that is */
	family_set(family, "metadata", "annotations",
		   json_pack("{s:s}", KUBE_CRONJOB_ZONE, berlin));
	family_run(family);
	assert_int_equal(family->due.ms, begin_ms + 22 * 60 * MINUTE_MS);
	family_free(family);
}

static void test_two_controllers_make_the_same_run(void **state)
{
	struct family *one = cronjob_new(""), *two = cronjob_new("");

	(void)state;
	one->now.ms += 5 * MINUTE_MS;
	two->now.ms += 5 * MINUTE_MS + 20000; /* another one, some seconds later */
	family_run(one);
	family_run(two);
	assert_true(uid_equal(&nth_job(one, 0)->ref.uid, &nth_job(two, 0)->ref.uid));
	assert_string_equal(nth_job(one, 0)->ref.name, nth_job(two, 0)->ref.name);
	family_free(one);
	family_free(two);
}

static void test_of_missed_runs_only_the_latest_is_made_up_for(void **state)
{
	struct family *family = cronjob_new("");

	(void)state;
	family->now.ms += 61 * MINUTE_MS;
	family_run(family);
	assert_int_equal(family_count(family, "Job"), 1);
	assert_string_equal(nth_job(family, 0)->ref.name, "tick-29920980");
	family_free(family);
}

static void test_a_run_that_is_too_late_is_left_out(void **state)
{
	struct family *family = cronjob_new(",'startingDeadlineSeconds':30");

	(void)state;
	family->now.ms += 7 * MINUTE_MS;
	family_run(family);
	assert_int_equal(family_count(family, "Job"), 0);
	family->now.ms += 3 * MINUTE_MS + 20000;
	family_run(family);
	assert_int_equal(family_count(family, "Job"), 1);
	family_free(family);
}

static void test_forbid_waits_for_the_run_before(void **state)
{
	struct family *family = cronjob_new("");

	(void)state;
	family_set(family, "spec", "concurrencyPolicy", json_string("Forbid"));
	family->now.ms += 5 * MINUTE_MS;
	family_run(family);
	family->now.ms += 5 * MINUTE_MS;
	family_run(family);
	assert_int_equal(family_count(family, "Job"), 1);
	family->now.ms += MINUTE_MS;
	end_job(family, nth_job(family, 0), "completionTime");
	family_run(family);
	assert_int_equal(family_count(family, "Job"), 2);
	family_free(family);
}

static void test_replace_ends_the_run_before(void **state)
{
	struct family *family = cronjob_new("");
	struct uid first;

	(void)state;
	family_set(family, "spec", "concurrencyPolicy", json_string("Replace"));
	family->now.ms += 5 * MINUTE_MS;
	family_run(family);
	first = nth_job(family, 0)->ref.uid;
	family->now.ms += 5 * MINUTE_MS;
	family_run(family);
	assert_int_equal(family_count(family, "Job"), 1);
	assert_false(uid_equal(&first, &nth_job(family, 0)->ref.uid));
	family_free(family);
}

static void test_a_suspended_cronjob_makes_no_runs(void **state)
{
	struct family *family = cronjob_new(",'suspend':true");

	(void)state;
	family->now.ms += 20 * MINUTE_MS;
	family_run(family);
	assert_int_equal(family_count(family, "Job"), 0);
	assert_int_equal(family->due.ms, INT64_MAX);
	family_free(family);
}

static void test_old_runs_go_and_the_last_times_stay(void **state)
{
	struct family *family = cronjob_new("");
	const struct control_object *progress;
	struct wall last = {0};

	(void)state;
	family_set(family, "spec", "successfulJobsHistoryLimit", json_integer(1));
	for (int i = 0; i < 3; i++) {
		family->now.ms += 5 * MINUTE_MS;
		last = family->now;
		family_run(family);
		for (size_t k = 0; k < family_count(family, "Job"); k++) {
			struct uid uid =
				uid_derive(&nth_job(family, k)->ref.uid, KUBE_JOB_PROGRESS);
			bool known = false;

			for (size_t m = 0; m < family->derived_count; m++)
				known |= uid_equal(&family->derived[m].ref.uid, &uid);
			if (!known)
				end_job(family, nth_job(family, k), "completionTime");
		}
		family_run(family);
	}
	assert_int_equal(family_count(family, "Job"), 1);
	progress = family_find(family, KUBE_CRONJOB_PROGRESS);
	assert_int_equal(kube_member_int(progress->json, "spec.lastScheduleTime", 0), last.ms);
	assert_int_equal(kube_member_int(progress->json, "spec.lastSuccessfulTime", 0), last.ms);
	family_free(family);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_minute_of_the_schedule_has_one_run),
		cmocka_unit_test(test_a_schedule_is_kept_where_the_cronjob_says),
		cmocka_unit_test(test_two_controllers_make_the_same_run),
		cmocka_unit_test(test_of_missed_runs_only_the_latest_is_made_up_for),
		cmocka_unit_test(test_a_run_that_is_too_late_is_left_out),
		cmocka_unit_test(test_forbid_waits_for_the_run_before),
		cmocka_unit_test(test_replace_ends_the_run_before),
		cmocka_unit_test(test_a_suspended_cronjob_makes_no_runs),
		cmocka_unit_test(test_old_runs_go_and_the_last_times_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
