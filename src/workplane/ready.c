/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/ready.h"

#include <stdlib.h>

#include "base/mem.h"

struct ready {
	struct mesh *mesh;
};

static void on_message(void *user, const struct ipc_message *message)
{
	struct ready *ready = user;
	const Magik__Ipc__PodReady *told = (const Magik__Ipc__PodReady *)message->body;

	if (message->type != IPC_POD_READY)
		return;
	if (told->leaving)
		mesh_leave(ready->mesh);
	else
		mesh_set_ready(ready->mesh, told->ready, told->healthy);
}

struct ready *ready_new(struct serve *serve, struct mesh *mesh)
{
	struct ready *ready = mem_new(struct ready);

	ready->mesh = mesh;
	serve_listen(serve, &(struct serve_listener){.on_message = on_message, .user = ready});
	return ready;
}

void ready_free(struct ready *ready)
{
	free(ready);
}
