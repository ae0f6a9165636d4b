/* SPDX-License-Identifier: Apache-2.0 */
#include "disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	TAIL_LEN = 8, /* the keyed hash of all before it: trust.c */
};

static struct bytes tail_of(struct bytes bytes)
{
	assert(bytes.len >= TAIL_LEN);
	return bytes_of(bytes.ptr + bytes.len - TAIL_LEN, TAIL_LEN);
}

struct sim_envelope *envelope_take(struct map *shared, struct bytes key, struct bytes bytes)
{
	struct sim_envelope *envelope = map_get(shared, tail_of(bytes));

	if (envelope && bytes_equal(envelope_bytes(envelope), bytes)) {
		envelope->holders++;
		return envelope;
	}
	envelope = mem_alloc(1, sizeof(*envelope) + bytes.len);
	envelope->holders = 1;
	envelope->len = (uint32_t)bytes.len;
	memcpy(envelope->key, key.ptr, SIM_DISK_KEY_LEN);
	memcpy(envelope->bytes, bytes.ptr, bytes.len);
	(void)map_put(shared, tail_of(bytes), envelope); /* one with the same hash is shared less */
	return envelope;
}

void envelope_drop(struct map *shared, struct sim_envelope *envelope)
{
	struct bytes tail;

	if (!envelope || --envelope->holders > 0)
		return;
	tail = tail_of(envelope_bytes(envelope));
	if (map_get(shared, tail) == envelope)
		(void)map_remove(shared, tail);
	free(envelope);
}
