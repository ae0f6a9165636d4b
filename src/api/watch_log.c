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
	if (--text->refs == 0)
		free(text);
}

struct watch_log *watch_log_new(uint64_t version)
{
	struct watch_log *log = mem_new(struct watch_log);

	/* Keys are names of objects that authorised users chose; any seed will do. */
	map_init(&log->view, version);
	log->changes = mem_alloc(WATCH_LOG_CHANGES_MAX, sizeof(*log->changes));
	log->floor = log->stamp = version;
	return log;
}

static size_t change_bytes(const struct watch_change *change)
{
	/* The text after is the next change's text before, or the view's: counted once. */
	return sizeof(*change) + (change->before ? change->before->len : 0);
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
	while (log->count)
		forget_oldest(log);
	map_for_each (entry, &log->view)
		watch_text_unref(entry->value);
	map_deinit(&log->view);
	free(log->changes);
	free(log);
}

void watch_log_seed(struct watch_log *log, const char *key, struct watch_text *text)
{
	watch_text_unref(map_put(&log->view, bytes_str(key), text));
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
	struct watch_text *before = map_get(&log->view, bytes_str(key));
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
	if (text)
		(void)map_put(&log->view, bytes_str(key), watch_text_ref(text));
	else
		(void)map_remove(&log->view, bytes_str(key));
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
