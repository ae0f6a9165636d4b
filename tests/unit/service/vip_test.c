/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "make.h"

#include "service/vip.h"

enum {
	TTL_MS = 5000,
};

static struct mono at_ms(int64_t ms)
{
	return mono_add_ms((struct mono){0}, ms);
}

static void a_name_keeps_its_address(void **state)
{
	struct vip *vip = vip_new(4, 1);
	struct addr web, again, db;

	(void)state;
	assert_int_equal(vip_get(vip, at_ms(0), "shop/web", TTL_MS, &web), 0);
	assert_int_equal(vip_get(vip, at_ms(0), "shop/db", TTL_MS, &db), 0);
	assert_int_equal(vip_get(vip, at_ms(900000), "shop/web", TTL_MS, &again), 0);
	assert_true(addr_equal(&web, &again));
	assert_false(addr_equal(&web, &db));
	assert_string_equal(addr_ip_text(&web).text, "198.18.0.1");
	assert_string_equal(vip_name(vip, &db), "shop/db");
	vip_free(vip);
}

static void addresses_are_given_again_only_when_nobody_can_remember_them(void **state)
{
	struct vip *vip = vip_new(2, 1);
	struct addr first, second, third;

	(void)state;
	assert_int_equal(vip_get(vip, at_ms(0), "a", TTL_MS, &first), 0);
	assert_int_equal(vip_get(vip, at_ms(1), "b", TTL_MS, &second), 0);
	assert_int_equal(vip_get(vip, at_ms(TTL_MS), "c", TTL_MS, &third), VIP_E_FULL);
	assert_int_equal(vip_get(vip, at_ms(TTL_MS + VIP_GRACE_MS - 1), "c", TTL_MS, &third),
			 VIP_E_FULL);
	assert_int_equal(vip_get(vip, at_ms(TTL_MS + VIP_GRACE_MS), "c", TTL_MS, &third), 0);
	assert_true(addr_equal(&first, &third));
	assert_string_equal(vip_name(vip, &third), "c");
	assert_int_equal(vip_count(vip), 2);
	vip_free(vip);
}

static void a_connection_holds_its_address(void **state)
{
	struct vip *vip = vip_new(1, 1);
	struct addr held, other;

	(void)state;
	assert_int_equal(vip_get(vip, at_ms(0), "a", TTL_MS, &held), 0);
	assert_true(vip_hold(vip, &held));
	assert_int_equal(vip_get(vip, at_ms(900000), "b", TTL_MS, &other), VIP_E_FULL);
	vip_release(vip, at_ms(900000), &held);
	assert_int_equal(vip_get(vip, at_ms(900001), "b", TTL_MS, &other), VIP_E_FULL);
	assert_int_equal(vip_get(vip, at_ms(900000 + VIP_GRACE_MS), "b", TTL_MS, &other), 0);
	vip_free(vip);
}

static void foreign_addresses_are_nobodys(void **state)
{
	static const char *const foreign[] = {"198.18.0.0", "198.18.0.2", "198.20.0.1",
					      "10.0.0.1",   "198.19.0.1", "fd00::1"};
	struct vip *vip = vip_new(VIP_MAX, 1);
	struct addr addr;

	(void)state;
	assert_int_equal(vip_get(vip, at_ms(0), "a", TTL_MS, &addr), 0);
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		assert_true(addr_parse_ip(foreign[i], 0, &addr));
		assert_null(vip_name(vip, &addr));
		assert_false(vip_hold(vip, &addr));
	}
	vip_free(vip);
}

static void an_address_has_a_form_for_ipv6(void **state)
{
	struct vip *vip = vip_new(VIP_MAX, 1);
	struct addr addr, six, other;

	(void)state;
	assert_int_equal(vip_get(vip, at_ms(0), "shop/web", TTL_MS, &addr), 0);
	six = vip_as_v6(&addr);
	assert_false(six.is_v4);
	six.port = 80; /* as in a connection to it */
	assert_string_equal(vip_name(vip, &six), "shop/web");
	assert_true(addr_parse_ip("fd6d:6167:7376::fffe:c612:1", 0, &other));
	assert_null(vip_name(vip, &other));
	assert_true(addr_parse_ip("fd6d:6167:7376::ffff:a00:1", 0, &other));
	assert_null(vip_name(vip, &other));
	vip_free(vip);
}

static void all_of_them_are_different(void **state)
{
	struct vip *vip = vip_new(VIP_MAX, 1);
	struct addr addr, before = {0};
	char name[16];

	(void)state;
	for (int i = 0; i < VIP_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(vip_get(vip, at_ms(i), name, TTL_MS, &addr), 0);
		assert_true(i == 0 || addr_compare(&before, &addr) < 0);
		assert_string_equal(vip_name(vip, &addr), name);
		before = addr;
	}
	vip_free(vip);
}

static void an_ipv6_address_follows_from_the_uid(void **state)
{
	struct uid a;
	bool parsed = uid_parse("01020304-0506-4708-890a-0b0c0d0e0f10", &a);
	struct addr first = vip_of_service(&a), again = vip_of_service(&a), other = vip_of_pod(&a);

	(void)state;
	assert_true(parsed);
	assert_string_equal(addr_ip_text(&first).text, "fd6d:6167:7376:4708:890a:b0c:d0e:f10");
	assert_string_equal(addr_ip_text(&other).text, "fd6d:6167:696b:dd8b:1dcf:cd09:fca6:e307");
	assert_true(addr_equal(&first, &again));
	assert_false(addr_equal(&first, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_keeps_its_address),
		cmocka_unit_test(addresses_are_given_again_only_when_nobody_can_remember_them),
		cmocka_unit_test(a_connection_holds_its_address),
		cmocka_unit_test(foreign_addresses_are_nobodys),
		cmocka_unit_test(an_address_has_a_form_for_ipv6),
		cmocka_unit_test(all_of_them_are_different),
		cmocka_unit_test(an_ipv6_address_follows_from_the_uid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
