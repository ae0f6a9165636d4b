/* SPDX-License-Identifier: Apache-2.0 */
/* One machine of a large fabric, and what it does with what it keeps, or does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "make.h"
#include "overlay/kad.h"
#include "records/internal.h"

enum {
	STEWARDS = 40,
	S = 1000,
};

static struct mono at_ms(int64_t ms)
{
	return (struct mono){ms * US_PER_MS};
}

static struct record_steward steward_of(uint8_t n)
{
	struct node_id id = make_id(n);

	return (struct record_steward){
		.contact = {.id = id, .addr = {.port = n, .is_v4 = true}, .steward = true},
		.position = kad_place(&id),
	};
}

/* Machine 1 knows the stewards 1..@count but for @without. */
static void know(struct records *records, int64_t ms, size_t count, uint8_t without)
{
	struct record_steward list[STEWARDS];
	size_t known = 0;

	for (uint8_t n = 1; n <= count; n++)
		if (n != without)
			list[known++] = steward_of(n);
	records_set_near(records, at_ms(ms), list, known);
}

static struct records *in_large_fabric(void)
{
	struct records *records = make_records(1);

	know(records, 0, STEWARDS, 0);
	(void)drain(records, RECORDS_NEAR);
	return records;
}

/* An object whose home machine 1 keeps, or is far from. */
static struct record object_that_is(struct records *records, enum home_claim claim)
{
	for (uint8_t uid = 1;; uid++) {
		struct record record = make_object(uid, "web", 10);

		if (home_claim(records, &record.key.uid) == claim)
			return record;
		record_deinit(&record);
	}
}

static void nearest_are_those_that_a_look_at_all_finds(void **state)
{
	struct record_steward list[STEWARDS];
	const struct record_steward *nearest[RECORDS_KEEPERS];
	struct stewards stewards = {0};

	(void)state;
	for (uint8_t n = 0; n < STEWARDS; n++)
		list[n] = steward_of((uint8_t)(n + 1));
	stewards_set(&stewards, list, STEWARDS);
	for (uint8_t n = 0; n < 200; n++) {
		struct uid uid = make_uid(n);
		uint64_t target = home_position(&uid), last = 0;

		assert_int_equal(stewards_nearest(&stewards, target, RECORDS_KEEPERS, nearest),
				 RECORDS_KEEPERS);
		for (size_t i = 0; i < RECORDS_KEEPERS; i++) {
			uint64_t distance = nearest[i]->position ^ target;
			size_t nearer = 0;

			assert_true(i == 0 || distance > last);
			for (size_t j = 0; j < STEWARDS; j++)
				nearer += (list[j].position ^ target) < distance;
			assert_int_equal(nearer, i);
			last = distance;
		}
	}
	stewards_deinit(&stewards);
}

/* Exactly by the definition: no other one of those around has a lower lot. */
static void keepers_are_drawn_from_those_around(void **state)
{
	struct record_steward list[STEWARDS];
	const struct record_steward *keepers[RECORDS_KEEPERS];
	struct stewards stewards = {0};

	(void)state;
	for (uint8_t n = 0; n < STEWARDS; n++)
		list[n] = steward_of((uint8_t)(n + 1));
	stewards_set(&stewards, list, STEWARDS);
	for (uint8_t n = 0; n < 200; n++) {
		struct uid uid = make_uid(n);
		uint64_t target = home_position(&uid), radius;

		assert_int_equal(stewards_keepers(&stewards, target, keepers, &radius),
				 RECORDS_KEEPERS);
		for (size_t i = 0; i < RECORDS_KEEPERS; i++) {
			uint64_t lot = steward_lot(keepers[i]->position ^ target);
			size_t around = 0, before = 0;

			assert_true((keepers[i]->position ^ target) <= radius);
			for (size_t j = 0; j < STEWARDS; j++) {
				uint64_t distance = list[j].position ^ target;

				around += distance <= radius;
				before += distance <= radius && steward_lot(distance) < lot;
			}
			assert_int_equal(around, RECORDS_AROUND);
			assert_int_equal(before, i);
		}
	}
	stewards_deinit(&stewards);
}

