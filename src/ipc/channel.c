/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

/* What messages.def says about one type. */
struct ipc_rule {
	const char *name;
	enum ipc_type type;
	enum ipc_side from;
	uint32_t len_max;
	uint8_t fds;
	const ProtobufCMessageDescriptor *descriptor;
};

static const struct ipc_rule rules[] = {
#define IPC_MESSAGE(type_, number_, message_, from_, max_, fds_)     \
	{                                                            \
		.name = #type_,                                      \
		.type = IPC_##type_,                                 \
		.from = IPC_##from_,                                 \
		.len_max = max_,                                     \
		.fds = fds_,                                         \
		.descriptor = &magik__ipc__##message_##__descriptor, \
	},
#include "ipc/messages.def"
#undef IPC_MESSAGE
};

/* One queued frame. */
struct frame {
	struct list link;
	size_t len, sent;
	int fd;
	uint8_t bytes[];
};

struct ipc_channel {
	int fd;
	enum ipc_side self, peer;
	struct list queue; /* of struct frame */
	size_t queued;     /* bytes */
	size_t queued_fds;
	struct buf in;
	int fds[IPC_FDS_MAX]; /* received, oldest first */
	size_t fd_count;
	bool ended;  /* the peer has closed its end; what came before is still delivered */
	bool broken; /* the peer broke a rule */
};

static const struct ipc_rule *rule_find(unsigned type)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if ((unsigned)rules[i].type == type)
			return &rules[i];
	return NULL;
}

const char *ipc_type_name(enum ipc_type type)
{
	const struct ipc_rule *rule = rule_find(type);

	return rule ? rule->name : "unknown";
}

int ipc_pair(int *ret_host_fd, int *ret_fabric_fd)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_origin(-errno);
	*ret_host_fd = fds[0];
	*ret_fabric_fd = fds[1];
	return 0;
}

struct ipc_channel *ipc_channel_new(int fd, enum ipc_side self, enum ipc_side peer)
{
	struct ipc_channel *channel = mem_new(struct ipc_channel);
	int flags = fcntl(fd, F_GETFL);

	assert(flags >= 0);
	(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	channel->fd = fd;
	channel->self = self;
	channel->peer = peer;
	list_init(&channel->queue);
	return channel;
}

static void frame_free(struct frame *frame)
{
	list_remove(&frame->link);
	if (frame->fd >= 0)
		(void)close(frame->fd);
	free(frame);
}

struct ipc_channel *ipc_channel_free(struct ipc_channel *channel)
{
	if (!channel)
		return NULL;
	list_for_each_safe (it, &channel->queue)
		frame_free(list_entry(it, struct frame, link));
	for (size_t i = 0; i < channel->fd_count; i++)
		(void)close(channel->fds[i]);
	buf_deinit(&channel->in);
	(void)close(channel->fd);
	free(channel);
	return NULL;
}

int ipc_channel_fd(const struct ipc_channel *channel)
{
	return channel->fd;
}

bool ipc_wants_write(const struct ipc_channel *channel)
{
	return !list_is_empty(&channel->queue);
}

static int refuse_send(int fd, int code)
{
	if (fd >= 0)
		(void)close(fd);
	return err_origin(code);
}

int ipc_send(struct ipc_channel *channel, enum ipc_type type, const ProtobufCMessage *body, int fd)
{
	const struct ipc_rule *rule = rule_find(type);
	struct frame *frame;
	size_t len;

	assert(rule && rule->from == channel->self && rule->descriptor == body->descriptor);
	assert(fd < 0 || rule->fds == 1);
	len = protobuf_c_message_get_packed_size(body);
	if (len > rule->len_max)
		return refuse_send(fd, -EMSGSIZE);
	if (channel->queued + len > IPC_QUEUE_BYTES_MAX ||
	    (fd >= 0 && channel->queued_fds >= IPC_QUEUE_FDS_MAX))
		return refuse_send(fd, -ENOBUFS);
	frame = mem_alloc(1, sizeof(*frame) + IPC_HEADER_LEN + len);
	frame->len = IPC_HEADER_LEN + len;
	frame->fd = fd;
	for (int i = 0; i < 4; i++)
		frame->bytes[i] = (uint8_t)(len >> (8 * i));
	frame->bytes[4] = (uint8_t)((unsigned)type & 0xff);
	frame->bytes[5] = (uint8_t)((unsigned)type >> 8);
	frame->bytes[6] = fd >= 0;
	(void)protobuf_c_message_pack(body, frame->bytes + IPC_HEADER_LEN);
	list_append(&channel->queue, &frame->link);
	channel->queued += frame->len;
	channel->queued_fds += fd >= 0;
	return 0;
}

/* sendmsg() of the rest of a frame, with its descriptor if that has not gone yet. */
static ssize_t frame_write(int socket, const struct frame *frame)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {
		.iov_base = (uint8_t *)(uintptr_t)(frame->bytes + frame->sent),
		.iov_len = frame->len - frame->sent,
	};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (frame->fd >= 0) {
		struct cmsghdr *header;

		message.msg_control = control.space;
		message.msg_controllen = sizeof(control.space);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &frame->fd, sizeof(int));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int ipc_flush(struct ipc_channel *channel)
{
	while (!list_is_empty(&channel->queue)) {
		struct frame *frame = list_first(&channel->queue, struct frame, link);
		ssize_t sent = frame_write(channel->fd, frame);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return 0;
		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return IPC_E_CLOSED;
		if (sent < 0)
			return err_origin(-errno);
		if (frame->fd >= 0) {
			(void)close(frame->fd);
			channel->queued_fds--;
		}
		frame->fd = -1;
		frame->sent += (size_t)sent;
		channel->queued -= (size_t)sent;
		if (frame->sent == frame->len)
			frame_free(frame);
	}
	return 0;
}

/* Keep the descriptors of one recvmsg(); more than can be owed is a broken rule. */
static void take_fds(struct ipc_channel *channel, struct msghdr *message)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		size_t count;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
			if (channel->fd_count == IPC_FDS_MAX) {
				(void)close(fd);
				channel->broken = true;
				continue;
			}
			channel->fds[channel->fd_count++] = fd;
		}
	}
	if (message->msg_flags & MSG_CTRUNC)
		channel->broken = true;
}

