/* SPDX-License-Identifier: Apache-2.0 */
/* Births, members that come and go, and epochs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ring.h"

enum {
	ELECTION_MS = 1000,
};

static size_t voters(const struct ring *ring, size_t member)
{
	const struct raft_members *members = ring_view(ring, member).members;
	size_t count = 0;

	for (size_t i = 0; i < members->count; i++)
		count += members->list[i].voter;
	return count;
}

static void leave(struct ring *ring, size_t leader, size_t member, uint64_t request)
{
	struct raft_event event = {.type = RAFT_EVENT_LEAVE,
				   .request = request,
				   .member = {.id = ring->members[member].id}};

	ring_event(ring, leader, event);
	ring_settle(ring);
}

static void a_group_is_born_once(void **state)
{
	struct ring ring;

	(void)state;
	ring_init(&ring, 2);
	ring_birth(&ring, 0);
	assert_int_equal(ring_answer(&ring, 1000).answer, GROUP_DONE);
	assert_int_equal(ring_leader(&ring), 0);
	ring_birth(&ring, 0);
	assert_int_equal(ring_answer(&ring, 1000).answer, GROUP_REFUSED);
	assert_int_equal(ring_answer(&ring, 1000).refused, RAFT_REFUSED_STATE);
	ring_deinit(&ring);
}

static void members_of_another_birth_are_not_heard(void **state)
{
	struct ring ring;

	(void)state;
	ring_init(&ring, 2);
	ring_birth(&ring, 0);
	ring_birth(&ring, 1);
	ring_join(&ring, 0, 1, 1, 1);
	ring_pass(&ring, ELECTION_MS);
	assert_int_equal(voters(&ring, 0), 1);
	assert_int_equal(ring_view(&ring, 1).role, RAFT_LEADER);
	assert_int_equal(ring_view(&ring, 1).members->count, 1);
	assert_int_equal(ring_view(&ring, 0).members->count, 2);
	ring_deinit(&ring);
}

static void three_become_five_and_three_again_without_losing_writes(void **state)
{
	struct ring ring;

	(void)state;
	ring_init(&ring, 5);
	ring_form(&ring, 3);
	ring_put(&ring, 0, 1, "a", "1");
	ring_join(&ring, 0, 3, 3, 1);
	ring_pass(&ring, 200);
	ring_join(&ring, 0, 4, 4, 1);
	ring_pass(&ring, 200);
	assert_int_equal(voters(&ring, 4), 5);
	ring_put(&ring, 0, 2, "b", "2");
	ring_settle(&ring);
	leave(&ring, 0, 1, 10);
	leave(&ring, 0, 2, 11);
	assert_int_equal(ring_answer(&ring, 11).answer, GROUP_DONE);
	ring_pass(&ring, ELECTION_MS);
	assert_int_equal(voters(&ring, 0), 3);
	/* Who has left asks for votes, and is told. */
	assert_int_equal(ring_view(&ring, 1).role, RAFT_REMOVED);
	assert_int_equal(ring_view(&ring, 2).role, RAFT_REMOVED);
	assert_int_equal(ring_leader(&ring), 0);
	ring_stop(&ring, 0);
	ring_pass(&ring, ELECTION_MS);
	assert_true(ring_has(&ring, ring_leader(&ring), "a", "1"));
	assert_true(ring_has(&ring, ring_leader(&ring), "b", "2"));
	ring_deinit(&ring);
}

static void a_leader_can_be_removed(void **state)
{
	struct ring ring;

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	leave(&ring, 0, 0, 1);
	assert_int_equal(ring_answer(&ring, 1).answer, GROUP_DONE);
	assert_int_equal(ring_view(&ring, 0).role, RAFT_REMOVED);
	ring_pass(&ring, ELECTION_MS);
	assert_int_not_equal(ring_leader(&ring), RING_MAX);
	assert_int_equal(voters(&ring, ring_leader(&ring)), 2);
	ring_deinit(&ring);
}

static void nobody_leaves_whom_the_others_could_not_do_without(void **state)
{
	struct ring ring;

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	ring_stop(&ring, 2);
	ring_pass(&ring, ELECTION_MS);
	leave(&ring, 0, 1, 1);
	assert_int_equal(ring_answer(&ring, 1).refused, RAFT_REFUSED_UNSAFE);
	leave(&ring, 0, 2, 2);
	assert_int_equal(ring_answer(&ring, 2).answer, GROUP_DONE);
	leave(&ring, 0, 1, 3);
	assert_int_equal(ring_answer(&ring, 3).answer, GROUP_DONE);
	assert_int_equal(voters(&ring, 0), 1);
	ring_deinit(&ring);
}

