/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes, verdicts and the lives of connections, in virtual time. */
#include "quic/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quic/credential_view.h"
#include "world.h"

static const struct quic_stats *stats(const struct node *node)
{
	return quic_endpoint_stats(node->endpoint);
}

static void test_both_sides_open_and_know_each_other(void **state)
{
	struct world *world = world_new(1);
	struct node *client = world_add(world, NULL), *server = world_add(world, NULL);
	struct mono start = world->now;
	const struct bytes *chain;

	(void)state;
	(void)world_dial(client, server);
	assert_true(world_run(world, 1000, world_all_open));
	/* The server hears of it after 1.5 round trips, the client's certainty takes two. */
	assert_int_equal(mono_since_us(world->now, start), 2 * WORLD_RTT_US);
	assert_int_equal(client->verified, 1);
	assert_int_equal(server->verified, 1);
	assert_int_equal(quic_conn_peer_chain(client->conn, &chain), 1);
	assert_true(bytes_equal(chain[0], bytes_buf(&server->leaf)));
	assert_int_equal(quic_conn_peer_chain(server->conn, &chain), 1);
	assert_true(bytes_equal(chain[0], bytes_buf(&client->leaf)));
	assert_string_equal(quic_conn_alpn(server->conn), "magik-machine/1");
	assert_true(quic_conn_is_dialled(client->conn));
	assert_false(quic_conn_is_dialled(server->conn));
	assert_int_equal(stats(server)->half_open, 0);
	assert_int_equal(stats(client)->handshakes_dialled, 1);
	assert_int_equal(stats(server)->handshakes_accepted, 1);
	assert_in_range(quic_conn_rtt_us(client->conn), WORLD_RTT_US, WORLD_RTT_US + 5000);
	world_free(world);
}

/* Nothing honest trips a guard, nor is any packet of a clean handshake lost to one. */
static void test_an_honest_pair_trips_no_guard(void **state)
{
	struct world *world = world_pair(2);

	(void)state;
	assert_false(world_run(world, 60000, world_node0_closed));
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(stats(&world->node[i])->guard_early, 0);
		assert_int_equal(stats(&world->node[i])->guard_hello, 0);
		assert_int_equal(stats(&world->node[i])->guard_glitch, 0);
		assert_int_equal(stats(&world->node[i])->unroutable, 0);
	}
	world_free(world);
}

static void test_a_client_refused_by_the_server_learns_why(void **state)
{
	struct world *world = world_new(3);
	struct node *client = world_add(world, NULL), *server = world_add(world, NULL);
	struct quic_conn *conn;

	(void)state;
	server->refuses = true;
	conn = world_dial(client, server);
	assert_int_equal(quic_conn_send(conn, bytes_str("secret")), 0);
	assert_true(world_run(world, 1000, world_node0_closed));
	assert_int_equal(client->why.code, -EACCES);
	assert_string_equal(client->why.text, "peer refused our certificate: not of this fabric");
	assert_int_equal(client->opened, 0);
	assert_int_equal(server->opened, 0);
	assert_int_equal(server->messages, 0);
	assert_int_equal(stats(server)->refused_by_us, 1);
	assert_int_equal(stats(client)->refused_by_peer, 1);
	assert_false(world_run(world, 60000, NULL));
	assert_int_equal(stats(server)->conns, 0);
	assert_int_equal(stats(server)->half_open, 0);
	world_free(world);
}

static bool server_refused(struct world *world)
{
	return stats(&world->node[1])->refused_by_peer > 0;
}

static void test_a_server_refused_by_the_client_learns_why(void **state)
{
	struct world *world = world_new(4);
	struct node *client = world_add(world, NULL), *server = world_add(world, NULL);

	(void)state;
	client->refuses = true;
	(void)world_dial(client, server);
	assert_true(world_run(world, 1000, world_node0_closed));
	assert_int_equal(client->why.code, -EKEYREJECTED);
	assert_string_equal(client->why.text, "not of this fabric");
	assert_true(world_run(world, 1000, server_refused));
	assert_int_equal(server->opened, 0);
	assert_int_equal(server->verified, 0);
	world_free(world);
}

