/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why at most one machine can have an ordinal: each registrar has given it to one pod at a time,
 * and takes it from a machine only when that one said that nothing is left of that pod. A machine
 * says so of a pod once, and asks for no pod that it has said it of: so a late ASK, which may take
 * what is free, is never counted by anybody, and the next QUERY makes an end of it. Of one
 * machine's own asks the later one counts, by their serials.
 *
 * A new registrar takes over what others have given, and they need not agree: while machines asked
 * for an ordinal, each may have had it of some. So an entry may hold several claims. None of them
 * is served before the others are given back, or may be taken.
 */
#include "market/tenure.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/map.h"
#include "base/mem.h"

struct entry {
	struct tenure tenure;  /* the first claim */
	struct tenure *rivals; /* the others */
	size_t rival_count;
	bool written, writing;
	unsigned queries; /* without an answer */
	struct mono queried_at, silent_since;
};

struct registry {
	struct map entries; /* set and ordinal -> struct entry */
};

enum {
	ENTRY_KEY_LEN = UID_LEN + sizeof(uint32_t),
};

struct entry_key {
	uint8_t byte[ENTRY_KEY_LEN];
};

static struct entry_key key_of(const struct uid *set, uint32_t ordinal)
{
	struct entry_key key;

	memcpy(key.byte, set->byte, UID_LEN);
	for (size_t i = 0; i < sizeof(ordinal); i++)
		key.byte[UID_LEN + i] = (uint8_t)(ordinal >> 8 * i);
	return key;
}

static void entry_free(struct entry *entry)
{
	if (entry)
		free(entry->rivals);
	free(entry);
}

static struct entry *find(const struct registry *registry, const struct uid *set, uint32_t ordinal)
{
	struct entry_key key = key_of(set, ordinal);

	return map_get(&registry->entries, bytes_of(key.byte, sizeof(key.byte)));
}

static void remove_entry(struct registry *registry, const struct uid *set, uint32_t ordinal)
{
	struct entry_key key = key_of(set, ordinal);

	entry_free(map_remove(&registry->entries, bytes_of(key.byte, sizeof(key.byte))));
}

struct registry *registry_new(uint64_t seed)
{
	struct registry *registry = mem_new(struct registry);

	map_init(&registry->entries, seed);
	return registry;
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	map_for_each (it, &registry->entries)
		entry_free(it->value);
	map_deinit(&registry->entries);
	free(registry);
}

size_t registry_count(const struct registry *registry)
{
	return registry->entries.count;
}

static size_t count_of(const struct registry *registry, const struct node_id *machine)
{
	size_t count = 0;

	map_for_each (it, &registry->entries)
		count += node_id_equal(&((const struct entry *)it->value)->tenure.machine, machine);
	return count;
}

static struct entry *entry_new(struct registry *registry, const struct tenure *ask)
{
	struct entry_key key = key_of(&ask->set, ask->ordinal);
	struct entry *entry;

	if (registry->entries.count >= TENURE_REGISTRY_MAX ||
	    count_of(registry, &ask->machine) >= TENURE_OF_ONE_MACHINE_MAX)
		return NULL;
	entry = mem_new(struct entry);
	(void)map_put(&registry->entries, bytes_of(key.byte, sizeof(key.byte)), entry);
	return entry;
}

/* ---- who asks while somebody else has it ---- */

/* Whether its machine is to be asked now. */
static bool note_query(struct entry *entry, struct mono now)
{
	if (entry->queries > 0 &&
	    !mono_reached(now, mono_add_ms(entry->queried_at, TENURE_QUERY_MS)))
		return false;
	if (entry->queries == 0 ||
	    mono_reached(now, mono_add_ms(entry->queried_at, TENURE_STALE_MS))) {
		entry->queries = 0;
		entry->silent_since = now;
	}
	entry->queries++;
	entry->queried_at = now;
	return true;
}

static bool is_silent(const struct entry *entry, struct mono now)
{
	return entry->queries >= TENURE_QUERIES &&
	       mono_reached(now, mono_add_ms(entry->silent_since, TENURE_SILENCE_MS));
}

