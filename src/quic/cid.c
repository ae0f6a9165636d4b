/* SPDX-License-Identifier: Apache-2.0 */
#include "quic/cid.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quic/conn.h"

struct cid_entry {
	struct list link;
	size_t len;
	uint8_t key[NGTCP2_MAX_CIDLEN];
};

void cid_table_init(struct cid_table *table, uint64_t seed)
{
	map_init(&table->ids, seed);
	map_init(&table->tokens, ~seed);
}

void cid_table_deinit(struct cid_table *table)
{
	map_deinit(&table->ids);
	map_deinit(&table->tokens);
}

struct quic_conn *cid_find(const struct cid_table *table, struct bytes id)
{
	return map_get(&table->ids, id);
}

struct quic_conn *cid_find_reset(const struct cid_table *table, struct bytes datagram)
{
	if (datagram.len < NGTCP2_MIN_STATELESS_RESET_RANDLEN + NGTCP2_STATELESS_RESET_TOKENLEN)
		return NULL;
	return map_get(&table->tokens,
		       bytes_of(datagram.ptr + datagram.len - NGTCP2_STATELESS_RESET_TOKENLEN,
				NGTCP2_STATELESS_RESET_TOKENLEN));
}

void cid_set_init(struct cid_set *set)
{
	list_init(&set->ids);
	list_init(&set->tokens);
}

static void entries_clear(struct map *map, struct list *entries)
{
	while (!list_is_empty(entries)) {
		struct cid_entry *entry = list_first(entries, struct cid_entry, link);

		(void)map_remove(map, bytes_of(entry->key, entry->len));
		list_remove(&entry->link);
		free(entry);
	}
}

void cid_set_clear(struct cid_table *table, struct cid_set *set)
{
	entries_clear(&table->ids, &set->ids);
	entries_clear(&table->tokens, &set->tokens);
}

static bool entry_add(struct map *map, struct list *entries, struct quic_conn *conn,
		      struct bytes key)
{
	struct cid_entry *entry;

	if (map_get(map, key))
		return false;
	entry = mem_new(struct cid_entry);
	entry->len = key.len;
	memcpy(entry->key, key.ptr, key.len);
	list_append(entries, &entry->link);
	(void)map_put(map, key, conn);
	return true;
}

static void entry_remove(struct map *map, struct list *entries, struct bytes key)
{
	list_for_each_safe (link, entries) {
		struct cid_entry *entry = list_entry(link, struct cid_entry, link);

		if (bytes_equal(bytes_of(entry->key, entry->len), key)) {
			(void)map_remove(map, key);
			list_remove(&entry->link);
			free(entry);
			return;
		}
	}
}

bool cid_add(struct cid_table *table, struct quic_conn *conn, const ngtcp2_cid *id)
{
	return entry_add(&table->ids, &conn->cids.ids, conn, bytes_of(id->data, id->datalen));
}

void cid_remove(struct cid_table *table, struct quic_conn *conn, const ngtcp2_cid *id)
{
	entry_remove(&table->ids, &conn->cids.ids, bytes_of(id->data, id->datalen));
}

void cid_add_token(struct cid_table *table, struct quic_conn *conn, const uint8_t *token)
{
	/* A peer that claims another's token only makes its own resets unheard. */
	(void)entry_add(&table->tokens, &conn->cids.tokens, conn,
			bytes_of(token, NGTCP2_STATELESS_RESET_TOKENLEN));
}

void cid_remove_token(struct cid_table *table, struct quic_conn *conn, const uint8_t *token)
{
	entry_remove(&table->tokens, &conn->cids.tokens,
		     bytes_of(token, NGTCP2_STATELESS_RESET_TOKENLEN));
}
