/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one machine has with others: an open-addressing table with linear probing; a removal closes
 * its gap, so that there are no tombstones.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "world.h"

enum {
	CAP_MIN = 16,
	LEAVES_MAX = 512, /* TRUST_CACHE_DEFAULT of identity/trust.h: the daemon keeps as many */
};

static uint32_t home_of(const struct sim_links *links, uint32_t peer)
{
	return (peer * 0x9e3779b1U >> 7) & (links->cap - 1);
}

static uint32_t place_of(const struct sim_links *links, uint32_t peer)
{
	uint32_t at = home_of(links, peer);

	while (links->link[at].peer_plus_1 && links->link[at].peer_plus_1 != peer + 1)
		at = (at + 1) & (links->cap - 1);
	return at;
}

struct sim_link *links_find(const struct sim_links *links, uint32_t peer)
{
	struct sim_link *link;

	if (!links->cap)
		return NULL;
	link = &links->link[place_of(links, peer)];
	return link->peer_plus_1 ? link : NULL;
}

static void grow(struct sim_links *links)
{
	struct sim_link *old = links->link;
	uint32_t cap = links->cap;

	links->cap = cap ? 2 * cap : CAP_MIN;
	links->link = mem_alloc(links->cap, sizeof(*links->link));
	for (uint32_t i = 0; i < cap; i++)
		if (old[i].peer_plus_1)
			links->link[place_of(links, old[i].peer_plus_1 - 1)] = old[i];
	free(old);
}

struct sim_link *links_get(struct sim_links *links, uint32_t peer)
{
	struct sim_link *link;

	if (4 * (links->count + 1) > 3 * links->cap)
		grow(links);
	link = &links->link[place_of(links, peer)];
	if (!link->peer_plus_1) {
		link->peer_plus_1 = peer + 1;
		links->count++;
	}
	return link;
}

static void remove_at(struct sim_links *links, uint32_t hole)
{
	uint32_t mask = links->cap - 1;

	for (uint32_t at = (hole + 1) & mask; links->link[at].peer_plus_1; at = (at + 1) & mask) {
		uint32_t home = home_of(links, links->link[at].peer_plus_1 - 1);

		/* It may move into the hole unless its home lies behind the hole. */
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		links->link[hole] = links->link[at];
		hole = at;
	}
	links->link[hole] = (struct sim_link){0};
	links->count--;
}

void links_disconnect(struct sim_links *links, uint32_t peer)
{
	struct sim_link *link = links_find(links, peer);

	if (!link)
		return;
	link->connection = 0;
	link->opening = false;
	if (!link->leaf_used)
		remove_at(links, (uint32_t)(link - links->link));
}

/* The certificate that was not needed for the longest time goes; those of connections stay. */
static void forget_a_leaf(struct sim_links *links)
{
	struct sim_link *oldest = NULL;

	for (uint32_t i = 0; i < links->cap; i++) {
		struct sim_link *link = &links->link[i];

		if (link->leaf_used && !link->connection &&
		    (!oldest || link->leaf_used < oldest->leaf_used))
			oldest = link;
	}
	if (!oldest)
		return;
	remove_at(links, (uint32_t)(oldest - links->link));
	links->leaves--;
}

void links_leaf(struct sim_links *links, uint32_t peer)
{
	struct sim_link *link = links_get(links, peer);
	bool is_new = !link->leaf_used;

	link->leaf_used = ++links->leaf_clock;
	if (!is_new)
		return;
	links->leaves++;
	if (links->leaves > LEAVES_MAX)
		forget_a_leaf(links);
}

bool links_has_leaf(struct sim_links *links, uint32_t peer)
{
	struct sim_link *link = links_find(links, peer);

	if (!link || !link->leaf_used)
		return false;
	link->leaf_used = ++links->leaf_clock;
	return true;
}

void links_deinit(struct sim_links *links)
{
	free(links->link);
	*links = (struct sim_links){0};
}