static void test_a_client_without_a_certificate_is_refused(void **state)
{
	struct world *world = world_new(5);
	struct node *client = world_add(world, NULL), *server = world_add(world, NULL);
	struct quic_credential nothing = {.references = 10};
	struct quic_dial dial = {
		.remote = server->addr, .alpn = "magik-machine/1", .credential = &nothing};
	struct quic_conn *conn;

	(void)state;
	assert_int_equal(quic_dial(client->endpoint, world->now, &dial, &conn), 0);
	assert_true(world_run(world, 1000, world_node0_closed));
	assert_int_equal(client->why.code, -EACCES);
	assert_int_equal(server->verified, 0);
	assert_int_equal(server->opened, 0);
	assert_int_equal(stats(server)->refused_by_us, 1);
	world_free(world);
}

static void test_a_protocol_nobody_answers_to_is_refused(void **state)
{
	struct world *world = world_new(6);
	struct node *client = world_add(world, NULL), *server = world_add(world, NULL);
	struct quic_dial dial = {
		.remote = server->addr, .alpn = "magik-work/1", .credential = client->credential};
	struct quic_conn *conn;

	(void)state;
	assert_int_equal(quic_dial(client->endpoint, world->now, &dial, &conn), 0);
	assert_true(world_run(world, 1000, world_node0_closed));
	assert_int_equal(client->why.code, -EPROTONOSUPPORT);
	assert_int_equal(server->opened, 0);
	world_free(world);
}

/* Each protocol shows its own certificate, and a renewed one as soon as it is set. */
static void test_each_protocol_has_its_own_certificate(void **state)
{
	struct world *world = world_new(7);
	struct buf leaf = {0}, renewed_leaf = {0};
	struct quic_credential *join = test_credential(77, &leaf);
	struct quic_credential *renewed = test_credential(78, &renewed_leaf);
	struct quic_config config = {
		.acceptor = {{"magik-join/1", join}, {"magik-machine/1", join}},
		.acceptor_count = 2};
	struct node *client = world_add(world, NULL), *server = world_add(world, &config);
	const struct bytes *chain;

	(void)state;
	assert_int_equal(quic_endpoint_set_credential(server->endpoint, "magik-machine/1", renewed),
			 0);
	assert_int_equal(quic_endpoint_set_credential(server->endpoint, "other/1", renewed),
			 QUIC_E_UNKNOWN);
	(void)world_dial(client, server);
	assert_true(world_run(world, 1000, world_all_open));
	assert_int_equal(quic_conn_peer_chain(client->conn, &chain), 1);
	assert_true(bytes_equal(chain[0], bytes_buf(&renewed_leaf)));
	world_free(world);
	quic_credential_unref(join);
	quic_credential_unref(renewed);
	buf_deinit(&leaf);
	buf_deinit(&renewed_leaf);
}

static void test_a_key_that_is_not_the_certificates_is_no_credential(void **state)
{
	struct buf leaf = {0};
	struct quic_credential *good = test_credential(1, &leaf), *bad;
	struct bytes chain = bytes_buf(&leaf), garbage = bytes_str("garbage");
	uint8_t seed[QUIC_SEED_LEN] = {9};
	struct err err;

	(void)state;
	assert_int_equal(quic_credential_new(&chain, 1, seed, &err, &bad), -EINVAL);
	assert_int_equal(quic_credential_new(&garbage, 1, seed, &err, &bad), -EINVAL);
	assert_int_equal(quic_credential_new(&chain, 0, seed, &err, &bad), -EINVAL);
	quic_credential_unref(good);
	buf_deinit(&leaf);
}

/* Node 0's first packets reach the server, later ones do not. */
static bool only_first_initials(struct world *world, struct world_packet *packet)
{
	size_t *initials = world->tap_user;

	if (!addr_equal(&packet->path.local, &world->node[1].addr))
		return true;
	if (*initials == 0)
		return false;
	(*initials)--;
	return true;
}

static bool opened_at_server(struct world *world)
{
	return world->node[1].opened > 0;
}

