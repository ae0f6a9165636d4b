/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts: writes made here, until enough keepers have them.
 *
 * Copies go to every keeper, again every RECORDS_RESEND_MS to those that have not answered; if
 * those are so many that there is no quorum, others are found in their place, and it takes
 * PUT_SEEK_MS longer. The write is reported when a quorum has answered, or at RECORDS_ACK_MS with
 * what it has by then; with nothing at all only when our own disk has failed, or takes longer than
 * RECORDS_DISK_MS. After that anti-entropy brings it to those who missed it.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "records/internal.h"

enum {
	PUT_SEEK_MS = 2 * RECORDS_RESEND_MS, /* a handshake, an answer, and a disk, also far away */
	PUT_SEEKS_MAX = 4, /* each tells of others in the place of up to five silent ones */
};

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
	bool silent = records->large && !kind_is_durable(put->key.kind);

	for (size_t i = 0; i < put->keeper_count; i++) {
		if (!put->acked[i] || silent)
			effect_send_item_to(records, &put->keepers[i], put->item);
	}
	put->resend_at = mono_add_ms(records->now, RECORDS_RESEND_MS);
}

/* Where everything is kept everywhere, machines that keep nothing for others read as well: each
 * gets one copy, and anti-entropy brings it what got lost. */
static void put_send_to_readers(struct records *records, const struct put *put)
{
	if (records->config.alone || records->large)
		return;
	map_for_each (entry, &records->writers) {
		const struct writer *reader = entry->value;

		if (reader->up && !node_id_equal(&reader->id, &records->config.self) &&
		    !partner_find(records, &reader->id))
			effect_send_item(records, &reader->id, put->item);
	}
}

static bool is_self(const struct records *records, const struct contact *contact)
{
	return node_id_equal(&contact->id, &records->config.self);
}

static void put_set_keepers(struct records *records, struct put *put, const struct contact *keepers,
			    size_t count)
{
	put->keepers = mem_alloc(count, sizeof(*put->keepers));
	put->acked = mem_alloc(count, sizeof(*put->acked));
	for (size_t i = 0; i < count; i++) {
		if (!is_self(records, &keepers[i]))
			put->keepers[put->keeper_count++] = keepers[i];
		else
			put->self = true;
	}
	put->self_acked = put->self && !kind_is_durable(put->key.kind);
	/* In a large fabric nobody says that it has what lives in memory: that would be as much
	 * again, and it is repeated anyhow. */
	for (size_t i = 0; i < put->keeper_count; i++)
		put->acked[i] = records->large && !kind_is_durable(put->key.kind);
}

/* Every steward that lives, keepers first. */
static struct contact *all_keepers(const struct records *records, const struct uid *home)
{
	size_t count = records->stewards.count;
	struct contact *keepers = mem_alloc(count, sizeof(*keepers));
	const struct record_steward **nearest = mem_alloc(count, sizeof(*nearest));

	(void)stewards_in_order(&records->stewards, home_position(home), count, nearest);
	for (size_t i = 0; i < count; i++)
		keepers[i] = nearest[i]->contact;
	free(nearest);
	return keepers;
}

/* ---- on a condition ---- */

static void put_ask(struct records *records, struct put *put)
{
	struct records_effect *effect = effect_queue(records, RECORDS_SEND, NULL);
	struct record_put *request = &effect->message.record_put;

	effect->to = put->keepers[put->asked].id;
	effect->addr = put->keepers[put->asked].addr;
	effect->message.type = MESSAGE_RECORD_PUT;
	request->expected_hlc = put->expected;
	buf_append_bytes(&request->envelope, bytes_buf(&put->item->shown.envelope));
	put->resend_at = mono_add_ms(records->now, RECORDS_RESEND_MS);
}

/* It is written: by the first keeper's word, or because nobody is there to say it. */
static void put_agreed(struct records *records, struct put *put)
{
	if (put->stage == PUT_ASKING)
		merge_agreed(records, item_ref(put->item));
	put->stage = PUT_SENDING;
	put->report_at = mono_add_ms(records->now, RECORDS_ACK_MS);
	put->end_at = mono_add_ms(records->now, RECORDS_DISK_MS);
	put_send(records, put);
	put_send_to_readers(records, put);
}

static void put_ask_next(struct records *records, struct put *put)
{
	put->ask_until = mono_add_ms(records->now, RECORDS_ASK_MS);
	if (put->asked < put->keeper_count && put->asked < RECORDS_READS)
		put_ask(records, put);
	else
		put_agreed(records, put);
}

static bool is_conditional(const struct put *put)
{
	return put->expected != 0 && put->expected != UINT64_MAX;
}

