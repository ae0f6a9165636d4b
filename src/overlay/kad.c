/* SPDX-License-Identifier: Apache-2.0 */
/* The events of kad, and its effects. */
#include "overlay/kad.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/mem.h"
#include "overlay/kad_internal.h"

enum {
	ESTIMATE_UNLIKELY = 3, /* density says more than this times the truth once in 50,000 */
};

struct kad *kad_new(const struct contact *self, uint64_t seed, struct mono now)
{
	struct kad *kad = mem_new(struct kad);

	*kad = (struct kad){
		.self = *self,
		.prng = prng_seeded(seed),
		.now = now,
		.deadline = MONO_NEVER,
		.check_at = MONO_NEVER,
		.refresh_at = MONO_NEVER,
		.greet_at = now,
		.trouble_at = now,
		.provide_at = MONO_NEVER,
		.sweep_at = MONO_NEVER,
	};
	kad->table.self = kad_id_prefix(&self->id);
	/* Answers to requests of an earlier life must not match those of this one. */
	kad->next_token = prng_next(&kad->prng) | 1;
	kad->rate_seed = prng_next(&kad->prng);
	map_init(&kad->sets, prng_next(&kad->prng));
	map_init(&kad->providers, prng_next(&kad->prng));
	return kad;
}

static void out_free(struct kad_out *out)
{
	message_deinit(&out->effect.message);
	free(out->contacts);
	*out = (struct kad_out){0};
}

void kad_free(struct kad *kad)
{
	if (!kad)
		return;
	for (size_t i = 0; i < kad->lookup_count; i++)
		kad_lookup_free(kad->lookups[i]);
	free(kad->lookups);
	free(kad->waiting);
	for (size_t i = 0; i < kad->out_count; i++)
		out_free(&kad->outs[i]);
	free(kad->outs);
	kad_provider_free(kad);
	for (size_t i = 0; i < KAD_BUCKETS; i++)
		free(kad->table.buckets[i]);
	free(kad->table.graves);
	free(kad);
}

void kad_set_self(struct kad *kad, const struct contact *self)
{
	assert(node_id_equal(&kad->self.id, &self->id));
	kad->self = *self;
}

/* ---- effects ---- */

struct kad_out *kad_out_add(struct kad *kad, enum kad_effect_type type, const struct contact *to)
{
	struct kad_out *out;

	if (kad->out_count == kad->out_cap) {
		kad->out_cap = kad->out_cap ? kad->out_cap * 2 : 1;
		kad->outs = mem_resize(kad->outs, kad->out_cap, sizeof(kad->outs[0]));
	}
	out = &kad->outs[kad->out_count++];
	*out = (struct kad_out){.effect.type = type};
	if (to)
		out->effect.to = *to;
	return out;
}

/* The queue's memory is given back when it is empty, which it nearly always is. */
const struct kad_effect *kad_next_effect(struct kad *kad)
{
	if (kad->out_next > 0)
		out_free(&kad->outs[kad->out_next - 1]);
	if (kad->out_next < kad->out_count)
		return &kad->outs[kad->out_next++].effect;
	free(kad->outs);
	kad->outs = NULL;
	kad->out_next = kad->out_count = kad->out_cap = 0;
	return NULL;
}

/* ---- events ---- */

void kad_advance(struct kad *kad, struct mono now)
{
	assert(now.us >= kad->now.us);
	kad->now = now;
}

/* After every event: what has ended, and when the next thing is due. */
void kad_settle(struct kad *kad)
{
	if (kad->lookup_count > 0 || kad->waiting_count > 0)
		kad_lookup_settle(kad);
	kad->deadline = mono_min(mono_min(kad->check_at, kad->refresh_at),
				 mono_min(kad->provide_at, kad->sweep_at));
	if (kad->lookup_count > 0)
		kad->deadline = mono_min(kad->deadline, kad_lookup_deadline(kad));
}

static bool is_usable(const struct kad *kad, const struct contact *contact)
{
	return !node_id_equal(&contact->id, &kad->self.id) && addr_can_be_dialled(&contact->addr);
}

