/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "identity/pem.h"
#include "identity/sha256.h"

/* RFC 8032 section 7.1, TEST 2. */
static const char seed_hex[] = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
static const char public_hex[] = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
static const char signature_hex[] =
	"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

static struct key rfc_key(void)
{
	uint8_t seed[KEY_SEED_LEN];

	assert_true(hex_decode(seed_hex, seed, sizeof(seed)));
	return key_from_seed(seed);
}

static void test_keys_and_signatures_are_those_of_rfc_8032(void **state)
{
	uint8_t signature[KEY_SIGNATURE_LEN], expected[KEY_SIGNATURE_LEN];
	struct key key = rfc_key();
	struct bytes message = bytes_str("r");

	assert_string_equal(node_id_text(&key.public_key).text, public_hex);
	assert_true(hex_decode(signature_hex, expected, sizeof(expected)));
	key_sign(&key, message, signature);
	assert_memory_equal(signature, expected, sizeof(signature));
	assert_true(key_verify(&key.public_key, message, signature));
	assert_false(key_verify(&key.public_key, bytes_str("s"), signature));
	signature[0] ^= 1;
	assert_false(key_verify(&key.public_key, message, signature));
}

static void test_digests_are_those_of_fips_180(void **state)
{
	struct digest digest = sha256(bytes_str("abc"));
	struct digest pair = sha256_pair(bytes_str("a"), bytes_str("bc"));

	assert_string_equal(digest_text(&digest).text,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_true(digest_equal(&digest, &pair));
}

static void test_keys_of_small_order_are_not_sound(void **state)
{
	static const char *const small[] = {
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	};
	struct key key = rfc_key();

	assert_true(key_is_sound(&key.public_key));
	for (size_t i = 0; i < ARRAY_LEN(small); i++) {
		struct node_id id;

		assert_true(node_id_parse(small[i], &id));
		assert_false(key_is_sound(&id));
	}
}

static void test_a_key_comes_back_from_pem(void **state)
{
	struct key key = rfc_key(), back = {0};
	struct buf pem = {0};

	key_export_pem(&key, &pem);
	assert_true(key_import_pem(bytes_buf(&pem), &back));
	assert_memory_equal(&back, &key, sizeof(key));
	for (size_t len = 0; len < pem.len; len++)
		assert_false(key_import_pem(bytes_of(pem.ptr, len), &back));
	buf_append_str(&pem, "x");
	assert_false(key_import_pem(bytes_buf(&pem), &back));
	buf_deinit(&pem);
}

static void test_a_wiped_key_is_none(void **state)
{
	struct key key = rfc_key();

	assert_false(key_is_none(&key));
	key_wipe(&key);
	assert_true(key_is_none(&key));
}

static void test_pem_blocks_are_read_one_after_the_other(void **state)
{
	struct buf pem = {0}, der = {0};
	struct bytes text;
	uint8_t long_one[200] = {1};

	pem_encode("CERTIFICATE", bytes_of(long_one, sizeof(long_one)), &pem);
	pem_encode("CERTIFICATE", bytes_str("x"), &pem);
	text = bytes_buf(&pem);
	assert_true(pem_decode("CERTIFICATE", &text, &der));
	assert_int_equal(der.len, sizeof(long_one));
	assert_false(pem_decode("PRIVATE KEY", &text, &der));
	assert_true(pem_decode("CERTIFICATE", &text, &der));
	assert_int_equal(der.len, sizeof(long_one) + 1);
	assert_int_equal(text.len, 0);
	buf_deinit(&pem);
	buf_deinit(&der);
}

static void test_roles_only_narrow(void **state)
{
	struct grant all = grant_all(), plain = grant_plain(), shop = {.roles = ROLE_STEWARD};
	struct grant both = {.roles = ROLE_STEWARD}, worker = {.roles = ROLE_WORKER};

	assert_true(grant_add_namespace(&shop, bytes_str("shop")));
	assert_true(grant_add_namespace(&both, bytes_str("shop")));
	assert_true(grant_add_namespace(&both, bytes_str("bank")));
	assert_true(grant_within(&plain, &all));
	assert_false(grant_within(&all, &plain));
	assert_true(grant_within(&shop, &both));
	assert_false(grant_within(&both, &shop));
	assert_false(grant_within(&plain, &both));
	assert_false(grant_within(&shop, &worker));
	assert_true(grant_within(&worker, &plain));
	assert_false(grant_within(&worker, &shop));
}

static void test_only_a_steward_of_all_has_what_lies_in_no_namespace(void **state)
{
	struct grant plain = grant_plain(), shop = {.roles = ROLE_STEWARD};

	assert_true(grant_add_namespace(&shop, bytes_str("shop")));
	assert_true(grant_stewards(&plain, bytes_str("")));
	assert_false(grant_stewards(&shop, bytes_str("")));
	assert_true(grant_stewards(&shop, bytes_str("shop")));
	assert_false(grant_stewards(&shop, bytes_str("sho")));
	plain.roles = ROLE_WORKER;
	assert_false(grant_stewards(&plain, bytes_str("shop")));
}

static void test_grants_are_printed_and_roles_parsed_by_name(void **state)
{
	struct grant grant = {.roles = ROLE_WORKER | ROLE_STEWARD};
	struct buf text = {0};

	assert_true(grant_add_namespace(&grant, bytes_str("a")));
	assert_true(grant_add_namespace(&grant, bytes_str("b")));
	assert_false(grant_add_namespace(&grant, bytes_str("B")));
	grant_format(&grant, &text);
	assert_string_equal(buf_cstr(&text), "worker,steward(a,b)");
	assert_int_equal(role_parse("admit"), ROLE_ADMIT);
	assert_int_equal(role_parse("root"), 0);
	buf_deinit(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_and_signatures_are_those_of_rfc_8032),
		cmocka_unit_test(test_digests_are_those_of_fips_180),
		cmocka_unit_test(test_keys_of_small_order_are_not_sound),
		cmocka_unit_test(test_a_key_comes_back_from_pem),
		cmocka_unit_test(test_a_wiped_key_is_none),
		cmocka_unit_test(test_pem_blocks_are_read_one_after_the_other),
		cmocka_unit_test(test_roles_only_narrow),
		cmocka_unit_test(test_only_a_steward_of_all_has_what_lies_in_no_namespace),
		cmocka_unit_test(test_grants_are_printed_and_roles_parsed_by_name),
	};

	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