static bool is_same(const struct tenure *a, const struct tenure *b)
{
	return uid_equal(&a->pod_uid, &b->pod_uid) && node_id_equal(&a->machine, &b->machine);
}

static bool may_take(const struct entry *entry, struct mono now, const struct tenure *held,
		     const struct tenure *ask)
{
	if (fault_is_planted(FAULT_TENURE_FORGETS))
		return true;
	if (node_id_equal(&held->machine, &ask->machine))
		return ask->serial > held->serial;
	return ask->epoch > held->epoch || (ask->replace && is_silent(entry, now));
}

static struct tenure *claim_at(struct entry *entry, size_t index)
{
	return index ? &entry->rivals[index - 1] : &entry->tenure;
}

/* Somebody who has it, and from whom @ask may not take it; NULL: there is nobody. */
static struct tenure *find_holder(struct entry *entry, struct mono now, const struct tenure *ask)
{
	for (size_t i = 0; i <= entry->rival_count; i++) {
		struct tenure *claim = claim_at(entry, i);

		if (!is_same(claim, ask) && !may_take(entry, now, claim, ask))
			return claim;
	}
	return NULL;
}

/* It never falls: a pod that has had it before is the one of the lower epoch. */
static uint64_t epoch_for(struct entry *entry, const struct tenure *ask)
{
	uint64_t epoch = ask->epoch;

	for (size_t i = 0; i <= entry->rival_count; i++) {
		const struct tenure *held = claim_at(entry, i);
		uint64_t above = held->epoch + !node_id_equal(&held->machine, &ask->machine);

		if (ask->epoch <= held->epoch && above > epoch)
			epoch = above;
	}
	return epoch;
}

static void give(struct entry *entry, const struct tenure *ask, uint64_t epoch)
{
	free(entry->rivals);
	*entry = (struct entry){.tenure = *ask, .writing = true};
	entry->tenure.word = TENURE_WRITTEN;
	entry->tenure.epoch = epoch;
	entry->tenure.holder_uid = (struct uid){0};
}

static int held_by_another(struct entry *entry, struct mono now)
{
	return note_query(entry, now) ? REGISTRY_E_QUERY : REGISTRY_E_HELD;
}

/* What was given to that pod before, or could not be written down then. */
static int give_again(struct entry *entry)
{
	if (entry->written)
		return 0;
	if (entry->writing)
		return REGISTRY_E_WAIT;
	entry->writing = true;
	return REGISTRY_E_WRITE;
}

int registry_ask(struct registry *registry, struct mono now, const struct tenure *ask,
		 struct tenure *ret_entry)
{
	struct entry *entry = find(registry, &ask->set, ask->ordinal);
	const struct tenure *holder;
	int outcome = REGISTRY_E_WRITE;

	if (!entry) {
		entry = entry_new(registry, ask);
		if (!entry)
			return REGISTRY_E_FULL;
		give(entry, ask, ask->epoch);
	} else if ((holder = find_holder(entry, now, ask)) != NULL) {
		*ret_entry = *holder;
		return held_by_another(entry, now);
	} else if (entry->rival_count == 0 && is_same(&entry->tenure, ask)) {
		entry->queries = 0; /* its machine lives */
		outcome = give_again(entry);
	} else {
		give(entry, ask, epoch_for(entry, ask));
	}
	*ret_entry = entry->tenure;
	/* Of the same pod: what is on the disk holds, and this is the answer to that ask. */
	if (outcome == 0)
		ret_entry->serial = ask->serial;
	return outcome;
}

bool registry_written(struct registry *registry, const struct uid *set, uint32_t ordinal,
		      uint64_t serial, bool stored, struct tenure *ret_entry)
{
	struct entry *entry = find(registry, set, ordinal);

	if (!entry || entry->tenure.serial != serial || !entry->writing)
		return false;
	entry->writing = false;
	entry->written = stored;
	*ret_entry = entry->tenure;
	return stored;
}

