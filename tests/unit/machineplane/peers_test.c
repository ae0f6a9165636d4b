/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two machines of one fabric over loopback, with real certificates: what becomes of packets for a
 * machine that is not connected. A packet that is no message is counted by the node that gets it.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>

#include "../identity/world.h"
#include "base/mem.h"
#include "io/clock.h"

#define RUBBISH "\xff"

enum {
	WAIT_MS = 20 * 1000,
	WAIT_COUNT = 64,                           /* packets that may wait for a machine */
	WAIT_BYTES = MESSAGE_LEN_MAX + 256 * 1024, /* and their bytes */
};

struct pair {
	struct loop *loop;
	struct fabric_made *made;
	struct voucher *voucher;
	struct join_reply *reply;
	struct fabric *alpha, *beta;
	bool (*wanted)(const struct pair *pair);
	bool reached;
};

static struct fabric *member(struct pair *pair, const struct credentials *credentials,
			     const char *name)
{
	struct fabric *fabric = mem_new(struct fabric);
	uint8_t seed[REPLAY_SEED_LEN] = {1};
	struct quic_config quic = {.acceptor_count = 1};
	struct chain chain = world_chain(&credentials->machine_chain);
	struct node_config config = {.leaf = credentials->machine.hash,
				     .steward = true,
				     .seed = 1,
				     .system = NOW,
				     .fabric = NOW};
	struct err err = {0};

	fabric->loop = pair->loop;
	fabric->credentials = *credentials; /* borrowed */
	fabric->leaf = credentials->machine.hash;
	fabric->admission = admission_new();
	world_trust(credentials, &fabric->trust);
	replay_init(&fabric->replay, seed, 0);
	assert_int_equal(quic_credential_new(chain.cert, chain.count, credentials->machine_key.seed,
					     &err, &fabric->quic_credential),
			 0);
	quic.acceptor[0] = (struct quic_acceptor){ALPN_MACHINE, fabric->quic_credential};
	assert_true(addr_parse_ip("127.0.0.1", 0, &quic.local));
	assert_int_equal(
		quic_socket_new(pair->loop, &quic, &peers_handler, fabric, &err, &fabric->socket),
		0);
	fabric->address = quic_socket_local(fabric->socket);
	fabric->peers = peers_new(fabric);
	config.self = (struct member){.id = credentials->machine.key,
				      .addr = fabric->address,
				      .name = (char *)(uintptr_t)name,
				      .steward = true};
	config.trust = fabric_node_trust(fabric);
	fabric->node = node_new(&config, clock_mono());
	return fabric;
}

static void member_free(struct fabric *fabric)
{
	quic_socket_free(fabric->socket);
	peers_free(fabric->peers);
	node_free(fabric->node);
	admission_free(fabric->admission);
	quic_credential_unref(fabric->quic_credential);
	trust_deinit(&fabric->trust);
	replay_deinit(&fabric->replay);
	free(fabric);
}

static int setup(void **state)
{
	struct pair *pair = mem_new(struct pair);

	pair->loop = loop_new();
	pair->made = world_fabric(1);
	pair->voucher = world_voucher(pair->made, grant_all(), true, NOW);
	pair->reply = world_join(pair->made, pair->voucher, "beta", 2, NOW, false);
	pair->alpha = member(pair, &pair->made->credentials, "alpha");
	pair->beta = member(pair, &pair->reply->credentials, "beta");
	*state = pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	member_free(pair->alpha);
	member_free(pair->beta);
	loop_free(pair->loop);
	world_free_reply(pair->reply);
	world_free_voucher(pair->voucher);
	world_free_fabric(pair->made);
	free(pair);
	return 0;
}

static void on_turn(void *user)
{
	struct pair *pair = user;

	pair->reached |= pair->wanted(pair);
}

/* Run both machines until @wanted holds. */
static bool run_until(struct pair *pair, bool (*wanted)(const struct pair *pair), int64_t ms)
{
	struct loop_hook *hook = loop_hook_new(pair->loop, on_turn, pair);

	pair->wanted = wanted;
	pair->reached = false;
	(void)loop_run_until(pair->loop, &pair->reached, mono_add_ms(clock_mono(), ms));
	loop_hook_free(hook);
	return pair->reached;
}

