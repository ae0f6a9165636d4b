/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Broadcasts that were announced and have not come. Plumtree section 3.7: after a time-out the
 * first announcer is asked, then the next. OUR deviation: in turn, each round slower than the last,
 * until TREE_GRAFT_TRIES: an announcement is not repeated, so that giving up is final.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "overlay/tree_internal.h"

enum {
	MISSING_CAP_MIN = 8,
	MISSING_SLOWER_MAX = 4, /* doublings */
};

static struct tree_missing *find(struct tree *tree, const struct uid *id)
{
	for (size_t i = 0; i < tree->missing_count; i++)
		if (uid_equal(&tree->missing[i].id, id))
			return &tree->missing[i];
	return NULL;
}

static void remove_missing(struct tree *tree, struct tree_missing *missing)
{
	struct tree_link *link = tree_link_of_slot(tree, missing->charged);

	if (link)
		link->missing--;
	*missing = tree->missing[--tree->missing_count];
	if (tree->missing_count > 0)
		return;
	free(tree->missing);
	tree->missing = NULL;
	tree->missing_cap = 0;
	tree->missing_at = MONO_NEVER;
}

static int64_t first_patience_us(const struct tree *tree)
{
	int64_t us = tree->late_us + 4 * tree->late_deviation_us;

	if (us < (int64_t)TREE_GRAFT_MS * US_PER_MS)
		return (int64_t)TREE_GRAFT_MS * US_PER_MS;
	if (us > (int64_t)TREE_GRAFT_MAX_MS * US_PER_MS)
		return (int64_t)TREE_GRAFT_MAX_MS * US_PER_MS;
	return us;
}

void tree_missing_add(struct tree *tree, struct tree_link *link, const struct uid *id)
{
	struct tree_missing *missing = find(tree, id);
	struct mono due = mono_add_us(tree->now, first_patience_us(tree));

	if (missing) {
		missing->announcers |= (uint64_t)1 << link->slot;
		return;
	}
	if (tree->missing_count == TREE_MISSING_MAX || link->missing == TREE_MISSING_LINK_MAX)
		return;
	if (tree->missing_count == tree->missing_cap) {
		tree->missing_cap = tree->missing_cap ? tree->missing_cap * 2 : MISSING_CAP_MIN;
		tree->missing =
			mem_resize(tree->missing, tree->missing_cap, sizeof(*tree->missing));
	}
	tree->missing[tree->missing_count++] = (struct tree_missing){
		.id = *id,
		.announcers = (uint64_t)1 << link->slot,
		.since = tree->now,
		.due = due,
		.charged = link->slot,
		.last = link->slot,
	};
	link->missing++;
	tree->missing_at = mono_min(tree->missing_at, due);
}

/* Which came in time are counted as not late at all, so that old delays are forgotten. */
static void sample_lateness(struct tree *tree, int64_t late_us)
{
	int64_t error = late_us - tree->late_us;

	tree->late_us += error / 8;
	tree->late_deviation_us += ((error < 0 ? -error : error) - tree->late_deviation_us) / 4;
}

/* What was asked for says nothing of how late it would have come (Karn's rule). */
void tree_missing_found(struct tree *tree, const struct tree_link *link, const struct uid *id)
{
	struct tree_missing *missing = find(tree, id);

	if (!missing) {
		sample_lateness(tree, 0);
		return;
	}
	if (link && !(missing->asked >> link->slot & 1))
		sample_lateness(tree, mono_since_us(tree->now, missing->since));
	remove_missing(tree, missing);
}

/* What it was charged with goes to another announcer, or is missed no longer. */
void tree_missing_link_gone(struct tree *tree, const struct tree_link *link)
{
	for (size_t i = 0; i < tree->missing_count;) {
		struct tree_missing *missing = &tree->missing[i];

		missing->announcers &= ~((uint64_t)1 << link->slot);
		if (missing->announcers == 0) {
			remove_missing(tree, missing);
			continue;
		}
		if (missing->charged == link->slot) {
			missing->charged = (uint8_t)__builtin_ctzll(missing->announcers);
			tree_link_of_slot(tree, missing->charged)->missing++;
		}
		i++;
	}
}

/* The first announcer first, then round and round by slots. */
static struct tree_link *next_announcer(struct tree *tree, struct tree_missing *missing)
{
	if (missing->tries > 0 || !(missing->announcers >> missing->last & 1)) {
		do
			missing->last = (uint8_t)((missing->last + 1) % TREE_LINKS_MAX);
		while (!(missing->announcers >> missing->last & 1));
	}
	return tree_link_of_slot(tree, missing->last);
}

static int64_t patience_ms(const struct tree_missing *missing)
{
	int rounds = missing->tries / __builtin_popcountll(missing->announcers);

	return (int64_t)TREE_GRAFT_NEXT_MS
	       << (rounds > MISSING_SLOWER_MAX ? MISSING_SLOWER_MAX : rounds);
}

static void ask(struct tree *tree, struct tree_missing *missing)
{
	struct tree_link *link = next_announcer(tree, missing);

	tree_graft(tree, link, &missing->id);
	missing->asked |= (uint64_t)1 << link->slot;
	missing->tries++;
	missing->due = mono_add_ms(tree->now, patience_ms(missing));
}

void tree_missing_tick(struct tree *tree)
{
	struct mono next = MONO_NEVER;

	if (!mono_reached(tree->now, tree->missing_at))
		return;
	for (size_t i = 0; i < tree->missing_count;) {
		struct tree_missing *missing = &tree->missing[i];

		if (mono_reached(tree->now, missing->due)) {
			if (missing->tries == TREE_GRAFT_TRIES) {
				remove_missing(tree, missing);
				continue;
			}
			ask(tree, missing);
		}
		next = mono_min(next, missing->due);
		i++;
	}
	tree->missing_at = next;
}
