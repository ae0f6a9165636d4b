/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "base/fault.h"
#include "base/mem.h"
#include "consensus/internal.h"

enum {
	CAP_MIN = 32,
};

struct raft_effect *raft_effect_add(struct raft *raft, enum raft_effect_type type)
{
	struct raft_effect *effect;

	if (raft->effect_count == raft->effect_cap) {
		raft->effect_cap = raft->effect_cap ? 2 * raft->effect_cap : CAP_MIN;
		raft->effects = mem_resize(raft->effects, raft->effect_cap, sizeof(*raft->effects));
	}
	effect = &raft->effects[raft->effect_count++];
	*effect = (struct raft_effect){.type = type};
	return effect;
}

uint64_t raft_effect_save(struct raft *raft)
{
	struct raft_effect *effect = raft_effect_add(raft, RAFT_SAVE);

	effect->write = raft->meta_write = ++raft->write;
	effect->meta = raft->meta;
	if (fault_is_planted(FAULT_RAFT_VOTE_FORGOTTEN))
		effect->meta.vote = 0;
	return effect->write;
}

void raft_effect_refuse(struct raft *raft, uint64_t request, enum raft_refused refused)
{
	struct raft_effect *effect;

	if (request == 0)
		return;
	effect = raft_effect_add(raft, RAFT_REFUSED);
	effect->request = request;
	effect->refused = refused;
	effect->leader = raft->leader;
}

void raft_effect_role(struct raft *raft)
{
	struct raft_effect *effect = raft_effect_add(raft, RAFT_ROLE);

	effect->role = raft->role;
	effect->term = raft->meta.term;
	effect->leader = raft->leader;
}

void raft_send_now(struct raft *raft, struct raft_message *message)
{
	message->cluster = raft->meta.cluster;
	message->epoch = raft->meta.epoch;
	message->from = raft->id;
	raft_effect_add(raft, RAFT_SEND)->message = *message;
}

void raft_send_after(struct raft *raft, struct raft_message *message, uint64_t write)
{
	if (write <= raft->durable_write || fault_is_planted(FAULT_RAFT_EARLY_ACK)) {
		raft_send_now(raft, message);
		return;
	}
	if (raft->held_count == RAFT_HELD_MAX)
		return; /* as if the network had lost it */
	assert(message->entry_count == 0);
	raft->held[raft->held_count++] = (struct held){write, *message};
}

void raft_send_held(struct raft *raft)
{
	size_t kept = 0;

	for (size_t i = 0; i < raft->held_count; i++) {
		if (raft->held[i].write <= raft->durable_write)
			raft_send_now(raft, &raft->held[i].message);
		else
			raft->held[kept++] = raft->held[i];
	}
	raft->held_count = kept;
}

/* Pointers into the log are made as late as here: within a step the log may move. */
static bool point(struct raft *raft, struct raft_effect *effect)
{
	const struct raft_log *log = &raft->log;
	struct raft_message *message = &effect->message;

	if (effect->type == RAFT_WRITE || effect->type == RAFT_APPLY) {
		if (!raft_log_has(log, effect->index) ||
		    !raft_log_has(log, effect->index + effect->entry_count - 1))
			return false;
		effect->entries = raft_log_at(log, effect->index);
	} else if (effect->type == RAFT_SEND && message->entry_count > 0) {
		if (!raft_log_has(log, message->index + 1) ||
		    !raft_log_has(log, message->index + message->entry_count))
			return false;
		message->entries = raft_log_at(log, message->index + 1);
	} else if (effect->type == RAFT_SAVE_SNAPSHOT || effect->type == RAFT_RESTORE) {
		effect->snapshot = &raft->snapshot;
	} else if (effect->type == RAFT_SEND && message->type == RAFT_INSTALL) {
		if (message->index != raft->snapshot.index)
			return false;
		message->data =
			bytes_of(raft->snapshot_data + message->offset, (size_t)message->commit);
		message->commit = 0;
		message->members = &raft->snapshot.members;
	}
	if (effect->type == RAFT_MEMBERS)
		effect->members = &raft->agreed;
	return true;
}

const struct raft_effect *raft_next_effect(struct raft *raft)
{
	while (raft->effect_next < raft->effect_count) {
		struct raft_effect *effect = &raft->effects[raft->effect_next++];

		if (point(raft, effect))
			return effect;
		/* A write is never dropped: what it was about would be missing on the disk. */
		assert(effect->type == RAFT_SEND);
	}
	raft->effect_next = raft->effect_count = 0;
	return NULL;
}
