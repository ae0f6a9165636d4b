/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "make.h"

/* What the effects of one step were. */
struct seen {
	size_t sends, persists, dones;
	uint32_t stored, keepers;
	bool quorum;
	uint64_t token;
};

static struct mono at_ms(int64_t ms)
{
	return (struct mono){ms * US_PER_MS};
}

static struct seen look(struct records *records)
{
	const struct records_effect *effect;
	struct seen seen = {0};

	while ((effect = records_next_effect(records))) {
		seen.sends += effect->type == RECORDS_SEND && effect->is_envelope;
		seen.persists += effect->type == RECORDS_PERSIST;
		if (effect->type != RECORDS_PUT_DONE)
			continue;
		seen.dones++;
		seen.stored = effect->stored;
		seen.keepers = effect->keepers;
		seen.quorum = effect->quorum;
		seen.token = effect->token;
	}
	return seen;
}

/* Machine 1 among @count stewards 1, 2, ... */
static struct records *one_of(uint8_t count)
{
	struct records *records = make_records(1);
	struct node_id ids[16];

	for (uint8_t i = 0; i < count; i++)
		ids[i] = make_id((uint8_t)(i + 1));
	records_set_stewards(records, at_ms(0), ids, count);
	return records;
}

static int put(struct records *records, const struct record *record, uint64_t expected,
	       uint64_t *ret_token)
{
	return records_put(records, at_ms(0), make_fabric(0), record, bytes_str("envelope"),
			   expected, ret_token);
}

static void ack(struct records *records, const struct record *record, uint8_t from, bool stored)
{
	struct node_id id = make_id(from);
	struct message message = {.type = MESSAGE_RECORD_ACK,
				  .record_ack = {record->key, record->version, stored, NULL}};

	records_receive_message(records, at_ms(1), &id, &message);
}

static void a_write_is_done_when_three_of_five_have_it(void **state)
{
	struct records *records = one_of(5);
	struct record record = make_object(1, "web", 10);
	struct seen seen;
	uint64_t token;

	(void)state;
	assert_int_equal(put(records, &record, 0, &token), 0);
	seen = look(records);
	assert_int_equal(seen.sends, 4);
	assert_int_equal(seen.persists, 1);
	assert_int_equal(seen.dones, 0);

	ack(records, &record, 2, true);
	ack(records, &record, 2, true); /* a duplicate does not count twice */
	ack(records, &record, 3, false);
	ack(records, &record, 99, true); /* no keeper */
	assert_int_equal(look(records).dones, 0);
	records_persisted(records, at_ms(2), &record.key, &record.version, true);
	assert_int_equal(look(records).dones, 0);
	ack(records, &record, 4, true);
	seen = look(records);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.token, token);
	assert_int_equal(seen.stored, 3);
	assert_int_equal(seen.keepers, 5);
	assert_true(seen.quorum);
	record_deinit(&record);
	records_free(records);
}

static void who_does_not_answer_is_sent_it_again(void **state)
{
	struct records *records = one_of(3);
	struct record record = make_object(1, "web", 10);
	uint64_t token;

	(void)state;
	assert_int_equal(put(records, &record, 0, &token), 0);
	assert_int_equal(look(records).sends, 2);
	ack(records, &record, 2, true);
	records_tick(records, at_ms(RECORDS_RESEND_MS - 1), make_fabric(0));
	assert_int_equal(look(records).sends, 0);
	records_tick(records, at_ms(RECORDS_RESEND_MS), make_fabric(0));
	assert_int_equal(look(records).sends, 1);
	record_deinit(&record);
	records_free(records);
}

static void a_write_without_a_quorum_is_reported_as_it_is(void **state)
{
	struct records *records = one_of(5);
	struct record record = make_object(1, "web", 10);
	struct seen seen;
	uint64_t token;

	(void)state;
	assert_int_equal(put(records, &record, 0, &token), 0);
	records_persisted(records, at_ms(2), &record.key, &record.version, true);
	(void)look(records);
	records_tick(records, at_ms(RECORDS_ACK_MS), make_fabric(0));
	seen = look(records);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.stored, 1);
	assert_int_equal(seen.keepers, 5);
	assert_false(seen.quorum);
	/* Nothing more is heard of it, whatever still comes. */
	ack(records, &record, 2, true);
	ack(records, &record, 3, true);
	records_tick(records, at_ms(2 * RECORDS_ACK_MS), make_fabric(0));
	assert_int_equal(look(records).dones, 0);
	record_deinit(&record);
	records_free(records);
}

