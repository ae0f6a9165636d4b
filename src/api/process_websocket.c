/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes' v4 and v5.channel.k8s.io: each message of a WebSocket begins with the number of its
 * channel. v5 added the closing of one: 255, then the channel.
 */
#include "api/process.h"

enum {
	CHANNEL_CLOSE = 255,
};

static void take_bytes(struct process *process, struct bytes bytes)
{
	if (process->channel == FRAME_STDIN)
		process_input(process, FRAME_STDIN, bytes);
	else if (process->channel == FRAME_RESIZE)
		process_resize(process, bytes);
	else if (process->channel == CHANNEL_CLOSE && bytes.len == 1)
		process_input(process, FRAME_CLOSE, bytes);
}

static bool take_piece(void *user, const struct websocket_piece *piece)
{
	struct process *process = user;
	struct bytes bytes = piece->bytes;

	if (piece->first && bytes.len) {
		process->channel = bytes.ptr[0];
		bytes = bytes_of(bytes.ptr + 1, bytes.len - 1);
	}
	take_bytes(process, bytes);
	return !process->full;
}

static void ws_open(struct process *process)
{
	process->websocket = websocket_new(&process->output, take_piece, process);
}

static void ws_close(struct process *process)
{
	websocket_free(process->websocket);
}

static size_t ws_receive(struct process *process, struct bytes bytes, bool *ret_alive)
{
	size_t used = 0;

	*ret_alive = websocket_feed(process->websocket, bytes, &used) == 0;
	return used;
}

static void ws_send(struct process *process, enum frame_channel channel, struct bytes bytes)
{
	const uint8_t head = (uint8_t)channel;

	websocket_send(process->websocket, bytes_of(&head, 1), bytes);
}

static void ws_finish(struct process *process)
{
	websocket_close(process->websocket, WEBSOCKET_NORMAL);
}

static void ws_ping(struct process *process)
{
	websocket_ping(process->websocket);
}

static bool ws_is_ready(const struct process *process)
{
	return process->websocket;
}

const struct process_wire process_websocket = {
	.open = ws_open,
	.close = ws_close,
	.receive = ws_receive,
	.send = ws_send,
	.finish = ws_finish,
	.ping = ws_ping,
	.is_ready = ws_is_ready,
};