bool put_must_ask(const struct records *records, const struct record *record, uint64_t expected_hlc)
{
	const struct record_steward *first;

	if (expected_hlc == 0 || expected_hlc == UINT64_MAX || records->config.alone)
		return false;
	if (stewards_in_order(&records->stewards, home_position(record_home(record)), 1, &first) ==
	    0)
		return records->large;
	return !node_id_equal(&first->contact.id, &records->config.self);
}

/* Its keepers are known. */
static void put_begin(struct records *records, struct put *put, const struct contact *keepers,
		      size_t count)
{
	put_set_keepers(records, put, keepers, count);
	if (put->stage == PUT_ASKING)
		put_ask_next(records, put);
	else
		put_agreed(records, put);
	put_check(records, put);
}

static bool has_acked(const struct put *put, const struct contact *keeper)
{
	for (size_t i = 0; i < put->keeper_count; i++)
		if (put->acked[i] && node_id_equal(&put->keepers[i].id, &keeper->id))
			return true;
	return false;
}

/* What those who keep it still have said counts; the others are sent it. */
static void put_change_keepers(struct records *records, struct put *put,
			       const struct contact *keepers, size_t count)
{
	struct put old = *put;

	put->keeper_count = 0;
	put_set_keepers(records, put, keepers, count);
	put->self = put->self || old.self;
	put->self_acked = old.self_acked;
	for (size_t i = 0; i < put->keeper_count; i++)
		put->acked[i] = has_acked(&old, &put->keepers[i]);
	free(old.keepers);
	free(old.acked);
	put_send(records, put);
	put_check(records, put);
}

/* The silent ones may have gone since others named them. */
static void put_seek_again(struct records *records, struct put *put)
{
	const struct uid *home = record_home(&put->item->shown.record);
	struct contact keepers[RECORDS_KEEPERS];
	size_t count;

	put->sought++;
	put->report_at = mono_add_ms(records->now, PUT_SEEK_MS);
	for (size_t i = 0; i < put->keeper_count; i++)
		if (!put->acked[i])
			place_without(records, home, &put->keepers[i].id);
	if (place_keepers(records, home, keepers, &count))
		put_change_keepers(records, put, keepers, count);
}

void put_located(struct records *records, const struct uid *home)
{
	uint64_t id = home_id(home);

	list_for_each_safe (link, &records->puts) {
		struct put *put = list_entry(link, struct put, link);
		const struct uid *its = record_home(&put->item->shown.record);
		struct contact keepers[RECORDS_KEEPERS];
		bool again = put->stage == PUT_SENDING && put->sought > 0;
		size_t count;

		if ((put->stage != PUT_LOCATING && !again) || home_id(its) != id ||
		    !place_keepers(records, its, keepers, &count))
			continue;
		if (again) {
			put_change_keepers(records, put, keepers, count);
			continue;
		}
		put->stage = is_conditional(put) ? PUT_ASKING : PUT_SENDING;
		put_begin(records, put, keepers, count);
	}
}

static struct put *put_new(struct records *records, struct item *item, uint64_t expected_hlc)
{
	struct put *put = mem_new(struct put), *oldest;

	if (records->put_count == RECORDS_PUTS_MAX) {
		oldest = list_first(&records->puts, struct put, link);
		put_report(records, oldest);
		put_free(records, oldest);
	}
	*put = (struct put){
		.token = ++records->token,
		.expected = expected_hlc,
		.key = item->shown.record.key,
		.version = item->shown.record.version,
		.item = item_ref(item),
		.report_at = mono_add_ms(records->now, RECORDS_LOCATE_MS),
		.end_at = mono_add_ms(records->now, RECORDS_LOCATE_MS),
		.resend_at = MONO_NEVER,
		.ask_until = MONO_NEVER,
	};
	list_append(&records->puts, &put->link);
	records->put_count++;
	return put;
}

void put_start(struct records *records, struct item *item, uint64_t expected_hlc,
	       uint64_t *ret_token)
{
	struct put *put = put_new(records, item, expected_hlc);
	const struct uid *home = record_home(&item->shown.record);
	struct contact keepers[RECORDS_KEEPERS], *all;
	size_t count;

	*ret_token = put->token;
	put->stage =
		put_must_ask(records, &item->shown.record, expected_hlc) ? PUT_ASKING : PUT_SENDING;
	if (!records->large) {
		all = all_keepers(records, home);
		put_begin(records, put, all, records->stewards.count);
		free(all);
	} else if (place_keepers(records, home, keepers, &count)) {
		put_begin(records, put, keepers, count);
	} else {
		put->stage = PUT_LOCATING;
	}
}

bool put_is_open(const struct records *records, const struct item *item)
{
	list_for_each (link, &records->puts)
		if (list_entry(link, struct put, link)->item == item)
			return true;
	return false;
}

