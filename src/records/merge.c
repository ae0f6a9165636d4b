/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merge: what happens when a record comes in, from whom and by whatever way.
 *
 * First it is judged: who wrote it, when, whether it is news. Then it takes the place of its
 * predecessor, which is the same act for a record written here, received, or read from the disk.
 * A tombstone ends the OBJECT of its uid for good. Presences outlive it: a pod is there until its
 * machine says that it is gone, and the deleted object stays readable for that long (buried).
 */
#include <assert.h>

#include "records/internal.h"

static bool node_key_matches(const struct record_key *key, const struct node_id *id)
{
	return bytes_equal(bytes_of(key->uid.byte, UID_LEN), bytes_of(id->byte, UID_LEN)) &&
	       bytes_equal(bytes_of(key->sub.byte, UID_LEN),
			   bytes_of(id->byte + UID_LEN, ID_LEN - UID_LEN));
}

/* The value of a live presence names its machine; the end of one has nothing to name. */
static bool presence_is_of(const struct record *record, const struct node_id *writer)
{
	struct presence presence;
	bool right;

	if (record->gone)
		return true;
	if (presence_decode(bytes_buf(&record->value), &presence) != 0)
		return false;
	right = node_id_equal(&presence.node, writer) &&
		uid_equal(&presence.pod_uid, &record->key.sub) &&
		uid_equal(&presence.object.uid, &record->key.uid);
	presence_deinit(&presence);
	return right;
}

static bool object_is_complete(const struct record *record)
{
	return uid_equal(&record->object.uid, &record->key.uid) &&
	       bytes_str(record->object.kind).len > 0 && bytes_str(record->object.name).len > 0;
}

/*
 * All objects of one home are of one namespace: an object, what its controllers make for it under
 * uids that anybody can work out (identity/derive.h), and the tombstones of both. So who is a
 * steward of another namespace neither takes one over, nor ends it, nor is there before it.
 */
static bool home_is_of(const struct records *records, const struct uid *uid,
		       const struct record *record)
{
	const struct item *object =
		table_find(records, &(struct record_key){.kind = RECORD_OBJECT, .uid = *uid});
	const struct home *home = home_find(records, uid);

	if (!object && home)
		list_for_each (it, &home->items) {
			const struct item *item = list_entry(it, struct item, in_home);

			if (item->shown.record.key.kind == RECORD_OBJECT)
				object = item;
			if (object)
				break;
		}
	return !object || bytes_equal(bytes_str(object->shown.record.object.namespace),
				      bytes_str(record->object.namespace));
}

/* @known is the version we have of it: what a machine says of its pod no other can say. */
static bool writer_may(const struct records *records, const struct record_writer *writer,
		       const struct record *record, const struct item *known)
{
	bool no_sub = uid_is_none(&record->key.sub);

	switch (record->key.kind) {
	case RECORD_OBJECT:
		return writer->steward && no_sub && object_is_complete(record) &&
		       home_is_of(records, &record->key.uid, record);
	case RECORD_TOMBSTONE:
		return writer->steward && no_sub && home_is_of(records, &record->key.uid, record) &&
		       home_is_of(records, record_home(record), record);
	case RECORD_PRESENCE:
		return (!known || node_id_equal(&known->shown.writer, &writer->id)) &&
		       presence_is_of(record, &writer->id);
	case RECORD_NODE:
		return node_key_matches(&record->key, &writer->id);
	case RECORD_NONE:
		break;
	}
	return false;
}

static bool is_covered(const struct records *records, const struct record *record)
{
	const struct item *tombstone = table_tombstone(records, &record->key.uid);

	return record->key.kind == RECORD_OBJECT && tombstone &&
	       bytes_equal(bytes_str(tombstone->shown.record.object.namespace),
			   bytes_str(record->object.namespace));
}

static bool is_expired(const struct records *records, const struct record *record)
{
	int64_t age_ms = records->fabric.ms - record->written_ms;

	if (record->key.kind == RECORD_TOMBSTONE)
		return age_ms > RECORDS_TOMBSTONE_MS && !apart_holds(records, record);
	return record->gone && age_ms > RECORDS_GONE_MS;
}

