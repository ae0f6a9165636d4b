/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "ring.h"

enum {
	ELECTION_MS = 1000, /* long enough for any */
};

static void three_members_elect_one_that_serves(void **state)
{
	static struct ring ring;

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	assert_int_equal(ring_leader(&ring), 0);
	assert_int_equal(ring_view(&ring, 0).members->count, 3);
	assert_true(group_serves(ring.members[0].group, ring.now));
	ring_put(&ring, 0, 1, "a", "1");
	ring_settle(&ring);
	assert_int_equal(ring_answer(&ring, 1).answer, GROUP_DONE);
	ring_pass(&ring, 100);
	for (size_t i = 0; i < 3; i++)
		assert_true(ring_has(&ring, i, "a", "1"));
	ring_put(&ring, 1, 2, "a", "2");
	assert_int_equal(ring_answer(&ring, 2).answer, GROUP_REFUSED);
	assert_int_equal(ring_answer(&ring, 2).refused, RAFT_REFUSED_NOT_LEADER);
	ring_deinit(&ring);
}

static void a_lost_leader_is_replaced_and_a_minority_refuses(void **state)
{
	static struct ring ring;

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	ring_isolate(&ring, 0, true);
	ring_put(&ring, 0, 1, "a", "lost");
	ring_pass(&ring, ELECTION_MS);
	assert_int_not_equal(ring_leader(&ring), 0);
	assert_int_not_equal(ring_leader(&ring), RING_MAX);
	assert_false(group_serves(ring.members[0].group, ring.now));
	assert_int_equal(ring_answer(&ring, 1).answer, GROUP_UNKNOWN);
	ring_put(&ring, 0, 2, "a", "refused");
	assert_int_equal(ring_answer(&ring, 2).answer, GROUP_REFUSED);
	ring_isolate(&ring, 0, false);
	ring_put(&ring, ring_leader(&ring), 3, "a", "kept");
	ring_pass(&ring, ELECTION_MS);
	for (size_t i = 0; i < 3; i++)
		assert_true(ring_has(&ring, i, "a", "kept"));
	ring_deinit(&ring);
}

static void a_healthy_leader_stays_when_one_way_is_cut_or_a_member_returns(void **state)
{
	static struct ring ring;
	uint64_t term;

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	term = ring_view(&ring, 0).term;
	ring_cut(&ring, 0, 1, true);
	ring_pass(&ring, 10 * ELECTION_MS);
	assert_int_equal(ring_view(&ring, 0).term, term);
	assert_int_equal(ring_view(&ring, 1).role, RAFT_PRECANDIDATE);
	ring_cut(&ring, 0, 1, false);
	ring_isolate(&ring, 2, true);
	ring_pass(&ring, 10 * ELECTION_MS);
	ring_isolate(&ring, 2, false);
	ring_pass(&ring, ELECTION_MS);
	assert_int_equal(ring_leader(&ring), 0);
	assert_int_equal(ring_view(&ring, 2).term, term);
	ring_deinit(&ring);
}

static size_t count_type(const struct ring *ring, size_t from, enum raft_message_type type)
{
	size_t count = 0;

	for (size_t i = 0; i < ring->queued; i++) {
		struct raft_message message;

		assert_int_equal(raft_message_decode(bytes_buf(&ring->queue[i].bytes), &message),
				 0);
		count += ring->queue[i].from == from && message.type == type;
		raft_message_deinit(&message);
	}
	return count;
}

static void nothing_is_said_before_it_is_written(void **state)
{
	static struct ring ring;

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	ring.members[1].disk_held = true;
	ring_cut(&ring, 2, 0, true);
	ring_put(&ring, 0, 1, "a", "1");
	while (ring.queued > 0 && count_type(&ring, 1, RAFT_APPEND_REPLY) == 0)
		ring_settle(&ring);
	assert_false(ring_is_answered(&ring, 1));
	ring_flush(&ring, 1);
	ring_settle(&ring);
	assert_int_equal(ring_answer(&ring, 1).answer, GROUP_DONE);
	ring_deinit(&ring);
}

static void a_slow_disk_of_the_leader_delays_nobody(void **state)
{
	static struct ring ring;

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	ring.members[0].disk_held = true;
	for (uint64_t i = 1; i <= 20; i++)
		ring_put(&ring, 0, i, "a", "1");
	ring_settle(&ring);
	for (uint64_t i = 1; i <= 20; i++)
		assert_int_equal(ring_answer(&ring, i).answer, GROUP_DONE);
	assert_true(ring_view(&ring, 0).durable < ring_view(&ring, 0).commit);
	ring_deinit(&ring);
}