bool registry_release(struct registry *registry, const struct tenure *release)
{
	struct entry *entry = find(registry, &release->set, release->ordinal);
	size_t at = 0;

	while (entry && at <= entry->rival_count && !is_same(claim_at(entry, at), release))
		at++;
	if (!entry || at > entry->rival_count)
		return false;
	if (entry->rival_count > 0) { /* on the disk it stays: it is asked about again then */
		*claim_at(entry, at) = entry->rivals[--entry->rival_count];
		entry->queries = 0;
		return false;
	}
	remove_entry(registry, &release->set, release->ordinal);
	return true;
}

void registry_keep(struct registry *registry, const struct tenure *keep)
{
	struct entry *entry = find(registry, &keep->set, keep->ordinal);

	for (size_t i = 0; entry && i <= entry->rival_count; i++)
		if (is_same(claim_at(entry, i), keep))
			entry->queries = 0;
}

void registry_restore(struct registry *registry, const struct tenure *written)
{
	struct entry *entry = find(registry, &written->set, written->ordinal);

	if (entry) {
		(void)!registry_claim(registry, written); /* there was room for it then */
		entry->written = true;
		return;
	}
	entry = entry_new(registry, written);
	if (entry)
		*entry = (struct entry){.tenure = *written, .written = true};
}

/* ---- what others have given ---- */

bool registry_claim(struct registry *registry, const struct tenure *given)
{
	struct entry *entry = find(registry, &given->set, given->ordinal);

	if (!entry) {
		entry = entry_new(registry, given);
		if (entry)
			entry->tenure = *given;
		return entry != NULL;
	}
	for (size_t i = 0; i <= entry->rival_count; i++)
		if (is_same(claim_at(entry, i), given))
			return true;
	if (entry->rival_count == TENURE_RIVALS_MAX || entry->writing)
		return false;
	entry->rivals = mem_resize(entry->rivals, entry->rival_count + 1, sizeof(*entry->rivals));
	entry->rivals[entry->rival_count++] = *given;
	entry->written = false;
	return true;
}

int registry_unwritten(struct registry *registry, const struct uid *set, uint32_t *ret_ordinal)
{
	int outcome = 0;

	map_for_each (it, &registry->entries) {
		struct entry *entry = it->value;

		if (!uid_equal(&entry->tenure.set, set) || entry->written)
			continue;
		outcome = REGISTRY_E_WAIT;
		if (entry->writing)
			continue;
		entry->writing = true;
		*ret_ordinal = entry->tenure.ordinal;
		return REGISTRY_E_WRITE;
	}
	return outcome;
}

size_t registry_claims(const struct registry *registry, const struct uid *set, uint32_t ordinal,
		       struct tenure ret_claims[TENURE_RIVALS_MAX + 1])
{
	struct entry *entry = find(registry, set, ordinal);

	if (!entry)
		return 0;
	for (size_t i = 0; i <= entry->rival_count; i++)
		ret_claims[i] = *claim_at(entry, i);
	return entry->rival_count + 1;
}

static int compare_ordinals(const void *a, const void *b)
{
	uint32_t x = (*(struct entry *const *)a)->tenure.ordinal;
	uint32_t y = (*(struct entry *const *)b)->tenure.ordinal;

	return (x > y) - (x < y);
}

size_t registry_page(const struct registry *registry, const struct uid *set, uint64_t from,
		     struct tenure *ret_page, uint64_t *ret_next)
{
	struct entry **found = mem_alloc(registry->entries.count + 1, sizeof(struct entry *));
	size_t found_count = 0, count = 0;

	map_for_each (it, &registry->entries) {
		struct entry *entry = it->value;

		if (uid_equal(&entry->tenure.set, set) && entry->tenure.ordinal >= from)
			found[found_count++] = entry;
	}
	qsort(found, found_count, sizeof(struct entry *), compare_ordinals);
	*ret_next = 0;
	for (size_t i = 0; i < found_count; i++) {
		if (count + found[i]->rival_count + 1 > TENURE_PAGE_MAX) {
			*ret_next = found[i]->tenure.ordinal;
			break;
		}
		count += registry_claims(registry, set, found[i]->tenure.ordinal, &ret_page[count]);
	}
	free(found);
	return count;
}

