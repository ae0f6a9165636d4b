/* SPDX-License-Identifier: Apache-2.0 */
/* Services in use: asked for once, then kept up to date. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "service/directory_internal.h"
#include "service/label.h"

/* ---- the table ---- */

void service_free(struct service *service)
{
	for (size_t i = 0; i < service->count; i++)
		held_free(service->list[i]);
	free(service->list);
	free(service->namespace);
	free(service->name);
	free(service);
}

static void make_room(struct directory *directory)
{
	struct service *oldest = NULL;

	if (directory->services.count < DIRECTORY_SERVICES_MAX)
		return;
	map_for_each (entry, &directory->services) {
		struct service *service = entry->value;

		if (!service->own && (!oldest || service->used_until.us < oldest->used_until.us))
			oldest = service;
	}
	(void)map_remove(&directory->services, KEY_BYTES(&oldest->key));
	service_free(oldest);
}

struct service *service_get(struct directory *directory, const char *namespace, const char *name)
{
	struct digest key = service_key(namespace, name);
	struct service *service = map_get(&directory->services, KEY_BYTES(&key));

	if (service)
		return service;
	make_room(directory);
	service = mem_new(struct service);
	service->key = key;
	service->namespace = mem_strdup(namespace);
	service->name = mem_strdup(name);
	service->refresh_at = service->answer_by = MONO_NEVER;
	service->turn = prng_next(&directory->prng);
	place_init(directory, &service->place, &key);
	(void)map_put(&directory->services, KEY_BYTES(&key), service);
	return service;
}

uint64_t service_digest(const struct directory *directory, const struct service *service)
{
	uint64_t digest = 0;

	for (size_t i = 0; i < service->count; i++)
		if (held_is_live(directory, service->list[i]))
			digest ^= service_digest_of(&service->list[i]->record.peer,
						    service->list[i]->record.version);
	return digest;
}

/* ---- effects ---- */

static struct directory_effect *tell(struct directory *directory, const struct service *service,
				     enum directory_effect_type type)
{
	struct directory_effect *effect = directory_out(directory, type);

	memcpy(effect->namespace, service->namespace, strlen(service->namespace) + 1);
	memcpy(effect->name, service->name, strlen(service->name) + 1);
	return effect;
}

void lookup_changed(struct directory *directory, const struct service *service)
{
	if (service->answered)
		(void)tell(directory, service, DIRECTORY_CHANGED);
}

static void tell_found(struct directory *directory, const struct service *service, uint64_t token)
{
	struct directory_effect *effect = tell(directory, service, DIRECTORY_FOUND);

	effect->token = token;
	effect->complete = service->complete;
}

/* ---- questions ---- */

/* One signature that is due: then all of them, which are due soon. */
static bool wants_proof(const struct directory *directory, const struct service *service)
{
	for (size_t i = 0; i < service->count; i++)
		if (held_is_live(directory, service->list[i]) &&
		    held_wants_proof(directory, service->list[i]))
			return true;
	return false;
}

static void ask_keeper(struct directory *directory, struct service *service, struct keeper *keeper)
{
	struct work_message message = {.type = WORK_LOOKUP};

	asked_begin(directory, &keeper->lookup);
	keeper->asked = true;
	message.lookup = (struct work_lookup){
		.request = keeper->lookup.request,
		.namespace = mem_strdup(service->namespace),
		.name = mem_strdup(service->name),
		.known = service_digest(directory, service),
		.subscribe = true,
		.proof = wants_proof(directory, service),
	};
	directory->stats.lookups++;
	directory_send(directory, &keeper->contact, &message);
}

/* Is there anybody whose answer is to come? */
static bool is_waiting(const struct service *service)
{
	if (!service->place.found || place_keeper_count(&service->place) == 0)
		return true;
	for (size_t i = 0; i < place_keeper_count(&service->place); i++)
		if (service->place.list[i].lookup.request || !service->place.list[i].asked)
			return true;
	return false;
}

static void end(struct directory *directory, struct service *service, bool complete)
{
	service->answer_by = MONO_NEVER;
	service->answered = true;
	service->complete = complete;
	for (size_t i = 0; i < service->token_count; i++)
		tell_found(directory, service, service->tokens[i]);
	service->token_count = 0;
	service->refresh_at =
		mono_add_ms(directory->now, prng_jitter(&directory->prng, SERVICE_HEARTBEAT_MS));
}

static void end_if_answered(struct directory *directory, struct service *service)
{
	if (service->answer_by.us != MONO_NEVER.us && !is_waiting(service))
		end(directory, service, true);
}

