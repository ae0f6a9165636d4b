/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that other software made, each wrong in one way. */
#include "world.h"

/* Self-signed by OpenSSL with Ed25519, without any of our marks. */
static const char plain[] =
	"MIHYMIGLAhRbnq6gEdbpuu63+GN3WkbYkbeGaTAFBgMrZXAwDzENMAsGA1UEAwwEYmV0YTAeFw0yNjEx"
	"MjExOTExNTlaFw0zNjExMTgxOTExNTlaMA8xDTALBgNVBAMMBGJldGEwKjAFBgMrZXADIQB4JK6oT+L4"
	"uE3073FG30wajO2JEvYWjxxF0WwB0s0X4DAFBgMrZXADQQBhwPvdP+Yi3hVfnRoiN4upHR5pSpsHEeNn"
	"eQ3LdK7PSinG5Dy1kcuBXHd7FZP9W0ZS/Ret2WrFrTHqS8LJKygM";
/* The same on P-256. */
static const char p256[] =
	"MIIBGDCBvwIUDQq6XPZpL8UpAu3wNaUj+2rp84UwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEYmV0YTAe"
	"Fw0yNjExMjExOTExNTlaFw0zNjExMTgxOTExNTlaMA8xDTALBgNVBAMMBGJldGEwWTATBgcqhkjOPQIB"
	"BggqhkjOPQMBBwNCAARAKbwJI0EUhIDHNCgX1ktw1N9hx03SKXjpEZqpL27a+CnR62wgiLSX4YQxvLvG"
	"uTOOS/smbYxHCm3RQMl1l3+rMAoGCCqGSM49BAMCA0gAMEUCIGt3ZTccZ+2YgbxRlNlysMKR54jLSCbY"
	"eM9j1LqnaxK7AiEAydhDJcfX1P1g2UJRDdIdzlU64IHVZEY4+J/DW3muyWs=";
/* A machine's grant on a certificate that may sign others. */
static const char authority[] =
	"MIIBZTCCARegAwIBAgIUQ7LnmdLSuE7gaYEokMuzGAnD9lgwBQYDK2VwMA8xDTALBgNVBAMMBGJldGEw"
	"HhcNMjYxMTIxMTkxMTU5WhcNMzYxMTE4MTkxMTU5WjAPMQ0wCwYDVQQDDARiZXRhMCowBQYDK2VwAyEA"
	"eCSuqE/i+LhN9O9xRt9MGoztiRL2Fo8cRdFsAdLNF+CjgYQwgYEwDwYDVR0TAQH/BAUwAwEB/zAwBgZp"
	"hsGKgH8EJggBEAQYASIIlc/bRqI3HZAoDzABQhBr5rKZpybDmZNWsOfqAMH0MB0GA1UdJQQWMBQGCCsG"
	"AQUFBwMBBggrBgEFBQcDAjAdBgNVHQ4EFgQUNNtLaaiWHWzWq7imNp+Pg2VtvpEwBQYDK2VwA0EAf4ea"
	"kyXwG3q8ag0p/OfyW1awT+z5u2r/ft8PiXsuchxR1P9U8PduEshNiMZ0AKF+BMm9bK7N4fppfywgXpzP"
	"CQ==";
/* A machine's grant, but the name of another fabric and key. */
static const char misnamed[] =
	"MIIBojCCAVSgAwIBAgIULCDyV0eD7X1xQtrqvbj5LBXhqPQwBQYDK2VwMA8xDTALBgNVBAMMBGJldGEw"
	"HhcNMjYxMTIxMTkxMTU5WhcNMzYxMTE4MTkxMTU5WjAPMQ0wCwYDVQQDDARiZXRhMCowBQYDK2VwAyEA"
	"eCSuqE/i+LhN9O9xRt9MGoztiRL2Fo8cRdFsAdLNF+CjgcEwgb4wDAYDVR0TAQH/BAIwADAOBgNVHQ8B"
	"Af8EBAMCB4AwHQYDVR0lBBYwFAYIKwYBBQUHAwEGCCsGAQUFBwMCMDAGBmmGwYqAfwQmCAEQBBgBIgiV"
	"z9tGojcdkCgPMAFCEGvmspmnJsOZk1aw5+oAwfQwLgYDVR0RBCcwJYYjbWFnaWs6Ly8wMDAwMDAwMDAw"
	"MDAwMDAwL21hY2hpbmUvMDAwHQYDVR0OBBYEFDTbS2molh1s1qu4pjafj4Nlbb6RMAUGAytlcANBAMhW"
	"Oaf+8bT8PIYBFbqXbJIH059jQhCbcLy6VBxowHkSMkeeSkyqv3dF39oUUhVYgBdyhAII7pKiEXzab/mJ"
	"nAE=";
