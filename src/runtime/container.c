/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "runtime/image_ref.h"
#include "runtime/pod.h"

enum {
	START_ERROR_CODE = 128, /* what Kubernetes shows for a container that could not start */
};

#define TO(state) (1u << RUN_##state)

/* Which states may follow each; pod.h draws it. */
static const unsigned allowed[RUN_STATE_COUNT] = {
	[RUN_IDLE] = TO(PULLING) | TO(DONE),
	[RUN_PULLING] = TO(STARTING) | TO(WAITING) | TO(DONE),
	[RUN_WAITING] = TO(PULLING) | TO(DONE),
	[RUN_STARTING] = TO(RUNNING) | TO(WAITING) | TO(DONE) | TO(ENDING),
	[RUN_RUNNING] = TO(ENDING),
	[RUN_ENDING] = TO(WAITING) | TO(PULLING) | TO(DONE),
	[RUN_DONE] = 0,
};

static void text_set(char **slot, const char *text)
{
	char *copy = mem_strdup(text ? text : "");

	free(*slot);
	*slot = copy;
}

void container_init(struct container *container, struct pod *pod, size_t index)
{
	struct image_ref ref;
	struct err ignored;

	container->pod = pod;
	container->index = index;
	container->spec = &pod->spec->containers[index];
	container->status.name = mem_strdup(container->spec->name);
	container->status.image = mem_strdup(container->spec->image);
	container->status.image_id = mem_strdup("");
	container->status.container_id = mem_strdup("");
	container->status.message = mem_strdup("");
	container->status.last_reason = mem_strdup("");
	container->status.init = container->spec->init;
	container->status.reason = mem_strdup(pod->spec->init_count > 0 && !container->spec->init
						      ? "PodInitializing"
						      : "ContainerCreating");
	/* It has been parsed once already, by pod_spec. */
	container->image_ref = mem_strdup(
		image_ref_parse(container->spec->image, &ref, &ignored) == 0 ? ref.text : "");
}

void container_deinit(struct container *container)
{
	struct container_status *status = &container->status;

	process_watch_free(container->watch);
	container_stop_asking(container);
	loop_timer_free(container->timer);
	free(status->name);
	free(status->image);
	free(status->image_id);
	free(status->container_id);
	free(status->reason);
	free(status->message);
	free(status->last_reason);
	free(container->image_ref);
}

void container_set_state(struct container *container, enum run_state state)
{
	assert(allowed[container->state] & 1u << state);
	container->state = state;
}

bool container_is_at_rest(const struct container *container)
{
	return container->state == RUN_DONE && !container->busy;
}

void container_set_reason(struct container *container, const char *reason, const char *message)
{
	text_set(&container->status.reason, reason);
	text_set(&container->status.message, message);
}

void container_set_said(struct container *container, const char *reason, const char *said)
{
	char text[CONTAINER_SAID_MAX];

	(void)snprintf(text, sizeof(text), "%s", said);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == '\x7f')
			*at = ' ';
	for (size_t len = strlen(text); len > 0 && text[len - 1] == ' '; len--)
		text[len - 1] = '\0';
	container_set_reason(container, reason, text);
}

void container_set_waiting(struct container *container, const char *reason, const char *message)
{
	struct container_status *status = &container->status;

	/* A run that has ended becomes the one before. */
	if (status->state == CONTAINER_TERMINATED) {
		text_set(&status->last_reason, status->reason);
		status->last_exit_code = status->exit_code;
		status->last_started_ms = status->started_ms;
		status->last_finished_ms = status->finished_ms;
	}
	status->state = CONTAINER_WAITING;
	status->started_ms = status->finished_ms = 0;
	status->exit_code = 0;
	status->ready = status->starting = false;
	container_set_reason(container, reason, message);
}

static void on_timer(void *user)
{
	struct container *container = user;

	if (container->state == RUN_RUNNING && container->unhealthy) {
		container->kill_due = true;
		pod_advance(container->pod);
		return;
	}
	if (container->state != RUN_WAITING || container->pod->stage != STAGE_ACTIVE ||
	    container->pod->pods->quiet)
		return;
	container_set_state(container, RUN_PULLING);
	pod_advance(container->pod);
}