static void test_beyond_the_threshold_an_address_must_be_proven(void **state)
{
	struct quic_config config = {.half_open_retry = 3};
	struct world *world = world_new(8);
	struct node *client = world_add(world, NULL), *server = world_add(world, &config);
	size_t initials = 3;

	(void)state;
	world->tap = only_first_initials;
	world->tap_user = &initials;
	for (int i = 0; i < 3; i++)
		(void)world_dial(client, server);
	assert_false(world_run(world, 50, world_node0_closed));
	assert_int_equal(stats(server)->half_open, 3);
	assert_int_equal(stats(server)->retries_sent, 0);
	world->tap = NULL;
	/* Now a fourth: it is asked to prove its address, and costs nothing until it has. */
	(void)world_dial(client, server);
	assert_false(world_run(world, 15, world_node0_closed));
	assert_true(stats(server)->retries_sent >= 1);
	assert_int_equal(stats(server)->conns, 3);
	assert_true(world_run(world, 1000, opened_at_server));
	world_free(world);
}

/* Node 0 only ever gets its first packet through; a token given to node 2 is used from elsewhere.
 */
static bool move_tokens(struct world *world, struct world_packet *packet)
{
	size_t *moved = world->tap_user;
	size_t at;

	if (packet->path.remote.ip[3] == 1)
		return world->sent == 1;
	if (packet->path.local.ip[3] != 2 || packet->data[0] >> 4 != 0xc)
		return true;
	/* RFC 9000 section 17.2.2: version 4, ids with their lengths, then the token's length. */
	at = (size_t)5 + 1 + packet->data[5];
	at += (size_t)1 + packet->data[at];
	if (packet->data[at] != 0) {
		packet->path.remote.ip[3] = 99;
		(*moved)++;
	}
	return true;
}

static void test_a_token_is_worth_nothing_at_another_address(void **state)
{
	struct quic_config config = {.half_open_retry = 1};
	struct world *world = world_new(9);
	struct node *filler = world_add(world, NULL), *server = world_add(world, &config);
	struct node *client = world_add(world, NULL);
	size_t moved = 0;

	(void)state;
	world->tap = move_tokens;
	world->tap_user = &moved;
	(void)world_dial(filler, server);
	(void)world_run(world, 50, NULL);
	assert_int_equal(stats(server)->half_open, 1);
	(void)world_dial(client, server);
	(void)world_run(world, 1000, NULL);
	assert_true(moved > 0);
	assert_true(stats(server)->retries_sent > 0);
	assert_int_equal(stats(server)->conns, 1);
	assert_int_equal(server->verified, 0);
	world_free(world);
}

static void test_half_open_connections_are_capped_and_end(void **state)
{
	struct quic_config config = {.half_open_max = 8, .half_open_retry = 1000};
	struct world *world = world_new(10);
	struct node *client = world_add(world, NULL), *server = world_add(world, &config);
	size_t initials = 20;

	(void)state;
	world->tap = only_first_initials;
	world->tap_user = &initials;
	for (int i = 0; i < 20; i++)
		(void)world_dial(client, server);
	(void)world_run(world, 50, NULL);
	assert_int_equal(stats(server)->half_open, 8);
	assert_int_equal(stats(server)->over_limit, 12);
	(void)world_run(world, 12000, NULL);
	assert_int_equal(stats(server)->half_open, 0);
	assert_int_equal(stats(server)->conns, 0);
	assert_int_equal(client->closed, 20);
	assert_int_equal(client->why.code, -ETIMEDOUT);
	world_free(world);
}

static void test_one_address_may_not_take_all_places(void **state)
{
	struct quic_config config = {.conns_per_ip_max = 2};
	struct world *world = world_new(11);
	struct node *greedy = world_add(world, NULL), *server = world_add(world, &config);
	struct node *other = world_add(world, NULL);

	(void)state;
	for (int i = 0; i < 5; i++)
		(void)world_dial(greedy, server);
	(void)world_run(world, 500, NULL);
	assert_int_equal(greedy->opened, 2);
	assert_true(stats(server)->over_limit > 0);
	(void)world_dial(other, server);
	assert_true(world_run(world, 500, world_all_open));
	/* A place that becomes free can be taken again. */
	quic_conn_close(greedy->conn, 0, "done");
	(void)world_run(world, 500, NULL);
	(void)world_run(world, 15000, NULL);
	(void)world_dial(greedy, server);
	(void)world_run(world, 500, NULL);
	assert_true(greedy->opened >= 3);
	world_free(world);
}

static bool nothing_passes(struct world *world, struct world_packet *packet)
{
	(void)world;
	(void)packet;
	return false;
}

