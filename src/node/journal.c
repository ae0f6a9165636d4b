/* SPDX-License-Identifier: Apache-2.0 */
#include "node/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "identity/sha256.h"
#include "wire/text.h"

enum {
	WORD_MAX = 63, /* of a kind and a reason, on the wire */
};

/* Entries that have something in common, oldest first. It goes with the last of them. */
struct group {
	struct list entries;
	size_t count;
};

enum grouping {
	BY_HOME,
	BY_OBJECT,
	BY_WRITER,
	_GROUPING_COUNT,
};

struct entry {
	struct list link; /* among those noted, oldest first, or the copies, by @until */
	struct list grouped[_GROUPING_COUNT];
	struct uid id, home;
	struct node_id writer; /* none: it is a copy */
	bool noted;
	uint64_t serial;   /* of one that was noted: rises */
	struct mono until; /* of a copy */
	struct happening what;
};

struct journal {
	struct map entries; /* id -> struct entry */
	struct map groups[_GROUPING_COUNT];
	struct list noted, copies;
	size_t noted_count, copy_count;
	uint64_t serial;
};

struct journal *journal_new(uint64_t seed)
{
	struct journal *journal = mem_new(struct journal);

	map_init(&journal->entries, seed);
	for (size_t i = 0; i < _GROUPING_COUNT; i++)
		map_init(&journal->groups[i], seed);
	list_init(&journal->noted);
	list_init(&journal->copies);
	return journal;
}

/* ---- groups ---- */

static struct bytes group_key(const struct entry *entry, enum grouping by)
{
	if (by == BY_HOME)
		return bytes_of(entry->home.byte, UID_HOME_LEN);
	if (by == BY_OBJECT)
		return bytes_of(entry->what.about.byte, UID_LEN);
	return bytes_of(entry->writer.byte, ID_LEN);
}

static void group_add(struct journal *journal, struct entry *entry, enum grouping by)
{
	struct bytes key = group_key(entry, by);
	struct group *group = map_get(&journal->groups[by], key);

	if (!group) {
		group = mem_new(struct group);
		list_init(&group->entries);
		(void)map_put(&journal->groups[by], key, group);
	}
	list_append(&group->entries, &entry->grouped[by]);
	group->count++;
}

static void group_remove(struct journal *journal, struct entry *entry, enum grouping by)
{
	struct bytes key = group_key(entry, by);
	struct group *group = map_get(&journal->groups[by], key);

	assert(group && group->count > 0);
	list_remove(&entry->grouped[by]);
	if (--group->count == 0)
		free(map_remove(&journal->groups[by], key));
}

static size_t group_count(const struct journal *journal, enum grouping by, struct bytes key)
{
	const struct group *group = map_get(&journal->groups[by], key);

	return group ? group->count : 0;
}

static struct entry *group_oldest(const struct journal *journal, enum grouping by, struct bytes key)
{
	const struct group *group = map_get(&journal->groups[by], key);

	assert(group);
	return list_entry(group->entries.next, struct entry, grouped[by]);
}

/* ---- entries ---- */

static void entry_remove(struct journal *journal, struct entry *entry)
{
	list_remove(&entry->link);
	group_remove(journal, entry, BY_HOME);
	group_remove(journal, entry, BY_OBJECT);
	if (entry->noted) {
		group_remove(journal, entry, BY_WRITER);
		journal->noted_count--;
	} else {
		journal->copy_count--;
	}
	(void)map_remove(&journal->entries, bytes_of(entry->id.byte, UID_LEN));
	happening_deinit(&entry->what);
	free(entry);
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	list_for_each_safe (it, &journal->noted)
		entry_remove(journal, list_entry(it, struct entry, link));
	list_for_each_safe (it, &journal->copies)
		entry_remove(journal, list_entry(it, struct entry, link));
	map_deinit(&journal->entries);
	for (size_t i = 0; i < _GROUPING_COUNT; i++)
		map_deinit(&journal->groups[i]);
	free(journal);
}

/* The same words about the same object are the same happening. */
static struct uid happening_id(const struct happening *what)
{
	struct buf text = {0};
	struct digest digest;

