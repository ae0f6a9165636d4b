/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workplane: the agent of one pod.
 *
 *   options.c   what it is told
 *   hold.c      the pod's namespaces
 *   confine.c   what it gives up before it reads anything
 *   init.c      the application, where the agent is the first process
 *   serve.c     what the host process and the agent say to each other
 *   check.c     probes of what listens in the pod
 *   front.h     what the application sends to names; agent_front.c: with what options
 *   identity.c  its key, and the certificates that stewards sign for it
 *   ready.c     the pod's readiness, as the host process tells it
 *   missing.c   replicas that are silent, as the host process is told
 *   revoker.c   whom nobody is to trust any more, the same way
 *   mesh.h      the pod among all pods; agent_mesh.c: with what options
 *   group_part.h  its part in the group of its workload; agent_group.c: with what options
 *   byhand.c    without a machine: files, forwards, health
 *
 * It makes the namespaces, gives up its rights, says "ready" to the host process that started it,
 * and serves until it is told to end. By hand (--cert) it makes no namespaces, and gives up what it
 * has of rights.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/local.h"
#include "io/log.h"
#include "io/loop.h"
#include "quic/path.h"
#include "workplane/agent_front.h"
#include "workplane/agent_group.h"
#include "workplane/agent_mesh.h"
#include "workplane/byhand.h"
#include "workplane/hold.h"
#include "workplane/identity.h"
#include "workplane/init.h"
#include "workplane/missing.h"
#include "workplane/options.h"
#include "workplane/confine.h"
#include "workplane/ready.h"
#include "workplane/revoker.h"
#include "workplane/serve.h"

enum {
	BACKLOG = 4,
	/* Of a pod that is being ended: the containers are gone, and the host process waits. */
	DRAIN_ENDED_MS = 300,
	/* Of an ordinal that is not wanted any more: its group agrees to that. Both together are
	 * less than the host process waits. */
	LEAVE_MS = 1400,
};

struct agent {
	struct loop *loop;
	const struct options *options;
	struct serve *serve;
	struct agent_front *front; /* NULL: the host process has made none */
	struct ready *ready;
	struct revoker *revoker;
	struct mesh *mesh;         /* NULL: none is wanted */
	struct agent_group *group; /* NULL: it has none */
	struct identity *identity; /* of the mesh; NULL: by hand */
	struct byhand *byhand;     /* NULL: a host process looks after us */
	struct loop_signal *term, *interrupt;
	bool leaving, failed;
};

static const char *environment(const char *name)
{
	return getenv(name);
}

static void print_line(const char *line)
{
	(void)puts(line);
}

/*
 * Tell whoever started us: on its socket, or on stderr when a person did. The host process answers
 * with one byte once it has written down who we are; if it dies before that, nobody would ever end
 * us, so we end ourselves.
 */
static bool report(const struct options *options, const char *text)
{
	int fd = (int)options->report_fd;
	char answer;
	bool kept;

	if (fd == OPTIONS_FD_NONE) {
		(void)fprintf(stderr, "workplane: %s\n", text);
		return true;
	}
	(void)!write(fd, text, strlen(text));
	(void)!write(fd, "\n", 1);
	kept = read(fd, &answer, 1) == 1;
	(void)close(fd);
	return kept;
}

static void on_drained(void *user)
{
	struct agent *agent = user;

	loop_stop(agent->loop);
}

static void drain(void *user)
{
	struct agent *agent = user;

	mesh_drain(agent->mesh, agent->byhand ? agent->options->drain_s * MS_PER_S : DRAIN_ENDED_MS,
		   on_drained, agent);
}

/* The second time without further ado. */
static void on_signal(void *user, int signum)
{
	struct agent *agent = user;

	(void)signum;
	if (agent->leaving || !agent->mesh)
		loop_stop(agent->loop);
	else if (!agent->group || !agent_group_wait_left(agent->group, LEAVE_MS, drain, agent))
		drain(agent);
	agent->leaving = true;
}

static int agent_watch_signals(struct agent *agent, struct err *err)
{
	int r = loop_signal_new(agent->loop, SIGTERM, on_signal, agent, &agent->term);

	if (r == 0)
		r = loop_signal_new(agent->loop, SIGINT, on_signal, agent, &agent->interrupt);
	return r < 0 ? err_set(err, r, "signals: %s", strerror(-r)) : 0;
}

static int agent_listen(struct agent *agent, const char *dir, struct err *err)
{
	int fd = local_listen(dir, OPTIONS_CONTROL_NAME, BACKLOG);

	if (fd < 0)
		return err_set(err, fd, "listen in %s: %s", dir, strerror(-fd));
	return serve_new(agent->loop, fd, &agent->serve, err);
}

static int on_identity(void *user, const struct identity_news *news, struct err *err)
{
	struct agent *agent = user;
	struct mesh_identity identity = {news->key, news->chain, news->root};

	mesh_set_time(agent->mesh, news->offset_ms);
	mesh_add_contacts(agent->mesh, news->contacts, news->contact_count);
	return news->chain.len ? mesh_set_identity(agent->mesh, &identity, err) : 0;
}

