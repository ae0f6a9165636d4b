/* SPDX-License-Identifier: Apache-2.0 */
/* Connections and datagrams from a pod to virtual addresses, through real namespaces and sockets,
 * into a mesh that only remembers; root only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "mesh_fake.h"
#include "runtime/netns.h"
#include "runtime/pod_front.h"
#include "service/dns.h"
#include "workplane/front.h"

enum {
	WAIT_MS = 5000,
	SPACE = 2048,
};

struct world {
	char dir[64], pin[80];
	int pod; /* namespace */
	struct pod_net net;
	struct loop *loop;
	struct catalog *catalog;
	struct front *front;
};

static const struct uid pod_uid = {.byte = {4, 5, 6}};

/* ---- the machine: a Service "web" with port 80 to 8080, and 53 by UDP */

struct told {
	struct world *world;
	uint32_t id;
	bool is_web;
};

static void tell_later(void *user)
{
	struct told *later = user;
	Magik__Ipc__ServicePort http, dns, *ports[] = {&http, &dns};
	Magik__Ipc__ServiceTarget target, *targets[] = {&target};
	Magik__Ipc__ServiceFacts facts;
	Magik__Ipc__NameTold told;

	magik__ipc__service_port__init(&http);
	magik__ipc__service_port__init(&dns);
	magik__ipc__service_target__init(&target);
	magik__ipc__service_facts__init(&facts);
	magik__ipc__name_told__init(&told);
	http.number = 80;
	http.target = 8080;
	dns.number = 53;
	dns.target = 5353;
	dns.udp = true;
	target.namespace_ = (char *)(uintptr_t) "shop";
	target.name = (char *)(uintptr_t) "web";
	if (later->is_web) {
		facts.kind = MAGIK__IPC__SERVICE_FACTS__KIND__CLUSTER_IP;
		facts.ports = ports;
		facts.n_ports = 2;
		facts.targets = targets;
		facts.n_targets = 1;
	}
	told.id = later->id;
	told.known = true;
	told.service = &facts;
	catalog_told(later->world->catalog, &told);
	free(later);
}

static int on_ask(void *user, const Magik__Ipc__NameAsk *ask)
{
	static const uint8_t cluster_ip[] = {0xfd, 0x6d, 0x61, 0x67, 0x73, 0x76, 0, 0,
					     0,    0,    0,    0,    0,    0,    0, 9};
	struct told *later = mem_new(struct told);
	const Magik__Ipc__NameQuestion *question = ask->question;

	later->world = user;
	later->id = ask->id;
	later->is_web = strcmp(question->name, "web") == 0 ||
			(question->address.len == sizeof(cluster_ip) &&
			 memcmp(question->address.data, cluster_ip, sizeof(cluster_ip)) == 0);
	loop_defer(later->world->loop, tell_later, later);
	return 0;
}

/* ---- what the agent serves its application */

static void on_api(void *user, int fd)
{
	(void)user;
	assert_int_equal(write(fd, "api", 3), 3);
	(void)close(fd);
}

/* ---- the world ---- */

