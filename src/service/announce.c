/* SPDX-License-Identifier: Apache-2.0 */
/* Our own record: stored at its keepers on every change, renewed every heartbeat. */
#include <assert.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "service/directory_internal.h"

/* Ours stands among the replicas that we know, as it stands in the others' sets. */
static void put_own(struct directory *directory)
{
	struct service *own = directory->own;
	struct held *held = mem_new(struct held), *old;

	service_record_copy(&directory->record, &held->record);
	buf_append_bytes(&held->envelope, bytes_buf(&directory->envelope));
	held->expires = mono_add_ms(directory->now, SERVICE_TTL_MS);
	held->proven = held->heard = directory->now;
	if (held_put(&own->list, &own->count, &own->cap, held, &old))
		held_free(old);
	lookup_changed(directory, own);
}

static void seal_record(struct directory *directory)
{
	struct buf payload = {0};

	service_record_encode(&directory->record, &payload);
	buf_clear(&directory->envelope);
	buf_clear(&directory->renewal);
	directory->config.trust.ops->seal(directory->config.trust.self, directory->wall,
					  bytes_buf(&payload), &directory->envelope);
	buf_deinit(&payload);
	put_own(directory);
}

static void seal_renewal(struct directory *directory)
{
	struct service_renewal renewal = {directory->record.version, directory->wall};
	struct buf payload = {0};

	service_renewal_encode(&renewal, &payload);
	buf_clear(&directory->renewal);
	directory->config.trust.ops->seal(directory->config.trust.self, directory->wall,
					  bytes_buf(&payload), &directory->renewal);
	buf_deinit(&payload);
}

void announce_sign(struct directory *directory, struct work_signed *ret_signed)
{
	buf_append_bytes(&ret_signed->record, bytes_buf(&directory->envelope));
	buf_append_bytes(&ret_signed->renewal, bytes_buf(&directory->renewal));
}

static void send_store(struct directory *directory, struct keeper *keeper)
{
	struct work_message message = {.type = WORK_STORE};

	asked_begin(directory, &keeper->store);
	message.store.request = keeper->store.request;
	buf_append_bytes(&message.store.record, bytes_buf(&directory->envelope));
	buf_append_bytes(&message.store.renewal, bytes_buf(&directory->renewal));
	directory_send(directory, &keeper->contact, &message);
}

static void send_renew(struct directory *directory, struct keeper *keeper)
{
	struct work_message message = {.type = WORK_RENEW};

	asked_begin(directory, &keeper->store);
	message.renew = (struct work_renew){
		.request = keeper->store.request,
		.key = directory->own->key,
		.version = directory->record.version,
	};
	buf_append_bytes(&message.renew.renewal, bytes_buf(&directory->renewal));
	directory_send(directory, &keeper->contact, &message);
}

static void send(struct directory *directory, struct keeper *keeper)
{
	if (keeper->stored == directory->record.version && directory->renewal.len > 0)
		send_renew(directory, keeper);
	else
		send_store(directory, keeper);
}

void announce_spread(struct directory *directory)
{
	struct place *place = &directory->own->place;

	if (!directory->announced)
		return;
	for (size_t i = 0; i < place_keeper_count(place); i++) {
		struct keeper *keeper = &place->list[i];

		if (keeper->stored == directory->record.version || keeper->store.request ||
		    keeper->refused)
			continue;
		send_store(directory, keeper);
	}
}

/* A question about the version before this one is of no interest any more. */
static void spread_anew(struct directory *directory)
{
	struct place *place = &directory->own->place;

	for (size_t i = 0; i < place->count; i++) {
		place->list[i].store = (struct asked){0};
		place->list[i].refused = false;
	}
	announce_spread(directory);
	sibling_tell(directory);
}

/* Versions never go back, not even with the clock, and are above those of earlier lives. */
static void next_version(struct directory *directory)
{
	uint64_t version = directory->record.version + 1;

	if (version < (uint64_t)directory->wall.ms)
		version = (uint64_t)directory->wall.ms;
	directory->record.version = version;
	directory->record.ts = directory->wall;
}

static bool is_ours(const struct directory *directory, const struct service_record *record)
{
	const struct service_name *name = &directory->config.name;

	return strcmp(record->namespace, name->namespace) == 0 &&
	       strcmp(record->kind, name->kind) == 0 && strcmp(record->name, name->name) == 0 &&
	       strcmp(record->pod, name->pod) == 0;
}

/* Equal but for what is set here? */
static bool says_the_same(const struct directory *directory, const struct service_record *record)
{
	struct service_record other = *record;
	struct buf old = {0}, new = {0};
	bool same;

	if (!directory->announced)
		return false;
	other.version = directory->record.version;
	other.ts = directory->record.ts;
	service_record_encode(&directory->record, &old);
	service_record_encode(&other, &new);
	same = bytes_equal(bytes_buf(&old), bytes_buf(&new));
	buf_deinit(&old);
	buf_deinit(&new);
	return same;
}

