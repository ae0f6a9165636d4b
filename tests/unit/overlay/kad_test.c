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

	net_form(net, 0, count);
	return net;
}

static void net_end(struct net *net)
{
	net_deinit(net);
	free(net);
}

static bool knows(const struct kad *kad, const struct contact *contact)
{
	struct contact other;
	size_t position = 0;

	while (kad_next_contact(kad, &position, &other)) {
		if (node_id_equal(&other.id, &contact->id))
			return true;
	}
	return false;
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

static void half_of_all_may_vanish(void **state)
{
	struct net *net = net_formed(400, 4);
	size_t hits = 0;

	(void)state;
	net_run_ms(net, MINUTE);
	for (size_t i = 0; i < net->count / 2; i++)
		net_stop(net, net_random_up(net));
	for (size_t i = 0; i < 50; i++) {
		struct digest target = net_random(net);

		hits += net_hits(net, net_find(net, net_random_up(net), &target, false), &target,
				 KAD_KEEPERS);
	}
	assert_int_equal(hits, 50 * KAD_KEEPERS);
	net_run_ms(net, 15 * MINUTE);
	for (size_t i = 0; i < 50; i++) {
		struct digest target = net_random(net);
		const struct net_result *result = net_find(net, net_random_up(net), &target, false);

		assert_int_equal(net_hits(net, result, &target, KAD_BUCKET), KAD_BUCKET);
	}
	net_end(net);
}

/* Also where next to a machine there are few, and in the other half many, of which any may be among
 * the eight nearest to what it keeps; and also when machines have come back since. */
static void all_of_the_neighbourhood_are_known(void **state)
{
	struct net *net = net_new(500, 16);
	size_t nearest[KAD_NEAR];

	(void)state;
	net_form(net, 0, net->count);
	for (size_t i = 0; i < 100; i++) {
		size_t at = net_random_up(net);

		net_stop(net, at);
		net_run_ms(net, 2 * S);
		net_start(net, at, net_random_up(net));
		net_run_ms(net, 1 * S);
	}
	net_run_ms(net, 5 * MINUTE);
	for (size_t at = 0; at < net->count; at++) {
		const struct net_machine *machine = &net->machines[at];
		size_t count = net_nearest(net, &machine->position, at, nearest, KAD_NEAR);

		for (size_t i = 0; i < count; i++)
			assert_true(knows(machine->kad, &net->machines[nearest[i]].contact));
	}
	net_end(net);
}

static void two_halves_find_together(void **state)
{
	struct net *net = net_new(800, 15);

	(void)state;
	net_form(net, 0, 400);
	net_form(net, 400, 800);
	/* As pools are renewed, machines of the other half connect: half of all, in two minutes. */
	for (size_t i = 0; i < 400; i++) {
		size_t one = prng_below(&net->prng, 400), other = 400 + prng_below(&net->prng, 400);

		kad_seen(net->machines[one].kad, net->now, &net->machines[other].contact);
		kad_seen(net->machines[other].kad, net->now, &net->machines[one].contact);
		net_flush(net, one);
		net_flush(net, other);
		net_run_ms(net, 300);
	}
	net_run_ms(net, MINUTE);
	for (size_t i = 0; i < 50; i++) {
		struct digest target = net_random(net);
		const struct net_result *result = net_find(net, net_random_up(net), &target, false);

		assert_int_equal(net_hits(net, result, &target, KAD_BUCKET), KAD_BUCKET);
	}
	net_end(net);
}

/* More than a tenth is replaced in a minute: one starts, knowing one other, for each that stops. */
static void lookups_succeed_under_churn(void **state)
{
	struct net *net = net_formed(300, 5);
	size_t found = 0, down[30];

	(void)state;
	for (size_t i = 0; i < 30; i++) {
		down[i] = net_random_up(net);
		net_stop(net, down[i]);
	}
	for (size_t i = 0; i < 200; i++) {
		struct digest target = net_random(net);
		size_t at = prng_below(&net->prng, 30), back = down[at];

		down[at] = net_random_up(net);
		net_stop(net, down[at]);
		net_start(net, back, net_random_up(net));
		net_run_ms(net, 1 * S);
		found += net_hits(net, net_find(net, net_random_up(net), &target, false), &target,
				  1);
	}
	assert_int_equal(found, 200);
	net_end(net);
}

static void lost_messages_do_not_matter(void **state)
{
	struct net *net = net_formed(600, 6);

	(void)state;
	net->loss_permille = 20;
	for (size_t i = 0; i < 100; i++) {
		struct digest target = net_random(net);
		const struct net_result *result = net_find(net, net_random_up(net), &target, false);

		assert_int_equal(net_hits(net, result, &target, 1), 1);
	}
	net_end(net);
}

static void a_quiet_fabric_says_next_to_nothing(void **state)
{
	struct net *net = net_formed(150, 7);
	uint64_t before = 0, after = 0;

	(void)state;
	net_run_ms(net, HOUR);
	for (size_t i = 0; i < net->count; i++)
		before += net->machines[i].sent;
	net_run_ms(net, HOUR);
	for (size_t i = 0; i < net->count; i++)
		after += net->machines[i].sent;
	/* A check each 10 minutes and few surveys, question and answer. */
	assert_in_range((after - before) / net->count, 1, 40);
	net_end(net);
}

static void one_seed_is_one_story(void **state)
{
	uint64_t sent[2] = {0, 0};

	(void)state;
	for (size_t run = 0; run < 2; run++) {
		struct net *net = net_formed(200, 8);
		struct digest target = net_random(net);

		net->loss_permille = 50;
		net_run_ms(net, 10 * MINUTE);
		(void)net_find(net, 0, &target, false);
		for (size_t i = 0; i < net->count; i++)
			sent[run] = sent[run] * 31 + net->machines[i].bytes;
		net_end(net);
	}
	assert_int_equal(sent[0], sent[1]);
}

/* ---- size ---- */

static void the_size_is_exact_while_all_are_known_and_estimated_beyond(void **state)
{
	struct net *net = net_formed(30, 9);
	uint64_t sum = 0;

	(void)state;
	for (size_t i = 0; i < net->count; i++)
		assert_int_equal(kad_estimate(net->machines[i].kad), 30);
	net_end(net);

	net = net_formed(2000, 10);
	for (size_t i = 0; i < net->count; i++) {
		uint64_t estimate = kad_estimate(net->machines[i].kad);

		assert_in_range(estimate, 2000 / 3, 2000 * 3);
		sum += estimate;
	}
	assert_in_range(sum / net->count, 1800, 2200);
	net_end(net);
}

static void a_machine_alone_finds_nobody_at_once(void **state)
{
	struct net *net = net_new(1, 11);
	struct digest target = net_random(net);
	const struct net_result *result;

	(void)state;
	net_start(net, 0, 0);
	assert_int_equal(kad_estimate(net->machines[0].kad), 1);
	assert_int_equal(kad_deadline(net->machines[0].kad).us, MONO_NEVER.us);
	result = net_find(net, 0, &target, false);
	assert_non_null(result);
	assert_true(result->complete);
	assert_int_equal(result->count, 0);
	net_end(net);
}

/* ---- one machine, and messages made by hand ---- */

static struct contact self_contact(void)
{
	struct contact contact = {.id.byte = {1}, .incarnation = 1};

	assert_true(addr_parse("10.0.0.1:7946", &contact.addr));
	return contact;
}

/* Some machine; @n below 1 << 24. */
static struct contact contact_of(uint32_t n)
{
	struct contact contact = self_contact();

	contact.id.byte[0] = 2;
	memcpy(&contact.id.byte[4], &n, sizeof(n));
	contact.addr.ip[1] = (uint8_t)(n >> 16);
	contact.addr.ip[2] = (uint8_t)(n >> 8);
	contact.addr.ip[3] = (uint8_t)n;
	return contact;
}

/* The @n-th machine whose position differs from ours in the first bit, or does not. */
static struct contact contact_beyond(uint32_t n, bool differs)
{
	struct contact self = self_contact(), contact;
	uint8_t own = kad_position(&self.id).byte[0];
	uint32_t tried = 0;

	for (;;) {
		contact = contact_of(tried++);
		if (((kad_position(&contact.id).byte[0] ^ own) & 0x80) == (differs ? 0x80 : 0) &&
		    n-- == 0)
			return contact;
	}
}

/* Of bucket 0. */
static struct contact far_contact(uint32_t n)
{
	return contact_beyond(n, true);
}

struct one {
	struct kad *kad;
	struct mono now;
	struct contact self;
};

static struct one one_new(void)
{
	struct one one = {.now = {1000 * US_PER_S}, .self = self_contact()};

	one.kad = kad_new(&one.self, 1, one.now);
	return one;
}

/* The next FIND to be sent: to whom, and its request; false: none. */
static bool next_find(struct kad *kad, struct contact *ret_to, uint64_t *ret_request)
{
	const struct kad_effect *effect;

	while ((effect = kad_next_effect(kad))) {
		if (effect->type != KAD_SEND || effect->message.type != MESSAGE_FIND)
			continue;
		*ret_to = effect->to;
		*ret_request = effect->message.find.request;
		return true;
	}
	return false;
}

static void drain(struct kad *kad)
{
	while (kad_next_effect(kad))
		;
}

static void answer(struct one *one, const struct contact *from, uint64_t request,
		   struct contact *names, size_t count)
{
	struct message found = {
		.type = MESSAGE_FOUND,
		.found = {.request = request, .nearest = {names, count}},
	};

	kad_receive(one->kad, one->now, from, &found);
}

static void pass_ms(struct one *one, int64_t ms)
{
	struct mono until = mono_add_ms(one->now, ms);

	while (kad_deadline(one->kad).us <= until.us) {
		one->now = kad_deadline(one->kad);
		kad_tick(one->kad, one->now);
		drain(one->kad);
	}
	one->now = until;
}

static struct one one_with_full_bucket(void)
{
	struct one one = one_new();

	for (uint32_t i = 0; i < KAD_BUCKET; i++) {
		struct contact far = far_contact(i);

		kad_seen(one.kad, one.now, &far);
	}
	for (uint32_t i = 0; i < KAD_NEAR - KAD_BUCKET; i++) {
		struct contact near = contact_beyond(i, false);

		kad_seen(one.kad, one.now, &near);
	}
	kad_formed(one.kad, one.now);
	assert_int_equal(kad_contact_count(one.kad), KAD_NEAR);
	return one;
}

/* Those of bucket 0 are also of our neighbourhood: newcomers must be farther than all of these. */
static struct contact farther_contact(const struct kad *kad)
{
	struct contact own = self_contact(), farthest[KAD_NEAR], newcomer;
	struct digest self = kad_position(&own.id), limit, position;
	uint32_t n = KAD_BUCKET;

	assert_int_equal(kad_nearest(kad, &self, farthest, KAD_NEAR), KAD_NEAR);
	limit = kad_position(&farthest[KAD_NEAR - 1].id);
	do {
		newcomer = far_contact(n++);
		position = kad_position(&newcomer.id);
	} while (kad_nearer(&self, &limit, &position) >= 0);
	return newcomer;
}

static void a_newcomer_does_not_evict_who_answers(void **state)
{
	struct one one = one_with_full_bucket();
	struct contact newcomer = farther_contact(one.kad);

	(void)state;
	one.now = mono_add_ms(one.now, HOUR);
	kad_seen(one.kad, one.now, &newcomer);
	assert_false(knows(one.kad, &newcomer));
	for (uint32_t i = 0; i < KAD_BUCKET; i++) {
		struct contact contact = far_contact(i);

		assert_true(knows(one.kad, &contact));
	}
	kad_free(one.kad);
}

static void a_silent_one_gives_way_to_the_newcomer(void **state)
{
	struct one one = one_with_full_bucket();
	struct contact newcomer = farther_contact(one.kad), gone = far_contact(3);

	(void)state;
	kad_seen(one.kad, one.now, &newcomer);
	kad_unreachable(one.kad, one.now, &gone.id);
	assert_false(knows(one.kad, &gone));
	assert_true(knows(one.kad, &newcomer));
	assert_int_equal(kad_contact_count(one.kad), KAD_NEAR);
	kad_free(one.kad);
}

static void without_the_ping_the_oldest_would_be_evicted(void **state)
{
	struct one one = one_with_full_bucket();
	struct contact newcomer = farther_contact(one.kad);

	(void)state;
	fault_plant(FAULT_KAD_EVICT);
	kad_seen(one.kad, one.now, &newcomer);
	fault_pull(FAULT_KAD_EVICT);
	assert_true(knows(one.kad, &newcomer));
	kad_free(one.kad);
}

static void two_silences_in_a_row_are_the_end(void **state)
{
	struct one one = one_new();
	struct contact contact = far_contact(0);

	(void)state;
	kad_seen(one.kad, one.now, &contact);
	kad_unreachable(one.kad, one.now, &contact.id);
	assert_true(knows(one.kad, &contact));
	kad_seen(one.kad, one.now, &contact);
	kad_unreachable(one.kad, one.now, &contact.id);
	assert_true(knows(one.kad, &contact));
	kad_unreachable(one.kad, one.now, &contact.id);
	assert_false(knows(one.kad, &contact));
	kad_free(one.kad);
}

static void a_lost_machine_is_forgotten_and_may_return_elsewhere(void **state)
{
	struct one one = one_new();
	struct contact contact = far_contact(0), nearest[2];
	struct digest position = kad_position(&contact.id);

	(void)state;
	kad_seen(one.kad, one.now, &contact);
	kad_lost(one.kad, one.now, &contact.id);
	assert_int_equal(kad_contact_count(one.kad), 0);
	contact.addr.port = 1234;
	contact.incarnation = 2;
	kad_seen(one.kad, one.now, &contact);
	assert_int_equal(kad_nearest(one.kad, &position, nearest, 2), 1);
	assert_int_equal(nearest[0].addr.port, 1234);
	assert_int_equal(nearest[0].incarnation, 2);
	kad_free(one.kad);
}

static void those_whom_others_name_must_answer_first(void **state)
{
	struct one one = one_new();
	struct contact known = far_contact(0), named = far_contact(1), to;
	struct digest target = kad_position(&named.id);
	uint64_t token, request;

	(void)state;
	kad_seen(one.kad, one.now, &known);
	assert_int_equal(kad_find(one.kad, one.now, &target, false, &token), 0);
	assert_true(next_find(one.kad, &to, &request));
	assert_true(node_id_equal(&to.id, &known.id));
	answer(&one, &known, request, &named, 1);
	assert_false(knows(one.kad, &named));
	assert_true(next_find(one.kad, &to, &request));
	assert_true(node_id_equal(&to.id, &named.id));
	assert_false(knows(one.kad, &named));
	answer(&one, &named, request, NULL, 0);
	assert_true(knows(one.kad, &named));
	kad_free(one.kad);
}

static void answers_nobody_asked_for_are_nothing(void **state)
{
	struct one one = one_new();
	struct contact known = far_contact(0), named = far_contact(1), other = far_contact(2), to;
	struct digest target = kad_position(&named.id);
	uint64_t token, request;

	(void)state;
	kad_seen(one.kad, one.now, &known);
	assert_int_equal(kad_find(one.kad, one.now, &target, false, &token), 0);
	assert_true(next_find(one.kad, &to, &request));
	drain(one.kad);
	/* From a machine that was not asked, and to a request that was not made. */
	answer(&one, &other, request, &named, 1);
	answer(&one, &known, request + 1, &named, 1);
	assert_null(kad_next_effect(one.kad));
	assert_false(knows(one.kad, &other));
	/* The second answer to one request. */
	answer(&one, &known, request, NULL, 0);
	drain(one.kad);
	answer(&one, &known, request, &named, 1);
	assert_null(kad_next_effect(one.kad));
	kad_free(one.kad);
}

static void we_never_become_our_own_contact(void **state)
{
	struct one one = one_new();
	struct contact known = far_contact(0), to, named[2] = {one.self, one.self};
	struct digest target = kad_position(&one.self.id);
	uint64_t token, request;

	(void)state;
	kad_seen(one.kad, one.now, &one.self);
	assert_int_equal(kad_contact_count(one.kad), 0);
	kad_seen(one.kad, one.now, &known);
	assert_int_equal(kad_find(one.kad, one.now, &target, false, &token), 0);
	assert_true(next_find(one.kad, &to, &request));
	answer(&one, &known, request, named, 2);
	assert_false(next_find(one.kad, &to, &request));
	kad_free(one.kad);
}

/* Whoever asks for the machines near it would be told of it. */
static void who_cannot_be_dialled_is_no_contact(void **state)
{
	struct one one = one_new();
	struct contact nowhere = far_contact(0), portless = far_contact(1);
	struct message find = {.type = MESSAGE_FIND};

	(void)state;
	nowhere.addr = (struct addr){0};
	portless.addr.port = 0;
	kad_seen(one.kad, one.now, &nowhere);
	kad_seen(one.kad, one.now, &portless);
	kad_receive(one.kad, one.now, &portless, &find);
	assert_int_equal(kad_contact_count(one.kad), 0);
	assert_null(kad_next_effect(one.kad));
	kad_free(one.kad);
}

static void a_wrong_address_does_not_hide_a_machine(void **state)
{
	struct one one = one_new();
	struct contact liar = far_contact(0), honest = far_contact(1), named = far_contact(2);
	struct contact wrong = named, to;
	struct digest target = kad_position(&named.id);
	uint64_t token, request;
	bool asked_right = false;

	(void)state;
	wrong.addr.port++;
	kad_seen(one.kad, one.now, &liar);
	kad_seen(one.kad, one.now, &honest);
	assert_int_equal(kad_find(one.kad, one.now, &target, false, &token), 0);
	assert_true(next_find(one.kad, &to, &request));
	drain(one.kad);
	answer(&one, &liar, request, &wrong, 1);
	drain(one.kad);
	kad_unreachable(one.kad, one.now, &named.id);
	answer(&one, &honest, request, &named, 1);
	while (next_find(one.kad, &to, &request))
		asked_right = asked_right || addr_equal(&to.addr, &named.addr);
	assert_true(asked_right);
	kad_free(one.kad);
}

/* A lookup of @target is told of @named by @knows. Is @named asked? */
static bool named_is_asked(struct one *one, const struct digest *target,
			   const struct contact *knows, struct contact *named)
{
	struct contact to;
	uint64_t token, request;

	assert_int_equal(kad_find(one->kad, one->now, target, false, &token), 0);
	assert_true(next_find(one->kad, &to, &request));
	drain(one->kad);
	answer(one, knows, request, named, 1);
	while (next_find(one->kad, &to, &request))
		if (node_id_equal(&to.id, &named->id))
			return true;
	return false;
}

static void who_is_mourned_is_asked_for_its_own_sake_or_when_many_return(void **state)
{
	struct one one = one_new();
	struct contact knows = far_contact(0), lost = far_contact(1);
	struct digest itself = kad_position(&lost.id), target = {.byte = {0x55}};

	(void)state;
	kad_seen(one.kad, one.now, &knows);
	kad_seen(one.kad, one.now, &lost);
	kad_lost(one.kad, one.now, &lost.id);
	drain(one.kad);
	assert_false(named_is_asked(&one, &target, &knows, &lost));
	assert_true(named_is_asked(&one, &itself, &knows, &lost));
	kad_merge(one.kad, one.now);
	assert_true(named_is_asked(&one, &target, &knows, &lost));
	kad_free(one.kad);
}

/* Named again and again by others, who do not know that it has gone. */
static void who_was_silent_is_asked_again_only_elsewhere_or_later(void **state)
{
	struct one one = one_new();
	struct contact knows = far_contact(0), lost = far_contact(1), moved = lost;
	struct digest target = {.byte = {0x55}};

	(void)state;
	moved.addr.port++;
	kad_seen(one.kad, one.now, &knows);
	assert_true(named_is_asked(&one, &target, &knows, &lost));
	pass_ms(&one, 3 * S);
	kad_seen(one.kad, one.now, &knows);
	assert_false(named_is_asked(&one, &target, &knows, &lost));
	assert_true(named_is_asked(&one, &target, &knows, &moved));
	kad_free(one.kad);

	one = one_new();
	kad_seen(one.kad, one.now, &knows);
	assert_true(named_is_asked(&one, &target, &knows, &lost));
	pass_ms(&one, 3 * S);
	kad_seen(one.kad, one.now, &knows);
	assert_false(named_is_asked(&one, &target, &knows, &lost));
	pass_ms(&one, MINUTE); /* it may only have been slow */
	kad_seen(one.kad, one.now, &knows);
	assert_true(named_is_asked(&one, &target, &knows, &lost));
	pass_ms(&one, MINUTE);
	kad_seen(one.kad, one.now, &knows);
	assert_false(named_is_asked(&one, &target, &knows, &lost));
	kad_free(one.kad);
}

/* One in @every is a steward: of the nearest @sure none is missed. */
static void check_stewards(size_t every, size_t sure)
{
	struct net *net = net_new(1000, 12);
	size_t wanted[KAD_STEWARDS];

	for (size_t i = 0; i < net->count; i++)
		net->machines[i].contact.steward = i % every == 0;
	net_form(net, 0, net->count);
	for (size_t round = 0; round < 50; round++) {
		struct digest target = net_random(net);
		const struct net_result *result;
		size_t at = net_random_up(net), count = 0;
		static size_t all[1000];
		size_t found = net_nearest(net, &target, at, all, ARRAY_LEN(all));

		for (size_t i = 0; i < found && count < KAD_STEWARDS; i++)
			if (net->machines[all[i]].contact.steward)
				wanted[count++] = all[i];
		result = net_find_stewards(net, at, &target);
		assert_true(result->complete);
		assert_true(result->count >= KAD_STEWARDS);
		for (size_t i = 0; i < sure; i++)
			assert_true(node_id_equal(&result->contacts[i].id,
						  &net->machines[wanted[i]].contact.id));
	}
	net_end(net);
}

static void a_lookup_of_stewards_finds_the_nearest_of_them(void **state)
{
	(void)state;
	check_stewards(1, KAD_STEWARDS);
	check_stewards(4, KAD_NEAR / 4 - 3); /* an answer names KAD_NEAR machines */
}

/* It invents nearer and nearer machines, none of which exists. */
static void a_liar_costs_time_and_no_more(void **state)
{
	struct one one = one_new();
	struct contact honest = far_contact(0), liar = far_contact(1), to,
		       named[MESSAGE_CONTACTS_MAX];
	struct digest target = {.byte = {0x55}};
	uint64_t token, request;
	unsigned asked = 0, invented = 1000;
	const struct kad_effect *effect;
	struct mono begun = one.now;
	bool ended = false;

	(void)state;
	kad_seen(one.kad, one.now, &honest);
	kad_seen(one.kad, one.now, &liar);
	assert_int_equal(kad_find(one.kad, one.now, &target, false, &token), 0);
	while (!ended) {
		while ((effect = kad_next_effect(one.kad))) {
			ended = ended || (effect->type == KAD_FOUND && effect->token == token);
			if (effect->type != KAD_SEND || effect->message.find.request != token)
				continue;
			asked++;
			to = effect->to;
			request = effect->message.find.request;
			for (size_t i = 0; i < MESSAGE_CONTACTS_MAX; i++)
				named[i] = contact_of(invented++);
			if (node_id_equal(&to.id, &liar.id))
				answer(&one, &to, request, named, MESSAGE_CONTACTS_MAX);
			else if (node_id_equal(&to.id, &honest.id))
				answer(&one, &to, request, NULL, 0);
		}
		one.now = kad_deadline(one.kad);
		kad_tick(one.kad, one.now);
	}
	assert_in_range(asked, 2, KAD_ASKED_MAX);
	assert_true(mono_since_us(one.now, begun) <= KAD_LOOKUP_MS * US_PER_MS);
	assert_int_equal(kad_contact_count(one.kad), 2);
	kad_free(one.kad);
}

static void a_stall_of_our_own_blames_nobody(void **state)
{
	struct one one = one_new();
	struct contact contact = far_contact(0), to;
	struct digest target = kad_position(&contact.id);
	uint64_t token, request;

	(void)state;
	kad_seen(one.kad, one.now, &contact);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kad_find(one.kad, one.now, &target, false, &token), 0);
		assert_true(next_find(one.kad, &to, &request));
		drain(one.kad);
		one.now = mono_add_ms(kad_deadline(one.kad), 3 * S);
		kad_tick(one.kad, one.now);
		answer(&one, &contact, token, NULL, 0);
	}
	assert_true(knows(one.kad, &contact));
	/* Three in time, and it would have been forgotten. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kad_find(one.kad, one.now, &target, false, &token), 0);
		drain(one.kad);
		pass_ms(&one, 2 * S);
	}
	assert_false(knows(one.kad, &contact));
	kad_free(one.kad);
}

static void too_many_lookups_wait_and_then_are_refused(void **state)
{
	struct one one = one_new();
	struct contact contact = far_contact(0);
	struct digest target = kad_position(&contact.id);
	const struct kad_effect *effect;
	size_t finds = 0, founds = 0;
	uint64_t token;

	(void)state;
	kad_seen(one.kad, one.now, &contact);
	for (int i = 0; i < KAD_LOOKUPS_MAX + KAD_WAITING_MAX; i++)
		assert_int_equal(kad_find(one.kad, one.now, &target, false, &token), 0);
	assert_int_equal(kad_find(one.kad, one.now, &target, false, &token), KAD_E_BUSY);
	while ((effect = kad_next_effect(one.kad)))
		finds += effect->type == KAD_SEND;
	assert_int_equal(finds, KAD_LOOKUPS_MAX);
	for (int i = 0; i < 100; i++) {
		one.now = mono_add_ms(one.now, 100);
		kad_tick(one.kad, one.now);
		while ((effect = kad_next_effect(one.kad)))
			founds += effect->type == KAD_FOUND;
	}
	assert_int_equal(founds, KAD_LOOKUPS_MAX + KAD_WAITING_MAX);
	kad_free(one.kad);
}

static void a_flood_is_not_answered(void **state)
{
	struct one one = one_new();
	struct contact flooder = far_contact(0), other = far_contact(1);
	struct message find = {.type = MESSAGE_FIND};
	size_t answers = 0;

	(void)state;
	for (int i = 0; i < 10 * KAD_ANSWER_RATE; i++)
		kad_receive(one.kad, one.now, &flooder, &find);
	kad_receive(one.kad, one.now, &other, &find);
	for (const struct kad_effect *effect; (effect = kad_next_effect(one.kad));)
		answers += effect->message.type == MESSAGE_FOUND;
	assert_int_equal(answers, KAD_ANSWER_RATE + 1);
	one.now = mono_add_ms(one.now, 1 * S);
	kad_receive(one.kad, one.now, &flooder, &find);
	assert_non_null(kad_next_effect(one.kad));
	kad_free(one.kad);
}

static void the_table_is_bounded(void **state)
{
	struct one one = one_new();

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		struct contact contact = contact_of(i);

		kad_seen(one.kad, one.now, &contact);
	}
	/* 13 full buckets, and the neighbourhood. */
	assert_in_range(kad_contact_count(one.kad), 270, 350);
	assert_in_range(kad_estimate(one.kad), 100000 / 3, 100000 * 3);
	kad_free(one.kad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups_find_the_truly_nearest),
		cmocka_unit_test(machines_that_know_one_other_form_a_fabric),
		cmocka_unit_test(half_of_all_may_vanish),
		cmocka_unit_test(all_of_the_neighbourhood_are_known),
		cmocka_unit_test(two_halves_find_together),
		cmocka_unit_test(lookups_succeed_under_churn),
		cmocka_unit_test(lost_messages_do_not_matter),
		cmocka_unit_test(a_quiet_fabric_says_next_to_nothing),
		cmocka_unit_test(one_seed_is_one_story),
		cmocka_unit_test(the_size_is_exact_while_all_are_known_and_estimated_beyond),
		cmocka_unit_test(a_machine_alone_finds_nobody_at_once),
		cmocka_unit_test(a_newcomer_does_not_evict_who_answers),
		cmocka_unit_test(a_silent_one_gives_way_to_the_newcomer),
		cmocka_unit_test(without_the_ping_the_oldest_would_be_evicted),
		cmocka_unit_test(two_silences_in_a_row_are_the_end),
		cmocka_unit_test(a_lost_machine_is_forgotten_and_may_return_elsewhere),
		cmocka_unit_test(those_whom_others_name_must_answer_first),
		cmocka_unit_test(answers_nobody_asked_for_are_nothing),
		cmocka_unit_test(we_never_become_our_own_contact),
		cmocka_unit_test(who_cannot_be_dialled_is_no_contact),
		cmocka_unit_test(a_wrong_address_does_not_hide_a_machine),
		cmocka_unit_test(who_is_mourned_is_asked_for_its_own_sake_or_when_many_return),
		cmocka_unit_test(who_was_silent_is_asked_again_only_elsewhere_or_later),
		cmocka_unit_test(a_lookup_of_stewards_finds_the_nearest_of_them),
		cmocka_unit_test(a_liar_costs_time_and_no_more),
		cmocka_unit_test(a_stall_of_our_own_blames_nobody),
		cmocka_unit_test(too_many_lookups_wait_and_then_are_refused),
		cmocka_unit_test(a_flood_is_not_answered),
		cmocka_unit_test(the_table_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
