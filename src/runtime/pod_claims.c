/* SPDX-License-Identifier: Apache-2.0 */
/* The claims of a pod: whether it may have them, and when their directories go. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/log.h"
#include "kube/claim.h"
#include "kube/member.h"
#include "runtime/config.h"
#include "runtime/group_walk.h"
#include "runtime/job.h"
#include "runtime/pod.h"

static const json_t *claim_in(const json_t *snapshot, const char *name)
{
	return config_find(snapshot, &(struct object_key){.kind = KUBE_CLAIM, .name = name});
}

static bool names(const struct pod *pod, const char *namespace, const char *name)
{
	if (strcmp(pod->spec->namespace, namespace) != 0)
		return false;
	for (size_t i = 0; i < pod->spec->volume_count; i++)
		if (pod->spec->volumes[i].kind == VOLUME_CLAIM &&
		    strcmp(pod->spec->volumes[i].claim, name) == 0)
			return true;
	return false;
}

static bool any_has_started(const struct pod *pod)
{
	for (size_t i = 0; i < pod->spec->container_count; i++)
		if (pod->containers[i].has_started || pod->containers[i].state == RUN_STARTING ||
		    pod->containers[i].state == RUN_RUNNING)
			return true;
	return false;
}

/* Does the pod have this directory mounted, or is it about to? One that was found again counts,
 * although it has not looked at its claims yet. */
static bool uses(const struct pod *pod, const struct claim *claim)
{
	const json_t *json = claim_in(pod->config_written, claim->name);
	struct uid uid;

	if (pod->closed || pod->torn || !names(pod, claim->namespace, claim->name))
		return false;
	if (json && uid_parse(kube_member_string(json, "metadata.uid"), &uid))
		return uid_equal(&uid, &claim->uid);
	return pod->config_ready || pod->config_busy || any_has_started(pod);
}

/* A pod other than @except that uses it; NULL: none. */
static const struct pod *user_of(const struct pods *pods, const struct pod *except,
				 const struct claim *claim)
{
	list_for_each (it, &pods->pods) {
		const struct pod *pod = list_entry(it, struct pod, link);

		if (pod != except && uses(pod, claim))
			return pod;
	}
	return NULL;
}

static int check_claim(const struct pod *pod, const struct volume *volume, const json_t *json,
		       struct err *err)
{
	const struct kube_claim claim = kube_claim_read(json);
	struct claim here = {.namespace = (char *)(uintptr_t)pod->spec->namespace,
			     .name = (char *)(uintptr_t)volume->claim};
	const struct pod *user;

	if (!json)
		return err_set(err, -ENOENT, "persistentvolumeclaim \"%.200s\" not found",
			       volume->claim);
	if (!*claim.machine)
		return err_set(err, -ENOENT, "persistentvolumeclaim \"%.180s\" is not bound yet",
			       volume->claim);
	if (strcmp(claim.machine, pod->pods->config.node_name) != 0)
		return err_set(err, -ENOENT,
			       "persistentvolumeclaim \"%.120s\" is bound to machine \"%.60s\"",
			       volume->claim, claim.machine);
	if (!uid_parse(kube_member_string(json, "metadata.uid"), &here.uid))
		return err_set(err, -EINVAL, "persistentvolumeclaim \"%.200s\" has no uid",
			       volume->claim);
	user = claim.one_pod ? user_of(pod->pods, pod, &here) : NULL;
	if (!user)
		return 0;
	return err_set(err, -EBUSY,
		       "persistentvolumeclaim \"%.100s\" with ReadWriteOncePod is in use by pod "
		       "\"%.80s\"",
		       volume->claim, user->name);
}

int pod_claims_check(const struct pod *pod, const json_t *snapshot, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < pod->spec->volume_count; i++) {
		const struct volume *volume = &pod->spec->volumes[i];

		if (volume->kind == VOLUME_CLAIM)
			r = check_claim(pod, volume, claim_in(snapshot, volume->claim), err);
	}
	return r;
}

bool pod_claims_give(const struct pod *pod)
{
	return pod->spec->fs_group != POD_ID_UNSET && !pod->config_ready && !any_has_started(pod);
}

void claims_work_deinit(struct claims_work *work)
{
	group_walk_free(work->walk);
	*work = (struct claims_work){0};
}

