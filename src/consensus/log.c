/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus/internal.h"

enum {
	CAP_MIN = 64,
};

void raft_log_deinit(struct raft_log *log)
{
	for (size_t i = 0; i < log->count; i++)
		free(log->entries[i].data);
	free(log->entries);
	*log = (struct raft_log){0};
}

uint64_t raft_log_last(const struct raft_log *log)
{
	return log->base_index + log->count;
}

uint64_t raft_log_last_term(const struct raft_log *log)
{
	return log->count > 0 ? log->entries[log->count - 1].term : log->base_term;
}

bool raft_log_has(const struct raft_log *log, uint64_t index)
{
	return index > log->base_index && index <= raft_log_last(log);
}

uint64_t raft_log_term(const struct raft_log *log, uint64_t index)
{
	if (index == log->base_index)
		return log->base_term;
	return raft_log_has(log, index) ? raft_log_at(log, index)->term : 0;
}

struct raft_entry *raft_log_at(const struct raft_log *log, uint64_t index)
{
	assert(raft_log_has(log, index));
	return &log->entries[index - log->base_index - 1];
}

bool raft_log_fits(const struct raft_log *log, size_t entries, size_t bytes)
{
	return log->count + entries <= RAFT_LOG_ENTRIES_MAX &&
	       log->bytes + bytes <= RAFT_LOG_BYTES_MAX;
}

struct raft_entry *raft_log_append(struct raft_log *log, const struct raft_entry *entry)
{
	struct raft_entry *to;

	if (log->count == log->cap) {
		log->cap = log->cap ? 2 * log->cap : CAP_MIN;
		log->entries = mem_resize(log->entries, log->cap, sizeof(*log->entries));
	}
	to = &log->entries[log->count++];
	*to = *entry;
	to->data = entry->len > 0 ? (uint8_t *)mem_copy(entry->data, entry->len) : NULL;
	log->bytes += entry->len;
	return to;
}

void raft_log_truncate(struct raft_log *log, uint64_t from)
{
	assert(from > log->base_index);
	while (raft_log_last(log) >= from) {
		struct raft_entry *entry = &log->entries[--log->count];

		log->bytes -= entry->len;
		free(entry->data);
	}
	if (log->durable >= from)
		log->durable = from - 1;
}

void raft_log_compact(struct raft_log *log, uint64_t base)
{
	size_t gone = (size_t)(base - log->base_index);

	if (base <= log->base_index)
		return;
	assert(raft_log_has(log, base));
	log->base_term = raft_log_at(log, base)->term;
	for (size_t i = 0; i < gone; i++) {
		log->bytes -= log->entries[i].len;
		free(log->entries[i].data);
	}
	log->count -= gone;
	log->base_index = base;
	memmove(log->entries, log->entries + gone, log->count * sizeof(*log->entries));
}

void raft_log_reset(struct raft_log *log, uint64_t base_index, uint64_t base_term)
{
	while (log->count > 0)
		free(log->entries[--log->count].data);
	log->bytes = 0;
	log->base_index = base_index;
	log->base_term = base_term;
	log->durable = base_index;
}

void raft_log_durable(struct raft_log *log, uint64_t write)
{
	if (log->durable < log->base_index)
		log->durable = log->base_index;
	while (log->durable < raft_log_last(log) &&
	       raft_log_at(log, log->durable + 1)->write <= write)
		log->durable++;
}
