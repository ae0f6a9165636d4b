/* SPDX-License-Identifier: Apache-2.0 */
/* Registrars and machines that ask them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "market/tenure.h"

static struct mono at_ms(int64_t ms)
{
	return (struct mono){ms * 1000};
}

static struct node_id machine(uint8_t n)
{
	return (struct node_id){{n}};
}

/* Machine @n asks for ordinal 1 with its pod @n. */
static struct tenure ask_of(uint8_t n, uint64_t epoch, uint64_t serial)
{
	return (struct tenure){
		.word = TENURE_ASK,
		.set = {{1}},
		.ordinal = 1,
		.epoch = epoch,
		.serial = serial,
		.machine = machine(n),
		.pod_uid = {{n}},
	};
}

static int ask(struct registry *registry, int64_t ms, const struct tenure *tenure)
{
	struct tenure entry;

	return registry_ask(registry, at_ms(ms), tenure, &entry);
}

static bool written(struct registry *registry, const struct tenure *tenure, bool stored)
{
	struct tenure entry;

	return registry_written(registry, &tenure->set, tenure->ordinal, tenure->serial, stored,
				&entry);
}

/* Machine @n has it, on disk. */
static struct registry *registry_held_by(uint8_t n)
{
	struct registry *registry = registry_new(1);
	struct tenure tenure = ask_of(n, 0, 10);

	assert_int_equal(ask(registry, 0, &tenure), REGISTRY_E_WRITE);
	assert_true(written(registry, &tenure, true));
	return registry;
}

static void test_what_is_given_is_on_disk_first(void **state)
{
	struct registry *registry = registry_new(1);
	struct tenure tenure = ask_of(1, 0, 10);

	(void)state;
	assert_int_equal(ask(registry, 0, &tenure), REGISTRY_E_WRITE);
	assert_int_equal(ask(registry, 1, &tenure), REGISTRY_E_WAIT);
	assert_false(written(registry, &tenure, false));
	assert_int_equal(ask(registry, 2, &tenure), REGISTRY_E_WRITE);
	assert_true(written(registry, &tenure, true));
	assert_int_equal(ask(registry, 3, &tenure), 0);
	registry_free(registry);
}

static void test_it_stays_until_it_is_given_back(void **state)
{
	struct registry *registry = registry_held_by(1);
	struct tenure other = ask_of(2, 0, 20), held = ask_of(1, 0, 10), entry;

	(void)state;
	assert_int_equal(registry_ask(registry, at_ms(1), &other, &entry), REGISTRY_E_QUERY);
	assert_true(uid_equal(&entry.pod_uid, &held.pod_uid));
	assert_int_equal(ask(registry, 2, &other), REGISTRY_E_HELD);
	assert_false(registry_release(registry, &other)); /* not its own to give back */
	assert_true(registry_release(registry, &held));
	assert_int_equal(ask(registry, 3, &other), REGISTRY_E_WRITE);
	registry_free(registry);
}

static void test_of_one_machine_the_later_ask_counts(void **state)
{
	struct registry *registry = registry_held_by(1);
	struct tenure later = ask_of(1, 0, 11), earlier = ask_of(1, 0, 9);

	(void)state;
	later.pod_uid.byte[1] = earlier.pod_uid.byte[1] = 7;
	assert_int_equal(ask(registry, 1, &earlier), REGISTRY_E_QUERY);
	assert_int_equal(ask(registry, 2, &later), REGISTRY_E_WRITE);
	registry_free(registry);
}

static void test_a_higher_epoch_takes_it(void **state)
{
	struct registry *registry = registry_held_by(1);
	struct tenure same = ask_of(2, 0, 20), higher = ask_of(2, 5, 21), back = ask_of(1, 0, 22);

	(void)state;
	assert_int_equal(ask(registry, 1, &same), REGISTRY_E_QUERY);
	assert_int_equal(ask(registry, 2, &higher), REGISTRY_E_WRITE);
	assert_true(written(registry, &higher, true));
	assert_int_equal(ask(registry, 5000, &back), REGISTRY_E_QUERY);
	registry_free(registry);
}

/* Silence counts only where it may be replaced, and an answer ends it. */
static void test_only_a_silent_machine_is_replaced(void **state)
{
	struct registry *registry = registry_held_by(1);
	struct tenure patient = ask_of(2, 0, 20), replace = ask_of(2, 0, 20),
		      keep = ask_of(1, 0, 10), entry;
	int64_t ms = 0;

	(void)state;
	replace.replace = true;
	for (; ms < 3 * TENURE_SILENCE_MS; ms += 500)
		assert_int_not_equal(ask(registry, ms, &patient), REGISTRY_E_WRITE);
	for (; ms < 6 * TENURE_SILENCE_MS; ms += 500) {
		registry_keep(registry, &keep);
		assert_int_not_equal(ask(registry, ms, &replace), REGISTRY_E_WRITE);
	}
	for (int64_t end = ms + TENURE_SILENCE_MS - 500; ms < end; ms += 500)
		assert_int_not_equal(ask(registry, ms, &replace), REGISTRY_E_WRITE);
	ms += 1000;
	assert_int_equal(registry_ask(registry, at_ms(ms), &replace, &entry), REGISTRY_E_WRITE);
	assert_int_equal(entry.epoch, 1); /* the other one is an earlier one now */
	registry_free(registry);
}

