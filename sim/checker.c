/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be true, watched from outside.
 *
 * A *component* is a set of machines whose daemons run and hear each other. A pod is *alive* from
 * the moment its host is told to start it until its host is told to stop it or loses its power; the
 * pod of a machine whose daemon does not run belongs to no component. Two machines *join* when a
 * partition heals or a daemon starts while its host still runs pods or its peers knew it before.
 *
 *  1. In every component, at every moment later than SIM_GRACE_MS after the last join (and from the
 *     beginning while there was none): no slot of a workload has two pods alive, and no more than R
 *     pods of it are alive. R is the largest target of the last SIM_GRACE_MS; while the world is
 *     apart, targets from before count until SIM_GRACE_MS after it is whole again.
 *     Crashes and partitions excuse nothing: what separates cannot make copies inside a component.
 *  2. So surplus is gone SIM_GRACE_MS after a heal: the same rule at that moment.
 *  3. No machine has ever promised or bound more than it has.
 *  4. A hold is gone MARKET_HOLD_MS after the last tender that the machine saw.
 *  5. Every tender ends: none is open longer than MARKET_DEPLOY_MS, and none at the end of a run,
 *     which is quiet.
 *  6. No machine asks for ever to be called at a moment that has passed (world.c).
 *  7. At the end: every workload has exactly R pods running, one per slot, on distinct machines if
 *     there are enough and the network is good, spread evenly otherwise; all stewards hold the same
 *     durable records.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	HOLD_SLACK_MS = 50,
	TENDER_SLACK_MS = 10 * 1000,
};

/* ---- components ---- */

/* With sides only, a component is a side. */
static uint8_t component_of(const struct world *world, size_t machine)
{
	return network_side(world, machine);
}

enum {
	COMPONENTS = 2,
};

static bool in_a_component(const struct world *world, const struct sim_pod *pod)
{
	const struct sim_machine *machine = &world->machines[pod->machine];

	return host_is_alive(pod) && machine->powered && machine->node;
}

static uint32_t allowed(const struct world *world, const struct sim_workload *workload)
{
	uint32_t replicas = workload->replicas;

	for (size_t i = 0; i < workload->old_count; i++)
		if (workload->old[i].until_us > world->now_us &&
		    workload->old[i].replicas > replicas)
			replicas = workload->old[i].replicas;
	return replicas;
}

static struct sim_workload *workload_find(struct world *world, const struct uid *uid)
{
	for (size_t i = 0; i < world->workload_count; i++)
		if (uid_equal(&world->workloads[i].uid, uid))
			return &world->workloads[i];
	return NULL;
}

/* ---- invariant 1 and 2 ---- */

static void check_pair(struct world *world, const struct sim_pod *a, const struct sim_pod *b)
{
	if (a->slot != b->slot || !uid_equal(&a->object_uid, &b->object_uid) ||
	    component_of(world, a->machine) != component_of(world, b->machine))
		return;
	world_violate(world, &a->object_uid, "slot %u of %s is alive on %s and on %s", a->slot,
		      workload_find(world, &a->object_uid)->name, world->machines[a->machine].name,
		      world->machines[b->machine].name);
}

static void check_count(struct world *world, const struct sim_workload *workload,
			const uint32_t count[COMPONENTS])
{
	for (int i = 0; i < COMPONENTS; i++)
		if (count[i] > allowed(world, workload))
			world_violate(world, &workload->uid, "%u pods of %s are alive, %u wanted",
				      count[i], workload->name, allowed(world, workload));
}

static int compare_pods(const void *a, const void *b)
{
	const struct sim_pod *const *left = a, *const *right = b;
	int order = uid_compare(&(*left)->object_uid, &(*right)->object_uid);

	if (order == 0)
		order = ((*left)->slot > (*right)->slot) - ((*left)->slot < (*right)->slot);
	return order ? order : uid_compare(&(*left)->uid, &(*right)->uid);
}

/* Pods alive in some component, by workload and slot. */
static struct sim_pod **pods_alive(const struct world *world, size_t *ret_count)
{
	struct sim_pod **pods = mem_alloc(world->pod_count, sizeof(struct sim_pod *));
	size_t count = 0;

