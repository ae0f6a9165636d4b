/* SPDX-License-Identifier: Apache-2.0 */
#include "control/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "identity/derive.h"
#include "kube/job.h"
#include "kube/member.h"

/* A Job as it is now: what was remembered, and what its pods say. */
struct sight {
	const struct control_view *view;
	const json_t *job;
	const struct control_object *stored; /* its progress; NULL: none yet */
	struct kube_job_progress progress;
	bool fixed; /* it has a number of completions */
	uint32_t parallelism;
	uint8_t *active; /* a bit per slot with a pod that has not ended */
	uint32_t active_count;
	int64_t restarts;       /* of containers, over all pods that are not over */
	int64_t last_failed_ms; /* when the last failed pod ended; 0: none is known */
};

static bool bit(const uint8_t *bits, uint32_t at)
{
	return bits[at / 8] & 1U << at % 8;
}

static bool is_of_job(const struct sight *sight, const struct presence *pod)
{
	return uid_equal(&pod->object.uid, &sight->view->root->ref.uid);
}

static bool is_over(const struct presence *pod)
{
	return pod->phase == POD_SUCCEEDED || pod->phase == POD_FAILED;
}

static int64_t ended_ms(const struct presence *pod)
{
	int64_t latest = 0;

	for (size_t i = 0; i < pod->container_count; i++)
		if (pod->containers[i].finished_ms > latest)
			latest = pod->containers[i].finished_ms;
	return latest;
}

static void see_over(struct sight *sight, const struct presence *pod)
{
	if (pod->phase == POD_SUCCEEDED) {
		(void)kube_job_complete(&sight->progress, pod->slot);
		return;
	}
	/* One that was told to stop has not failed by itself. */
	if (pod->terminating)
		return;
	(void)kube_job_fail(&sight->progress, &pod->pod_uid);
	if (ended_ms(pod) > sight->last_failed_ms)
		sight->last_failed_ms = ended_ms(pod);
}

static void see_live(struct sight *sight, const struct control_pod *pod)
{
	uint32_t slot = pod->presence->slot;

	for (size_t i = 0; i < pod->presence->container_count; i++)
		sight->restarts += pod->presence->containers[i].restarts;
	if (!pod->machine_alive || pod->presence->terminating || slot >= sight->progress.slots ||
	    bit(sight->active, slot))
		return;
	sight->active[slot / 8] |= (uint8_t)(1U << slot % 8);
	sight->active_count++;
}

static const struct control_object *find_progress(const struct control_view *view)
{
	for (size_t i = 0; i < view->derived_count; i++)
		if (strcmp(view->derived[i].ref.kind, KUBE_JOB_PROGRESS) == 0)
			return &view->derived[i];
	return NULL;
}

static struct sight sight_new(const struct control_view *view)
{
	struct sight sight = {
		.view = view,
		.job = view->root->json,
		.stored = find_progress(view),
		.fixed = kube_member(view->root->json, "spec.completions") != NULL,
	};
	int64_t parallelism = kube_member_int(sight.job, "spec.parallelism", 1);
	uint32_t slots = kube_job_slots(sight.job);

	sight.parallelism = parallelism > 0 ? (uint32_t)parallelism : 0;
	sight.active = mem_alloc(slots / 8 + 1, 1);
	kube_job_progress_read(
		sight.stored && !fault_is_planted(FAULT_JOB_FORGETS) ? sight.stored->json : NULL,
		slots, &sight.progress);
	for (size_t i = 0; i < view->pod_count; i++) {
		if (!is_of_job(&sight, view->pods[i].presence))
			continue;
		if (is_over(view->pods[i].presence))
			see_over(&sight, view->pods[i].presence);
		else
			see_live(&sight, &view->pods[i]);
	}
	return sight;
}

static void sight_deinit(struct sight *sight)
{
	kube_job_progress_deinit(&sight->progress);
	free(sight->active);
}

static bool is_finished(const struct kube_job_progress *progress)
{
	return progress->completion_ms || progress->failed_ms;
}

static bool is_suspended(const struct sight *sight)
{
	return kube_member_true(sight->job, "spec.suspend");
}

/* ---- which slots ---- */

/* No new pod before this. */
static struct wall backoff_until(const struct sight *sight)
{
	int64_t delay_ms = CONTROL_JOB_BACKOFF_MS;

	if (sight->last_failed_ms == 0)
		return (struct wall){0};
	for (size_t i = 1;
	     i < sight->progress.failed_count && delay_ms < CONTROL_JOB_BACKOFF_MAX_MS; i++)
		delay_ms *= 2;
	if (delay_ms > CONTROL_JOB_BACKOFF_MAX_MS)
		delay_ms = CONTROL_JOB_BACKOFF_MAX_MS;
	return (struct wall){.ms = sight->last_failed_ms + delay_ms};
}

/* Slots with a pod stay open, as far as parallelism allows; then the first ones without. */
static void open_slots(const struct sight *sight, bool more, struct control_job_plan *plan)
{
	uint32_t left = sight->parallelism;

	for (uint32_t slot = 0; slot < plan->slots && left > 0; slot++)
		if (bit(sight->active, slot) && !kube_job_has_completed(&sight->progress, slot)) {
			plan->open[slot / 8] |= (uint8_t)(1U << slot % 8);
			left--;
		}
	for (uint32_t slot = 0; more && slot < plan->slots && left > 0; slot++)
		if (!bit(sight->active, slot) && !kube_job_has_completed(&sight->progress, slot)) {
			plan->open[slot / 8] |= (uint8_t)(1U << slot % 8);
			left--;
		}
}

