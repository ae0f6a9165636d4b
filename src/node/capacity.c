/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capacity notices: what fits nowhere backs off for minutes, unless some machine's facts say that
 * it has more room than before. Only growth counts, so that the ordinary coming and going of pods
 * elsewhere does not wake anybody for nothing.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "base/mem.h"

/* What a machine said last. */
struct room {
	int64_t cpu_milli, memory_bytes, pods;
};

static struct room room_of(const struct node_facts *facts)
{
	if (!facts->schedulable)
		return (struct room){0};
	return (struct room){
		.cpu_milli = facts->cpu_milli_free_max - facts->cpu_milli_used,
		.memory_bytes = facts->memory_bytes_free_max - facts->memory_bytes_used,
		.pods = (int64_t)facts->pods_max - facts->pods_used,
	};
}

void node_capacity_forget(struct node *node, const struct node_id *machine)
{
	free(map_remove(&node->rooms, bytes_of(machine->byte, ID_LEN)));
}

void node_capacity_changed(struct node *node, struct mono now, const struct record *record)
{
	struct node_facts facts;
	struct room *last;
	struct room room;
	bool grown;

	if (record->key.kind != RECORD_NODE ||
	    node_facts_decode(bytes_buf(&record->value), &facts) != 0)
		return;
	room = room_of(&facts);
	last = map_get(&node->rooms, bytes_of(facts.id.byte, ID_LEN));
	if (!last) {
		last = mem_new(struct room);
		(void)map_put(&node->rooms, bytes_of(facts.id.byte, ID_LEN), last);
	}
	grown = room.cpu_milli > last->cpu_milli || room.memory_bytes > last->memory_bytes ||
		room.pods > last->pods;
	*last = room;
	if (grown)
		controller_wake(node->controller, now, &facts.id);
	node_facts_deinit(&facts);
}

void node_capacity_deinit(struct node *node)
{
	map_for_each (entry, &node->rooms)
		free(entry->value);
	map_deinit(&node->rooms);
}
