/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile peer with valid keys may not do to us. Several of these inputs abort the process
 * inside the libraries when nothing keeps them out, so that a test which returns has passed the
 * first half.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evil.h"
#include "quic/conn.h"
#include "quic/endpoint_state.h"
#include "quic/packet.h"
#include "quic/settings.h"

enum {
	CLIENT, /* the node that dials */
	SERVER,
	FILLER = 1000, /* bytes of a message that is replaced by frames */
};

static struct world *evil_world(uint64_t seed, size_t evil_node)
{
	struct world *world = world_new(seed);

	(void)world_add(world, NULL);
	(void)world_add(world, NULL);
	evil = (struct evil){.world = world, .node = &world->node[evil_node]};
	return world;
}

static void evil_end(struct world *world)
{
	evil = (struct evil){0};
	world_free(world);
}

static const struct quic_stats *stats(const struct world *world, size_t node)
{
	return quic_endpoint_stats(world->node[node].endpoint);
}

static bool server_saw_bare_hello(struct world *world)
{
	return stats(world, SERVER)->guard_hello > 0;
}

static void test_a_client_hello_without_transport_parameters_ends_the_handshake(void **state)
{
	struct world *world = evil_world(1, CLIENT);

	(void)state;
	evil.no_parameters = true;
	(void)world_dial(&world->node[CLIENT], &world->node[SERVER]);
	assert_true(world_run(world, 1000, server_saw_bare_hello));
	(void)world_run(world, 20000, NULL);
	assert_int_equal(world->node[SERVER].verified, 0);
	assert_int_equal(stats(world, SERVER)->conns, 0);
	/* The server still serves others. */
	evil.no_parameters = false;
	(void)world_dial(&world->node[CLIENT], &world->node[SERVER]);
	assert_true(world_run(world, 1000, world_all_open));
	evil_end(world);
}

static void test_a_server_without_transport_parameters_is_left(void **state)
{
	struct world *world = evil_world(2, SERVER);

	(void)state;
	evil.no_parameters = true;
	(void)world_dial(&world->node[CLIENT], &world->node[SERVER]);
	assert_true(world_run(world, 11000, world_node0_closed));
	assert_int_equal(world->node[CLIENT].why.code, -EPROTO);
	assert_string_equal(world->node[CLIENT].why.text, "no QUIC transport parameters");
	assert_int_equal(stats(world, CLIENT)->guard_hello, 1);
	evil_end(world);
}

/* In 1-RTT packets sent before the server has heard the end of the client's handshake. */
static bool is_half_rtt(const struct evil *e, enum evil_packet type)
{
	return type == EVIL_SHORT && e->node->opened == 0;
}

static void early_retirement(struct evil *e, enum evil_packet type, uint8_t *frames, size_t len)
{
	/* NEW_CONNECTION_ID: sequence 1, retire prior to 1, 8 bytes of id, 16 of token. */
	static const uint8_t frame[] = {0x18, 1,    1,    8,    0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
					0xaa, 0xaa, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb,
					0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb};

	if (!is_half_rtt(e, type) || len < sizeof(frame))
		return;
	memset(frames, 0, len);
	memcpy(frames, frame, sizeof(frame));
	(*(size_t *)e->user)++;
}

static void early_done(struct evil *e, enum evil_packet type, uint8_t *frames, size_t len)
{
	if (!is_half_rtt(e, type))
		return;
	memset(frames, 0, len);
	frames[0] = 0x1e; /* HANDSHAKE_DONE */
	(*(size_t *)e->user)++;
}

static void run_early(uint64_t seed,
		      void (*rewrite)(struct evil *, enum evil_packet, uint8_t *, size_t))
{
	struct world *world = evil_world(seed, SERVER);
	size_t sent = 0;

	evil.rewrite = rewrite;
	evil.user = &sent;
	(void)world_dial(&world->node[CLIENT], &world->node[SERVER]);
	(void)world_run(world, 60000, NULL);
	assert_true(sent > 0);
	/* An honest connection works as before. */
	evil.node = NULL;
	world->node[CLIENT].opened = 0;
	(void)world_dial(&world->node[CLIENT], &world->node[SERVER]);
	assert_true(world_run(world, 1000, world_all_open));
	evil_end(world);
}

static void test_a_retirement_before_its_time_waits(void **state)
{
	(void)state;
	run_early(3, early_retirement);
}

