/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "identity/derive.h"
#include "make.h"

static const struct mono start;

/* receive() and free the record. */
static int take(struct records *records, struct record record, uint8_t writer)
{
	int outcome = receive(records, &record, writer);

	record_deinit(&record);
	return outcome;
}

static const struct record_item *object_of(const struct records *records, uint8_t uid)
{
	return records_get(records, &(struct record_key){RECORD_OBJECT, make_uid(uid), {{0}}});
}

static void the_newest_version_wins(void **state)
{
	struct records *records = make_records(1);

	(void)state;
	assert_int_equal(take(records, make_object(1, "web", 20), 2), 0);
	assert_int_equal(take(records, make_object(1, "web", 10), 2), RECORDS_E_OLD);
	assert_int_equal(take(records, make_object(1, "web", 20), 2), RECORDS_E_OLD);
	assert_int_equal(object_of(records, 1)->record.version.hlc, make_hlc(20));
	assert_int_equal(take(records, make_object(1, "web", 30), 3), 0);
	assert_int_equal(object_of(records, 1)->record.version.hlc, make_hlc(30));
	assert_int_equal(records_clock(records), make_hlc(30));
	assert_int_equal(records_count(records, RECORD_OBJECT), 1);
	records_free(records);
}

static void what_a_record_says_is_in_memory_once(void **state)
{
	struct records *records = make_records(1);
	struct record record = make_object(1, "web", 10);
	const struct record_item *item;

	(void)state;
	assert_int_equal(receive(records, &record, 2), 0);
	item = object_of(records, 1);
	assert_true(bytes_equal(bytes_buf(&item->record.value), bytes_buf(&record.value)));
	assert_in_range((uintptr_t)item->record.value.ptr, (uintptr_t)item->envelope.ptr,
			(uintptr_t)item->envelope.ptr + item->envelope.len - record.value.len);
	record_deinit(&record);
	records_free(records);
}

static void a_higher_generation_wins_whatever_the_clock(void **state)
{
	struct records *records = make_records(1);
	struct record second = make_object(1, "web", 10);

	(void)state;
	second.version.generation = 2;
	assert_int_equal(take(records, make_object(1, "web", 20), 2), 0);
	assert_int_equal(take(records, second, 2), 0);
	assert_int_equal(object_of(records, 1)->record.version.generation, 2);
	records_free(records);
}

static void a_tombstone_ends_an_object_for_good(void **state)
{
	struct records *records = make_records(1);
	struct uid uid = make_uid(1);

	(void)state;
	assert_int_equal(take(records, make_object(1, "web", 10), 2), 0);
	assert_int_equal(take(records, make_tombstone(1, 20), 2), 0);
	assert_null(object_of(records, 1));
	assert_null(records_find(records, "default", "Deployment", "web"));
	assert_true(records_is_deleted(records, &uid));
	assert_int_equal(drain(records, RECORDS_FORGET), 1);
	/* A late copy, and even a later version written by somebody who had not heard. */
	assert_int_equal(take(records, make_object(1, "web", 10), 3), RECORDS_E_DELETED);
	assert_int_equal(take(records, make_object(1, "web", 30), 3), RECORDS_E_DELETED);
	assert_null(object_of(records, 1));
	/* The name is free for another object. */
	assert_int_equal(take(records, make_object(2, "web", 40), 2), 0);
	assert_non_null(records_find(records, "default", "Deployment", "web"));
	records_free(records);
}

static void who_still_has_a_deleted_object_gets_its_tombstone(void **state)
{
	struct records *records = make_records(1);
	const struct records_effect *effect;
	struct node_id other = make_id(3);

	(void)state;
	assert_int_equal(take(records, make_tombstone(1, 20), 2), 0);
	(void)drain(records, RECORDS_SEND);
	assert_int_equal(take(records, make_object(1, "web", 10), 3), RECORDS_E_DELETED);
	effect = records_next_effect(records);
	assert_int_equal(effect->type, RECORDS_SEND);
	assert_true(effect->is_envelope);
	assert_true(node_id_equal(&effect->to, &other));
	records_free(records);
}

