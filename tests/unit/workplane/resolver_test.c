/* SPDX-License-Identifier: Apache-2.0 */
/* What names are answered with: a catalog that is told a few Services, a mesh of a few replicas,
 * and a resolver outside on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "mesh_fake.h"
#include "workplane/resolver.h"

enum {
	WAIT_MS = 10000,
	AT_ANSWERS = 6,
	AT_EXTRAS = 10,
};

struct world {
	struct loop *loop;
	struct catalog *catalog;
	struct vip *vip;
	struct forward *forward;
	struct resolver *resolver;
	struct resolver_config config;
	/* The machine: whether it answers, and what it was asked. */
	bool silent;
	unsigned asked;
	/* The last answer. */
	struct buf answer;
	bool answered;
	int outside; /* a resolver of the machine */
};

/* ---- the machine ---- */

static Magik__Ipc__ServicePort port_http, port_dns;
static Magik__Ipc__ServicePort *ports[] = {&port_http, &port_dns};
static Magik__Ipc__ServiceTarget target;
static Magik__Ipc__ServiceTarget *targets[] = {&target};
static uint8_t cluster_ip[16] = {0xfd, 0x6d, 0x61, 0x67, 0x73, 0x76, [15] = 7};

static char *text(const char *constant)
{
	return (char *)(uintptr_t)constant;
}

static void tell_service(Magik__Ipc__ServiceFacts *facts, const char *name,
			 Magik__Ipc__ServiceFacts__Kind kind)
{
	magik__ipc__service_port__init(&port_http);
	magik__ipc__service_port__init(&port_dns);
	magik__ipc__service_target__init(&target);
	port_http.name = text("http");
	port_http.number = 80;
	port_http.target_name = text("web-port");
	port_dns.name = text("dns");
	port_dns.number = 53;
	port_dns.target = 5353;
	port_dns.udp = true;
	target.namespace_ = text("shop");
	target.name = text(name);
	facts->kind = kind;
	facts->namespace_ = text("shop");
	facts->name = text(name);
	facts->ports = ports;
	facts->n_ports = 2;
	facts->targets = targets;
	facts->n_targets = 1;
	facts->external_name = text("db.example.org");
	if (kind == MAGIK__IPC__SERVICE_FACTS__KIND__CLUSTER_IP) {
		facts->address.data = cluster_ip;
		facts->address.len = sizeof(cluster_ip);
	}
}

static void tell_of(const Magik__Ipc__NameQuestion *question, Magik__Ipc__ServiceFacts *facts)
{
	static const struct {
		const char *name;
		Magik__Ipc__ServiceFacts__Kind kind;
	} known[] = {
		{"web", MAGIK__IPC__SERVICE_FACTS__KIND__CLUSTER_IP},
		{"db", MAGIK__IPC__SERVICE_FACTS__KIND__HEADLESS},
		{"out", MAGIK__IPC__SERVICE_FACTS__KIND__EXTERNAL_NAME},
		{"lone", MAGIK__IPC__SERVICE_FACTS__KIND__WORKLOAD},
	};

	magik__ipc__service_facts__init(facts);
	if (question->address.len == sizeof(cluster_ip) &&
	    memcmp(question->address.data, cluster_ip, sizeof(cluster_ip)) == 0)
		tell_service(facts, "web", MAGIK__IPC__SERVICE_FACTS__KIND__CLUSTER_IP);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(question->namespace_, "shop") == 0 &&
		    strcmp(question->name, known[i].name) == 0)
			tell_service(facts, known[i].name, known[i].kind);
}

/* A question on its way. */
struct told {
	struct world *world;
	Magik__Ipc__NameAsk *ask;
};

static void tell_later(void *user)
{
	struct told *later = user;
	Magik__Ipc__ServiceFacts facts;
	Magik__Ipc__NameTold told;

	tell_of(later->ask->question, &facts);
	magik__ipc__name_told__init(&told);
	told.id = later->ask->id;
	told.known = true;
	told.service = &facts;
	catalog_told(later->world->catalog, &told);
	magik__ipc__name_ask__free_unpacked(later->ask, NULL);
	free(later);
}

static int on_ask(void *user, const Magik__Ipc__NameAsk *ask)
{
	struct world *world = user;
	struct told *later;
	uint8_t packed[512];
	size_t len;

	world->asked++;
	if (world->silent)
		return 0;
	later = mem_new(struct told);
	later->world = world;
	len = magik__ipc__name_ask__pack(ask, packed);
	later->ask = magik__ipc__name_ask__unpack(NULL, len, packed);
	loop_defer(world->loop, tell_later, later);
	return 0;
}

/* ---- the world ---- */

static int make_outside(struct world *world)
{
	struct sockaddr_in own = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (const struct sockaddr *)&own, sizeof(own)), 0);
	(void)world;
	return fd;
}

