/* SPDX-License-Identifier: Apache-2.0 */
/* Two machines of one fabric with real certificates: what each makes of the other's envelopes. */
#include "machineplane/fabric.h"

#include <stdlib.h>

#include "../identity/world.h"
#include "base/mem.h"

enum {
	SECOND_MS = 1000,
};

struct pair {
	struct fabric_made *made;
	struct voucher *voucher;
	struct join_reply *reply;
	struct fabric *alpha, *beta;
};

static struct fabric *member(const struct credentials *credentials)
{
	struct fabric *fabric = mem_new(struct fabric);
	uint8_t seed[REPLAY_SEED_LEN] = {1};
	struct trust_query query = {.purpose = TRUST_MESH, .now = NOW};
	struct chain chain = world_chain(&credentials->machine_chain);

	fabric->credentials = *credentials; /* borrowed */
	fabric->leaf = credentials->machine.hash;
	world_trust(credentials, &fabric->trust);
	replay_init(&fabric->replay, seed, 0);
	assert_int_equal(trust_verify(&fabric->trust, &query, &chain, NULL, NULL), 0);
	return fabric;
}

static void member_free(struct fabric *fabric)
{
	trust_deinit(&fabric->trust);
	replay_deinit(&fabric->replay);
	free(fabric);
}

static int setup(void **state)
{
	struct pair *pair = mem_new(struct pair);

	pair->made = world_fabric(1);
	pair->voucher = world_voucher(pair->made, grant_all(), true, NOW);
	pair->reply = world_join(pair->made, pair->voucher, "beta", 2, NOW, false);
	pair->alpha = member(&pair->made->credentials);
	pair->beta = member(&pair->reply->credentials);
	*state = pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	member_free(pair->alpha);
	member_free(pair->beta);
	world_free_reply(pair->reply);
	world_free_voucher(pair->voucher);
	world_free_fabric(pair->made);
	free(pair);
	return 0;
}

static struct wall later(int64_t ms)
{
	return (struct wall){NOW.ms + ms};
}

static void seal(struct fabric *fabric, struct wall at, struct buf *out)
{
	struct node_trust trust = fabric_node_trust(fabric);

	buf_clear(out);
	trust.ops->seal(trust.self, at, bytes_str("payload"), out);
}

static int open_at(struct fabric *fabric, struct wall now, const struct buf *envelope,
		   struct node_signed *ret)
{
	struct node_trust trust = fabric_node_trust(fabric);

	return trust.ops->open(trust.self, now, bytes_buf(envelope), ret);
}

static int fresh_at(struct fabric *fabric, struct wall now, const struct node_signed *opened)
{
	struct node_trust trust = fabric_node_trust(fabric);

	return trust.ops->fresh(trust.self, now, opened);
}

/* As over the wire: asked for by its hash, handed over, verified. */
static bool learn(struct fabric *from, struct fabric *by, struct wall now,
		  const struct digest *hash)
{
	struct node_trust has = fabric_node_trust(from), wants = fabric_node_trust(by);
	struct leaf leaf = {0};
	bool learnt;

	if (!has.ops->leaf_get(has.self, hash, &leaf))
		return false;
	learnt = wants.ops->leaf_add(wants.self, now, &leaf);
	for (size_t i = 0; i < leaf.cert_count; i++)
		buf_deinit(&leaf.certs[i]);
	return learnt;
}

static void an_unknown_issuers_certificate_is_asked_for_and_then_it_opens(void **state)
{
	struct pair *pair = *state;
	struct buf envelope = {0};
	struct node_signed opened = {0};

	seal(pair->beta, NOW, &envelope);
	assert_int_equal(open_at(pair->alpha, NOW, &envelope, &opened), NODE_TRUST_E_LEAF);
	assert_memory_equal(&opened.leaf, &pair->beta->leaf, sizeof(opened.leaf));
	assert_true(learn(pair->beta, pair->alpha, NOW, &opened.leaf));
	assert_int_equal(open_at(pair->alpha, NOW, &envelope, &opened), 0);
	assert_memory_equal(&opened.issuer, &pair->reply->credentials.machine.key,
			    sizeof(opened.issuer));
	assert_true(bytes_equal(opened.payload, bytes_str("payload")));
	assert_true(learn(pair->alpha, pair->beta, NOW, &pair->alpha->leaf));
	buf_deinit(&envelope);
}

static void its_own_envelopes_open_without_asking(void **state)
{
	struct pair *pair = *state;
	struct buf envelope = {0};
	struct node_signed opened;

	seal(pair->alpha, NOW, &envelope);
	assert_int_equal(open_at(pair->alpha, NOW, &envelope, &opened), 0);
	buf_deinit(&envelope);
}

