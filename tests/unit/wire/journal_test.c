/* SPDX-License-Identifier: Apache-2.0 */
/* What a journal may say, and what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "machine.pb-c.h"
#include "samples.h"

typedef void mutate_fn(Magik__JournalPage *page);

static uint8_t filling[2000];

static ProtobufCBinaryData filled(size_t len, char c)
{
	memset(filling, c, len);
	return (ProtobufCBinaryData){.len = len, .data = filling};
}

static int outcome_of(mutate_fn *mutate)
{
	struct message message = sample_message(MESSAGE_JOURNAL), read;
	struct buf bytes = {0};
	Magik__Message *packed;
	Magik__Happening *happening;
	Magik__Happening changed;
	int outcome;

	message_encode(&message, &bytes);
	message_deinit(&message);
	packed = magik__message__unpack(NULL, bytes.len, bytes.ptr);
	happening = packed->journal->happenings[0];
	changed = *happening;
	mutate(packed->journal);
	buf_clear(&bytes);
	buf_reserve(&bytes, magik__message__get_packed_size(packed));
	bytes.len = magik__message__pack(packed, bytes.ptr);
	*happening = changed;
	magik__message__free_unpacked(packed, NULL);
	outcome = message_decode(bytes_buf(&bytes), &read);
	if (outcome == 0)
		message_deinit(&read);
	buf_deinit(&bytes);
	return outcome;
}

#define MUTATION(name, code)                                \
	static void name(Magik__JournalPage *page)          \
	{                                                   \
		Magik__Happening *at = page->happenings[0]; \
		code;                                       \
	}

MUTATION(as_it_is, (void)at)
MUTATION(about_nothing, at->about.len = 0)
MUTATION(reason_long, at->reason = filled(64, 'r'))
MUTATION(message_long, at->message = filled(1025, 'm'))
MUTATION(name_that_moves_a_cursor, at->name = filled(1, 0x1b))
MUTATION(it_ends_before_it_begins, at->last_ms = at->first_ms - 1)
MUTATION(it_never_happened, at->count = 0)
MUTATION(before_1970, at->first_ms = -1)

static void what_breaks_a_limit_is_refused(void **state)
{
	(void)state;
	assert_int_equal(outcome_of(as_it_is), 0);
	assert_int_equal(outcome_of(about_nothing), MESSAGE_E_MALFORMED);
	assert_int_equal(outcome_of(reason_long), MESSAGE_E_TOO_BIG);
	assert_int_equal(outcome_of(message_long), MESSAGE_E_TOO_BIG);
	assert_int_equal(outcome_of(name_that_moves_a_cursor), MESSAGE_E_MALFORMED);
	assert_int_equal(outcome_of(it_ends_before_it_begins), MESSAGE_E_MALFORMED);
	assert_int_equal(outcome_of(it_never_happened), MESSAGE_E_MALFORMED);
	assert_int_equal(outcome_of(before_1970), MESSAGE_E_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_breaks_a_limit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
