/* SPDX-License-Identifier: Apache-2.0 */
#include "consensus/keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus/keys_internal.h"

enum {
	CAP_MIN = 16,
};

struct keys *keys_new(void)
{
	return mem_new(struct keys);
}

static void item_deinit(struct keys_item *item)
{
	free((uint8_t *)(uintptr_t)item->name.ptr);
	free((uint8_t *)(uintptr_t)item->value.ptr);
	free((uint8_t *)(uintptr_t)item->lease.holder.ptr);
}

void keys_clear(struct keys *keys)
{
	while (keys->count > 0)
		item_deinit(&keys->items[--keys->count]);
	keys->bytes = 0;
	keys->session_count = 0;
}

void keys_free(struct keys *keys)
{
	if (!keys)
		return;
	keys_clear(keys);
	free(keys->items);
	free(keys->sessions);
	free(keys->changes);
	free(keys);
}

static int compare(const struct keys_item *item, enum keys_kind kind, struct bytes name)
{
	size_t len = item->name.len < name.len ? item->name.len : name.len;
	int order;

	if (item->kind != kind)
		return item->kind < kind ? -1 : 1;
	order = len > 0 ? memcmp(item->name.ptr, name.ptr, len) : 0;
	if (order != 0 || item->name.len == name.len)
		return order;
	return item->name.len < name.len ? -1 : 1;
}

