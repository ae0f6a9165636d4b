/* SPDX-License-Identifier: Apache-2.0 */
#include "consensus/raft.h"

#include <assert.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "consensus/internal.h"

/* The part of the saved log that the snapshot does not stand for. */
static void load_log(struct raft *raft, const struct raft_saved *saved)
{
	struct raft_log *log = &raft->log;

	log->base_index = log->durable = saved->snapshot.index;
	log->base_term = saved->snapshot.term;
	for (size_t i = 0; i < saved->entry_count; i++) {
		struct raft_entry *entry;

		if (saved->first + i <= saved->snapshot.index)
			continue;
		assert(saved->first + i == raft_log_last(log) + 1);
		entry = raft_log_append(log, &saved->entries[i]);
		entry->write = entry->request = 0;
	}
	log->durable = raft_log_last(log);
}

static void load_snapshot(struct raft *raft, const struct raft_snapshot *snapshot)
{
	if (snapshot->index == 0)
		return;
	raft->snapshot = *snapshot;
	raft->snapshot_data = (uint8_t *)mem_copy(snapshot->data.ptr, snapshot->data.len);
	raft->snapshot.data = bytes_of(raft->snapshot_data, snapshot->data.len);
	raft->agreed = snapshot->members;
	raft->agreed_index = raft->commit = snapshot->index;
	raft->was_member = raft_member_find(&raft->agreed, raft->id) != NULL;
}

struct raft *raft_new(uint64_t id, const struct raft_options *options,
		      const struct raft_saved *saved, struct mono now, uint64_t random)
{
	struct raft *raft = mem_new(struct raft);

	assert(id != 0);
	raft->id = id;
	raft->options = *options;
	if (raft->options.compact_entries == 0)
		raft->options.compact_entries = RAFT_COMPACT_ENTRIES;
	raft->now = now;
	raft->random = random;
	raft->meta = saved->meta;
	raft->role = saved->meta.superseded ? RAFT_SUPERSEDED : RAFT_FOLLOWER;
	raft->timeout_ms = RAFT_TIMEOUT_MS;
	load_snapshot(raft, &saved->snapshot);
	load_log(raft, saved);
	raft_members_refresh(raft);
	/* What was promised to a leader before a restart still holds. */
	if (raft->meta.timeout_ms > raft->timeout_ms)
		raft->timeout_ms = raft->meta.timeout_ms;
	if (!fault_is_planted(FAULT_RAFT_RESTART_VOTES))
		raft->sticky_until = mono_add_ms(now, raft->timeout_ms);
	raft_elect_rest(raft);
	return raft;
}

void raft_free(struct raft *raft)
{
	if (!raft)
		return;
	raft_log_deinit(&raft->log);
	free(raft->snapshot_data);
	free(raft->install_data);
	free(raft->reads);
	free(raft->effects);
	free(raft);
}

static void tick(struct raft *raft)
{
	if (raft->role != RAFT_LEADER) {
		raft_elect_tick(raft);
		return;
	}
	raft_transfer_tick(raft);
	if (!mono_reached(raft->now, raft->heartbeat_at))
		return;
	/* "a leader in Raft steps down if an election timeout elapses without a successful round of
	 * heartbeats to a majority of its cluster" (6.2). */
	if (raft_lease_has_majority(raft))
		raft_replicate_heartbeat(raft);
	else
		raft_become_follower(raft, raft->meta.term, 0);
}

static void campaign(struct raft *raft, const struct raft_message *message)
{
	if (raft->role == RAFT_FOLLOWER && message->term == raft->meta.term && message->round > 0 &&
	    raft->leader == message->from && raft_member_votes(raft, raft->id))
		raft_elect_campaign(raft, message->round);
}

