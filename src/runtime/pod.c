/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pod.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "runtime/files.h"
#include "runtime/infra.h"
#include "runtime/job.h"

#define TO(stage) (1u << STAGE_##stage)

/* Which stages may follow each; pod.h draws it. */
static const unsigned allowed[STAGE_COUNT] = {
	[STAGE_SETUP] = TO(ACTIVE) | TO(STOPPING) | TO(TEARDOWN),
	[STAGE_ACTIVE] = TO(STOPPING) | TO(TEARDOWN),
	[STAGE_STOPPING] = TO(TEARDOWN),
	[STAGE_TEARDOWN] = 0,
	[STAGE_KEPT] = TO(SETUP),
};

void pod_set_stage(struct pod *pod, enum pod_stage stage)
{
	assert(allowed[pod->stage] & 1u << stage);
	pod->stage = stage;
}

static void on_agent(void *user, const struct ipc_message *message)
{
	struct pod *pod = user;
	const struct pods_config *config = &pod->pods->config;

	if (message->type == IPC_GROUP_STATE) {
		if (pod_group_said(pod, (const Magik__Ipc__GroupState *)message->body))
			pod_advance(pod);
		return;
	}
	if (config->on_agent)
		config->on_agent(config->ctx, &pod->uid, message);
}

struct pod *pod_new(struct pods *pods, const struct pod_start *start, struct pod_spec *spec)
{
	struct pod *pod = mem_new(struct pod);

	pod->pods = pods;
	pod->uid = start->uid;
	pod->uid_text = mem_strdup(uid_text(&start->uid).text);
	pod->name = mem_strdup(start->name);
	pod->dir = mem_strdup(path_format("%s/pods/%s", pods->config.run_dir, pod->uid_text).text);
	pod->cgroup = mem_strdup(path_format("%s/%s", pods->cgroup, pod->uid_text).text);
	buf_append_bytes(&pod->manifest, start->manifest);
	buf_append_bytes(&pod->warrant, start->warrant);
	pod->slot = start->slot;
	pod->epoch = start->epoch;
	pod->spec = spec;
	pod->reason = mem_strdup("");
	pod->message = mem_strdup("");
	pod->grace_s = -1;
	pod_config_init(pod);
	pod_group_init(pod);
	pod->agent = agent_new(pods->config.loop, pod->dir, on_agent, pod);
	pod->containers = mem_alloc(spec->container_count, sizeof(*pod->containers));
	for (size_t i = 0; i < spec->container_count; i++)
		container_init(&pod->containers[i], pod, i);
	list_append(&pods->pods, &pod->link);
	pods->count++;
	return pod;
}

void pod_free(struct pod *pod)
{
	pod_config_deinit(pod);
	for (size_t i = 0; i < pod->spec->container_count; i++)
		container_deinit(&pod->containers[i]);
	agent_free(pod->agent);
	process_watch_free(pod->infra_watch);
	loop_timer_free(pod->grace_timer);
	loop_timer_free(pod->null_timer);
	list_remove(&pod->link);
	pod->pods->count--;
	buf_deinit(&pod->manifest);
	buf_deinit(&pod->warrant);
	(void)pod_spec_free(pod->spec);
	free(pod->containers);
	free(pod->uid_text);
	free(pod->name);
	free(pod->dir);
	free(pod->cgroup);
	free(pod->reason);
	free(pod->message);
	free(pod);
}

void pod_job(struct pod *pod, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	pod->jobs++;
	pod->pods->jobs++;
	job_run(pod->pods->config.loop, work, done, arg);
}

/* Nothing of it is left, and nobody works for it any more. */
static void end_if_torn(struct pod *pod)
{
	if (!pod->torn || pod->jobs > 0)
		return;
	pod_tell(pod, true);
	pod_claims_release(pod);
	pod_group_release(pod);
	pod_free(pod);
}

void pod_job_done(struct pod *pod)
{
	pod->jobs--;
	pod->pods->jobs--;
	if (pod->torn)
		end_if_torn(pod);
	else
		pod_advance(pod);
}

static bool init_has_failed(const struct pod *pod)
{
	for (size_t i = 0; i < pod->spec->init_count; i++)
		if (pod->containers[i].state == RUN_DONE &&
		    pod->containers[i].status.exit_code != 0)
			return true;
	return false;
}

static enum pod_phase pod_phase(const struct pod *pod)
{
	bool all_started = true, all_done = true, failed = false;