/* Where it is, or belongs. */
static size_t locate(const struct keys *keys, enum keys_kind kind, struct bytes name)
{
	size_t low = 0, high = keys->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&keys->items[middle], kind, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct keys_item *keys_find(const struct keys *keys, enum keys_kind kind, struct bytes name)
{
	size_t at = locate(keys, kind, name);

	return at < keys->count && compare(&keys->items[at], kind, name) == 0 ? &keys->items[at]
									      : NULL;
}

const struct keys_item *keys_next(const struct keys *keys, enum keys_kind kind, size_t *position)
{
	while (*position < keys->count) {
		const struct keys_item *item = &keys->items[(*position)++];

		if (item->kind == kind)
			return item;
	}
	return NULL;
}

static struct bytes copy(struct bytes bytes)
{
	return bytes_of(mem_copy(bytes.ptr, bytes.len), bytes.len);
}

static size_t item_len(const struct keys_item *item)
{
	return item->name.len + item->value.len + item->lease.holder.len;
}

struct keys_item *keys_insert(struct keys *keys, const struct keys_item *item)
{
	size_t at = locate(keys, item->kind, item->name);
	struct keys_item *to;

	if (keys->count == keys->cap) {
		keys->cap = keys->cap ? 2 * keys->cap : CAP_MIN;
		keys->items = mem_resize(keys->items, keys->cap, sizeof(*keys->items));
	}
	to = &keys->items[at];
	memmove(to + 1, to, (keys->count - at) * sizeof(*to));
	*to = *item;
	to->name = copy(item->name);
	to->value = copy(item->value);
	to->lease.holder = copy(item->lease.holder);
	keys->count++;
	keys->bytes += item_len(to);
	return to;
}

static void erase(struct keys *keys, size_t at)
{
	keys->bytes -= item_len(&keys->items[at]);
	item_deinit(&keys->items[at]);
	keys->count--;
	memmove(&keys->items[at], &keys->items[at + 1],
		(keys->count - at) * sizeof(keys->items[0]));
}

static void note_change(struct keys *keys, enum keys_kind kind, struct bytes name, bool gone)
{
	struct keys_change *change;

	if (!keys->changes)
		keys->changes = mem_alloc(KEYS_CHANGES_MAX, sizeof(*keys->changes));
	change = &keys->changes[keys->change_count++ % KEYS_CHANGES_MAX];
	if (keys->change_count > KEYS_CHANGES_MAX)
		keys->changes_from = change->version;
	*change = (struct keys_change){
		.version = keys->index,
		.kind = kind,
		.gone = gone,
		.name_len = (uint8_t)name.len,
	};
	memcpy(change->name, name.ptr, name.len);
}

bool keys_changed(const struct keys *keys, uint64_t after, const struct keys_change **ret_change)
{
	uint64_t kept =
		keys->change_count < KEYS_CHANGES_MAX ? keys->change_count : KEYS_CHANGES_MAX;

	*ret_change = NULL;
	if (after < keys->changes_from)
		return false;
	for (uint64_t i = keys->change_count - kept; i < keys->change_count; i++) {
		const struct keys_change *change = &keys->changes[i % KEYS_CHANGES_MAX];

		if (change->version <= after)
			continue;
		*ret_change = change;
		break;
	}
	return true;
}

static enum keys_kind kind_of(const struct keys_command *command)
{
	return command->type == KEYS_COMMAND_PUT_LEASE || command->type == KEYS_COMMAND_DELETE_LEASE
		       ? KEYS_LEASE
		       : KEYS_VALUE;
}

static struct keys_result put(struct keys *keys, const struct keys_command *command, size_t at,
			      bool there)
{
	struct keys_item item = {
		.kind = kind_of(command),
		.name = command->name,
		.version = keys->index,
		.created = there ? keys->items[at].created : keys->index,
		.value = command->value,
		.lease = command->lease,
	};
	size_t before = there ? item_len(&keys->items[at]) : 0;

	if ((!there && keys->count == KEYS_COUNT_MAX) ||
	    keys->bytes - before + item_len(&item) > KEYS_BYTES_MAX)
		return (struct keys_result){.outcome = KEYS_FULL};
	if (there)
		erase(keys, at);
	(void)keys_insert(keys, &item);
	note_change(keys, item.kind, command->name, false);
	return (struct keys_result){KEYS_DONE, keys->index};
}

/* A change that names the version it is for happens to that one only. */
static struct keys_result change(struct keys *keys, const struct keys_command *command)
{
	enum keys_kind kind = kind_of(command);
	size_t at = locate(keys, kind, command->name);
	bool there = at < keys->count && compare(&keys->items[at], kind, command->name) == 0;
	bool is_put = command->type == KEYS_COMMAND_PUT || command->type == KEYS_COMMAND_PUT_LEASE;

	if (there && !command->any && command->expect != keys->items[at].version)
		return (struct keys_result){KEYS_CONFLICT, keys->items[at].version};
	if (!there && (!is_put || (!command->any && command->expect != 0)))
		return (struct keys_result){.outcome = KEYS_ABSENT};
	if (is_put)
		return put(keys, command, at, there);
	note_change(keys, kind, command->name, true);
	erase(keys, at);
	return (struct keys_result){KEYS_DONE, keys->index};
}

static struct keys_result apply(struct keys *keys, const struct keys_command *command)
{
	struct keys_session *session;
	struct keys_result result;

	if (command->type == KEYS_COMMAND_SESSION) {
		keys_session_open(keys, keys->index);
		return (struct keys_result){KEYS_DONE, keys->index};
	}
	if (command->session == 0)
		return change(keys, command);
	session = keys_session_find(keys, command->session);
	if (!session)
		return (struct keys_result){.outcome = KEYS_EXPIRED};
	session->used = keys->index;
	if (command->sequence < session->sequence)
		return (struct keys_result){.outcome = KEYS_STALE};
	if (command->sequence == session->sequence)
		return (struct keys_result){(enum keys_outcome)session->outcome, session->version};
	result = change(keys, command);
	session->sequence = command->sequence;
	session->outcome = result.outcome;
	session->version = result.version;
	return result;
}

struct keys_result keys_apply(struct keys *keys, uint64_t index, struct bytes bytes)
{
	struct keys_command command;
	struct keys_result result = {.outcome = KEYS_INVALID};

	keys_skip(keys, index);
	if (keys_command_decode(bytes, &command) != 0)
		return result;
	result = apply(keys, &command);
	keys_command_deinit(&command);
	return result;
}

void keys_skip(struct keys *keys, uint64_t index)
{
	assert(index > keys->index);
	keys->index = index;
}

uint64_t keys_index(const struct keys *keys)
{
	return keys->index;
}

size_t keys_count(const struct keys *keys)
{
	return keys->count;
}

size_t keys_session_count(const struct keys *keys)
{
	return keys->session_count;
}