static const struct node_id *id_of(const struct fabric *fabric)
{
	return node_self(fabric->node);
}

static uint64_t received(const struct fabric *fabric)
{
	return node_counter(fabric->node, NODE_COUNT_PACKETS_MALFORMED) +
	       node_counter(fabric->node, NODE_COUNT_PACKETS_UNKNOWN);
}

static void send_to(struct fabric *from, const struct fabric *to, const char *text)
{
	peers_send(from->peers, id_of(to), &to->address, bytes_str(text));
}

static bool both_connected(const struct pair *pair)
{
	return peers_conn(pair->alpha->peers, id_of(pair->beta)) &&
	       peers_conn(pair->beta->peers, id_of(pair->alpha));
}

static bool none_connected(const struct pair *pair)
{
	return !peers_conn(pair->alpha->peers, id_of(pair->beta)) &&
	       !peers_conn(pair->beta->peers, id_of(pair->alpha));
}

static bool two_have_come(const struct pair *pair)
{
	return received(pair->beta) == 2;
}

static void packets_for_a_machine_that_is_not_connected_wait_for_its_dial(void **state)
{
	struct pair *pair = *state;
	const struct peers_counts *counts = peers_counts(pair->alpha->peers);

	send_to(pair->alpha, pair->beta, RUBBISH);
	send_to(pair->alpha, pair->beta, RUBBISH);
	assert_int_equal(counts->dialled, 1);
	assert_int_equal(counts->dialling, 1);
	assert_true(run_until(pair, two_have_come, WAIT_MS));
	assert_int_equal(counts->dialled, 1);
	assert_int_equal(counts->dialling, 0);
	assert_int_equal(counts->lost, 0);
	assert_true(both_connected(pair));
}

static bool alpha_has_failed(const struct pair *pair)
{
	return peers_counts(pair->alpha->peers)->failed == 1;
}

static void another_machine_at_that_address_gets_nothing(void **state)
{
	struct pair *pair = *state;
	struct node_id other = {.byte = {7}};

	peers_send(pair->alpha->peers, &other, &pair->beta->address, bytes_str(RUBBISH));
	assert_true(run_until(pair, alpha_has_failed, WAIT_MS));
	assert_int_equal(received(pair->beta), 0);
	assert_int_equal(peers_counts(pair->alpha->peers)->dialling, 0);
	assert_null(peers_conn(pair->alpha->peers, &other));
}

static void without_an_address_a_packet_is_lost(void **state)
{
	struct pair *pair = *state;
	struct addr none = {0};

	peers_send(pair->alpha->peers, id_of(pair->beta), &none, bytes_str("x"));
	assert_int_equal(peers_counts(pair->alpha->peers)->lost, 1);
	assert_int_equal(peers_counts(pair->alpha->peers)->dialled, 0);
}

static bool all_that_may_wait_have_come(const struct pair *pair)
{
	return received(pair->beta) == WAIT_COUNT;
}

static void no_more_than_so_many_packets_wait(void **state)
{
	struct pair *pair = *state;

	for (size_t i = 0; i < WAIT_COUNT + 3; i++)
		send_to(pair->alpha, pair->beta, RUBBISH);
	assert_int_equal(peers_counts(pair->alpha->peers)->lost, 3);
	assert_true(run_until(pair, all_that_may_wait_have_come, WAIT_MS));
	/* And none of it counts any more. */
	send_to(pair->alpha, pair->beta, RUBBISH);
	assert_int_equal(peers_counts(pair->alpha->peers)->lost, 3);
}

static void no_more_than_so_many_bytes_wait(void **state)
{
	struct pair *pair = *state;
	size_t half = WAIT_BYTES / 2;
	uint8_t *big = mem_alloc(1, half);

	memset(big, 0xff, half);
	for (size_t i = 0; i < 3; i++)
		peers_send(pair->alpha->peers, id_of(pair->beta), &pair->beta->address,
			   bytes_of(big, half));
	free(big);
	assert_int_equal(peers_counts(pair->alpha->peers)->lost, 1);
	assert_true(run_until(pair, two_have_come, WAIT_MS));
}

