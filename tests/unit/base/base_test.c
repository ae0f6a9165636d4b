/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/id.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"

#include <setjmp.h>
#include <stdlib.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_err_text_is_wrapped_outward(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_set_status(&err, -EACCES, 403, "%s", "EACCES"), -EACCES);
	assert_int_equal(err_prefix(&err, "create cgroup"), -EACCES);
	assert_int_equal(err_prefix(&err, "deploy %s", "web"), -EACCES);
	assert_string_equal(err.text, "deploy web: create cgroup: EACCES");
	assert_int_equal(err.status, 403);
	for (int i = 0; i < 100; i++)
		(void)err_prefix(&err, "a long way out");
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void test_buf_grows_and_is_consumed_from_the_front(void **state)
{
	struct buf buf = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_append_format(&buf, "%03d,", i);
	assert_int_equal(buf.len, 4000);
	buf_consume(&buf, 3996);
	assert_string_equal(buf_cstr(&buf), "999,");
	buf_deinit(&buf);
	assert_null(buf.ptr);
}

static void test_hex_refuses_what_is_not_hex(void **state)
{
	uint8_t out[2];
	char text[5];

	(void)state;
	assert_true(hex_decode("00Ff", out, 2));
	hex_encode(bytes_of(out, 2), text);
	assert_string_equal(text, "00ff");
	assert_false(hex_decode("00f", out, 2));
	assert_false(hex_decode("00fg", out, 2));
	assert_false(hex_decode("00ff0", out, 2));
}

/* Vectors of RFC 4648, section 10. */
static void test_base64_vectors(void **state)
{
	static const char *const vectors[][2] = {
		{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
	static const char *const bad[] = {"Z", "Zg=", "Z===", "Zg==Zg==", "Z!==", "=g=="};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct buf text = {0}, back = {0};

		base64_encode(bytes_str(vectors[i][0]), &text);
		assert_string_equal(buf_cstr(&text), vectors[i][1]);
		assert_true(base64_decode(bytes_buf(&text), &back));
		assert_string_equal(buf_cstr(&back), vectors[i][0]);
		buf_deinit(&text);
		buf_deinit(&back);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf back = {0};

		assert_false(base64_decode(bytes_str(bad[i]), &back));
		buf_deinit(&back);
	}
}

static void test_uid_text_form(void **state)
{
	uint8_t random[UID_LEN];
	struct uid uid, back;

	(void)state;
	memset(random, 0xff, sizeof(random));
	uid = uid_from_random(random);
	assert_string_equal(uid_text(&uid).text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
	assert_true(uid_parse(uid_text(&uid).text, &back));
	assert_true(uid_equal(&uid, &back));
	assert_false(uid_parse("ffffffff-ffff-4fff-bfff-fffffffffff", &back));
	assert_false(uid_parse("ffffffff+ffff-4fff-bfff-ffffffffffff", &back));
}

/* The map against an array, through many random puts and removals. */
static void test_map_agrees_with_a_naive_model(void **state)
{
	enum { KEYS = 300 };
	static int values[KEYS];
	bool present[KEYS] = {false};
	struct map map;
	uint32_t random = 1;
	size_t live = 0, seen = 0;

	(void)state;
	map_init(&map, 7);
	for (int step = 0; step < 20000; step++) {
		random = random * 1664525u + 1013904223u;
		size_t k = (random >> 8) % KEYS;
		struct bytes key = bytes_of(&k, sizeof(k));
		bool remove = random >> 31;

		if (remove)
			assert_ptr_equal(map_remove(&map, key), present[k] ? &values[k] : NULL);
		else
			assert_ptr_equal(map_put(&map, key, &values[k]),
					 present[k] ? &values[k] : NULL);
		live += (size_t)(!remove && !present[k]);
		live -= (size_t)(remove && present[k]);
		present[k] = !remove;
		assert_int_equal(map.count, live);
	}
	map_for_each (entry, &map)
		seen++;
	assert_int_equal(seen, live);
	for (size_t k = 0; k < KEYS; k++)
		assert_ptr_equal(map_get(&map, bytes_of(&k, sizeof(k))),
				 present[k] ? &values[k] : NULL);
	map_deinit(&map);
}

static void test_map_iterates_in_insertion_order_while_removing(void **state)
{
	static const char *const names[] = {"one", "two", "three", "four"};
	struct map map;
	size_t i = 0;

	(void)state;
	map_init(&map, 1);
	for (size_t k = 0; k < 4; k++)
		assert_null(map_put(&map, bytes_str(names[k]), (void *)(uintptr_t)(k + 1)));
	map_for_each (entry, &map) {
		assert_int_equal((uintptr_t)entry->value, ++i);
		assert_non_null(map_remove(&map, bytes_of(entry->key, entry->key_len)));
	}
	assert_int_equal(i, 4);
	assert_int_equal(map.count, 0);
	map_deinit(&map);
}

struct keyed {
	uint32_t key;
	uint32_t number;
};

static struct bytes keyed_key(const struct keyed *keyed)
{
	return bytes_of(&keyed->key, sizeof(keyed->key));
}

static void test_a_map_that_borrows_keys_has_those_of_its_values(void **state)
{
	enum { COUNT = 100 };
	struct keyed *values = mem_alloc(COUNT, sizeof(*values)), *old;
	struct keyed *other = mem_new(struct keyed);
	struct map map;

	(void)state;
	map_init_borrowing(&map, 3);
	for (uint32_t i = 0; i < COUNT; i++) {
		values[i] = (struct keyed){i, i};
		assert_null(map_put(&map, keyed_key(&values[i]), &values[i]));
	}
	*other = (struct keyed){7, COUNT};
	old = map_put(&map, keyed_key(other), other);
	assert_ptr_equal(old, &values[7]);
	old->key = COUNT; /* its key is not the map's any more */
	assert_ptr_equal(map_get(&map, keyed_key(other)), other);
	map_for_each (entry, &map)
		assert_ptr_equal(entry->key, keyed_key(entry->value).ptr);
	assert_ptr_equal(map_remove(&map, keyed_key(other)), other);
	free(other);
	assert_int_equal(map.count, COUNT - 1);
	map_deinit(&map);
	free(values);
}

static void test_never_is_later_than_everything(void **state)
{
	(void)state;
	assert_false(mono_reached(mono_add_ms((struct mono){0}, 1), MONO_NEVER));
	assert_int_equal(mono_add_us(MONO_NEVER, 1).us, MONO_NEVER.us);
}

static void test_faults_are_off_until_planted(void **state)
{
	(void)state;
	for (int i = 0; i < FAULT_COUNT; i++)
		assert_false(fault_is_planted((enum fault)i));
	fault_plant(FAULT_BACKOFF);
	assert_true(fault_is_planted(FAULT_BACKOFF));
	assert_false(fault_is_planted(FAULT_SURPLUS));
	fault_pull(FAULT_BACKOFF);
	assert_false(fault_is_planted(FAULT_BACKOFF));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_text_is_wrapped_outward),
		cmocka_unit_test(test_buf_grows_and_is_consumed_from_the_front),
		cmocka_unit_test(test_hex_refuses_what_is_not_hex),
		cmocka_unit_test(test_base64_vectors),
		cmocka_unit_test(test_uid_text_form),
		cmocka_unit_test(test_map_agrees_with_a_naive_model),
		cmocka_unit_test(test_map_iterates_in_insertion_order_while_removing),
		cmocka_unit_test(test_a_map_that_borrows_keys_has_those_of_its_values),
		cmocka_unit_test(test_faults_are_off_until_planted),
		cmocka_unit_test(test_never_is_later_than_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
