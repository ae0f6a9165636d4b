/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and streams: what arrives, how often, and what happens when nobody reads. */
#include "quic/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "world.h"

static const struct quic_stats *stats(const struct node *node)
{
	return quic_endpoint_stats(node->endpoint);
}

/* A message that begins with its number. */
static int send_numbered(struct quic_conn *conn, uint32_t number, size_t len)
{
	uint8_t *message = mem_alloc(1, len);
	int r;

	memcpy(message, &number, sizeof(number));
	r = quic_conn_send(conn, bytes_of(message, len));
	free(message);
	return r;
}

static void test_the_window_accepts_each_id_once(void **state)
{
	struct message_window *window = mem_new(struct message_window);

	(void)state;
	assert_true(message_window_accept(window, 1));
	assert_false(message_window_accept(window, 1));
	assert_true(message_window_accept(window, 3));
	assert_true(message_window_accept(window, 2));
	assert_false(message_window_accept(window, 3));
	assert_true(message_window_accept(window, MESSAGE_WINDOW));
	assert_false(message_window_accept(window, 2));
	assert_true(message_window_accept(window, 4));
	/* Id 5 falls out when its window does; it could no longer be told from a repeat. */
	assert_true(message_window_accept(window, 5 + MESSAGE_WINDOW));
	assert_false(message_window_accept(window, 5));
	assert_true(message_window_accept(window, 6));
	assert_true(message_window_accept(window, UINT64_MAX));
	assert_false(message_window_accept(window, 6 + MESSAGE_WINDOW));
	assert_true(message_window_accept(window, UINT64_MAX - MESSAGE_WINDOW + 1));
	free(window);
}

/* The window against a naive memory of everything. */
static void test_the_window_agrees_with_a_naive_model(void **state)
{
	enum { IDS = 20000 };
	struct message_window *window = mem_new(struct message_window);
	struct world *world = world_new(1);
	bool *seen = mem_alloc(IDS, sizeof(*seen));
	uint64_t top = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint64_t id = 1 + ((uint64_t)i / 8 + world_random(world) % 6000) % (IDS - 1);
		bool expected = !seen[id] && (id > top || top - id < MESSAGE_WINDOW);

		assert_int_equal(message_window_accept(window, id), expected);
		if (expected)
			seen[id] = true;
		if (id > top)
			top = id;
	}
	world_free(world);
	free(seen);
	free(window);
}

static bool got_one(struct world *world)
{
	return world->node[1].messages >= 1;
}

static void test_messages_of_every_size_arrive(void **state)
{
	static const size_t sizes[] = {0,    1,     4,       1111,
				       1112, /* the largest DATAGRAM, and one byte more */
				       1113, 65536, 1000000, QUIC_MESSAGE_MAX};
	struct world *world = world_pair(2);
	size_t bytes = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t *message = mem_alloc(1, sizes[i] + 1);

		world->node[1].messages = 0;
		assert_int_equal(quic_conn_send(world->node[0].conn, bytes_of(message, sizes[i])),
				 0);
		assert_true(world_run(world, 20000, got_one));
		bytes += sizes[i];
		assert_int_equal(world->node[1].message_bytes, bytes);
		free(message);
	}
	(void)world_run(world, 1000, NULL);
	assert_int_equal(stats(&world->node[0])->messages_out, ARRAY_LEN(sizes));
	world_free(world);
}

static void test_a_message_too_large_is_refused(void **state)
{
	struct world *world = world_pair(3);
	uint8_t *message = mem_alloc(1, QUIC_MESSAGE_MAX + 1);

	(void)state;
	assert_int_equal(
		quic_conn_send(world->node[0].conn, bytes_of(message, QUIC_MESSAGE_MAX + 1)),
		QUIC_E_TOO_LARGE);
	free(message);
	world_free(world);
}

