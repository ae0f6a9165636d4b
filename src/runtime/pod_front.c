/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pod_front.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/files.h"
#include "runtime/netfilter.h"
#include "runtime/netlink.h"
#include "runtime/netns.h"

enum {
	LINK_MTU = 65535, /* a whole datagram in one piece; nothing outside sees it */
};

static const char pod_end[] = "svc0";
static const char front_end[] = "pod0";

static const struct netlink_address virtual4 = {
	.family = AF_INET, .bytes = {198, 18}, .prefix = 15};
/* The clusterIP of Services: service/vip.h. */
static const struct netlink_address virtual6 = {
	.family = AF_INET6, .bytes = {0xfd, 0x6d, 0x61, 0x67, 0x73, 0x76}, .prefix = 48};
/* The podIP of pods: service/vip.h. */
static const struct netlink_address pods6 = {
	.family = AF_INET6, .bytes = {0xfd, 0x6d, 0x61, 0x67, 0x69, 0x6b}, .prefix = 48};
static const struct netlink_address resolver4 = {
	.family = AF_INET, .bytes = {198, 19, 255, 254}, .prefix = 32};
static const struct netlink_address front6 = {
	.family = AF_INET6, .bytes = {0xfe, 0x80, [15] = 1}, .prefix = 64};
static const struct netlink_address pod6 = {
	.family = AF_INET6, .bytes = {0xfe, 0x80, [15] = 2}, .prefix = 64};

/* ---- the namespace ---- */

static int set_up(void)
{
	struct mnl_socket *socket;
	int r = netlink_open(&socket);

	if (r < 0)
		return r;
	r = netlink_link_up(socket, "lo");
	if (r == 0)
		r = netlink_local_add(socket, &virtual4);
	if (r == 0)
		r = netfilter_capture(POD_FRONT_PORT);
	if (r == 0 && netlink_local_add(socket, &virtual6) == 0) /* without IPv6 there is none */
		r = netlink_local_add(socket, &pods6);
	netlink_close(socket);
	return r;
}

static int pin_own(const char *pin)
{
	int r = file_replace(pin, bytes_str(""), 0400);

	if (r == 0 && mount("/proc/thread-self/ns/net", pin, NULL, MS_BIND, NULL) < 0)
		r = err_origin(-errno);
	return r;
}

int pod_front_create(const char *pin, struct err *err)
{
	struct err ignored;
	int own, r = netns_enter(-1, &own);

	if (r == 0) {
		r = set_up();
		if (r == 0)
			r = pin_own(pin);
		netns_leave(own);
	}
	if (r == 0)
		return 0;
	(void)!pod_front_remove(pin, &ignored);
	return err_set(err, r, "make the namespace before the pod's: %s", strerror(-r));
}

int pod_front_remove(const char *pin, struct err *err)
{
	/* EINVAL: no mount there; ENOENT: never made. */
	if (umount2(pin, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return err_set(err, -errno, "unmount %s: %s", pin, strerror(errno));
	(void)unlink(pin);
	return 0;
}

/* A descriptor of it, or -errno. */
static int open_pin(const char *pin)
{
	int fd = open(pin, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_origin(-errno) : fd;
}

/* ---- sockets ---- */

static int turn_on(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) < 0 ? err_origin(-errno) : 0;
}

static int bind_any(int fd, int family)
{
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(POD_FRONT_PORT)};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(POD_FRONT_PORT)};
	int r = family == AF_INET6 ? bind(fd, (const struct sockaddr *)&any6, sizeof(any6))
				   : bind(fd, (const struct sockaddr *)&any4, sizeof(any4));

	return r < 0 ? err_origin(-errno) : 0;
}

/* Both families if the kernel has both. */
static int prepare(int fd, int family, int type)
{
	int off = 0, r = turn_on(fd, SOL_SOCKET, SO_REUSEADDR);

	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return err_origin(-errno);
	if (r == 0)
		r = turn_on(fd, IPPROTO_IP, IP_TRANSPARENT);
	if (r == 0 && family == AF_INET6)
		r = turn_on(fd, IPPROTO_IPV6, IPV6_TRANSPARENT);
	if (r == 0 && type == SOCK_DGRAM)
		r = turn_on(fd, IPPROTO_IP, IP_RECVORIGDSTADDR);
	if (r == 0 && type == SOCK_DGRAM && family == AF_INET6)
		r = turn_on(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR);
	if (r == 0)
		r = bind_any(fd, family);
	if (r == 0 && type == SOCK_STREAM && listen(fd, POD_FRONT_BACKLOG) < 0)
		r = err_origin(-errno);
	return r;
}