static void members_change_one_at_a_time(void **state)
{
	struct ring ring;
	struct raft_event join = {
		.type = RAFT_EVENT_JOIN, .request = 1, .member = {.id = 103, .ordinal = 3}};

	(void)state;
	ring_init(&ring, 5);
	ring_form(&ring, 3);
	ring_event(&ring, 0, join);
	join.request = 2;
	join.member = (struct raft_member){.id = 104, .ordinal = 4};
	ring_event(&ring, 0, join);
	assert_int_equal(ring_answer(&ring, 2).refused, RAFT_REFUSED_CHANGING);
	ring_settle(&ring);
	assert_int_equal(ring_answer(&ring, 1).answer, GROUP_DONE);
	ring_deinit(&ring);
}

static void an_ordinal_belongs_to_its_latest_instance(void **state)
{
	struct ring ring;

	(void)state;
	ring_init(&ring, 5);
	ring_form(&ring, 3);
	/* A second replica of the same ordinal and epoch stays out. */
	ring_join(&ring, 0, 3, 2, 1);
	assert_int_equal(ring_answer(&ring, 2003).refused, RAFT_REFUSED_MEMBER);
	/* The disk of 2 is lost: its later instance is another member in its place. */
	ring_stop(&ring, 2);
	ring_join(&ring, 0, 4, 2, 2);
	ring_pass(&ring, ELECTION_MS);
	assert_int_equal(ring_answer(&ring, 2004).answer, GROUP_DONE);
	assert_int_equal(voters(&ring, 0), 3);
	assert_int_equal(ring_view(&ring, 4).members->list[2].id, 104);
	assert_int_equal(ring_view(&ring, 4).members->list[2].epoch, 2);
	/* And the earlier one has no say any more, should it come back. */
	ring_start(&ring, 2);
	ring_pass(&ring, 2 * ELECTION_MS);
	assert_int_equal(ring_view(&ring, 2).role, RAFT_REMOVED);
	ring_deinit(&ring);
}

static void a_lost_majority_refuses_until_the_epoch_is_raised(void **state)
{
	struct ring ring;
	struct raft_event recover = {.type = RAFT_EVENT_RECOVER, .request = 5, .epoch = 1};

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	ring_put(&ring, 0, 1, "a", "1");
	ring_pass(&ring, 200);
	ring_stop(&ring, 1);
	ring_stop(&ring, 2);
	ring_pass(&ring, 60 * ELECTION_MS);
	ring_put(&ring, 0, 2, "a", "2");
	assert_int_equal(ring_answer(&ring, 2).answer, GROUP_REFUSED);
	ring_event(&ring, 0, recover);
	assert_int_equal(ring_answer(&ring, 5).refused, RAFT_REFUSED_STATE);
	recover.epoch = 2;
	ring_event(&ring, 0, recover);
	ring_pass(&ring, ELECTION_MS);
	assert_int_equal(ring_answer(&ring, 5).answer, GROUP_DONE);
	assert_true(group_serves(ring.members[0].group, ring.now));
	assert_int_equal(group_token(ring.members[0].group).epoch, 2);
	assert_true(ring_has(&ring, 0, "a", "1"));
	ring_put(&ring, 0, 3, "a", "3");
	ring_settle(&ring);
	assert_int_equal(ring_answer(&ring, 3).answer, GROUP_DONE);
	/* Those who were given up come back as a majority of the older epoch, and are told. */
	ring_start(&ring, 1);
	ring_start(&ring, 2);
	ring_pass(&ring, 2 * ELECTION_MS);
	assert_int_equal(ring_view(&ring, 1).role, RAFT_SUPERSEDED);
	assert_int_equal(ring_view(&ring, 2).role, RAFT_SUPERSEDED);
	assert_int_equal(ring_leader(&ring), 0);
	ring_stop(&ring, 1);
	ring_start(&ring, 1);
	assert_int_equal(ring_view(&ring, 1).role, RAFT_SUPERSEDED);
	ring_deinit(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_is_born_once),
		cmocka_unit_test(members_of_another_birth_are_not_heard),
		cmocka_unit_test(three_become_five_and_three_again_without_losing_writes),
		cmocka_unit_test(a_leader_can_be_removed),
		cmocka_unit_test(nobody_leaves_whom_the_others_could_not_do_without),
		cmocka_unit_test(members_change_one_at_a_time),
		cmocka_unit_test(an_ordinal_belongs_to_its_latest_instance),
		cmocka_unit_test(a_lost_majority_refuses_until_the_epoch_is_raised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