static void test_a_confirmation_before_its_time_waits(void **state)
{
	(void)state;
	run_early(4, early_done);
}

static void test_one_early_packet_waits_and_more_are_dropped(void **state)
{
	struct world *world = evil_world(5, SERVER);
	struct quic_conn *conn = world_dial(&world->node[CLIENT], &world->node[SERVER]);
	struct quic_path path = {.local = world->node[CLIENT].addr,
				 .remote = world->node[SERVER].addr};
	uint8_t early[60] = {0x40};

	(void)state;
	(void)conn;
	(void)world_run(world, 1, NULL);
	/* The id the client answers to is the last of its Initial's two. */
	list_for_each (link, &world->packets) {
		struct world_packet *packet = list_entry(link, struct world_packet, link);

		memcpy(early + 1, packet->data + 7 + packet->data[5], 8);
	}
	for (int i = 0; i < 10; i++)
		quic_endpoint_input(world->node[CLIENT].endpoint, world->now, &path,
				    bytes_of(early, sizeof(early)));
	assert_int_equal(stats(world, CLIENT)->guard_early, 9);
	assert_true(world_run(world, 1000, world_all_open));
	evil_end(world);
}

static void test_packets_of_no_permitted_kind_end_a_datagram(void **state)
{
	/* An Initial of 4 bytes after its header; then whatever the case adds. */
	static const uint8_t initial[] = {0xc0, 0, 0, 0, 1, 1, 0xaa, 1, 0xbb, 0, 4, 1, 2, 3, 4};
	static const uint8_t zero_rtt[] = {0xd0, 0, 0, 0, 1, 1, 0xaa, 1, 0xbb, 4, 1, 2, 3, 4};
	static const uint8_t one_rtt[] = {0x40, 1, 2, 3, 4};
	uint8_t both[64];
	enum packet_stop stop;
	size_t len = sizeof(initial);

	(void)state;
	memcpy(both, initial, len);
	assert_int_equal(packet_permitted_len(bytes_of(both, len), false, &stop), len);
	assert_int_equal(stop, PACKET_STOP_END);
	memcpy(both + len, zero_rtt, sizeof(zero_rtt));
	assert_int_equal(packet_permitted_len(bytes_of(both, len + sizeof(zero_rtt)), true, &stop),
			 len);
	assert_int_equal(stop, PACKET_STOP_0RTT);
	memcpy(both + len, one_rtt, sizeof(one_rtt));
	assert_int_equal(packet_permitted_len(bytes_of(both, len + sizeof(one_rtt)), false, &stop),
			 len);
	assert_int_equal(stop, PACKET_STOP_SHORT);
	assert_int_equal(packet_permitted_len(bytes_of(both, len + sizeof(one_rtt)), true, &stop),
			 len + sizeof(one_rtt));
	assert_int_equal(stop, PACKET_STOP_END);
	/* A length beyond the datagram. */
	assert_int_equal(packet_permitted_len(bytes_of(both, len - 1), true, &stop), 0);
	assert_int_equal(stop, PACKET_STOP_UNKNOWN);
}

/* Every Initial of the client is followed by a 0-RTT packet in the same datagram. */
static bool add_zero_rtt(struct world *world, struct world_packet *packet)
{
	struct quic_path path = packet->path;
	uint8_t zero_rtt[60];

	if (packet->path.local.ip[3] != 2 || packet->data[0] >> 4 != 0xc)
		return true;
	memcpy(zero_rtt, packet->data, sizeof(zero_rtt));
	zero_rtt[0] = 0xd0;
	quic_endpoint_input(world->node[SERVER].endpoint, world->now, &path,
			    bytes_of(zero_rtt, sizeof(zero_rtt)));
	return true;
}

static void test_zero_rtt_is_neither_offered_nor_read(void **state)
{
	struct world *world = evil_world(6, SERVER);

	(void)state;
	world->tap = add_zero_rtt;
	(void)world_dial(&world->node[CLIENT], &world->node[SERVER]);
	assert_true(world_run(world, 1000, world_all_open));
	(void)world_run(world, 30000, NULL);
	assert_true(stats(world, SERVER)->guard_early > 0);
	/* No ticket, so nothing to resume from, so no second round with early secrets. */
	assert_int_equal(evil.late_tls_messages, 0);
	evil_end(world);
}