static void every_flipped_byte_is_refused(void **state)
{
	struct pair *pair = *state;
	struct buf envelope = {0};
	struct node_signed opened;

	assert_true(learn(pair->beta, pair->alpha, NOW, &pair->beta->leaf));
	seal(pair->beta, NOW, &envelope);
	for (size_t i = 0; i < envelope.len; i++) {
		envelope.ptr[i] ^= 1;
		assert_int_not_equal(open_at(pair->alpha, NOW, &envelope, &opened), 0);
		envelope.ptr[i] ^= 1;
	}
	assert_int_equal(open_at(pair->alpha, NOW, &envelope, &opened), 0);
	buf_deinit(&envelope);
}

static void a_message_counts_once_and_within_30_s(void **state)
{
	struct pair *pair = *state;
	struct buf envelope = {0};
	struct node_signed opened;

	assert_true(learn(pair->beta, pair->alpha, NOW, &pair->beta->leaf));
	seal(pair->beta, NOW, &envelope);
	assert_int_equal(open_at(pair->alpha, NOW, &envelope, &opened), 0);
	assert_int_equal(fresh_at(pair->alpha, later(29 * SECOND_MS), &opened), 0);
	assert_int_equal(fresh_at(pair->alpha, later(29 * SECOND_MS), &opened),
			 NODE_TRUST_E_REPLAY);
	assert_int_equal(fresh_at(pair->alpha, later(31 * SECOND_MS), &opened), NODE_TRUST_E_STALE);
	seal(pair->beta, later(120 * SECOND_MS), &envelope);
	assert_int_equal(open_at(pair->alpha, later(60 * SECOND_MS), &envelope, &opened), 0);
	assert_int_equal(fresh_at(pair->alpha, later(60 * SECOND_MS), &opened), NODE_TRUST_E_STALE);
	buf_deinit(&envelope);
}

static void what_was_signed_in_time_opens_after_the_certificate_has_expired(void **state)
{
	struct pair *pair = *state;
	struct wall expiry = pair->reply->credentials.machine.not_after;
	struct wall after = {expiry.ms + CERT_DAY_MS}, before = {expiry.ms - CERT_DAY_MS};
	struct node_trust trust = fabric_node_trust(pair->alpha);
	struct buf envelope = {0};
	struct node_signed opened;

	assert_true(learn(pair->beta, pair->alpha, after, &pair->beta->leaf));
	seal(pair->beta, before, &envelope);
	assert_int_equal(open_at(pair->alpha, after, &envelope, &opened), 0);
	assert_true(trust.ops->is_steward(trust.self, opened.signed_at, &opened.leaf, "default"));
	seal(pair->beta, after, &envelope);
	assert_int_equal(open_at(pair->alpha, after, &envelope, &opened), NODE_TRUST_E_REFUSED);
	assert_false(trust.ops->is_steward(trust.self, after, &pair->beta->leaf, "default"));
	buf_deinit(&envelope);
}

static void a_machine_of_another_fabric_is_never_known(void **state)
{
	struct pair *pair = *state;
	struct fabric_made *other = world_fabric(9);
	struct fabric *stranger = member(&other->credentials);
	struct buf envelope = {0};
	struct node_signed opened = {0};

	seal(stranger, NOW, &envelope);
	assert_int_equal(open_at(pair->alpha, NOW, &envelope, &opened), NODE_TRUST_E_LEAF);
	assert_false(learn(stranger, pair->alpha, NOW, &opened.leaf));
	assert_int_equal(open_at(pair->alpha, NOW, &envelope, &opened), NODE_TRUST_E_LEAF);
	buf_deinit(&envelope);
	member_free(stranger);
	world_free_fabric(other);
}

static void a_worker_is_steward_of_nothing(void **state)
{
	struct pair *pair = *state;
	struct grant grant = {.roles = ROLE_WORKER};
	struct voucher *voucher = world_voucher(pair->made, grant, false, NOW);
	struct join_reply *reply = world_join(pair->made, voucher, "gamma", 3, NOW, false);
	struct fabric *gamma = member(&reply->credentials);
	struct node_trust trust = fabric_node_trust(pair->alpha);

	assert_true(learn(gamma, pair->alpha, NOW, &gamma->leaf));
	assert_true(learn(pair->beta, pair->alpha, NOW, &pair->beta->leaf));
	assert_false(trust.ops->is_steward(trust.self, NOW, &gamma->leaf, "default"));
	assert_true(trust.ops->is_steward(trust.self, NOW, &pair->beta->leaf, "default"));
	member_free(gamma);
	world_free_reply(reply);
	world_free_voucher(voucher);
}

#define PAIR_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(an_unknown_issuers_certificate_is_asked_for_and_then_it_opens),
		PAIR_TEST(its_own_envelopes_open_without_asking),
		PAIR_TEST(every_flipped_byte_is_refused),
		PAIR_TEST(a_message_counts_once_and_within_30_s),
		PAIR_TEST(what_was_signed_in_time_opens_after_the_certificate_has_expired),
		PAIR_TEST(a_machine_of_another_fabric_is_never_known),
		PAIR_TEST(a_worker_is_steward_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
