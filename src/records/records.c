/* SPDX-License-Identifier: Apache-2.0 */
/* The face of the records: life cycle, clock, time, and reads. */
#include "records/records.h"

#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/mem.h"
#include "records/internal.h"

struct records *records_new(const struct records_config *config)
{
	struct records *records = mem_new(struct records);

	records->config = *config;
	records->prng = prng_seeded(config->seed);
	list_init(&records->puts);
	table_init(records);
	homes_init(records);
	apart_init(records);
	locate_init(records);
	want_init(records);
	acks_init(records);
	list_init(&records->fetches);
	return records;
}

void records_free(struct records *records)
{
	if (!records)
		return;
	puts_deinit(records);
	fetches_deinit(records);
	locate_deinit(records);
	want_deinit(records);
	acks_deinit(records);
	table_deinit(records);
	doubts_deinit(records);
	homes_deinit(records);
	apart_deinit(records);
	records_effects_deinit(records); /* what goes may have something to say */
	writers_deinit(records);
	free(records);
}

void records_set_stewards(struct records *records, struct mono now, const struct node_id *ids,
			  size_t count)
{
	struct record_steward *list = mem_alloc(count, sizeof(*list));

	records->now = now;
	for (size_t i = 0; i < count; i++)
		list[i] = (struct record_steward){
			.contact = {.id = ids[i], .steward = true},
			.position = position_of_machine(&ids[i]),
		};
	homes_update(records, list, count, true);
	free(list);
	/* Objects may have got another controller, who has not heard of the clashes. */
	name_report_clashes(records);
}

void records_set_near(struct records *records, struct mono now, const struct record_steward *list,
		      size_t count)
{
	records->now = now;
	homes_update(records, list, count, false);
}

void records_set_sized(struct records *records, struct mono now, bool sized)
{
	bool begins = records->unsized && sized;

	records->now = now;
	records->unsized = !sized;
	if (begins)
		partners_compare(records);
}

uint64_t records_clock_next(struct records *records, struct wall fabric)
{
	uint64_t physical = fabric.ms > 0 ? (uint64_t)fabric.ms << RECORDS_HLC_SHIFT : 0;

	records->clock++;
	if (records->clock < physical)
		records->clock = physical;
	return records->clock;
}

uint64_t records_clock(const struct records *records)
{
	return records->clock;
}

void records_receive_message(struct records *records, struct mono now, const struct node_id *from,
			     const struct message *message)
{
	records->now = now;
	if (message->type == MESSAGE_RECORD_ACK) {
		put_acked(records, from, &message->record_ack);
		handover_acked(records, from, &message->record_ack);
		put_refused(records, &message->record_ack);
	} else if (message->type == MESSAGE_SYNC_SUMMARY)
		sync_summary_received(records, from, &message->sync_summary);
	else if (message->type == MESSAGE_SYNC_KEYS)
		sync_keys_received(records, from, &message->sync_keys);
	else if (message->type == MESSAGE_SYNC_WANT)
		sync_want_received(records, from, &message->sync_want);
	else if (message->type == MESSAGE_SYNC_OFFER)
		handover_offered(records, from, &message->sync_offer);
	else if (message->type == MESSAGE_SYNC_HAVE)
		handover_had(records, from, &message->sync_offer);
	else if (message->type == MESSAGE_FETCH)
		fetch_asked(records, from, &message->fetch);
	else if (message->type == MESSAGE_FETCHED)
		fetch_answered(records, from, &message->fetched);
}

void records_persisted(struct records *records, struct mono now, const struct record_key *key,
		       const struct record_version *version, bool stored)
{
	struct item *item = table_find(records, key);
	bool current = item && record_version_compare(&item->shown.record.version, version) == 0;

	records->now = now;
	if (current) {
		item->shown.durable = stored;
		records->unsaved_count -= item->unsaved;
		item->unsaved = !stored;
		records->unsaved_count += item->unsaved;
	}
	ack_saved(records, key, version, stored);
	put_saved(records, key, version, stored);
}

/* What the disk refused is offered to it again. */
static void unsaved_retry(struct records *records)
{
	if (records->unsaved_count == 0)
		return;
	map_for_each (entry, &records->items) {
		struct item *item = entry->value;

		if (item->unsaved)
			effect_queue(records, RECORDS_PERSIST, item);
	}
}

void records_tick(struct records *records, struct mono now, struct wall fabric)
{
	records->now = now;
	records->fabric = fabric;
	put_tick(records);
	fetch_tick(records);
	if (mono_reached(now, records->renew_at)) {
		records->renew_at = mono_add_ms(now, prng_jitter(&records->prng, RECORDS_RENEW_MS));
		put_renew(records);
	}
	sync_tick(records);
	if (!mono_reached(now, records->sweep_at))
		return;
	records->sweep_at = mono_add_ms(now, RECORDS_SWEEP_MS);
	merge_sweep(records);
	writer_sweep(records);
	name_report_clashes(records);
	unsaved_retry(records);
}

