/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe: a container of the machine's own programs, read-only, that runs true(1) under a memory
 * limit. It goes the way every pod goes: conmon, crun, namespaces, cgroups, exit file.
 */
#include "runtime/crun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "runtime/child.h"
#include "runtime/engine.h"
#include "runtime/files.h"

enum {
	END_TIMEOUT_MS = 30000,
	PROBE_MEMORY_BYTES = 64 << 20,
};

/* What a dynamically linked program needs, mounted where it is on the machine. */
static json_t *probe_mounts(void)
{
	static const char *const dirs[] = {"/usr", "/bin", "/lib", "/lib32", "/lib64"};
	json_t *mounts = json_pack("[{s:s,s:s,s:s},{s:s,s:s,s:s}]", "destination", "/proc", "type",
				   "proc", "source", "proc", "destination", "/dev", "type", "tmpfs",
				   "source", "tmpfs");

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (path_exists(dirs[i]))
			(void)json_array_append_new(
				mounts, json_pack("{s:s,s:s,s:s,s:[s,s,s]}", "destination", dirs[i],
						  "type", "bind", "source", dirs[i], "options",
						  "rbind", "ro", "rprivate"));
	return mounts;
}

static int write_bundle(const char *bundle, const char *cgroup, struct err *err)
{
	struct path rootfs = path_format("%s/rootfs", bundle);
	struct path config = path_format("%s/config.json", bundle);
	json_t *spec = json_pack("{s:s,s:{s:{s:i,s:i},s:[s],s:[s],s:s},s:{s:s,s:b},s:o,"
				 "s:{s:[{s:s},{s:s},{s:s},{s:s}],s:s,s:{s:{s:i},s:{s:i}}}}",
				 "ociVersion", "1.0.2", "process", "user", "uid", 0, "gid", 0,
				 "args", "/bin/true", "env", "PATH=/bin", "cwd", "/", "root",
				 "path", rootfs.text, "readonly", 0, "mounts", probe_mounts(),
				 "linux", "namespaces", "type", "pid", "type", "mount", "type",
				 "network", "type", "ipc", "cgroupsPath", cgroup, "resources",
				 "memory", "limit", PROBE_MEMORY_BYTES, "pids", "limit", 16);
	char *text = json_dumps(spec, JSON_COMPACT);
	int r = dir_make(rootfs.text, 0755);

	if (r == 0 && text)
		r = file_replace(config.text, bytes_str(text), 0600);
	free(text);
	json_decref(spec);
	return r < 0 ? err_set(err, r, "write %s: %s", config.text, strerror(-r)) : 0;
}

static int probe_run(struct engine *engine, const struct engine_container *container,
		     struct err *err)
{
	struct engine_status status;
	int fd, r = engine->ops->prepare(engine, container, err);

	if (r < 0)
		return r;
	fd = child_pidfd(crun_conmon_pid(container->bundle));
	r = engine->ops->start(engine, container, err);
	if (r == 0 && fd >= 0 && child_wait_readable(fd, END_TIMEOUT_MS) < 0)
		r = err_set(err, -ETIMEDOUT, "a container that does nothing did not end");
	if (fd >= 0)
		(void)close(fd);
	if (r == 0)
		r = engine->ops->status(engine, container, &status, err);
	if (r == 0 && (status.state != ENGINE_EXITED || status.exit_code != 0))
		r = err_set(err, -EPROTO, "a container that does nothing ended with %d",
			    status.exit_code);
	return r;
}

int crun_probe_container(struct engine *engine, const char *root, struct err *err)
{
	struct path bundle = path_format("%s.probe", root);
	struct path log = path_format("%s/log", bundle.text);
	struct path cgroup = path_format("/magik-probe-%d", (int)getpid());
	char id[64];
	struct engine_container container = {
		.id = id,
		.bundle = bundle.text,
		.exit_dir = bundle.text,
		.log_path = log.text,
		.cgroup = cgroup.text,
	};
	struct err ignored;
	int r;

	(void)snprintf(id, sizeof(id), "probe-%d", (int)getpid());
	(void)!tree_remove(bundle.text);
	r = write_bundle(bundle.text, cgroup.text, err);
	if (r == 0)
		r = probe_run(engine, &container, err);
	(void)engine->ops->remove(engine, &container, &ignored);
	(void)!tree_remove(bundle.text);
	return r;
}
