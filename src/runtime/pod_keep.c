/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What survives a power cut of a pod: D/pods/<uid>.json, the same words as pod.json, but flushed to
 * disk. It is there from before anything of the pod exists until somebody tells the pod to end, so
 * a machine that comes back knows what it ran although nobody can be asked.
 *
 * It is written again when a container has begun another run or has ended for good, so that a
 * container that was done is not done twice. Writing is a job: a disk may take its time.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "runtime/files.h"
#include "runtime/pod.h"

enum {
	/* As Kubernetes shows a container whose end nobody has seen. */
	UNSEEN_END_CODE = 255,
};

static struct path keep_path(const struct pods *pods, const char *uid_text)
{
	return path_format("%s/%s.json", pods->config.keep_dir, uid_text);
}

void pod_unkeep(struct pod *pod)
{
	pod->keep_ended = true;
	if (pod->pods->config.keep_dir && !pod_is_null(pod))
		(void)unlink(keep_path(pod->pods, pod->uid_text).text);
}

bool pod_is_kept(const struct pod *pod)
{
	return pod->pods->config.keep_dir && path_exists(keep_path(pod->pods, pod->uid_text).text);
}

struct keep_job {
	struct pod *pod;
	struct path path;
	char *text;
	int result;
};

static void keep_work(void *arg)
{
	struct keep_job *job = arg;

	job->result = file_write(job->path.text, bytes_str(job->text), 0600);
}

static void keep_done(void *arg)
{
	struct keep_job *job = arg;
	struct pod *pod = job->pod;

	if (job->result < 0)
		log_event(LOG_LEVEL_ERROR, "pod-not-kept",
			  "pod %s would not survive a power cut: write %s: %s", pod->uid_text,
			  job->path.text, strerror(-job->result));
	pod->keeping = false;
	if (pod->keep_ended)
		pod_unkeep(pod);
	free(job->text);
	free(job);
	pod_job_done(pod);
}

/* Changes whenever the file should. */
static uint64_t keep_mark(const struct pod *pod)
{
	uint64_t mark = 1;

	for (size_t i = 0; i < pod->spec->container_count; i++) {
		const struct container *container = &pod->containers[i];

		mark = mark * 31 + container->run;
		mark = mark * 31 + container->has_started;
		mark = mark * 31 + (container->state == RUN_DONE);
	}
	return mark;
}

void pod_keep(struct pod *pod)
{
	uint64_t mark = keep_mark(pod);
	struct keep_job *job;

	if (!pod->pods->config.keep_dir || pod->keep_ended || pod->keeping ||
	    pod->keep_mark == mark)
		return;
	job = mem_new(struct keep_job);
	job->pod = pod;
	job->path = keep_path(pod->pods, pod->uid_text);
	job->text = pod_text(pod);
	pod->keeping = true;
	pod->keep_mark = mark;
	pod_job(pod, keep_work, keep_done, job);
}

/* ---- after the power is back */

/* A run that nobody saw end. */
static void end_unseen(struct container *container)
{
	struct container_status *status = &container->status;

	status->state = CONTAINER_TERMINATED;
	status->exit_code = UNSEEN_END_CODE;
	status->finished_ms = clock_wall().ms;
	status->ready = false;
	container_set_reason(container, "Unknown", "the machine lost power");
}

static void set_idle(struct container *container)
{
	bool waits = container->pod->spec->init_count > 0 && !container->spec->init;

	container->state = RUN_IDLE;
	container_set_waiting(container, waits ? "PodInitializing" : "ContainerCreating", "");
}

static void rewind_container(struct container *container)
{
	bool runs = container->state == RUN_RUNNING || container->state == RUN_ENDING;

	container->conmon = 0;
	container->conmon_started = 0;
	if (container->state == RUN_DONE)
		return;
	if (runs)
		end_unseen(container);
	if (runs && !container_wants_restart(container, UNSEEN_END_CODE)) {
		container->state = RUN_DONE;
		return;
	}
	if (container->state != RUN_IDLE)
		container->run++;
	if (runs)
		container->status.restarts++;
	set_idle(container);
}

static bool any_is_to_run(const struct pod *pod)
{
	for (size_t i = pod->spec->init_count; i < pod->spec->container_count; i++)
		if (pod->containers[i].state != RUN_DONE)
			return true;
	return false;
}

/* A new sandbox is prepared by the init containers anew, as in Kubernetes. */
static void rewind_pod(struct pod *pod)
{
	for (size_t i = 0; i < pod->spec->container_count; i++)
		rewind_container(&pod->containers[i]);
	for (size_t i = 0; i < pod->spec->init_count && any_is_to_run(pod); i++) {
		struct container *container = &pod->containers[i];

		if (container->state == RUN_DONE && container->status.exit_code == 0) {
			container->run++;
			set_idle(container);
		}
	}
	pod->net = (struct pod_net){0};
	pod->started_ms = 0;
	pod->grace_s = -1;
	pod->closed = false;
	pod->group_votes = false;
	pod->keep_mark = 0;
	pod->stage = STAGE_KEPT;
}

static void take_up(struct pods *pods, const char *name)
{
	char uid_part[UID_TEXT_LEN + 1];
	struct pod *pod;
	struct uid uid;
	bool ignored;

	(void)snprintf(uid_part, sizeof(uid_part), "%s", name);
	if (!uid_parse(uid_part, &uid) || pods_find(pods, &uid))
		return;
	pod = pod_load_file(pods, &uid, keep_path(pods, uid_part).text, &ignored);
	if (!pod) {
		log_event(LOG_LEVEL_WARN, "pod-unreadable", "%s/%s cannot be read: removed",
			  pods->config.keep_dir, name);
		(void)unlink(keep_path(pods, uid_part).text);
		return;
	}
	rewind_pod(pod);
}

void pods_take_up_kept(struct pods *pods)
{
	const struct dirent *entry;
	DIR *dir;

	if (!pods->config.keep_dir || pods->config.engine->ops->pretend_ms)
		return;
	dir = opendir(pods->config.keep_dir);
	while (dir && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && strlen(entry->d_name) == UID_TEXT_LEN + 5)
			take_up(pods, entry->d_name);
	if (dir)
		(void)closedir(dir);
}

int pods_resume(struct pods *pods, const struct uid *uid)
{
	struct pod *pod = pods_find(pods, uid);

	if (!pod)
		return -ENOENT;
	if (pod->stage != STAGE_KEPT || pods->quiet)
		return 0;
	pod_set_stage(pod, STAGE_SETUP);
	pod_begin(pod);
	return 0;
}
