/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/limits.h"

#include <stdbool.h>

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	if (value < low)
		return low;
	return value > high ? high : value;
}

static int64_t request_of(int64_t request, int64_t limit)
{
	return request != LIMITS_UNSET ? request : limit;
}

struct limits limits_compute(const struct resources *resources)
{
	struct limits limits = {
		.cpu_quota_us = LIMITS_UNSET,
		.cpu_period_us = LIMITS_UNSET,
		.memory_bytes = LIMITS_UNSET,
		.pids = LIMITS_PIDS_DEFAULT,
	};
	int64_t request = request_of(resources->cpu_request_milli, resources->cpu_limit_milli);

	/* 1024 shares are one core; the division first where the product could overflow. */
	if (request == LIMITS_UNSET)
		request = 0;
	limits.cpu_shares =
		request > INT64_MAX / 1024 ? LIMITS_CPU_SHARES_MAX : request * 1024 / 1000;
	limits.cpu_shares = clamp(limits.cpu_shares, LIMITS_CPU_SHARES_MIN, LIMITS_CPU_SHARES_MAX);
	if (resources->cpu_limit_milli > 0 &&
	    resources->cpu_limit_milli < INT64_MAX / LIMITS_CPU_PERIOD_US) {
		limits.cpu_period_us = LIMITS_CPU_PERIOD_US;
		limits.cpu_quota_us = resources->cpu_limit_milli * LIMITS_CPU_PERIOD_US / 1000;
		if (limits.cpu_quota_us < LIMITS_CPU_QUOTA_MIN_US)
			limits.cpu_quota_us = LIMITS_CPU_QUOTA_MIN_US;
	}
	if (resources->memory_limit_bytes > 0)
		limits.memory_bytes = resources->memory_limit_bytes;
	return limits;
}

static bool is_guaranteed(const struct resources *r)
{
	return r->cpu_limit_milli > 0 && r->memory_limit_bytes > 0 &&
	       request_of(r->cpu_request_milli, r->cpu_limit_milli) == r->cpu_limit_milli &&
	       request_of(r->memory_request_bytes, r->memory_limit_bytes) == r->memory_limit_bytes;
}

int limits_oom_score(const struct resources *resources, uint64_t memory_capacity_bytes)
{
	int64_t memory = request_of(resources->memory_request_bytes, resources->memory_limit_bytes);
	int64_t cpu = request_of(resources->cpu_request_milli, resources->cpu_limit_milli);

	if (is_guaranteed(resources))
		return -997;
	if (memory <= 0 && cpu <= 0)
		return 1000;
	if (memory <= 0 || memory_capacity_bytes < 1000)
		return 999;
	/* Per mille of the machine's memory, inverted, and kept off both other classes. */
	return (int)clamp(1000 - (int64_t)((uint64_t)memory / (memory_capacity_bytes / 1000)), 3,
			  999);
}
