/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose credential opens which door: real QUIC endpoints of both planes, and every credential of a
 * fabric, and another fabric's, shown to each of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "identity/fabric.h"
#include "identity/issue.h"
#include "identity/trust.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "quic/socket.h"

enum {
	WAIT_MS = 5000,
};

enum shown {
	SHOWN_MACHINE,
	SHOWN_POD,
	SHOWN_REST,
	SHOWN_STEWARD,     /* the intermediate that signs pods, as if it were a leaf */
	SHOWN_FOREIGN_POD, /* of another fabric */
	SHOWN_FOREIGN_MACHINE,
	SHOWN_APPLICATION, /* of the pod, for the application in it */
	SHOWN_ADMIT,       /* the intermediate above stewards */
	SHOWN_NONE,        /* a client may show nothing */
	SHOWN_COUNT,
};

struct world {
	struct loop *loop;
	struct fabric_made fabric, foreign;
	struct trust trust;
	struct quic_credential *credentials[SHOWN_COUNT];
	bool over, opened;
};

static struct quic_credential *credential_of(struct bytes concatenated, const struct key *key)
{
	struct quic_credential *credential = NULL;
	struct chain chain;
	struct err err = {0};

	assert_true(chain_split(concatenated, &chain));
	assert_int_equal(quic_credential_new(chain.cert, chain.count, key->seed, &err, &credential),
			 0);
	return credential;
}

static struct quic_credential *pod_credential(const struct credentials *machine,
					      enum cert_kind kind)
{
	struct cert_order order = {
		.kind = kind, .pod_path = "ns/shop/deployment/web/web-1", .now = clock_wall()};
	struct signer steward = credentials_steward(machine);
	struct quic_credential *credential;
	uint8_t seed[KEY_SEED_LEN];
	struct buf chain = {0};
	struct err err = {0};
	struct key key;

	entropy_fill(seed, sizeof(seed));
	key = key_from_seed(seed);
	order.key = key.public_key;
	entropy_fill(order.serial, sizeof(order.serial));
	assert_int_equal(cert_issue(&order, &steward, &chain, &err), 0);
	buf_append_bytes(&chain, bytes_buf(&machine->steward_chain));
	credential = credential_of(bytes_buf(&chain), &key);
	buf_deinit(&chain);
	return credential;
}

static int verify(void *user, const struct quic_peer *peer, const struct bytes *chain, size_t count,
		  struct err *err)
{
	struct world *world = user;
	struct trust_query query = {.purpose = trust_purpose_of(peer->alpn, !peer->we_are_server),
				    .now = clock_wall()};
	struct chain shown = {0};

	for (size_t i = 0; i < count && i < CHAIN_CERTS_MAX; i++)
		shown.cert[shown.count++] = chain[i];
	return trust_verify(&world->trust, &query, &shown, NULL, err);
}

/* The side under test believes; what its peer believes does not matter. */
static int believe(void *user, const struct quic_peer *peer, const struct bytes *chain,
		   size_t count, struct err *err)
{
	(void)user;
	(void)peer;
	(void)chain;
	(void)count;
	(void)err;
	return 0;
}

/* A client's handshake is over before the server has judged it: what the judge sees counts. */
static void judge_opened(void *user, struct quic_conn *conn)
{
	struct world *world = user;

	(void)conn;
	world->opened = world->over = true;
}

static void other_opened(void *user, struct quic_conn *conn)
{
	(void)user;
	(void)conn;
}

static void on_closed(void *user, struct quic_conn *conn, const struct err *why)
{
	struct world *world = user;

	(void)conn;
	(void)why;
	world->over = true;
}

static void on_message(void *user, struct quic_conn *conn, struct bytes bytes)
{
	(void)user;
	(void)conn;
	(void)bytes;
}

static const struct quic_handler judge = {
	.verify = verify, .opened = judge_opened, .closed = on_closed, .message = on_message};
static const struct quic_handler other = {
	.verify = believe, .opened = other_opened, .closed = on_closed, .message = on_message};

static struct quic_socket *listening(struct world *world, const char *alpn, enum shown shown,
				     const struct quic_handler *handler)
{
	struct quic_config config = {0};
	struct quic_socket *socket = NULL;
	struct err err = {0};

	assert_true(addr_parse_ip("127.0.0.1", 0, &config.local));
	config.acceptor[config.acceptor_count++] =
		(struct quic_acceptor){.alpn = alpn, .credential = world->credentials[shown]};
	assert_int_equal(quic_socket_new(world->loop, &config, handler, world, &err, &socket), 0);
	return socket;
}