static void a_tombstone_is_forgotten_after_a_week(void **state)
{
	struct records *records = make_records(1);
	struct uid uid = make_uid(1);
	int64_t ms = RECORDS_TOMBSTONE_MS;

	(void)state;
	assert_int_equal(take(records, make_tombstone(1, 0), 2), 0);
	records_tick(records, (struct mono){ms * US_PER_MS}, make_fabric(ms));
	assert_true(records_is_deleted(records, &uid));
	ms += 2 * 60 * 1000;
	records_tick(records, (struct mono){ms * US_PER_MS}, make_fabric(ms));
	assert_false(records_is_deleted(records, &uid));
	assert_int_equal(drain(records, RECORDS_FORGET), 1);
	records_free(records);
}

static void a_steward_of_one_namespace_ends_nothing_in_another(void **state)
{
	struct records *records = make_records(1);
	struct record tombstone = make_tombstone(1, 20);

	(void)state;
	free(tombstone.object.namespace);
	tombstone.object.namespace = mem_strdup("other");
	assert_int_equal(take(records, make_object(1, "web", 10), 2), 0);
	assert_int_equal(receive(records, &tombstone, 2), RECORDS_E_WRITER);
	records_free(records);

	/* Nor when it comes first. */
	records = make_records(1);
	assert_int_equal(take(records, tombstone, 2), 0);
	assert_int_equal(take(records, make_object(1, "web", 10), 2), 0);
	assert_non_null(object_of(records, 1));
	records_free(records);
}

static int receive_as(struct records *records, struct record record, uint8_t writer, bool steward)
{
	struct record_writer signer = {.id = make_id(writer), .steward = steward};
	int outcome = records_receive(records, start, make_fabric(0), &signer.id, &signer, &record,
				      bytes_str("envelope"));

	record_deinit(&record);
	return outcome;
}

/* A copy of what @writer wrote, brought by @from. */
static int take_from(struct records *records, struct record record, uint8_t writer, uint8_t from)
{
	struct record_writer signer = {.id = make_id(writer), .steward = true};
	struct node_id bringer = make_id(from);
	int outcome = records_receive(records, start, make_fabric(0), &bringer, &signer, &record,
				      bytes_str("envelope"));

	record_deinit(&record);
	return outcome;
}

static void rename_uid(struct record *record, struct uid uid)
{
	record->key.uid = record->object.uid = uid;
}

static void move(struct record *record, const char *namespace)
{
	free(record->object.namespace);
	record->object.namespace = mem_strdup(namespace);
}

/* What a controller will make for an object has a uid that anybody can work out. */
static void a_steward_of_another_namespace_takes_no_derived_uid(void **state)
{
	struct records *records = make_records(1);
	struct uid owner = uid_from_random(make_uid(1).byte);
	struct uid derived = uid_derive(&owner, "ReplicaSet/web-1");
	struct record web = make_object(1, "web", 10);
	struct record squat = make_object(2, "squat", 20), grave = make_tombstone(2, 20);
	struct record own = make_object(3, "web-1", 30);

	(void)state;
	rename_uid(&web, owner);
	rename_uid(&squat, derived);
	rename_uid(&grave, derived);
	rename_uid(&own, derived);
	move(&squat, "other");
	move(&grave, "other");
	assert_int_equal(take(records, web, 2), 0);
	assert_int_equal(take(records, squat, 2), RECORDS_E_WRITER);
	assert_int_equal(take(records, grave, 2), RECORDS_E_WRITER);
	assert_int_equal(take(records, own, 2), 0);
	assert_int_equal(records_count(records, RECORD_OBJECT), 2);
	/* Nor does a tombstone of a pod of its own end what is another's. */
	grave = make_tombstone(1, 40);
	move(&grave, "other");
	rename_uid(&grave, owner);
	grave.object.uid = make_uid(9);
	assert_int_equal(take(records, grave, 2), RECORDS_E_WRITER);
	assert_int_equal(records_count(records, RECORD_OBJECT), 2);
	records_free(records);
}

static void only_stewards_write_objects_and_tombstones(void **state)
{
	struct records *records = make_records(1);
	struct record nameless = make_object(1, "", 10), elsewhere = make_object(1, "web", 10);

	(void)state;
	elsewhere.object.uid = make_uid(2);
	assert_int_equal(receive_as(records, make_object(1, "web", 10), 2, false),
			 RECORDS_E_WRITER);
	assert_int_equal(receive_as(records, make_tombstone(1, 10), 2, false), RECORDS_E_WRITER);
	assert_int_equal(receive_as(records, nameless, 2, true), RECORDS_E_WRITER);
	assert_int_equal(receive_as(records, elsewhere, 2, true), RECORDS_E_WRITER);
	assert_int_equal(receive_as(records, make_object(1, "web", 10), 2, true), 0);
	records_free(records);
}