void kad_seen(struct kad *kad, struct mono now, const struct contact *contact)
{
	const struct kad_entry *newcomer;

	kad_advance(kad, now);
	if (!is_usable(kad, contact))
		return;
	newcomer = kad_table_admit(kad, kad_id_prefix(&contact->id), contact);
	if (newcomer)
		kad_upkeep_greeted(kad, newcomer);
	kad_settle(kad);
}

void kad_formed(struct kad *kad, struct mono now)
{
	kad_advance(kad, now);
	kad_upkeep_formed(kad);
	kad_settle(kad);
}

void kad_lost(struct kad *kad, struct mono now, const struct node_id *id)
{
	kad_advance(kad, now);
	kad_table_lost(kad, kad_id_prefix(id), id);
	kad_lookup_gone(kad, id, true);
	kad_settle(kad);
}

void kad_merge(struct kad *kad, struct mono now)
{
	kad_advance(kad, now);
	kad_table_forgive(&kad->table);
	kad->greet_at = now;
	kad_settle(kad);
}

void kad_unreachable(struct kad *kad, struct mono now, const struct node_id *id)
{
	kad_advance(kad, now);
	kad_table_silent(kad, kad_id_prefix(id), id, NULL);
	kad_lookup_gone(kad, id, false);
	kad_settle(kad);
}

/* Does this peer ask for no more than its share? Two peers may have one counter by chance. */
static bool rate_allows(struct kad *kad, const struct node_id *id)
{
	int64_t second = kad->now.us / US_PER_S;
	uint64_t key;
	uint8_t *count;

	if (second != kad->rate_second) {
		memset(kad->rates, 0, sizeof(kad->rates));
		kad->rate_second = second;
	}
	memcpy(&key, id->byte, sizeof(key));
	count = &kad->rates[prng_next(&(struct prng){key ^ kad->rate_seed}) % KAD_RATES];
	if (*count >= KAD_ANSWER_RATE)
		return false;
	++*count;
	return true;
}

/* Contacts that were silent last are not passed on, and nobody is told about itself. */
static void found_fill(struct kad *kad, const struct contact *from, const struct find *find,
		       struct found *found)
{
	const struct kad_entry *nearest[MESSAGE_NEAREST_MAX + 1];
	size_t max = find->wide ? MESSAGE_NEAREST_MAX : MESSAGE_CONTACTS_MAX;
	size_t count =
		kad_table_nearest(&kad->table, kad_prefix(&find->target), true, nearest, max + 1);
	struct contact *list = mem_alloc(max, sizeof(*list));

	found->request = find->request;
	found->nearest.list = list;
	for (size_t i = 0; i < count && found->nearest.count < max; i++) {
		if (!node_id_equal(&nearest[i]->id, &from->id))
			list[found->nearest.count++] = kad_entry_contact(nearest[i]);
	}
	if (!find->providers)
		return;
	list = mem_alloc(MESSAGE_CONTACTS_MAX, sizeof(*list));
	found->providers.list = list;
	found->providers.count =
		kad_provider_sample(kad, &find->target, &from->id, list, MESSAGE_CONTACTS_MAX);
}

static void find_receive(struct kad *kad, const struct contact *from, const struct find *find)
{
	struct message *message = &kad_out_add(kad, KAD_SEND, from)->effect.message;

	message->type = MESSAGE_FOUND;
	found_fill(kad, from, find, &message->found);
}

void kad_receive(struct kad *kad, struct mono now, const struct contact *from,
		 const struct message *message)
{
	bool answers = message->type == MESSAGE_FOUND;

	kad_advance(kad, now);
	if (!is_usable(kad, from) || (!answers && !rate_allows(kad, &from->id)))
		return;
	if (answers && !kad_lookup_found(kad, from, &message->found))
		return;
	(void)kad_table_admit(kad, kad_id_prefix(&from->id), from);
	if (message->type == MESSAGE_FIND)
		find_receive(kad, from, &message->find);
	if (message->type == MESSAGE_PROVIDE)
		kad_provider_store(kad, from, &message->provide.key, message->provide.ttl_s);
	if (message->type == MESSAGE_WITHDRAW)
		kad_provider_drop(kad, &from->id, &message->provide.key);
	kad_settle(kad);
}

