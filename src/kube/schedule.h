/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedule: the five fields of cron, as Kubernetes reads them.
 *
 *   minute hour day-of-month month day-of-week
 *
 * Each is "*", a number, a range "a-b", either with a step "/n" (from a number: up to the end), or
 * a list of these joined by commas; "?" is "*". Months and weekdays may be named (jan, SUN; 7 is
 * Sunday, too). Instead of five fields: @yearly, @annually, @monthly, @weekly, @daily, @midnight,
 * @hourly. A day matches either day field if both are restricted, as in every cron.
 *
 * Pure: the caller says how far its zone is from UTC.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/time.h"

struct kube_schedule {
	uint64_t minutes, hours, days, months, weekdays; /* a bit per value */
	bool any_day, any_weekday;                       /* the field was "*" */
};

/* 0, or -EINVAL with a sentence. */
_must_use_ int kube_schedule_parse(const char *text, struct kube_schedule *ret_schedule,
				   struct err *err);

/* How far local time is ahead of UTC at @at, in seconds. */
typedef int64_t kube_offset_fn(void *ctx, struct wall at);

/* The first minute after @after that matches; false: none in the next five years. */
_must_use_ bool kube_schedule_next(const struct kube_schedule *schedule, struct wall after,
				   kube_offset_fn *offset, void *ctx, struct wall *ret_at);
