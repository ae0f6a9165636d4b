/* SPDX-License-Identifier: Apache-2.0 */
/* Counting. Definitions are in metrics.h; what becomes of the counts, in metrics_figures.c. */
#include "metrics.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "checker.h"
#include "metrics_state.h"

enum {
	GOSSIP_TAG_0 = 0xb2, /* field 70 of a Message, length-delimited */
	GOSSIP_TAG_1 = 0x04,
	COPIES_PER_MACHINE_MAX = 10, /* of one broadcast; a tree makes hardly more than one */
	AT_GOSSIP = 3,               /* after the packet's type and the message's version */
};

struct metrics *metrics_new(size_t machines)
{
	struct metrics *metrics = mem_new(struct metrics);

	metrics->machine_count = machines;
	metrics->machines = mem_alloc(machines, sizeof(*metrics->machines));
	map_init(&metrics->works_by_uid, 1);
	map_init(&metrics->tenders, 1);
	map_init(&metrics->lookups, 1);
	metrics->first_given_us = -1;
	return metrics;
}

static void free_values(struct map *map)
{
	map_for_each (entry, map)
		free(entry->value);
	map_deinit(map);
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (size_t i = 0; i < metrics->work_count; i++) {
		free(metrics->works[i]->slots);
		free(metrics->works[i]);
	}
	for (size_t i = 0; i < metrics->broadcast_count; i++)
		free(metrics->broadcasts[i].expected);
	free(metrics->broadcasts);
	flood_free(metrics->flood);
	samples_deinit(&metrics->flood_last);
	free(metrics->works);
	free(metrics->machines);
	free(metrics->owners);
	free(metrics->oracle_free);
	map_deinit(&metrics->works_by_uid);
	map_deinit(&metrics->tenders);
	free_values(&metrics->lookups);
	samples_deinit(&metrics->placement);
	samples_deinit(&metrics->award);
	samples_deinit(&metrics->last_delivery);
	samples_deinit(&metrics->lookup_time);
	samples_deinit(&metrics->lookup_hops);
	samples_deinit(&metrics->detect);
	samples_deinit(&metrics->detect_first);
	samples_deinit(&metrics->detect_all);
	free(metrics);
}

/* ---- traffic ---- */

static void add_traffic(struct metrics_totals *totals, const struct node *node)
{
	for (int i = 0; i < MESSAGE_TYPE_COUNT; i++) {
		struct node_traffic sent = node_traffic(node, (enum message_type)i);

		totals->traffic[i].messages += sent.messages;
		totals->traffic[i].bytes += sent.bytes;
	}
	for (int i = 0; i < NODE_COUNTER_COUNT; i++)
		totals->counters[i] += node_counter(node, (enum node_counter)i);
}

struct metrics_totals metrics_totals_now(const struct world *world)
{
	struct metrics_totals totals = world->metrics->ended;

	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].node)
			add_traffic(&totals, world->machines[i].node);
	totals.at_us = world->now_us;
	totals.network = world->totals;
	return totals;
}

void metrics_window_open(struct world *world, enum metrics_window window)
{
	world->metrics->windows[window].begin = metrics_totals_now(world);
	world->metrics->windows[window].open = true;
}

void metrics_window_close(struct world *world, enum metrics_window window)
{
	struct metrics_span *span = &world->metrics->windows[window];

	if (!span->open)
		return;
	span->end = metrics_totals_now(world);
	span->open = false;
}

static enum message_type type_of(struct bytes bytes)
{
	enum message_type type = MESSAGE_NONE;
	struct message message;
	struct packet packet;
	struct node_id issuer;

	if (trust_peek(bytes, &issuer, &message) ||
	    (bytes.len && packet_decode(bytes, &packet) == 0 && !packet.is_envelope &&
	     message_decode(packet.body, &message) == 0)) {
		type = message.type;
		message_deinit(&message);
	}
	return type;
}

void metrics_dialled(struct world *world, struct bytes packet)
{
	world->metrics->handshakes[type_of(packet)]++;
}

/* ---- placements ---- */

static struct metrics_work *work_find(const struct metrics *metrics, const struct uid *uid)
{
	return map_get(&metrics->works_by_uid, bytes_of(uid->byte, UID_LEN));
}

static struct metrics_work *work_new(struct metrics *metrics, const struct uid *uid)
{
	struct metrics_work *work = mem_new(struct metrics_work);

	metrics->works = mem_resize(metrics->works, metrics->work_count + 1, sizeof(work));
	metrics->works[metrics->work_count++] = work;
	(void)map_put(&metrics->works_by_uid, bytes_of(uid->byte, UID_LEN), work);
	return work;
}

