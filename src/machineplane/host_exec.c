/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fabric process asks of running containers: a process, the streams of one, a connection.
 *
 * Each comes with the signature of a gateway (host_asker.c), for one command or port of one pod; so
 * whoever owns the fabric process of a machine that is no steward can run nothing in its pods. What
 * flows then passes through that process, and is its to read and to change: a shell that a user has
 * opened is as safe as the machine that it is on. A connection to a port that has been handed over
 * stays when its user is revoked, and the fabric process is who closes it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/log.h"
#include "machineplane/host_core.h"
#include "runtime/exec.h"

enum {
	/* Each takes up to eight descriptors of some 1024, and a process of crun's. */
	EXECS_OPEN_MAX = 64,
};

struct host_exec {
	struct list link;
	struct host *host;
	uint64_t request;
	struct exec *exec;
	struct host_asker asker;
	int fd; /* for the fabric process, until it runs */
};

static void exec_free(struct host_exec *exec)
{
	list_remove(&exec->link);
	if (exec->fd >= 0)
		(void)close(exec->fd);
	free(exec);
}

static void on_started(void *user, const struct err *why)
{
	struct host_exec *exec = user;
	int fd = why->code ? -1 : exec->fd;

	if (!why->code)
		exec->fd = -1; /* sent, and closed here */
	host_stream_reply(exec->host, exec->request, why->code ? why : NULL, fd);
}

static void on_done(void *user)
{
	exec_free(user);
}

static size_t count_execs(const struct host *host)
{
	size_t count = 0;

	list_for_each (it, &host->execs)
		count++;
	return count;
}

static int open_exec(struct host *host, const Magik__Ipc__ExecOpen *request,
		     const struct host_request *asked, const struct host_asker *asker,
		     struct err *err)
{
	struct exec_request wanted = {
		.pod = asked->pod,
		.container = asked->container,
		.command = asked->command,
		.command_count = asked->command_count,
		.in = request->in,
		.out = request->out,
		.err = request->err,
		.is_tty = request->tty,
	};
	struct exec_handler handler = {.started = on_started, .done = on_done};
	struct host_exec *exec;
	int fds[2], r;

	if (count_execs(host) >= EXECS_OPEN_MAX)
		return err_set_status(err, -EMFILE, 429,
				      "too many processes are run in containers of this machine");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_set(err, -errno, "socketpair: %s", strerror(errno));
	exec = mem_new(struct host_exec);
	exec->host = host;
	exec->request = request->request_id;
	exec->asker = *asker;
	exec->fd = fds[1];
	list_append(&host->execs, &exec->link);
	handler.user = exec;
	r = exec_new(host->pods, &wanted, fds[0], &handler, &exec->exec, err);
	if (r < 0)
		exec_free(exec);
	return r;
}

void host_exec_open(struct host *host, const Magik__Ipc__ExecOpen *request)
{
	struct host_request asked = {
		.verb = request->n_command ? POD_VERB_EXEC : POD_VERB_ATTACH,
		.container = request->container,
		.command = (const char *const *)request->command,
		.command_count = request->n_command,
	};
	struct host_asker asker = {0};
	struct err err = {0};
	int r;

	if (!uid_parse(request->pod_uid, &asked.pod))
		r = err_set_status(&err, -EINVAL, 400, "malformed pod uid");
	else
		r = host_asker_judge(host, request->asker, &asked, &asker, &err);
	if (r == 0)
		r = open_exec(host, request, &asked, &asker, &err);
	host_asker_audit(&asker, &asked, r < 0 ? &err : NULL);
	if (r < 0)
		host_stream_reply(host, request->request_id, &err, -1);
}

void host_exec_judge(struct host *host)
{
	list_for_each_safe (it, &host->execs) {
		struct host_exec *exec = list_entry(it, struct host_exec, link);

		if (host_asker_stands(host, &exec->asker))
			continue;
		exec_abandon(exec->exec);
		exec_free(exec);
	}
}

void host_exec_close_all(struct host *host)
{
	list_for_each_safe (it, &host->execs) {
		struct host_exec *exec = list_entry(it, struct host_exec, link);

		exec_abandon(exec->exec);
		exec_free(exec);
	}
}

/* ---- ports */

struct port_request {
	struct host *host;
	uint32_t link; /* the fabric process that has asked */
	uint64_t request;
};

static void on_connected(void *user, int fd, const struct err *err)
{
	struct port_request *port = user;

	if (port->link == port->host->links)
		host_stream_reply(port->host, port->request, fd < 0 ? err : NULL, fd);
	else if (fd >= 0)
		(void)close(fd);
	free(port);
}

int host_port_connect(struct host *host, uint64_t request_id, const struct uid *pod, uint16_t port,
		      struct err *err)
{
	struct port_request *request = mem_new(struct port_request);
	int r;

	request->host = host;
	request->link = host->links;
	request->request = request_id;
	r = pods_port_open(host->pods, pod, port, on_connected, request, err);
	if (r < 0)
		free(request);
	return r;
}

void host_port_open(struct host *host, const Magik__Ipc__PortOpen *request)
{
	struct host_request asked = {.verb = POD_VERB_PORT, .container = "", .port = request->port};
	struct host_asker asker = {0};
	struct err err = {0};
	int r;

	if (!uid_parse(request->pod_uid, &asked.pod) || request->port == 0 ||
	    request->port > UINT16_MAX)
		r = err_set_status(&err, -EINVAL, 400, "malformed pod uid or port");
	else
		r = host_asker_judge(host, request->asker, &asked, &asker, &err);
	if (r == 0)
		r = host_port_connect(host, request->request_id, &asked.pod,
				      (uint16_t)request->port, &err);
	host_asker_audit(&asker, &asked, r < 0 ? &err : NULL);
	if (r < 0)
		host_stream_reply(host, request->request_id, &err, -1);
}
