/* SPDX-License-Identifier: Apache-2.0 */
/* Pod log: GET .../pods/x/log, from whichever machine runs the pod, as fast as the client reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/gateway.h"
#include "base/mem.h"
#include "kube/time.h"

struct log_stream {
	struct api *api;
	struct call *call;
	struct exchange *exchange; /* once streaming */
	struct api_stream *log;
	bool opening, ended, begun;
};

/* The stream and its call have been answered. */
static void stream_free(struct log_stream *stream)
{
	struct api *api = stream->api;

	if (stream->opening) {
		stream->ended = true;
		return;
	}
	free(stream);
	call_unhold(api);
}

static void finish_stream(struct log_stream *stream, bool complete)
{
	if (complete)
		exchange_end(stream->exchange);
	else
		exchange_break(stream->exchange);
	call_free(stream->call);
	stream_free(stream);
}

static void on_writable(struct exchange *exchange, void *arg)
{
	struct log_stream *stream = arg;

	(void)exchange;
	if (stream->log)
		stream->api->backend.ops->stream_resume(stream->api->backend.self, stream->log);
}

static void on_abort(struct exchange *exchange, void *arg)
{
	struct log_stream *stream = arg;
	const struct api_backend *backend = &stream->api->backend;

	(void)exchange;
	if (stream->log)
		backend->ops->stream_close(backend->self, stream->log);
	if (stream->begun) {
		finish_stream(stream, true);
		return;
	}
	call_fail(stream->call, KUBE_REASON_TIMEOUT, "the client has gone");
	stream_free(stream);
}

static void sink_begin(void *arg)
{
	struct log_stream *stream = arg;

	stream->begun = true;
	stream->exchange = stream->call->exchange;
	stream->call->exchange = NULL;
	exchange_stream(stream->exchange, 200, "text/plain; charset=utf-8", on_writable, on_abort,
			stream);
}

static bool sink_data(void *arg, struct bytes bytes)
{
	struct log_stream *stream = arg;

	return exchange_write(stream->exchange, bytes);
}

static void sink_end(void *arg, const struct err *err)
{
	struct log_stream *stream = arg;

	stream->log = NULL;
	if (stream->begun) {
		finish_stream(stream, err->code == 0);
		return;
	}
	if (err->code)
		call_fail_err(stream->call, err);
	else
		call_respond_text(stream->call, 200, "");
	stream_free(stream);
}

/* Options. */

static bool refuse(struct call *call, const char *sentence)
{
	call_fail(call, KUBE_REASON_BAD_REQUEST, sentence);
	return false;
}

/* A count that may be missing: then *@ret_value stays. */
static bool parse_count(struct call *call, const char *name, int64_t *ret_value)
{
	const char *text = url_param(&call->url, name);
	long long value;
	char *end;

	if (!text || !*text)
		return true;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (*end || errno || value < 0)
		return refuse(call, "log options must be numbers of zero or more");
	*ret_value = value;
	return true;
}

static bool parse_since(struct call *call, struct api_log_options *options)
{
	const struct api_backend *backend = &call->api->backend;
	const char *time = url_param(&call->url, "sinceTime");
	int64_t seconds = -1;

	if (!parse_count(call, "sinceSeconds", &seconds))
		return false;
	if (time && *time && seconds >= 0)
		return refuse(call, "at most one of sinceTime or sinceSeconds may be specified");
	if (time && *time && !kube_time_parse(time, &options->since))
		return refuse(call, "sinceTime is not a time in RFC 3339");
	if (seconds > INT64_MAX / 2000)
		return refuse(call, "sinceSeconds is out of range");
	if (seconds >= 0)
		options->since.ms = backend->ops->now(backend->self).ms - seconds * 1000;
	return true;
}

static bool parse_options(struct call *call, struct api_log_options *options)
{
	options->tail_lines = options->limit_bytes = -1;
	options->follow = url_flag(&call->url, "follow");
	options->timestamps = url_flag(&call->url, "timestamps");
	options->previous = url_flag(&call->url, "previous");
	return parse_count(call, "tailLines", &options->tail_lines) &&
	       parse_count(call, "limitBytes", &options->limit_bytes) && parse_since(call, options);
}

static const json_t *status_of(const json_t *pod, const char *list, const char *container)
{
	const json_t *status;
	size_t i;

	json_array_foreach (json_object_get(json_object_get(pod, "status"), list), i, status) {
		const char *name = json_string_value(json_object_get(status, "name"));

		if (name && strcmp(name, container) == 0)
			return status;
	}
	return NULL;
}

/* Kubernetes' sentences for a container that has no such log. False when answered. */
static bool check_container(struct call *call, const json_t *pod,
			    const struct api_stream_request *request)
{
	const struct api_log_options *options = &request->log;
	const json_t *status = status_of(pod, "containerStatuses", request->container);
	const json_t *last, *waiting;
	struct buf sentence = {0};
	const char *reason;

	if (!status)
		status = status_of(pod, "initContainerStatuses", request->container);
	last = json_object_get(json_object_get(status, "lastState"), "terminated");
	waiting = json_object_get(json_object_get(status, "state"), "waiting");
	reason = json_string_value(json_object_get(waiting, "reason"));
	if (options->previous && !last)
		buf_append_format(&sentence,
				  "previous terminated container \"%s\" in pod \"%s\" not found",
				  request->container, call->name);
	else if (waiting && !last)
		buf_append_format(
			&sentence, "container \"%s\" in pod \"%s\" is waiting to start: %s",
			request->container, call->name, reason ? reason : "ContainerCreating");
	if (!sentence.len)
		return true;
	call_fail(call, KUBE_REASON_BAD_REQUEST, buf_cstr(&sentence));
	buf_deinit(&sentence);
	return false;
}

static void open_log(struct call *call, const struct api_stream_request *request)
{
	static const struct api_stream_sink sink = {
		.begin = sink_begin,
		.data = sink_data,
		.end = sink_end,
	};
	struct log_stream *stream = mem_new(struct log_stream);
	struct api *api = call->api;

	stream->api = api;
	stream->call = call;
	stream->opening = true;
	call_hold(call);
	exchange_on_abort(call->exchange, on_abort, stream);
	stream->log = api->backend.ops->stream_open(api->backend.self, request, &sink, stream);
	stream->opening = false;
	if (stream->ended)
		stream_free(stream);
}

void verb_log(struct call *call)
{
	struct pod_target target;
	struct api_credential credential;
	struct api_stream_request request = {.kind = API_STREAM_LOG};

	if (!pod_target_find(call, &target))
		return;
	request.container = target.container;
	request.user = call->exchange->user.name;
	request.credential = exchange_credential(call->exchange, &credential);
	if (parse_options(call, &request.log) && check_container(call, target.object, &request) &&
	    pod_target_place(call, &request))
		open_log(call, &request);
	pod_target_deinit(&target);
}
