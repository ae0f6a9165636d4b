/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cid: which connection a datagram belongs to.
 *
 * Every connection owns the list of ids and reset tokens under which it can be found, and all of
 * them go when it goes: a lookup never meets a connection that is no more. Reset tokens are looked
 * up by the last 16 bytes of a datagram, since a stateless reset carries a made-up id.
 */
#pragma once

#include <ngtcp2/ngtcp2.h>

#include "base/list.h"
#include "base/map.h"

struct quic_conn;

enum {
	CID_LEN = 8, /* of the ids we choose */
};

struct cid_table {
	struct map ids, tokens;
};

struct cid_set {
	struct list ids, tokens;
};

void cid_table_init(struct cid_table *table, uint64_t seed);
void cid_table_deinit(struct cid_table *table);
struct quic_conn *cid_find(const struct cid_table *table, struct bytes id);

/* The connection whose peer may have sent @datagram as a stateless reset, or NULL. */
struct quic_conn *cid_find_reset(const struct cid_table *table, struct bytes datagram);

void cid_set_init(struct cid_set *set);
void cid_set_clear(struct cid_table *table, struct cid_set *set);

/* False when the id is taken: it cannot be ours then. */
_must_use_ bool cid_add(struct cid_table *table, struct quic_conn *conn, const ngtcp2_cid *id);
void cid_remove(struct cid_table *table, struct quic_conn *conn, const ngtcp2_cid *id);
void cid_add_token(struct cid_table *table, struct quic_conn *conn, const uint8_t *token);
void cid_remove_token(struct cid_table *table, struct quic_conn *conn, const uint8_t *token);