static void test_a_peer_that_vanishes_is_noticed(void **state)
{
	struct world *world = world_pair(12);
	struct mono start = world->now;

	(void)state;
	world->tap = nothing_passes;
	assert_true(world_run(world, 90000, world_node0_closed));
	assert_int_equal(world->node[0].why.code, -ETIMEDOUT);
	assert_in_range(mono_since_us(world->now, start), 55 * US_PER_S, 75 * US_PER_S);
	world_free(world);
}

static void test_a_quiet_stream_keeps_its_connection(void **state)
{
	struct world *world = world_pair(13);
	struct quic_stream *stream;

	(void)state;
	assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &stream), 0);
	assert_int_equal(quic_stream_write(stream, bytes_of("x", 1)), 1);
	assert_false(world_run(world, 10 * 60 * 1000, world_node0_closed));
	assert_int_equal(world->node[1].closed, 0);
	world_free(world);
}

/* Nobody keeps it for its own sake, and nothing is sent for that. */
static void test_a_quiet_connection_ends(void **state)
{
	struct world *world = world_pair(13);
	struct quic_stream *stream;
	uint64_t sent;

	(void)state;
	assert_int_equal(quic_stream_open(world->node[0].conn, NULL, &stream), 0);
	assert_int_equal(quic_stream_write(stream, bytes_of("x", 1)), 1);
	assert_false(world_run(world, 100 * 1000, world_node0_closed));
	quic_stream_reset(stream, 0);
	assert_false(world_run(world, 5 * 1000, world_node0_closed));
	sent = stats(&world->node[0])->datagrams_out + stats(&world->node[1])->datagrams_out;
	assert_false(world_run(world, 50 * 1000, world_node0_closed));
	assert_int_equal(stats(&world->node[0])->datagrams_out +
				 stats(&world->node[1])->datagrams_out,
			 sent);
	assert_true(world_run(world, 10 * 1000, world_node0_closed));
	assert_int_equal(world->node[0].why.code, -ETIMEDOUT);
	world_free(world);
}

static void test_a_restarted_peer_is_noticed_at_once(void **state)
{
	struct world *world = world_pair(14);
	struct mono start;

	(void)state;
	(void)world_run(world, 1000, NULL);
	world_restart(world, &world->node[1]);
	start = world->now;
	assert_int_equal(
		quic_conn_send(world->node[0].conn, bytes_of("0123456789012345678901", 22)), 0);
	assert_true(world_run(world, 5000, world_node0_closed));
	assert_int_equal(world->node[0].why.code, -ECONNRESET);
	assert_int_equal(mono_since_us(world->now, start), WORLD_RTT_US);
	assert_int_equal(stats(&world->node[1])->resets_sent, 1);
	assert_int_equal(stats(&world->node[0])->resets_received, 1);
	world_free(world);
}

static bool opened_at_client(struct world *world)
{
	return world->node[0].opened > 0;
}

static void test_a_thousand_dials_into_nothing_stall_nobody(void **state)
{
	struct world *world = world_new(15);
	struct node *client = world_add(world, NULL), *server = world_add(world, NULL);
	struct node nowhere = {.addr = {.ip = {192, 0, 2, 1}, .port = 1, .is_v4 = true}};
	struct mono start = world->now;

	(void)state;
	for (int i = 0; i < 1000; i++)
		(void)world_dial(client, &nowhere);
	(void)world_dial(client, server);
	assert_true(world_run(world, 1000, opened_at_client));
	assert_int_equal(mono_since_us(world->now, start), 2 * WORLD_RTT_US);
	(void)world_run(world, 12000, NULL);
	assert_int_equal(client->closed, 1000);
	assert_int_equal(client->why.code, -ETIMEDOUT);
	assert_int_equal(stats(client)->conns, 1);
	world_free(world);
}

