/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "make.h"

static void every_message_survives_the_wire(void **state)
{
	(void)state;
	for (size_t i = 0; i < make_message_count(); i++) {
		struct work_message message = make_message(i), decoded;
		struct buf once = {0}, twice = {0};

		work_message_encode(&message, &once);
		assert_int_equal(work_message_decode(bytes_buf(&once), &decoded), 0);
		assert_int_equal(decoded.type, message.type);
		work_message_encode(&decoded, &twice);
		assert_true(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
		assert_true(once.len > 4);
		work_message_deinit(&message);
		work_message_deinit(&decoded);
		buf_deinit(&once);
		buf_deinit(&twice);
	}
}

static void a_record_survives_the_wire_and_a_copy(void **state)
{
	struct service_record record = make_record(1), decoded, copy;
	struct buf once = {0}, twice = {0};

	(void)state;
	record.ordinal = 4;
	service_record_encode(&record, &once);
	assert_in_range(once.len, 100, 300);
	assert_int_equal(service_record_decode(bytes_buf(&once), &decoded), 0);
	service_record_copy(&decoded, &copy);
	service_record_deinit(&decoded);
	service_record_encode(&copy, &twice);
	assert_true(bytes_equal(bytes_buf(&once), bytes_buf(&twice)));
	assert_int_equal(copy.ordinal, 4);
	assert_string_equal(copy.policy.deny[0], "*/evil");
	assert_true(addr_equal(&copy.addresses[0], &record.addresses[0]));
	assert_true(copy.machine == record.machine);
	service_record_deinit(&copy);
	service_record_deinit(&record);
	buf_deinit(&once);
	buf_deinit(&twice);
}

static void what_is_not_of_the_overlay_does_not_travel_as_such(void **state)
{
	struct message ping = {.type = MESSAGE_PROVIDE, .provide = {{.byte = {1}}, 5}};
	struct work_message message = make_message(0), decoded;
	struct buf inner = {0}, outer = {0};

	(void)state;
	work_message_encode(&message, &outer);
	message_encode(&ping, &inner);
	/* Replace the message inside: version (2 bytes), then tag 10 with its length. */
	outer.len = 3;
	buf_append(&outer, &(uint8_t){(uint8_t)inner.len}, 1);
	buf_append_bytes(&outer, bytes_buf(&inner));
	assert_int_equal(work_message_decode(bytes_buf(&outer), &decoded), MESSAGE_E_MALFORMED);
	work_message_deinit(&message);
	buf_deinit(&inner);
	buf_deinit(&outer);
}

static void limits_hold(void **state)
{
	struct service_record record = make_record(1), decoded;
	struct buf encoded = {0};

	(void)state;
	record.load = WORK_LOAD_MAX + 1;
	service_record_encode(&record, &encoded);
	assert_int_equal(service_record_decode(bytes_buf(&encoded), &decoded), MESSAGE_E_MALFORMED);
	record.load = 0;
	record.ports[0].number = 0;
	buf_clear(&encoded);
	service_record_encode(&record, &encoded);
	assert_int_equal(service_record_decode(bytes_buf(&encoded), &decoded), MESSAGE_E_MALFORMED);
	record.ports[0].number = 1;
	record.role = SERVICE_LEADER + 1;
	buf_clear(&encoded);
	service_record_encode(&record, &encoded);
	assert_int_equal(service_record_decode(bytes_buf(&encoded), &decoded), MESSAGE_E_MALFORMED);
	buf_reserve(&encoded, WORK_RECORD_MAX + 1);
	memset(encoded.ptr, 0, WORK_RECORD_MAX + 1);
	assert_int_equal(
		service_record_decode(bytes_of(encoded.ptr, WORK_RECORD_MAX + 1), &decoded),
		MESSAGE_E_TOO_BIG);
	service_record_deinit(&record);
	buf_deinit(&encoded);
}

static void a_stream_begins_with_what_it_is_for(void **state)
{
	static const struct work_open by_name = {SERVICE_TCP, 0, "http"},
				      by_number = {SERVICE_UDP, 53};
	struct work_open open;
	struct buf bytes = {0};
	enum work_opened outcome;
	size_t len, first;

	(void)state;
	work_open_encode(&by_name, &bytes);
	first = bytes.len;
	work_open_encode(&by_number, &bytes);
	/* It is read when all of it has come, and nothing behind it. */
	for (size_t i = 0; i < first; i++) {
		assert_int_equal(work_open_decode(bytes_of(bytes.ptr, i), &open, &len), 0);
		assert_int_equal(len, 0);
	}
	assert_int_equal(work_open_decode(bytes_buf(&bytes), &open, &len), 0);
	assert_int_equal(len, first);
	assert_string_equal(open.port_name, "http");
	assert_int_equal(open.port, 0);
	buf_consume(&bytes, len);
	assert_int_equal(work_open_decode(bytes_buf(&bytes), &open, &len), 0);
	assert_int_equal(len, bytes.len);
	assert_int_equal(open.port, 53);
	assert_int_equal(open.protocol, SERVICE_UDP);
	buf_clear(&bytes);
	work_opened_encode(WORK_LEAVING, &bytes);
	assert_int_equal(work_opened_decode(bytes_buf(&bytes), &outcome, &len), 0);
	assert_int_equal(outcome, WORK_LEAVING);
	buf_deinit(&bytes);
}

static void what_no_stream_begins_with_is_refused(void **state)
{
	static const uint8_t long_one[] = {0x01, 0x00}, rubbish[] = {0, 2, 0xff, 0xff};
	static const struct work_open both = {SERVICE_TCP, 80, "http"},
				      neither = {SERVICE_TCP, 0, ""};
	struct work_open open;
	struct buf bytes = {0};
	size_t len;

	(void)state;
	assert_int_equal(work_open_decode(bytes_of(long_one, 2), &open, &len), MESSAGE_E_TOO_BIG);
	assert_int_equal(work_open_decode(bytes_of(rubbish, 4), &open, &len), MESSAGE_E_MALFORMED);
	work_open_encode(&both, &bytes);
	assert_int_equal(work_open_decode(bytes_buf(&bytes), &open, &len), MESSAGE_E_MALFORMED);
	buf_clear(&bytes);
	work_open_encode(&neither, &bytes);
	assert_int_equal(work_open_decode(bytes_buf(&bytes), &open, &len), MESSAGE_E_MALFORMED);
	buf_deinit(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_survives_the_wire),
		cmocka_unit_test(a_record_survives_the_wire_and_a_copy),
		cmocka_unit_test(what_is_not_of_the_overlay_does_not_travel_as_such),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(a_stream_begins_with_what_it_is_for),
		cmocka_unit_test(what_no_stream_begins_with_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