/* Whoever started us starts another. */
static void on_lost(void *user)
{
	struct agent *agent = user;

	agent->failed = true;
	loop_stop(agent->loop);
}

/* Of the socket that was handed over; 0: of none. */
static uint16_t mesh_port(const struct options *options)
{
	union quic_sockaddr name;
	socklen_t len = sizeof(name);
	struct addr addr;

	return options->mesh_fd != OPTIONS_FD_NONE &&
			       getsockname((int)options->mesh_fd, &name.any, &len) == 0 &&
			       sockaddr_to_addr(&name.any, &addr)
		       ? addr.port
		       : 0;
}

/* What is wrong with its disk is no reason to take the pod its agent; it never votes then. By hand
 * somebody can do something about it, and a disk that is still in use will be free. */
static int agent_join_group(struct agent *agent, const struct options *options, struct err *err)
{
	struct agent_group_config config = {.loop = agent->loop,
					    .mesh = agent->mesh,
					    .serve = agent->serve,
					    .lost = on_lost,
					    .user = agent};
	int r = agent_group_new(&config, options, err, &agent->group);

	if (r == 0 || r == -EBUSY || options->cert)
		return r;
	log_event(LOG_LEVEL_ERROR, "no-group", "%s", err->text);
	return 0;
}

static int agent_join_mesh(struct agent *agent, const struct options *options, struct err *err)
{
	int r;

	if (!agent_mesh_is_wanted(options))
		return 0;
	r = agent_mesh_new(agent->loop, options, err, &agent->mesh);
	if (r < 0 && !options->cert) {
		/* The pod has a right to its agent, whatever its names are. */
		log_event(LOG_LEVEL_ERROR, "no-mesh", "%s", err->text);
		return 0;
	}
	if (r == 0 && options->cert)
		r = byhand_new(agent->loop, agent->mesh, options, err, &agent->byhand);
	if (r == 0 && agent->serve) {
		agent->ready = ready_new(agent->serve, agent->mesh);
		agent->revoker = revoker_new(agent->serve, agent->mesh);
		missing_tell(agent->mesh, agent->serve);
	}
	if (r == 0 && agent->serve && !options->cert)
		agent->identity =
			identity_new(agent->loop, agent->serve, options->namespace, options->pod,
				     mesh_port(options), on_identity, agent);
	return r == 0 && agent_group_is_wanted(options) ? agent_join_group(agent, options, err) : r;
}

/* While it is still root. */
static int agent_init(struct agent *agent, const struct options *options, struct err *err)
{
	int r = options->cert ? 0 : hold_enter(options, err);

	if (r < 0)
		return r;
	agent->options = options;
	agent->loop = loop_new();
	r = agent_watch_signals(agent, err);
	if (r == 0 && options->control_dir)
		r = agent_listen(agent, options->control_dir, err);
	if (r == 0)
		r = agent_join_mesh(agent, options, err);
	if (r == 0 && agent_front_is_wanted(options))
		r = agent_front_new(
			agent->loop, options,
			&(struct agent_front_parts){agent->serve, agent->mesh, agent->group}, err,
			&agent->front);
	return r;
}

static void agent_deinit(struct agent *agent)
{
	agent_front_free(agent->front);
	identity_free(agent->identity);
	agent_group_free(agent->group);
	byhand_free(agent->byhand);
	mesh_free(agent->mesh);
	serve_free(agent->serve);
	ready_free(agent->ready);
	revoker_free(agent->revoker);
	loop_signal_free(agent->term);
	loop_signal_free(agent->interrupt);
	if (agent->loop)
		loop_free(agent->loop);
}

/* As first process: nothing is held or served, but what the application leaves behind is reaped. */
static int run_application(const struct options *options)
{
	struct err err = {0};
	int status = EXIT_FAILURE;

	if (init_run(options->command, &status, &err) < 0)
		(void)fprintf(stderr, "workplane: %s\n", err.text);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = {.report_fd = OPTIONS_FD_NONE};
	struct agent agent = {0};
	struct err err = {0};
	int r = options_parse(argc, argv, environment, &options, &err);

	if (r == 0 && options.help) {
		print_line("usage: workplane [--OPTION VALUE]... [-- COMMAND...]\n");
		options_explain(print_line);
		return EXIT_SUCCESS;
	}
	if (r < 0) {
		(void)fprintf(stderr, "workplane: %s\n", err.text);
		return EXIT_FAILURE;
	}
	if (options.command)
		return run_application(&options);
	r = agent_init(&agent, &options, &err);
	if (r == 0)
		r = confine_enter(options.empty_dir, &err);
	if (r == 0 && agent.group)
		r = agent_group_start(agent.group, &err);
	if (report(&options, r < 0 ? err.text : "ready") && r == 0)
		loop_run(agent.loop);
	else
		r = -EPIPE;
	agent_deinit(&agent);
	/* Nothing is left to be tidied up, and whatever looks for leaks at the end finds no /proc.
	 */
	_exit(r < 0 || agent.failed ? EXIT_FAILURE : EXIT_SUCCESS);
}
