/* SPDX-License-Identifier: Apache-2.0 */
/* Links, and what comes over them. */
#include "overlay/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "base/fault.h"
#include "base/mem.h"
#include "identity/sha256.h"
#include "overlay/tree_internal.h"

enum {
	LINKS_CAP_MIN = 8,
};

struct tree *tree_new(uint64_t seed)
{
	struct tree *tree = mem_new(struct tree);

	tree->prng = prng_seeded(seed);
	tree->hash_key = prng_next(&tree->prng);
	tree->announce_at = tree->missing_at = tree->tidy_at = MONO_NEVER;
	tree_store_init(tree);
	return tree;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	tree_store_free(tree);
	tree_free_notes(tree);
	free(tree->missing);
	free(tree->announcements);
	free(tree->links);
	free(tree);
}

/* ---- links ---- */

static struct tree_link *find_link(struct tree *tree, const struct node_id *id)
{
	for (size_t i = 0; i < tree->link_count; i++)
		if (node_id_equal(&tree->links[i].id, id))
			return &tree->links[i];
	return NULL;
}

struct tree_link *tree_link_of_slot(struct tree *tree, unsigned slot)
{
	for (size_t i = 0; i < tree->link_count; i++)
		if (tree->links[i].slot == slot)
			return &tree->links[i];
	return NULL;
}

static uint64_t bit_of(const struct tree_link *link)
{
	return (uint64_t)1 << link->slot;
}

void tree_graft(struct tree *tree, struct tree_link *link, const struct uid *id)
{
	link->eager = true;
	tree_send(tree, &link->id, MESSAGE_GRAFT)->id = *id;
	tree->stats.grafts++;
}

static void announce_soon(struct tree *tree)
{
	uint64_t spread = TREE_LAZY_MS - TREE_LAZY_MIN_MS + 1;

	if (tree->announce_at.us == MONO_NEVER.us)
		tree->announce_at = mono_add_ms(
			tree->now, TREE_LAZY_MIN_MS + (int64_t)prng_below(&tree->prng, spread));
}

void tree_up(struct tree *tree, struct mono now, const struct node_id *id)
{
	struct tree_link *link = find_link(tree, id);

	tree->now = now;
	if (link || tree->link_count == TREE_LINKS_MAX)
		return;
	if (tree->link_count == tree->link_cap) {
		tree->link_cap = tree->link_cap ? tree->link_cap * 2 : LINKS_CAP_MIN;
		tree->links = mem_resize(tree->links, tree->link_cap, sizeof(*tree->links));
	}
	link = &tree->links[tree->link_count++];
	*link = (struct tree_link){
		.id = *id,
		.slot = (uint8_t)__builtin_ctzll(~tree->slots),
		.eager = true,
	};
	tree->slots |= bit_of(link);
	link->fresh = tree->accepted.count > 0;
	if (link->fresh)
		announce_soon(tree);
}

/* What hung on the lost link shall not wait for a time-out; if it was not needed, the next
 * broadcast prunes it. */
static void promote_one(struct tree *tree)
{
	static const struct uid none;
	size_t lazy = tree->link_count - tree_eager_count(tree);
	size_t skip = (size_t)prng_below(&tree->prng, lazy);

	for (size_t i = 0; i < tree->link_count; i++) {
		if (!tree->links[i].eager && skip-- == 0) {
			tree_graft(tree, &tree->links[i], &none);
			return;
		}
	}
}

void tree_down(struct tree *tree, struct mono now, const struct node_id *id)
{
	struct tree_link *link = find_link(tree, id);
	bool eager;
	uint64_t bit;

	tree->now = now;
	if (!link)
		return;
	eager = link->eager;
	bit = bit_of(link);
	tree_missing_link_gone(tree, link);
	tree_forget_slot(tree, bit);
	for (size_t i = 0; i < tree->announcement_count; i++)
		tree->announcements[i].to &= ~bit;
	tree->slots &= ~bit;
	*link = tree->links[--tree->link_count];
	if (eager)
		promote_one(tree);
}

/* ---- handing on ---- */

/* The newest of what is kept: a new neighbour may have missed it. Not at once, for it may not know
 * yet that it is one. */
