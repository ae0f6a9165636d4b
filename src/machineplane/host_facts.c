/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "machineplane/host_core.h"
#include "runtime/cgroup.h"
#include "runtime/files.h"

enum {
	FACT_FILE_MAX = 64 * 1024,
};

/* The first line of a file, or nothing. */
static void read_line(const char *path, char *ret, size_t size)
{
	struct buf text = {0};

	ret[0] = '\0';
	if (file_read(path, FACT_FILE_MAX, &text) == 0) {
		(void)snprintf(ret, size, "%s", buf_cstr(&text));
		ret[strcspn(ret, "\n")] = '\0';
	}
	buf_deinit(&text);
}

/* PRETTY_NAME="Debian GNU/Linux 12 (bookworm)" */
static void read_os(char *ret, size_t size)
{
	const char *key = "PRETTY_NAME=\"", *at;
	struct buf text = {0};

	(void)snprintf(ret, size, "Linux");
	if (file_read("/etc/os-release", FACT_FILE_MAX, &text) == 0) {
		at = strstr(buf_cstr(&text), key);
		if (at)
			(void)snprintf(ret, size, "%.*s", (int)strcspn(at + strlen(key), "\"\n"),
				       at + strlen(key));
	}
	buf_deinit(&text);
}

/* Go's names, which Kubernetes uses. */
static const char *architecture(const char *machine)
{
	if (strcmp(machine, "x86_64") == 0)
		return "amd64";
	if (strcmp(machine, "aarch64") == 0)
		return "arm64";
	return machine;
}

/* Only CAP_SYS_RESOURCE may lower the score below one's own. */
static int oom_score_min(void)
{
	cap_flag_value_t has = CAP_CLEAR;
	cap_t caps = cap_get_proc();
	char own[16];

	if (caps) {
		(void)cap_get_flag(caps, CAP_SYS_RESOURCE, CAP_EFFECTIVE, &has);
		(void)cap_free(caps);
	}
	if (has == CAP_SET)
		return -1000;
	read_line("/proc/self/oom_score_adj", own, sizeof(own));
	return (int)strtol(own, NULL, 10);
}

/* With swap limits a container that is out of memory is killed; without, it would swap. */
static bool has_swap_limits(void)
{
	if (cgroup_layout() == CGROUP_V2)
		return path_exists("/proc/swaps") &&
		       path_exists("/sys/fs/cgroup/init.scope/memory.swap.max");
	return path_exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes");
}

int host_facts_read(const char *state_dir, struct host_facts *ret_facts, struct err *err)
{
	struct host_facts facts = {0};
	struct utsname names;
	struct statvfs disk;
	struct rlimit files;
	cpu_set_t cpus;

	if (uname(&names) < 0 || sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ||
	    getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_set(err, -errno, "facts of this machine: %s", strerror(errno));
	facts.cpu_milli = (uint64_t)CPU_COUNT(&cpus) * 1000;
	facts.memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	if (statvfs(state_dir, &disk) == 0)
		facts.storage_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
	(void)snprintf(facts.kernel, sizeof(facts.kernel), "%s", names.release);
	(void)snprintf(facts.hostname, sizeof(facts.hostname), "%s", names.nodename);
	(void)snprintf(facts.architecture, sizeof(facts.architecture), "%s",
		       architecture(names.machine));
	read_os(facts.os_image, sizeof(facts.os_image));
	read_line("/etc/machine-id", facts.machine_id, sizeof(facts.machine_id));
	read_line("/proc/sys/kernel/random/boot_id", facts.boot_id, sizeof(facts.boot_id));
	facts.nofile_max = files.rlim_max;
	facts.oom_score_min = oom_score_min();
	facts.has_swap_limits = has_swap_limits();
	*ret_facts = facts;
	return 0;
}
