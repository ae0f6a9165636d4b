/* SPDX-License-Identifier: Apache-2.0 */
/* The events of the directory, and its effects. */
#include "service/directory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "service/directory_internal.h"

enum {
	RTT_FIRST_MS = 60, /* until there is an answer: anywhere in the world */
};

struct directory *directory_new(const struct directory_config *config, struct mono now)
{
	struct directory *directory = mem_new(struct directory);

	directory->config = *config;
	directory->prng = prng_seeded(config->seed);
	directory->now = now;
	directory->kad = kad_new(&config->self, prng_next(&directory->prng), now);
	directory->next_request = prng_next(&directory->prng);
	directory->rtt_us = RTT_FIRST_MS * US_PER_MS;
	directory->heartbeat_at = directory->sweep_at = MONO_NEVER;
	map_init(&directory->services, prng_next(&directory->prng));
	map_init(&directory->kept, prng_next(&directory->prng));
	directory->own = service_get(directory, config->name.namespace, config->name.name);
	directory->own->own = true;
	lookup_ask(directory, directory->own);
	directory->deadline = now;
	return directory;
}

void directory_free(struct directory *directory)
{
	if (!directory)
		return;
	while (directory_next_effect(directory))
		;
	map_for_each (entry, &directory->services)
		service_free(entry->value);
	map_deinit(&directory->services);
	keep_free(directory);
	kad_free(directory->kad);
	service_record_deinit(&directory->record);
	buf_deinit(&directory->envelope);
	buf_deinit(&directory->renewal);
	free(directory->locals);
	free(directory);
}

bool directory_is_self(const struct directory *directory, const struct node_id *id)
{
	return node_id_equal(&directory->config.self.id, id);
}

uint64_t directory_request(struct directory *directory)
{
	directory->next_request += directory->next_request == UINT64_MAX ? 2 : 1;
	return directory->next_request;
}

/* ---- effects ---- */

struct directory_effect *directory_out(struct directory *directory, enum directory_effect_type type)
{
	struct directory_effect *effect = mem_new(struct directory_effect);

	if (directory->out_count == directory->out_cap) {
		directory->out_cap = directory->out_cap ? directory->out_cap * 2 : 1;
		directory->outs =
			mem_resize(directory->outs, directory->out_cap, sizeof(directory->outs[0]));
	}
	effect->type = type;
	directory->outs[directory->out_count++] = effect;
	return effect;
}

static void out_free(struct directory_effect *effect)
{
	if (effect->type == DIRECTORY_SEND)
		work_message_deinit(&effect->message);
	free(effect);
}

const struct directory_effect *directory_next_effect(struct directory *directory)
{
	if (directory->out_next > 0)
		out_free(directory->outs[directory->out_next - 1]);
	if (directory->out_next < directory->out_count)
		return directory->outs[directory->out_next++];
	free(directory->outs);
	directory->outs = NULL;
	directory->out_next = directory->out_count = directory->out_cap = 0;
	return NULL;
}

void directory_send(struct directory *directory, const struct contact *to,
		    struct work_message *message)
{
	struct directory_effect *effect;

	if (directory_is_self(directory, &to->id)) {
		if (!directory->locals)
			directory->locals =
				mem_alloc(DIRECTORY_LOCAL_MAX, sizeof(*directory->locals));
		if (directory->local_count < DIRECTORY_LOCAL_MAX)
			directory->locals[directory->local_count++] = *message;
		else
			work_message_deinit(message);
		return;
	}
	effect = directory_out(directory, DIRECTORY_SEND);
	effect->to = *to;
	effect->message = *message;
}

/* ---- peers ---- */

/* It is silent: the table is told, and that it was given up is remembered for a while. */
void directory_gave_up(struct directory *directory, const struct contact *contact)
{
	if (directory_is_self(directory, &contact->id))
		return;
	kad_unreachable(directory->kad, directory->now, &contact->id);
	directory->failed[directory->failed_next++ % DIRECTORY_FAILED] =
		(struct failed){*contact, directory->now};
}

void directory_try_failed(struct directory *directory)
{
	size_t at = prng_below(&directory->prng, DIRECTORY_FAILED);

	if (place_keeper_count(&directory->own->place) >= DIRECTORY_KEEPERS)
		return;
	for (size_t i = 0; i < DIRECTORY_FAILED; i++, at = (at + 1) % DIRECTORY_FAILED)
		if (!node_id_is_none(&directory->failed[at].contact.id)) {
			sibling_probe(directory, &directory->failed[at].contact);
			return;
		}
}

/* One that was given up is back: the network had fallen apart, and all may be nearer than who is
 * asked now. */
static void heard(struct directory *directory, const struct contact *from)
{
	sibling_heard(directory, &from->id);
	for (size_t i = 0; i < DIRECTORY_FAILED; i++) {
		if (!node_id_equal(&directory->failed[i].contact.id, &from->id))
			continue;
		memset(directory->failed, 0, sizeof(directory->failed));
		kad_merge(directory->kad, directory->now);
		kad_seen(directory->kad, directory->now, from);
		map_for_each (entry, &directory->services) {
			struct service *service = entry->value;

			service->place.find_at = mono_add_ms(
				directory->now,
				(int64_t)prng_below(&directory->prng, SERVICE_HEARTBEAT_MS));
		}
		return;
	}
}

/* ---- the overlay ---- */

