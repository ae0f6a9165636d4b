/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "consensus/keys_internal.h"

void keys_save(const struct keys *keys, struct buf *out)
{
	struct keys_space space = {
		.index = keys->index,
		.items = keys->items,
		.item_count = keys->count,
		.sessions = keys->sessions,
		.session_count = keys->session_count,
	};

	/* The clients' sessions stay known, and what they last did is not. */
	if (fault_is_planted(FAULT_RAFT_SESSIONS))
		for (size_t i = 0; i < keys->session_count; i++)
			keys->sessions[i].sequence = 0;
	keys_space_encode(&space, out);
}

/* Watches of before cannot go on: what happened in between is not in a snapshot. */
int keys_load(struct keys *keys, struct bytes snapshot)
{
	struct keys_space space;
	int result = keys_space_decode(snapshot, &space);

	if (result != 0)
		return result;
	keys_clear(keys);
	for (size_t i = 0; i < space.item_count; i++)
		(void)keys_insert(keys, &space.items[i]);
	if (!keys->sessions)
		keys->sessions = mem_alloc(KEYS_SESSIONS_MAX, sizeof(*keys->sessions));
	if (space.session_count > 0)
		memcpy(keys->sessions, space.sessions,
		       space.session_count * sizeof(*keys->sessions));
	keys->session_count = space.session_count;
	keys->index = keys->changes_from = space.index;
	keys->change_count = 0;
	keys_space_deinit(&space);
	return 0;
}
