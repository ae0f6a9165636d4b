/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `kubectl port-forward` speaks: for each connection two streams of SPDY, "error" and "data",
 * which belong together by the header "requestid". The SPDY stands on the connection itself or
 * inside binary messages of a WebSocket, which are cut anyhow.
 */
#include <stdio.h>
#include <string.h>

#include "api/forward.h"
#include "api/spdy.h"

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

/* The pair that a new stream belongs to; NULL: none, or it makes no sense. */
static struct pair *pair_of(struct forward *forward, const char *request, const char *port_text)
{
	struct pair *pair;
	uint16_t port;

	if (!request || !port_text || strlen(request) >= FORWARD_REQUEST_ID_MAX ||
	    !forward_parse_port(port_text, port_text + strlen(port_text), &port))
		return NULL;
	pair = find_request(forward, request);
	if (pair)
		return pair->port == port ? pair : NULL;
	pair = forward_add(forward, port);
	if (pair)
		(void)snprintf(pair->request, sizeof(pair->request), "%s", request);
	return pair;
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
		forward_connect(pair);
}

static void take_data(struct forward *forward, const struct spdy_event *event)
{
	const struct api_backend *backend = &forward->remote.api->backend;
	struct pair *pair = find_stream(forward, event->stream);

	/* The client writes nothing on the stream for errors but its end. */
	if (!pair || !pair->stream || event->stream != pair->data)
		return;
	forward_write(pair, event->data);
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
			forward_remove(pair);
		break;
	default:
		break;
	}
}

/* How much of @bytes was taken, up to where a pod takes no more. */
static size_t take_spdy(struct forward *forward, struct bytes bytes, bool *ret_alive)
{
	size_t at = 0;

	while (!forward_is_full(forward)) {
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
	return !forward_is_full(forward);
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

static void spdy_wire_open(struct forward *forward)
{
	forward->spdy = spdy_new();
	if (forward->upgrade.kind == UPGRADE_WEBSOCKET)
		forward->websocket = websocket_new(&forward->output, take_piece, forward);
}

static void spdy_wire_close(struct forward *forward)
{
	websocket_free(forward->websocket);
	spdy_free(forward->spdy);
	buf_deinit(&forward->spdy_in);
	buf_deinit(&forward->spdy_out);
}

static size_t spdy_wire_receive(struct forward *forward, struct bytes bytes, bool *ret_alive)
{
	return forward->websocket ? take_websocket(forward, bytes, ret_alive)
				  : take_spdy(forward, bytes, ret_alive);
}

static void spdy_wire_send(struct pair *pair, struct bytes bytes)
{
	spdy_data(pair->data, bytes, false, &pair->forward->spdy_out);
}

static void spdy_wire_end(struct pair *pair, const char *why)
{
	spdy_data(pair->error, bytes_str(why), true, &pair->forward->spdy_out);
	spdy_data(pair->data, (struct bytes){0}, true, &pair->forward->spdy_out);
}

static void spdy_wire_ping(struct forward *forward)
{
	spdy_ping(forward->spdy, &forward->spdy_out);
}

static void spdy_wire_flush(struct forward *forward)
{
	if (!forward->spdy_out.len)
		return;
	if (forward->websocket)
		websocket_send(forward->websocket, (struct bytes){0},
			       bytes_buf(&forward->spdy_out));
	else
		buf_append_bytes(&forward->output, bytes_buf(&forward->spdy_out));
	buf_clear(&forward->spdy_out);
}

const struct forward_wire forward_spdy = {
	.open = spdy_wire_open,
	.close = spdy_wire_close,
	.receive = spdy_wire_receive,
	.send = spdy_wire_send,
	.end = spdy_wire_end,
	.ping = spdy_wire_ping,
	.flush = spdy_wire_flush,
};