void records_expect(const struct records *records)
{
	CACHE_EXPECT(records, now, fabric);
	CACHE_EXPECT(records, puts, effect_next);
}

struct mono records_deadline(const struct records *records)
{
	struct mono deadline = mono_min(put_deadline(records), fetch_deadline(records));

	deadline = mono_min(deadline, mono_min(records->sync_at, records->repair_at));
	return mono_min(deadline, mono_min(records->sweep_at, records->renew_at));
}

const struct record_item *records_get(const struct records *records, const struct record_key *key)
{
	const struct item *item = table_find(records, key);

	return item && item_is_live(item) ? &item->shown : NULL;
}

const struct record_item *records_find(const struct records *records, const char *namespace,
				       const char *kind, const char *name)
{
	const struct item *item = name_find(records, namespace, kind, name);

	return item ? &item->shown : NULL;
}

static const struct item *next_live(const struct index *index, size_t *position)
{
	const struct item *item;

	while ((item = index_next(index, position))) {
		if (item_is_live(item))
			return item;
	}
	return NULL;
}

/* Presences of one workload lie side by side: start at the first, end behind the last. */
static const struct item *next_of_workload(const struct records *records, const struct uid *uid,
					   size_t *position)
{
	struct item bound = {.shown.record.key = {.kind = RECORD_PRESENCE, .uid = *uid}};
	const struct index *index = &records->by_key[RECORD_PRESENCE];
	const struct item *item;

	if (*position == 0)
		*position = index_lower_bound(index, &bound);
	item = next_live(index, position);
	return item && uid_equal(&item->shown.record.key.uid, uid) ? item : NULL;
}

/* So do objects of one home. */
static const struct item *next_of_home(const struct records *records, const struct uid *uid,
				       size_t *position)
{
	struct item bound = {.shown.record.key.kind = RECORD_OBJECT};
	const struct index *index = &records->by_key[RECORD_OBJECT];
	const struct item *item;

	memcpy(bound.shown.record.key.uid.byte, uid->byte, UID_HOME_LEN);
	if (*position == 0)
		*position = index_lower_bound(index, &bound);
	item = next_live(index, position);
	return item && memcmp(item->shown.record.key.uid.byte, uid->byte, UID_HOME_LEN) == 0 ? item
											     : NULL;
}

const struct record_item *records_next(const struct records *records, enum record_kind kind,
				       const char *object_kind, const struct uid *uid,
				       size_t *position)
{
	const struct index *index = &records->by_key[kind];
	const struct item *item;

	if (kind == RECORD_OBJECT && object_kind) {
		index = name_kind_index(records, object_kind);
		item = index ? next_live(index, position) : NULL;
	} else if (kind == RECORD_PRESENCE && uid) {
		item = next_of_workload(records, uid, position);
	} else if (kind == RECORD_OBJECT && uid) {
		item = next_of_home(records, uid, position);
	} else {
		item = next_live(index, position);
	}
	return item ? &item->shown : NULL;
}

const struct record_item *records_next_in(const struct records *records, const char *object_kind,
					  const char *namespace, size_t *position)
{
	const struct index *index = name_kind_index(records, object_kind);
	const struct item *item;

	if (!index)
		return NULL;
	if (*position == 0)
		*position = name_first_in(index, namespace);
	item = next_live(index, position);
	return item && strcmp(item->shown.record.object.namespace, namespace) == 0 ? &item->shown
										   : NULL;
}

/* Of each kind the first one behind @after, and of these the first. */
const char *records_next_namespace(const struct records *records, const char *after)
{
	const char *first = NULL;

	map_for_each (entry, &records->kinds) {
		const struct index *index = entry->value;
		size_t position = name_first_behind(index, after ? after : "");
		const struct item *item = next_live(index, &position);
		const char *namespace = item ? item->shown.record.object.namespace : NULL;

		if (namespace && (!first || strcmp(namespace, first) < 0))
			first = namespace;
	}
	return first;
}

const struct record_item *records_buried(const struct records *records, const struct uid *uid)
{
	const struct item *item = map_get(&records->buried, bytes_of(uid->byte, UID_LEN));

	return item ? &item->shown : NULL;
}

struct mono records_old_news(const struct records *records)
{
	return records->old_news;
}

bool records_is_deleted(const struct records *records, const struct uid *uid)
{
	return table_tombstone(records, uid) != NULL;
}

size_t records_count(const struct records *records, enum record_kind kind)
{
	size_t count = records->by_key[kind].count;

	return kind == RECORD_PRESENCE ? count - records->gone_count : count;
}

struct node_id records_controller(const struct records *records, const struct uid *uid)
{
	const struct record_steward *nearest;

	if (stewards_in_order(&records->stewards, home_position(uid), 1, &nearest) == 0)
		return (struct node_id){0};
	return nearest->contact.id;
}
