/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private mount namespace: all mounts of pods are in it, invisible to the machine, and vanish
 * with its last process. It outlives the host process, because agents and conmons are in it too. So
 * a host process that finds a living agent goes into that agent's namespace instead of making a new
 * one: there, roots, volumes and pins are where they were.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "machineplane/host_core.h"
#include "runtime/cgroup.h"
#include "runtime/files.h"
#include "runtime/infra.h"

/* Some agent that has survived, or 0. */
static pid_t find_agent(const char *run_dir)
{
	struct path pods = path_format("%s/pods", run_dir);
	DIR *dir = opendir(pods.text);
	struct dirent *entry;
	pid_t pid = 0;

	while (dir && pid == 0 && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			pid = infra_find(
				path_format("%s/%s/infra.pid", pods.text, entry->d_name).text);
	if (dir)
		(void)closedir(dir);
	return pid;
}

static int join(pid_t pid, struct err *err)
{
	struct path path = path_format("/proc/%d/ns/mnt", (int)pid);
	int fd = open(path.text, O_RDONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return err_set(err, -errno, "open %s: %s", path.text, strerror(errno));
	if (setns(fd, CLONE_NEWNS) < 0)
		r = err_set(err, -errno, "join mount namespace: %s", strerror(errno));
	(void)close(fd);
	return r;
}

int host_mounts_enter(const char *run_dir, struct err *err)
{
	pid_t agent = find_agent(run_dir);

	if (agent > 0)
		return join(agent, err);
	if (unshare(CLONE_NEWNS) < 0)
		return err_set(err, -errno, "make mount namespace: %s", strerror(errno));
	/* The machine's later mounts are seen here, ours never there. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_set(err, -errno, "make mounts private: %s", strerror(errno));
	return cgroup_adapt(err);
}
