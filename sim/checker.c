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
 *  4. A hold is gone MARKET_HOLD_MS after the last tender that the machine saw, and, where the
 * network is good, soon after the last tender anywhere has ended.
 *  5. Every tender ends: none is open longer than MARKET_DEPLOY_MS, and none at the end of a run,
 *     which is quiet.
 *  6. No machine asks for ever to be called at a moment that has passed (world.c).
 *  7. At the end: every workload that fits has exactly R pods running, one per slot, on distinct
 *     machines if there are enough and the network is good, spread evenly otherwise; all stewards
 *     hold the same durable records, unless records stay where they were written.
 *  8. A machine takes a message for new once, and starts nothing that nobody has asked for.
 */
#include "checker.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "family.h"
#include "overlay/kad.h"
#include "overlay/view.h"

enum {
	HOLD_SLACK_MS = 50,
	TENDER_SLACK_MS = 10 * 1000,
	RELEASED_MS = 900, /* after the last tender: a check later all holds are given back */
	SLOTS_MAX = 1 << 20,
	STALL_OVER_MS = 5000,
	LATE_VERDICT_MS = OVERLAY_DEAD_MS + 4000, /* may be about the process before */
};

/* ---- components ---- */

/* With sides only, a component is a side. */
static uint8_t component_of(const struct world *world, size_t machine)
{
	return network_side(world, machine);
}

