/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CronJob: its defaults, what is wrong with one, what is remembered of it, and its status.
 *
 * A run is a Job named after the minute it is for, with a uid that follows from that: two
 * controllers make one run. What is remembered stands in an object derived from the CronJob
 * (uid_derive(cronjob, "CronJobProgress"), named by its own uid), because its Jobs may be gone:
 *
 *   {"apiVersion":"magik.io/v1","kind":"CronJobProgress","metadata":{...},"spec":{
 *     "lastScheduleTime":ms,"lastSuccessfulTime":ms}}      fabric time
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"
#include "base/time.h"
#include "kube/check.h"
#include "kube/zone.h"

#define KUBE_CRONJOB_PROGRESS "CronJobProgress"

/* Annotation: the TZif file of its spec.timeZone, in base64, as the gateway has it that took the
 * object: all controllers count the same minutes. */
#define KUBE_CRONJOB_ZONE "magik.io/time-zone"

void kube_default_cronjob(json_t *cronjob);

/* Is its time zone UTC, by whichever name? Else it is this one; -EINVAL: it cannot be read.
 * @ret_zone borrows from @ret_file, which the caller frees in any case. */
bool kube_cronjob_is_utc(const json_t *cronjob);
_must_use_ int kube_cronjob_zone(const json_t *cronjob, struct buf *ret_file,
				 struct kube_zone *ret_zone);
void kube_validate_cronjob(struct check *check, const json_t *cronjob);

/* The Job of @cronjob for the minute @at, but for uid, owner and creation: its name, and what
 * stands in the template. The caller owns it. */
_must_use_ json_t *kube_cronjob_run(const json_t *cronjob, struct wall at);

/* "<name>-<minutes since 1970>"; the caller frees it. */
_must_use_ char *kube_cronjob_run_name(const char *cronjob, struct wall at);

/* @cronjob with its status. @progress: NULL: there is none yet. @active: references to its Jobs
 * that have not ended; borrowed. */
_must_use_ json_t *kube_cronjob(const json_t *cronjob, const json_t *progress,
				const json_t *active);
