/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubt: a steward that was switched off for nearly as long as tombstones are kept does not bring
 * back what was deleted meanwhile.
 *
 * The objects on its disk that are older than its absence are *doubted* (records_doubt()), and
 * stewards that were there are asked: one who knows an object vouches for it; one who does not, and
 * is complete since before the absence, says that it was deleted; to one who came later it is news.
 * In a large fabric the keepers of each object are asked, by fetching its home.
 *
 * Until then nobody hears of them; those restored at a start are not even shown for the time it
 * takes to ask (NODE_KEPT_MS). After that they are: alone, a machine goes on with what it has. If
 * all who are there have been away, nobody can say; after NODE_DOUBT_MS nobody is waited for.
 *
 * Who ran all the time has no doubts, also when it was cut off: it may be the one that others ask.
 * What it brings they judge by themselves: records/apart.c.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"

enum {
	DOUBT_FETCHES_MAX = 64, /* homes that are asked about at a time */
};

static bool is_long_ago(int64_t then_ms, int64_t now_ms)
{
	return now_ms - then_ms > RECORDS_TOMBSTONE_MS - NODE_ABSENCE_MARGIN_MS;
}

static bool keeps(const struct node *node)
{
	return node->config.steward && !node->config.records_stay;
}

void node_doubt_init(struct node *node, struct mono now)
{
	const struct node_complete *kept = &node->config.complete;

	node->doubt_due = MONO_NEVER;
	node->doubt_end = MONO_NEVER;
	map_init(&node->doubt_fetches, node->config.seed);
	if (!keeps(node))
		return;
	node->absent_since_ms = kept->seen_ms ? kept->seen_ms : node->config.kept.last_ms;
	if (node->absent_since_ms <= 0)
		return;
	records_doubts_hide(node->records);
	node->doubt_due = mono_add_ms(now, NODE_ALONE_MS);
	node_doubt_check(node, now);
}

void node_doubt_deinit(struct node *node)
{
	map_for_each (entry, &node->doubt_fetches)
		free(entry->value);
	map_deinit(&node->doubt_fetches);
}

static void believe_all(struct node *node, struct mono now)
{
	struct uid uids[DOUBT_FETCHES_MAX];
	size_t count;

	records_doubt(node->records, now, (struct wall){0});
	while ((count = records_list_doubts(node->records, uids, ARRAY_LEN(uids))) > 0)
		for (size_t i = 0; i < count; i++)
			records_vouch(node->records, now, &uids[i], true);
	node->doubt_end = MONO_NEVER;
}

/* Fabric time, or its idea of it, is another one, or the absence is over. */
void node_doubt_check(struct node *node, struct mono now)
{
	if (node->absent_since_ms <= 0 || fault_is_planted(FAULT_ABSENCE))
		return;
	if (is_long_ago(node->absent_since_ms, node_fabric_time(node, now).ms))
		records_doubt(node->records, now, (struct wall){node->absent_since_ms});
	else if (records_doubts(node->records) > 0)
		believe_all(node, now);
}

bool node_is_among_stewards(const struct node *node)
{
	struct overlay_peer peer;

	map_for_each (entry, &node->stewards)
		if (overlay_find_peer(node->overlay, entry->value, &peer) &&
		    peer.state != MEMBER_DEAD && peer.state != MEMBER_LEFT)
			return true;
	return false;
}

/* ---- asking ---- */