	for (size_t i = 0; i < world->pod_count; i++)
		if (in_a_component(world, world->pods[i]))
			pods[count++] = world->pods[i];
	if (count)
		qsort(pods, count, sizeof(struct sim_pod *), compare_pods);
	*ret_count = count;
	return pods;
}

static bool in_grace(const struct world *world)
{
	return world->last_join_us >= 0 &&
	       world->now_us <= world->last_join_us + SIM_GRACE_MS * US_PER_MS;
}

void checker_pods(struct world *world)
{
	struct sim_pod **pods;
	size_t count;

	if (in_grace(world))
		return;
	pods = pods_alive(world, &count);
	for (size_t i = 0; i < count;) {
		const struct sim_workload *workload = workload_find(world, &pods[i]->object_uid);
		uint32_t alive[COMPONENTS] = {0};
		size_t first = i;

		for (; i < count && uid_equal(&pods[i]->object_uid, &pods[first]->object_uid);
		     i++) {
			alive[component_of(world, pods[i]->machine)]++;
			for (size_t j = i; j > first && pods[j - 1]->slot == pods[i]->slot; j--)
				check_pair(world, pods[j - 1], pods[i]);
		}
		check_count(world, workload, alive);
	}
	free(pods);
}

static void grace_over(struct world *world, uint64_t argument)
{
	(void)argument;
	checker_pods(world);
}

void checker_joined(struct world *world)
{
	int64_t until_us = world->now_us + SIM_GRACE_MS * US_PER_MS;

	world->last_join_us = world->now_us;
	world_event(world, SIM_ACTION, SIM_GRACE_MS * US_PER_MS + 1)->action = grace_over;
	for (size_t i = 0; i < world->workload_count; i++)
		for (size_t j = 0; j < world->workloads[i].old_count; j++)
			if (world->workloads[i].old[j].until_us > world->now_us)
				world->workloads[i].old[j].until_us = until_us;
}

/* ---- invariants 3 to 5 ---- */

void checker_machine(struct world *world, struct sim_machine *machine)
{
	struct market_usage usage = market_usage(node_market(machine->node));
	uint64_t seen = node_counter(machine->node, NODE_COUNT_TENDERS_SEEN);

	if (usage.cpu_milli < 0 || usage.memory_bytes < 0 || usage.cpu_milli > machine->cpu_milli ||
	    usage.memory_bytes > machine->memory_bytes)
		world_violate(world, NULL, "%s has bound %lld of %lld milli-cores", machine->name,
			      (long long)usage.cpu_milli, (long long)machine->cpu_milli);
	if (seen != machine->tenders_seen) {
		machine->tenders_seen = seen;
		machine->tender_seen_us = world->now_us;
	}
}

static void check_holds(struct world *world, const struct sim_machine *machine)
{
	struct market_usage usage = market_usage(node_market(machine->node));
	int64_t until_us = machine->tender_seen_us + (MARKET_HOLD_MS + HOLD_SLACK_MS) * US_PER_MS;

	if (usage.holds > 0 && world->now_us > until_us)
		world_violate(world, NULL, "%s keeps %zu holds %lld ms after the last tender",
			      machine->name, usage.holds,
			      (long long)((world->now_us - machine->tender_seen_us) / US_PER_MS));
}

static void check_tenders(struct world *world, const struct sim_machine *machine)
{
	const struct market *market = node_market(machine->node);
	const struct trace *trace;
	size_t position = 0;

	if (market_usage(market).tenders == 0)
		return;
	while ((trace = market_next_trace(market, &position)) != NULL) {
		int64_t age_us = trace->open && trace->step_count
					 ? machine_now(world, machine).us - trace->steps[0].at.us
					 : 0;

		if (age_us > (MARKET_DEPLOY_MS + TENDER_SLACK_MS) * (int64_t)US_PER_MS)
			world_violate(world, &trace->object.uid,
				      "a tender of %s for %s is open for %lld ms", machine->name,
				      trace->object.name, (long long)(age_us / US_PER_MS));
	}
}

static bool is_placed(const struct world *world, const struct sim_workload *workload)
{
	uint32_t running = 0;

	for (size_t i = 0; i < world->pod_count; i++)
		running += world->pods[i]->state == SIM_POD_RUNNING &&
			   uid_equal(&world->pods[i]->object_uid, &workload->uid);
	return running >= workload->replicas;
}

