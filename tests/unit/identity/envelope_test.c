/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "identity.pb-c.h"

static struct fabric_made *fabric;
static struct trust trust;
static struct buf sealed;
static struct err err;

static const struct trust_query now = {.purpose = TRUST_MESH, .now = {.ms = 1795000000000}};

static void seal(const struct key *key, const char *payload)
{
	struct envelope_seal seal = {
		.key = key, .leaf = fabric->credentials.machine.hash, .at = NOW};

	memset(seal.nonce, 7, sizeof(seal.nonce));
	buf_clear(&sealed);
	envelope_seal(&seal, bytes_str(payload), &sealed);
}

static int setup(void **state)
{
	struct chain chain;

	fabric = world_fabric(1);
	world_trust(&fabric->credentials, &trust);
	chain = world_chain(&fabric->credentials.machine_chain);
	assert_int_equal(trust_verify(&trust, &now, &chain, NULL, &err), 0);
	seal(&fabric->credentials.machine_key, "a tender");
	return 0;
}

static int teardown(void **state)
{
	trust_deinit(&trust);
	world_free_fabric(fabric);
	buf_deinit(&sealed);
	return 0;
}

static int open_sealed(struct envelope *ret_envelope, const struct cert **ret_leaf)
{
	return envelope_open(bytes_buf(&sealed), &trust, &now, ret_envelope, ret_leaf, &err);
}

static void test_what_is_sealed_opens(void **state)
{
	struct envelope envelope;
	const struct cert *leaf;

	assert_int_equal(open_sealed(&envelope, &leaf), 0);
	assert_true(bytes_equal(envelope.payload, bytes_str("a tender")));
	assert_int_equal(envelope.at.ms, NOW.ms);
	assert_int_equal(envelope.nonce[15], 7);
	assert_string_equal(leaf->name, "alpha");
}

static void test_each_changed_byte_is_noticed(void **state)
{
	for (size_t i = 0; i < sealed.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct envelope envelope;
			const struct cert *leaf;

			sealed.ptr[i] ^= (uint8_t)(1U << bit);
			assert_int_not_equal(open_sealed(&envelope, &leaf), 0);
			sealed.ptr[i] ^= (uint8_t)(1U << bit);
		}
	}
}

static void test_cut_off_or_lengthened_is_malformed(void **state)
{
	struct envelope envelope;

	for (size_t len = 0; len < sealed.len; len++)
		assert_int_equal(envelope_parse(bytes_of(sealed.ptr, len), &envelope),
				 ENVELOPE_E_MALFORMED);
	buf_append_str(&sealed, " ");
	assert_int_equal(envelope_parse(bytes_buf(&sealed), &envelope), ENVELOPE_E_MALFORMED);
}

static void test_another_keys_signature_is_refused(void **state)
{
	struct key mallory = world_key(9);
	struct envelope envelope;
	const struct cert *leaf;

	seal(&mallory, "a tender");
	assert_int_equal(open_sealed(&envelope, &leaf), ENVELOPE_E_BAD_SIGNATURE);
	assert_non_null(strstr(err.text, "not signed by alpha"));
}

static void test_an_unknown_issuer_is_named_so_that_its_leaf_can_be_fetched(void **state)
{
	struct envelope envelope;
	const struct cert *leaf;
	struct chain chain;

	trust_deinit(&trust);
	world_trust(&fabric->credentials, &trust);
	assert_int_equal(open_sealed(&envelope, &leaf), ENVELOPE_E_UNKNOWN_ISSUER);
	assert_true(digest_equal(&envelope.issuer, &fabric->credentials.machine.hash));
	chain = world_chain(&fabric->credentials.machine_chain);
	assert_int_equal(trust_verify(&trust, &now, &chain, NULL, &err), 0);
	assert_int_equal(open_sealed(&envelope, &leaf), 0);
}