static void test_a_full_queue_says_so_and_empties(void **state)
{
	struct world *world = world_pair(4);
	struct quic_conn *conn = world->node[0].conn;
	uint32_t accepted = 0;
	int r;

	(void)state;
	while ((r = send_numbered(conn, accepted, 100)) == 0)
		accepted++;
	assert_int_equal(r, QUIC_E_FULL);
	assert_int_equal(accepted, QUIC_SEND_COUNT_MAX);
	(void)world_run(world, 5000, NULL);
	assert_int_equal(world->node[1].messages, accepted);
	assert_int_equal(send_numbered(conn, 0, 1500000), 0);
	assert_int_equal(send_numbered(conn, 0, 1500000), 0);
	assert_int_equal(send_numbered(conn, 0, 1500000), QUIC_E_FULL);
	assert_int_equal(send_numbered(conn, 0, 100), 0);
	world_free(world);
}

/* @large of @count messages are too large for a DATAGRAM. Everything must arrive exactly once. */
static void exchange_over_a_bad_link(struct world *world, uint32_t count)
{
	struct node *from = &world->node[0], *to = &world->node[1];
	uint32_t sent = 0;

	for (int round = 0; round < 4000 && to->messages < count; round++) {
		for (int k = 0; k < 20 && sent < count; k++) {
			size_t len = sent % 50 == 7 ? 30000 : 40 + sent % 1000;

			if (send_numbered(from->conn, sent, len) != 0)
				break;
			sent++;
		}
		(void)world_run(world, 50, NULL);
		assert_int_equal(from->closed + to->closed, 0);
	}
	(void)world_run(world, 5000, NULL);
	assert_int_equal(sent, count);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(to->message_counts[i], 1);
	assert_int_equal(to->messages, count);
}

static void test_messages_survive_the_loss_of_every_fifth_packet(void **state)
{
	struct world *world = world_pair(5);

	(void)state;
	world->loss_permille = 200;
	exchange_over_a_bad_link(world, 1000);
	assert_true(stats(&world->node[0])->messages_repeated > 50);
	world_free(world);
}

static void test_handshakes_survive_the_loss_of_every_fifth_packet(void **state)
{
	(void)state;
	for (uint64_t seed = 100; seed < 120; seed++) {
		struct world *world = world_new(seed);
		struct node *client = world_add(world, NULL), *server = world_add(world, NULL);

		world->loss_permille = 200;
		(void)world_dial(client, server);
		assert_true(world_run(world, 10000, world_all_open));
		world_free(world);
	}
}

/* Reordering beyond what the library tolerates makes it believe in losses that were none: repeats
 * then really arrive twice. */
static void test_repeated_and_reordered_packets_deliver_once(void **state)
{
	struct world *world = world_pair(6);

	(void)state;
	world->duplicate_permille = 300;
	world->jitter_us = 60000;
	exchange_over_a_bad_link(world, 1000);
	assert_true(stats(&world->node[1])->messages_duplicate > 0);
	world_free(world);
}

static bool stream_data_came(struct world *world)
{
	return world->node[1].ended > 0;
}

static void test_a_stream_carries_bytes_and_its_end(void **state)
{
	struct world *world = world_pair(7);
	struct quic_stream *stream;

	(void)state;
	assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &stream), 0);
	assert_int_equal(quic_stream_write(stream, bytes_str("hello")), 5);
	assert_int_equal(quic_stream_write(stream, bytes_str(" world")), 6);
	quic_stream_finish(stream);
	assert_int_equal(quic_stream_write(stream, bytes_str("more")), 0);
	assert_true(world_run(world, 1000, stream_data_came));
	assert_int_equal(world->node[1].stream_bytes, 11);
	/* The other direction, then both are done. */
	assert_int_equal(quic_stream_write(world->node[1].stream, bytes_str("bye")), 3);
	quic_stream_finish(world->node[1].stream);
	(void)world_run(world, 1000, NULL);
	assert_int_equal(world->node[0].stream_bytes, 3);
	assert_int_equal(world->node[0].streams_closed, 1);
	assert_int_equal(world->node[1].streams_closed, 1);
	assert_int_equal(world->node[0].stream_why.code, 0);
	world_free(world);
}