bool registry_drop(struct registry *registry, const struct uid *set, uint32_t *ret_ordinal)
{
	map_for_each (it, &registry->entries) {
		const struct entry *entry = it->value;

		if (!uid_equal(&entry->tenure.set, set))
			continue;
		*ret_ordinal = entry->tenure.ordinal;
		remove_entry(registry, set, *ret_ordinal);
		return true;
	}
	return false;
}

/* ---- a machine that asks ---- */

void candidacy_set(struct candidacy *candidacy, const struct registrars *registrars)
{
	memset(candidacy->registrar, 0, sizeof(candidacy->registrar));
	candidacy->ask.registrars = registrars->id;
	candidacy->count = registrars->count;
	for (size_t i = 0; i < registrars->count; i++)
		candidacy->registrar[i].id = registrars->list[i].id;
}

static bool is_later(const struct registrars_id *a, const struct registrars_id *b)
{
	return a->epoch != b->epoch ? a->epoch > b->epoch : a->number > b->number;
}

static bool is_same_college(const struct registrars *a, const struct registrars *b)
{
	bool same =
		a->count == b->count && a->id.epoch == b->id.epoch && a->id.number == b->id.number;

	for (size_t i = 0; same && i < a->count; i++)
		same = node_id_equal(&a->list[i].id, &b->list[i].id);
	return same;
}

/* One of them alone is not believed. */
bool candidacy_later(struct candidacy *candidacy, const struct node_id *from,
		     const struct registrars *later)
{
	size_t count = 0;

	if (!is_later(&later->id, &candidacy->ask.registrars))
		return false;
	for (size_t i = 0; i < candidacy->count; i++) {
		struct registrars *said = &candidacy->registrar[i].later;

		if (node_id_equal(&candidacy->registrar[i].id, from))
			*said = *later;
		count += is_same_college(said, later);
	}
	return count > candidacy->count / 2;
}

static bool has_smaller_rival(const struct candidacy *candidacy)
{
	for (size_t i = 0; i < candidacy->count; i++)
		if (candidacy->registrar[i].answer == CANDIDACY_HELD &&
		    uid_compare(&candidacy->registrar[i].holder, &candidacy->ask.pod_uid) < 0)
			return true;
	return false;
}

static size_t count_answers(const struct candidacy *candidacy, enum candidacy_answer answer)
{
	size_t count = 0;

	for (size_t i = 0; i < candidacy->count; i++)
		count += candidacy->registrar[i].answer == answer;
	return count;
}

static enum candidacy_state state_of(const struct candidacy *candidacy)
{
	size_t most = fault_is_planted(FAULT_TENURE_ALONE) ? 1 : candidacy->count / 2 + 1;

	if (count_answers(candidacy, CANDIDACY_GIVEN) >= most)
		return CANDIDACY_WON;
	if (count_answers(candidacy, CANDIDACY_HELD) > candidacy->count - most &&
	    has_smaller_rival(candidacy))
		return CANDIDACY_LOST;
	return CANDIDACY_OPEN;
}

enum candidacy_state candidacy_hear(struct candidacy *candidacy, const struct node_id *from,
				    const struct tenure *word)
{
	bool given = word->word == TENURE_GIVEN;

	if (!uid_equal(&word->pod_uid, &candidacy->ask.pod_uid) ||
	    word->serial != candidacy->ask.serial ||
	    word->registrars.epoch != candidacy->ask.registrars.epoch ||
	    word->registrars.number != candidacy->ask.registrars.number)
		return CANDIDACY_OPEN;
	for (size_t i = 0; i < candidacy->count; i++) {
		if (!node_id_equal(&candidacy->registrar[i].id, from))
			continue;
		candidacy->registrar[i].answer = given ? CANDIDACY_GIVEN : CANDIDACY_HELD;
		candidacy->registrar[i].holder = word->holder_uid;
		if (given && word->epoch > candidacy->epoch)
			candidacy->epoch = word->epoch;
	}
	return state_of(candidacy);
}
