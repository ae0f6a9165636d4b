/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree: broadcast over the active view, after Plumtree (Leitao, Pereira, Rodrigues 2007).
 *
 * A broadcast goes eagerly along a spanning tree that the first broadcasts carve out of the
 * neighbourhood graph by pruning links which brought duplicates, and lazily, as ids only, along all
 * other links; a missing one is fetched over such a link, which then becomes part of the tree.
 * A broadcast is named by the first 16 bytes of the SHA-256 of its payload, so that none can be
 * altered on its way or arrive as a new one.
 *
 * Sans-IO, as view.h. OUR deviations: a payload is handed on only after the caller has judged it
 * (tree_accept()), so that nobody can flood a fabric with what no machine believes; a neighbour is
 * told at most TREE_ANNOUNCED_MAX ids at a time; payloads are kept for grafts for TREE_KEEP_MS.
 */
#pragma once

#include "base/time.h"
#include "wire/message.h"

enum {
	TREE_KEEP_MS = 30 * 1000,   /* payloads, for those who missed them */
	TREE_KEEP_BYTES = 64 << 10, /* of payloads kept; the oldest go first */
	TREE_SEEN_MAX = 1024, /* ids remembered; as long as envelopes are fresh, in a busy fabric */
	TREE_GRAFT_MS = 400,  /* announced, and not come: ask the announcer */
	TREE_GRAFT_NEXT_MS = 200, /* then the next one */
	TREE_LAZY_MS = 100,       /* announcements are gathered for so long */
	TREE_ANNOUNCED_MAX = MESSAGE_IHAVE_MAX,
	TREE_MISSING_MAX = 256, /* announced broadcasts waited for; more are left to later rounds */
};

enum tree_effect_type {
	TREE_SEND,
	TREE_DELIVER, /* @payload is new here, from neighbour @to: judge it, then tree_accept() */
};

struct tree_effect {
	enum tree_effect_type type;
	struct node_id to;
	struct uid id;
	uint32_t hops;          /* DELIVER: links it has travelled */
	struct bytes payload;   /* DELIVER: valid until the next call */
	struct message message; /* SEND: owned by the tree until its next call */
};

struct tree_stats {
	uint64_t delivered, duplicates, grafts, prunes;
};

struct tree;

struct tree *tree_new(uint64_t seed);
void tree_free(struct tree *tree);

/* Active neighbours come and go. */
void tree_up(struct tree *tree, struct mono now, const struct node_id *id);
void tree_down(struct tree *tree, struct mono now, const struct node_id *id);

/* Ours: to all neighbours. It is not delivered to ourselves. At most MESSAGE_GOSSIP_MAX bytes. */
void tree_broadcast(struct tree *tree, struct mono now, struct bytes payload);

/* The caller believes what TREE_DELIVER showed: hand it on. Otherwise it ends here, but its id
 * stays known for as long as any other. Harmless for an id that is no longer kept. */
void tree_accept(struct tree *tree, struct mono now, const struct uid *id);

/* GOSSIP, IHAVE, GRAFT or PRUNE of a neighbour. From others: GOSSIP is pruned, the rest ignored. */
void tree_receive(struct tree *tree, struct mono now, const struct node_id *from,
		  const struct message *message);

void tree_tick(struct tree *tree, struct mono now);
struct mono tree_deadline(const struct tree *tree);
const struct tree_effect *tree_next_effect(struct tree *tree);

struct tree_stats tree_stats(const struct tree *tree);
size_t tree_eager_count(const struct tree *tree);
