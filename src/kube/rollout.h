/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rollout: a Deployment, its ReplicaSets and their pods, put into numbers.
 *
 * What a rollout has come to follows from these alone, so the controller that moves it and every
 * gateway that shows it read them with the same functions. What does not follow from them, the
 * controller remembers in annotations of the ReplicaSets (magik.io/...), which clients are not
 * shown.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/id.h"
#include "base/time.h"
#include "kube/name.h"

struct presence; /* wire/presence.h */

/* Kubernetes' annotations of a ReplicaSet. */
#define KUBE_REVISION "deployment.kubernetes.io/revision"
#define KUBE_REVISION_HISTORY "deployment.kubernetes.io/revision-history"
#define KUBE_DESIRED_REPLICAS "deployment.kubernetes.io/desired-replicas"
#define KUBE_MAX_REPLICAS "deployment.kubernetes.io/max-replicas"
#define KUBE_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

/* The controller's memory. */
#define KUBE_OBSERVED "magik.io/observed-generation" /* of the Deployment, carried out */
#define KUBE_SCALED_AT "magik.io/scaled-at"          /* fabric ms of the last change of replicas */
#define KUBE_ROLLED_OUT "magik.io/rolled-out"        /* the revision that was complete once */
#define KUBE_NOTED "magik.io/noted" /* what only time changes, for clients that watch */

#define KUBE_TEMPLATE_HASH "pod-template-hash"

enum {
	KUBE_NO_DEADLINE = INT32_MAX, /* of progressDeadlineSeconds */
	KUBE_KEEP_ALL = INT32_MAX,    /* of revisionHistoryLimit */
};

struct kube_pods {
	const struct presence *const *pods;
	size_t count;
};

/* Pods by what they are; those that have ended, are being stopped or whose machine is lost are left
 * out by who counts, or by the caller. */
struct kube_counts {
	int64_t pods, ready, available;
	int64_t latest_ms; /* when the newest of the ready ones became ready; 0: none */
	int64_t next_ms;   /* when the next of the ready ones becomes available; INT64_MAX: none */
};

/* Ready for @min_ready_s seconds is available. */
struct kube_counts kube_pods_count(const struct kube_pods *pods, int64_t min_ready_s,
				   struct wall now);

/* Since when a ready pod is so; fabric ms. */
int64_t kube_ready_since(const struct presence *presence);

/* A count or a percentage ("25%") of @total, rounded as asked; 0 when it is neither. */
int64_t kube_portion(const json_t *value, int64_t total, bool up);

struct kube_set {
	const json_t *json; /* borrowed */
	const char *name;
	int64_t replicas; /* wanted */
	struct kube_counts counts;
	int64_t revision; /* 0: none */
	int64_t scaled_ms;
};

struct kube_rollout {
	const json_t *deployment; /* borrowed */
	int64_t replicas, surge, unavailable, min_ready_s, generation;
	bool recreate, paused;
	int64_t deadline_s;
	struct kube_hash hash; /* of the present template */
	struct kube_set *sets; /* as given */
	size_t set_count;
	struct kube_set *new_set; /* the one of the present template, or NULL */
	struct wall now;
};

/* One ReplicaSet and its pods. */
struct kube_set_source {
	const json_t *json;
	struct kube_pods pods;
};

/* Foreign JSON: what is missing has Kubernetes' default. Free with kube_rollout_deinit(). */
void kube_rollout_read(const json_t *deployment, const struct kube_set_source *sources,
		       size_t count, struct wall now, struct kube_rollout *ret_rollout);
void kube_rollout_deinit(struct kube_rollout *rollout);

/* Sums over all sets. */
int64_t kube_rollout_wanted(const struct kube_rollout *rollout);
struct kube_counts kube_rollout_counts(const struct kube_rollout *rollout);

/* The generation of the Deployment that its sets show to be carried out; never too high. */
int64_t kube_rollout_observed(const struct kube_rollout *rollout);

/* All pods are of the present template and available, and no other is left. */
bool kube_rollout_is_complete(const struct kube_rollout *rollout);

/* It was complete once with the present template. */
bool kube_rollout_was_complete(const struct kube_rollout *rollout);

/* When it counts as stuck, unless it moves on; INT64_MAX: never. Fabric ms. */
int64_t kube_rollout_deadline(const struct kube_rollout *rollout);
