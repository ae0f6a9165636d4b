/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "base/fault.h"
#include "base/prng.h"
#include "consensus/internal.h"

/* A number that the event brought, below @bound. */
static int64_t draw(struct raft *raft, int64_t bound)
{
	struct prng prng = prng_seeded(raft->random);

	raft->random = prng_next(&prng);
	return (int64_t)prng_below(&prng, (uint64_t)bound);
}

/* "Raft uses randomized election timeouts ... chosen randomly from a fixed interval" (3.4). */
void raft_elect_rest(struct raft *raft)
{
	int64_t timeout_us = (int64_t)raft->timeout_ms * US_PER_MS;

	raft->election_at = mono_add_us(raft->now, timeout_us + draw(raft, timeout_us));
	/* Nor do we vote for ourselves before a longer promise of before is over. */
	if (raft->election_at.us < raft->sticky_until.us)
		raft->election_at = raft->sticky_until;
}

void raft_elect_hear(struct raft *raft, const struct raft_message *message)
{
	uint32_t timeout_ms = message->timeout_ms;
	struct mono until = mono_add_ms(raft->now, timeout_ms);

	if (timeout_ms < RAFT_TIMEOUT_MS)
		timeout_ms = RAFT_TIMEOUT_MS;
	raft->timeout_ms = timeout_ms;
	/* The promise outlives a restart: see raft_new(). */
	if (timeout_ms > raft->meta.timeout_ms) {
		raft->meta.timeout_ms = timeout_ms;
		/* With room to grow, so that it is not written each time. */
		if (timeout_ms > RAFT_TIMEOUT_MS)
			raft->meta.timeout_ms += timeout_ms / 2;
		if (raft->meta.timeout_ms > RAFT_TIMEOUT_MAX_MS)
			raft->meta.timeout_ms = RAFT_TIMEOUT_MAX_MS;
		(void)raft_effect_save(raft);
	}
	if (raft->heard_term != message->term || raft->heard_round < message->round)
		raft->heard_round = message->round;
	raft->heard_term = message->term;
	if (raft->sticky_until.us < until.us)
		raft->sticky_until = until;
	raft_elect_rest(raft);
}

/* "if a server receives a RequestVote request within the minimum election timeout of hearing from a
 * current leader, it does not update its term or grant its vote" (4.2.3). A leader hears itself as
 * long as it reaches a majority. A leader's wish that another one should stand frees from promises
 * up to its round, not from later ones: it may have changed its mind. */
static bool is_sticky(const struct raft *raft, const struct raft_message *message)
{
	if (message->transfer &&
	    (raft->role == RAFT_LEADER ||
	     (raft->heard_round != 0 && raft->heard_term + 1 == message->term &&
	      raft->heard_round <= message->round)))
		return false;
	if (raft->role == RAFT_LEADER)
		return raft_lease_has_majority(raft);
	return !mono_reached(raft->now, raft->sticky_until);
}

/* "If the logs have last entries with different terms, then the log with the later term is more
 * up-to-date. If the logs end with the same term, then whichever log is longer" (3.6.1). */
static bool is_up_to_date(const struct raft *raft, const struct raft_message *message)
{
	uint64_t term = raft_log_last_term(&raft->log);

	if (message->index_term != term)
		return message->index_term > term;
	return message->index >= raft_log_last(&raft->log);
}

static void ask_for_votes(struct raft *raft, enum raft_message_type type, uint64_t term,
			  uint64_t write)
{
	for (size_t i = 0; i < raft->members.count; i++) {
		const struct raft_member *member = &raft->members.list[i];
		struct raft_message message = {
			.type = type,
			.to = member->id,
			.term = term,
			.index = raft_log_last(&raft->log),
			.index_term = raft_log_last_term(&raft->log),
			.transfer = raft->by_transfer,
			.round = raft->transfer_round,
		};

		if (member->voter && member->id != raft->id)
			raft_send_after(raft, &message, write);
	}
}

static void count_vote(struct raft *raft, uint64_t from)
{
	for (size_t i = 0; i < raft->granted_count; i++)
		if (raft->granted[i] == from)
			return;
	if (raft->granted_count < RAFT_MEMBERS_MAX && raft_member_votes(raft, from))
		raft->granted[raft->granted_count++] = from;
}

