/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/frame.h"

static void frames_come_out_as_they_went_in(void **state)
{
	struct buf out = {0};
	struct frame frame;
	size_t used;

	(void)state;
	frame_append(&out, FRAME_STDOUT, bytes_str("hello"));
	frame_append(&out, FRAME_STDERR, bytes_str("oh"));
	assert_int_equal(frame_next(bytes_buf(&out), &frame, &used), 0);
	assert_int_equal(frame.channel, FRAME_STDOUT);
	assert_true(bytes_equal(frame.payload, bytes_str("hello")));
	buf_consume(&out, used);
	assert_int_equal(frame_next(bytes_buf(&out), &frame, &used), 0);
	assert_int_equal(frame.channel, FRAME_STDERR);
	assert_int_equal(used, out.len);
	buf_deinit(&out);
}

static void large_payloads_become_several_frames(void **state)
{
	size_t len = 2 * FRAME_PAYLOAD_MAX + 7, seen = 0, count = 0;
	uint8_t *data = mem_alloc(1, len);
	struct buf out = {0};
	struct frame frame;
	size_t used;

	(void)state;
	frame_append(&out, FRAME_STDIN, bytes_of(data, len));
	while (out.len && frame_next(bytes_buf(&out), &frame, &used) == 0) {
		seen += frame.payload.len;
		count++;
		buf_consume(&out, used);
	}
	assert_int_equal(seen, len);
	assert_int_equal(count, 3);
	assert_int_equal(out.len, 0);
	buf_deinit(&out);
	free(data);
}

static void half_a_frame_is_waited_for_and_nonsense_refused(void **state)
{
	const uint8_t unknown[] = {FRAME_CLOSE + 1, 0, 0, 0};
	const uint8_t too_long[] = {FRAME_STDIN, 0, 0x80, 0x01};
	struct buf out = {0};
	struct frame frame;
	size_t used;

	(void)state;
	frame_append(&out, FRAME_STDOUT, bytes_str("hello"));
	for (size_t len = 0; len < out.len; len++)
		assert_int_equal(frame_next(bytes_of(out.ptr, len), &frame, &used), FRAME_E_MORE);
	assert_int_equal(frame_next(bytes_of(unknown, 4), &frame, &used), FRAME_E_MALFORMED);
	assert_int_equal(frame_next(bytes_of(too_long, 4), &frame, &used), FRAME_E_MALFORMED);
	buf_deinit(&out);
}

static void a_status_has_a_code_and_a_reason(void **state)
{
	const int32_t codes[] = {0, 3, 255, FRAME_NOT_RUN};
	struct frame_status status;
	struct frame frame;
	size_t used;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct buf out = {0};

		frame_append_status(&out, codes[i], "why");
		assert_int_equal(frame_next(bytes_buf(&out), &frame, &used), 0);
		assert_true(frame_read_status(frame.payload, &status));
		assert_int_equal(status.code, codes[i]);
		assert_string_equal(status.text, "why");
		assert_false(frame_read_status(bytes_of(frame.payload.ptr, 3), &status));
		buf_deinit(&out);
	}
	assert_false(frame_read_status(bytes_of("\0\0\1\0", 4), &status)); /* 256 */
	assert_false(frame_read_status(bytes_of("\xff\xff\xff\xfe", 4), &status));
}

static void a_size_has_columns_and_rows(void **state)
{
	struct buf out = {0};
	struct frame_size size;
	struct frame frame;
	size_t used;

	(void)state;
	frame_append_size(&out, (struct frame_size){.columns = 300, .rows = 40});
	assert_int_equal(frame_next(bytes_buf(&out), &frame, &used), 0);
	assert_true(frame_read_size(frame.payload, &size));
	assert_int_equal(size.columns, 300);
	assert_int_equal(size.rows, 40);
	assert_false(frame_read_size(bytes_of(frame.payload.ptr, 3), &size));
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_out_as_they_went_in),
		cmocka_unit_test(large_payloads_become_several_frames),
		cmocka_unit_test(half_a_frame_is_waited_for_and_nonsense_refused),
		cmocka_unit_test(a_status_has_a_code_and_a_reason),
		cmocka_unit_test(a_size_has_columns_and_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
