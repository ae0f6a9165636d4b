/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locate: who keeps a home that is not in our neighbourhood. It is looked up (by the caller: the
 * table of contacts is the overlay's) and remembered for RECORDS_PLACE_MS, or until one of those
 * named does not answer.
 *
 * A lookup names more machines than keep that home: all within some distance. It is remembered as a
 * *region*, and says who keeps the homes around it as well; a home near to one that is being looked
 * up waits for that. So a list of thousands of homes costs a lookup for every few machines, not one
 * for every home.
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
	REGIONS_MAX = 64,       /* 2 KiB each; beyond, the oldest is forgotten */
	REGION_SURE = 16, /* so many nearest are surely all that there are so near; machines name
			   * the 20 nearest that they know, and may miss some */
};

/* The stewards around @target: all that are within @radius, and some beyond. */
struct region {
	struct list link; /* of records.regions, oldest first */
	struct stewards stewards;
	uint64_t target, radius;
	struct mono since, until;
};

struct place {
	struct list link; /* of records.places, asked for longest ago first */
	struct uid home;
	uint64_t id, position;
	struct contact keepers[RECORDS_KEEPERS];
	size_t keeper_count;
	struct mono since, until;
	bool locating;
	bool deferred; /* locating: a lookup nearby, not its own */
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
		place->position = home_position(home);
		place->until = records->now;
		list_init(&place->link);
		(void)map_put(&records->places_by_id, place_key(&place->id), place);
	}
	list_remove(&place->link);
	list_append(&records->places, &place->link);
	return place;
}

/* ---- regions ---- */

static void region_free(struct records *records, struct region *region)
{
	list_remove(&region->link);
	records->region_count--;
	stewards_deinit(&region->stewards);
	free(region);
}

/* Nobody is nearer to @position than those it names: who was within its distance from there to the
 * eighth of them would be within @radius from @target. */
static bool region_covers(const struct region *region, uint64_t position)
{
	const struct record_steward *nearest[RECORDS_AROUND];
	size_t count = stewards_nearest(&region->stewards, position, RECORDS_AROUND, nearest);
	uint64_t away = position ^ region->target, reach;

	if (count < RECORDS_AROUND)
		return false;
	reach = nearest[count - 1]->position ^ position;
	return reach <= region->radius && away <= region->radius - reach;
}

static const struct region *region_find(struct records *records, uint64_t position)
{
	list_for_each_safe (link, &records->regions) {
		struct region *region = list_entry(link, struct region, link);

		if (mono_reached(records->now, region->until))
			region_free(records, region);
		else if (region_covers(region, position))
			return region;
	}
	return NULL;
}

static void regions_doubt(struct records *records, uint64_t position)
{
	list_for_each_safe (link, &records->regions) {
		struct region *region = list_entry(link, struct region, link);

		if (region_covers(region, position))
			region_free(records, region);
	}
}

/* The keepers to whom the lot falls, without ourselves: what we keep is known without a lookup. */
static void place_draw(const struct records *records, struct place *place,
		       const struct stewards *stewards)
{
	const struct record_steward *keepers[RECORDS_KEEPERS + 1];
	size_t count = stewards_in_order(stewards, place->position, ARRAY_LEN(keepers), keepers);

	place->keeper_count = 0;
	for (size_t i = 0; i < count && place->keeper_count < RECORDS_KEEPERS; i++)
		if (!node_id_equal(&keepers[i]->contact.id, &records->config.self))
			place->keepers[place->keeper_count++] = keepers[i]->contact;
}

static bool place_from_region(struct records *records, struct place *place)
{
	const struct region *region = region_find(records, place->position);

	if (!region)
		return false;
	place_draw(records, place, &region->stewards);
	place->since = region->since;
	place->until = region->until;
	return true;
}

/* Homes so near to each other probably have a region in common: half as far as the eighth steward
 * is from us, for they lie equally dense everywhere. */
static uint64_t region_width(const struct records *records)
{
	const struct record_steward *nearest[RECORDS_AROUND];
	size_t count =
		stewards_nearest(&records->stewards, records->position, RECORDS_AROUND, nearest);

	return count < RECORDS_AROUND ? 0 : (nearest[count - 1]->position ^ records->position) / 2;
}

static bool is_looked_up_nearby(const struct records *records, const struct place *place)
{
	uint64_t width = region_width(records);

	list_for_each (link, &records->places) {
		const struct place *other = list_entry(link, struct place, link);

		if (other != place && other->locating && !other->deferred &&
		    (other->position ^ place->position) <= width)
			return true;
	}
	return false;
}

static void place_look_up(struct records *records, struct place *place)
{
	struct records_effect *effect;

	if (place->locating)
		return;
	place->locating = true;
	place->deferred = is_looked_up_nearby(records, place);
	if (place->deferred)
		return;
	effect = effect_queue(records, RECORDS_LOCATE, NULL);
	effect->key.uid = place->home;
	effect->target = sha256(bytes_of(place->home.byte, UID_HOME_LEN));
}