static void announce_kept(struct tree *tree, struct tree_link *link)
{
	struct tree_note *note;

	link->fresh = false;
	if (tree->accepted.count == 0)
		return;
	note = tree_send(tree, &link->id, MESSAGE_IHAVE);
	note->ids = mem_alloc(TREE_ANNOUNCED_MAX, sizeof(*note->ids));
	for (struct list *it = tree->accepted.list.prev;
	     it != &tree->accepted.list && note->id_count < TREE_ANNOUNCED_MAX; it = it->prev)
		note->ids[note->id_count++] = list_entry(it, struct tree_kept, link)->id;
}

/* To a lazy neighbour, what waits to be announced to it. */
static void announce_new(struct tree *tree, const struct tree_link *link)
{
	struct tree_note *note = NULL;

	for (size_t i = 0; i < tree->announcement_count; i++) {
		if (!(tree->announcements[i].to & bit_of(link)))
			continue;
		if (!note) {
			note = tree_send(tree, &link->id, MESSAGE_IHAVE);
			note->ids = mem_alloc(tree->announcement_count, sizeof(*note->ids));
		}
		note->ids[note->id_count++] = tree->announcements[i].id;
	}
}

/* Not what they are known to have, nor what cannot be served any more. */
static void announce(struct tree *tree)
{
	for (size_t i = 0; i < tree->announcement_count; i++) {
		const struct tree_seen *seen = tree_find_seen(tree, &tree->announcements[i].id);

		tree->announcements[i].to &= seen && seen->kept ? ~seen->kept->have : 0;
	}
	for (size_t i = 0; i < tree->link_count; i++) {
		if (tree->links[i].fresh)
			announce_kept(tree, &tree->links[i]);
		else
			announce_new(tree, &tree->links[i]);
	}
	free(tree->announcements);
	tree->announcements = NULL;
	tree->announcement_count = 0;
	tree->announce_at = MONO_NEVER;
}

static void announce_later(struct tree *tree, const struct uid *id, uint64_t to)
{
	if (to == 0)
		return;
	if (!tree->announcements)
		tree->announcements = mem_alloc(TREE_ANNOUNCED_MAX, sizeof(*tree->announcements));
	announce_soon(tree);
	tree->announcements[tree->announcement_count++] = (struct tree_announcement){*id, to};
	if (tree->announcement_count == TREE_ANNOUNCED_MAX)
		announce(tree);
}

static void push(struct tree *tree, const struct tree_kept *kept, const struct tree_link *link)
{
	tree_send(tree, &link->id, MESSAGE_GOSSIP)->id = kept->id;
}

static void hand_on(struct tree *tree, const struct tree_kept *kept)
{
	uint64_t lazy = 0;

	for (size_t i = 0; i < tree->link_count; i++) {
		const struct tree_link *link = &tree->links[i];

		if (node_id_equal(&link->id, &kept->from) || kept->have & bit_of(link))
			continue;
		if (link->eager)
			push(tree, kept, link);
		else
			lazy |= bit_of(link);
	}
	announce_later(tree, &kept->id, lazy);
}

static struct uid name_of(struct bytes payload)
{
	struct digest digest = sha256(payload);
	struct uid id;

	memcpy(id.byte, digest.byte, sizeof(id.byte));
	return id;
}

void tree_broadcast(struct tree *tree, struct mono now, struct bytes payload)
{
	static const struct node_id ours;
	struct uid id = name_of(payload);

	tree->now = now;
	if (tree_find_seen(tree, &id))
		return;
	tree_missing_found(tree, NULL, &id);
	if (tree_eager_count(tree) == 0)
		promote_one(tree); /* the tree has lost us */
	hand_on(tree, tree_keep(tree, &id, &ours, 0, payload, true));
}

void tree_accept(struct tree *tree, struct mono now, const struct uid *id)
{
	const struct tree_seen *seen = tree_find_seen(tree, id);

	tree->now = now;
	if (!seen || !seen->kept || seen->kept->accepted)
		return;
	tree_keep_accepted(tree, seen->kept);
	hand_on(tree, seen->kept);
}

/* ---- what comes ---- */

static void prune(struct tree *tree, const struct node_id *to)
{
	tree_send(tree, to, MESSAGE_PRUNE);
	tree->stats.prunes++;
}

/* Plumtree section 3.6: what was received before makes the link lazy, at both ends. */
static void receive_duplicate(struct tree *tree, struct tree_link *link, struct tree_seen *seen)
{
	tree->stats.duplicates++;
	if (fault_is_planted(FAULT_TREE_DEDUP)) {
		tree_note(tree, TREE_DELIVER, &link->id)->id = seen->id;
		return;
	}
	if (seen->kept)
		seen->kept->have |= bit_of(link);
	link->eager = false;
	prune(tree, &link->id);
}