static void make_resolver(struct world *world, bool by_hand)
{
	resolver_free(world->resolver);
	catalog_free(world->catalog);
	world->catalog = catalog_new(world->loop, by_hand ? NULL : on_ask, world);
	world->config = (struct resolver_config){
		.namespace = "shop",
		.mesh = (struct mesh *)world, /* only handed on */
		.catalog = world->catalog,
		.vip = world->vip,
		.forward = world->forward,
		.by_hand = by_hand,
		.has_v6 = true,
	};
	world->resolver = resolver_new(&world->config);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	struct err err = {0};

	*state = world;
	world->loop = loop_new();
	world->vip = vip_new(VIP_MAX, 1);
	world->outside = make_outside(world);
	fake_mesh_reset(world->loop);
	/* A machine without resolvers: forward_test.c asks some. */
	assert_int_equal(forward_new(world->loop, world->outside, "", &err, &world->forward), 0);
	make_resolver(world, false);
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	resolver_free(world->resolver);
	catalog_free(world->catalog);
	forward_free(world->forward);
	vip_free(world->vip);
	loop_free(world->loop);
	buf_deinit(&world->answer);
	free(world);
	return 0;
}

static void on_answer(void *user, struct bytes answer)
{
	struct world *world = user;

	buf_clear(&world->answer);
	buf_append_bytes(&world->answer, answer);
	world->answered = true;
}

/* Ask and wait. */
static void ask(struct world *world, const char *name, enum dns_type type)
{
	struct dns_question question;
	struct buf packet = {0};

	assert_true(dns_question_make(name, type, &question));
	dns_forward(&question, 0x4711, DNS_UDP_MAX, &packet);
	world->answered = false;
	resolver_ask(world->resolver, bytes_buf(&packet), true, on_answer, world);
	assert_true(
		loop_run_until(world->loop, &world->answered, mono_add_ms(clock_mono(), WAIT_MS)));
	buf_deinit(&packet);
}

static enum dns_code code(const struct world *world)
{
	return (enum dns_code)(world->answer.ptr[3] & 0x0f);
}

static unsigned count_at(const struct world *world, size_t at)
{
	return (unsigned)(world->answer.ptr[at] << 8 | world->answer.ptr[at + 1]);
}

/* The one IPv4 address of the answer, as what it stands for. */
static const char *key_of_answer(const struct world *world)
{
	struct addr addr;

	assert_int_equal(dns_forward_addrs(bytes_buf(&world->answer), DNS_A, &addr, 1), 1);
	return vip_name(world->vip, &addr);
}

static void expect_key(struct world *world, const char *name, const char *key)
{
	ask(world, name, DNS_A);
	assert_int_equal(code(world), DNS_NO_ERROR);
	assert_int_equal(count_at(world, AT_ANSWERS), 1);
	assert_string_equal(key_of_answer(world), key);
}

static bool holds(const struct world *world, const char *part)
{
	return memmem(world->answer.ptr, world->answer.len, part, strlen(part)) != NULL;
}

/* ---- tests ---- */

static void test_a_service_has_one_address(void **state)
{
	struct world *world = *state;
	struct addr addr, expected;

	expect_key(world, "web", "shop/web");
	expect_key(world, "web.shop", "shop/web");
	expect_key(world, "WEB.shop.svc.cluster.local", "shop/web");
	ask(world, "web", DNS_AAAA);
	assert_int_equal(dns_forward_addrs(bytes_buf(&world->answer), DNS_AAAA, &addr, 1), 1);
	assert_true(addr_from_ip(bytes_of(cluster_ip, 16), 0, &expected));
	assert_true(addr_equal(&addr, &expected));
	/* It exists, but has no such record. */
	ask(world, "web", (enum dns_type)15);
	assert_int_equal(code(world), DNS_NO_ERROR);
	assert_int_equal(count_at(world, AT_ANSWERS), 0);
}

static void test_what_is_not_there_does_not_exist(void **state)
{
	struct world *world = *state;

	ask(world, "nobody.shop.svc.cluster.local", DNS_A);
	assert_int_equal(code(world), DNS_NO_NAME);
	ask(world, "web.other.svc.cluster.local", DNS_A);
	assert_int_equal(code(world), DNS_NO_NAME);
	ask(world, "shop.svc.cluster.local", DNS_A);
	assert_int_equal(code(world), DNS_NO_ERROR);
	/* Nobody is there to ask outside: that is no answer. */
	ask(world, "example.org", DNS_A);
	assert_int_equal(code(world), DNS_SERVER_FAILURE);
}

static void test_each_ready_replica_of_a_headless_service_is_named(void **state)
{
	struct world *world = *state;
	struct addr addr;

	(void)fake_mesh_add("shop", "db", "db-0");
	(void)fake_mesh_add("shop", "db", "db-1");
	fake_mesh_add("shop", "db", "db-2")->ready = false;
	ask(world, "db", DNS_A);
	assert_int_equal(count_at(world, AT_ANSWERS), 2);
	assert_string_equal(key_of_answer(world), "shop/db/db-0");
	ask(world, "db", DNS_AAAA);
	assert_int_equal(dns_forward_addrs(bytes_buf(&world->answer), DNS_AAAA, &addr, 1), 1);
	assert_string_equal(vip_name(world->vip, &addr), "shop/db/db-0");
	expect_key(world, "db-1.db", "shop/db/db-1");
	expect_key(world, "db-1.db.shop.svc.cluster.local", "shop/db/db-1");
	ask(world, "db-2.db.shop.svc.cluster.local", DNS_A);
	assert_int_equal(code(world), DNS_NO_NAME);
	ask(world, "db-9.db.shop.svc.cluster.local", DNS_A);
	assert_int_equal(code(world), DNS_NO_NAME);
}

