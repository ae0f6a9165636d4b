/* SPDX-License-Identifier: Apache-2.0 */
#include "api/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	/* A line of JSON with two numbers. */
	RESIZE_MAX = 256,
};

static void process_free(struct process *process)
{
	struct api *api = process->remote.api;

	if (process->opening) {
		process->ended = true;
		return;
	}
	remote_leave(&process->remote);
	process->wire->close(process);
	buf_deinit(&process->frames);
	buf_deinit(&process->output);
	buf_deinit(&process->resize);
	free(process);
	call_unhold(api);
}

/* What the wire has written goes out. False: enough waits. */
static bool flush(struct process *process)
{
	bool room = exchange_write(process->exchange, bytes_buf(&process->output));

	buf_clear(&process->output);
	return room;
}

/* ---- to the client */

/* The sentences are those that kubectl looks for or shows. */
static json_t *status_object(const struct frame_status *status)
{
	json_t *details;
	char code[16];

	if (status->code == 0)
		return json_pack("{s:{},s:s}", "metadata", "status", "Success");
	if (status->code == FRAME_NOT_RUN)
		return kube_status(KUBE_REASON_INTERNAL, "%s", status->text);
	(void)snprintf(code, sizeof(code), "%d", status->code);
	details = json_pack("{s:[{s:s,s:s}]}", "causes", "reason", "ExitCode", "message", code);
	return json_pack(
		"{s:{},s:s,s:s,s:o,s:o}", "metadata", "status", "Failure", "reason",
		"NonZeroExitCode", "message",
		json_sprintf("command terminated with non-zero exit code: exit status %s", code),
		"details", details);
}

static void send_status(struct process *process, const struct frame_status *status)
{
	json_t *object = status_object(status);
	char *text = json_dumps(object, JSON_COMPACT);

	process->has_status = true;
	process->wire->send(process, FRAME_STATUS, bytes_str(text ? text : "{}"));
	process->wire->finish(process);
	free(text);
	json_decref(object);
}

static void take_frame(struct process *process, const struct frame *frame)
{
	struct frame_status status;

	if (process->has_status)
		return;
	if (frame->channel == FRAME_STDOUT || frame->channel == FRAME_STDERR)
		process->wire->send(process, frame->channel, frame->payload);
	else if (frame->channel == FRAME_STATUS && frame_read_status(frame->payload, &status))
		send_status(process, &status);
}

/* Tell the client what the host has said, once it is ready. */
static void take_frames(struct process *process)
{
	struct frame frame;
	size_t at = 0, used;

	while (frame_next(bytes_of(process->frames.ptr + at, process->frames.len - at), &frame,
			  &used) == 0) {
		take_frame(process, &frame);
		at += used;
	}
	buf_consume(&process->frames, at);
}

static bool sink_data(void *arg, struct bytes bytes)
{
	struct process *process = arg;

	buf_append_bytes(&process->frames, bytes);
	if (!process->was_ready)
		return process->frames.len < FRAME_PAYLOAD_MAX;
	take_frames(process);
	return flush(process);
}

/* All that the host had to say has been said: so has the client heard all. */
static void conclude(struct process *process)
{
	struct frame_status broken = {.code = FRAME_NOT_RUN};

	if (!process->has_status) {
		(void)snprintf(broken.text, sizeof(broken.text), "%s",
			       *process->reason ? process->reason
						: "the container's machine broke off");
		send_status(process, &broken);
		(void)flush(process);
	}
	exchange_end(process->exchange);
	process_free(process);
}

/* False: @process is gone. */
static bool become_ready(struct process *process)
{
	const struct api_backend *backend = &process->remote.api->backend;

	if (process->was_ready || !process->wire->is_ready(process))
		return true;
	process->was_ready = true;
	take_frames(process);
	(void)flush(process);
	if (process->host_ended) {
		conclude(process);
		return false;
	}
	if (process->stream)
		backend->ops->stream_resume(backend->self, process->stream);
	return true;
}

