/* SPDX-License-Identifier: Apache-2.0 */
#include "consensus/group.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

struct group {
	struct raft *raft;
	struct keys *keys;
	struct mono now;
	/* The agreed entries of one effect, which are applied one by one. */
	const struct raft_effect *applying;
	size_t applied;
	struct group_effect effect;
};

static bool is_sound(struct bytes snapshot, uint64_t index)
{
	struct keys_space space;
	bool sound;

	if (keys_space_decode(snapshot, &space) != 0)
		return false;
	sound = space.index == index;
	keys_space_deinit(&space);
	return sound;
}

struct group *group_new(uint64_t id, uint64_t compact_entries, const struct raft_saved *saved,
			struct mono now, uint64_t random)
{
	struct raft_options options = {compact_entries, is_sound};
	struct group *group = mem_new(struct group);

	group->keys = keys_new();
	group->now = now;
	if (saved->snapshot.index > 0 && (keys_load(group->keys, saved->snapshot.data) != 0 ||
					  keys_index(group->keys) != saved->snapshot.index)) {
		group_free(group);
		return NULL;
	}
	group->raft = raft_new(id, &options, saved, now, random);
	return group;
}

void group_free(struct group *group)
{
	if (!group)
		return;
	raft_free(group->raft);
	keys_free(group->keys);
	free(group);
}

void group_step(struct group *group, const struct raft_event *event)
{
	assert(!group->applying);
	group->now = event->now;
	raft_step(group->raft, event);
}

/* True: somebody here waits for what came of it. */
static bool apply_one(struct group *group)
{
	const struct raft_effect *effect = group->applying;
	const struct raft_entry *entry = &effect->entries[group->applied];
	uint64_t index = effect->index + group->applied;
	struct keys_result result = {0};

	if (entry->kind == RAFT_ENTRY_COMMAND)
		result = keys_apply(group->keys, index, bytes_of(entry->data, entry->len));
	else
		keys_skip(group->keys, index);
	if (++group->applied == effect->entry_count)
		group->applying = NULL;
	group->effect = (struct group_effect){
		.type = GROUP_ANSWER,
		.request = entry->request,
		.answer = GROUP_DONE,
		.result = result,
	};
	return entry->request != 0;
}

static void restore(struct group *group, const struct raft_snapshot *snapshot)
{
	if (keys_load(group->keys, snapshot->data) != 0)
		assert(false && "is_sound() has looked at it");
}

static const struct group_effect *pass(struct group *group, enum group_effect_type type,
				       const struct raft_effect *raft)
{
	group->effect = (struct group_effect){.type = type, .raft = raft};
	return &group->effect;
}

static const struct group_effect *answer(struct group *group, const struct raft_effect *raft,
					 enum group_answer answer)
{
	group->effect = (struct group_effect){
		.type = GROUP_ANSWER,
		.request = raft->request,
		.answer = answer,
		.result = {KEYS_DONE, keys_index(group->keys)},
		.refused = raft->refused,
		.leader = raft->leader,
	};
	return &group->effect;
}

/* NULL: nothing that the caller has to do. */
static const struct group_effect *handle(struct group *group, const struct raft_effect *raft)
{
	switch (raft->type) {
	case RAFT_SAVE:
	case RAFT_WRITE:
	case RAFT_TRUNCATE:
	case RAFT_SAVE_SNAPSHOT:
		return pass(group, GROUP_DISK, raft);
	case RAFT_SEND:
		return pass(group, GROUP_SEND, raft);
	case RAFT_APPLY:
		group->applying = raft;
		group->applied = 0;
		return NULL;
	case RAFT_RESTORE:
		restore(group, raft->snapshot);
		return NULL;
	case RAFT_DONE:
		return answer(group, raft, GROUP_DONE);
	case RAFT_REFUSED:
		return answer(group, raft, GROUP_REFUSED);
	case RAFT_UNKNOWN:
		return answer(group, raft, GROUP_UNKNOWN);
	case RAFT_ROLE:
		return pass(group, GROUP_ROLE, raft);
	case RAFT_MEMBERS:
		return pass(group, GROUP_MEMBERS, raft);
	}
	return NULL;
}

static bool compact(struct group *group)
{
	struct raft_event event = {.type = RAFT_EVENT_SNAPSHOT, .now = group->now};
	struct buf data = {0};

	if (!raft_wants_snapshot(group->raft))
		return false;
	keys_save(group->keys, &data);
	event.index = keys_index(group->keys);
	event.data = bytes_buf(&data);
	raft_step(group->raft, &event);
	buf_deinit(&data);
	return raft_view(group->raft).snapshot == event.index;
}

const struct group_effect *group_next_effect(struct group *group)
{
	for (;;) {
		const struct raft_effect *raft;
		const struct group_effect *effect;

		while (group->applying)
			if (apply_one(group))
				return &group->effect;
		raft = raft_next_effect(group->raft);
		if (!raft) {
			if (!compact(group))
				return NULL;
			continue;
		}
		effect = handle(group, raft);
		if (effect)
			return effect;
	}
}

struct mono group_deadline(const struct group *group)
{
	return raft_deadline(group->raft);
}

bool group_serves(const struct group *group, struct mono now)
{
	return raft_serves(group->raft, now);
}

struct group_token group_token(const struct group *group)
{
	struct raft_view view = raft_view(group->raft);

	return (struct group_token){view.epoch, view.term};
}

const struct keys *group_keys(const struct group *group)
{
	return group->keys;
}

const struct raft *group_raft(const struct group *group)
{
	return group->raft;
}