/* Its machine, back from a power cut, asks for it anew: the answer is to that ask, and the silence
 * has ended, however long it was. */
static void test_who_has_it_may_ask_anew(void **state)
{
	struct registry *registry = registry_held_by(1);
	struct tenure replace = ask_of(2, 0, 20), anew = ask_of(1, 0, 30), entry;
	int64_t ms = 0;

	(void)state;
	replace.replace = true;
	for (int i = 0; i < TENURE_QUERIES; i++, ms += TENURE_QUERY_MS)
		assert_int_equal(ask(registry, ms, &replace), REGISTRY_E_QUERY);
	ms += TENURE_SILENCE_MS;
	assert_int_equal(registry_ask(registry, at_ms(ms), &anew, &entry), 0);
	assert_int_equal(entry.serial, anew.serial);
	assert_true(uid_equal(&entry.pod_uid, &anew.pod_uid));
	assert_int_equal(ask(registry, ms + 1, &replace), REGISTRY_E_QUERY);
	registry_free(registry);
}

static void test_what_was_on_disk_holds(void **state)
{
	struct registry *registry = registry_new(1);
	struct tenure held = ask_of(1, 0, 10), other = ask_of(2, 0, 20);
	uint32_t ordinal;

	(void)state;
	registry_restore(registry, &held);
	assert_int_equal(ask(registry, 1, &held), 0);
	assert_int_equal(ask(registry, 1, &other), REGISTRY_E_QUERY);
	assert_true(registry_drop(registry, &held.set, &ordinal));
	assert_int_equal(ordinal, 1);
	assert_false(registry_drop(registry, &held.set, &ordinal));
	assert_int_equal(registry_count(registry), 0);
	registry_free(registry);
}

static void test_one_machine_gets_no_more_than_it_can_run(void **state)
{
	struct registry *registry = registry_new(1);
	struct tenure tenure = ask_of(1, 0, 10);

	(void)state;
	for (tenure.ordinal = 0; tenure.ordinal < TENURE_OF_ONE_MACHINE_MAX; tenure.ordinal++)
		assert_int_equal(ask(registry, 0, &tenure), REGISTRY_E_WRITE);
	assert_int_equal(ask(registry, 0, &tenure), REGISTRY_E_FULL);
	tenure.machine = machine(2);
	assert_int_equal(ask(registry, 0, &tenure), REGISTRY_E_WRITE);
	registry_free(registry);
}

/* ---- a machine that asks ---- */

static struct candidacy candidacy_of(uint8_t n)
{
	struct candidacy candidacy = {.ask = ask_of(n, 0, 10), .count = 5};

	for (uint8_t i = 0; i < 5; i++)
		candidacy.registrar[i].id = machine((uint8_t)(100 + i));
	return candidacy;
}

static enum candidacy_state hear(struct candidacy *candidacy, uint8_t from, enum tenure_word word,
				 uint8_t holder)
{
	struct tenure answer = candidacy->ask;
	struct node_id id = machine((uint8_t)(100 + from));

	answer.word = word;
	answer.holder_uid.byte[0] = holder;
	answer.epoch = from;
	return candidacy_hear(candidacy, &id, &answer);
}

static void test_most_must_give_it(void **state)
{
	struct candidacy candidacy = candidacy_of(5);

	(void)state;
	assert_int_equal(hear(&candidacy, 0, TENURE_GIVEN, 0), CANDIDACY_OPEN);
	assert_int_equal(hear(&candidacy, 0, TENURE_GIVEN, 0), CANDIDACY_OPEN); /* again */
	assert_int_equal(hear(&candidacy, 9, TENURE_GIVEN, 0), CANDIDACY_OPEN); /* a stranger */
	assert_int_equal(hear(&candidacy, 1, TENURE_HELD, 9), CANDIDACY_OPEN);
	assert_int_equal(hear(&candidacy, 2, TENURE_GIVEN, 0), CANDIDACY_OPEN);
	assert_int_equal(hear(&candidacy, 3, TENURE_GIVEN, 0), CANDIDACY_WON);
	assert_int_equal(candidacy.epoch, 3);
}

static void test_of_rivals_the_smallest_goes_on(void **state)
{
	struct candidacy loses = candidacy_of(5), goes_on = candidacy_of(5);

	(void)state;
	assert_int_equal(hear(&loses, 0, TENURE_HELD, 4), CANDIDACY_OPEN);
	assert_int_equal(hear(&loses, 1, TENURE_HELD, 9), CANDIDACY_OPEN);
	assert_int_equal(hear(&loses, 2, TENURE_HELD, 9), CANDIDACY_LOST);
	for (uint8_t i = 0; i < 5; i++)
		assert_int_equal(hear(&goes_on, i, TENURE_HELD, 9), CANDIDACY_OPEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_given_is_on_disk_first),
		cmocka_unit_test(test_it_stays_until_it_is_given_back),
		cmocka_unit_test(test_of_one_machine_the_later_ask_counts),
		cmocka_unit_test(test_a_higher_epoch_takes_it),
		cmocka_unit_test(test_only_a_silent_machine_is_replaced),
		cmocka_unit_test(test_who_has_it_may_ask_anew),
		cmocka_unit_test(test_what_was_on_disk_holds),
		cmocka_unit_test(test_one_machine_gets_no_more_than_it_can_run),
		cmocka_unit_test(test_most_must_give_it),
		cmocka_unit_test(test_of_rivals_the_smallest_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