static void set_timer(struct container *container, int64_t delay_ms)
{
	if (!container->timer)
		container->timer =
			loop_timer_new(container->pod->pods->config.loop, on_timer, container);
	loop_timer_set(container->timer, mono_add_ms(clock_mono(), delay_ms));
}

static void wait_ms(struct container *container, int64_t delay_ms)
{
	container_set_state(container, RUN_WAITING);
	set_timer(container, delay_ms);
}

void container_stop_asking(struct container *container)
{
	probes_free(container->probes);
	container->probes = NULL;
	ask_free(container->hook);
	container->hook = NULL;
}

void container_end_unhealthy(struct container *container, int64_t grace_s, const char *reason,
			     const char *message)
{
	struct pod *pod = container->pod;

	container_stop_asking(container);
	container_set_said(container, reason, message);
	container->unhealthy = true;
	container->kill_due = false;
	set_timer(container, (grace_s >= 0 ? grace_s : pod->spec->grace_s) * MS_PER_S);
	pod_advance(pod);
}

bool container_wants_restart(const struct container *container, int code)
{
	enum restart_policy policy = container->pod->spec->restart;

	if (container->spec->init)
		return code != 0 && policy != RESTART_NEVER;
	return policy == RESTART_ALWAYS || (policy == RESTART_ON_FAILURE && code != 0);
}

/* What could not be made waits for that, and says so; anything else for the next start. */
static void set_back_off(struct container *container, const struct container_run *failed)
{
	struct buf text = {0};

	if (failed && strncmp(failed->reason, "Create", strlen("Create")) == 0) {
		container_set_waiting(container, failed->reason, failed->err.text);
		return;
	}
	buf_append_str(&text, "back-off before the next start");
	if (failed)
		buf_append_format(&text, ": %s", failed->err.text);
	container_set_waiting(container, "CrashLoopBackOff", buf_cstr(&text));
	buf_deinit(&text);
}

/* What follows a run of so long, or an attempt at one that @failed. */
static void container_next(struct container *container, int64_t ran_ms,
			   const struct container_run *failed)
{
	int64_t delay_ms;

	if (container->pod->stage != STAGE_ACTIVE ||
	    !container_wants_restart(container, container->status.exit_code)) {
		container_set_state(container, RUN_DONE);
		return;
	}
	container->run++;
	container->status.restarts++;
	delay_ms = backoff_next_ms(&container->backoff, ran_ms);
	if (delay_ms > 0)
		set_back_off(container, failed);
	wait_ms(container, delay_ms);
}

static void tell_log_watches(struct container *container)
{
	list_for_each_safe (it, &container->pod->pods->log_watches) {
		struct log_watch *watch = list_entry(it, struct log_watch, link);

		if (watch->container != container)
			continue;
		list_remove(it);
		watch->ended(watch->user);
		free(watch);
	}
}

static void set_terminated(struct container *container, const char *reason, const char *message,
			   int code)
{
	struct container_status *status = &container->status;

	status->state = CONTAINER_TERMINATED;
	status->exit_code = code;
	status->finished_ms = clock_wall().ms;
	if (status->started_ms == 0)
		status->started_ms = status->finished_ms;
	status->ready = status->starting = false;
	container_set_reason(container, reason, message);
	tell_log_watches(container);
}

static void run_free(struct container_run *run)
{
	json_decref(run->config);
	free(run);
}

static void on_ended(void *arg)
{
	struct container_run *run = arg;
	struct container *container = run->container;
	struct pod *pod = container->pod;
	int code = run->result == 0 ? run->status.exit_code : 128 + SIGKILL;
	int64_t ran_ms;

	set_terminated(container,
		       run->status.oom_killed ? "OOMKilled"
		       : code == 0            ? "Completed"
					      : "Error",
		       run->result < 0 ? run->err.text : "", code);
	ran_ms = container->status.finished_ms - container->status.started_ms;
	container->conmon = 0;
	run_free(run);
	container_next(container, ran_ms, NULL);
	pod_job_done(pod);
}

static struct container_run *run_new(struct container *container)
{
	struct container_run *run = mem_new(struct container_run);

