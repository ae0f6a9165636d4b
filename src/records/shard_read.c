/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads: looking up one name, and listing.
 *
 * A lookup goes to the leaf that is believed to cover the name and from there down, or up by one
 * where there is no such shard; a list walks all leaves, of one namespace or of those that the
 * shard of namespace "*" names. What several holders answer is united; the newest version of a row
 * counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "records/shard_internal.h"

#define ALL_NAMESPACES "*"

void read_free(struct shards *shards, struct read *read)
{
	map_for_each (entry, &read->rows) {
		struct read_row *found = entry->value;

		free(found->namespace);
		index_row_deinit(&found->row);
		free(found);
	}
	map_deinit(&read->rows);
	list_remove(&read->link);
	shards->read_count--;
	free(read->name);
	free(read->kind);
	free(read);
}

static bool is_shown(const struct read_row *found)
{
	return !found->row.gone && strcmp(found->namespace, ALL_NAMESPACES) != 0;
}

static void read_end(struct shards *shards, struct read *read)
{
	struct queued *queued = shards_queue(shards, SHARDS_FOUND);
	struct shards_effect *effect = &queued->effect;

	effect->token = read->token;
	effect->complete = !read->incomplete;
	queued->rows = mem_alloc(read->rows.count + 1, sizeof(*queued->rows));
	map_for_each (entry, &read->rows) {
		const struct read_row *found = entry->value;
		struct shards_row *row = &queued->rows[effect->row_count];

		if (!is_shown(found))
			continue;
		row->kind = mem_strdup(read->kind);
		row->namespace = mem_strdup(found->namespace);
		index_row_copy(&found->row, &row->row);
		effect->row_count++;
	}
	effect->rows = queued->rows;
	read_free(shards, read);
}

static void read_ask(struct shards *shards, struct read *read, const struct shard_id *shard,
		     bool from_hint)
{
	struct call *call = shard_call_new(shards, CALL_ASK, shard);

	call->read = read;
	call->from_hint = from_hint;
	read->calls++;
	shard_call_start(shards, call);
}

static struct read *read_new(struct shards *shards, const char *kind, const char *name)
{
	struct read *read = mem_new(struct read);

	read->token = ++shards->request;
	read->kind = mem_strdup(kind);
	read->name = name ? mem_strdup(name) : NULL;
	read->deadline = mono_add_ms(shards->now, SHARD_READ_MS);
	map_init(&read->rows, prng_next(&shards->prng));
	list_append(&shards->reads, &read->link);
	shards->read_count++;
	return read;
}

int shards_find(struct shards *shards, struct mono now, const char *kind, const char *namespace,
		const char *name, uint64_t *ret_token)
{
	uint32_t depth = hint_get(shards, kind, namespace);
	struct shard_id shard = shard_for(kind, namespace, depth, name_position(name));
	struct read *read;

	shards->now = now;
	if (shards->read_count >= SHARD_READS_MAX)
		return -EBUSY;
	read = read_new(shards, kind, name);
	*ret_token = read->token;
	read_ask(shards, read, &shard, depth > 0);
	return 0;
}

int shards_walk(struct shards *shards, struct mono now, const char *kind, const char *namespace,
		uint64_t *ret_token)
{
	struct shard_id root = shard_for(kind, namespace ? namespace : ALL_NAMESPACES, 0, 0);
	struct read *read;

	shards->now = now;
	if (shards->read_count >= SHARD_READS_MAX)
		return -EBUSY;
	read = read_new(shards, kind, NULL);
	read->walk = true;
	*ret_token = read->token;
	read_ask(shards, read, &root, false);
	return 0;
}

static void note_row(struct shards *shards, struct read *read, const char *namespace,
		     const struct index_row *row)
{
	struct buf key = {0};
	struct read_row *found;

	buf_append(&key, namespace, strlen(namespace) + 1);
	row_key(row, &key);
	found = map_get(&read->rows, bytes_buf(&key));
	if (found && row->hlc >= found->row.hlc) {
		found->row.gone = row->gone || (row->hlc == found->row.hlc && found->row.gone);
		found->row.hlc = row->hlc;
	} else if (!found && read->rows.count >= SHARD_WALK_MAX) {
		read->incomplete = true;
	} else if (!found) {
		found = mem_new(struct read_row);
		found->namespace = mem_strdup(namespace);
		index_row_copy(row, &found->row);
		(void)map_put(&read->rows, bytes_buf(&key), found);
	}
	buf_deinit(&key);
}

void read_answered(struct shards *shards, struct call *call, const struct index_answer *answer)
{
	struct read *read = call->read;

	for (size_t i = 0; read && i < answer->row_count; i++) {
		const struct index_row *row = &answer->rows[i];

		if ((!read->name || strcmp(read->name, row->name) == 0) &&
		    shard_covers(&call->shard, row->name))
			note_row(shards, read, call->shard.namespace, row);
	}
}

static void ask_children(struct shards *shards, struct read *read, const struct shard_id *shard)
{
	for (unsigned bit = 0; bit < 2; bit++) {
		struct shard_id child = shard_child(shard, bit);

		if (!read->name || shard_covers(&child, read->name))
			read_ask(shards, read, &child, false);
	}
}

static void ask_again(struct shards *shards, struct read *read, const struct shard_id *shard)
{
	struct shard_id parent = shard_parent(shard);

	hint_set(shards, &parent);
	read_ask(shards, read, &parent, parent.depth > 0);
}

/* The namespaces are known: list each. */
static void walk_namespaces(struct shards *shards, struct read *read)
{
	struct buf names = {0};

	map_for_each (entry, &read->rows) {
		const struct read_row *found = entry->value;

		if (!found->row.gone && strcmp(found->namespace, ALL_NAMESPACES) == 0)
			buf_append(&names, found->row.name, strlen(found->row.name) + 1);
	}
	/* By a copy: answers that are under way must not change what is iterated. */
	for (size_t at = 0; at < names.len; at += strlen((char *)names.ptr + at) + 1) {
		struct shard_id root = shard_for(read->kind, (char *)names.ptr + at, 0, 0);

		read_ask(shards, read, &root, false);
	}
	buf_deinit(&names);
}

void read_ended(struct shards *shards, struct call *call)
{
	struct read *read = call->read;
	bool directory = strcmp(call->shard.namespace, ALL_NAMESPACES) == 0;

	if (!read)
		return; /* it took too long and was answered */
	if (call->answered == 0)
		read->incomplete = true;
	else if (call->split && call->shard.depth < MESSAGE_SHARD_DEPTH_MAX)
		ask_children(shards, read, &call->shard);
	else if (call->unknown * 2 > call->answered && call->from_hint)
		ask_again(shards, read, &call->shard);
	else if (call->ok)
		hint_set(shards, &call->shard);
	read->calls--;
	if (directory && read->calls == 0)
		walk_namespaces(shards, read);
	if (read->calls == 0)
		read_end(shards, read);
}

static void calls_leave(struct list *calls, const struct read *read)
{
	list_for_each (it, calls) {
		struct call *call = list_entry(it, struct call, link);

		if (call->read == read)
			call->read = NULL;
	}
}

void reads_tick(struct shards *shards)
{
	list_for_each_safe (it, &shards->reads) {
		struct read *read = list_entry(it, struct read, link);

		if (!mono_reached(shards->now, read->deadline))
			continue;
		calls_leave(&shards->waiting, read);
		calls_leave(&shards->active, read);
		read->incomplete = true;
		read_end(shards, read);
	}
}
