/* SPDX-License-Identifier: Apache-2.0 */
/* A shard and its rows: the newest of each, bounded. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "records/shard_internal.h"

struct shard *shard_find(const struct shards *shards, const struct shard_id *id)
{
	struct buf text = {0};
	struct shard *shard;

	shard_text(id, &text);
	shard = map_get(&shards->shards, bytes_buf(&text));
	buf_deinit(&text);
	return shard;
}

struct shard *shard_make(struct shards *shards, const struct shard_id *id)
{
	struct shard *shard = shard_find(shards, id);
	struct buf text = {0};

	if (shard || shards->shards.count >= SHARD_COUNT_MAX)
		return shard;
	shard = mem_new(struct shard);
	shard_id_copy(id, &shard->id);
	shard->key = shard_key(id);
	map_init(&shard->rows, prng_next(&shards->prng));
	shard->changed = shards->now;
	shard->sync_due = mono_add_ms(shards->now, prng_jitter(&shards->prng, SHARD_SYNC_MS));
	shard->report_due = mono_add_ms(shards->now, prng_jitter(&shards->prng, SHARD_REPORT_MS));
	shards->shards_due = mono_min(shards->shards_due, shard->sync_due);
	shard_text(id, &text);
	(void)map_put(&shards->shards, bytes_buf(&text), shard);
	buf_deinit(&text);
	return shard;
}

static void row_remove(struct shards *shards, struct shard *shard, struct row *row,
		       struct bytes key)
{
	(void)map_remove(&shard->rows, key);
	shard->fold ^= row->fold;
	shard->live -= !row->row.gone;
	shards->row_count--;
	index_row_deinit(&row->row);
	free(row);
}

void shard_drop_rows(struct shards *shards, struct shard *shard)
{
	map_for_each (entry, &shard->rows)
		row_remove(shards, shard, entry->value, bytes_of(entry->key, entry->key_len));
}

void shard_forget(struct shards *shards, struct shard *shard)
{
	struct buf text = {0};

	shard_text(&shard->id, &text);
	(void)map_remove(&shards->shards, bytes_buf(&text));
	buf_deinit(&text);
	shard_drop_rows(shards, shard);
	map_deinit(&shard->rows);
	shard_id_deinit(&shard->id);
	free(shard);
}

static struct mono heard_at(const struct shards *shards, const struct index_row *row)
{
	int64_t age_ms = (int64_t)row->age_s * 1000;

	return mono_add_ms(shards->now, -(age_ms < SHARD_GONE_MS ? age_ms : SHARD_GONE_MS));
}

static void row_renew(struct shard *shard, struct row *row, const struct index_row *from)
{
	shard->fold ^= row->fold;
	shard->live -= !row->row.gone;
	row->row.hlc = from->hlc;
	row->row.gone = from->gone;
	row->fold = row_fold(&row->row);
	shard->fold ^= row->fold;
	shard->live += !row->row.gone;
}

static bool row_insert(struct shards *shards, struct shard *shard, const struct index_row *from,
		       struct bytes key)
{
	struct row *row;

	if (shard->rows.count >= SHARD_HOLD_MAX || shards->row_count >= SHARD_TOTAL_MAX) {
		shards->counts.refused++;
		return false;
	}
	row = mem_new(struct row);
	index_row_copy(from, &row->row);
	row->fold = row_fold(from);
	row->heard = heard_at(shards, from);
	shard->fold ^= row->fold;
	shard->live += !from->gone;
	shards->row_count++;
	(void)map_put(&shard->rows, key, row);
	return true;
}

static bool is_expired(const struct shards *shards, const struct row *row)
{
	int64_t lives_ms = row->row.gone ? SHARD_GONE_MS : SHARD_ROW_MS;

	return mono_reached(shards->now, mono_add_ms(row->heard, lives_ms));
}

bool shard_merge_row(struct shards *shards, struct shard *shard, const struct index_row *row)
{
	struct buf key = {0};
	struct row *known;
	bool taken = true;

	if (!shard_covers(&shard->id, row->name))
		return true; /* not ours to keep */
	row_key(row, &key);
	known = map_get(&shard->rows, bytes_buf(&key));
	if (!known) {
		taken = row_insert(shards, shard, row, bytes_buf(&key));
	} else if (row->hlc > known->row.hlc ||
		   (row->hlc == known->row.hlc && row->gone && !known->row.gone)) {
		row_renew(shard, known, row);
		known->heard = heard_at(shards, row);
	} else if (row->hlc == known->row.hlc && row->gone == known->row.gone &&
		   mono_reached(heard_at(shards, row), known->heard)) {
		known->heard = heard_at(shards, row);
	}
	buf_deinit(&key);
	return taken;
}

void shard_expire(struct shards *shards, struct shard *shard)
{
	map_for_each (entry, &shard->rows) {
		struct row *row = entry->value;

		if (is_expired(shards, row))
			row_remove(shards, shard, row, bytes_of(entry->key, entry->key_len));
	}
}

size_t shard_rows(const struct shards *shards, const struct shard *shard, const char *name,
		  const struct shard_id *half, struct index_row **ret_rows)
{
	struct index_row *rows = mem_alloc(shard->rows.count + 1, sizeof(*rows));
	size_t count = 0;

	map_for_each (entry, &shard->rows) {
		const struct row *row = entry->value;

		if (is_expired(shards, row) || (name && strcmp(row->row.name, name) != 0) ||
		    (half && !shard_covers(half, row->row.name)))
			continue;
		index_row_copy(&row->row, &rows[count]);
		rows[count++].age_s =
			(uint32_t)((shards->now.us - row->heard.us) / 1000 / US_PER_MS);
	}
	*ret_rows = rows;
	return count;
}
