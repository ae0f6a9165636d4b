/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forward: a client with connections to ports of a pod (`kubectl port-forward`).
 *
 * For each connection the client opens two streams of SPDY, "error" and "data", which belong
 * together by the header "requestid"; here the pair is one stream of the backend. The SPDY stands
 * on the connection itself or inside binary messages of a WebSocket, which are cut anyhow.
 *
 *   (error, data opened) --> CONNECTING --begin--> OPEN --either side ends--> (gone)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "api/remote.h"
#include "api/spdy.h"
#include "api/upgrade.h"
#include "base/mem.h"

enum {
	/* As many as another machine lets us have streams to it. */
	PAIRS_MAX = 100,
	REQUEST_ID_MAX = 32,
};

struct pair {
	struct list link;
	struct forward *forward;
	char request[REQUEST_ID_MAX];
	uint16_t port;
	uint32_t error, data;      /* streams of the client; 0: not opened yet */
	struct api_stream *stream; /* to the pod; NULL: not yet, or it has ended */
	bool opening, ended;       /* inside stream_open(); end() was called in there */
	bool full;                 /* the pod takes no more */
	bool paused;               /* the client takes no more */
};

struct forward {
	struct remote remote;
	struct exchange *exchange;
	struct upgrade upgrade;
	struct uid pod;
	struct node_id machine;
	struct list pairs;
	struct spdy *spdy;
	struct buf spdy_in, spdy_out; /* in: what a WebSocket brought and no pair has taken */
	struct websocket *websocket;  /* NULL: on the connection itself */
	struct buf output;
	size_t full;    /* pairs that are */
	bool receiving; /* on the stack */
};

static bool is_full(const struct forward *forward)
{
	return forward->full > 0;
}

/* What was written for the client goes out. False: enough waits. */
static bool flush(struct forward *forward)
{
	struct buf *out = &forward->spdy_out;
	bool room;

	if (forward->websocket) {
		if (out->len)
			websocket_send(forward->websocket, (struct bytes){0}, bytes_buf(out));
		buf_clear(out);
		out = &forward->output;
	}
	room = exchange_write(forward->exchange, bytes_buf(out));
	buf_clear(out);
	return room;
}

/* ---- pairs */

static void set_full(struct pair *pair, bool full)
{
	if (pair->full == full)
		return;
	pair->full = full;
	if (full)
		pair->forward->full++;
	else
		pair->forward->full--;
}

static void pair_free(struct pair *pair)
{
	const struct api_backend *backend = &pair->forward->remote.api->backend;

	if (pair->opening) {
		pair->ended = true;
		return;
	}
	set_full(pair, false);
	if (pair->stream)
		backend->ops->stream_close(backend->self, pair->stream);
	list_remove(&pair->link);
	free(pair);
}

static void sink_begin(void *arg)
{
	(void)arg; /* the client has been writing already */
}

static bool sink_data(void *arg, struct bytes bytes)
{
	struct pair *pair = arg;

	spdy_data(pair->data, bytes, false, &pair->forward->spdy_out);
	pair->paused = !flush(pair->forward);
	return !pair->paused;
}

static void receive_more(struct forward *forward);

static void sink_writable(void *arg)
{
	struct pair *pair = arg;
	struct forward *forward = pair->forward;

	set_full(pair, false);
	if (!is_full(forward))
		receive_more(forward);
}

static void sink_end(void *arg, const struct err *err)
{
	struct pair *pair = arg;
	struct forward *forward = pair->forward;

	pair->stream = NULL;
	spdy_data(pair->error, bytes_str(err->code ? err->text : ""), true, &forward->spdy_out);
	spdy_data(pair->data, (struct bytes){0}, true, &forward->spdy_out);
	(void)flush(forward);
	pair_free(pair);
	if (!is_full(forward))
		receive_more(forward);
}

static void pair_connect(struct pair *pair)
{
	static const struct api_stream_sink sink = {
		.begin = sink_begin,
		.data = sink_data,
		.writable = sink_writable,
		.end = sink_end,
	};
	struct forward *forward = pair->forward;
	const struct api_backend *backend = &forward->remote.api->backend;
	struct api_credential credential;
	struct api_stream_request request = {
		.kind = API_STREAM_PORT,
		.pod = forward->pod,
		.machine = forward->machine,
		.container = "",
		.user = forward->remote.user,
		.credential = exchange_credential(forward->exchange, &credential),
		.port = pair->port,
	};

	pair->opening = true;
	pair->stream = backend->ops->stream_open(backend->self, &request, &sink, pair);
	pair->opening = false;
	if (pair->ended)
		pair_free(pair);
}

