/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index: what this machine says of the records it controls, in a fabric larger than the pool, and
 * holds of those of others (records/shard.h).
 *
 * A row is said by who writes the record, once, and by its controller again and again. Machines say
 * their own facts: kind "Node", without namespace.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	SWEEP_MS = 60 * 1000, /* objects that have come under our control are looked for */
};

/* A shard lies where a record of this uid would. */
static struct uid home_of(const struct digest *key)
{
	struct uid home = {{0}};

	memcpy(home.byte, key->byte, UID_HOME_LEN);
	return home;
}

struct uid node_index_home(const struct shard_id *shard)
{
	struct digest key = shard_key(shard);

	return home_of(&key);
}

static size_t nearest(void *arg, const struct digest *key, struct contact *ret_contacts, size_t max)
{
	const struct node *node = arg;
	struct uid home = home_of(key);

	return records_nearest(node->records, &home, ret_contacts, max);
}

static bool is_ours(const struct node *node, const struct uid *uid)
{
	struct node_id controller = node_controller(node, uid);

	return node_id_equal(&controller, &node->config.self.id);
}

static bool answers_for(void *arg, const char *kind, const struct index_row *row)
{
	const struct node *node = arg;
	struct record_key key = {.kind = RECORD_OBJECT, .uid = row->uid};

	if (strcmp(kind, "Node") == 0)
		return true;
	return records_get(node->records, &key) && is_ours(node, &row->uid);
}

bool node_index_is_used(const struct node *node)
{
	return !node->config.records_stay && overlay_is_large(node->overlay);
}

void node_index_init(struct node *node, struct mono now)
{
	struct shards_config config = {
		.self = node->config.self.id,
		.steward = node->config.steward,
		.seed = node->config.seed,
		.nearest = nearest,
		.answers_for = answers_for,
		.arg = node,
	};

	node->shards = shards_new(&config, now);
	node->index_due = MONO_NEVER;
	map_init(&node->index_lookups, node->config.seed);
}

void node_index_deinit(struct node *node)
{
	map_for_each (entry, &node->index_lookups)
		free(entry->value);
	map_deinit(&node->index_lookups);
	shards_free(node->shards);
}

static struct index_row row_of(const struct record *record, bool gone)
{
	return (struct index_row){
		.name = record->object.name,
		.uid = record->object.uid,
		.hlc = record->version.hlc,
		.gone = gone,
	};
}

static void object_changed(struct node *node, struct mono now, const struct record *record,
			   const struct node_id *writer, bool gone)
{
	struct index_row row = row_of(record, gone);

	if (is_ours(node, &record->object.uid))
		shards_own(node->shards, now, record->object.kind, record->object.namespace, &row);
	else if (node_id_equal(writer, &node->config.self.id))
		shards_say(node->shards, now, record->object.kind, record->object.namespace, &row);
}

struct index_row node_index_self(const struct node *node)
{
	struct index_row row = {
		.name = node->name,
		.hlc = 1, /* what they say is in the record; the row says where it is */
	};

	memcpy(row.uid.byte, node->config.self.id.byte, UID_LEN);
	memcpy(row.sub.byte, node->config.self.id.byte + UID_LEN, UID_LEN);
	return row;
}

static void facts_changed(struct node *node, struct mono now)
{
	struct index_row row = node_index_self(node);

	shards_own(node->shards, now, "Node", "", &row);
}

void node_index_changed(struct node *node, struct mono now, const struct record_item *item,
			enum records_change change)
{
	const struct record *record = &item->record;
	bool own = node_id_equal(&item->writer, &node->config.self.id);

	if (!node_index_is_used(node) || change == RECORDS_DROPPED)
		return;
	node->index_due = mono_min(node->index_due, mono_add_ms(now, SWEEP_MS));
	if (record->key.kind == RECORD_NODE && own && change != RECORDS_REMOVED)
		facts_changed(node, now);
	else if (record->key.kind == RECORD_TOMBSTONE && *record->object.kind)
		object_changed(node, now, record, &item->writer, true);
	else if (record->key.kind == RECORD_OBJECT && change != RECORDS_REMOVED)
		object_changed(node, now, record, &item->writer, false);
}