	run->container = container;
	run->run = container->run;
	memcpy(run->peer_id, container->pod->pods->peer_id, sizeof(run->peer_id));
	return run;
}

static void container_end(struct container *container)
{
	container_set_state(container, RUN_ENDING);
	process_watch_free(container->watch);
	container->watch = NULL;
	container_stop_asking(container);
	if (container->timer)
		loop_timer_set(container->timer, MONO_NEVER);
	pod_job(container->pod, container_run_end, on_ended, run_new(container));
}

static void on_conmon_ended(void *user)
{
	struct container *container = user;

	container->ended = true;
	pod_advance(container->pod);
}

static void watch_run(struct container *container)
{
	int r = process_watch_new(container->pod->pods->config.loop, container->conmon,
				  on_conmon_ended, container, &container->watch);

	container->state = RUN_RUNNING;
	container->ended = r < 0;
}

void container_resume(struct container *container)
{
	watch_run(container);
	if (container->unhealthy)
		set_timer(container, container->pod->spec->grace_s * MS_PER_S);
	else if (container->pod->stage == STAGE_ACTIVE)
		container->probes = probes_new(container);
}

static void on_start_hook(void *user, enum agent_answer answer, const char *text)
{
	struct container *container = user;
	struct buf message = {0};

	container->hook = NULL;
	if (answer != AGENT_WELL) {
		buf_append_format(&message, "PostStartHook failed: %s", text);
		container_end_unhealthy(container, -1, "FailedPostStartHook", buf_cstr(&message));
		buf_deinit(&message);
		return;
	}
	container->probes = probes_new(container);
	pod_advance(container->pod);
}

/* A run has begun. It has not started, and nothing else is asked of it, before its first hook is
 * done. */
static void container_begin(struct container *container)
{
	const struct kube_probe *hook = &container->spec->post_start;

	container->termed = container->killed = container->stop_hooked = false;
	container->unhealthy = container->kill_due = false;
	container->status.ready = false;
	container->status.starting = true;
	watch_run(container);
	if (container->pod->stage != STAGE_ACTIVE)
		return;
	if (hook->action == KUBE_PROBE_NONE)
		container->probes = probes_new(container);
	else
		container->hook = ask_new(container, hook, on_start_hook, container);
}

static void on_started(void *arg)
{
	struct container_run *run = arg;
	struct container *container = run->container;
	struct pod *pod = container->pod;
	struct container_status *status = &container->status;

	if (run->result < 0) {
		set_terminated(container, run->reason, run->err.text, START_ERROR_CODE);
		container_next(container, 0, run);
	} else {
		container_set_waiting(container, "", "");
		status->state = CONTAINER_RUNNING;
		status->started_ms = clock_wall().ms;
		text_set(&status->image_id, run->image_id);
		free(status->container_id);
		status->container_id = NULL;
		container->conmon = run->conmon;
		container->conmon_started = run->conmon_started;
		container->stop_signal = run->stop_signal;
		container->has_started = true;
		container_begin(container);
	}
	if (!status->container_id) {
		struct buf id = {0};

		buf_append_format(&id, "crun://%s-%zu-%u", pod->uid_text, container->index,
				  container->run);
		status->container_id = buf_steal(&id);
	}
	run_free(run);
	pod_job_done(pod);
}

static void container_start(struct container *container)
{
	struct container_run *run;

	if (!pod_config_allows(container))
		return; /* it has gone while the image was fetched */
	container_set_state(container, RUN_STARTING);
	if (container->status.state == CONTAINER_TERMINATED)
		container_set_waiting(container, "ContainerCreating", "");
	/* The number of the run is on disk before anything of it exists. */
	pod_save(container->pod);
	run = run_new(container);
	run->config = pod_config_copy(container->pod);
	pod_job(container->pod, container_run_start, on_started, run);
}

