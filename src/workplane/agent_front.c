/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/agent_front.h"

#include <stdlib.h>

#include "base/mem.h"
#include "workplane/agent_mesh.h"
#include "workplane/front.h"

struct agent_front {
	struct serve *serve;
	struct catalog *catalog;
	struct forward *forward;
	struct front *front;
};

static int on_ask(void *user, const Magik__Ipc__NameAsk *ask)
{
	const struct agent_front *front = user;

	return serve_say(front->serve, IPC_NAME_ASK, &ask->base);
}

static void on_link(void *user)
{
	const struct agent_front *front = user;

	catalog_relink(front->catalog);
}

static void on_message(void *user, const struct ipc_message *message)
{
	const struct agent_front *front = user;

	if (message->type == IPC_NAME_TOLD)
		catalog_told(front->catalog, (const Magik__Ipc__NameTold *)message->body);
}

bool agent_front_is_wanted(const struct options *options)
{
	return options->front_tcp_fd != OPTIONS_FD_NONE &&
	       options->front_udp_fd != OPTIONS_FD_NONE &&
	       options->front_raw4_fd != OPTIONS_FD_NONE;
}

static void on_api(void *user, int fd)
{
	agent_group_adopt(user, fd);
}

static int open_front(struct agent_front *made, struct loop *loop, const struct options *options,
		      const struct agent_front_parts *parts, struct err *err)
{
	struct front_config config = {
		.loop = loop,
		.namespace = options->namespace,
		.tcp_fd = (int)options->front_tcp_fd,
		.udp_fd = (int)options->front_udp_fd,
		.raw4_fd = (int)options->front_raw4_fd,
		.raw6_fd = (int)options->front_raw6_fd,
		.mesh = parts->mesh,
		.catalog = made->catalog,
		.by_hand = !made->serve,
		.on_api = parts->group ? on_api : NULL,
		.api_user = parts->group,
	};
	int r = agent_mesh_preference(options, &config.preference, err);

	if (r == 0 && options->resolve_fd != OPTIONS_FD_NONE)
		r = forward_new(loop, (int)options->resolve_fd,
				options->resolvers ? options->resolvers : "", err, &made->forward);
	config.forward = made->forward;
	return r < 0 ? r : front_new(&config, err, &made->front);
}

int agent_front_new(struct loop *loop, const struct options *options,
		    const struct agent_front_parts *parts, struct err *err,
		    struct agent_front **ret_front)
{
	struct agent_front *made = mem_new(struct agent_front);
	struct serve *serve = parts->serve;
	struct serve_listener listener = {on_link, on_message, made};
	int r;

	made->serve = serve;
	made->catalog = catalog_new(loop, serve ? on_ask : NULL, made);
	r = open_front(made, loop, options, parts, err);
	if (r < 0) {
		agent_front_free(made);
		return r;
	}
	if (serve)
		serve_listen(serve, &listener);
	*ret_front = made;
	return 0;
}

void agent_front_free(struct agent_front *front)
{
	if (!front)
		return;
	front_free(front->front);
	forward_free(front->forward);
	catalog_free(front->catalog);
	free(front);
}
