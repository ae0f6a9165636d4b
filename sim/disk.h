/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelopes on disks: what lies on several machines' disks is in memory once.
 */
#pragma once

#include "base/bytes.h"
#include "base/map.h"
#include "wire/message.h"

enum {
	SIM_DISK_KEY_LEN = 1 + 2 * UID_LEN,
};

/* One envelope; held by those who have taken it. */
struct sim_envelope {
	uint32_t holders;
	uint32_t len;
	uint8_t key[SIM_DISK_KEY_LEN]; /* of the record */
	uint8_t bytes[];
};

static inline struct bytes envelope_bytes(const struct sim_envelope *envelope)
{
	return bytes_of(envelope->bytes, envelope->len);
}

/* The one in @shared with these bytes, made if there is none; @key is that of its record. */
struct sim_envelope *envelope_take(struct map *shared, struct bytes key, struct bytes bytes);
/* Freed with the last one who has taken it. NULL: nothing happens. */
void envelope_drop(struct map *shared, struct sim_envelope *envelope);