static void test_closing_tells_the_peer_why_even_if_packets_are_lost(void **state)
{
	struct world *world = world_pair(16);

	(void)state;
	/* The goodbye is lost; the peer's next packet is answered with it again. */
	world->tap = nothing_passes;
	quic_conn_close(world->node[0].conn, 7, "leaving\nnow");
	(void)world_run(world, 5, NULL);
	assert_int_equal(world->node[0].closed, 1);
	assert_int_equal(world->node[0].why.code, -ESHUTDOWN);
	world->tap = NULL;
	assert_int_equal(quic_conn_send(world->node[1].conn, bytes_str("x")), 0);
	(void)world_run(world, 100, NULL);
	assert_int_equal(world->node[1].closed, 1);
	assert_int_equal(world->node[1].why.code, -ESHUTDOWN);
	assert_string_equal(world->node[1].why.text, "closed by the peer: leaving?now");
	(void)world_run(world, 10000, NULL);
	assert_int_equal(stats(&world->node[0])->conns, 0);
	world_free(world);
}

static bool rebind(struct world *world, struct world_packet *packet)
{
	struct addr *nat = world->tap_user;

	if (addr_equal(&packet->path.remote, &world->node[0].addr))
		packet->path.remote = *nat;
	else if (addr_equal(&packet->path.local, nat))
		packet->path.local = world->node[0].addr;
	return true;
}

static bool three_messages(struct world *world)
{
	return world->node[1].messages >= 3;
}

static void test_a_connection_survives_a_new_address(void **state)
{
	struct world *world = world_pair(17);
	struct addr nat = world->node[0].addr, seen;

	(void)state;
	(void)world_run(world, 1000, NULL);
	nat.port = 40000;
	world->tap = rebind;
	world->tap_user = &nat;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(quic_conn_send(world->node[0].conn, bytes_str("still here")), 0);
		(void)world_run(world, 200, NULL);
	}
	assert_true(world_run(world, 5000, three_messages));
	seen = quic_conn_remote(world->node[1].conn);
	assert_true(addr_equal(&seen, &nat));
	world_free(world);
}

static void input(struct world *world, struct node *node, const void *data, size_t len)
{
	struct quic_path path = {.local = node->addr,
				 .remote = {.ip = {10, 9, 9, 9}, .port = 9, .is_v4 = true}};

	quic_endpoint_input(node->endpoint, world->now, &path, bytes_of(data, len));
}

static void test_noise_leaves_nothing_behind(void **state)
{
	struct world *world = world_new(18);
	struct node *server = world_add(world, NULL);
	uint8_t noise[1200];

	(void)state;
	for (int i = 0; i < 500; i++) {
		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (uint8_t)world_random(world);
		/* Half of them begin like an Initial of version 1 with ids of 8 bytes. */
		if (i % 2)
			memcpy(noise,
			       "\xc0\0\0\0\1\x08"
			       "01234567"
			       "\x08"
			       "abcdefgh"
			       "\0\x44\x90",
			       26);
		input(world, server, noise, i % 3 ? sizeof(noise) : (size_t)i);
	}
	(void)world_run(world, 100, NULL);
	assert_int_equal(stats(server)->conns, 0);
	assert_int_equal(stats(server)->half_open, 0);
	assert_int_equal(server->opened, 0);
	world_free(world);
}

static void test_another_version_is_answered_with_ours(void **state)
{
	struct world *world = world_new(19);
	struct node *server = world_add(world, NULL);
	uint8_t hello[1200] = {0xc0, 0xfa, 0xce, 0xb0, 0x0c, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0};

	(void)state;
	input(world, server, hello, 1199);
	(void)world_run(world, 1, NULL);
	assert_int_equal(stats(server)->versions_sent, 0);
	input(world, server, hello, sizeof(hello));
	(void)world_run(world, 1, NULL);
	assert_int_equal(stats(server)->versions_sent, 1);
	assert_int_equal(stats(server)->datagrams_out, 1);
	world_free(world);
}

/* Every datagram of one endpoint is handed to the other as if it came from a peer it lost. */
static void test_two_endpoints_do_not_feed_each_other_resets(void **state)
{
	struct world *world = world_new(20);
	struct node *a = world_add(world, NULL), *b = world_add(world, NULL);
	struct quic_path path = {.local = b->addr, .remote = a->addr};
	uint8_t stray[200] = {0x40, 1, 2, 3};

	(void)state;
	for (int i = 0; i < 10; i++)
		quic_endpoint_input(b->endpoint, world->now, &path, bytes_of(stray, sizeof(stray)));
	(void)world_run(world, 10000, NULL);
	assert_int_equal(stats(b)->resets_sent, 10);
	assert_int_equal(stats(a)->resets_sent, 0);
	/* And a flood is answered at a bounded rate. */
	for (int i = 0; i < 10000; i++)
		quic_endpoint_input(b->endpoint, world->now, &path, bytes_of(stray, sizeof(stray)));
	assert_in_range(stats(b)->resets_sent, 11, 200);
	world_free(world);
}

