/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of one container, from image to nothing left of it but its log. Everything here blocks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/child.h"
#include "runtime/container_parts.h"
#include "runtime/crun.h"
#include "runtime/files.h"
#include "runtime/oci_spec.h"
#include "runtime/pod.h"
#include "runtime/rootfs.h"

enum {
	USER_TEXT_MAX = 64,
};

void run_paths_init(struct run_paths *paths, const struct container *container, uint32_t run)
{
	const struct pod *pod = container->pod;

	(void)snprintf(paths->id, sizeof(paths->id), "%s-%zu-%u", pod->uid_text, container->index,
		       run);
	paths->bundle = path_format("%s/c/%zu.%u", pod->dir, container->index, run);
	paths->exits = path_format("%s/c", pod->dir);
	paths->log = path_format("%s/logs/%zu.%u.log", pod->dir, container->index, run);
	paths->cgroup = path_format("%s/%zu.%u", pod->cgroup, container->index, run);
	paths->engine = (struct engine_container){
		.id = paths->id,
		.bundle = paths->bundle.text,
		.exit_dir = paths->exits.text,
		.log_path = paths->log.text,
		.cgroup = paths->cgroup.text,
		.is_tty = container->spec->tty,
		.has_stdin = container->spec->has_stdin,
		.stdin_once = container->spec->stdin_once,
	};
}

char *container_log_path(const struct container *container, uint32_t run)
{
	return mem_strdup(
		path_format("%s/logs/%zu.%u.log", container->pod->dir, container->index, run).text);
}

static int write_config(const struct oci_inputs *inputs, const struct run_paths *paths,
			struct err *err)
{
	struct path file = path_format("%s/config.json", paths->bundle.text);
	json_t *spec;
	char *text;
	int r = oci_spec_build(inputs, &spec, err);

	if (r < 0)
		return r;
	text = json_dumps(spec, JSON_COMPACT);
	json_decref(spec);
	r = text ? file_replace(file.text, bytes_str(text), 0600) : -ENOMEM;
	free(text);
	return r < 0 ? err_set(err, r, "write %s: %s", file.text, strerror(-r)) : 0;
}

static int configure(const struct container_run *run, const struct run_paths *paths,
		     const struct image *image, const struct image_user *user, struct err *err)
{
	const struct pod *pod = run->container->pod;
	const struct pods_config *config = &pod->pods->config;
	struct path rootfs = path_format("%s/rootfs", paths->bundle.text);
	struct path parts = container_parts_dir(paths->bundle.text);
	struct oci_inputs inputs = {
		.pod = pod->spec,
		.container = run->container->spec,
		.image = &image->config,
		.image_user = user,
		.facts = pod_facts_of(pod),
		.config = run->config,
		.local_peer_id = run->peer_id,
		.volumes_dir = config->volumes_dir,
		.pod_dir = pod->dir,
		.rootfs = rootfs.text,
		.parts_dir = parts.text,
		.cgroup = paths->cgroup.text,
		.seccomp = config->seccomp,
		.nofile_max = config->nofile_max,
		.oom_score_min = config->oom_score_min,
		.has_swap_limits = config->has_swap_limits,
	};
	int r = container_parts_hold(&inputs, config->policy, err);

	return r == 0 ? write_config(&inputs, paths, err) : r;
}

/* Root filesystem and configuration. */
static int run_make(struct container_run *run, const struct run_paths *paths,
		    const struct image *image, struct err *err)
{
	struct image_store *images = run->container->pod->pods->config.images;
	char user_text[USER_TEXT_MAX];
	struct image_user user;
	int r;

	run->reason = "CreateContainerError";
	r = rootfs_mount(paths->bundle.text, image_store_layers(images), image->layers,
			 image->layer_count, err);
	if (r < 0)
		return r;
	run->reason = "CreateContainerConfigError";
	oci_user(run->container->spec, &image->config, user_text, sizeof(user_text));
	r = image_user_resolve(path_format("%s/rootfs", paths->bundle.text).text, user_text, &user,
			       err);
	return r == 0 ? configure(run, paths, image, &user, err) : r;
}

static int run_engine(struct container_run *run, const struct run_paths *paths, struct err *err)
{
	struct engine *engine = run->container->pod->pods->config.engine;
	int r;

	run->reason = "StartError";
	r = engine->ops->prepare(engine, &paths->engine, err);
	container_parts_release(run->container->spec, paths->bundle.text);
	if (r < 0)
		return r;
	/* Before it starts, so that even the shortest life is seen to end. */
	run->conmon = crun_conmon_pid(paths->bundle.text);
	run->conmon_started = child_start_time(run->conmon);
	return engine->ops->start(engine, &paths->engine, err);
}

void container_run_start(void *arg)
{
	struct container_run *run = arg;
	struct run_paths *paths = mem_new(struct run_paths);
	struct image_store *images = run->container->pod->pods->config.images;
	struct image image;
	struct err ignored;
	int signal;

	run_paths_init(paths, run->container, run->run);
	run->reason = "ImageInspectError";
	run->result = image_store_get(images, run->container->image_ref, &image, &run->err);
	if (run->result == 0) {
		(void)snprintf(run->image_id, sizeof(run->image_id), "%s", image.id);
		image_store_use(images, run->image_id);
		signal = image.config.stop_signal ? image_config_signal(image.config.stop_signal)
						  : 0;
		run->stop_signal = signal;
		run->result = run_make(run, paths, &image, &run->err);
		if (run->result == 0)
			run->result = run_engine(run, paths, &run->err);
		image_deinit(&image);
		if (run->result < 0)
			image_store_unuse(images, run->image_id);
	}
	/* The log stays: it may hold the reason. */
	if (run->result < 0)
		(void)container_run_remove(run->container, run->run, &ignored);
	free(paths);
}

int container_run_remove(const struct container *container, uint32_t number, struct err *err)
{
	struct engine *engine = container->pod->pods->config.engine;
	struct run_paths *paths = mem_new(struct run_paths);
	int r;

	run_paths_init(paths, container, number);
	r = engine->ops->remove(engine, &paths->engine, err);
	container_parts_release(container->spec, paths->bundle.text); /* if its start was cut off */
	if (r == 0)
		r = rootfs_unmount(paths->bundle.text, err);
	if (r == 0) {
		r = tree_remove(paths->bundle.text);
		if (r < 0)
			(void)err_set(err, r, "remove %s: %s", paths->bundle.text, strerror(-r));
	}
	free(paths);
	return r;
}

void container_run_end(void *arg)
{
	struct container_run *run = arg;
	const struct container *container = run->container;
	const struct pods_config *config = &container->pod->pods->config;
	struct run_paths *paths = mem_new(struct run_paths);
	struct err ignored;

	run_paths_init(paths, container, run->run);
	run->result = config->engine->ops->status(config->engine, &paths->engine, &run->status,
						  &run->err);
	(void)container_run_remove(container, run->run, &ignored);
	if (container->status.image_id)
		image_store_unuse(config->images, container->status.image_id);
	/* Kubernetes keeps one earlier log. */
	if (run->run > 1)
		(void)unlink(path_format("%s/logs/%zu.%u.log", container->pod->dir,
					 container->index, run->run - 2)
				     .text);
	free(paths);
}

void container_run_signal(void *arg)
{
	struct container_run *run = arg;
	struct engine *engine = run->container->pod->pods->config.engine;
	struct run_paths *paths = mem_new(struct run_paths);

	run_paths_init(paths, run->container, run->run);
	run->result = engine->ops->stop(engine, &paths->engine, run->signal, &run->err);
	free(paths);
}