	buf_append_bytes(&text, bytes_of(what->about.byte, UID_LEN));
	buf_append_str(&text, what->reason);
	buf_append_bytes(&text, bytes_of("", 1)); /* which neither may hold */
	buf_append_str(&text, what->message);
	digest = sha256(bytes_buf(&text));
	buf_deinit(&text);
	return uid_from_random(digest.byte);
}

static struct entry *entry_find(const struct journal *journal, const struct uid *id)
{
	return map_get(&journal->entries, bytes_of(id->byte, UID_LEN));
}

static struct entry *entry_new(struct journal *journal, const struct uid *id,
			       const struct uid *home, const struct happening *what)
{
	struct entry *entry = mem_new(struct entry);

	entry->id = *id;
	entry->home = *home;
	happening_copy(what, &entry->what);
	list_init(&entry->link);
	(void)map_put(&journal->entries, bytes_of(id->byte, UID_LEN), entry);
	group_add(journal, entry, BY_HOME);
	group_add(journal, entry, BY_OBJECT);
	return entry;
}

/* Times and counts of one happening from two mouths. */
static bool merge(struct happening *known, const struct happening *what)
{
	bool news = false;

	if (what->first_ms < known->first_ms) {
		known->first_ms = what->first_ms;
		news = true;
	}
	if (what->count > known->count) {
		known->count = what->count;
		if (what->last_ms > known->last_ms)
			known->last_ms = what->last_ms;
		news = true;
	}
	return news;
}

static bool is_name(const char *text, size_t len_max)
{
	struct bytes bytes = bytes_str(text);

	return bytes.len <= len_max && text_is_valid(bytes, TEXT_NAME);
}

/* Some of the words come from manifests and programs. */
static bool is_valid(const struct happening *what)
{
	return !uid_is_none(&what->about) && what->kind[0] && is_name(what->kind, WORD_MAX) &&
	       is_name(what->namespace, MESSAGE_NAMESPACE_MAX) && what->name[0] &&
	       is_name(what->name, MESSAGE_NAME_MAX) && what->reason[0] &&
	       is_name(what->reason, WORD_MAX) && is_name(what->host, MESSAGE_NAME_MAX) &&
	       what->count > 0 && what->first_ms >= 0 && what->first_ms <= what->last_ms;
}

static bool is_old(const struct happening *what, struct wall fabric)
{
	return what->last_ms < fabric.ms - JOURNAL_KEPT_MS;
}

/* ---- what is noted here ---- */

static void make_room(struct journal *journal, const struct node_id *writer,
		      const struct uid *about)
{
	struct bytes object = bytes_of(about->byte, UID_LEN), by = bytes_of(writer->byte, ID_LEN);

	while (group_count(journal, BY_OBJECT, object) >= JOURNAL_PER_OBJECT_MAX)
		entry_remove(journal, group_oldest(journal, BY_OBJECT, object));
	while (group_count(journal, BY_WRITER, by) >= JOURNAL_PER_WRITER_MAX)
		entry_remove(journal, group_oldest(journal, BY_WRITER, by));
	while (journal->noted_count >= JOURNAL_MAX)
		entry_remove(journal, list_first(&journal->noted, struct entry, link));
}

static void entry_is_noted(struct journal *journal, struct entry *entry,
			   const struct node_id *writer)
{
	list_append(&journal->noted, &entry->link);
	entry->noted = true;
	entry->writer = *writer;
	group_add(journal, entry, BY_WRITER);
	entry->serial = ++journal->serial;
	journal->noted_count++;
}

static bool note(struct journal *journal, const struct uid *home, const struct node_id *writer,
		 const struct happening *what)
{
	struct uid id = happening_id(what);
	struct entry *entry = entry_find(journal, &id);

	if (entry && entry->noted)
		return merge(&entry->what, what);
	if (entry) /* a copy: who noted it says it again */
		entry_remove(journal, entry);
	make_room(journal, writer, &what->about);
	entry_is_noted(journal, entry_new(journal, &id, home, what), writer);
	return true;
}