static void test_a_reader_that_does_not_read_stops_the_writer_and_nobody_else(void **state)
{
	struct world *world = world_pair(8);
	struct node *from = &world->node[0], *to = &world->node[1];
	uint8_t *data = mem_alloc(1, 1000000);
	struct quic_stream *stream;
	size_t accepted = 0, got;

	(void)state;
	to->lazy = true;
	assert_int_equal(quic_stream_open(from->conn, NULL, &stream), 0);
	for (int i = 0; i < 50; i++) {
		accepted += quic_stream_write(stream, bytes_of(data, 1000000));
		(void)world_run(world, 100, NULL);
	}
	assert_in_range(to->stream_bytes, 60000, 70000);
	assert_int_equal(accepted, to->stream_bytes + QUIC_STREAM_BUFFER_MAX);
	/* Messages, even large ones, still pass. */
	assert_int_equal(send_numbered(from->conn, 0, QUIC_MESSAGE_MAX), 0);
	assert_true(world_run(world, 20000, got_one));
	/* When it reads again, everything arrives, and the writer is told of room. */
	to->lazy = false;
	got = to->stream_bytes;
	assert_int_equal(from->writable, 0);
	quic_stream_consumed(to->stream, got);
	(void)world_run(world, 5000, NULL);
	assert_int_equal(to->stream_bytes, accepted);
	assert_int_equal(from->writable, 1);
	free(data);
	world_free(world);
}

static void test_many_megabytes_flow_through_a_stream_under_loss(void **state)
{
	enum { TOTAL = 8 * 1000 * 1000 };
	struct world *world = world_pair(9);
	uint8_t *data = mem_alloc(1, 100000);
	struct quic_stream *stream;
	size_t accepted = 0;

	(void)state;
	world->loss_permille = 10;
	world->delay_us = 1000;
	assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &stream), 0);
	for (int i = 0; i < 20000 && accepted < TOTAL; i++) {
		accepted += quic_stream_write(stream, bytes_of(data, 100000));
		(void)world_run(world, 3, NULL);
	}
	quic_stream_finish(stream);
	assert_true(world_run(world, 10000, stream_data_came));
	assert_int_equal(world->node[1].stream_bytes, accepted);
	assert_true(accepted >= TOTAL);
	assert_int_equal(stats(&world->node[0])->guard_glitch, 0);
	assert_int_equal(stats(&world->node[1])->guard_glitch, 0);
	free(data);
	world_free(world);
}

static void test_many_streams_share_what_a_connection_holds(void **state)
{
	enum { STREAMS = 16, SHARE = QUIC_STREAM_BUFFER_MAX * 4 / STREAMS };
	struct world *world = world_pair(11);
	struct node *from = &world->node[0], *to = &world->node[1];
	uint8_t *data = mem_alloc(1, QUIC_STREAM_BUFFER_MAX);
	struct quic_stream *streams[STREAMS];

	(void)state;
	to->lazy = true;
	for (size_t i = 0; i < STREAMS; i++)
		assert_int_equal(quic_stream_open(from->conn, NULL, &streams[i]), 0);
	for (size_t i = 0; i < STREAMS; i++) {
		assert_int_equal(quic_stream_room(streams[i]), SHARE);
		assert_int_equal(
			quic_stream_write(streams[i], bytes_of(data, QUIC_STREAM_BUFFER_MAX)),
			SHARE);
		assert_int_equal(quic_stream_room(streams[i]), 0);
	}
	/* The peer reads nothing, and there is no room beyond what it was willing to take. */
	(void)world_run(world, 1000, NULL);
	assert_int_equal(from->writable, 0);
	/* Who has asked for room is told of it, though no write was short. */
	to->lazy = false;
	quic_stream_consumed(to->stream, 64 * 1024);
	(void)world_run(world, 1000, NULL);
	assert_int_equal(from->writable, 1);
	free(data);
	world_free(world);
}

