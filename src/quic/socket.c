/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One system call reads up to SOCKET_BATCH datagrams, each of which may be a train that the kernel
 * has put together (GRO); one sends a train (GSO). Everything a turn of the loop has caused leaves
 * just before the loop waits, so that packets of several requests share a train.
 */
#include "quic/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "quic/endpoint_state.h"
#include "quic/path.h"

enum {
	SOCKET_BATCH = 32,
	SOCKET_ROUNDS_MAX = 8,                  /* batches read before others have their turn */
	SOCKET_KERNEL_BUFFER = 4 * 1024 * 1024, /* with the default of 208 KiB bursts are lost */
	SOCKET_DATAGRAM_MAX = 65535,
	SOCKET_CONTROL_MAX = 128,
	NS_PER_US = 1000,
};

/* Absent from the headers of older C libraries; values of the kernel's interface. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

union control {
	size_t align; /* as that of struct cmsghdr, which has no fixed size */
	uint8_t bytes[SOCKET_CONTROL_MAX];
};

struct receive_slot {
	union quic_sockaddr from;
	union control control;
	struct iovec iov;
	uint8_t data[SOCKET_DATAGRAM_MAX];
};

struct quic_socket {
	struct loop *loop;
	struct quic_endpoint *endpoint;
	struct loop_watch *watch, *timer_watch;
	struct loop_hook *hook;
	int fd, timer_fd;
	struct addr local;
	bool is_v6;        /* the kernel's socket; IPv4 travels as mapped addresses then */
	bool adopted;      /* another process has bound it, where routes are none of ours */
	bool gso;          /* until the kernel or a device refuses it */
	struct mono armed; /* when the timer fires: at the deadline, or before */
	struct mmsghdr headers[SOCKET_BATCH];
	struct receive_slot
		*slots; /* mapped on use only: 2 MiB that an idle daemon never touches */
	/* What the kernel had no room for; sent when it says so. */
	struct quic_train blocked;
	struct buf blocked_data;
};

static void on_random(void *io, void *out, size_t len)
{
	(void)io;
	entropy_fill(out, len);
}

/* Which of our addresses the kernel would send from; a packet that comes back to another one is not
 * taken for an answer. */
