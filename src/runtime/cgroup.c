/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/mem.h"
#include "runtime/files.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_UNIFIED CGROUP_ROOT "/unified"

enum {
	/* Controllers of v1 are about a dozen; each may have its own mount. */
	HIERARCHIES_MAX = 32,
	PROC_FILE_MAX = 1 << 20,
};

static bool is_filesystem(const char *path, long magic)
{
	struct statfs info;

	return statfs(path, &info) == 0 && (long)info.f_type == magic;
}

/* Mount one hierarchy of /proc/self/cgroup: "4:memory:/path", "1:name=systemd:/", "0::/". */
static int mount_hierarchy(char *line, bool only_v2)
{
	char *controllers = strchr(line, ':');
	struct path where;
	const char *name;
	char *end;

	end = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!end)
		return 0;
	controllers++;
	*end = '\0';
	if (*controllers == '\0') {
		where = path_format("%s", only_v2 ? CGROUP_ROOT : CGROUP_UNIFIED);
		if (dir_make(where.text, 0755) < 0 ||
		    mount("cgroup2", where.text, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			  NULL) < 0)
			return err_origin(-errno);
		return 0;
	}
	name = strncmp(controllers, "name=", 5) == 0 ? controllers + 5 : controllers;
	where = path_format("%s/%s", CGROUP_ROOT, name);
	if (dir_make(where.text, 0755) < 0 ||
	    mount("cgroup", where.text, "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, controllers) <
		    0)
		return err_origin(-errno);
	return 0;
}

static int mount_all(struct err *err)
{
	struct buf text = {0};
	bool only_v2;
	char *save = NULL, *copy;
	int r = file_read("/proc/self/cgroup", PROC_FILE_MAX, &text);

	if (r < 0)
		return err_set(err, r, "read /proc/self/cgroup: %s", strerror(-r));
	copy = buf_steal(&text);
	only_v2 = strncmp(copy, "0::", 3) == 0 && !strchr(strchr(copy, '\n') + 1, '\n');
	if (!only_v2 && mount("tmpfs", CGROUP_ROOT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			      "mode=755,size=1m") < 0)
		r = err_origin(-errno);
	for (char *line = strtok_r(copy, "\n", &save); r == 0 && line;
	     line = strtok_r(NULL, "\n", &save))
		r = mount_hierarchy(line, only_v2);
	free(copy);
	if (r < 0)
		return err_set(err, r, "mount cgroups under " CGROUP_ROOT ": %s", strerror(-r));
	return 0;
}

enum cgroup_layout cgroup_layout(void)
{
	if (is_filesystem(CGROUP_ROOT, CGROUP2_SUPER_MAGIC))
		return CGROUP_V2;
	if (!is_filesystem(CGROUP_ROOT, TMPFS_MAGIC))
		return CGROUP_NONE;
	return is_filesystem(CGROUP_UNIFIED, CGROUP2_SUPER_MAGIC) ? CGROUP_HYBRID : CGROUP_V1;
}

int cgroup_adapt(struct err *err)
{
	const char *controllers = CGROUP_UNIFIED "/cgroup.controllers";
	struct buf text = {0};
	int r;

	if (cgroup_layout() == CGROUP_NONE) {
		r = mount_all(err);
		if (r < 0)
			return r;
	}
	if (cgroup_layout() != CGROUP_HYBRID)
		return 0;
	r = file_read(controllers, PROC_FILE_MAX, &text);
	if (r == 0 && text.len > 1 && mount("/dev/null", controllers, NULL, MS_BIND, NULL) < 0)
		r = err_origin(-errno);
	buf_deinit(&text);
	if (r < 0)
		return err_set(err, r, "hide %s: %s", controllers, strerror(-r));
	return 0;
}

/* The mount points of all hierarchies. */
struct hierarchies {
	char *paths[HIERARCHIES_MAX];
	size_t count;
};

static void hierarchies_find(struct hierarchies *ret)
{
	struct buf text = {0};
	char *save = NULL, *copy;

	ret->count = 0;
	if (file_read("/proc/self/mounts", PROC_FILE_MAX, &text) < 0) {
		buf_deinit(&text);
		return;
	}
	copy = buf_steal(&text);
	for (char *line = strtok_r(copy, "\n", &save); line && ret->count < HIERARCHIES_MAX;
	     line = strtok_r(NULL, "\n", &save)) {
		char *fields = NULL;
		const char *where, *type;

		(void)strtok_r(line, " ", &fields);
		where = strtok_r(NULL, " ", &fields);
		type = strtok_r(NULL, " ", &fields);
		if (where && type && strncmp(where, CGROUP_ROOT, strlen(CGROUP_ROOT)) == 0 &&
		    (strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0))
			ret->paths[ret->count++] = mem_strdup(where);
	}
	free(copy);
}

static void hierarchies_deinit(struct hierarchies *hierarchies)
{
	for (size_t i = 0; i < hierarchies->count; i++)
		free(hierarchies->paths[i]);
}

