/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Since when this steward's records are complete: whatever lived then or since, and is not among
 * its objects, has been deleted, even if the tombstone is gone.
 *
 * After each start it is so once the steward has been among others for NODE_COMPLETE_MS, which is
 * many rounds of anti-entropy: everything that the others have is here too by then. Then it vouches
 *  - since the time that it vouched for before, if it was away for less than tombstones are kept;
 *  - else since the time that another complete steward vouches for, for it now has all of that;
 *  - else since now.
 */
#include "node/internal.h"

#include "base/mem.h"

/* In a large fabric a steward keeps a part of the records only. */
bool node_is_complete(const struct node *node)
{
	return node->complete && records_doubts(node->records) == 0 &&
	       !records_is_long_apart(node->records) && !overlay_is_large(node->overlay);
}

void node_complete_init(struct node *node, struct mono now)
{
	static const struct records_standing nothing;
	const struct node_complete *kept = &node->config.complete;
	bool keeps = node->config.steward && !node->config.records_stay;

	node->complete_due = keeps ? mono_add_ms(now, NODE_COMPLETE_MS) : MONO_NEVER;
	node->complete_since_ms = kept->since_ms;
	if (keeps)
		records_set_standing(node->records, now,
				     node->config.standing ? node->config.standing : &nothing);
	node->config.standing = NULL; /* borrowed */
}

/* Not told as our own: a steward that is complete only through us would tell it back. */
void node_complete_heard(struct node *node, const struct node_id *from, const struct vouch *vouch)
{
	if (!vouch->complete || node_id_equal(from, &node->config.self.id))
		return;
	if (!node->heard_complete || vouch->complete_since_ms < node->heard_since_ms)
		node->heard_since_ms = vouch->complete_since_ms;
	node->heard_complete = true;
}

static bool vouches_still(const struct node *node, int64_t now_ms)
{
	const struct node_complete *kept = &node->config.complete;

	return kept->since_ms > 0 &&
	       now_ms - kept->seen_ms < RECORDS_TOMBSTONE_MS - NODE_ABSENCE_MARGIN_MS;
}

/* Alone it may not know what the others did: only one that knows no others is complete by itself.
 */
static bool is_among_others(const struct node *node)
{
	return node_is_among_stewards(node) || !node->knows_peers;
}

void node_complete_tick(struct node *node, struct mono now)
{
	int64_t now_ms = node_fabric_time(node, now).ms;

	records_set_complete(node->records, node_is_complete(node) ? node->complete_since_ms : 0);
	if (!mono_reached(now, node->complete_due))
		return;
	node->complete_due = MONO_NEVER;
	if (!is_among_others(node) || records_doubts(node->records) > 0) {
		node->complete_due = mono_add_ms(now, NODE_COMPLETE_MS);
		return;
	}
	if (!vouches_still(node, now_ms))
		node->complete_since_ms = node->heard_complete ? node->heard_since_ms : now_ms;
	node->complete = true;
}

struct node_complete node_keep_complete(const struct node *node, struct mono now)
{
	struct node_complete kept = node->config.complete;
	int64_t apart_ms = records_apart_since(node->records);

	if (node->complete)
		kept = (struct node_complete){.since_ms = node->complete_since_ms,
					      .seen_ms = node_fabric_time(node, now).ms};
	/* From then on others have deleted what we do not know of. */
	if (apart_ms > RECORDS_APART_EVER && apart_ms < kept.seen_ms)
		kept.seen_ms = apart_ms;
	return kept;
}

void node_keep_standing(const struct node *node, struct records_standing *ret)
{
	records_standing(node->records, ret);
}
