/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "runtime/ask.h"
#include "runtime/health.h"
#include "runtime/pod.h"

/* One kind of them. */
struct probe {
	struct probes *probes;
	enum kube_probe_kind kind;
	struct ask *ask; /* under way; or NULL */
	bool unwell;     /* its last answer; told when it changes */
};

struct probes {
	struct container *container;
	struct health health;
	struct loop_timer *timer;
	struct probe at[KUBE_PROBE_COUNT];
};

static void schedule(struct probes *probes)
{
	loop_timer_set(probes->timer, health_deadline(&probes->health));
}

static const struct kube_probe *rule_of(const struct probe *probe)
{
	return &probe->probes->container->spec->probes[probe->kind];
}

/* ---- answers */

static bool is_any_unwell(const struct probes *probes)
{
	for (int kind = 0; kind < KUBE_PROBE_COUNT; kind++)
		if (probes->at[kind].unwell)
			return true;
	return false;
}

/* What is wrong stands in the container's message, from the first answer that says so to the first
 * that does not; the same wrong again and again is no news. */
static bool note(struct probe *probe, enum agent_answer answer, const char *text)
{
	struct container *container = probe->probes->container;
	bool unwell = answer != AGENT_WELL;
	char message[CONTAINER_SAID_MAX] = "";

	if (probe->unwell == unwell)
		return false;
	probe->unwell = unwell;
	if (unwell)
		(void)snprintf(message, sizeof(message), "%s probe %s: %s",
			       kube_probe_title(probe->kind),
			       answer == AGENT_SILENT ? "errored" : "failed", text);
	else if (is_any_unwell(probe->probes))
		return false;
	container_set_said(container, unwell ? "Unhealthy" : "", message);
	return true;
}

/* Frees @probe. */
static void end_container(struct probe *probe)
{
	struct container *container = probe->probes->container;
	struct buf text = {0};

	buf_append_format(&text, "Container %s failed %s probe%s", container->spec->name,
			  probe->kind == KUBE_PROBE_STARTUP ? "startup" : "liveness",
			  container_wants_restart(container, 1) ? ", will be restarted" : "");
	container_end_unhealthy(container, rule_of(probe)->grace_s, "Killing", buf_cstr(&text));
	buf_deinit(&text);
}

static void answered(struct probe *probe, enum agent_answer answer, const char *text)
{
	struct probes *probes = probe->probes;
	struct container *container = probes->container;
	struct mono now = clock_mono();
	unsigned changes = 0;
	bool noted = note(probe, answer, text);

	if (answer == AGENT_SILENT)
		health_give_back(&probes->health, probe->kind, now);
	else
		changes = health_answer(&probes->health, probe->kind, answer == AGENT_WELL, now);
	schedule(probes);
	container->status.ready = probes->health.ready;
	container->status.starting = !probes->health.started;
	if (changes || noted)
		pod_advance(container->pod);
	if (changes & HEALTH_DEAD)
		end_container(probe);
}

static void on_answer(void *user, enum agent_answer answer, const char *text)
{
	struct probe *probe = user;

	probe->ask = NULL;
	answered(probe, answer, text);
}

/* ---- questions */

static void on_due(void *user)
{
	struct probes *probes = user;
	struct container *container = probes->container;
	enum kube_probe_kind kind;

	while ((kind = health_take(&probes->health, clock_mono())) != KUBE_PROBE_COUNT) {
		struct probe *probe = &probes->at[kind];

		probe->ask = ask_new(container, rule_of(probe), on_answer, probe);
	}
	schedule(probes);
}

/* ---- */

static bool has_probes(const struct container *container)
{
	for (int kind = 0; kind < KUBE_PROBE_COUNT; kind++)
		if (container->spec->probes[kind].action != KUBE_PROBE_NONE)
			return true;
	return false;
}

struct probes *probes_new(struct container *container)
{
	struct probes *probes;

	if (!has_probes(container)) {
		container->status.ready = true;
		container->status.starting = false;
		return NULL;
	}
	probes = mem_new(struct probes);
	probes->container = container;
	for (int kind = 0; kind < KUBE_PROBE_COUNT; kind++)
		probes->at[kind] =
			(struct probe){.probes = probes, .kind = (enum kube_probe_kind)kind};
	health_resume(&probes->health, container->spec->probes, !container->status.starting,
		      container->status.ready, clock_mono());
	container->status.ready = probes->health.ready;
	container->status.starting = !probes->health.started;
	probes->timer = loop_timer_new(container->pod->pods->config.loop, on_due, probes);
	schedule(probes);
	return probes;
}

void probes_free(struct probes *probes)
{
	if (!probes)
		return;
	for (int kind = 0; kind < KUBE_PROBE_COUNT; kind++)
		ask_free(probes->at[kind].ask);
	loop_timer_free(probes->timer);
	free(probes);
}