uint64_t cgroup_oom_kills(const char *group)
{
	struct path v1 = path_format("%s/memory%s/memory.oom_control", CGROUP_ROOT, group);
	struct path v2 = path_format("%s%s/memory.events", CGROUP_ROOT, group);
	struct buf text = {0};
	const char *at;
	uint64_t kills = 0;

	if (file_read(cgroup_layout() == CGROUP_V2 ? v2.text : v1.text, 4096, &text) == 0) {
		at = strstr(buf_cstr(&text), "oom_kill ");
		if (at)
			kills = strtoull(at + strlen("oom_kill "), NULL, 10);
	}
	buf_deinit(&text);
	return kills;
}

/* The number after @key in a file of a group; @key "" for a file that is a number. */
static uint64_t read_number(const char *path, const char *key)
{
	struct buf text = {0};
	uint64_t number = 0;

	if (file_read(path, PROC_FILE_MAX, &text) == 0) {
		const char *at = strstr(buf_cstr(&text), key);

		if (at)
			number = strtoull(at + strlen(key), NULL, 10);
	}
	buf_deinit(&text);
	return number;
}

void cgroup_usage(const char *group, struct cgroup_usage *ret_usage)
{
	bool v2 = cgroup_layout() == CGROUP_V2;
	struct path cpu = path_format(
		v2 ? CGROUP_ROOT "%s/cpu.stat" : CGROUP_ROOT "/cpuacct%s/cpuacct.usage", group);
	struct path memory = path_format(v2 ? CGROUP_ROOT "%s/memory.current"
					    : CGROUP_ROOT "/memory%s/memory.usage_in_bytes",
					 group);
	struct path stat = path_format(
		v2 ? CGROUP_ROOT "%s/memory.stat" : CGROUP_ROOT "/memory%s/memory.stat", group);
	uint64_t used = read_number(memory.text, "");
	uint64_t idle = read_number(stat.text, v2 ? "inactive_file " : "total_inactive_file ");

	ret_usage->cpu_ns =
		v2 ? read_number(cpu.text, "usage_usec ") * 1000 : read_number(cpu.text, "");
	ret_usage->memory_bytes = used > idle ? used - idle : 0;
}

/* v1 has no atomic kill: signal what is listed, until a reading finds nothing new. */
static void kill_listed(const char *hierarchy, const char *group)
{
	enum {
		/* A fork bomb against its pids limit loses within a few rounds. */
		ROUNDS_MAX = 16,
	};
	struct path procs = path_format("%s%s/cgroup.procs", hierarchy, group);

	for (int round = 0; round < ROUNDS_MAX; round++) {
		struct buf text = {0};
		unsigned killed = 0;
		char *save = NULL, *copy;

		if (file_read(procs.text, PROC_FILE_MAX, &text) < 0 || text.len == 0) {
			buf_deinit(&text);
			return;
		}
		copy = buf_steal(&text);
		for (char *line = strtok_r(copy, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save)) {
			pid_t pid = (pid_t)strtol(line, NULL, 10);

			killed += pid > 1 && kill(pid, SIGKILL) == 0;
		}
		free(copy);
		if (killed == 0)
			return;
	}
}

/* Where all processes of a group are listed. */
static const char *listing_hierarchy(void)
{
	return cgroup_layout() == CGROUP_V2 ? CGROUP_ROOT : CGROUP_ROOT "/pids";
}

void cgroup_processes(const char *group, struct buf *out)
{
	struct path procs = path_format("%s%s/cgroup.procs", listing_hierarchy(), group);

	if (file_read(procs.text, PROC_FILE_MAX, out) < 0)
		buf_clear(out);
}

void cgroup_kill(const char *group)
{
	enum cgroup_layout layout = cgroup_layout();
	const char *unified = layout == CGROUP_V2 ? CGROUP_ROOT : CGROUP_UNIFIED;
	struct path file = path_format("%s%s/cgroup.kill", unified, group);
	int fd = open(file.text, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		bool done = write(fd, "1", 1) == 1;

		(void)close(fd);
		if (done)
			return;
	}
	kill_listed(listing_hierarchy(), group);
}

static pthread_rwlock_t making = PTHREAD_RWLOCK_INITIALIZER;

void cgroup_hold(void)
{
	(void)pthread_rwlock_rdlock(&making);
}

void cgroup_release(void)
{
	(void)pthread_rwlock_unlock(&making);
}

void cgroup_remove(const char *group)
{
	struct hierarchies hierarchies;

	hierarchies_find(&hierarchies);
	for (size_t i = 0; i < hierarchies.count; i++)
		(void)rmdir(path_format("%s%s", hierarchies.paths[i], group).text);
	hierarchies_deinit(&hierarchies);
}

void cgroup_remove_above(const char *group)
{
	struct hierarchies hierarchies;

	(void)pthread_rwlock_wrlock(&making);
	hierarchies_find(&hierarchies);
	for (size_t i = 0; i < hierarchies.count; i++) {
		struct path path = path_format("%s%s", hierarchies.paths[i], group);
		size_t root = strlen(hierarchies.paths[i]);

		for (;;) {
			*strrchr(path.text, '/') = '\0';
			/* ENOENT: this hierarchy never had it, but perhaps its parents. */
			if (strlen(path.text) <= root || (rmdir(path.text) < 0 && errno != ENOENT))
				break;
		}
	}
	hierarchies_deinit(&hierarchies);
	(void)pthread_rwlock_unlock(&making);
}
