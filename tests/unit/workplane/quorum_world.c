/* SPDX-License-Identifier: Apache-2.0 */
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
#include "quorum_world.h"

enum {
	PATH_LEN = 300,
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

void pod_start(struct pod *pod)
{
	struct quorum_config config = {
		.loop = pod->world->loop,
		.dir = pod->dir,
		.ordinal = pod->ordinal,
		.epoch = pod->epoch,
		.birth = pod->ordinal == 0 && pod->epoch == 1,
		.renew = true,
		.handler = {on_send, on_seek, on_changed, NULL, on_lost, pod},
	};
	struct err err = {0};

	memset(config.cluster.byte, 7, UID_LEN);
	memset(config.pod.byte, (int)(1 + pod->ordinal + 16 * pod->epoch), UID_LEN);
	assert_int_equal(quorum_new(&config, &pod->quorum, &err), 0);
	assert_int_equal(quorum_start(pod->quorum, &err), 0);
}

void pod_stop(struct pod *pod)
{
	quorum_free(pod->quorum);
	pod->quorum = NULL;
}

void pod_wipe(struct pod *pod)
{
	char path[PATH_LEN];

	(void)snprintf(path, sizeof(path), "%s/data.mdb", pod->dir);
	(void)unlink(path);
}

int world_setup(void **state)
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
		pod_start(pod);
	}
	*state = world;
	return 0;
}

static bool never(const struct world *world)
{
	return world->on_the_way == 0;
}

void world_run_until(struct world *world, bool (*reached)(const struct world *world))
{
	struct mono deadline = mono_add_ms(clock_mono(), PODS_WAIT_MS);

	while (!reached(world)) {
		world->changed = false;
		(void)loop_run_until(world->loop, &world->changed,
				     mono_min(deadline, mono_add_ms(clock_mono(), 5)));
		assert_false(mono_reached(clock_mono(), deadline));
	}
}

int world_teardown(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < PODS; i++) {
		pod_stop(&world->pods[i]);
		pod_wipe(&world->pods[i]);
		(void)rmdir(world->pods[i].dir);
	}
	world_run_until(world, never);
	loop_free(world->loop);
	free(world);
	return 0;
}

size_t pod_voters(const struct pod *pod)
{
	struct quorum_view view = quorum_view(pod->quorum);
	size_t count = 0;

	for (size_t i = 0; i < view.members->count; i++)
		count += view.members->list[i].voter;
	return count;
}

/* One leads, all that run know it, and all of the group vote. */
bool world_agrees(const struct world *world)
{
	int64_t leader = QUORUM_NOBODY;

	for (size_t i = 0; i < PODS; i++) {
		struct quorum_view view;

		if (!world->pods[i].quorum)
			continue;
		view = quorum_view(world->pods[i].quorum);
		if (!view.member || view.leader == QUORUM_NOBODY ||
		    pod_voters(&world->pods[i]) != PODS ||
		    (leader != QUORUM_NOBODY && leader != view.leader))
			return false;
		leader = view.leader;
	}
	return world->pods[leader].quorum &&
	       quorum_view(world->pods[leader].quorum).role == RAFT_LEADER;
}

struct pod *world_leader(struct world *world)
{
	for (size_t i = 0; i < PODS; i++)
		if (world->pods[i].quorum && quorum_view(world->pods[i].quorum).role == RAFT_LEADER)
			return &world->pods[i];
	fail_msg("nobody leads");
	return &world->pods[0];
}

void world_on_answer(void *user, const struct quorum_answer *answer)
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
struct quorum_answer pod_put(struct pod *pod, const char *value)
{
	struct world *world = pod->world;
	struct keys_command command = {.type = KEYS_COMMAND_PUT,
				       .name = bytes_str("name"),
				       .any = true,
				       .value = bytes_str(value)};
	struct buf bytes = {0};

	keys_command_encode(&command, &bytes);
	world->answered = false;
	assert_int_not_equal(quorum_propose(pod->quorum, bytes_buf(&bytes), world_on_answer, world),
			     0);
	assert_false(world->answered);
	buf_deinit(&bytes);
	world_run_until(world, is_answered);
	return world->answer;
}

void pod_assert_value(struct pod *pod, const char *value)
{
	struct world *world = pod->world;
	const struct keys_item *item;

	world->answered = false;
	assert_int_not_equal(quorum_read(pod->quorum, world_on_answer, world), 0);
	world_run_until(world, is_answered);
	assert_int_equal(world->answer.answer, GROUP_DONE);
	item = keys_find(quorum_keys(pod->quorum), KEYS_VALUE, bytes_str("name"));
	assert_non_null(item);
	assert_true(bytes_equal(item->value, bytes_str(value)));
}