enum {
	COMPONENTS = UINT8_MAX + 1,
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

static bool in_grace(const struct world *world)
{
	return world->last_join_us >= 0 &&
	       world->now_us <= world->last_join_us + SIM_GRACE_MS * US_PER_MS;
}

/* ---- invariants 1 and 2 ---- */

/* Two pods that are alive in one slot of one component, the newest first; false: there are none. */
static bool find_pair(const struct world *world, const struct sim_pod *first,
		      const struct sim_pod **ret_a, const struct sim_pod **ret_b)
{
	for (const struct sim_pod *a = first; a; a = a->slot_next)
		for (const struct sim_pod *b = a->slot_next; b && in_a_component(world, a);
		     b = b->slot_next)
			if (in_a_component(world, b) &&
			    component_of(world, a->machine) == component_of(world, b->machine)) {
				*ret_a = a;
				*ret_b = b;
				return true;
			}
	return false;
}

static void check_slot(struct world *world, const struct sim_workload *workload, size_t slot)
{
	const struct sim_pod *a, *b;

	if (find_pair(world, workload->slots[slot], &a, &b))
		world_violate(world, &workload->uid, "slot %u of %s is alive on %s and on %s",
			      a->slot, workload->name, world->machines[b->machine].name,
			      world->machines[a->machine].name);
}

/* What is gone is of no interest any more. */
static void forget_gone(struct sim_pod **link)
{
	while (*link)
		if ((*link)->state == SIM_POD_GONE)
			*link = (*link)->slot_next;
		else
			link = &(*link)->slot_next;
}

static void check_workload(struct world *world, struct sim_workload *workload)
{
	uint32_t alive[COMPONENTS] = {0};

	for (size_t i = 0; i < workload->slot_count; i++) {
		forget_gone(&workload->slots[i]);
		for (const struct sim_pod *pod = workload->slots[i]; pod; pod = pod->slot_next)
			if (in_a_component(world, pod))
				alive[component_of(world, pod->machine)]++;
		check_slot(world, workload, i);
	}
	for (int i = 0; i < COMPONENTS; i++)
		if (alive[i] > allowed(world, workload))
			world_violate(world, &workload->uid, "%u pods of %s are alive, %u wanted",
				      alive[i], workload->name, allowed(world, workload));
}

void checker_pods(struct world *world)
{
	if (in_grace(world))
		return;
	for (size_t i = 0; i < world->workload_count; i++)
		check_workload(world, &world->workloads[i]);
}

static void slots_grow(struct sim_workload *workload, size_t count)
{
	workload->slots = mem_resize(workload->slots, count, sizeof(struct sim_pod *));
	for (size_t i = workload->slot_count; i < count; i++)
		workload->slots[i] = NULL;
	workload->slot_count = count;
}

void checker_pod_begins(struct world *world, struct sim_pod *pod)
{
	struct sim_workload *workload = world_workload(world, &pod->object_uid);
	const struct sim_pod *a, *b;

	if (!workload || pod->slot >= SLOTS_MAX) {
		world_violate(world, &pod->object_uid, "%s starts slot %u of what nobody wants",
			      world->machines[pod->machine].name, pod->slot);
		return;
	}
	pod->workload = (size_t)(workload - world->workloads);
	if (pod->slot >= workload->slot_count)
		slots_grow(workload, pod->slot + 1);
	repair_pod_begins(world, pod);
	forget_gone(&workload->slots[pod->slot]);
	pod->slot_next = workload->slots[pod->slot];
	workload->slots[pod->slot] = pod;
	if (find_pair(world, pod, &a, &b) && a == pod)
		metrics_double(world);
	if (in_grace(world))
		return;
	check_slot(world, workload, pod->slot);
	if (!world->params.stay)
		check_workload(world, workload);
}

/* What was deleted before the machine heard its answer must stay away. */
void checker_pod_resumes(struct world *world, const struct sim_pod *pod)
{
	if (in_grace(world) || pod->workload == SIM_ANY)
		return;
	check_slot(world, &world->workloads[pod->workload], pod->slot);
}

void checker_pod_runs(struct world *world, const struct sim_pod *pod)
{
	struct sim_workload *workload;

	if (pod->workload == SIM_ANY)
		return;
	repair_pod_runs(world, pod);
	workload = &world->workloads[pod->workload];
	if (!workload->placed_us && workload->running >= workload->replicas)
		workload->placed_us = world->now_us;
}

static void grace_over(struct world *world, uint64_t argument)
{
	(void)argument;
	checker_pods(world);
	if (!in_grace(world))
		family_agreed(world);
}

void checker_joined(struct world *world)
{
	int64_t until_us = world->now_us + SIM_GRACE_MS * US_PER_MS;

	family_joined(world);
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
	if (usage.tenders)
		world->no_tender_since_us = world->now_us;
	if (seen != machine->tenders_seen) {
		machine->tenders_seen = seen;
		machine->tender_seen_us = world->now_us;
	}
}

/* Everybody is connected to everybody. Elsewhere a bid may be lost with a connection of the moment,
 * and its hold ends by itself. */
static bool is_small(const struct world *world)
{
	int64_t pool = world->params.pool ? world->params.pool : OVERLAY_POOL_DEFAULT;

	return (int64_t)world->machine_count <= pool;
}

static void check_holds(struct world *world, const struct sim_machine *machine,
			const struct market_usage *usage)
{
	int64_t until_us = machine->tender_seen_us + (MARKET_HOLD_MS + HOLD_SLACK_MS) * US_PER_MS;

	if (!usage->holds)
		return;
	if (world->now_us > until_us && machine->stalled_until_us <= world->now_us)
		world_violate(world, NULL, "%s keeps %zu holds %lld ms after the last tender",
			      machine->name, usage->holds,
			      (long long)((world->now_us - machine->tender_seen_us) / US_PER_MS));
	if (world->distinct && is_small(world) &&
	    world->now_us - world->no_tender_since_us > RELEASED_MS * (int64_t)US_PER_MS)
		world_violate(world, NULL,
			      "%s keeps %zu holds, and no tender has been open for "
			      "%lld ms",
			      machine->name, usage->holds,
			      (long long)((world->now_us - world->no_tender_since_us) / US_PER_MS));
}

static void check_tenders(struct world *world, const struct sim_machine *machine)
{
	const struct market *market = node_market(machine->node);
	const struct trace *trace;
	size_t position = 0;

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

void checker_periodic(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		const struct sim_machine *machine = &world->machines[i];
		struct market_usage usage;

		if (!machine->node)
			continue;
		usage = market_usage(node_market(machine->node));
		check_holds(world, machine, &usage);
		if (usage.tenders)
			check_tenders(world, machine);
	}
	checker_pods(world);
	family_periodic(world);
}

/* ---- invariant 8 ---- */

void checker_fresh(struct world *world, const struct sim_machine *machine,
		   const struct node_signed *opened)
{
	struct {
		uint8_t nonce[NODE_TRUST_NONCE_LEN];
		uint32_t machine, process;
	} key = {.machine = machine->index, .process = machine->process};

	if (!world->watches_replays)
		return;
	memcpy(key.nonce, opened->nonce, sizeof(key.nonce));
	if (map_put(&world->taken, bytes_of(&key, sizeof(key)), world))
		world_violate(world, NULL, "%s takes a message for new that it has had before",
			      machine->name);
}

/* ---- life and death ---- */

bool checker_may_seem_dead(const struct world *world, const struct sim_machine *observer,
			   const struct sim_machine *other)
{
	int64_t now_us = world->now_us, until_us;

	/* Where one way is cut, a third machine can tell. */
	if (!network_reaches(world, observer->index, other->index))
		return true;
	if (world->network.cut_us &&
	    now_us - world->network.cut_us < SIM_GRACE_MS * (int64_t)US_PER_MS)
		return true;
	if (now_us - other->started_us < LATE_VERDICT_MS * (int64_t)US_PER_MS)
		return true;
	/* A stall longer than an answer may take is a loss; news of the verdict travels. */
	until_us = other->stalled_until_us < now_us ? other->stalled_until_us : now_us;
	return now_us < other->stalled_until_us + STALL_OVER_MS * (int64_t)US_PER_MS &&
	       until_us - other->stalled_since_us > OVERLAY_ANSWER_MS * (int64_t)US_PER_MS;
}

/* ---- overlay ---- */

/* Machines that can be reached from @first along connections, @first included. */
static size_t reach(const struct world *world, size_t first, bool *reached)
{
	size_t *queue = mem_alloc(world->machine_count, sizeof(*queue));
	size_t count = 1;

	queue[0] = first;
	reached[first] = true;
	for (size_t at = 0; at < count; at++) {
		const struct node *node = world->machines[queue[at]].node;
		struct overlay_peer peer;
		size_t position = 0;

		while (overlay_next_peer(node_overlay(node), &position, &peer)) {
			uint32_t index;

			if (!peer.connected ||
			    !sim_directory_find(world->directory, &peer.member->id, &index) ||
			    reached[index] || !world->machines[index].node)
				continue;
			reached[index] = true;
			queue[count++] = index;
		}
	}
	free(queue);
	return count;
}

/* The view of a machine: within its bounds, and known to the other side. */
static void check_view(struct world *world, const struct sim_machine *machine)
{
	const struct view *view = overlay_view(node_overlay(machine->node));

	if (view_active_count(view) > VIEW_ACTIVE_MAX ||
	    view_passive_count(view) > VIEW_PASSIVE_MAX)
		world_violate(world, NULL, "%s has %zu active neighbours and %zu passive ones",
			      machine->name, view_active_count(view), view_passive_count(view));
	for (size_t i = 0; i < view_active_count(view); i++) {
		const struct sim_machine *other = network_find(world, &view_active(view, i)->id);

		if (!other || !other->node)
			world_violate(world, NULL, "%s has a neighbour that does not run",
				      machine->name);
		else if (!view_is_active(overlay_view(node_overlay(other->node)), &machine->id))
			world_violate(world, NULL, "%s is a neighbour of %s, but not the other way",
				      other->name, machine->name);
	}
}

void checker_overlay(struct world *world)
{
	bool *reached = mem_alloc(world->machine_count, sizeof(*reached));
	size_t live = 0, first = 0, count;

	for (size_t i = 0; i < world->machine_count; i++) {
		if (!world->machines[i].node)
			continue;
		if (!live++)
			first = i;
	}
	count = live ? reach(world, first, reached) : 0;
	for (size_t i = 0; i < world->machine_count && count < live; i++)
		if (world->machines[i].node && !reached[i]) {
			world_violate(world, NULL,
				      "%zu of %zu machines are no part of the overlay, "
				      "among them %s",
				      live - count, live, world->machines[i].name);
			break;
		}
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].node)
			check_view(world, &world->machines[i]);
	free(reached);
}

