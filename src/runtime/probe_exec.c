/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/probe_exec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "runtime/exec.h"
#include "runtime/pod.h"
#include "wire/frame.h"

enum {
	READ_LEN = 4096,
};

struct probe_exec {
	struct exec *exec; /* NULL: over */
	struct loop_watch *watch;
	struct loop_timer *timer; /* its time; or, at once, that it could not be begun */
	int fd;
	struct buf in, said;
	struct err why; /* it could not be begun */
	agent_fn *done;
	void *user;
};

void probe_exec_free(struct probe_exec *probe)
{
	if (!probe)
		return;
	loop_watch_free(probe->watch);
	loop_timer_free(probe->timer);
	if (probe->fd >= 0)
		(void)close(probe->fd);
	if (probe->exec)
		exec_abandon(probe->exec);
	buf_deinit(&probe->in);
	buf_deinit(&probe->said);
	free(probe);
}

static void probe_end(struct probe_exec *probe, enum agent_answer answer, const char *text)
{
	agent_fn *done = probe->done;
	void *user = probe->user;
	char *copy = mem_strdup(text);

	probe_exec_free(probe);
	done(user, answer, copy);
	free(copy);
}

static void on_time(void *user)
{
	struct probe_exec *probe = user;

	if (*probe->why.text)
		probe_end(probe, AGENT_SILENT, probe->why.text);
	else
		probe_end(probe, AGENT_NOT_WELL, "the command took too long");
}

static void end_with(struct probe_exec *probe, const struct frame_status *status)
{
	if (status->code == FRAME_NOT_RUN)
		probe_end(probe, AGENT_SILENT, status->text);
	else if (status->code == 0)
		probe_end(probe, AGENT_WELL, "");
	else
		probe_end(probe, AGENT_NOT_WELL, buf_cstr(&probe->said));
}

/* Output is kept as far as it fits; returns false when the status has ended the probe. */
static bool take_frame(struct probe_exec *probe, const struct frame *frame)
{
	size_t room = PROBE_OUTPUT_MAX - probe->said.len;
	struct frame_status status;

	if (frame->channel == FRAME_STATUS && frame_read_status(frame->payload, &status)) {
		end_with(probe, &status);
		return false;
	}
	if (frame->channel == FRAME_STDOUT || frame->channel == FRAME_STDERR)
		buf_append(&probe->said, frame->payload.ptr,
			   frame->payload.len < room ? frame->payload.len : room);
	return true;
}

static void on_frames(void *user, int events)
{
	struct probe_exec *probe = user;
	uint8_t some[READ_LEN];
	ssize_t got = recv(probe->fd, some, sizeof(some), MSG_DONTWAIT);
	struct frame frame;
	size_t used;

	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		probe_end(probe, AGENT_SILENT, "the command was broken off");
		return;
	}
	buf_append(&probe->in, some, (size_t)got);
	while (frame_next(bytes_buf(&probe->in), &frame, &used) == 0) {
		if (!take_frame(probe, &frame))
			return;
		buf_consume(&probe->in, used);
	}
}

static void on_started(void *user, const struct err *why)
{
	struct probe_exec *probe = user;

	if (why->code == 0)
		return;
	probe->why = *why;
	loop_timer_set(probe->timer, clock_mono());
}

static void on_done(void *user)
{
	struct probe_exec *probe = user;

	probe->exec = NULL;
}

static int begin(struct probe_exec *probe, struct container *container, const json_t *command)
{
	const struct exec_handler handler = {.started = on_started, .done = on_done, .user = probe};
	struct exec_request request = {
		.pod = container->pod->uid,
		.container = container->spec->name,
		.command_count = json_array_size(command),
		.out = true,
		.err = true,
	};
	const char **words = mem_alloc(request.command_count, sizeof(*words));
	int ends[2], r;

	for (size_t i = 0; i < request.command_count; i++)
		words[i] = json_string_value(json_array_get(command, i));
	request.command = words;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		r = err_set(&probe->why, -errno, "socketpair: %s", strerror(errno));
	} else {
		probe->fd = ends[0];
		r = exec_new(container->pod->pods, &request, ends[1], &handler, &probe->exec,
			     &probe->why);
	}
	free(words);
	return r;
}

struct probe_exec *probe_exec_new(struct container *container, const json_t *command,
				  int64_t timeout_ms, agent_fn *done, void *user)
{
	struct loop *loop = container->pod->pods->config.loop;
	struct probe_exec *probe = mem_new(struct probe_exec);
	int r;

	probe->fd = -1;
	probe->done = done;
	probe->user = user;
	probe->timer = loop_timer_new(loop, on_time, probe);
	r = begin(probe, container, command);
	if (r == 0)
		r = loop_watch_new(loop, probe->fd, LOOP_READABLE, on_frames, probe, &probe->watch);
	loop_timer_set(probe->timer, mono_add_ms(clock_mono(), r < 0 ? 0 : timeout_ms));
	return probe;
}
