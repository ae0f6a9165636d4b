/* SPDX-License-Identifier: Apache-2.0 */
#include "control/job.h"

#include "family.h"

#include "kube/job.h"

static struct family *job_new(const char *spec)
{
	struct buf text = {0};
	struct family *family;

	buf_append_format(&text,
			  "{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':'j'},'spec':{%s"
			  ",'backoffLimit':2,'template':{'spec':{}}}}",
			  spec);
	family = family_new(control_job, buf_cstr(&text));
	buf_deinit(&text);
	return family;
}

/* Which slots are to be filled, as text: "0,1". */
static void expect_open(struct family *family, const char *expected)
{
	struct control_view view = family_view(family);
	struct control_job_plan plan;
	struct buf text = {0};

	control_job_plan(&view, &plan);
	for (uint32_t slot = 0; slot < plan.slots; slot++)
		if (control_job_is_open(&plan, slot))
			buf_append_format(&text, "%s%u", text.len ? "," : "", slot);
	assert_string_equal(buf_cstr(&text), expected);
	buf_deinit(&text);
	control_job_plan_deinit(&plan);
}

/* The status a client sees. */
static void expect_status(const struct family *family, const char *path, const char *expected)
{
	const struct control_object *progress = family_find(family, KUBE_JOB_PROGRESS);
	const struct presence *pods[FAMILY_PODS_MAX];
	struct kube_pods all = {.pods = pods, .count = family->pod_count};
	json_t *shown;
	char *text;

	for (size_t i = 0; i < family->pod_count; i++)
		pods[i] = &family->presences[i];
	shown = kube_job(family->root.json, progress ? progress->json : NULL, &all);
	text = json_dumps(kube_member(shown, path), JSON_ENCODE_ANY | JSON_COMPACT);
	assert_string_equal(text ? text : "nothing", expected);
	free(text);
	json_decref(shown);
}

static void expect_condition(const struct family *family, const char *type, const char *reason)
{
	const struct control_object *progress = family_find(family, KUBE_JOB_PROGRESS);
	struct kube_pods none = {0};
	json_t *shown = kube_job(family->root.json, progress->json, &none), *condition;
	size_t index;

	json_array_foreach (kube_member(shown, "status.conditions"), index, condition)
		if (strcmp(kube_member_string(condition, "type"), type) == 0) {
			assert_string_equal(kube_member_string(condition, "reason"), reason);
			json_decref(shown);
			return;
		}
	fail_msg("no condition %s", type);
}

static void test_no_more_run_at_once_than_wanted(void **state)
{
	struct family *family = job_new("'completions':5,'parallelism':2");

	(void)state;
	expect_open(family, "0,1");
	family_add_pod(family, NULL, 0, POD_SUCCEEDED);
	family_add_pod(family, NULL, 1, POD_RUNNING);
	family_run(family);
	expect_open(family, "1,2");
	expect_status(family, "status.succeeded", "1");
	expect_status(family, "status.active", "1");
	family_free(family);
}

static void test_what_has_succeeded_is_remembered_without_its_machine(void **state)
{
	struct family *family =
		job_new("'completions':3,'parallelism':1,'completionMode':'Indexed'");

	(void)state;
	family_add_pod(family, NULL, 0, POD_SUCCEEDED);
	family_add_pod(family, NULL, 2, POD_SUCCEEDED);
	family_run(family);
	family->pod_count = 0; /* the machines are lost, and what they said */
	family_run(family);
	expect_open(family, "1");
	expect_status(family, "status.completedIndexes", "\"0,2\"");
	family_add_pod(family, NULL, 1, POD_SUCCEEDED);
	family_run(family);
	expect_open(family, "");
	expect_condition(family, "Complete", "CompletionsReached");
	expect_status(family, "status.completedIndexes", "\"0-2\"");
	family_free(family);
}

static void test_a_pod_of_a_lost_machine_is_replaced(void **state)
{
	struct family *family = job_new("'completions':1,'parallelism':1");

	(void)state;
	family_add_pod(family, NULL, 0, POD_RUNNING);
	family->pods[0].machine_alive = false;
	family_run(family);
	expect_open(family, "0");
	expect_status(family, "status.failed", "nothing");
	family_free(family);
}

static void test_failures_back_off_and_then_end_it(void **state)
{
	struct family *family = job_new("'completions':2,'parallelism':2");
	struct presence *other;

	(void)state;
	family_add_pod(family, NULL, 0, POD_FAILED);
	other = family_add_pod(family, NULL, 1, POD_RUNNING);
	family_run(family);
	expect_open(family, "1"); /* the other goes on, nothing new before the back-off is over */
	family->now.ms += CONTROL_JOB_BACKOFF_MS;
	expect_open(family, "0,1");
	family_add_pod(family, NULL, 0, POD_FAILED);
	family_run(family);
	family->now.ms += CONTROL_JOB_BACKOFF_MS;
	expect_open(family, "1"); /* twice as long by now */
	family->now.ms += CONTROL_JOB_BACKOFF_MS;
	expect_open(family, "0,1");
	family_add_pod(family, NULL, 0, POD_FAILED);
	family_run(family);
	expect_open(family, "");
	expect_condition(family, "Failed", "BackoffLimitExceeded");
	expect_status(family, "status.failed", "3");
	assert_true(other->terminating);
	family_free(family);
}

