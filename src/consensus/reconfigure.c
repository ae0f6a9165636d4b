/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "base/fault.h"
#include "consensus/internal.h"

const struct raft_member *raft_member_find(const struct raft_members *members, uint64_t id)
{
	for (size_t i = 0; i < members->count; i++)
		if (members->list[i].id == id)
			return &members->list[i];
	return NULL;
}

bool raft_member_votes(const struct raft *raft, uint64_t id)
{
	const struct raft_member *member = raft_member_find(&raft->members, id);

	return member && member->voter;
}

static size_t count_voters(const struct raft_members *members)
{
	size_t count = 0;

	for (size_t i = 0; i < members->count; i++)
		count += members->list[i].voter;
	return count;
}

size_t raft_member_quorum(const struct raft *raft)
{
	return count_voters(&raft->members) / 2 + 1;
}

/* Entries about members are encoded by us, or decoded once before they are taken into the log. */
static struct raft_members read_entry(const struct raft *raft, uint64_t index)
{
	const struct raft_entry *entry = raft_log_at(&raft->log, index);
	struct raft_members members = {0};

	if (raft_members_decode(bytes_of(entry->data, entry->len), &members) != 0)
		assert(false && "raft_follow_append() has looked at it");
	return members;
}

/* "a server always uses the latest configuration in its log, regardless of whether the entry is
 * committed" (4.1). */
void raft_members_refresh(struct raft *raft)
{
	uint64_t index = raft_log_last(&raft->log);

	while (raft_log_has(&raft->log, index) && index > raft->snapshot.index &&
	       raft_log_at(&raft->log, index)->kind != RAFT_ENTRY_MEMBERS)
		index--;
	if (raft_log_has(&raft->log, index) && index > raft->snapshot.index) {
		raft->members = read_entry(raft, index);
		raft->members_index = index;
	} else {
		raft->members = raft->snapshot.members;
		raft->members_index = raft->snapshot.index;
	}
}

void raft_members_written(struct raft *raft, uint64_t index)
{
	raft->members = read_entry(raft, index);
	raft->members_index = index;
	if (raft->role == RAFT_LEADER)
		raft_replicate_members(raft);
}

void raft_members_agreed(struct raft *raft, uint64_t index)
{
	raft->agreed = read_entry(raft, index);
	raft->agreed_index = index;
	raft_effect_add(raft, RAFT_MEMBERS);
	if (index == raft->members_index && raft->change_request) {
		raft_effect_add(raft, RAFT_DONE)->request = raft->change_request;
		raft->change_request = 0;
	}
	if (raft_member_find(&raft->agreed, raft->id))
		raft->was_member = true;
	else if (raft->was_member && raft->role != RAFT_LEADER)
		raft_become_over(raft, RAFT_REMOVED);
}

/* One change at a time (4.1), and none before the leader knows that no other change of an earlier
 * term is still open: it has committed an entry of its own term. */
static bool may_change(const struct raft *raft)
{
	if (fault_is_planted(FAULT_RAFT_TWO_CHANGES))
		return true;
	return raft->members_index <= raft->commit && raft->commit >= raft->term_index;
}

static void propose_members(struct raft *raft, const struct raft_members *members, uint64_t request)
{
	struct buf data = {0};

	raft_members_encode(members, &data);
	/* Another change that waits at an earlier entry is not told: only a fault lets that be. */
	raft->change_request = request;
	(void)raft_propose_entry(raft, RAFT_ENTRY_MEMBERS, bytes_buf(&data), 0);
	buf_deinit(&data);
	raft_replicate_all(raft);
}

static bool may_begin(struct raft *raft, const struct raft_event *event)
{
	if (raft->role != RAFT_LEADER)
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_NOT_LEADER);
	else if (!may_change(raft))
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_CHANGING);
	else if (!raft_log_fits(&raft->log, 1, RAFT_DATA_MAX) || raft->transfer_to != 0)
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_BUSY);
	else
		return true;
	return false;
}

/* A change after which no majority is heard would be the last one: who is lost has to be replaced
 * before who is there may leave. */
static bool is_safe(struct raft *raft, const struct raft_members *members)
{
	size_t there = 0;

	for (size_t i = 0; i < members->count; i++) {
		const struct raft_member *member = &members->list[i];
		const struct progress *peer = raft_replicate_peer(raft, member->id);

		if (!member->voter)
			continue;
		there += member->id == raft->id ||
			 (peer && peer->acked_round > 0 && !raft_replicate_is_silent(raft, peer));
	}
	return there > count_voters(members) / 2;
}

/* The one that has @ordinal, or NULL. */
static struct raft_member *find_ordinal(struct raft_members *members, uint32_t ordinal)
{
	for (size_t i = 0; i < members->count; i++)
		if (members->list[i].ordinal == ordinal)
			return &members->list[i];
	return NULL;
}

void raft_reconfigure_join(struct raft *raft, const struct raft_event *event)
{
	struct raft_members members = raft->members;
	struct raft_member member = event->member, *before;

	if (!may_begin(raft, event))
		return;
	before = find_ordinal(&members, member.ordinal);
	if (member.id == 0 || raft_member_find(&members, member.id) ||
	    (before && (before->epoch >= member.epoch || before->id == raft->id))) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_MEMBER);
		return;
	}
	if (!before && members.count == RAFT_MEMBERS_MAX) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_FULL);
		return;
	}
	/* "new servers join the cluster as non-voting members" (4.2.1). A voter that is replaced by
	 * a learner is one voter less: a single change. */
	member.voter = false;
	if (before)
		*before = member;
	else
		members.list[members.count++] = member;
	if (before && !is_safe(raft, &members)) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_UNSAFE);
		return;
	}
	propose_members(raft, &members, event->request);
}

void raft_reconfigure_leave(struct raft *raft, const struct raft_event *event)
{
	struct raft_members members = raft->members;
	const struct raft_member *member;

	if (!may_begin(raft, event))
		return;
	member = raft_member_find(&members, event->member.id);
	if (!member || (member->voter && count_voters(&members) == 1)) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_MEMBER);
		return;
	}
	for (size_t at = (size_t)(member - members.list) + 1; at < members.count; at++)
		members.list[at - 1] = members.list[at];
	members.count--;
	if (!is_safe(raft, &members)) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_UNSAFE);
		return;
	}
	propose_members(raft, &members, event->request);
}

void raft_reconfigure_promote(struct raft *raft, const struct progress *peer)
{
	struct raft_members members = raft->members;

	if (raft_member_votes(raft, peer->id) || !raft_member_find(&members, peer->id) ||
	    !may_change(raft) || raft->transfer_to != 0 ||
	    count_voters(&members) >= RAFT_VOTERS_MAX ||
	    !raft_log_fits(&raft->log, 1, RAFT_DATA_MAX) || peer->match < raft->term_index ||
	    peer->match + RAFT_CAUGHT_UP < raft_log_last(&raft->log))
		return;
	for (size_t i = 0; i < members.count; i++)
		if (members.list[i].id == peer->id)
			members.list[i].voter = true;
	propose_members(raft, &members, 0);
}
