/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration of pods: which ConfigMaps and Secrets they wait for, and how these come into them.
 *
 * The loop's thread owns the objects; worker threads get copies. A container does not start before
 * the volumes of its pod have been written once and all that its environment names is here. From
 * then on volumes follow the objects, the environment of a running container does not.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "kube/claim.h"
#include "kube/job.h"
#include "kube/member.h"
#include "kube/reference.h"
#include "kube/workload.h"
#include "runtime/config.h"
#include "runtime/files.h"
#include "runtime/group_walk.h"
#include "runtime/job.h"
#include "runtime/oci_env.h"
#include "runtime/pod.h"
#include "runtime/pod_account.h"
#include "runtime/pod_front.h"
#include "runtime/projected.h"
#include "runtime/svid.h"

enum {
	HOSTNAME_MAX = 63, /* a label of DNS */
	AGAIN_MS = 10 * 1000,
};

static void append_key(struct buf *ret, const char *kind, const char *namespace, const char *name)
{
	buf_append_format(ret, "%s/%s/%s", kind, namespace, name);
}

/* What of the objects a pod names, borrowed from the map. */
struct snapshot {
	const struct pod *pod;
	json_t *objects;
};

static void add_to_snapshot(void *ctx, const struct kube_reference *reference)
{
	struct snapshot *snapshot = ctx;
	const struct pod *pod = snapshot->pod;
	struct buf key = {0}, name = {0};
	json_t *object, *stored = NULL;

	append_key(&key, reference->kind, pod->spec->namespace, reference->name);
	object = map_get(&pod->pods->config_objects, bytes_buf(&key));
	buf_append_format(&name, "%s/%s", reference->kind, reference->name);
	/* After a power cut nobody may be there to say it again: it stands beside the data. */
	if (!object && strcmp(reference->kind, KUBE_CLAIM) == 0)
		object = stored = json_deep_copy(
			claims_named(&pod->pods->claims, pod->spec->namespace, reference->name));
	if (object)
		(void)json_object_set(snapshot->objects, buf_cstr(&name), object);
	json_decref(stored);
	buf_deinit(&key);
	buf_deinit(&name);
}

static json_t *snapshot_take(const struct pod *pod)
{
	struct snapshot snapshot = {.pod = pod, .objects = json_object()};

	kube_references(kube_pod_spec(pod->spec->root), add_to_snapshot, &snapshot);
	if (pod->svid)
		(void)json_object_set(snapshot.objects, SVID_KIND "/" SVID_NAME, pod->svid);
	return snapshot.objects;
}

json_t *pod_config_copy(const struct pod *pod)
{
	json_t *snapshot = snapshot_take(pod), *copy = json_deep_copy(snapshot);

	json_decref(snapshot);
	return copy;
}

struct pod_facts pod_facts_of(const struct pod *pod)
{
	const struct pods_config *config = &pod->pods->config;

	return (struct pod_facts){
		.spec = pod->spec,
		.uid = pod->uid_text,
		.name = pod->name,
		.hostname = pod->hostname,
		.index = pod->index,
		.group_api = pod->in_group ? POD_FRONT_API : NULL,
		.has_account = pod->in_group && pod_account_exists(pod->dir),
		.ip = pod_net_ip(&pod->net),
		.host_ip = pod->host_ip,
		.node_name = config->node_name,
		.labels = pod->labels,
		.annotations = pod->annotations,
		.cpu_capacity_milli = config->cpu_capacity_milli,
		.memory_capacity_bytes = config->memory_capacity_bytes,
	};
}

/* The pod knows its index by its environment, an annotation, a label and its host name. */
static void number_pod(struct pod *pod)
{
	struct buf text = {0};

	buf_append_format(&text, "%" PRIu32, pod->slot);
	pod->index = buf_steal(&text);
	if (!pod->labels)
		pod->labels = json_object();
	if (!pod->annotations)
		pod->annotations = json_object();
	kube_set_string(pod->labels, KUBE_JOB_INDEX, pod->index);
	kube_set_string(pod->annotations, KUBE_JOB_INDEX, pod->index);
	if (pod->spec->hostname)
		return;
	buf_append_format(&text, "%.*s-%s", HOSTNAME_MAX - (int)strlen(pod->index) - 1,
			  pod->spec->name, pod->index);
	free(pod->hostname);
	pod->hostname = buf_steal(&text);
}