static void test_ports_are_told(void **state)
{
	struct service_port own = {.name = text("web-port"), .number = 8080};
	struct world *world = *state;
	struct service_record *record = fake_mesh_add("shop", "db", "db-0");

	record->ports = &own;
	record->port_count = 1;
	ask(world, "_http._tcp.web", DNS_SRV);
	assert_int_equal(count_at(world, AT_ANSWERS), 1);
	assert_int_equal(count_at(world, AT_EXTRAS), 1);
	assert_true(holds(world, "\x03web\x04shop\x03svc\x07"
				 "cluster\x05local"));
	ask(world, "_http._udp.web.shop.svc.cluster.local", DNS_SRV);
	assert_int_equal(code(world), DNS_NO_NAME);
	/* Of a headless one, the port that the pod itself has. */
	ask(world, "_http._tcp.db.shop.svc.cluster.local", DNS_SRV);
	assert_int_equal(count_at(world, AT_ANSWERS), 1);
	assert_true(holds(world, "\x1f\x90\x04"
				 "db-0\x02"
				 "db"));
	ask(world, "_dns._udp.db.shop.svc.cluster.local", DNS_SRV);
	assert_true(holds(world, "\x14\xe9\x04"
				 "db-0\x02"
				 "db"));
}

static void test_a_workload_has_a_name_without_a_service(void **state)
{
	struct world *world = *state;

	expect_key(world, "lone", "shop/lone");
	(void)fake_mesh_add("shop", "lone", "lone-1");
	expect_key(world, "lone-1.lone.shop.svc.cluster.local", "shop/lone/lone-1");
}

static void test_addresses_have_names(void **state)
{
	struct world *world = *state;

	expect_key(world, "web", "shop/web");
	ask(world, "1.0.18.198.in-addr.arpa", DNS_PTR);
	assert_int_equal(count_at(world, AT_ANSWERS), 1);
	assert_true(holds(world, "\x03web\x04shop\x03svc\x07"
				 "cluster\x05local"));
	ask(world, "9.9.18.198.in-addr.arpa", DNS_PTR);
	assert_int_equal(code(world), DNS_NO_NAME);
	ask(world, "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.7.3.7.7.6.1.6.d.6.d.f.ip6.arpa",
	    DNS_PTR);
	assert_int_equal(count_at(world, AT_ANSWERS), 1);
}

static void test_what_was_told_is_kept_for_a_while(void **state)
{
	struct world *world = *state;

	expect_key(world, "web", "shop/web");
	assert_int_equal(world->asked, 1);
	expect_key(world, "web", "shop/web");
	assert_int_equal(world->asked, 1);
}

/* A machine that says nothing: what is known goes on to hold, what is not is not denied. */
static void test_a_silent_machine_denies_nothing(void **state)
{
	struct world *world = *state;

	world->silent = true;
	ask(world, "web.shop.svc.cluster.local", DNS_A);
	assert_int_equal(code(world), DNS_SERVER_FAILURE);
	(void)fake_mesh_add("shop", "web", "web-1");
	expect_key(world, "web.shop.svc.cluster.local", "shop/web");
}

static void test_by_hand_workloads_are_all_there_is(void **state)
{
	struct world *world = *state;

	make_resolver(world, true);
	(void)fake_mesh_add("shop", "web", "web-1");
	expect_key(world, "web", "shop/web");
	ask(world, "nobody.shop.svc.cluster.local", DNS_A);
	assert_int_equal(code(world), DNS_NO_NAME);
	fake_mesh.silent = true;
	ask(world, "nobody.shop.svc.cluster.local", DNS_A);
	assert_int_equal(code(world), DNS_SERVER_FAILURE);
	assert_int_equal(world->asked, 0);
}

static void test_who_is_gone_is_not_answered(void **state)
{
	struct dns_question question;
	struct world *world = *state;
	struct buf packet = {0};
	bool never = false;

	world->silent = true;
	assert_true(dns_question_make("web", DNS_A, &question));
	dns_forward(&question, 1, DNS_UDP_MAX, &packet);
	resolver_ask(world->resolver, bytes_buf(&packet), false, on_answer, world);
	resolver_forget(world->resolver, world);
	(void)loop_run_until(world->loop, &never,
			     mono_add_ms(clock_mono(), CATALOG_PATIENCE_MS + 100));
	assert_false(world->answered);
	buf_deinit(&packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_service_has_one_address, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_not_there_does_not_exist, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			test_each_ready_replica_of_a_headless_service_is_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ports_are_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_workload_has_a_name_without_a_service,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_addresses_have_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_told_is_kept_for_a_while, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_silent_machine_denies_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_by_hand_workloads_are_all_there_is, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_who_is_gone_is_not_answered, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