static void late_tls(struct evil *e, enum evil_packet type, uint8_t *frames, size_t len)
{
	/* CRYPTO at offset 0 with a NewSessionTicket's beginning. */
	static const uint8_t frame[] = {0x06, 0, 16, 4, 0, 0, 200, 0, 0, 28,
					32,   1, 2,  3, 4, 0, 0,   0, 0};

	if (type != EVIL_SHORT || e->node->opened == 0 || len < sizeof(frame))
		return;
	memset(frames, 0, len);
	memcpy(frames, frame, sizeof(frame));
}

static void test_tls_messages_after_the_handshake_reach_no_session(void **state)
{
	struct world *world = evil_world(7, SERVER);

	(void)state;
	(void)world_dial(&world->node[CLIENT], &world->node[SERVER]);
	assert_true(world_run(world, 1000, world_all_open));
	evil.rewrite = late_tls;
	for (int i = 0; i < 20 && world->node[SERVER].conn; i++) {
		assert_int_equal(quic_conn_send(world->node[SERVER].conn, bytes_str("some words")),
				 0);
		(void)world_run(world, 100, NULL);
	}
	assert_true(evil.rewritten > 0);
	evil_end(world);
}

static void test_no_qlog_is_ever_written(void **state)
{
	struct world *world = evil_world(8, SERVER);
	const struct quic_path path = {world->node[SERVER].addr, world->node[CLIENT].addr};
	ngtcp2_settings settings;

	(void)state;
	settings_init(&settings, world->node[SERVER].endpoint, world->now, &path);
	assert_null(settings.qlog_write);
	assert_null(settings.log_printf);
	assert_int_equal(settings.handshake_timeout, 10 * NGTCP2_SECONDS);
	assert_int_equal(settings.max_tx_udp_payload_size, 1452);
	evil_end(world);
}

struct flood {
	uint64_t next;
	size_t per_packet; /* frames; no more, or a limit of streams would stop it first */
	int64_t pause_ms;
	uint64_t (*frame)(struct flood *flood, uint8_t *out); /* returns its length */
};

/* A unidirectional stream of one byte, given up at once; then the next one. */
static uint64_t frame_reset(struct flood *flood, uint8_t *out)
{
	uint64_t id = 2 + 4 * flood->next++;
	size_t at = 1;

	out[0] = 0x0a; /* STREAM with a length */
	at += evil_varint(out + at, id);
	out[at++] = 1;
	out[at++] = 'x';
	out[at++] = 0x04; /* RESET_STREAM */
	at += evil_varint(out + at, id);
	out[at++] = 0;
	out[at++] = 1;
	return at;
}

static uint64_t frame_stop(struct flood *flood, uint8_t *out)
{
	size_t at = 1;

	out[0] = 0x05; /* STOP_SENDING on one bidirectional stream after the other */
	at += evil_varint(out + at, 4 * flood->next++);
	out[at++] = 0;
	return at;
}

static uint64_t frame_crumb(struct flood *flood, uint8_t *out)
{
	size_t at = 1;

	out[0] = 0x11; /* MAX_STREAM_DATA, one byte more each time */
	at += evil_varint(out + at, 0);
	at += evil_varint(out + at, 65536 + flood->next++);
	return at;
}

static uint64_t frame_ping(struct flood *flood, uint8_t *out)
{
	flood->next++;
	out[0] = 0x01;
	return 1;
}

static void write_flood(struct evil *e, enum evil_packet type, uint8_t *frames, size_t len)
{
	struct flood *flood = e->user;
	size_t at = 0;

	/* Only packets that carry the filler, so that its own protocol goes on. Larger ones probe
	 * the path. */
	if (type != EVIL_SHORT || len < FILLER || len > FILLER + 100)
		return;
	memset(frames, 0, len);
	for (size_t i = 0; i < flood->per_packet && at + 16 <= len; i++)
		at += flood->frame(flood, frames + at);
}