static void only_a_machine_speaks_for_itself_and_its_pods(void **state)
{
	struct records *records = make_records(1);
	struct record other_pod = make_presence(1, 7, 2, 10);

	(void)state;
	other_pod.key.sub = make_uid(8);
	assert_int_equal(receive_as(records, make_node(2, 10), 3, true), RECORDS_E_WRITER);
	assert_int_equal(receive_as(records, make_node(2, 10), 2, false), 0);
	assert_int_equal(receive_as(records, make_presence(1, 7, 2, 10), 3, true),
			 RECORDS_E_WRITER);
	assert_int_equal(receive_as(records, other_pod, 2, true), RECORDS_E_WRITER);
	assert_int_equal(receive_as(records, make_presence(1, 7, 2, 10), 2, false), 0);
	/* Another machine can neither take the pod over nor end it. */
	assert_int_equal(receive_as(records, make_presence(1, 7, 3, 20), 3, true),
			 RECORDS_E_WRITER);
	assert_int_equal(receive_as(records, make_presence_end(1, 7, 20), 3, true),
			 RECORDS_E_WRITER);
	assert_int_equal(records_count(records, RECORD_PRESENCE), 1);
	records_free(records);
}

static void what_was_written_in_the_future_is_refused(void **state)
{
	struct records *records = make_records(1);

	(void)state;
	assert_int_equal(take(records, make_object(1, "web", RECORDS_CLOCK_AHEAD_MS + 1), 2),
			 RECORDS_E_CLOCK);
	assert_int_equal(records_clock(records), 0);
	assert_int_equal(take(records, make_object(1, "web", RECORDS_CLOCK_AHEAD_MS), 2), 0);
	/* Our own clock then goes on from there. */
	assert_true(records_clock_next(records, make_fabric(0)) > make_hlc(RECORDS_CLOCK_AHEAD_MS));
	records_free(records);
}

static void the_clock_never_repeats_or_goes_back(void **state)
{
	struct records *records = make_records(1);
	uint64_t last = records_clock_next(records, make_fabric(1000));

	(void)state;
	assert_int_equal(last, make_hlc(1000));
	for (int64_t ms = 999; ms > 0; ms -= 333) {
		uint64_t next = records_clock_next(records, make_fabric(ms));

		assert_true(next > last);
		last = next;
	}
	records_free(records);
}

static enum records_change next_change(struct records *records, const struct record_item **item)
{
	const struct records_effect *effect;

	while ((effect = records_next_effect(records))) {
		if (effect->type == RECORDS_CHANGED) {
			*item = effect->item;
			return effect->change;
		}
	}
	fail_msg("no change was reported");
	return RECORDS_ADDED;
}

static void changes_are_reported_with_what_came_or_went(void **state)
{
	struct records *records = make_records(1);
	const struct record_item *item = NULL;

	(void)state;
	assert_int_equal(take(records, make_presence(1, 7, 2, 10), 2), 0);
	assert_int_equal(next_change(records, &item), RECORDS_ADDED);
	assert_int_equal(take(records, make_presence(1, 7, 2, 20), 2), 0);
	assert_int_equal(next_change(records, &item), RECORDS_MODIFIED);
	assert(item);
	assert_int_equal(item->record.version.hlc, make_hlc(20));
	assert_int_equal(take(records, make_presence_end(1, 7, 30), 2), 0);
	assert_int_equal(next_change(records, &item), RECORDS_REMOVED);
	assert_int_equal(item->record.version.hlc, make_hlc(20));
	assert_true(item->record.value.len > 0);
	records_free(records);
}

static void an_effect_outlives_its_record(void **state)
{
	struct records *records = make_records(1);
	const struct record_item *item = NULL;

	(void)state;
	assert_int_equal(take(records, make_object(1, "web", 10), 2), 0);
	assert_int_equal(take(records, make_object(1, "web", 20), 2), 0);
	assert_int_equal(take(records, make_tombstone(1, 30), 2), 0);
	assert_int_equal(next_change(records, &item), RECORDS_ADDED);
	assert(item);
	assert_int_equal(item->record.version.hlc, make_hlc(10));
	assert_int_equal(next_change(records, &item), RECORDS_MODIFIED);
	assert_int_equal(next_change(records, &item), RECORDS_ADDED); /* the tombstone */
	assert_int_equal(next_change(records, &item), RECORDS_REMOVED);
	assert_int_equal(item->record.version.hlc, make_hlc(20));
	records_free(records);
}

