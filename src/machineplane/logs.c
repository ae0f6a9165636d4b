/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs: of this machine's containers, read from the host process's pipe; of other machines', over a
 * QUIC stream.
 *
 * A stream begins with the request as one line of JSON; the answer is one line of JSON,
 * {"status":200,"error":""} or a refusal with its reason, then the log's bytes until the stream
 * ends. The machine that runs the pod answers only to a steward of the pod's namespace.
 *
 *   gateway: open_local | open_remote -> HEADER -> DATA -> end
 *   server:  REQUEST -> WAITING (for the host) -> SENDING -> finished
 */
#include "machineplane/fabric.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/clock.h"

enum {
	LOGS_LINE_MAX = 4096, /* request or answer line */
	LOGS_CHUNK = 16 * 1024,
	LOGS_OPEN_MAX = 1024, /* of one process, both directions */
};

/* One log on its way: read by a client of ours, or by another machine's gateway. */
struct api_log {
	struct list link;
	struct logs *logs;
	/* Where it comes from: a pipe of the host, or a stream of another machine. */
	uint64_t request; /* to the host; 0 once answered */
	int fd;           /* -1: none */
	struct loop_watch *watch;
	struct quic_stream *source;
	bool remote; /* from another machine, also after its stream has ended */
	bool dials;  /* that machine is being dialled, to be asked @question */
	struct node_id machine;
	struct buf question;
	struct buf line; /* of the other side, until its end is seen */
	bool has_header;
	/* Where it goes: a sink of the REST gateway, or a stream. */
	const struct api_log_sink *sink; /* NULL: a stream */
	void *arg;
	struct quic_stream *target;
	struct buf unsent; /* target: what it did not take */
	bool paused, ended;
};

struct logs {
	struct fabric *fabric;
	struct list open;
	size_t count;
	uint64_t last_request;
};

struct logs *logs_new(struct fabric *fabric)
{
	struct logs *logs = mem_new(struct logs);

	logs->fabric = fabric;
	list_init(&logs->open);
	return logs;
}

static struct api_log *log_new(struct logs *logs)
{
	struct api_log *log = mem_new(struct api_log);

	log->logs = logs;
	log->fd = -1;
	list_append(&logs->open, &log->link);
	logs->count++;
	return log;
}

static void log_free(struct api_log *log)
{
	list_remove(&log->link);
	log->logs->count--;
	loop_watch_free(log->watch);
	if (log->fd >= 0)
		(void)close(log->fd);
	if (log->source) {
		quic_stream_set_user(log->source, NULL);
		quic_stream_reset(log->source, 0);
	}
	if (log->target)
		quic_stream_set_user(log->target, NULL);
	buf_deinit(&log->question);
	buf_deinit(&log->line);
	buf_deinit(&log->unsent);
	free(log);
}

void logs_free(struct logs *logs)
{
	if (!logs)
		return;
	list_for_each_safe (it, &logs->open)
		log_free(list_entry(it, struct api_log, link));
	free(logs);
}

static void answer_line(struct quic_stream *stream, int status, const char *error)
{
	json_t *json = json_pack("{s:i,s:s}", "status", status, "error", error ? error : "");
	char *text = json_dumps(json, JSON_COMPACT);
	struct buf line = {0};

	buf_append_format(&line, "%s\n", text ? text : "{}");
	(void)!quic_stream_write(stream, bytes_buf(&line)); /* a fresh stream has room for a line */
	buf_deinit(&line);
	free(text);
	json_decref(json);
}

/* The end of a log, in order or not; @log is gone afterwards. */
static void finish(struct api_log *log, int status, const char *error)
{
	struct err err = {0};

	if (log->sink) {
		if (status != 200)
			(void)err_set_status(&err, -EIO, (uint16_t)status, "%s",
					     error && *error ? error : "the log broke off");
		log->sink->end(log->arg, &err);
	} else if (log->target) {
		if (!log->has_header)
			answer_line(log->target, status, error);
		quic_stream_finish(log->target);
	}
	log_free(log);
}

