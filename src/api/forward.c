/* SPDX-License-Identifier: Apache-2.0 */
#include "api/forward.h"

#include <stdlib.h>
#include <string.h>

#include "api/compose.h"
#include "base/mem.h"

/* What was written for the client goes out. False: enough waits. */
static bool flush(struct forward *forward)
{
	bool room;

	if (forward->wire->flush)
		forward->wire->flush(forward);
	room = exchange_write(forward->exchange, bytes_buf(&forward->output));
	buf_clear(&forward->output);
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

void forward_remove(struct pair *pair)
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

	pair->forward->wire->send(pair, bytes);
	pair->paused = !flush(pair->forward);
	return !pair->paused;
}

static void go_on(struct forward *forward);

static void sink_writable(void *arg)
{
	struct pair *pair = arg;

	set_full(pair, false);
	go_on(pair->forward);
}

static void sink_end(void *arg, const struct err *err)
{
	struct pair *pair = arg;
	struct forward *forward = pair->forward;
	bool opening = pair->opening;

	pair->stream = NULL;
	forward->wire->end(pair, err->code ? err->text : "");
	(void)flush(forward);
	forward_remove(pair);
	if (!opening)
		go_on(forward);
}

void forward_connect(struct pair *pair)
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
		forward_remove(pair);
}

void forward_write(struct pair *pair, struct bytes bytes)
{
	const struct api_backend *backend = &pair->forward->remote.api->backend;

	if (pair->stream && bytes.len &&
	    !backend->ops->stream_write(backend->self, pair->stream, bytes))
		set_full(pair, true);
}

static size_t count_pairs(const struct forward *forward)
{
	size_t count = 0;

	list_for_each (it, &forward->pairs)
		count++;
	return count;
}

struct pair *forward_add(struct forward *forward, uint16_t port)
{
	struct pair *pair;

	if (count_pairs(forward) >= FORWARD_PAIRS_MAX)
		return NULL;
	pair = mem_new(struct pair);
	pair->forward = forward;
	pair->port = port;
	list_append(&forward->pairs, &pair->link);
	return pair;
}

bool forward_parse_port(const char *text, const char *end, uint16_t *ret_port)
{
	uint32_t port = 0;

	for (; text < end && port <= UINT16_MAX; text++) {
		if (*text < '0' || *text > '9')
			return false;
		port = port * 10 + (uint32_t)(*text - '0');
	}
	if (port == 0 || port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* ---- life */

static void forward_free(struct forward *forward)
{
	struct api *api = forward->remote.api;

	list_for_each_safe (it, &forward->pairs)
		forward_remove(list_entry(it, struct pair, link));
	exchange_end(forward->exchange);
	remote_leave(&forward->remote);
	forward->wire->close(forward);
	buf_deinit(&forward->output);
	free(forward);
	call_unhold(api);
}

/* False: nothing is left to do, and @forward is gone. */
static bool finish_if_done(struct forward *forward)
{
	if (!forward->wire->finish || !list_is_empty(&forward->pairs))
		return true;
	forward->wire->finish(forward);
	(void)flush(forward);
	forward_free(forward);
	return false;
}

static size_t receive(struct forward *forward, struct bytes bytes, bool *ret_alive)
{
	size_t used;

	forward->busy = true;
	used = forward->wire->receive(forward, bytes, ret_alive);
	forward->busy = false;
	(void)flush(forward);
	return used;
}

static size_t on_received(struct exchange *exchange, struct bytes bytes, void *arg)
{
	struct forward *forward = arg;
	bool alive = true;
	size_t used;

	(void)exchange;
	if (forward_is_full(forward))
		return 0;
	used = receive(forward, bytes, &alive);
	if (alive)
		return used;
	forward_free(forward);
	return bytes.len;
}

/* A pod takes more again, or a pair is gone. */
static void go_on(struct forward *forward)
{
	bool alive = true;

	if (forward->busy || !finish_if_done(forward) || forward_is_full(forward))
		return; /* whoever is busy goes on by itself */
	(void)receive(forward, (struct bytes){0}, &alive);
	if (!alive)
		forward_free(forward);
	else if (!forward_is_full(forward))
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

	forward->wire->ping(forward);
	(void)flush(forward);
}

static void forward_start(struct call *call, struct forward *forward)
{
	call_hold(call);
	forward->exchange = call->exchange;
	call->exchange = NULL;
	call_free(call);
	upgrade_answer(forward->exchange, &forward->upgrade, on_received, on_writable, on_abort,
		       forward);
	forward->busy = true;
	forward->wire->open(forward);
	forward->busy = false;
	(void)flush(forward);
	(void)finish_if_done(forward);
}

/* How it shall be spoken; the call was answered when it cannot be. */
static bool choose(struct call *call, struct forward *forward)
{
	static const struct upgrade_protocol spoken[] = {
		{UPGRADE_WEBSOCKET, "SPDY/3.1+portforward.k8s.io"},
		{UPGRADE_WEBSOCKET, "v4.channel.k8s.io"},
		{UPGRADE_SPDY, "portforward.k8s.io"},
		{0, NULL},
	};
	const char *why;

	if (!upgrade_choose(&call->exchange->request, spoken, &forward->upgrade, &why)) {
		call_fail(call, KUBE_REASON_BAD_REQUEST, why);
		return false;
	}
	forward->wire =
		forward->upgrade.protocol == spoken[1].name ? &forward_channels : &forward_spdy;
	if (forward->wire->plan && !forward->wire->plan(forward, &call->url, &why)) {
		call_fail(call, KUBE_REASON_BAD_REQUEST, why);
		return false;
	}
	return true;
}

/* One that has not begun. */
static void discard(struct forward *forward)
{
	list_for_each_safe (it, &forward->pairs)
		free(list_entry(it, struct pair, link));
	free(forward);
}

void verb_forward(struct call *call)
{
	struct api_stream_request place = {.kind = API_STREAM_PORT};
	struct forward *forward = mem_new(struct forward);
	json_t *pod;

	list_init(&forward->pairs);
	pod = compose_one(&call->api->backend, KUBE_PODS, call->namespace, call->name);
	if (!pod)
		call_not_found(call);
	else if (choose(call, forward) && pod_target_place(call, &place) &&
		 remote_enter(&forward->remote, call, on_ping)) {
		forward->pod = place.pod;
		forward->machine = place.machine;
		forward_start(call, forward);
		forward = NULL;
	}
	json_decref(pod);
	if (forward)
		discard(forward);
}