static int on_route(void *io, const struct addr *remote, struct addr *ret_local)
{
	struct quic_socket *socket_ = io;
	union quic_sockaddr name;
	socklen_t len;
	int fd, r = 0;

	*ret_local = socket_->local;
	if (socket_->adopted || !addr_is_wildcard(&socket_->local))
		return 0;
	fd = socket(remote->is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_origin(-errno);
	len = sockaddr_from_addr(remote, &name);
	if (connect(fd, &name.any, len) < 0)
		r = err_origin(-errno);
	len = sizeof(name);
	if (r == 0 && getsockname(fd, &name.any, &len) < 0)
		r = err_origin(-errno);
	(void)close(fd);
	if (r == 0 && !sockaddr_to_addr(&name.any, ret_local))
		r = err_origin(-EAFNOSUPPORT);
	ret_local->port = socket_->local.port;
	return r;
}

/* An IPv6 socket names IPv4 peers by mapped addresses. */
static socklen_t kernel_sockaddr(const struct quic_socket *socket_, const struct addr *addr,
				 union quic_sockaddr *ret_name)
{
	socklen_t len = sockaddr_from_addr(addr, ret_name);
	struct sockaddr_in v4;

	if (!socket_->is_v6 || !addr->is_v4)
		return len;
	v4 = ret_name->v4;
	memset(ret_name, 0, sizeof(*ret_name));
	ret_name->v6.sin6_family = AF_INET6;
	ret_name->v6.sin6_port = v4.sin_port;
	ret_name->v6.sin6_addr.s6_addr[10] = ret_name->v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(ret_name->v6.sin6_addr.s6_addr + 12, &v4.sin_addr, ADDR_V4_LEN);
	return sizeof(ret_name->v6);
}

static void control_add(struct msghdr *message, int level, int type, struct bytes value)
{
	struct cmsghdr *header = (struct cmsghdr *)(void *)((uint8_t *)message->msg_control +
							    message->msg_controllen);

	header->cmsg_level = level;
	header->cmsg_type = type;
	header->cmsg_len = CMSG_LEN(value.len);
	memcpy(CMSG_DATA(header), value.ptr, value.len);
	message->msg_controllen += CMSG_SPACE(value.len);
}

/* Answers leave from the address that was asked. */
static void control_add_source(const struct quic_socket *socket_, const struct addr *local,
			       struct msghdr *message)
{
	union quic_sockaddr name;

	if (addr_is_wildcard(local))
		return;
	(void)kernel_sockaddr(socket_, local, &name);
	if (socket_->is_v6) {
		struct in6_pktinfo info = {.ipi6_addr = name.v6.sin6_addr};

		control_add(message, IPPROTO_IPV6, IPV6_PKTINFO, bytes_of(&info, sizeof(info)));
	} else {
		struct in_pktinfo info = {.ipi_spec_dst = name.v4.sin_addr};

		control_add(message, IPPROTO_IP, IP_PKTINFO, bytes_of(&info, sizeof(info)));
	}
}

/* 0, or -errno. @segment_len 0: one datagram. */
static int send_message(const struct quic_socket *socket_, const struct quic_path *path,
			struct bytes data, size_t segment_len)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data.ptr, .iov_len = data.len};
	uint16_t segment = (uint16_t)segment_len;
	union quic_sockaddr to;
	union control control = {0};
	struct msghdr message = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1};

	message.msg_namelen = kernel_sockaddr(socket_, &path->remote, &to);
	message.msg_control = control.bytes;
	control_add_source(socket_, &path->local, &message);
	if (segment_len)
		control_add(&message, IPPROTO_UDP, UDP_SEGMENT,
			    bytes_of(&segment, sizeof(segment)));
	if (message.msg_controllen == 0)
		message.msg_control = NULL;
	while (sendmsg(socket_->fd, &message, MSG_DONTWAIT) < 0) {
		if (errno != EINTR)
			return err_origin(-errno);
	}
	return 0;
}

static bool is_blocked(int r)
{
	return r == -EAGAIN || r == -ENOBUFS;
}

/* Send what there is of @left; on return it is what could not be sent yet. Datagrams that fail for
 * another reason are as good as lost on the way, and the connection will find out. */
static void send_train(struct quic_socket *socket_, const struct quic_path *path,
		       size_t segment_len, struct bytes *left)
{
	bool joined = socket_->gso;

	while (left->len > 0) {
		struct bytes part = *left;
		bool train = joined && left->len > segment_len;
		int r;

		if (!train && part.len > segment_len)
			part.len = segment_len;
		r = send_message(socket_, path, part, train ? segment_len : 0);
		if (is_blocked(r))
			return;
		if (train && r < 0) {
			/* Too long for this path, or a device that cannot; singly they may pass. */
			joined = false;
			socket_->gso = r == -EINVAL || r == -EMSGSIZE;
			continue;
		}
		left->ptr += part.len;
		left->len -= part.len;
	}
}

static void set_watch(struct quic_socket *socket_)
{
	loop_watch_set(socket_->watch, socket_->blocked_data.len > 0 ? LOOP_READABLE | LOOP_WRITABLE
								     : LOOP_READABLE);
}

static bool on_train(void *io, const struct quic_train *train)
{
	struct quic_socket *socket_ = io;
	struct bytes left = train->data;

	send_train(socket_, &train->path, train->segment_len, &left);
	if (left.len == 0)
		return true;
	socket_->blocked = *train;
	buf_append_bytes(&socket_->blocked_data, left);
	set_watch(socket_);
	return false;
}

