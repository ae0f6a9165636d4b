/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/agent_group.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/mem.h"
#include "io/clock.h"
#include "identity/sha256.h"
#include "io/log.h"
#include "quic/path.h"
#include "workplane/account.h"
#include "workplane/agent_mesh.h"
#include "workplane/group_part.h"

enum {
	BACKLOG = 64, /* an application's threads, all at once */
};

struct agent_group {
	struct agent_group_config config;
	struct group_part *part;
	struct account account;
	int listener; /* -1: none */
	struct loop_watch *watch;
	bool said_votes, said_left; /* what the host process was told last */
	bool leaving;
	struct loop_timer *wait; /* until it has left */
	loop_fn waited;
	void *waiter;
};

/* ---- with other agents */

static bool on_send(void *user, uint32_t ordinal, struct bytes message)
{
	const struct agent_group *group = user;

	return mesh_tell_group(group->config.mesh, ordinal, message);
}

static void on_message(void *user, uint32_t ordinal, struct bytes message)
{
	const struct agent_group *group = user;

	group_part_receive(group->part, ordinal, message);
}

/* The instance of the replica that is the later one has the higher number: no two of them are there
 * at once (market/tenure.h), so the time will do. */
static uint32_t on_instance(void *user)
{
	const struct agent_group *group = user;
	int64_t now_s = mesh_time(group->config.mesh).ms / MS_PER_S;

	return now_s > AGENT_GROUP_TIME_0 ? (uint32_t)(now_s - AGENT_GROUP_TIME_0) : 1;
}

/* ---- with the host process */

static void say_state(struct agent_group *group)
{
	Magik__Ipc__GroupState state;

	magik__ipc__group_state__init(&state);
	state.votes = group_part_votes(group->part);
	state.left = group->leaving && group_part_has_left(group->part);
	/* A host process that comes is told anew. */
	if (serve_say(group->config.serve, IPC_GROUP_STATE, &state.base) < 0)
		return;
	group->said_votes = state.votes;
	group->said_left = state.left;
}

static void on_link(void *user)
{
	say_state(user);
}

static void on_told(void *user, const struct ipc_message *message)
{
	struct agent_group *group = user;

	if (message->type != IPC_POD_READY ||
	    !((const Magik__Ipc__PodReady *)message->body)->for_good)
		return;
	group->leaving = true;
	group_part_leave(group->part);
}

/* ---- leaving */

static void end_wait(void *user)
{
	struct agent_group *group = user;

	if (!group->waited)
		return;
	group->waited(group->waiter);
	group->waited = NULL;
}

bool agent_group_wait_left(struct agent_group *group, int64_t wait_ms, loop_fn done, void *user)
{
	if (!group->leaving || group_part_has_left(group->part))
		return false;
	group->waited = done;
	group->waiter = user;
	group->wait = loop_timer_new(group->config.loop, end_wait, group);
	loop_timer_set(group->wait, mono_add_ms(clock_mono(), wait_ms));
	return true;
}

/* The record says who leads, and since when; the host process hears whether we vote. */
static void on_changed(void *user)
{
	struct agent_group *group = user;
	struct quorum_view view;
	bool left;

	if (!group->part)
		return; /* it is being made */
	view = group_part_view(group->part);
	mesh_set_role(group->config.mesh,
		      view.role == RAFT_LEADER ? SERVICE_LEADER : SERVICE_FOLLOWER,
		      view.token.term);
	left = group->leaving && group_part_has_left(group->part);
	if (group->config.serve &&
	    (group_part_votes(group->part) != group->said_votes || left != group->said_left))
		say_state(group);
	if (left && group->wait)
		loop_timer_set(group->wait, clock_mono());
}

static void on_lost(void *user, const char *why)
{
	const struct agent_group *group = user;

	log_event(LOG_LEVEL_ERROR, "group-lost", "%s", why);
	group->config.lost(group->config.user);
}

static bool is_healthy(void *user)
{
	const struct agent_group *group = user;

	return mesh_is_healthy(group->config.mesh);
}

/* ---- with the application */

