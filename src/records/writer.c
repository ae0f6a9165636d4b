/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers: whose records live in our memory, and whether that machine is there.
 *
 * What a machine says about itself is worth as much as its life. When it is lost its records go,
 * and copies that others still hold are not taken back until it is up again, or brings one itself:
 * in a large fabric not everybody is told that it is up. A machine that we have only heard of
 * through its records gets RECORDS_STRANGER_MS to come up.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "records/internal.h"

struct writer *writer_find(const struct records *records, const struct node_id *id)
{
	return map_get(&records->writers, bytes_of(id->byte, ID_LEN));
}

static void writer_free(struct records *records, struct writer *writer)
{
	assert(writer->count == 0);
	(void)map_remove(&records->writers, bytes_of(writer->id.byte, ID_LEN));
	free(writer);
}

/* Room for one more: machines that are away and have left nothing behind go first. */
static bool writer_make_room(struct records *records)
{
	if (records->writers.count < RECORDS_WRITERS_MAX)
		return true;
	map_for_each (entry, &records->writers) {
		struct writer *writer = entry->value;

		if (!writer->up && writer->count == 0) {
			writer_free(records, writer);
			return true;
		}
	}
	return false;
}

struct writer *writer_get(struct records *records, const struct node_id *id)
{
	struct writer *writer = writer_find(records, id);

	if (writer || !writer_make_room(records))
		return writer;
	writer = mem_new(struct writer);
	*writer = (struct writer){
		.id = *id,
		.up = node_id_equal(id, &records->config.self),
		.since = records->now,
	};
	list_init(&writer->items);
	(void)map_put(&records->writers, bytes_of(id->byte, ID_LEN), writer);
	return writer;
}

void writer_add(struct writer *writer, struct item *item)
{
	list_append(&writer->items, &item->in_writer);
	writer->count++;
	writer->bytes += item_bytes(item);
}

void writer_drop(struct item *item)
{
	if (list_is_empty(&item->in_writer))
		return;
	list_remove(&item->in_writer);
	item->written->count--;
	item->written->bytes -= item_bytes(item);
}

static void writer_forget_items(struct records *records, struct writer *writer)
{
	list_for_each_safe (link, &writer->items)
		merge_remove(records, list_entry(link, struct item, in_writer));
	assert(writer->count == 0);
}

void writer_sweep(struct records *records)
{
	if (records->config.alone || records->large)
		return;
	map_for_each (entry, &records->writers) {
		struct writer *writer = entry->value;
		int64_t known_us = mono_since_us(records->now, writer->since);

		if (writer->up || writer->lost || known_us < RECORDS_STRANGER_MS * US_PER_MS)
			continue;
		writer->lost = true;
		writer_forget_items(records, writer);
	}
}

void records_peer_up(struct records *records, struct mono now, const struct node_id *peer)
{
	struct writer *writer;

	records->now = now;
	writer = writer_get(records, peer);
	if (writer) {
		writer->up = true;
		writer->lost = false;
	}
	sync_start(records, peer);
}

/* It speaks for itself, so it lives: what it says counts again. */
void writer_heard(struct records *records, const struct node_id *id)
{
	struct writer *writer = writer_find(records, id);

	if (!writer || !writer->lost)
		return;
	writer->lost = false;
	writer->since = records->now;
}

void records_peer_lost(struct records *records, struct mono now, const struct node_id *peer)
{
	struct writer *writer;

	records->now = now;
	if (node_id_equal(peer, &records->config.self))
		return;
	apart_lost(records, peer);
	/* Alone we take nobody's copies: who has left nothing here need not be remembered. */
	writer = records->config.alone ? writer_find(records, peer) : writer_get(records, peer);
	if (!writer)
		return;
	writer->up = false;
	writer->lost = true;
	writer_forget_items(records, writer);
}

void writers_deinit(struct records *records)
{
	map_for_each (entry, &records->writers)
		free(entry->value);
	map_deinit(&records->writers);
}
