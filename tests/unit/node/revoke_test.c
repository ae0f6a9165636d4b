/* SPDX-License-Identifier: Apache-2.0 */
/* Revocations among machines: who may, how they get everywhere, what follows. Machine 0 admits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

static struct revocation of_machine(const struct world *world, size_t subject)
{
	static char nobody[] = "", reason[] = "lost";

	return (struct revocation){
		.kind = REVOCATION_MACHINE,
		.machine = world->machines[subject].id,
		.user = nobody,
		.reason = reason,
	};
}

static void revoke(struct world *world, size_t signer, size_t subject)
{
	struct revocation what = of_machine(world, subject);

	assert_int_equal(node_revoke(world->machines[signer].node, world->now, &what), 0);
}

static bool knows_of(const struct world *world, size_t machine, size_t subject)
{
	return node_is_revoked(world->machines[machine].node, &world->machines[subject].id);
}

static bool is_member(const struct world *world, size_t of, size_t machine)
{
	struct overlay_peer peer;

	return overlay_find_peer(node_overlay(world->machines[of].node),
				 &world->machines[machine].id, &peer) &&
	       peer.state == MEMBER_ALIVE;
}

static void cut(struct world *world, size_t first_of_other_side, bool cut)
{
	for (size_t a = 0; a < first_of_other_side; a++)
		for (size_t b = first_of_other_side; b < world->count; b++) {
			world->cut[a][b] = world->cut[b][a] = cut;
			if (!cut || !world->linked[a][b])
				continue;
			world->linked[a][b] = world->linked[b][a] = false;
			node_disconnected(world->machines[a].node, world->now,
					  &world->machines[b].id, &(struct addr){0});
			node_disconnected(world->machines[b].node, world->now,
					  &world->machines[a].id, &(struct addr){0});
		}
}

static void test_a_revoked_machine_is_cut_off_by_all(void **state)
{
	struct world *world = world_new(5);

	world_settle(world);
	revoke(world, 0, 3);
	world_run_ms(world, 100);
	for (size_t i = 0; i < world->count; i++) {
		assert_true(knows_of(world, i, 3));
		if (i == 3)
			continue;
		assert_false(world->linked[i][3]);
		assert_false(is_member(world, i, 3));
		assert_true(i == 0 || world->linked[0][i]);
	}
	/* It goes on trying; nobody lets it in. */
	world_run_ms(world, 60 * 1000);
	for (size_t i = 0; i < world->count; i++)
		assert_false(is_member(world, i, 3) && i != 3);
	world_free(world);
}

static void test_only_an_admitter_may_revoke(void **state)
{
	struct world *world = world_new(4);
	struct revocation what;
	struct message forged = {.type = MESSAGE_REVOCATION};
	struct buf envelope = {0};

	world_settle(world);
	what = of_machine(world, 3);
	assert_int_equal(node_revoke(world->machines[1].node, world->now, &what), NODE_E_ROLE);
	forged.revocation = what;
	world_seal(world, 1, 0, &forged, &envelope);
	world_inject(world, 1, 2, bytes_buf(&envelope));
	world_run_ms(world, 100);
	assert_false(knows_of(world, 2, 3));
	assert_int_equal(node_counter(world->machines[2].node, NODE_COUNT_ROLE), 1);
	buf_deinit(&envelope);
	world_free(world);
}

static void test_the_other_side_of_a_partition_hears_when_it_heals(void **state)
{
	struct world *world = world_new(8);

	world_settle(world);
	cut(world, 4, true);
	world_run_ms(world, 20 * 1000);
	revoke(world, 0, 6);
	world_run_ms(world, 1000);
	assert_true(knows_of(world, 3, 6));
	assert_false(knows_of(world, 5, 6));
	assert_true(world->linked[5][6]);
	cut(world, 4, false);
	/* Until the first pair has met again: the back-off of dialling. Then at once. */
	for (int i = 0; i < 30 * 10 && !world->linked[0][5]; i++)
		world_run_ms(world, 100);
	world_run_ms(world, 1000);
	for (size_t i = 4; i < 8; i++) {
		assert_true(knows_of(world, i, 6));
		assert_false(world->linked[i][6]);
	}
	world_free(world);
}