static void the_end_of_a_pod_is_not_undone_by_a_late_copy(void **state)
{
	struct records *records = make_records(1);
	struct uid workload = make_uid(1);
	size_t position = 0;

	(void)state;
	assert_int_equal(take(records, make_presence(1, 7, 2, 10), 2), 0);
	assert_int_equal(take(records, make_presence_end(1, 7, 20), 2), 0);
	assert_int_equal(take(records, make_presence(1, 7, 2, 10), 2), RECORDS_E_OLD);
	assert_null(records_next(records, RECORD_PRESENCE, NULL, &workload, &position));
	assert_int_equal(records_count(records, RECORD_PRESENCE), 0);
	records_free(records);
}

static void a_deleted_object_is_readable_while_it_has_pods(void **state)
{
	struct records *records = make_records(1);
	struct uid uid = make_uid(1);

	(void)state;
	assert_int_equal(take(records, make_object(1, "web", 10), 2), 0);
	assert_null(records_buried(records, &uid));
	assert_int_equal(take(records, make_presence(1, 7, 2, 10), 2), 0);
	assert_int_equal(take(records, make_presence(1, 8, 3, 10), 3), 0);
	assert_int_equal(take(records, make_tombstone(1, 20), 2), 0);
	assert_int_equal(take(records, make_presence(1, 7, 2, 30), 2), 0); /* terminating */
	assert_int_equal(take(records, make_presence_end(1, 7, 40), 2), 0);
	assert_non_null(records_buried(records, &uid));
	assert_string_equal(records_buried(records, &uid)->record.object.name, "web");
	assert_int_equal(take(records, make_presence_end(1, 8, 40), 3), 0);
	assert_null(records_buried(records, &uid));
	records_free(records);
}

static void what_a_lost_machine_said_is_forgotten_until_it_returns(void **state)
{
	struct records *records = make_records(1);
	struct node_id two = make_id(2);

	(void)state;
	records_peer_up(records, start, &two);
	assert_int_equal(take(records, make_presence(1, 7, 2, 10), 2), 0);
	assert_int_equal(take(records, make_node(2, 10), 2), 0);
	assert_int_equal(take(records, make_node(3, 10), 3), 0);
	(void)drain(records, RECORDS_SEND);
	records_peer_lost(records, start, &two);
	assert_int_equal(records_count(records, RECORD_PRESENCE), 0);
	assert_int_equal(records_count(records, RECORD_NODE), 1);
	assert_int_equal(drain(records, RECORDS_CHANGED), 2);
	/* Another keeper that has not noticed yet does not bring it back. */
	assert_int_equal(take_from(records, make_node(2, 10), 2, 3), RECORDS_E_OLD);
	assert_int_equal(records_count(records, RECORD_NODE), 1);
	records_peer_up(records, start, &two);
	assert_int_equal(take_from(records, make_node(2, 10), 2, 3), 0);
	assert_int_equal(records_count(records, RECORD_NODE), 2);
	records_free(records);
}

static void a_lost_machine_that_speaks_for_itself_is_believed(void **state)
{
	struct records *records = make_records(1);
	struct node_id two = make_id(2);

	(void)state;
	records_peer_lost(records, start, &two);
	assert_int_equal(take_from(records, make_presence(1, 7, 2, 10), 2, 3), RECORDS_E_OLD);
	assert_int_equal(take_from(records, make_presence(1, 7, 2, 10), 2, 2), 0);
	assert_int_equal(take_from(records, make_presence(1, 8, 2, 20), 2, 3), 0);
	assert_int_equal(records_count(records, RECORD_PRESENCE), 2);
	records_free(records);
}

static void a_machine_known_by_its_records_alone_is_forgotten_soon(void **state)
{
	struct records *records = make_records(1);
	struct mono later = {121LL * US_PER_S};

	(void)state;
	assert_int_equal(take(records, make_node(2, 10), 2), 0);
	records_tick(records, later, make_fabric(0));
	assert_int_equal(records_count(records, RECORD_NODE), 0);
	records_free(records);
}

