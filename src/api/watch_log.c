/* SPDX-License-Identifier: Apache-2.0 */
#include "api/watch_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct watch_text *watch_text_new(const char *json, size_t len, const struct uid *workload,
				  uint64_t version)
{
	struct watch_text *text = mem_alloc(1, sizeof(*text) + len + 1);

	text->refs = 1;
	text->workload = *workload;
	text->version = version;
	text->len = len;
	memcpy(text->json, json, len);
	return text;
}

struct watch_text *watch_text_ref(struct watch_text *text)
{
	text->refs++;
	return text;
}

void watch_text_unref(struct watch_text *text)
{
	if (!text)
		return;
	assert(text->refs > 0);
	if (--text->refs > 0)
		return;
	json_decref(text->parsed);
	buf_deinit(&text->cells);
	free(text->key);
	free(text);
}

bool watch_text_is_in(const struct watch_text *text, const char *namespace)
{
	size_t len;

	if (!namespace)
		return true;
	len = strlen(namespace);
	return strncmp(text->key, namespace, len) == 0 && text->key[len] == '/';
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct watch_entry *)a)->key, ((const struct watch_entry *)b)->key);
}

struct watch_log *watch_log_new(uint64_t version)
{
	struct watch_log *log = mem_new(struct watch_log);

	/* Keys are names of objects that authorised users chose; any seed will do. */
	map_init(&log->view, version);
	map_init(&log->workloads, version);
	index_init(&log->order, by_key);
	log->changes = mem_alloc(WATCH_LOG_CHANGES_MAX, sizeof(*log->changes));
	log->floor = log->stamp = version;
	return log;
}

static size_t change_bytes(const struct watch_change *change)
{
	/* The text after is the next change's text before, or the view's: counted once. */
	return sizeof(*change) +
	       (change->before ? change->before->len + change->before->cells.len : 0);
}

static void forget_oldest(struct watch_log *log)
{
	struct watch_change *change = &log->changes[log->first];

	assert(log->count > 0);
	log->bytes -= change_bytes(change);
	log->floor = change->stamp;
	watch_text_unref(change->before);
	watch_text_unref(change->after);
	log->first = (log->first + 1) % WATCH_LOG_CHANGES_MAX;
	log->first_sequence++;
	log->count--;
}

void watch_log_free(struct watch_log *log)
{
	if (!log)
		return;
	watch_log_forget_parsed(log);
	while (log->count)
		forget_oldest(log);
	index_deinit(&log->order);
	map_for_each (entry, &log->view) {
		struct watch_entry *shown = entry->value;

		watch_text_unref(shown->text);
		free(shown);
	}
	map_deinit(&log->view);
	map_for_each (one, &log->workloads)
		free(one->value);
	map_deinit(&log->workloads);
	free(log->changes);
	free(log);
}

static struct bytes uid_key(const struct uid *uid)
{
	return bytes_of(uid->byte, UID_LEN);
}

static void workload_join(struct watch_log *log, struct watch_entry *entry)
{
	const struct uid *uid = &entry->text->workload;
	struct watch_workload *workload = map_get(&log->workloads, uid_key(uid));

	if (!workload) {
		workload = mem_new(struct watch_workload);
		workload->uid = *uid;
		list_init(&workload->entries);
		(void)map_put(&log->workloads, uid_key(uid), workload);
	}
	list_append(&workload->entries, &entry->in_workload);
}

static void workload_leave(struct watch_log *log, struct watch_entry *entry)
{
	const struct uid *uid = &entry->text->workload;
	struct watch_workload *workload = map_get(&log->workloads, uid_key(uid));

	list_remove(&entry->in_workload);
	if (workload && list_is_empty(&workload->entries))
		free(map_remove(&log->workloads, uid_key(uid)));
}

/* Takes @text; the view's entry refers to its key. */
static void view_put(struct watch_log *log, const char *key, struct watch_text *text)
{
	struct watch_entry *entry = mem_new(struct watch_entry);

	if (!text->key)
		text->key = mem_strdup(key);
	entry->key = text->key;
	entry->text = text;
	list_init(&entry->in_workload);
	workload_join(log, entry);
	(void)map_put(&log->view, bytes_str(key), entry);
	index_insert(&log->order, entry);
}

