/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pods.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/mem.h"
#include "io/entropy.h"
#include "io/log.h"
#include "runtime/child.h"
#include "runtime/files.h"
#include "runtime/infra.h"
#include "runtime/pod.h"

struct pods *pods_new(const struct pods_config *config)
{
	struct pods *pods = mem_new(struct pods);
	uint8_t hash[32];
	int r = gnutls_hash_fast(GNUTLS_DIG_SHA256, config->run_dir, strlen(config->run_dir), hash);

	assert(r == 0);
	(void)r;
	pods->config = *config;
	list_init(&pods->pods);
	list_init(&pods->log_watches);
	map_init(&pods->config_objects, entropy_u64());
	pods->host_ip = mem_strdup("");
	list_init(&pods->execs);
	claims_init(&pods->claims, config->volumes_dir);
	/* One tree of groups per run directory, so that several daemons share a machine. */
	pods->cgroup = mem_strdup(
		path_format("/magik-%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]).text);
	return pods;
}

struct pods *pods_free(struct pods *pods)
{
	if (!pods)
		return NULL;
	assert(pods->jobs == 0);
	exec_free_all(pods);
	list_for_each_safe (it, &pods->log_watches) {
		list_remove(it);
		free(list_entry(it, struct log_watch, link));
	}
	list_for_each_safe (it, &pods->pods)
		pod_free(list_entry(it, struct pod, link));
	map_for_each (entry, &pods->config_objects)
		json_decref(entry->value);
	map_deinit(&pods->config_objects);
	claims_deinit(&pods->claims);
	free(pods->host_ip);
	free(pods->cgroup);
	free(pods);
	return NULL;
}

void pods_set_peer(struct pods *pods, const struct node_id *node)
{
	(void)snprintf(pods->peer_id, sizeof(pods->peer_id), "%s", node_id_text(node).text);
}

void pods_set_host_ip(struct pods *pods, const char *ip)
{
	free(pods->host_ip);
	pods->host_ip = mem_strdup(ip);
	/* Those found again were here before anybody knew; what a job reads stays as it is. */
	list_for_each (it, &pods->pods) {
		struct pod *pod = list_entry(it, struct pod, link);

		if (pod->host_ip[0] || pod->jobs > 0)
			continue;
		free(pod->host_ip);
		pod->host_ip = mem_strdup(ip);
	}
}

struct pod *pods_find(const struct pods *pods, const struct uid *uid)
{
	list_for_each (it, &pods->pods) {
		struct pod *pod = list_entry(it, struct pod, link);

		if (uid_equal(&pod->uid, uid))
			return pod;
	}
	return NULL;
}

/* A pod's name is put into files that containers read, and becomes its host name. */
static bool is_pod_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 253 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len;
}

/* What has ended takes no room. */
static size_t count_running(const struct pods *pods)
{
	size_t count = 0;

	list_for_each (it, &pods->pods)
		count += !list_entry(it, struct pod, link)->closed;
	return count;
}

int pods_start(struct pods *pods, const struct pod_start *start, struct err *err)
{
	const char *own = pods->config.engine->ops->name;
	struct pod_spec *spec;
	int r;

	if (pods->quiet)
		return err_set_status(err, -ESHUTDOWN, 503, "this machine takes no more pods");
	if (pods_find(pods, &start->uid))
		return err_set_status(err, -EEXIST, 409, "that pod is here already");
	if (count_running(pods) >= pods->config.pods_max)
		return err_set_status(err, -EBUSY, 503, "this machine runs %zu pods already",
				      pods->count);
	if (!is_pod_name(start->name))
		return err_set_status(err, -EINVAL, 400, "pod name is malformed");
	r = pod_spec_parse(start->manifest, pods->config.policy, &spec, err);
	if (r < 0)
		return r;
	if (spec->engine && strcmp(spec->engine, own) != 0) {
		r = err_set_status(err, -EOPNOTSUPP, 422,
				   "engine %.40s is not available on this machine", spec->engine);
		(void)pod_spec_free(spec);
		return r;
	}
	pod_begin(pod_new(pods, start, spec));
	return 0;
}

int pods_stop(struct pods *pods, const struct uid *uid, int64_t grace_s, bool for_good)
{
	struct pod *pod = pods_find(pods, uid);

	if (!pod)
		return -ENOENT;
	pod->for_good |= for_good;
	pod_stop(pod, grace_s);
	return 0;
}

void pods_stop_all(struct pods *pods)
{
	list_for_each_safe (it, &pods->pods)
		pod_stop(list_entry(it, struct pod, link), -1);
}

const char *pods_namespace(const struct pods *pods, const struct uid *uid)
{
	const struct pod *pod = pods_find(pods, uid);

	return pod ? pod->spec->namespace : NULL;
}

const char *pods_name(const struct pods *pods, const struct uid *uid)
{
	const struct pod *pod = pods_find(pods, uid);

	return pod ? pod->name : NULL;
}

const json_t *pods_manifest(const struct pods *pods, const struct uid *uid)
{
	const struct pod *pod = pods_find(pods, uid);

	return pod ? pod->spec->root : NULL;
}

int pods_tell_agent(struct pods *pods, const struct uid *uid, enum ipc_type type,
		    const ProtobufCMessage *body)
{
	struct pod *pod = pods_find(pods, uid);

	return pod ? agent_tell(pod->agent, type, body) : -ENOENT;
}

size_t pods_count(const struct pods *pods)
{
	return pods->count;
}

bool pods_is_idle(const struct pods *pods)
{
	return pods->jobs == 0;
}

void pods_quiesce(struct pods *pods)
{
	pods->quiet = true;
	list_for_each (it, &pods->pods) {
		const struct pod *pod = list_entry(it, struct pod, link);

		for (size_t i = 0; i < pod->spec->container_count; i++)
			container_stop_asking(&pod->containers[i]);
	}
}

void pods_each(struct pods *pods,
	       void (*each)(void *ctx, const struct presence *presence, struct bytes manifest,
			    bool kept),
	       void *ctx)
{
	list_for_each (it, &pods->pods) {
		const struct pod *pod = list_entry(it, struct pod, link);
		struct presence presence;

		pod_presence(pod, &presence);
		presence.warrant = pod->warrant; /* borrowed */
		each(ctx, &presence, bytes_buf(&pod->manifest), pod->stage == STAGE_KEPT);
		free(presence.containers);
	}
}

struct container *pods_container(struct pods *pods, const struct uid *uid, const char *name,
				 struct err *err)
{
	struct pod *pod = pods_find(pods, uid);

