/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An envelope is here one byte that names its writer and the encoded record: what signatures prove
 * is another module's business.
 */
#include "cluster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "make.h"

enum event_type {
	EVENT_PACKET,
	EVENT_DISK,
	EVENT_LINK,
};

struct cluster_event {
	struct cluster_event *next;
	struct mono at;
	enum event_type type;
	size_t from, to;
	bool is_envelope;
	struct buf bytes;
	struct record_key key;
	struct record_version version;
};

static const enum record_kind all_kinds[] = {RECORD_OBJECT, RECORD_TOMBSTONE, RECORD_PRESENCE,
					     RECORD_NODE};

static struct wall cluster_fabric(const struct cluster *cluster)
{
	return make_fabric(cluster->now.us / US_PER_MS);
}

static struct cluster_event *cluster_schedule(struct cluster *cluster, enum event_type type,
					      int64_t in_us)
{
	struct cluster_event *event = mem_new(struct cluster_event), **at = &cluster->events;

	event->type = type;
	event->at = mono_add_us(cluster->now, in_us);
	while (*at && (*at)->at.us <= event->at.us)
		at = &(*at)->next;
	event->next = *at;
	*at = event;
	return event;
}

static size_t machine_by_id(const struct cluster *cluster, const struct node_id *id)
{
	size_t n = 0;

	while (!node_id_equal(&cluster->machines[n].id, id))
		n++;
	assert(n < cluster->count);
	return n;
}

/* Datagrams of all kinds get lost; delays of 1 to 20 ms reorder them. */
static void effect_send(struct cluster *cluster, size_t from, const struct records_effect *effect)
{
	struct cluster_event *event;

	if (prng_below(&cluster->prng, 100) < cluster->loss_percent)
		return;
	event = cluster_schedule(cluster, EVENT_PACKET,
				 1000 + (int64_t)prng_below(&cluster->prng, 19000));
	event->from = from;
	event->to = machine_by_id(cluster, &effect->to);
	event->is_envelope = effect->is_envelope;
	if (effect->is_envelope)
		buf_append_bytes(&event->bytes, effect->envelope);
	else
		message_encode(&effect->message, &event->bytes);
}

static size_t disk_slot(const struct cluster_machine *machine, const struct record_key *key)
{
	size_t slot = 0;

	while (slot < machine->disk_count &&
	       record_key_compare(&machine->disk_keys[slot], key) != 0)
		slot++;
	return slot;
}

static void effect_persist(struct cluster *cluster, size_t n, const struct records_effect *effect)
{
	struct cluster_machine *machine = &cluster->machines[n];
	size_t slot = disk_slot(machine, &effect->key);
	struct cluster_event *event = cluster_schedule(cluster, EVENT_DISK, 3000);

	assert(slot < CLUSTER_DISK_MAX);
	if (slot == machine->disk_count)
		machine->disk_keys[machine->disk_count++] = effect->key;
	buf_clear(&machine->disk[slot]);
	buf_append_bytes(&machine->disk[slot], bytes_buf(&effect->item->envelope));
	event->to = n;
	event->key = effect->key;
	event->version = effect->item->record.version;
}

static void effect_forget(struct cluster *cluster, size_t n, const struct records_effect *effect)
{
	struct cluster_machine *machine = &cluster->machines[n];
	size_t slot = disk_slot(machine, &effect->key);

	if (slot == machine->disk_count)
		return;
	machine->disk_count--;
	buf_deinit(&machine->disk[slot]);
	machine->disk[slot] = machine->disk[machine->disk_count];
	machine->disk_keys[slot] = machine->disk_keys[machine->disk_count];
	machine->disk[machine->disk_count] = (struct buf){0};
}

static void machine_effects(struct cluster *cluster, size_t n)
{
	struct cluster_machine *machine = &cluster->machines[n];
	const struct records_effect *effect;

	while ((effect = records_next_effect(machine->records))) {
		switch (effect->type) {
		case RECORDS_SEND:
			effect_send(cluster, n, effect);
			break;
		case RECORDS_PERSIST:
			effect_persist(cluster, n, effect);
			break;
		case RECORDS_FORGET:
			effect_forget(cluster, n, effect);
			break;
		case RECORDS_PUT_DONE:
			machine->done++;
			machine->quorums += effect->quorum;
			break;
		case RECORDS_ABSENT:
			machine->absent[machine->absent_count++] = effect->key.uid.byte[0];
			assert(machine->absent_count < CLUSTER_ABSENT_MAX);
			break;
		case RECORDS_LOCATE:
		case RECORDS_LOCATED:
		case RECORDS_NEAR:
		case RECORDS_FETCHED:
		case RECORDS_CHANGED:
		case RECORDS_NAME_CLASH:
		case RECORDS_RIVALS:
			break;
		}
	}
}