static struct pair *find_request(struct forward *forward, const char *request)
{
	list_for_each (it, &forward->pairs) {
		struct pair *pair = list_entry(it, struct pair, link);

		if (strcmp(pair->request, request) == 0)
			return pair;
	}
	return NULL;
}

static struct pair *find_stream(struct forward *forward, uint32_t stream)
{
	list_for_each (it, &forward->pairs) {
		struct pair *pair = list_entry(it, struct pair, link);

		if (pair->data == stream || pair->error == stream)
			return pair;
	}
	return NULL;
}

static size_t count_pairs(const struct forward *forward)
{
	size_t count = 0;

	list_for_each (it, &forward->pairs)
		count++;
	return count;
}

static struct pair *pair_new(struct forward *forward, const char *request, uint16_t port)
{
	struct pair *pair;

	if (count_pairs(forward) >= PAIRS_MAX)
		return NULL;
	pair = mem_new(struct pair);
	pair->forward = forward;
	pair->port = port;
	(void)snprintf(pair->request, sizeof(pair->request), "%s", request);
	list_append(&forward->pairs, &pair->link);
	return pair;
}

/* ---- what the client sends */

static bool parse_port(const char *text, uint16_t *ret_port)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (*end || port == 0 || port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* The pair that a new stream belongs to; NULL: none, or it makes no sense. */
static struct pair *pair_of(struct forward *forward, const char *request, const char *port_text)
{
	struct pair *pair;
	uint16_t port;

	if (!request || !port_text || strlen(request) >= REQUEST_ID_MAX ||
	    !parse_port(port_text, &port))
		return NULL;
	pair = find_request(forward, request);
	if (pair)
		return pair->port == port ? pair : NULL;
	return pair_new(forward, request, port);
}

static void take_opened(struct forward *forward, const struct spdy_event *event)
{
	const char *type = spdy_header(forward->spdy, "streamtype");
	struct pair *pair = pair_of(forward, spdy_header(forward->spdy, "requestid"),
				    spdy_header(forward->spdy, "port"));
	uint32_t *stream = !pair || !type               ? NULL
			   : strcmp(type, "error") == 0 ? &pair->error
			   : strcmp(type, "data") == 0  ? &pair->data
							: NULL;

	if (!stream || *stream) {
		spdy_reset(event->stream, SPDY_REFUSED_STREAM, &forward->spdy_out);
		return;
	}
	*stream = event->stream;
	spdy_reply(forward->spdy, event->stream, &forward->spdy_out);
	if (pair->error && pair->data)
		pair_connect(pair);
}

static void take_data(struct forward *forward, const struct spdy_event *event)
{
	const struct api_backend *backend = &forward->remote.api->backend;
	struct pair *pair = find_stream(forward, event->stream);

	/* The client writes nothing on the stream for errors but its end. */
	if (!pair || !pair->stream || event->stream != pair->data)
		return;
	if (event->data.len &&
	    !backend->ops->stream_write(backend->self, pair->stream, event->data))
		set_full(pair, true);
	if (event->end)
		backend->ops->stream_finish(backend->self, pair->stream);
}

static void take_event(struct forward *forward, const struct spdy_event *event)
{
	struct pair *pair;

	switch (event->kind) {
	case SPDY_OPENED:
		take_opened(forward, event);
		break;
	case SPDY_DATA:
		take_data(forward, event);
		break;
	case SPDY_RESET:
		pair = find_stream(forward, event->stream);
		if (pair)
			pair_free(pair);
		break;
	default:
		break;
	}
}

/* How much of @bytes was taken, up to where a pod takes no more. */
static size_t take_spdy(struct forward *forward, struct bytes bytes, bool *ret_alive)
{
	size_t at = 0;

	while (!is_full(forward)) {
		struct spdy_event event;
		size_t used;
		int r = spdy_next(forward->spdy, bytes_of(bytes.ptr + at, bytes.len - at),
				  &forward->spdy_out, &used, &event);

		at += used;
		*ret_alive = r != SPDY_E_PROTOCOL;
		if (r != 0)
			break;
		take_event(forward, &event);
	}
	return at;
}

static bool take_piece(void *user, const struct websocket_piece *piece)
{
	struct forward *forward = user;

	buf_append_bytes(&forward->spdy_in, piece->bytes);
	return !is_full(forward);
}

/* A WebSocket's payload is collected first: it may come after a pod has become full. */
static size_t take_websocket(struct forward *forward, struct bytes bytes, bool *ret_alive)
{
	size_t used = 0;

	if (bytes.len)
		*ret_alive = websocket_feed(forward->websocket, bytes, &used) == 0;
	if (*ret_alive)
		buf_consume(&forward->spdy_in,
			    take_spdy(forward, bytes_buf(&forward->spdy_in), ret_alive));
	return used;
}

/* ---- life */

static void forward_free(struct forward *forward)
{
	struct api *api = forward->remote.api;

	list_for_each_safe (it, &forward->pairs)
		pair_free(list_entry(it, struct pair, link));
	exchange_end(forward->exchange);
	remote_leave(&forward->remote);
	websocket_free(forward->websocket);
	spdy_free(forward->spdy);
	buf_deinit(&forward->spdy_in);
	buf_deinit(&forward->spdy_out);
	buf_deinit(&forward->output);
	free(forward);
	call_unhold(api);
}

static size_t on_received(struct exchange *exchange, struct bytes bytes, void *arg)
{
	struct forward *forward = arg;
	bool alive = true;
	size_t used;

	(void)exchange;
	if (is_full(forward))
		return 0;
	forward->receiving = true;
	used = forward->websocket ? take_websocket(forward, bytes, &alive)
				  : take_spdy(forward, bytes, &alive);
	forward->receiving = false;
	(void)flush(forward);
	if (alive)
		return used;
	forward_free(forward);
	return bytes.len;
}

/* A pod takes more again. */
static void receive_more(struct forward *forward)
{
	bool alive = true;

	if (forward->receiving)
		return; /* it goes on by itself */
	if (forward->websocket && forward->spdy_in.len) {
		forward->receiving = true;
		(void)take_websocket(forward, (struct bytes){0}, &alive);
		forward->receiving = false;
		(void)flush(forward);
	}
	if (!alive)
		forward_free(forward);
	else if (!is_full(forward))
		exchange_receive(forward->exchange);
}

static void on_writable(struct exchange *exchange, void *arg)
{
	struct forward *forward = arg;
	const struct api_backend *backend = &forward->remote.api->backend;

	(void)exchange;
	list_for_each_safe (it, &forward->pairs) {
		struct pair *pair = list_entry(it, struct pair, link);

		if (!pair->paused || !pair->stream)
			continue;
		pair->paused = false;
		backend->ops->stream_resume(backend->self, pair->stream);
	}
}

static void on_abort(struct exchange *exchange, void *arg)
{
	(void)exchange;
	forward_free(arg);
}

static void on_ping(struct remote *remote)
{
	struct forward *forward = container_of(remote, struct forward, remote);

	spdy_ping(forward->spdy, &forward->spdy_out);
	(void)flush(forward);
}

static void forward_start(struct call *call, struct forward *forward)
{
	call_hold(call);
	list_init(&forward->pairs);
	forward->spdy = spdy_new();
	forward->exchange = call->exchange;
	call->exchange = NULL;
	call_free(call);
	upgrade_answer(forward->exchange, &forward->upgrade, on_received, on_writable, on_abort,
		       forward);
	if (forward->upgrade.kind == UPGRADE_WEBSOCKET)
		forward->websocket = websocket_new(&forward->output, take_piece, forward);
}

void verb_forward(struct call *call)
{
	static const struct upgrade_protocol spoken[] = {
		{UPGRADE_WEBSOCKET, "SPDY/3.1+portforward.k8s.io"},
		{UPGRADE_SPDY, "portforward.k8s.io"},
		{0, NULL},
	};
	struct api_stream_request place = {.kind = API_STREAM_PORT};
	struct forward *forward = mem_new(struct forward);
	const char *why;
	json_t *pod;

	pod = compose_one(&call->api->backend, KUBE_PODS, call->namespace, call->name);
	if (!pod)
		call_not_found(call);
	else if (!upgrade_choose(&call->exchange->request, spoken, &forward->upgrade, &why))
		call_fail(call, KUBE_REASON_BAD_REQUEST, why);
	else if (pod_target_place(call, &place) && remote_enter(&forward->remote, call, on_ping)) {
		forward->pod = place.pod;
		forward->machine = place.machine;
		forward_start(call, forward);
		forward = NULL;
	}
	json_decref(pod);
	free(forward);
}
