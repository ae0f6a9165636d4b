/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubt: objects on the disk of a keeper that was away for so long that others may have forgotten
 * even their tombstones.
 *
 *	restored, while doubts are hidden --> HIDDEN --records_doubts_show()--> SHOWN
 *	  another keeper has it, or records_vouch(lives) --> a record as any other
 *	  its tombstone comes, or records_vouch(!lives)  --> gone, from the disk as well
 *
 * A hidden one is not in the table. One that is shown is read like any other, but it is in no
 *bucket and counts as kept by nobody: it is not compared with others, not offered and not answered
 *with.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "records/internal.h"

static struct bytes uid_key(const struct uid *uid)
{
	return bytes_of(uid->byte, UID_LEN);
}

/* What was made later than the absence began the others have never known, and so not deleted. */
bool doubt_is_due(const struct records *records, const struct item *item)
{
	int64_t created_ms = (int64_t)(item_created_hlc(item) >> RECORDS_HLC_SHIFT);

	return records->config.keeper && item->shown.record.key.kind == RECORD_OBJECT &&
	       created_ms <= records->doubt_until_ms;
}

void doubt_hide(struct records *records, struct item *item)
{
	item_unref(map_put(&records->doubts, uid_key(&item->shown.record.key.uid), item));
}

/* The item, with a reference of the caller's; out of the table, if it was there. */
static struct item *take(struct records *records, const struct uid *uid, bool *ret_shown)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = *uid};
	struct item *item = map_remove(&records->doubts, uid_key(uid));

	*ret_shown = false;
	if (item)
		return item;
	item = table_find(records, &key);
	if (!item || !item->doubted)
		return NULL;
	*ret_shown = true;
	item_ref(item);
	table_remove(records, item);
	return item;
}

void doubt_lives(struct records *records, const struct uid *uid)
{
	bool shown;
	struct item *item = take(records, uid, &shown);

	if (!item)
		return;
	item->doubted = false;
	item->kept = true; /* where it is not ours any more it is handed over */
	table_insert(records, item);
	effect_changed(records, item, shown ? RECORDS_MODIFIED : RECORDS_ADDED);
}

void doubt_ends(struct records *records, const struct uid *uid)
{
	bool shown;
	struct item *item = take(records, uid, &shown);

	if (!item)
		return;
	if (shown)
		effect_changed(records, item, RECORDS_REMOVED);
	effect_queue(records, RECORDS_FORGET, item);
	item_unref(item);
}

static void doubt_shown(struct records *records, struct item *item)
{
	item_ref(item);
	table_remove(records, item);
	item->doubted = true;
	item->kept = false;
	table_insert(records, item);
}

void records_doubt(struct records *records, struct mono now, struct wall until)
{
	struct item **list = mem_alloc(records->by_key[RECORD_OBJECT].count, sizeof(*list));
	size_t position = 0, count = 0;
	struct item *item;

	records->now = now;
	records->doubt_until_ms = until.ms;
	while ((item = index_next(&records->by_key[RECORD_OBJECT], &position)))
		if (!item->doubted && item->shown.durable && doubt_is_due(records, item))
			list[count++] = item;
	for (size_t i = 0; i < count; i++)
		doubt_shown(records, list[i]);
	free(list);
}

void records_doubts_hide(struct records *records)
{
	records->doubts_hidden = true;
}

void records_doubts_show(struct records *records, struct mono now)
{
	records->now = now;
	records->doubts_hidden = false;
	map_for_each (entry, &records->doubts) {
		struct item *item = entry->value;

		(void)map_remove(&records->doubts, uid_key(&item->shown.record.key.uid));
		table_insert(records, item);
		effect_changed(records, item, RECORDS_ADDED);
	}
}

void records_vouch(struct records *records, struct mono now, const struct uid *uid, bool lives)
{
	records->now = now;
	if (lives)
		doubt_lives(records, uid);
	else
		doubt_ends(records, uid);
}

size_t records_doubts(const struct records *records)
{
	return records->doubts.count + records->doubted_count;
}

const struct record_item *records_doubted(const struct records *records, const struct uid *uid)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = *uid};
	const struct item *item = map_get(&records->doubts, uid_key(uid));

	if (item)
		return &item->shown;
	item = table_find(records, &key);
	return item && item->doubted ? &item->shown : NULL;
}

static size_t list_shown(const struct records *records, struct uid *ret_uids, size_t max)
{
	size_t position = 0, count = 0;
	const struct item *item;

	while (count < max && (item = index_next(&records->by_key[RECORD_OBJECT], &position)))
		if (item->doubted)
			ret_uids[count++] = item->shown.record.key.uid;
	return count;
}

size_t records_list_doubts(const struct records *records, struct uid *ret_uids, size_t max)
{
	size_t count = 0;

	map_for_each (entry, &records->doubts) {
		if (count == max)
			return count;
		ret_uids[count++] = ((const struct item *)entry->value)->shown.record.key.uid;
	}
	if (records->doubted_count > 0)
		count += list_shown(records, ret_uids + count, max - count);
	return count;
}

void doubts_deinit(struct records *records)
{
	map_for_each (entry, &records->doubts)
		item_unref(entry->value);
	map_deinit(&records->doubts);
}
