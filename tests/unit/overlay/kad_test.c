/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kad_net.h"

enum {
	S = 1000,
	MINUTE = 60 * S,
};

static struct net *net_new(size_t count, uint64_t seed)
{
	struct net *net = mem_new(struct net);

	net_init(net, count, seed);
	return net;
}

static struct net *net_formed(size_t count, uint64_t seed)
{
	struct net *net = net_new(count, seed);

	net_form(net);
	return net;
}

static void net_end(struct net *net)
{
	net_deinit(net);
	free(net);
}

static void lookups_find_the_truly_nearest(void **state)
{
	struct net *net = net_formed(2000, 1);

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		struct digest target = net_random(net);
		const struct net_result *result = net_find(net, net_random_up(net), &target, false);

		assert_true(result->complete);
		assert_int_equal(result->count, KAD_BUCKET);
		assert_int_equal(net_hits(net, result, &target, KAD_BUCKET), KAD_BUCKET);
		assert_in_range(result->hops, 1, 6);
	}
	net_end(net);
}

static void machines_that_know_one_other_form_a_fabric(void **state)
{
	struct net *net = net_new(300, 2);

	(void)state;
	for (size_t i = 0; i < net->count; i++) {
		net_start(net, i, i == 0 ? 0 : prng_below(&net->prng, i));
		net_run_ms(net, 100);
	}
	net_run_ms(net, 5 * MINUTE);
	for (size_t i = 0; i < 100; i++) {
		struct digest target = net_random(net);
		const struct net_result *result = net_find(net, net_random_up(net), &target, false);

		assert_int_equal(net_hits(net, result, &target, KAD_BUCKET), KAD_BUCKET);
	}
	net_end(net);
}

static void providers_are_found_from_anywhere(void **state)
{
	struct net *net = net_formed(1000, 3);
	struct digest key = kad_key("label example.org/gpu=a100");

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(kad_provide(net->machines[i * 100].kad, net->now, &key), 0);
		net_flush(net, i * 100);
	}
	net_run_ms(net, 10 * S);
	for (size_t i = 0; i < 20; i++) {
		const struct net_result *result = net_find(net, 1 + i * 40, &key, true);

		assert_int_equal(result->count, 5);
	}
	net_end(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups_find_the_truly_nearest),
		cmocka_unit_test(machines_that_know_one_other_form_a_fabric),
		cmocka_unit_test(providers_are_found_from_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
