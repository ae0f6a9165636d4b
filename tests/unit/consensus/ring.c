/* SPDX-License-Identifier: Apache-2.0 */
#include "ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	STEP_MS = 5,
	SETTLE_MAX = 20000,
};

static struct uid cluster_of(size_t member)
{
	struct uid uid = {0};

	memset(uid.byte, (int)(0xc0 + member), UID_LEN);
	return uid;
}

void ring_init(struct ring *ring, size_t count)
{
	*ring = (struct ring){.count = count, .now = {US_PER_S}, .random = 1};
	for (size_t i = 0; i < count; i++) {
		ring->members[i].id = 100 + i;
		ring->members[i].entries =
			mem_alloc(RING_ENTRIES_MAX, sizeof(*ring->members[i].entries));
		ring_start(ring, i);
	}
}

static void drop_entries(struct ring_member *member, size_t keep)
{
	while (member->saved.entry_count > keep)
		free(member->entries[--member->saved.entry_count].data);
}

void ring_deinit(struct ring *ring)
{
	for (size_t i = 0; i < ring->count; i++) {
		struct ring_member *member = &ring->members[i];

		group_free(member->group);
		drop_entries(member, 0);
		free(member->entries);
		free((uint8_t *)(uintptr_t)member->saved.snapshot.data.ptr);
	}
	for (size_t i = 0; i < ring->queued; i++)
		buf_deinit(&ring->queue[i].bytes);
	free(ring->queue);
}

static void write_entries(struct ring_member *member, const struct raft_effect *effect)
{
	struct raft_saved *saved = &member->saved;

	if (saved->entry_count == 0)
		saved->first = effect->index;
	assert(effect->index >= saved->first);
	drop_entries(member, (size_t)(effect->index - saved->first));
	for (size_t i = 0; i < effect->entry_count; i++) {
		struct raft_entry *entry = &member->entries[saved->entry_count++];

		assert(saved->entry_count < RING_ENTRIES_MAX);
		*entry = effect->entries[i];
		entry->data = entry->len ? (uint8_t *)mem_copy(entry->data, entry->len) : NULL;
	}
}

static void write_snapshot(struct ring_member *member, const struct raft_effect *effect)
{
	struct raft_saved *saved = &member->saved;
	size_t gone = 0;

	free((uint8_t *)(uintptr_t)saved->snapshot.data.ptr);
	saved->snapshot = *effect->snapshot;
	saved->snapshot.data =
		bytes_of(mem_copy(effect->snapshot->data.ptr, effect->snapshot->data.len),
			 effect->snapshot->data.len);
	while (gone < saved->entry_count && saved->first + gone < effect->index)
		free(member->entries[gone++].data);
	saved->entry_count -= gone;
	memmove(member->entries, member->entries + gone,
		saved->entry_count * sizeof(member->entries[0]));
	saved->first = effect->index;
	if (effect->entry_count == 0)
		drop_entries(member, 0);
}

static void carry_out_write(struct ring_member *member, const struct raft_effect *effect)
{
	member->write = effect->write;
	if (effect->type == RAFT_SAVE)
		member->saved.meta = effect->meta;
	else if (effect->type == RAFT_WRITE)
		write_entries(member, effect);
	else if (effect->type == RAFT_TRUNCATE)
		drop_entries(member, (size_t)(effect->index - member->saved.first));
	else
		write_snapshot(member, effect);
}

static void post(struct ring *ring, size_t from, const struct raft_message *message)
{
	size_t to = (size_t)message->to - 100;
	struct ring_message *slot;

	ring->members[from].sent++;
	if (to >= ring->count || ring->members[from].silent[to])
		return;
	if (ring->queued == ring->queue_cap) {
		ring->queue_cap = ring->queue_cap ? 2 * ring->queue_cap : 64;
		ring->queue = mem_resize(ring->queue, ring->queue_cap, sizeof(*ring->queue));
	}
	slot = &ring->queue[ring->queued++];
	*slot = (struct ring_message){.from = from, .to = to};
	raft_message_encode(message, &slot->bytes);
}

static void note_answer(struct ring *ring, const struct group_effect *effect)
{
	assert(ring->answer_count < RING_ANSWERS_MAX);
	ring->answers[ring->answer_count++] = (struct ring_answer){effect->request, effect->answer,
								   effect->result, effect->refused};
}

static void drain(struct ring *ring, size_t at)
{
	struct ring_member *member = &ring->members[at];
	const struct group_effect *effect;

	while ((effect = group_next_effect(member->group)) != NULL) {
		if (effect->type == GROUP_DISK)
			carry_out_write(member, effect->raft);
		else if (effect->type == GROUP_SEND)
			post(ring, at, &effect->raft->message);
		else if (effect->type == GROUP_ANSWER)
			note_answer(ring, effect);
		else if (effect->type == GROUP_ROLE)
			member->role = effect->raft->role;
	}
}

void ring_event(struct ring *ring, size_t at, struct raft_event event)
{
	struct ring_member *member = &ring->members[at];
	uint64_t before;

	event.now = ring->now;
	event.random = ring->random += 0x9e3779b97f4a7c15U;
	before = member->write;
	group_step(member->group, &event);
	drain(ring, at);
	if (member->write > before && !member->disk_held)
		ring_flush(ring, at);
}

