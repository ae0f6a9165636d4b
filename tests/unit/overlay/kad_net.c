/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	NET_LATENCY_US = 20 * US_PER_MS,
	NET_START_US = 1000 * US_PER_S, /* clocks do not begin at 0 */
	NET_PORT = 7946,
};

struct digest net_random(struct net *net)
{
	struct digest digest = {0};

	for (size_t i = 0; i < ID_LEN; i++)
		digest.byte[i] = (uint8_t)prng_next(&net->prng);
	return digest;
}

/* ---- the queue ---- */

static bool is_earlier(const struct net_event *a, const struct net_event *b)
{
	return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

static void push(struct net *net, struct net_event event)
{
	size_t at = net->event_count++;

	event.order = net->order++;
	if (at == net->event_cap) {
		net->event_cap = net->event_cap ? net->event_cap * 2 : 1024;
		net->events = mem_resize(net->events, net->event_cap, sizeof(event));
	}
	for (; at > 0 && is_earlier(&event, &net->events[(at - 1) / 2]); at = (at - 1) / 2)
		net->events[at] = net->events[(at - 1) / 2];
	net->events[at] = event;
}

static struct net_event pop(struct net *net)
{
	struct net_event top = net->events[0], last = net->events[--net->event_count];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < net->event_count &&
		    is_earlier(&net->events[child + 1], &net->events[child]))
			child++;
		if (child >= net->event_count || is_earlier(&last, &net->events[child]))
			break;
		net->events[at] = net->events[child];
		at = child;
	}
	net->events[at] = last;
	return top;
}

/* ---- machines ---- */

static size_t index_of(const struct contact *contact)
{
	const uint8_t *ip = contact->addr.ip;

	return (size_t)ip[1] << 16 | (size_t)ip[2] << 8 | ip[3];
}

void net_init(struct net *net, size_t count, uint64_t seed)
{
	*net = (struct net){
		.machines = mem_alloc(count, sizeof(*net->machines)),
		.count = count,
		.prng = prng_seeded(seed),
		.now = {NET_START_US},
		.latency_us = NET_LATENCY_US,
	};
	for (size_t i = 0; i < count; i++) {
		struct net_machine *machine = &net->machines[i];
		struct digest id = net_random(net);
		const uint8_t ip[] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
		bool valid =
			addr_from_ip(bytes_of(ip, sizeof(ip)), NET_PORT, &machine->contact.addr);

		assert(valid);
		memcpy(machine->contact.id.byte, id.byte, ID_LEN);
		machine->contact.incarnation = 1;
		machine->position = kad_position(&machine->contact.id);
		machine->tick_at = MONO_NEVER;
	}
}

static void event_free(struct net_event *event)
{
	if (event->message)
		message_deinit(event->message);
	free(event->message);
}

void net_deinit(struct net *net)
{
	for (size_t i = 0; i < net->count; i++)
		kad_free(net->machines[i].kad);
	for (size_t i = 0; i < net->event_count; i++)
		event_free(&net->events[i]);
	free(net->machines);
	free(net->events);
	free(net->results);
}

static void keep_result(struct net *net, size_t at, const struct kad_effect *effect)
{
	struct net_result *result;

	if (net->result_count == net->result_cap) {
		net->result_cap = net->result_cap ? net->result_cap * 2 : 16;
		net->results = mem_resize(net->results, net->result_cap, sizeof(*result));
	}
	result = &net->results[net->result_count++];
	*result = (struct net_result){
		.token = effect->token,
		.machine = at,
		.count = effect->contact_count,
		.hops = effect->hops,
		.complete = effect->complete,
		.at = net->now,
	};
	assert(effect->contact_count <= KAD_FOUND_MAX);
	memcpy(result->contacts, effect->contacts, effect->contact_count * sizeof(struct contact));
}