/* What the fullest of many has is bounded by where they lie, not by luck. */
static void load_is_spread_evenly(void **state)
{
	enum { MACHINES = 1000, HOMES = 400 * MACHINES };
	struct record_steward *list = mem_alloc(MACHINES, sizeof(*list));
	size_t *count = mem_alloc(MACHINES, sizeof(*count)), most = 0;
	const struct record_steward *keepers[RECORDS_KEEPERS];

	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct prng prng = prng_seeded(seed);
		struct stewards stewards = {0};

		memset(count, 0, MACHINES * sizeof(*count));
		for (size_t i = 0; i < MACHINES; i++)
			list[i] = (struct record_steward){.position = prng_next(&prng)};
		stewards_set(&stewards, list, MACHINES);
		for (size_t i = 0; i < HOMES; i++) {
			uint64_t radius;
			size_t found =
				stewards_keepers(&stewards, prng_next(&prng), keepers, &radius);

			for (size_t k = 0; k < found; k++)
				count[keepers[k] - stewards.list]++;
		}
		for (size_t i = 0; i < MACHINES; i++)
			most = count[i] > most ? count[i] : most;
		stewards_deinit(&stewards);
	}
	assert_in_range(most, 1, 5 * HOMES * RECORDS_KEEPERS / MACHINES / 2);
	free(count);
	free(list);
}

static void a_keeper_takes_what_is_its_own_and_refuses_what_is_far(void **state)
{
	struct records *records = in_large_fabric();
	struct record ours = object_that_is(records, HOME_MINE);
	struct record far = object_that_is(records, HOME_FAR);

	(void)state;
	assert_int_equal(receive(records, &ours, 2), 0);
	assert_int_equal(receive(records, &far, 2), RECORDS_E_FAR);
	assert_non_null(records_get(records, &ours.key));
	assert_null(records_get(records, &far.key));
	assert_int_equal(drain(records, RECORDS_PERSIST), 1);
	record_deinit(&ours);
	record_deinit(&far);
	records_free(records);
}

/* The messages of @type that are to be sent; @ret_to: to whom. */
static size_t sent(struct records *records, enum message_type type, struct node_id *ret_to,
		   size_t max)
{
	const struct records_effect *effect;
	size_t count = 0;

	while ((effect = records_next_effect(records)) != NULL) {
		bool is_record = effect->is_envelope && type == MESSAGE_RECORD;

		if (effect->type != RECORDS_SEND || (!is_record && effect->message.type != type))
			continue;
		if (count < max)
			ret_to[count] = effect->to;
		count++;
	}
	return count;
}

static void who_is_far_looks_the_keepers_up_and_writes_to_five(void **state)
{
	struct records *records = in_large_fabric();
	struct record far = object_that_is(records, HOME_FAR);
	struct contact found[8];
	struct node_id to[8];
	uint64_t token;

	(void)state;
	assert_int_equal(records_put(records, at_ms(1), make_fabric(0), &far, bytes_str("e"),
				     UINT64_MAX, &token),
			 0);
	assert_int_equal(drain(records, RECORDS_LOCATE), 1);
	for (uint8_t i = 0; i < ARRAY_LEN(found); i++)
		found[i] = steward_of((uint8_t)(10 + i)).contact;
	found[0].steward = false;
	records_located(records, at_ms(50), &far.key.uid, found, ARRAY_LEN(found));
	assert_int_equal(sent(records, MESSAGE_RECORD, to, ARRAY_LEN(to)), RECORDS_KEEPERS);
	for (size_t i = 0; i < RECORDS_KEEPERS; i++) {
		size_t at = 1; /* the first one is no steward */

		while (at < ARRAY_LEN(found) && !node_id_equal(&to[i], &found[at].id))
			at++;
		assert_true(at < ARRAY_LEN(found));
		found[at].id = (struct node_id){0}; /* once */
	}
	record_deinit(&far);
	records_free(records);
}

static void answer_offer(struct records *records, const struct record *record,
			 const struct node_id *from, int64_t ms)
{
	struct sync_entry entry = {record->key, record->version};
	struct message have = {.type = MESSAGE_SYNC_HAVE, .sync_offer = {&entry, 1}};

	records_receive_message(records, at_ms(ms), from, &have);
}