/* How long packets may be on their way, and the longest that came. */
struct limit {
	size_t passes, longest;
};

static bool pass_short(struct world *world, struct world_packet *packet)
{
	struct limit *limit = world->tap_user;

	if (packet->len > limit->passes)
		return false;
	if (packet->len > limit->longest)
		limit->longest = packet->len;
	return true;
}

/* The length of the longest packet of a transfer, all of which arrives. */
static size_t longest_packet(size_t passes, bool find_mtu, bool one_machine)
{
	struct world *world = world_new(passes);
	const struct quic_config config = {.find_mtu = find_mtu};
	struct limit limit = {.passes = passes};
	uint8_t *data = mem_alloc(1, QUIC_STREAM_BUFFER_MAX);
	struct quic_stream *stream;

	world->one_machine = one_machine;
	(void)world_add(world, &config);
	(void)world_add(world, &config);
	world->tap = pass_short;
	world->tap_user = &limit;
	(void)world_dial(&world->node[0], &world->node[1]);
	assert_true(world_run(world, 5000, world_all_open));
	(void)world_run(world, 20000, NULL);
	assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &stream), 0);
	assert_int_equal(quic_stream_write(stream, bytes_of(data, QUIC_STREAM_BUFFER_MAX)),
			 QUIC_STREAM_BUFFER_MAX);
	quic_stream_finish(stream);
	assert_true(world_run(world, 20000, stream_data_came));
	assert_int_equal(world->node[1].stream_bytes, QUIC_STREAM_BUFFER_MAX);
	assert_int_equal(stats(&world->node[1])->guard_glitch, 0);
	free(data);
	world_free(world);
	return limit.longest;
}

static void test_packets_are_as_long_as_the_path_permits(void **state)
{
	(void)state;
	assert_int_equal(longest_packet(1500, false, false), 1200);
	assert_int_equal(longest_packet(65535, true, false), 1452);
	assert_int_equal(longest_packet(1402, true, false), 1402);
	assert_int_equal(longest_packet(1350, true, false), 1332);
	assert_int_equal(longest_packet(1200, true, false), 1200);
	assert_int_equal(longest_packet(65535, true, true), 8952);
	assert_int_equal(longest_packet(1500, true, true), 1452);
	assert_int_equal(longest_packet(65535, false, true), 1200);
}

static bool nothing_passes(struct world *world, struct world_packet *packet)
{
	(void)world;
	(void)packet;
	return false;
}

/* A pair, quiet for longer than a peer with open streams may be; then the link is cut. How long it
 * takes until node 0 knows, in seconds. */
static int64_t seconds_to_notice(bool with_stream)
{
	const struct quic_config config = {.idle_timeout_ms = 90 * MS_PER_S,
					   .stream_silence_ms = 30 * MS_PER_S};
	struct world *world = world_new(12);
	struct quic_stream *stream;
	struct mono cut;
	int64_t seconds;

	(void)world_add(world, &config);
	(void)world_add(world, &config);
	(void)world_dial(&world->node[0], &world->node[1]);
	assert_true(world_run(world, 5000, world_all_open));
	(void)world_run(world, 60 * MS_PER_S, NULL);
	if (with_stream) {
		assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &stream), 0);
		assert_int_equal(quic_stream_write(stream, bytes_str("x")), 1);
		(void)world_run(world, 100 * MS_PER_S, NULL);
	} else {
		assert_int_equal(send_numbered(world->node[0].conn, 1, 100), 0);
		(void)world_run(world, 1000, NULL);
	}
	assert_int_equal(world->node[0].closed, 0);
	world->tap = nothing_passes;
	cut = world->now;
	assert_true(world_run(world, 200 * MS_PER_S, world_node0_closed));
	assert_int_equal(world->node[0].why.code, -ETIMEDOUT);
	seconds = (world->now.us - cut.us) / US_PER_S;
	world_free(world);
	return seconds;
}