void checker_workload(struct world *world, const struct uid *object_uid)
{
	struct sim_workload *workload = workload_find(world, object_uid);

	if (workload && !workload->placed_us && is_placed(world, workload))
		workload->placed_us = world->now_us;
}

void checker_periodic(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		if (!world->machines[i].node)
			continue;
		check_holds(world, &world->machines[i]);
		check_tenders(world, &world->machines[i]);
	}
	checker_pods(world);
}

/* ---- invariant 7 ---- */

static size_t schedulable_count(const struct world *world)
{
	size_t count = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		count += world->machines[i].node && world->machines[i].schedulable;
	return count;
}

static void check_spread(struct world *world, const struct sim_workload *workload,
			 const uint32_t *on)
{
	size_t machines = schedulable_count(world);
	uint32_t most = (uint32_t)((workload->replicas + machines - 1) / machines);

	if (!world->distinct)
		return;
	for (size_t i = 0; i < world->machine_count; i++)
		if (on[i] > most)
			world_violate(
				world, &workload->uid,
				"%u of %u replicas of %s run on %s, and there are %zu machines",
				on[i], workload->replicas, workload->name, world->machines[i].name,
				machines);
}

static void check_workload_end(struct world *world, const struct sim_workload *workload)
{
	uint32_t *on = mem_alloc(world->machine_count, sizeof(*on));
	uint32_t running = 0;

	for (size_t i = 0; i < world->pod_count; i++) {
		const struct sim_pod *pod = world->pods[i];

		if (!uid_equal(&pod->object_uid, &workload->uid) || pod->state != SIM_POD_RUNNING)
			continue;
		running++;
		on[pod->machine]++;
	}
	if (running != workload->replicas)
		world_violate(world, &workload->uid, "at the end %u pods of %s run, %u wanted",
			      running, workload->name, workload->replicas);
	check_spread(world, workload, on);
	free(on);
}

static void check_machine_end(struct world *world, const struct sim_machine *machine)
{
	struct market_usage usage = market_usage(node_market(machine->node));
	uint32_t pods = 0;

	list_for_each (it, &machine->pods)
		pods += list_entry(it, struct sim_pod, on_machine)->state != SIM_POD_GONE;
	if (usage.holds || usage.tenders)
		world_violate(world, NULL, "at the end %s has %zu holds and %zu open tenders",
			      machine->name, usage.holds, usage.tenders);
	if (usage.pods != pods)
		world_violate(world, NULL, "at the end %s counts %u pods and runs %u",
			      machine->name, usage.pods, pods);
}

static const enum record_kind kinds[] = {RECORD_OBJECT, RECORD_TOMBSTONE, RECORD_PRESENCE};

static void check_records_of(struct world *world, const struct sim_machine *first,
			     const struct sim_machine *machine, enum record_kind kind)
{
	const struct records *ours = node_records(first->node);
	const struct records *theirs = node_records(machine->node);
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(ours, kind, NULL, NULL, &position)) != NULL) {
		const struct record_item *other = records_get(theirs, &item->record.key);

		if (!other ||
		    record_version_compare(&item->record.version, &other->record.version) != 0)
			world_violate(world, &item->record.object.uid,
				      "at the end %s and %s differ about a record of kind %d of %s",
				      first->name, machine->name, (int)kind,
				      item->record.object.name);
	}
	if (records_count(ours, kind) != records_count(theirs, kind))
		world_violate(world, NULL, "at the end %s has %zu records of kind %d, %s has %zu",
			      first->name, records_count(ours, kind), (int)kind, machine->name,
			      records_count(theirs, kind));
}

static void check_records(struct world *world)
{
	const struct sim_machine *first = NULL;

	for (size_t i = 0; i < world->machine_count; i++) {
		const struct sim_machine *machine = &world->machines[i];

		if (!machine->steward || !machine->node)
			continue;
		if (!first)
			first = machine;
		for (size_t j = 0; j < ARRAY_LEN(kinds) && machine != first; j++)
			check_records_of(world, first, machine, kinds[j]);
	}
}

void checker_end(struct world *world)
{
	checker_periodic(world);
	for (size_t i = 0; i < world->workload_count; i++)
		check_workload_end(world, &world->workloads[i]);
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].node)
			check_machine_end(world, &world->machines[i]);
	check_records(world);
}
