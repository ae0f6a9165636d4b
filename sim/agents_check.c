/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be true of the agents, seen from outside:
 *
 *   complete   a lookup names every replica that runs and is ready, and so does what is kept of a
 *              service in use: 99.9 % of them at least, outside partitions
 *   expired    nobody names a replica that was lost AGENTS_EXPIRE_MS ago, or withdrew: no exception
 *   foreign    nobody names a replica under a key that is not its own: no exception
 *   readiness  a change has reached whoever uses the service after AGENTS_PUSH_MS (99 %: keepers
 *              may have changed in that moment), and everybody after two heartbeats
 *   missing    a lost replica is reported by a sibling in AGENTS_MISSING_MS, and no living one is
 *   bounds     nobody keeps, or receives, more than an agent has to
 */
#include <stdio.h>
#include <string.h>

#include "agents.h"

enum {
	RECORDS_MAX = 256,
	COMPLETE_PER_MILLE = 999,
	IN_TIME_PERCENT = 99,
	REPORTED_PERCENT = 99,
	PERCENT = 100,
	PER_MILLE = 1000,
	LATE_MS = 2 * SERVICE_HEARTBEAT_MS + 1000,
	USING_MS = 1000,    /* after its first answer a user hears of changes */
	RECEIVED_MAX = 250, /* messages per second, mean of AGENTS_WINDOW_S */
	WINDOW_S = 10,
	OWN_EVERY = 10, /* agents, one of which is looked at each second */
	LOSSES_MIN = 5,
	ENOUGH = 100, /* events, before a share of them means anything */
};

static bool is_calm(const struct agents *agents)
{
	return agents->calm_since.us != MONO_NEVER.us &&
	       mono_since_us(agents->now, agents->calm_since) >= AGENTS_HEAL_MS * US_PER_MS;
}

static int64_t since_ms(const struct agents *agents, struct mono then)
{
	return then.us == MONO_NEVER.us ? 0 : mono_since_us(agents->now, then) / US_PER_MS;
}

/* Is it long enough the case that it runs and is ready? */
static bool must_be_named(const struct agents *agents, const struct agent *agent)
{
	return agent->directory && !agent->liar && agent->ready &&
	       agent->ended.us == MONO_NEVER.us &&
	       since_ms(agents, agent->began) >= AGENTS_SETTLE_MS &&
	       since_ms(agents, agent->ready_since) >= AGENTS_SETTLE_MS;
}

static void must_not_be_named(struct agents *agents, uint32_t by,
			      const struct service_record *record, const struct agent *agent)
{
	int64_t gone_ms = since_ms(agents, agent->ended);

	if (strcmp(agent->name.pod, record->pod) != 0 ||
	    strcmp(agent->name.name, record->name) != 0 ||
	    strcmp(agent->name.namespace, record->namespace) != 0)
		agents_violated(agents, "agent %u knows %s/%s under a foreign name, that of %s/%s",
				by, record->namespace, record->pod, agent->name.namespace,
				agent->name.pod);
	if (!agent->directory && gone_ms > AGENTS_EXPIRE_MS)
		agents_violated(agents, "agent %u still names %s, which ended %lld ms ago", by,
				record->pod, (long long)gone_ms);
	if (record->ready && !agent->ready && agent->directory && is_calm(agents) &&
	    since_ms(agents, agent->changed) > LATE_MS)
		agents_violated(agents,
				"agent %u takes %s for ready, which it is not for %lld ms: its "
				"readiness did not arrive",
				by, record->pod, (long long)since_ms(agents, agent->changed));
}

static const struct agent *agent_of(const struct agents *agents, const struct node_id *id)
{
	const void *index = map_get(&agents->by_id, bytes_of(id->byte, ID_LEN));

	return index ? &agents->agents[(uintptr_t)index - 1] : NULL;
}

