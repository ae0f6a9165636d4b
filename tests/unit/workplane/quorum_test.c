/* SPDX-License-Identifier: Apache-2.0 */
/* Quorum: three pods in one process, each with its own disk, on the real clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/clock.h"
#include "workplane/quorum.h"

enum {
	PODS = 3,
	WAIT_MS = 20 * 1000,
	PATH_LEN = 300,
};

struct world;

struct pod {
	struct world *world;
	uint32_t ordinal, epoch;
	struct quorum *quorum; /* NULL: it is down */
	char dir[64];
};

struct world {
	struct loop *loop;
	struct pod pods[PODS];
	size_t on_the_way; /* letters */
	bool changed;
	bool answered;
	struct quorum_answer answer;
};

struct letter {
	struct pod *from, *to;
	struct buf bytes;
};

static void arrive(void *user)
{
	struct letter *letter = user;

	letter->from->world->on_the_way--;
	if (letter->to->quorum)
		quorum_receive(letter->to->quorum, letter->from->ordinal,
			       bytes_buf(&letter->bytes));
	buf_deinit(&letter->bytes);
	free(letter);
}

static void on_send(void *user, uint32_t ordinal, struct bytes message)
{
	struct pod *pod = user;
	struct letter *letter = mem_new(struct letter);

	assert_true(ordinal < PODS && ordinal != pod->ordinal);
	letter->from = pod;
	letter->to = &pod->world->pods[ordinal];
	buf_append_bytes(&letter->bytes, message);
	pod->world->on_the_way++;
	loop_defer(pod->world->loop, arrive, letter);
}

static void ignore(void *user, const struct quorum_answer *answer)
{
	(void)user;
	(void)answer;
}

/* What the agents do by messages: whoever leads takes it in. */
static void on_seek(void *user)
{
	struct pod *pod = user;
	struct raft_member self = quorum_self(pod->quorum);

	for (size_t i = 0; i < PODS; i++)
		if (&pod->world->pods[i] != pod && pod->world->pods[i].quorum)
			assert_int_not_equal(
				quorum_join(pod->world->pods[i].quorum, &self, ignore, NULL), 0);
}

static void on_changed(void *user)
{
	struct pod *pod = user;

	pod->world->changed = true;
}

static void on_lost(void *user, const char *why)
{
	(void)user;
	fail_msg("%s", why);
}

static void start(struct pod *pod)
{
	struct quorum_config config = {
		.loop = pod->world->loop,
		.dir = pod->dir,
		.ordinal = pod->ordinal,
		.epoch = pod->epoch,
		.birth = pod->ordinal == 0 && pod->epoch == 1,
		.handler = {on_send, on_seek, on_changed, on_lost, pod},
	};
	struct err err = {0};

	memset(config.cluster.byte, 7, UID_LEN);
	memset(config.pod.byte, (int)(1 + pod->ordinal + 16 * pod->epoch), UID_LEN);
	assert_int_equal(quorum_new(&config, &pod->quorum, &err), 0);
	assert_int_equal(quorum_start(pod->quorum, &err), 0);
}

static void stop(struct pod *pod)
{
	quorum_free(pod->quorum);
	pod->quorum = NULL;
}

static void wipe(struct pod *pod)
{
	char path[PATH_LEN];

	(void)snprintf(path, sizeof(path), "%s/data.mdb", pod->dir);
	(void)unlink(path);
}

static int setup(void **state)
{
	struct world *world = mem_new(struct world);

	world->loop = loop_new();
	for (uint32_t i = 0; i < PODS; i++) {
		struct pod *pod = &world->pods[i];

		pod->world = world;
		pod->ordinal = i;
		pod->epoch = 1;
		(void)snprintf(pod->dir, sizeof(pod->dir), "/tmp/magik-quorum-XXXXXX");
		assert_non_null(mkdtemp(pod->dir));
		start(pod);
	}
	*state = world;
	return 0;
}

