/* SPDX-License-Identifier: Apache-2.0 */
/* AppendEntries, receiver implementation (Figure 3.1). */
#include <assert.h>

#include "base/fault.h"
#include "consensus/internal.h"

/* Terms never fall, and nothing is of a term to come; members can be read. */
static bool is_sound(const struct raft_message *message)
{
	uint64_t term = message->index_term;

	for (size_t i = 0; i < message->entry_count; i++) {
		const struct raft_entry *entry = &message->entries[i];
		struct raft_members members;

		if (entry->term < term || entry->term > message->term || entry->term == 0)
			return false;
		term = entry->term;
		if (entry->kind == RAFT_ENTRY_MEMBERS &&
		    (raft_members_decode(bytes_of(entry->data, entry->len), &members) != 0 ||
		     members.count == 0))
			return false;
	}
	return true;
}

static void reply(struct raft *raft, const struct raft_message *message,
		  struct raft_message *answer, uint64_t write)
{
	answer->type = RAFT_APPEND_REPLY;
	answer->to = message->from;
	answer->term = raft->meta.term;
	answer->round = message->round;
	raft_send_after(raft, answer, write > raft->meta_write ? write : raft->meta_write);
}

/* "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm",
 * with the first index of the term that stands there instead. */
static void refuse(struct raft *raft, const struct raft_message *message)
{
	const struct raft_log *log = &raft->log;
	struct raft_message answer = {.commit = message->index};

	if (message->index <= raft->commit)
		return; /* what is agreed does not differ: no leader of ours says so */
	if (message->index > raft_log_last(log)) {
		answer.index = raft_log_last(log) + 1;
	} else {
		answer.index = message->index;
		answer.index_term = raft_log_term(log, message->index);
		while (answer.index > raft->commit + 1 &&
		       raft_log_term(log, answer.index - 1) == answer.index_term)
			answer.index--;
	}
	reply(raft, message, &answer, 0);
}

/* "If an existing entry conflicts with a new one (same index but different terms), delete the
 * existing entry and all that follow it." */
static void cut(struct raft *raft, uint64_t from)
{
	struct raft_effect *effect;

	assert(from > raft->commit);
	raft_log_truncate(&raft->log, from);
	effect = raft_effect_add(raft, RAFT_TRUNCATE);
	effect->index = from;
	effect->write = ++raft->write;
	if (raft->members_index >= from)
		raft_members_refresh(raft);
}

/* "Append any new entries not already in the log." False: there is no room. */
static bool take(struct raft *raft, const struct raft_message *message)
{
	struct raft_log *log = &raft->log;
	uint64_t index = message->index + 1;
	size_t i = 0;
	struct raft_effect *effect;

	while (i < message->entry_count &&
	       (index + i <= raft->commit ||
		raft_log_term(log, index + i) == message->entries[i].term))
		i++;
	if (i == message->entry_count)
		return true;
	if (raft_log_has(log, index + i))
		cut(raft, index + i);
	if (log->count > RAFT_LOG_ENTRIES_MAX || log->bytes > RAFT_LOG_BYTES_MAX)
		return false;
	effect = raft_effect_add(raft, RAFT_WRITE);
	effect->write = ++raft->write;
	effect->index = index + i;
	effect->entry_count = message->entry_count - i;
	for (; i < message->entry_count; i++) {
		struct raft_entry *entry = raft_log_append(log, &message->entries[i]);

		entry->write = raft->write;
		entry->request = 0;
		if (entry->kind == RAFT_ENTRY_MEMBERS)
			raft_members_written(raft, index + i);
	}
	return true;
}

/* What is surely the leader's: up to the last new entry, not to the end of our log. */
static void accept(struct raft *raft, const struct raft_message *message)
{
	uint64_t match = message->index + message->entry_count;
	uint64_t commit = message->commit < match ? message->commit : match;
	struct raft_message answer = {.granted = true};

	if (fault_is_planted(FAULT_RAFT_COMMIT_AHEAD))
		commit = message->commit < raft_log_last(&raft->log) ? message->commit
								     : raft_log_last(&raft->log);
	answer.index = match;
	reply(raft, message, &answer,
	      raft_log_has(&raft->log, match) ? raft_log_at(&raft->log, match)->write : 0);
	/* "set commitIndex = min(leaderCommit, index of last new entry)" */
	if (commit > raft->commit)
		raft_commit_to(raft, commit);
}

void raft_follow_append(struct raft *raft, const struct raft_message *message)
{
	struct raft_message answer = {0};

	if (message->term < raft->meta.term) {
		reply(raft, message, &answer, 0); /* "Reply false if term < currentTerm" */
		return;
	}
	if ((raft->role == RAFT_LEADER && message->term == raft->meta.term) || !is_sound(message))
		return;
	raft_become_follower(raft, message->term, message->from);
	raft_elect_hear(raft, message);
	if (message->index < raft->commit) {
		/* What was agreed is the same everywhere, so it matches up to there. */
		if (message->index + message->entry_count <= raft->commit) {
			answer = (struct raft_message){.granted = true, .index = raft->commit};
			if (message->index + message->entry_count < raft->commit)
				answer.index = message->index + message->entry_count;
			reply(raft, message, &answer, raft->write);
			return;
		}
	} else if (message->index > raft_log_last(&raft->log) ||
		   raft_log_term(&raft->log, message->index) != message->index_term) {
		refuse(raft, message);
		return;
	}
	if (take(raft, message))
		accept(raft, message);
}
