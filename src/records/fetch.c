/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetch: reading what others keep.
 *
 *	A -> B, C, D   FETCH     what is at this home? B, the first keeper, sends the records, too
 *	A <- each      FETCHED   keys and versions, in order, 1024 at a time
 *	A <- B         RECORD ...
 *	A -> any       SYNC_WANT what it named, and A has not got from elsewhere
 *
 * It ends when RECORDS_READS keepers have named all they have and the newest of each is here, or
 * with what there is. Keepers that do not answer are asked again, and the others as well.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "records/internal.h"

enum {
	FETCHES_MAX = 1024,                /* at a time; the oldest ends with what it has */
	FETCH_WIDE_MS = RECORDS_RESEND_MS, /* then all keepers are asked */
	FETCH_END_MS = 3000,               /* and then it ends */
	FETCH_TOKENS_MAX = 64,             /* callers that wait for one home; more fetch it again */
	FETCH_KEYS_MAX = 65536,            /* named for one home: a workload of that many pods */
};

/* A record that a keeper has. */
struct named {
	struct sync_entry entry;
	struct node_id by;
	bool here;
};

/* A keeper that may be asked. */
struct source {
	struct contact contact;
	bool asked, answered, far;
	bool is_next; /* it has named what comes up to @after, and has more */
	struct record_key after;
	int64_t complete_ms;
};

struct fetch_state {
	struct list link;
	struct uid home;
	uint64_t request;
	uint64_t tokens[FETCH_TOKENS_MAX];
	size_t token_count;
	bool locating;
	struct source sources[RECORDS_KEEPERS];
	size_t source_count;
	struct map named; /* key -> struct named */
	size_t missing;
	struct mono resend_at, wide_at, end_at;
};

static bool is_self(const struct records *records, const struct node_id *id)
{
	return node_id_equal(id, &records->config.self);
}

static struct fetch_state *fetch_of_home(const struct records *records, uint64_t id)
{
	list_for_each (link, &records->fetches) {
		struct fetch_state *fetch = list_entry(link, struct fetch_state, link);

		if (home_id(&fetch->home) == id)
			return fetch;
	}
	return NULL;
}

static struct fetch_state *fetch_find(const struct records *records, const struct uid *home)
{
	return fetch_of_home(records, home_id(home));
}

bool fetch_is_open(const struct records *records, const struct uid *home)
{
	return records->fetch_count > 0 && fetch_find(records, home) != NULL;
}

static void fetch_free(struct records *records, struct fetch_state *fetch)
{
	list_remove(&fetch->link);
	records->fetch_count--;
	map_for_each (entry, &fetch->named)
		free(entry->value);
	map_deinit(&fetch->named);
	free(fetch);
}

/* ---- what is here ---- */

/* One of the other keepers has confirmed that we have what it has. */
static bool is_settled(const struct records *records, const struct uid *uid)
{
	const struct record_steward *nearest[RECORDS_KEEPERS];
	size_t count =
		stewards_in_order(&records->stewards, home_position(uid), RECORDS_KEEPERS, nearest);

	for (size_t i = 0; i < count; i++) {
		const struct partner *partner = partner_find(records, &nearest[i]->contact.id);

		if (partner && partner->settled)
			return true;
	}
	return count <= 1;
}

bool records_keeps(const struct records *records, const struct uid *uid)
{
	if (records->config.alone)
		return false;
	if (!records->large)
		return true;
	return home_claim(records, uid) == HOME_MINE && is_settled(records, uid);
}

/* The machine's own word of its own pods is kept until it takes it back. */
static bool is_own_word(const struct records *records, const struct item *item)
{
	return !kind_is_durable(item->shown.record.key.kind) &&
	       is_self(records, &item->shown.writer);
}

/* Copies of @home that nobody named are gone. */
static void purge(struct records *records, const struct fetch_state *fetch)
{
	struct home *home = home_find(records, &fetch->home);
	size_t left = home ? home->count : 0;

	if (!home || home->mine)
		return;
	home->copy_until = mono_add_ms(records->now, RECORDS_COPY_MS);
	for (struct list *link = home->items.next; left > 0; left--) {
		struct item *item = list_entry(link, struct item, in_home);

		link = link->next;
		if (item->kept || item->doubted || is_own_word(records, item) ||
		    put_is_open(records, item) ||
		    map_get(&fetch->named, bytes_of(item->key, RECORD_KEY_LEN)))
			continue;
		merge_remove(records, item); /* with the last one the home goes */
	}
}

static void drop_copies(struct records *records, struct home *home)
{
	size_t left = home->count;

	if (fetch_of_home(records, home->id))
		return;
	for (struct list *link = home->items.next; left > 0; left--) {
		struct item *item = list_entry(link, struct item, in_home);

		link = link->next;
		if (!item->kept && !item->doubted && !is_own_word(records, item) &&
		    !put_is_open(records, item))
			merge_drop(records, item); /* with the last one the home goes */
	}
}

