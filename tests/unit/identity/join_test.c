/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdlib.h>

#include "base/mem.h"

#define YEAR_MS (365 * CERT_DAY_MS)

static struct fabric_made *fabric;
static struct voucher *voucher;
static struct join_keys keys;
static struct buf asked, replied;
static struct join_request request;
static struct join_reply *reply;
static struct trust trust;
static struct err err;

static struct digest audience(void)
{
	return fabric->credentials.machine.hash;
}

static void ask(const char *node_name)
{
	struct digest to = audience();

	buf_clear(&asked);
	join_request_build(&keys, node_name, &to, &asked);
}

static int open_request(const struct cert *shown)
{
	struct digest to = audience();

	return join_request_open(bytes_buf(&asked), shown, &to, &request, &err);
}

static int answer_at(struct wall now)
{
	struct join_answer answer = {.admitter = &fabric->credentials, .now = now};

	world_random(6, answer.serials, sizeof(answer.serials));
	buf_clear(&replied);
	return join_reply_build(&request, &answer, &replied, &err);
}

static int open_reply(void)
{
	return join_reply_open(bytes_buf(&replied), &keys, &trust, reply, &err);
}

static int setup(void **state)
{
	uint8_t random[JOIN_RANDOM_LEN];

	fabric = world_fabric(1);
	voucher = world_voucher(fabric, grant_plain(), true, NOW);
	trust_init(&trust, voucher->root, 8, 1);
	world_random(50, random, sizeof(random));
	join_keys_make(&keys, random);
	reply = mem_new(struct join_reply);
	ask("beta");
	return 0;
}

static int teardown(void **state)
{
	trust_deinit(&trust);
	world_free_fabric(fabric);
	world_free_voucher(voucher);
	world_free_reply(reply);
	buf_deinit(&asked);
	buf_deinit(&replied);
	return 0;
}

static int verify(struct trust *by, enum trust_purpose purpose, const struct buf *concatenated,
		  struct wall now)
{
	struct trust_query query = {.purpose = purpose, .now = now};
	struct chain chain = world_chain(concatenated);

	return trust_verify(by, &query, &chain, NULL, &err);
}

static void test_a_machine_joins_with_a_plain_token(void **state)
{
	struct join_reply *joined = world_join(fabric, voucher, "beta", 10, NOW, false);
	struct cert leaf = world_leaf(&joined->credentials.machine_chain);

	assert_int_equal(verify(&trust, TRUST_MESH, &joined->credentials.machine_chain, NOW), 0);
	assert_int_equal(verify(&trust, TRUST_REST_SERVER, &joined->credentials.rest_chain, NOW),
			 0);
	assert_string_equal(leaf.name, "beta");
	assert_int_equal(leaf.grant.roles, ROLE_PLAIN);
	assert_true(leaf.grant.all_namespaces);
	assert_true(credentials_is_steward(&joined->credentials));
	assert_false(credentials_is_admitter(&joined->credentials));
	assert_int_equal(joined->now.ms, NOW.ms);
	assert_int_equal(joined->member_count, 2);
	assert_string_equal(joined->members[1], "10.0.0.2:7946");
	world_free_reply(joined);
}

static void test_what_a_joiner_got_survives_as_files(void **state)
{
	struct join_reply *joined = world_join(fabric, voucher, "beta", 10, NOW, true);
	struct credentials_files files;
	struct credentials back;

	credentials_save(&joined->credentials, &files);
	assert_int_equal(credentials_load(&files, &back, &err), 0);
	assert_true(credentials_is_admitter(&back));
	assert_string_equal(back.machine.name, "beta");
	credentials_deinit(&back);
	credentials_files_deinit(&files);
	world_free_reply(joined);
}

static void test_a_new_admitter_lets_others_in_when_the_first_is_gone(void **state)
{
	struct join_reply *beta = world_join(fabric, voucher, "beta", 10, NOW, true);
	struct fabric_made *without_roots = mem_new(struct fabric_made);
	struct voucher *second;
	struct join_reply *gamma;

	assert_true(grant_has(&beta->credentials.machine.grant, ROLE_ADMIT));
	assert_int_equal(verify(&trust, TRUST_ADMITTER, &beta->credentials.machine_chain, NOW), 0);
	without_roots->credentials = beta->credentials;
	memcpy(without_roots->roots.key[0].public_key.byte, voucher->root[0].byte, ID_LEN);
	memcpy(without_roots->roots.key[1].public_key.byte, voucher->root[1].byte, ID_LEN);
	memcpy(without_roots->roots.key[2].public_key.byte, voucher->root[2].byte, ID_LEN);
	second = world_voucher(without_roots, grant_plain(), true, NOW);
	gamma = world_join(without_roots, second, "gamma", 20, NOW, false);
	assert_int_equal(verify(&trust, TRUST_MESH, &gamma->credentials.machine_chain, NOW), 0);
	world_free_voucher(second);
	world_free_reply(gamma);
	world_free_reply(beta);
	free(without_roots);
}