void metrics_given(struct world *world, size_t index)
{
	const struct sim_workload *workload = &world->workloads[index];
	struct metrics *metrics = world->metrics;
	struct metrics_work *work = work_find(metrics, &workload->uid);

	if (!work)
		work = work_new(metrics, &workload->uid);
	if (workload->replicas <= work->slot_count)
		return;
	work->slots = mem_resize(work->slots, workload->replicas, sizeof(*work->slots));
	for (size_t i = work->slot_count; i < workload->replicas; i++)
		work->slots[i] = (struct metrics_slot){.given_us = world->now_us};
	work->slot_count = workload->replicas;
	work->cpu_milli = workload->cpu_milli;
	if (metrics->first_given_us < 0)
		metrics->first_given_us = world->now_us;
}

void metrics_hopeless(struct world *world, size_t workload)
{
	struct metrics_work *work = work_find(world->metrics, &world->workloads[workload].uid);

	assert(work);
	work->hopeless = world->workloads[workload].hopeless = true;
}

void metrics_accepted(struct world *world, struct sim_machine *machine, const struct sim_pod *pod)
{
	struct metrics *metrics = world->metrics;
	struct metrics_work *work = work_find(metrics, &pod->object_uid);
	struct metrics_machine *count = &metrics->machines[machine->index];

	if (!work)
		return; /* what nobody has asked for is the checker's affair */
	metrics_oracle_accepted(world, machine, work->cpu_milli);
	if (pod->slot >= work->slot_count || work->slots[pod->slot].placed)
		return;
	work->slots[pod->slot].placed = true;
	work->placed++;
	count->placed++;
	metrics->placed++;
	metrics->last_accepted_us = world->now_us;
	samples_add(&metrics->placement, world->now_us - work->slots[pod->slot].given_us);
}

void metrics_gone(struct world *world, const struct sim_pod *pod)
{
	const struct metrics_work *work = work_find(world->metrics, &pod->object_uid);

	if (work)
		world->metrics->machines[pod->machine].used_milli -= work->cpu_milli;
}

void metrics_double(struct world *world)
{
	world->metrics->double_placed++;
}

bool metrics_first_missing(const struct world *world, struct uid *ret_uid, uint32_t *ret_slot)
{
	for (size_t i = 0; i < world->workload_count; i++) {
		const struct sim_workload *workload = &world->workloads[i];
		const struct metrics_work *work = work_find(world->metrics, &workload->uid);
		uint32_t slot = 0;

		if (workload->hopeless)
			continue;
		while (slot < workload->replicas && work->slots[slot].placed)
			slot++;
		if (slot == workload->replicas)
			continue;
		*ret_uid = workload->uid;
		*ret_slot = slot;
		return true;
	}
	return false;
}

bool metrics_all_accepted(const struct world *world, size_t workload)
{
	const struct metrics_work *work =
		work_find(world->metrics, &world->workloads[workload].uid);

	return work && work->placed == work->slot_count;
}

/* ---- tenders ---- */

void metrics_pumped(struct world *world, const struct sim_machine *machine)
{
	struct metrics *metrics = world->metrics;
	struct metrics_machine *count = &metrics->machines[machine->index];
	uint64_t awards = node_counter(machine->node, NODE_COUNT_AWARDS_SENT);

	if (awards == count->awards || count->is_owner) {
		count->awards = awards;
		return;
	}
	count->awards = awards;
	count->is_owner = true;
	if (metrics->owner_count == metrics->owner_cap) {
		metrics->owner_cap = metrics->owner_cap ? 2 * metrics->owner_cap : 64;
		metrics->owners = mem_resize(metrics->owners, metrics->owner_cap, sizeof(size_t));
	}
	metrics->owners[metrics->owner_count++] = machine->index;
}

/* Tenders that have come to an award since the last look. */
static void look_at_tenders(struct metrics *metrics, const struct sim_machine *machine)
{
	const struct market *market = node_market(machine->node);
	const struct trace *trace;
	size_t position = 0;

	while ((trace = market_next_trace(market, &position)) != NULL) {
		struct bytes id = bytes_of(trace->tender_id.byte, sizeof(trace->tender_id.byte));
		size_t at = 0;

		while (at < trace->step_count && trace->steps[at].stage != TRACE_AWARDED)
			at++;
		if (at == trace->step_count || map_get(&metrics->tenders, id))
			continue;
		(void)map_put(&metrics->tenders, id, metrics);
		samples_add(&metrics->award,
			    mono_since_us(trace->steps[at].at, trace->steps[0].at));
	}
}

