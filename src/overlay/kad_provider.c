/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider sets: those kept here, and the things we provide.
 *
 * What a keeper defends: an entry is the sender's own, never a third one's; a key is taken only by
 * a machine that is plausibly near to it; each machine is listed in at most KAD_PER_PROVIDER_MAX
 * sets; and when all sets are taken, a machine listed in many gives way to one listed in few, so
 * that nobody can push out the rare things of others by providing a lot.
 *
 * What a provider does: looks up the keepers and tells them, again and again: often while they
 * change, rarely while they stay. The entry carries how long it is wanted, 2.5 renewals.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "overlay/kad_internal.h"

enum {
	SWEEP_MS = 2 * 60 * 1000, /* memory of what has expired is given back */
	LIST_GROW = 4,
};

static struct bytes bytes_digest(const struct digest *key)
{
	return bytes_of(key->byte, sizeof(key->byte));
}

static struct bytes bytes_id(const struct node_id *id)
{
	return bytes_of(id->byte, sizeof(id->byte));
}

/* ---- sets kept here ---- */

static bool listing_has_expired(const struct kad *kad, const struct kad_listing *listing)
{
	return kad_heard_at(kad->now) >= listing->expires && !fault_is_planted(FAULT_KAD_EXPIRY);
}

static void listing_remove(struct kad *kad, struct kad_set *set, size_t at)
{
	struct kad_provider *provider = set->list[at].provider;

	set->list[at] = set->list[--set->count];
	kad->entry_count--;
	if (--provider->sets > 0)
		return;
	(void)map_remove(&kad->providers, bytes_id(&provider->contact.id));
	free(provider);
}

static void set_remove(struct kad *kad, struct kad_set *set)
{
	while (set->count > 0)
		listing_remove(kad, set, set->count - 1U);
	(void)map_remove(&kad->sets, bytes_digest(&set->key));
	free(set->list);
	free(set);
}

static void set_expire(struct kad *kad, struct kad_set *set)
{
	for (size_t i = set->count; i-- > 0;) {
		if (listing_has_expired(kad, &set->list[i]))
			listing_remove(kad, set, i);
	}
}

/* The fewest sets that one of its providers is listed in: what it would cost to lose it. */
static uint32_t set_weight(const struct kad_set *set)
{
	uint32_t weight = UINT32_MAX;

	for (size_t i = 0; i < set->count; i++) {
		if (set->list[i].provider->sets < weight)
			weight = set->list[i].provider->sets;
	}
	return weight;
}

/* Room for one more set of a machine that is listed in @sets: the greediest gives way, if it is
 * listed in more. Of equal ones the oldest set goes. */
static bool sets_make_room(struct kad *kad, uint32_t sets)
{
	struct kad_set *victim = NULL;
	uint32_t most = sets + 1;

	if (kad->sets.count < KAD_KEYS_MAX)
		return true;
	map_for_each (entry, &kad->sets) {
		struct kad_set *set = entry->value;
		uint32_t weight = set_weight(set);

		if (weight > most) {
			most = weight;
			victim = set;
		}
	}
	if (victim)
		set_remove(kad, victim);
	return victim;
}

/* Are fewer than KAD_BUCKET machines known that are nearer? Keepers are the nearest KAD_KEEPERS. */
static bool is_plausible_keeper(const struct kad *kad, uint64_t position)
{
	const struct kad_entry *nearest[KAD_BUCKET];
	size_t count = kad_table_nearest(&kad->table, position, true, nearest, KAD_BUCKET);

	return count < KAD_BUCKET ||
	       (nearest[count - 1]->position ^ position) > (kad->table.self ^ position);
}

static struct kad_provider *provider_of(struct kad *kad, const struct contact *contact)
{
	struct kad_provider *provider = map_get(&kad->providers, bytes_id(&contact->id));

	if (!provider) {
		provider = mem_new(struct kad_provider);
		(void)map_put(&kad->providers, bytes_id(&contact->id), provider);
	}
	provider->contact = *contact;
	return provider;
}