void copies_sweep(struct records *records)
{
	if (!records->large)
		return;
	map_for_each (entry, &records->homes) {
		struct home *home = entry->value;
		size_t left = home->count - home->kept_count;

		if (!home->mine && left > 0 && mono_reached(records->now, home->copy_until))
			drop_copies(records, home);
	}
}

/* ---- the end ---- */

static void tell(struct records *records, const struct fetch_state *fetch, uint32_t answered,
		 bool all, int64_t complete_since)
{
	for (size_t i = 0; i < fetch->token_count; i++) {
		struct records_effect *effect = effect_queue(records, RECORDS_FETCHED, NULL);

		effect->key.uid = fetch->home;
		effect->token = fetch->tokens[i];
		effect->stored = answered;
		effect->keepers = (uint32_t)fetch->source_count;
		effect->quorum = all;
		effect->complete_since = complete_since;
	}
}

static size_t answered_count(const struct fetch_state *fetch)
{
	size_t count = 0;

	for (size_t i = 0; i < fetch->source_count; i++)
		count += fetch->sources[i].answered;
	return count;
}

static size_t needed(const struct fetch_state *fetch)
{
	return fetch->source_count < RECORDS_READS ? fetch->source_count : RECORDS_READS;
}

/* The best of those who can say. */
static int64_t complete_since(const struct fetch_state *fetch)
{
	int64_t since = 0;

	for (size_t i = 0; i < fetch->source_count; i++) {
		const struct source *source = &fetch->sources[i];

		if (source->answered && source->complete_ms &&
		    (since == 0 || source->complete_ms < since))
			since = source->complete_ms;
	}
	return since;
}

static void fetch_end(struct records *records, struct fetch_state *fetch)
{
	size_t answered = answered_count(fetch);
	bool all = answered > 0 && answered >= needed(fetch) && fetch->missing == 0;

	if (all)
		purge(records, fetch);
	tell(records, fetch, (uint32_t)answered, all, complete_since(fetch));
	fetch_free(records, fetch);
}

static void fetch_check(struct records *records, struct fetch_state *fetch)
{
	if (!fetch->locating && fetch->missing == 0 && answered_count(fetch) >= needed(fetch))
		fetch_end(records, fetch);
}

/* ---- asking ---- */

static void ask(struct records *records, struct fetch_state *fetch, struct source *source,
		bool full)
{
	struct records_effect *effect = effect_queue(records, RECORDS_SEND, NULL);

	effect->to = source->contact.id;
	effect->addr = source->contact.addr;
	effect->message.type = MESSAGE_FETCH;
	effect->message.fetch = (struct fetch){
		.request = fetch->request,
		.home = fetch->home,
		.is_next = source->is_next,
		.after = source->after,
		.full = full,
	};
	source->asked = true;
}

static void ask_first(struct records *records, struct fetch_state *fetch, size_t count)
{
	for (size_t i = 0; i < fetch->source_count && i < count; i++)
		if (!fetch->sources[i].answered)
			ask(records, fetch, &fetch->sources[i], i == 0);
	fetch->resend_at = mono_add_ms(records->now, RECORDS_RESEND_MS);
}

static void fetch_begin(struct records *records, struct fetch_state *fetch,
			const struct contact *keepers, size_t count)
{
	fetch->locating = false;
	for (size_t i = 0; i < count; i++)
		if (!is_self(records, &keepers[i].id))
			fetch->sources[fetch->source_count++].contact = keepers[i];
	fetch->wide_at = mono_add_ms(records->now, FETCH_WIDE_MS);
	ask_first(records, fetch, RECORDS_READS);
	fetch_check(records, fetch);
}

void fetch_located(struct records *records, const struct uid *home)
{
	struct fetch_state *fetch = fetch_find(records, home);
	struct contact keepers[RECORDS_KEEPERS];
	size_t count;

	if (fetch && fetch->locating && place_keepers(records, home, keepers, &count))
		fetch_begin(records, fetch, keepers, count);
}

static void fetch_start(struct records *records, const struct uid *uid)
{
	struct fetch_state *fetch = mem_new(struct fetch_state);
	struct contact keepers[RECORDS_KEEPERS];
	size_t count;

	fetch->home = *uid;
	fetch->request = records->token;
	fetch->tokens[fetch->token_count++] = records->token;
	fetch->locating = true;
	fetch->resend_at = fetch->wide_at = MONO_NEVER;
	fetch->end_at = mono_add_ms(records->now, FETCH_END_MS);
	map_init(&fetch->named, prng_next(&records->prng));
	list_append(&records->fetches, &fetch->link);
	records->fetch_count++;
	if (place_keepers(records, uid, keepers, &count))
		fetch_begin(records, fetch, keepers, count);
}

