/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was seen: ids in a ring, in the order in which they came, found through hashed chains; and
 * the payloads of the newest of them. All of it is sized by what was broadcast lately, and bounded.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "overlay/tree_internal.h"

enum {
	SEEN_CAP_MIN = 16,
};

static_assert(TREE_SEEN_MAX < UINT16_MAX, "positions are uint16_t, biased by one");
static_assert((TREE_SEEN_MAX & (TREE_SEEN_MAX - 1)) == 0, "the ring doubles up to it");

void tree_store_init(struct tree *tree)
{
	list_init(&tree->doubted.list);
	list_init(&tree->accepted.list);
}

/* Ids are digests, but whoever makes them can try many: keyed, chains cannot be aimed at. */
static size_t hash(const struct tree *tree, const struct uid *id)
{
	uint64_t a, b;

	memcpy(&a, id->byte, sizeof(a));
	memcpy(&b, id->byte + sizeof(a), sizeof(b));
	a = (a ^ tree->hash_key) * 0x9e3779b97f4a7c15U;
	a = (a ^ (a >> 32) ^ b) * 0xd6e8feb86659fd93U;
	return (size_t)(a >> 32) & (tree->seen_cap - 1);
}

struct tree_seen *tree_find_seen(struct tree *tree, const struct uid *id)
{
	if (tree->seen_count == 0)
		return NULL;
	for (uint16_t at = tree->heads[hash(tree, id)]; at > 0; at = tree->seen[at - 1].next)
		if (uid_equal(&tree->seen[at - 1].id, id))
			return &tree->seen[at - 1];
	return NULL;
}

static void chain(struct tree *tree, size_t position)
{
	uint16_t *head = &tree->heads[hash(tree, &tree->seen[position].id)];

	tree->seen[position].next = *head;
	*head = (uint16_t)(position + 1);
}

static void unchain(struct tree *tree, size_t position)
{
	uint16_t *at = &tree->heads[hash(tree, &tree->seen[position].id)];

	while (*at != position + 1)
		at = &tree->seen[*at - 1].next;
	*at = tree->seen[position].next;
}

static void resize(struct tree *tree, size_t cap)
{
	struct tree_seen *seen = cap > 0 ? mem_alloc(cap, sizeof(*seen)) : NULL;

	assert(tree->seen_count <= cap);
	for (size_t i = 0; i < tree->seen_count; i++)
		seen[i] = tree->seen[(tree->seen_first + i) & (tree->seen_cap - 1)];
	free(tree->seen);
	free(tree->heads);
	tree->seen = seen;
	tree->heads = cap > 0 ? mem_alloc(cap, sizeof(*tree->heads)) : NULL;
	tree->seen_cap = cap;
	tree->seen_first = 0;
	for (size_t i = 0; i < tree->seen_count; i++)
		chain(tree, i);
}

static void drop_kept(struct tree *tree, struct tree_kept *kept)
{
	struct tree_shelf *shelf = kept->accepted ? &tree->accepted : &tree->doubted;

	tree_find_seen(tree, &kept->id)->kept = NULL;
	list_remove(&kept->link);
	shelf->bytes -= kept->len;
	shelf->count--;
	free(kept);
}

static void drop_oldest_seen(struct tree *tree)
{
	struct tree_seen *seen = &tree->seen[tree->seen_first];

	if (seen->kept)
		drop_kept(tree, seen->kept);
	unchain(tree, tree->seen_first);
	tree->seen_first = (tree->seen_first + 1) & (tree->seen_cap - 1);
	tree->seen_count--;
}

static struct tree_seen *add_seen(struct tree *tree, const struct uid *id)
{
	size_t position;

	if (tree->seen_count == TREE_SEEN_MAX)
		drop_oldest_seen(tree);
	if (tree->seen_count == tree->seen_cap)
		resize(tree, tree->seen_cap ? tree->seen_cap * 2 : SEEN_CAP_MIN);
	position = (tree->seen_first + tree->seen_count++) & (tree->seen_cap - 1);
	tree->seen[position] = (struct tree_seen){
		.id = *id,
		.at_s = (uint32_t)(tree->now.us / US_PER_S),
	};
	chain(tree, position);
	return &tree->seen[position];
}