void metrics_periodic(struct world *world)
{
	struct metrics *metrics = world->metrics;

	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].heap_bytes > metrics->heap_max)
			metrics->heap_max = world->machines[i].heap_bytes;
	for (size_t i = 0; i < metrics->owner_count; i++) {
		const struct sim_machine *machine = &world->machines[metrics->owners[i]];

		metrics->machines[machine->index].is_owner = false;
		if (machine->node)
			look_at_tenders(metrics, machine);
	}
	metrics->owner_count = 0;
}

/* ---- broadcasts ---- */

static bool bit_get(const uint8_t *bits, size_t at)
{
	return bits[at / 8] >> (at % 8) & 1;
}

static void bit_clear(uint8_t *bits, size_t at)
{
	bits[at / 8] = (uint8_t)(bits[at / 8] & ~(1U << (at % 8)));
}

static void compare_flood(struct world *world, const struct metrics_broadcast *broadcast)
{
	struct metrics *metrics = world->metrics;
	struct flood_result result;

	if (!metrics->flood)
		metrics->flood = flood_new(world);
	result = flood_run(world, metrics->flood, broadcast->origin);
	metrics->flood_expected += broadcast->expected_count;
	metrics->flood_reached += result.reached;
	metrics->flood_copies += result.copies;
	samples_add(&metrics->flood_last, result.last_us);
}

void metrics_work_ends(struct world *world)
{
	struct metrics *metrics = world->metrics;

	if (metrics->work_is_over)
		return;
	metrics->work_is_over = true;
	metrics->work_end = metrics_totals_now(world);
	memcpy(metrics->work_handshakes, metrics->handshakes, sizeof(metrics->handshakes));
	metrics->work_placed = metrics->placed;
}

void metrics_broadcast(struct world *world, size_t origin, bool warm)
{
	struct metrics *metrics = world->metrics;
	struct metrics_broadcast *broadcast;

	metrics_work_ends(world);
	metrics->broadcasts = mem_resize(metrics->broadcasts, metrics->broadcast_count + 1,
					 sizeof(*metrics->broadcasts));
	broadcast = &metrics->broadcasts[metrics->broadcast_count++];
	*broadcast = (struct metrics_broadcast){
		.origin = origin,
		.begin_us = world->now_us,
		.last_us = world->now_us,
		.warm = warm,
		.expected = mem_alloc((world->machine_count + 7) / 8, 1),
	};
	for (size_t i = 0; i < world->machine_count; i++) {
		if (!world->machines[i].node || i == origin || !network_reaches(world, origin, i))
			continue;
		broadcast->expected[i / 8] |= (uint8_t)(1U << (i % 8));
		broadcast->expected_count++;
	}
	metrics->broadcasts_open++;
	if (!warm)
		compare_flood(world, broadcast);
}

/* The id of a GOSSIP, without decoding its payload; NULL for anything else. */
static const uint8_t *gossip_id(struct bytes packet)
{
	size_t at = AT_GOSSIP + 2;

	if (packet.len < AT_GOSSIP + 2 || packet.ptr[AT_GOSSIP] != GOSSIP_TAG_0 ||
	    packet.ptr[AT_GOSSIP + 1] != GOSSIP_TAG_1)
		return NULL;
	while (at < packet.len && packet.ptr[at] & 0x80) /* the length */
		at++;
	at += 3; /* its last byte, the tag and the length of the id */
	return at + UID_LEN <= packet.len ? packet.ptr + at : NULL;
}

/* Which probe a broadcast belongs to: its first copies come from the origin itself. */
static struct metrics_broadcast *broadcast_of(struct metrics *metrics, size_t from,
					      const uint8_t *id)
{
	struct metrics_broadcast *unknown = NULL;

	for (size_t i = metrics->broadcast_count; i-- > 0;) {
		struct metrics_broadcast *broadcast = &metrics->broadcasts[i];

		if (broadcast->known && memcmp(broadcast->id, id, UID_LEN) == 0)
			return broadcast;
		if (!broadcast->known && !broadcast->over && broadcast->origin == from)
			unknown = broadcast;
		if (broadcast->over)
			break; /* they end in the order of their beginning */
	}
	if (unknown) {
		unknown->known = true;
		memcpy(unknown->id, id, UID_LEN);
	}
	return unknown;
}