static void arm_timer(struct quic_socket *socket_)
{
	struct mono deadline = quic_endpoint_deadline(socket_->endpoint);
	struct itimerspec spec = {0};

	int64_t us;

	/* Nearly every packet moves it to later. A timer that fires too early, once, costs less
	 * than to set it for each of them. */
	if (deadline.us >= socket_->armed.us)
		return;
	socket_->armed = deadline;
	/* Zero would stop the timer instead of firing it. */
	us = deadline.us > 0 ? deadline.us : 1;
	spec.it_value.tv_sec = us / US_PER_S;
	spec.it_value.tv_nsec = us % US_PER_S * NS_PER_US;
	(void)timerfd_settime(socket_->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* While the kernel takes nothing there is no point in waking up for deadlines either: whatever
 * they cause could not be sent. */
static void on_turn_end(void *user)
{
	struct quic_socket *socket_ = user;

	if (socket_->blocked_data.len > 0)
		return;
	(void)quic_endpoint_flush(socket_->endpoint, clock_mono(), on_train, socket_);
	arm_timer(socket_);
}

static void on_deadline(void *user, int events)
{
	struct quic_socket *socket_ = user;
	uint64_t count;

	(void)events;
	if (read(socket_->timer_fd, &count, sizeof(count)) < 0)
		return; /* it was moved meanwhile */
	socket_->armed = MONO_NEVER;
	quic_endpoint_expire(socket_->endpoint, clock_mono());
}

/* The address the datagrams were sent to, and the length of each when the kernel has joined
 * several. */
static void read_control(const struct quic_socket *socket_, struct msghdr *message,
			 struct addr *ret_local, size_t *ret_segment_len)
{
	uint16_t port = socket_->local.port;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(header), sizeof(info));
			(void)!addr_from_ip(bytes_of(&info.ipi_spec_dst, ADDR_V4_LEN), port,
					    ret_local);
		} else if (header->cmsg_level == IPPROTO_IPV6 &&
			   header->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(header), sizeof(info));
			(void)!addr_from_ip(bytes_of(&info.ipi6_addr, ADDR_IP_MAX), port,
					    ret_local);
		} else if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
			int segment_len;

			memcpy(&segment_len, CMSG_DATA(header), sizeof(segment_len));
			if (segment_len > 0)
				*ret_segment_len = (size_t)segment_len;
		}
	}
}

static void input_slot(struct quic_socket *socket_, struct mono now, size_t index)
{
	struct receive_slot *slot = &socket_->slots[index];
	struct msghdr *message = &socket_->headers[index].msg_hdr;
	struct quic_path path = {.local = socket_->local};
	struct bytes left = bytes_of(slot->data, socket_->headers[index].msg_len);
	size_t segment_len = left.len;

	if ((message->msg_flags & MSG_TRUNC) || !sockaddr_to_addr(&slot->from.any, &path.remote))
		return;
	read_control(socket_, message, &path.local, &segment_len);
	while (left.len > 0) {
		struct bytes one = left;

		if (one.len > segment_len)
			one.len = segment_len;
		quic_endpoint_input(socket_->endpoint, now, &path, one);
		left.ptr += one.len;
		left.len -= one.len;
	}
}

static int receive_batch(struct quic_socket *socket_)
{
	for (size_t i = 0; i < SOCKET_BATCH; i++) {
		struct receive_slot *slot = &socket_->slots[i];

		slot->iov = (struct iovec){.iov_base = slot->data, .iov_len = sizeof(slot->data)};
		socket_->headers[i].msg_hdr =
			(struct msghdr){.msg_name = &slot->from,
					.msg_namelen = sizeof(slot->from),
					.msg_iov = &slot->iov,
					.msg_iovlen = 1,
					.msg_control = slot->control.bytes,
					.msg_controllen = sizeof(slot->control.bytes)};
	}
	return recvmmsg(socket_->fd, socket_->headers, SOCKET_BATCH, MSG_DONTWAIT, NULL);
}

static void receive(struct quic_socket *socket_)
{
	for (int round = 0; round < SOCKET_ROUNDS_MAX; round++) {
		int count = receive_batch(socket_);
		struct mono now = clock_mono();

		for (int i = 0; i < count; i++)
			input_slot(socket_, now, (size_t)i);
		if (count < SOCKET_BATCH)
			return;
	}
}