static void fetch_doubted(struct node *node, struct mono now)
{
	struct uid uids[DOUBT_FETCHES_MAX];
	size_t count = records_list_doubts(node->records, uids, ARRAY_LEN(uids));
	uint64_t token;

	if (node->doubt_fetches.count > 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (records_fetch(node->records, now, &uids[i], &token) == 0)
			free(map_put(&node->doubt_fetches, bytes_of(&token, sizeof(token)),
				     mem_copy(&uids[i], sizeof(uids[i]))));
}

void node_doubt_ask(struct node *node, struct mono now, const struct node_id *to)
{
	struct vouch_pod pods[MESSAGE_VOUCH_MAX] = {0};
	struct uid uids[MESSAGE_VOUCH_MAX];
	size_t count = records_list_doubts(node->records, uids, ARRAY_LEN(uids));

	if (count == 0)
		return;
	if (overlay_is_large(node->overlay)) {
		fetch_doubted(node, now);
		return;
	}
	for (size_t i = 0; i < count; i++)
		pods[i].object_uid = uids[i];
	node_vouch_want(node, to, pods, count);
}

/* As soon as the time is known, too. */
void node_doubt_met(struct node *node, struct mono now)
{
	if (node->absent_since_ms <= 0 || !fabric_time_is_settled(&node->time) ||
	    !node_is_among_stewards(node))
		return;
	node_doubt_check(node, now);
	if (records_doubts(node->records) == 0)
		node->absent_since_ms = 0;
	else
		node->doubt_end = mono_min(node->doubt_end, mono_add_ms(now, NODE_DOUBT_MS));
}

/* ---- the answers ---- */

/* It was deleted. Others may run pods of it that were cut off with us: they are told by a new
 * tombstone. In a large fabric keepers do not sign what they do not know: that ends our own alone.
 */
static void deleted(struct node *node, struct mono now, const struct uid *uid)
{
	const struct record_item *item = records_doubted(node->records, uid);
	struct object_ref ref;
	uint64_t token;

	if (!item)
		return;
	object_ref_copy(&item->record.object, &ref);
	if (overlay_is_large(node->overlay) ||
	    node_object_dispose(node, now, &ref, &(struct uid){0}, NODE_GRACE_OF_MANIFEST,
				&token) != 0) {
		node_pods_stop_matching(node, &ref.uid, ref.namespace, NODE_GRACE_OF_MANIFEST);
		records_vouch(node->records, now, uid, false);
	}
	object_ref_deinit(&ref);
}

static void judge(struct node *node, struct mono now, const struct uid *uid, bool complete,
		  int64_t complete_since_ms)
{
	if (complete && complete_since_ms > node->absent_since_ms)
		records_vouch(node->records, now, uid, true);
	else if (complete)
		deleted(node, now, uid);
	if (records_doubts(node->records) > 0)
		return;
	node->absent_since_ms = 0;
	node->doubt_end = MONO_NEVER;
}

bool node_doubt_judge(struct node *node, struct mono now, const struct vouch *vouch,
		      const struct verdict *verdict)
{
	if (!records_doubted(node->records, &verdict->object_uid))
		return false;
	if (verdict->standing == STANDING_UNKNOWN)
		judge(node, now, &verdict->object_uid, vouch->complete, vouch->complete_since_ms);
	else /* its tombstone is on its way, but it is not needed */
		judge(node, now, &verdict->object_uid, true,
		      verdict->standing == STANDING_DELETED ? 0 : INT64_MAX);
	return true;
}

bool node_doubt_fetched(struct node *node, struct mono now, const struct records_effect *fetched)
{
	struct uid *uid =
		map_remove(&node->doubt_fetches, bytes_of(&fetched->token, sizeof(fetched->token)));
	int64_t since_ms = fetched->stored > 0 ? fetched->complete_since : 0;

	if (!uid)
		return false;
	if (records_doubted(node->records, uid))
		judge(node, now, uid, since_ms > 0, since_ms);
	free(uid);
	if (node->doubt_fetches.count == 0 && since_ms > 0)
		fetch_doubted(node, now);
	return true;
}

/* ---- time ---- */

void node_doubt_tick(struct node *node, struct mono now)
{
	struct mono latest = mono_add_ms(node->started, NODE_KEPT_MS);

	if (mono_reached(now, node->doubt_end)) {
		believe_all(node, now);
		node->absent_since_ms = 0;
	}
	if (!mono_reached(now, node->doubt_due))
		return;
	node->doubt_due = MONO_NEVER;
	if (!node->knows_peers) {
		believe_all(node, now);
		node->absent_since_ms = 0;
	} else if (!mono_reached(now, latest)) {
		node->doubt_due = latest;
		return;
	}
	records_doubts_show(node->records, now);
}

struct mono node_doubt_deadline(const struct node *node)
{
	return mono_min(node->doubt_due, node->doubt_end);
}