/* A machine's grant, and a critical extension that nobody knows. */
static const char critical[] =
	"MIIBTjCCAQCgAwIBAgIUTB+L02Qjr2KVotbDvpM74Z+vi8IwBQYDK2VwMA8xDTALBgNVBAMMBGJldGEw"
	"HhcNMjYxMTIxMTkxMTU5WhcNMzYxMTE4MTkxMTU5WjAPMQ0wCwYDVQQDDARiZXRhMCowBQYDK2VwAyEA"
	"eCSuqE/i+LhN9O9xRt9MGoztiRL2Fo8cRdFsAdLNF+CjbjBsMAwGA1UdEwEB/wQCMAAwMAYGaYbBioB/"
	"BCYIARAEGAEiCJXP20aiNx2QKA8wAUIQa+aymacmw5mTVrDn6gDB9DALBgJpYwEB/wQCBQAwHQYDVR0O"
	"BBYEFDTbS2molh1s1qu4pjafj4Nlbb6RMAUGAytlcANBAB9HFp9jEbbDEdppkcr7MaLYc99eGhy9TsFu"
	"Ezjg/UOvipNh0DITJrGlvDfEFa6vdiIg+kstxDa7FH6s7X77WQk=";

static int parse(const char *base64, struct err *err)
{
	struct buf der = {0};
	struct cert cert;
	int r;

	assert_true(base64_decode(bytes_str(base64), &der));
	r = cert_parse(bytes_buf(&der), &cert, err);
	buf_deinit(&der);
	return r;
}

static void test_certificates_without_our_mark_are_foreign(void **state)
{
	struct err err = {0};

	assert_int_equal(parse(plain, &err), CERT_E_FOREIGN);
	assert_string_equal(err.text, "certificate: not one of Magik's");
	assert_int_equal(parse(p256, &err), CERT_E_FOREIGN);
	assert_string_equal(err.text, "certificate: not signed with Ed25519");
}

static void test_a_grant_that_disagrees_with_the_rest_is_incoherent(void **state)
{
	struct err err = {0};

	assert_int_equal(parse(authority, &err), CERT_E_INCOHERENT);
	assert_int_equal(parse(misnamed, &err), CERT_E_INCOHERENT);
	assert_string_equal(err.text, "certificate: its grant and its usage disagree");
}

static void test_an_unknown_critical_extension_is_not_passed_over(void **state)
{
	struct err err = {0};

	assert_int_equal(parse(critical, &err), CERT_E_FOREIGN);
	assert_string_equal(err.text, "certificate: an unknown critical extension");
}

static void test_what_was_issued_parses_as_ordered(void **state)
{
	static const char *const groups[] = {"dev", "on-call"};
	struct fabric_made *fabric = world_fabric(1);
	struct signer admit = credentials_admit(&fabric->credentials, CERT_FAMILY_API);
	struct key key = world_key(2);
	struct cert_order order = world_order(CERT_USER, &key);
	struct buf der = {0};
	struct cert cert;
	struct err err = {0};

	order.name = "O=root, \"jo\" <j@example.org>\\";
	order.groups = groups;
	order.group_count = ARRAY_LEN(groups);
	assert_int_equal(cert_issue(&order, &admit, &der, &err), 0);
	assert_int_equal(cert_parse(bytes_buf(&der), &cert, &err), 0);
	assert_string_equal(cert.name, order.name);
	assert_int_equal(cert.group_count, 2);
	assert_string_equal(cert.groups[0], "dev");
	assert_string_equal(cert.groups[1], "on-call");
	assert_int_equal(cert.family, CERT_FAMILY_API);
	assert_int_equal(cert.not_before.ms, NOW.ms - CERT_BACKDATE_MS);
	assert_int_equal(cert.not_after.ms, NOW.ms + CERT_USER_LIFE_MS);
	assert_true(node_id_equal(&cert.key, &key.public_key));
	assert_true(cert_signed_by(bytes_buf(&der), &admit.key->public_key));
	assert_false(cert_signed_by(bytes_buf(&der), &key.public_key));
	buf_deinit(&der);
	world_free_fabric(fabric);
}

