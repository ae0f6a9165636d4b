/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/health.h"

#include <assert.h>

static bool has(const struct health *health, enum kube_probe_kind kind)
{
	return health->probes[kind].action != KUBE_PROBE_NONE;
}

/* Whether it is this probe's time: the startup probe's before all others, theirs after it. */
static bool is_its_time(const struct health *health, enum kube_probe_kind kind)
{
	return has(health, kind) && !health->dead &&
	       health->started == (kind != KUBE_PROBE_STARTUP);
}

static void schedule_first(struct health *health, struct mono now)
{
	for (int kind = 0; kind < KUBE_PROBE_COUNT; kind++) {
		struct health_probe *probe = &health->at[kind];
		struct mono first =
			mono_add_ms(health->began, health->probes[kind].delay_s * MS_PER_S);

		probe->due = MONO_NEVER;
		if (is_its_time(health, (enum kube_probe_kind)kind))
			probe->due = mono_reached(now, first) ? now : first;
	}
}

void health_resume(struct health *health, const struct kube_probe *probes, bool started, bool ready,
		   struct mono now)
{
	*health = (struct health){.probes = probes, .began = now};
	health->started = started || !has(health, KUBE_PROBE_STARTUP);
	health->ready = health->started && (ready || !has(health, KUBE_PROBE_READINESS));
	schedule_first(health, now);
}

void health_begin(struct health *health, const struct kube_probe *probes, struct mono now)
{
	health_resume(health, probes, false, false, now);
}

struct mono health_deadline(const struct health *health)
{
	struct mono deadline = MONO_NEVER;

	for (int kind = 0; kind < KUBE_PROBE_COUNT; kind++)
		if (!health->at[kind].running)
			deadline = mono_min(deadline, health->at[kind].due);
	return deadline;
}

enum kube_probe_kind health_take(struct health *health, struct mono now)
{
	for (int kind = 0; kind < KUBE_PROBE_COUNT; kind++) {
		struct health_probe *probe = &health->at[kind];

		if (probe->running || !mono_reached(now, probe->due))
			continue;
		probe->running = true;
		return (enum kube_probe_kind)kind;
	}
	return KUBE_PROBE_COUNT;
}

static void again_later(struct health *health, enum kube_probe_kind kind, struct mono now)
{
	struct health_probe *probe = &health->at[kind];

	probe->running = false;
	probe->due = is_its_time(health, kind)
			     ? mono_add_ms(now, health->probes[kind].period_s * MS_PER_S)
			     : MONO_NEVER;
}

void health_give_back(struct health *health, enum kube_probe_kind kind, struct mono now)
{
	again_later(health, kind, now);
}

static unsigned start(struct health *health, struct mono now)
{
	unsigned changes = HEALTH_STARTED;

	health->started = true;
	if (!has(health, KUBE_PROBE_READINESS)) {
		health->ready = true;
		changes |= HEALTH_READY;
	}
	schedule_first(health, now);
	return changes;
}

static unsigned set_ready(struct health *health, bool ready)
{
	if (health->ready == ready)
		return 0;
	health->ready = ready;
	return HEALTH_READY;
}

static unsigned die(struct health *health)
{
	health->dead = true;
	for (int kind = 0; kind < KUBE_PROBE_COUNT; kind++)
		health->at[kind].due = MONO_NEVER;
	return HEALTH_DEAD | set_ready(health, false);
}

/* What it means that @kind has now said @ok often enough. */
static unsigned conclude(struct health *health, enum kube_probe_kind kind, bool ok, struct mono now)
{
	if (kind == KUBE_PROBE_READINESS)
		return set_ready(health, ok);
	if (!ok)
		return die(health);
	return kind == KUBE_PROBE_STARTUP ? start(health, now) : 0;
}

unsigned health_answer(struct health *health, enum kube_probe_kind kind, bool ok, struct mono now)
{
	const struct kube_probe *rule = &health->probes[kind];
	struct health_probe *probe = &health->at[kind];
	unsigned changes = 0;

	assert(probe->running);
	probe->in_a_row = probe->answered && probe->ok == ok ? probe->in_a_row + 1 : 1;
	probe->answered = true;
	probe->ok = ok;
	if (!is_its_time(health, kind)) {
		probe->running = false; /* the verdict came while it ran */
		return 0;
	}
	if (probe->in_a_row >= (ok ? rule->success_threshold : rule->failure_threshold))
		changes = conclude(health, kind, ok, now);
	again_later(health, kind, now);
	return changes;
}
