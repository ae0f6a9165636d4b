/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdlib.h>

#include "base/mem.h"

static struct fabric_made *fabric;
static struct voucher *voucher, *back;
static struct buf text;
static struct err err;

static int setup(void **state)
{
	fabric = world_fabric(1);
	voucher = world_voucher(fabric, grant_plain(), true, NOW);
	back = mem_new(struct voucher);
	voucher_encode(voucher, &text);
	return 0;
}

static int teardown(void **state)
{
	world_free_fabric(fabric);
	world_free_voucher(voucher);
	world_free_voucher(back);
	buf_deinit(&text);
	return 0;
}

static int parse(void)
{
	return voucher_parse(bytes_buf(&text), back, &err);
}

static void test_a_token_is_one_line_that_parses_back(void **state)
{
	assert_int_equal(strncmp(buf_cstr(&text), "magik1.", 7), 0);
	assert_null(strpbrk(buf_cstr(&text), " \n+/="));
	buf_append_str(&text, "\n");
	assert_int_equal(parse(), 0);
	assert_memory_equal(&back->key, &voucher->key, sizeof(back->key));
	assert_memory_equal(back->root, voucher->root, sizeof(back->root));
	assert_int_equal(back->address_count, 1);
	assert_string_equal(back->addresses[0], "10.0.0.1:7946");
	assert_true(back->cert.plain);
	assert_true(grant_has(&back->cert.grant, ROLE_STEWARD));
}

static void test_what_is_no_token_says_so(void **state)
{
	buf_clear(&text);
	buf_append_str(&text, "K10abc::server:secret");
	assert_int_equal(parse(), VOUCHER_E_MALFORMED);
	assert_string_equal(err.text, "not a join token: it starts with magik1.");
	buf_clear(&text);
	assert_int_equal(parse(), VOUCHER_E_MALFORMED);
}

static void test_a_token_cut_off_anywhere_is_malformed(void **state)
{
	size_t whole = text.len;

	for (text.len = 0; text.len < whole; text.len++)
		assert_int_equal(parse(), VOUCHER_E_MALFORMED);
	assert_int_equal(parse(), 0);
}

static void test_a_character_that_does_not_belong_is_malformed(void **state)
{
	text.ptr[text.len / 2] = '*';
	assert_int_equal(parse(), VOUCHER_E_MALFORMED);
	assert_non_null(strstr(err.text, "characters that do not belong"));
	text.ptr[text.len / 2] = '+';
	assert_int_equal(parse(), VOUCHER_E_MALFORMED);
}

static void test_the_key_must_belong_to_the_certificate(void **state)
{
	voucher->key = world_key(3);
	buf_clear(&text);
	voucher_encode(voucher, &text);
	assert_int_equal(parse(), VOUCHER_E_MALFORMED);
	assert_non_null(strstr(err.text, "do not fit together"));
}

static void test_the_chain_must_lead_to_the_root_named(void **state)
{
	struct fabric_made *other = world_fabric(2);

	voucher->root[0] = other->roots.key[0].public_key;
	buf_clear(&text);
	voucher_encode(voucher, &text);
	assert_int_equal(parse(), VOUCHER_E_MALFORMED);
	world_free_fabric(other);
}

static void test_addresses_are_bounded_and_plain(void **state)
{
	char longest[VOUCHER_ADDRESS_LEN_MAX + 2];

	memset(longest, '1', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_false(voucher_add_address(voucher, longest));
	longest[sizeof(longest) - 2] = 0;
	assert_true(voucher_add_address(voucher, longest));
	assert_false(voucher_add_address(voucher, ""));
	assert_false(voucher_add_address(voucher, "10.0.0.1 :1"));
	while (voucher->address_count < VOUCHER_ADDRESSES_MAX)
		assert_true(voucher_add_address(voucher, "[fe80::1]:7946"));
	assert_false(voucher_add_address(voucher, "10.0.0.1:7946"));
	buf_clear(&text);
	voucher_encode(voucher, &text);
	assert_int_equal(parse(), 0);
	assert_int_equal(back->address_count, VOUCHER_ADDRESSES_MAX);
}

static void test_a_voucher_wider_than_its_admitter_is_not_made(void **state)
{
	struct signer root = {&fabric->roots.key[0], bytes_buf(&fabric->credentials.root[0])};
	struct cert_order admit = world_order(CERT_ADMIT, &fabric->credentials.admit_key[0]);
	struct voucher_order order = {
		.seed = {1}, .grant = grant_plain(), .now = NOW, .ttl_ms = 1000};
	struct voucher none;
	struct buf narrow = {0};
	struct signer signer;

	admit.family = CERT_FAMILY_MACHINE;
	admit.grant = (struct grant){.roles = ROLE_WORKER};
	assert_int_equal(cert_issue(&admit, &root, &narrow, &err), 0);
	signer = (struct signer){&fabric->credentials.admit_key[0], bytes_buf(&narrow)};
	assert_int_equal(voucher_make(&order, &signer, &none, &err), ISSUE_E_WIDENS);
	buf_deinit(&narrow);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_token_is_one_line_that_parses_back),
		TEST(test_what_is_no_token_says_so),
		TEST(test_a_token_cut_off_anywhere_is_malformed),
		TEST(test_a_character_that_does_not_belong_is_malformed),
		TEST(test_the_key_must_belong_to_the_certificate),
		TEST(test_the_chain_must_lead_to_the_root_named),
		TEST(test_addresses_are_bounded_and_plain),
		TEST(test_a_voucher_wider_than_its_admitter_is_not_made),
	};

	return cmocka_run_group_tests_name("voucher", tests, NULL, NULL);
}