static bool never(const struct world *world)
{
	return world->on_the_way == 0;
}

static void run_until(struct world *world, bool (*reached)(const struct world *world))
{
	struct mono deadline = mono_add_ms(clock_mono(), WAIT_MS);

	while (!reached(world)) {
		world->changed = false;
		(void)loop_run_until(world->loop, &world->changed,
				     mono_min(deadline, mono_add_ms(clock_mono(), 5)));
		assert_false(mono_reached(clock_mono(), deadline));
	}
}

static int teardown(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < PODS; i++) {
		stop(&world->pods[i]);
		wipe(&world->pods[i]);
		(void)rmdir(world->pods[i].dir);
	}
	run_until(world, never);
	loop_free(world->loop);
	free(world);
	return 0;
}

static size_t count_voters(const struct pod *pod)
{
	struct quorum_view view = quorum_view(pod->quorum);
	size_t count = 0;

	for (size_t i = 0; i < view.members->count; i++)
		count += view.members->list[i].voter;
	return count;
}

/* One leads, all that run know it, and all of the group vote. */
static bool agrees(const struct world *world)
{
	int64_t leader = QUORUM_NOBODY;

	for (size_t i = 0; i < PODS; i++) {
		struct quorum_view view;

		if (!world->pods[i].quorum)
			continue;
		view = quorum_view(world->pods[i].quorum);
		if (!view.member || view.leader == QUORUM_NOBODY ||
		    count_voters(&world->pods[i]) != PODS ||
		    (leader != QUORUM_NOBODY && leader != view.leader))
			return false;
		leader = view.leader;
	}
	return world->pods[leader].quorum &&
	       quorum_view(world->pods[leader].quorum).role == RAFT_LEADER;
}

static struct pod *leader_of(struct world *world)
{
	for (size_t i = 0; i < PODS; i++)
		if (world->pods[i].quorum && quorum_view(world->pods[i].quorum).role == RAFT_LEADER)
			return &world->pods[i];
	fail_msg("nobody leads");
	return &world->pods[0];
}

static void on_answer(void *user, const struct quorum_answer *answer)
{
	struct world *world = user;

	assert_false(world->answered);
	world->answered = true;
	world->answer = *answer;
}

static bool is_answered(const struct world *world)
{
	return world->answered;
}

/* What comes of writing "name" = @value at @pod. */
static struct quorum_answer put(struct world *world, struct pod *pod, const char *value)
{
	struct keys_command command = {.type = KEYS_COMMAND_PUT,
				       .name = bytes_str("name"),
				       .any = true,
				       .value = bytes_str(value)};
	struct buf bytes = {0};

	keys_command_encode(&command, &bytes);
	world->answered = false;
	assert_int_not_equal(quorum_propose(pod->quorum, bytes_buf(&bytes), on_answer, world), 0);
	assert_false(world->answered);
	buf_deinit(&bytes);
	run_until(world, is_answered);
	return world->answer;
}

static void assert_value(struct world *world, struct pod *pod, const char *value)
{
	const struct keys_item *item;

	world->answered = false;
	assert_int_not_equal(quorum_read(pod->quorum, on_answer, world), 0);
	run_until(world, is_answered);
	assert_int_equal(world->answer.answer, GROUP_DONE);
	item = keys_find(quorum_keys(pod->quorum), KEYS_VALUE, bytes_str("name"));
	assert_non_null(item);
	assert_true(bytes_equal(item->value, bytes_str(value)));
}

static void test_three_become_one_group(void **state)
{
	struct world *world = *state;
	struct pod *leader, *other;
	struct quorum_answer answer;

	run_until(world, agrees);
	leader = leader_of(world);
	assert_ptr_equal(leader, &world->pods[0]);
	answer = put(world, leader, "one");
	assert_int_equal(answer.answer, GROUP_DONE);
	assert_int_equal(answer.result.outcome, KEYS_DONE);
	assert_value(world, leader, "one");
	assert_true(quorum_serves(leader->quorum));

	other = &world->pods[1];
	answer = put(world, other, "two");
	assert_int_equal(answer.answer, GROUP_REFUSED);
	assert_int_equal(answer.refused, RAFT_REFUSED_NOT_LEADER);
	assert_int_equal(answer.leader, 0);
	assert_false(quorum_serves(other->quorum));
}