static void a_slow_disk_is_waited_for(void **state)
{
	struct records *records = one_of(1);
	struct record record = make_object(1, "web", 10);
	struct seen seen;
	uint64_t token;

	(void)state;
	assert_int_equal(put(records, &record, 0, &token), 0);
	(void)look(records);
	records_tick(records, at_ms(RECORDS_ACK_MS), make_fabric(0));
	assert_int_equal(look(records).dones, 0);
	records_persisted(records, at_ms(RECORDS_DISK_MS - 1), &record.key, &record.version, true);
	seen = look(records);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.stored, 1);
	record_deinit(&record);
	records_free(records);
}

static void a_disk_that_fails_or_hangs_is_told(void **state)
{
	struct record record = make_object(1, "web", 10);

	(void)state;
	for (int hangs = 0; hangs < 2; hangs++) {
		struct records *records = one_of(1);
		int64_t end_ms = hangs ? RECORDS_DISK_MS : RECORDS_ACK_MS + 1;
		struct seen seen;
		uint64_t token;

		assert_int_equal(put(records, &record, 0, &token), 0);
		records_tick(records, at_ms(RECORDS_ACK_MS), make_fabric(0));
		if (!hangs)
			records_persisted(records, at_ms(end_ms), &record.key, &record.version,
					  false);
		assert_int_equal(look(records).dones, 0);
		assert_true(mono_reached(at_ms(end_ms), records_deadline(records)));
		records_tick(records, at_ms(end_ms), make_fabric(0));
		seen = look(records);
		assert_int_equal(seen.dones, 1);
		assert_int_equal(seen.stored, 0);
		records_free(records);
	}
	record_deinit(&record);
}

static void fewer_keepers_need_a_majority(void **state)
{
	static const uint32_t needed[] = {0, 1, 2, 2, 3, 3};

	(void)state;
	for (uint8_t count = 1; count <= 5; count++) {
		struct records *records = one_of(count);
		struct record record = make_object(1, "web", 10);
		struct seen seen;
		uint64_t token;

		assert_int_equal(put(records, &record, 0, &token), 0);
		(void)look(records);
		for (uint8_t have = 1; have <= needed[count]; have++) {
			if (have == 1)
				records_persisted(records, at_ms(1), &record.key, &record.version,
						  true);
			else
				ack(records, &record, have, true);
			seen = look(records);
			assert_int_equal(seen.dones, have == needed[count]);
		}
		assert_true(seen.quorum);
		record_deinit(&record);
		records_free(records);
	}
}

static void more_than_five_keepers_are_five_in_the_report(void **state)
{
	struct records *records = one_of(9);
	struct record record = make_presence(1, 7, 1, 10);
	struct seen seen;
	uint64_t token;

	(void)state;
	/* What lives in memory needs no disk: we count at once. */
	assert_int_equal(put(records, &record, UINT64_MAX, &token), 0);
	seen = look(records);
	assert_int_equal(seen.sends, 8);
	assert_int_equal(seen.persists, 0);
	ack(records, &record, 8, true);
	ack(records, &record, 9, true);
	seen = look(records);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.keepers, 5);
	assert_int_equal(seen.stored, 3);
	record_deinit(&record);
	records_free(records);
}

static void a_write_that_expects_something_else_is_a_conflict(void **state)
{
	struct records *records = one_of(1);
	struct record first = make_object(1, "web", 10), second = make_object(1, "web", 20);
	struct record same_name = make_object(2, "web", 30), grave = make_tombstone(1, 40);
	uint64_t token;

	(void)state;
	assert_int_equal(put(records, &second, make_hlc(10), &token), RECORDS_E_CONFLICT);
	assert_int_equal(put(records, &first, 0, &token), 0);
	assert_int_equal(put(records, &second, 0, &token), RECORDS_E_CONFLICT);
	assert_int_equal(put(records, &second, make_hlc(11), &token), RECORDS_E_CONFLICT);
	assert_int_equal(put(records, &second, make_hlc(10), &token), 0);
	assert_int_equal(put(records, &same_name, 0, &token), RECORDS_E_CONFLICT);
	assert_int_equal(put(records, &first, UINT64_MAX, &token), RECORDS_E_OLD);
	assert_int_equal(put(records, &grave, UINT64_MAX, &token), 0);
	grave.version.hlc++;
	assert_int_equal(put(records, &grave, UINT64_MAX, &token), RECORDS_E_DELETED);
	assert_int_equal(put(records, &second, UINT64_MAX, &token), RECORDS_E_DELETED);
	assert_int_equal(put(records, &same_name, 0, &token), 0);
	record_deinit(&first);
	record_deinit(&second);
	record_deinit(&same_name);
	record_deinit(&grave);
	records_free(records);
}