/* A member alone with @saved on its disk. */
static struct group *restarted(struct raft_saved *saved, const struct raft_members *members,
			       uint64_t id, struct mono now)
{
	saved->snapshot.index = 1;
	saved->snapshot.term = 1;
	saved->snapshot.members = *members;
	return group_new(id, 0, saved, now, 7);
}

static const struct raft_members three = {
	.list = {{.id = 1, .voter = true},
		 {.id = 2, .ordinal = 1, .voter = true},
		 {.id = 3, .ordinal = 2, .voter = true}},
	.count = 3,
};

struct alone {
	struct group *group;
	struct buf space;
	struct raft_message last; /* that was sent */
	size_t sent;
	uint64_t write;
	struct raft_meta written;
};

static void alone_init(struct alone *alone, struct raft_saved *saved, uint64_t term)
{
	struct keys_space space = {.index = 1};

	*alone = (struct alone){0};
	keys_space_encode(&space, &alone->space);
	saved->snapshot.data = bytes_buf(&alone->space);
	memset(saved->meta.cluster.byte, 9, UID_LEN);
	saved->meta.epoch = 1;
	saved->meta.term = term;
	saved->first = 2;
	alone->group = restarted(saved, &three, 1, (struct mono){US_PER_S});
	assert_non_null(alone->group);
}

static void alone_drain(struct alone *alone)
{
	const struct group_effect *effect;

	while ((effect = group_next_effect(alone->group)) != NULL) {
		if (effect->type == GROUP_SEND) {
			alone->last = effect->raft->message;
			alone->sent++;
		} else if (effect->type == GROUP_DISK) {
			alone->write = effect->raft->write;
			if (effect->raft->type == RAFT_SAVE)
				alone->written = effect->raft->meta;
		}
	}
}

static void alone_durable(struct alone *alone, int64_t at_us)
{
	struct raft_event event = {
		.type = RAFT_EVENT_DURABLE, .now = {at_us}, .write = alone->write};

	group_step(alone->group, &event);
	alone_drain(alone);
}

static void alone_receive(struct alone *alone, int64_t at_us, struct raft_message message)
{
	struct raft_event event = {
		.type = RAFT_EVENT_MESSAGE, .now = {at_us}, .message = &message, .random = 5};

	memset(message.cluster.byte, 9, UID_LEN);
	message.epoch = message.epoch ? message.epoch : 1;
	message.to = 1;
	group_step(alone->group, &event);
	alone_drain(alone);
}

static void alone_deinit(struct alone *alone)
{
	group_free(alone->group);
	buf_deinit(&alone->space);
}

static void a_vote_waits_for_the_disk_and_is_given_once(void **state)
{
	struct raft_saved saved = {0};
	struct alone alone;
	struct raft_message vote = {
		.type = RAFT_VOTE, .from = 2, .term = 6, .index = 9, .index_term = 5};

	(void)state;
	alone_init(&alone, &saved, 5);
	alone_receive(&alone, US_PER_S + 160 * US_PER_MS, vote);
	assert_int_equal(alone.sent, 0);
	assert_int_equal(alone.written.vote, fault_is_planted(FAULT_RAFT_VOTE_FORGOTTEN) ? 0 : 2);
	assert_int_equal(alone.written.term, 6);
	alone_durable(&alone, US_PER_S + 161 * US_PER_MS);
	assert_int_equal(alone.sent, 1);
	assert_int_equal(alone.last.type, RAFT_VOTE_REPLY);
	assert_true(alone.last.granted);
	vote.from = 3;
	alone_receive(&alone, US_PER_S + 162 * US_PER_MS, vote);
	assert_int_equal(alone.last.to, 3);
	assert_false(alone.last.granted);
	alone_deinit(&alone);
}

static void a_vote_on_the_disk_binds_after_a_restart(void **state)
{
	struct raft_saved saved = {.meta = {.vote = 2}};
	struct alone alone;
	struct raft_message vote = {
		.type = RAFT_VOTE, .from = 3, .term = 5, .index = 9, .index_term = 5};

	(void)state;
	alone_init(&alone, &saved, 5);
	alone_receive(&alone, US_PER_S + 160 * US_PER_MS, vote);
	assert_int_equal(alone.sent, 1);
	assert_false(alone.last.granted);
	alone_deinit(&alone);
}