/* Where records stay nothing is compared, whoever asks for it. */
static void where_records_stay_nobody_is_told_what_is_there(void **state)
{
	struct records_config config = {.self = make_id(1), .keeper = true, .alone = true};
	struct records *records = records_new(&config);
	struct node_id other = make_id(2);
	uint64_t digests[SYNC_BUCKETS] = {1};
	uint32_t bucket = 7;
	struct message summary = {.type = MESSAGE_SYNC_SUMMARY,
				  .sync_summary = {digests, SYNC_BUCKETS}};
	struct message keys = {.type = MESSAGE_SYNC_KEYS,
			       .sync_keys = {.buckets = &bucket, .bucket_count = 1}};

	(void)state;
	assert_int_equal(take(records, make_object(1, "web", 10), 1), 0);
	(void)drain(records, RECORDS_SEND);
	records_peer_up(records, start, &other);
	records_receive_message(records, start, &other, &summary);
	records_receive_message(records, start, &other, &keys);
	assert_int_equal(drain(records, RECORDS_SEND), 0);
	assert_non_null(object_of(records, 1));
	records_free(records);
}

static void the_older_of_two_objects_keeps_the_name(void **state)
{
	const struct records_effect *effect;

	(void)state;
	for (int order = 0; order < 2; order++) {
		struct records *records = make_records(1);
		struct record_item const *found;
		size_t clashes = 0;

		assert_int_equal(
			take(records, make_object(order ? 2 : 1, "web", order ? 20 : 10), 2), 0);
		assert_int_equal(
			take(records, make_object(order ? 1 : 2, "web", order ? 10 : 20), 3), 0);
		found = records_find(records, "default", "Deployment", "web");
		assert_true(found == object_of(records, 1));
		while ((effect = records_next_effect(records))) {
			if (effect->type != RECORDS_NAME_CLASH)
				continue;
			assert_int_equal(effect->item->record.key.uid.byte[0], 2);
			clashes++;
		}
		assert_int_equal(clashes, 1);

		/* The younger is disposed of: the older stays, and nothing clashes any more. */
		assert_int_equal(take(records, make_tombstone(2, 30), 2), 0);
		assert_int_equal(take(records, make_object(1, "web", 40), 2), 0);
		assert_int_equal(drain(records, RECORDS_NAME_CLASH), 0);
		records_free(records);
	}
}

static void an_update_does_not_make_an_object_younger(void **state)
{
	struct records *records = make_records(1);
	struct record update = make_object(1, "web", 50);

	(void)state;
	update.created_hlc = make_hlc(10);
	assert_int_equal(take(records, make_object(2, "web", 20), 2), 0);
	assert_int_equal(take(records, update, 2), 0); /* its first version never came here */
	assert_true(records_find(records, "default", "Deployment", "web") == object_of(records, 1));
	records_free(records);
}

static void listing_is_ordered_and_by_kind(void **state)
{
	struct records *records = make_records(1);
	const struct record_item *item;
	struct record pod = make_object(4, "a", 10);
	size_t position = 0;

	(void)state;
	free(pod.object.kind);
	pod.object.kind = mem_strdup("Pod");
	assert_int_equal(take(records, make_object(1, "c", 10), 2), 0);
	assert_int_equal(take(records, make_object(2, "a", 10), 2), 0);
	assert_int_equal(take(records, make_object(3, "b", 10), 2), 0);
	assert_int_equal(take(records, pod, 2), 0);
	for (char name = 'a'; name <= 'c'; name++) {
		item = records_next(records, RECORD_OBJECT, "Deployment", NULL, &position);
		assert_int_equal(item->record.object.name[0], name);
	}
	assert_null(records_next(records, RECORD_OBJECT, "Deployment", NULL, &position));
	position = 0;
	assert_null(records_next(records, RECORD_OBJECT, "Secret", NULL, &position));
	for (size_t i = 0; i < 4; i++)
		assert_non_null(records_next(records, RECORD_OBJECT, NULL, NULL, &position));
	assert_null(records_next(records, RECORD_OBJECT, NULL, NULL, &position));
	records_free(records);
}

static struct record make_object_in(uint8_t uid, const char *namespace, const char *kind,
				    const char *name)
{
	struct record record = make_object(uid, name, 10);

	free(record.object.namespace);
	free(record.object.kind);
	record.object.namespace = mem_strdup(namespace);
	record.object.kind = mem_strdup(kind);
	return record;
}