int directory_announce(struct directory *directory, struct mono now, struct wall wall,
		       const struct service_record *record)
{
	struct service_record ours = *record;
	uint64_t version = directory->record.version;

	directory->now = now;
	directory->wall = wall;
	ours.peer = directory->config.self.id;
	ours.leaving = false;
	ours.ts = wall;
	if (directory->withdrawn || !is_ours(directory, &ours) || service_record_check(&ours) != 0)
		return DIRECTORY_E_RECORD;
	if (says_the_same(directory, &ours))
		return 0;
	service_record_deinit(&directory->record);
	service_record_copy(&ours, &directory->record);
	directory->record.version = version;
	next_version(directory);
	seal_record(directory);
	if (!directory->announced)
		directory->heartbeat_at = mono_add_ms(
			now, (int64_t)prng_below(&directory->prng, SERVICE_HEARTBEAT_MS));
	directory->announced = true;
	spread_anew(directory);
	directory_tick(directory, now, wall);
	return 0;
}

void directory_withdraw(struct directory *directory, struct mono now, struct wall wall)
{
	directory->now = now;
	directory->wall = wall;
	if (!directory->announced || directory->withdrawn)
		return;
	directory->withdrawn = true;
	directory->heartbeat_at = MONO_NEVER;
	if (fault_is_planted(FAULT_SERVICE_WITHDRAW))
		return;
	directory->record.ready = false;
	directory->record.leaving = true;
	next_version(directory);
	seal_record(directory);
	spread_anew(directory);
	directory_tick(directory, now, wall);
}

void announce_heartbeat(struct directory *directory)
{
	struct place *place = &directory->own->place;
	struct held *held;

	directory->heartbeat_at = mono_add_ms(directory->now, SERVICE_HEARTBEAT_MS);
	seal_renewal(directory);
	held = held_of_peer(directory->own->list, directory->own->count,
			    &directory->config.self.id);
	if (held)
		held_prolong(directory, held, &directory->renewal);
	for (size_t i = 0; i < place_keeper_count(place); i++) {
		place->list[i].refused = false;
		if (!place->list[i].store.request && !fault_is_planted(FAULT_SERVICE_RENEW))
			send(directory, &place->list[i]);
	}
	sibling_heartbeat(directory);
	directory_try_failed(directory);
}

/* Again, or the next one in its stead. */
static void overdue(struct directory *directory)
{
	struct place *place = &directory->own->place;

	for (size_t i = 0; i < place_keeper_count(place); i++) {
		if (!asked_is_due(directory, &place->list[i].store))
			continue;
		if (place->list[i].store.tries < DIRECTORY_TRIES)
			send(directory, &place->list[i]);
		else
			place_drop(directory, place, i--);
	}
}

void announce_tick(struct directory *directory)
{
	if (!directory->announced)
		return;
	overdue(directory);
	announce_spread(directory);
	if (!directory->withdrawn && mono_reached(directory->now, directory->heartbeat_at))
		announce_heartbeat(directory);
}

/* A newer record under our name: an earlier life whose clock went ahead. Ours is made newer. */
static void outbid(struct directory *directory)
{
	next_version(directory);
	directory->record.version += SERVICE_SKEW_MS;
	seal_record(directory);
}

/* Who wants a record right after it was sent lies, or has no room: it is asked again with the next
 * heartbeat. */
static void take_outcome(struct directory *directory, struct keeper *keeper,
			 enum work_outcome outcome)
{
	bool renewed = keeper->stored == directory->record.version;

	keeper->stored = 0;
	if (outcome == WORK_KEPT)
		keeper->stored = directory->record.version;
	else if (outcome == WORK_WANTED && renewed)
		send_store(directory, keeper);
	else
		keeper->refused = true;
	if (outcome == WORK_OLD && !directory->withdrawn)
		outbid(directory); /* the others hear of it at once, this one with a heartbeat */
}

void announce_stored(struct directory *directory, const struct node_id *from,
		     const struct work_stored *stored)
{
	struct place *place = &directory->own->place;

	for (size_t i = 0; i < place->count; i++) {
		struct keeper *keeper = &place->list[i];

		if (!node_id_equal(&keeper->contact.id, from) || !keeper->store.request ||
		    keeper->store.request != stored->request)
			continue;
		asked_end(directory, &keeper->store);
		take_outcome(directory, keeper, stored->outcome);
		if (place_nearer(directory, place, &stored->nearer)) {
			announce_spread(directory);
			lookup_place(directory, directory->own);
		}
		return;
	}
}

struct mono announce_deadline(const struct directory *directory)
{
	const struct place *place = &directory->own->place;
	struct mono deadline = directory->withdrawn || !directory->announced
				       ? MONO_NEVER
				       : directory->heartbeat_at;

	for (size_t i = 0; i < place_keeper_count(place); i++)
		if (place->list[i].store.request)
			deadline = mono_min(deadline, place->list[i].store.due);
	return deadline;
}
