/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kube/dns.h"

#define MACHINE                                                              \
	"# made by hand\nnameserver 192.0.2.53\n; or not\ndomain old.test\n" \
	"search corp.test  lab.test\noptions timeout:2 ndots:1"

static void expect(const char *pod, const char *resolver, const char *expected)
{
	json_t *json = json_loads(pod, 0, NULL);
	struct kube_dns dns = {.pod = json,
			       .namespace = "shop",
			       .resolver = resolver,
			       .machine = bytes_str(MACHINE)};
	struct buf out = {0};

	assert_non_null(json);
	kube_dns_resolv_conf(&dns, &out);
	assert_string_equal(buf_cstr(&out), expected);
	buf_deinit(&out);
	json_decref(json);
}

static void test_names_of_services_come_first(void **state)
{
	expect("{}", "198.19.255.254",
	       "nameserver 198.19.255.254\n"
	       "search shop.svc.cluster.local svc.cluster.local cluster.local corp.test lab.test\n"
	       "options ndots:5\n");
	/* On a machine that has no such resolver a pod asks those of the machine. */
	expect("{\"dnsPolicy\":\"ClusterFirst\"}", NULL,
	       "nameserver 192.0.2.53\nsearch corp.test lab.test\noptions timeout:2 ndots:1\n");
}

static void test_default_is_as_the_machine_has_it(void **state)
{
	expect("{\"dnsPolicy\":\"Default\"}", "198.19.255.254",
	       "nameserver 192.0.2.53\nsearch corp.test lab.test\noptions timeout:2 ndots:1\n");
}

static void test_none_is_what_the_manifest_says(void **state)
{
	expect("{\"dnsPolicy\":\"None\",\"dnsConfig\":{\"nameservers\":[\"1.1.1.1\",\"2001:db8::"
	       "1\"],"
	       "\"searches\":[\"a.test\",\"a.test\"],\"options\":[{\"name\":\"ndots\",\"value\":"
	       "\"2\"},"
	       "{\"name\":\"edns0\"}]}}",
	       "198.19.255.254",
	       "nameserver 1.1.1.1\nnameserver 2001:db8::1\nsearch a.test\n"
	       "options ndots:2 edns0\n");
	expect("{\"dnsPolicy\":\"None\"}", "198.19.255.254", "");
}

static void test_what_the_manifest_adds_is_added(void **state)
{
	expect("{\"dnsPolicy\":\"ClusterFirst\",\"dnsConfig\":{\"nameservers\":[\"9.9.9.9\"],"
	       "\"searches\":[\"b.test\"],\"options\":[{\"name\":\"ndots\",\"value\":\"1\"}]}}",
	       "198.19.255.254",
	       "nameserver 198.19.255.254\nnameserver 9.9.9.9\n"
	       "search shop.svc.cluster.local svc.cluster.local cluster.local corp.test lab.test "
	       "b.test\noptions ndots:1\n");
}

static void test_no_line_can_be_smuggled_in(void **state)
{
	expect("{\"dnsPolicy\":\"None\",\"dnsConfig\":{\"nameservers\":[\"1.1.1.1\\nsearch x\",7],"
	       "\"searches\":[\"a\\nnameserver 6.6.6.6\",\".a\",null],"
	       "\"options\":[{\"name\":\"a "
	       "b\"},{\"value\":\"5\"},{\"name\":\"x\",\"value\":\"\\n\"}]}}",
	       NULL, "");
}

static void test_the_machines_resolvers_are_known(void **state)
{
	struct buf out = {0};

	kube_dns_servers(bytes_str(MACHINE "\nnameserver ::1\nnameserver nobody\n"), &out);
	assert_string_equal(buf_cstr(&out), "192.0.2.53,::1");
	buf_deinit(&out);
}

static void test_aliases_become_lines_of_hosts(void **state)
{
	json_t *pod =
		json_loads("{\"hostAliases\":[{\"ip\":\"10.0.0.1\",\"hostnames\":[\"a\",\"b.c\","
			   "\"d\\n1.1.1.1 bank\"]},{\"ip\":\"x\",\"hostnames\":[\"e\"]}]}",
			   0, NULL);
	struct buf out = {0};

	kube_dns_host_aliases(pod, &out);
	assert_string_equal(buf_cstr(&out), "10.0.0.1\ta\n10.0.0.1\tb.c\n");
	buf_deinit(&out);
	json_decref(pod);
}

static size_t mistakes(const char *pod)
{
	json_t *json = json_loads(pod, 0, NULL);
	struct check check;
	size_t count;

	assert_non_null(json);
	check_init(&check);
	kube_validate_pod_dns(&check, json);
	count = json_array_size(check.causes);
	check_deinit(&check);
	json_decref(json);
	return count;
}

static void test_mistakes_are_told(void **state)
{
	assert_int_equal(mistakes("{}"), 0);
	assert_int_equal(mistakes("{\"dnsPolicy\":\"Default\",\"dnsConfig\":{\"searches\":[\"a.b\","
				  "\"_x.y.\",\".\"]}}"),
			 0);
	assert_int_equal(mistakes("{\"dnsPolicy\":\"Sometimes\"}"), 1);
	assert_int_equal(mistakes("{\"dnsPolicy\":\"None\"}"), 1);
	assert_int_equal(
		mistakes("{\"dnsConfig\":{\"nameservers\":[\"a\",7,\"::1\",\"1.2.3.4\"]}}"), 3);
	assert_int_equal(mistakes("{\"dnsConfig\":{\"searches\":[\"a b\",\".a\"],\"options\":[{},"
				  "{\"name\":\"a\\n\"},{\"name\":\"b\",\"value\":\" \"}]}}"),
			 5);
	assert_int_equal(mistakes("{\"hostAliases\":[{\"ip\":\"1.2.3\",\"hostnames\":[\"A b\"]},"
				  "{\"ip\":\"1.2.3.4\",\"hostnames\":[\"ok\"]}]}"),
			 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_services_come_first),
		cmocka_unit_test(test_default_is_as_the_machine_has_it),
		cmocka_unit_test(test_none_is_what_the_manifest_says),
		cmocka_unit_test(test_what_the_manifest_adds_is_added),
		cmocka_unit_test(test_no_line_can_be_smuggled_in),
		cmocka_unit_test(test_the_machines_resolvers_are_known),
		cmocka_unit_test(test_aliases_become_lines_of_hosts),
		cmocka_unit_test(test_mistakes_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
