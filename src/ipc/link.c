/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/link.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum {
	/* Messages taken in one turn of the loop: a peer that never stops sending must not keep the
	 * owner from its timers, signals and other peers. */
	LINK_TURN_MAX = 64,
};

struct ipc_link {
	uv_poll_t poll;
	uv_idle_t more;   /* goes on where a turn had to stop */
	uv_idle_t failed; /* reports a failed write from the loop, not from within a send */
	struct ipc_channel *channel;
	struct ipc_handler handler;
	int why;
	bool closed;
	unsigned handles; /* not yet closed by the loop */
};

static void link_end(struct ipc_link *link, int why)
{
	if (link->closed)
		return;
	(void)uv_poll_stop(&link->poll);
	(void)uv_idle_stop(&link->more);
	(void)uv_idle_stop(&link->failed);
	link->handler.on_closed(link->handler.owner, why);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void link_watch(struct ipc_link *link)
{
	int events = UV_READABLE;

	if (ipc_wants_write(link->channel))
		events |= UV_WRITABLE;
	(void)uv_poll_start(&link->poll, events, on_poll);
}

static void on_failed(uv_idle_t *idle)
{
	struct ipc_link *link = idle->data;

	link_end(link, link->why);
}

static void link_flush(struct ipc_link *link)
{
	int r = ipc_flush(link->channel);

	if (r != 0) {
		link->why = r;
		(void)uv_idle_start(&link->failed, on_failed);
		return;
	}
	link_watch(link);
}

static void on_more(uv_idle_t *idle);

static void link_read(struct ipc_link *link)
{
	(void)uv_idle_stop(&link->more);
	for (int taken = 0; !link->closed; taken++) {
		struct ipc_message message;
		int r;

		if (taken == LINK_TURN_MAX) {
			(void)uv_idle_start(&link->more, on_more);
			return;
		}
		r = ipc_receive(link->channel, &message);
		if (r == IPC_E_AGAIN)
			return;
		if (r != 0) {
			link_end(link, r);
			return;
		}
		link->handler.on_message(link->handler.owner, &message);
		ipc_message_deinit(&message);
	}
}

static void on_more(uv_idle_t *idle)
{
	link_read(idle->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct ipc_link *link = poll->data;

	if (status < 0) {
		link_end(link, status);
		return;
	}
	if (events & UV_WRITABLE)
		link_flush(link);
	if (events & UV_READABLE)
		link_read(link);
}

int ipc_link_new(uv_loop_t *loop, int fd, enum ipc_side self, enum ipc_side peer,
		 struct ipc_handler handler, struct ipc_link **ret_link)
{
	struct ipc_link *link = mem_new(struct ipc_link);
	int r;

	r = uv_poll_init(loop, &link->poll, fd);
	if (r < 0) {
		free(link);
		return err_origin(r);
	}
	(void)uv_idle_init(loop, &link->more);
	(void)uv_idle_init(loop, &link->failed);
	link->channel = ipc_channel_new(fd, self, peer);
	link->handler = handler;
	link->handles = 3;
	link->poll.data = link;
	link->more.data = link;
	link->failed.data = link;
	link_watch(link);
	*ret_link = link;
	return 0;
}

int ipc_link_send(struct ipc_link *link, enum ipc_type type, const ProtobufCMessage *body, int fd)
{
	int r = ipc_send(link->channel, type, body, fd);

	if (r == 0)
		link_flush(link);
	return r;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct ipc_link *link = handle->data;

	if (--link->handles > 0)
		return;
	(void)ipc_channel_free(link->channel);
	free(link);
}

void ipc_link_close(struct ipc_link *link)
{
	if (!link || link->closed)
		return;
	link->closed = true;
	uv_close((uv_handle_t *)&link->poll, on_handle_closed);
	uv_close((uv_handle_t *)&link->more, on_handle_closed);
	uv_close((uv_handle_t *)&link->failed, on_handle_closed);
}
