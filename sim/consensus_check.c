/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Raft promises (Figure 3.2), looked at after every step, and what the clients were told.
 *
 * agreed[] is what the first member to apply an index has applied there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus.h"

enum {
	STEPS_MAX = 3 * 1000 * 1000, /* of the search for an order; some history in 10,000 has none
				      * found within */
	CALM_US = 2 * US_PER_S,
	SETTLED_US = US_PER_S / 2, /* a new leader is known to all who can hear it */
	MATCH_MAX = 8, /* entries of two logs that are compared behind the last common one */
};

static uint64_t hash_entry(const struct raft_entry *entry)
{
	uint64_t sum = 0xcbf29ce484222325U ^ entry->term ^ (uint64_t)entry->kind << 56;

	for (size_t i = 0; i < entry->len; i++)
		sum = (sum ^ entry->data[i]) * 0x100000001b3U;
	return sum;
}

/* State Machine Safety: "no other server will ever apply a different log entry for the same
 * index". */
static void check_applied(struct cw *cw, struct cw_member *member, const struct raft *raft)
{
	struct raft_view view = raft_view(raft);

	for (uint64_t i = member->applied + 1; i <= view.commit && i < CW_INDEX_MAX; i++) {
		const struct raft_entry *entry = raft_entry_at(raft, i);
		struct cw_index now;

		if (!entry)
			continue; /* it came in a snapshot */
		now = (struct cw_index){entry->term, hash_entry(entry), view.term};
		if (cw->agreed[i].term == 0)
			cw->agreed[i] = now;
		else if (cw->agreed[i].term != now.term || cw->agreed[i].hash != now.hash)
			cw_violate(cw,
				   "state machine safety: %zu applies an entry of term %llu at "
				   "%llu, where one of term %llu was agreed",
				   member->slot, (unsigned long long)now.term,
				   (unsigned long long)i, (unsigned long long)cw->agreed[i].term);
	}
	if (view.commit > cw->agreed_last)
		cw->agreed_last = view.commit;
	member->applied = view.commit;
}

/* Log Matching: "if two logs contain an entry with the same index and term, then the logs are
 * identical in all entries up through the given index". */
static void check_matching(struct cw *cw, const struct cw_member *member, const struct raft *raft)
{
	uint64_t last = raft_view(raft).last;

	for (size_t i = 0; i < CW_SLOTS; i++) {
		const struct raft *other;
		uint64_t index;

		if (i == member->slot || !cw->members[i].group)
			continue;
		other = group_raft(cw->members[i].group);
		index = raft_view(other).last < last ? raft_view(other).last : last;
		while (index > 0 && raft_entry_at(raft, index) && raft_entry_at(other, index) &&
		       raft_term_at(raft, index) != raft_term_at(other, index))
			index--;
		for (int back = 0; back < MATCH_MAX && index > 0; back++, index--) {
			const struct raft_entry *a = raft_entry_at(raft, index);
			const struct raft_entry *b = raft_entry_at(other, index);

			if (a && b && hash_entry(a) != hash_entry(b))
				cw_violate(cw, "log matching: %zu and %zu differ at %llu",
					   member->slot, i, (unsigned long long)index);
		}
	}
}

/* Never do two members answer for the group at one moment. */
static void check_serving(struct cw *cw)
{
	struct cw_member *first = NULL;

	for (size_t i = 0; i < CW_SLOTS; i++) {
		struct cw_member *member = &cw->members[i];

		if (!member->group || cw_is_paused(cw, member) ||
		    !group_serves(member->group, cw_clock(cw, member)))
			continue;
		if (first)
			cw_violate(cw, "%zu and %zu both serve", first->slot, i);
		first = member;
	}
}

/* Two neighbouring memberships share all voters but one. */
static void check_members(struct cw *cw, const struct cw_member *member, const struct raft *raft)
{
	struct raft_view view = raft_view(raft);
	size_t open = 0;

	if (view.role != RAFT_LEADER)
		return;
	for (uint64_t i = view.commit + 1; i <= view.last; i++)
		open += raft_entry_at(raft, i) &&
			raft_entry_at(raft, i)->kind == RAFT_ENTRY_MEMBERS &&
			raft_term_at(raft, i) == view.term;
	if (open > 1)
		cw_violate(cw, "%zu has %zu changes of members open", member->slot, open);
}

void cw_check_step(struct cw *cw, struct cw_member *member)
{
	const struct raft *raft = group_raft(member->group);

	check_applied(cw, member, raft);
	check_matching(cw, member, raft);
	check_members(cw, member, raft);
	check_serving(cw);
}

/* Leader Completeness: "if a log entry is committed in a given term, then that entry will be
 * present in the logs of the leaders for all higher-numbered terms". */
static void check_complete(struct cw *cw, const struct cw_member *member, const struct raft *raft)
{
	struct raft_view view = raft_view(raft);

	for (uint64_t i = view.first; i <= cw->agreed_last && i < CW_INDEX_MAX; i++)
		if (cw->agreed[i].term != 0 && cw->agreed[i].agreed_in < view.term &&
		    raft_term_at(raft, i) != cw->agreed[i].term)
			cw_violate(cw, "leader completeness: %zu leads term %llu without %llu",
				   member->slot, (unsigned long long)view.term,
				   (unsigned long long)i);
}

