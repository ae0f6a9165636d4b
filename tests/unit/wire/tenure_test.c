/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a word about a tenure is found, one field at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "machine.pb-c.h"
#include "samples.h"

static void set_word(Magik__Tenure *tenure)
{
	tenure->word = TENURE_WORD_COUNT;
}

static void set_set(Magik__Tenure *tenure)
{
	tenure->set.len = 0;
}

static void set_machine(Magik__Tenure *tenure)
{
	tenure->machine.len--;
}

static void set_ip(Magik__Tenure *tenure)
{
	tenure->addr->ip.len--;
}

static void set_pod(Magik__Tenure *tenure)
{
	tenure->pod_uid.len = 0;
}

static void set_holder(Magik__Tenure *tenure)
{
	tenure->holder_uid.len--;
}

static void nothing(Magik__Tenure *tenure)
{
	(void)tenure;
}

/* How a sample that was spoilt by @spoil is decoded. */
static int decode(void (*spoil)(Magik__Tenure *tenure))
{
	struct message message = sample_message(MESSAGE_TENURE), decoded;
	struct buf encoded = {0};
	Magik__Message *packed;
	uint8_t bytes[512];
	size_t len;
	int outcome;

	message_encode(&message, &encoded);
	packed = magik__message__unpack(NULL, encoded.len, encoded.ptr);
	assert_non_null(packed);
	spoil(packed->tenure);
	len = magik__message__get_packed_size(packed);
	assert_true(len <= sizeof(bytes));
	(void)magik__message__pack(packed, bytes);
	outcome = message_decode(bytes_of(bytes, len), &decoded);
	if (outcome == 0)
		message_deinit(&decoded);
	magik__message__free_unpacked(packed, NULL);
	message_deinit(&message);
	buf_deinit(&encoded);
	return outcome;
}

static void test_each_limit(void **state)
{
	void (*const spoils[])(Magik__Tenure *) = {set_word, set_set, set_machine,
						   set_ip,   set_pod, set_holder};

	(void)state;
	assert_int_equal(decode(nothing), 0);
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++)
		assert_int_equal(decode(spoils[i]), MESSAGE_E_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_limit)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
