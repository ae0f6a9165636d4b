/* SPDX-License-Identifier: Apache-2.0 */
/* Who keeps a service: the agents nearest to its key. */
#include <string.h>

#include "service/directory_internal.h"

enum {
	RTT_SMOOTHING = 8,
};

void place_init(struct directory *directory, struct place *place, const struct digest *key)
{
	*place = (struct place){.key = *key, .find_at = directory->now};
}

void place_find(struct directory *directory, struct place *place)
{
	if (place->token)
		return;
	place->find_at =
		mono_add_ms(directory->now, prng_jitter(&directory->prng, DIRECTORY_PLACE_MS));
	if (kad_find(directory->kad, directory->now, &place->key, false, &place->token) != 0) {
		place->token = 0;
		place->find_at = mono_add_ms(directory->now, DIRECTORY_RETRY_MS);
	}
}

static int nearer(const struct place *place, const struct node_id *a, const struct node_id *b)
{
	struct digest left = kad_position(a), right = kad_position(b);

	return kad_nearer(&place->key, &left, &right);
}

/* What was known of a keeper that stays. */
static struct keeper keeper_of(const struct place *place, const struct contact *contact)
{
	for (size_t i = 0; i < place->count; i++)
		if (node_id_equal(&place->list[i].contact.id, &contact->id)) {
			struct keeper keeper = place->list[i];

			keeper.contact = *contact;
			return keeper;
		}
	return (struct keeper){.contact = *contact};
}

/* A lookup never names ourselves: we stand where we belong. */
void place_found(struct directory *directory, struct place *place, const struct contact *contacts,
		 size_t count)
{
	const struct contact *self = &directory->config.self;
	struct place fresh = {0};
	bool inserted = false;

	for (size_t i = 0; i < count && fresh.count < PLACE_CANDIDATES; i++) {
		if (!inserted && nearer(place, &self->id, &contacts[i].id) < 0) {
			fresh.list[fresh.count++] = keeper_of(place, self);
			inserted = true;
		}
		if (fresh.count < PLACE_CANDIDATES)
			fresh.list[fresh.count++] = keeper_of(place, &contacts[i]);
	}
	if (!inserted && fresh.count < PLACE_CANDIDATES)
		fresh.list[fresh.count++] = keeper_of(place, self);
	memcpy(place->list, fresh.list, sizeof(place->list));
	place->count = fresh.count;
	place->token = 0;
	place->check_at = mono_add_ms(directory->now, SERVICE_HEARTBEAT_MS);
	place->found = true;
}

static bool has_failed(const struct directory *directory, const struct node_id *id)
{
	for (size_t i = 0; i < DIRECTORY_FAILED; i++)
		if (node_id_equal(&directory->failed[i].contact.id, id) &&
		    !mono_reached(directory->now,
				  mono_add_ms(directory->failed[i].at, DIRECTORY_FAILED_MS)))
			return true;
	return false;
}

static bool is_known(const struct place *place, const struct node_id *id)
{
	for (size_t i = 0; i < place->count; i++)
		if (node_id_equal(&place->list[i].contact.id, id))
			return true;
	return false;
}

/* Where it belongs; the farthest one gives way. */
static void insert(struct place *place, const struct contact *contact)
{
	size_t at = place->count;

	while (at > 0 && nearer(place, &contact->id, &place->list[at - 1].contact.id) < 0)
		at--;
	if (at == PLACE_CANDIDATES)
		return;
	if (place->count < PLACE_CANDIDATES)
		place->count++;
	memmove(&place->list[at + 1], &place->list[at],
		(place->count - at - 1) * sizeof(place->list[0]));
	place->list[at] = (struct keeper){.contact = *contact};
}

bool place_nearer(struct directory *directory, struct place *place, const struct work_near *others)
{
	bool fresh = false;

	for (size_t i = 0; i < others->count; i++) {
		const struct contact *contact = &others->list[i];

		if (is_known(place, &contact->id) || has_failed(directory, &contact->id))
			continue;
		insert(place, contact);
		fresh = true;
	}
	return fresh;
}

