/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_addresses_print_as_they_are_parsed(void **state)
{
	static const char *const texts[] = {"10.0.0.1:7946", "[fe80::1]:1", "[::]:65535",
					    "0.0.0.0:443", "127.0.0.1:80"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct addr addr, again;

		assert_true(addr_parse(texts[i], &addr));
		assert_string_equal(addr_text(&addr).text, texts[i]);
		assert_true(addr_from_ip(addr_ip(&addr), addr.port, &again));
		assert_true(addr_equal(&addr, &again));
		assert_false(addr_is_none(&addr));
	}
}

static void test_what_is_no_address_is_refused(void **state)
{
	static const char *const texts[] = {"",
					    ":1",
					    "1.2.3.4",
					    "1.2.3.4:",
					    "1.2.3.4:0",
					    "1.2.3.4:65536",
					    "1.2.3.4:+1",
					    "1.2.3.4: 1",
					    "1.2.3:4",
					    "fe80::1:7946",
					    "[fe80::1]",
					    "[fe80::1:7946",
					    "example.org:1",
					    "[1.2.3.4]:1",
					    "[fe80::1%eth0]:1"};
	struct addr addr;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_false(addr_parse(texts[i], &addr));
	assert_false(addr_from_ip(bytes_of("12345", 5), 1, &addr));
}

static void test_a_mapped_address_is_the_ipv4_address(void **state)
{
	struct addr mapped, plain;

	(void)state;
	assert_true(addr_parse("[::ffff:10.1.2.3]:9", &mapped));
	assert_true(addr_parse("10.1.2.3:9", &plain));
	assert_true(addr_equal(&mapped, &plain));
	assert_true(mapped.is_v4);
}

static void test_the_longest_ipv6_address_fits(void **state)
{
	static const char text[] = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535";
	struct addr addr;

	(void)state;
	assert_true(addr_parse(text, &addr));
	assert_string_equal(addr_text(&addr).text, text);
}

static void test_kinds_of_addresses(void **state)
{
	struct addr addr, none = {0}, higher;

	(void)state;
	assert_true(addr_is_none(&none));
	assert_true(addr_parse("[::1]:1", &addr));
	assert_true(addr_is_loopback(&addr));
	assert_true(addr_parse("127.9.9.9:1", &addr));
	assert_true(addr_is_loopback(&addr));
	assert_true(addr_parse("0.0.0.0:1", &addr));
	assert_true(addr_is_wildcard(&addr));
	assert_true(addr_parse("0.0.0.0:2", &higher));
	assert_true(addr_compare(&addr, &higher) < 0);
	assert_true(addr_compare(&higher, &addr) > 0);
}

static void test_what_can_be_dialled_has_an_ip_and_a_port(void **state)
{
	struct addr addr = {0};

	(void)state;
	assert_false(addr_can_be_dialled(&addr));
	assert_true(addr_parse("0.0.0.0:1", &addr));
	assert_false(addr_can_be_dialled(&addr));
	assert_true(addr_parse("[::]:1", &addr));
	assert_false(addr_can_be_dialled(&addr));
	assert_true(addr_parse("10.1.2.3:9", &addr));
	assert_true(addr_can_be_dialled(&addr));
	addr.port = 0;
	assert_false(addr_can_be_dialled(&addr));
}

static void test_a_peer_is_an_id_at_an_address(void **state)
{
	struct addr_peer peer = {.addr = {.ip = {10, 0, 0, 7}, .port = 7946, .is_v4 = true}}, back;
	struct addr_peer_text text;

	(void)state;
	memset(peer.id.byte, 0xab, ID_LEN);
	text = addr_peer_text(&peer);
	assert_true(addr_peer_parse(text.text, &back));
	assert_true(node_id_equal(&peer.id, &back.id));
	assert_true(addr_equal(&peer.addr, &back.addr));
	assert_false(addr_peer_parse(text.text + 1, &back));
	assert_false(addr_peer_parse("10.0.0.7:7946", &back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_print_as_they_are_parsed),
		cmocka_unit_test(test_what_is_no_address_is_refused),
		cmocka_unit_test(test_a_mapped_address_is_the_ipv4_address),
		cmocka_unit_test(test_the_longest_ipv6_address_fits),
		cmocka_unit_test(test_kinds_of_addresses),
		cmocka_unit_test(test_what_can_be_dialled_has_an_ip_and_a_port),
		cmocka_unit_test(test_a_peer_is_an_id_at_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
