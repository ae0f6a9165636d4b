/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: what its files share. Private to src/consensus. */
#pragma once

#include "consensus/keys.h"

struct keys {
	struct keys_item *items; /* in order of kind and name; strings are ours */
	size_t count, cap;
	size_t bytes;                  /* of names, values and holders */
	struct keys_session *sessions; /* in order of id */
	size_t session_count;
	struct keys_change *changes; /* a ring, NULL before the first */
	uint64_t change_count;       /* ever */
	uint64_t changes_from;       /* no version up to here is told */
	uint64_t index;
};

/* keys.c */
struct keys_item *keys_insert(struct keys *keys, const struct keys_item *item); /* copies */
void keys_clear(struct keys *keys);

/* keys_session.c */
struct keys_session *keys_session_find(struct keys *keys, uint64_t id);
void keys_session_open(struct keys *keys, uint64_t index);
