/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy: what this machine's owner lets pods do here, whoever awards them. Read from a local file
 * that only the host process sees; nothing from the network can widen it.
 *
 *   {
 *     "privileged": false,           securityContext.privileged, dangerous capabilities, seccomp
 *     "capabilities": ["SYS_PTRACE"] beyond the harmless ones, without all of privileged
 *     "runAsRoot": true,             false: as if each container said runAsNonRoot
 *     "hostPath": ["/srv/data"],     directories, with what lies below them, that may be mounted
 *     "registries": ["docker.io/library"]  what images' names may begin with, by whole parts;
 *                                    absent: anything
 *     "priorityMax": 2000001000      the highest priority of a pod; absent: what users may ask for,
 *                                    so that nothing here counts as critical for the system
 *   }
 *
 * "hostNetwork", "hostPID" and "hostIPC" may be false and "devices" empty, which they are: no pod
 * has these here, whatever a policy says.
 *
 * Without a file all of it is denied but root inside the container, the registries and usual
 * priorities. Unknown keys are errors: a misspelt one must not look like a policy. The file must
 * belong to who reads it, and be writable by nobody else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

enum {
	POLICY_FILE_MAX = 64 * 1024,
	POLICY_LIST_MAX = 256,
};

struct policy {
	bool privileged;
	bool run_as_root;
	char **capabilities;
	size_t capability_count;
	char **host_paths;
	size_t host_path_count;
	bool any_registry;
	char **registries;
	size_t registry_count;
	int32_t priority_max;
};

/* @path NULL: the strict default. A complaint about the file names the line. */
_must_use_ int policy_load(const char *path, struct policy *ret_policy, struct err *err);
void policy_deinit(struct policy *policy);

/* Whether the file or directory @path, absolute and free of "..", may be mounted into a pod. */
bool policy_allows_host_path(const struct policy *policy, const char *path);

/* May a container be given the capability @name ("SYS_PTRACE"), which is none of the harmless ones?
 */
bool policy_allows_capability(const struct policy *policy, const char *name);

/* @image in its full form: image_ref.h. */
bool policy_allows_image(const struct policy *policy, const char *image);
