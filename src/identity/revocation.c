/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/revocation.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/issue.h"
#include "identity/sha256.h"

static_assert(REVOCATION_KEEP_MS == CERT_ADMIT_LIFE_MS, "kept as long as what it could revoke");
static_assert((int)UID_LEN == (int)CERT_SERIAL_LEN, "a serial travels as 16 bytes");

enum {
	SUBJECT_MAX = 1 + MESSAGE_NAME_MAX,
};

/* What an entry is found by: its kind, then the machine's key as far as names carry it, the user's
 * name, or the serial. */
struct subject_key {
	uint8_t byte[SUBJECT_MAX];
	size_t len;
};

static struct subject_key key_of(enum revocation_kind kind, const void *ptr, size_t len)
{
	struct subject_key key = {.len = 1 + len};

	assert(len < SUBJECT_MAX);
	key.byte[0] = (uint8_t)kind;
	memcpy(key.byte + 1, ptr, len);
	return key;
}

static struct subject_key entry_key(const struct revocation *what)
{
	if (what->kind == REVOCATION_MACHINE)
		return key_of(what->kind, what->machine.byte, CERT_HOLDER_LEN);
	if (what->kind == REVOCATION_USER)
		return key_of(what->kind, what->user, strlen(what->user));
	return key_of(what->kind, what->serial.byte, UID_LEN);
}

void revocations_init(struct revocations *set, uint64_t seed)
{
	*set = (struct revocations){0};
	list_init(&set->entries);
	map_init(&set->by_id, seed);
	map_init(&set->by_subject, seed);
}

static void entry_free(struct revocation_entry *entry)
{
	revocation_deinit(&entry->what);
	buf_deinit(&entry->envelope);
	buf_deinit(&entry->chain);
	free(entry);
}

void revocations_deinit(struct revocations *set)
{
	list_for_each_safe (it, &set->entries)
		entry_free(list_entry(it, struct revocation_entry, link));
	map_deinit(&set->by_id);
	map_deinit(&set->by_subject);
}

static struct bytes id_bytes(const struct digest *id)
{
	return bytes_of(id->byte, ID_LEN);
}

bool revocations_has(const struct revocations *set, const struct digest *id)
{
	return map_get(&set->by_id, id_bytes(id)) != NULL;
}

const struct revocation_entry *revocations_next(const struct revocations *set,
						const struct revocation_entry *entry)
{
	struct list *next = entry ? entry->link.next : set->entries.next;

	return next == &set->entries ? NULL : list_entry(next, struct revocation_entry, link);
}

static const struct revocation_entry *find(const struct revocations *set,
					   const struct subject_key *key)
{
	return map_get(&set->by_subject, bytes_of(key->byte, key->len));
}

/* Of several about one subject the first counts; of a user the last, for it reaches further. */
static bool counts_more(const struct revocation_entry *entry, const struct revocation_entry *than)
{
	if (!than)
		return true;
	return entry->what.kind == REVOCATION_USER ? entry->at.ms > than->at.ms
						   : entry->at.ms < than->at.ms;
}

static void index_entry(struct revocations *set, struct revocation_entry *entry)
{
	struct subject_key key = entry_key(&entry->what);

	if (counts_more(entry, find(set, &key)))
		(void)map_put(&set->by_subject, bytes_of(key.byte, key.len), entry);
}

static void index_all(struct revocations *set)
{
	map_for_each (known, &set->by_subject)
		(void)map_remove(&set->by_subject, bytes_of(known->key, known->key_len));
	list_for_each (it, &set->entries)
		index_entry(set, list_entry(it, struct revocation_entry, link));
}

bool revocations_hit_machine(const struct revocations *set, const struct node_id *machine,
			     struct wall before)
{
	struct subject_key key = key_of(REVOCATION_MACHINE, machine->byte, CERT_HOLDER_LEN);
	const struct revocation_entry *entry = find(set, &key);

	return entry && entry->at.ms < before.ms;
}

/* The intermediates of a revoked machine, which carry half of its key. */
static bool hit_holder(const struct revocations *set, const char *name, struct wall before)
{
	struct node_id holder = {0};
	size_t len = strlen(name), digits = 2 * (size_t)CERT_HOLDER_LEN;

	return len > digits && hex_decode(name + len - digits, holder.byte, CERT_HOLDER_LEN) &&
	       revocations_hit_machine(set, &holder, before);
}

static bool hit_user(const struct revocations *set, const struct revocation_subject *subject)
{
	struct subject_key key = key_of(REVOCATION_USER, subject->name, strlen(subject->name));
	const struct revocation_entry *entry = find(set, &key);

	return entry && subject->not_before.ms + CERT_BACKDATE_MS <= entry->at.ms;
}

