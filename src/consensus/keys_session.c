/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "consensus/keys_internal.h"

struct keys_session *keys_session_find(struct keys *keys, uint64_t id)
{
	for (size_t i = 0; i < keys->session_count; i++)
		if (keys->sessions[i].id == id)
			return &keys->sessions[i];
	return NULL;
}

/* When there is no room, the one that was not used longest goes: the same one everywhere. */
void keys_session_open(struct keys *keys, uint64_t index)
{
	size_t oldest = 0;

	if (!keys->sessions)
		keys->sessions = mem_alloc(KEYS_SESSIONS_MAX, sizeof(*keys->sessions));
	if (keys->session_count == KEYS_SESSIONS_MAX) {
		for (size_t i = 1; i < keys->session_count; i++)
			if (keys->sessions[i].used < keys->sessions[oldest].used)
				oldest = i;
		keys->session_count--;
		memmove(&keys->sessions[oldest], &keys->sessions[oldest + 1],
			(keys->session_count - oldest) * sizeof(keys->sessions[0]));
	}
	/* Ids grow, so they stay in order. */
	keys->sessions[keys->session_count++] = (struct keys_session){.id = index, .used = index};
}
