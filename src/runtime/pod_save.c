/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the next host process needs to know of a pod: pod.json. Written often and small; not flushed
 * to disk, because what it describes dies with the machine.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/log.h"
#include "runtime/files.h"
#include "runtime/pod.h"

enum {
	POD_FILE_MAX = 4 << 20, /* a manifest of 1 MiB, escaped, and its containers */
	FORMAT = 1,
};

static json_t *save_container(const struct container *container)
{
	const struct container_status *s = &container->status;

	return json_pack(
		"{s:i,s:I,s:b,s:b,s:b,s:b,s:I,s:I,s:i,s:I,s:I,s:i,s:s?,s:s?,s:i,s:I,s:I,s:I,s:s?,s:"
		"s?,"
		"s:s?,s:i,s:I,s:I}",
		"state", (int)container->state, "run", (json_int_t)container->run, "hasStarted",
		container->has_started, "ready", s->ready, "starting", s->starting, "unhealthy",
		container->unhealthy, "conmon", (json_int_t)container->conmon, "conmonStarted",
		(json_int_t)container->conmon_started, "stopSignal", container->stop_signal,
		"backoffMs", (json_int_t)container->backoff.delay_ms, "pullBackoffMs",
		(json_int_t)container->pull_backoff.delay_ms, "phase", (int)s->state, "reason",
		s->reason, "message", s->message, "exitCode", (int)s->exit_code, "restarts",
		(json_int_t)s->restarts, "startedMs", (json_int_t)s->started_ms, "finishedMs",
		(json_int_t)s->finished_ms, "imageId", s->image_id, "containerId", s->container_id,
		"lastReason", s->last_reason, "lastExitCode", (int)s->last_exit_code,
		"lastStartedMs", (json_int_t)s->last_started_ms, "lastFinishedMs",
		(json_int_t)s->last_finished_ms);
}

char *pod_text(const struct pod *pod)
{
	json_t *containers = json_array(), *root;
	struct buf warrant = {0};
	char *text;

	for (size_t i = 0; i < pod->spec->container_count; i++)
		(void)json_array_append_new(containers, save_container(&pod->containers[i]));
	base64_encode(bytes_buf(&pod->warrant), &warrant);
	root = json_pack("{s:i,s:b,s:b,s:s,s:i,s:s,s:I,s:I,s:s,s:s,s:s,s:I,s:I,s:s%,s:s%,s:o}",
			 "format", (int)FORMAT, "closed", pod->closed, "groupVotes",
			 pod->group_votes, "bootId", pod->pods->config.boot_id, "stage",
			 (int)pod->stage, "name", pod->name, "slot", (json_int_t)pod->slot, "epoch",
			 (json_int_t)pod->epoch, "link", pod->net.link, "ip6", pod->net.ip6, "ip4",
			 pod->net.ip4, "startedMs", (json_int_t)pod->started_ms, "graceS",
			 (json_int_t)pod->grace_s, "manifest", (const char *)pod->manifest.ptr,
			 pod->manifest.len, "warrant", warrant.len ? (const char *)warrant.ptr : "",
			 warrant.len, "containers", containers);
	buf_deinit(&warrant);
	text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}

void pod_save(const struct pod *pod)
{
	struct path file = path_format("%s/pod.json", pod->dir);
	char *text = pod_text(pod);
	int r = dir_make(pod->dir, 0700);

	if (r == 0)
		r = text ? file_replace(file.text, bytes_str(text), 0600) : -EINVAL;
	free(text);
	if (r < 0)
		log_event(LOG_LEVEL_ERROR, "pod-not-saved", "pod %s: write %s: %s", pod->uid_text,
			  file.text, strerror(-r));
}

static int64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void text_load(const json_t *object, const char *key, char **slot)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text)
		return;
	free(*slot);
	*slot = mem_strdup(text);
}

