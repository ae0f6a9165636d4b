/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that travel as files, of machines and of users; and the keys that stay behind. */
#include "identity/csr.h"

#include <stdlib.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "base/mem.h"
#include "identity/keyring.h"
#include "world.h"

static struct join_keys keys_of(uint32_t seed)
{
	uint8_t random[JOIN_RANDOM_LEN];
	struct join_keys keys;

	world_random(seed, random, sizeof(random));
	join_keys_make(&keys, random);
	return keys;
}

/* What @grant's admitter "alpha" makes of the request in @text. */
static struct buf admission_of(const struct fabric_made *made, struct bytes text,
			       struct grant grant)
{
	static const char *const members[] = {"10.0.0.1:7946"};
	struct join_intermediates intermediates = {0};
	struct join_answer answer = {.admitter = &made->credentials,
				     .now = NOW,
				     .members = members,
				     .member_count = ARRAY_LEN(members)};
	struct join_request request;
	struct buf reply = {0}, admission = {0};
	struct err err = {0};

	assert_int_equal(csr_machine_open(text, &grant, &request, &err), 0);
	if (request.may_be_admitter) {
		struct join_roots roots = {
			.keys = &made->roots, .holder = request.machine, .now = NOW};

		for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
			roots.cert[i] = bytes_buf(&made->credentials.root[i]);
		assert_int_equal(
			join_issue_intermediates(&roots, request.admit, &intermediates, &err), 0);
		answer.intermediates = &intermediates;
	}
	assert_int_equal(join_reply_build(&request, &answer, &reply, &err), 0);
	csr_admission_build(bytes_buf(&reply), &admission);
	buf_deinit(&reply);
	join_intermediates_deinit(&intermediates);
	return admission;
}

static void test_a_machine_is_admitted_by_files(void **state)
{
	struct fabric_made *made = world_fabric(1);
	struct join_reply *reply = mem_new(struct join_reply);
	struct join_keys keys = keys_of(7);
	struct node_id root[CERT_FAMILY_COUNT];
	struct buf request = {0}, admission;
	struct err err = {0};

	csr_machine_build(&keys, "node7", &request);
	assert_true(request.len < CSR_TEXT_MAX / 4);
	admission = admission_of(made, bytes_buf(&request), grant_plain());
	assert_int_equal(csr_admission_open(bytes_buf(&admission), &keys, reply, root, &err), 0);
	assert_string_equal(reply->credentials.machine.name, "node7");
	assert_int_equal(reply->credentials.machine.grant.roles, ROLE_PLAIN);
	assert_true(credentials_is_steward(&reply->credentials));
	assert_false(credentials_is_admitter(&reply->credentials));
	assert_string_equal(reply->members[0], "10.0.0.1:7946");
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++)
		assert_true(node_id_equal(&root[i], &made->roots.key[i].public_key));
	/* No secret of either side travels. */
	assert_null(memmem(request.ptr, request.len, keys.machine.seed, KEY_SEED_LEN));
	assert_null(strstr(buf_cstr(&admission), "PRIVATE"));
	world_free_reply(reply);
	buf_deinit(&request);
	buf_deinit(&admission);
	world_free_fabric(made);
}

static void test_only_the_signer_gives_roles(void **state)
{
	struct fabric_made *made = world_fabric(1);
	struct grant worker = {.roles = ROLE_WORKER}, all = grant_all();
	struct join_keys keys = keys_of(7);
	struct node_id root[CERT_FAMILY_COUNT];
	struct buf request = {0};
	struct err err = {0};

	csr_machine_build(&keys, "node7", &request);
	for (int admits = 0; admits < 2; admits++) {
		struct join_reply *reply = mem_new(struct join_reply);
		struct buf admission =
			admission_of(made, bytes_buf(&request), admits ? all : worker);

		assert_int_equal(
			csr_admission_open(bytes_buf(&admission), &keys, reply, root, &err), 0);
		assert_int_equal(reply->credentials.machine.grant.roles,
				 admits ? ROLE_ALL : ROLE_WORKER);
		assert_int_equal(credentials_is_admitter(&reply->credentials), admits);
		assert_int_equal(credentials_is_steward(&reply->credentials), admits);
		world_free_reply(reply);
		buf_deinit(&admission);
	}
	buf_deinit(&request);
	world_free_fabric(made);
}

