/* SPDX-License-Identifier: Apache-2.0 */
/* The lines with which machines ask each other for streams of their pods. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "machineplane/fabric.h"
#include "runtime/exec.h"

static const char *const verbs[_API_STREAM_KIND_COUNT] = {
	[API_STREAM_LOG] = "logs",        [API_STREAM_EXEC] = "exec",
	[API_STREAM_ATTACH] = "attach",   [API_STREAM_PORT] = "port",
	[API_STREAM_INGRESS] = "ingress", [API_STREAM_USAGE] = "usage",
};

static void append_line(json_t *json, struct buf *out)
{
	char *text = json_dumps(json, JSON_COMPACT);

	buf_append_format(out, "%s\n", text ? text : "{}");
	free(text);
	json_decref(json);
}

static void set_log(json_t *json, const struct api_log_options *log)
{
	(void)json_object_set_new(json, "follow", json_boolean(log->follow));
	(void)json_object_set_new(json, "timestamps", json_boolean(log->timestamps));
	(void)json_object_set_new(json, "previous", json_boolean(log->previous));
	(void)json_object_set_new(json, "tail", json_integer(log->tail_lines));
	(void)json_object_set_new(json, "limit", json_integer(log->limit_bytes));
	(void)json_object_set_new(json, "since", json_integer(log->since.ms));
}

static void set_process(json_t *json, const struct api_stream_request *request)
{
	json_t *command = json_array();

	for (size_t i = 0; i < request->command_count; i++)
		(void)json_array_append_new(command, json_string(request->command[i]));
	(void)json_object_set_new(json, "command", command);
	(void)json_object_set_new(json, "in", json_boolean(request->in));
	(void)json_object_set_new(json, "out", json_boolean(request->out));
	(void)json_object_set_new(json, "err", json_boolean(request->err));
	(void)json_object_set_new(json, "tty", json_boolean(request->is_tty));
}

static void set_ingress(json_t *json, const struct api_stream_request *request)
{
	(void)json_object_set_new(json, "namespace", json_string(request->namespace));
	(void)json_object_set_new(json, "service", json_string(request->service));
	(void)json_object_set_new(json, "port", json_integer(request->port));
}

static void set_envelope(json_t *json, struct bytes envelope)
{
	struct buf text = {0};

	base64_encode(envelope, &text);
	(void)json_object_set_new(json, "request", json_string(buf_cstr(&text)));
	buf_deinit(&text);
}

void stream_question_write(const struct api_stream_request *request, struct bytes envelope,
			   struct buf *out)
{
	json_t *json = json_pack("{s:s,s:s,s:s,s:s}", "verb", verbs[request->kind], "pod",
				 uid_text(&request->pod).text, "container",
				 request->container ? request->container : "", "user",
				 request->user ? request->user : "");

	if (envelope.len)
		set_envelope(json, envelope);

	if (request->kind == API_STREAM_LOG)
		set_log(json, &request->log);
	else if (request->kind == API_STREAM_PORT)
		(void)json_object_set_new(json, "port", json_integer(request->port));
	else if (request->kind == API_STREAM_INGRESS)
		set_ingress(json, request);
	else if (request->kind == API_STREAM_USAGE)
		(void)json_object_set_new(json, "namespace",
					  request->namespace ? json_string(request->namespace)
							     : json_null());
	else
		set_process(json, request);
	append_line(json, out);
}

static bool read_log(json_t *json, struct api_log_options *log)
{
	int follow = 0, timestamps = 0, previous = 0;
	json_int_t tail = -1, limit = -1, since = 0;

	if (json_unpack(json, "{s:b,s:b,s:b,s:I,s:I,s:I}", "follow", &follow, "timestamps",
			&timestamps, "previous", &previous, "tail", &tail, "limit", &limit, "since",
			&since) != 0)
		return false;
	log->follow = follow;
	log->timestamps = timestamps;
	log->previous = previous;
	log->tail_lines = tail;
	log->limit_bytes = limit;
	log->since.ms = since;
	return true;
}

static bool read_process(struct stream_question *question)
{
	struct api_stream_request *request = &question->request;
	int in = 0, out = 0, err = 0, tty = 0;
	json_t *command = NULL, *word;
	size_t i;

	if (json_unpack(question->json, "{s:o,s:b,s:b,s:b,s:b}", "command", &command, "in", &in,
			"out", &out, "err", &err, "tty", &tty) != 0 ||
	    json_array_size(command) > EXEC_WORDS_MAX)
		return false;
	request->in = in;
	request->out = out;
	request->err = err;
	request->is_tty = tty;
	question->command = mem_alloc(json_array_size(command), sizeof(*question->command));
	json_array_foreach (command, i, word) {
		question->command[i] = json_string_value(word);
		if (!question->command[i])
			return false;
	}
	request->command = question->command;
	request->command_count = json_array_size(command);
	return (request->command_count > 0) == (request->kind == API_STREAM_EXEC);
}

static bool read_port(json_t *json, struct api_stream_request *request)
{
	json_int_t port = json_integer_value(json_object_get(json, "port"));

	if (port < 1 || port > UINT16_MAX)
		return false;
	request->port = (uint16_t)port;
	return true;
}

static bool read_ingress(json_t *json, struct api_stream_request *request)
{
	request->namespace = json_string_value(json_object_get(json, "namespace"));
	request->service = json_string_value(json_object_get(json, "service"));
	return request->namespace && request->service && read_port(json, request);
}

static bool read_kind(const char *verb, enum api_stream_kind *ret_kind)
{
	for (int i = 0; i < _API_STREAM_KIND_COUNT; i++)
		if (strcmp(verb, verbs[i]) == 0) {
			*ret_kind = (enum api_stream_kind)i;
			return true;
		}
	return false;
}

static bool read_envelope(struct stream_question *question)
{
	const char *text = json_string_value(json_object_get(question->json, "request"));

	return text && base64_decode(bytes_str(text), &question->envelope) &&
	       question->envelope.len > 0;
}

static bool read_question(struct stream_question *question)
{
	struct api_stream_request *request = &question->request;
	const char *verb, *pod;

	if (!question->json ||
	    json_unpack(question->json, "{s:s,s:s,s:s}", "verb", &verb, "pod", &pod, "container",
			&request->container) != 0 ||
	    !read_kind(verb, &request->kind) || !uid_parse(pod, &request->pod))
		return false;
	request->user = json_string_value(json_object_get(question->json, "user"));
	if (!request->user)
		request->user = "";
	if (request->kind == API_STREAM_USAGE) {
		request->namespace =
			json_string_value(json_object_get(question->json, "namespace"));
		return true;
	}
	if (request->kind == API_STREAM_INGRESS)
		return read_ingress(question->json, request);
	if (!read_envelope(question))
		return false;
	if (request->kind == API_STREAM_LOG)
		return read_log(question->json, &request->log);
	if (request->kind == API_STREAM_PORT)
		return read_port(question->json, request);
	return read_process(question);
}

bool stream_question_parse(struct bytes line, struct stream_question *ret_question)
{
	*ret_question = (struct stream_question){
		.json = json_loadb((const char *)line.ptr, line.len, JSON_DISABLE_EOF_CHECK, NULL),
	};
	if (read_question(ret_question))
		return true;
	stream_question_deinit(ret_question);
	return false;
}

void stream_question_deinit(struct stream_question *question)
{
	json_decref(question->json);
	buf_deinit(&question->envelope);
	free(question->command);
	*question = (struct stream_question){0};
}

void stream_answer_write(int status, const char *error, struct buf *out)
{
	append_line(json_pack("{s:i,s:s}", "status", status, "error", error ? error : ""), out);
}

struct stream_answer stream_answer_parse(struct bytes line)
{
	struct stream_answer answer = {.status = 502, .error = "the pod's machine sent rubbish"};
	json_t *json = json_loadb((const char *)line.ptr, line.len, 0, NULL);
	json_int_t status = json_integer_value(json_object_get(json, "status"));
	const char *error = json_string_value(json_object_get(json, "error"));

	if (status == 200 || (status >= 400 && status < 600)) {
		answer.status = (int)status;
		(void)snprintf(answer.error, sizeof(answer.error), "%s", error ? error : "");
	}
	json_decref(json);
	return answer;
}