/* Through the codec, so that limits of the wire are kept and bytes are counted. */
static void transmit(struct net *net, size_t at, const struct kad_effect *effect)
{
	struct net_machine *machine = &net->machines[at];
	struct net_event event = {.to = index_of(&effect->to), .from = machine->contact};
	struct buf encoded = {0};
	int r;

	message_encode(&effect->message, &encoded);
	machine->sent++;
	machine->messages[effect->message.type]++;
	machine->bytes += encoded.len;
	if (net->watch)
		net->watch(net, at, event.to, encoded.len);
	event.message = mem_new(struct message);
	r = message_decode(bytes_buf(&encoded), event.message);
	assert(r == 0);
	buf_deinit(&encoded);
	event.at = mono_add_us(net->now, prng_jitter(&net->prng, net->latency_us));
	if (event.to >= net->count || prng_below(&net->prng, 1000) < net->loss_permille)
		event_free(&event);
	else
		push(net, event);
}

void net_flush(struct net *net, size_t at)
{
	struct net_machine *machine = &net->machines[at];
	const struct kad_effect *effect;
	struct mono deadline;

	while ((effect = kad_next_effect(machine->kad))) {
		if (effect->type == KAD_SEND)
			transmit(net, at, effect);
		else
			keep_result(net, at, effect);
	}
	deadline = kad_deadline(machine->kad);
	if (deadline.us < machine->tick_at.us) {
		machine->tick_at = deadline;
		push(net, (struct net_event){.at = deadline, .to = at});
	}
}

void net_start(struct net *net, size_t at, size_t knows)
{
	struct net_machine *machine = &net->machines[at];

	assert(!machine->kad);
	machine->kad = kad_new(&machine->contact, prng_next(&net->prng), net->now);
	if (knows != at)
		kad_seen(machine->kad, net->now, &net->machines[knows].contact);
	net_flush(net, at);
}

void net_stop(struct net *net, size_t at)
{
	kad_free(net->machines[at].kad);
	net->machines[at].kad = NULL;
}

/* In a sorted list of positions all that share a prefix stand together. */
static const struct net *sorting;

static int compare_positions(const void *a, const void *b)
{
	const size_t *one = a, *other = b;

	return digest_compare(&sorting->machines[*one].position,
			      &sorting->machines[*other].position);
}

static unsigned shared_bits(const struct digest *a, const struct digest *b)
{
	unsigned bits = 0;

	while (bits < ID_LEN * 8 &&
	       !((a->byte[bits / 8] ^ b->byte[bits / 8]) >> (7 - bits % 8) & 1))
		bits++;
	return bits;
}

/* The machines whose position shares at least @bits bits with that of @order[at]: a range. */
static void range_of(const struct net *net, const size_t *order, size_t at, unsigned bits,
		     size_t *begin, size_t *end)
{
	const struct digest *position = &net->machines[order[at]].position;

	while (*begin < at && shared_bits(&net->machines[order[*begin]].position, position) < bits)
		++*begin;
	while (*end > at + 1 &&
	       shared_bits(&net->machines[order[*end - 1]].position, position) < bits)
		--*end;
}

static void meet(struct net *net, struct kad *kad, size_t other)
{
	kad_seen(kad, net->now, &net->machines[other].contact);
}

/* Of each bucket up to KAD_BUCKET random members; of the neighbourhood all. */
static void form_one(struct net *net, const size_t *order, size_t at, size_t count)
{
	struct kad *kad = net->machines[order[at]].kad;
	size_t begin = 0, end = count;

	for (unsigned bits = 1; end - begin > 2 * KAD_NEAR; bits++) {
		size_t low = begin, high = end, others;

		range_of(net, order, at, bits, &begin, &end);
		others = (begin - low) + (high - end);
		for (size_t i = 0; others > 0 && i < KAD_BUCKET; i++) {
			size_t drawn = low + prng_below(&net->prng, others);

			meet(net, kad, order[drawn < begin ? drawn : drawn + (end - begin)]);
		}
	}
	for (size_t i = begin; i < end; i++)
		meet(net, kad, order[i]);
	kad_formed(kad, net->now);
	net_flush(net, order[at]);
}