/* Give back the view's reference to its text. */
static struct watch_text *view_take(struct watch_log *log, const char *key)
{
	struct watch_entry *entry = map_remove(&log->view, bytes_str(key));
	struct watch_text *text;

	if (!entry)
		return NULL;
	text = entry->text;
	index_remove(&log->order, entry);
	workload_leave(log, entry);
	free(entry);
	return text;
}

void watch_log_seed(struct watch_log *log, const char *key, struct watch_text *text)
{
	watch_text_unref(view_take(log, key));
	view_put(log, key, text);
}

struct watch_text *watch_log_find(const struct watch_log *log, const char *key)
{
	const struct watch_entry *entry = map_get(&log->view, bytes_str(key));

	return entry ? entry->text : NULL;
}

size_t watch_log_from(const struct watch_log *log, const char *from)
{
	struct watch_entry bound = {.key = from};

	return from ? index_lower_bound(&log->order, &bound) : 0;
}

struct watch_text *watch_log_next(const struct watch_log *log, size_t *position)
{
	const struct watch_entry *entry = index_next(&log->order, position);

	return entry ? entry->text : NULL;
}

const struct watch_workload *watch_log_workload(const struct watch_log *log,
						const struct uid *workload)
{
	return map_get(&log->workloads, uid_key(workload));
}

const json_t *watch_log_parse(struct watch_log *log, struct watch_text *text)
{
	if (!text || text->parsed)
		return text ? text->parsed : NULL;
	if (log->parsed_count == WATCH_LOG_PARSED_MAX)
		watch_log_forget_parsed(log);
	text->parsed = json_loadb(text->json, text->len, 0, NULL);
	log->parsed[log->parsed_count++] = watch_text_ref(text);
	return text->parsed;
}

void watch_log_forget_parsed(struct watch_log *log)
{
	while (log->parsed_count) {
		struct watch_text *text = log->parsed[--log->parsed_count];

		json_decref(text->parsed);
		text->parsed = NULL;
		watch_text_unref(text);
	}
}

static void append(struct watch_log *log, const struct watch_change *change)
{
	if (log->count == WATCH_LOG_CHANGES_MAX)
		forget_oldest(log);
	log->changes[(log->first + log->count++) % WATCH_LOG_CHANGES_MAX] = *change;
	log->bytes += change_bytes(change);
	while (log->bytes > WATCH_LOG_BYTES_MAX && log->count > 1)
		forget_oldest(log);
}

bool watch_log_note(struct watch_log *log, const char *key, struct watch_text *text,
		    uint64_t version)
{
	struct watch_text *before = watch_log_find(log, key);
	struct watch_change change = {.before = before, .after = text};

	if (!before && !text)
		return false;
	if (before && text && before->len == text->len &&
	    memcmp(before->json, text->json, text->len) == 0) {
		watch_text_unref(text);
		return false;
	}
	log->stamp = version > log->stamp ? version : log->stamp + 1;
	change.stamp = log->stamp;
	/* The view's reference to the old text moves into the change. */
	(void)view_take(log, key);
	if (text)
		view_put(log, key, watch_text_ref(text));
	append(log, &change);
	return true;
}

bool watch_log_position(const struct watch_log *log, uint64_t version, uint64_t *ret_sequence)
{
	size_t low = 0, high = log->count;

	if (version < log->floor)
		return false;
	/* Stamps rise: find the first change above @version. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		size_t at = (log->first + middle) % WATCH_LOG_CHANGES_MAX;

		if (log->changes[at].stamp > version)
			high = middle;
		else
			low = middle + 1;
	}
	*ret_sequence = log->first_sequence + low;
	return true;
}

uint64_t watch_log_end(const struct watch_log *log)
{
	return log->first_sequence + log->count;
}

const struct watch_change *watch_log_at(const struct watch_log *log, uint64_t sequence)
{
	if (sequence < log->first_sequence || sequence >= watch_log_end(log))
		return NULL;
	return &log->changes[(log->first + (size_t)(sequence - log->first_sequence)) %
			     WATCH_LOG_CHANGES_MAX];
}

bool watch_log_forgot(const struct watch_log *log, uint64_t sequence)
{
	return sequence < log->first_sequence;
}