static void test_an_admission_is_for_the_keys_that_asked(void **state)
{
	struct fabric_made *made = world_fabric(1);
	struct join_reply *reply = mem_new(struct join_reply);
	struct join_keys keys = keys_of(7), others = keys_of(8);
	struct node_id root[CERT_FAMILY_COUNT];
	struct buf request = {0}, admission, text = {0};
	struct err err = {0};

	csr_machine_build(&keys, "node7", &request);
	admission = admission_of(made, bytes_buf(&request), grant_plain());
	assert_int_equal(csr_admission_open(bytes_buf(&admission), &others, reply, root, &err),
			 JOIN_E_REPLY);
	assert_non_null(strstr(err.text, "another key"));
	assert_int_equal(csr_admission_open(bytes_buf(&request), &keys, reply, root, &err),
			 CSR_E_FOREIGN);
	assert_non_null(strstr(err.text, "the request itself"));
	assert_int_equal(csr_admission_open(bytes_of(admission.ptr, admission.len - 9), &keys,
					    reply, root, &err),
			 CSR_E_MALFORMED);
	buf_append_bytes(&text, bytes_buf(&admission));
	buf_append_bytes(&text, bytes_buf(&admission));
	assert_int_equal(csr_admission_open(bytes_buf(&text), &keys, reply, root, &err),
			 CSR_E_MALFORMED);
	free(reply);
	buf_deinit(&text);
	buf_deinit(&request);
	buf_deinit(&admission);
	world_free_fabric(made);
}

/* The body of a request whose byte @at is another, as PEM again. */
static void test_a_machines_request_that_was_changed_is_refused(void **state)
{
	struct join_keys keys = keys_of(7);
	struct grant grant = grant_plain();
	struct join_request request;
	struct buf text = {0};
	struct err err = {0};
	size_t refused = 0, tried = 0;

	csr_machine_build(&keys, "node7", &text);
	for (size_t at = 0; at < text.len; at += 7) {
		uint8_t was = text.ptr[at];

		text.ptr[at] = was == 'A' ? 'B' : 'A';
		tried++;
		/* What names the machine is no secret and signs nothing: a name is for who signs to
		 * look at. */
		if (csr_machine_open(bytes_buf(&text), &grant, &request, &err) != 0)
			refused++;
		else
			assert_true(node_id_equal(&request.machine, &keys.machine.public_key));
		text.ptr[at] = was;
	}
	assert_true(refused + 3 >= tried);
	buf_deinit(&text);
}

static void test_other_files_are_called_by_their_names(void **state)
{
	static const struct {
		const char *text, *machine, *user;
	} cases[] = {
		{"", "no request of a machine", "no request for a certificate"},
		{"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
		 "magik kubeconfig --csr", "damaged"},
		{"-----BEGIN MAGIK MACHINE REQUEST-----\nAAAA\n", "damaged or cut off",
		 "magik fabric admit --csr"},
		{"-----BEGIN MAGIK MACHINE REQUEST-----\nAAAA\n-----END MAGIK MACHINE "
		 "REQUEST-----\n",
		 "malformed join request", "magik fabric admit --csr"},
		{"-----BEGIN PRIVATE KEY-----\n", "holds a private key", "holds a private key"},
		{"-----BEGIN CERTIFICATE-----\n", "is a certificate", "is a certificate"},
		{"-----BEGIN MAGIK ADMISSION-----\n", "is an admission", "is an admission"},
		{"magik1.abc", "is a join token", "is a join token"},
	};
	struct grant grant = grant_plain();
	struct join_request request;
	struct csr_user user;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bytes text = bytes_str(cases[i].text);
		struct err err = {0};

		assert_true(csr_machine_open(text, &grant, &request, &err) > 0);
		if (!strstr(err.text, cases[i].machine))
			fail_msg("%zu: %s", i, err.text);
		assert_true(csr_user_open(text, &user, &err) > 0);
		if (!strstr(err.text, cases[i].user))
			fail_msg("%zu: %s", i, err.text);
	}
}

static void test_what_is_too_long_is_not_read(void **state)
{
	struct grant grant = grant_plain();
	struct join_request request;
	struct csr_user user;
	struct buf text = {0};
	struct err err = {0};

	while (text.len <= CSR_TEXT_MAX)
		buf_append_str(&text, "-----BEGIN CERTIFICATE REQUEST-----\n");
	assert_int_equal(csr_machine_open(bytes_buf(&text), &grant, &request, &err),
			 CSR_E_MALFORMED);
	assert_non_null(strstr(err.text, "longer than any request"));
	assert_int_equal(csr_user_open(bytes_buf(&text), &user, &err), CSR_E_MALFORMED);
	assert_non_null(strstr(err.text, "longer than any request"));
	buf_deinit(&text);
}

