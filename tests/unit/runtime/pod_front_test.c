/* SPDX-License-Identifier: Apache-2.0 */
/* The namespace before a pod, on this machine's own kernel; root only. Everything lies in
 * namespaces of the test, so that nothing is left of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/child.h"
#include "runtime/netns.h"
#include "runtime/pod_front.h"

enum {
	WAIT_MS = 5000,
	PORT = 6379,
};

struct world {
	char dir[64], pin[80];
	int pod; /* namespace */
	struct pod_net net;
	struct pod_front front;
};

static const struct uid pod_uid = {.byte = {1, 2, 3}};

static void make_pod(struct world *world)
{
	struct err err = {0};
	int own;

	assert_int_equal(netns_enter(-1, &own), 0);
	world->pod = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	netns_leave(own);
	assert_true(world->pod >= 0);
	if (pod_net_create(&pod_uid, world->pod, &world->net, &err) < 0)
		fail_msg("%s", err.text);
}

/* Mounts and the machine's end of the pod's link are in namespaces of this process. */
static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct err err = {0};

	*state = world;
	if (geteuid() != 0)
		return 0;
	assert_int_equal(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	(void)snprintf(world->dir, sizeof(world->dir), "/tmp/magik-front-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	(void)snprintf(world->pin, sizeof(world->pin), "%s/front", world->dir);
	make_pod(world);
	if (pod_front_create(world->pin, &err) < 0 ||
	    pod_front_open(world->pin, &world->front, &err) < 0 ||
	    pod_front_connect(world->pin, world->pod, &world->net, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	struct err err = {0};

	if (geteuid() == 0) {
		pod_front_close(&world->front);
		assert_int_equal(pod_front_remove(world->pin, &err), 0);
		assert_int_equal(rmdir(world->dir), 0);
		(void)close(world->pod);
	}
	free(world);
	return 0;
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

struct place {
	struct sockaddr_storage at;
	socklen_t len;
};

static struct place place_of(const char *ip, uint16_t port)
{
	struct place place = {0};
	struct sockaddr_in *four = (struct sockaddr_in *)&place.at;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&place.at;

	if (inet_pton(AF_INET, ip, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		place.len = sizeof(*four);
		return place;
	}
	assert_int_equal(inet_pton(AF_INET6, ip, &six->sin6_addr), 1);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	place.len = sizeof(*six);
	return place;
}

/* A socket in the pod, connected (TCP: or on its way). */
static int dial(const struct world *world, int type, const char *ip, uint16_t port)
{
	struct place place = place_of(ip, port);
	int own, fd, r;

	assert_int_equal(netns_enter(world->pod, &own), 0);
	fd = socket(place.at.ss_family, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	r = connect(fd, (const struct sockaddr *)&place.at, place.len);
	netns_leave(own);
	assert_int_equal(r, 0);
	return fd;
}

/* What the accepted connection takes itself for: "198.18.0.5:80". IPv4 comes mapped. */
static void name_of(int fd, char *text, size_t size)
{
	struct sockaddr_in6 own = {0};
	socklen_t len = sizeof(own);
	char ip[INET6_ADDRSTRLEN];

	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
	assert_int_equal(own.sin6_family, AF_INET6);
	(void)inet_ntop(AF_INET6, &own.sin6_addr, ip, sizeof(ip));
	(void)snprintf(text, size, "%s %u", ip, ntohs(own.sin6_port));
}

static void expect_captured(const struct world *world, const char *ip, const char *expected)
{
	int fd = dial(world, SOCK_STREAM, ip, PORT), taken;
	char text[80], bytes[4] = {0};

	assert_int_equal(child_wait_readable(world->front.fds[POD_FRONT_TCP], WAIT_MS), 0);
	taken = accept4(world->front.fds[POD_FRONT_TCP], NULL, NULL, SOCK_CLOEXEC);
	assert_true(taken >= 0);
	name_of(taken, text, sizeof(text));
	assert_string_equal(text, expected);
	assert_int_equal(write(taken, "abc", 3), 3);
	assert_int_equal(read(fd, bytes, 3), 3);
	assert_string_equal(bytes, "abc");
	(void)close(fd);
	(void)close(taken);
}

static void test_every_connection_to_a_virtual_address_arrives(void **state)
{
	struct world *world = *state;

	need_root();
	expect_captured(world, "198.18.0.5", "::ffff:198.18.0.5 6379");
	expect_captured(world, "198.19.200.1", "::ffff:198.19.200.1 6379");
	expect_captured(world, POD_FRONT_RESOLVER, "::ffff:" POD_FRONT_RESOLVER " 6379");
	if (!world->net.ip6[0])
		return;
	expect_captured(world, "fd6d:6167:7376::7", "fd6d:6167:7376::7 6379");
	/* The podIP of another pod, wherever that is. */
	expect_captured(world, "fd6d:6167:696b::7", "fd6d:6167:696b::7 6379");
}

static void test_no_port_of_the_pod_is_taken(void **state)
{
	static const uint16_t ports[] = {53, POD_FRONT_PORT, PORT};
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	struct world *world = *state;
	struct place place;
	int own, fd;

	need_root();
	for (size_t i = 0; i < ARRAY_LEN(ports) * ARRAY_LEN(types); i++) {
		place = place_of("0.0.0.0", ports[i % ARRAY_LEN(ports)]);
		assert_int_equal(netns_enter(world->pod, &own), 0);
		fd = socket(AF_INET, types[i / ARRAY_LEN(ports)], 0);
		assert_int_equal(bind(fd, (const struct sockaddr *)&place.at, place.len), 0);
		netns_leave(own);
		(void)close(fd);
	}
}

/* The address that a datagram was sent to comes with it, here as IPv4 itself. */
static void test_datagrams_arrive_with_the_address_asked_for(void **state)
{
	struct world *world = *state;
	char bytes[16], control[128];
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *found;
	struct sockaddr_in asked = {0};
	int fd;

	need_root();
	fd = dial(world, SOCK_DGRAM, "198.18.0.9", PORT);
	assert_int_equal(write(fd, "hi", 2), 2);
	assert_int_equal(child_wait_readable(world->front.fds[POD_FRONT_UDP], WAIT_MS), 0);
	assert_int_equal(recvmsg(world->front.fds[POD_FRONT_UDP], &message, 0), 2);
	for (found = CMSG_FIRSTHDR(&message); found; found = CMSG_NXTHDR(&message, found))
		if (found->cmsg_level == SOL_IP && found->cmsg_type == IP_ORIGDSTADDR)
			memcpy(&asked, CMSG_DATA(found), sizeof(asked));
	assert_int_equal(ntohs(asked.sin_port), PORT);
	assert_int_equal(asked.sin_addr.s_addr, inet_addr("198.18.0.9"));
	(void)close(fd);
}

/* Hears of each change of a link in the pod. */
static int watch_links(void)
{
	struct sockaddr_nl all = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&all, sizeof(all)), 0);
	return fd;
}

/* The pair of links goes with the namespace: soon, when nobody holds it any more. */
static void test_nothing_is_left_in_the_pod(void **state)
{
	struct world *world = *state;
	struct err err = {0};
	char change[4096];
	int own, fd;

	need_root();
	assert_int_equal(netns_enter(world->pod, &own), 0);
	fd = watch_links();
	assert_int_not_equal(if_nametoindex("svc0"), 0);
	pod_front_close(&world->front);
	assert_int_equal(pod_front_remove(world->pin, &err), 0);
	while (if_nametoindex("svc0") != 0) {
		assert_int_equal(child_wait_readable(fd, WAIT_MS), 0);
		assert_true(recv(fd, change, sizeof(change), 0) > 0);
	}
	netns_leave(own);
	(void)close(fd);
	assert_int_equal(access(world->pin, F_OK), -1);
	assert_int_equal(pod_front_remove(world->pin, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_connection_to_a_virtual_address_arrives,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_port_of_the_pod_is_taken, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_datagrams_arrive_with_the_address_asked_for,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_is_left_in_the_pod, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