static struct kad_set *set_of(struct kad *kad, const struct digest *key)
{
	struct kad_set *set = map_get(&kad->sets, bytes_digest(key));

	if (!set) {
		set = mem_new(struct kad_set);
		set->key = *key;
		(void)map_put(&kad->sets, bytes_digest(key), set);
	}
	return set;
}

static struct kad_listing *set_find(const struct kad_set *set, const struct node_id *id)
{
	for (size_t i = 0; set && i < set->count; i++) {
		if (node_id_equal(&set->list[i].provider->contact.id, id))
			return &set->list[i];
	}
	return NULL;
}

/* A full set is a sample: a random one gives way. */
static struct kad_listing *set_extend(struct kad *kad, struct kad_set *set)
{
	if (set->count == KAD_PROVIDERS_MAX || kad->entry_count == KAD_ENTRIES_MAX) {
		assert(set->count > 0);
		listing_remove(kad, set, prng_below(&kad->prng, set->count));
	}
	if (set->count == set->cap) {
		set->cap = (uint8_t)(set->cap + LIST_GROW);
		set->list = mem_resize(set->list, set->cap, sizeof(set->list[0]));
	}
	kad->entry_count++;
	return &set->list[set->count++];
}

static bool may_be_listed(struct kad *kad, const struct digest *key, const struct node_id *id)
{
	const struct kad_provider *provider = map_get(&kad->providers, bytes_id(id));
	uint32_t sets = provider ? provider->sets : 0;
	const struct kad_set *set = map_get(&kad->sets, bytes_digest(key));

	if (sets >= KAD_PER_PROVIDER_MAX || !is_plausible_keeper(kad, kad_prefix(key)))
		return false;
	if (set)
		return set->count > 0 || kad->entry_count < KAD_ENTRIES_MAX;
	return kad->entry_count < KAD_ENTRIES_MAX && sets_make_room(kad, sets);
}

void kad_provider_store(struct kad *kad, const struct contact *from, const struct digest *key,
			uint32_t ttl_s)
{
	struct kad_listing *listing = set_find(map_get(&kad->sets, bytes_digest(key)), &from->id);
	int64_t ttl_ms = (int64_t)ttl_s * MS_PER_S;
	struct kad_provider *provider;
	struct kad_set *set;

	if (!listing) {
		if (!may_be_listed(kad, key, &from->id))
			return;
		set = set_of(kad, key);
		listing = set_extend(kad, set);
		provider = provider_of(kad, from);
		provider->sets++;
		listing->provider = provider;
	}
	listing->provider->contact = *from;
	if (ttl_ms > KAD_PROVIDER_TTL_MAX_MS)
		ttl_ms = KAD_PROVIDER_TTL_MAX_MS;
	listing->expires = kad_heard_at(mono_add_ms(kad->now, ttl_ms));
	kad->sweep_at = mono_min(kad->sweep_at, mono_add_ms(kad->now, SWEEP_MS));
}

void kad_provider_drop(struct kad *kad, const struct node_id *id, const struct digest *key)
{
	struct kad_set *set = map_get(&kad->sets, bytes_digest(key));
	struct kad_listing *listing = set_find(set, id);

	if (!listing)
		return;
	listing_remove(kad, set, (size_t)(listing - set->list));
	if (set->count == 0)
		set_remove(kad, set);
}

size_t kad_provider_sample(struct kad *kad, const struct digest *key, const struct node_id *except,
			   struct contact *ret_contacts, size_t max)
{
	const struct kad_set *set = map_get(&kad->sets, bytes_digest(key));
	size_t seen = 0;

	for (size_t i = 0; set && i < set->count; i++) {
		const struct contact *contact = &set->list[i].provider->contact;
		size_t at = seen;

		if (listing_has_expired(kad, &set->list[i]) || node_id_equal(&contact->id, except))
			continue;
		if (seen++ >= max)
			at = prng_below(&kad->prng, seen);
		if (at < max)
			ret_contacts[at] = *contact;
	}
	return seen < max ? seen : max;
}

