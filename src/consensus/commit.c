/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "base/fault.h"
#include "consensus/internal.h"

/* The highest index that a majority has on its disks. Ours counts like any other (10.2.1): a slow
 * disk of the leader delays nobody. */
static uint64_t stored_by_majority(const struct raft *raft)
{
	uint64_t stored[RAFT_MEMBERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < raft->members.count; i++) {
		const struct raft_member *member = &raft->members.list[i];
		uint64_t index = 0;
		size_t at = count;

		if (!member->voter)
			continue;
		if (member->id == raft->id)
			index = raft->log.durable;
		for (size_t j = 0; j < raft->peer_count; j++)
			if (raft->peers[j].id == member->id)
				index = raft->peers[j].match;
		for (count++; at > 0 && stored[at - 1] < index; at--)
			stored[at] = stored[at - 1];
		stored[at] = index;
	}
	return count > 0 ? stored[raft_member_quorum(raft) - 1] : 0;
}

/* A leader that is no member any more hands over to the best and goes (4.2.2). */
static void leave_if_removed(struct raft *raft)
{
	const struct progress *best = NULL;
	struct raft_message message = {
		.type = RAFT_CAMPAIGN, .term = raft->meta.term, .round = raft->round};

	if (raft->members_index > raft->commit || raft_member_find(&raft->members, raft->id))
		return;
	for (size_t i = 0; i < raft->peer_count; i++)
		if (raft_member_votes(raft, raft->peers[i].id) &&
		    (!best || raft->peers[i].match > best->match))
			best = &raft->peers[i];
	if (best) {
		message.to = best->id;
		raft_send_now(raft, &message);
	}
	raft_become_over(raft, RAFT_REMOVED);
}

void raft_commit_advance(struct raft *raft)
{
	uint64_t index;

	if (raft->role != RAFT_LEADER)
		return;
	index = stored_by_majority(raft);
	/* "Raft never commits log entries from previous terms by counting replicas. Only log
	 * entries from the leader's current term are committed by counting replicas" (3.6.2). */
	if (index > raft->commit && (raft_log_term(&raft->log, index) == raft->meta.term ||
				     fault_is_planted(FAULT_RAFT_OLD_TERM))) {
		raft_commit_to(raft, index);
		raft_lease_progress(raft);
		leave_if_removed(raft);
	}
}

void raft_commit_to(struct raft *raft, uint64_t index)
{
	uint64_t first = raft->commit + 1;
	struct raft_effect *effect;

	assert(index >= first && index <= raft_log_last(&raft->log));
	raft->commit = index;
	effect = raft_effect_add(raft, RAFT_APPLY);
	effect->index = first;
	effect->entry_count = (size_t)(index - first + 1);
	for (uint64_t i = first; i <= index; i++)
		if (raft_log_at(&raft->log, i)->kind == RAFT_ENTRY_MEMBERS)
			raft_members_agreed(raft, i);
}