int records_fetch(struct records *records, struct mono now, const struct uid *uid,
		  uint64_t *ret_token)
{
	struct fetch_state *fetch;
	struct records_effect *effect;

	records->now = now;
	*ret_token = ++records->token;
	if (!records->large || records->config.alone || records_keeps(records, uid)) {
		effect = effect_queue(records, RECORDS_FETCHED, NULL);
		effect->key.uid = *uid;
		effect->token = *ret_token;
		effect->stored = effect->keepers = 1;
		effect->quorum = true;
		effect->complete_since = home_complete_since(records, home_position(uid));
		return 0;
	}
	fetch = fetch_find(records, uid);
	if (fetch && fetch->token_count < FETCH_TOKENS_MAX && answered_count(fetch) == 0) {
		fetch->tokens[fetch->token_count++] = *ret_token;
		return 0;
	}
	if (fetch)
		fetch_end(records, fetch);
	else if (records->fetch_count == FETCHES_MAX)
		fetch_end(records, list_first(&records->fetches, struct fetch_state, link));
	fetch_start(records, uid);
	return 0;
}

/* ---- the keeper ---- */

static int key_order(const void *a, const void *b)
{
	const struct item *left = *(struct item *const *)a, *right = *(struct item *const *)b;

	return record_key_compare(&left->shown.record.key, &right->shown.record.key);
}

/* What is kept of the home, ascending; the caller frees it. */
static struct item **home_list(const struct home *home, size_t *ret_count)
{
	struct item **list = mem_alloc(home ? home->count : 0, sizeof(struct item *));
	size_t count = 0;

	if (home)
		list_for_each (link, &home->items) {
			struct item *item = list_entry(link, struct item, in_home);

			if (item->kept)
				list[count++] = item;
		}
	qsort(list, count, sizeof(struct item *), key_order);
	*ret_count = count;
	return list;
}

void fetch_asked(struct records *records, const struct node_id *from, const struct fetch *fetch)
{
	struct fetched fetched = {.request = fetch->request};
	const struct home *home = home_find(records, &fetch->home);
	enum home_claim claim = home_claim(records, &fetch->home);
	size_t count, bytes = 0;
	struct item **list = home_list(home, &count);

	fetched.far = !records->config.keeper || (claim == HOME_FAR && count == 0);
	/* What its keepers know, who is only near to it does not. */
	if (claim == HOME_MINE)
		fetched.complete_ms = home_complete_since(records, home_position(&fetch->home));
	fetched.entries = mem_alloc(count < MESSAGE_SYNC_KEYS_MAX ? count : MESSAGE_SYNC_KEYS_MAX,
				    sizeof(*fetched.entries));
	for (size_t i = 0; i < count; i++) {
		const struct record *record = &list[i]->shown.record;

		if (fetch->is_next && record_key_compare(&record->key, &fetch->after) <= 0)
			continue;
		if (fetched.entry_count == MESSAGE_SYNC_KEYS_MAX) {
			fetched.more = true;
			break;
		}
		fetched.entries[fetched.entry_count++] =
			(struct sync_entry){record->key, record->version};
		bytes += list[i]->shown.envelope.len;
		if (fetch->full && bytes <= RECORDS_SYNC_BYTES_MAX)
			effect_send_item(records, from, list[i]);
	}
	free(list);
	effect_send(records, from, MESSAGE_FETCHED)->fetched = fetched;
}

/* ---- its answer ---- */

static bool is_here(const struct records *records, const struct sync_entry *entry)
{
	const struct item *known = table_find(records, &entry->key);

	if (known)
		return record_version_compare(&known->shown.record.version, &entry->version) >= 0;
	return entry->key.kind == RECORD_OBJECT && table_tombstone(records, &entry->key.uid);
}

static void name(struct records *records, struct fetch_state *fetch, const struct node_id *by,
		 const struct sync_entry *entry)
{
	uint8_t key[RECORD_KEY_LEN];
	struct named *named;

	record_key_bytes(&entry->key, key);
	named = map_get(&fetch->named, bytes_of(key, sizeof(key)));
	if (named && record_version_compare(&named->entry.version, &entry->version) >= 0)
		return;
	if (!named) {
		if (fetch->named.count == FETCH_KEYS_MAX)
			return;
		named = mem_new(struct named);
		named->here = true;
		(void)map_put(&fetch->named, bytes_of(key, sizeof(key)), named);
	}
	fetch->missing -= !named->here;
	named->entry = *entry;
	named->by = *by;
	named->here = is_here(records, entry);
	fetch->missing += !named->here;
}

