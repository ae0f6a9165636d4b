/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket between the host process and the agent of a pod, both ends of it real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "io/clock.h"
#include "io/local.h"
#include "runtime/agent.h"
#include "workplane/serve.h"

enum {
	WAIT_MS = 5000,
};

struct world {
	char dir[64];
	struct loop *loop;
	struct serve *serve;
	struct agent *agent;
	unsigned links;
	uint32_t asked, told;
	bool was_linked, was_asked, was_told;
};

static void on_link(void *user)
{
	struct world *world = user;

	world->links++;
	world->was_linked = true;
}

static void on_told(void *user, const struct ipc_message *message)
{
	struct world *world = user;

	if (message->type != IPC_NAME_TOLD)
		return;
	world->told = ((const Magik__Ipc__NameTold *)message->body)->id;
	world->was_told = true;
}

/* At the host: answered with the same number. */
static void on_asked(void *user, const struct ipc_message *message)
{
	struct world *world = user;
	Magik__Ipc__NameTold told;

	assert_int_equal(message->type, IPC_NAME_ASK);
	world->asked = ((const Magik__Ipc__NameAsk *)message->body)->id;
	world->was_asked = true;
	magik__ipc__name_told__init(&told);
	told.id = world->asked;
	assert_int_equal(agent_tell(world->agent, IPC_NAME_TOLD, &told.base), 0);
}

static void start_serving(struct world *world)
{
	struct serve_listener listener = {on_link, on_told, world};
	struct err err = {0};
	int fd = local_listen(world->dir, "agent.sock", 4);

	assert_true(fd >= 0);
	assert_int_equal(serve_new(world->loop, fd, &world->serve, &err), 0);
	serve_listen(world->serve, &listener);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	*state = world;
	(void)snprintf(world->dir, sizeof(world->dir), "/tmp/magik-serve-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	world->loop = loop_new();
	start_serving(world);
	world->agent = agent_new(world->loop, world->dir, on_asked, world);
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	char path[80];

	agent_free(world->agent);
	serve_free(world->serve);
	loop_free(world->loop);
	(void)snprintf(path, sizeof(path), "%s/agent.sock", world->dir);
	(void)unlink(path);
	assert_int_equal(rmdir(world->dir), 0);
	free(world);
	return 0;
}

static bool wait_for(struct world *world, const bool *flag)
{
	return loop_run_until(world->loop, flag, mono_add_ms(clock_mono(), WAIT_MS));
}

static int say(struct world *world, uint32_t id)
{
	Magik__Ipc__NameAsk ask;

	magik__ipc__name_ask__init(&ask);
	ask.id = id;
	return serve_say(world->serve, IPC_NAME_ASK, &ask.base);
}

static void test_an_agent_asks_its_machine(void **state)
{
	struct world *world = *state;

	assert_int_equal(say(world, 1), -ENOTCONN);
	agent_connect(world->agent);
	agent_connect(world->agent);
	assert_true(wait_for(world, &world->was_linked));
	assert_int_equal(say(world, 7), 0);
	assert_true(wait_for(world, &world->was_told));
	assert_int_equal(world->asked, 7);
	assert_int_equal(world->told, 7);
	assert_int_equal(world->links, 1);
}

static void test_a_new_agent_is_connected_again(void **state)
{
	struct world *world = *state;

	agent_connect(world->agent);
	assert_true(wait_for(world, &world->was_linked));
	serve_free(world->serve);
	start_serving(world);
	world->was_linked = false;
	/* The host has not noticed the end yet when it is told of the new process. */
	while (!world->was_linked) {
		bool never = false;

		agent_connect(world->agent);
		(void)loop_run_until(world->loop, &never, mono_add_ms(clock_mono(), 1));
	}
	assert_int_equal(say(world, 9), 0);
	assert_true(wait_for(world, &world->was_told));
	assert_int_equal(world->told, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_agent_asks_its_machine, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_agent_is_connected_again, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