static void test_silence_is_noticed_earlier_where_a_stream_is_open(void **state)
{
	(void)state;
	/* Less by what was silent before the cut, which keeping it alive bounds. */
	assert_in_range(seconds_to_notice(true), 20, 30);
	assert_in_range(seconds_to_notice(false), 85, 90);
}

static bool streams_closed(struct world *world)
{
	return world->node[0].streams_closed > 0 && world->node[1].streams_closed > 0;
}

static void test_a_reset_ends_the_stream_on_both_sides(void **state)
{
	struct world *world = world_pair(10);
	struct quic_stream *stream;

	(void)state;
	assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &stream), 0);
	assert_int_equal(quic_stream_write(stream, bytes_str("hello")), 5);
	(void)world_run(world, 100, NULL);
	quic_stream_reset(world->node[1].stream, 3);
	quic_stream_reset(world->node[1].stream, 3);
	assert_true(world_run(world, 1000, streams_closed));
	assert_int_equal(world->node[0].stream_why.code, -ECONNRESET);
	assert_int_equal(world->node[1].stream_why.code, -ECONNRESET);
	assert_int_equal(world->node[0].closed, 0);
	world_free(world);
}

static void test_streams_end_before_their_connection(void **state)
{
	struct world *world = world_pair(11);
	struct quic_stream *stream;

	(void)state;
	assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &stream), 0);
	assert_int_equal(quic_stream_write(stream, bytes_str("hello")), 5);
	(void)world_run(world, 100, NULL);
	quic_conn_close(world->node[1].conn, 0, "bye");
	assert_true(world_run(world, 1000, world_node0_closed));
	assert_int_equal(world->node[0].streams_closed, 1);
	assert_int_equal(world->node[1].streams_closed, 1);
	assert_int_equal(world->node[0].stream_why.code, -ESHUTDOWN);
	world_free(world);
}

static void test_a_peer_allows_only_so_many_streams(void **state)
{
	struct world *world = world_pair(12);
	struct quic_stream *streams[QUIC_STREAMS_MAX], *one_more;

	(void)state;
	for (size_t i = 0; i < QUIC_STREAMS_MAX; i++) {
		assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &streams[i]), 0);
		assert_int_equal(quic_stream_write(streams[i], bytes_str("x")), 1);
	}
	assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &one_more), QUIC_E_FULL);
	(void)world_run(world, 1000, NULL);
	assert_int_equal(world->node[1].streams, QUIC_STREAMS_MAX);
	quic_stream_reset(streams[0], 0);
	(void)world_run(world, 1000, NULL);
	assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &one_more), 0);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_window_accepts_each_id_once),
		cmocka_unit_test(test_the_window_agrees_with_a_naive_model),
		cmocka_unit_test(test_messages_of_every_size_arrive),
		cmocka_unit_test(test_a_message_too_large_is_refused),
		cmocka_unit_test(test_a_full_queue_says_so_and_empties),
		cmocka_unit_test(test_messages_survive_the_loss_of_every_fifth_packet),
		cmocka_unit_test(test_handshakes_survive_the_loss_of_every_fifth_packet),
		cmocka_unit_test(test_repeated_and_reordered_packets_deliver_once),
		cmocka_unit_test(test_a_stream_carries_bytes_and_its_end),
		cmocka_unit_test(test_a_reader_that_does_not_read_stops_the_writer_and_nobody_else),
		cmocka_unit_test(test_many_megabytes_flow_through_a_stream_under_loss),
		cmocka_unit_test(test_many_streams_share_what_a_connection_holds),
		cmocka_unit_test(test_packets_are_as_long_as_the_path_permits),
		cmocka_unit_test(test_silence_is_noticed_earlier_where_a_stream_is_open),
		cmocka_unit_test(test_a_reset_ends_the_stream_on_both_sides),
		cmocka_unit_test(test_streams_end_before_their_connection),
		cmocka_unit_test(test_a_peer_allows_only_so_many_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