/* What a machine nearer to it controlled until it was lost is ours now; and what was written while
 * the fabric was small has no row yet. */
static void sweep(struct node *node, struct mono now)
{
	const struct record_item *item;
	size_t position = 0;

	node->index_due = mono_add_ms(now, prng_jitter(&node->prng, SWEEP_MS));
	if (!node_index_is_used(node))
		return;
	while ((item = records_next(node->records, RECORD_OBJECT, NULL, NULL, &position))) {
		struct index_row row = row_of(&item->record, false);

		if (records_keeps(node->records, &row.uid) && is_ours(node, &row.uid))
			shards_own(node->shards, now, item->record.object.kind,
				   item->record.object.namespace, &row);
	}
	if (node->facts_known)
		facts_changed(node, now);
}

void node_index_tick(struct node *node, struct mono now)
{
	if (mono_reached(now, node->index_due))
		sweep(node, now);
	if (mono_reached(now, shards_deadline(node->shards)))
		shards_tick(node->shards, now);
}

struct mono node_index_deadline(const struct node *node)
{
	return mono_min(node->index_due, shards_deadline(node->shards));
}

/* The fabric has become larger than the pool: everything is said from now on. */
void node_index_begin(struct node *node, struct mono now)
{
	if (mono_reached(node->index_due, mono_add_ms(now, SWEEP_MS * 2)))
		node->index_due = mono_add_ms(now, prng_jitter(&node->prng, SWEEP_MS / 8));
}

void node_index_hold(struct node *node, struct mono now, const struct shards_part *part)
{
	shards_hold(node->shards, now, part);
}

void node_index_said(struct node *node, struct mono now, const struct shard_id *leaf,
		     const struct index_row *row, const struct contact *holders, size_t count)
{
	shards_said(node->shards, now, leaf, row, holders, count);
}

/* Messages. */

void node_index_receive(struct node *node, struct mono now, const struct node_id *from,
			const struct message *message)
{
	struct contact contact = {.id = *from};
	bool self = node_id_equal(from, &node->config.self.id);
	bool steward = self || map_get(&node->stewards, bytes_of(from->byte, ID_LEN)) != NULL;

	(void)overlay_find_addr(node->overlay, from, &contact.addr);
	shards_receive(node->shards, now, &contact, steward, message);
}

static void send(struct node *node, const struct shards_effect *effect)
{
	struct buf encoded = {0};

	message_encode(&effect->message, &encoded);
	node_send_packet(node, &(struct node_destination){effect->to.id, effect->to.addr},
			 effect->message.type, bytes_buf(&encoded));
	buf_deinit(&encoded);
}

/* A lookup of the records for the shards: token of theirs -> token of ours. */
static void locate(struct node *node, struct mono now, const struct shards_effect *effect)
{
	struct uid home = home_of(&effect->key);
	uint64_t token;

	if (records_locate(node->records, now, &home, &token) == 0)
		free(map_put(&node->index_lookups, bytes_of(&token, sizeof(token)),
			     mem_copy(&effect->token, sizeof(effect->token))));
}

bool node_index_located(struct node *node, struct mono now, const struct records_effect *effect)
{
	uint64_t *token =
		map_remove(&node->index_lookups, bytes_of(&effect->token, sizeof(effect->token)));

	if (!token)
		return false;
	shards_located(node->shards, now, *token, effect->contacts, effect->contact_count);
	free(token);
	return true;
}

bool node_drain_index(struct node *node, struct mono now)
{
	const struct shards_effect *effect;
	bool any = false;

	while ((effect = shards_next_effect(node->shards)) != NULL) {
		any = true;
		if (effect->type == SHARDS_SEND)
			send(node, effect);
		else if (effect->type == SHARDS_LOCATE)
			locate(node, now, effect);
		else
			node_refresh_found(node, now, effect);
	}
	return any;
}