static size_t read_records(struct agents *agents, uint32_t by, uint32_t workload,
			   const struct service_record **records)
{
	const struct workload *of = &agents->workloads[workload];

	return directory_records(agents->agents[by].directory, agents->now, of->namespace, of->name,
				 records, RECORDS_MAX);
}

static bool names(const struct service_record **records, size_t count, const struct agent *agent)
{
	for (size_t i = 0; i < count; i++)
		if (node_id_equal(&records[i]->peer, &agent->contact.id))
			return records[i]->ready;
	return false;
}

/* What @by knows of @workload now. */
void agents_check_found(struct agents *agents, uint32_t by, uint32_t workload)
{
	const struct service_record *records[RECORDS_MAX];
	size_t count = read_records(agents, by, workload, records);
	const struct workload *of = &agents->workloads[workload];
	size_t wanted = 0, found = 0;

	for (size_t i = 0; i < count; i++) {
		const struct agent *agent = agent_of(agents, &records[i]->peer);

		if (agent)
			must_not_be_named(agents, by, records[i], agent);
		else
			agents_violated(agents, "agent %u names %s under a foreign name", by,
					records[i]->pod);
	}
	if (!is_calm(agents))
		return;
	for (uint32_t i = 0; i < of->replicas; i++) {
		const struct agent *agent = &agents->agents[of->slots[i] - 1];

		if (!of->slots[i] || !must_be_named(agents, agent))
			continue;
		wanted++;
		found += names(records, count, agent);
	}
	agents->figures.lookups++;
	agents->figures.lookups_complete += found == wanted;
	agents->figures.pairs_wanted += wanted;
	agents->figures.pairs_found += found;
}

static bool uses(const struct agents *agents, const struct agent *user, const struct agent *used)
{
	return user->directory && user->user && !user->liar && user->uses == used->workload &&
	       user->ended.us == MONO_NEVER.us && user->using_since.us != MONO_NEVER.us &&
	       mono_since_us(used->changed, user->using_since) >= USING_MS * US_PER_MS;
}

/* Has the last change of @index arrived? */
void agents_check_changed(struct agents *agents, uint64_t index)
{
	const struct service_record *records[RECORDS_MAX];
	const struct agent *changed = &agents->agents[index];
	bool ready = changed->ready && changed->ended.us == MONO_NEVER.us;

	if (!is_calm(agents) || agents->options->params.loss || agents->options->params.vanish ||
	    agents->options->params.profile == PARAMS_WAN ||
	    since_ms(agents, changed->changed) != AGENTS_PUSH_MS)
		return;
	for (uint32_t by = 0; by < agents->count; by++) {
		if (!uses(agents, &agents->agents[by], changed))
			continue;
		agents->figures.changes_seen++;
		if (names(records, read_records(agents, by, changed->workload, records), changed) !=
		    ready)
			agents->figures.changes_late++;
	}
	if (agents->figures.changes_seen >= ENOUGH &&
	    agents->figures.changes_late * PERCENT >
		    agents->figures.changes_seen * (PERCENT - IN_TIME_PERCENT))
		agents_violated(agents, "%llu of %llu changes of readiness did not arrive in %d ms",
				(unsigned long long)agents->figures.changes_late,
				(unsigned long long)agents->figures.changes_seen, AGENTS_PUSH_MS);
}

void agents_check_missing(struct agents *agents, uint32_t by, const struct directory_effect *effect)
{
	const void *index = map_get(&agents->by_id, bytes_of(effect->to.id.byte, ID_LEN));
	struct agent *agent = index ? &agents->agents[(uintptr_t)index - 1] : NULL;

	if (!agent)
		return;
	agent->reported = true;
	if (!agent->directory || agent->ended.us != MONO_NEVER.us || agent->liar ||
	    !is_calm(agents) || agents->options->params.vanish)
		return;
	agents->figures.missing_false++;
	agents_violated(agents, "agent %u misses %s, which runs", by, effect->name);
}