/* The newest stays, however large it is. */
static void put_on_shelf(struct tree *tree, struct tree_shelf *shelf, struct tree_kept *kept,
			 size_t bytes_max)
{
	list_append(&shelf->list, &kept->link);
	shelf->bytes += kept->len;
	shelf->count++;
	while (shelf->count > 1 && (shelf->bytes > bytes_max || shelf->count > TREE_KEEP_MAX))
		drop_kept(tree, list_first(&shelf->list, struct tree_kept, link));
}

struct tree_kept *tree_keep(struct tree *tree, const struct uid *id, const struct node_id *from,
			    uint32_t hops, struct bytes payload, bool accepted)
{
	struct tree_kept *kept = mem_alloc(1, sizeof(*kept) + payload.len);

	assert(payload.len <= MESSAGE_GOSSIP_MAX);
	list_init(&kept->link);
	kept->id = *id;
	kept->from = *from;
	kept->at = tree->now;
	kept->hops = hops;
	kept->accepted = accepted;
	kept->len = (uint32_t)payload.len;
	if (payload.len > 0)
		memcpy(kept->payload, payload.ptr, payload.len);
	add_seen(tree, id)->kept = kept;
	if (accepted)
		put_on_shelf(tree, &tree->accepted, kept, TREE_KEEP_BYTES);
	else
		put_on_shelf(tree, &tree->doubted, kept, TREE_DOUBT_BYTES);
	tree->tidy_at = mono_min(tree->tidy_at, mono_add_ms(tree->now, TREE_TIDY_MS));
	return kept;
}

void tree_keep_accepted(struct tree *tree, struct tree_kept *kept)
{
	assert(!kept->accepted);
	list_remove(&kept->link);
	tree->doubted.bytes -= kept->len;
	tree->doubted.count--;
	kept->accepted = true;
	kept->at = tree->now;
	put_on_shelf(tree, &tree->accepted, kept, TREE_KEEP_BYTES);
}

void tree_forget_slot(struct tree *tree, uint64_t bit)
{
	list_for_each (link, &tree->doubted.list)
		list_entry(link, struct tree_kept, link)->have &= ~bit;
	list_for_each (link, &tree->accepted.list)
		list_entry(link, struct tree_kept, link)->have &= ~bit;
}

static void drop_old(struct tree *tree, struct tree_shelf *shelf, int64_t age_ms)
{
	struct tree_kept *kept;

	while ((kept = list_first(&shelf->list, struct tree_kept, link)) &&
	       mono_reached(tree->now, mono_add_ms(kept->at, age_ms)))
		drop_kept(tree, kept);
}

void tree_tidy(struct tree *tree)
{
	int64_t now_s = tree->now.us / US_PER_S;
	size_t cap = tree->seen_cap;

	drop_old(tree, &tree->doubted, TREE_DOUBT_MS);
	drop_old(tree, &tree->accepted, TREE_KEEP_MS);
	while (tree->seen_count > 0 &&
	       now_s - tree->seen[tree->seen_first].at_s > TREE_SEEN_MS / MS_PER_S)
		drop_oldest_seen(tree);
	while (cap > SEEN_CAP_MIN && tree->seen_count <= cap / 4)
		cap /= 2;
	if (tree->seen_count == 0)
		cap = 0;
	if (cap < tree->seen_cap)
		resize(tree, cap);
	tree->tidy_at = tree->seen_count > 0 ? mono_add_ms(tree->now, TREE_TIDY_MS) : MONO_NEVER;
}

void tree_store_free(struct tree *tree)
{
	while (tree->seen_count > 0)
		drop_oldest_seen(tree);
	free(tree->seen);
	free(tree->heads);
}