static void send_blocked(struct quic_socket *socket_)
{
	struct bytes left = bytes_buf(&socket_->blocked_data);

	send_train(socket_, &socket_->blocked.path, socket_->blocked.segment_len, &left);
	buf_consume(&socket_->blocked_data, socket_->blocked_data.len - left.len);
	set_watch(socket_);
}

static void on_events(void *user, int events)
{
	struct quic_socket *socket_ = user;

	if (events & LOOP_WRITABLE)
		send_blocked(socket_);
	if (events & LOOP_READABLE)
		receive(socket_);
}

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* Large kernel buffers need a privilege we may have; GRO a kernel that has it. */
static void set_wishes(int fd)
{
	if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_KERNEL_BUFFER) < 0)
		(void)set_option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_KERNEL_BUFFER);
	if (set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_KERNEL_BUFFER) < 0)
		(void)set_option(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_KERNEL_BUFFER);
	(void)set_option(fd, IPPROTO_UDP, UDP_GRO, 1);
}

/* Zero means no segmentation by default; a kernel that knows the option takes it in each message.
 */
static bool knows_gso(int fd)
{
	return set_option(fd, IPPROTO_UDP, UDP_SEGMENT, 0) == 0;
}

/* QUIC finds the path's MTU itself, so nothing may be fragmented on the way. */
static int set_needs(int fd, const struct addr *local)
{
	if (!local->is_v4 &&
	    (set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) < 0 ||
	     set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO) < 0))
		return err_origin(-errno);
	if (local->is_v4 && set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) < 0)
		return err_origin(-errno);
	if (set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO) < 0)
		return err_origin(-errno);
	return 0;
}