static bool alpha_dials_no_more(const struct pair *pair)
{
	return peers_counts(pair->alpha->peers)->dialling == 0 && none_connected(pair);
}

static void closing_gives_a_dial_up_and_what_waits_for_it(void **state)
{
	struct pair *pair = *state;

	send_to(pair->alpha, pair->beta, RUBBISH);
	peers_close(pair->alpha->peers, id_of(pair->beta));
	assert_int_equal(peers_counts(pair->alpha->peers)->dialling, 0);
	assert_true(run_until(pair, alpha_dials_no_more, WAIT_MS));
	send_to(pair->alpha, pair->beta, RUBBISH);
	send_to(pair->alpha, pair->beta, RUBBISH);
	assert_true(run_until(pair, two_have_come, WAIT_MS));
	assert_int_equal(peers_counts(pair->alpha->peers)->dialled, 2);
}

static void after_closing_the_next_packet_dials_again(void **state)
{
	struct pair *pair = *state;

	(void)peers_dial(pair->alpha->peers, id_of(pair->beta), &pair->beta->address);
	assert_true(run_until(pair, both_connected, WAIT_MS));
	peers_close(pair->alpha->peers, id_of(pair->beta));
	/* At once, before anybody has heard of the end. */
	assert_null(peers_conn(pair->alpha->peers, id_of(pair->beta)));
	send_to(pair->alpha, pair->beta, RUBBISH);
	send_to(pair->alpha, pair->beta, RUBBISH);
	assert_true(run_until(pair, two_have_come, WAIT_MS));
	assert_int_equal(peers_counts(pair->alpha->peers)->dialled, 2);
	assert_int_equal(peers_counts(pair->alpha->peers)->lost, 0);
	peers_close(pair->beta->peers, id_of(pair->alpha));
	assert_true(run_until(pair, none_connected, WAIT_MS));
}

static bool both_dials_are_open(const struct pair *pair)
{
	return quic_endpoint_stats(quic_socket_endpoint(pair->alpha->socket))->handshakes_dialled ==
		       1 &&
	       quic_endpoint_stats(quic_socket_endpoint(pair->alpha->socket))
			       ->handshakes_accepted == 1 &&
	       quic_endpoint_stats(quic_socket_endpoint(pair->beta->socket))->handshakes_dialled ==
		       1 &&
	       quic_endpoint_stats(quic_socket_endpoint(pair->beta->socket))->handshakes_accepted ==
		       1;
}

static void of_two_dials_at_once_both_sides_use_the_same(void **state)
{
	struct pair *pair = *state;
	struct quic_conn *from_alpha, *from_beta;
	bool alpha_is_lower = node_id_compare(id_of(pair->alpha), id_of(pair->beta)) < 0;

	(void)peers_dial(pair->alpha->peers, id_of(pair->beta), &pair->beta->address);
	(void)peers_dial(pair->beta->peers, id_of(pair->alpha), &pair->alpha->address);
	assert_true(run_until(pair, both_dials_are_open, WAIT_MS));
	from_alpha = peers_conn(pair->alpha->peers, id_of(pair->beta));
	from_beta = peers_conn(pair->beta->peers, id_of(pair->alpha));
	assert_int_equal(quic_conn_is_dialled(from_alpha), alpha_is_lower);
	assert_int_equal(quic_conn_is_dialled(from_beta), !alpha_is_lower);
}

int main(void)
{
#define PAIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		PAIR(packets_for_a_machine_that_is_not_connected_wait_for_its_dial),
		PAIR(another_machine_at_that_address_gets_nothing),
		PAIR(without_an_address_a_packet_is_lost),
		PAIR(no_more_than_so_many_packets_wait),
		PAIR(no_more_than_so_many_bytes_wait),
		PAIR(closing_gives_a_dial_up_and_what_waits_for_it),
		PAIR(after_closing_the_next_packet_dials_again),
		PAIR(of_two_dials_at_once_both_sides_use_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