/* ---- contacts ---- */

static bool is_contact(const struct kad *kad, const struct node_id *id)
{
	struct contact contact;
	size_t position = 0;

	while (kad_next_contact(kad, &position, &contact))
		if (node_id_equal(&contact.id, id))
			return true;
	return false;
}

void checker_contacts_begin(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_machine *machine = &world->machines[i];
		struct contact contact;
		size_t position = 0, count = 0;
		const struct kad *kad;

		if (!machine->node)
			continue;
		kad = overlay_kad(node_overlay(machine->node));
		machine->known = mem_resize(machine->known, kad_contact_count(kad) + 1,
					    sizeof(*machine->known));
		while (kad_next_contact(kad, &position, &contact))
			if (sim_directory_find(world->directory, &contact.id,
					       &machine->known[count]))
				count++;
		machine->known_count = count;
		machine->known_process = machine->process;
	}
}

static void check_contacts(struct world *world, const struct sim_machine *machine)
{
	const struct kad *kad = overlay_kad(node_overlay(machine->node));

	for (size_t i = 0; i < machine->known_count; i++) {
		const struct sim_machine *other = &world->machines[machine->known[i]];

		if (other->node && other->process == other->known_process &&
		    !is_contact(kad, &other->id))
			world_violate(world, NULL, "%s no longer knows %s, which lives",
				      machine->name, other->name);
	}
}