static int begin_claim(const struct pod *pod, const json_t *claim, struct claims_work *work,
		       struct err *err)
{
	const char *dir = pod->pods->config.volumes_dir;
	int r = claim_make(dir, claim, err);
	struct path data;

	if (r < 0 || !work->give)
		return r;
	r = claim_path(dir, claim, &data);
	if (r == 0)
		work->walk = group_walk_new(data.text, pod->spec->fs_group,
					    pod->spec->fs_group_on_mismatch);
	return r;
}

int pod_claims_make(const struct pod *pod, const json_t *snapshot, struct claims_work *work,
		    struct err *err)
{
	for (; work->at < pod->spec->volume_count; work->at++) {
		const struct volume *volume = &pod->spec->volumes[work->at];
		int r = 0;

		if (volume->kind != VOLUME_CLAIM)
			continue;
		if (!work->walk)
			r = begin_claim(pod, claim_in(snapshot, volume->claim), work, err);
		if (r == 0 && work->walk)
			r = group_walk_step(work->walk, GROUP_STEP_MAX, err);
		if (r != 0)
			return r;
		group_walk_free(work->walk);
		work->walk = NULL;
	}
	return 0;
}

static void tell(struct pods *pods)
{
	if (pods->config.on_claims)
		pods->config.on_claims(pods->config.ctx);
}

void pod_claims_note(struct pod *pod, const json_t *snapshot)
{
	bool fresh = false;

	for (size_t i = 0; i < pod->spec->volume_count; i++) {
		const struct volume *volume = &pod->spec->volumes[i];

		if (volume->kind == VOLUME_CLAIM)
			fresh |= claims_note(&pod->pods->claims, claim_in(snapshot, volume->claim));
	}
	if (fresh)
		tell(pod->pods);
}

/* ---- the end of a claim */

struct remove_job {
	struct pods *pods;
	struct uid uid;
	int result;
	struct err err;
};

static void remove_work(void *arg)
{
	struct remove_job *job = arg;

	job->result = claim_remove(job->pods->config.volumes_dir, &job->uid, &job->err);
}

static void remove_done(void *arg)
{
	struct remove_job *job = arg;
	struct pods *pods = job->pods;
	struct claim *claim = claims_find(&pods->claims, &job->uid);

	pods->jobs--;
	if (job->result < 0)
		log_event(LOG_LEVEL_ERROR, "claim-remains", "%s: something of it is left: %s",
			  uid_text(&job->uid).text, job->err.text);
	else
		log_event(LOG_LEVEL_INFO, "claim-removed", "%s: deleted with all its data",
			  uid_text(&job->uid).text);
	/* What is left has another name by now, and is removed at the next start. */
	if (claim)
		claims_drop(claim);
	free(job);
	tell(pods);
}

/* Remove what is doomed and used no more. */
static void sweep(struct pods *pods, const struct pod *except)
{
	list_for_each (it, &pods->claims.list) {
		struct claim *claim = list_entry(it, struct claim, link);
		struct remove_job *job;

		if (!claim->doomed || claim->removing || pods->quiet ||
		    user_of(pods, except, claim))
			continue;
		claim->removing = true;
		job = mem_new(struct remove_job);
		job->pods = pods;
		job->uid = claim->uid;
		pods->jobs++;
		job_run(pods->config.loop, remove_work, remove_done, job);
	}
}

void pods_end_claim(struct pods *pods, const struct uid *uid)
{
	struct claim *claim = claims_find(&pods->claims, uid);

	if (!claim)
		return;
	claim->doomed = true;
	sweep(pods, NULL);
}

void pod_claims_release(struct pod *pod)
{
	list_for_each_safe (it, &pod->pods->pods) {
		struct pod *other = list_entry(it, struct pod, link);

		/* One that waits for a ReadWriteOncePod looks again. */
		if (other == pod || other->config_ready || other->config_busy)
			continue;
		other->config_stale = true;
		pod_advance(other);
	}
	sweep(pod->pods, pod);
}

void pods_each_claim(const struct pods *pods,
		     void (*each)(void *ctx, const struct uid *uid, const char *namespace,
				  const char *name),
		     void *ctx)
{
	list_for_each (it, &pods->claims.list) {
		const struct claim *claim = list_entry(it, struct claim, link);

		each(ctx, &claim->uid, claim->namespace, claim->name);
	}
}
