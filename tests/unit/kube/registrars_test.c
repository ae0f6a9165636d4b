/* SPDX-License-Identifier: Apache-2.0 */
/* What a StatefulSet says of its registrars. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "kube/statefulset.h"

#define ID "0101010101010101010101010101010101010101010101010101010101010101"
#define PEER ID "@10.0.0.1:7946"

static json_t *object(const char *key, const char *value)
{
	return json_pack("{s:{s:{s:s}}}", "metadata", "annotations", key, value);
}

static struct registrars read(const char *text)
{
	json_t *json = object(KUBE_REGISTRARS, text);
	struct registrars registrars = kube_registrars(json);

	json_decref(json);
	return registrars;
}

static void test_they_are_written_and_read(void **state)
{
	struct registrars registrars = {.id = {7, 12}, .count = 1}, back;
	json_t *json = json_object();

	(void)state;
	assert_true(addr_peer_parse(PEER, &registrars.list[0]));
	kube_set_registrars(json, &registrars);
	back = kube_registrars(json);
	assert_int_equal(back.count, 1);
	assert_int_equal(back.id.epoch, 7);
	assert_int_equal(back.id.number, 12);
	assert_true(node_id_equal(&back.list[0].id, &registrars.list[0].id));
	kube_set_registrars(json, &(struct registrars){0});
	assert_int_equal(kube_registrars(json).count, 0);
	json_decref(json);
}

static void test_without_a_number_they_are_the_first(void **state)
{
	struct registrars registrars = read(PEER);

	(void)state;
	assert_int_equal(registrars.count, 1);
	assert_int_equal(registrars.id.epoch, 0);
	assert_int_equal(registrars.id.number, 1);
}

static void test_what_cannot_be_read_are_none(void **state)
{
	static const char *const texts[] = {"",          "0.1/",       "0.0/" PEER, "1/" PEER,
					    "a.b/" PEER, "0.1x/" PEER, "nobody",    "/" PEER};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(read(texts[i]).count, 0);
	assert_int_equal(kube_registrars(NULL).count, 0);
}

static void test_an_operator_names_an_epoch(void **state)
{
	json_t *json = object(KUBE_REGISTRARS_RESET, "3");

	(void)state;
	assert_int_equal(kube_registrars_reset(json), 3);
	json_decref(json);
	json = object("other", "3");
	assert_int_equal(kube_registrars_reset(json), 0);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_they_are_written_and_read),
		cmocka_unit_test(test_without_a_number_they_are_the_first),
		cmocka_unit_test(test_what_cannot_be_read_are_none),
		cmocka_unit_test(test_an_operator_names_an_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