static void receive(struct raft *raft, const struct raft_message *message)
{
	if (!raft_recover_admits(raft, message))
		return;
	switch (message->type) {
	case RAFT_PREVOTE:
		raft_recover_stranger(raft, message);
		raft_elect_prevote(raft, message);
		return;
	case RAFT_PREVOTE_REPLY:
		raft_elect_prevote_reply(raft, message);
		return;
	case RAFT_VOTE:
		raft_recover_stranger(raft, message);
		raft_elect_vote(raft, message);
		return;
	case RAFT_VOTE_REPLY:
		raft_elect_vote_reply(raft, message);
		return;
	case RAFT_APPEND:
		raft_follow_append(raft, message);
		return;
	case RAFT_APPEND_REPLY:
		raft_replicate_reply(raft, message);
		return;
	case RAFT_INSTALL:
		raft_install_receive(raft, message);
		return;
	case RAFT_INSTALL_REPLY:
		raft_replicate_installed(raft, message);
		return;
	case RAFT_CAMPAIGN:
		campaign(raft, message);
		return;
	case RAFT_REFUSE:
		raft_recover_refused(raft, message);
		return;
	case RAFT_MESSAGE_COUNT:
		return;
	}
}

static void durable(struct raft *raft, uint64_t write)
{
	assert(write <= raft->write);
	if (write <= raft->durable_write)
		return;
	raft->durable_write = write;
	raft_log_durable(&raft->log, write);
	raft_send_held(raft);
	raft_elect_durable(raft);
	raft_commit_advance(raft);
}

static void dispatch(struct raft *raft, const struct raft_event *event)
{
	switch (event->type) {
	case RAFT_EVENT_TICK:
		return; /* follows every event */
	case RAFT_EVENT_MESSAGE:
		receive(raft, event->message);
		return;
	case RAFT_EVENT_DURABLE:
		durable(raft, event->write);
		return;
	case RAFT_EVENT_PROPOSE:
		raft_propose_event(raft, event);
		return;
	case RAFT_EVENT_READ:
		raft_lease_read(raft, event);
		return;
	case RAFT_EVENT_JOIN:
		raft_reconfigure_join(raft, event);
		return;
	case RAFT_EVENT_LEAVE:
		raft_reconfigure_leave(raft, event);
		return;
	case RAFT_EVENT_TRANSFER:
		raft_transfer_event(raft, event);
		return;
	case RAFT_EVENT_BOOTSTRAP:
		raft_recover_bootstrap(raft, event);
		return;
	case RAFT_EVENT_RECOVER:
		raft_recover_event(raft, event);
		return;
	case RAFT_EVENT_SNAPSHOT:
		raft_compact_event(raft, event);
		return;
	}
}

void raft_step(struct raft *raft, const struct raft_event *event)
{
	assert(raft->effect_next == raft->effect_count);
	raft->effect_next = raft->effect_count = 0;
	if (raft->now.us < event->now.us)
		raft->now = event->now;
	raft->random ^= event->random;
	dispatch(raft, event);
	if (raft->role != RAFT_REMOVED && raft->role != RAFT_SUPERSEDED)
		tick(raft);
}

struct mono raft_deadline(const struct raft *raft)
{
	struct mono at = raft->election_at;

	if (raft->role == RAFT_REMOVED || raft->role == RAFT_SUPERSEDED)
		return MONO_NEVER;
	if (raft->role == RAFT_LEADER) {
		at = raft->heartbeat_at;
		if (raft->transfer_to != 0)
			at = mono_min(at, raft->transfer_until);
	}
	return at;
}

struct raft_view raft_view(const struct raft *raft)
{
	return (struct raft_view){
		.id = raft->id,
		.term = raft->meta.term,
		.leader = raft->leader,
		.epoch = raft->meta.epoch,
		.cluster = raft->meta.cluster,
		.role = raft->role,
		.commit = raft->commit,
		.last = raft_log_last(&raft->log),
		.first = raft->log.base_index + 1,
		.durable = raft->log.durable,
		.snapshot = raft->snapshot.index,
		.log_bytes = raft->log.bytes,
		.timeout_ms = raft->timeout_ms,
		.members = &raft->members,
	};
}

uint64_t raft_term_at(const struct raft *raft, uint64_t index)
{
	return raft_log_term(&raft->log, index);
}

const struct raft_entry *raft_entry_at(const struct raft *raft, uint64_t index)
{
	return raft_log_has(&raft->log, index) ? raft_log_at(&raft->log, index) : NULL;
}
