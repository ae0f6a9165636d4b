/* SPDX-License-Identifier: Apache-2.0 */
/* The set: what counts in it follows from what is in it, in whatever order it came. */
#include "world.h"

#include <stdio.h>

#include "identity/issue.h"
#include "identity/revocation.h"

static struct revocations set;

static int setup(void **state)
{
	(void)state;
	revocations_init(&set, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	revocations_deinit(&set);
	return 0;
}

static struct node_id machine(uint8_t number)
{
	struct node_id id = {{0}};

	memset(id.byte, number, sizeof(id.byte));
	return id;
}

/* @signer revokes @subject at @at_ms; the envelope is made of just that. */
static int add(struct revocations *to, uint8_t signer, uint8_t subject, int64_t at_ms)
{
	struct revocation what = {.kind = REVOCATION_MACHINE, .machine = machine(subject)};
	char text[64];
	const struct revocation_claim claim = {
		.what = &what,
		.signer = machine(signer),
		.at = {at_ms},
		.envelope =
			bytes_of((uint8_t *)text, (size_t)snprintf(text, sizeof(text), "%d %d %ld",
								   signer, subject, (long)at_ms)),
	};

	return revocations_add(to, &claim, (struct wall){at_ms + 1});
}

static bool hit(uint8_t subject, int64_t before_ms)
{
	struct node_id id = machine(subject);

	return revocations_hit_machine(&set, &id, (struct wall){before_ms});
}

static void test_a_revocation_counts_from_its_time_on(void **state)
{
	struct node_id one = machine(5);

	(void)state;
	assert_int_equal(add(&set, 1, 5, 1000), 0);
	assert_false(hit(5, 1000));
	assert_true(hit(5, 1001));
	assert_true(revocations_hit_machine(&set, &one, WALL_NEVER));
	assert_false(hit(6, INT64_MAX));
	assert_int_equal(add(&set, 2, 5, 500), 0);
	assert_true(hit(5, 501)); /* the earlier one of two */
	assert_int_equal(add(&set, 2, 5, 500), REVOCATION_E_KNOWN);
}

static void test_what_a_revoked_admitter_signs_later_is_void(void **state)
{
	(void)state;
	assert_int_equal(add(&set, 1, 2, 1000), 0);
	assert_int_equal(add(&set, 2, 3, 1001), REVOCATION_E_VOID);
	assert_int_equal(add(&set, 2, 4, 999), 0);
	assert_false(hit(3, INT64_MAX));
	assert_true(hit(4, INT64_MAX));
}

/* A broken admitter revokes its judge, too late. */
static void test_the_order_of_arrival_does_not_matter(void **state)
{
	static const struct {
		uint8_t signer, subject;
		int64_t at_ms;
	} all[] = {{1, 2, 1000}, {2, 1, 1500}, {2, 3, 1600},
		   {1, 4, 1700}, {4, 5, 1650}, {4, 6, 1800}};
	static const size_t orders[][6] = {
		{0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {1, 3, 0, 2, 5, 4}, {4, 5, 2, 1, 0, 3}};
	struct digest fold = {{0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		struct revocations one;

		revocations_init(&one, i);
		/* Twice: what was dropped before it was right comes again from others. */
		for (size_t j = 0; j < 2 * ARRAY_LEN(all); j++) {
			size_t at = orders[i][j % ARRAY_LEN(all)];

			(void)!add(&one, all[at].signer, all[at].subject, all[at].at_ms);
		}
		assert_int_equal(one.count, 3);
		if (i == 0)
			fold = revocations_fold(&one);
		assert_memory_equal(revocations_fold(&one).byte, fold.byte, ID_LEN);
		revocations_deinit(&one);
	}
}

static void test_equal_sets_have_equal_folds(void **state)
{
	struct revocations other;
	struct digest before;

	(void)state;
	revocations_init(&other, 2);
	assert_memory_equal(revocations_fold(&set).byte, revocations_fold(&other).byte, ID_LEN);
	assert_int_equal(add(&set, 1, 2, 10), 0);
	assert_int_equal(add(&set, 1, 3, 20), 0);
	before = revocations_fold(&set);
	assert_int_equal(add(&other, 1, 3, 20), 0);
	assert_memory_not_equal(revocations_fold(&other).byte, before.byte, ID_LEN);
	assert_int_equal(add(&other, 1, 2, 10), 0);
	assert_memory_equal(revocations_fold(&other).byte, before.byte, ID_LEN);
	revocations_deinit(&other);
}

static void test_one_signer_leaves_room_for_others(void **state)
{
	(void)state;
	for (int64_t i = 0; i < REVOCATIONS_OF_ONE_MAX; i++)
		assert_int_equal(add(&set, 1, 2, 1000 + i), 0);
	assert_int_equal(add(&set, 1, 3, 1), REVOCATION_E_FULL);
	assert_int_equal(add(&set, 4, 3, 1), 0);
}

static void test_what_can_revoke_nothing_any_more_is_not_kept(void **state)
{
	struct revocation what = {.kind = REVOCATION_USER, .user = (char[]){"jo"}};
	const struct revocation_claim claim = {
		.what = &what, .signer = machine(1), .at = {1000}, .envelope = bytes_str("x")};

	(void)state;
	assert_int_equal(revocations_add(&set, &claim, (struct wall){1001 + REVOCATION_KEEP_MS}),
			 REVOCATION_E_OLD);
	assert_int_equal(revocations_add(&set, &claim, (struct wall){1000 + REVOCATION_KEEP_MS}),
			 0);
}

static void test_an_intermediate_is_revoked_with_its_holder(void **state)
{
	struct fabric_made *fabric = world_fabric(3);
	struct node_id holder = fabric->credentials.machine_key.public_key;
	struct revocation what = {.kind = REVOCATION_MACHINE, .machine = holder};
	const struct revocation_claim claim = {
		.what = &what, .signer = machine(1), .at = NOW, .envelope = bytes_str("x")};
	struct cert admit = world_leaf(&fabric->credentials.admit_cert[0]);
	struct cert steward = world_leaf(&fabric->credentials.steward_chain);
	struct revocation_subject subject = {.kind = CERT_ADMIT, .name = admit.name};

	(void)state;
	assert_false(revocations_hit(&set, &subject, WALL_NEVER));
	assert_int_equal(revocations_add(&set, &claim, NOW), 0);
	assert_true(revocations_hit(&set, &subject, WALL_NEVER));
	subject = (struct revocation_subject){.kind = CERT_STEWARD, .name = steward.name};
	assert_true(revocations_hit(&set, &subject, WALL_NEVER));
	/* A user whose name ends so is no intermediate. */
	subject.kind = CERT_USER;
	assert_false(revocations_hit(&set, &subject, WALL_NEVER));
	world_free_fabric(fabric);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_revocation_counts_from_its_time_on),
		TEST(test_what_a_revoked_admitter_signs_later_is_void),
		TEST(test_the_order_of_arrival_does_not_matter),
		TEST(test_equal_sets_have_equal_folds),
		TEST(test_one_signer_leaves_room_for_others),
		TEST(test_what_can_revoke_nothing_any_more_is_not_kept),
		TEST(test_an_intermediate_is_revoked_with_its_holder),
	};

	return cmocka_run_group_tests_name("revocation", tests, NULL, NULL);
}