static void a_restarted_member_keeps_what_it_promised_the_leader(void **state)
{
	struct raft_saved saved = {.meta = {.timeout_ms = 400}};
	struct alone alone;
	struct raft_message vote = {
		.type = RAFT_VOTE, .from = 2, .term = 6, .index = 9, .index_term = 5};

	(void)state;
	alone_init(&alone, &saved, 5);
	alone_receive(&alone, US_PER_S + 399 * US_PER_MS, vote);
	assert_int_equal(raft_view(group_raft(alone.group)).term, 5);
	alone_receive(&alone, US_PER_S + 400 * US_PER_MS, vote);
	alone_durable(&alone, US_PER_S + 400 * US_PER_MS);
	assert_true(alone.last.granted);
	alone_deinit(&alone);
}

static void a_leaders_wish_frees_from_earlier_promises_only(void **state)
{
	struct raft_saved saved = {0};
	struct alone alone;
	struct raft_message heard = {.type = RAFT_APPEND,
				     .from = 2,
				     .term = 5,
				     .index = 1,
				     .index_term = 1,
				     .round = 7,
				     .timeout_ms = 150};
	struct raft_message vote = {.type = RAFT_VOTE,
				    .from = 3,
				    .term = 6,
				    .index = 9,
				    .index_term = 5,
				    .round = 6,
				    .transfer = true};

	(void)state;
	alone_init(&alone, &saved, 5);
	alone_receive(&alone, US_PER_S + 200 * US_PER_MS, heard);
	alone_receive(&alone, US_PER_S + 201 * US_PER_MS, vote);
	assert_int_equal(raft_view(group_raft(alone.group)).term, 5);
	vote.round = 7;
	alone_receive(&alone, US_PER_S + 202 * US_PER_MS, vote);
	assert_int_equal(raft_view(group_raft(alone.group)).term, 6);
	alone_deinit(&alone);
}

/* Figure 3.7: the leader of term 4 has an entry of term 2 on a majority, which a candidate with one
 * of term 3 could still overwrite. */
static void an_entry_of_an_older_term_is_not_agreed_by_counting(void **state)
{
	struct raft_entry entries[] = {{.term = 2, .kind = RAFT_ENTRY_NOOP}};
	struct raft_saved saved = {.entries = entries, .entry_count = 1};
	struct alone alone;
	struct raft_message reply = {
		.type = RAFT_PREVOTE_REPLY, .from = 2, .term = 4, .granted = true};
	struct raft_event tick = {.type = RAFT_EVENT_TICK, .now = {2 * US_PER_S}};

	(void)state;
	alone_init(&alone, &saved, 3);
	group_step(alone.group, &tick);
	alone_drain(&alone);
	alone_receive(&alone, 2 * US_PER_S, reply);
	alone_durable(&alone, 2 * US_PER_S);
	reply.type = RAFT_VOTE_REPLY;
	alone_receive(&alone, 2 * US_PER_S, reply);
	alone_durable(&alone, 2 * US_PER_S);
	assert_int_equal(raft_view(group_raft(alone.group)).role, RAFT_LEADER);
	reply = (struct raft_message){
		.type = RAFT_APPEND_REPLY, .from = 2, .term = 4, .granted = true, .index = 2};
	alone_receive(&alone, 2 * US_PER_S, reply);
	assert_int_equal(raft_view(group_raft(alone.group)).commit,
			 fault_is_planted(FAULT_RAFT_OLD_TERM) ? 2 : 1);
	reply.index = 3;
	alone_receive(&alone, 2 * US_PER_S, reply);
	assert_int_equal(raft_view(group_raft(alone.group)).commit, 3);
	alone_deinit(&alone);
}

/* What these two look at is what the faults break. */
static void the_faults_that_hide_from_the_simulator_show(void **state)
{
	fault_plant(FAULT_RAFT_VOTE_FORGOTTEN);
	a_vote_waits_for_the_disk_and_is_given_once(state);
	fault_pull(FAULT_RAFT_VOTE_FORGOTTEN);
	fault_plant(FAULT_RAFT_OLD_TERM);
	an_entry_of_an_older_term_is_not_agreed_by_counting(state);
	fault_pull(FAULT_RAFT_OLD_TERM);
}

static void all_members_power_cut_at_once_come_back_and_agree(void **state)
{
	static struct ring ring;

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	ring_put(&ring, 0, 1, "a", "1");
	ring_settle(&ring);
	for (size_t i = 0; i < 3; i++)
		ring_stop(&ring, i);
	for (size_t i = 0; i < 3; i++)
		ring_start(&ring, i);
	ring_pass(&ring, ELECTION_MS);
	assert_int_not_equal(ring_leader(&ring), RING_MAX);
	for (size_t i = 0; i < 3; i++)
		assert_true(ring_has(&ring, i, "a", "1"));
	ring_deinit(&ring);
}