static void what_is_no_longer_ours_is_dropped_when_all_keepers_have_it(void **state)
{
	struct records *records = make_records(1);
	struct contact others[STEWARDS - 1];
	struct record record;
	struct node_id to[8];

	(void)state;
	know(records, 0, 1, 0);
	record = object_that_is(records, HOME_MINE);
	know(records, 1, STEWARDS, 0);
	record_deinit(&record);
	record = object_that_is(records, HOME_FAR);
	know(records, 2, 1, 0); /* alone again it is ours */
	assert_int_equal(receive(records, &record, 2), 0);
	records_persisted(records, at_ms(3), &record.key, &record.version, true);
	know(records, 4, STEWARDS, 0);
	(void)drain(records, RECORDS_SEND);
	records_tick(records, at_ms(2 * S), make_fabric(0));
	/* It is far: whom we know need not be those who keep it. */
	assert_int_equal(sent(records, MESSAGE_SYNC_OFFER, to, ARRAY_LEN(to)), 0);
	for (uint8_t n = 2; n <= STEWARDS; n++)
		others[n - 2] = steward_of(n).contact;
	records_located(records, at_ms(2 * S), &record.key.uid, others, ARRAY_LEN(others));
	records_tick(records, at_ms(4 * S), make_fabric(0));
	assert_int_equal(sent(records, MESSAGE_SYNC_OFFER, to, ARRAY_LEN(to)), RECORDS_KEEPERS);
	for (size_t i = 0; i + 1 < RECORDS_KEEPERS; i++)
		answer_offer(records, &record, &to[i], 4 * S + 10);
	for (int64_t ms = 5 * S; ms < 2 * RECORDS_DROP_MS; ms += S)
		records_tick(records, at_ms(ms), make_fabric(0));
	assert_non_null(records_get(records, &record.key)); /* one of them has not said so */
	(void)drain(records, RECORDS_SEND);
	answer_offer(records, &record, &to[RECORDS_KEEPERS - 1], 2 * RECORDS_DROP_MS);
	records_tick(records, at_ms(2 * RECORDS_DROP_MS + 120 * S), make_fabric(0));
	assert_null(records_get(records, &record.key));
	assert_int_equal(drain(records, RECORDS_FORGET), 1);
	record_deinit(&record);
	records_free(records);
}

/* Says that it has @record. */
static void name_one(struct records *records, const struct record *record, uint8_t by, int64_t ms)
{
	struct sync_entry entry = {record->key, record->version};
	struct node_id from = make_id(by);
	uint32_t bucket = 0;
	struct message keys = {.type = MESSAGE_SYNC_KEYS,
			       .sync_keys = {.buckets = &bucket,
					     .bucket_count = 1,
					     .entries = &entry,
					     .entry_count = 1}};

	records_receive_message(records, at_ms(ms), &from, &keys);
}

static void what_many_bring_is_asked_of_one(void **state)
{
	struct records *records = in_large_fabric();
	struct record ours = object_that_is(records, HOME_MINE);
	struct node_id to[8];

	(void)state;
	name_one(records, &ours, 2, 10);
	name_one(records, &ours, 3, 20);
	name_one(records, &ours, 4, 30);
	assert_int_equal(sent(records, MESSAGE_SYNC_WANT, to, ARRAY_LEN(to)), 1);
	name_one(records, &ours, 2, 40); /* it may not have heard */
	assert_int_equal(sent(records, MESSAGE_SYNC_WANT, to, ARRAY_LEN(to)), 1);
	name_one(records, &ours, 3, 10 * S); /* nothing has come */
	assert_int_equal(sent(records, MESSAGE_SYNC_WANT, to, ARRAY_LEN(to)), 1);
	assert_int_equal(receive(records, &ours, 3), 0);
	name_one(records, &ours, 4, 20 * S);
	assert_int_equal(sent(records, MESSAGE_SYNC_WANT, to, ARRAY_LEN(to)), 0);
	record_deinit(&ours);
	records_free(records);
}