/* ---- users: PKCS#10 as other software makes it */

static gnutls_x509_privkey_t user_key(gnutls_pk_algorithm_t algorithm, unsigned bits)
{
	gnutls_x509_privkey_t key;

	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(gnutls_x509_privkey_generate(key, algorithm, bits, 0), 0);
	return key;
}

/* A request for @name (NULL: none) and @groups, that @key is in and @signer has signed. */
static struct buf user_request(gnutls_x509_privkey_t key, gnutls_x509_privkey_t signer,
			       const char *name, const char *const *groups)
{
	gnutls_x509_crq_t crq;
	gnutls_datum_t pem;
	struct buf text = {0};

	assert_int_equal(gnutls_x509_crq_init(&crq), 0);
	assert_int_equal(gnutls_x509_crq_set_version(crq, 1), 0);
	assert_int_equal(gnutls_x509_crq_set_key(crq, key), 0);
	if (name)
		assert_int_equal(gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0,
							       name, (unsigned)strlen(name)),
				 0);
	for (size_t i = 0; groups && groups[i]; i++)
		assert_int_equal(
			gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_ORGANIZATION_NAME, 0,
						      groups[i], (unsigned)strlen(groups[i])),
			0);
	assert_int_equal(gnutls_x509_crq_sign2(crq, signer, GNUTLS_DIG_SHA512, 0), 0);
	assert_int_equal(gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &pem), 0);
	buf_append(&text, pem.data, pem.size);
	gnutls_free(pem.data);
	gnutls_x509_crq_deinit(crq);
	return text;
}

static int open_user(struct buf text, struct csr_user *user, struct err *err)
{
	int r = csr_user_open(bytes_buf(&text), user, err);

	buf_deinit(&text);
	return r;
}

static void test_a_users_request_is_read(void **state)
{
	static const char *const groups[] = {"dev", "ops", NULL};
	gnutls_x509_privkey_t key = user_key(GNUTLS_PK_EDDSA_ED25519, 0);
	gnutls_datum_t x, k;
	gnutls_ecc_curve_t curve;
	struct csr_user user;
	struct err err = {0};

	assert_int_equal(open_user(user_request(key, key, "jo", groups), &user, &err), 0);
	assert_string_equal(user.name, "jo");
	assert_int_equal(user.group_count, 2);
	assert_string_equal(user.groups[1], "ops");
	assert_int_equal(gnutls_x509_privkey_export_ecc_raw(key, &curve, &x, NULL, &k), 0);
	assert_int_equal(x.size, ID_LEN);
	assert_memory_equal(user.key.byte, x.data, ID_LEN);
	gnutls_free(x.data);
	gnutls_free(k.data);
	assert_int_equal(open_user(user_request(key, key, NULL, NULL), &user, &err), 0);
	assert_string_equal(user.name, "");
	gnutls_x509_privkey_deinit(key);
}

static void test_a_key_of_another_kind_is_named(void **state)
{
	gnutls_x509_privkey_t rsa = user_key(GNUTLS_PK_RSA, 2048);
	gnutls_x509_privkey_t ec =
		user_key(GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1));
	struct csr_user user;
	struct err err = {0};

	assert_int_equal(open_user(user_request(rsa, rsa, "jo", NULL), &user, &err), CSR_E_KEY);
	assert_non_null(strstr(err.text, "its key is RSA"));
	assert_non_null(strstr(err.text, "openssl genpkey -algorithm ed25519"));
	assert_int_equal(open_user(user_request(ec, ec, "jo", NULL), &user, &err), CSR_E_KEY);
	assert_non_null(strstr(err.text, "EC/ECDSA"));
	gnutls_x509_privkey_deinit(rsa);
	gnutls_x509_privkey_deinit(ec);
}

