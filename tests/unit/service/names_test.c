/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "make.h"

#include "service/names.h"

struct reads {
	const char *name;
	bool ours;
	const char *readings[NAMES_READINGS_MAX];
};

/* One reading in words: what it is, then its parts from left to right. */
static void tell(const struct names_reading *reading, struct buf *out)
{
	switch (reading->what) {
	case NAMES_SERVICE:
		buf_append_format(out, "service %s %s", reading->service, reading->namespace);
		break;
	case NAMES_POD:
		buf_append_format(out, "pod %s %s %s", reading->pod, reading->service,
				  reading->namespace);
		break;
	case NAMES_PORT:
		buf_append_format(out, "port %s %s %s %s", reading->port,
				  reading->protocol == SERVICE_UDP ? "udp" : "tcp",
				  reading->service, reading->namespace);
		break;
	case NAMES_ADDRESS:
		buf_append_format(out, "address %s", addr_ip_text(&reading->addr).text);
		break;
	case NAMES_BRANCH:
		buf_append_str(out, "branch");
		break;
	}
}

static void names_mean_what_they_should(void **state)
{
	static const struct reads cases[] = {
		/* As a resolver with our search list asks. */
		{"web.shop.svc.cluster.local.", true, {"service web shop"}},
		{"WEB.Shop.SVC.cluster.LOCAL", true, {"service web shop"}},
		{"db-0.db.shop.svc.cluster.local", true, {"pod db-0 db shop"}},
		{"_http._tcp.web.shop.svc.cluster.local", true, {"port http tcp web shop"}},
		{"_dns._udp.web.shop.svc.cluster.local", true, {"port dns udp web shop"}},
		{"www.example.org.shop.svc.cluster.local", true, {NULL}},
		{"example.org.shop.svc.cluster.local", true, {"pod example org shop"}},
		{"example.org.cluster.local", true, {NULL}},
		{"_http._sctp.web.shop.svc.cluster.local", true, {NULL}},
		{"shop.svc.cluster.local", true, {"branch"}},
		{"svc.cluster.local", true, {"branch"}},
		{"cluster.local", true, {"branch"}},
		{"10-0-0-1.shop.pod.cluster.local", true, {NULL}},
		/* As one without. */
		{"web", false, {"service web home"}},
		{"web.shop", false, {"pod web shop home", "service web shop"}},
		{"db-0.db.shop", false, {"pod db-0 db shop"}},
		{"web.shop.svc", false, {"service web shop"}},
		{"db-0.db.shop.svc", false, {"pod db-0 db shop"}},
		{"_http._tcp.web", false, {"port http tcp web home"}},
		{"_http._tcp.web.shop", false, {"port http tcp web shop"}},
		{"_http._tcp.web.shop.svc", false, {"port http tcp web shop"}},
		{"www.example.co.uk", false, {NULL}},
		/* Addresses. */
		{"4.3.18.198.in-addr.arpa", false, {"address 198.18.3.4"}},
		{"256.3.18.198.in-addr.arpa", false, {NULL}},
		{"3.18.198.in-addr.arpa", false, {NULL}},
		{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
		 false,
		 {"address fd00::1"}},
		/* Nothing. */
		{"", false, {NULL}},
		{".", false, {NULL}},
		{"a..b", false, {NULL}},
		{"-a", false, {NULL}},
		{"a_b", false, {NULL}},
		{"local", false, {"service local home"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct names_readings readings = names_read(cases[i].name, "home");
		size_t count = 0;

		if (readings.ours != cases[i].ours)
			fail_msg("%s: whose it is", cases[i].name);
		while (count < NAMES_READINGS_MAX && cases[i].readings[count])
			count++;
		if (readings.count != count)
			fail_msg("%s: %zu readings", cases[i].name, readings.count);
		for (size_t j = 0; j < count; j++) {
			struct buf told = {0};

			tell(&readings.list[j], &told);
			assert_string_equal(buf_cstr(&told), cases[i].readings[j]);
			buf_deinit(&told);
		}
	}
}

/* What glibc asks, in order, for a name that is looked up in a pod of "home". */
static void a_search_list_leads_to_the_service(void **state)
{
	struct names_readings first = names_read("web.shop.home.svc.cluster.local", "home");
	struct names_readings second = names_read("web.shop.svc.cluster.local", "home");

	(void)state;
	/* The first question means a pod that does not exist: no such name, so the next is asked.
	 */
	assert_int_equal(first.list[0].what, NAMES_POD);
	assert_true(first.ours);
	assert_int_equal(second.list[0].what, NAMES_SERVICE);
	assert_string_equal(second.list[0].namespace, "shop");
}

static void names_that_are_too_long_are_nobodys(void **state)
{
	char name[NAMES_TEXT_MAX * 3];

	(void)state;
	for (size_t len = 1; len < sizeof(name); len++) {
		struct names_readings readings;

		for (size_t i = 0; i < len; i++)
			name[i] = i % 8 == 7 ? '.' : 'a';
		name[len] = '\0';
		readings = names_read(name, "home");
		assert_true(readings.count <= NAMES_READINGS_MAX);
		if (len > NAMES_TEXT_MAX + 1)
			assert_int_equal(readings.count, 0);
	}
}

static void a_target_port_is_a_number_or_the_pods_own_name(void **state)
{
	struct service_record record = make_record(1);
	struct names_port port = {.number = 80, .target_number = 9090};

	(void)state;
	assert_int_equal(names_target(&port, &record), 9090);
	memcpy(port.target_name, "http", sizeof("http"));
	assert_int_equal(names_target(&port, &record), 8080);
	port.protocol = SERVICE_UDP;
	assert_int_equal(names_target(&port, &record), 0);
	port.protocol = SERVICE_TCP;
	memcpy(port.target_name, "none", sizeof("none"));
	assert_int_equal(names_target(&port, &record), 0);
	service_record_deinit(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_mean_what_they_should),
		cmocka_unit_test(a_search_list_leads_to_the_service),
		cmocka_unit_test(names_that_are_too_long_are_nobodys),
		cmocka_unit_test(a_target_port_is_a_number_or_the_pods_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
