/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/rollout.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/member.h"
#include "wire/presence.h"

enum {
	PROGRESS_DEADLINE_DEFAULT_S = 600,
	PERCENT = 100,
};

int64_t kube_ready_since(const struct presence *presence)
{
	return presence->ready_ms ? presence->ready_ms : presence->started_ms;
}

struct kube_counts kube_pods_count(const struct kube_pods *pods, int64_t min_ready_s,
				   struct wall now)
{
	struct kube_counts counts = {.next_ms = INT64_MAX};
	for (size_t i = 0; i < pods->count; i++) {
		const struct presence *presence = pods->pods[i];
		if (presence->terminating || presence->phase > POD_RUNNING)
			continue;
		counts.pods++;
		if (!presence->ready || presence->phase != POD_RUNNING)
			continue;
		int64_t since = kube_ready_since(presence);
		int64_t available_ms = since + min_ready_s * MS_PER_S;
		counts.ready++;
		if (since > counts.latest_ms)
			counts.latest_ms = since;
		if (min_ready_s == 0 || available_ms <= now.ms)
			counts.available++;
		else if (available_ms < counts.next_ms)
			counts.next_ms = available_ms;
	}
	return counts;
}

int64_t kube_portion(const json_t *value, int64_t total, bool up)
{
	const char *text = json_string_value(value);
	char *end;
	if (!text)
		return json_integer_value(value) > 0 ? json_integer_value(value) : 0;
	long long percent = strtoll(text, &end, 10);
	if (end == text || strcmp(end, "%") != 0 || percent < 0 || percent > INT32_MAX)
		return 0;
	return (percent * total + (up ? PERCENT - 1 : 0)) / PERCENT;
}

/* ---- reading ---- */

static int64_t annotation_int(const json_t *object, const char *key)
{
	const char *text = json_string_value(
		json_object_get(kube_member(object, "metadata.annotations"), key));
	return text ? strtoll(text, NULL, 10) : 0;
}

static const char *annotation_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(
		json_object_get(kube_member(object, "metadata.annotations"), key));
	return text ? text : "";
}

static struct kube_set set_read(const struct kube_set_source *source, int64_t min_ready_s,
				struct wall now)
{
	return (struct kube_set){
		.json = source->json,
		.name = kube_member_string(source->json, "metadata.name"),
		.replicas = kube_member_int(source->json, "spec.replicas", 1),
		.counts = kube_pods_count(&source->pods, min_ready_s, now),
		.revision = annotation_int(source->json, KUBE_REVISION),
		.scaled_ms = annotation_int(source->json, KUBE_SCALED_AT),
	};
}

/* Kubernetes' fence posts: the surge is rounded up, what may be missing down, and both may not be
 * zero, or nothing would move. */
static void limits_read(struct kube_rollout *rollout)
{
	const json_t *rolling = kube_member(rollout->deployment, "spec.strategy.rollingUpdate");
	const json_t *surge = json_object_get(rolling, "maxSurge");
	const json_t *unavailable = json_object_get(rolling, "maxUnavailable");
	json_t *quarter = json_string("25%");
	rollout->surge = kube_portion(surge ? surge : quarter, rollout->replicas, true);
	rollout->unavailable =
		kube_portion(unavailable ? unavailable : quarter, rollout->replicas, false);
	if (rollout->surge == 0 && rollout->unavailable == 0)
		rollout->unavailable = 1;
	if (rollout->recreate) {
		rollout->surge = 0;
		rollout->unavailable = 0;
	}
	if (rollout->unavailable > rollout->replicas)
		rollout->unavailable = rollout->replicas;
	json_decref(quarter);
}

static bool is_of_template(const struct kube_set *set, const struct kube_hash *hash)
{
	const char *label = json_string_value(
		json_object_get(kube_member(set->json, "metadata.labels"), KUBE_TEMPLATE_HASH));
	return label && strcmp(label, hash->text) == 0;
}

