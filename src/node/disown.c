/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Presences under our own name of pods that do not run here: this machine lost power, and the
 * fabric still remembers what it ran before. Only this machine may say that they are gone. It says
 * so NODE_DISOWN_MS after its start at the earliest, when its host has long named the pods that
 * survived.
 */
#include "node/internal.h"

#include "base/mem.h"

static void disown_soon(struct node *node)
{
	struct mono earliest = mono_add_ms(node->started, NODE_DISOWN_MS);

	node->disown_due = earliest.us > node->last.us ? earliest : node->last;
}

/* Does @record say of this machine that a pod runs here, which does not? */
static bool is_stale(const struct node *node, const struct record_item *item)
{
	return node_id_equal(&item->writer, &node->config.self.id) && !item->record.gone &&
	       !map_get(&node->pods, uid_bytes(&item->record.key.sub));
}

static bool first_stale(const struct node *node, struct presence *ret_presence)
{
	const struct record_item *item;
	size_t position = 0;

	while ((item = records_next(node->records, RECORD_PRESENCE, NULL, NULL, &position)))
		if (is_stale(node, item) &&
		    presence_decode(bytes_buf(&item->record.value), ret_presence) == 0)
			return true;
	return false;
}

void node_disown(struct node *node, struct mono now)
{
	struct presence presence;

	node->disown_due = MONO_NEVER;
	/* Writing a record ends the iteration, so each one is looked for anew; one that could not
	 * be written must not be found for ever. */
	for (size_t i = records_count(node->records, RECORD_PRESENCE); i > 0; i--) {
		if (!first_stale(node, &presence))
			return;
		node_presence_gone(node, now, &presence);
		presence_deinit(&presence);
	}
}

/* A presence came: is it one of those? */
void node_disown_check(struct node *node, const struct record *record)
{
	struct presence presence;

	if (record->key.kind != RECORD_PRESENCE || record->gone ||
	    map_get(&node->pods, uid_bytes(&record->key.sub)) ||
	    presence_decode(bytes_buf(&record->value), &presence) != 0)
		return;
	if (node_id_equal(&presence.node, &node->config.self.id))
		disown_soon(node);
	presence_deinit(&presence);
}
