/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod port: a connection to what listens inside a pod, made in the pod's network namespace. A
 * socket stays in the namespace it was made in, so whoever gets it needs no rights of his own.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/job.h"
#include "runtime/pod.h"

enum {
	/* On a loopback: longer only takes one whose queue is full, and who is stuck then. */
	CONNECT_TIMEOUT_MS = 2000,
};

struct port_job {
	struct pods *pods;
	struct path netns;
	uint16_t port;
	pods_port_fn *done;
	void *user;
	int fd;
	struct err err;
};

/* A socket in the namespace @netns; the thread is back in its own afterwards. */
static int socket_inside(int netns, int family)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	if (own < 0)
		return err_origin(-errno);
	if (setns(netns, CLONE_NEWNET) < 0) {
		fd = err_origin(-errno);
		(void)close(own);
		return fd;
	}
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		fd = err_origin(-errno);
	/* A thread lost in a pod's namespace would do all further work there. */
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	(void)close(own);
	return fd;
}

static int wait_connected(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int error = 0, r;

	do
		r = poll(&wait, 1, CONNECT_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return err_origin(-ETIMEDOUT);
	if (r < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return err_origin(-errno);
	return error ? err_origin(-error) : 0;
}

/* A connected socket, or a negative errno. */
static int connect_inside(int netns, int family, uint16_t port)
{
	const struct sockaddr_in v4 = {.sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
					.sin6_port = htons(port),
					.sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const struct sockaddr *address =
		family == AF_INET ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
	int fd = socket_inside(netns, family), on = 1, r;

	if (fd < 0)
		return fd;
	r = connect(fd, address, family == AF_INET ? sizeof(v4) : sizeof(v6));
	if (r < 0)
		r = errno == EINPROGRESS ? wait_connected(fd) : err_origin(-errno);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void work(void *arg)
{
	struct port_job *job = arg;
	int netns = open(job->netns.text, O_RDONLY | O_CLOEXEC);

	if (netns < 0) {
		job->fd = err_set(&job->err, -errno, "the pod's network: %s", strerror(errno));
		return;
	}
	job->fd = connect_inside(netns, AF_INET, job->port);
	if (job->fd < 0) {
		int r = connect_inside(netns, AF_INET6, job->port);

		/* What the first said is what is expected to be told. */
		if (r >= 0)
			job->fd = r;
	}
	if (job->fd < 0)
		(void)err_set_status(&job->err, job->fd, 502, "connect to port %u of the pod: %s",
				     job->port, strerror(-job->fd));
	(void)close(netns);
}

static void done(void *arg)
{
	struct port_job *job = arg;

	job->pods->jobs--;
	job->done(job->user, job->fd < 0 ? -1 : job->fd, &job->err);
	free(job);
}

int pods_port_open(struct pods *pods, const struct uid *uid, uint16_t port, pods_port_fn *done_fn,
		   void *user, struct err *err)
{
	const struct pod *pod = pods_find(pods, uid);
	struct port_job *job;

	if (!pod)
		return err_set_status(err, -ENOENT, 404, "there is no such pod here");
	if (pod_is_null(pod))
		return err_set_status(err, -EOPNOTSUPP, 501,
				      "this machine only pretends to run containers");
	if (pod->stage != STAGE_ACTIVE && pod->stage != STAGE_STOPPING)
		return err_set_status(err, -EINVAL, 400, "pod %s is not running", pod->name);
	if (pods->quiet)
		return err_set_status(err, -ESHUTDOWN, 503, "this machine is shutting down");
	job = mem_new(struct port_job);
	job->pods = pods;
	job->netns = path_format("%s/ns/net", pod->dir);
	job->port = port;
	job->done = done_fn;
	job->user = user;
	pods->jobs++;
	job_run(pods->config.loop, work, done, job);
	return 0;
}
