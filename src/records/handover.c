/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hand-over: a home that we do not keep any more is offered to those who do.
 *
 *	A -> B   SYNC_OFFER   keys and versions
 *	A <- B   SYNC_WANT    what B lacks, or has older: A sends it, and offers it again later
 *	A <- B   SYNC_HAVE    what B has in that version or a newer one, durable kinds on its disk
 *
 * A drops a record when all its keepers have it and RECORDS_DROP_MS have passed; not earlier, for
 * who came in between may be gone again soon. Offers are few and slow: a home that was left at once
 * by many machines is brought to its keepers by those who still keep it. Where A is far from the
 * home it does not go by those it knows: the keepers are looked up.
 */
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "records/internal.h"

enum {
	OFFER_AGAIN_MS = 5000, /* for what was wanted to arrive and be stored; then twice that, */
	OFFER_CALM_MS = 60 * 1000, /* up to this; and when all have it, but it is not time to drop
				    * it */
	OFFER_HOMES_MAX = 256,     /* in one tick: the rest with the next one */
	OFFER_LOOKUPS_MAX = 16,    /* of keepers, in one tick: each asks a dozen machines */
	OFFER_TICK_MS = 1000,
};

/* An offer to one keeper that is being gathered. */
struct draft {
	struct partner *to;
	struct sync_offer offer;
};

static void draft_send(struct records *records, struct draft *draft)
{
	struct records_effect *effect;

	if (draft->offer.entry_count == 0)
		return;
	effect = effect_queue(records, RECORDS_SEND, NULL);
	effect->to = draft->to->contact.id;
	effect->addr = draft->to->contact.addr;
	effect->message.type = MESSAGE_SYNC_OFFER;
	effect->message.sync_offer = draft->offer;
	effect->message.sync_offer.apart_ms = records_apart_since(records);
	draft->offer = (struct sync_offer){0};
}

static void draft_add(struct records *records, struct draft *draft, const struct item *item)
{
	if (!draft->offer.entries)
		draft->offer.entries =
			mem_alloc(MESSAGE_SYNC_KEYS_MAX, sizeof(*draft->offer.entries));
	draft->offer.entries[draft->offer.entry_count++] = (struct sync_entry){
		.key = item->shown.record.key,
		.version = item->shown.record.version,
	};
	if (draft->offer.entry_count == MESSAGE_SYNC_KEYS_MAX)
		draft_send(records, draft);
}

static struct draft *draft_of(struct map *drafts, struct partner *to)
{
	struct bytes key = bytes_of(to->contact.id.byte, ID_LEN);
	struct draft *draft = map_get(drafts, key);

	if (draft)
		return draft;
	draft = mem_new(struct draft);
	draft->to = to;
	(void)map_put(drafts, key, draft);
	return draft;
}

static uint8_t all_keepers(const struct home *home)
{
	return (uint8_t)((1U << home->keeper_count) - 1);
}

/* Nobody to give it to is no reason to drop it. */
static bool is_safe(const struct home *home, const struct item *item)
{
	return fault_is_planted(FAULT_HANDOVER) ||
	       (home->keeper_count == RECORDS_KEEPERS && item->had == all_keepers(home));
}

/* Longer from offer to offer: who does not take it now has a reason. */
static int64_t again_ms(struct home *home)
{
	int64_t ms = (int64_t)OFFER_AGAIN_MS << home->offers;

	if (ms >= OFFER_CALM_MS)
		return OFFER_CALM_MS;
	home->offers++;
	return ms;
}

static bool is_all_had(const struct home *home)
{
	list_for_each (link, &home->items) {
		const struct item *item = list_entry(link, struct item, in_home);

		if (item->kept && item->had != all_keepers(home))
			return false;
	}
	return home->keeper_count > 0;
}

static void home_offer(struct records *records, struct home *home, struct map *drafts)
{
	bool all = true;

	list_for_each (link, &home->items) {
		const struct item *item = list_entry(link, struct item, in_home);

		for (size_t i = 0; item->kept && i < home->keeper_count; i++) {
			if (item->had & 1U << i)
				continue;
			all = false;
			draft_add(records, draft_of(drafts, home->keepers[i]), item);
		}
	}
	home->offer_at = mono_add_ms(
		records->now, prng_jitter(&records->prng, all ? OFFER_CALM_MS : again_ms(home)));
}