/* Who keeps @home, of the stewards we know. */
static size_t nearest_known(const struct records *records, const struct uid *home,
			    struct contact ret_contacts[RECORDS_KEEPERS])
{
	const struct record_steward *nearest[RECORDS_KEEPERS];
	size_t count = stewards_in_order(&records->stewards, home_position(home), RECORDS_KEEPERS,
					 nearest);

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
	if (place->locating ||
	    (mono_reached(records->now, place->until) && !place_from_region(records, place))) {
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

	if (!place)
		return;
	place->until = records->now;
	regions_doubt(records, place->position);
}

void place_without(struct records *records, const struct uid *home, const struct node_id *id)
{
	struct place *place = place_find(records, home);

	list_for_each (link, &records->regions)
		stewards_remove(&list_entry(link, struct region, link)->stewards, id);
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

/* The stewards that were found, and ourselves, who may be near and to whom the lot did not fall. */
static struct region *region_new(struct records *records, uint64_t target,
				 const struct contact *contacts, size_t count)
{
	struct region *region = mem_new(struct region);
	struct record_steward *list = mem_alloc(count + 1, sizeof(*list));
	const struct record_steward *nearest[REGION_SURE];
	size_t known = 0;

	for (size_t i = 0; i < count; i++)
		if (contacts[i].steward)
			list[known++] = (struct record_steward){
				contacts[i], position_of_machine(&contacts[i].id)};
	if (records->config.keeper)
		list[known++] = (struct record_steward){.contact.id = records->config.self,
							.position = records->position};
	stewards_set(&region->stewards, list, known);
	free(list);
	region->target = target;
	known = stewards_nearest(&region->stewards, target, REGION_SURE, nearest);
	region->radius = known ? nearest[known - 1]->position ^ target : 0;
	region->since = records->now;
	region->until = mono_add_ms(records->now, prng_jitter(&records->prng, RECORDS_PLACE_MS));
	if (records->region_count == REGIONS_MAX)
		region_free(records, list_first(&records->regions, struct region, link));
	list_append(&records->regions, &region->link);
	records->region_count++;
	return region;
}

/* Those who wait for the keepers of @place. */
static void place_tell(struct records *records, const struct place *place)
{
	const struct uid home = place->home;

	put_located(records, &home);
	fetch_located(records, &home);
	list_for_each_safe (link, &records->locates) {
		struct locate *locate = list_entry(link, struct locate, link);

		if (home_id(&locate->home) == home_id(&home))
			locate_end(records, locate);
	}
}

/* Those that waited for a lookup nearby: it has told, or they are looked up themselves. */
static void places_resume(struct records *records)
{
	struct place **waiting = mem_alloc(records->places_by_id.count, sizeof(struct place *));
	size_t count = 0;

	list_for_each (link, &records->places) {
		struct place *place = list_entry(link, struct place, link);

		if (place->deferred)
			waiting[count++] = place;
	}
	/* While one is locating it is not freed. */
	for (size_t i = 0; i < count; i++) {
		waiting[i]->deferred = waiting[i]->locating = false;
		if (place_from_region(records, waiting[i]))
			place_tell(records, waiting[i]);
		else
			place_look_up(records, waiting[i]);
	}
	free(waiting);
}

void records_located(struct records *records, struct mono now, const struct uid *home,
		     const struct contact *contacts, size_t count)
{
	struct place *place = place_get(records, home);
	struct region *region;

	records->now = now;
	place->locating = place->deferred = false;
	place->since = now;
	region = region_new(records, place->position, contacts, count);
	place_draw(records, place, &region->stewards);
	place->until = region->until;
	if (count == 0)
		region_free(records, region);
	if (place->keeper_count == 0) {
		place->keeper_count = nearest_known(records, home, place->keepers);
		place->until = mono_add_ms(now, PLACE_FAILED_MS);
	}
	place_tell(records, place);
	places_resume(records);
}

void locate_init(struct records *records)
{
	list_init(&records->places);
	list_init(&records->regions);
	list_init(&records->locates);
	map_init(&records->places_by_id, prng_next(&records->prng));
}

void locate_deinit(struct records *records)
{
	list_for_each_safe (link, &records->places)
		place_free(records, list_entry(link, struct place, link));
	list_for_each_safe (link, &records->regions)
		region_free(records, list_entry(link, struct region, link));
	list_for_each_safe (link, &records->locates)
		free(list_entry(link, struct locate, link));
	map_deinit(&records->places_by_id);
}

size_t records_nearest(const struct records *records, const struct uid *uid,
		       struct contact *ret_contacts, size_t max)
{
	const struct record_steward *nearest[RECORDS_KEEPERS];
	size_t count = stewards_in_order(&records->stewards, home_position(uid),
					 max < RECORDS_KEEPERS ? max : RECORDS_KEEPERS, nearest);

	for (size_t i = 0; i < count; i++)
		ret_contacts[i] = nearest[i]->contact;
	return count;
}
