/* SPDX-License-Identifier: Apache-2.0 */
#include "params.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

#define ENTRY(member, min, max, fallback, text)                                     \
	{                                                                           \
#member, text, min, max, fallback, offsetof(struct params, member), \
	}

enum {
	PER_THOUSAND = 1000,
	PERCENT = 100,
	MANY = 1 << 20,
	DAY_S = 24 * 3600,
};

static const struct params_entry params_list[] = {
	ENTRY(stewards, 0, MANY, 0, "the first so many machines are stewards; 0: all"),
	ENTRY(pool, 0, 1024, 0, "kept connections of a machine; 0: the daemon's default"),
	ENTRY(profile, PARAMS_LAN, PARAMS_WAN, PARAMS_LAN, "lan or wan: latencies"),
	ENTRY(loss, 0, PER_THOUSAND, 0, "per thousand packets that come late"),
	ENTRY(vanish, 0, PER_THOUSAND, 0, "per thousand packets that never come"),
	ENTRY(duplication, 0, PER_THOUSAND, 0, "per thousand packets that come twice"),
	ENTRY(jitter_ms, 0, 10000, 0, "most that a packet is late beyond the profile"),
	ENTRY(boot_ms, 0, DAY_S, 20, "milliseconds between two machines that boot"),
	ENTRY(cores, 0, PARAMS_CORES_MAX, 0,
	      "processors that all machines share; 0: each computes in no time"),
	ENTRY(formed, 0, 1, 0, "1: begin with a formed overlay; 0: machines boot and join"),
	ENTRY(stay, 0, 1, 0, "1: records stay where they were written; 0: stewards keep all"),
	ENTRY(readdress, 0, PERCENT, 0, "percent of restarts that bring a new address"),
	ENTRY(duration_s, 0, 40 * DAY_S, 0, "seconds of the busy part"),
	ENTRY(settle_s, 0, DAY_S, 0, "quiet seconds before it"),
	ENTRY(replicas, 0, MANY, 0, "replicas of one workload; of agents: pods of one machine"),
	ENTRY(workloads, 0, MANY, 0, "workloads of one owner"),
	ENTRY(owners, 0, MANY, 0,
	      "machines that are given work; 0: one in 50, of a burst one in 10"),
	ENTRY(cpu_milli, 1, MANY, 100, "thousandths of a core that one replica needs"),
	ENTRY(load, 0, PERCENT, 0, "percent of the fabric's cores in use"),
	ENTRY(fits, 0, MANY, 0, "machines that the rare requirement fits"),
	ENTRY(broadcasts, 0, MANY, 0, "broadcasts that are followed to every machine"),
	ENTRY(lookups, 0, MANY, 0, "lookups of machines by their position"),
	ENTRY(churn, 0, PER_THOUSAND, 0, "per thousand machines that restart in a minute"),
	ENTRY(forget, 0, PERCENT, 0, "percent of these that come back with an empty disk"),
	ENTRY(records, 0, 16 * MANY, 0, "records that are written and read"),
	ENTRY(placed, 0, 1, 0, "1: they lie with their keepers at the beginning; 0: written"),
	ENTRY(calm_s, 0, DAY_S, 0, "quiet seconds after it; 0: until all has been handed over"),
	ENTRY(lost, 0, MANY, 0, "machines that vanish for good"),
	ENTRY(siblings, 0, 1, 0, "1: agents of replicas miss each other, and say so"),
	ENTRY(starved, 0, PERCENT, 0, "percent of machines that are stalled half of the time"),
	ENTRY(stall_ms, 0, 60 * 1000, 0, "longest of these stalls"),
	ENTRY(broken, 0, 1, 0, "1: neighbours do not hear each other now and then"),
	ENTRY(liars, 0, MANY, 0, "byzantine machines"),
};

static int64_t *member(struct params *params, const struct params_entry *entry)
{
	return (int64_t *)(void *)((char *)params + entry->offset);
}

void params_init(struct params *params)
{
	for (size_t i = 0; i < ARRAY_LEN(params_list); i++)
		*member(params, &params_list[i]) = PARAMS_UNSET;
}

static bool parse_value(const struct params_entry *entry, const char *text, int64_t *ret_value)
{
	char *end;
	long long value;

	if (strcmp(entry->name, "profile") == 0 && strcmp(text, "lan") == 0)
		text = "0";
	else if (strcmp(entry->name, "profile") == 0 && strcmp(text, "wan") == 0)
		text = "1";
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value < entry->min || value > entry->max)
		return false;
	*ret_value = value;
	return true;
}

bool params_set(struct params *params, const char *assignment)
{
	const char *equals = strchr(assignment, '=');

	if (!equals)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(params_list); i++) {
		const struct params_entry *entry = &params_list[i];
		size_t len = strlen(entry->name);

		if (len == (size_t)(equals - assignment) &&
		    memcmp(entry->name, assignment, len) == 0)
			return parse_value(entry, equals + 1, member(params, entry));
	}
	return false;
}

void params_complete(struct params *params, const struct params *scenario)
{
	for (size_t i = 0; i < ARRAY_LEN(params_list); i++) {
		const struct params_entry *entry = &params_list[i];
		int64_t *value = member(params, entry);

		if (*value == PARAMS_UNSET)
			*value = params_get(scenario, entry) ? params_get(scenario, entry)
							     : entry->fallback;
	}
}

const struct params_entry *params_next(size_t *position)
{
	return *position < ARRAY_LEN(params_list) ? &params_list[(*position)++] : NULL;
}

int64_t params_get(const struct params *params, const struct params_entry *entry)
{
	return *(const int64_t *)(const void *)((const char *)params + entry->offset);
}
