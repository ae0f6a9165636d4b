/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front of the market: its own data, the ledger's calls, and who handles which message.
 */
#include "market/market.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/mem.h"
#include "market/state.h"

struct market *market_new(const struct market_config *config)
{
	struct market *market = mem_new(struct market);

	market->config = *config;
	market->prng = prng_seeded(config->seed);
	market->now.us = INT64_MIN;
	market->deadline = MONO_NEVER;
	market->machine.architecture = mem_strdup("");
	effects_init(&market->effects);
	ledger_init(&market->ledger);
	traces_init(&market->traces);
	list_init(&market->notices);
	list_init(&market->misses);
	map_init(&market->rounds, prng_next(&market->prng));
	map_init(&market->holds, prng_next(&market->prng));
	map_init(&market->bound, prng_next(&market->prng));
	map_init(&market->residents, prng_next(&market->prng));
	map_init(&market->quotas, prng_next(&market->prng));
	return market;
}

static void machine_clear(struct machine *machine)
{
	for (size_t i = 0; i < machine->about.label_count; i++) {
		free(machine->labels[i].key);
		free(machine->labels[i].value);
	}
	for (size_t i = 0; i < machine->about.engine_count; i++)
		free(machine->engines[i]);
	for (size_t i = 0; i < machine->about.taint_count; i++) {
		free(machine->taints[i].key);
		free(machine->taints[i].value);
	}
	free(machine->labels);
	free(machine->taints);
	free(machine->tainted);
	free(machine->engines);
	free(machine->architecture);
}

static void images_clear(struct machine *machine)
{
	for (size_t i = 0; i < machine->image_count; i++)
		free(machine->images[i]);
	free(machine->images);
}

void market_free(struct market *market)
{
	if (!market)
		return;
	owner_deinit(market);
	resident_deinit(market);
	winner_deinit(market);
	map_deinit(&market->rounds);
	map_deinit(&market->holds);
	map_deinit(&market->bound);
	map_deinit(&market->residents);
	map_deinit(&market->quotas);
	traces_deinit(&market->traces);
	notices_deinit(market);
	misses_deinit(market);
	ledger_deinit(&market->ledger);
	effects_deinit(&market->effects);
	machine_clear(&market->machine);
	images_clear(&market->machine);
	free(market);
}

void market_due(struct market *market, struct mono at)
{
	market->deadline = mono_min(market->deadline, at);
}

void market_freed(struct market *market)
{
	(void)effects_add(&market->effects, MARKET_FREED);
	miss_freed(market);
}

static void advance(struct market *market, struct mono now)
{
	assert(now.us >= market->now.us);
	market->now = now;
}

/* CPU gives way under pressure, memory does not: only the first may be promised twice. */
static int64_t promised_cpu(const struct market_machine *machine)
{
	int64_t promised;

	if (machine->overcommit == 0 ||
	    __builtin_mul_overflow(machine->cpu_milli, (int64_t)machine->overcommit, &promised))
		return machine->cpu_milli;
	return promised / MARKET_OVERCOMMIT_ONE;
}

/* True if @now offers more than @before in some respect. */
static bool has_grown(const struct market_machine *before, const struct market_machine *now)
{
	return promised_cpu(now) > promised_cpu(before) ||
	       now->memory_bytes > before->memory_bytes || now->pods_max > before->pods_max ||
	       now->schedulable > before->schedulable;
}

static char **copy_strings(const char *const *strings, size_t count)
{
	char **copy = mem_alloc(count, sizeof(*copy));

	for (size_t i = 0; i < count; i++)
		copy[i] = mem_strdup(strings[i]);
	return copy;
}

/* A taint that stays counts from when it came. */
static struct mono tainted_since(const struct market *market, const struct taint *taint)
{
	const struct machine *own = &market->machine;

	for (size_t i = 0; i < own->about.taint_count; i++)
		if (own->taints[i].effect == taint->effect &&
		    strcmp(own->taints[i].key, taint->key) == 0 &&
		    strcmp(own->taints[i].value, taint->value) == 0)
			return own->tainted[i];
	return market->now;
}

