/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <gnutls/gnutls.h>

#include "api/tls.h"
#include "base/mem.h"
#include "fake_pki.h"

/* A client whose network is the server's two buffers. */
struct client {
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	struct buf inbox;
	struct tls *server;
};

struct world {
	struct fake_pki *pki;
	struct tls_context *context;
	struct tls *server;
	struct client client;
};

static ssize_t client_push(gnutls_transport_ptr_t arg, const void *from, size_t len)
{
	struct client *client = arg;

	assert_true(tls_feed(client->server, bytes_of(from, len)));
	return (ssize_t)len;
}

static ssize_t client_pull(gnutls_transport_ptr_t arg, void *out, size_t len)
{
	struct client *client = arg;
	struct buf *wire = tls_wire(client->server);

	buf_append_bytes(&client->inbox, bytes_buf(wire));
	buf_clear(wire);
	if (client->inbox.len == 0) {
		gnutls_transport_set_errno(client->session, EAGAIN);
		return -1;
	}
	if (len > client->inbox.len)
		len = client->inbox.len;
	memcpy(out, client->inbox.ptr, len);
	buf_consume(&client->inbox, len);
	return (ssize_t)len;
}

static int setup(void **state)
{
	struct world *world = mem_new(struct world);
	struct fake_credential own;
	struct err err;

	world->pki = fake_pki_new();
	own = fake_pki_issue(world->pki, "server", NULL, true, false);
	assert_int_equal(tls_context_new(own.cert_pem, own.key_pem, &world->context, &err), 0);
	fake_credential_deinit(&own);
	world->server = tls_new(world->context);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	if (world->client.session) {
		gnutls_deinit(world->client.session);
		gnutls_certificate_free_credentials(world->client.credentials);
		buf_deinit(&world->client.inbox);
	}
	tls_free(world->server);
	tls_context_unref(world->context);
	fake_pki_free(world->pki);
	free(world);
	return 0;
}

static void connect_client(struct world *world, const char *priorities, const char *user)
{
	struct client *client = &world->client;

	client->server = world->server;
	assert_int_equal(gnutls_init(&client->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&client->credentials), 0);
	if (user) {
		struct fake_credential own =
			fake_pki_issue(world->pki, user, "system:masters", false, false);
		gnutls_datum_t cert = {(unsigned char *)own.cert_pem,
				       (unsigned)strlen(own.cert_pem)};
		gnutls_datum_t key = {(unsigned char *)own.key_pem, (unsigned)strlen(own.key_pem)};

		assert_int_equal(gnutls_certificate_set_x509_key_mem(client->credentials, &cert,
								     &key, GNUTLS_X509_FMT_PEM),
				 0);
		fake_credential_deinit(&own);
	}
	assert_int_equal(gnutls_priority_set_direct(client->session, priorities, NULL), 0);
	assert_int_equal(gnutls_credentials_set(client->session, GNUTLS_CRD_CERTIFICATE,
						client->credentials),
			 0);
	gnutls_transport_set_ptr(client->session, client);
	gnutls_transport_set_push_function(client->session, client_push);
	gnutls_transport_set_pull_function(client->session, client_pull);
}

/* Both sides in turns until both are done; the server's result. */
static int shake_hands(struct world *world)
{
	const char *why = NULL;
	int server = TLS_E_AGAIN, client = GNUTLS_E_AGAIN;

	for (int i = 0; i < 20 && (server == TLS_E_AGAIN || client == GNUTLS_E_AGAIN); i++) {
		if (client == GNUTLS_E_AGAIN)
			client = gnutls_handshake(world->client.session);
		if (server == TLS_E_AGAIN)
			server = tls_handshake(world->server, &why);
		if (server == TLS_E_FAILED)
			assert_non_null(why);
	}
	return server;
}