static void sweep(struct kad *kad)
{
	map_for_each (entry, &kad->sets) {
		struct kad_set *set = entry->value;

		set_expire(kad, set);
		if (set->count == 0)
			set_remove(kad, set);
	}
	kad->sweep_at = kad->sets.count > 0 ? mono_add_ms(kad->now, SWEEP_MS) : MONO_NEVER;
}

/* ---- what we provide ---- */

static struct kad_provided *provided_find(const struct kad *kad, const struct digest *key)
{
	for (size_t i = 0; i < kad->provided_count; i++) {
		if (digest_equal(&kad->provided[i].key, key))
			return &kad->provided[i];
	}
	return NULL;
}

static void provided_remove(struct kad *kad, struct kad_provided *provided)
{
	struct kad_provided *end = kad->provided + --kad->provided_count;

	memmove(provided, provided + 1, (size_t)(end - provided) * sizeof(*provided));
}

static void schedule(struct kad *kad)
{
	kad->provide_at = MONO_NEVER;
	for (size_t i = 0; i < kad->provided_count; i++) {
		if (!kad->provided[i].running)
			kad->provide_at = mono_min(kad->provide_at, kad->provided[i].at);
	}
}

static void provided_begin(struct kad *kad, struct kad_provided *provided)
{
	struct kad_lookup *lookup = kad_lookup_start(
		kad, provided->withdrawn ? KAD_LOOKUP_WITHDRAW : KAD_LOOKUP_PROVIDE, &provided->key,
		NULL);

	if (lookup)
		provided->running = true;
	else
		provided->at = mono_add_ms(kad->now, prng_jitter(&kad->prng, KAD_PROVIDE_RETRY_MS));
}

void kad_provider_tick(struct kad *kad)
{
	if (mono_reached(kad->now, kad->sweep_at))
		sweep(kad);
	if (!mono_reached(kad->now, kad->provide_at))
		return;
	for (size_t i = 0; i < kad->provided_count; i++) {
		struct kad_provided *provided = &kad->provided[i];

		if (!provided->running && mono_reached(kad->now, provided->at))
			provided_begin(kad, provided);
	}
	schedule(kad);
}

int kad_provide(struct kad *kad, struct mono now, const struct digest *key)
{
	struct kad_provided *provided = provided_find(kad, key);

	kad_advance(kad, now);
	if (provided && !provided->withdrawn)
		return 0;
	if (!provided && kad->provided_count == KAD_PROVIDED_MAX)
		return KAD_E_FULL;
	if (!provided) {
		if (kad->provided_count == kad->provided_cap) {
			kad->provided_cap = kad->provided_cap ? kad->provided_cap * 2 : 1;
			kad->provided = mem_resize(kad->provided, kad->provided_cap,
						   sizeof(kad->provided[0]));
		}
		provided = &kad->provided[kad->provided_count++];
		*provided = (struct kad_provided){.key = *key};
	}
	provided->withdrawn = false;
	provided->interval_ms = KAD_PROVIDE_MS;
	provided->keeper_count = 0;
	provided->at = now;
	kad->provide_at = now;
	kad_provider_tick(kad);
	kad_settle(kad);
	return 0;
}

void kad_withdraw(struct kad *kad, struct mono now, const struct digest *key)
{
	struct kad_provided *provided = provided_find(kad, key);

	kad_advance(kad, now);
	if (!provided)
		return;
	provided->withdrawn = true;
	provided->at = now;
	kad->provide_at = now;
	kad_provider_tick(kad);
	kad_settle(kad);
}

/* Machines were found after we had been alone, or many have gone: there are other keepers. */
void kad_provider_soon(struct kad *kad, int64_t ms)
{
	for (size_t i = 0; i < kad->provided_count; i++)
		kad->provided[i].at = mono_min(kad->provided[i].at,
					       mono_add_ms(kad->now, prng_jitter(&kad->prng, ms)));
	schedule(kad);
}