void market_set_machine(struct market *market, struct mono now,
			const struct market_machine *machine)
{
	struct machine *own = &market->machine;
	bool grown = has_grown(&own->about, machine);
	struct machine copy = {
		.about = *machine,
		.labels = mem_alloc(machine->label_count, sizeof(*copy.labels)),
		.taints = mem_alloc(machine->taint_count, sizeof(*copy.taints)),
		.tainted = mem_alloc(machine->taint_count, sizeof(*copy.tainted)),
		.engines = copy_strings(machine->engines, machine->engine_count),
		.architecture = mem_strdup(machine->architecture ? machine->architecture : ""),
		.images = own->images,
		.image_count = own->image_count,
	};

	advance(market, now);
	for (size_t i = 0; i < machine->label_count; i++) {
		copy.labels[i].key = mem_strdup(machine->labels[i].key);
		copy.labels[i].value = mem_strdup(machine->labels[i].value);
	}
	for (size_t i = 0; i < machine->taint_count; i++) {
		copy.taints[i] = (struct taint){
			.key = mem_strdup(machine->taints[i].key),
			.value = mem_strdup(machine->taints[i].value),
			.effect = machine->taints[i].effect,
		};
		copy.tainted[i] = tainted_since(market, &machine->taints[i]);
	}
	machine_clear(own);
	*own = copy;
	own->about.labels = own->labels;
	own->about.taints = own->taints;
	own->about.resources = NULL; /* the ledger has them */
	own->about.resource_count = 0;
	own->about.engines = (const char *const *)own->engines;
	own->about.architecture = own->architecture;
	market->ledger.capacity = (struct amount){
		.cpu_milli = promised_cpu(machine),
		.memory_bytes = machine->memory_bytes,
		.pods = machine->pods_max,
	};
	ledger_set_resources(&market->ledger, machine->resources, machine->resource_count);
	resident_evict(market);
	if (grown)
		market_freed(market);
}

void market_set_images(struct market *market, const char *const *images, size_t count)
{
	images_clear(&market->machine);
	market->machine.images = copy_strings(images, count);
	market->machine.image_count = count;
}

static int receive_for_winner(struct market *market, const struct node_id *from,
			      const struct message *message, const struct market_facts *facts)
{
	switch ((int)message->type) {
	case MESSAGE_TENDER:
		return winner_tender(market, from, &message->tender, facts);
	case MESSAGE_AWARD:
		return award_receive(market, from, &message->award, facts);
	case MESSAGE_AWARD_CONFIRM:
		return winner_confirm(market, from, &message->award_confirm.tender_id);
	case MESSAGE_RELEASE:
		return winner_release(market, from, &message->release.tender_id);
	case MESSAGE_CANCEL:
		return winner_cancel(market, from, &message->cancel);
	default:
		return MARKET_E_UNKNOWN;
	}
}

int market_receive(struct market *market, struct mono now, const struct node_id *from,
		   const struct message *message, const struct market_facts *facts)
{
	advance(market, now);
	switch ((int)message->type) {
	case MESSAGE_BID:
		return owner_bid(market, from, &message->bid, facts);
	case MESSAGE_AWARD_REPLY:
		return reply_receive(market, from, &message->award_reply);
	case MESSAGE_EVENT:
		if (message->event.kind == EVENT_ROOM)
			return miss_room(market, from, &message->event, facts);
		return message->event.seen ? notice_seen(market, from, &message->event)
					   : reply_event(market, from, &message->event);
	default:
		return receive_for_winner(market, from, message, facts);
	}
}

void market_peer_lost(struct market *market, struct mono now, const struct node_id *node)
{
	advance(market, now);
	owner_peer_lost(market, node);
}

uint64_t market_reserve(struct market *market, struct mono now, int64_t cpu_milli,
			int64_t memory_bytes, int64_t ttl_ms)
{
	struct amount need = {.cpu_milli = cpu_milli, .memory_bytes = memory_bytes};
	struct mono until = mono_add_ms(now, ttl_ms);

	advance(market, now);
	if (ttl_ms <= 0)
		return 0;
	market_due(market, until);
	return ledger_reserve(&market->ledger, need, until);
}

void market_unreserve(struct market *market, struct mono now, uint64_t reservation)
{
	advance(market, now);
	if (ledger_unreserve(&market->ledger, reservation))
		market_freed(market);
}

void market_tick(struct market *market, struct mono now)
{
	advance(market, now);
	if (!mono_reached(now, market->deadline))
		return;
	/* Everything that is still to come says so again. */
	market->deadline = MONO_NEVER;
	owner_tick(market);
	winner_tick(market);
	notice_tick(market);
	resident_evict(market);
	if (ledger_expire(&market->ledger, now))
		market_freed(market);
	market_due(market, ledger_deadline(&market->ledger));
}

void market_expect(const struct market *market)
{
	CACHE_EXPECT(market, now, effects);
}

struct mono market_deadline(const struct market *market)
{
	return market->deadline;
}

const struct market_effect *market_next_effect(struct market *market)
{
	return effects_next(&market->effects);
}

struct market_usage market_usage(const struct market *market)
{
	const struct ledger *ledger = &market->ledger;

	return (struct market_usage){
		.cpu_milli = ledger->used.cpu_milli + ledger->reserved.cpu_milli,
		.memory_bytes = ledger->used.memory_bytes + ledger->reserved.memory_bytes,
		.pods = (uint32_t)ledger->used.pods,
		.holds = market->holds_held,
		.tenders = market->rounds_open,
	};
}

const struct trace *market_next_trace(const struct market *market, size_t *position)
{
	struct list *link = market->traces.entries.prev;

	/* Newest first: the list is walked backwards from its head. */
	for (size_t i = 0; i < *position && link != &market->traces.entries; i++)
		link = link->prev;
	if (link == &market->traces.entries)
		return NULL;
	(*position)++;
	return &list_entry(link, struct trace_entry, link)->trace;
}