static bool has_majority(const struct raft *raft)
{
	return raft->granted_count >= raft_member_quorum(raft);
}

/* "To begin an election, a follower increments its current term and transitions to candidate state.
 * It then votes for itself" (3.4). */
static void stand(struct raft *raft)
{
	raft->role = RAFT_CANDIDATE;
	raft->leader = 0;
	raft->meta.term++;
	raft->meta.vote = raft->id;
	raft->granted_count = 0;
	raft->vote_write = raft_effect_save(raft);
	raft_effect_role(raft);
	raft_elect_rest(raft);
	ask_for_votes(raft, RAFT_VOTE, raft->meta.term, raft->vote_write);
	raft_elect_durable(raft);
}

void raft_elect_durable(struct raft *raft)
{
	if (raft->role != RAFT_CANDIDATE || raft->vote_write > raft->durable_write)
		return;
	count_vote(raft, raft->id);
	if (has_majority(raft))
		raft_become_leader(raft);
}

/* "a candidate only increments its term if it first learns from a majority of the cluster that they
 * would be willing to grant the candidate their votes" (9.6). */
void raft_elect_campaign(struct raft *raft, uint64_t transfer_round)
{
	raft->by_transfer = transfer_round != 0;
	raft->transfer_round = transfer_round;
	if (raft->by_transfer || fault_is_planted(FAULT_RAFT_PREVOTE)) {
		stand(raft);
		return;
	}
	raft->role = RAFT_PRECANDIDATE;
	raft->leader = 0;
	raft->granted_count = 0;
	raft_effect_role(raft);
	raft_elect_rest(raft);
	ask_for_votes(raft, RAFT_PREVOTE, raft->meta.term + 1, raft->meta_write);
	count_vote(raft, raft->id);
	if (has_majority(raft))
		stand(raft);
}

void raft_elect_tick(struct raft *raft)
{
	if (raft->role == RAFT_LEADER || !mono_reached(raft->now, raft->election_at))
		return;
	if (raft_member_votes(raft, raft->id))
		raft_elect_campaign(raft, 0);
	else
		raft_elect_rest(raft);
}

void raft_elect_prevote(struct raft *raft, const struct raft_message *message)
{
	struct raft_message reply = {
		.type = RAFT_PREVOTE_REPLY,
		.to = message->from,
		.granted = message->term > raft->meta.term && is_up_to_date(raft, message) &&
			   !is_sticky(raft, message),
	};

	/* A candidate whose term is old learns ours from a refusal. */
	reply.term = reply.granted ? message->term : raft->meta.term;
	raft_send_after(raft, &reply, raft->meta_write);
}

void raft_elect_prevote_reply(struct raft *raft, const struct raft_message *message)
{
	if (!message->granted) {
		if (message->term > raft->meta.term)
			raft_become_follower(raft, message->term, 0);
		return;
	}
	if (raft->role != RAFT_PRECANDIDATE || message->term != raft->meta.term + 1)
		return;
	count_vote(raft, message->from);
	if (has_majority(raft))
		stand(raft);
}

void raft_elect_vote(struct raft *raft, const struct raft_message *message)
{
	struct raft_message reply = {.type = RAFT_VOTE_REPLY, .to = message->from};

	if (is_sticky(raft, message))
		return;
	if (message->term > raft->meta.term)
		raft_become_follower(raft, message->term, 0);
	/* "If votedFor is null or candidateId, and candidate's log is at least as up-to-date as
	 * receiver's log, grant vote" (Figure 3.1). */
	reply.granted = message->term == raft->meta.term &&
			(raft->meta.vote == 0 || raft->meta.vote == message->from) &&
			is_up_to_date(raft, message);
	reply.term = raft->meta.term;
	if (reply.granted) {
		if (raft->meta.vote == 0) {
			raft->meta.vote = message->from;
			(void)raft_effect_save(raft);
		}
		raft_elect_rest(raft);
	}
	raft_send_after(raft, &reply, raft->meta_write);
}

void raft_elect_vote_reply(struct raft *raft, const struct raft_message *message)
{
	if (message->term > raft->meta.term) {
		raft_become_follower(raft, message->term, 0);
		return;
	}
	if (raft->role != RAFT_CANDIDATE || message->term != raft->meta.term || !message->granted)
		return;
	count_vote(raft, message->from);
	if (has_majority(raft))
		raft_become_leader(raft);
}
