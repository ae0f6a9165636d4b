/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Want: what one peer was asked for and may be on its way. A machine that has just become a keeper
 * is compared with by all others at once, and each names the same records; it asks one of them.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "records/internal.h"

enum {
	WANTED_MAX = 8192, /* 150 B each; beyond, more than one may be asked */
	WANTED_MS = 2000,  /* then another one is asked: a round trip, and what a peer sends for one
			    * message */
};

struct wanted {
	struct node_id from;
	struct record_version version;
	struct mono until;
};

static bool is_on_its_way(const struct records *records, const struct wanted *wanted,
			  const struct node_id *from, const struct record_version *version)
{
	return !node_id_equal(&wanted->from, from) && !mono_reached(records->now, wanted->until) &&
	       record_version_compare(&wanted->version, version) >= 0;
}

bool want_may_ask(struct records *records, const struct node_id *from,
		  const struct sync_entry *entry)
{
	uint8_t key[RECORD_KEY_LEN];
	struct wanted *wanted;

	record_key_bytes(&entry->key, key);
	wanted = map_get(&records->wanted, bytes_of(key, sizeof(key)));
	if (wanted && is_on_its_way(records, wanted, from, &entry->version))
		return false;
	if (!wanted && records->wanted.count == WANTED_MAX)
		return true;
	if (!wanted) {
		wanted = mem_new(struct wanted);
		(void)map_put(&records->wanted, bytes_of(key, sizeof(key)), wanted);
	}
	*wanted = (struct wanted){*from, entry->version, mono_add_ms(records->now, WANTED_MS)};
	return true;
}

void want_sweep(struct records *records)
{
	map_for_each (entry, &records->wanted) {
		struct wanted *wanted = entry->value;

		if (mono_reached(records->now, wanted->until))
			free(map_remove(&records->wanted, bytes_of(entry->key, entry->key_len)));
	}
}

void want_init(struct records *records)
{
	map_init(&records->wanted, prng_next(&records->prng));
}

void want_deinit(struct records *records)
{
	map_for_each (entry, &records->wanted)
		free(entry->value);
	map_deinit(&records->wanted);
}
