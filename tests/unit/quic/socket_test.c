/* SPDX-License-Identifier: Apache-2.0 */
/* Two endpoints over real sockets on loopback. */
#include "quic/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "io/clock.h"
#include "world.h"

enum {
	BIG = 1500000,
};

struct peer {
	struct quic_socket *socket;
	struct quic_credential *credential;
	struct buf leaf;
	struct quic_conn *conn;
	size_t bytes;
	bool opened, received, closed;
	struct err why;
};

static int on_verify(void *user, const struct quic_peer *peer, const struct bytes *chain,
		     size_t count, struct err *err)
{
	(void)user;
	(void)peer;
	(void)chain;
	(void)count;
	(void)err;
	return 0;
}

static void on_opened(void *user, struct quic_conn *conn)
{
	struct peer *peer = user;

	peer->conn = conn;
	peer->opened = true;
}

static void on_closed(void *user, struct quic_conn *conn, const struct err *why)
{
	struct peer *peer = user;

	(void)conn;
	peer->conn = NULL;
	peer->closed = true;
	peer->why = *why;
}

static void on_message(void *user, struct quic_conn *conn, struct bytes message)
{
	struct peer *peer = user;

	(void)conn;
	peer->bytes += message.len;
	peer->received = peer->bytes >= BIG;
}

static const struct quic_handler handler = {
	.verify = on_verify, .opened = on_opened, .closed = on_closed, .message = on_message};

static void peer_start(struct loop *loop, struct peer *peer, const char *bind, uint8_t seed)
{
	struct quic_config config = {.acceptor_count = 1};
	struct err err = {0};

	peer->credential = test_credential(seed, &peer->leaf);
	config.acceptor[0] = (struct quic_acceptor){"magik-machine/1", peer->credential};
	assert_true(addr_parse_ip(bind, 0, &config.local));
	if (quic_socket_new(loop, &config, &handler, peer, &err, &peer->socket) != 0)
		fail_msg("%s", err.text);
}

static void peer_stop(struct peer *peer)
{
	quic_socket_free(peer->socket);
	quic_credential_unref(peer->credential);
	buf_deinit(&peer->leaf);
}

static struct mono soon(void)
{
	return mono_add_ms(clock_mono(), 10 * MS_PER_S);
}

static void exchange(const char *client_bind, const char *server_bind, const char *target)
{
	struct loop *loop = loop_new();
	struct peer client = {0}, server = {0};
	uint8_t *big = mem_alloc(1, BIG);
	struct quic_conn *conn;
	struct quic_dial dial = {.alpn = "magik-machine/1"};

	peer_start(loop, &client, client_bind, 1);
	peer_start(loop, &server, server_bind, 2);
	assert_true(addr_parse_ip(target, quic_socket_local(server.socket).port, &dial.remote));
	dial.credential = client.credential;
	assert_int_equal(quic_dial(quic_socket_endpoint(client.socket), clock_mono(), &dial, &conn),
			 0);
	assert_true(loop_run_until(loop, &client.opened, soon()));
	assert_true(loop_run_until(loop, &server.opened, soon()));
	assert_int_equal(quic_conn_send(client.conn, bytes_of(big, BIG)), 0);
	assert_int_equal(quic_conn_send(server.conn, bytes_of(big, BIG)), 0);
	assert_true(loop_run_until(loop, &server.received, soon()));
	assert_true(loop_run_until(loop, &client.received, soon()));
	peer_stop(&client);
	assert_true(loop_run_until(loop, &server.closed, soon()));
	assert_string_equal(server.why.text, "closed by the peer: shutting down");
	assert_int_equal(server.why.code, -ESHUTDOWN);
	peer_stop(&server);
	loop_free(loop);
	free(big);
}

static void test_ipv4_peers_exchange_messages(void **state)
{
	(void)state;
	exchange("127.0.0.1", "127.0.0.1", "127.0.0.1");
}

static void test_wildcard_sockets_answer_from_the_address_asked(void **state)
{
	(void)state;
	exchange("0.0.0.0", "0.0.0.0", "127.0.0.9");
}

static void test_a_dual_stack_socket_serves_ipv4(void **state)
{
	(void)state;
	exchange("0.0.0.0", "::", "127.0.0.1");
	exchange("::", "0.0.0.0", "127.0.0.5");
}

static void test_ipv6_peers_exchange_messages(void **state)
{
	(void)state;
	exchange("::", "::1", "::1");
	exchange("::1", "::", "::1");
}

static void test_a_port_in_use_is_reported(void **state)
{
	struct loop *loop = loop_new();
	struct peer first = {0};
	struct quic_config config = {0};
	struct quic_socket *second;
	struct err err = {0};

	(void)state;
	peer_start(loop, &first, "127.0.0.1", 1);
	config.local = quic_socket_local(first.socket);
	assert_int_equal(quic_socket_new(loop, &config, &handler, NULL, &err, &second),
			 -EADDRINUSE);
	assert_non_null(strstr(err.text, "Address already in use"));
	peer_stop(&first);
	loop_free(loop);
}

static void test_a_peer_without_a_route_fails_at_once(void **state)
{
	struct loop *loop = loop_new();
	struct peer peer = {0};
	struct quic_dial dial = {.alpn = "magik-machine/1"};
	struct quic_conn *conn;

	(void)state;
	peer_start(loop, &peer, "0.0.0.0", 1);
	dial.credential = peer.credential;
	assert_true(addr_parse("255.255.255.255:7", &dial.remote));
	assert_true(quic_dial(quic_socket_endpoint(peer.socket), clock_mono(), &dial, &conn) < 0);
	peer_stop(&peer);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4_peers_exchange_messages),
		cmocka_unit_test(test_wildcard_sockets_answer_from_the_address_asked),
		cmocka_unit_test(test_a_dual_stack_socket_serves_ipv4),
		cmocka_unit_test(test_ipv6_peers_exchange_messages),
		cmocka_unit_test(test_a_port_in_use_is_reported),
		cmocka_unit_test(test_a_peer_without_a_route_fails_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