static void test_an_issuer_whose_leaf_has_expired_is_refused(void **state)
{
	struct trust_query later = now;
	struct envelope envelope;
	const struct cert *leaf;

	later.now.ms += CERT_MACHINE_LIFE_MS + CERT_DAY_MS;
	assert_int_equal(envelope_open(bytes_buf(&sealed), &trust, &later, &envelope, &leaf, &err),
			 ENVELOPE_E_REFUSED);
	assert_non_null(strstr(err.text, "expired"));
}

static void test_a_signature_does_not_cover_another_leaf_of_the_same_key(void **state)
{
	struct signer admit = credentials_admit(&fabric->credentials, CERT_FAMILY_MACHINE);
	struct cert_order order = world_order(CERT_MACHINE, &fabric->credentials.machine_key);
	struct buf chain = {0};
	struct chain split;
	struct envelope envelope;
	const struct cert *leaf;
	struct cert other;
	uint8_t *issuer;

	order.name = "alpha";
	order.grant = grant_plain();
	assert_int_equal(cert_issue(&order, &admit, &chain, &err), 0);
	buf_append_bytes(&chain, admit.cert);
	split = world_chain(&chain);
	assert_int_equal(trust_verify(&trust, &now, &split, &other, &err), 0);
	issuer = memmem(sealed.ptr, sealed.len, fabric->credentials.machine.hash.byte, ID_LEN);
	assert_non_null(issuer);
	memcpy(issuer, other.hash.byte, ID_LEN);
	assert_int_equal(open_sealed(&envelope, &leaf), ENVELOPE_E_BAD_SIGNATURE);
	buf_deinit(&chain);
}

static void test_a_bare_signature_over_the_body_is_not_enough(void **state)
{
	struct envelope envelope;
	const struct cert *leaf;
	uint8_t signature[KEY_SIGNATURE_LEN];

	assert_int_equal(open_sealed(&envelope, &leaf), 0);
	key_sign(&fabric->credentials.machine_key, envelope.body, signature);
	memcpy(sealed.ptr + sealed.len - sizeof(signature), signature, sizeof(signature));
	assert_int_equal(open_sealed(&envelope, &leaf), ENVELOPE_E_BAD_SIGNATURE);
}

static void test_the_schema_reads_what_was_sealed(void **state)
{
	Identity__Envelope *outer = identity__envelope__unpack(NULL, sealed.len, sealed.ptr);
	Identity__Signed *body;

	assert_non_null(outer);
	assert_int_equal(outer->signature.len, KEY_SIGNATURE_LEN);
	body = identity__signed__unpack(NULL, outer->body.len, outer->body.data);
	assert_non_null(body);
	assert_int_equal(body->timestamp_ms, NOW.ms);
	assert_int_equal(body->payload.len, strlen("a tender"));
	identity__signed__free_unpacked(body, NULL);
	identity__envelope__free_unpacked(outer, NULL);
}

static void test_a_second_encoding_of_the_same_content_is_malformed(void **state)
{
	struct envelope envelope;
	struct buf longer = {0};

	/* The length of the issuer, 32, in two bytes instead of one. */
	assert_int_equal(sealed.ptr[1], ID_LEN);
	buf_append(&longer, sealed.ptr, 1);
	buf_append(&longer, "\xa0\x00", 2);
	buf_append(&longer, sealed.ptr + 2, sealed.len - 2);
	assert_int_equal(envelope_parse(bytes_buf(&longer), &envelope), ENVELOPE_E_MALFORMED);
	buf_deinit(&longer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_sealed_opens),
		TEST(test_each_changed_byte_is_noticed),
		TEST(test_cut_off_or_lengthened_is_malformed),
		TEST(test_another_keys_signature_is_refused),
		TEST(test_an_unknown_issuer_is_named_so_that_its_leaf_can_be_fetched),
		TEST(test_an_issuer_whose_leaf_has_expired_is_refused),
		TEST(test_a_signature_does_not_cover_another_leaf_of_the_same_key),
		TEST(test_a_bare_signature_over_the_body_is_not_enough),
		TEST(test_the_schema_reads_what_was_sealed),
		TEST(test_a_second_encoding_of_the_same_content_is_malformed),
	};

	return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