static int bind_socket(struct quic_socket *socket_)
{
	union quic_sockaddr name;
	socklen_t len = sockaddr_from_addr(&socket_->local, &name);
	int r;

	socket_->is_v6 = !socket_->local.is_v4;
	socket_->fd = socket(name.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (socket_->fd < 0)
		return err_origin(-errno);
	set_wishes(socket_->fd);
	socket_->gso = knows_gso(socket_->fd);
	r = set_needs(socket_->fd, &socket_->local);
	if (r < 0)
		return err_trace(r);
	if (socket_->is_v6 && set_option(socket_->fd, IPPROTO_IPV6, IPV6_V6ONLY,
					 !addr_is_wildcard(&socket_->local)) < 0)
		return err_origin(-errno);
	if (bind(socket_->fd, &name.any, len) < 0)
		return err_origin(-errno);
	len = sizeof(name);
	if (getsockname(socket_->fd, &name.any, &len) < 0 ||
	    !sockaddr_to_addr(&name.any, &socket_->local))
		return err_origin(-errno);
	return 0;
}

/* What an adopted socket is bound to decides its family; where we are reached, the caller says. */
static int adopt_socket(struct quic_socket *socket_)
{
	union quic_sockaddr name;
	socklen_t len = sizeof(name);
	struct addr bound;
	int flags = fcntl(socket_->fd, F_GETFL), r;

	if (flags < 0 || fcntl(socket_->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    getsockname(socket_->fd, &name.any, &len) < 0)
		return err_origin(-errno);
	if (!sockaddr_to_addr(&name.any, &bound))
		return err_origin(-EAFNOSUPPORT);
	if (addr_is_wildcard(&socket_->local) || addr_is_none(&socket_->local))
		return err_origin(-EADDRNOTAVAIL);
	socket_->is_v6 = name.any.sa_family == AF_INET6;
	socket_->local.port = socket_->local.port ? socket_->local.port : bound.port;
	set_wishes(socket_->fd);
	socket_->gso = knows_gso(socket_->fd);
	/* Its kind of address, not that of ours: a socket of "::" carries both. */
	r = set_needs(socket_->fd, &bound);
	return r < 0 ? err_trace(r) : 0;
}

static int watch_descriptors(struct quic_socket *socket_)
{
	int r;

	socket_->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (socket_->timer_fd < 0)
		return err_origin(-errno);
	r = loop_watch_new(socket_->loop, socket_->timer_fd, LOOP_READABLE, on_deadline, socket_,
			   &socket_->timer_watch);
	if (r == 0)
		r = loop_watch_new(socket_->loop, socket_->fd, LOOP_READABLE, on_events, socket_,
				   &socket_->watch);
	if (r == 0)
		socket_->hook = loop_hook_new(socket_->loop, on_turn_end, socket_);
	return r;
}

static void socket_close(struct quic_socket *socket_)
{
	quic_endpoint_free(socket_->endpoint);
	loop_hook_free(socket_->hook);
	loop_watch_free(socket_->watch);
	loop_watch_free(socket_->timer_watch);
	if (socket_->fd >= 0)
		(void)close(socket_->fd);
	if (socket_->timer_fd >= 0)
		(void)close(socket_->timer_fd);
	buf_deinit(&socket_->blocked_data);
	free(socket_->slots);
	free(socket_);
}

/* @fd: to be adopted; -1: one is bound. */
static int socket_make(struct loop *loop, int fd, const struct quic_config *config,
		       const struct quic_handler *handler, void *user, struct err *err,
		       struct quic_socket **ret_socket)
{
	struct quic_socket *socket_ = mem_new(struct quic_socket);
	struct quic_config filled = *config;
	int r;

	*socket_ = (struct quic_socket){.loop = loop,
					.fd = fd,
					.adopted = fd >= 0,
					.timer_fd = -1,
					.local = config->local,
					.armed = MONO_NEVER};
	socket_->slots = mem_alloc(SOCKET_BATCH, sizeof(*socket_->slots));
	r = socket_->adopted ? adopt_socket(socket_) : bind_socket(socket_);
	if (r == 0)
		r = watch_descriptors(socket_);
	if (r < 0)
		(void)err_set(err, r, "UDP socket at %s: %s", addr_text(&config->local).text,
			      strerror(-r));
	filled.local = socket_->local;
	filled.random = on_random;
	filled.route = on_route;
	filled.io = socket_;
	if (r == 0)
		r = quic_endpoint_new(&filled, handler, user, err, &socket_->endpoint);
	if (r < 0) {
		socket_close(socket_);
		return err_trace(r);
	}
	*ret_socket = socket_;
	return 0;
}

int quic_socket_new(struct loop *loop, const struct quic_config *config,
		    const struct quic_handler *handler, void *user, struct err *err,
		    struct quic_socket **ret_socket)
{
	return socket_make(loop, -1, config, handler, user, err, ret_socket);
}

int quic_socket_adopt(struct loop *loop, int fd, const struct quic_config *config,
		      const struct quic_handler *handler, void *user, struct err *err,
		      struct quic_socket **ret_socket)
{
	return socket_make(loop, fd, config, handler, user, err, ret_socket);
}

void quic_socket_free(struct quic_socket *socket_)
{
	static const struct quic_handler nobody;

	if (!socket_)
		return;
	socket_->endpoint->handler = &nobody;
	quic_endpoint_close_all(socket_->endpoint, "shutting down");
	(void)quic_endpoint_flush(socket_->endpoint, clock_mono(), on_train, socket_);
	socket_close(socket_);
}

void quic_socket_trim(struct quic_socket *socket_)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len = SOCKET_BATCH * sizeof(*socket_->slots);
	size_t skip = page - (uintptr_t)socket_->slots % page; /* that page may be another's too */

	(void)madvise((uint8_t *)socket_->slots + skip, (len - skip) / page * page, MADV_DONTNEED);
}

struct quic_endpoint *quic_socket_endpoint(struct quic_socket *socket_)
{
	return socket_->endpoint;
}

struct addr quic_socket_local(const struct quic_socket *socket_)
{
	return socket_->local;
}
