/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

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
	assert_int_equal(quic_endpoint_stats(server->endpoint)->half_open, 0);
	assert_int_equal(quic_endpoint_stats(client->endpoint)->handshakes_dialled, 1);
	assert_int_equal(quic_endpoint_stats(server->endpoint)->handshakes_accepted, 1);
	world_free(world);
}

static bool got_message(struct world *world)
{
	return world->node[1].messages > 0;
}

static void test_a_message_queued_while_dialling_arrives(void **state)
{
	struct world *world = world_new(2);
	struct node *client = world_add(world, NULL), *server = world_add(world, NULL);
	struct mono start = world->now;
	struct quic_conn *conn = world_dial(client, server);

	(void)state;
	assert_int_equal(quic_conn_send(conn, bytes_str("hello")), 0);
	assert_true(world_run(world, 1000, got_message));
	assert_int_equal(mono_since_us(world->now, start), 3 * WORLD_RTT_US / 2);
	assert_int_equal(server->message_bytes, 5);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_sides_open_and_know_each_other),
		cmocka_unit_test(test_a_message_queued_while_dialling_arrives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