static void on_client(void *user, int events)
{
	struct agent_group *group = user;
	int fd;

	(void)events;
	while ((fd = accept4(group->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		agent_group_adopt(group, fd);
}

void agent_group_adopt(struct agent_group *group, int fd)
{
	group_part_adopt(group->part, fd);
}

static int listen_at(struct agent_group *group, const char *text, struct err *err)
{
	union quic_sockaddr name;
	struct addr addr;
	socklen_t len;
	int on = 1;

	if (!addr_parse(text, &addr))
		return err_set(err, -EINVAL, "--group-listen: \"%.60s\" is not IP:PORT", text);
	len = sockaddr_from_addr(&addr, &name);
	group->listener = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (group->listener < 0 ||
	    setsockopt(group->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(group->listener, &name.any, len) < 0 || listen(group->listener, BACKLOG) < 0)
		return err_set(err, -errno, "--group-listen: %s: %s", text, strerror(errno));
	mesh_keep_port(group->config.mesh, addr.port);
	return loop_watch_new(group->config.loop, group->listener, LOOP_READABLE, on_client, group,
			      &group->watch);
}

/* ---- life */

bool agent_group_is_wanted(const struct options *options)
{
	return options->group_dir != NULL;
}

/* Of a pod that no machine has numbered: by hand there is one of each name. */
static struct uid uid_of_name(const struct options *options)
{
	struct buf text = {0};
	struct digest digest;

	buf_append_format(&text, "pod %s/%s/%lld", options->namespace, options->pod,
			  (long long)options->epoch);
	digest = sha256(bytes_buf(&text));
	buf_deinit(&text);
	return uid_from_random(digest.byte);
}

static int make_part(struct agent_group *group, const struct options *options, struct err *err)
{
	struct group_part_config config = {
		.loop = group->config.loop,
		.dir = options->group_dir,
		.ordinal = agent_mesh_ordinal(options),
		.epoch = (uint32_t)options->epoch,
		.birth = options->group_birth,
		.recover = (uint32_t)options->group_recover,
		.namespace = options->namespace,
		.workload = options->workload,
		.pod = options->pod,
		.handler = {.send = on_send,
			    .changed = on_changed,
			    .lost = on_lost,
			    .healthy = is_healthy,
			    .user = group},
	};

	if (config.ordinal == SERVICE_NO_ORDINAL)
		return err_set(err, -EINVAL,
			       "--group-dir: only pods of a StatefulSet have a group");
	/* By hand, whoever starts an agent says so. */
	if (options->mesh_fd != OPTIONS_FD_NONE) {
		config.handler.instance = on_instance;
		config.renew = true;
	}
	config.pod_uid = uid_of_name(options);
	if (options->pod_uid && !uid_parse(options->pod_uid, &config.pod_uid))
		return err_set(err, -EINVAL, "--pod-uid: \"%.40s\" is none", options->pod_uid);
	config.account = &group->account;
	config.workload_uid = mesh_workload_uid(group->config.mesh);
	return group_part_new(&config, &group->part, err);
}

int agent_group_new(const struct agent_group_config *config, const struct options *options,
		    struct err *err, struct agent_group **ret_group)
{
	struct agent_group *group = mem_new(struct agent_group);
	struct serve_listener listener = {.on_link = on_link, .on_message = on_told, .user = group};
	int r = 0;

	group->config = *config;
	group->listener = -1;
	if (options->account_fd != OPTIONS_FD_NONE)
		r = account_read((int)options->account_fd, &group->account, err);
	if (r == 0)
		r = make_part(group, options, err);
	if (r == 0 && options->group_listen)
		r = listen_at(group, options->group_listen, err);
	if (r < 0) {
		agent_group_free(group);
		return r;
	}
	mesh_on_group(config->mesh, on_message, group);
	if (config->serve)
		serve_listen(config->serve, &listener);
	*ret_group = group;
	return 0;
}

int agent_group_start(struct agent_group *group, struct err *err)
{
	return group_part_start(group->part, err);
}

void agent_group_free(struct agent_group *group)
{
	if (!group)
		return;
	mesh_on_group(group->config.mesh, NULL, NULL);
	loop_watch_free(group->watch);
	loop_timer_free(group->wait);
	if (group->listener >= 0)
		(void)close(group->listener);
	group_part_free(group->part);
	account_deinit(&group->account);
	free(group);
}
