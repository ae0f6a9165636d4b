/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CronJob: one Job for every minute that its schedule names, as Kubernetes counts them.
 *
 * Time is fabric time. After an absence (nobody was there, a power cut, suspension) only the latest
 * of the runs that were missed is made up for, if startingDeadlineSeconds still allows it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/control.h"
#include "identity/derive.h"
#include "kube/cronjob.h"
#include "kube/job.h"
#include "kube/member.h"
#include "kube/schedule.h"
#include "kube/time.h"

enum {
	/* Runs that may have been missed: ten weeks of minutes. What lies before is left out. */
	MISSED_MAX = 100000,
};

/* A Job of the CronJob. */
struct run {
	const struct control_object *object;
	int64_t ended_ms; /* 0: it has not */
	bool succeeded;
};

struct sight {
	const struct control_view *view;
	const json_t *cronjob;
	const struct control_object *stored; /* what is remembered; NULL: nothing yet */
	struct run *runs;                    /* the oldest first */
	size_t run_count, active_count;
	int64_t scheduled_ms, successful_ms;
};

/* Local time, where the CronJob has it. */
struct place {
	bool is_utc;
	struct buf file; /* that @zone borrows from */
	struct kube_zone zone;
};

static int64_t offset_of(void *ctx, struct wall at)
{
	struct place *place = ctx;

	return place->is_utc ? 0 : kube_zone_offset(&place->zone, at);
}

/* What is remembered of @job tells whether it has ended. */
static void read_end(const struct control_view *view, struct run *run)
{
	struct uid uid = uid_derive(&run->object->ref.uid, KUBE_JOB_PROGRESS);

	for (size_t i = 0; i < view->family_count; i++) {
		const json_t *json = view->family[i].json;
		int64_t completed, failed;

		if (!uid_equal(&view->family[i].ref.uid, &uid))
			continue;
		completed = kube_member_int(json, "spec.completionTime", 0);
		failed = kube_member_int(json, "spec.failedTime", 0);
		run->ended_ms = completed ? completed : failed;
		run->succeeded = completed != 0;
	}
}

static int64_t created_ms(const struct control_object *object)
{
	struct wall at;

	return kube_time_parse(kube_member_string(object->json, "metadata.creationTimestamp"), &at)
		       ? at.ms
		       : object->written_ms;
}

static int by_age(const void *a, const void *b)
{
	const struct run *left = a, *right = b;
	int64_t one = created_ms(left->object), other = created_ms(right->object);

	if (one != other)
		return one < other ? -1 : 1;
	return uid_compare(&left->object->ref.uid, &right->object->ref.uid);
}

static struct sight sight_new(const struct control_view *view)
{
	struct sight sight = {
		.view = view,
		.cronjob = view->root->json,
		.runs = mem_alloc(view->derived_count + 1, sizeof(*sight.runs)),
	};

	for (size_t i = 0; i < view->derived_count; i++) {
		const struct control_object *object = &view->derived[i];
		struct run run = {.object = object};

		if (strcmp(object->ref.kind, KUBE_CRONJOB_PROGRESS) == 0)
			sight.stored = object;
		if (strcmp(object->ref.kind, "Job") != 0)
			continue;
		read_end(view, &run);
		sight.active_count += run.ended_ms == 0;
		sight.runs[sight.run_count++] = run;
	}
	qsort(sight.runs, sight.run_count, sizeof(*sight.runs), by_age);
	if (sight.stored) {
		const json_t *json = sight.stored->json;

		sight.scheduled_ms = kube_member_int(json, "spec.lastScheduleTime", 0);
		sight.successful_ms = kube_member_int(json, "spec.lastSuccessfulTime", 0);
	}
	return sight;
}

/* The latest run that is due and has not been made; false: none. */
static bool find_due(const struct sight *sight, const struct kube_schedule *schedule,
		     struct place *place, struct wall *ret_at)
{
	int64_t deadline_s = kube_member_int(sight->cronjob, "spec.startingDeadlineSeconds", -1);
	int64_t now_ms = sight->view->now.ms;
	struct wall at = {.ms = created_ms(sight->view->root)};
	bool found = false;

	if (sight->scheduled_ms > at.ms)
		at.ms = sight->scheduled_ms;
	if (deadline_s >= 0 && now_ms - deadline_s * MS_PER_S > at.ms)
		at.ms = now_ms - deadline_s * MS_PER_S - 1;
	if (now_ms - at.ms > MISSED_MAX * INT64_C(60000))
		at.ms = now_ms - MISSED_MAX * INT64_C(60000);
	while (kube_schedule_next(schedule, at, offset_of, place, &at) && at.ms <= now_ms) {
		*ret_at = at;
		found = true;
	}
	return found;
}

