/* SPDX-License-Identifier: Apache-2.0 */
#include "consensus/internal.h"

uint64_t raft_propose_entry(struct raft *raft, enum raft_entry_kind kind, struct bytes data,
			    uint64_t request)
{
	struct raft_entry entry = {
		.term = raft->meta.term,
		.kind = kind,
		.data = (uint8_t *)(uintptr_t)data.ptr, /* raft_log_append() copies it */
		.len = data.len,
		.write = ++raft->write,
		.request = request,
	};
	struct raft_effect *effect = raft_effect_add(raft, RAFT_WRITE);

	effect->write = raft->write;
	effect->index = raft_log_last(&raft->log) + 1;
	effect->entry_count = 1;
	(void)raft_log_append(&raft->log, &entry);
	if (kind == RAFT_ENTRY_MEMBERS)
		raft_members_written(raft, raft_log_last(&raft->log));
	return raft_log_last(&raft->log);
}

void raft_propose_event(struct raft *raft, const struct raft_event *event)
{
	if (raft->role != RAFT_LEADER) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_NOT_LEADER);
	} else if (event->data.len > RAFT_DATA_MAX) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_TOO_BIG);
	} else if (raft->transfer_to != 0 ||
		   raft_log_last(&raft->log) - raft->commit >= RAFT_UNCOMMITTED_MAX ||
		   !raft_log_fits(&raft->log, 2, event->data.len + RAFT_DATA_MAX)) {
		/* A change of members finds room always. */
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_BUSY);
	} else {
		(void)raft_propose_entry(raft, RAFT_ENTRY_COMMAND, event->data, event->request);
		raft_replicate_all(raft);
	}
}

void raft_propose_give_up(struct raft *raft)
{
	for (uint64_t index = raft->commit + 1; index <= raft_log_last(&raft->log); index++) {
		struct raft_entry *entry = raft_log_at(&raft->log, index);

		if (entry->request)
			raft_effect_add(raft, RAFT_UNKNOWN)->request = entry->request;
		entry->request = 0;
	}
	if (raft->change_request)
		raft_effect_add(raft, RAFT_UNKNOWN)->request = raft->change_request;
	raft->change_request = 0;
}
