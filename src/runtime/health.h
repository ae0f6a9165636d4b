/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health: what the probes of one run of a container have said, and when each is due. Pure.
 *
 * As in Kubernetes: until a startup probe has succeeded, no other is run and the container has not
 * started; a container with a readiness probe is not ready until that has succeeded; a startup or
 * liveness probe that has failed failureThreshold times in a row ends the run.
 *
 *   (begin) --initialDelaySeconds--> due --taken--> running --answered--> periodSeconds later: due
 *
 * A startup probe is over with its first success; after a verdict of death nothing is due any more.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/time.h"
#include "kube/probe.h"

/* What an answer has changed; may be combined. */
enum health_change {
	HEALTH_STARTED = 1 << 0,
	HEALTH_READY = 1 << 1, /* ready or not any more: health->ready */
	HEALTH_DEAD = 1 << 2,  /* the run has to be ended */
};

struct health_probe {
	struct mono due; /* MONO_NEVER: not, for now */
	bool running;
	bool ok;          /* the last answer */
	bool answered;    /* there was one */
	int64_t in_a_row; /* answers like the last one */
};

struct health {
	const struct kube_probe *probes; /* KUBE_PROBE_COUNT of them, borrowed */
	struct health_probe at[KUBE_PROBE_COUNT];
	struct mono began;
	bool started, ready, dead;
};

/* A run has begun at @now; or goes on, found again with what was known of it. */
void health_begin(struct health *health, const struct kube_probe *probes, struct mono now);
void health_resume(struct health *health, const struct kube_probe *probes, bool started, bool ready,
		   struct mono now);

/* When health_take() has something to give; MONO_NEVER: after an answer, or never. */
struct mono health_deadline(const struct health *health);

/* The next probe that is due; it runs until it is answered. KUBE_PROBE_COUNT: none. */
enum kube_probe_kind health_take(struct health *health, struct mono now);

/* Answers to what was taken: a set of enum health_change. */
unsigned health_answer(struct health *health, enum kube_probe_kind kind, bool ok, struct mono now);

/* It could not be asked at all, which says nothing about the container. */
void health_give_back(struct health *health, enum kube_probe_kind kind, struct mono now);