bool journal_note(struct journal *journal, struct wall fabric, const struct uid *home,
		  const struct node_id *writer, const struct happening *what)
{
	struct happening clean = *what; /* borrows all but the message */
	bool news;

	if (!is_valid(what) || is_old(what, fabric))
		return false;
	clean.message =
		mem_copy(what->message, text_clip(bytes_str(what->message), MESSAGE_TEXT_MAX));
	text_clean((uint8_t *)clean.message, strlen(clean.message));
	news = note(journal, home, writer, &clean);
	free(clean.message);
	return news;
}

/* ---- what others say ---- */

static bool may_keep_copy(const struct journal *journal, const struct uid *about)
{
	return group_count(journal, BY_OBJECT, bytes_of(about->byte, UID_LEN)) <
	       JOURNAL_PER_OBJECT_MAX;
}

bool journal_hear(struct journal *journal, struct mono now, struct wall fabric,
		  const struct uid *home, const struct happening *what)
{
	struct uid id = happening_id(what);
	struct entry *entry = entry_find(journal, &id);
	bool is_new = !entry;

	if (!is_valid(what) || is_old(what, fabric) ||
	    (is_new && !may_keep_copy(journal, &what->about)))
		return false;
	if (is_new) {
		while (journal->copy_count >= JOURNAL_COPIES_MAX)
			entry_remove(journal, list_first(&journal->copies, struct entry, link));
		entry = entry_new(journal, &id, home, what);
		journal->copy_count++;
	}
	if (!entry->noted) {
		list_remove(&entry->link);
		list_append(&journal->copies, &entry->link);
		entry->until = mono_add_ms(now, JOURNAL_COPY_MS);
	}
	return merge(&entry->what, what) || is_new;
}

void journal_sweep(struct journal *journal, struct mono now)
{
	struct entry *entry;

	while ((entry = list_first(&journal->copies, struct entry, link)) &&
	       mono_reached(now, entry->until))
		entry_remove(journal, entry);
}

/* ---- reading ---- */

static size_t text_len(const struct happening *what)
{
	return strlen(what->kind) + strlen(what->namespace) + strlen(what->name) +
	       strlen(what->reason) + strlen(what->message) + strlen(what->host);
}

void journal_read(const struct journal *journal, struct wall fabric, const struct uid *home,
		  uint64_t after, struct journal_page *ret_page)
{
	const struct group *group =
		map_get(&journal->groups[BY_HOME], bytes_of(home->byte, UID_HOME_LEN));
	struct journal_page page = {0};
	size_t bytes = 0;
	uint64_t last = after;

	page.happenings = mem_alloc(MESSAGE_HAPPENINGS_MAX, sizeof(*page.happenings));
	for (struct list *it = group ? group->entries.next : NULL; group && it != &group->entries;
	     it = it->next) {
		const struct entry *entry = list_entry(it, struct entry, grouped[BY_HOME]);

		if (!entry->noted || entry->serial <= after || is_old(&entry->what, fabric))
			continue;
		if (page.count == MESSAGE_HAPPENINGS_MAX || bytes > JOURNAL_PAGE_BYTES_MAX) {
			page.next = last;
			break;
		}
		happening_copy(&entry->what, &page.happenings[page.count++]);
		bytes += text_len(&entry->what);
		last = entry->serial;
	}
	*ret_page = page;
}

static void each_of(const struct list *list, struct wall fabric, const char *namespace,
		    journal_fn *each, void *arg)
{
	list_for_each (it, list) {
		const struct entry *entry = list_entry(it, const struct entry, link);

		if (!is_old(&entry->what, fabric) &&
		    (!namespace || strcmp(namespace, entry->what.namespace) == 0))
			each(arg, &entry->what, &entry->id);
	}
}

void journal_each(const struct journal *journal, struct wall fabric, const char *namespace,
		  journal_fn *each, void *arg)
{
	each_of(&journal->noted, fabric, namespace, each, arg);
	each_of(&journal->copies, fabric, namespace, each, arg);
}

size_t journal_noted(const struct journal *journal)
{
	return journal->noted_count;
}

size_t journal_copies(const struct journal *journal)
{
	return journal->copy_count;
}
