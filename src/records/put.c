/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts: writes made here, until enough keepers have them.
 *
 * Copies go to every keeper, again every RECORDS_RESEND_MS to those that have not answered. The
 * write is reported when a quorum has answered, or at RECORDS_ACK_MS with what it has by then; with
 * nothing at all only when our own disk has failed, or takes longer than RECORDS_DISK_MS. After
 * that anti-entropy brings it to those who missed it.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "records/internal.h"

static void put_free(struct records *records, struct put *put)
{
	list_remove(&put->link);
	records->put_count--;
	item_unref(put->item);
	free(put->keepers);
	free(put->acked);
	free(put);
}

static uint32_t put_keeper_count(const struct put *put)
{
	size_t count = put->keeper_count + put->self;

	return count < RECORDS_KEEPERS ? (uint32_t)count : RECORDS_KEEPERS;
}

static uint32_t put_stored_count(const struct put *put)
{
	uint32_t count = put->self_acked, max = put_keeper_count(put);

	for (size_t i = 0; i < put->keeper_count; i++)
		count += put->acked[i];
	return count < max ? count : max;
}

static bool put_has_quorum(const struct put *put)
{
	uint32_t keepers = put_keeper_count(put);
	uint32_t needed = keepers == RECORDS_KEEPERS ? RECORDS_QUORUM : keepers / 2 + 1;

	return put_stored_count(put) >= needed;
}

static bool put_is_complete(const struct put *put)
{
	for (size_t i = 0; i < put->keeper_count; i++) {
		if (!put->acked[i])
			return false;
	}
	return put->self_acked || !put->self;
}

static void put_report(struct records *records, struct put *put)
{
	struct records_effect *effect;

	assert(put);
	if (put->reported)
		return;
	put->reported = true;
	effect = effect_queue(records, RECORDS_PUT_DONE, NULL);
	effect->key = put->key;
	effect->token = put->token;
	effect->stored = put_stored_count(put);
	effect->keepers = put_keeper_count(put);
	effect->quorum = put_has_quorum(put);
}

static void put_check(struct records *records, struct put *put)
{
	if (put_has_quorum(put) || (put->late && put_stored_count(put) > 0))
		put_report(records, put);
	if (put->reported && put_is_complete(put))
		put_free(records, put);
}

static void put_send(struct records *records, struct put *put)
{
	for (size_t i = 0; i < put->keeper_count; i++) {
		if (!put->acked[i])
			effect_send_item(records, &put->keepers[i], put->item);
	}
	put->resend_at = mono_add_ms(records->now, RECORDS_RESEND_MS);
}

/* Machines that keep nothing for others read as well: each gets one copy, and anti-entropy brings
 * it what got lost. */
static void put_send_to_readers(struct records *records, const struct put *put)
{
	if (records->config.alone)
		return;
	map_for_each (entry, &records->writers) {
		const struct writer *reader = entry->value;

		if (reader->up && !node_id_equal(&reader->id, &records->config.self) &&
		    !sync_is_steward(records, &reader->id))
			effect_send_item(records, &reader->id, put->item);
	}
}

/* The keepers of a record: every steward that lives. */
static void put_set_keepers(struct records *records, struct put *put)
{
	put->keepers = mem_alloc(records->steward_count, sizeof(*put->keepers));
	put->acked = mem_alloc(records->steward_count, sizeof(*put->acked));
	for (size_t i = 0; i < records->steward_count; i++) {
		if (!node_id_equal(&records->stewards[i], &records->config.self))
			put->keepers[put->keeper_count++] = records->stewards[i];
	}
	put->self = records->config.keeper;
	put->self_acked = put->self && !kind_is_durable(put->key.kind);
}

void put_start(struct records *records, struct item *item, uint64_t *ret_token)
{
	struct put *put = mem_new(struct put), *oldest;

	if (records->put_count == RECORDS_PUTS_MAX) {
		oldest = list_first(&records->puts, struct put, link);
		put_report(records, oldest);
		put_free(records, oldest);
	}
	*put = (struct put){
		.token = ++records->token,
		.key = item->shown.record.key,
		.version = item->shown.record.version,
		.item = item_ref(item),
		.report_at = mono_add_ms(records->now, RECORDS_ACK_MS),
		.end_at = mono_add_ms(records->now, RECORDS_DISK_MS),
	};
	list_append(&records->puts, &put->link);
	records->put_count++;
	*ret_token = put->token;
	put_set_keepers(records, put);
	put_send(records, put);
	put_send_to_readers(records, put);
	put_check(records, put);
}

static bool put_matches(const struct put *put, const struct record_key *key,
			const struct record_version *version)
{
	return record_key_compare(&put->key, key) == 0 &&
	       record_version_compare(&put->version, version) <= 0;
}

/* A refusal is no answer to wait for either, but it does not count. */
void put_acked(struct records *records, const struct node_id *from, const struct record_ack *ack)
{
	list_for_each_safe (link, &records->puts) {
		struct put *put = list_entry(link, struct put, link);

		if (!ack->stored || !put_matches(put, &ack->key, &ack->version))
			continue;
		for (size_t i = 0; i < put->keeper_count; i++)
			put->acked[i] |= node_id_equal(&put->keepers[i], from);
		put_check(records, put);
	}
}

void put_saved(struct records *records, const struct record_key *key,
	       const struct record_version *version, bool stored)
{
	list_for_each_safe (link, &records->puts) {
		struct put *put = list_entry(link, struct put, link);

		if (!put->self || !put_matches(put, key, version))
			continue;
		put->self_acked |= stored;
		put->self_failed = !stored;
		if (put->late && !stored)
			put->report_at = records->now;
		put_check(records, put);
	}
}

static bool put_waits_for_disk(const struct records *records, const struct put *put)
{
	return put->self && !put->self_failed && put_stored_count(put) == 0 &&
	       !mono_reached(records->now, put->end_at);
}

void put_tick(struct records *records)
{
	list_for_each_safe (link, &records->puts) {
		struct put *put = list_entry(link, struct put, link);

		if (mono_reached(records->now, put->report_at) &&
		    put_waits_for_disk(records, put)) {
			put->late = true;
			put->report_at = put->end_at;
		} else if (mono_reached(records->now, put->report_at)) {
			put_report(records, put);
			put_free(records, put);
		} else if (mono_reached(records->now, put->resend_at)) {
			put_send(records, put);
		}
	}
}

struct mono put_deadline(const struct records *records)
{
	struct mono deadline = MONO_NEVER;

	list_for_each (link, &records->puts) {
		const struct put *put = list_entry(link, struct put, link);

		deadline = mono_min(deadline, mono_min(put->report_at, put->resend_at));
	}
	return deadline;
}

void puts_deinit(struct records *records)
{
	list_for_each_safe (link, &records->puts)
		put_free(records, list_entry(link, struct put, link));
}