static bool hit_serial(const struct revocations *set, const uint8_t *serial, struct wall before)
{
	struct subject_key key = key_of(REVOCATION_SERIAL, serial, CERT_SERIAL_LEN);
	const struct revocation_entry *entry = find(set, &key);

	return entry && entry->at.ms < before.ms;
}

bool revocations_hit(const struct revocations *set, const struct revocation_subject *subject,
		     struct wall before)
{
	if (set->count == 0)
		return false;
	if (subject->serial && hit_serial(set, subject->serial, before))
		return true;
	if (subject->kind == CERT_MACHINE)
		return revocations_hit_machine(set, &subject->key, before);
	if (subject->kind == CERT_ADMIT || subject->kind == CERT_STEWARD)
		return hit_holder(set, subject->name, before);
	return subject->kind == CERT_USER && hit_user(set, subject);
}

static size_t count_of(const struct revocations *set, const struct node_id *signer)
{
	size_t count = 0;

	list_for_each (it, &set->entries)
		count += node_id_equal(&list_entry(it, struct revocation_entry, link)->signer,
				       signer);
	return count;
}

static bool comes_before(const struct revocation_entry *a, const struct revocation_entry *b)
{
	if (a->at.ms != b->at.ms)
		return a->at.ms < b->at.ms;
	return memcmp(a->id.byte, b->id.byte, ID_LEN) < 0;
}

static void insert(struct revocations *set, struct revocation_entry *entry)
{
	struct list *place = set->entries.prev;

	while (place != &set->entries &&
	       comes_before(entry, list_entry(place, struct revocation_entry, link)))
		place = place->prev;
	list_append(place->next, &entry->link);
	(void)map_put(&set->by_id, id_bytes(&entry->id), entry);
	index_entry(set, entry);
	set->count++;
	set->fold_is_stale = true;
}

/* What a machine signed after it was revoked counts no more. */
static void drop_void(struct revocations *set)
{
	bool any = false;

	list_for_each_safe (it, &set->entries) {
		struct revocation_entry *entry = list_entry(it, struct revocation_entry, link);

		if (!revocations_hit_machine(set, &entry->signer, entry->at))
			continue;
		list_remove(it);
		(void)map_remove(&set->by_id, id_bytes(&entry->id));
		set->count--;
		any = true;
		/* Before the next one is judged: it may have been revoked by this one only. */
		index_all(set);
		entry_free(entry);
	}
	set->fold_is_stale |= any;
}

static int may_add(const struct revocations *set, const struct revocation_claim *claim,
		   const struct digest *id, struct wall now)
{
	if (revocations_has(set, id))
		return REVOCATION_E_KNOWN;
	if (now.ms && claim->at.ms < now.ms - REVOCATION_KEEP_MS)
		return REVOCATION_E_OLD;
	if (revocations_hit_machine(set, &claim->signer, claim->at))
		return REVOCATION_E_VOID;
	if (set->count >= REVOCATIONS_MAX ||
	    count_of(set, &claim->signer) >= REVOCATIONS_OF_ONE_MAX)
		return REVOCATION_E_FULL;
	return 0;
}

int revocations_add(struct revocations *set, const struct revocation_claim *claim, struct wall now)
{
	struct digest id = sha256(claim->envelope);
	struct revocation_entry *entry;
	int outcome = may_add(set, claim, &id, now);

	if (outcome)
		return outcome;
	entry = mem_new(struct revocation_entry);
	list_init(&entry->link);
	entry->id = id;
	entry->signer = claim->signer;
	entry->at = claim->at;
	revocation_copy(claim->what, &entry->what);
	buf_append_bytes(&entry->envelope, claim->envelope);
	buf_append_bytes(&entry->chain, claim->chain);
	insert(set, entry);
	if (claim->what->kind == REVOCATION_MACHINE)
		drop_void(set);
	return revocations_has(set, &id) ? 0 : REVOCATION_E_VOID;
}

void revocations_ids(const struct revocations *set, struct digest *ret_ids)
{
	list_for_each (it, &set->entries)
		*ret_ids++ = list_entry(it, struct revocation_entry, link)->id;
}

struct digest revocations_fold(struct revocations *set)
{
	struct buf all = {0};

	if (!set->fold_is_stale)
		return set->fold;
	list_for_each (it, &set->entries)
		buf_append_bytes(&all,
				 id_bytes(&list_entry(it, struct revocation_entry, link)->id));
	set->fold = set->count ? sha256(bytes_buf(&all)) : (struct digest){0};
	set->fold_is_stale = false;
	buf_deinit(&all);
	return set->fold;
}