static bool is_ahead(const struct records *records, const struct record *record)
{
	uint64_t ms = record->version.hlc >> RECORDS_HLC_SHIFT;
	int64_t limit = records->fabric.ms + RECORDS_CLOCK_AHEAD_MS;

	return limit < 0 || ms > (uint64_t)limit;
}

/* Would @record, in the place of @known if there is one, exceed what we hold for all or for one? */
static bool is_full(struct records *records, const struct record *record, struct bytes envelope,
		    const struct node_id *writer)
{
	const struct item *known = table_find(records, &record->key);
	size_t more = record->value.len + envelope.len, less = known ? item_bytes(known) : 0;
	const struct writer *writes;

	if (records->items.count - (known != NULL) >= RECORDS_COUNT_MAX ||
	    records->bytes - less + more > RECORDS_BYTES_MAX)
		return true;
	if (kind_is_durable(record->key.kind))
		return false;
	writes = writer_get(records, writer);
	return !writes || writes->count - (known != NULL) >= RECORDS_PER_WRITER_MAX ||
	       writes->bytes - less + more > RECORDS_BYTES_PER_WRITER_MAX;
}

/* What anybody's copy must satisfy, also one that was judged elsewhere long ago. */
static int judge(struct records *records, const struct record_writer *writer,
		 const struct record *record, struct bytes envelope)
{
	const struct item *known = table_find(records, &record->key);
	const struct writer *writes;

	if (!writer_may(records, writer, record, known))
		return RECORDS_E_WRITER;
	if (is_ahead(records, record))
		return RECORDS_E_CLOCK;
	if (is_covered(records, record))
		return RECORDS_E_DELETED;
	if (is_expired(records, record))
		return RECORDS_E_OLD;
	if (known && record_version_compare(&record->version, &known->shown.record.version) <= 0)
		return RECORDS_E_OLD;
	writes = kind_is_durable(record->key.kind) ? NULL : writer_find(records, &writer->id);
	if (writes && writes->lost)
		return RECORDS_E_OLD;
	return is_full(records, record, envelope, &writer->id) ? RECORDS_E_FULL : 0;
}

static struct item *make_item(struct records *records, const struct record *record,
			      struct bytes envelope, const struct node_id *writer)
{
	struct item *item = item_new(record, envelope, writer);

	item->shown.accepted = records->fabric;
	if (!kind_is_durable(record->key.kind)) {
		item->written = writer_get(records, writer);
		assert(item->written); /* is_full() has made sure */
	}
	if (record->version.hlc > records->clock)
		records->clock = record->version.hlc;
	return item;
}

/* The end of the object that @tombstone is about. */
static void end_object(struct records *records, const struct item *tombstone)
{
	const struct uid *uid = &tombstone->shown.record.key.uid;
	struct item *object =
		table_find(records, &(struct record_key){.kind = RECORD_OBJECT, .uid = *uid});

	if (!object) {
		doubt_ends(records, uid);
		return;
	}
	item_ref(object);
	table_remove(records, object);
	effect_changed(records, object, RECORDS_REMOVED);
	if (records->config.keeper)
		effect_queue(records, RECORDS_FORGET, object);
	if (table_has_presence(records, uid))
		item_unref(map_put(&records->buried, bytes_of(uid->byte, UID_LEN), object));
	else
		item_unref(object);
}

static void report_clash(struct records *records, const struct item *item)
{
	const struct object_ref *object = &item->shown.record.object;
	struct item *first = name_find(records, object->namespace, object->kind, object->name);

	for (struct item *younger = first->same_name; younger; younger = younger->same_name)
		effect_queue(records, RECORDS_NAME_CLASH, younger);
}

static void report_change(struct records *records, struct item *item, struct item *old)
{
	bool was = old && item_is_live(old);

	if (item_is_live(item))
		effect_changed(records, item, was ? RECORDS_MODIFIED : RECORDS_ADDED);
	else if (was)
		effect_ended(records, old, item);
}

/* With the last pod of a deleted object goes the object. */
static void end_burial(struct records *records, const struct record_key *key)
{
	struct bytes uid = bytes_of(key->uid.byte, UID_LEN);

	if (key->kind == RECORD_PRESENCE && map_get(&records->buried, uid) &&
	    !table_has_presence(records, &key->uid))
		item_unref(map_remove(&records->buried, uid));
}