/* Else anyone could have a name put on a key that is another's. */
static void test_a_key_that_its_sender_does_not_hold_is_refused(void **state)
{
	gnutls_x509_privkey_t key = user_key(GNUTLS_PK_EDDSA_ED25519, 0);
	gnutls_x509_privkey_t other = user_key(GNUTLS_PK_EDDSA_ED25519, 0);
	struct csr_user user;
	struct err err = {0};

	assert_int_equal(open_user(user_request(key, other, "jo", NULL), &user, &err), CSR_E_PROOF);
	gnutls_x509_privkey_deinit(key);
	gnutls_x509_privkey_deinit(other);
}

static void test_names_that_no_certificate_takes_are_refused(void **state)
{
	static const char *const many[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", NULL};
	static const char *const odd[] = {"d\xc3\xa9v", NULL};
	gnutls_x509_privkey_t key = user_key(GNUTLS_PK_EDDSA_ED25519, 0);
	struct csr_user user;
	struct err err = {0};

	assert_int_equal(open_user(user_request(key, key, "j\xc3\xb6", NULL), &user, &err),
			 CSR_E_NAME);
	assert_int_equal(open_user(user_request(key, key, "jo", many), &user, &err), CSR_E_NAME);
	assert_int_equal(open_user(user_request(key, key, "jo", odd), &user, &err), CSR_E_NAME);
	gnutls_x509_privkey_deinit(key);
}

/* ---- keys that stay */

static void test_a_keyring_reads_what_it_wrote(void **state)
{
	struct fabric_made *made = world_fabric(1);
	struct root_keys read;
	struct buf text = {0}, cut = {0};
	struct err err = {0};

	keyring_write(root_keys_names, made->roots.key, &text);
	assert_true(text.len <= KEYRING_LEN_MAX);
	assert_int_equal(keyring_read(bytes_buf(&text), root_keys_names, read.key, &err), 0);
	assert_memory_equal(&read, &made->roots, sizeof(read));
	assert_int_equal(
		keyring_read(bytes_of(text.ptr, text.len - 1), root_keys_names, read.key, &err),
		-EBADMSG);
	assert_non_null(strstr(err.text, "api.key"));
	buf_append_bytes(&cut, bytes_buf(&text));
	buf_append_bytes(&cut, bytes_buf(&text));
	assert_int_equal(keyring_read(bytes_buf(&cut), root_keys_names, read.key, &err), -EBADMSG);
	buf_clear(&cut);
	made->roots.key[2] = made->roots.key[0];
	keyring_write(root_keys_names, made->roots.key, &cut);
	assert_int_equal(keyring_read(bytes_buf(&cut), root_keys_names, read.key, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "the same key"));
	buf_deinit(&text);
	buf_deinit(&cut);
	world_free_fabric(made);
}

static void test_a_fabric_is_made_again_under_its_roots(void **state)
{
	struct fabric_made *made = world_fabric(1), *again = mem_new(struct fabric_made);
	uint8_t random[FABRIC_RANDOM_LEN];
	struct trust_query query = {.purpose = TRUST_MESH, .now = NOW};
	struct chain chain;
	struct trust trust;
	struct err err = {0};

	world_random(9, random, sizeof(random));
	assert_int_equal(fabric_make_under(&made->roots, "beta", NOW, random, again, &err), 0);
	assert_string_equal(again->credentials.machine.fabric, made->credentials.machine.fabric);
	world_trust(&made->credentials, &trust);
	chain = world_chain(&again->credentials.machine_chain);
	assert_int_equal(trust_verify(&trust, &query, &chain, NULL, &err), 0);
	trust_deinit(&trust);
	world_free_fabric(made);
	world_free_fabric(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_machine_is_admitted_by_files),
		cmocka_unit_test(test_only_the_signer_gives_roles),
		cmocka_unit_test(test_an_admission_is_for_the_keys_that_asked),
		cmocka_unit_test(test_a_machines_request_that_was_changed_is_refused),
		cmocka_unit_test(test_other_files_are_called_by_their_names),
		cmocka_unit_test(test_what_is_too_long_is_not_read),
		cmocka_unit_test(test_a_users_request_is_read),
		cmocka_unit_test(test_a_key_of_another_kind_is_named),
		cmocka_unit_test(test_a_key_that_its_sender_does_not_hold_is_refused),
		cmocka_unit_test(test_names_that_no_certificate_takes_are_refused),
		cmocka_unit_test(test_a_keyring_reads_what_it_wrote),
		cmocka_unit_test(test_a_fabric_is_made_again_under_its_roots),
	};

	return cmocka_run_group_tests_name("csr", tests, NULL, NULL);
}