static int open_captor(int type, int *ret_fd)
{
	int flags = SOCK_CLOEXEC | SOCK_NONBLOCK, family = AF_INET6, r;

	*ret_fd = socket(family, type | flags, 0);
	if (*ret_fd < 0 && errno == EAFNOSUPPORT) {
		family = AF_INET;
		*ret_fd = socket(family, type | flags, 0);
	}
	if (*ret_fd < 0)
		return err_origin(-errno);
	r = prepare(*ret_fd, family, type);
	return r;
}

static int open_raw(int family, int *ret_fd)
{
	*ret_fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	return *ret_fd < 0 ? err_origin(-errno) : 0;
}

static int open_all(struct pod_front *front)
{
	int r = open_captor(SOCK_STREAM, &front->fds[POD_FRONT_TCP]);

	if (r == 0)
		r = open_captor(SOCK_DGRAM, &front->fds[POD_FRONT_UDP]);
	if (r == 0)
		r = open_raw(AF_INET, &front->fds[POD_FRONT_RAW4]);
	if (r == 0 && open_raw(AF_INET6, &front->fds[POD_FRONT_RAW6]) < 0)
		front->fds[POD_FRONT_RAW6] = -1;
	return r;
}

int pod_front_open(const char *pin, struct pod_front *ret_front, struct err *err)
{
	struct pod_front front = {.fds = {-1, -1, -1, -1}};
	int netns = open_pin(pin), own, r = netns;

	if (netns >= 0) {
		r = netns_enter(netns, &own);
		(void)close(netns);
		if (r == 0) {
			r = open_all(&front);
			netns_leave(own);
		}
	}
	if (r < 0) {
		pod_front_close(&front);
		return err_set(err, r, "sockets before the pod: %s", strerror(-r));
	}
	*ret_front = front;
	return 0;
}

void pod_front_close(struct pod_front *front)
{
	for (size_t i = 0; i < _POD_FRONT_SOCKETS; i++) {
		if (front->fds[i] >= 0)
			(void)close(front->fds[i]);
		front->fds[i] = -1;
	}
}

/* ---- links ---- */

static bool parse(const char *text, int family, struct netlink_address *ret)
{
	*ret = (struct netlink_address){.family = family, .prefix = family == AF_INET ? 32 : 128};
	return *text && inet_pton(family, text, ret->bytes) == 1;
}

/* The way back to the pod. */
static int configure_front(struct mnl_socket *socket, const struct pod_net *net)
{
	struct netlink_address ip4, ip6;
	int r = netlink_link_up(socket, front_end);

	if (r == 0)
		r = netlink_address_add(socket, front_end, &resolver4);
	if (r == 0 && parse(net->ip4, AF_INET, &ip4))
		r = netlink_route_add(socket, front_end, &ip4, NULL);
	if (r == 0 && parse(net->ip6, AF_INET6, &ip6)) {
		r = netlink_address_add(socket, front_end, &front6);
		/* Of all pods' addresses this one is not here. */
		if (r == 0)
			r = netlink_exception_add(socket, front_end, &ip6, &pod6);
	}
	return r;
}

static int configure_pod(struct mnl_socket *socket, const struct pod_net *net)
{
	int r = netlink_link_up(socket, pod_end);

	if (r == 0)
		r = netlink_route_add(socket, pod_end, &virtual4, &resolver4);
	if (r == 0 && net->ip6[0]) {
		r = netlink_address_add(socket, pod_end, &pod6);
		if (r == 0)
			r = netlink_route_add(socket, pod_end, &virtual6, &front6);
		if (r == 0)
			r = netlink_route_add(socket, pod_end, &pods6, &front6);
	}
	return r;
}

/* Do @work in the namespace @netns. */
static int inside(int netns, const struct pod_net *net,
		  int (*work)(struct mnl_socket *socket, const struct pod_net *net))
{
	struct mnl_socket *socket;
	int r = netlink_open_in(netns, &socket);

	if (r < 0)
		return r;
	r = work(socket, net);
	netlink_close(socket);
	return r;
}

static int add_pair(int front, int netns)
{
	struct mnl_socket *socket;
	int r = netlink_open_in(front, &socket);

	if (r < 0)
		return r;
	r = netlink_veth_add(socket, front_end, pod_end, netns, LINK_MTU);
	netlink_close(socket);
	return r;
}

int pod_front_connect(const char *pin, int netns, const struct pod_net *net, struct err *err)
{
	int front = open_pin(pin), r = front;

	if (front >= 0) {
		r = add_pair(front, netns);
		if (r == 0)
			r = inside(front, net, configure_front);
		if (r == 0)
			r = inside(netns, net, configure_pod);
		(void)close(front);
	}
	return r < 0 ? err_set(err, r, "join the pod with the namespace before it: %s",
			       strerror(-r))
		     : 0;
}