static void merge_insert(struct records *records, struct item *item)
{
	const struct record_key *key = &item->shown.record.key;
	struct item *old = table_find(records, key);

	if (old)
		item_ref(old);
	table_insert(records, item);
	if (records->config.keeper && item->kept && kind_is_durable(key->kind) &&
	    !item->shown.durable)
		effect_queue(records, RECORDS_PERSIST, item);
	report_change(records, item, old);
	if (old && key->kind == RECORD_OBJECT)
		effect_rivals(records, item, old);
	item_unref(old);
	if (key->kind == RECORD_TOMBSTONE)
		end_object(records, item);
	if (key->kind == RECORD_OBJECT)
		report_clash(records, item);
	end_burial(records, key);
}

void merge_remove(struct records *records, struct item *item)
{
	item_ref(item);
	table_remove(records, item);
	if (item_is_live(item))
		effect_changed(records, item, RECORDS_REMOVED);
	if (records->config.keeper && kind_is_durable(item->shown.record.key.kind))
		effect_queue(records, RECORDS_FORGET, item);
	end_burial(records, &item->shown.record.key);
	item_unref(item);
}

void merge_drop(struct records *records, struct item *item)
{
	bool stored = records->config.keeper && item->kept &&
		      kind_is_durable(item->shown.record.key.kind);

	item_ref(item);
	table_remove(records, item);
	effect_changed(records, item, RECORDS_DROPPED);
	if (stored)
		effect_queue(records, RECORDS_FORGET, item);
	item_unref(item);
}

/* Something newer may have come meanwhile, or its end. */
void merge_agreed(struct records *records, struct item *item)
{
	const struct record *record = &item->shown.record;
	const struct item *known = table_find(records, &record->key);

	if (is_covered(records, record) ||
	    (known &&
	     record_version_compare(&record->version, &known->shown.record.version) <= 0)) {
		item_unref(item);
		return;
	}
	merge_insert(records, item);
}

/* @ask: what we know may be a copy that is old; its first keeper knows. */
static int judge_put(struct records *records, const struct record *record, uint64_t expected_hlc,
		     bool ask)
{
	const struct item *known = table_find(records, &record->key);
	const struct object_ref *object = &record->object;
	bool named = record->key.kind == RECORD_OBJECT && expected_hlc == 0 && object->namespace &&
		     name_find(records, object->namespace, object->kind, object->name);

	if (record->key.kind == RECORD_TOMBSTONE && known)
		return RECORDS_E_DELETED;
	if (expected_hlc == UINT64_MAX)
		return 0;
	if (expected_hlc == 0)
		return known || named ? RECORDS_E_CONFLICT : 0;
	if (ask && records->large)
		return 0;
	return known && known->shown.record.version.hlc == expected_hlc ? 0 : RECORDS_E_CONFLICT;
}

int records_put(struct records *records, struct mono now, struct wall fabric,
		const struct record *record, struct bytes envelope, uint64_t expected_hlc,
		uint64_t *ret_token)
{
	struct record_writer self = {records->config.self, records->config.keeper};
	bool ask = put_must_ask(records, record, expected_hlc);
	struct item *item;
	int outcome;

	records->now = now;
	records->fabric = fabric;
	outcome = judge_put(records, record, expected_hlc, ask);
	if (outcome == 0)
		outcome = judge(records, &self, record, envelope);
	if (outcome)
		return outcome;
	item = make_item(records, record, envelope, &self.id);
	if (!ask)
		merge_insert(records, item_ref(item));
	put_start(records, item, expected_hlc, ret_token);
	item_unref(item);
	return 0;
}

/* An old copy: the sender still wants to hear that we have it, or something newer, on our disk. */
static void answer_old(struct records *records, const struct node_id *from,
		       const struct record *record)
{
	const struct item *known = table_find(records, &record->key);

	if (known && kind_is_durable(record->key.kind) && !known->shown.durable)
		ack_later(records, from, record);
	else if (known)
		ack_send(records, from, record, NULL);
}

