/* SPDX-License-Identifier: Apache-2.0 */
/* InstallSnapshot, receiver implementation (Figure 5.3), in chunks that are asked for one by one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus/internal.h"

void raft_install_forget(struct raft *raft)
{
	free(raft->install_data);
	raft->install_data = NULL;
	raft->install_index = raft->install_held = 0;
}

static void reply(struct raft *raft, const struct raft_message *message, uint64_t index,
		  bool granted, uint64_t write)
{
	struct raft_message answer = {
		.type = RAFT_INSTALL_REPLY,
		.to = message->from,
		.term = raft->meta.term,
		.round = message->round,
		.index = index,
		.granted = granted,
		.offset = raft->install_held,
		.total = raft->install_data ? raft->install_total : 0,
	};

	raft_send_after(raft, &answer, write > raft->meta_write ? write : raft->meta_write);
}

/* Another snapshot than the one that was coming: begin anew. */
static void begin(struct raft *raft, const struct raft_message *message)
{
	raft_install_forget(raft);
	raft->install_index = message->index;
	raft->install_term = message->index_term;
	raft->install_total = message->total;
	raft->install_data = mem_alloc((size_t)message->total + 1, 1);
}

/* "If existing log entry has same index and term as snapshot's last included entry, retain log
 * entries following it ... Discard the entire log" otherwise. */
static void finish(struct raft *raft, const struct raft_message *message)
{
	struct raft_snapshot snapshot = {
		.index = raft->install_index,
		.term = raft->install_term,
		.members = *message->members,
		.data = bytes_of(raft->install_data, (size_t)raft->install_total),
	};
	uint64_t index = raft->install_index;

	if (raft_log_has(&raft->log, index) && raft_log_term(&raft->log, index) == snapshot.term)
		raft_log_compact(&raft->log, index);
	else
		raft_log_reset(&raft->log, index, snapshot.term);
	raft->commit = index;
	raft_snapshot_keep(raft, &snapshot);
	raft_install_forget(raft);
	raft->agreed = snapshot.members;
	raft->agreed_index = index;
	raft_members_refresh(raft);
	(void)raft_effect_add(raft, RAFT_RESTORE);
	(void)raft_effect_add(raft, RAFT_MEMBERS);
	if (raft_member_find(&raft->agreed, raft->id))
		raft->was_member = true;
	else if (raft->was_member)
		raft_become_over(raft, RAFT_REMOVED);
}

void raft_install_receive(struct raft *raft, const struct raft_message *message)
{
	if (message->term < raft->meta.term) {
		reply(raft, message, 0, false, 0);
		return;
	}
	if ((raft->role == RAFT_LEADER && message->term == raft->meta.term) || !message->members ||
	    message->members->count == 0 || message->index == 0 ||
	    message->index_term > message->term || message->data.len > message->total)
		return;
	raft_become_follower(raft, message->term, message->from);
	raft_elect_hear(raft, message);
	if (message->index <= raft->commit) {
		reply(raft, message, raft->commit, true, raft->write);
		return;
	}
	if (!raft->install_data || message->index != raft->install_index ||
	    message->index_term != raft->install_term || message->total != raft->install_total)
		begin(raft, message);
	if (message->offset == raft->install_held &&
	    message->data.len <= raft->install_total - raft->install_held) {
		if (message->data.len > 0)
			memcpy(raft->install_data + raft->install_held, message->data.ptr,
			       message->data.len);
		raft->install_held += message->data.len;
	}
	if (raft->install_held < raft->install_total) {
		reply(raft, message, raft->install_index, false, 0);
		return;
	}
	if (raft->options.is_sound &&
	    !raft->options.is_sound(bytes_of(raft->install_data, (size_t)raft->install_total),
				    raft->install_index)) {
		raft_install_forget(raft); /* it can only be sent again */
		return;
	}
	finish(raft, message);
	if (raft->role == RAFT_FOLLOWER)
		reply(raft, message, raft->commit, true, raft->write);
}
