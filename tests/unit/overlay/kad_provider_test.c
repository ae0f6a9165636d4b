/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/mem.h"
#include "kad_net.h"

enum {
	S = 1000,
	MINUTE = 60 * S,
	HOUR = 60 * MINUTE,
	TTL_S = 600,
};

static struct net *net_formed(size_t count, uint64_t seed)
{
	struct net *net = mem_new(struct net);

	net_init(net, count, seed);
	net_form(net, 0, count);
	return net;
}

static void net_end(struct net *net)
{
	net_deinit(net);
	free(net);
}

static void provide(struct net *net, size_t at, const struct digest *key)
{
	assert_int_equal(kad_provide(net->machines[at].kad, net->now, key), 0);
	net_flush(net, at);
}

static size_t found_by(struct net *net, size_t at, const struct digest *key)
{
	return net_find(net, at, key, true)->count;
}

static void providers_are_found_from_anywhere(void **state)
{
	struct net *net = net_formed(1000, 3);
	struct digest key = kad_key("label example.org/gpu=a100");

	(void)state;
	for (size_t i = 0; i < 5; i++)
		provide(net, i * 100, &key);
	net_run_ms(net, 10 * S);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(found_by(net, 1 + i * 40, &key), 5);
	/* Never ourselves. */
	assert_int_equal(found_by(net, 0, &key), 4);
	net_end(net);
}

static void entries_last_while_they_are_renewed_and_then_expire(void **state)
{
	struct net *net = net_formed(200, 4);
	struct digest key = kad_key("resource example.org/fpga");

	(void)state;
	provide(net, 10, &key);
	provide(net, 20, &key);
	for (int i = 0; i < 8; i++) {
		net_run_ms(net, 30 * MINUTE);
		assert_int_equal(found_by(net, 5, &key), 2);
	}
	net_stop(net, 20);
	net_run_ms(net, KAD_PROVIDER_TTL_MAX_MS + MINUTE);
	assert_int_equal(found_by(net, 5, &key), 1);
	net_end(net);
}

static void without_expiry_the_dead_would_be_named_for_ever(void **state)
{
	struct net *net = net_formed(50, 5);
	struct digest key = kad_key("x");

	(void)state;
	provide(net, 20, &key);
	net_run_ms(net, 1 * S);
	net_stop(net, 20);
	fault_plant(FAULT_KAD_EXPIRY);
	net_run_ms(net, KAD_PROVIDER_TTL_MAX_MS + MINUTE);
	assert_int_equal(found_by(net, 5, &key), 1);
	fault_pull(FAULT_KAD_EXPIRY);
	assert_int_equal(found_by(net, 5, &key), 0);
	net_end(net);
}

static void what_is_withdrawn_is_gone_at_once(void **state)
{
	struct net *net = net_formed(300, 6);
	struct digest key = kad_key("x");

	(void)state;
	provide(net, 10, &key);
	provide(net, 20, &key);
	net_run_ms(net, 1 * S);
	kad_withdraw(net->machines[20].kad, net->now, &key);
	net_flush(net, 20);
	net_run_ms(net, 2 * S);
	assert_int_equal(found_by(net, 5, &key), 1);
	/* And again, while the withdrawal is still under way. */
	provide(net, 20, &key);
	kad_withdraw(net->machines[20].kad, net->now, &key);
	provide(net, 20, &key);
	net_run_ms(net, 2 * S);
	assert_int_equal(found_by(net, 5, &key), 2);
	net_end(net);
}

static void new_keepers_learn_after_the_old_ones_are_gone(void **state)
{
	struct net *net = net_formed(300, 7);
	struct digest key = kad_key("x");
	size_t keepers[KAD_KEEPERS];

	(void)state;
	provide(net, 10, &key);
	net_run_ms(net, MINUTE);
	assert_int_equal(net_nearest(net, &key, 10, keepers, KAD_KEEPERS), KAD_KEEPERS);
	for (size_t i = 0; i < KAD_KEEPERS; i++)
		net_stop(net, keepers[i]);
	net_run_ms(net, 2 * KAD_PROVIDE_MS);
	assert_int_equal(found_by(net, 5, &key), 1);
	net_end(net);
}