/* It has it, and is no keeper: who hands it over must not rely on that. */
static void who_hands_over_is_no_keeper(void **state)
{
	struct records *records = in_large_fabric();
	struct record near = object_that_is(records, HOME_NEAR);
	struct sync_entry entry = {near.key, near.version};
	struct message offer = {.type = MESSAGE_SYNC_OFFER, .sync_offer = {&entry, 1}};
	struct node_id from = make_id(2), to[8];

	(void)state;
	assert_int_equal(receive(records, &near, 2), 0);
	records_persisted(records, at_ms(3), &near.key, &near.version, true);
	(void)drain(records, RECORDS_SEND);
	records_receive_message(records, at_ms(4), &from, &offer);
	assert_int_equal(sent(records, MESSAGE_SYNC_HAVE, to, ARRAY_LEN(to)), 0);
	know(records, 5, 1, 0); /* alone, it is ours */
	(void)drain(records, RECORDS_SEND);
	records_receive_message(records, at_ms(6), &from, &offer);
	assert_int_equal(sent(records, MESSAGE_SYNC_HAVE, to, ARRAY_LEN(to)), 1);
	record_deinit(&near);
	records_free(records);
}

/* One lookup says who keeps what lies near to each other. */
static void a_lookup_serves_the_homes_around_it(void **state)
{
	enum { MACHINES = 200, AROUND = 20 };
	struct records *records = in_large_fabric();
	struct contact found[AROUND];
	static struct record_steward list[MACHINES];
	const struct record_steward *nearest[AROUND];
	struct stewards stewards = {0};
	struct uid first = make_uid(1);
	uint64_t target = home_position(&first), token;
	size_t known = 0, looked_up = 0;

	(void)state;
	for (uint8_t n = 1; n <= MACHINES; n++)
		list[n - 1] = steward_of(n);
	stewards_set(&stewards, list, MACHINES);
	(void)stewards_nearest(&stewards, target, AROUND, nearest);
	for (size_t i = 0; i < AROUND; i++)
		found[i] = nearest[i]->contact;
	assert_int_equal(records_locate(records, at_ms(1), &first, &token), 0);
	records_located(records, at_ms(2), &first, found, AROUND);
	(void)drain(records, RECORDS_LOCATE);
	for (uint32_t n = 0; n < 20000; n++) {
		struct contact keepers[RECORDS_KEEPERS];
		struct uid uid = make_uid(1);
		uint64_t radius;
		size_t count;

		memcpy(uid.byte, &n, sizeof(n));
		if (home_claim(records, &uid) == HOME_MINE)
			continue;
		if (!place_keepers(records, &uid, keepers, &count)) {
			looked_up++;
			continue;
		}
		known++;
		assert_int_equal(stewards_keepers(&stewards, home_position(&uid), nearest, &radius),
				 count);
		for (size_t i = 0; i < count; i++)
			assert_true(node_id_equal(&keepers[i].id, &nearest[i]->contact.id));
	}
	assert_in_range(known, 20000 / MACHINES, 20000 * AROUND / MACHINES);
	assert_in_range(looked_up, 1, 20000);
	stewards_deinit(&stewards);
	records_free(records);
}

static void name_nothing(struct records *records, uint64_t request, const struct node_id *from)
{
	struct message fetched = {.type = MESSAGE_FETCHED,
				  .fetched = {.request = request, .complete_ms = 7}};

	records_receive_message(records, at_ms(20), from, &fetched);
}

static void a_fetch_ends_when_three_keepers_have_answered(void **state)
{
	struct records *records = in_large_fabric();
	struct record far = object_that_is(records, HOME_FAR);
	struct contact found[RECORDS_KEEPERS];
	struct node_id to[8];
	uint64_t token;

	(void)state;
	assert_int_equal(records_fetch(records, at_ms(1), &far.key.uid, &token), 0);
	for (uint8_t i = 0; i < ARRAY_LEN(found); i++)
		found[i] = steward_of((uint8_t)(10 + i)).contact;
	records_located(records, at_ms(10), &far.key.uid, found, ARRAY_LEN(found));
	assert_int_equal(sent(records, MESSAGE_FETCH, to, ARRAY_LEN(to)), RECORDS_READS);
	name_nothing(records, token, &to[0]);
	name_nothing(records, token, &to[0]);
	name_nothing(records, token, &found[4].id); /* was not asked */
	name_nothing(records, token, &to[1]);
	assert_int_equal(drain(records, RECORDS_FETCHED), 0);
	name_nothing(records, token, &to[2]);
	assert_int_equal(drain(records, RECORDS_FETCHED), 1);
	record_deinit(&far);
	records_free(records);
}