/* Hand on what arrived. False: stop reading for now. */
static bool pass(struct api_log *log, struct bytes bytes)
{
	size_t taken;

	if (log->sink)
		return log->sink->data(log->arg, bytes);
	taken = quic_stream_write(log->target, bytes);
	buf_append(&log->unsent, bytes.ptr + taken, bytes.len - taken);
	return log->unsent.len == 0;
}

static void pipe_readable(void *user, int events)
{
	struct api_log *log = user;
	uint8_t chunk[LOGS_CHUNK / 4];
	ssize_t len = read(log->fd, chunk, sizeof(chunk));

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0) {
		finish(log, len == 0 ? 200 : 500, len == 0 ? NULL : strerror(errno));
		return;
	}
	if (!pass(log, bytes_of(chunk, (size_t)len))) {
		log->paused = true;
		loop_watch_set(log->watch, 0);
	}
}

static void resume(struct api_log *log)
{
	log->paused = false;
	if (log->watch)
		loop_watch_set(log->watch, LOOP_READABLE);
}

static struct api_log *find_request(struct logs *logs, uint64_t request)
{
	list_for_each (it, &logs->open) {
		struct api_log *log = list_entry(it, struct api_log, link);

		if (log->request == request)
			return log;
	}
	return NULL;
}

static void begin(struct api_log *log)
{
	log->has_header = true;
	if (log->sink)
		log->sink->begin(log->arg);
	else
		answer_line(log->target, 200, NULL);
}

void logs_opened(struct logs *logs, uint64_t request, int status, const char *error, int fd)
{
	struct api_log *log = find_request(logs, request);

	if (!log) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	log->request = 0;
	log->fd = fd;
	if (status != 200 || fd < 0) {
		finish(log, status == 200 ? 500 : status, error);
		return;
	}
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	begin(log);
	if (loop_watch_new(logs->fabric->loop, fd, LOOP_READABLE, pipe_readable, log,
			   &log->watch) != 0)
		finish(log, 500, "the log cannot be watched");
}

static int ask_host(struct api_log *log, const struct api_log_options *options)
{
	log->request = ++log->logs->last_request;
	return host_ask_logs(log->logs->fabric->host, log->request, options);
}

/* The line that asks another machine. */
static void write_question(const struct api_log_options *options, struct buf *out)
{
	json_t *json =
		json_pack("{s:s,s:s,s:s,s:b,s:b,s:b,s:I,s:I,s:I}", "verb", "logs", "pod",
			  uid_text(&options->pod).text, "container", options->container, "follow",
			  (int)options->follow, "timestamps", (int)options->timestamps, "previous",
			  (int)options->previous, "tail", (json_int_t)options->tail_lines, "limit",
			  (json_int_t)options->limit_bytes, "since", (json_int_t)options->since.ms);
	char *text = json_dumps(json, JSON_COMPACT);

	buf_append_format(out, "%s\n", text ? text : "{}");
	free(text);
	json_decref(json);
}

static int ask_on(struct api_log *log, struct quic_conn *conn)
{
	int result = quic_stream_open(conn, log, &log->source);

	if (result)
		return err_fold(result);
	(void)!quic_stream_write(log->source, bytes_buf(&log->question));
	quic_stream_finish(log->source);
	buf_deinit(&log->question);
	return 0;
}

/* Larger fabrics do not keep a connection to every machine: this one is dialled then. */
static int ask_machine(struct api_log *log, const struct api_log_options *options)
{
	struct fabric *fabric = log->logs->fabric;
	struct quic_conn *conn = peers_conn(fabric->peers, &options->machine);
	struct addr addr;

	log->remote = true;
	log->machine = options->machine;
	write_question(options, &log->question);
	if (conn)
		return ask_on(log, conn);
	addr = backend_address(fabric->backend, &options->machine);
	if (addr_is_none(&addr) || !peers_dial(fabric->peers, &options->machine, &addr))
		return err_origin(-EHOSTUNREACH);
	log->dials = true;
	return 0;
}

