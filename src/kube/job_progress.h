/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job progress: what is remembered of a Job although the machines that ran its pods are gone.
 *
 * It stands in an object derived from the Job (uid_derive(job, "JobProgress"), named by its own
 * uid), which its
 * controller writes whenever a pod has ended: a machine's word about its pods is forgotten when the
 * machine is lost, and what has been done once must not be done again. The kind is this project's
 * own; no API shows it.
 *
 *   {"apiVersion":"magik.io/v1","kind":"JobProgress","metadata":{...},"spec":{
 *     "completed":"0-3,7",         slots that have succeeded
 *     "failed":["<pod uid>",...],  pods that have failed
 *     "startTime":ms, "completionTime":ms, "failedTime":ms, "reason":..., "message":...,
 *     "suspended":bool, "suspendedTime":ms}}      fabric time; absent: not yet
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"

enum {
	/* Failures by name; what fails more often than that without an end is only counted. */
	KUBE_JOB_FAILED_MAX = 4096,
};

#define KUBE_JOB_PROGRESS "JobProgress"

struct kube_job_progress {
	uint8_t *completed; /* a bit per slot */
	uint32_t slots;     /* bits of it */
	uint32_t completed_count;
	struct uid *failed;
	size_t failed_count;
	int64_t start_ms, completion_ms, failed_ms; /* 0: not yet */
	char *reason, *message;                     /* of the failure; NULL */
	bool suspended;
	int64_t suspended_ms; /* when that has changed last; 0: never */
};

/* Read a progress object (NULL: there is none yet) for a Job of @slots slots. Foreign JSON: what is
 * unreadable counts as not there. */
void kube_job_progress_read(const json_t *object, uint32_t slots,
			    struct kube_job_progress *ret_progress);
void kube_job_progress_deinit(struct kube_job_progress *progress);

/* The spec of the object. The caller owns it. */
_must_use_ json_t *kube_job_progress_spec(const struct kube_job_progress *progress);

bool kube_job_has_completed(const struct kube_job_progress *progress, uint32_t slot);
/* Whether it is news. */
bool kube_job_complete(struct kube_job_progress *progress, uint32_t slot);
bool kube_job_fail(struct kube_job_progress *progress, const struct uid *pod);

/* "0-3,7"; the caller frees it. */
_must_use_ char *kube_job_indexes(const struct kube_job_progress *progress);