static void on_writable(struct exchange *exchange, void *arg)
{
	struct process *process = arg;
	const struct api_backend *backend = &process->remote.api->backend;

	(void)exchange;
	if (process->stream)
		backend->ops->stream_resume(backend->self, process->stream);
}

/* ---- from the client */

void process_input(struct process *process, enum frame_channel channel, struct bytes bytes)
{
	const struct api_backend *backend = &process->remote.api->backend;
	struct buf framed = {0};

	if (!process->stream || process->has_status || (channel == FRAME_STDIN && !bytes.len))
		return;
	if (channel == FRAME_STDIN && !process->in)
		return;
	frame_append(&framed, channel, bytes);
	if (!backend->ops->stream_write(backend->self, process->stream, bytes_buf(&framed)))
		process->full = true;
	buf_deinit(&framed);
}

static uint16_t dimension(const json_t *size, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(size, name));

	return value > 0 && value <= UINT16_MAX ? (uint16_t)value : 0;
}

void process_resize(struct process *process, struct bytes json)
{
	const struct api_backend *backend = &process->remote.api->backend;
	struct buf framed = {0};
	const uint8_t *feed;

	if (process->resize.len + json.len > RESIZE_MAX)
		buf_clear(&process->resize);
	else
		buf_append_bytes(&process->resize, json);
	/* One object to a line; only the last one matters, and all are small. */
	while (process->resize.len &&
	       (feed = memchr(process->resize.ptr, '\n', process->resize.len))) {
		size_t len = (size_t)(feed - process->resize.ptr) + 1;
		json_t *size = json_loadb((const char *)process->resize.ptr, len, 0, NULL);
		struct frame_size frame = {.columns = dimension(size, "Width"),
					   .rows = dimension(size, "Height")};

		if (frame.columns && frame.rows)
			frame_append_size(&framed, frame);
		json_decref(size);
		buf_consume(&process->resize, len);
	}
	if (framed.len && process->stream && !process->has_status &&
	    !backend->ops->stream_write(backend->self, process->stream, bytes_buf(&framed)))
		process->full = true;
	buf_deinit(&framed);
}

/* Its stream too: a process that was run for this client ends with that. */
static void hang_up(struct process *process)
{
	const struct api_backend *backend = &process->remote.api->backend;

	if (process->stream)
		backend->ops->stream_close(backend->self, process->stream);
	process->stream = NULL;
	exchange_end(process->exchange);
	process_free(process);
}

static size_t on_received(struct exchange *exchange, struct bytes bytes, void *arg)
{
	struct process *process = arg;
	bool alive = true;
	size_t used;

	(void)exchange;
	if (process->full)
		return 0;
	used = process->wire->receive(process, bytes, &alive);
	if (!alive) {
		(void)flush(process);
		hang_up(process);
		return bytes.len;
	}
	(void)flush(process);
	return become_ready(process) ? used : bytes.len;
}

static void sink_writable(void *arg)
{
	struct process *process = arg;

	process->full = false;
	exchange_receive(process->exchange);
}

static void on_abort(struct exchange *exchange, void *arg)
{
	struct process *process = arg;
	const struct api_backend *backend = &process->remote.api->backend;

	(void)exchange;
	if (process->exchange) {
		hang_up(process);
		return;
	}
	if (process->stream)
		backend->ops->stream_close(backend->self, process->stream);
	call_fail(process->call, KUBE_REASON_TIMEOUT, "the client has gone");
	process_free(process);
}

/* ---- life */

static void sink_begin(void *arg)
{
	struct process *process = arg;

	process->exchange = process->call->exchange;
	process->call->exchange = NULL;
	call_free(process->call);
	process->call = NULL;
	upgrade_answer(process->exchange, &process->upgrade, on_received, on_writable, on_abort,
		       process);
	process->wire->open(process);
	process->was_ready = process->wire->is_ready(process);
	(void)flush(process);
}