static void test_another_leads_when_the_leader_has_gone(void **state)
{
	struct world *world = *state;
	struct group_token before;

	run_until(world, agrees);
	assert_int_equal(put(world, leader_of(world), "one").answer, GROUP_DONE);
	before = quorum_view(world->pods[0].quorum).token;
	stop(&world->pods[0]);
	run_until(world, agrees);
	assert_value(world, leader_of(world), "one");
	assert_int_equal(put(world, leader_of(world), "two").answer, GROUP_DONE);
	assert_true(quorum_view(leader_of(world)->quorum).token.term > before.term);

	start(&world->pods[0]); /* with its disk: the same member, and not born again */
	run_until(world, agrees);
	assert_value(world, leader_of(world), "two");
}

static void test_all_come_back_with_what_was_agreed(void **state)
{
	struct world *world = *state;

	run_until(world, agrees);
	assert_int_equal(put(world, leader_of(world), "kept").answer, GROUP_DONE);
	for (size_t i = 0; i < PODS; i++)
		stop(&world->pods[i]);
	for (size_t i = 0; i < PODS; i++)
		start(&world->pods[i]);
	run_until(world, agrees);
	assert_value(world, leader_of(world), "kept");
}

static bool has_taken_over(const struct world *world)
{
	struct quorum_view view = quorum_view(world->pods[0].quorum);

	return agrees(world) && view.member && count_voters(&world->pods[1]) == PODS;
}

static void test_a_lost_disk_comes_back_as_another_member(void **state)
{
	struct world *world = *state;
	uint64_t id;

	run_until(world, agrees);
	assert_int_equal(put(world, leader_of(world), "kept").answer, GROUP_DONE);
	id = quorum_self(world->pods[0].quorum).id;
	stop(&world->pods[0]);
	wipe(&world->pods[0]);
	world->pods[0].epoch = 2; /* as it was awarded anew: it does not found a second group */
	start(&world->pods[0]);
	assert_int_not_equal(quorum_self(world->pods[0].quorum).id, id);
	run_until(world, has_taken_over);
	assert_value(world, leader_of(world), "kept");
	for (size_t i = 0; i < quorum_view(world->pods[1].quorum).members->count; i++)
		assert_int_not_equal(quorum_view(world->pods[1].quorum).members->list[i].id, id);
}

static void test_what_is_open_at_the_end_is_unknown(void **state)
{
	struct world *world = *state;
	struct buf bytes = {0};
	struct keys_command command = {.type = KEYS_COMMAND_SESSION};

	run_until(world, agrees);
	stop(&world->pods[1]);
	stop(&world->pods[2]);
	keys_command_encode(&command, &bytes);
	world->answered = false;
	assert_int_not_equal(
		quorum_propose(world->pods[0].quorum, bytes_buf(&bytes), on_answer, world), 0);
	buf_deinit(&bytes);
	stop(&world->pods[0]);
	assert_true(world->answered);
	assert_int_equal(world->answer.answer, GROUP_UNKNOWN);
}

static void test_a_pod_speaks_for_itself_only(void **state)
{
	struct world *world = *state;
	struct raft_message message = {.type = RAFT_APPEND_REPLY};
	struct buf bytes = {0};
	uint64_t term;

	run_until(world, agrees);
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
		cmocka_unit_test_setup_teardown(test_three_become_one_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_leads_when_the_leader_has_gone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_all_come_back_with_what_was_agreed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_lost_disk_comes_back_as_another_member,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_open_at_the_end_is_unknown, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_pod_speaks_for_itself_only, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