void checker_contacts_end(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_machine *machine = &world->machines[i];

		if (machine->node && machine->process == machine->known_process)
			check_contacts(world, machine);
		free(machine->known);
		machine->known = NULL;
		machine->known_count = 0;
	}
}

void checker_all_accepted(struct world *world)
{
	struct uid uid;
	uint32_t slot;

	if (metrics_first_missing(world, &uid, &slot))
		world_violate(world, &uid, "slot %u of %s is not placed although there is room",
			      slot, world_workload(world, &uid)->name);
}

/* ---- invariant 7 ---- */

static size_t schedulable_count(const struct world *world)
{
	size_t count = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		count += world->machines[i].node && world->machines[i].schedulable;
	return count;
}

/* Where an owner asks a sample, evenly is not exactly: scenario_market.c judges that. */
static void check_spread(struct world *world, const struct sim_workload *workload,
			 const uint32_t *on)
{
	size_t machines = schedulable_count(world);
	uint32_t most = (uint32_t)((workload->replicas + machines - 1) / machines);

	if (!world->distinct || world->params.stay)
		return;
	for (size_t i = 0; i < world->machine_count; i++)
		if (on[i] > most)
			world_violate(
				world, &workload->uid,
				"%u of %u replicas of %s run on %s, and there are %zu machines",
				on[i], workload->replicas, workload->name, world->machines[i].name,
				machines);
}

static void check_workload_end(struct world *world, const struct sim_workload *workload,
			       uint32_t *on)
{
	uint32_t running = 0;

	for (size_t i = 0; i < workload->slot_count; i++)
		for (const struct sim_pod *pod = workload->slots[i]; pod; pod = pod->slot_next) {
			if (pod->state != SIM_POD_RUNNING)
				continue;
			running++;
			on[pod->machine]++;
		}
	if (running != workload->replicas && !workload->hopeless)
		world_violate(world, &workload->uid, "at the end %u pods of %s run, %u wanted",
			      running, workload->name, workload->replicas);
	check_spread(world, workload, on);
	for (size_t i = 0; i < workload->slot_count; i++)
		for (const struct sim_pod *pod = workload->slots[i]; pod; pod = pod->slot_next)
			on[pod->machine] = 0;
}

/* Its tenders never end for good. */
static bool owns_hopeless(const struct world *world, const struct sim_machine *machine)
{
	for (size_t i = 0; i < world->workload_count; i++)
		if (world->workloads[i].hopeless && world->workloads[i].home == machine->index)
			return true;
	return false;
}

static bool holds_room(const struct sim_pod *pod)
{
	return pod->state != SIM_POD_GONE && pod->state != SIM_POD_ENDED;
}

static void check_machine_end(struct world *world, const struct sim_machine *machine)
{
	struct market_usage usage = market_usage(node_market(machine->node));
	uint32_t pods = 0;

	list_for_each (it, &machine->pods)
		pods += holds_room(list_entry(it, struct sim_pod, on_machine));
	if (usage.holds || (usage.tenders && !owns_hopeless(world, machine)))
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

/* Every steward keeps every record: nobody's pool is full. */
static bool is_whole_fabric(const struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].node &&
		    overlay_is_large(node_overlay(world->machines[i].node)))
			return false;
	return !world->params.stay;
}

void checker_end(struct world *world)
{
	uint32_t *on = mem_alloc(world->machine_count, sizeof(*on));

	checker_periodic(world);
	for (size_t i = 0; i < world->workload_count; i++)
		check_workload_end(world, &world->workloads[i], on);
	free(on);
	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].node)
			check_machine_end(world, &world->machines[i]);
	if (is_whole_fabric(world) && !world->params.records)
		check_records(world); /* else archive.c */
}