static void sink_end(void *arg, const struct err *err)
{
	struct process *process = arg;

	process->stream = NULL;
	if (!process->exchange) {
		call_fail_err(process->call, err);
		process_free(process);
		return;
	}
	process->host_ended = true;
	if (err->code)
		(void)snprintf(process->reason, sizeof(process->reason), "%s", err->text);
	if (process->was_ready)
		conclude(process);
}

static void on_ping(struct remote *remote)
{
	struct process *process = container_of(remote, struct process, remote);

	if (!process->exchange || process->has_status)
		return;
	process->wire->ping(process);
	(void)flush(process);
}

/* All words of ?command=, in their order. */
static size_t read_command(const struct url *url, const char *words[URL_PARAMS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < url->param_count; i++)
		if (strcmp(url->params[i].name, "command") == 0)
			words[count++] = url->params[i].value;
	return count;
}

static void read_streams(struct process *process, const struct url *url,
			 struct api_stream_request *request)
{
	request->in = process->in = url_flag(url, "stdin");
	request->out = process->out = url_flag(url, "stdout");
	request->is_tty = process->is_tty = url_flag(url, "tty");
	/* A terminal has one output only. */
	request->err = process->err = !process->is_tty && url_flag(url, "stderr");
}

static void open_stream(struct process *process, const struct api_stream_request *request)
{
	static const struct api_stream_sink sink = {
		.begin = sink_begin,
		.data = sink_data,
		.writable = sink_writable,
		.end = sink_end,
	};
	const struct api_backend *backend = &process->remote.api->backend;

	call_hold(process->call);
	exchange_on_abort(process->call->exchange, on_abort, process);
	process->opening = true;
	process->stream = backend->ops->stream_open(backend->self, request, &sink, process);
	process->opening = false;
	if (process->ended)
		process_free(process);
}

static void process_start(struct call *call, struct process *process,
			  struct api_stream_request *request)
{
	const char *words[URL_PARAMS_MAX];
	struct api_credential credential;
	struct pod_target target;

	request->command = words;
	request->command_count = read_command(&call->url, words);
	read_streams(process, &call->url, request);
	if (request->kind == API_STREAM_EXEC && request->command_count == 0) {
		call_fail(call, KUBE_REASON_BAD_REQUEST, "you must specify at least one command");
		goto refused;
	}
	if (!process->in && !process->out && !process->err) {
		call_fail(call, KUBE_REASON_BAD_REQUEST,
			  "you must specify at least 1 of stdin, stdout, stderr");
		goto refused;
	}
	if (!pod_target_find(call, &target))
		goto refused;
	request->container = target.container;
	request->user = call->exchange->user.name;
	request->credential = exchange_credential(call->exchange, &credential);
	if (pod_target_place(call, request) && remote_enter(&process->remote, call, on_ping)) {
		open_stream(process, request);
		process = NULL;
	}
	pod_target_deinit(&target);
refused:
	free(process);
}

void verb_exec(struct call *call)
{
	static const struct upgrade_protocol spoken[] = {
		{UPGRADE_WEBSOCKET, "v5.channel.k8s.io"},
		{UPGRADE_WEBSOCKET, "v4.channel.k8s.io"},
		{UPGRADE_SPDY, "v4.channel.k8s.io"},
		{0, NULL},
	};
	struct api_stream_request request = {
		.kind = strcmp(call->subresource, "exec") == 0 ? API_STREAM_EXEC
							       : API_STREAM_ATTACH,
	};
	struct process *process = mem_new(struct process);
	const char *why;

	if (!upgrade_choose(&call->exchange->request, spoken, &process->upgrade, &why)) {
		free(process);
		call_fail(call, KUBE_REASON_BAD_REQUEST, why);
		return;
	}
	process->call = call;
	process->wire =
		process->upgrade.kind == UPGRADE_WEBSOCKET ? &process_websocket : &process_spdy;
	process_start(call, process, &request);
}