/* Rewrite up to @packets messages; the victim must end it before. */
static void run_flood(uint64_t seed, struct flood flood, int packets)
{
	struct world *world = evil_world(seed, CLIENT);
	struct node *attacker = &world->node[CLIENT], *victim = &world->node[SERVER];
	uint8_t filler[FILLER] = {0};
	struct quic_stream *stream;

	(void)world_dial(attacker, victim);
	assert_true(world_run(world, 1000, world_all_open));
	evil.rewrite = write_flood;
	evil.user = &flood;
	for (int i = 0; i < packets && victim->closed == 0 && attacker->conn; i++) {
		if (flood.frame == frame_stop) {
			for (size_t k = 0; k < flood.per_packet; k++)
				assert_int_equal(quic_stream_open(attacker->conn, NULL, &stream),
						 0);
		}
		/* It does not hold the victim's answers against it. */
		attacker->conn->glitches.tokens = CONN_GLITCH_BURST;
		(void)!quic_conn_send(attacker->conn, bytes_of(filler, sizeof(filler)));
		(void)world_run(world, flood.pause_ms, NULL);
	}
	(void)world_run(world, 100, NULL);
	assert_int_equal(victim->closed, 1);
	assert_string_equal(victim->why.text, flood.frame == frame_ping
						      ? "too many pointless packets"
						      : "too much pointless work");
	assert_int_equal(stats(world, SERVER)->guard_glitch, 1);
	evil_end(world);
}

static void test_a_flood_of_resets_ends_the_connection(void **state)
{
	(void)state;
	run_flood(9, (struct flood){.frame = frame_reset, .per_packet = 50, .pause_ms = 100}, 100);
}

static void test_a_flood_of_stop_sending_ends_the_connection(void **state)
{
	(void)state;
	run_flood(10, (struct flood){.frame = frame_stop, .per_packet = 40, .pause_ms = 200}, 200);
}

static void test_a_window_opened_by_crumbs_ends_the_connection(void **state)
{
	(void)state;
	run_flood(11, (struct flood){.frame = frame_crumb, .per_packet = 100, .pause_ms = 1}, 100);
}

static void test_a_flood_of_pointless_packets_ends_the_connection(void **state)
{
	(void)state;
	run_flood(12, (struct flood){.frame = frame_ping, .per_packet = 1, .pause_ms = 1}, 20000);
}

/* Somebody who sees the traffic, but has no keys, cannot use the guard against its owner. */
static void test_forged_packets_do_not_count_against_a_peer(void **state)
{
	struct world *world = evil_world(13, CLIENT);
	struct node *victim = &world->node[SERVER];
	struct quic_path path = {.local = victim->addr, .remote = world->node[CLIENT].addr};
	uint8_t forged[100] = {0};

	(void)state;
	(void)world_dial(&world->node[CLIENT], victim);
	assert_true(world_run(world, 1000, world_all_open));
	assert_int_equal(quic_conn_send(world->node[CLIENT].conn, bytes_str("hello")), 0);
	(void)world_run(world, 1, NULL);
	list_for_each (link, &world->packets) {
		struct world_packet *packet = list_entry(link, struct world_packet, link);

		if (packet->path.local.ip[3] == 2 && !(packet->data[0] & 0x80))
			memcpy(forged, packet->data, 9);
	}
	assert_int_not_equal(forged[0], 0);
	for (int i = 0; i < 50000; i++) {
		forged[50] = (uint8_t)i;
		quic_endpoint_input(victim->endpoint, world->now, &path,
				    bytes_of(forged, sizeof(forged)));
	}
	assert_false(world_run(world, 20000, world_node0_closed));
	assert_int_equal(victim->closed, 0);
	assert_int_equal(victim->messages, 1);
	evil_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_client_hello_without_transport_parameters_ends_the_handshake),
		cmocka_unit_test(test_a_server_without_transport_parameters_is_left),
		cmocka_unit_test(test_a_retirement_before_its_time_waits),
		cmocka_unit_test(test_a_confirmation_before_its_time_waits),
		cmocka_unit_test(test_one_early_packet_waits_and_more_are_dropped),
		cmocka_unit_test(test_packets_of_no_permitted_kind_end_a_datagram),
		cmocka_unit_test(test_zero_rtt_is_neither_offered_nor_read),
		cmocka_unit_test(test_tls_messages_after_the_handshake_reach_no_session),
		cmocka_unit_test(test_no_qlog_is_ever_written),
		cmocka_unit_test(test_a_flood_of_resets_ends_the_connection),
		cmocka_unit_test(test_a_flood_of_stop_sending_ends_the_connection),
		cmocka_unit_test(test_a_window_opened_by_crumbs_ends_the_connection),
		cmocka_unit_test(test_a_flood_of_pointless_packets_ends_the_connection),
		cmocka_unit_test(test_forged_packets_do_not_count_against_a_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