	for (size_t i = 0; pod && i < pod->spec->container_count; i++) {
		/* Without a name: the only container there is. */
		if (strcmp(pod->spec->containers[i].name, name) == 0 ||
		    (name[0] == '\0' && i >= pod->spec->init_count))
			return &pod->containers[i];
	}
	(void)err_set_status(err, -ENOENT, pod ? 400 : 404,
			     pod ? "container %.63s is not valid for this pod"
				 : "there is no such pod here",
			     name);
	return NULL;
}

int pods_log(struct pods *pods, const struct uid *uid, const char *name, bool previous,
	     struct pod_log *ret_log, struct err *err)
{
	const struct container *container = pods_container(pods, uid, name, err);
	bool between;
	uint32_t run;

	if (!container)
		return err->code;
	/* Between two runs the number is that of the coming one, and the last one counts as both
	 * the present and the previous, as in Kubernetes. */
	between = container->state != RUN_RUNNING && container->state != RUN_ENDING &&
		  container->state != RUN_DONE;
	run = container->run;
	if (previous && run == 0)
		return err_set_status(
			err, -EINVAL, 400,
			"previous terminated container \"%s\" in pod \"%s\" not found",
			container->spec->name, container->pod->name);
	if (run > 0 && (previous || between))
		run--;
	ret_log->path = container_log_path(container, run);
	ret_log->ended = previous || container->state != RUN_RUNNING;
	if (path_exists(ret_log->path))
		return 0;
	free(ret_log->path);
	return err_set_status(
		err, -EINVAL, 400, "container \"%s\" in pod \"%s\" is waiting to start: %s",
		container->spec->name, container->pod->name, container->status.reason);
}

void pods_log_watch(struct pods *pods, const struct uid *uid, const char *name, loop_fn ended,
		    void *user)
{
	struct err ignored;
	struct container *container = pods_container(pods, uid, name, &ignored);
	struct log_watch *watch;

	if (!container || container->state != RUN_RUNNING) {
		ended(user);
		return;
	}
	watch = mem_new(struct log_watch);
	watch->container = container;
	watch->ended = ended;
	watch->user = user;
	list_append(&pods->log_watches, &watch->link);
}

void pods_log_unwatch(struct pods *pods, void *user)
{
	list_for_each_safe (it, &pods->log_watches) {
		struct log_watch *watch = list_entry(it, struct log_watch, link);

		if (watch->user != user)
			continue;
		list_remove(it);
		free(watch);
	}
}

/* What became of a container while nobody looked. */
static void recover_container(struct container *container)
{
	bool lives = container->conmon > 0 && container->conmon_started > 0 &&
		     child_start_time(container->conmon) == container->conmon_started;
	struct err ignored;

	if (container->state == RUN_RUNNING || container->state == RUN_ENDING)
		image_store_use(container->pod->pods->config.images, container->status.image_id);
	switch (container->state) {
	case RUN_RUNNING:
	case RUN_ENDING:
		container_resume(container);
		container->ended = !lives;
		break;
	case RUN_STARTING:
		/* How far it came is not known: begin again. */
		(void)container_run_remove(container, container->run, &ignored);
		container->state = RUN_PULLING;
		break;
	case RUN_WAITING:
	case RUN_PULLING:
		container->state = RUN_PULLING;
		break;
	case RUN_IDLE:
	case RUN_DONE:
	case RUN_STATE_COUNT:
	default:
		break;
	}
}

/* Its file on the disk says that it is to go on: what is left of its sandbox is removed for a new
 * one. */
static void pod_clear(struct pod *pod)
{
	struct err err = {0};

	if (sandbox_remove(pod, &err) < 0)
		log_event(LOG_LEVEL_ERROR, "pod-remains", "pod %s: something of it is left: %s",
			  pod->uid_text, err.text);
	pod_free(pod);
}

static void recover_pod(struct pods *pods, const char *dir)
{
	struct path pid_file = path_format("%s/infra.pid", dir);
	bool same_boot = false, has_agent;
	struct pod *pod = pod_load(pods, dir, &same_boot);

	if (!pod) {
		/* Cut off before its first word was written, or damaged. */
		log_event(LOG_LEVEL_WARN, "pod-unreadable", "%s cannot be read: removed", dir);
		infra_kill(pid_file.text);
		(void)umount2(path_format("%s/shm", dir).text, MNT_DETACH);
		(void)!infra_unpin(path_format("%s/ns", dir).text, &(struct err){0});
		(void)!tree_remove(dir);
		return;
	}
	if (pod->closed && pod->stage == STAGE_ACTIVE) {
		/* Its logs are all there is; what may have been left of the rest goes now. */
		pod->closed = false;
		return;
	}
	has_agent = infra_find(pid_file.text) > 0;
	if (!same_boot || !has_agent || pod->stage == STAGE_SETUP || pod->stage == STAGE_TEARDOWN) {
		bool lost = pod->stage == STAGE_ACTIVE || pod->stage == STAGE_SETUP;

		if (lost && pod_is_kept(pod)) {
			pod_clear(pod);
			return;
		}
		pod->stage = STAGE_STOPPING;
		for (size_t i = 0; i < pod->spec->container_count; i++)
			pod->containers[i].state = RUN_DONE;
		pod_teardown(pod, lost ? "Lost" : NULL,
			     same_boot ? "its sandbox is gone" : "the machine has rebooted");
		return;
	}
	for (size_t i = 0; i < pod->spec->container_count; i++)
		recover_container(&pod->containers[i]);
	pod_watch_infra(pod);
	if (pod->stage == STAGE_STOPPING) {
		int64_t grace_s = pod->grace_s;

		/* The clock of its grace starts again: nobody knows how much of it is over. */
		pod->grace_s = -1;
		pod->stage = STAGE_ACTIVE;
		pod_stop(pod, grace_s);
	}
}

static void remove_unknown(void *ctx, const char *id)
{
	struct pods *pods = ctx;
	struct path bundle = path_format("%s/pods", pods->config.run_dir);
	struct path cgroup = path_format("%s/unknown", pods->cgroup);
	struct engine_container container = {.id = id,
					     .bundle = bundle.text,
					     .exit_dir = bundle.text,
					     .log_path = "/dev/null",
					     .cgroup = cgroup.text};
	char uid_part[UID_TEXT_LEN + 1];
	struct err err;
	struct uid uid;

	(void)snprintf(uid_part, sizeof(uid_part), "%s", id);
	if (uid_parse(uid_part, &uid) && pods_find(pods, &uid))
		return;
	log_event(LOG_LEVEL_WARN, "container-unknown", "container %s belongs to no pod: removed",
		  id);
	(void)pods->config.engine->ops->remove(pods->config.engine, &container, &err);
}

void pods_recover(struct pods *pods)
{
	struct path dir_path = path_format("%s/pods", pods->config.run_dir);
	DIR *dir = opendir(dir_path.text);
	struct dirent *entry;
	struct err err;

	claims_recover(&pods->claims);
	while (dir && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			recover_pod(pods, path_format("%s/%s", dir_path.text, entry->d_name).text);
	if (dir)
		(void)closedir(dir);
	if (pods->config.engine->ops->list(pods->config.engine, remove_unknown, pods, &err) < 0)
		log_event(LOG_LEVEL_WARN, "engine-list", "%s", err.text);
	pods_take_up_kept(pods);
	list_for_each_safe (it, &pods->pods)
		pod_advance(list_entry(it, struct pod, link));
}