static void test_no_more_connections_than_configured(void **state)
{
	struct quic_config config = {.conns_max = 2};
	struct world *world = world_new(21);
	struct node *client = world_add(world, &config), *server = world_add(world, NULL);
	struct quic_dial dial = {.remote = server->addr,
				 .alpn = "magik-machine/1",
				 .credential = client->credential};
	struct quic_conn *conn;

	(void)state;
	(void)world_dial(client, server);
	(void)world_dial(client, server);
	assert_int_equal(quic_dial(client->endpoint, world->now, &dial, &conn), QUIC_E_FULL);
	world_free(world);
}

static void answer_and_close(struct node *node, struct quic_conn *conn)
{
	(void)node;
	assert_int_equal(quic_conn_send(conn, bytes_str("the answer")), 0);
	quic_conn_close(conn, 0, "that was all");
}

static void test_last_words_leave_before_the_goodbye(void **state)
{
	struct world *world = world_new(23);
	struct node *client = world_add(world, NULL), *server = world_add(world, NULL);

	(void)state;
	server->on_opened = answer_and_close;
	(void)world_dial(client, server);
	assert_true(world_run(world, 1000, world_node0_closed));
	assert_int_equal(client->messages, 1);
	assert_string_equal(client->why.text, "closed by the peer: that was all");
	world_free(world);
}

static void close_everything(struct node *node, struct quic_conn *conn)
{
	quic_conn_close(conn, 1, "changed my mind");
	assert_int_equal(quic_conn_send(conn, bytes_str("x")), QUIC_E_CLOSED);
}

static void test_closing_from_inside_a_callback_is_safe(void **state)
{
	struct world *world = world_new(22);
	struct node *client = world_add(world, NULL), *server = world_add(world, NULL);

	(void)state;
	server->on_opened = close_everything;
	(void)world_dial(client, server);
	assert_true(world_run(world, 1000, world_node0_closed));
	assert_int_equal(server->closed, 1);
	assert_int_equal(client->why.code, -ESHUTDOWN);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_sides_open_and_know_each_other),
		cmocka_unit_test(test_an_honest_pair_trips_no_guard),
		cmocka_unit_test(test_a_client_refused_by_the_server_learns_why),
		cmocka_unit_test(test_a_server_refused_by_the_client_learns_why),
		cmocka_unit_test(test_a_client_without_a_certificate_is_refused),
		cmocka_unit_test(test_a_protocol_nobody_answers_to_is_refused),
		cmocka_unit_test(test_each_protocol_has_its_own_certificate),
		cmocka_unit_test(test_a_key_that_is_not_the_certificates_is_no_credential),
		cmocka_unit_test(test_beyond_the_threshold_an_address_must_be_proven),
		cmocka_unit_test(test_a_token_is_worth_nothing_at_another_address),
		cmocka_unit_test(test_half_open_connections_are_capped_and_end),
		cmocka_unit_test(test_one_address_may_not_take_all_places),
		cmocka_unit_test(test_a_peer_that_vanishes_is_noticed),
		cmocka_unit_test(test_a_quiet_stream_keeps_its_connection),
		cmocka_unit_test(test_a_quiet_connection_ends),
		cmocka_unit_test(test_a_restarted_peer_is_noticed_at_once),
		cmocka_unit_test(test_a_thousand_dials_into_nothing_stall_nobody),
		cmocka_unit_test(test_closing_tells_the_peer_why_even_if_packets_are_lost),
		cmocka_unit_test(test_a_connection_survives_a_new_address),
		cmocka_unit_test(test_noise_leaves_nothing_behind),
		cmocka_unit_test(test_another_version_is_answered_with_ours),
		cmocka_unit_test(test_two_endpoints_do_not_feed_each_other_resets),
		cmocka_unit_test(test_no_more_connections_than_configured),
		cmocka_unit_test(test_last_words_leave_before_the_goodbye),
		cmocka_unit_test(test_closing_from_inside_a_callback_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