/* Volumes that follow objects are to be looked at. */
static void mark_stale(struct pod *pod)
{
	for (size_t i = 0; i < pod->spec->volume_count; i++)
		pod->config_stale |= pod->spec->volumes[i].kind == VOLUME_PROJECTED ||
				     pod->spec->volumes[i].kind == VOLUME_CLAIM;
}

void pod_config_init(struct pod *pod)
{
	pod->labels = json_deep_copy(pod->spec->labels);
	pod->annotations = json_deep_copy(pod->spec->annotations);
	pod->hostname = mem_strdup(pod->spec->hostname ? pod->spec->hostname : pod->name);
	if (pod->spec->indexed)
		number_pod(pod);
	pod->host_ip = mem_strdup(pod->pods->host_ip);
	pod->config_missing = mem_strdup("");
	pod_svid_init(pod);
	mark_stale(pod);
	pod->config_ready = !pod->config_stale;
}

struct named {
	const char *kind, *name;
	bool found;
};

static void compare_reference(void *ctx, const struct kube_reference *reference)
{
	struct named *named = ctx;

	named->found |= strcmp(reference->kind, named->kind) == 0 &&
			strcmp(reference->name, named->name) == 0;
}

static bool pod_names(const struct pod *pod, const char *kind, const char *namespace,
		      const char *name)
{
	struct named named = {.kind = kind, .name = name};

	if (strcmp(pod->spec->namespace, namespace) != 0)
		return false;
	kube_references(kube_pod_spec(pod->spec->root), compare_reference, &named);
	return named.found;
}

static bool is_named(const struct pods *pods, const struct pod *except, const char *kind,
		     const char *namespace, const char *name)
{
	list_for_each (it, &pods->pods) {
		const struct pod *pod = list_entry(it, struct pod, link);

		if (pod != except && pod_names(pod, kind, namespace, name))
			return true;
	}
	return false;
}

/* Forget an object that only this pod named. */
static void forget(void *ctx, const struct kube_reference *reference)
{
	const struct pod *pod = ctx;
	struct buf key = {0};

	if (is_named(pod->pods, pod, reference->kind, pod->spec->namespace, reference->name))
		return;
	append_key(&key, reference->kind, pod->spec->namespace, reference->name);
	json_decref(map_remove(&pod->pods->config_objects, bytes_buf(&key)));
	buf_deinit(&key);
}

void pod_config_deinit(struct pod *pod)
{
	loop_timer_free(pod->config_timer);
	pod_svid_deinit(pod);
	kube_references(kube_pod_spec(pod->spec->root), forget, pod);
	json_decref(pod->labels);
	json_decref(pod->annotations);
	json_decref(pod->config_written);
	free(pod->config_missing);
	free(pod->host_ip);
	free(pod->hostname);
	free(pod->index);
}

struct config_job {
	struct pod *pod;
	struct pod_facts facts;
	json_t *snapshot;
	struct claims_work claims;
	int result;
	struct err err;
};

static int write_volume(const struct config_job *job, const struct volume *volume, struct err *err)
{
	struct path dir = path_format("%s/volumes/%s", job->pod->dir, volume->name);
	struct projected projected;
	int r = projected_build(&job->facts, volume, job->snapshot, &projected, err);

	if (r == 0)
		r = projected_write(dir.text, &projected, job->pod->spec->fs_group, err);
	projected_deinit(&projected);
	return r;
}

static void config_work(void *arg)
{
	struct config_job *job = arg;
	const struct pod_spec *spec = job->pod->spec;
	bool begun = job->result == GROUP_E_MORE;

	for (size_t i = 0; !begun && job->result == 0 && i < spec->volume_count; i++)
		if (spec->volumes[i].kind == VOLUME_PROJECTED)
			job->result = write_volume(job, &spec->volumes[i], &job->err);
	if (job->result >= 0)
		job->result = pod_claims_make(job->pod, job->snapshot, &job->claims, &job->err);
}

static void set_missing(struct pod *pod, const char *text)
{
	free(pod->config_missing);
	pod->config_missing = mem_strdup(text);
}

static void on_config_timer(void *user)
{
	struct pod *pod = user;

	mark_stale(pod);
	if (!pod->pods->quiet)
		pod_advance(pod);
}

/* The disk may have more room then. */
static void try_again(struct pod *pod)
{
	if (!pod->config_timer)
		pod->config_timer = loop_timer_new(pod->pods->config.loop, on_config_timer, pod);
	loop_timer_set(pod->config_timer, mono_add_ms(clock_mono(), AGAIN_MS));
}

