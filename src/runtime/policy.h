/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy: what this machine's owner lets pods do here, whoever awards them. Read from a local file
 * that only the host process sees; nothing from the network can widen it.
 *
 *   {
 *     "privileged": false,           securityContext.privileged, dangerous capabilities, seccomp
 *     "hostPath": ["/srv/data"],     directories, with what lies below them, that may be mounted
 *     "registries": ["docker.io"],   where images may be pulled from; absent: anywhere
 *     "priorityMax": 2000001000      the highest priority of a pod; absent: what users may ask for,
 *                                    so that nothing here counts as critical for the system
 *   }
 *
 * Without a file all of it is denied but the registries and usual priorities. Unknown keys are
 * errors: a misspelt one must not look like a policy.
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
	char **host_paths;
	size_t host_path_count;
	bool any_registry;
	char **registries;
	size_t registry_count;
	int32_t priority_max;
};

/* @path NULL: the strict default. */
_must_use_ int policy_load(const char *path, struct policy *ret_policy, struct err *err);
void policy_deinit(struct policy *policy);

/* Whether the file or directory @path, absolute and free of "..", may be mounted into a pod. */
bool policy_allows_host_path(const struct policy *policy, const char *path);

/* @domain as image_ref.h has it. */
bool policy_allows_registry(const struct policy *policy, const char *domain);