/* All keepers, for the first time or after a long pause. */
void lookup_ask(struct directory *directory, struct service *service)
{
	service->answer_by = mono_add_ms(directory->now, DIRECTORY_ANSWER_MS);
	service->refresh_at = MONO_NEVER;
	for (size_t i = 0; i < service->place.count; i++)
		service->place.list[i].asked = false;
	if (!service->place.found) {
		place_guess(directory, &service->place);
		place_find(directory, &service->place);
	}
	lookup_place(directory, service);
}

/* Who has become a keeper is asked at once, and has a subscriber by that. */
void lookup_place(struct directory *directory, struct service *service)
{
	for (size_t i = 0; i < place_keeper_count(&service->place); i++)
		if (!service->place.list[i].asked)
			ask_keeper(directory, service, &service->place.list[i]);
}

static void refresh(struct directory *directory, struct service *service)
{
	size_t keepers = place_keeper_count(&service->place);

	service->refresh_at =
		mono_add_ms(directory->now, prng_jitter(&directory->prng, SERVICE_HEARTBEAT_MS));
	if (keepers > 0) {
		struct keeper *keeper = &service->place.list[service->turn++ % keepers];

		if (!keeper->lookup.request)
			ask_keeper(directory, service, keeper);
	}
}

static bool is_name(const char *namespace, const char *name)
{
	return label_is_valid(namespace, strlen(namespace)) && label_is_subdomain(name);
}

int directory_lookup(struct directory *directory, struct mono now, struct wall wall,
		     const char *namespace, const char *name, uint64_t *ret_token)
{
	struct service *service;
	bool fresh;

	directory->now = now;
	directory->wall = wall;
	if (!is_name(namespace, name))
		return DIRECTORY_E_NAME;
	service = service_get(directory, namespace, name);
	if (service->token_count == DIRECTORY_WAITING_MAX)
		return DIRECTORY_E_BUSY;
	fresh = service->answered && (service->own || !mono_reached(now, service->used_until));
	service->used_until = mono_add_ms(now, DIRECTORY_USE_MS);
	*ret_token = ++directory->next_token;
	if (fresh) {
		tell_found(directory, service, *ret_token);
	} else {
		service->tokens[service->token_count++] = *ret_token;
		if (service->answer_by.us == MONO_NEVER.us)
			lookup_ask(directory, service);
	}
	directory_tick(directory, now, wall);
	return 0;
}

size_t directory_records(struct directory *directory, struct mono now, const char *namespace,
			 const char *name, const struct service_record **ret_records, size_t max)
{
	struct digest key = service_key(namespace, name);
	struct service *service = map_get(&directory->services, KEY_BYTES(&key));
	size_t count = 0;

	if (!service)
		return 0;
	directory->now = now;
	service->used_until = mono_add_ms(now, DIRECTORY_USE_MS);
	for (size_t i = 0; i < service->count && count < max; i++)
		if (held_is_live(directory, service->list[i]))
			ret_records[count++] = &service->list[i]->record;
	return count;
}

/* ---- answers ---- */

/* Is the renewal of @held worth verifying? Twice as early as it is asked for, so that those of one
 * answer count together. */
static bool is_wanted(const struct directory *directory, const struct held *held)
{
	return !held_is_live(directory, held) ||
	       mono_reached(directory->now, mono_add_ms(held->proven, DIRECTORY_PROOF_MS / 2));
}

static void take_live(struct directory *directory, struct service *service,
		      const struct work_records *records)
{
	for (size_t i = 0; i < records->live_count; i++)
		for (size_t j = 0; j < service->count; j++)
			if (work_peer_prefix(&service->list[j]->record.peer) ==
			    records->live[i].peer)
				held_vouched(directory, service->list[j], records->live[i].age_ms);
}

/* True: what is known has changed. */
static bool take_record(struct directory *directory, struct service *service,
			const struct work_signed *one)
{
	struct held *held, *old;
	struct digest key;

	for (size_t i = 0; i < service->count; i++)
		if (bytes_equal(bytes_buf(&service->list[i]->envelope), bytes_buf(&one->record))) {
			if (one->renewal.len > 0 && is_wanted(directory, service->list[i]))
				(void)held_renew(directory, service->list[i],
						 bytes_buf(&one->renewal));
			return false;
		}
	held = held_open(directory, one);
	if (!held)
		return false;
	key = service_key(held->record.namespace, held->record.name);
	if (!digest_equal(&key, &service->key)) {
		held_free(held);
		return false;
	}
	if (!held_put(&service->list, &service->count, &service->cap, held, &old))
		return false;
	held_free(old);
	return true;
}

