/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why at most one machine can have an ordinal: each registrar has given it to one pod at a time,
 * and takes it from a machine only when that one said that nothing is left of that pod. A machine
 * says so of a pod once, and asks for no pod that it has said it of: so a late ASK, which may take
 * what is free, is never counted by anybody, and the next QUERY makes an end of it. Of one
 * machine's own asks the later one counts, by their serials.
 */
#include "market/tenure.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/map.h"
#include "base/mem.h"

struct entry {
	struct tenure tenure;
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

static struct entry *find(const struct registry *registry, const struct uid *set, uint32_t ordinal)
{
	struct entry_key key = key_of(set, ordinal);

	return map_get(&registry->entries, bytes_of(key.byte, sizeof(key.byte)));
}

static void remove_entry(struct registry *registry, const struct uid *set, uint32_t ordinal)
{
	struct entry_key key = key_of(set, ordinal);

	free(map_remove(&registry->entries, bytes_of(key.byte, sizeof(key.byte))));
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
		free(it->value);
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

static bool may_take(const struct entry *entry, struct mono now, const struct tenure *ask)
{
	const struct tenure *held = &entry->tenure;

	if (fault_is_planted(FAULT_TENURE_FORGETS))
		return true;
	if (node_id_equal(&held->machine, &ask->machine))
		return ask->serial > held->serial;
	return ask->epoch > held->epoch || (ask->replace && is_silent(entry, now));
}

/* It never falls: a pod that has had it before is the one of the lower epoch. */
static uint64_t epoch_for(const struct tenure *held, const struct tenure *ask)
{
	bool same = node_id_equal(&held->machine, &ask->machine);

	if (ask->epoch > held->epoch)
		return ask->epoch;
	return held->epoch + !same;
}

static void give(struct entry *entry, const struct tenure *ask, uint64_t epoch)
{
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
	int outcome = REGISTRY_E_WRITE;

	if (!entry) {
		entry = entry_new(registry, ask);
		if (!entry)
			return REGISTRY_E_FULL;
		give(entry, ask, ask->epoch);
	} else if (uid_equal(&entry->tenure.pod_uid, &ask->pod_uid) &&
		   node_id_equal(&entry->tenure.machine, &ask->machine)) {
		outcome = give_again(entry);
	} else if (may_take(entry, now, ask)) {
		give(entry, ask, epoch_for(&entry->tenure, ask));
	} else {
		outcome = held_by_another(entry, now);
	}
	*ret_entry = entry->tenure;
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
	const struct entry *entry = find(registry, &release->set, release->ordinal);

	if (!entry || !uid_equal(&entry->tenure.pod_uid, &release->pod_uid) ||
	    !node_id_equal(&entry->tenure.machine, &release->machine))
		return false;
	remove_entry(registry, &release->set, release->ordinal);
	return true;
}

void registry_keep(struct registry *registry, const struct tenure *keep)
{
	struct entry *entry = find(registry, &keep->set, keep->ordinal);

	if (entry && node_id_equal(&entry->tenure.machine, &keep->machine) &&
	    uid_equal(&entry->tenure.pod_uid, &keep->pod_uid))
		entry->queries = 0;
}

void registry_restore(struct registry *registry, const struct tenure *written)
{
	struct entry *entry = find(registry, &written->set, written->ordinal);

	if (!entry)
		entry = entry_new(registry, written);
	if (entry)
		*entry = (struct entry){.tenure = *written, .written = true};
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
	    word->serial != candidacy->ask.serial)
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
