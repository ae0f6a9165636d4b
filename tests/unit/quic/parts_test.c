/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts that have no network in them: expiries, rates, trains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "quic/bucket.h"
#include "quic/expiry.h"
#include "quic/output.h"

static uint32_t random_next(uint32_t *random)
{
	*random = *random * 1664525u + 1013904223u;
	return *random >> 8;
}

/* The heap against a search through all of them. */
static void test_the_heap_always_knows_the_earliest(void **state)
{
	enum { COUNT = 200 };
	static struct expiry expiries[COUNT];
	struct expiry_heap heap = {0};
	uint32_t random = 1;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		expiries[i].at = MONO_NEVER;
	for (int step = 0; step < 20000; step++) {
		struct expiry *changed = &expiries[random_next(&random) % COUNT];
		struct mono at = {.us = random_next(&random) % 1000}, earliest = MONO_NEVER;

		if (random_next(&random) % 3 == 0)
			at = MONO_NEVER;
		expiry_set(&heap, changed, at);
		changed->at = at;
		for (size_t i = 0; i < COUNT; i++)
			earliest = mono_min(earliest, expiries[i].at);
		if (earliest.us == MONO_NEVER.us)
			assert_null(expiry_first(&heap));
		else
			assert_int_equal(expiry_first(&heap)->at.us, earliest.us);
	}
	expiry_heap_deinit(&heap);
}

static void test_a_bucket_holds_a_burst_and_refills_at_its_rate(void **state)
{
	struct mono now = {.us = 1000};
	struct bucket bucket;

	(void)state;
	bucket_init(&bucket, now, 5, 10);
	for (int i = 0; i < 5; i++)
		assert_true(bucket_take(&bucket, now, 1));
	assert_false(bucket_take(&bucket, now, 1));
	now = mono_add_ms(now, 99);
	assert_false(bucket_take(&bucket, now, 1));
	now = mono_add_ms(now, 1);
	assert_true(bucket_take(&bucket, now, 1));
	assert_false(bucket_take(&bucket, now, 1));
	/* Fractions of a token are not lost by asking often. */
	for (int i = 0; i < 150; i++) {
		now = mono_add_ms(now, 1);
		(void)bucket_take(&bucket, now, 100);
	}
	assert_true(bucket_take(&bucket, now, 1));
	now = mono_add_ms(now, 50);
	assert_true(bucket_take(&bucket, now, 1));
	now = mono_add_ms(now, 3600 * MS_PER_S);
	for (int i = 0; i < 5; i++)
		assert_true(bucket_take(&bucket, now, 1));
	assert_false(bucket_take(&bucket, now, 1));
}

struct sink {
	size_t trains, bytes, last_segment, limit;
	size_t lens[64];
};

static bool on_train(void *io, const struct quic_train *train)
{
	struct sink *sink = io;

	sink->lens[sink->trains++ % ARRAY_LEN(sink->lens)] = train->data.len;
	sink->bytes += train->data.len;
	sink->last_segment = train->segment_len;
	return sink->trains < sink->limit;
}

static void packet(struct output *output, uint8_t host, size_t len)
{
	struct quic_path path = {.remote = {.ip = {10, 0, 0, host}, .port = 1, .is_v4 = true}};

	memset(output_room(output), host, len);
	output_commit(output, &path, len);
}

static void test_a_train_has_one_path_and_one_size(void **state)
{
	struct output *output = mem_new(struct output);
	struct sink sink = {.limit = SIZE_MAX};

	(void)state;
	output_begin(output, on_train, &sink);
	packet(output, 1, 1200);
	packet(output, 1, 1200);
	packet(output, 1, 300); /* shorter: the last of its train */
	packet(output, 1, 300);
	packet(output, 1, 400); /* larger: another train */
	packet(output, 2, 400); /* another path */
	output_flush(output);
	assert_int_equal(sink.trains, 4);
	assert_int_equal(sink.lens[0], 2700);
	assert_int_equal(sink.lens[1], 300);
	assert_int_equal(sink.lens[2], 400);
	assert_int_equal(sink.lens[3], 400);
	assert_int_equal(output->datagrams, 6);
	free(output);
}

static void test_a_train_is_no_longer_than_the_kernel_takes(void **state)
{
	struct output *output = mem_new(struct output);
	struct sink sink = {.limit = SIZE_MAX};

	(void)state;
	output_begin(output, on_train, &sink);
	for (int i = 0; i < 65; i++)
		packet(output, 1, 100);
	output_flush(output);
	assert_int_equal(sink.trains, 2);
	assert_int_equal(sink.lens[0], 6400);
	for (int i = 0; i < 64; i++)
		packet(output, 1, OUTPUT_PACKET_MAX);
	output_flush(output);
	assert_int_equal(sink.lens[2], 45 * OUTPUT_PACKET_MAX);
	assert_true(sink.lens[2] <= OUTPUT_TRAIN_MAX);
	assert_int_equal(sink.lens[3], 19 * OUTPUT_PACKET_MAX);
	free(output);
}

static void test_what_a_stopped_sink_left_goes_first_next_time(void **state)
{
	struct output *output = mem_new(struct output);
	struct sink sink = {.limit = 1};

	(void)state;
	output_begin(output, on_train, &sink);
	packet(output, 1, 1000);
	packet(output, 2, 500); /* pushes the first out; the sink stops */
	output_flush(output);
	assert_true(output->stopped);
	assert_int_equal(sink.bytes, 1000);
	sink.limit = SIZE_MAX;
	output_begin(output, on_train, &sink);
	assert_false(output->stopped);
	assert_int_equal(sink.bytes, 1500);
	free(output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_heap_always_knows_the_earliest),
		cmocka_unit_test(test_a_bucket_holds_a_burst_and_refills_at_its_rate),
		cmocka_unit_test(test_a_train_has_one_path_and_one_size),
		cmocka_unit_test(test_a_train_is_no_longer_than_the_kernel_takes),
		cmocka_unit_test(test_what_a_stopped_sink_left_goes_first_next_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