static void a_machine_without_the_role_writes_only_about_itself(void **state)
{
	struct records_config config = {.self = make_id(4), .keeper = false, .seed = 1};
	struct records *records = records_new(&config);
	struct node_id steward = make_id(1);
	struct record object = make_object(1, "web", 10), presence = make_presence(1, 7, 4, 10);
	struct seen seen;
	uint64_t token;

	(void)state;
	records_set_stewards(records, at_ms(0), &steward, 1);
	assert_int_equal(put(records, &object, 0, &token), RECORDS_E_WRITER);
	assert_int_equal(put(records, &presence, UINT64_MAX, &token), 0);
	seen = look(records);
	assert_int_equal(seen.sends, 1);
	assert_int_equal(seen.dones, 0);
	ack(records, &presence, 1, true);
	seen = look(records);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.keepers, 1);
	record_deinit(&object);
	record_deinit(&presence);
	records_free(records);
}

/* The acknowledgement among the effects: 1 stored, 0 refused, -1 there was none. */
static int look_for_ack(struct records *records)
{
	const struct records_effect *effect;
	int answer = -1;

	while ((effect = records_next_effect(records))) {
		if (effect->type == RECORDS_SEND && effect->message.type == MESSAGE_RECORD_ACK)
			answer = effect->message.record_ack.stored;
	}
	return answer;
}

static void a_keeper_answers_when_its_disk_has_it(void **state)
{
	struct records *records = make_records(1);
	struct record record = make_object(1, "web", 10);

	(void)state;
	assert_int_equal(receive(records, &record, 2), 0);
	assert_int_equal(look_for_ack(records), -1);
	assert_int_equal(receive(records, &record, 2), RECORDS_E_OLD); /* sent again meanwhile */
	assert_int_equal(look_for_ack(records), -1);
	records_persisted(records, at_ms(1), &record.key, &record.version, true);
	assert_int_equal(look_for_ack(records), 1);
	assert_int_equal(receive(records, &record, 2), RECORDS_E_OLD); /* the answer got lost */
	assert_int_equal(look_for_ack(records), 1);
	record_deinit(&record);
	records_free(records);
}

static void a_newer_version_on_the_disk_answers_for_the_older(void **state)
{
	struct records *records = make_records(1);
	struct record older = make_object(1, "web", 10), newer = make_object(1, "web", 20);

	(void)state;
	assert_int_equal(receive(records, &older, 2), 0);
	assert_int_equal(receive(records, &newer, 3), 0);
	assert_int_equal(look_for_ack(records), -1);
	records_persisted(records, at_ms(1), &newer.key, &newer.version, true);
	assert_int_equal(look_for_ack(records), 1);
	record_deinit(&older);
	record_deinit(&newer);
	records_free(records);
}

static void a_disk_that_fails_is_tried_again(void **state)
{
	struct records *records = make_records(1);
	struct record record = make_object(1, "web", 10);

	(void)state;
	assert_int_equal(receive(records, &record, 2), 0);
	assert_int_equal(drain(records, RECORDS_PERSIST), 1);
	records_persisted(records, at_ms(1), &record.key, &record.version, false);
	assert_int_equal(look_for_ack(records), 0);
	records_tick(records, at_ms(120 * 1000), make_fabric(0));
	assert_int_equal(drain(records, RECORDS_PERSIST), 1);
	records_persisted(records, at_ms(120 * 1000), &record.key, &record.version, true);
	records_tick(records, at_ms(240 * 1000), make_fabric(0));
	assert_int_equal(drain(records, RECORDS_PERSIST), 0);
	record_deinit(&record);
	records_free(records);
}

static void a_refusal_says_so(void **state)
{
	struct records *records = make_records(1);
	struct record record = make_object(1, "web", RECORDS_CLOCK_AHEAD_MS + 1);

	(void)state;
	assert_int_equal(receive(records, &record, 2), RECORDS_E_CLOCK);
	assert_int_equal(look_for_ack(records), 0);
	record_deinit(&record);
	records_free(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_is_done_when_three_of_five_have_it),
		cmocka_unit_test(who_does_not_answer_is_sent_it_again),
		cmocka_unit_test(a_write_without_a_quorum_is_reported_as_it_is),
		cmocka_unit_test(a_slow_disk_is_waited_for),
		cmocka_unit_test(a_disk_that_fails_or_hangs_is_told),
		cmocka_unit_test(fewer_keepers_need_a_majority),
		cmocka_unit_test(more_than_five_keepers_are_five_in_the_report),
		cmocka_unit_test(a_write_that_expects_something_else_is_a_conflict),
		cmocka_unit_test(a_machine_without_the_role_writes_only_about_itself),
		cmocka_unit_test(a_keeper_answers_when_its_disk_has_it),
		cmocka_unit_test(a_newer_version_on_the_disk_answers_for_the_older),
		cmocka_unit_test(a_disk_that_fails_is_tried_again),
		cmocka_unit_test(a_refusal_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
