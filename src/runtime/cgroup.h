/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups of this host: which layout it has, what must be done so that crun accepts it, and what a
 * pod leaves behind. crun itself makes the groups and sets the limits.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

enum cgroup_layout {
	CGROUP_NONE,
	CGROUP_V1,
	CGROUP_HYBRID, /* v1 controllers, and a v2 tree without any (after cgroup_adapt()) */
	CGROUP_V2,
};

/*
 * Make the private mount namespace of this process one in which crun works. To be called once,
 * after unshare(CLONE_NEWNS) and before any thread.
 *
 * Two hosts need it. With a hybrid layout whose v2 tree still has controllers (hugetlb, say), crun
 * refuses to run at all; an empty file mounted over cgroup.controllers makes it use v1 limits and
 * the v2 tree's atomic kill. And `ip netns exec` hides all cgroup mounts under a new /sys; they are
 * mounted again.
 */
_must_use_ int cgroup_adapt(struct err *err);

enum cgroup_layout cgroup_layout(void);

/* How many processes of the group the kernel has killed for want of memory; 0 if unknown. */
uint64_t cgroup_oom_kills(const char *group);

/* SIGKILL everything in the group, as far as the kernel can do that at once. */
void cgroup_kill(const char *group);

struct cgroup_usage {
	uint64_t cpu_ns;       /* since the group was made */
	uint64_t memory_bytes; /* without what the kernel could drop at once: the working set */
};

/* Zeros where there is no such group. */
void cgroup_usage(const char *group, struct cgroup_usage *ret_usage);

/* Append the numbers of its processes, a line each; nothing if there is no such group. */
void cgroup_processes(const char *group, struct buf *out);

/* Remove the group, which must be empty, in every hierarchy. */
void cgroup_remove(const char *group);

/*
 * Remove the groups above @group as far as they are empty. A group being made below one of them at
 * that moment would fail, so whoever makes groups does it between cgroup_hold() and
 * cgroup_release(), and the removal waits.
 */
void cgroup_remove_above(const char *group);
void cgroup_hold(void);
void cgroup_release(void);