/* Somebody does not keep what we say of ourselves: who does? */
void put_refused(struct records *records, const struct record_ack *ack)
{
	struct item *item = table_find(records, &ack->key);
	uint64_t token;

	if (!records->large || ack->stored || !item || kind_is_durable(ack->key.kind) ||
	    !node_id_equal(&item->shown.writer, &records->config.self) ||
	    put_is_open(records, item) || !place_is_old(records, record_home(&item->shown.record)))
		return;
	place_doubt(records, record_home(&item->shown.record));
	put_start(records, item, UINT64_MAX, &token);
}

/* What we say of ourselves is brought to its keepers again: all who had it may be gone. */
void put_renew(struct records *records)
{
	struct writer *self = writer_find(records, &records->config.self);
	uint64_t token;

	if (!records->large || !self)
		return;
	list_for_each (link, &self->items) {
		struct item *item = list_entry(link, struct item, in_writer);

		if (!put_is_open(records, item))
			put_start(records, item, UINT64_MAX, &token);
	}
}

static bool put_matches(const struct put *put, const struct record_key *key,
			const struct record_version *version)
{
	return record_key_compare(&put->key, key) == 0 &&
	       record_version_compare(&put->version, version) <= 0;
}

static void put_report_conflict(struct records *records, struct put *put)
{
	struct records_effect *effect = effect_queue(records, RECORDS_PUT_DONE, NULL);

	effect->key = put->key;
	effect->token = put->token;
	effect->keepers = put_keeper_count(put);
	effect->conflict = true;
	put_free(records, put);
}

/* What the keeper that was asked on the condition says. */
static void put_answered(struct records *records, struct put *put, const struct record_ack *ack)
{
	if (ack->conflict) {
		put_report_conflict(records, put);
		return;
	}
	if (!ack->stored) {
		put->asked++;
		put_ask_next(records, put);
	} else if (record_version_compare(&put->version, &ack->version) == 0) {
		put->acked[put->asked] = true;
		put_agreed(records, put);
	}
	put_check(records, put);
}

/* A refusal is no answer to wait for either, but it does not count. */
void put_acked(struct records *records, const struct node_id *from, const struct record_ack *ack)
{
	list_for_each_safe (link, &records->puts) {
		struct put *put = list_entry(link, struct put, link);

		if (put->stage == PUT_ASKING && record_key_compare(&put->key, &ack->key) == 0 &&
		    node_id_equal(&put->keepers[put->asked].id, from)) {
			put_answered(records, put, ack);
			continue;
		}
		if (put->stage != PUT_SENDING || !ack->stored ||
		    !put_matches(put, &ack->key, &ack->version))
			continue;
		for (size_t i = 0; i < put->keeper_count; i++)
			put->acked[i] |= node_id_equal(&put->keepers[i].id, from);
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

/* Who has not answered may not be there any more. */
static void put_doubt(struct records *records, const struct put *put)
{
	if (records->large && !put_is_complete(put))
		place_doubt(records, record_home(&put->item->shown.record));
}

static void put_tick_asking(struct records *records, struct put *put)
{
	if (mono_reached(records->now, put->ask_until)) {
		put->asked++;
		put_ask_next(records, put);
		put_check(records, put);
	} else if (mono_reached(records->now, put->resend_at)) {
		put_ask(records, put);
	}
}

static bool is_late(const struct records *records, const struct put *put)
{
	struct mono late = mono_add_ms(put->report_at, PUT_SEEK_MS - RECORDS_ACK_MS);

	if (put->sought > 0)
		late = put->report_at;
	return records->large && put->stage == PUT_SENDING && put->sought < PUT_SEEKS_MAX &&
	       !put_has_quorum(put) && mono_reached(records->now, late);
}

void put_tick(struct records *records)
{
	list_for_each_safe (link, &records->puts) {
		struct put *put = list_entry(link, struct put, link);

		if (put->stage == PUT_ASKING) {
			put_tick_asking(records, put);
		} else if (is_late(records, put)) {
			put_seek_again(records, put);
		} else if (mono_reached(records->now, put->report_at) &&
			   put_waits_for_disk(records, put)) {
			put->late = true;
			put->report_at = put->end_at;
		} else if (mono_reached(records->now, put->report_at)) {
			put_doubt(records, put);
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
		struct mono then = put->stage == PUT_ASKING ? put->ask_until : put->report_at;

		deadline = mono_min(deadline, mono_min(then, put->resend_at));
	}
	return deadline;
}

void puts_deinit(struct records *records)
{
	list_for_each_safe (link, &records->puts)
		put_free(records, list_entry(link, struct put, link));
}
