/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job: its defaults, what is wrong with one, what the server writes into it, and the status that
 * clients see.
 *
 * Every completion has a slot, 0 to completions - 1 (the index of completionMode Indexed); without
 * completions there is a slot for each pod that runs at once, and the first success ends it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"
#include "kube/check.h"
#include "kube/deployment.h"
#include "kube/job_progress.h"

#define KUBE_JOB_INDEX "batch.kubernetes.io/job-completion-index"

enum {
	KUBE_JOB_SLOTS_MAX = 100000, /* completions, as Kubernetes bounds those of Indexed jobs */
};

void kube_default_job(json_t *job);
void kube_validate_job(struct check *check, const json_t *job);
/* What may change: parallelism, suspend, deadlines, and completions of Indexed jobs together with
 * parallelism. */
void kube_validate_job_update(struct check *check, const json_t *old, const json_t *new);

/* The selector and the labels of the pods, which follow from the Job's name and uid. They stand in
 * the object, so that every reader sees the same. Idempotent. */
void kube_job_stamp(json_t *job);

/* How many slots there are, and whether the pods know theirs. */
uint32_t kube_job_slots(const json_t *job);
bool kube_job_is_indexed(const json_t *job);

/* @job with its status; @progress: the object of job_progress.h, NULL: there is none yet. */
_must_use_ json_t *kube_job(const json_t *job, const json_t *progress,
			    const struct kube_pods *pods);