static bool take_one(struct directory *directory, struct service *service,
		     const struct work_signed *one)
{
	struct held *held;

	if (one->record.len > 0)
		return take_record(directory, service, one);
	held = held_of_peer(service->list, service->count, &one->peer);
	if (held && one->renewal.len > 0 && is_wanted(directory, held))
		(void)held_renew(directory, held, bytes_buf(&one->renewal));
	return false;
}

static void answered_by(struct directory *directory, struct service *service,
			const struct node_id *from, uint64_t request,
			const struct work_near *nearer)
{
	for (size_t i = 0; i < service->place.count; i++) {
		struct keeper *keeper = &service->place.list[i];

		if (!node_id_equal(&keeper->contact.id, from) || keeper->lookup.request != request)
			continue;
		asked_end(directory, &keeper->lookup);
	}
	if (place_nearer(directory, &service->place, nearer)) {
		lookup_place(directory, service);
		if (service->own)
			announce_spread(directory);
	}
	end_if_answered(directory, service);
}

/* Only whom we have asked is believed that others live. */
static bool is_answer(const struct service *service, const struct node_id *from, uint64_t request)
{
	for (size_t i = 0; i < service->place.count; i++)
		if (node_id_equal(&service->place.list[i].contact.id, from))
			return request && service->place.list[i].lookup.request == request;
	return false;
}

/* Records speak for themselves, so nobody cares who has sent them. */
void lookup_records(struct directory *directory, const struct directory_peer *from,
		    const struct work_records *records)
{
	struct service *service = map_get(&directory->services, KEY_BYTES(&records->key));
	bool changed = false;

	if (!service)
		return;
	for (size_t i = 0; i < records->count; i++)
		changed |= take_one(directory, service, &records->list[i]);
	if (is_answer(service, &from->contact.id, records->request))
		take_live(directory, service, records);
	if (changed)
		lookup_changed(directory, service);
	if (records->request)
		answered_by(directory, service, &from->contact.id, records->request,
			    &records->nearer);
}

/* ---- time ---- */

static void overdue(struct directory *directory, struct service *service)
{
	struct place *place = &service->place;

	for (size_t i = 0; i < place_keeper_count(place); i++) {
		if (!asked_is_due(directory, &place->list[i].lookup))
			continue;
		if (place->list[i].lookup.tries < DIRECTORY_TRIES)
			ask_keeper(directory, service, &place->list[i]);
		else
			place_drop(directory, place, i--);
	}
	lookup_place(directory, service);
}

static void service_tick(struct directory *directory, struct service *service)
{
	if (held_sweep(directory, service->list, &service->count) > 0)
		lookup_changed(directory, service);
	if (service->token_count > 0 || service->own ||
	    !mono_reached(directory->now, service->used_until))
		place_tick(directory, &service->place);
	overdue(directory, service);
	end_if_answered(directory, service);
	if (mono_reached(directory->now, service->answer_by))
		end(directory, service, false);
	if (mono_reached(directory->now, service->refresh_at))
		refresh(directory, service);
}

void lookup_tick(struct directory *directory)
{
	map_for_each (entry, &directory->services) {
		struct service *service = entry->value;

		if (!service->own && service->token_count == 0 &&
		    mono_reached(directory->now, service->used_until)) {
			(void)map_remove(&directory->services, KEY_BYTES(&service->key));
			service_free(service);
		} else {
			service_tick(directory, service);
		}
	}
}

void lookup_unreachable(struct directory *directory, const struct node_id *id)
{
	map_for_each (entry, &directory->services) {
		struct service *service = entry->value;
		struct place *place = &service->place;

		for (size_t i = 0; i < place->count; i++)
			if (node_id_equal(&place->list[i].contact.id, id))
				place_drop(directory, place, i--);
		lookup_place(directory, service);
		end_if_answered(directory, service);
	}
}

static struct mono service_deadline(const struct service *service)
{
	struct mono deadline = mono_min(service->refresh_at, service->answer_by);

	if (!service->place.token)
		deadline = mono_min(deadline, service->place.find_at);
	if (!service->own && service->token_count == 0)
		deadline = mono_min(deadline, service->used_until);
	for (size_t i = 0; i < place_keeper_count(&service->place); i++)
		if (service->place.list[i].lookup.request)
			deadline = mono_min(deadline, service->place.list[i].lookup.due);
	for (size_t i = 0; i < service->count; i++)
		deadline = mono_min(deadline, service->list[i]->expires);
	return deadline;
}

struct mono lookup_deadline(const struct directory *directory)
{
	struct mono deadline = MONO_NEVER;

	map_for_each (entry, &directory->services)
		deadline = mono_min(deadline, service_deadline(entry->value));
	return deadline;
}