static void who_comes_later_finds_what_was_provided_alone(void **state)
{
	struct net *net = mem_new(struct net);
	struct digest key = kad_key("x");

	(void)state;
	net_init(net, 3, 8);
	net_start(net, 0, 0);
	provide(net, 0, &key);
	net_run_ms(net, MINUTE);
	net_start(net, 1, 0);
	net_run_ms(net, 5 * S);
	assert_int_equal(found_by(net, 1, &key), 1);
	net_start(net, 2, 1);
	net_run_ms(net, 5 * S);
	assert_int_equal(found_by(net, 2, &key), 1);
	net_end(net);
}

static void what_is_provided_before_anybody_is_known_is_told_later(void **state)
{
	struct net *net = mem_new(struct net);
	struct digest key = kad_key("label example.org/gpu=a100");

	(void)state;
	net_init(net, 21, 11);
	net_form(net, 0, 20);
	net_start(net, 20, 20);
	provide(net, 20, &key);
	assert_int_equal(found_by(net, 3, &key), 0);
	/* As after a restart: all of its table at once, from what was remembered. */
	for (size_t i = 0; i < 20; i++)
		kad_seen(net->machines[20].kad, net->now, &net->machines[i].contact);
	kad_formed(net->machines[20].kad, net->now);
	net_flush(net, 20);
	net_run_ms(net, 15 * 1000);
	assert_int_equal(found_by(net, 3, &key), 1);
	net_end(net);
}

static void a_machine_provides_only_so_much(void **state)
{
	struct net *net = net_formed(2, 9);
	struct digest key = {0};

	(void)state;
	for (size_t i = 0; i < KAD_PROVIDED_MAX; i++) {
		key.byte[0] = (uint8_t)i;
		provide(net, 0, &key);
		provide(net, 0, &key);
	}
	key.byte[0] = KAD_PROVIDED_MAX;
	assert_int_equal(kad_provide(net->machines[0].kad, net->now, &key), KAD_E_FULL);
	net_run_ms(net, MINUTE);
	key.byte[0] = KAD_PROVIDED_MAX - 1;
	assert_int_equal(found_by(net, 1, &key), 1);
	net_end(net);
}

/* ---- one keeper, and providers that it has not met ---- */

static struct contact provider_of(uint32_t n)
{
	struct contact contact = {.id.byte = {3}, .incarnation = 1};

	memcpy(&contact.id.byte[4], &n, sizeof(n));
	assert_true(addr_parse("10.9.9.9:7946", &contact.addr));
	return contact;
}

/* Keys to which machine 0 is the nearest. */
static struct digest key_of(const struct net *net, uint32_t n)
{
	struct digest key = net->machines[0].position;

	memcpy(&key.byte[16], &n, sizeof(n));
	return key;
}

static void store(struct net *net, uint32_t provider, uint32_t key)
{
	struct contact from = provider_of(provider);
	struct message message = {.type = MESSAGE_PROVIDE, .provide = {key_of(net, key), TTL_S}};

	kad_receive(net->machines[0].kad, net->now, &from, &message);
	/* No faster than one peer may. */
	net_run_ms(net, S / KAD_ANSWER_RATE + 5);
}

/* How many are named by an answer to @key. */
static size_t named(struct net *net, uint32_t key)
{
	struct contact from = provider_of(1 << 20);
	struct message find = {.type = MESSAGE_FIND, .find = {1, key_of(net, key), true}};
	const struct kad_effect *effect;
	size_t count = 0;

	kad_receive(net->machines[0].kad, net->now, &from, &find);
	while ((effect = kad_next_effect(net->machines[0].kad))) {
		if (effect->message.type == MESSAGE_FOUND)
			count = effect->message.found.providers.count;
	}
	net_run_ms(net, S / KAD_ANSWER_RATE + 5);
	return count;
}