static void test_a_machine_learns_the_time_whatever_its_clock_says(void **state)
{
	/* The joiner passes no time at all: open_reply judges by the reply's own. */
	struct wall then = {NOW.ms + YEAR_MS / 2};

	assert_int_equal(open_request(&voucher->cert), 0);
	assert_int_equal(answer_at(then), 0);
	assert_int_equal(open_reply(), 0);
	assert_int_equal(reply->now.ms, then.ms);
}

static void test_a_worker_token_gives_no_more_than_worker(void **state)
{
	struct grant worker = {.roles = ROLE_WORKER};
	struct voucher *narrow = world_voucher(fabric, worker, false, NOW);

	assert_int_equal(open_request(&narrow->cert), 0);
	assert_false(request.may_be_admitter);
	assert_int_equal(answer_at(NOW), 0);
	assert_int_equal(open_reply(), 0);
	assert_int_equal(reply->credentials.machine.grant.roles, ROLE_WORKER);
	assert_false(credentials_is_steward(&reply->credentials));
	world_free_voucher(narrow);
}

static void test_a_steward_of_one_namespace_gets_an_intermediate_for_it_alone(void **state)
{
	struct grant shop = {.roles = ROLE_STEWARD};
	struct voucher *narrow;
	struct cert steward;

	assert_true(grant_add_namespace(&shop, bytes_str("shop")));
	narrow = world_voucher(fabric, shop, false, NOW);
	assert_int_equal(open_request(&narrow->cert), 0);
	assert_int_equal(answer_at(NOW), 0);
	assert_int_equal(open_reply(), 0);
	steward = world_leaf(&reply->credentials.steward_chain);
	assert_int_equal(steward.kind, CERT_STEWARD);
	assert_true(grant_stewards(&steward.grant, bytes_str("shop")));
	assert_false(grant_stewards(&steward.grant, bytes_str("bank")));
	world_free_voucher(narrow);
}

static void test_a_leaf_is_renewed_with_its_own_key_and_keeps_its_place(void **state)
{
	struct wall later = {NOW.ms + YEAR_MS + CERT_DAY_MS};
	struct digest position;
	struct cert old;

	assert_int_equal(open_request(&voucher->cert), 0);
	assert_int_equal(answer_at(NOW), 0);
	assert_int_equal(open_reply(), 0);
	old = reply->credentials.machine;
	position = old.position;
	join_reply_deinit(reply);
	assert_int_equal(open_request(&old), 0);
	assert_true(request.renewal);
	assert_false(request.may_be_admitter);
	assert_int_equal(answer_at(later), 0);
	assert_int_equal(open_reply(), 0);
	assert_true(digest_equal(&reply->credentials.machine.position, &position));
	assert_true(reply->credentials.machine.not_after.ms > old.not_after.ms);
	assert_int_equal(reply->credentials.machine.grant.roles, ROLE_PLAIN);
}

static void test_a_leaf_does_not_let_another_key_in(void **state)
{
	assert_int_equal(open_request(&fabric->credentials.machine), JOIN_E_CREDENTIAL);
	assert_non_null(strstr(err.text, "does not allow to join as another machine"));
}

static void test_a_user_certificate_does_not_join(void **state)
{
	struct cert user = world_leaf(&fabric->admin.chain);

	assert_int_equal(open_request(&user), JOIN_E_CREDENTIAL);
}

static void test_the_place_in_the_dht_is_not_the_joiners_choice(void **state)
{
	uint8_t salt[CERT_SALT_LEN], other[CERT_SALT_LEN];

	issue_salt(&fabric->credentials.admit_key[0], &keys.machine.public_key, salt);
	issue_salt(&fabric->credentials.admit_key[1], &keys.machine.public_key, other);
	assert_memory_not_equal(salt, other, sizeof(salt));
	assert_int_equal(open_request(&voucher->cert), 0);
	assert_int_equal(answer_at(NOW), 0);
	assert_int_equal(open_reply(), 0);
	assert_memory_equal(reply->credentials.machine.salt, salt, sizeof(salt));
}

static void test_a_request_for_another_admitter_is_refused(void **state)
{
	struct digest other = {.byte = {1}};

	assert_int_equal(
		join_request_open(bytes_buf(&asked), &voucher->cert, &other, &request, &err),
		JOIN_E_PROOF);
}

