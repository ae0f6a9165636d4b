/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/admit.h"
#include "kube/member.h"
#include "kube/time.h"
#include "kube/validate.h"
#include "wire/presence.h"

enum {
	BACKOFF_LIMIT_DEFAULT = 6,
};

bool kube_job_is_indexed(const json_t *job)
{
	return strcmp(kube_member_string(job, "spec.completionMode"), "Indexed") == 0;
}

uint32_t kube_job_slots(const json_t *job)
{
	int64_t parallelism = kube_member_int(job, "spec.parallelism", 1);
	int64_t slots = kube_member_int(job, "spec.completions", parallelism);

	if (slots < 0)
		return 0;
	return slots < KUBE_JOB_SLOTS_MAX ? (uint32_t)slots : KUBE_JOB_SLOTS_MAX;
}

void kube_default_job(json_t *job)
{
	json_t *spec = kube_object_at(job, "spec"), *template, *pod_spec;

	if (!spec)
		return;
	/* With neither of the two, it is one pod that has to succeed once. */
	if (!json_object_get(spec, "completions") && !json_object_get(spec, "parallelism"))
		kube_set_int(spec, "completions", 1);
	kube_set_missing(spec, "parallelism", json_integer(1));
	kube_set_missing(spec, "backoffLimit", json_integer(BACKOFF_LIMIT_DEFAULT));
	kube_set_missing(spec, "completionMode", json_string("NonIndexed"));
	kube_set_missing(spec, "suspend", json_false());
	kube_set_missing(spec, "podReplacementPolicy", json_string("TerminatingOrFailed"));
	template = kube_object_at(spec, "template");
	pod_spec = template ? kube_object_at(template, "spec") : NULL;
	if (pod_spec)
		kube_default_pod_spec(pod_spec);
}

static void set_both(json_t *labels, const char *key, const char *value)
{
	json_t *prefixed = kube_text("batch.kubernetes.io/%s", key);

	kube_set_string(labels, key, value);
	kube_set_string(labels, json_string_value(prefixed), value);
	json_decref(prefixed);
}

void kube_job_stamp(json_t *job)
{
	const char *uid = kube_member_string(job, "metadata.uid");
	json_t *spec = json_object_get(job, "spec");
	json_t *template = spec ? kube_object_at(spec, "template") : NULL;
	json_t *metadata = template ? kube_object_at(template, "metadata") : NULL;
	json_t *labels = metadata ? kube_object_at(metadata, "labels") : NULL;

	if (!labels || kube_member_true(spec, "manualSelector"))
		return;
	set_both(labels, "controller-uid", uid);
	set_both(labels, "job-name", kube_member_string(job, "metadata.name"));
	kube_set(spec, "selector",
		 json_pack("{s:{s:s}}", "matchLabels", "batch.kubernetes.io/controller-uid", uid));
}

static void validate_counts(struct check *check, const json_t *spec)
{
	static const char *const modes[] = {"NonIndexed", "Indexed", NULL};
	static const char *const policies[] = {"TerminatingOrFailed", "Failed", NULL};
	bool indexed = strcmp(kube_member_string(spec, "completionMode"), "Indexed") == 0;

	check_range(check, "parallelism", json_object_get(spec, "parallelism"), 0,
		    KUBE_JOB_SLOTS_MAX);
	check_range(check, "completions", json_object_get(spec, "completions"), 0,
		    KUBE_JOB_SLOTS_MAX);
	check_range(check, "backoffLimit", json_object_get(spec, "backoffLimit"), 0, INT32_MAX);
	check_range(check, "activeDeadlineSeconds", json_object_get(spec, "activeDeadlineSeconds"),
		    0, INT32_MAX);
	check_range(check, "ttlSecondsAfterFinished",
		    json_object_get(spec, "ttlSecondsAfterFinished"), 0, INT32_MAX);
	(void)check_one_of(check, "completionMode", kube_member_string(spec, "completionMode"),
			   modes);
	(void)check_one_of(check, "podReplacementPolicy",
			   kube_member_string(spec, "podReplacementPolicy"), policies);
	if (indexed && !json_object_get(spec, "completions"))
		check_required(check, "completions", "when completion mode is Indexed");
}

static void validate_template(struct check *check, const json_t *spec)
{
	static const char *const policies[] = {"OnFailure", "Never", NULL};
	const json_t *pod = kube_member(spec, "template.spec");
	size_t mark = check_enter(check, "template.spec");

	/* What a PodSpec without a word says is Always, which would never end. */
	(void)check_one_of(check, "restartPolicy", kube_member_string(pod, "restartPolicy"),
			   policies);
	kube_validate_pod_spec(check, pod, false);
	check_leave(check, mark);
}