static void test_restarts_of_containers_count_as_failures(void **state)
{
	struct family *family = job_new("'completions':1,'parallelism':1");

	(void)state;
	family_add_pod(family, NULL, 0, POD_RUNNING);
	family->statuses[0].restarts = 1;
	family_run(family);
	expect_open(family, "0");
	family->statuses[0].restarts = 2;
	family_run(family);
	expect_condition(family, "Failed", "BackoffLimitExceeded");
	family_free(family);
}

static void test_a_queue_of_work_ends_with_its_last_pod(void **state)
{
	struct family *family = job_new("'parallelism':3");
	struct presence *last;

	(void)state;
	expect_open(family, "0,1,2");
	family_add_pod(family, NULL, 0, POD_SUCCEEDED);
	last = family_add_pod(family, NULL, 1, POD_RUNNING);
	family_run(family);
	expect_open(family, "1"); /* the first success says that there is no more work */
	assert_false(last->terminating);
	expect_status(family, "status.completionTime", "nothing");
	last->phase = POD_SUCCEEDED;
	family_run(family);
	expect_condition(family, "Complete", "CompletionsReached");
	family_free(family);
}

static void test_a_suspended_job_stops_and_goes_on(void **state)
{
	struct family *family = job_new("'completions':1,'parallelism':1,'suspend':true");
	struct presence *pod;

	(void)state;
	family_run(family);
	expect_open(family, "");
	expect_condition(family, "Suspended", "JobSuspended");
	expect_status(family, "status.startTime", "nothing");
	family_set(family, "spec", "suspend", json_false());
	family_run(family);
	expect_open(family, "0");
	expect_condition(family, "Suspended", "JobResumed");
	pod = family_add_pod(family, NULL, 0, POD_RUNNING);
	family_set(family, "spec", "suspend", json_true());
	family_run(family);
	assert_true(pod->terminating);
	family_free(family);
}

static void test_a_deadline_ends_it(void **state)
{
	struct family *family =
		job_new("'completions':1,'parallelism':1,'activeDeadlineSeconds':60");
	struct presence *pod = family_add_pod(family, NULL, 0, POD_RUNNING);

	(void)state;
	family_run(family);
	assert_int_equal(family->due.ms, family->now.ms + 60 * 1000);
	family->now = family->due;
	family_run(family);
	expect_condition(family, "Failed", "DeadlineExceeded");
	assert_true(pod->terminating);
	family_free(family);
}

static void test_a_finished_job_goes_after_its_time_to_live(void **state)
{
	struct family *family =
		job_new("'completions':1,'parallelism':1,'ttlSecondsAfterFinished':100");

	(void)state;
	family_add_pod(family, NULL, 0, POD_SUCCEEDED);
	family_run(family);
	assert_false(family->root_disposed);
	assert_int_equal(family->due.ms, family->now.ms + 100 * 1000);
	family->now = family->due;
	family_run(family);
	assert_true(family->root_disposed);
	family_free(family);
}

static void test_two_controllers_remember_the_same_under_one_uid(void **state)
{
	struct family *one = job_new("'completions':1,'parallelism':1");
	struct family *two = job_new("'completions':1,'parallelism':1");

	(void)state;
	two->now.ms += 5000;
	family_run(one);
	family_run(two);
	assert_true(uid_equal(&one->derived[0].ref.uid, &two->derived[0].ref.uid));
	family_free(one);
	family_free(two);
}

static void test_foreign_progress_is_read_with_care(void **state)
{
	static const char *const specs[] = {
		"{}",
		"{'spec':{'completed':'5-2,,x','failed':[1,'no']}}",
		"{'spec':{'completed':'0-99999999999999999999'}}",
		"{'spec':{'completed':7,'failed':{}}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
		struct buf text = {0};
		struct kube_job_progress progress;
		json_t *json;

		buf_append_str(&text, specs[i]);
		for (size_t k = 0; k < text.len; k++)
			text.ptr[k] = text.ptr[k] == '\'' ? '"' : text.ptr[k];
		json = json_loads(buf_cstr(&text), 0, NULL);
		kube_job_progress_read(json, 10, &progress);
		assert_true(progress.completed_count <= 10);
		kube_job_progress_deinit(&progress);
		json_decref(json);
		buf_deinit(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_more_run_at_once_than_wanted),
		cmocka_unit_test(test_what_has_succeeded_is_remembered_without_its_machine),
		cmocka_unit_test(test_a_pod_of_a_lost_machine_is_replaced),
		cmocka_unit_test(test_failures_back_off_and_then_end_it),
		cmocka_unit_test(test_restarts_of_containers_count_as_failures),
		cmocka_unit_test(test_a_queue_of_work_ends_with_its_last_pod),
		cmocka_unit_test(test_a_suspended_job_stops_and_goes_on),
		cmocka_unit_test(test_a_deadline_ends_it),
		cmocka_unit_test(test_a_finished_job_goes_after_its_time_to_live),
		cmocka_unit_test(test_two_controllers_remember_the_same_under_one_uid),
		cmocka_unit_test(test_foreign_progress_is_read_with_care),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
