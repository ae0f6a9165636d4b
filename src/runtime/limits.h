/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits: from what a manifest asks for to what the kernel's groups are told. Pure.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"

enum {
	LIMITS_UNSET = -1,
	/* Kubernetes sets none by default; ours keeps one pod from using up a machine's pids. */
	LIMITS_PIDS_DEFAULT = 4096,
	LIMITS_CPU_PERIOD_US = 100000,
	/* The kernel refuses a quota below a millisecond and shares below 2. */
	LIMITS_CPU_QUOTA_MIN_US = 1000,
	LIMITS_CPU_SHARES_MIN = 2,
	LIMITS_CPU_SHARES_MAX = 262144,
	/* Below this no process can even be started in the group. */
	LIMITS_MEMORY_MIN_BYTES = 4 << 20,
};

/* As in the manifest; LIMITS_UNSET where it says nothing. */
struct resources {
	int64_t cpu_request_milli, cpu_limit_milli;
	int64_t memory_request_bytes, memory_limit_bytes;
};

/* As the OCI configuration has it; LIMITS_UNSET: leave the key out. */
struct limits {
	int64_t cpu_shares;
	int64_t cpu_quota_us, cpu_period_us;
	int64_t memory_bytes;
	int64_t pids;
};

/* A limit without a request is its request too, as in Kubernetes. */
struct limits limits_compute(const struct resources *resources);

/*
 * oom_score_adj by class of service, Kubernetes' numbers: guaranteed -997, best effort 1000,
 * burstable between, the lower the larger the share of memory requested.
 */
int limits_oom_score(const struct resources *resources, uint64_t memory_capacity_bytes);
