/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/job_progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "kube/member.h"

bool kube_job_has_completed(const struct kube_job_progress *progress, uint32_t slot)
{
	return slot < progress->slots && progress->completed[slot / 8] & 1U << slot % 8;
}

bool kube_job_complete(struct kube_job_progress *progress, uint32_t slot)
{
	if (slot >= progress->slots || kube_job_has_completed(progress, slot))
		return false;
	progress->completed[slot / 8] |= (uint8_t)(1U << slot % 8);
	progress->completed_count++;
	return true;
}

bool kube_job_fail(struct kube_job_progress *progress, const struct uid *pod)
{
	for (size_t i = 0; i < progress->failed_count; i++)
		if (uid_equal(&progress->failed[i], pod))
			return false;
	if (progress->failed_count == KUBE_JOB_FAILED_MAX)
		return false;
	progress->failed =
		mem_resize(progress->failed, progress->failed_count + 1, sizeof(*progress->failed));
	progress->failed[progress->failed_count++] = *pod;
	return true;
}

/* "0-3,7": what cannot be read ends it. */
static void read_indexes(const char *text, struct kube_job_progress *progress)
{
	while (*text) {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (end == text)
			return;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && first < progress->slots; first++)
			(void)kube_job_complete(progress, (uint32_t)first);
		if (*end != ',')
			return;
		text = end + 1;
	}
}

static void read_failed(const json_t *list, struct kube_job_progress *progress)
{
	const json_t *item;
	size_t index;
	struct uid uid;

	json_array_foreach (list, index, item)
		if (json_is_string(item) && uid_parse(json_string_value(item), &uid))
			(void)kube_job_fail(progress, &uid);
}

static char *text_or_null(const json_t *object, const char *path)
{
	const char *text = kube_member_string(object, path);

	return *text ? mem_strdup(text) : NULL;
}

void kube_job_progress_read(const json_t *object, uint32_t slots,
			    struct kube_job_progress *ret_progress)
{
	struct kube_job_progress progress = {
		.slots = slots,
		.completed = mem_alloc((size_t)slots / 8 + 1, 1),
		.start_ms = kube_member_int(object, "spec.startTime", 0),
		.completion_ms = kube_member_int(object, "spec.completionTime", 0),
		.failed_ms = kube_member_int(object, "spec.failedTime", 0),
		.suspended = kube_member_true(object, "spec.suspended"),
		.suspended_ms = kube_member_int(object, "spec.suspendedTime", 0),
		.reason = text_or_null(object, "spec.reason"),
		.message = text_or_null(object, "spec.message"),
	};

	read_indexes(kube_member_string(object, "spec.completed"), &progress);
	read_failed(kube_member(object, "spec.failed"), &progress);
	*ret_progress = progress;
}

void kube_job_progress_deinit(struct kube_job_progress *progress)
{
	free(progress->completed);
	free(progress->failed);
	free(progress->reason);
	free(progress->message);
	*progress = (struct kube_job_progress){0};
}

static void append_range(struct buf *text, uint32_t first, uint32_t last)
{
	if (text->len)
		buf_append_str(text, ",");
	buf_append_format(text, "%" PRIu32, first);
	if (last > first)
		buf_append_format(text, last == first + 1 ? ",%" PRIu32 : "-%" PRIu32, last);
}

char *kube_job_indexes(const struct kube_job_progress *progress)
{
	struct buf text = {0};
	uint32_t first = 0;
	bool in_range = false;

	for (uint32_t slot = 0; slot <= progress->slots; slot++) {
		bool done = kube_job_has_completed(progress, slot);

		if (done && !in_range)
			first = slot;
		if (!done && in_range)
			append_range(&text, first, slot - 1);
		in_range = done;
	}
	return buf_steal(&text);
}

static void set_time(json_t *spec, const char *key, int64_t ms)
{
	if (ms)
		kube_set_int(spec, key, ms);
}

json_t *kube_job_progress_spec(const struct kube_job_progress *progress)
{
	json_t *spec = json_object(), *failed = json_array();
	char *indexes = kube_job_indexes(progress);

	kube_set_string(spec, "completed", indexes);
	free(indexes);
	for (size_t i = 0; i < progress->failed_count; i++)
		kube_push(failed, json_string(uid_text(&progress->failed[i]).text));
	kube_set(spec, "failed", failed);
	set_time(spec, "startTime", progress->start_ms);
	set_time(spec, "completionTime", progress->completion_ms);
	set_time(spec, "failedTime", progress->failed_ms);
	set_time(spec, "suspendedTime", progress->suspended_ms);
	if (progress->suspended)
		kube_set(spec, "suspended", json_true());
	if (progress->reason)
		kube_set_string(spec, "reason", progress->reason);
	if (progress->message)
		kube_set_string(spec, "message", progress->message);
	return spec;
}