/* Those that wait for @machine; conn NULL: in vain. */
static void end_waiting(struct logs *logs, const struct node_id *machine, struct quic_conn *conn)
{
	list_for_each_safe (it, &logs->open) {
		struct api_log *log = list_entry(it, struct api_log, link);

		if (!log->dials || !node_id_equal(&log->machine, machine))
			continue;
		log->dials = false;
		if (!conn)
			finish(log, 503, "the pod's machine cannot be reached");
		else if (ask_on(log, conn) != 0)
			finish(log, 503, "the log cannot be opened now");
	}
}

void logs_connected(struct logs *logs, const struct node_id *machine, struct quic_conn *conn)
{
	if (logs)
		end_waiting(logs, machine, conn);
}

void logs_disconnected(struct logs *logs, const struct node_id *machine)
{
	if (logs)
		end_waiting(logs, machine, NULL);
}

struct api_log *logs_open(struct logs *logs, const struct api_log_options *options,
			  const struct api_log_sink *sink, void *arg)
{
	struct api_log *log = log_new(logs);
	bool here = node_id_equal(&options->machine, node_self(logs->fabric->node));
	int result;

	log->sink = sink;
	log->arg = arg;
	result = logs->count > LOGS_OPEN_MAX ? -EMFILE
		 : here                      ? ask_host(log, options)
					     : ask_machine(log, options);
	if (result == 0)
		return log;
	finish(log, 503,
	       result == -EHOSTUNREACH ? "the pod's machine cannot be reached"
				       : "the log cannot be opened now");
	return NULL;
}

void logs_resume(struct logs *logs, struct api_log *log)
{
	struct bytes rest;

	if (!log->remote) {
		resume(log);
		return;
	}
	log->paused = false;
	rest = bytes_buf(&log->line);
	if (rest.len) {
		struct buf held = log->line;

		log->line = (struct buf){0};
		if (log->source)
			quic_stream_consumed(log->source, held.len);
		log->paused = !log->sink->data(log->arg, bytes_buf(&held));
		buf_deinit(&held);
	}
	if (log->ended && !log->paused)
		finish(log, 200, NULL);
}

void logs_close(struct logs *logs, struct api_log *log)
{
	log_free(log);
}

/* ---- the machine that runs the pod */

void logs_stream_opened(struct logs *logs, struct quic_stream *stream)
{
	struct api_log *log;

	if (!logs || logs->count >= LOGS_OPEN_MAX) {
		quic_stream_reset(stream, 1);
		return;
	}
	log = log_new(logs);
	log->target = stream;
	quic_stream_set_user(stream, log);
}

/* The namespace of a pod of this machine, by its own word; the caller frees it. NULL: no such pod.
 */
static char *pod_namespace(struct fabric *fabric, const struct uid *pod)
{
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(node_records(fabric->node), RECORD_PRESENCE, NULL, NULL,
				    &position)))
		if (uid_equal(&item->record.key.sub, pod) &&
		    node_id_equal(&item->writer, node_self(fabric->node)))
			return mem_strdup(item->record.object.namespace);
	return NULL;
}

static bool asker_is_steward(struct fabric *fabric, struct quic_stream *stream,
			     const char *namespace)
{
	const struct bytes *chain;
	struct cert leaf;

	return quic_conn_peer_chain(quic_stream_conn(stream), &chain) > 0 &&
	       cert_parse(chain[0], &leaf, NULL) == 0 &&
	       grant_stewards(&leaf.grant, bytes_str(namespace));
}

bool logs_request_parse(struct bytes line, struct api_log_options *options)
{
	json_t *json = json_loadb((const char *)line.ptr, line.len, 0, NULL);
	const char *pod, *container;
	int follow = 0, timestamps = 0, previous = 0;
	json_int_t tail = -1, limit = -1, since = 0;
	bool good =
		json &&
		json_unpack(json, "{s:s,s:s,s:b,s:b,s:b,s:I,s:I,s:I}", "pod", &pod, "container",
			    &container, "follow", &follow, "timestamps", &timestamps, "previous",
			    &previous, "tail", &tail, "limit", &limit, "since", &since) == 0 &&
		uid_parse(pod, &options->pod) && strlen(container) < sizeof(options->container);

	if (good) {
		memcpy(options->container, container, strlen(container) + 1);
		options->follow = follow;
		options->timestamps = timestamps;
		options->previous = previous;
		options->tail_lines = tail;
		options->limit_bytes = limit;
		options->since.ms = since;
	}
	json_decref(json);
	return good;
}