	if (pod->stage == STAGE_SETUP || pod->stage == STAGE_KEPT)
		return POD_PENDING;
	if (init_has_failed(pod))
		return POD_FAILED;
	for (size_t i = pod->spec->init_count; i < pod->spec->container_count; i++) {
		const struct container *container = &pod->containers[i];

		all_started &=
			container->has_started || container->status.state == CONTAINER_TERMINATED;
		all_done &= container->state == RUN_DONE &&
			    container->status.state == CONTAINER_TERMINATED;
		failed |= container->status.exit_code != 0;
	}
	if (all_done && pod->stage == STAGE_ACTIVE)
		return failed ? POD_FAILED : POD_SUCCEEDED;
	return all_started ? POD_RUNNING : POD_PENDING;
}

void pod_presence(const struct pod *pod, struct presence *ret_presence)
{
	*ret_presence = (struct presence){
		.pod_uid = pod->uid,
		.pod_name = pod->name,
		.object = {.namespace = (char *)(uintptr_t)pod->spec->namespace,
			   .kind = (char *)(uintptr_t)pod->spec->kind,
			   .name = (char *)(uintptr_t)pod->spec->name},
		.generation = (uint64_t)pod->spec->generation,
		.slot = pod->slot,
		.epoch = pod->epoch,
		.node_name = (char *)(uintptr_t)pod->pods->config.node_name,
		.phase = pod_phase(pod),
		.terminating = pod->stage == STAGE_STOPPING || pod->stage == STAGE_TEARDOWN,
		.reason = pod->reason,
		.message = pod->message,
		.pod_ip = (char *)(uintptr_t)pod_net_ip(&pod->net),
		.host_ip = (char *)(uintptr_t) "",
		.started_ms = pod->started_ms,
		.container_count = pod->spec->container_count,
	};
	(void)!uid_parse(pod->spec->workload_uid, &ret_presence->object.uid);
	ret_presence->containers =
		mem_alloc(pod->spec->container_count, sizeof(*ret_presence->containers));
	ret_presence->ready = ret_presence->phase == POD_RUNNING;
	for (size_t i = 0; i < pod->spec->container_count; i++) {
		ret_presence->containers[i] = pod->containers[i].status;
		if (i >= pod->spec->init_count)
			ret_presence->ready &= pod->containers[i].status.ready;
	}
	ret_presence->ready &= !pod_group_is_awaited(pod);
}

void pod_tell(const struct pod *pod, bool gone)
{
	struct presence presence;

	pod_presence(pod, &presence);
	if (gone)
		presence.phase = POD_GONE;
	pod->pods->config.on_status(pod->pods->config.ctx, &presence);
	free(presence.containers);
}

/* Init containers run one after the other; then all others at once. */
static void start_what_is_due(struct pod *pod)
{
	for (size_t i = 0; i < pod->spec->container_count; i++) {
		struct container *container = &pod->containers[i];

		if (container->state == RUN_IDLE) {
			container_set_state(container, RUN_PULLING);
			if (!container->spec->init)
				container_set_reason(container, "ContainerCreating", "");
		}
		if (container->spec->init &&
		    (container->state != RUN_DONE || container->status.exit_code != 0))
			return;
	}
}

static bool all_at_rest(const struct pod *pod)
{
	for (size_t i = 0; i < pod->spec->container_count; i++)
		if (!container_is_at_rest(&pod->containers[i]))
			return false;
	return pod->jobs == 0;
}

struct sandbox_job {
	struct pod *pod;
	struct pod_net net;
	int result;
	struct err err;
};

static void close_work(void *arg)
{
	struct sandbox_job *job = arg;

	job->result = sandbox_close(job->pod, &job->err);
}

static void close_done(void *arg)
{
	struct sandbox_job *job = arg;
	struct pod *pod = job->pod;

	if (job->result < 0)
		log_event(LOG_LEVEL_ERROR, "pod-remains", "pod %s: something of it is left: %s",
			  pod->uid_text, job->err.text);
	free(job);
	pod_job_done(pod);
}

/* What has ended is kept for its logs, and gives everything else back. */
static void pod_close(struct pod *pod)
{
	struct sandbox_job *job = mem_new(struct sandbox_job);

	pod->closed = true;
	process_watch_free(pod->infra_watch);
	pod->infra_watch = NULL;
	job->pod = pod;
	pod_job(pod, close_work, close_done, job);
	pod_claims_release(pod);
}

