/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds: what the leader sends carries the number of the current round, and answers repeat it. Who
 * answers round r has heard the leader after the round began, and keeps the promise of r's timeout
 * from then on. So a round that a majority has answered proves that there was no later leader when
 * it began (6.4), and that there will be none before the shortest of these promises is over
 * (6.4.1).
 */
#include <assert.h>

#include "base/fault.h"
#include "base/mem.h"
#include "consensus/internal.h"

enum {
	PERMILLE = 1000,
};

void raft_lease_begin_round(struct raft *raft)
{
	if (raft->transfer_asked)
		return; /* those who would hear of it could not vote for the successor */
	raft->round++;
	raft->rounds[raft->round % RAFT_ROUNDS_MAX] =
		(struct round){raft->round, raft->now, raft->timeout_ms};
}

uint64_t raft_lease_answered(const struct raft *raft)
{
	uint64_t rounds[RAFT_MEMBERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < raft->members.count; i++) {
		uint64_t answered = 0;

		if (!raft->members.list[i].voter)
			continue;
		if (raft->members.list[i].id == raft->id)
			answered = raft->round;
		for (size_t j = 0; j < raft->peer_count; j++)
			if (raft->peers[j].id == raft->members.list[i].id)
				answered = raft->peers[j].acked_round;
		/* In order, the highest first. */
		size_t at = count++;
		for (; at > 0 && rounds[at - 1] < answered; at--)
			rounds[at] = rounds[at - 1];
		rounds[at] = answered;
	}
	return count > 0 ? rounds[raft_member_quorum(raft) - 1] : 0;
}

/* NULL: it is too long ago. */
static const struct round *find_round(const struct raft *raft, uint64_t number)
{
	const struct round *round = &raft->rounds[number % RAFT_ROUNDS_MAX];

	return number > 0 && round->number == number ? round : NULL;
}

bool raft_lease_has_majority(const struct raft *raft)
{
	const struct round *round = find_round(raft, raft_lease_answered(raft));
	int64_t patience_us = 2 * (int64_t)raft->timeout_ms * US_PER_MS;

	return mono_since_us(raft->now, raft->led_since) < patience_us ||
	       (round && mono_since_us(raft->now, round->at) < patience_us);
}

/* What a follower's clock calls the timeout is at least timeout / (1 + drift) of true time, in
 * which ours has gone on by (1 - drift) of that at least. */
static int64_t lease_us(const struct round *round)
{
	int64_t timeout_us = (int64_t)round->timeout_ms * US_PER_MS;

	if (fault_is_planted(FAULT_RAFT_LEASE_DRIFT))
		return timeout_us;
	return timeout_us * (PERMILLE - RAFT_DRIFT_PERMILLE) / (PERMILLE + RAFT_DRIFT_PERMILLE);
}

/* May the leader tell what it has applied? "once it has committed an entry from its term" (6.4). */
static bool has_own_entry(const struct raft *raft)
{
	return raft->commit >= raft->term_index;
}

bool raft_lease_holds(const struct raft *raft, struct mono now)
{
	uint64_t answered = raft_lease_answered(raft);
	const struct round *round = find_round(raft, answered);

	if (raft->role != RAFT_LEADER || !has_own_entry(raft))
		return false;
	if (fault_is_planted(FAULT_RAFT_STALE_READ))
		return true;
	return round && answered > raft->lease_after &&
	       mono_since_us(now, round->at) < lease_us(round);
}

bool raft_serves(const struct raft *raft, struct mono now)
{
	return raft_lease_holds(raft, now);
}

static void answer(struct raft *raft, uint64_t request)
{
	raft_effect_add(raft, RAFT_DONE)->request = request;
}

void raft_lease_read(struct raft *raft, const struct raft_event *event)
{
	if (raft->role != RAFT_LEADER) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_NOT_LEADER);
		return;
	}
	if (raft_lease_holds(raft, raft->now)) {
		answer(raft, event->request);
		return;
	}
	if (raft->read_count == RAFT_READS_MAX) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_BUSY);
		return;
	}
	if (!raft->reads)
		raft->reads = mem_alloc(RAFT_READS_MAX, sizeof(*raft->reads));
	raft->reads[raft->read_count++] = (struct pending_read){event->request, raft->round + 1};
	/* One round at a time: who asks meanwhile shares the next one. */
	if (raft_lease_answered(raft) == raft->round) {
		raft_lease_begin_round(raft);
		raft_replicate_all(raft);
		raft_lease_progress(raft); /* alone, it is answered at once */
	}
}

void raft_lease_progress(struct raft *raft)
{
	uint64_t answered = raft_lease_answered(raft);
	bool waits = false;
	size_t kept = 0;

	if (raft->read_count == 0 || !has_own_entry(raft))
		return;
	for (size_t i = 0; i < raft->read_count; i++) {
		const struct pending_read *read = &raft->reads[i];

		if (read->round <= answered) {
			answer(raft, read->request);
			continue;
		}
		waits |= read->round > raft->round;
		raft->reads[kept++] = *read;
	}
	raft->read_count = kept;
	if (waits && answered == raft->round) {
		raft_lease_begin_round(raft);
		raft_replicate_all(raft);
	}
}

void raft_lease_give_up(struct raft *raft)
{
	for (size_t i = 0; i < raft->read_count; i++)
		raft_effect_refuse(raft, raft->reads[i].request, RAFT_REFUSED_NOT_LEADER);
	raft->read_count = 0;
}