static void serve(struct api_log *log)
{
	struct fabric *fabric = log->logs->fabric;
	struct api_log_options options = {0};
	char *namespace;

	if (!logs_request_parse(bytes_buf(&log->line), &options)) {
		finish(log, 400, "malformed request for a log");
		return;
	}
	namespace = pod_namespace(fabric, &options.pod);
	if (!namespace)
		finish(log, 404, "the pod is not on this machine");
	else if (!asker_is_steward(fabric, log->target, namespace))
		finish(log, 403, "the asking machine is no steward of the pod's namespace");
	else if (ask_host(log, &options) != 0)
		finish(log, 503, "the host process cannot be reached");
	free(namespace);
}

static void request_data(struct api_log *log, struct bytes data, bool end)
{
	quic_stream_consumed(log->target, data.len);
	if (log->request || log->fd >= 0)
		return;
	buf_append_bytes(&log->line, data);
	if (log->line.len > LOGS_LINE_MAX)
		finish(log, 400, "the request for a log is too long");
	else if (end || memchr(log->line.ptr ? log->line.ptr : data.ptr, '\n', log->line.len))
		serve(log);
}

/* ---- the gateway, from another machine */

struct logs_answer logs_answer_parse(struct bytes line)
{
	struct logs_answer answer = {.status = 502, .error = "the pod's machine sent rubbish"};
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

/* The first line of an answer; what follows it is the log. */
static void take_header(struct api_log *log, bool end)
{
	uint8_t *newline = log->line.len ? memchr(log->line.ptr, '\n', log->line.len) : NULL;
	struct logs_answer answer;

	if (!newline && !end && log->line.len <= LOGS_LINE_MAX)
		return;
	answer = logs_answer_parse(
		newline ? bytes_of(log->line.ptr, (size_t)(newline - log->line.ptr))
			: (struct bytes){0});
	if (answer.status == 200) {
		quic_stream_consumed(log->source, (size_t)(newline + 1 - log->line.ptr));
		buf_consume(&log->line, (size_t)(newline + 1 - log->line.ptr));
		begin(log);
	} else {
		finish(log, answer.status, answer.error);
	}
}

static void source_data(struct api_log *log, struct bytes data, bool end)
{
	struct logs *logs = log->logs;
	bool header = log->has_header;

	/* Held until the client takes it: the stream's window bounds how much that can be. */
	buf_append_bytes(&log->line, data);
	log->ended = end;
	if (!header) {
		take_header(log, end);
		list_for_each (it, &logs->open)
			if (list_entry(it, struct api_log, link) == log)
				header = log->has_header;
	}
	if (header && !log->paused)
		logs_resume(logs, log);
}

void logs_stream_data(struct logs *logs, struct quic_stream *stream, struct bytes data, bool end)
{
	struct api_log *log = quic_stream_user(stream);

	if (!log)
		quic_stream_consumed(stream, data.len);
	else if (log->source == stream)
		source_data(log, data, end);
	else
		request_data(log, data, end);
}

void logs_stream_writable(struct logs *logs, struct quic_stream *stream)
{
	struct api_log *log = quic_stream_user(stream);

	if (!log || log->target != stream)
		return;
	buf_consume(&log->unsent, quic_stream_write(stream, bytes_buf(&log->unsent)));
	if (log->unsent.len == 0 && log->paused)
		resume(log);
}

void logs_stream_closed(struct logs *logs, struct quic_stream *stream, const struct err *why)
{
	struct api_log *log = quic_stream_user(stream);

	if (!log)
		return;
	if (log->source == stream) {
		log->source = NULL;
		if (!log->ended || why)
			finish(log, 502, why ? why->text : "the log broke off");
		else if (!log->paused && !log->line.len)
			finish(log, 200, NULL);
		return;
	}
	log->target = NULL; /* the reader has gone */
	log_free(log);
}