static void test_bytes_pass_both_ways(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	size_t taken;
	char text[16];

	connect_client(world, "NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL);
	assert_int_equal(shake_hands(world), 0);
	assert_int_equal(gnutls_record_send(world->client.session, "hello", 5), 5);
	assert_int_equal(tls_read(world->server, &got, 100), 0);
	assert_string_equal(buf_cstr(&got), "hello");
	assert_int_equal(tls_read(world->server, &got, 100), TLS_E_AGAIN);
	assert_int_equal(tls_write(world->server, bytes_str("world"), &taken), 0);
	assert_int_equal(taken, 5);
	assert_int_equal(gnutls_record_recv(world->client.session, text, sizeof(text)), 5);
	assert_memory_equal(text, "world", 5);
	buf_deinit(&got);
}

static void test_a_client_certificate_is_handed_out_leaf_first(void **state)
{
	struct world *world = *state;
	struct bytes chain[TLS_CHAIN_MAX];
	char name[64], group[64];

	connect_client(world, "NORMAL", "anna");
	assert_int_equal(shake_hands(world), 0);
	assert_int_equal(tls_peer_chain(world->server, chain), 1);
	assert_true(fake_pki_verify(world->pki, chain[0], name, group, sizeof(name)));
	assert_string_equal(name, "anna");
	assert_string_equal(group, "system:masters");
}

static void test_a_client_may_come_without_certificate(void **state)
{
	struct world *world = *state;
	struct bytes chain[TLS_CHAIN_MAX];

	connect_client(world, "NORMAL", NULL);
	assert_int_equal(shake_hands(world), 0);
	assert_int_equal(tls_peer_chain(world->server, chain), 0);
}

static void test_http11_is_chosen_among_what_the_client_offers(void **state)
{
	struct world *world = *state;
	gnutls_datum_t offers[] = {{(unsigned char *)"h2", 2}, {(unsigned char *)"http/1.1", 8}};
	gnutls_datum_t chosen;

	connect_client(world, "NORMAL", NULL);
	assert_int_equal(gnutls_alpn_set_protocols(world->client.session, offers, 2, 0), 0);
	assert_int_equal(shake_hands(world), 0);
	assert_int_equal(gnutls_alpn_get_selected_protocol(world->client.session, &chosen), 0);
	assert_int_equal(chosen.size, 8);
	assert_memory_equal(chosen.data, "http/1.1", 8);
}

static void test_old_versions_are_refused(void **state)
{
	struct world *world = *state;

	connect_client(world, "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT", NULL);
	assert_int_equal(shake_hands(world), TLS_E_FAILED);
}

static void test_rubbish_is_refused_and_answered_with_an_alert(void **state)
{
	/* A record of five bytes with a handshake message of a type nobody knows. */
	static const uint8_t rubbish[] = {22, 3, 1, 0, 5, 0xee, 0, 0, 1, 'x'};
	struct world *world = *state;
	const char *why = NULL;

	assert_true(tls_feed(world->server, bytes_of(rubbish, sizeof(rubbish))));
	assert_int_equal(tls_handshake(world->server, &why), TLS_E_FAILED);
	assert_non_null(why);
	assert_true(tls_wire(world->server)->len > 0);
}

static void test_half_a_client_hello_waits_for_the_rest(void **state)
{
	struct world *world = *state;
	const char *why;

	assert_true(tls_feed(world->server, bytes_of("\x16\x03\x01\x02\x00\x01", 6)));
	assert_int_equal(tls_handshake(world->server, &why), TLS_E_AGAIN);
	assert_int_equal(tls_handshake(world->server, &why), TLS_E_AGAIN);
}

static void test_renegotiation_ends_the_connection(void **state)
{
	struct world *world = *state;
	struct buf got = {0};
	int r = TLS_E_AGAIN;

	connect_client(world, "NORMAL:-VERS-ALL:+VERS-TLS1.2", NULL);
	assert_int_equal(shake_hands(world), 0);
	(void)gnutls_handshake(world->client.session);
	r = tls_read(world->server, &got, 100);
	assert_int_equal(r, TLS_E_FAILED);
	buf_deinit(&got);
}

static void test_encryption_stops_when_the_wire_is_full(void **state)
{
	struct world *world = *state;
	struct bytes much = bytes_of(mem_alloc(1, 1 << 20), 1 << 20);
	size_t taken = 0;

	connect_client(world, "NORMAL", NULL);
	assert_int_equal(shake_hands(world), 0);
	buf_clear(tls_wire(world->server));
	assert_int_equal(tls_write(world->server, much, &taken), 0);
	assert_true(taken >= TLS_WIRE_HIGH - 32 * 1024);
	assert_true(taken <= TLS_WIRE_HIGH + 32 * 1024);
	free((void *)(uintptr_t)much.ptr);
}

static void test_a_goodbye_is_told_from_a_failure(void **state)
{
	struct world *world = *state;
	struct buf got = {0};

	connect_client(world, "NORMAL", NULL);
	assert_int_equal(shake_hands(world), 0);
	assert_int_equal(gnutls_record_send(world->client.session, "last", 4), 4);
	assert_int_equal(gnutls_bye(world->client.session, GNUTLS_SHUT_WR), 0);
	assert_int_equal(tls_read(world->server, &got, 100), 0);
	assert_int_equal(got.len, 4);
	assert_int_equal(tls_read(world->server, &got, 100), TLS_E_CLOSED);
	buf_deinit(&got);
}

static void test_what_is_no_certificate_is_refused(void **state)
{
	struct world *world = *state;
	struct fake_credential own = fake_pki_issue(world->pki, "a", NULL, true, false);
	struct tls_context *context = NULL;
	struct err err = {0};

	assert_true(tls_context_new("no certificate", own.key_pem, &context, &err) < 0);
	assert_true(tls_context_new(own.cert_pem, "no key", &context, &err) < 0);
	assert_true(strlen(err.text) > 0);
	fake_credential_deinit(&own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes_pass_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_client_certificate_is_handed_out_leaf_first,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_client_may_come_without_certificate, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_http11_is_chosen_among_what_the_client_offers,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_versions_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rubbish_is_refused_and_answered_with_an_alert,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_a_client_hello_waits_for_the_rest, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_renegotiation_ends_the_connection, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_encryption_stops_when_the_wire_is_full, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_goodbye_is_told_from_a_failure, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_certificate_is_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
