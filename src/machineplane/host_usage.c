/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "machineplane/host_core.h"
#include "runtime/usage.h"

enum {
	/* Some 150 bytes a container; what does not fit into the socket at once is not sent. */
	ANSWER_BYTES_MAX = 4 << 20,
	USAGES_OPEN_MAX = 64,
};

struct host_usage {
	struct list link;
	struct host *host;
	uint64_t request;
};

static void usage_free_one(struct host_usage *usage)
{
	list_remove(&usage->link);
	free(usage);
}

/* A socket that holds all of @json and then its end. */
static int answer_socket(struct bytes json, struct err *err)
{
	int fds[2], size = ANSWER_BYTES_MAX;
	ssize_t put;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_set(err, -errno, "socketpair: %s", strerror(errno));
	(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	put = send(fds[0], json.ptr, json.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fds[0]);
	if (put == (ssize_t)json.len)
		return fds[1];
	(void)close(fds[1]);
	return err_set(err, -ENOBUFS, "the answer is too large");
}

static void on_measured(void *user, struct bytes json)
{
	struct host_usage *usage = user;
	struct err err = {0};
	int fd = answer_socket(json, &err);

	host_stream_reply(usage->host, usage->request, fd < 0 ? &err : NULL, fd);
	usage_free_one(usage);
}

static size_t count_usages(const struct host *host)
{
	size_t count = 0;

	list_for_each (it, &host->usages)
		count++;
	return count;
}

void host_usage_open(struct host *host, const Magik__Ipc__UsageOpen *request)
{
	struct host_usage *usage;
	struct err err = {0};

	if (count_usages(host) >= USAGES_OPEN_MAX) {
		(void)err_set_status(&err, -EMFILE, 429, "too many ask for usage");
		host_stream_reply(host, request->request_id, &err, -1);
		return;
	}
	if (!host->usage)
		host->usage = usage_new(host->pods, host->loop);
	usage = mem_new(struct host_usage);
	usage->host = host;
	usage->request = request->request_id;
	list_append(&host->usages, &usage->link);
	usage_ask(host->usage, request->containers ? request->namespace_ : NULL, on_measured,
		  usage);
}

void host_usage_close_all(struct host *host)
{
	list_for_each_safe (it, &host->usages) {
		struct host_usage *usage = list_entry(it, struct host_usage, link);

		usage_forget(host->usage, usage);
		usage_free_one(usage);
	}
}