static void a_new_steward_next_to_us_is_compared_with_soon(void **state)
{
	struct records *records = make_records(1);
	struct record ours;
	struct node_id to[STEWARDS];
	bool any = false;

	(void)state;
	know(records, 0, STEWARDS, 0);
	ours = object_that_is(records, HOME_MINE);
	assert_int_equal(receive(records, &ours, 2), 0);
	records_tick(records, at_ms(1), make_fabric(0));
	(void)drain(records, RECORDS_SEND);
	for (uint8_t without = 2; without <= STEWARDS; without++) {
		know(records, 10, STEWARDS, without);
		know(records, 20, STEWARDS, 0);
	}
	records_tick(records, at_ms(3 * S), make_fabric(0));
	any = sent(records, MESSAGE_SYNC_SUMMARY, to, ARRAY_LEN(to)) >= RECORDS_KEEPERS - 1;
	assert_true(any);
	record_deinit(&ours);
	records_free(records);
}

/* Before it knows how large the fabric is everything would seem to be its own. */
static void who_does_not_know_how_large_the_fabric_is_fetches_nothing(void **state)
{
	struct records *records = make_records(1);
	struct record object = make_object(7, "web", 10), other = make_object(8, "web-2", 10);
	struct node_id others[] = {make_id(1), make_id(2), make_id(3)}, to[8];

	(void)state;
	records_set_sized(records, at_ms(0), false);
	records_set_stewards(records, at_ms(0), others, ARRAY_LEN(others));
	records_peer_up(records, at_ms(1), &others[1]);
	records_tick(records, at_ms(20 * S), make_fabric(0));
	assert_int_equal(sent(records, MESSAGE_SYNC_SUMMARY, to, ARRAY_LEN(to)), 0);
	name_one(records, &object, 2, 20 * S);
	assert_int_equal(sent(records, MESSAGE_SYNC_WANT, to, ARRAY_LEN(to)), 0);
	assert_int_equal(receive(records, &other, 2), 0); /* but what it is given it takes */
	(void)drain(records, RECORDS_SEND);
	records_set_sized(records, at_ms(21 * S), true);
	records_tick(records, at_ms(23 * S), make_fabric(0));
	assert_in_range(sent(records, MESSAGE_SYNC_SUMMARY, to, ARRAY_LEN(to)), 2, 3);
	name_one(records, &object, 2, 24 * S);
	assert_int_equal(sent(records, MESSAGE_SYNC_WANT, to, ARRAY_LEN(to)), 1);
	record_deinit(&object);
	record_deinit(&other);
	records_free(records);
}

static bool is_id(const struct node_id *id, uint8_t n)
{
	struct node_id its = make_id(n);

	return node_id_equal(id, &its);
}

static size_t buckets_sent_for(struct records *records, const struct node_id *from, uint64_t fold,
			       int64_t ms)
{
	struct message summary = {.type = MESSAGE_SYNC_SUMMARY,
				  .sync_summary = {.buckets = &fold, .bucket_count = 1}};
	struct node_id to[8];

	records_receive_message(records, at_ms(ms), from, &summary);
	return sent(records, MESSAGE_SYNC_SUMMARY, to, ARRAY_LEN(to));
}

