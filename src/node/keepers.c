/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keepers: what the overlay knows of stewards, for the records.
 *
 * In a small fabric all of them are connected, and each is told of every other. In a large one the
 * stewards among our contacts by distance are what the records go by: they are all of our
 * neighbourhood, and some of everywhere. Who keeps something together with us is watched, so that
 * its end is noticed within seconds; who keeps anything else is looked up.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/mem.h"
#include "overlay/kad.h"

enum {
	NEAR_MS = 1000,      /* changes of the neighbourhood are gathered for so long, */
	FAR_MS = 20 * 1000,  /* and those of farther contacts: who keeps what is with us does not
			      * depend on them, and every lookup changes some */
	NEAR_MAX = 64 * 20,  /* every bucket of the table */
	LOCATINGS_MAX = 256, /* lookups under way; more wait until one of them has ended */
};

/* A lookup for the records. */
struct node_locating {
	struct list link;
	uint64_t token;
	bool begun;
	struct uid home;
	struct digest target;
};

static bool is_live(const struct node *node, const struct node_id *id)
{
	struct overlay_peer peer;

	return !overlay_find_peer(node->overlay, id, &peer) ||
	       (peer.state != MEMBER_DEAD && peer.state != MEMBER_LEFT);
}

/* The stewards that live: ourselves, and connected members whose certificate says so. */
static void update_all(struct node *node, struct mono now)
{
	struct node_id *ids = mem_alloc(node->stewards.count + 1, sizeof(*ids));
	struct overlay_peer peer;
	size_t count = 0;

	if (node->config.steward)
		ids[count++] = node->config.self.id;
	map_for_each (entry, &node->stewards) {
		const struct node_id *id = entry->value;

		if (!node->config.records_stay && overlay_find_peer(node->overlay, id, &peer) &&
		    is_live(node, id))
			ids[count++] = *id;
	}
	records_set_stewards(node->records, now, ids, count);
	free(ids);
}

static void update_near(struct node *node, struct mono now)
{
	const struct kad *kad = overlay_kad(node->overlay);
	struct record_steward *list = mem_alloc(NEAR_MAX + 1, sizeof(*list));
	size_t position = 0, count = 0;

	if (node->config.steward)
		list[count++] = (struct record_steward){
			.contact = overlay_contact(node->overlay),
			.position = kad_place(&node->config.self.id),
		};
	while (count <= NEAR_MAX &&
	       kad_next_steward(kad, &position, &list[count].contact, &list[count].position))
		count += is_live(node, &list[count].contact.id);
	records_set_near(node->records, now, list, count);
	node->near_seen = kad_near_changes(kad);
	node->far_seen = kad_changes(kad);
	free(list);
}

/* A newcomer would take everything for its own, and fetch it, until it sees that it has come to a
 * large fabric. */
static void size_check(struct node *node, struct mono now)
{
	if (node->sized || !overlay_is_sized(node->overlay))
		return;
	node->sized = true;
	records_set_sized(node->records, now, true);
}

void node_stewards_update(struct node *node, struct mono now)
{
	node->near_due = MONO_NEVER;
	node_doubt_met(node, now);
	if (node->config.records_stay || !overlay_is_large(node->overlay)) {
		update_all(node, now);
		node->near = false;
		node_workloads_touch_all(node);
	} else {
		update_near(node, now);
		node->near = true;
		node_index_begin(node, now);
		node_workloads_recheck(node);
	}
	node_families_touch_all(node);
	size_check(node, now);
}

/* After every event: has the neighbourhood changed? */
void node_near_check(struct node *node, struct mono now)
{
	const struct kad *kad = overlay_kad(node->overlay);
	bool large = overlay_is_large(node->overlay);

	if (!node->sized && overlay_is_sized(node->overlay))
		node->near_due = now;
	if (node->config.records_stay || (!large && !node->near))
		return;
	if (large != node->near || node->near_seen != kad_near_changes(kad))
		node->near_due = mono_min(node->near_due, mono_add_ms(now, NEAR_MS));
	else if (node->far_seen != kad_changes(kad))
		node->near_due = mono_min(node->near_due, mono_add_ms(now, FAR_MS));
}

/* ---- lookups ---- */

static void located(struct node *node, struct mono now, struct node_locating *locating,
		    const struct contact *contacts, size_t count)
{
	list_remove(&locating->link);
	node->locating_count -= locating->begun;
	records_located(node->records, now, &locating->home, contacts, count);
	free(locating);
}

/* Those that wait, in their order, while there is room. */
static void locate_waiting(struct node *node, struct mono now)
{
	list_for_each_safe (it, &node->locatings) {
		struct node_locating *locating = list_entry(it, struct node_locating, link);

		if (node->locating_count == LOCATINGS_MAX)
			return;
		if (locating->begun)
			continue;
		if (overlay_find_stewards(node->overlay, now, &locating->target,
					  &locating->token) == 0) {
			locating->begun = true;
			node->locating_count++;
		} else if (node->locating_count > 0) {
			return;
		} else {
			/* Others have filled the line, so none of ours will end. */
			located(node, now, locating, NULL, 0);
		}
	}
}

void node_locate_home(struct node *node, struct mono now, const struct uid *home,
		      const struct digest *target)
{
	struct node_locating *locating = mem_new(struct node_locating);

	locating->home = *home;
	locating->target = *target;
	list_append(&node->locatings, &locating->link);
	locate_waiting(node, now);
}

bool node_home_located(struct node *node, struct mono now, const struct overlay_effect *found)
{
	list_for_each (it, &node->locatings) {
		struct node_locating *locating = list_entry(it, struct node_locating, link);
		struct contact *contacts;

		if (!locating->begun || locating->token != found->token)
			continue;
		contacts = (struct contact *)mem_copy(
			found->contacts, found->contact_count * sizeof(*found->contacts));
		located(node, now, locating, contacts, found->contact_count);
		free(contacts);
		locate_waiting(node, now);
		return true;
	}
	return false;
}

void node_keepers_deinit(struct node *node)
{
	list_for_each_safe (it, &node->locatings)
		free(list_entry(it, struct node_locating, link));
	map_for_each (entry, &node->partners)
		free(entry->value);
	map_deinit(&node->partners);
}

/* ---- those with whom we keep ---- */

void node_partner(struct node *node, struct mono now, const struct contact *partner, bool near)
{
	struct bytes key = bytes_of(partner->id.byte, ID_LEN);

	if (near) {
		free(map_put(&node->partners, key, mem_copy(partner->id.byte, ID_LEN)));
		if (!addr_is_none(&partner->addr))
			(void)overlay_watch(node->overlay, now, partner);
		return;
	}
	free(map_remove(&node->partners, key));
	if (!node_watches(node, &partner->id))
		overlay_unwatch(node->overlay, &partner->id);
}

bool node_is_partner(const struct node *node, const struct node_id *id)
{
	return map_get(&node->partners, bytes_of(id->byte, ID_LEN)) != NULL;
}

int node_locate(struct node *node, struct mono now, const struct uid *uid, uint64_t *ret_token)
{
	int outcome = records_locate(node->records, now, uid, ret_token);

	node_pump(node, now);
	return outcome;
}
