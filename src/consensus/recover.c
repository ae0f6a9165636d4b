/* SPDX-License-Identifier: Apache-2.0 */
/* Births, epochs, and who is told that it is over. */
#include "consensus/internal.h"

static void write_members(struct raft *raft, const struct raft_member *self)
{
	struct raft_members members = {.list = {*self}, .count = 1};
	struct buf data = {0};

	members.list[0].voter = true;
	raft_members_encode(&members, &data);
	(void)raft_propose_entry(raft, RAFT_ENTRY_MEMBERS, bytes_buf(&data), 0);
	buf_deinit(&data);
}

static bool is_over(const struct raft *raft)
{
	return raft->role == RAFT_REMOVED || raft->role == RAFT_SUPERSEDED;
}

void raft_recover_bootstrap(struct raft *raft, const struct raft_event *event)
{
	if (!uid_is_none(&raft->meta.cluster) || uid_is_none(&event->cluster) ||
	    raft_log_last(&raft->log) > 0 || event->member.id != raft->id) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_STATE);
		return;
	}
	raft->meta.cluster = event->cluster;
	raft->meta.epoch = 1;
	raft->meta.term = 1;
	(void)raft_effect_save(raft);
	write_members(raft, &event->member);
	raft_elect_campaign(raft, 0);
	if (event->request)
		raft_effect_add(raft, RAFT_DONE)->request = event->request;
}

/* Whatever the survivor has in its log holds: some of it may have been agreed. Its new entry makes
 * it the only voter; no member of the older epoch is heard any more. */
void raft_recover_event(struct raft *raft, const struct raft_event *event)
{
	const struct raft_member *self = raft_member_find(&raft->members, raft->id);

	if (!self || event->epoch <= raft->meta.epoch || is_over(raft)) {
		raft_effect_refuse(raft, event->request, RAFT_REFUSED_STATE);
		return;
	}
	raft->meta.epoch = event->epoch;
	raft_become_follower(raft, raft->meta.term + 1, 0);
	raft->held_count = 0; /* answers under the older epoch */
	write_members(raft, self);
	raft_elect_campaign(raft, 0);
	if (event->request)
		raft_effect_add(raft, RAFT_DONE)->request = event->request;
}

static void refuse(struct raft *raft, const struct raft_message *message, enum raft_refusal reason)
{
	struct raft_message answer = {
		.type = RAFT_REFUSE,
		.to = message->from,
		.term = raft->meta.term,
		.reason = reason,
	};

	raft_send_after(raft, &answer, raft->meta_write);
}

/* The group that takes us in is the one whose leader speaks to our id first. */
static bool adopt(struct raft *raft, const struct raft_message *message)
{
	if (uid_is_none(&message->cluster) ||
	    (message->type != RAFT_APPEND && message->type != RAFT_INSTALL))
		return false;
	raft->meta.cluster = message->cluster;
	raft->meta.epoch = message->epoch;
	(void)raft_effect_save(raft);
	return true;
}

bool raft_recover_admits(struct raft *raft, const struct raft_message *message)
{
	if (message->to != raft->id || message->from == 0 || message->from == raft->id ||
	    is_over(raft))
		return false;
	if (uid_is_none(&raft->meta.cluster))
		return adopt(raft, message);
	if (!uid_equal(&message->cluster, &raft->meta.cluster))
		return false;
	if (message->epoch > raft->meta.epoch) {
		raft->meta.superseded = true;
		(void)raft_effect_save(raft);
		raft_become_over(raft, RAFT_SUPERSEDED);
		return false;
	}
	if (message->epoch < raft->meta.epoch && message->type != RAFT_REFUSE)
		refuse(raft, message, RAFT_REFUSAL_EPOCH);
	return message->epoch == raft->meta.epoch;
}

void raft_recover_refused(struct raft *raft, const struct raft_message *message)
{
	/* An id that has left never comes back, so this cannot be out of date. */
	if (message->reason == RAFT_REFUSAL_REMOVED)
		raft_become_over(raft, RAFT_REMOVED);
}

/* Who wants our vote and is no member any more, as all members know, is told. */
void raft_recover_stranger(struct raft *raft, const struct raft_message *message)
{
	if (raft->role == RAFT_LEADER && raft->commit >= raft->term_index &&
	    !raft_member_find(&raft->members, message->from) &&
	    !raft_member_find(&raft->agreed, message->from))
		refuse(raft, message, RAFT_REFUSAL_REMOVED);
}