static struct record_writer envelope_writer(struct bytes envelope)
{
	return (struct record_writer){.id = make_id(envelope.ptr[0]), .steward = true};
}

static struct message envelope_open(struct bytes envelope)
{
	struct message message;

	if (message_decode(bytes_of(envelope.ptr + 1, envelope.len - 1), &message) != 0)
		abort();
	return message;
}

static void event_packet(struct cluster *cluster, const struct cluster_event *event)
{
	struct cluster_machine *machine = &cluster->machines[event->to];
	const struct node_id *from = &cluster->machines[event->from].id;
	struct bytes bytes = bytes_buf(&event->bytes);
	struct record_writer writer;
	struct message message;
	int outcome;

	if (!machine->up || cluster->groups[event->from] != cluster->groups[event->to])
		return;
	if (event->is_envelope) {
		writer = envelope_writer(bytes);
		message = envelope_open(bytes);
		outcome = records_receive(machine->records, cluster->now, cluster_fabric(cluster),
					  from, &writer, &message.record, bytes);
		assert(outcome >= 0);
	} else {
		if (message_decode(bytes, &message) != 0)
			abort();
		records_receive_message(machine->records, cluster->now, from, &message);
	}
	message_deinit(&message);
	machine_effects(cluster, event->to);
}

static void event_disk(struct cluster *cluster, const struct cluster_event *event)
{
	struct cluster_machine *machine = &cluster->machines[event->to];

	if (!machine->up)
		return;
	records_persisted(machine->records, cluster->now, &event->key, &event->version, true);
	machine_effects(cluster, event->to);
}

/* The stewards that machine @n knows to live: itself, and those it is linked to. */
static void machine_stewards(struct cluster *cluster, size_t n)
{
	struct node_id ids[CLUSTER_MAX];
	size_t count = 0;

	for (size_t i = 0; i < cluster->count; i++) {
		if (cluster->machines[i].keeper && (i == n || cluster->machines[n].linked[i]))
			ids[count++] = cluster->machines[i].id;
	}
	records_set_stewards(cluster->machines[n].records, cluster->now, ids, count);
}

static bool may_hear(const struct cluster *cluster, size_t a, size_t b)
{
	return cluster->machines[a].up && cluster->machines[b].up &&
	       cluster->groups[a] == cluster->groups[b];
}

/* Tell @n whether @about is there. */
static void machine_link(struct cluster *cluster, size_t n, size_t about)
{
	struct cluster_machine *machine = &cluster->machines[n];
	bool linked = may_hear(cluster, n, about);

	if (!machine->up || machine->linked[about] == linked)
		return;
	machine->linked[about] = linked;
	machine_stewards(cluster, n);
	if (linked)
		records_peer_up(machine->records, cluster->now, &cluster->machines[about].id);
	else
		records_peer_lost(machine->records, cluster->now, &cluster->machines[about].id);
	machine_effects(cluster, n);
}

static void cluster_event_run(struct cluster *cluster)
{
	struct cluster_event *event = cluster->events;

	cluster->events = event->next;
	if (event->type == EVENT_PACKET)
		event_packet(cluster, event);
	else if (event->type == EVENT_DISK)
		event_disk(cluster, event);
	else
		machine_link(cluster, event->to, event->from);
	buf_deinit(&event->bytes);
	free(event);
}

static size_t cluster_next_tick(const struct cluster *cluster, struct mono *ret_at)
{
	size_t first = 0;

	*ret_at = MONO_NEVER;
	for (size_t i = 0; i < cluster->count; i++) {
		struct mono at;

		if (!cluster->machines[i].up)
			continue;
		at = records_deadline(cluster->machines[i].records);
		if (at.us < ret_at->us) {
			*ret_at = at;
			first = i;
		}
	}
	return first;
}

void cluster_run_ms(struct cluster *cluster, int64_t ms)
{
	struct mono end = mono_add_ms(cluster->now, ms), tick_at;

	for (;;) {
		size_t n = cluster_next_tick(cluster, &tick_at);
		struct mono event_at = cluster->events ? cluster->events->at : MONO_NEVER;
		struct mono at = mono_min(tick_at, event_at);

		if (at.us > end.us)
			break;
		if (at.us > cluster->now.us)
			cluster->now = at;
		if (event_at.us <= tick_at.us) {
			cluster_event_run(cluster);
		} else {
			records_tick(cluster->machines[n].records, cluster->now,
				     cluster_fabric(cluster));
			machine_effects(cluster, n);
		}
	}
	cluster->now = end;
}

