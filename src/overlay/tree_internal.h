/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the tree. A broadcast is, as one machine sees it,
 *
 *	unknown --IHAVE--> MISSING --GOSSIP--> DOUBTED --accepted--> KEPT --old--> SEEN --old-->
 *unknown |                  |                  ^ |                               ^ | +--asked in
 *vain   | +--nobody accepted it-----------+
 *	   +--GOSSIP-----------------------------+
 *
 * and a link eager or lazy: eager at first, when a GRAFT goes or comes over it and when it brought
 * something new; lazy when a PRUNE goes or comes.
 */
#pragma once

#include "base/list.h"
#include "base/prng.h"
#include "overlay/throttle.h"
#include "overlay/tree.h"

struct tree_link {
	struct node_id id;
	struct throttle load;
	uint8_t slot; /* its bit in the masks below */
	bool eager;
	bool fresh;       /* to be told of what is kept */
	uint16_t missing; /* how many were first announced by it */
};

/* A payload, for the judgement and for grafts. */
struct tree_kept {
	struct list link; /* of doubted or accepted, oldest first */
	struct uid id;
	struct node_id from; /* none: ours */
	struct mono at;
	uint64_t have; /* slots whose machines have it, as they showed */
	uint32_t hops;
	bool accepted;
	uint32_t len;
	uint8_t payload[];
};

struct tree_seen {
	struct uid id;
	struct tree_kept *kept; /* NULL: only the id is known */
	uint32_t at_s;
	uint16_t next; /* of the same hash, biased by one; 0 ends */
};

struct tree_missing {
	struct uid id;
	uint64_t announcers; /* slots */
	uint64_t asked;      /* slots */
	struct mono since, due;
	uint8_t charged, last; /* slots: who announced it first, whom we asked last */
	uint8_t tries;
};

/* Ids that were accepted and wait to be announced to the slots of @to. */
struct tree_announcement {
	struct uid id;
	uint64_t to;
};

/* An effect in short form; a payload is looked up when it is shown. */
struct tree_note {
	enum tree_effect_type type;
	enum message_type message;
	struct node_id to;
	struct uid id;
	struct uid *ids;
	size_t id_count;
};

/* A list of payloads and its size. */
struct tree_shelf {
	struct list list;
	size_t bytes, count;
};

struct tree {
	struct prng prng;
	uint64_t hash_key;
	struct mono now;
	struct tree_link *links;
	size_t link_count, link_cap;
	uint64_t slots;         /* in use */
	struct tree_seen *seen; /* a ring, oldest first, that doubles and halves */
	uint16_t *heads;        /* of chains, as many as the ring is long */
	size_t seen_first, seen_count, seen_cap;
	struct tree_shelf doubted, accepted;
	struct tree_missing *missing;
	size_t missing_count, missing_cap;
	struct tree_announcement *announcements;
	size_t announcement_count;
	int64_t late_us, late_deviation_us; /* of broadcasts, behind their first announcement */
	struct mono announce_at, missing_at, tidy_at;
	struct tree_note *notes;
	size_t note_count, note_cap, note_next;
	struct tree_stats stats;
	struct tree_effect effect; /* the one that was shown */
};

/* tree_store.c: what was seen, and the payloads */
void tree_store_init(struct tree *tree);
void tree_store_free(struct tree *tree);
struct tree_seen *tree_find_seen(struct tree *tree, const struct uid *id);
/* Not seen before. The payload is copied. */
struct tree_kept *tree_keep(struct tree *tree, const struct uid *id, const struct node_id *from,
			    uint32_t hops, struct bytes payload, bool accepted);
void tree_keep_accepted(struct tree *tree, struct tree_kept *kept);
void tree_forget_slot(struct tree *tree, uint64_t bit);
void tree_tidy(struct tree *tree);

/* tree_missing.c */
void tree_missing_add(struct tree *tree, struct tree_link *link, const struct uid *id);
/* It came over @link; NULL: from ourselves. */
void tree_missing_found(struct tree *tree, const struct tree_link *link, const struct uid *id);
void tree_missing_link_gone(struct tree *tree, const struct tree_link *link);
void tree_missing_tick(struct tree *tree);

/* tree.c */
struct tree_link *tree_link_of_slot(struct tree *tree, unsigned slot);
void tree_graft(struct tree *tree, struct tree_link *link, const struct uid *id);

/* tree_effect.c */
struct tree_note *tree_note(struct tree *tree, enum tree_effect_type type,
			    const struct node_id *to);
struct tree_note *tree_send(struct tree *tree, const struct node_id *to, enum message_type type);
void tree_free_notes(struct tree *tree);