static void who_is_far_behind_gets_a_snapshot(void **state)
{
	static struct ring ring;
	char value[3000];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = 0;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	ring_isolate(&ring, 2, true);
	for (uint64_t i = 0; i < 200; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "key-%d", (int)i % 50);
		ring_put(&ring, 0, 1, name, value);
		ring_settle(&ring);
		ring.answer_count = 0;
	}
	assert_true(ring_view(&ring, 0).first > ring_view(&ring, 2).last + 1);
	ring_isolate(&ring, 2, false);
	ring_pass(&ring, 2 * ELECTION_MS);
	assert_true(ring_has(&ring, 2, "key-49", value));
	assert_int_equal(ring_view(&ring, 2).commit, ring_view(&ring, 0).commit);
	ring_stop(&ring, 2);
	ring_start(&ring, 2);
	assert_true(ring_has(&ring, 2, "key-49", value));
	ring_deinit(&ring);
}

static void a_read_is_answered_by_lease_or_by_a_round(void **state)
{
	static struct ring ring;

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	ring_read(&ring, 0, 1);
	assert_int_equal(ring_answer(&ring, 1).answer, GROUP_DONE);
	/* A pause longer than the lease: the next read asks first. */
	ring.now = mono_add_ms(ring.now, 140);
	assert_false(group_serves(ring.members[0].group, ring.now));
	ring_read(&ring, 0, 2);
	assert_false(ring_is_answered(&ring, 2));
	ring_settle(&ring);
	assert_int_equal(ring_answer(&ring, 2).answer, GROUP_DONE);
	assert_true(group_serves(ring.members[0].group, ring.now));
	ring_isolate(&ring, 0, true);
	ring.now = mono_add_ms(ring.now, 140);
	ring_read(&ring, 0, 3);
	ring_pass(&ring, ELECTION_MS);
	assert_int_equal(ring_answer(&ring, 3).answer, GROUP_REFUSED);
	ring_deinit(&ring);
}

static void leadership_is_handed_over_without_waiting(void **state)
{
	static struct ring ring;
	struct raft_event event = {
		.type = RAFT_EVENT_TRANSFER, .request = 1, .member = {.id = 102}};

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	ring_event(&ring, 0, event);
	assert_false(group_serves(ring.members[0].group, ring.now));
	ring_settle(&ring);
	assert_int_equal(ring_leader(&ring), 2);
	assert_int_equal(ring_view(&ring, 2).commit, ring_view(&ring, 2).last);
	ring_deinit(&ring);
}

static void a_transfer_that_fails_gives_the_lease_back(void **state)
{
	static struct ring ring;
	struct raft_event event = {.type = RAFT_EVENT_TRANSFER, .member = {.id = 102}};

	(void)state;
	ring_init(&ring, 3);
	ring_form(&ring, 3);
	ring_isolate(&ring, 2, true);
	ring_event(&ring, 0, event);
	ring_put(&ring, 0, 1, "a", "1");
	assert_int_equal(ring_answer(&ring, 1).refused, RAFT_REFUSED_BUSY);
	assert_false(group_serves(ring.members[0].group, ring.now));
	ring_pass(&ring, 300);
	assert_int_equal(ring_leader(&ring), 0);
	assert_true(group_serves(ring.members[0].group, ring.now));
	ring_deinit(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_members_elect_one_that_serves),
		cmocka_unit_test(a_lost_leader_is_replaced_and_a_minority_refuses),
		cmocka_unit_test(a_healthy_leader_stays_when_one_way_is_cut_or_a_member_returns),
		cmocka_unit_test(nothing_is_said_before_it_is_written),
		cmocka_unit_test(a_slow_disk_of_the_leader_delays_nobody),
		cmocka_unit_test(a_vote_waits_for_the_disk_and_is_given_once),
		cmocka_unit_test(a_vote_on_the_disk_binds_after_a_restart),
		cmocka_unit_test(a_restarted_member_keeps_what_it_promised_the_leader),
		cmocka_unit_test(a_leaders_wish_frees_from_earlier_promises_only),
		cmocka_unit_test(an_entry_of_an_older_term_is_not_agreed_by_counting),
		cmocka_unit_test(the_faults_that_hide_from_the_simulator_show),
		cmocka_unit_test(all_members_power_cut_at_once_come_back_and_agree),
		cmocka_unit_test(who_is_far_behind_gets_a_snapshot),
		cmocka_unit_test(a_read_is_answered_by_lease_or_by_a_round),
		cmocka_unit_test(leadership_is_handed_over_without_waiting),
		cmocka_unit_test(a_transfer_that_fails_gives_the_lease_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