/* True: all that was kept of it has gone, maybe the home itself. */
static bool home_drop(struct records *records, struct home *home)
{
	size_t left = home->kept_count;

	if (!fault_is_planted(FAULT_HANDOVER) && !mono_reached(records->now, home->drop_at))
		return false;
	list_for_each_safe (link, &home->items) {
		struct item *item = list_entry(link, struct item, in_home);

		if (!item->kept || !is_safe(home, item))
			continue;
		merge_drop(records, item);
		if (--left == 0)
			return true; /* the home may have gone with it */
	}
	return false;
}

void handover_tick(struct records *records)
{
	size_t budget = OFFER_HOMES_MAX, lookups = OFFER_LOOKUPS_MAX;
	struct map drafts;

	if (!records->large)
		return;
	map_init(&drafts, records->token);
	map_for_each (entry, &records->homes) {
		struct home *home = entry->value;

		if (home->mine || home->kept_count == 0)
			continue;
		if (mono_reached(records->now, home->offer_at) && budget > 0) {
			if (home_drop(records, home))
				continue;
			budget--;
			if (is_all_had(home) || home_find_keepers(records, home))
				home_offer(records, home, &drafts);
			else if (--lookups > 0)
				home->offer_at = mono_add_ms(records->now, OFFER_TICK_MS);
			else
				break;
		}
		records->repair_at = mono_min(records->repair_at, home->offer_at);
	}
	if (budget == 0 || lookups == 0)
		records->repair_at =
			mono_min(records->repair_at, mono_add_ms(records->now, OFFER_TICK_MS));
	map_for_each (entry, &drafts) {
		struct draft *draft = entry->value;

		draft_send(records, draft);
		free(draft->offer.entries);
		free(draft);
	}
	map_deinit(&drafts);
}

/* ---- the keeper ---- */

/* Who is about to hand it over as well is no keeper: two of those may not rely on each other. */
static bool has_for_good(const struct item *item, const struct record_version *version)
{
	const struct record *record = &item->shown.record;

	return item->kept && item->home && item->home->mine &&
	       record_version_compare(&record->version, version) >= 0 &&
	       (item->shown.durable || !kind_is_durable(record->key.kind));
}

/* A deleted object needs no keeper. */
static bool is_over(const struct records *records, const struct record_key *key)
{
	const struct item *tombstone = table_tombstone(records, &key->uid);

	return key->kind == RECORD_OBJECT && tombstone && tombstone->shown.durable;
}

static bool is_wanted(const struct records *records, const struct sync_entry *entry,
		      const struct item *known)
{
	if (known)
		return record_version_compare(&known->shown.record.version, &entry->version) < 0;
	return home_is_wanted(records, &entry->key);
}

void handover_offered(struct records *records, const struct node_id *from,
		      const struct sync_offer *offer)
{
	struct sync_offer have = {0};
	struct sync_want want = {0};

	if (!records->config.keeper || offer->entry_count == 0)
		return;
	apart_heard(records, from, offer->apart_ms);
	have.entries = mem_alloc(offer->entry_count, sizeof(*have.entries));
	want.keys = mem_alloc(offer->entry_count, sizeof(*want.keys));
	for (size_t i = 0; i < offer->entry_count; i++) {
		const struct sync_entry *entry = &offer->entries[i];
		const struct item *known = table_find(records, &entry->key);

		if ((known && has_for_good(known, &entry->version)) ||
		    is_over(records, &entry->key))
			have.entries[have.entry_count++] = *entry;
		else if (is_wanted(records, entry, known) && want_may_ask(records, from, entry))
			want.keys[want.key_count++] = entry->key;
	}
	if (have.entry_count > 0)
		effect_send(records, from, MESSAGE_SYNC_HAVE)->sync_offer = have;
	else
		free(have.entries);
	if (want.key_count > 0)
		effect_send(records, from, MESSAGE_SYNC_WANT)->sync_want = want;
	else
		free(want.keys);
}

/* ---- the machine that was one ---- */

static void keeper_has(struct records *records, const struct node_id *from,
		       const struct record_key *key, const struct record_version *version)
{
	struct item *item = table_find(records, key);

	if (!item || !item->home || item->home->mine ||
	    record_version_compare(version, &item->shown.record.version) < 0)
		return;
	for (size_t i = 0; i < item->home->keeper_count; i++)
		if (node_id_equal(&item->home->keepers[i]->contact.id, from))
			item->had |= (uint8_t)(1U << i);
}

void handover_had(struct records *records, const struct node_id *from,
		  const struct sync_offer *have)
{
	for (size_t i = 0; i < have->entry_count; i++)
		keeper_has(records, from, &have->entries[i].key, &have->entries[i].version);
}

void handover_acked(struct records *records, const struct node_id *from,
		    const struct record_ack *ack)
{
	if (records->large && ack->stored)
		keeper_has(records, from, &ack->key, &ack->version);
}
