/* SPDX-License-Identifier: Apache-2.0 */
#include "records/home.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/sha256.h"
#include "records/internal.h"

enum {
	CHANGES_MAX = 8,                    /* beyond, all homes are looked at again */
	NEAR_STEWARDS = RECORDS_AROUND + 4, /* of those around a home others may not know so many */
};

static_assert(sizeof(uint64_t) == UID_HOME_LEN, "a home is a number");

uint64_t home_id(const struct uid *uid)
{
	uint64_t id;

	memcpy(&id, uid->byte, sizeof(id));
	return id;
}

uint64_t home_position(const struct uid *uid)
{
	struct digest digest = sha256(bytes_of(uid->byte, UID_HOME_LEN));

	return position_of(&digest);
}

uint64_t records_home_position(const struct uid *uid)
{
	return home_position(uid);
}

const struct uid *record_home(const struct record *record)
{
	bool of_object = record->key.kind == RECORD_TOMBSTONE && !uid_is_none(&record->object.uid);

	return of_object ? &record->object.uid : &record->key.uid;
}

static struct bytes home_key(const uint64_t *id)
{
	return bytes_of(id, sizeof(*id));
}

static bool is_self(const struct records *records, const struct node_id *id)
{
	return node_id_equal(id, &records->config.self);
}

struct home *home_find(const struct records *records, const struct uid *uid)
{
	uint64_t id = home_id(uid);

	return map_get(&records->homes, home_key(&id));
}

/* ---- partners ---- */

struct partner *partner_find(const struct records *records, const struct node_id *id)
{
	return map_get(&records->partners, bytes_of(id->byte, ID_LEN));
}

static struct partner *partner_get(struct records *records, const struct record_steward *steward)
{
	struct partner *partner = partner_find(records, &steward->contact.id);

	if (!partner) {
		partner = mem_new(struct partner);
		partner->position = steward->position;
		partner->sync_at = MONO_NEVER;
		(void)map_put(&records->partners, bytes_of(steward->contact.id.byte, ID_LEN),
			      partner);
	}
	partner->contact = steward->contact;
	return partner;
}

/* We share more with it than before: it may lack that, or have more of it. */
static void partner_grow(struct records *records, struct partner *partner)
{
	struct mono soon =
		mono_add_ms(records->now, prng_jitter(&records->prng, RECORDS_REPAIR_MS));

	partner->settled = partner->same = false;
	partner->sync_at = mono_min(partner->sync_at, soon);
	records->repair_at = mono_min(records->repair_at, partner->sync_at);
}

void partners_compare(struct records *records)
{
	map_for_each (entry, &records->partners)
		partner_grow(records, entry->value);
}

static void tell_partner(struct records *records, struct partner *partner, bool near)
{
	struct records_effect *effect;

	if (partner->known == near || !records->large)
		return;
	partner->known = near;
	effect = effect_queue(records, RECORDS_NEAR, NULL);
	effect->to = partner->contact.id;
	effect->addr = partner->contact.addr;
	effect->near = near;
}

void partners_sweep(struct records *records)
{
	map_for_each (entry, &records->partners) {
		struct partner *partner = entry->value;

		tell_partner(records, partner, partner->lasting > 0);
		if (partner->homes > 0)
			continue;
		(void)map_remove(&records->partners, bytes_of(partner->contact.id.byte, ID_LEN));
		free(partner);
	}
}

/* ---- who keeps a home ---- */

static bool home_has_keeper(const struct home *home, const struct partner *partner)
{
	for (size_t i = 0; i < home->keeper_count; i++)
		if (home->keepers[i] == partner)
			return true;
	return false;
}

bool home_is_shared(const struct records *records, const struct item *item,
		    const struct partner *partner)
{
	if (!records->large)
		return true;
	return item->home->mine && item->kept && partner && home_has_keeper(item->home, partner);
}

/* What of @home is kept, in the eyes of those who keep it with us. */
static uint64_t home_fold(const struct home *home)
{
	uint64_t fold = 0;

	list_for_each (link, &home->items) {
		const struct item *item = list_entry(link, struct item, in_home);

		fold ^= item->kept ? item->fold : 0;
	}
	return fold;
}

/* What is not ours any more need not be watched over by us: it is dropped when all have it. */
static bool home_is_guarded(const struct home *home)
{
	return home->mine && home->durable_count > 0;
}

/* The home's first durable record has come, or the last one has gone. */
static void home_guard(struct records *records, struct home *home, bool guarded)
{
	for (size_t i = 0; home->mine && i < home->keeper_count; i++) {
		home->keepers[i]->lasting += guarded;
		home->keepers[i]->lasting -= !guarded;
		tell_partner(records, home->keepers[i], home->keepers[i]->lasting > 0);
	}
}