static void a_large_set_is_a_bounded_sample(void **state)
{
	struct net *net = net_formed(1, 10);
	struct digest key = key_of(net, 0);

	(void)state;
	for (uint32_t i = 0; i < 200; i++)
		store(net, i, 0);
	assert_int_equal(kad_entry_count(net->machines[0].kad), KAD_PROVIDERS_MAX);
	assert_int_equal(named(net, 0), MESSAGE_CONTACTS_MAX);
	/* Of ourselves, too, a lookup gets no more than from others. */
	assert_int_equal(found_by(net, 0, &key), MESSAGE_CONTACTS_MAX);
	net_end(net);
}

static void one_machine_is_listed_in_so_many_sets(void **state)
{
	struct net *net = net_formed(1, 11);

	(void)state;
	for (uint32_t i = 0; i < 2 * KAD_PER_PROVIDER_MAX; i++)
		store(net, 0, i);
	assert_int_equal(kad_entry_count(net->machines[0].kad), KAD_PER_PROVIDER_MAX);
	/* Again is not more. */
	store(net, 0, 0);
	assert_int_equal(kad_entry_count(net->machines[0].kad), KAD_PER_PROVIDER_MAX);
	net_end(net);
}

static void many_sets_of_the_greedy_give_way_to_one_of_the_modest(void **state)
{
	struct net *net = net_formed(1, 12);
	uint32_t greedy = KAD_KEYS_MAX / KAD_PER_PROVIDER_MAX, key = 0;

	(void)state;
	for (uint32_t i = 0; i < greedy; i++) {
		for (uint32_t k = 0; k < KAD_PER_PROVIDER_MAX; k++)
			store(net, i, key++);
	}
	assert_int_equal(kad_entry_count(net->machines[0].kad), KAD_KEYS_MAX);
	store(net, 1000, 5000);
	assert_int_equal(named(net, 5000), 1);
	/* More of the greedy: they push out one another, and not the modest. */
	for (uint32_t k = 0; k < KAD_PER_PROVIDER_MAX; k++)
		store(net, 77, key++);
	assert_int_equal(kad_entry_count(net->machines[0].kad), KAD_KEYS_MAX);
	assert_int_equal(named(net, 5000), 1);
	net_end(net);
}

static void keys_far_from_us_are_not_for_us(void **state)
{
	struct net *net = net_formed(1000, 13);
	size_t taken = 0;

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		struct contact from = provider_of(i);
		struct message message = {.type = MESSAGE_PROVIDE,
					  .provide = {net_random(net), TTL_S}};

		kad_receive(net->machines[0].kad, net->now, &from, &message);
		taken = kad_entry_count(net->machines[0].kad);
	}
	/* One key in 50 has us among its 20 nearest. */
	assert_in_range(taken, 0, 4);
	net_end(net);
}

static void expired_entries_give_their_memory_back(void **state)
{
	struct net *net = net_formed(1, 14);

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		store(net, i, i);
	assert_int_equal(kad_entry_count(net->machines[0].kad), 100);
	net_run_ms(net, TTL_S * S + 5 * MINUTE);
	assert_int_equal(kad_entry_count(net->machines[0].kad), 0);
	assert_int_equal(kad_deadline(net->machines[0].kad).us - net->now.us > 0, 1);
	net_end(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(providers_are_found_from_anywhere),
		cmocka_unit_test(entries_last_while_they_are_renewed_and_then_expire),
		cmocka_unit_test(without_expiry_the_dead_would_be_named_for_ever),
		cmocka_unit_test(what_is_withdrawn_is_gone_at_once),
		cmocka_unit_test(new_keepers_learn_after_the_old_ones_are_gone),
		cmocka_unit_test(who_comes_later_finds_what_was_provided_alone),
		cmocka_unit_test(what_is_provided_before_anybody_is_known_is_told_later),
		cmocka_unit_test(a_machine_provides_only_so_much),
		cmocka_unit_test(a_large_set_is_a_bounded_sample),
		cmocka_unit_test(one_machine_is_listed_in_so_many_sets),
		cmocka_unit_test(many_sets_of_the_greedy_give_way_to_one_of_the_modest),
		cmocka_unit_test(keys_far_from_us_are_not_for_us),
		cmocka_unit_test(expired_entries_give_their_memory_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
