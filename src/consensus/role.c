/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "consensus/internal.h"

const char *raft_role_name(enum raft_role role)
{
	static const char *const names[] = {
		[RAFT_FOLLOWER] = "follower",   [RAFT_PRECANDIDATE] = "precandidate",
		[RAFT_CANDIDATE] = "candidate", [RAFT_LEADER] = "leader",
		[RAFT_REMOVED] = "removed",     [RAFT_SUPERSEDED] = "superseded",
	};

	return names[role];
}

/* What only a leader has. */
static void lay_down(struct raft *raft)
{
	raft_propose_give_up(raft);
	raft_lease_give_up(raft);
	raft->peer_count = 0;
	raft->transfer_to = 0;
	raft->transfer_asked = false;
}

void raft_become_follower(struct raft *raft, uint64_t term, uint64_t leader)
{
	enum raft_role before = raft->role;
	bool changed = before != RAFT_FOLLOWER || raft->leader != leader;

	assert(term >= raft->meta.term);
	assert(before != RAFT_REMOVED && before != RAFT_SUPERSEDED);
	raft->role = RAFT_FOLLOWER;
	raft->leader = leader;
	raft->by_transfer = false;
	if (before == RAFT_LEADER)
		lay_down(raft);
	/* "If RPC request or response contains term T > currentTerm: set currentTerm = T" (Figure
	 * 3.1), on the disk before anything is said in it. */
	if (term > raft->meta.term) {
		raft->meta.term = term;
		raft->meta.vote = 0;
		(void)raft_effect_save(raft);
		changed = true;
	}
	if (before == RAFT_LEADER)
		raft_elect_rest(raft);
	if (changed)
		raft_effect_role(raft);
}

void raft_become_leader(struct raft *raft)
{
	assert(raft->role == RAFT_CANDIDATE);
	raft->role = RAFT_LEADER;
	raft->leader = raft->id;
	raft->lease_after = 0;
	raft->transfer_to = 0;
	raft->transfer_asked = false;
	raft_effect_role(raft);
	raft_replicate_begin(raft);
	/* "A leader ... must have the latest information on which entries are committed ... Raft
	 * handles this by having each leader commit a blank no-op entry" (6.4). */
	raft->term_index = raft_propose_entry(raft, RAFT_ENTRY_NOOP, (struct bytes){0}, 0);
	raft_replicate_heartbeat(raft);
}

void raft_become_over(struct raft *raft, enum raft_role role)
{
	bool led = raft->role == RAFT_LEADER;

	if (raft->role == RAFT_REMOVED || raft->role == RAFT_SUPERSEDED)
		return;
	raft->role = role;
	raft->leader = 0;
	if (led)
		lay_down(raft);
	raft_install_forget(raft);
	raft_effect_role(raft);
}