static void test_a_key_without_proof_is_refused(void **state)
{
	struct key mine = keys.rest;

	keys.rest.public_key = fabric->credentials.rest_key.public_key;
	ask("beta");
	assert_int_equal(open_request(&voucher->cert), JOIN_E_PROOF);
	assert_non_null(strstr(err.text, "does not prove to hold"));
	keys.rest = mine;
}

static void test_one_key_for_two_uses_is_refused(void **state)
{
	keys.rest = keys.machine;
	ask("beta");
	assert_int_equal(open_request(&voucher->cert), JOIN_E_MALFORMED);
}

static void test_a_bad_node_name_is_refused(void **state)
{
	ask("Beta!");
	assert_int_equal(open_request(&voucher->cert), JOIN_E_NAME);
	ask("");
	assert_int_equal(open_request(&voucher->cert), JOIN_E_NAME);
}

static void test_each_changed_byte_of_a_request_is_noticed(void **state)
{
	struct join_request first;

	assert_int_equal(open_request(&voucher->cert), 0);
	first = request;
	for (size_t i = 0; i < asked.len; i++) {
		asked.ptr[i] ^= 1;
		/* What is not signed is the node's name, and fields that are passed over. */
		if (open_request(&voucher->cert) == 0)
			assert_memory_equal(&request.machine, &first.machine,
					    5 * sizeof(struct node_id));
		asked.ptr[i] ^= 1;
	}
}

static void test_a_refusal_arrives_in_the_admitters_words_without_tricks(void **state)
{
	buf_clear(&replied);
	join_refusal_build("no room\x1b[2J", &replied);
	assert_int_equal(open_reply(), JOIN_E_REFUSED);
	assert_string_equal(err.text, "the admitter refused: no room?[2J");
}

static void test_a_reply_of_another_fabric_is_refused(void **state)
{
	struct fabric_made *other = world_fabric(2);
	struct join_answer answer = {.admitter = &other->credentials, .now = NOW};

	assert_int_equal(open_request(&voucher->cert), 0);
	buf_clear(&replied);
	assert_int_equal(join_reply_build(&request, &answer, &replied, &err), 0);
	assert_int_equal(open_reply(), JOIN_E_REPLY);
	assert_non_null(strstr(err.text, "roots of another fabric"));
	world_free_fabric(other);
}

static void test_a_reply_for_other_keys_is_refused(void **state)
{
	uint8_t random[JOIN_RANDOM_LEN];

	assert_int_equal(open_request(&voucher->cert), 0);
	assert_int_equal(answer_at(NOW), 0);
	world_random(51, random, sizeof(random));
	join_keys_make(&keys, random);
	assert_int_equal(open_reply(), JOIN_E_REPLY);
	assert_non_null(strstr(err.text, "for another key"));
}

static void test_each_changed_byte_of_a_reply_is_survived(void **state)
{
	size_t refused = 0;

	assert_int_equal(open_request(&voucher->cert), 0);
	assert_int_equal(answer_at(NOW), 0);
	for (size_t i = 0; i < replied.len; i += 3) {
		replied.ptr[i] ^= 4;
		if (open_reply() == 0) {
			/* Time and members are covered by TLS alone. */
			assert_true(node_id_equal(&reply->credentials.machine.key,
						  &keys.machine.public_key));
			join_reply_deinit(reply);
		} else {
			refused++;
		}
		replied.ptr[i] ^= 4;
	}
	assert_true(refused > replied.len / 3 - 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_machine_joins_with_a_plain_token),
		TEST(test_what_a_joiner_got_survives_as_files),
		TEST(test_a_new_admitter_lets_others_in_when_the_first_is_gone),
		TEST(test_a_machine_learns_the_time_whatever_its_clock_says),
		TEST(test_a_worker_token_gives_no_more_than_worker),
		TEST(test_a_steward_of_one_namespace_gets_an_intermediate_for_it_alone),
		TEST(test_a_leaf_is_renewed_with_its_own_key_and_keeps_its_place),
		TEST(test_a_leaf_does_not_let_another_key_in),
		TEST(test_a_user_certificate_does_not_join),
		TEST(test_the_place_in_the_dht_is_not_the_joiners_choice),
		TEST(test_a_request_for_another_admitter_is_refused),
		TEST(test_a_key_without_proof_is_refused),
		TEST(test_one_key_for_two_uses_is_refused),
		TEST(test_a_bad_node_name_is_refused),
		TEST(test_each_changed_byte_of_a_request_is_noticed),
		TEST(test_a_refusal_arrives_in_the_admitters_words_without_tricks),
		TEST(test_a_reply_of_another_fabric_is_refused),
		TEST(test_a_reply_for_other_keys_is_refused),
		TEST(test_each_changed_byte_of_a_reply_is_survived),
	};

	return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