static void test_two_sides_that_revoked_join_what_they_have(void **state)
{
	struct world *world = world_new(6);
	struct revocation jo = {
		.kind = REVOCATION_USER, .user = (char[]){"jo"}, .reason = (char[]){""}};
	struct message message = {.type = MESSAGE_REVOCATION, .revocation = jo};
	struct buf envelope = {0};

	world_settle(world);
	cut(world, 3, true);
	world_run_ms(world, 20 * 1000);
	revoke(world, 0, 2);
	/* Signed by the admitter before, and known to the other side only. */
	world_seal(world, 0, 25 * 1000, &message, &envelope);
	world_inject(world, 4, 5, bytes_buf(&envelope));
	world_run_ms(world, 1000);
	assert_int_equal(node_revocations(world->machines[3].node)->count, 1);
	assert_int_equal(node_revocations(world->machines[1].node)->count, 1);
	cut(world, 3, false);
	world_run_ms(world, 40 * 1000);
	for (size_t i = 0; i < 6; i++)
		assert_true(i == 2 || node_revocations(world->machines[i].node)->count == 2);
	buf_deinit(&envelope);
	world_free(world);
}

static void test_what_a_revoked_machine_signs_is_refused_also_by_way_of_others(void **state)
{
	struct world *world = world_new(4);
	struct message message = {.type = MESSAGE_DISPOSAL};
	struct buf envelope = {0};
	struct uid uid;
	size_t on;

	world_settle(world);
	uid = world_deploy(world, 1, 1);
	world_run_ms(world, 1000);
	revoke(world, 0, 3);
	world_run_ms(world, 100);
	message.disposal.object = (struct object_ref){.uid = uid,
						      .namespace = (char[]){"default"},
						      .kind = (char[]){"Deployment"},
						      .name = (char[]){"web"}};
	world_seal(world, 3, 0, &message, &envelope);
	for (size_t i = 0; i < 3; i++)
		world_inject(world, (i + 1) % 3, i, bytes_buf(&envelope));
	world_run_ms(world, 1000);
	assert_int_equal(world_running(world, 1, &uid, &on), 1);
	assert_int_equal(
		world->machines[0].stops + world->machines[1].stops + world->machines[2].stops, 0);
	buf_deinit(&envelope);
	world_free(world);
}

static void test_its_pods_are_placed_again(void **state)
{
	struct world *world = world_new(4);
	struct uid uid;
	size_t on;

	world_settle(world);
	uid = world_deploy(world, 0, 4);
	world_run_ms(world, 1000);
	assert_int_equal(world_running(world, 0, &uid, &on), 4);
	revoke(world, 0, 3);
	world_run_ms(world, 5000);
	assert_int_equal(world->machines[0].starts + world->machines[1].starts +
				 world->machines[2].starts,
			 4);
	world_free(world);
}

static void test_it_is_restored_before_the_first_connection(void **state)
{
	struct world *world = world_new(3), *again;
	const struct revocation_entry *entry;
	struct leaf chain = {.cert_count = 1};

	world_settle(world);
	revoke(world, 0, 2);
	world_run_ms(world, 100);
	entry = revocations_next(node_revocations(world->machines[1].node), NULL);
	assert_non_null(entry);
	/* The same machines after a power cut: only one of them has read its disk. */
	again = world_new(3);
	world_settle(again);
	buf_append_bytes(&chain.certs[0], bytes_buf(&entry->chain));
	assert_int_equal(node_restore_revocation(again->machines[1].node, again->now, &chain,
						 bytes_buf(&entry->envelope)),
			 0);
	assert_true(knows_of(again, 1, 2));
	buf_deinit(&chain.certs[0]);
	world_free(again);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_revoked_machine_is_cut_off_by_all),
		cmocka_unit_test(test_only_an_admitter_may_revoke),
		cmocka_unit_test(test_the_other_side_of_a_partition_hears_when_it_heals),
		cmocka_unit_test(test_two_sides_that_revoked_join_what_they_have),
		cmocka_unit_test(
			test_what_a_revoked_machine_signs_is_refused_also_by_way_of_others),
		cmocka_unit_test(test_its_pods_are_placed_again),
		cmocka_unit_test(test_it_is_restored_before_the_first_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