void kube_validate_job(struct check *check, const json_t *job)
{
	const json_t *spec = json_object_get(job, "spec");
	size_t mark = check_enter(check, "spec");

	validate_counts(check, spec);
	if (kube_member(spec, "template.spec"))
		validate_template(check, spec);
	else
		check_required(check, "template", "");
	check_leave(check, mark);
}

static void must_stay(struct check *check, const json_t *old, const json_t *new, const char *path)
{
	if (!json_equal(kube_member(old, path), kube_member(new, path)) &&
	    (kube_member(old, path) || kube_member(new, path)))
		check_invalid(check, path, kube_member(new, path), "field is immutable");
}

void kube_validate_job_update(struct check *check, const json_t *old, const json_t *new)
{
	bool scales =
		kube_job_is_indexed(old) && kube_member_int(new, "spec.completions", -1) ==
						    kube_member_int(new, "spec.parallelism", -2);

	if (!scales)
		must_stay(check, old, new, "spec.completions");
	must_stay(check, old, new, "spec.completionMode");
	must_stay(check, old, new, "spec.selector");
	must_stay(check, old, new, "spec.template");
}

/* ---- status ---- */

struct counts {
	int64_t active, ready, terminating;
};

static struct counts count_pods(const struct kube_pods *pods)
{
	struct counts counts = {0};

	for (size_t i = 0; i < pods->count; i++) {
		const struct presence *pod = pods->pods[i];
		bool lives = pod->phase == POD_PENDING || pod->phase == POD_RUNNING;

		counts.active += lives && !pod->terminating;
		counts.ready += lives && !pod->terminating && pod->ready;
		counts.terminating += lives && pod->terminating;
	}
	return counts;
}

static json_t *time_json(int64_t ms)
{
	return json_string(kube_time_text((struct wall){.ms = ms}).text);
}

static void add_condition(json_t *conditions, const char *type, bool holds, int64_t ms,
			  const char *reason, const char *message)
{
	json_t *condition = json_object();

	kube_set_string(condition, "type", type);
	kube_set_string(condition, "status", holds ? "True" : "False");
	kube_set(condition, "lastProbeTime", time_json(ms));
	kube_set(condition, "lastTransitionTime", time_json(ms));
	if (reason)
		kube_set_string(condition, "reason", reason);
	if (message)
		kube_set_string(condition, "message", message);
	kube_push(conditions, condition);
}

static json_t *conditions_of(const struct kube_job_progress *progress)
{
	json_t *conditions = json_array();

	if (progress->suspended_ms)
		add_condition(conditions, "Suspended", progress->suspended, progress->suspended_ms,
			      progress->suspended ? "JobSuspended" : "JobResumed",
			      progress->suspended ? "Job suspended" : "Job resumed");
	if (progress->completion_ms) {
		add_condition(conditions, "SuccessCriteriaMet", true, progress->completion_ms,
			      "CompletionsReached", "Reached expected number of succeeded pods");
		add_condition(conditions, "Complete", true, progress->completion_ms,
			      "CompletionsReached", "Reached expected number of succeeded pods");
	}
	if (progress->failed_ms)
		add_condition(conditions, "Failed", true, progress->failed_ms, progress->reason,
			      progress->message);
	return conditions;
}

static json_t *status_of(const json_t *job, const struct kube_job_progress *progress,
			 const struct kube_pods *pods)
{
	struct counts counts = count_pods(pods);
	json_t *status = json_object(), *conditions = conditions_of(progress);
	char *indexes;

	if (json_array_size(conditions) > 0)
		kube_set(status, "conditions", conditions);
	else
		json_decref(conditions);
	if (counts.active)
		kube_set_int(status, "active", counts.active);
	kube_set_int(status, "ready", counts.ready);
	kube_set_int(status, "terminating", counts.terminating);
	if (progress->completed_count)
		kube_set_int(status, "succeeded", progress->completed_count);
	if (progress->failed_count)
		kube_set_int(status, "failed", (int64_t)progress->failed_count);
	if (progress->start_ms)
		kube_set(status, "startTime", time_json(progress->start_ms));
	if (progress->completion_ms)
		kube_set(status, "completionTime", time_json(progress->completion_ms));
	if (kube_job_is_indexed(job)) {
		indexes = kube_job_indexes(progress);
		kube_set_string(status, "completedIndexes", indexes);
		free(indexes);
	}
	kube_set(status, "uncountedTerminatedPods", json_object());
	return status;
}

json_t *kube_job(const json_t *job, const json_t *progress, const struct kube_pods *pods)
{
	struct kube_job_progress read;
	json_t *shown = json_deep_copy(job);

	kube_job_progress_read(progress, kube_job_slots(job), &read);
	kube_set(shown, "status", status_of(job, &read, pods));
	kube_job_progress_deinit(&read);
	return shown;
}