/* Whoever still has a deleted object gets its tombstone at once. */
static void answer_deleted(struct records *records, const struct node_id *from,
			   const struct record *record)
{
	struct item *tombstone = table_find(
		records, &(struct record_key){.kind = RECORD_TOMBSTONE, .uid = record->key.uid});

	effect_send_item(records, from, tombstone);
	ack_send(records, from, record, "it has been deleted");
}

static void answer(struct records *records, const struct node_id *from, const struct record *record,
		   int outcome)
{
	bool silent = records->large && !kind_is_durable(record->key.kind);

	if (!records->config.keeper || (silent && (outcome == 0 || outcome == RECORDS_E_OLD)))
		return;
	if (outcome == RECORDS_E_OLD)
		answer_old(records, from, record);
	else if (outcome == RECORDS_E_DELETED)
		answer_deleted(records, from, record);
	else if (outcome == RECORDS_E_WRITER)
		ack_send(records, from, record, "its writer may not write it");
	else if (outcome == RECORDS_E_CLOCK)
		ack_send(records, from, record, "it was written in the future");
	else if (outcome == RECORDS_E_FULL)
		ack_send(records, from, record, "there is no room for it");
	else if (outcome == RECORDS_E_FAR)
		ack_send(records, from, record, "it is kept elsewhere");
	else if (outcome == RECORDS_E_ABSENT)
		ack_send(records, from, record, "it has been deleted");
	else if (outcome == RECORDS_E_UNHEARD)
		ack_send(records, from, record, "it may have been deleted");
	else if (kind_is_durable(record->key.kind))
		ack_later(records, from, record);
	else
		ack_send(records, from, record, NULL);
}

/* Its writer stands by it. */
static void item_heard(struct records *records, const struct record_key *key)
{
	struct item *item = table_find(records, key);

	if (item)
		item->heard = records->now;
}

/* Somebody has it, in whatever version: it lives. */
static void end_doubt(struct records *records, const struct record_writer *writer,
		      const struct record *record)
{
	if (records_doubts(records) > 0 && record->key.kind == RECORD_OBJECT &&
	    writer_may(records, writer, record, NULL))
		doubt_lives(records, &record->key.uid);
}

static void report_absent(struct records *records, const struct record_writer *writer,
			  const struct record *record, struct bytes envelope)
{
	struct item *item = item_new(record, envelope, &writer->id);

	effect_queue(records, RECORDS_ABSENT, item);
	item_unref(item);
}

/* Is it for us? Keepers, and those who nearly are, keep it; who has asked for it reads it. */
static int receive(struct records *records, const struct node_id *from,
		   const struct record_writer *writer, const struct record *record,
		   struct bytes envelope)
{
	const struct uid *home = record_home(record);
	enum home_claim claim = home_claim(records, home);
	struct item *item;
	int outcome;

	end_doubt(records, writer, record);
	outcome = judge(records, writer, record, envelope);
	if (outcome)
		return outcome;
	if (claim == HOME_FAR && !fetch_is_open(records, home))
		return RECORDS_E_FAR;
	outcome = apart_judge(records, from, record);
	if (outcome == RECORDS_E_ABSENT)
		report_absent(records, writer, record, envelope);
	if (outcome)
		return outcome;
	if (kind_is_durable(record->key.kind) &&
	    records->fabric.ms - record->written_ms > RECORDS_OLD_NEWS_MS)
		records->old_news = records->now;
	item = make_item(records, record, envelope, &writer->id);
	item->kept = claim != HOME_FAR;
	merge_insert(records, item);
	fetch_record(records, item);
	return 0;
}

/* An older version of the same generation: perhaps made at the same time, on another side. */
static void report_rival(struct records *records, const struct record_writer *writer,
			 const struct record *record, struct bytes envelope)
{
	struct item *known = table_find(records, &record->key), *rival;

	if (record->key.kind != RECORD_OBJECT || !known ||
	    known->shown.record.version.generation != record->version.generation ||
	    known->shown.record.version.hlc == record->version.hlc)
		return;
	rival = item_new(record, envelope, &writer->id);
	effect_rivals(records, known, rival);
	item_unref(rival);
}