void ring_flush(struct ring *ring, size_t member)
{
	struct raft_event event = {.type = RAFT_EVENT_DURABLE,
				   .write = ring->members[member].write};

	if (event.write > 0)
		ring_event(ring, member, event);
}

static void deliver(struct ring *ring)
{
	struct ring_message first = ring->queue[0];
	struct raft_message message;
	struct raft_event event = {.type = RAFT_EVENT_MESSAGE, .message = &message};

	ring->queued--;
	memmove(ring->queue, ring->queue + 1, ring->queued * sizeof(*ring->queue));
	assert(raft_message_decode(bytes_buf(&first.bytes), &message) == 0);
	if (ring->members[first.to].group && !ring->members[first.from].silent[first.to])
		ring_event(ring, first.to, event);
	raft_message_deinit(&message);
	buf_deinit(&first.bytes);
}

void ring_settle(struct ring *ring)
{
	for (size_t i = 0; ring->queued > 0; i++) {
		assert(i < SETTLE_MAX);
		deliver(ring);
	}
}

void ring_pass(struct ring *ring, int64_t ms)
{
	for (; ms > 0; ms -= STEP_MS) {
		ring->now = mono_add_ms(ring->now, STEP_MS);
		for (size_t i = 0; i < ring->count; i++)
			if (ring->members[i].group &&
			    mono_reached(ring->now, group_deadline(ring->members[i].group)))
				ring_event(ring, i, (struct raft_event){.type = RAFT_EVENT_TICK});
		ring_settle(ring);
	}
}

void ring_stop(struct ring *ring, size_t member)
{
	group_free(ring->members[member].group);
	ring->members[member].group = NULL;
}

void ring_start(struct ring *ring, size_t at)
{
	struct ring_member *member = &ring->members[at];

	member->saved.entries = member->entries;
	member->group = group_new(member->id, 64, &member->saved, ring->now, ring->random++);
	assert(member->group);
	member->write = 0;
	member->role = ring_view(ring, at).role;
}

void ring_cut(struct ring *ring, size_t from, size_t to, bool cut)
{
	ring->members[from].silent[to] = cut;
}

void ring_isolate(struct ring *ring, size_t member, bool cut)
{
	for (size_t i = 0; i < ring->count; i++) {
		ring_cut(ring, i, member, cut);
		ring_cut(ring, member, i, cut);
	}
}

void ring_birth(struct ring *ring, size_t member)
{
	struct raft_event event = {
		.type = RAFT_EVENT_BOOTSTRAP,
		.request = 1000 + member,
		.cluster = cluster_of(member),
		.member = {.id = ring->members[member].id, .ordinal = (uint32_t)member, .epoch = 1},
	};

	ring_event(ring, member, event);
	ring_settle(ring);
}

void ring_join(struct ring *ring, size_t leader, size_t member, uint32_t ordinal, uint32_t epoch)
{
	struct raft_event event = {
		.type = RAFT_EVENT_JOIN,
		.request = 2000 + member,
		.member = {.id = ring->members[member].id, .ordinal = ordinal, .epoch = epoch},
	};

	ring_event(ring, leader, event);
	ring_settle(ring);
}

void ring_form(struct ring *ring, size_t count)
{
	ring_birth(ring, 0);
	for (size_t i = 1; i < count; i++) {
		ring_join(ring, 0, i, (uint32_t)i, 1);
		ring_pass(ring, 200);
	}
	ring->answer_count = 0;
}

void ring_put(struct ring *ring, size_t member, uint64_t request, const char *name,
	      const char *value)
{
	struct keys_command command = {
		.type = KEYS_COMMAND_PUT,
		.name = bytes_str(name),
		.any = true,
		.value = bytes_str(value),
	};
	struct raft_event event = {.type = RAFT_EVENT_PROPOSE, .request = request};
	struct buf data = {0};

	keys_command_encode(&command, &data);
	event.data = bytes_buf(&data);
	ring_event(ring, member, event);
	buf_deinit(&data);
}

void ring_read(struct ring *ring, size_t member, uint64_t request)
{
	ring_event(ring, member, (struct raft_event){.type = RAFT_EVENT_READ, .request = request});
}

bool ring_is_answered(const struct ring *ring, uint64_t request)
{
	for (size_t i = 0; i < ring->answer_count; i++)
		if (ring->answers[i].request == request)
			return true;
	return false;
}

struct ring_answer ring_answer(const struct ring *ring, uint64_t request)
{
	for (size_t i = ring->answer_count; i-- > 0;)
		if (ring->answers[i].request == request)
			return ring->answers[i];
	assert(false && "it is not answered");
	return (struct ring_answer){0};
}

struct raft_view ring_view(const struct ring *ring, size_t member)
{
	return raft_view(group_raft(ring->members[member].group));
}

size_t ring_leader(const struct ring *ring)
{
	size_t leader = RING_MAX;

	for (size_t i = 0; i < ring->count; i++) {
		if (!ring->members[i].group || ring_view(ring, i).role != RAFT_LEADER)
			continue;
		if (leader != RING_MAX)
			return RING_MAX;
		leader = i;
	}
	return leader;
}

bool ring_has(const struct ring *ring, size_t member, const char *name, const char *value)
{
	const struct keys_item *item =
		keys_find(group_keys(ring->members[member].group), KEYS_VALUE, bytes_str(name));

	return item && bytes_equal(item->value, bytes_str(value));
}