static void one_namespace_is_listed_alone(void **state)
{
	static const char *const namespaces[] = {"a", "a-b", "b", "c"};
	struct records *records = make_records(1);
	const struct record_item *item;
	const char *namespace = NULL;
	size_t position = 0;

	(void)state;
	assert_null(records_next_namespace(records, NULL));
	assert_null(records_next_in(records, "Pod", "a", &position));
	assert_int_equal(take(records, make_object_in(1, "", "PriorityClass", "x"), 2), 0);
	assert_null(records_next_namespace(records, NULL));
	assert_int_equal(take(records, make_object_in(2, "b", "Pod", "x"), 2), 0);
	assert_int_equal(take(records, make_object_in(3, "a", "Pod", "z"), 2), 0);
	assert_int_equal(take(records, make_object_in(4, "a-b", "Pod", "x"), 2), 0);
	assert_int_equal(take(records, make_object_in(5, "a", "Pod", "y"), 2), 0);
	assert_int_equal(take(records, make_object_in(6, "a", "Secret", "x"), 2), 0);
	assert_int_equal(take(records, make_object_in(7, "c", "Secret", "x"), 2), 0);
	position = 0;
	item = records_next_in(records, "Pod", "a", &position);
	assert_string_equal(item->record.object.name, "y");
	item = records_next_in(records, "Pod", "a", &position);
	assert_string_equal(item->record.object.name, "z");
	assert_null(records_next_in(records, "Pod", "a", &position));
	position = 0;
	assert_null(records_next_in(records, "Pod", "c", &position));
	for (size_t i = 0; i < 4; i++) {
		namespace = records_next_namespace(records, namespace);
		assert_string_equal(namespace, namespaces[i]);
	}
	assert_null(records_next_namespace(records, namespace));
	records_free(records);
}

/* @uid with another last byte: of the same home. */
static struct record make_relative(uint8_t uid, uint8_t last, const char *name)
{
	struct record record = make_object(uid, name, 10);

	record.key.uid.byte[UID_LEN - 1] = last;
	record.object.uid = record.key.uid;
	return record;
}

static void objects_are_listed_by_home(void **state)
{
	struct records *records = make_records(1);
	const struct record_item *item;
	struct uid two = make_uid(2), nine = make_uid(9);
	size_t position = 0, count = 0;

	(void)state;
	for (uint8_t uid = 1; uid < 4; uid++) {
		assert_int_equal(take(records, make_relative(uid, 0, "first"), 2), 0);
		assert_int_equal(take(records, make_relative(uid, 0x80, "middle"), 2), 0);
		assert_int_equal(take(records, make_relative(uid, 0xff, "last"), 2), 0);
	}
	for (; (item = records_next(records, RECORD_OBJECT, NULL, &two, &position)); count++)
		assert_memory_equal(item->record.key.uid.byte, two.byte, UID_HOME_LEN);
	assert_int_equal(count, 3);
	position = 0;
	assert_null(records_next(records, RECORD_OBJECT, NULL, &nine, &position));
	records_free(records);
}

static void presences_are_listed_by_workload(void **state)
{
	struct records *records = make_records(1);
	struct uid two = make_uid(2), nine = make_uid(9);
	size_t position = 0, count = 0;

	(void)state;
	for (uint8_t pod = 10; pod < 40; pod++)
		assert_int_equal(
			take(records, make_presence((uint8_t)(1 + pod % 3), pod, 2, 10), 2), 0);
	while (records_next(records, RECORD_PRESENCE, NULL, &two, &position))
		count++;
	assert_int_equal(count, 10);
	position = 0;
	assert_null(records_next(records, RECORD_PRESENCE, NULL, &nine, &position));
	position = count = 0;
	while (records_next(records, RECORD_PRESENCE, NULL, NULL, &position))
		count++;
	assert_int_equal(count, 30);
	records_free(records);
}