/* A tick that comes late means that we did not listen: those we have asked are not to blame. */
void kad_tick(struct kad *kad, struct mono now)
{
	int64_t late_us = mono_since_us(now, kad->deadline);

	kad_advance(kad, now);
	if (late_us > KAD_STALL_MS * US_PER_MS)
		kad_lookup_forgive(kad, late_us);
	kad_lookup_tick(kad);
	kad_upkeep_tick(kad);
	kad_provider_tick(kad);
	kad_settle(kad);
}

void kad_expect(const struct kad *kad)
{
	CACHE_EXPECT(kad, deadline, deadline);
	CACHE_EXPECT(kad, outs, out_cap);
}

struct mono kad_deadline(const struct kad *kad)
{
	return kad->deadline;
}

/* ---- reads ---- */

size_t kad_nearest(const struct kad *kad, const struct digest *target, struct contact *ret_contacts,
		   size_t max)
{
	const struct kad_entry *nearest[KAD_FOUND_MAX];
	size_t count = kad_table_nearest(&kad->table, kad_prefix(target), true, nearest,
					 max < KAD_FOUND_MAX ? max : KAD_FOUND_MAX);

	for (size_t i = 0; i < count; i++)
		ret_contacts[i] = kad_entry_contact(nearest[i]);
	return count;
}

/* @position: bucket and entry. */
static const struct kad_entry *next_entry(const struct kad *kad, size_t *position)
{
	size_t index = *position / UINT8_MAX, at = *position % UINT8_MAX;

	for (; index < KAD_BUCKETS; index++, at = 0) {
		const struct kad_bucket *bucket = kad->table.buckets[index];

		if (!bucket || at >= bucket->count)
			continue;
		*position = index * UINT8_MAX + at + 1;
		return &bucket->entries[at];
	}
	return NULL;
}

bool kad_next_contact(const struct kad *kad, size_t *position, struct contact *ret_contact)
{
	const struct kad_entry *entry = next_entry(kad, position);

	if (entry)
		*ret_contact = kad_entry_contact(entry);
	return entry != NULL;
}

bool kad_next_steward(const struct kad *kad, size_t *position, struct contact *ret_contact,
		      uint64_t *ret_place)
{
	const struct kad_entry *entry;

	while ((entry = next_entry(kad, position)) != NULL) {
		if (!entry->steward || entry->failures > 0)
			continue;
		*ret_contact = kad_entry_contact(entry);
		*ret_place = entry->position;
		return true;
	}
	return false;
}

uint64_t kad_place(const struct node_id *id)
{
	return kad_id_prefix(id);
}

uint64_t kad_changes(const struct kad *kad)
{
	return kad->table.changes;
}

uint64_t kad_near_changes(const struct kad *kad)
{
	return kad->table.near_changes;
}

size_t kad_contact_count(const struct kad *kad)
{
	return kad->table.contact_count;
}

size_t kad_entry_count(const struct kad *kad)
{
	return kad->entry_count;
}

bool kad_has_joined(const struct kad *kad)
{
	return kad->joined;
}

/* k - 1 machines lie nearer than the k-th, whose distance is a share of the space: the unbiased
 * estimate of how many lie in all of it. */
static uint64_t estimate_by_density(const struct kad *kad, const struct kad_entry *farthest)
{
	uint64_t distance = farthest->position ^ kad->table.self;

	return UINT64_MAX / (distance / (KAD_BUCKET - 1) + 1) + 1;
}

/* The count is believed while no bucket has refused anybody, and unless density says that the table
 * has not been filled yet. */
uint64_t kad_estimate(const struct kad *kad)
{
	const struct kad_entry *nearest[KAD_BUCKET];
	uint64_t known = kad->table.contact_count + 1, estimate;
	bool refused = false;

	if (kad_table_nearest(&kad->table, kad->table.self, false, nearest, KAD_BUCKET) <
	    KAD_BUCKET)
		return known;
	for (size_t i = 0; i < KAD_BUCKETS; i++)
		refused = refused || (kad->table.buckets[i] && kad->table.buckets[i]->refused);
	estimate = estimate_by_density(kad, nearest[KAD_BUCKET - 1]);
	if (estimate < known || (!refused && estimate < ESTIMATE_UNLIKELY * known))
		return known;
	return estimate;
}