static bool has_failed_too_often(const struct sight *sight)
{
	int64_t limit = kube_member_int(sight->job, "spec.backoffLimit", 0);

	return (int64_t)sight->progress.failed_count > limit ||
	       (sight->restarts > 0 && sight->restarts >= limit);
}

static void plan_slots(const struct sight *sight, struct control_job_plan *plan)
{
	struct wall until = backoff_until(sight);
	/* Of a queue of work, the first success says that it is empty. */
	bool more = sight->fixed || sight->progress.completed_count == 0;

	*plan = (struct control_job_plan){
		.slots = sight->progress.slots,
		.open = mem_alloc(sight->progress.slots / 8 + 1, 1),
		.due = CONTROL_NEVER,
	};
	if (is_finished(&sight->progress) || is_suspended(sight) || has_failed_too_often(sight))
		return;
	if (sight->view->now.ms < until.ms) {
		plan->due = until;
		more = false;
	}
	open_slots(sight, more, plan);
}

void control_job_plan(const struct control_view *view, struct control_job_plan *ret_plan)
{
	struct sight sight = sight_new(view);

	plan_slots(&sight, ret_plan);
	sight_deinit(&sight);
}

void control_job_plan_deinit(struct control_job_plan *plan)
{
	free(plan->open);
	plan->open = NULL;
}

/* ---- what becomes of it ---- */

static void fail(struct sight *sight, const char *reason, const char *message)
{
	sight->progress.failed_ms = sight->view->now.ms;
	sight->progress.reason = mem_strdup(reason);
	sight->progress.message = mem_strdup(message);
}

static bool has_all(const struct sight *sight)
{
	if (sight->fixed)
		return sight->progress.completed_count >= sight->progress.slots;
	return sight->progress.completed_count > 0 && sight->active_count == 0;
}

static void judge_suspension(struct sight *sight)
{
	struct kube_job_progress *progress = &sight->progress;
	int64_t now_ms = sight->view->now.ms;
	bool suspended = is_suspended(sight);

	if (suspended != progress->suspended) {
		progress->suspended = suspended;
		progress->suspended_ms = now_ms;
		progress->start_ms = suspended ? 0 : now_ms;
	}
	if (!suspended && !progress->start_ms)
		progress->start_ms = now_ms;
}

static void judge_end(struct sight *sight, struct control_verdict *verdict)
{
	int64_t deadline_s = kube_member_int(sight->job, "spec.activeDeadlineSeconds", -1);
	struct wall deadline = {.ms = sight->progress.start_ms + deadline_s * MS_PER_S};

	if (has_all(sight)) {
		sight->progress.completion_ms = sight->view->now.ms;
		return;
	}
	if (has_failed_too_often(sight)) {
		fail(sight, "BackoffLimitExceeded", "Job has reached the specified backoff limit");
		return;
	}
	if (deadline_s < 0 || !sight->progress.start_ms)
		return;
	if (sight->view->now.ms >= deadline.ms)
		fail(sight, "DeadlineExceeded", "Job was active longer than specified deadline");
	else
		control_call_at(verdict, deadline);
}

static void remember(const struct sight *sight, struct control_verdict *verdict)
{
	json_t *spec = kube_job_progress_spec(&sight->progress), *object;
	struct uid uid;

	if (sight->stored) {
		object = json_deep_copy(sight->stored->json);
		kube_set(object, "spec", spec);
		control_update(verdict, sight->stored, object);
		return;
	}
	uid = uid_derive(&sight->view->root->ref.uid, KUBE_JOB_PROGRESS);
	/* Not by the Job's name: another Job may have it before this object is gone. */
	object = control_object_new(sight->view, "magik.io/v1", KUBE_JOB_PROGRESS,
				    uid_text(&uid).text, KUBE_JOB_PROGRESS);
	kube_set(object, "spec", spec);
	control_create(verdict, object);
}

/* Pods that are no longer wanted: the Job has ended, or may have fewer at once. */
static void stop_others(const struct sight *sight, const struct control_job_plan *plan,
			struct control_verdict *verdict)
{
	for (size_t i = 0; i < sight->view->pod_count; i++) {
		const struct presence *pod = sight->view->pods[i].presence;

		/* Of a queue of work, the last ones are let finish. */
		if (!is_of_job(sight, pod) || is_over(pod) || pod->terminating ||
		    control_job_is_open(plan, pod->slot) ||
		    (!sight->fixed && !is_finished(&sight->progress) && !is_suspended(sight) &&
		     sight->progress.completed_count > 0))
			continue;
		control_stop(verdict, pod, UINT32_MAX);
	}
}

static void judge_ttl(const struct sight *sight, struct control_verdict *verdict)
{
	int64_t ttl_s = kube_member_int(sight->job, "spec.ttlSecondsAfterFinished", -1);
	int64_t ended = sight->progress.completion_ms ? sight->progress.completion_ms
						      : sight->progress.failed_ms;
	struct wall at = {.ms = ended + ttl_s * MS_PER_S};

	if (ttl_s < 0 || !ended)
		return;
	if (sight->view->now.ms >= at.ms)
		control_dispose(verdict, sight->view->root);
	else
		control_call_at(verdict, at);
}

void control_job(const struct control_view *view, struct control_verdict *verdict)
{
	struct sight sight = sight_new(view);
	struct control_job_plan plan;

	if (!is_finished(&sight.progress)) {
		judge_suspension(&sight);
		judge_end(&sight, verdict);
	}
	remember(&sight, verdict);
	plan_slots(&sight, &plan);
	stop_others(&sight, &plan, verdict);
	judge_ttl(&sight, verdict);
	control_job_plan_deinit(&plan);
	sight_deinit(&sight);
}
