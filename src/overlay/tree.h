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
 * Sans-IO, as view.h. Memory is taken as broadcasts come and given back when they are forgotten: an
 * idle tree is below 2 KiB.
 *
 * OUR deviations:
 * - A payload is handed on only after the caller has judged it (tree_accept()), so that nobody can
 *   flood a fabric with what no machine believes.
 * - A neighbour is told at most TREE_ANNOUNCED_MAX ids at a time; payloads are kept for grafts for
 *   TREE_KEEP_MS, and announced to neighbours that come meanwhile: what was broadcast while the
 *   graph was broken arrives when it is whole again.
 * - When an eager neighbour is lost a random lazy one takes its place at once (a GRAFT without an
 *   id), instead of waiting until a broadcast is missed.
 * - Announcements wait for a random while, after SRM (Floyd et al. 1997): where machines are near
 *   each other, both ends of a lazy link would tell the same at the same moment.
 * - How long an announced broadcast is waited for follows how late they usually are, as a
 *   retransmission time-out follows the round trip (RFC 6298): over long distances a branch of the
 *   tree is often slower than an announcement, and grafting it at once would tear the tree.
 * - No optimisation by hops (section 3.8): IHAVE does not carry them. Trees adapt as links are
 *   pruned and grafted.
 */
#pragma once

#include "base/time.h"
#include "wire/message.h"

enum {
	TREE_LINKS_MAX = 64,         /* neighbours; one bit each */
	TREE_KEEP_MS = 30 * 1000,    /* payloads, for those who missed them */
	TREE_KEEP_BYTES = 32 << 10,  /* of payloads kept; the oldest go first, the newest stays */
	TREE_KEEP_MAX = 256,         /* payloads kept */
	TREE_DOUBT_MS = 5 * 1000,    /* for the judgement: longer than a certificate is awaited */
	TREE_DOUBT_BYTES = 64 << 10, /* of payloads not judged yet: they push out only each other */
	TREE_SEEN_MS = 90 * 1000,    /* ids: longer than any envelope is fresh on any clock */
	TREE_SEEN_MAX = 1024,        /* ids; a forgotten one is refused by whoever judges it */
	TREE_GRAFT_MS = 400,         /* announced, and not come: ask the announcer; later where
				      * broadcasts usually come later than announcements: */
	TREE_GRAFT_MAX_MS = 800,
	TREE_GRAFT_NEXT_MS = 200, /* then the next one */
	TREE_GRAFT_TRIES = 8,     /* all in all, in turn */
	TREE_LAZY_MIN_MS = 50,    /* announcements are gathered for a while that is drawn, */
	TREE_LAZY_MS = 150,       /* and for so long at most */
	TREE_ANNOUNCED_MAX = MESSAGE_IHAVE_MAX,
	TREE_MISSING_MAX = 256, /* announced broadcasts waited for; more are left to later rounds */
	TREE_MISSING_LINK_MAX = 64, /* of them first announced by one neighbour: a liar's share */
	TREE_LINK_BURST = 256,      /* new payloads from one neighbour, and grafts answered to it */
	TREE_LINK_INTERVAL_MS = 20,
	TREE_TIDY_MS = 5 * 1000, /* what is too old is looked for this often, while there is any */
};

enum tree_effect_type {
	TREE_SEND,
	TREE_DELIVER, /* @payload is new here, from neighbour @to: judge it, then tree_accept() */
};

struct tree_effect {
	enum tree_effect_type type;
	struct node_id to;
	struct uid id;
	uint32_t hops;          /* DELIVER: links it has travelled, as its senders say */
	struct bytes payload;   /* DELIVER: valid until the next call but the tree_accept()
				 * of it */
	struct message message; /* SEND: owned by the tree until its next call */
};

struct tree_stats {
	uint64_t delivered, duplicates, grafts, prunes;
};

struct tree;

struct tree *tree_new(uint64_t seed);
void tree_free(struct tree *tree);

/* Active neighbours come and go. More than TREE_LINKS_MAX are ignored. */
void tree_up(struct tree *tree, struct mono now, const struct node_id *id);
void tree_down(struct tree *tree, struct mono now, const struct node_id *id);

/* Ours: to all neighbours. It is not delivered to ourselves. At most MESSAGE_GOSSIP_MAX bytes. */
void tree_broadcast(struct tree *tree, struct mono now, struct bytes payload);

/* The caller believes what TREE_DELIVER showed: hand it on. Otherwise it ends here, but its id
 * stays known for as long as any other. Harmless for an id that is no longer kept. */
void tree_accept(struct tree *tree, struct mono now, const struct uid *id);

/* GOSSIP, IHAVE, GRAFT or PRUNE of a neighbour; from others they are ignored. The caller tells
 * view_traffic() of each, so that a relation only one end knows of heals. */
void tree_receive(struct tree *tree, struct mono now, const struct node_id *from,
		  const struct message *message);

void tree_tick(struct tree *tree, struct mono now);
struct mono tree_deadline(const struct tree *tree); /* O(1) */
void tree_expect(const struct tree *tree);          /* base/cache.h */
const struct tree_effect *tree_next_effect(struct tree *tree);

/* Reads. */
struct tree_stats tree_stats(const struct tree *tree);
size_t tree_eager_count(const struct tree *tree);
size_t tree_seen_count(const struct tree *tree);
size_t tree_memory(const struct tree *tree); /* bytes, of all it holds */
