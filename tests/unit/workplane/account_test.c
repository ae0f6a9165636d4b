/* SPDX-License-Identifier: Apache-2.0 */
/* What the host process makes for a pod's application, and what the agent makes of that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/tls.h"
#include "base/mem.h"
#include "runtime/files.h"
#include "runtime/pod_account.h"
#include "workplane/account.h"

enum {
	ROUNDS_MAX = 20, /* of a handshake, which takes three */
};

#define YEAR_9999_END_S 253402300799LL /* RFC 5280 section 4.1.2.5: no end */

struct world {
	char dir[64];
	struct account account;
	struct err err;
};

static struct world *world_new(void)
{
	struct world *world = mem_new(struct world);

	(void)snprintf(world->dir, sizeof(world->dir), "/tmp/account_test.XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	return world;
}

static void world_free(struct world *world)
{
	account_deinit(&world->account);
	assert_int_equal(tree_remove(world->dir), 0);
	free(world);
}

static void take(struct world *world)
{
	int fd;

	account_deinit(&world->account);
	assert_int_equal(pod_account_make(world->dir, "shop", &world->err), 0);
	assert_int_equal(pod_account_open(world->dir, &fd, &world->err), 0);
	assert_int_equal(account_read(fd, &world->account, &world->err), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
}

static void read_file(const struct world *world, const char *name, struct buf *ret)
{
	assert_int_equal(
		file_read(path_format("%s/account/%s", world->dir, name).text, 64 * 1024, ret), 0);
}

static mode_t mode_of(const struct world *world, const char *name)
{
	struct stat status;

	assert_int_equal(stat(path_format("%s/account/%s", world->dir, name).text, &status), 0);
	return status.st_mode & 07777;
}

static void test_containers_have_the_token_that_the_agent_knows(void **state)
{
	struct world *world = world_new();
	struct buf token = {0}, namespace = {0}, header = {0};

	(void)state;
	assert_false(pod_account_exists(world->dir));
	take(world);
	assert_true(pod_account_exists(world->dir));
	read_file(world, "files/token", &token);
	read_file(world, "files/namespace", &namespace);
	assert_string_equal(buf_cstr(&namespace), "shop");
	assert_string_equal(buf_cstr(&token), world->account.token);
	buf_append_format(&header, "Bearer %s", buf_cstr(&token));
	assert_true(account_admits(&world->account, buf_cstr(&header)));
	assert_int_equal(mode_of(world, "files/token"), 0644);
	assert_int_equal(mode_of(world, "agent"), 0600);
	buf_deinit(&token);
	buf_deinit(&namespace);
	buf_deinit(&header);
	world_free(world);
}

static void test_an_agents_successor_is_handed_the_same(void **state)
{
	struct world *world = world_new();
	struct account first;

	(void)state;
	take(world);
	first = world->account;
	world->account = (struct account){0};
	take(world);
	assert_string_equal(world->account.token, first.token);
	assert_string_equal(world->account.key_pem, first.key_pem);
	assert_string_equal(world->account.chain_pem, first.chain_pem);
	account_deinit(&first);
	world_free(world);
}

static void test_two_pods_have_nothing_in_common(void **state)
{
	struct world *one = world_new(), *two = world_new();
	struct buf one_ca = {0}, two_ca = {0};

	(void)state;
	take(one);
	take(two);
	read_file(one, "files/ca.crt", &one_ca);
	read_file(two, "files/ca.crt", &two_ca);
	assert_string_not_equal(one->account.token, two->account.token);
	assert_string_not_equal(one->account.key_pem, two->account.key_pem);
	assert_false(bytes_equal(bytes_buf(&one_ca), bytes_buf(&two_ca)));
	buf_deinit(&one_ca);
	buf_deinit(&two_ca);
	world_free(one);
	world_free(two);
}

static void test_only_the_token_admits(void **state)
{
	struct account account = {.token = (char[]){"0123abcd"}};

	(void)state;
	assert_true(account_admits(&account, "Bearer 0123abcd"));
	assert_true(account_admits(&account, "bearer 0123abcd")); /* as python3-kubernetes has it */
	assert_true(account_admits(&account, "Bearer   0123abcd"));
	assert_false(account_admits(&account, NULL));
	assert_false(account_admits(&account, ""));
	assert_false(account_admits(&account, "0123abcd"));
	assert_false(account_admits(&account, "Basic 0123abcd"));
	assert_false(account_admits(&account, "Bearer "));
	assert_false(account_admits(&account, "Bearer 0123abce"));
	assert_false(account_admits(&account, "Bearer 0123abc"));
	assert_false(account_admits(&account, "Bearer 0123abcdd"));
	account.token = NULL;
	assert_false(account_admits(&account, "Bearer "));
}

/* A client's session over the buffers of a server's. */
static ssize_t client_push(gnutls_transport_ptr_t server, const void *from, size_t len)
{
	return tls_feed(server, bytes_of(from, len)) ? (ssize_t)len : -1;
}

static ssize_t client_pull(gnutls_transport_ptr_t server, void *out, size_t len)
{
	struct buf *wire = tls_wire(server);

	if (len > wire->len)
		len = wire->len;
	if (len == 0) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(out, wire->ptr, len);
	buf_consume(wire, len);
	return (ssize_t)len;
}

/* What the client says of a server that is asked for as @name, by the authority @ca. */
static unsigned verify_as(const struct world *world, const char *name, struct buf *ca)
{
	gnutls_certificate_credentials_t trust;
	gnutls_datum_t root = {.data = ca->ptr, .size = (unsigned)ca->len};
	gnutls_session_t client;
	struct tls_context *context;
	const char *why;
	struct tls *server;
	unsigned status = UINT32_MAX;
	struct err err;
	int r = GNUTLS_E_AGAIN;

	assert_int_equal(gnutls_certificate_allocate_credentials(&trust), 0);
	assert_int_equal(gnutls_certificate_set_x509_trust_mem(trust, &root, GNUTLS_X509_FMT_PEM),
			 1);
	assert_int_equal(
		tls_context_new(world->account.chain_pem, world->account.key_pem, &context, &err),
		0);
	server = tls_new(context);
	assert_int_equal(gnutls_init(&client, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_set_default_priority(client), 0);
	assert_int_equal(gnutls_credentials_set(client, GNUTLS_CRD_CERTIFICATE, trust), 0);
	gnutls_transport_set_ptr(client, server);
	gnutls_transport_set_push_function(client, client_push);
	gnutls_transport_set_pull_function(client, client_pull);
	for (int i = 0; i < ROUNDS_MAX && r == GNUTLS_E_AGAIN; i++) {
		r = gnutls_handshake(client);
		(void)!tls_handshake(server, &why);
	}
	assert_int_equal(r, 0);
	assert_int_equal(gnutls_certificate_verify_peers3(client, name, &status), 0);
	gnutls_deinit(client);
	tls_free(server);
	tls_context_unref(context);
	gnutls_certificate_free_credentials(trust);
	return status;
}

static void test_clients_know_their_own_agent_by_its_address_and_its_names(void **state)
{
	static const char *const names[] = {"198.19.255.253", "kubernetes", "kubernetes.default",
					    "kubernetes.default.svc"};
	struct world *world = world_new(), *other = world_new();
	struct buf ca = {0}, others = {0};

	(void)state;
	take(world);
	take(other);
	read_file(world, "files/ca.crt", &ca);
	read_file(other, "files/ca.crt", &others);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(verify_as(world, names[i], &ca), 0);
	assert_true(verify_as(world, "198.19.255.254", &ca) & GNUTLS_CERT_UNEXPECTED_OWNER);
	assert_true(verify_as(world, "kubernetes", &others) & GNUTLS_CERT_INVALID);
	buf_deinit(&ca);
	buf_deinit(&others);
	world_free(world);
	world_free(other);
}

static void expect_no_end(const struct buf *pem)
{
	gnutls_datum_t text = {.data = pem->ptr, .size = (unsigned)pem->len};
	gnutls_x509_crt_t crt;

	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_import(crt, &text, GNUTLS_X509_FMT_PEM), 0);
	assert_int_equal(gnutls_x509_crt_get_activation_time(crt), 0);
	assert_int_equal(gnutls_x509_crt_get_expiration_time(crt), YEAR_9999_END_S);
	gnutls_x509_crt_deinit(crt);
}

static void test_no_clock_keeps_a_pod_from_its_agent(void **state)
{
	struct world *world = world_new();
	struct buf ca = {0}, cert = {0};

	(void)state;
	take(world);
	read_file(world, "files/ca.crt", &ca);
	buf_append_str(&cert, world->account.chain_pem);
	expect_no_end(&ca);
	expect_no_end(&cert);
	buf_deinit(&ca);
	buf_deinit(&cert);
	world_free(world);
}

static void test_what_is_no_account_is_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"token",
		"\n-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n",
		"token\n-----BEGIN CERTIFICATE-----\n",
		"token\n-----BEGIN PRIVATE KEY-----\n",
	};
	struct world *world = world_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct path path = path_format("%s/wrong", world->dir);
		int fd;

		assert_int_equal(file_replace(path.text, bytes_str(wrong[i]), 0600), 0);
		fd = open(path.text, O_RDONLY | O_CLOEXEC);
		assert_int_equal(account_read(fd, &world->account, &world->err), -EINVAL);
	}
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_containers_have_the_token_that_the_agent_knows),
		cmocka_unit_test(test_an_agents_successor_is_handed_the_same),
		cmocka_unit_test(test_two_pods_have_nothing_in_common),
		cmocka_unit_test(test_only_the_token_admits),
		cmocka_unit_test(test_clients_know_their_own_agent_by_its_address_and_its_names),
		cmocka_unit_test(test_no_clock_keeps_a_pod_from_its_agent),
		cmocka_unit_test(test_what_is_no_account_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