/* By itself: nothing of it will run again. */
static bool has_ended(const struct pod *pod)
{
	enum pod_phase phase = pod_phase(pod);

	return pod->stage == STAGE_ACTIVE && (phase == POD_SUCCEEDED || phase == POD_FAILED) &&
	       all_at_rest(pod);
}

void pod_advance(struct pod *pod)
{
	if (pod->stage == STAGE_SETUP || pod->stage == STAGE_TEARDOWN || pod->stage == STAGE_KEPT)
		return;
	if (pod->stage == STAGE_ACTIVE && !pod->pods->quiet) {
		pod_config_advance(pod);
		start_what_is_due(pod);
	}
	for (size_t i = 0; i < pod->spec->container_count; i++)
		container_advance(&pod->containers[i]);
	if (pod->stage == STAGE_STOPPING && all_at_rest(pod)) {
		pod_teardown(pod, NULL, NULL);
		return;
	}
	if (has_ended(pod) && !pod->closed)
		pod_close(pod);
	pod_save(pod);
	pod_keep(pod);
	pod_tell(pod, false);
	pod_tell_agent(pod);
}

static void teardown_work(void *arg)
{
	struct sandbox_job *job = arg;

	job->result = sandbox_remove(job->pod, &job->err);
}

static void teardown_done(void *arg)
{
	struct sandbox_job *job = arg;
	struct pod *pod = job->pod;

	if (job->result < 0)
		log_event(LOG_LEVEL_ERROR, "pod-remains", "pod %s: something of it is left: %s",
			  pod->uid_text, job->err.text);
	pod->jobs--;
	pod->pods->jobs--;
	free(job);
	pod->torn = true;
	end_if_torn(pod);
}

void pod_teardown(struct pod *pod, const char *reason, const char *message)
{
	struct sandbox_job *job = mem_new(struct sandbox_job);

	pod_set_stage(pod, STAGE_TEARDOWN);
	pod_unkeep(pod);
	if (reason) {
		free(pod->reason);
		free(pod->message);
		pod->reason = mem_strdup(reason);
		pod->message = mem_strdup(message);
		log_event(LOG_LEVEL_WARN, "pod-lost", "pod %s: %s: %s", pod->uid_text, reason,
			  message);
	}
	process_watch_free(pod->infra_watch);
	pod->infra_watch = NULL;
	for (size_t i = 0; i < pod->spec->container_count; i++) {
		struct container *container = &pod->containers[i];

		process_watch_free(container->watch);
		container->watch = NULL;
		container_stop_asking(container);
		if (container->state == RUN_RUNNING)
			image_store_unuse(pod->pods->config.images, container->status.image_id);
	}
	pod_save(pod);
	job->pod = pod;
	pod_job(pod, teardown_work, teardown_done, job);
}

static void restart_work(void *arg)
{
	struct sandbox_job *job = arg;

	job->result = sandbox_restart_agent(job->pod, &job->err);
}

static void restart_done(void *arg)
{
	struct sandbox_job *job = arg;
	struct pod *pod = job->pod;

	if (job->result < 0)
		log_event(LOG_LEVEL_ERROR, "agent-lost", "pod %s: %s", pod->uid_text,
			  job->err.text);
	else if (pod->stage != STAGE_TEARDOWN)
		pod_watch_infra(pod);
	free(job);
	pod_job_done(pod);
}

/* The namespaces are pinned: the pod does not notice. */
static void on_infra_ended(void *user)
{
	struct pod *pod = user;
	struct sandbox_job *job;

	process_watch_free(pod->infra_watch);
	pod->infra_watch = NULL;
	if (pod->stage == STAGE_TEARDOWN || pod->pods->quiet)
		return;
	log_event(LOG_LEVEL_WARN, "agent-ended", "pod %s: the agent has ended; starting it again",
		  pod->uid_text);
	job = mem_new(struct sandbox_job);
	job->pod = pod;
	pod_job(pod, restart_work, restart_done, job);
}