/* Where everyone is connected to everyone, a disposal is sent as it is. */
static bool disposal_id(struct bytes packet, uint8_t id[UID_LEN])
{
	struct message message;
	struct node_id issuer;
	bool is_disposal;

	if (!trust_peek(packet, &issuer, &message))
		return false;
	is_disposal = message.type == MESSAGE_DISPOSAL;
	if (is_disposal)
		memcpy(id, message.disposal.object.uid.byte, UID_LEN);
	message_deinit(&message);
	return is_disposal;
}

void metrics_packet(struct world *world, size_t from, size_t to, struct bytes packet)
{
	struct metrics *metrics = world->metrics;
	struct metrics_broadcast *broadcast;
	const uint8_t *id;
	uint8_t uid[UID_LEN];

	if (!metrics->broadcasts_open)
		return;
	id = gossip_id(packet);
	if (!id && disposal_id(packet, uid))
		id = uid;
	broadcast = id ? broadcast_of(metrics, from, id) : NULL;
	if (!broadcast)
		return;
	if (++broadcast->copies > COPIES_PER_MACHINE_MAX * (uint64_t)world->machine_count)
		world_violate(world, NULL, "a broadcast of %s goes round and round",
			      world->machines[broadcast->origin].name);
	if (!bit_get(broadcast->expected, to))
		return;
	bit_clear(broadcast->expected, to);
	broadcast->delivered++;
	broadcast->last_us = world->now_us;
}

void metrics_broadcasts_end(struct world *world)
{
	struct metrics *metrics = world->metrics;

	for (size_t i = 0; i < metrics->broadcast_count; i++) {
		struct metrics_broadcast *broadcast = &metrics->broadcasts[i];

		if (broadcast->over)
			continue;
		broadcast->over = true;
		if (broadcast->warm)
			continue;
		if (broadcast->delivered == broadcast->expected_count)
			samples_add(&metrics->last_delivery,
				    broadcast->last_us - broadcast->begin_us);
	}
	metrics->broadcasts_open = 0;
}

/* A machine that ends during a broadcast is not expected to have got it. */
static void broadcasts_forget(struct metrics *metrics, size_t machine)
{
	if (!metrics->broadcasts_open)
		return;
	for (size_t i = 0; i < metrics->broadcast_count; i++) {
		struct metrics_broadcast *broadcast = &metrics->broadcasts[i];

		if (broadcast->over || !bit_get(broadcast->expected, machine))
			continue;
		bit_clear(broadcast->expected, machine);
		broadcast->expected_count--;
	}
}

/* ---- life and death ---- */

static void remember_observers(struct world *world, const struct sim_machine *machine,
			       struct metrics_machine *lost)
{
	const struct view *view = overlay_view(node_overlay(machine->node));

	lost->observer_count = 0;
	for (size_t i = 0; i < view_active_count(view) && i < VIEW_ACTIVE_MAX; i++) {
		const struct sim_machine *other = network_find(world, &view_active(view, i)->id);

		if (other)
			lost->observers[lost->observer_count++] = other->index;
	}
}

void metrics_process_ends(struct world *world, const struct sim_machine *machine)
{
	struct metrics *metrics = world->metrics;
	struct metrics_machine *count = &metrics->machines[machine->index];

	look_at_tenders(metrics, machine);
	add_traffic(&metrics->ended, machine->node);
	broadcasts_forget(metrics, machine->index);
	count->awards = 0;
	count->lost_us = world->now_us;
	count->declared = false;
	remember_observers(world, machine, count);
}

static void verdict_about_dead(struct world *world, uint32_t observer, struct metrics_machine *lost)
{
	struct metrics *metrics = world->metrics;
	int64_t after_us = world->now_us - lost->lost_us;

	metrics->verdicts++;
	samples_add(&metrics->detect_all, after_us);
	for (size_t i = 0; i < lost->observer_count; i++)
		if (lost->observers[i] == observer)
			samples_add(&metrics->detect, after_us);
	if (!lost->declared)
		samples_add(&metrics->detect_first, after_us);
	lost->declared = true;
}

void metrics_peer(struct world *world, const struct sim_machine *machine, const struct node_id *id,
		  enum member_state state)
{
	struct metrics *metrics = world->metrics;
	const struct sim_machine *other = network_find(world, id);

	if (!other || state != MEMBER_DEAD)
		return;
	if (!other->node) {
		verdict_about_dead(world, machine->index, &metrics->machines[other->index]);
		return;
	}
	metrics->verdicts++;
	if (checker_may_seem_dead(world, machine, other))
		return;
	metrics->false_positives++;
	world_tell(world, NULL, "%s is wrong about %s", machine->name, other->name);
}