/* Each pair learns what has become of it: a meeting at once, a loss after a while. */
static void cluster_relink(struct cluster *cluster, size_t n)
{
	for (size_t i = 0; i < cluster->count; i++) {
		int64_t in_us = may_hear(cluster, i, n) ? 5000 : CLUSTER_LOST_MS * US_PER_MS;
		struct cluster_event *event;

		if (i == n)
			continue;
		event = cluster_schedule(cluster, EVENT_LINK, in_us);
		event->from = i;
		event->to = n;
		event = cluster_schedule(cluster, EVENT_LINK, in_us);
		event->from = n;
		event->to = i;
	}
}

void cluster_move(struct cluster *cluster, size_t n, unsigned group)
{
	cluster->groups[n] = group;
	cluster_relink(cluster, n);
}

void cluster_stop(struct cluster *cluster, size_t n)
{
	struct cluster_machine *machine = &cluster->machines[n];

	records_free(machine->records);
	machine->records = NULL;
	machine->up = false;
	memset(machine->linked, 0, sizeof(machine->linked));
	cluster_relink(cluster, n);
}

void cluster_start(struct cluster *cluster, size_t n)
{
	struct cluster_machine *machine = &cluster->machines[n];
	struct records_config config = {
		.self = machine->id,
		.keeper = machine->keeper,
		.seed = prng_next(&cluster->prng),
	};

	machine->records = records_new(&config);
	machine->up = true;
	machine_stewards(cluster, n);
	for (size_t slot = 0; slot < machine->disk_count; slot++) {
		struct bytes envelope = bytes_buf(&machine->disk[slot]);
		struct record_writer writer = envelope_writer(envelope);
		struct message message = envelope_open(envelope);
		int outcome = records_restore(machine->records, &message.record, envelope, &writer);

		assert(outcome == 0 || outcome == RECORDS_E_DELETED);
		message_deinit(&message);
	}
	machine_effects(cluster, n);
	cluster_relink(cluster, n);
}

void cluster_init(struct cluster *cluster, size_t count, size_t keepers, uint64_t seed)
{
	*cluster = (struct cluster){.count = count, .prng = prng_seeded(seed)};
	for (size_t i = 0; i < count; i++) {
		cluster->machines[i].id = make_id((uint8_t)(i + 1));
		cluster->machines[i].keeper = i < keepers;
	}
	for (size_t i = 0; i < count; i++)
		cluster_start(cluster, i);
	cluster_run_ms(cluster, 100);
}

void cluster_deinit(struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->count; i++) {
		struct cluster_machine *machine = &cluster->machines[i];

		records_free(machine->records);
		for (size_t slot = 0; slot < machine->disk_count; slot++)
			buf_deinit(&machine->disk[slot]);
	}
	while (cluster->events) {
		struct cluster_event *event = cluster->events;

		cluster->events = event->next;
		buf_deinit(&event->bytes);
		free(event);
	}
}

int cluster_put(struct cluster *cluster, size_t n, struct record record, uint64_t expected_hlc)
{
	struct cluster_machine *machine = &cluster->machines[n];
	struct wall fabric = cluster_fabric(cluster);
	struct buf envelope = {0}, encoded;
	uint8_t writer = machine->id.byte[0];
	uint64_t token;
	int outcome;

	record.version.hlc = records_clock_next(machine->records, fabric);
	record.version.digest.byte[2] = writer;
	record.written_ms = fabric.ms;
	encoded = make_envelope(&record);
	buf_append(&envelope, &writer, 1);
	buf_append_bytes(&envelope, bytes_buf(&encoded));
	outcome = records_put(machine->records, cluster->now, fabric, &record, bytes_buf(&envelope),
			      expected_hlc, &token);
	buf_deinit(&encoded);
	buf_deinit(&envelope);
	record_deinit(&record);
	machine_effects(cluster, n);
	return outcome;
}

/* All live records of @machine in order, as one string of bytes. */
static struct buf machine_contents(const struct cluster_machine *machine)
{
	struct buf contents = {0};

	for (size_t i = 0; i < ARRAY_LEN(all_kinds); i++) {
		const struct record_item *item;
		size_t position = 0;

		while ((item = records_next(machine->records, all_kinds[i], NULL, NULL, &position)))
			buf_append_bytes(&contents, bytes_buf(&item->envelope));
	}
	return contents;
}

bool cluster_is_equal(struct cluster *cluster)
{
	struct buf first = machine_contents(&cluster->machines[0]);
	bool equal = true;

	for (size_t i = 1; i < cluster->count; i++) {
		struct buf other = machine_contents(&cluster->machines[i]);

		equal = equal && bytes_equal(bytes_buf(&first), bytes_buf(&other));
		buf_deinit(&other);
	}
	buf_deinit(&first);
	return equal;
}