static struct quic_socket *dialling(struct world *world, const char *alpn, enum shown shown,
				    const struct addr *to, const struct quic_handler *handler)
{
	struct quic_config config = {0};
	struct quic_socket *socket = NULL;
	struct quic_dial dial = {
		.remote = *to, .alpn = alpn, .credential = world->credentials[shown]};
	struct quic_conn *conn;
	struct err err = {0};

	assert_true(addr_parse_ip("127.0.0.1", 0, &config.local));
	assert_int_equal(quic_socket_new(world->loop, &config, handler, world, &err, &socket), 0);
	assert_int_equal(quic_dial(quic_socket_endpoint(socket), clock_mono(), &dial, &conn), 0);
	return socket;
}

/* Does a server on @alpn let a client in that shows @shown, and a client a server? */
static bool is_let_in(struct world *world, const char *alpn, enum shown shown, bool as_client)
{
	enum shown own = strcmp(alpn, ALPN_WORK) == 0 ? SHOWN_POD : SHOWN_MACHINE;
	struct quic_socket *server, *client;
	struct addr addr;
	bool over;

	server = listening(world, alpn, as_client ? own : shown, as_client ? &judge : &other);
	addr = quic_socket_local(server);
	world->over = world->opened = false;
	client = dialling(world, alpn, as_client ? shown : own, &addr, as_client ? &other : &judge);
	over = loop_run_until(world->loop, &world->over, mono_add_ms(clock_mono(), WAIT_MS));
	quic_socket_free(client);
	quic_socket_free(server);
	assert_true(over);
	return world->opened;
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	uint8_t random[FABRIC_RANDOM_LEN];
	struct bytes roots[CERT_FAMILY_COUNT];
	const struct credentials *machine, *foreign;
	struct err err = {0};
	struct chain chain;

	*state = world;
	world->loop = loop_new();
	entropy_fill(random, sizeof(random));
	assert_int_equal(fabric_make("alpha", clock_wall(), random, &world->fabric, &err), 0);
	entropy_fill(random, sizeof(random));
	assert_int_equal(fabric_make("alpha", clock_wall(), random, &world->foreign, &err), 0);
	machine = &world->fabric.credentials;
	foreign = &world->foreign.credentials;
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		roots[i] = bytes_buf(&machine->root[i]);
	assert_int_equal(trust_init_certs(&world->trust, roots, 16, 1, &err), 0);
	assert_true(chain_split(bytes_buf(&machine->steward_chain), &chain));
	world->credentials[SHOWN_MACHINE] =
		credential_of(bytes_buf(&machine->machine_chain), &machine->machine_key);
	world->credentials[SHOWN_POD] = pod_credential(machine, CERT_POD);
	world->credentials[SHOWN_REST] =
		credential_of(bytes_buf(&machine->rest_chain), &machine->rest_key);
	world->credentials[SHOWN_STEWARD] =
		credential_of(bytes_buf(&machine->steward_chain), &machine->steward_key);
	world->credentials[SHOWN_FOREIGN_POD] = pod_credential(foreign, CERT_POD);
	world->credentials[SHOWN_APPLICATION] = pod_credential(machine, CERT_APPLICATION);
	world->credentials[SHOWN_ADMIT] =
		credential_of(bytes_buf(&machine->admit_cert[CERT_FAMILY_WORKLOAD - 1]),
			      &machine->admit_key[CERT_FAMILY_WORKLOAD - 1]);
	world->credentials[SHOWN_FOREIGN_MACHINE] =
		credential_of(bytes_buf(&foreign->machine_chain), &foreign->machine_key);
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < SHOWN_COUNT; i++)
		quic_credential_unref(world->credentials[i]);
	trust_deinit(&world->trust);
	fabric_made_deinit(&world->fabric);
	fabric_made_deinit(&world->foreign);
	loop_free(world->loop);
	free(world);
	return 0;
}

static void expect_only(struct world *world, const char *alpn, enum shown allowed)
{
	for (int shown = 0; shown < SHOWN_COUNT; shown++) {
		assert_int_equal(is_let_in(world, alpn, (enum shown)shown, true),
				 shown == (int)allowed);
		if (shown != SHOWN_NONE)
			assert_int_equal(is_let_in(world, alpn, (enum shown)shown, false),
					 shown == (int)allowed);
	}
}

static void test_only_pods_of_this_fabric_are_let_in_on_the_workplane(void **state)
{
	expect_only(*state, ALPN_WORK, SHOWN_POD);
}

static void test_only_machines_of_this_fabric_are_let_in_on_the_machineplane(void **state)
{
	expect_only(*state, ALPN_MACHINE, SHOWN_MACHINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_only_pods_of_this_fabric_are_let_in_on_the_workplane, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_only_machines_of_this_fabric_are_let_in_on_the_machineplane, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
