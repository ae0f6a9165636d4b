/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What client libraries speak for port-forward, Kubernetes' v4.channel.k8s.io: the request's query
 * names the ports, and there is one connection to each. Every message of the WebSocket begins with
 * the number of its channel:
 *
 *   2 i      data of the port that the query names as number i, both ways
 *   2 i + 1  what went wrong with it, as text to the client
 *
 * The first message of each channel is its port, two bytes with the lower one first. One end alone
 * cannot be said: nothing in the protocol closes a channel. A WebSocket ends when the last of its
 * connections has.
 */
#include <string.h>

#include "api/forward.h"

static const char no_ports[] = "query parameter \"ports\" is required",
		  bad_ports[] = "ports: must be numbers between 1 and 65535, separated by commas",
		  many_ports[] = "ports: too many";

_Static_assert(2 * FORWARD_PAIRS_MAX <= UINT8_MAX, "a channel is one byte");

/* "80", "80,443". NULL: in order, else why not. */
static const char *add_ports(struct forward *forward, const char *text, size_t *count)
{
	while (true) {
		const char *end = strchrnul(text, ',');
		struct pair *pair;
		uint16_t port;

		if (!forward_parse_port(text, end, &port))
			return bad_ports;
		pair = forward_add(forward, port);
		if (!pair)
			return many_ports;
		pair->channel = (uint8_t)(2 * (*count)++);
		if (!*end)
			return NULL;
		text = end + 1;
	}
}

static bool channels_plan(struct forward *forward, const struct url *url, const char **ret_why)
{
	size_t count = 0;

	*ret_why = NULL;
	for (size_t i = 0; i < url->param_count && !*ret_why; i++)
		if (strcmp(url->params[i].name, "ports") == 0)
			*ret_why = add_ports(forward, url->params[i].value, &count);
	if (!*ret_why && count == 0)
		*ret_why = no_ports;
	return !*ret_why;
}

static void send_on(struct forward *forward, uint8_t channel, struct bytes bytes)
{
	websocket_send(forward->websocket, bytes_of(&channel, 1), bytes);
}

static bool take_piece(void *user, const struct websocket_piece *piece)
{
	struct forward *forward = user;
	struct bytes bytes = piece->bytes;

	if (piece->first && bytes.len) {
		forward->channel = bytes.ptr[0];
		bytes = bytes_of(bytes.ptr + 1, bytes.len - 1);
	}
	list_for_each (it, &forward->pairs) {
		struct pair *pair = list_entry(it, struct pair, link);

		if (pair->channel != forward->channel)
			continue;
		forward_write(pair, bytes);
		break;
	}
	return !forward_is_full(forward);
}

static void channels_open(struct forward *forward)
{
	forward->websocket = websocket_new(&forward->output, take_piece, forward);
	list_for_each (it, &forward->pairs) {
		const struct pair *pair = list_entry(it, struct pair, link);
		const uint8_t port[] = {(uint8_t)pair->port, (uint8_t)(pair->port >> 8)};

		send_on(forward, pair->channel, bytes_of(port, sizeof(port)));
		send_on(forward, (uint8_t)(pair->channel + 1), bytes_of(port, sizeof(port)));
	}
	list_for_each_safe (it, &forward->pairs)
		forward_connect(list_entry(it, struct pair, link));
}

static void channels_close(struct forward *forward)
{
	websocket_free(forward->websocket);
}

static size_t channels_receive(struct forward *forward, struct bytes bytes, bool *ret_alive)
{
	size_t used = 0;

	if (bytes.len)
		*ret_alive = websocket_feed(forward->websocket, bytes, &used) == 0;
	return used;
}

static void channels_send(struct pair *pair, struct bytes bytes)
{
	send_on(pair->forward, pair->channel, bytes);
}

/* Clients take any message on the channel of errors for one, also an empty one. */
static void channels_end(struct pair *pair, const char *why)
{
	if (*why)
		send_on(pair->forward, (uint8_t)(pair->channel + 1), bytes_str(why));
}

static void channels_finish(struct forward *forward)
{
	websocket_close(forward->websocket, WEBSOCKET_NORMAL);
}

static void channels_ping(struct forward *forward)
{
	websocket_ping(forward->websocket);
}

const struct forward_wire forward_channels = {
	.plan = channels_plan,
	.open = channels_open,
	.close = channels_close,
	.receive = channels_receive,
	.send = channels_send,
	.end = channels_end,
	.finish = channels_finish,
	.ping = channels_ping,
};