static void home_leave_keepers(struct home *home)
{
	uint64_t fold = home->mine ? home_fold(home) : 0;

	for (size_t i = 0; i < home->keeper_count; i++) {
		home->keepers[i]->homes--;
		home->keepers[i]->lasting -= home_is_guarded(home);
		home->keepers[i]->fold ^= fold;
	}
	home->keeper_count = 0;
}

/* Copies become kept ones. */
static void home_adopt(struct records *records, struct home *home)
{
	list_for_each (link, &home->items) {
		struct item *item = list_entry(link, struct item, in_home);

		if (item->kept || item->doubted)
			continue;
		item->kept = true;
		home->kept_count++;
		home->durable_count += kind_is_durable(item->shown.record.key.kind);
		if (records->config.keeper && kind_is_durable(item->shown.record.key.kind))
			effect_queue(records, RECORDS_PERSIST, item);
	}
}

/* Not ours any more: others shall have it, and then it goes, but not soon: who is nearer may be
 * gone again in a moment. */
static void home_release(struct records *records, struct home *home)
{
	home->offer_at = mono_add_ms(records->now, prng_jitter(&records->prng, RECORDS_REPAIR_MS));
	home->offers = 0;
	home->drop_at = mono_add_ms(records->now, RECORDS_DROP_MS);
	records->repair_at = mono_min(records->repair_at, home->offer_at);
}

static void home_forget_offers(struct home *home)
{
	list_for_each (link, &home->items)
		list_entry(link, struct item, in_home)->had = 0;
}

static bool keepers_are(const struct home *home, const struct records *records,
			const struct record_steward **nearest, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		if (is_self(records, &nearest[i]->contact.id))
			continue;
		if (at == home->keeper_count ||
		    !node_id_equal(&home->keepers[at]->contact.id, &nearest[i]->contact.id))
			return false;
		at++;
	}
	return at == home->keeper_count;
}

static void home_set_keepers(struct records *records, struct home *home, const struct home *old,
			     const struct record_steward **nearest, size_t count)
{
	uint64_t fold = home->mine ? home_fold(home) : 0;

	for (size_t i = 0; i < count; i++) {
		struct partner *partner;

		if (is_self(records, &nearest[i]->contact.id))
			continue;
		partner = partner_get(records, nearest[i]);
		partner->homes++;
		partner->fold ^= fold;
		partner->lasting += home_is_guarded(home);
		home->keepers[home->keeper_count++] = partner;
		if (partner->lasting > 0)
			tell_partner(records, partner, true);
		if (home->mine && home->durable_count > 0 && !home_has_keeper(old, partner))
			partner_grow(records, partner);
	}
}

static bool has_self(const struct records *records, const struct record_steward **list,
		     size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_self(records, &list[i]->contact.id))
			return true;
	return false;
}

/* Somebody who knows fewer of those around than we do may take us for a keeper. */
static bool is_near(const struct records *records, uint64_t position)
{
	const struct record_steward *nearest[NEAR_STEWARDS];
	size_t count = stewards_nearest(&records->stewards, position, NEAR_STEWARDS, nearest);

	return has_self(records, nearest, count);
}

/* Who keeps it now? */
static void home_place(struct records *records, struct home *home)
{
	const struct record_steward *nearest[RECORDS_KEEPERS];
	bool mine, was = home->mine, was_far = home->far;
	struct home old;
	size_t count;

	count = stewards_keepers(&records->stewards, home->position, nearest, &home->radius);
	mine = has_self(records, nearest, count);
	home->far = !mine && home->kept_count > 0 && !is_near(records, home->position);
	if (home->far && was_far)
		return;
	if (home->far || (!mine && home->kept_count == 0))
		count = 0;
	if (mine == was && keepers_are(home, records, nearest, count))
		return;
	old = *home;
	home_leave_keepers(home);
	home->mine = mine;
	if (mine && !was)
		home_adopt(records, home);
	home_set_keepers(records, home, &old, nearest, count);
	home_forget_offers(home);
	if (!mine && was)
		home_release(records, home);
	else if (!mine)
		home->offer_at = mono_min(home->offer_at, records->now);
	records->repair_at = mono_min(records->repair_at, home->offer_at);
}

