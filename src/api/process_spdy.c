/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes' v4.channel.k8s.io over SPDY: the client opens a stream for each of error, stdin,
 * stdout, stderr and resize, as its header "streamtype" says; there is no stderr with a terminal,
 * and no resize without. The Status goes to error.
 */
#include <string.h>

#include "api/process.h"
#include "api/spdy.h"

/* By channel. */
static const char *const types[] = {
	[FRAME_STDIN] = "stdin",  [FRAME_STDOUT] = "stdout", [FRAME_STDERR] = "stderr",
	[FRAME_STATUS] = "error", [FRAME_RESIZE] = "resize",
};

static bool is_expected(const struct process *process, size_t channel)
{
	const bool expected[] = {
		[FRAME_STDIN] = process->in,      [FRAME_STDOUT] = process->out,
		[FRAME_STDERR] = process->err,    [FRAME_STATUS] = true,
		[FRAME_RESIZE] = process->is_tty,
	};

	return expected[channel];
}

static bool is_complete(const struct process *process)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (is_expected(process, i) && !process->streams[i])
			return false;
	return true;
}

static void spdy_wire_open(struct process *process)
{
	process->spdy = spdy_new();
}

static void spdy_wire_close(struct process *process)
{
	spdy_free(process->spdy);
}

static void close_input(struct process *process)
{
	const uint8_t channel = FRAME_STDIN;

	process_input(process, FRAME_CLOSE, bytes_of(&channel, 1));
}

static void opened(struct process *process, const struct spdy_event *event)
{
	const char *type = spdy_header(process->spdy, "streamtype");

	for (size_t i = 0; type && i < ARRAY_LEN(types); i++) {
		if (strcmp(type, types[i]) != 0 || process->streams[i])
			continue;
		process->streams[i] = event->stream;
		spdy_reply(process->spdy, event->stream, &process->output);
		if (i == FRAME_STDIN && event->end)
			close_input(process);
		return;
	}
	spdy_reset(event->stream, SPDY_REFUSED_STREAM, &process->output);
}

static void received(struct process *process, const struct spdy_event *event)
{
	if (event->stream == process->streams[FRAME_RESIZE])
		process_resize(process, event->data);
	if (event->stream != process->streams[FRAME_STDIN])
		return;
	process_input(process, FRAME_STDIN, event->data);
	if (event->end)
		close_input(process);
}

static void take_event(struct process *process, const struct spdy_event *event)
{
	switch (event->kind) {
	case SPDY_OPENED:
		opened(process, event);
		break;
	case SPDY_DATA:
		received(process, event);
		break;
	case SPDY_RESET: /* the end of the connection follows, if it was meant */
	default:
		break;
	}
}

static size_t spdy_wire_receive(struct process *process, struct bytes bytes, bool *ret_alive)
{
	size_t at = 0;

	while (!process->full) {
		struct spdy_event event;
		size_t used;
		int r = spdy_next(process->spdy, bytes_of(bytes.ptr + at, bytes.len - at),
				  &process->output, &used, &event);

		at += used;
		*ret_alive = r != SPDY_E_PROTOCOL;
		if (r != 0)
			break;
		take_event(process, &event);
	}
	return at;
}

static void spdy_wire_send(struct process *process, enum frame_channel channel, struct bytes bytes)
{
	if (process->streams[channel])
		spdy_data(process->streams[channel], bytes, channel == FRAME_STATUS,
			  &process->output);
}

static void spdy_wire_finish(struct process *process)
{
	const enum frame_channel outputs[] = {FRAME_STDOUT, FRAME_STDERR};

	for (size_t i = 0; i < ARRAY_LEN(outputs); i++)
		if (process->streams[outputs[i]])
			spdy_data(process->streams[outputs[i]], (struct bytes){0}, true,
				  &process->output);
}

static void spdy_wire_ping(struct process *process)
{
	spdy_ping(process->spdy, &process->output);
}

static bool spdy_wire_is_ready(const struct process *process)
{
	return is_complete(process);
}

const struct process_wire process_spdy = {
	.open = spdy_wire_open,
	.close = spdy_wire_close,
	.receive = spdy_wire_receive,
	.send = spdy_wire_send,
	.finish = spdy_wire_finish,
	.ping = spdy_wire_ping,
	.is_ready = spdy_wire_is_ready,
};