static void tell_keeper(struct kad *kad, const struct kad_provided *provided, bool withdraw,
			const struct contact *keeper)
{
	uint32_t ttl_s = provided->interval_ms / MS_PER_S * 5 / 2;
	struct message *message;

	if (keeper == &kad->self && withdraw) {
		kad_provider_drop(kad, &kad->self.id, &provided->key);
	} else if (keeper == &kad->self) {
		kad_provider_store(kad, &kad->self, &provided->key, ttl_s);
	} else {
		message = &kad_out_add(kad, KAD_SEND, keeper)->effect.message;
		message->type = withdraw ? MESSAGE_WITHDRAW : MESSAGE_PROVIDE;
		message->provide.key = provided->key;
		message->provide.ttl_s = withdraw ? 0 : ttl_s;
	}
}

/* The nearest that answered, and ourselves if we are one of them. */
static size_t keepers_of(const struct kad *kad, const struct kad_lookup *lookup,
			 const struct contact *keepers[KAD_KEEPERS],
			 uint64_t positions[KAD_KEEPERS])
{
	bool self_is_listed = false;
	size_t count = 0;

	for (size_t i = 0; i < lookup->count && count < KAD_KEEPERS; i++) {
		const struct kad_candidate *candidate = &lookup->list[i];

		if (candidate->state != KAD_ANSWERED)
			continue;
		if (!self_is_listed && (kad->table.self ^ lookup->position) <
					       (candidate->position ^ lookup->position)) {
			self_is_listed = true;
			keepers[count] = &kad->self;
			positions[count++] = kad->table.self;
		}
		if (count == KAD_KEEPERS)
			break;
		keepers[count] = &candidate->contact;
		positions[count++] = candidate->position;
	}
	if (!self_is_listed && count < KAD_KEEPERS) {
		keepers[count] = &kad->self;
		positions[count++] = kad->table.self;
	}
	return count;
}

/* Renewals become rarer while at least seven of eight keepers are those of the last time. */
static void provided_pace(struct kad *kad, struct kad_provided *provided,
			  const uint64_t positions[KAD_KEEPERS], size_t count)
{
	size_t same = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < provided->keeper_count; k++)
			same += positions[i] == provided->keepers[k];
	}
	if (provided->keeper_count == 0 || same + 1 < count)
		provided->interval_ms = KAD_PROVIDE_MS;
	else if (provided->interval_ms < KAD_PROVIDE_MAX_MS / 2)
		provided->interval_ms *= 2;
	else
		provided->interval_ms = KAD_PROVIDE_MAX_MS;
	provided->keeper_count = (uint8_t)count;
	memcpy(provided->keepers, positions, count * sizeof(positions[0]));
	provided->at =
		mono_add_ms(kad->now, prng_jitter(&kad->prng, (int64_t)provided->interval_ms));
}

void kad_provider_ended(struct kad *kad, const struct kad_lookup *lookup)
{
	struct kad_provided *provided = provided_find(kad, &lookup->target);
	bool withdraw = lookup->kind == KAD_LOOKUP_WITHDRAW;
	const struct contact *keepers[KAD_KEEPERS];
	uint64_t positions[KAD_KEEPERS];
	size_t count;

	if (!provided)
		return;
	provided->running = false;
	if (withdraw == provided->withdrawn) {
		count = keepers_of(kad, lookup, keepers, positions);
		provided_pace(kad, provided, positions, count);
		for (size_t i = 0; i < count; i++)
			tell_keeper(kad, provided, withdraw, keepers[i]);
		/* Nobody was known yet, or some who are known did not answer: all of us have just
		 * started, or the way to them was cut. */
		if (lookup->count == 0 || (count < KAD_KEEPERS && kad_contact_count(kad) >= count))
			provided->at = mono_add_ms(kad->now,
						   prng_jitter(&kad->prng, KAD_PROVIDE_RETRY_MS));
		if (withdraw)
			provided_remove(kad, provided);
	}
	schedule(kad);
}

void kad_provider_free(struct kad *kad)
{
	map_for_each (entry, &kad->sets)
		set_remove(kad, entry->value);
	map_deinit(&kad->sets);
	map_deinit(&kad->providers);
	free(kad->provided);
}