bool home_find_keepers(struct records *records, struct home *home)
{
	struct item *first = list_first(&home->items, struct item, in_home);
	const struct record_steward *nearest[RECORDS_KEEPERS];
	struct contact contacts[RECORDS_KEEPERS];
	struct record_steward list[RECORDS_KEEPERS];
	struct home old = *home;
	size_t count;

	if (!home->far)
		return true;
	if (!place_keepers(records, record_home(&first->shown.record), contacts, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		list[i] =
			(struct record_steward){contacts[i], position_of_machine(&contacts[i].id)};
		nearest[i] = &list[i];
	}
	if (keepers_are(home, records, nearest, count))
		return true;
	home_leave_keepers(home);
	home_set_keepers(records, home, &old, nearest, count);
	home_forget_offers(home);
	return true;
}

enum home_claim home_claim(const struct records *records, const struct uid *uid)
{
	const struct record_steward *keepers[RECORDS_KEEPERS];
	uint64_t position;
	size_t count;

	if (!records->large)
		return HOME_MINE;
	if (!records->config.keeper)
		return HOME_FAR;
	position = home_position(uid);
	if (!is_near(records, position))
		return HOME_FAR;
	count = stewards_in_order(&records->stewards, position, RECORDS_KEEPERS, keepers);
	return has_self(records, keepers, count) ? HOME_MINE : HOME_NEAR;
}

bool home_is_wanted(const struct records *records, const struct record_key *key)
{
	if (records->unsized)
		return false;
	return key->kind == RECORD_TOMBSTONE || home_claim(records, &key->uid) != HOME_FAR;
}

/* ---- items ---- */

static bool is_kept_durable(const struct item *item)
{
	return item->kept && kind_is_durable(item->shown.record.key.kind);
}

static struct home *home_get(struct records *records, const struct uid *uid)
{
	struct home *home = home_find(records, uid);

	if (home)
		return home;
	home = mem_new(struct home);
	home->id = home_id(uid);
	home->offer_at = MONO_NEVER;
	home->drop_at = home->copy_until = records->now;
	list_init(&home->items);
	(void)map_put(&records->homes, home_key(&home->id), home);
	home->mine = !records->large;
	if (!records->large)
		return home;
	home->position = home_position(uid);
	home_place(records, home);
	return home;
}

/* What both of us keep has changed by @item. */
static void home_fold_item(struct home *home, const struct item *item)
{
	if (!home->mine || !item->kept)
		return;
	for (size_t i = 0; i < home->keeper_count; i++)
		home->keepers[i]->fold ^= item->fold;
}

void home_insert(struct records *records, struct item *item)
{
	struct home *home;

	if (records->config.alone) {
		item->kept = true;
		return;
	}
	home = home_get(records, record_home(&item->shown.record));
	item->home = home;
	item->kept = !item->doubted && (item->kept || home->mine);
	item->heard = records->now;
	if (!item->kept)
		home->copy_until = mono_add_ms(records->now, RECORDS_COPY_MS);
	list_append(&home->items, &item->in_home);
	home->count++;
	home->kept_count += item->kept;
	if (item->kept && !home->mine && home->kept_count == 1)
		home_place(records, home);
	if (is_kept_durable(item) && home->durable_count++ == 0)
		home_guard(records, home, true);
	if (item->kept && !home->mine && home->offer_at.us == MONO_NEVER.us)
		home_release(records, home);
	home_fold_item(home, item);
	records->fold ^= item->doubted ? 0 : item->fold;
}

void home_remove(struct records *records, struct item *item)
{
	struct home *home = item->home;

	if (!home)
		return;
	home_fold_item(home, item);
	records->fold ^= item->doubted ? 0 : item->fold;
	list_remove(&item->in_home);
	home->count--;
	home->kept_count -= item->kept;
	if (is_kept_durable(item) && --home->durable_count == 0)
		home_guard(records, home, false);
	if (!home->mine && home->kept_count == 0)
		home_leave_keepers(home);
	item->home = NULL;
	if (home->count > 0)
		return;
	home_leave_keepers(home);
	(void)map_remove(&records->homes, home_key(&home->id));
	free(home);
}

/* ---- the stewards change ---- */

static bool home_is_touched(const struct home *home, const uint64_t *positions, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if ((positions[i] ^ home->position) <= home->radius)
			return true;
	return false;
}

static void place_touched(struct records *records, const uint64_t *positions, size_t count)
{
	map_for_each (entry, &records->homes) {
		struct home *home = entry->value;

		if (count > CHANGES_MAX || home_is_touched(home, positions, count))
			home_place(records, home);
	}
}

/* From one mode to the other: all homes are placed anew. */
static void homes_switch(struct records *records, bool large)
{
	map_for_each (entry, &records->homes)
		home_leave_keepers(entry->value);
	map_for_each (entry, &records->partners) {
		struct partner *partner = entry->value;

		tell_partner(records, partner, false);
		partner->homes = partner->lasting = 0;
		partner->fold = 0;
	}
	records->large = large;
	map_for_each (entry, &records->homes) {
		struct home *home = entry->value;

		if (large) {
			struct item *first = list_first(&home->items, struct item, in_home);

			home->position = home_position(record_home(&first->shown.record));
			home_place(records, home);
		} else {
			home->mine = true;
			home->offer_at = MONO_NEVER;
			home_adopt(records, home);
		}
	}
}

/* Where all keep all, everybody else is a partner. */
static void partners_of_all(struct records *records)
{
	map_for_each (entry, &records->partners)
		((struct partner *)entry->value)->homes = 0;
	for (size_t i = 0; i < records->stewards.count; i++) {
		const struct record_steward *steward = &records->stewards.list[i];

		if (is_self(records, &steward->contact.id))
			continue;
		partner_get(records, steward)->homes = 1;
	}
}

/* The address of a partner may be another one now. */
static void partners_readdress(struct records *records)
{
	for (size_t i = 0; i < records->stewards.count; i++) {
		const struct contact *contact = &records->stewards.list[i].contact;
		struct partner *partner = partner_find(records, &contact->id);

		if (partner)
			partner->contact = *contact;
	}
}

/* Does it concern what we keep, also where nothing is yet? */
static bool is_around(const struct records *records, const uint64_t *positions, size_t count)
{
	const struct record_steward *nearest[2 * RECORDS_AROUND];
	size_t known = stewards_nearest(&records->stewards, records->position, ARRAY_LEN(nearest),
					nearest);
	uint64_t radius = known < ARRAY_LEN(nearest)
				  ? UINT64_MAX
				  : nearest[known - 1]->position ^ records->position;

	for (size_t i = 0; i < count && i < CHANGES_MAX; i++)
		if ((positions[i] ^ records->position) <= radius)
			return true;
	return count > CHANGES_MAX;
}

static void partners_unsettle(struct records *records)
{
	map_for_each (entry, &records->partners) {
		struct partner *partner = entry->value;

		partner->settled = partner->same = false;
	}
}

void homes_update(struct records *records, const struct record_steward *list, size_t count,
		  bool all)
{
	struct stewards old = records->stewards;
	uint64_t positions[CHANGES_MAX];
	size_t changes;

	records->stewards = (struct stewards){0};
	stewards_set(&records->stewards, list, count);
	if (records->large == all)
		homes_switch(records, !all);
	changes = stewards_differ(&old, &records->stewards, CHANGES_MAX, positions);
	stewards_deinit(&old);
	if (all) {
		partners_of_all(records);
	} else if (changes > 0) {
		place_touched(records, positions, changes);
		partners_readdress(records);
		if (is_around(records, positions, changes))
			partners_unsettle(records);
	}
	partners_sweep(records);
	if (records->partners.count > 0)
		records->sole_at = mono_add_ms(records->now, RECORDS_SOLE_MS);
}

/* ---- from when on deletions are known ---- */

/* Alone for a while: whatever was deleted, was deleted here. */
static bool is_sole(const struct records *records)
{
	return records->partners.count == 0 && mono_reached(records->now, records->sole_at);
}

int64_t partner_complete_since(const struct records *records, const struct partner *partner)
{
	int64_t since = 0;

	if (partner && partner->complete_since)
		return partner->complete_since;
	map_for_each (entry, &records->partners) {
		const struct partner *other = entry->value;

		if (other->settled && other->complete_since > since)
			since = other->complete_since;
	}
	return since ? since : records->sole_since;
}

/* Each knew all of a part of what we share since its own time; now both know both. */
void partner_settle(struct records *records, struct partner *partner, int64_t complete_since)
{
	int64_t ours = partner_complete_since(records, partner);

	if (partner->settled)
		return;
	partner->settled = true;
	partner->complete_since = complete_since > ours ? complete_since : ours;
	if (partner->complete_since == 0)
		partner->complete_since = records->fabric.ms;
}

int64_t home_complete_since(const struct records *records, uint64_t position)
{
	const struct record_steward *nearest[RECORDS_KEEPERS];
	int64_t since = 0;
	size_t count;

	if (!records->config.keeper)
		return 0;
	count = stewards_in_order(&records->stewards, position, RECORDS_KEEPERS, nearest);
	for (size_t i = 0; i < count; i++) {
		const struct partner *partner = partner_find(records, &nearest[i]->contact.id);

		if (partner && partner->settled && (since == 0 || partner->complete_since < since))
			since = partner->complete_since;
	}
	return since ? since : records->sole_since;
}

void homes_note_sole(struct records *records)
{
	if (records->sole_since == 0 && records->config.keeper && is_sole(records))
		records->sole_since = records->fabric.ms;
}

/* ---- life ---- */

void homes_init(struct records *records)
{
	map_init_borrowing(&records->homes, prng_next(&records->prng));
	map_init(&records->partners, prng_next(&records->prng));
	records->repair_at = MONO_NEVER;
	records->position = position_of_machine(&records->config.self);
}

void homes_deinit(struct records *records)
{
	map_for_each (entry, &records->homes)
		free(entry->value);
	map_for_each (entry, &records->partners)
		free(entry->value);
	map_deinit(&records->homes);
	map_deinit(&records->partners);
	stewards_deinit(&records->stewards);
}
