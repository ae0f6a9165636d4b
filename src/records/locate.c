/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locate: who keeps a home that is not in our neighbourhood. It is looked up (by the caller: the
 * table of contacts is the overlay's) and remembered for RECORDS_PLACE_MS, or until one of those
 * named does not answer.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/sha256.h"
#include "records/internal.h"

enum {
	PLACES_MAX = 1024,      /* 400 B each; beyond, the one not asked for longest is forgotten */
	LOCATES_MAX = 1024,     /* records_locate() that wait; the oldest is told what there is */
	PLACE_OLD_MS = 5000,    /* what was looked up later than that is not looked up again yet */
	PLACE_FAILED_MS = 2000, /* a lookup that found nobody is tried again after this */
};

struct place {
	struct list link; /* of records.places, asked for longest ago first */
	struct uid home;
	uint64_t id;
	struct contact keepers[RECORDS_KEEPERS];
	size_t keeper_count;
	struct mono since, until;
	bool locating;
};

struct locate {
	struct list link;
	struct uid home;
	uint64_t token;
};

static struct bytes place_key(const uint64_t *id)
{
	return bytes_of(id, sizeof(*id));
}

static struct place *place_find(const struct records *records, const struct uid *home)
{
	uint64_t id = home_id(home);

	return map_get(&records->places_by_id, place_key(&id));
}

static void place_free(struct records *records, struct place *place)
{
	list_remove(&place->link);
	(void)map_remove(&records->places_by_id, place_key(&place->id));
	free(place);
}

static void places_make_room(struct records *records)
{
	if (records->places_by_id.count < PLACES_MAX)
		return;
	list_for_each_safe (link, &records->places) {
		struct place *place = list_entry(link, struct place, link);

		if (place->locating)
			continue;
		place_free(records, place);
		return;
	}
}

static struct place *place_get(struct records *records, const struct uid *home)
{
	struct place *place = place_find(records, home);

	if (!place) {
		places_make_room(records);
		place = mem_new(struct place);
		place->home = *home;
		place->id = home_id(home);
		place->until = records->now;
		list_init(&place->link);
		(void)map_put(&records->places_by_id, place_key(&place->id), place);
	}
	list_remove(&place->link);
	list_append(&records->places, &place->link);
	return place;
}

static void place_look_up(struct records *records, struct place *place)
{
	struct records_effect *effect;

	if (place->locating)
		return;
	place->locating = true;
	effect = effect_queue(records, RECORDS_LOCATE, NULL);
	effect->key.uid = place->home;
	effect->target = sha256(bytes_of(place->home.byte, UID_HOME_LEN));
}

/* Of the stewards we know, those nearest to @home. */
static size_t nearest_known(const struct records *records, const struct uid *home,
			    struct contact ret_contacts[RECORDS_KEEPERS])
{
	const struct record_steward *nearest[RECORDS_KEEPERS];
	size_t count =
		stewards_nearest(&records->stewards, home_position(home), RECORDS_KEEPERS, nearest);

	for (size_t i = 0; i < count; i++)
		ret_contacts[i] = nearest[i]->contact;
	return count;
}

bool place_keepers(struct records *records, const struct uid *home,
		   struct contact ret_keepers[RECORDS_KEEPERS], size_t *ret_count)
{
	struct place *place;

	if (home_claim(records, home) == HOME_MINE) {
		*ret_count = nearest_known(records, home, ret_keepers);
		return true;
	}
	place = place_get(records, home);
	if (place->locating || mono_reached(records->now, place->until)) {
		place_look_up(records, place);
		return false;
	}
	memcpy(ret_keepers, place->keepers, sizeof(place->keepers));
	*ret_count = place->keeper_count;
	return true;
}

void place_doubt(struct records *records, const struct uid *home)
{
	struct place *place = place_find(records, home);

	if (place)
		place->until = records->now;
}

bool place_is_old(const struct records *records, const struct uid *home)
{
	const struct place *place = place_find(records, home);

	return place && !place->locating &&
	       mono_since_us(records->now, place->since) > PLACE_OLD_MS * (int64_t)US_PER_MS;
}

/* ---- those who ask ---- */

static void locate_tell(struct records *records, const struct uid *home, uint64_t token)
{
	struct contact keepers[RECORDS_KEEPERS];
	size_t count = 0;

	if (!place_keepers(records, home, keepers, &count))
		count = nearest_known(records, home, keepers);
	effect_located(records, home, token, keepers, count);
}

static void locate_end(struct records *records, struct locate *locate)
{
	list_remove(&locate->link);
	records->locate_count--;
	locate_tell(records, &locate->home, locate->token);
	free(locate);
}

int records_locate(struct records *records, struct mono now, const struct uid *uid,
		   uint64_t *ret_token)
{
	struct contact keepers[RECORDS_KEEPERS];
	struct locate *locate;
	size_t count;

	records->now = now;
	*ret_token = ++records->token;
	if (place_keepers(records, uid, keepers, &count)) {
		effect_located(records, uid, *ret_token, keepers, count);
		return 0;
	}
	if (records->locate_count == LOCATES_MAX)
		locate_end(records, list_first(&records->locates, struct locate, link));
	locate = mem_new(struct locate);
	locate->home = *uid;
	locate->token = *ret_token;
	list_append(&records->locates, &locate->link);
	records->locate_count++;
	return 0;
}

/* Ourselves are not among @contacts, and would be where we were one of the nearest stewards: that
 * is known without a lookup. */
void records_located(struct records *records, struct mono now, const struct uid *home,
		     const struct contact *contacts, size_t count)
{
	struct place *place = place_get(records, home);
	uint64_t id = home_id(home);

	records->now = now;
	place->locating = false;
	place->since = now;
	place->keeper_count = 0;
	for (size_t i = 0; i < count && place->keeper_count < RECORDS_KEEPERS; i++)
		if (contacts[i].steward)
			place->keepers[place->keeper_count++] = contacts[i];
	place->until = mono_add_ms(now, prng_jitter(&records->prng, RECORDS_PLACE_MS));
	if (place->keeper_count == 0) {
		place->keeper_count = nearest_known(records, home, place->keepers);
		place->until = mono_add_ms(now, PLACE_FAILED_MS);
	}
	put_located(records, home);
	fetch_located(records, home);
	list_for_each_safe (link, &records->locates) {
		struct locate *locate = list_entry(link, struct locate, link);

		if (home_id(&locate->home) == id)
			locate_end(records, locate);
	}
}

void locate_init(struct records *records)
{
	list_init(&records->places);
	list_init(&records->locates);
	map_init(&records->places_by_id, prng_next(&records->prng));
}

void locate_deinit(struct records *records)
{
	list_for_each_safe (link, &records->places)
		place_free(records, list_entry(link, struct place, link));
	list_for_each_safe (link, &records->locates)
		free(list_entry(link, struct locate, link));
	map_deinit(&records->places_by_id);
}

size_t records_nearest(const struct records *records, const struct uid *uid,
		       struct contact *ret_contacts, size_t max)
{
	const struct record_steward *nearest[RECORDS_KEEPERS];
	size_t count = stewards_nearest(&records->stewards, home_position(uid),
					max < RECORDS_KEEPERS ? max : RECORDS_KEEPERS, nearest);

	for (size_t i = 0; i < count; i++)
		ret_contacts[i] = nearest[i]->contact;
	return count;
}