static bool has_siblings(const struct agents *agents, const struct agent *agent)
{
	const struct workload *of = &agents->workloads[agent->workload];

	for (uint32_t i = 0; i < of->replicas; i++)
		if (of->slots[i] && of->slots[i] - 1 != agent - agents->agents &&
		    since_ms(agents, agents->agents[of->slots[i] - 1].began) >
			    AGENTS_MISSING_MS + AGENTS_SETTLE_MS)
			return true;
	return false;
}

void agents_check_lost(struct agents *agents, uint64_t index)
{
	const struct agent *agent = &agents->agents[index];

	if (!is_calm(agents) || !has_siblings(agents, agent) ||
	    mono_since_us(agent->ended, agent->began) <
		    (SERVICE_HEARTBEAT_MS + AGENTS_SETTLE_MS) * US_PER_MS)
		return;
	agents->figures.missing_wanted++;
	agents->figures.missing_reported += agent->reported;
}

static void check_bounds(struct agents *agents, uint32_t index, bool window_ends)
{
	struct agent *agent = &agents->agents[index];
	struct directory_stats stats;

	directory_stats(agent->directory, &stats);
	if (stats.kept > DIRECTORY_KEPT_MAX || stats.kept_bytes > DIRECTORY_KEPT_BYTES_MAX ||
	    stats.subscribers > DIRECTORY_SUBSCRIBERS_MAX)
		agents_violated(agents, "agent %u keeps %zu records, %zu bytes, %zu subscribers",
				index, stats.kept, stats.kept_bytes, stats.subscribers);
	if (!window_ends)
		return;
	if (agent->received_window / WINDOW_S > agents->figures.keeper_max)
		agents->figures.keeper_max = agent->received_window / WINDOW_S;
	if (agent->received_window / WINDOW_S > RECEIVED_MAX && !agents->options->params.liars)
		agents_violated(agents, "agent %u was sent %llu messages in %d s", index,
				(unsigned long long)agent->received_window, WINDOW_S);
	agent->received_window = 0;
}

void agents_check_users(struct agents *agents, uint64_t number)
{
	for (uint32_t i = 0; i < agents->count; i++) {
		const struct agent *agent = &agents->agents[i];

		if (!agent->directory || agent->liar || agent->ended.us != MONO_NEVER.us)
			continue;
		check_bounds(agents, i, number % WINDOW_S == 0);
		if (agent->user && agent->using_since.us != MONO_NEVER.us)
			agents_check_found(agents, i, agent->uses);
		if ((i + number) % OWN_EVERY == 0 && since_ms(agents, agent->began) > USING_MS)
			agents_check_found(agents, i, agent->workload); /* its siblings */
		if (agents->counts_idle)
			agents->figures.idle_agent_s++;
	}
	agents_at(agents, MS_PER_S, agents_check_users, number + 1);
}

void agents_check_end(struct agents *agents)
{
	const struct agents_figures *figures = &agents->figures;
	int64_t sum = 0, count = 0;

	for (size_t i = 0; i < agents->count; i++) {
		const struct agent *agent = &agents->agents[i];

		if (!agent->directory)
			continue;
		sum += agent->heap;
		count++;
		if (agent->heap > agents->figures.heap_max)
			agents->figures.heap_max = agent->heap;
	}
	agents->figures.heap_mean = count ? sum / count : 0;
	if (figures->pairs_wanted >= ENOUGH &&
	    figures->pairs_found * PER_MILLE < figures->pairs_wanted * COMPLETE_PER_MILLE)
		agents_violated(agents,
				"only %llu of %llu healthy replicas were named: lookups "
				"are not complete",
				(unsigned long long)figures->pairs_found,
				(unsigned long long)figures->pairs_wanted);
	if (figures->missing_wanted >= LOSSES_MIN && !agents->options->params.vanish &&
	    figures->missing_reported * PERCENT < figures->missing_wanted * REPORTED_PERCENT)
		agents_violated(agents, "%llu of %llu lost replicas were reported by siblings",
				(unsigned long long)figures->missing_reported,
				(unsigned long long)figures->missing_wanted);
}