static void load_container(const json_t *from, struct container *container)
{
	struct container_status *s = &container->status;
	int64_t state = number(from, "state");

	container->state = state >= 0 && state < RUN_STATE_COUNT ? (enum run_state)state : RUN_IDLE;
	container->run = (uint32_t)number(from, "run");
	container->has_started = json_is_true(json_object_get(from, "hasStarted"));
	container->conmon = (pid_t)number(from, "conmon");
	container->conmon_started = (uint64_t)number(from, "conmonStarted");
	container->stop_signal = (int)number(from, "stopSignal");
	container->backoff.delay_ms = number(from, "backoffMs");
	container->pull_backoff.delay_ms = number(from, "pullBackoffMs");
	s->state = (enum container_state)number(from, "phase");
	s->ready = json_is_true(json_object_get(from, "ready"));
	s->starting = json_is_true(json_object_get(from, "starting"));
	container->unhealthy = json_is_true(json_object_get(from, "unhealthy"));
	text_load(from, "reason", &s->reason);
	text_load(from, "message", &s->message);
	s->exit_code = (int32_t)number(from, "exitCode");
	s->restarts = (uint32_t)number(from, "restarts");
	s->started_ms = number(from, "startedMs");
	s->finished_ms = number(from, "finishedMs");
	text_load(from, "imageId", &s->image_id);
	text_load(from, "containerId", &s->container_id);
	text_load(from, "lastReason", &s->last_reason);
	s->last_exit_code = (int32_t)number(from, "lastExitCode");
	s->last_started_ms = number(from, "lastStartedMs");
	s->last_finished_ms = number(from, "lastFinishedMs");
}

static void load_text(const json_t *root, const char *key, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(root, key));

	(void)snprintf(ret, size, "%s", text ? text : "");
}

static void load_warrant(const json_t *root, struct buf *ret)
{
	const char *text = json_string_value(json_object_get(root, "warrant"));

	if (text && !base64_decode(bytes_str(text), ret))
		buf_clear(ret);
}

/* The policy may have become stricter: what runs already was allowed when it started. */
static const struct policy anything = {
	.privileged = true,
	.host_paths = (char *[]){(char *)(uintptr_t) "/"},
	.host_path_count = 1,
	.any_registry = true,
	.run_as_root = true,
	.priority_max = INT32_MAX,
};

static struct pod *load_root(struct pods *pods, const struct uid *uid, const json_t *root)
{
	const json_t *manifest = json_object_get(root, "manifest");
	struct pod_start start = {
		.uid = *uid,
		.name = json_string_value(json_object_get(root, "name")),
		.slot = (uint32_t)number(root, "slot"),
		.epoch = (uint64_t)number(root, "epoch"),
		.manifest = bytes_of(json_string_value(manifest), json_string_length(manifest)),
	};
	const json_t *containers = json_object_get(root, "containers");
	struct pod_spec *spec;
	struct err ignored;
	struct pod *pod;
	int64_t stage = number(root, "stage");

	if (number(root, "format") != FORMAT || !start.name || stage < 0 || stage >= STAGE_COUNT ||
	    pod_spec_parse(start.manifest, &anything, &spec, &ignored) < 0)
		return NULL;
	if (json_array_size(containers) != spec->container_count) {
		(void)pod_spec_free(spec);
		return NULL;
	}
	pod = pod_new(pods, &start, spec);
	load_warrant(root, &pod->warrant);
	pod->stage = (enum pod_stage)stage;
	pod->closed = json_is_true(json_object_get(root, "closed"));
	pod->group_votes = json_is_true(json_object_get(root, "groupVotes"));
	pod->started_ms = number(root, "startedMs");
	pod->grace_s = number(root, "graceS");
	load_text(root, "link", pod->net.link, sizeof(pod->net.link));
	load_text(root, "ip6", pod->net.ip6, sizeof(pod->net.ip6));
	load_text(root, "ip4", pod->net.ip4, sizeof(pod->net.ip4));
	for (size_t i = 0; i < spec->container_count; i++)
		load_container(json_array_get(containers, i), &pod->containers[i]);
	return pod;
}

struct pod *pod_load_file(struct pods *pods, const struct uid *uid, const char *path,
			  bool *ret_same_boot)
{
	struct buf text = {0};
	struct pod *pod = NULL;
	json_t *root = NULL;
	json_error_t where;
	const char *boot;

	if (file_read(path, POD_FILE_MAX, &text) == 0)
		root = json_loadb((const char *)text.ptr, text.len, 0, &where);
	buf_deinit(&text);
	if (root)
		pod = load_root(pods, uid, root);
	boot = json_string_value(json_object_get(root, "bootId"));
	*ret_same_boot = boot && strcmp(boot, pods->config.boot_id) == 0;
	json_decref(root);
	return pod;
}

struct pod *pod_load(struct pods *pods, const char *dir, bool *ret_same_boot)
{
	const char *name = strrchr(dir, '/') + 1;
	struct uid uid;

	*ret_same_boot = false;
	if (!uid_parse(name, &uid))
		return NULL;
	return pod_load_file(pods, &uid, path_format("%s/pod.json", dir).text, ret_same_boot);
}