static void one_machine_cannot_fill_the_memory_of_others(void **state)
{
	struct records *records = make_records(1);
	struct record record = make_presence_end(1, 1, 10);

	(void)state;
	for (uint32_t i = 0; i <= RECORDS_PER_WRITER_MAX; i++) {
		int expected = i < RECORDS_PER_WRITER_MAX ? 0 : RECORDS_E_FULL;

		memcpy(record.key.sub.byte, &i, sizeof(i));
		record.key.sub.byte[15] = 1;
		assert_int_equal(receive(records, &record, 2), expected);
		(void)drain(records, RECORDS_SEND);
	}
	assert_int_equal(receive(records, &record, 3), 0);
	record_deinit(&record);
	records_free(records);

	/* Nor with few records that are large. */
	records = make_records(1);
	record = make_presence_end(1, 1, 10);
	buf_reserve(&record.value, MESSAGE_MANIFEST_MAX);
	memset(record.value.ptr, 'x', MESSAGE_MANIFEST_MAX);
	record.value.len = MESSAGE_MANIFEST_MAX;
	for (uint8_t i = 0; i < 16; i++) {
		record.key.sub.byte[0] = i;
		assert_int_equal(receive(records, &record, 2), i < 15 ? 0 : RECORDS_E_FULL);
		(void)drain(records, RECORDS_SEND);
	}
	assert_int_equal(receive(records, &record, 3), 0);
	record_deinit(&record);
	records_free(records);
}

static void what_comes_from_the_disk_is_not_judged_again(void **state)
{
	struct records *records = make_records(1);
	struct record object = make_object(1, "web", 10), other = make_object(2, "db", 10);
	struct record tombstone = make_tombstone(2, 20);
	struct record_writer writer = {.id = make_id(2), .steward = false};

	(void)state;
	assert_int_equal(records_restore(records, &object, bytes_str("e"), &writer), 0);
	assert_true(object_of(records, 1)->durable);
	assert_int_equal(drain(records, RECORDS_PERSIST), 0);
	/* Whatever the order in which they are read, the deleted object is removed from the disk.
	 */
	assert_int_equal(records_restore(records, &other, bytes_str("e"), &writer), 0);
	assert_int_equal(records_restore(records, &tombstone, bytes_str("e"), &writer), 0);
	assert_int_equal(drain(records, RECORDS_FORGET), 1);
	assert_int_equal(records_restore(records, &other, bytes_str("e"), &writer),
			 RECORDS_E_DELETED);
	assert_int_equal(drain(records, RECORDS_FORGET), 1);
	assert_null(object_of(records, 2));
	record_deinit(&object);
	record_deinit(&other);
	record_deinit(&tombstone);
	records_free(records);
}

enum {
	SET = 90, /* records of the property test */
	INSTANCES = 6,
};

/* Versions of a few objects, tombstones of some, pods that come and go, facts. */
static void make_set(struct record set[SET])
{
	static const char *const names[] = {"web", "db", "cache"};

	for (uint8_t i = 0; i < SET; i++) {
		uint8_t uid = (uint8_t)(1 + i % 7), pod = (uint8_t)(50 + i % 5);

		if (i < 40)
			set[i] = make_object(uid, names[uid % 3], i);
		else if (i < 45)
			set[i] = make_tombstone((uint8_t)(1 + i % 3), i);
		else if (i < 75)
			set[i] = make_presence(uid, pod, (uint8_t)(2 + pod % 3), i % 11);
		else if (i < 80)
			set[i] = make_presence_end(uid, pod, i % 11);
		else
			set[i] = make_node((uint8_t)(2 + i % 4), i);
	}
}

static uint8_t set_writer(const struct record *record)
{
	if (record->key.kind == RECORD_PRESENCE)
		return (uint8_t)(2 + record->key.sub.byte[0] % 3);
	return record->key.kind == RECORD_NODE ? record->key.uid.byte[0] : 9;
}

/* The digests of all buckets, as they are sent to a peer that has something else. */
static void contents(struct records *records, uint64_t digests[SYNC_BUCKETS])
{
	uint64_t other = 1;
	struct message message = {.type = MESSAGE_SYNC_SUMMARY,
				  .sync_summary = {.buckets = &other, .bucket_count = 1}};
	const struct records_effect *effect;
	struct node_id peer = make_id(200);
	bool found = false;

	(void)drain(records, RECORDS_SEND);
	records_receive_message(records, start, &peer, &message);
	while ((effect = records_next_effect(records))) {
		if (effect->message.type != MESSAGE_SYNC_SUMMARY)
			continue;
		assert_int_equal(effect->message.sync_summary.bucket_count, SYNC_BUCKETS);
		memcpy(digests, effect->message.sync_summary.buckets,
		       SYNC_BUCKETS * sizeof(*digests));
		found = true;
	}
	assert_true(found);
}