void net_form(struct net *net, size_t first, size_t end)
{
	size_t count = end - first, *order = mem_alloc(count, sizeof(*order));

	for (size_t i = 0; i < count; i++) {
		struct net_machine *machine = &net->machines[first + i];

		order[i] = first + i;
		machine->kad = kad_new(&machine->contact, prng_next(&net->prng), net->now);
	}
	sorting = net;
	qsort(order, count, sizeof(*order), compare_positions);
	for (size_t i = 0; i < count; i++)
		form_one(net, order, i, count);
	free(order);
}

/* ---- time ---- */

static void handle(struct net *net, struct net_event *event)
{
	struct net_machine *machine = &net->machines[event->to];

	if (!event->message && event->at.us == machine->tick_at.us)
		machine->tick_at = MONO_NEVER;
	if (!machine->kad)
		return;
	if (event->message)
		kad_receive(machine->kad, net->now, &event->from, event->message);
	else if (mono_reached(net->now, kad_deadline(machine->kad)))
		kad_tick(machine->kad, net->now);
	net_flush(net, event->to);
}

static bool run_one(struct net *net, struct mono until)
{
	struct net_event event;

	if (net->event_count == 0 || net->events[0].at.us > until.us)
		return false;
	event = pop(net);
	if (event.at.us > net->now.us)
		net->now = event.at;
	handle(net, &event);
	event_free(&event);
	return true;
}

void net_run_ms(struct net *net, int64_t ms)
{
	struct mono until = mono_add_ms(net->now, ms);

	while (run_one(net, until))
		;
	net->now = until;
}

/* ---- lookups ---- */

const struct net_result *net_result(const struct net *net, uint64_t token)
{
	for (size_t i = net->result_count; i-- > 0;) {
		if (net->results[i].token == token)
			return &net->results[i];
	}
	return NULL;
}

static const struct net_result *run_until_found(struct net *net, size_t at, uint64_t token)
{
	struct mono until = mono_add_ms(net->now, 2 * KAD_LOOKUP_MS);

	net->result_count = 0;
	net_flush(net, at);
	while (!net_result(net, token) && run_one(net, until))
		;
	return net_result(net, token);
}

const struct net_result *net_find(struct net *net, size_t at, const struct digest *target,
				  bool providers)
{
	uint64_t token = 0;
	int r = kad_find(net->machines[at].kad, net->now, target, providers, &token);

	assert(r == 0);
	return run_until_found(net, at, token);
}

const struct net_result *net_find_stewards(struct net *net, size_t at, const struct digest *target)
{
	uint64_t token = 0;
	int r = kad_find_stewards(net->machines[at].kad, net->now, target, &token);

	assert(r == 0);
	return run_until_found(net, at, token);
}

size_t net_nearest(const struct net *net, const struct digest *target, size_t except, size_t *ret,
		   size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < net->count; i++) {
		const struct digest *position = &net->machines[i].position;
		size_t at = count;

		if (!net->machines[i].kad || i == except)
			continue;
		if (count < max)
			count++;
		else if (kad_nearer(target, position, &net->machines[ret[max - 1]].position) < 0)
			at = max - 1;
		else
			continue;
		for (; at > 0 &&
		       kad_nearer(target, position, &net->machines[ret[at - 1]].position) < 0;
		     at--)
			ret[at] = ret[at - 1];
		ret[at] = i;
	}
	return count;
}

size_t net_hits(const struct net *net, const struct net_result *result, const struct digest *target,
		size_t max)
{
	size_t nearest[KAD_BUCKET], hits = 0;
	size_t count = net_nearest(net, target, result->machine, nearest, max);

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < result->count; k++)
			hits += index_of(&result->contacts[k]) == nearest[i];
	}
	return hits;
}

size_t net_random_up(struct net *net)
{
	size_t at;

	do
		at = prng_below(&net->prng, net->count);
	while (!net->machines[at].kad);
	return at;
}
