/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus/internal.h"

/* Make a copy of @snapshot ours, and write it together with what is left of the log. */
void raft_snapshot_keep(struct raft *raft, const struct raft_snapshot *snapshot)
{
	struct raft_effect *effect;
	uint8_t *data = (uint8_t *)mem_copy(snapshot->data.ptr, snapshot->data.len);

	free(raft->snapshot_data);
	raft->snapshot = *snapshot;
	raft->snapshot_data = data;
	raft->snapshot.data = bytes_of(data, snapshot->data.len);
	effect = raft_effect_add(raft, RAFT_SAVE_SNAPSHOT);
	effect->write = ++raft->write;
	effect->index = raft->log.base_index + 1;
	effect->entry_count = raft->log.count;
}

static bool is_sending(const struct raft *raft)
{
	for (size_t i = 0; i < raft->peer_count; i++)
		if (raft->peers[i].state == PROGRESS_SNAPSHOT &&
		    mono_since_us(raft->now, raft->peers[i].heard) <
			    2 * (int64_t)raft->timeout_ms * US_PER_MS)
			return true;
	return false;
}

/* Entries behind a snapshot that stay: less than what makes the next one. */
static uint64_t keep(const struct raft *raft)
{
	uint64_t eighth = raft->options.compact_entries / 8;

	return eighth < RAFT_LOG_KEEP ? eighth : RAFT_LOG_KEEP;
}

bool raft_wants_snapshot(const struct raft *raft)
{
	uint64_t since = raft->commit - raft->snapshot.index;

	if (since < raft->options.compact_entries &&
	    (since <= keep(raft) || raft->log.bytes < RAFT_COMPACT_BYTES))
		return false;
	/* A new one makes those begin again who are receiving the last: not while there is room. */
	return !is_sending(raft) || raft->log.count > RAFT_LOG_ENTRIES_MAX / 2 ||
	       raft->log.bytes > RAFT_LOG_BYTES_MAX / 2;
}

void raft_compact_event(struct raft *raft, const struct raft_event *event)
{
	struct raft_snapshot snapshot = {
		.index = event->index,
		.term = raft_log_term(&raft->log, event->index),
		.members = raft->agreed,
		.data = event->data,
	};

	if (event->index != raft->commit || event->index <= raft->snapshot.index ||
	    event->data.len > RAFT_SNAPSHOT_MAX)
		return;
	if (raft->log.bytes >= RAFT_COMPACT_BYTES)
		raft_log_compact(&raft->log, event->index);
	else if (event->index > keep(raft))
		raft_log_compact(&raft->log, event->index - keep(raft));
	raft_snapshot_keep(raft, &snapshot);
}