static void check_elected(struct cw *cw, const struct cw_member *member, const struct raft *raft)
{
	uint64_t term = raft_view(raft).term;

	cw->figures.elections++;
	if (term >= CW_TERMS_MAX)
		return;
	/* Election Safety: "at most one leader can be elected in a given term". */
	if (cw->leaders[term] != 0 && cw->leaders[term] != member->id)
		cw_violate(cw, "election safety: two leaders of term %llu",
			   (unsigned long long)term);
	cw->leaders[term] = member->id;
	check_complete(cw, member, raft);
}

static bool is_calm(const struct cw *cw, const struct cw_member *a, const struct cw_member *b)
{
	int64_t since = cw->now_us - CALM_US;

	return a->group && b->group && a->calm_since_us <= since && b->calm_since_us <= since &&
	       (a == b || (a->link_calm_since_us[b->slot] <= since &&
			   b->link_calm_since_us[a->slot] <= since));
}

/* A leader that has long had a majority without trouble must not lose its place to a term that has
 * been begun meanwhile: nobody in that majority would have voted for it. */
static void check_deposed(struct cw *cw, const struct cw_member *member, const struct raft *raft)
{
	struct raft_view view = raft_view(raft);
	size_t voters = 0, calm = 0;

	if (cw->loss > 0 || cw->transfer_us > cw->now_us - CALM_US || view.term >= CW_TERMS_MAX ||
	    view.term == member->role_term || cw->term_born_us[view.term] < cw->now_us - CALM_US ||
	    cw->term_born_us[view.term] < member->led_us + SETTLED_US)
		return;
	for (size_t i = 0; i < view.members->count; i++) {
		const struct cw_member *other = cw_by_id(cw, view.members->list[i].id);

		if (!view.members->list[i].voter)
			continue;
		voters++;
		calm += other && is_calm(cw, member, other);
	}
	if (2 * calm > voters)
		cw_violate(cw, "a healthy leader was deposed: %zu in term %llu", member->slot,
			   (unsigned long long)view.term);
}

void cw_check_role(struct cw *cw, struct cw_member *member)
{
	const struct raft *raft = group_raft(member->group);
	struct raft_view view = raft_view(raft);

	for (; cw->term_last < view.term && cw->term_last + 1 < CW_TERMS_MAX;)
		cw->term_born_us[++cw->term_last] = cw->now_us;
	if (view.role == RAFT_LEADER && member->role != RAFT_LEADER)
		check_elected(cw, member, raft);
	if (member->role == RAFT_LEADER && view.role != RAFT_LEADER && view.role != RAFT_REMOVED)
		check_deposed(cw, member, raft);
	if (view.role == RAFT_LEADER && member->role != RAFT_LEADER)
		member->led_us = cw->now_us;
	member->role = view.role;
	member->role_term = view.term;
}

/* When all is whole again there is one leader, and who is wanted has what it has. */
static void check_converged(struct cw *cw)
{
	struct cw_member *leader = cw_leader(cw);
	struct raft_view view;

	if (!leader || !group_serves(leader->group, cw_clock(cw, leader))) {
		cw_violate(cw, "nobody serves at the end");
		return;
	}
	view = raft_view(group_raft(leader->group));
	for (size_t i = 0; i < CW_SLOTS; i++) {
		const struct cw_member *member = &cw->members[i];
		const struct raft_member *found = NULL;

		for (size_t j = 0; j < view.members->count; j++)
			if (view.members->list[j].id == member->id)
				found = &view.members->list[j];
		if (cw->wanted[i] && (!found || !found->voter))
			cw_violate(cw, "%zu is wanted and no voter at the end", i);
		else if (!cw->wanted[i] && found)
			cw_violate(cw, "%zu is a member at the end, and not wanted", i);
		else if (found && raft_view(group_raft(member->group)).commit + 1 < view.commit)
			cw_violate(cw, "%zu lags behind at the end", i);
	}
}

static void check_key(struct cw *cw, size_t key)
{
	struct linear_op *ops = mem_alloc(cw->history_count + 1, sizeof(*ops));
	size_t count = 0;
	enum linear_verdict verdict;

	for (size_t i = 0; i < cw->history_count; i++)
		if (cw->history[i].key == key)
			ops[count++] = cw->history[i].op;
	verdict = linear_check(ops, count, STEPS_MAX);
	if (verdict == LINEAR_NO)
		cw_violate(cw, "the %zu operations on k%zu have no order", count, key);
	cw->figures.given_up += verdict == LINEAR_GIVEN_UP;
	free(ops);
}

void cw_check_end(struct cw *cw)
{
	if (!cw->violation[0])
		check_converged(cw);
	for (size_t key = 0; key < CW_KEYS && !cw->violation[0]; key++)
		check_key(cw, key);
}