static void receive_gossip(struct tree *tree, struct tree_link *link, const struct gossip *gossip)
{
	struct tree_seen *seen = tree_find_seen(tree, &gossip->id);
	struct bytes payload = bytes_buf(&gossip->payload);
	struct tree_kept *kept;
	struct uid id;
	uint32_t hops;

	if (seen) {
		receive_duplicate(tree, link, seen);
		return;
	}
	if (!throttle_pass(&link->load, tree->now, TREE_LINK_BURST, TREE_LINK_INTERVAL_MS))
		return;
	id = name_of(payload);
	if (payload.len > MESSAGE_GOSSIP_MAX || !uid_equal(&id, &gossip->id))
		return;
	tree_missing_found(tree, link, &id);
	link->eager = true;
	hops = gossip->hops > MESSAGE_HOPS_MAX ? MESSAGE_HOPS_MAX : gossip->hops;
	kept = tree_keep(tree, &id, &link->id, hops, payload, false);
	kept->have |= bit_of(link);
	tree->stats.delivered++;
	tree_note(tree, TREE_DELIVER, &link->id)->id = id;
}

static void receive_ihave(struct tree *tree, struct tree_link *link, const struct ihave *ihave)
{
	for (size_t i = 0; i < ihave->id_count && i < TREE_ANNOUNCED_MAX; i++) {
		const struct tree_seen *seen = tree_find_seen(tree, &ihave->ids[i]);

		if (seen && seen->kept)
			seen->kept->have |= bit_of(link);
		else if (!seen)
			tree_missing_add(tree, link, &ihave->ids[i]);
	}
}

/* What is not accepted yet goes to it when it is: the link is eager now. */
static void receive_graft(struct tree *tree, struct tree_link *link, const struct uid *id)
{
	const struct tree_seen *seen = tree_find_seen(tree, id);

	link->eager = true;
	if (!seen || !seen->kept || !seen->kept->accepted)
		return;
	if (throttle_pass(&link->load, tree->now, TREE_LINK_BURST, TREE_LINK_INTERVAL_MS))
		push(tree, seen->kept, link);
}

void tree_receive(struct tree *tree, struct mono now, const struct node_id *from,
		  const struct message *message)
{
	struct tree_link *link = find_link(tree, from);

	tree->now = now;
	if (!link)
		return;
	switch ((int)message->type) {
	case MESSAGE_GOSSIP:
		receive_gossip(tree, link, &message->gossip);
		break;
	case MESSAGE_IHAVE:
		receive_ihave(tree, link, &message->ihave);
		break;
	case MESSAGE_GRAFT:
		receive_graft(tree, link, &message->graft.id);
		break;
	case MESSAGE_PRUNE:
		link->eager = false;
		break;
	default:
		break; /* not ours */
	}
}

void tree_tick(struct tree *tree, struct mono now)
{
	tree->now = now;
	if (mono_reached(now, tree->announce_at))
		announce(tree);
	tree_missing_tick(tree);
	if (mono_reached(now, tree->tidy_at))
		tree_tidy(tree);
}

void tree_expect(const struct tree *tree)
{
	CACHE_EXPECT(tree, announce_at, note_next);
}

struct mono tree_deadline(const struct tree *tree)
{
	return mono_min(tree->announce_at, mono_min(tree->missing_at, tree->tidy_at));
}

/* ---- reads ---- */

struct tree_stats tree_stats(const struct tree *tree)
{
	return tree->stats;
}

size_t tree_eager_count(const struct tree *tree)
{
	size_t count = 0;

	for (size_t i = 0; i < tree->link_count; i++)
		count += tree->links[i].eager;
	return count;
}

size_t tree_seen_count(const struct tree *tree)
{
	return tree->seen_count;
}

size_t tree_memory(const struct tree *tree)
{
	return sizeof(*tree) + tree->link_cap * sizeof(*tree->links) +
	       tree->seen_cap * (sizeof(*tree->seen) + sizeof(*tree->heads)) + tree->doubted.bytes +
	       tree->accepted.bytes +
	       (tree->doubted.count + tree->accepted.count) * sizeof(struct tree_kept) +
	       tree->missing_cap * sizeof(*tree->missing) +
	       (tree->announcements ? TREE_ANNOUNCED_MAX * sizeof(*tree->announcements) : 0) +
	       tree->note_cap * sizeof(*tree->notes);
}