static bool is_wanted(const struct pod *pod)
{
	return !pod->torn && !pod->closed && pod->stage <= STAGE_ACTIVE;
}

static void config_done(void *arg)
{
	struct config_job *job = arg;
	struct pod *pod = job->pod;

	if (job->result == GROUP_E_MORE && is_wanted(pod)) {
		/* Behind others' work: a large volume does not keep a thread to itself. */
		job_run(pod->pods->config.loop, config_work, config_done, job);
		return;
	}
	if (job->result == GROUP_E_MORE)
		job->result = err_set(&job->err, -ECANCELED, "it ends");
	claims_work_deinit(&job->claims);
	pod->config_busy = false;
	json_decref(pod->config_written);
	pod->config_written = job->snapshot;
	set_missing(pod, job->result == 0 ? "" : job->err.text);
	if (job->result == 0) {
		pod->config_ready = true;
		pod_claims_note(pod, job->snapshot);
	} else {
		log_event(LOG_LEVEL_WARN, "volume-not-written", "pod %s: %s", pod->uid_text,
			  job->err.text);
		try_again(pod);
		pod_claims_release(pod);
	}
	free(job);
	pod_job_done(pod);
}

/* Are the objects there that the volumes need? */
static int check_volumes(const struct pod *pod, const struct pod_facts *facts,
			 const json_t *snapshot, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < pod->spec->volume_count; i++) {
		struct projected projected = {0};

		if (pod->spec->volumes[i].kind == VOLUME_PROJECTED)
			r = projected_build(facts, &pod->spec->volumes[i], snapshot, &projected,
					    err);
		projected_deinit(&projected);
	}
	return r == 0 ? pod_claims_check(pod, snapshot, err) : r;
}

void pod_config_advance(struct pod *pod)
{
	struct pod_facts facts = pod_facts_of(pod);
	struct config_job *job;
	struct err err = {0};
	json_t *snapshot;

	if (!pod->config_stale || pod->config_busy)
		return;
	pod->config_stale = false;
	pod_svid_await(pod);
	snapshot = pod_config_copy(pod);
	if (check_volumes(pod, &facts, snapshot, &err) < 0) {
		/* What has been written stays, as in Kubernetes. */
		set_missing(pod, err.text);
		json_decref(snapshot);
		return;
	}
	if (pod->config_ready && pod->config_written && json_equal(snapshot, pod->config_written)) {
		json_decref(snapshot);
		return;
	}
	job = mem_new(struct config_job);
	job->pod = pod;
	job->facts = facts;
	job->snapshot = snapshot;
	job->claims.give = pod_claims_give(pod);
	pod->config_busy = true;
	pod_job(pod, config_work, config_done, job);
}

static void set_waiting(struct container *container, const char *reason, const char *text)
{
	const struct container_status *status = &container->status;

	if (strcmp(status->reason, reason) != 0 || strcmp(status->message, text) != 0)
		container_set_waiting(container, reason, text);
}

bool pod_config_allows(struct container *container)
{
	struct pod *pod = container->pod;
	struct err err = {0};
	json_t *snapshot;
	int r;

	if (!pod->config_ready) {
		if (pod->config_missing[0])
			set_waiting(container, "CreateContainerConfigError", pod->config_missing);
		return false;
	}
	if (container->spec->env_count + container->spec->env_from_count == 0)
		return true;
	snapshot = snapshot_take(pod);
	r = oci_env_check(container->spec, pod->spec->namespace, snapshot, &err);
	json_decref(snapshot);
	if (r < 0)
		set_waiting(container, "CreateContainerConfigError", err.text);
	return r == 0;
}

void pods_set_config(struct pods *pods, const char *kind, const char *namespace, const char *name,
		     const json_t *object)
{
	struct buf key = {0};
	bool wanted = is_named(pods, NULL, kind, namespace, name);

	append_key(&key, kind, namespace, name);
	json_decref(object && wanted ? map_put(&pods->config_objects, bytes_buf(&key),
					       json_deep_copy(object))
				     : map_remove(&pods->config_objects, bytes_buf(&key)));
	buf_deinit(&key);
	list_for_each_safe (it, &pods->pods) {
		struct pod *pod = list_entry(it, struct pod, link);

		if (!pod_names(pod, kind, namespace, name))
			continue;
		mark_stale(pod);
		pod_advance(pod);
	}
}