/* It takes us for a keeper of something that we know to be kept by others, for good. */
static void who_has_nothing_that_we_lack_is_not_compared_with_at_once(void **state)
{
	enum { THEIRS = 12345 };
	struct records *records = in_large_fabric();
	struct record ours = object_that_is(records, HOME_MINE);
	struct record far = object_that_is(records, HOME_FAR);
	const struct home *home;
	struct node_id partner;

	(void)state;
	assert_int_equal(receive(records, &ours, 2), 0);
	(void)drain(records, RECORDS_SEND);
	home = home_find(records, &ours.key.uid);
	partner = home->keepers[0]->contact.id;
	assert_false(records_keeps(records, &ours.key.uid)); /* others may have more of it */
	assert_int_equal(buckets_sent_for(records, &partner, THEIRS, S), 1);
	name_one(records, &far, 0, S + 10); /* by a stranger: that says nothing */
	assert_false(records_keeps(records, &ours.key.uid));
	for (uint8_t n = 2; n <= STEWARDS; n++)
		if (is_id(&partner, n))
			name_one(records, &far, n, S + 20);
	assert_true(records_keeps(records, &ours.key.uid));
	assert_int_equal(buckets_sent_for(records, &partner, THEIRS, 2 * S), 0);
	assert_int_equal(buckets_sent_for(records, &partner, THEIRS + 1, 3 * S), 1);
	assert_int_equal(buckets_sent_for(records, &partner, THEIRS, 3 * S), 0);
	assert_int_equal(buckets_sent_for(records, &partner, THEIRS, 2 * S + RECORDS_AGREED_MS), 1);
	record_deinit(&ours);
	record_deinit(&far);
	records_free(records);
}

/* A third of all has just gone, and is still named by the others. */
static void a_write_seeks_keepers_that_answer(void **state)
{
	struct records *records = in_large_fabric();
	struct record far = object_that_is(records, HOME_FAR);
	struct record_ack ack = {.key = far.key, .version = far.version, .stored = true};
	struct message answer = {.type = MESSAGE_RECORD_ACK, .record_ack = ack};
	const struct records_effect *effect;
	struct contact found[RECORDS_KEEPERS];
	bool quorum = false;
	uint64_t token;

	(void)state;
	assert_int_equal(records_put(records, at_ms(1), make_fabric(0), &far, bytes_str("e"),
				     UINT64_MAX, &token),
			 0);
	for (uint8_t round = 0; round < 4; round++) {
		int64_t ms = 310 * (int64_t)round;

		assert_int_equal(drain(records, RECORDS_LOCATE), 1);
		for (uint8_t i = 0; i < ARRAY_LEN(found); i++)
			found[i] = steward_of((uint8_t)(50 + 10 * round + i)).contact;
		records_located(records, at_ms(ms + 1), &far.key.uid, found, ARRAY_LEN(found));
		assert_int_equal(drain(records, RECORDS_PUT_DONE), 0);
		records_tick(records, at_ms(ms + 309), make_fabric(0));
	}
	for (size_t i = 0; i < RECORDS_QUORUM; i++)
		records_receive_message(records, at_ms(1240), &found[i].id, &answer);
	while ((effect = records_next_effect(records)) != NULL)
		quorum |= effect->type == RECORDS_PUT_DONE && effect->quorum &&
			  effect->token == token;
	assert_true(quorum);
	record_deinit(&far);
	records_free(records);
}

/* What it says of deletions when it is asked for a home. */
static int64_t complete_ms_said(struct records *records, const struct record *record)
{
	struct message fetch = {.type = MESSAGE_FETCH,
				.fetch = {.request = 1, .home = record->key.uid}};
	const struct records_effect *effect;
	struct node_id from = make_id(2);
	int64_t said = -1;

	records_receive_message(records, at_ms(200 * S), &from, &fetch);
	while ((effect = records_next_effect(records)) != NULL)
		if (effect->type == RECORDS_SEND && effect->message.type == MESSAGE_FETCHED)
			said = effect->message.fetched.complete_ms;
	return said;
}

static void who_is_only_near_says_nothing_of_deletions(void **state)
{
	struct records *records = make_records(1);
	struct record ours, near;

	(void)state;
	know(records, 0, 1, 0);
	records_tick(records, at_ms(2 * RECORDS_SOLE_MS), make_fabric(0)); /* alone: it knows all */
	know(records, 2 * RECORDS_SOLE_MS, STEWARDS, 0);
	ours = object_that_is(records, HOME_MINE);
	near = object_that_is(records, HOME_NEAR);
	assert_int_not_equal(complete_ms_said(records, &ours), 0);
	assert_int_equal(complete_ms_said(records, &near), 0);
	record_deinit(&ours);
	record_deinit(&near);
	records_free(records);
}