/* What the table says; who has been asked will say more. */
void place_guess(struct directory *directory, struct place *place)
{
	struct contact nearest[PLACE_CANDIDATES - 1];
	size_t count = kad_nearest(directory->kad, &place->key, nearest, PLACE_CANDIDATES - 1);
	uint64_t token = place->token;

	place_found(directory, place, nearest, count);
	place->token = token;
}

struct work_near place_near(const struct directory *directory, const struct digest *key)
{
	struct work_near others = {.count = 0};
	struct digest self, last;

	others.count = kad_nearest(directory->kad, key, others.list, DIRECTORY_KEEPERS);
	if (others.count < DIRECTORY_KEEPERS)
		return (struct work_near){.count = 0};
	self = kad_position(&directory->config.self.id);
	last = kad_position(&others.list[DIRECTORY_KEEPERS - 1].id);
	return kad_nearer(key, &last, &self) < 0 ? others : (struct work_near){.count = 0};
}

void place_drop(struct directory *directory, struct place *place, size_t at)
{
	directory_gave_up(directory, &place->list[at].contact);
	place->count--;
	memmove(&place->list[at], &place->list[at + 1],
		(place->count - at) * sizeof(place->list[0]));
	if (place->count < DIRECTORY_KEEPERS + 1)
		place->find_at =
			mono_min(place->find_at, mono_add_ms(directory->now, DIRECTORY_RETRY_MS));
}

size_t place_keeper_count(const struct place *place)
{
	return place->count < DIRECTORY_KEEPERS ? place->count : DIRECTORY_KEEPERS;
}

/* Does the table know somebody who ought to be among the keepers? Costs no message. */
static bool is_outdated(const struct directory *directory, const struct place *place)
{
	struct contact nearest[DIRECTORY_KEEPERS];
	size_t count = kad_nearest(directory->kad, &place->key, nearest, DIRECTORY_KEEPERS);
	size_t keepers = place_keeper_count(place);

	for (size_t i = 0; i < count; i++) {
		bool known = is_known(place, &nearest[i].id);

		if (!known &&
		    (keepers < DIRECTORY_KEEPERS ||
		     nearer(place, &nearest[i].id, &place->list[keepers - 1].contact.id) < 0))
			return true;
	}
	return false;
}

void place_tick(struct directory *directory, struct place *place)
{
	if (place->token)
		return;
	if (mono_reached(directory->now, place->find_at)) {
		place_find(directory, place);
	} else if (mono_reached(directory->now, place->check_at)) {
		place->check_at = mono_add_ms(directory->now, SERVICE_HEARTBEAT_MS);
		if (is_outdated(directory, place))
			place_find(directory, place);
	}
}

bool asked_is_due(const struct directory *directory, const struct asked *asked)
{
	return asked->request && mono_reached(directory->now, asked->due);
}

void asked_begin(struct directory *directory, struct asked *asked)
{
	int64_t wait_us = directory->rtt_us * DIRECTORY_RETRY_RTTS;

	if (wait_us < DIRECTORY_RETRY_MS * US_PER_MS)
		wait_us = DIRECTORY_RETRY_MS * US_PER_MS;
	if (wait_us > DIRECTORY_RETRY_MAX_MS * US_PER_MS)
		wait_us = DIRECTORY_RETRY_MAX_MS * US_PER_MS;
	if (!asked->request)
		*asked = (struct asked){.request = directory_request(directory),
					.sent = directory->now};
	asked->tries++;
	asked->due = mono_add_us(directory->now, wait_us);
}

/* Slower answers count at once, faster ones by and by. */
void asked_end(struct directory *directory, struct asked *asked)
{
	int64_t took_us = mono_since_us(directory->now, asked->sent);

	if (took_us > directory->rtt_us)
		directory->rtt_us = took_us;
	else
		directory->rtt_us -= (directory->rtt_us - took_us) / RTT_SMOOTHING;
	*asked = (struct asked){.request = 0};
}