/* Ask @source for what it named and is not here. */
static void want_missing(struct records *records, struct fetch_state *fetch,
			 const struct source *source)
{
	struct sync_want want = {0};

	want.keys = mem_alloc(fetch->missing < MESSAGE_SYNC_KEYS_MAX ? fetch->missing
								     : MESSAGE_SYNC_KEYS_MAX,
			      sizeof(*want.keys));
	map_for_each (entry, &fetch->named) {
		struct named *named = entry->value;

		if (named->here || !node_id_equal(&named->by, &source->contact.id) ||
		    want.key_count == MESSAGE_SYNC_KEYS_MAX)
			continue;
		if (is_here(records, &named->entry)) {
			named->here = true;
			fetch->missing--;
		} else {
			want.keys[want.key_count++] = named->entry.key;
		}
	}
	if (want.key_count > 0)
		effect_send(records, &source->contact.id, MESSAGE_SYNC_WANT)->sync_want = want;
	else
		free(want.keys);
}

static struct source *source_find(struct fetch_state *fetch, const struct node_id *id)
{
	for (size_t i = 0; i < fetch->source_count; i++)
		if (node_id_equal(&fetch->sources[i].contact.id, id))
			return &fetch->sources[i];
	return NULL;
}

static struct fetch_state *fetch_of_request(const struct records *records, uint64_t request)
{
	list_for_each (link, &records->fetches) {
		struct fetch_state *fetch = list_entry(link, struct fetch_state, link);

		if (fetch->request == request)
			return fetch;
	}
	return NULL;
}

void fetch_answered(struct records *records, const struct node_id *from,
		    const struct fetched *fetched)
{
	struct fetch_state *fetch = fetch_of_request(records, fetched->request);
	struct source *source = fetch ? source_find(fetch, from) : NULL;

	if (!source || !source->asked || source->answered)
		return;
	if (fetched->far) {
		source->far = true;
		place_doubt(records, &fetch->home);
		fetch->wide_at = mono_min(fetch->wide_at, records->now);
		return;
	}
	for (size_t i = 0; i < fetched->entry_count; i++)
		if (home_id(&fetched->entries[i].key.uid) == home_id(&fetch->home) ||
		    fetched->entries[i].key.kind == RECORD_TOMBSTONE)
			name(records, fetch, from, &fetched->entries[i]);
	source->is_next = fetched->more && fetched->entry_count > 0;
	if (source->is_next) {
		source->after = fetched->entries[fetched->entry_count - 1].key;
		ask(records, fetch, source, source == &fetch->sources[0]);
		return;
	}
	source->answered = true;
	source->complete_ms = fetched->complete_ms;
	/* What the first one sends is on its way; what is lost of it is asked for again later. */
	if (source != &fetch->sources[0])
		want_missing(records, fetch, source);
	fetch_check(records, fetch);
}

void fetch_record(struct records *records, const struct item *item)
{
	struct fetch_state *fetch = NULL;
	struct named *named;

	if (records->fetch_count > 0)
		fetch = fetch_find(records, record_home(&item->shown.record));
	named = fetch ? map_get(&fetch->named, bytes_of(item->key, RECORD_KEY_LEN)) : NULL;
	if (!named || named->here || !is_here(records, &named->entry))
		return;
	named->here = true;
	fetch->missing--;
	fetch_check(records, fetch);
}

/* ---- time ---- */

static void fetch_resend(struct records *records, struct fetch_state *fetch)
{
	bool wide = mono_reached(records->now, fetch->wide_at);

	for (size_t i = 0; i < fetch->source_count; i++)
		if (fetch->sources[i].answered)
			want_missing(records, fetch, &fetch->sources[i]);
	ask_first(records, fetch, wide ? RECORDS_KEEPERS : RECORDS_READS);
	fetch_check(records, fetch);
}

void fetch_tick(struct records *records)
{
	list_for_each_safe (link, &records->fetches) {
		struct fetch_state *fetch = list_entry(link, struct fetch_state, link);

		if (mono_reached(records->now, fetch->end_at)) {
			place_doubt(records, &fetch->home);
			fetch_end(records, fetch);
		} else if (mono_reached(records->now, fetch->resend_at)) {
			fetch_resend(records, fetch);
		}
	}
}

struct mono fetch_deadline(const struct records *records)
{
	struct mono deadline = MONO_NEVER;

	list_for_each (link, &records->fetches) {
		const struct fetch_state *fetch = list_entry(link, struct fetch_state, link);

		deadline = mono_min(deadline, mono_min(fetch->end_at, fetch->resend_at));
	}
	return deadline;
}

void fetches_deinit(struct records *records)
{
	list_for_each_safe (link, &records->fetches)
		fetch_free(records, list_entry(link, struct fetch_state, link));
}
