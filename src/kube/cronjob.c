/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/cronjob.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "kube/job.h"
#include "kube/member.h"
#include "kube/schedule.h"
#include "kube/time.h"

enum {
	SUCCESSFUL_DEFAULT = 3,
	FAILED_DEFAULT = 1,
	NAME_MAX_LEN = 52, /* as Kubernetes: eleven characters are added for each run */
};

void kube_default_cronjob(json_t *cronjob)
{
	json_t *spec = kube_object_at(cronjob, "spec"), *template;

	if (!spec)
		return;
	kube_set_missing(spec, "concurrencyPolicy", json_string("Allow"));
	kube_set_missing(spec, "suspend", json_false());
	kube_set_missing(spec, "successfulJobsHistoryLimit", json_integer(SUCCESSFUL_DEFAULT));
	kube_set_missing(spec, "failedJobsHistoryLimit", json_integer(FAILED_DEFAULT));
	template = kube_object_at(spec, "jobTemplate");
	if (template)
		kube_default_job(template);
}

bool kube_cronjob_is_utc(const json_t *cronjob)
{
	const char *zone = kube_member_string(cronjob, "spec.timeZone");
	static const char *const names[] = {"",    "UTC",           "Etc/UTC",  "Etc/GMT",
					    "GMT", "Zulu",          "Etc/Zulu", "Etc/UCT",
					    "UCT", "Etc/Universal", "Universal"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], zone) == 0)
			return true;
	return false;
}

int kube_cronjob_zone(const json_t *cronjob, struct buf *ret_file, struct kube_zone *ret_zone)
{
	const char *text = json_string_value(
		json_object_get(kube_member(cronjob, "metadata.annotations"), KUBE_CRONJOB_ZONE));

	if (!text || strlen(text) > 2 * KUBE_ZONE_BYTES_MAX ||
	    !base64_decode(bytes_str(text), ret_file))
		return -EINVAL;
	return kube_zone_read(bytes_buf(ret_file), ret_zone);
}

static bool zone_is_known(const json_t *cronjob)
{
	struct buf file = {0};
	struct kube_zone zone;
	bool known = kube_cronjob_is_utc(cronjob) || kube_cronjob_zone(cronjob, &file, &zone) == 0;

	buf_deinit(&file);
	return known;
}

static void validate_times(struct check *check, const json_t *cronjob)
{
	const json_t *spec = json_object_get(cronjob, "spec");
	static const char *const policies[] = {"Allow", "Forbid", "Replace", NULL};
	const char *schedule = kube_member_string(spec, "schedule");
	struct kube_schedule parsed;
	struct err err;

	if (!*schedule)
		check_required(check, "schedule", "");
	else if (kube_schedule_parse(schedule, &parsed, &err) != 0)
		check_invalid(check, "schedule", json_object_get(spec, "schedule"), err.text);
	if (!zone_is_known(cronjob))
		check_invalid(check, "timeZone", json_object_get(spec, "timeZone"),
			      "unknown time zone: the machine that was asked has none of that name "
			      "in /usr/share/zoneinfo");
	(void)check_one_of(check, "concurrencyPolicy",
			   kube_member_string(spec, "concurrencyPolicy"), policies);
	check_range(check, "startingDeadlineSeconds",
		    json_object_get(spec, "startingDeadlineSeconds"), 0, INT32_MAX);
	check_range(check, "successfulJobsHistoryLimit",
		    json_object_get(spec, "successfulJobsHistoryLimit"), 0, INT32_MAX);
	check_range(check, "failedJobsHistoryLimit",
		    json_object_get(spec, "failedJobsHistoryLimit"), 0, INT32_MAX);
}

void kube_validate_cronjob(struct check *check, const json_t *cronjob)
{
	size_t mark = check_enter(check, "metadata");

	if (strlen(kube_member_string(cronjob, "metadata.name")) > NAME_MAX_LEN)
		check_invalid(check, "name", kube_member(cronjob, "metadata.name"),
			      "must be no more than 52 characters");
	check_leave(check, mark);
	mark = check_enter(check, "spec");
	validate_times(check, cronjob);
	check_leave(check, mark);
	mark = check_enter(check, "spec.jobTemplate");
	kube_validate_job(check, kube_member(cronjob, "spec.jobTemplate"));
	check_leave(check, mark);
}

char *kube_cronjob_run_name(const char *cronjob, struct wall at)
{
	struct buf name = {0};

	buf_append_format(&name, "%s-%" PRId64, cronjob, at.ms / 60000);
	return buf_steal(&name);
}

json_t *kube_cronjob_run(const json_t *cronjob, struct wall at)
{
	const json_t *template = kube_member(cronjob, "spec.jobTemplate");
	json_t *job = json_object();
	json_t *from = json_deep_copy(json_object_get(template, "metadata"));
	json_t *metadata = json_is_object(from) ? from : json_object();
	char *name = kube_cronjob_run_name(kube_member_string(cronjob, "metadata.name"), at);

	if (metadata != from)
		json_decref(from);
	kube_set_string(metadata, "name", name);
	free(name);
	kube_set_string(kube_object_at(metadata, "annotations"),
			"batch.kubernetes.io/cronjob-scheduled-timestamp", kube_time_text(at).text);
	kube_set(job, "metadata", metadata);
	kube_set(job, "spec", json_deep_copy(json_object_get(template, "spec")));
	return job;
}

static void set_time(json_t *status, const char *key, int64_t ms)
{
	if (ms)
		kube_set_string(status, key, kube_time_text((struct wall){.ms = ms}).text);
}

json_t *kube_cronjob(const json_t *cronjob, const json_t *progress, const json_t *active)
{
	json_t *shown = json_deep_copy(cronjob), *status = json_object();

	if (json_array_size(active) > 0)
		kube_set(status, "active", json_deep_copy(active));
	set_time(status, "lastScheduleTime", kube_member_int(progress, "spec.lastScheduleTime", 0));
	set_time(status, "lastSuccessfulTime",
		 kube_member_int(progress, "spec.lastSuccessfulTime", 0));
	kube_set(shown, "status", status);
	return shown;
}