static void make_pod(struct world *world, struct pod_front *ret_front)
{
	struct err err = {0};
	int own;

	(void)snprintf(world->dir, sizeof(world->dir), "/tmp/magik-front-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	(void)snprintf(world->pin, sizeof(world->pin), "%s/front", world->dir);
	assert_int_equal(netns_enter(-1, &own), 0);
	world->pod = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	netns_leave(own);
	if (pod_net_create(&pod_uid, world->pod, &world->net, &err) < 0 ||
	    pod_front_create(world->pin, &err) < 0 ||
	    pod_front_open(world->pin, ret_front, &err) < 0 ||
	    pod_front_connect(world->pin, world->pod, &world->net, &err) < 0)
		fail_msg("%s", err.text);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	struct front_config config = {.namespace = "shop", .on_api = on_api};
	struct pod_front sockets;
	struct err err = {0};

	*state = world;
	if (geteuid() != 0)
		return 0;
	assert_int_equal(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	make_pod(world, &sockets);
	world->loop = loop_new();
	fake_mesh_reset(world->loop);
	world->catalog = catalog_new(world->loop, on_ask, world);
	config.loop = world->loop;
	config.catalog = world->catalog;
	config.mesh = (struct mesh *)world; /* only handed on */
	config.tcp_fd = sockets.fds[POD_FRONT_TCP];
	config.udp_fd = sockets.fds[POD_FRONT_UDP];
	config.raw4_fd = sockets.fds[POD_FRONT_RAW4];
	config.raw6_fd = sockets.fds[POD_FRONT_RAW6];
	assert_int_equal(front_new(&config, &err, &world->front), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	struct err err = {0};

	if (geteuid() == 0) {
		bool never = false;

		front_free(world->front);
		catalog_free(world->catalog);
		/* What the mesh has deferred. */
		(void)loop_run_until(world->loop, &never, mono_add_ms(clock_mono(), 1));
		loop_free(world->loop);
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

/* ---- the application ---- */

static int dial(const struct world *world, int type, const struct addr *to)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(to->port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(to->port)};
	int own, fd, r;

	assert_int_equal(netns_enter(world->pod, &own), 0);
	fd = socket(to->is_v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
	memcpy(&four.sin_addr, to->ip, ADDR_V4_LEN);
	memcpy(&six.sin6_addr, to->ip, ADDR_IP_MAX);
	r = to->is_v4 ? connect(fd, (const struct sockaddr *)&four, sizeof(four))
		      : connect(fd, (const struct sockaddr *)&six, sizeof(six));
	netns_leave(own);
	assert_int_equal(r, 0);
	return fd;
}

static void on_readable(void *user, int events)
{
	(void)events;
	*(bool *)user = true;
}

/* What comes on @fd while the agent's loop runs: the length, or -errno. */
static ssize_t hear(struct world *world, int fd, void *space, size_t size)
{
	struct loop_watch *watch;
	bool readable = false;
	ssize_t len;

	assert_int_equal(
		loop_watch_new(world->loop, fd, LOOP_READABLE, on_readable, &readable, &watch), 0);
	assert_true(loop_run_until(world->loop, &readable, mono_add_ms(clock_mono(), WAIT_MS)));
	loop_watch_free(watch);
	len = recv(fd, space, size, 0);
	return len < 0 ? -errno : len;
}

/* Ask the resolver in front of the pod, as a C library does; the address that was answered. */
static struct addr look_up(struct world *world, const char *name, int type)
{
	struct addr to = {.ip = {198, 19, 255, 254}, .port = DNS_PORT, .is_v4 = true}, got;
	struct dns_question question;
	uint8_t space[SPACE];
	struct buf packet = {0};
	size_t skipped = type == SOCK_STREAM ? 2 : 0;
	int fd = dial(world, type, &to);
	ssize_t len;

	assert_true(dns_question_make(name, DNS_A, &question));
	if (skipped)
		buf_append(&packet, "\0", 2);
	dns_forward(&question, 77, DNS_UDP_MAX, &packet);
	if (skipped)
		packet.ptr[1] = (uint8_t)(packet.len - skipped);
	assert_int_equal(write(fd, packet.ptr, packet.len), packet.len);
	len = hear(world, fd, space, sizeof(space));
	assert_true(len > (ssize_t)skipped);
	assert_true(dns_forward_answers(&question, 77,
					bytes_of(space + skipped, (size_t)len - skipped)));
	assert_int_equal(
		dns_forward_addrs(bytes_of(space + skipped, (size_t)len - skipped), DNS_A, &got, 1),
		1);
	buf_deinit(&packet);
	(void)close(fd);
	return got;
}

/* ---- tests ---- */

static void test_a_name_leads_to_the_mesh(void **state)
{
	struct world *world = *state;
	struct addr addr;
	char said[16] = {0};
	int fd;

	need_root();
	addr = look_up(world, "web.shop.svc.cluster.local", SOCK_DGRAM);
	assert_int_equal(addr.ip[0], 198);
	addr.port = 80;
	fd = dial(world, SOCK_STREAM, &addr);
	assert_int_equal(hear(world, fd, said, sizeof(said)), 5);
	assert_string_equal(said, "hello");
	assert_string_equal(fake_mesh.order, "shop/web:8080 tcp");
	(void)close(fd);
}

static void test_questions_may_come_over_tcp(void **state)
{
	struct world *world = *state;
	struct addr one, other;

	need_root();
	one = look_up(world, "web", SOCK_STREAM);
	other = look_up(world, "web.shop", SOCK_DGRAM);
	assert_true(addr_equal(&one, &other));
}

static void test_the_own_address_of_a_service_leads_there_too(void **state)
{
	struct addr to = {.ip = {0xfd, 0x6d, 0x61, 0x67, 0x73, 0x76, [15] = 9}, .port = 80};
	struct world *world = *state;
	char said[16] = {0};
	int fd;

	need_root();
	if (!world->net.ip6[0])
		skip();
	fd = dial(world, SOCK_STREAM, &to);
	assert_int_equal(hear(world, fd, said, sizeof(said)), 5);
	assert_string_equal(fake_mesh.order, "shop/web:8080 tcp");
	(void)close(fd);
}

static void test_what_leads_nowhere_is_refused(void **state)
{
	struct addr nobody = {.ip = {198, 18, 77, 77}, .port = 80, .is_v4 = true}, web;
	struct world *world = *state;
	char said[16];
	int fd;

	need_root();
	fd = dial(world, SOCK_STREAM, &nobody);
	assert_int_equal(hear(world, fd, said, sizeof(said)), -ECONNRESET);
	(void)close(fd);
	fd = dial(world, SOCK_DGRAM, &nobody);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(hear(world, fd, said, sizeof(said)), -ECONNREFUSED);
	(void)close(fd);
	/* The Service has no such port. */
	web = look_up(world, "web", SOCK_DGRAM);
	web.port = 81;
	fd = dial(world, SOCK_STREAM, &web);
	assert_int_equal(hear(world, fd, said, sizeof(said)), -ECONNRESET);
	(void)close(fd);
	assert_int_equal(fake_mesh.orders, 0);
}

static void test_datagrams_come_back_from_where_they_were_sent(void **state)
{
	struct world *world = *state;
	struct front_stats stats;
	struct addr web;
	char said[16] = {0};
	int fd;

	need_root();
	web = look_up(world, "web", SOCK_DGRAM);
	web.port = 53;
	/* Connected, so that it hears nobody else. */
	fd = dial(world, SOCK_DGRAM, &web);
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(hear(world, fd, said, sizeof(said)), 6);
	assert_string_equal(said, "abcabc");
	assert_string_equal(fake_mesh.order, "shop/web:5353 udp");
	assert_int_equal(write(fd, "de", 2), 2);
	assert_int_equal(hear(world, fd, said, sizeof(said)), 4);
	assert_int_equal(fake_mesh.orders, 1);
	front_stats(world->front, &stats);
	assert_int_equal(stats.flows, 1);
	(void)close(fd);
}

static void test_the_agents_own_address_leads_to_what_it_serves(void **state)
{
	static const uint16_t ports[] = {80, 443};
	struct addr to = {.ip = {198, 19, 255, 253}, .is_v4 = true};
	struct world *world = *state;
	char space[8];
	int fd;

	need_root();
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		to.port = ports[i];
		fd = dial(world, SOCK_STREAM, &to);
		assert_int_equal(hear(world, fd, space, sizeof(space)), 3);
		assert_memory_equal(space, "api", 3);
		(void)close(fd);
	}
	to.port = 8080;
	fd = dial(world, SOCK_STREAM, &to);
	assert_int_equal(hear(world, fd, space, sizeof(space)), -ECONNRESET);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_name_leads_to_the_mesh, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_questions_may_come_over_tcp, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_own_address_of_a_service_leads_there_too,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_agents_own_address_leads_to_what_it_serves,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_leads_nowhere_is_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_datagrams_come_back_from_where_they_were_sent,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