static void any_order_with_any_duplicates_gives_the_same_contents(void **state)
{
	static uint64_t expected[SYNC_BUCKETS], digests[SYNC_BUCKETS];
	static struct record set[SET];
	struct prng prng = prng_seeded(42);

	(void)state;
	make_set(set);
	for (size_t instance = 0; instance < INSTANCES; instance++) {
		struct records *records = make_records(1);
		bool given[SET] = {false};
		size_t left = SET;

		while (left > 0) {
			size_t i = prng_below(&prng, SET);

			(void)receive(records, &set[i], set_writer(&set[i]));
			left -= !given[i];
			given[i] = true;
		}
		assert_true(records_count(records, RECORD_OBJECT) >= 4);
		assert_true(records_count(records, RECORD_PRESENCE) > 0);
		contents(records, instance == 0 ? expected : digests);
		if (instance > 0)
			assert_memory_equal(digests, expected, sizeof(digests));
		records_free(records);
	}
	for (size_t i = 0; i < SET; i++)
		record_deinit(&set[i]);
}

static void every_machine_names_the_same_controller(void **state)
{
	struct records *a = make_records(1), *b = make_records(2);
	struct node_id ids[] = {make_id(1), make_id(2), make_id(3)};
	struct node_id reversed[] = {make_id(3), make_id(2), make_id(1)};
	size_t of_first = 0;

	(void)state;
	records_set_stewards(a, start, ids, 3);
	records_set_stewards(b, start, reversed, 3);
	for (uint8_t n = 0; n < 100; n++) {
		struct uid uid = make_uid(n);
		struct node_id x = records_controller(a, &uid), y = records_controller(b, &uid);

		assert_true(node_id_equal(&x, &y));
		of_first += node_id_equal(&x, &ids[0]);
	}
	assert_in_range(of_first, 10, 60); /* the work is spread */
	records_set_stewards(a, start, ids, 0);
	ids[0] = records_controller(a, &(struct uid){{1}});
	assert_true(node_id_is_none(&ids[0]));
	records_free(a);
	records_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_version_wins),
		cmocka_unit_test(what_a_record_says_is_in_memory_once),
		cmocka_unit_test(a_higher_generation_wins_whatever_the_clock),
		cmocka_unit_test(a_tombstone_ends_an_object_for_good),
		cmocka_unit_test(who_still_has_a_deleted_object_gets_its_tombstone),
		cmocka_unit_test(a_tombstone_is_forgotten_after_a_week),
		cmocka_unit_test(a_steward_of_one_namespace_ends_nothing_in_another),
		cmocka_unit_test(a_steward_of_another_namespace_takes_no_derived_uid),
		cmocka_unit_test(only_stewards_write_objects_and_tombstones),
		cmocka_unit_test(only_a_machine_speaks_for_itself_and_its_pods),
		cmocka_unit_test(what_was_written_in_the_future_is_refused),
		cmocka_unit_test(the_clock_never_repeats_or_goes_back),
		cmocka_unit_test(changes_are_reported_with_what_came_or_went),
		cmocka_unit_test(an_effect_outlives_its_record),
		cmocka_unit_test(the_end_of_a_pod_is_not_undone_by_a_late_copy),
		cmocka_unit_test(a_deleted_object_is_readable_while_it_has_pods),
		cmocka_unit_test(what_a_lost_machine_said_is_forgotten_until_it_returns),
		cmocka_unit_test(a_lost_machine_that_speaks_for_itself_is_believed),
		cmocka_unit_test(a_machine_known_by_its_records_alone_is_forgotten_soon),
		cmocka_unit_test(where_records_stay_nobody_is_told_what_is_there),
		cmocka_unit_test(the_older_of_two_objects_keeps_the_name),
		cmocka_unit_test(an_update_does_not_make_an_object_younger),
		cmocka_unit_test(listing_is_ordered_and_by_kind),
		cmocka_unit_test(one_namespace_is_listed_alone),
		cmocka_unit_test(objects_are_listed_by_home),
		cmocka_unit_test(presences_are_listed_by_workload),
		cmocka_unit_test(one_machine_cannot_fill_the_memory_of_others),
		cmocka_unit_test(what_comes_from_the_disk_is_not_judged_again),
		cmocka_unit_test(any_order_with_any_duplicates_gives_the_same_contents),
		cmocka_unit_test(every_machine_names_the_same_controller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