static void on_pulled(void *ctx, int r, const struct err *err)
{
	struct container *container = ctx;
	bool again = strcmp(container->status.reason, "ErrImagePull") == 0 ||
		     strcmp(container->status.reason, "ImagePullBackOff") == 0;

	container->busy = false;
	/* The next process asks again, and finds the image. */
	if (container->pod->pods->quiet)
		return;
	if (container->pod->stage != STAGE_ACTIVE) {
		container_set_state(container, RUN_DONE);
	} else if (r == 0) {
		container->pull_backoff = (struct backoff){0};
		container_start(container);
	} else {
		int64_t delay_ms;

		if (container->pull_backoff.delay_ms == 0)
			container->pull_backoff.delay_ms = BACKOFF_FIRST_MS / 2;
		delay_ms = backoff_next_ms(&container->pull_backoff, 0);
		container_set_waiting(container, again ? "ImagePullBackOff" : "ErrImagePull",
				      err->text);
		wait_ms(container, delay_ms);
	}
	pod_advance(container->pod);
}

/* In PULLING: start at once when the image is there, else fetch it. */
static void container_look(struct container *container)
{
	const struct pods_config *config = &container->pod->pods->config;
	bool loaded = false, present;
	struct err err;

	if (!pod_config_allows(container))
		return; /* looked at again when the pod takes its next step */
	present = image_store_has(config->images, container->image_ref, &loaded);
	/* OUR deviation: "Always" is content with an image that was loaded by hand; there is no
	 * registry that could know a newer one. */
	if (present && (container->spec->pull != PULL_ALWAYS || loaded)) {
		container_start(container);
		return;
	}
	if (container->spec->pull == PULL_NEVER) {
		(void)err_set(&err, -ENOENT, "image %.150s is not present with pull policy Never",
			      container->image_ref);
		container_set_waiting(container, "ErrImageNeverPull", err.text);
		wait_ms(container, BACKOFF_FIRST_MS);
		return;
	}
	container->busy = true;
	image_pull(config->puller, container->image_ref, on_pulled, container);
}

static void on_signalled(void *arg)
{
	struct container_run *run = arg;
	struct container *container = run->container;
	struct pod *pod = container->pod;

	container->busy = false;
	run_free(run);
	pod_job_done(pod);
}

static void container_signal(struct container *container, int signal)
{
	struct container_run *run = run_new(container);

	run->signal = signal;
	container->busy = true;
	pod_job(container->pod, container_run_signal, on_signalled, run);
}

static void on_stop_hook(void *user, enum agent_answer answer, const char *text)
{
	struct container *container = user;

	(void)answer;
	(void)text;
	container->hook = NULL;
	pod_advance(container->pod);
}

/* It has to go: first its last hook, then a signal, and when its time is over another one. */
static void stop_running(struct container *container)
{
	const struct kube_probe *hook = &container->spec->pre_stop;

	if (container->pod->grace_over || container->kill_due) {
		container_stop_asking(container);
		if (!container->killed)
			container_signal(container, SIGKILL);
		container->killed = true;
		return;
	}
	if (!container->stop_hooked) {
		container_stop_asking(container);
		container->stop_hooked = true;
		if (hook->action != KUBE_PROBE_NONE)
			container->hook = ask_new(container, hook, on_stop_hook, container);
	}
	if (container->hook || container->termed || container->killed)
		return;
	container->termed = true;
	container_signal(container, container->stop_signal > 0 ? container->stop_signal : SIGTERM);
}

static void advance_running(struct container *container)
{
	if (container->busy)
		return;
	if (container->ended) {
		container->ended = false;
		container_end(container);
		return;
	}
	if (container->pod->stage != STAGE_ACTIVE || container->unhealthy)
		stop_running(container);
}

void container_advance(struct container *container)
{
	bool stopping = container->pod->stage != STAGE_ACTIVE;

	if (container->state == RUN_RUNNING) {
		advance_running(container);
		return;
	}
	if (stopping) {
		if (container->state == RUN_PULLING)
			image_pull_cancel(container->pod->pods->config.puller, container);
		if (container->state == RUN_IDLE || container->state == RUN_WAITING ||
		    container->state == RUN_PULLING) {
			container->busy = false;
			container_set_state(container, RUN_DONE);
		}
		return;
	}
	if (container->pod->pods->quiet)
		return;
	if (container->state == RUN_PULLING && !container->busy)
		container_look(container);
}
