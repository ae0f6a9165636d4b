/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "machineplane/host_core.h"
#include "runtime/log_stream.h"

enum {
	/* The fabric process may be anyone's: so many logs it can keep open here. Each takes three
	 * descriptors, of some 1024, and where it is followed one inotify instance of the 128 that
	 * the kernel gives by default to all of root's processes together. */
	LOGS_OPEN_MAX = 64,
};

struct host_log {
	struct list link;
	struct host *host;
	struct log_stream *stream;
	struct host_asker asker;
};

static void log_free(struct host_log *log)
{
	pods_log_unwatch(log->host->pods, log);
	log_stream_free(log->stream);
	list_remove(&log->link);
	free(log);
}

static void on_done(void *user)
{
	log_free(user);
}

static void on_run_ended(void *user)
{
	struct host_log *log = user;

	if (log->stream)
		log_stream_end(log->stream);
}

void host_stream_reply(struct host *host, uint64_t request_id, const struct err *err, int fd)
{
	Magik__Ipc__StreamReply message;

	magik__ipc__stream_reply__init(&message);
	message.request_id = request_id;
	message.status = err ? (err->status ? err->status : 500) : 200;
	if (err)
		message.error = (char *)(uintptr_t)err->text;
	if (host->link)
		(void)ipc_link_send(host->link, IPC_STREAM_REPLY, &message.base, fd);
	else if (fd >= 0)
		(void)close(fd);
}

static size_t count_logs(const struct host *host)
{
	size_t count = 0;

	list_for_each (it, &host->logs)
		count++;
	return count;
}

static int log_open(struct host *host, const Magik__Ipc__LogsOpen *request, const struct uid *uid,
		    const struct host_asker *asker, int *ret_fd, struct err *err)
{
	struct log_source source = {
		.options = {.follow = request->follow,
			    .timestamps = request->timestamps,
			    .tail_lines = request->tail_lines,
			    .limit_bytes = request->limit_bytes,
			    .since_ms = request->since_ms},
	};
	struct host_log *log;
	struct pod_log found;
	int fds[2], r;

	r = pods_log(host->pods, uid, request->container, request->previous, &found, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		free(found.path);
		return err_set(err, -errno, "socketpair: %s", strerror(errno));
	}
	log = mem_new(struct host_log);
	log->host = host;
	log->asker = *asker;
	list_append(&host->logs, &log->link);
	source.path = found.path;
	source.ended = found.ended;
	r = log_stream_new(host->loop, &source, fds[0], on_done, log, &log->stream);
	free(found.path);
	if (r < 0) {
		(void)close(fds[1]);
		log->stream = NULL;
		log_free(log);
		return err_set(err, r, "open log: %s", strerror(-r));
	}
	if (request->follow && !found.ended)
		pods_log_watch(host->pods, uid, request->container, on_run_ended, log);
	*ret_fd = fds[1];
	return 0;
}

void host_logs_open(struct host *host, const Magik__Ipc__LogsOpen *request)
{
	struct host_request asked = {.verb = POD_VERB_LOGS, .container = request->container};
	struct host_asker asker = {0};
	struct err err = {0};
	int fd = -1, r;

	if (!uid_parse(request->pod_uid, &asked.pod))
		r = err_set_status(&err, -EINVAL, 400, "malformed pod uid");
	else if (count_logs(host) >= LOGS_OPEN_MAX)
		r = err_set_status(&err, -EMFILE, 429, "too many logs are open");
	else
		r = host_asker_judge(host, request->asker, &asked, &asker, &err);
	if (r == -EACCES)
		host_asker_audit(&asker, &asked, &err);
	if (r == 0)
		r = log_open(host, request, &asked.pod, &asker, &fd, &err);
	host_stream_reply(host, request->request_id, r < 0 ? &err : NULL, fd);
}

void host_logs_judge(struct host *host)
{
	list_for_each_safe (it, &host->logs) {
		struct host_log *log = list_entry(it, struct host_log, link);

		if (!host_asker_stands(host, &log->asker))
			log_free(log);
	}
}

void host_logs_close_all(struct host *host)
{
	list_for_each_safe (it, &host->logs)
		log_free(list_entry(it, struct host_log, link));
}