void kube_rollout_read(const json_t *deployment, const struct kube_set_source *sources,
		       size_t count, struct wall now, struct kube_rollout *ret_rollout)
{
	struct kube_rollout rollout = {
		.deployment = deployment,
		.replicas = kube_member_int(deployment, "spec.replicas", 1),
		.min_ready_s = kube_member_int(deployment, "spec.minReadySeconds", 0),
		.generation = kube_member_int(deployment, "metadata.generation", 0),
		.paused = kube_member_true(deployment, "spec.paused"),
		.recreate = strcmp(kube_member_string(deployment, "spec.strategy.type"),
				   "Recreate") == 0,
		.deadline_s = kube_member_int(deployment, "spec.progressDeadlineSeconds",
					      PROGRESS_DEADLINE_DEFAULT_S),
		.hash = kube_template_hash(kube_member(deployment, "spec.template")),
		.sets = mem_alloc(count, sizeof(*rollout.sets)),
		.set_count = count,
		.now = now,
	};
	limits_read(&rollout);
	for (size_t i = 0; i < count; i++) {
		rollout.sets[i] = set_read(&sources[i], rollout.min_ready_s, now);
		if (is_of_template(&rollout.sets[i], &rollout.hash))
			rollout.new_set = &rollout.sets[i];
	}
	*ret_rollout = rollout;
}

void kube_rollout_deinit(struct kube_rollout *rollout)
{
	free(rollout->sets);
	*rollout = (struct kube_rollout){0};
}

/* ---- judging ---- */

int64_t kube_rollout_wanted(const struct kube_rollout *rollout)
{
	int64_t sum = 0;
	for (size_t i = 0; i < rollout->set_count; i++)
		sum += rollout->sets[i].replicas;
	return sum;
}

struct kube_counts kube_rollout_counts(const struct kube_rollout *rollout)
{
	struct kube_counts sum = {.next_ms = INT64_MAX};
	for (size_t i = 0; i < rollout->set_count; i++) {
		const struct kube_counts *counts = &rollout->sets[i].counts;
		sum.pods += counts->pods;
		sum.ready += counts->ready;
		sum.available += counts->available;
		if (counts->latest_ms > sum.latest_ms)
			sum.latest_ms = counts->latest_ms;
		if (counts->next_ms < sum.next_ms)
			sum.next_ms = counts->next_ms;
	}
	return sum;
}

int64_t kube_rollout_observed(const struct kube_rollout *rollout)
{
	int64_t highest = 0;
	if (rollout->new_set)
		highest = annotation_int(rollout->new_set->json, KUBE_OBSERVED);
	for (size_t i = 0; !rollout->new_set && i < rollout->set_count; i++) {
		int64_t observed = annotation_int(rollout->sets[i].json, KUBE_OBSERVED);
		highest = observed > highest ? observed : highest;
	}
	/* A set of the present template is still to be made, unless nothing may be rolled out. */
	if (!rollout->new_set && !rollout->paused && highest >= rollout->generation)
		highest = rollout->generation - 1;
	if (rollout->paused && rollout->set_count == 0)
		highest = rollout->generation;
	return highest < rollout->generation ? highest : rollout->generation;
}

bool kube_rollout_is_complete(const struct kube_rollout *rollout)
{
	const struct kube_set *set = rollout->new_set;
	return set && set->replicas == rollout->replicas &&
	       kube_rollout_wanted(rollout) == rollout->replicas &&
	       kube_rollout_counts(rollout).pods == rollout->replicas &&
	       set->counts.available == rollout->replicas &&
	       kube_rollout_observed(rollout) == rollout->generation;
}

bool kube_rollout_was_complete(const struct kube_rollout *rollout)
{
	const struct kube_set *set = rollout->new_set;
	return set && *annotation_text(set->json, KUBE_ROLLED_OUT) &&
	       strcmp(annotation_text(set->json, KUBE_ROLLED_OUT),
		      annotation_text(set->json, KUBE_REVISION)) == 0;
}

/* When it moved last: a set was scaled, or a pod of the new one became available. */
static int64_t progress_ms(const struct kube_rollout *rollout)
{
	int64_t latest = 0;
	if (rollout->new_set && rollout->new_set->counts.latest_ms)
		latest = rollout->new_set->counts.latest_ms + rollout->min_ready_s * MS_PER_S;
	if (latest > rollout->now.ms)
		latest = rollout->new_set->counts.latest_ms;
	for (size_t i = 0; i < rollout->set_count; i++)
		if (rollout->sets[i].scaled_ms > latest)
			latest = rollout->sets[i].scaled_ms;
	return latest;
}

int64_t kube_rollout_deadline(const struct kube_rollout *rollout)
{
	if (!rollout->new_set || rollout->paused || rollout->deadline_s >= KUBE_NO_DEADLINE ||
	    kube_rollout_was_complete(rollout) || kube_rollout_is_complete(rollout))
		return INT64_MAX;
	return progress_ms(rollout) + rollout->deadline_s * MS_PER_S;
}
