/* SPDX-License-Identifier: Apache-2.0 */
/* Quorum: a group of three on real disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "quorum_world.h"

static void test_three_become_one_group(void **state)
{
	struct world *world = *state;
	struct pod *leader, *other;
	struct quorum_answer answer;

	world_run_until(world, world_agrees);
	leader = world_leader(world);
	assert_ptr_equal(leader, &world->pods[0]);
	answer = pod_put(leader, "one");
	assert_int_equal(answer.answer, GROUP_DONE);
	assert_int_equal(answer.result.outcome, KEYS_DONE);
	pod_assert_value(leader, "one");
	assert_true(quorum_serves(leader->quorum));

	other = &world->pods[1];
	answer = pod_put(other, "two");
	assert_int_equal(answer.answer, GROUP_REFUSED);
	assert_int_equal(answer.refused, RAFT_REFUSED_NOT_LEADER);
	assert_int_equal(answer.leader, 0);
	assert_false(quorum_serves(other->quorum));
}

static void test_another_leads_when_the_leader_has_gone(void **state)
{
	struct world *world = *state;
	struct group_token before;

	world_run_until(world, world_agrees);
	assert_int_equal(pod_put(world_leader(world), "one").answer, GROUP_DONE);
	before = quorum_view(world->pods[0].quorum).token;
	pod_stop(&world->pods[0]);
	world_run_until(world, world_agrees);
	pod_assert_value(world_leader(world), "one");
	assert_int_equal(pod_put(world_leader(world), "two").answer, GROUP_DONE);
	assert_true(quorum_view(world_leader(world)->quorum).token.term > before.term);

	pod_start(&world->pods[0]); /* with its disk: the same member, and not born again */
	world_run_until(world, world_agrees);
	pod_assert_value(world_leader(world), "two");
}

static void test_all_come_back_with_what_was_agreed(void **state)
{
	struct world *world = *state;

	world_run_until(world, world_agrees);
	assert_int_equal(pod_put(world_leader(world), "kept").answer, GROUP_DONE);
	for (size_t i = 0; i < PODS; i++)
		pod_stop(&world->pods[i]);
	for (size_t i = 0; i < PODS; i++)
		pod_start(&world->pods[i]);
	world_run_until(world, world_agrees);
	pod_assert_value(world_leader(world), "kept");
}

static bool has_taken_over(const struct world *world)
{
	struct quorum_view view = quorum_view(world->pods[0].quorum);

	return world_agrees(world) && view.member && pod_voters(&world->pods[1]) == PODS;
}

static void test_a_lost_disk_comes_back_as_another_member(void **state)
{
	struct world *world = *state;
	uint64_t id;

	world_run_until(world, world_agrees);
	assert_int_equal(pod_put(world_leader(world), "kept").answer, GROUP_DONE);
	id = quorum_self(world->pods[0].quorum).id;
	pod_stop(&world->pods[0]);
	pod_wipe(&world->pods[0]);
	world->pods[0].epoch = 2; /* as it was awarded anew: it does not found a second group */
	pod_start(&world->pods[0]);
	assert_int_not_equal(quorum_self(world->pods[0].quorum).id, id);
	world_run_until(world, has_taken_over);
	pod_assert_value(world_leader(world), "kept");
	for (size_t i = 0; i < quorum_view(world->pods[1].quorum).members->count; i++)
		assert_int_not_equal(quorum_view(world->pods[1].quorum).members->list[i].id, id);
}

/* It went to another machine and came back, where the disk is of a member that was replaced. */
static void test_a_disk_whose_member_has_left_is_made_empty(void **state)
{
	struct world *world = *state;
	struct pod *pod = &world->pods[0], elsewhere;
	uint64_t id;

	world_run_until(world, world_agrees);
	assert_int_equal(pod_put(world_leader(world), "kept").answer, GROUP_DONE);
	id = quorum_self(pod->quorum).id;
	pod_stop(pod);
	elsewhere = *pod;
	(void)snprintf(pod->dir, sizeof(pod->dir), "/tmp/magik-quorum-XXXXXX");
	assert_non_null(mkdtemp(pod->dir));
	pod->epoch = 2;
	pod_start(pod);
	world_run_until(world, has_taken_over);
	pod_stop(pod);
	pod_wipe(pod);
	(void)rmdir(pod->dir);
	memcpy(pod->dir, elsewhere.dir, sizeof(pod->dir));
	pod->epoch = 3;
	pod_start(pod);
	assert_int_equal(quorum_self(pod->quorum).id, id);
	world_run_until(world, has_taken_over);
	assert_int_not_equal(quorum_self(pod->quorum).id, id);
	pod_assert_value(world_leader(world), "kept");
}

static void test_what_is_open_at_the_end_is_unknown(void **state)
{
	struct world *world = *state;
	struct buf bytes = {0};
	struct keys_command command = {.type = KEYS_COMMAND_SESSION};

	world_run_until(world, world_agrees);
	pod_stop(&world->pods[1]);
	pod_stop(&world->pods[2]);
	keys_command_encode(&command, &bytes);
	world->answered = false;
	assert_int_not_equal(
		quorum_propose(world->pods[0].quorum, bytes_buf(&bytes), world_on_answer, world),
		0);
	buf_deinit(&bytes);
	pod_stop(&world->pods[0]);
	assert_true(world->answered);
	assert_int_equal(world->answer.answer, GROUP_UNKNOWN);
}

static void test_a_pod_speaks_for_itself_only(void **state)
{
	struct world *world = *state;
	struct raft_message message = {.type = RAFT_APPEND_REPLY};
	struct buf bytes = {0};
	uint64_t term;

	world_run_until(world, world_agrees);
	term = quorum_view(world->pods[0].quorum).token.term;
	memset(message.cluster.byte, 7, UID_LEN);
	message.from = quorum_self(world->pods[1].quorum).id;
	message.to = quorum_self(world->pods[0].quorum).id;
	message.epoch = quorum_view(world->pods[0].quorum).token.epoch;
	message.term = term + 10;
	raft_message_encode(&message, &bytes);
	quorum_receive(world->pods[0].quorum, 2, bytes_buf(&bytes));
	assert_int_equal(quorum_view(world->pods[0].quorum).token.term, term);
	quorum_receive(world->pods[0].quorum, 1, bytes_buf(&bytes));
	assert_int_equal(quorum_view(world->pods[0].quorum).token.term, term + 10);
	buf_deinit(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_three_become_one_group, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_another_leads_when_the_leader_has_gone,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_all_come_back_with_what_was_agreed,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_a_lost_disk_comes_back_as_another_member,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_a_disk_whose_member_has_left_is_made_empty,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_what_is_open_at_the_end_is_unknown,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_a_pod_speaks_for_itself_only, world_setup,
						world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