void pod_tell_agent(struct pod *pod)
{
	enum {
		TOLD = 1,
		TOLD_READY = 2,
		TOLD_LEAVING = 4,
		TOLD_FOR_GOOD = 8,
	};
	Magik__Ipc__PodReady message;
	struct presence presence;
	unsigned told = TOLD;

	if (!pod->infra_watch)
		return;
	magik__ipc__pod_ready__init(&message);
	pod_presence(pod, &presence);
	message.ready = presence.phase == POD_RUNNING && !pod_group_is_awaited(pod);
	for (size_t i = 0; i < presence.container_count; i++)
		message.ready = message.ready &&
				(presence.containers[i].init || presence.containers[i].ready);
	free(presence.containers);
	message.healthy = message.ready;
	message.leaving = pod->stage == STAGE_STOPPING;
	message.for_good = message.leaving && pod->for_good;
	told |= (message.ready ? TOLD_READY : 0u) | (message.leaving ? TOLD_LEAVING : 0u) |
		(message.for_good ? TOLD_FOR_GOOD : 0u);
	if (told != pod->agent_told && agent_tell(pod->agent, IPC_POD_READY, &message.base) == 0)
		pod->agent_told = told;
}

void pod_watch_infra(struct pod *pod)
{
	struct path pid_file = path_format("%s/infra.pid", pod->dir);
	pid_t pid = infra_find(pid_file.text);

	if (pid == 0 || process_watch_new(pod->pods->config.loop, pid, on_infra_ended, pod,
					  &pod->infra_watch) < 0) {
		on_infra_ended(pod);
		return;
	}
	pod->agent_told = 0;
	pod_tell_agent(pod);
	if (pod->pods->config.on_agent_new)
		pod->pods->config.on_agent_new(pod->pods->config.ctx, &pod->uid);
}

static void setup_work(void *arg)
{
	struct sandbox_job *job = arg;

	job->result = sandbox_make(job->pod, &job->net, &job->err);
}

static void setup_done(void *arg)
{
	struct sandbox_job *job = arg;
	struct pod *pod = job->pod;
	int result = job->result;
	struct err err = job->err;

	pod->net = job->net;
	pod->jobs--;
	pod->pods->jobs--;
	free(job);
	if (result < 0) {
		pod_teardown(pod, "FailedCreatePodSandBox", err.text);
		return;
	}
	if (err.code)
		log_event(LOG_LEVEL_WARN, "no-front",
			  "pod %s: names of Services are not resolved in it: %s", pod->uid_text,
			  err.text);
	pod->started_ms = clock_wall().ms;
	if (pod->grace_s >= 0) {
		/* Told to stop in the meantime: nothing of it has run. */
		pod_teardown(pod, NULL, NULL);
		return;
	}
	pod_set_stage(pod, STAGE_ACTIVE);
	if (pod->in_group && pod->pods->config.on_claims)
		pod->pods->config.on_claims(pod->pods->config.ctx);
	pod_watch_infra(pod);
	pod_advance(pod);
}

void pod_begin(struct pod *pod)
{
	struct sandbox_job *job;

	if (pod_is_null(pod)) {
		pod_null_begin(pod);
		return;
	}
	job = mem_new(struct sandbox_job);
	pod_save(pod);
	pod_keep(pod);
	pod_tell(pod, false);
	job->pod = pod;
	pod_job(pod, setup_work, setup_done, job);
}

static void on_grace_over(void *user)
{
	struct pod *pod = user;

	pod->grace_over = true;
	pod_advance(pod);
}

void pod_stop(struct pod *pod, int64_t grace_s)
{
	if (pod->stage == STAGE_TEARDOWN)
		return;
	if (pod_is_null(pod)) {
		pod_null_stop(pod);
		return;
	}
	pod_unkeep(pod);
	if (pod->stage == STAGE_KEPT) {
		pod_tell(pod, true);
		pod_free(pod);
		return;
	}
	if (grace_s < 0 || grace_s > POD_GRACE_S_MAX)
		grace_s = pod->spec->grace_s;
	/* A second request may only hurry. */
	if (pod->grace_s >= 0 && grace_s >= pod->grace_s)
		return;
	pod->grace_s = grace_s;
	if (pod->stage == STAGE_SETUP) {
		pod_tell(pod, false);
		return;
	}
	if (pod->stage == STAGE_ACTIVE)
		pod_set_stage(pod, STAGE_STOPPING);
	if (!pod->grace_timer)
		pod->grace_timer = loop_timer_new(pod->pods->config.loop, on_grace_over, pod);
	loop_timer_set(pod->grace_timer, mono_add_ms(clock_mono(), grace_s * MS_PER_S));
	pod->grace_over = grace_s == 0;
	pod_advance(pod);
}
