/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index at the beginning of a fabric that has been there for long: every row lies with the
 * holders of its shard, and the controller of its record has said it to them. Which shards there
 * are, where they are and who controls what are the answers of the nodes' own code.
 */
#include <stdlib.h>
#include <string.h>

#include "archive_internal.h"
#include "base/mem.h"
#include "identity/sha256.h"

/* One (kind, namespace) that is laid. */
struct laying {
	struct world *world;
	const struct stewards *stewards;
	bool facts; /* what machines say of themselves; else records of the archive */
};

static size_t keepers_of(const struct stewards *stewards, const struct uid *uid,
			 const struct record_steward *keepers[RECORDS_KEEPERS])
{
	return stewards_in_order(stewards, records_home_position(uid), RECORDS_KEEPERS, keepers);
}

static struct sim_machine *speaker(const struct laying *laying, const struct index_row *row)
{
	const struct record_steward *keepers[RECORDS_KEEPERS];
	struct node_id id;

	memcpy(id.byte, row->uid.byte, UID_LEN);
	memcpy(id.byte + UID_LEN, row->sub.byte, UID_LEN);
	if (!laying->facts && keepers_of(laying->stewards, &row->uid, keepers) > 0)
		id = keepers[0]->contact.id;
	return network_find(laying->world, &id);
}

static void said(const struct laying *laying, const struct shards_part *part, size_t at,
		 const struct contact *holders, size_t count)
{
	const struct index_row *row = &part->rows[at];
	struct sim_machine *machine = speaker(laying, row);

	machine_call(machine, node_index_said(machine->node, machine_now(laying->world, machine),
					      &part->id, row, holders, count));
}

static void lay_part(void *arg, const struct shards_part *part)
{
	const struct laying *laying = arg;
	const struct record_steward *keepers[RECORDS_KEEPERS];
	struct contact holders[RECORDS_KEEPERS];
	struct uid home = node_index_home(&part->id);
	size_t count = keepers_of(laying->stewards, &home, keepers);

	for (size_t i = 0; i < count; i++) {
		struct sim_machine *machine = network_find(laying->world, &keepers[i]->contact.id);

		holders[i] = keepers[i]->contact;
		machine_call(machine, node_index_hold(machine->node,
						      machine_now(laying->world, machine), part));
	}
	for (size_t i = 0; i < part->row_count; i++)
		said(laying, part, i, holders, count);
}

/* Each was confirmed at some moment since the last round but one began. */
static uint32_t some_age(struct world *world)
{
	return (uint32_t)world_random(world, SHARD_RENEW_MS / MS_PER_S);
}

static void lay_namespace(struct laying *laying, size_t number)
{
	struct archive *archive = laying->world->archive;
	size_t step = archive_namespaces(archive), count = 0, max = archive->count / step + 1;
	struct entry_name *names = mem_alloc(max, sizeof(*names));
	struct index_row *rows = mem_alloc(max, sizeof(*rows));

	for (size_t i = number; i < archive->count; i += step, count++) {
		archive_name(archive, i, &names[count]);
		rows[count] = (struct index_row){
			.name = names[count].name,
			.uid = archive->entries[i].uid,
			.hlc = archive->entries[i].hlc,
			.age_s = some_age(laying->world),
		};
	}
	if (count)
		shards_layout(names[0].ref.kind, names[0].namespace, rows, count, lay_part, laying);
	free(rows);
	free(names);
}

static void lay_machines(struct laying *laying)
{
	struct world *world = laying->world;
	struct index_row *rows = mem_alloc(world->machine_count, sizeof(*rows));

	for (size_t i = 0; i < world->machine_count; i++) {
		rows[i] = node_index_self(world->machines[i].node);
		rows[i].age_s = some_age(world);
	}
	laying->facts = true;
	shards_layout("Node", "", rows, world->machine_count, lay_part, laying);
	free(rows);
}

void archive_place_index(struct world *world)
{
	struct stewards stewards;
	struct laying laying = {.world = world, .stewards = &stewards};

	archive_stewards(world, &stewards);
	for (size_t i = 0; i < archive_namespaces(world->archive); i++)
		lay_namespace(&laying, i);
	lay_machines(&laying);
	stewards_deinit(&stewards);
}