/* Read once. 0 when something arrived, else an outcome. */
static int channel_fill(struct ipc_channel *channel)
{
	enum {
		CHUNK = 65536,
	};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(IPC_FDS_MAX * sizeof(int))];
	} control;
	struct iovec part;
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t got;

	if (channel->ended)
		return IPC_E_CLOSED;
	buf_reserve(&channel->in, CHUNK);
	part.iov_base = channel->in.ptr + channel->in.len;
	part.iov_len = CHUNK;
	do
		got = recvmsg(channel->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return IPC_E_AGAIN;
	if (got == 0 || (got < 0 && errno == ECONNRESET)) {
		channel->ended = true;
		return IPC_E_CLOSED;
	}
	if (got < 0)
		return err_origin(-errno);
	channel->in.len += (size_t)got;
	take_fds(channel, &message);
	return 0;
}

/* The rule that the frame at the front obeys, or NULL if it obeys none. */
static const struct ipc_rule *frame_check(const struct ipc_channel *channel, size_t *ret_len,
					  bool *ret_has_fd)
{
	const uint8_t *head = channel->in.ptr;
	const struct ipc_rule *rule = rule_find((unsigned)head[4] | (unsigned)head[5] << 8);
	size_t len = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 |
		     (size_t)head[3] << 24;

	if (!rule || rule->from != channel->peer || len > rule->len_max)
		return NULL;
	if (head[6] > rule->fds || head[7] != 0)
		return NULL;
	*ret_len = len;
	*ret_has_fd = head[6] == 1;
	return rule;
}

/* Take the first frame out of what has arrived. */
static int channel_parse(struct ipc_channel *channel, struct ipc_message *ret_message)
{
	const struct ipc_rule *rule;
	ProtobufCMessage *body;
	bool has_fd;
	size_t len;

	if (channel->broken)
		return IPC_E_PROTOCOL;
	if (channel->in.len < IPC_HEADER_LEN)
		return IPC_E_AGAIN;
	rule = frame_check(channel, &len, &has_fd);
	if (!rule) {
		channel->broken = true;
		return IPC_E_PROTOCOL;
	}
	if (channel->in.len < IPC_HEADER_LEN + len)
		return IPC_E_AGAIN;
	body = protobuf_c_message_unpack(rule->descriptor, NULL, len,
					 channel->in.ptr + IPC_HEADER_LEN);
	if (!body || (has_fd && channel->fd_count == 0)) {
		if (body)
			protobuf_c_message_free_unpacked(body, NULL);
		channel->broken = true;
		return IPC_E_PROTOCOL;
	}
	*ret_message = (struct ipc_message){.type = rule->type, .body = body, .fd = -1};
	if (has_fd) {
		ret_message->fd = channel->fds[0];
		channel->fd_count--;
		memmove(channel->fds, channel->fds + 1, channel->fd_count * sizeof(int));
	}
	buf_consume(&channel->in, IPC_HEADER_LEN + len);
	return 0;
}

int ipc_receive(struct ipc_channel *channel, struct ipc_message *ret_message)
{
	for (;;) {
		int r = channel_parse(channel, ret_message);

		if (r != IPC_E_AGAIN)
			return r;
		r = channel_fill(channel);
		if (r != 0)
			return err_trace(r);
	}
}

void ipc_message_deinit(struct ipc_message *message)
{
	if (message->body)
		protobuf_c_message_free_unpacked(message->body, NULL);
	if (message->fd >= 0)
		(void)close(message->fd);
	message->body = NULL;
	message->fd = -1;
}