static void found(struct directory *directory, const struct kad_effect *effect)
{
	map_for_each (entry, &directory->services) {
		struct service *service = entry->value;

		if (service->place.token != effect->token)
			continue;
		place_found(directory, &service->place, effect->contacts, effect->contact_count);
		lookup_place(directory, service);
		if (service->own)
			announce_spread(directory);
		return;
	}
}

static void drain_overlay(struct directory *directory)
{
	const struct kad_effect *effect;

	while ((effect = kad_next_effect(directory->kad))) {
		struct work_message message = {.type = WORK_OVERLAY};

		if (effect->type == KAD_FOUND) {
			found(directory, effect);
		} else {
			message_copy(&effect->message, &message.overlay);
			directory_send(directory, &effect->to, &message);
		}
	}
}

/* ---- events ---- */

static void deliver(struct directory *directory, const struct directory_peer *from,
		    const struct work_message *message)
{
	switch (message->type) {
	case WORK_OVERLAY:
		kad_receive(directory->kad, directory->now, &from->contact, &message->overlay);
		break;
	case WORK_STORE:
		keep_store(directory, from, &message->store);
		break;
	case WORK_STORED:
		announce_stored(directory, &from->contact.id, &message->stored);
		break;
	case WORK_RENEW:
		keep_renew(directory, from, &message->renew);
		break;
	case WORK_LOOKUP:
		keep_lookup(directory, from, &message->lookup);
		break;
	case WORK_RECORDS:
		lookup_records(directory, from, &message->records);
		break;
	case WORK_HEARTBEAT:
	case WORK_SUMMARY:
		sibling_receive(directory, from, message);
		break;
	case WORK_LEAF_WANT:
	case WORK_LEAF:
	case WORK_PACKET:
	case WORK_PACKET_END:
	case WORK_GROUP:
		break; /* the caller's own */
	}
}

/* What we have said to ourselves, and what the overlay says to that. */
static void settle(struct directory *directory)
{
	struct directory_peer self = {directory->config.self, &directory->config.name};

	drain_overlay(directory);
	for (size_t i = 0; i < directory->local_count; i++) {
		struct work_message message = directory->locals[i];

		deliver(directory, &self, &message);
		work_message_deinit(&message);
		drain_overlay(directory);
	}
	directory->local_count = 0;
	free(directory->locals);
	directory->locals = NULL;
	directory->deadline =
		mono_min(mono_min(announce_deadline(directory), lookup_deadline(directory)),
			 mono_min(sibling_deadline(directory),
				  mono_min(directory->sweep_at, kad_deadline(directory->kad))));
}

static void advance(struct directory *directory, struct mono now)
{
	assert(now.us >= directory->now.us);
	directory->now = now;
}

void directory_seen(struct directory *directory, struct mono now, const struct contact *contact)
{
	advance(directory, now);
	kad_seen(directory->kad, now, contact);
	if (directory->own->place.count <= 1) /* we were alone */
		place_find(directory, &directory->own->place);
	settle(directory);
}

void directory_unreachable(struct directory *directory, struct mono now, const struct node_id *id)
{
	advance(directory, now);
	kad_unreachable(directory->kad, now, id);
	lookup_unreachable(directory, id);
	announce_spread(directory);
	settle(directory);
}

/* Answers are few by themselves: one for each request of ours. */
static bool rate_allows(struct directory *directory, const struct directory_peer *from,
			enum work_type type)
{
	uint64_t place;

	if (type == WORK_STORED || type == WORK_OVERLAY || fault_is_planted(FAULT_SERVICE_QUOTA))
		return true; /* the overlay counts for itself */
	memcpy(&place, from->contact.id.byte, sizeof(place));
	if (throttle_pass(&directory->rates[place % DIRECTORY_RATES], directory->now,
			  DIRECTORY_RATE_BURST, DIRECTORY_RATE_MS))
		return true;
	directory->stats.refused_rate++;
	return false;
}

void directory_receive(struct directory *directory, struct mono now, struct wall wall,
		       const struct directory_peer *from, const struct work_message *message)
{
	advance(directory, now);
	directory->wall = wall;
	if (directory_is_self(directory, &from->contact.id) ||
	    !addr_can_be_dialled(&from->contact.addr) ||
	    !rate_allows(directory, from, message->type))
		return;
	heard(directory, &from->contact);
	deliver(directory, from, message);
	settle(directory);
}

void directory_tick(struct directory *directory, struct mono now, struct wall wall)
{
	advance(directory, now);
	directory->wall = wall;
	if (mono_reached(now, kad_deadline(directory->kad)))
		kad_tick(directory->kad, now);
	drain_overlay(directory);
	lookup_tick(directory);
	announce_tick(directory);
	sibling_tick(directory);
	keep_tick(directory);
	settle(directory);
}

struct mono directory_deadline(const struct directory *directory)
{
	return directory->deadline;
}

bool directory_is_settled(const struct directory *directory)
{
	const struct place *place = &directory->own->place;

	if (!directory->announced)
		return true;
	for (size_t i = 0; i < place_keeper_count(place); i++)
		if (place->list[i].stored != directory->record.version && !place->list[i].refused)
			return false;
	return true;
}

void directory_stats(const struct directory *directory, struct directory_stats *ret_stats)
{
	*ret_stats = directory->stats;
	ret_stats->kept = directory->kept_count;
	ret_stats->kept_bytes = directory->kept_bytes;
	ret_stats->subscribers = directory->subscriber_count;
	ret_stats->services = directory->services.count;
}

size_t directory_contact_count(const struct directory *directory)
{
	return kad_contact_count(directory->kad);
}
