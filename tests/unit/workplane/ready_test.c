/* SPDX-License-Identifier: Apache-2.0 */
/* What the host process says of a pod, down to what its mesh tells the others. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/local.h"
#include "mesh_world.h"
#include "runtime/agent.h"
#include "workplane/mesh_internal.h"
#include "workplane/ready.h"

enum {
	BACKLOG = 4,
};

static bool is_ready(void *user)
{
	const struct mesh *mesh = user;

	return mesh->record.ready;
}

static bool is_not_ready(void *user)
{
	return !is_ready(user);
}

static bool is_leaving(void *user)
{
	const struct mesh *mesh = user;

	return mesh->leaving;
}

static void tell(struct agent *agent, bool ready, bool leaving)
{
	Magik__Ipc__PodReady told;

	magik__ipc__pod_ready__init(&told);
	told.ready = told.healthy = ready;
	told.leaving = leaving;
	assert_int_equal(agent_tell(agent, IPC_POD_READY, &told.base), 0);
}

static void the_record_follows_the_host_process(void **state)
{
	struct pods *pods = pods_new(11);
	struct pod_config config = {"shop", "web", "web-1"};
	struct pod pod = pod_new(pods, &config, NULL);
	char dir[] = "/tmp/magik-ready-XXXXXX", path[64];
	struct serve *serve;
	struct agent *agent;
	struct ready *ready;
	struct err err = {0};

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(
		serve_new(pods->loop, local_listen(dir, "agent.sock", BACKLOG), &serve, &err), 0);
	ready = ready_new(serve, pod.mesh);
	agent = agent_new(pods->loop, dir, NULL, NULL);
	assert_true(is_ready(pod.mesh));
	tell(agent, false, false);
	pods_until(pods, is_not_ready, pod.mesh);
	tell(agent, true, false);
	pods_until(pods, is_ready, pod.mesh);
	tell(agent, false, true);
	pods_until(pods, is_leaving, pod.mesh);
	agent_free(agent);
	serve_free(serve);
	ready_free(ready);
	mesh_free(pod.mesh);
	pods_free(pods);
	(void)snprintf(path, sizeof(path), "%s/agent.sock", dir);
	(void)unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_record_follows_the_host_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