static void make_run(struct sight *sight, struct wall at, struct control_verdict *verdict)
{
	json_t *job = kube_cronjob_run(sight->cronjob, at), *made;
	const char *name = kube_member_string(job, "metadata.name");
	struct buf what = {0};

	buf_append_format(&what, "Job/%s", name);
	made = control_object_new(sight->view, "batch/v1", "Job", name, buf_cstr(&what));
	(void)json_object_update_missing(json_object_get(made, "metadata"),
					 json_object_get(job, "metadata"));
	kube_set(made, "spec", json_incref(json_object_get(job, "spec")));
	kube_job_stamp(made);
	control_create(verdict, made);
	buf_deinit(&what);
	json_decref(job);
	sight->scheduled_ms = at.ms;
}

static void stop_active(const struct sight *sight, struct control_verdict *verdict)
{
	for (size_t i = 0; i < sight->run_count; i++)
		if (sight->runs[i].ended_ms == 0)
			control_dispose(verdict, sight->runs[i].object);
}

static void judge_runs(struct sight *sight, struct place *place, struct control_verdict *verdict)
{
	const char *policy = kube_member_string(sight->cronjob, "spec.concurrencyPolicy");
	struct kube_schedule schedule;
	struct wall at;

	if (kube_schedule_parse(kube_member_string(sight->cronjob, "spec.schedule"), &schedule,
				NULL) != 0 ||
	    kube_member_true(sight->cronjob, "spec.suspend"))
		return;
	if (kube_schedule_next(&schedule, sight->view->now, offset_of, place, &at))
		control_call_at(verdict, at);
	if (!find_due(sight, &schedule, place, &at))
		return;
	/* It is made up for when that one has ended, if it is not too late then. */
	if (sight->active_count > 0 && strcmp(policy, "Forbid") == 0)
		return;
	if (strcmp(policy, "Replace") == 0)
		stop_active(sight, verdict);
	make_run(sight, at, verdict);
}

static void judge_schedule(struct sight *sight, struct control_verdict *verdict)
{
	struct place place = {.is_utc = kube_cronjob_is_utc(sight->cronjob)};

	if (place.is_utc || kube_cronjob_zone(sight->cronjob, &place.file, &place.zone) == 0)
		judge_runs(sight, &place, verdict);
	buf_deinit(&place.file);
}

/* The newest runs of each sort are kept. */
static void judge_history(const struct sight *sight, bool succeeded, const char *limit_path,
			  struct control_verdict *verdict)
{
	int64_t left = kube_member_int(sight->cronjob, limit_path, 1);

	for (size_t i = sight->run_count; i-- > 0;) {
		const struct run *run = &sight->runs[i];

		if (run->ended_ms == 0 || run->succeeded != succeeded)
			continue;
		if (left-- <= 0)
			control_dispose(verdict, run->object);
	}
}

static void note_success(struct sight *sight)
{
	for (size_t i = 0; i < sight->run_count; i++)
		if (sight->runs[i].succeeded && sight->runs[i].ended_ms > sight->successful_ms)
			sight->successful_ms = sight->runs[i].ended_ms;
}

static void remember(const struct sight *sight, struct control_verdict *verdict)
{
	struct uid uid = uid_derive(&sight->view->root->ref.uid, KUBE_CRONJOB_PROGRESS);
	json_t *spec = json_object(), *object;

	if (sight->scheduled_ms)
		kube_set_int(spec, "lastScheduleTime", sight->scheduled_ms);
	if (sight->successful_ms)
		kube_set_int(spec, "lastSuccessfulTime", sight->successful_ms);
	if (sight->stored) {
		object = json_deep_copy(sight->stored->json);
		kube_set(object, "spec", spec);
		control_update(verdict, sight->stored, object);
		return;
	}
	if (json_object_size(spec) == 0) {
		json_decref(spec);
		return;
	}
	object = control_object_new(sight->view, "magik.io/v1", KUBE_CRONJOB_PROGRESS,
				    uid_text(&uid).text, KUBE_CRONJOB_PROGRESS);
	kube_set(object, "spec", spec);
	control_create(verdict, object);
}

void control_cronjob(const struct control_view *view, struct control_verdict *verdict)
{
	struct sight sight = sight_new(view);

	judge_schedule(&sight, verdict);
	note_success(&sight);
	/* The run is stored before it is noted: what is lost in between is made again, under the
	 * same uid. */
	remember(&sight, verdict);
	judge_history(&sight, true, "spec.successfulJobsHistoryLimit", verdict);
	judge_history(&sight, false, "spec.failedJobsHistoryLimit", verdict);
	free(sight.runs);
}