static void test_names_that_cannot_be_certified_are_refused(void **state)
{
	static const char *const names[] = {
		"", "a\nb",
		("x2345678901234567890123456789012345678901234567890123456"
		 "7890123456789")};
	struct fabric_made *fabric = world_fabric(1);
	struct signer admit = credentials_admit(&fabric->credentials, CERT_FAMILY_API);
	struct key key = world_key(2), none = {0};
	struct cert_order order = world_order(CERT_USER, &key);
	struct buf der = {0};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		order.name = names[i];
		assert_int_equal(cert_issue(&order, &admit, &der, &err), ISSUE_E_FORM);
	}
	order.name = "jo";
	order.key = none.public_key;
	assert_int_equal(cert_issue(&order, &admit, &der, &err), ISSUE_E_FORM);
	assert_int_equal(der.len, 0);
	world_free_fabric(fabric);
}

static void test_pod_paths_have_one_spelling(void **state)
{
	static const char *const paths[] = {
		"",
		"ns/shop/deployment/web",
		"ns/shop/deployment/web/web-0/",
		"ns/shop/deployment/web/web-0/x",
		"ns//deployment/web/web-0",
		"ns/shop/deployment/../web-0",
		"ns/shop/deployment/web/WEB-0",
		"ns/shop/deployment/web/web%2d0",
		"ns/shop.x/deployment/web/web-0",
		"sn/shop/deployment/web/web-0",
	};
	struct fabric_made *fabric = world_fabric(1);
	struct signer steward = credentials_steward(&fabric->credentials);
	struct key key = world_key(2);
	struct cert_order order = world_order(CERT_POD, &key);
	struct buf der = {0};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		order.pod_path = paths[i];
		assert_int_equal(cert_issue(&order, &steward, &der, &err), ISSUE_E_FORM);
	}
	order.pod_path = "ns/shop/deployment/web/web-0";
	assert_int_equal(cert_issue(&order, &steward, &der, &err), 0);
	buf_deinit(&der);
	world_free_fabric(fabric);
}

static void test_chains_are_split_and_joined(void **state)
{
	struct fabric_made *fabric = world_fabric(1);
	const struct buf *whole = &fabric->credentials.machine_chain;
	struct buf pem = {0}, back = {0};
	struct chain chain;

	chain_to_pem(bytes_buf(whole), &pem);
	assert_true(chain_from_pem(bytes_buf(&pem), &back));
	assert_true(bytes_equal(bytes_buf(&back), bytes_buf(whole)));
	assert_false(chain_from_pem(bytes_str("nothing"), &back));
	assert_false(chain_split(bytes_of(whole->ptr, whole->len - 1), &chain));
	assert_false(chain_split(bytes_of(NULL, 0), &chain));
	buf_append_bytes(&back, bytes_buf(whole));
	assert_true(chain_split(bytes_buf(&back), &chain));
	assert_int_equal(chain.count, CHAIN_CERTS_MAX);
	buf_append_bytes(&back, bytes_buf(whole));
	assert_false(chain_split(bytes_buf(&back), &chain));
	buf_deinit(&pem);
	buf_deinit(&back);
	world_free_fabric(fabric);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_certificates_without_our_mark_are_foreign),
		cmocka_unit_test(test_a_grant_that_disagrees_with_the_rest_is_incoherent),
		cmocka_unit_test(test_an_unknown_critical_extension_is_not_passed_over),
		cmocka_unit_test(test_what_was_issued_parses_as_ordered),
		cmocka_unit_test(test_names_that_cannot_be_certified_are_refused),
		cmocka_unit_test(test_pod_paths_have_one_spelling),
		cmocka_unit_test(test_chains_are_split_and_joined),
	};

	return cmocka_run_group_tests_name("certificate", tests, NULL, NULL);
}