int records_receive(struct records *records, struct mono now, struct wall fabric,
		    const struct node_id *from, const struct record_writer *writer,
		    const struct record *record, struct bytes envelope)
{
	int outcome;

	records->now = now;
	records->fabric = fabric;
	if (node_id_equal(from, &writer->id)) {
		writer_heard(records, from);
		item_heard(records, &record->key);
	}
	outcome = receive(records, from, writer, record, envelope);
	if (outcome == RECORDS_E_OLD)
		report_rival(records, writer, record, envelope);
	answer(records, from, record, outcome);
	return outcome;
}

/* We have another version than the writer has seen. What we do not have at all we cannot judge. */
static bool is_conflict(const struct records *records, const struct record *record,
			uint64_t expected_hlc)
{
	const struct item *known = table_find(records, &record->key);

	return known && known->shown.record.version.hlc != expected_hlc &&
	       record_version_compare(&known->shown.record.version, &record->version) != 0;
}

int records_receive_put(struct records *records, struct mono now, struct wall fabric,
			const struct node_id *from, const struct record_writer *writer,
			const struct record *record, struct bytes envelope, uint64_t expected_hlc)
{
	records->now = now;
	records->fabric = fabric;
	if (is_covered(records, record) || is_conflict(records, record, expected_hlc)) {
		ack_send_conflict(records, from, record);
		return RECORDS_E_CONFLICT;
	}
	if (!records->config.keeper || !table_find(records, &record->key)) {
		ack_send(records, from, record, "it is not known here");
		return RECORDS_E_FAR;
	}
	return records_receive(records, now, fabric, from, writer, record, envelope);
}

int records_restore(struct records *records, const struct record *record, struct bytes envelope,
		    const struct record_writer *writer)
{
	const struct item *known = table_find(records, &record->key);
	const struct record_item *doubted = records_doubted(records, &record->key.uid);
	struct record_writer then = {writer->id, true}; /* its role was judged at the time */
	struct item *item;

	if (!kind_is_durable(record->key.kind) || !writer_may(records, &then, record, known))
		return RECORDS_E_WRITER;
	if (known && record_version_compare(&record->version, &known->shown.record.version) <= 0)
		return RECORDS_E_OLD;
	if (record->key.kind == RECORD_OBJECT && doubted &&
	    record_version_compare(&record->version, &doubted->record.version) <= 0)
		return RECORDS_E_OLD;
	if (is_covered(records, record)) {
		/* The process ended between writing the tombstone and removing the object. */
		effect_queue(records, RECORDS_FORGET, NULL)->key = record->key;
		return RECORDS_E_DELETED;
	}
	if (is_full(records, record, envelope, &writer->id))
		return RECORDS_E_FULL;
	item = make_item(records, record, envelope, &writer->id);
	item->shown.durable = true;
	item->shown.accepted = (struct wall){.ms = record->written_ms};
	item->doubted = doubt_is_due(records, item);
	if (item->doubted && records->doubts_hidden)
		doubt_hide(records, item);
	else
		merge_insert(records, item);
	return 0;
}

/* In a large fabric nobody here may know whether the machine lives; but it repeats what it says. */
static bool is_stale(const struct records *records, const struct item *item)
{
	return records->large && !node_id_equal(&item->shown.writer, &records->config.self) &&
	       mono_since_us(records->now, item->heard) > RECORDS_STALE_MS * (int64_t)US_PER_MS;
}

static void sweep_kind(struct records *records, enum record_kind kind)
{
	const struct index *index = &records->by_key[kind];
	size_t position = 0;
	struct item *item;

	while ((item = index_next(index, &position))) {
		struct item bound = {.shown.record.key = item->shown.record.key};

		if (!is_expired(records, &item->shown.record) &&
		    (kind_is_durable(kind) || !is_stale(records, item)))
			continue;
		merge_remove(records, item);
		position = index_lower_bound(index, &bound);
	}
}

void merge_sweep(struct records *records)
{
	sweep_kind(records, RECORD_TOMBSTONE);
	sweep_kind(records, RECORD_PRESENCE);
	sweep_kind(records, RECORD_NODE);
}