static uint64_t lot_of(const struct node_id *id, const struct record *record)
{
	return steward_lot(kad_place(id) ^ home_position(&record->key.uid));
}

static void on_a_condition_the_first_keeper_decides(void **state)
{
	struct records *records = in_large_fabric();
	struct record far = object_that_is(records, HOME_FAR);
	struct record_ack ack = {.key = far.key, .version = far.version, .conflict = true};
	struct message answer = {.type = MESSAGE_RECORD_ACK, .record_ack = ack};
	struct contact found[RECORDS_KEEPERS];
	const struct records_effect *effect;
	struct node_id to[8];
	bool conflict = false;
	uint64_t token;

	(void)state;
	assert_int_equal(records_put(records, at_ms(1), make_fabric(0), &far, bytes_str("e"),
				     make_hlc(5), &token),
			 0);
	for (uint8_t i = 0; i < ARRAY_LEN(found); i++)
		found[i] = steward_of((uint8_t)(10 + i)).contact;
	records_located(records, at_ms(10), &far.key.uid, found, ARRAY_LEN(found));
	assert_int_equal(sent(records, MESSAGE_RECORD_PUT, to, ARRAY_LEN(to)), 1);
	for (size_t i = 0; i < ARRAY_LEN(found); i++)
		assert_true(lot_of(&to[0], &far) <= lot_of(&found[i].id, &far));
	assert_null(records_get(records, &far.key));
	records_receive_message(records, at_ms(20), &to[0], &answer);
	while ((effect = records_next_effect(records)) != NULL)
		conflict |= effect->type == RECORDS_PUT_DONE && effect->conflict &&
			    effect->token == token;
	assert_true(conflict);
	assert_null(records_get(records, &far.key));
	record_deinit(&far);
	records_free(records);
}

static void a_keeper_refuses_a_write_on_another_version(void **state)
{
	struct records *records = in_large_fabric();
	struct record first = object_that_is(records, HOME_MINE), second;
	struct record_writer writer = {make_id(2), true};

	(void)state;
	assert_int_equal(receive(records, &first, 2), 0);
	second = make_object(first.key.uid.byte[0], "web", 20);
	second.key = first.key;
	second.object.uid = first.object.uid;
	assert_int_equal(records_receive_put(records, at_ms(1), make_fabric(30), &writer.id,
					     &writer, &second, bytes_str("e"),
					     first.version.hlc + 1),
			 RECORDS_E_CONFLICT);
	assert_int_equal(records_receive_put(records, at_ms(1), make_fabric(30), &writer.id,
					     &writer, &second, bytes_str("e"), first.version.hlc),
			 0);
	record_deinit(&first);
	record_deinit(&second);
	records_free(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nearest_are_those_that_a_look_at_all_finds),
		cmocka_unit_test(keepers_are_drawn_from_those_around),
		cmocka_unit_test(load_is_spread_evenly),
		cmocka_unit_test(a_keeper_takes_what_is_its_own_and_refuses_what_is_far),
		cmocka_unit_test(who_is_far_looks_the_keepers_up_and_writes_to_five),
		cmocka_unit_test(what_is_no_longer_ours_is_dropped_when_all_keepers_have_it),
		cmocka_unit_test(a_lookup_serves_the_homes_around_it),
		cmocka_unit_test(what_many_bring_is_asked_of_one),
		cmocka_unit_test(who_hands_over_is_no_keeper),
		cmocka_unit_test(a_fetch_ends_when_three_keepers_have_answered),
		cmocka_unit_test(a_new_steward_next_to_us_is_compared_with_soon),
		cmocka_unit_test(who_does_not_know_how_large_the_fabric_is_fetches_nothing),
		cmocka_unit_test(who_has_nothing_that_we_lack_is_not_compared_with_at_once),
		cmocka_unit_test(a_write_seeks_keepers_that_answer),
		cmocka_unit_test(who_is_only_near_says_nothing_of_deletions),
		cmocka_unit_test(on_a_condition_the_first_keeper_decides),
		cmocka_unit_test(a_keeper_refuses_a_write_on_another_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
