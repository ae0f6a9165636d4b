/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records lie: at the beginning of a fabric that has been there for long, and how many disks
 * have each at any time, so that the loss of the last copy is seen when it happens.
 */
#include <stdlib.h>
#include <string.h>

#include "archive_internal.h"
#include "base/mem.h"
#include "identity/sha256.h"
#include "overlay/kad.h"

enum {
	DAY_MS = 24 * 3600 * 1000, /* so long the fabric has been complete */
	CLOCK_BITS = 16,
};

/* ---- the beginning ---- */

void archive_stewards(const struct world *world, struct stewards *ret_stewards)
{
	struct record_steward *list = mem_alloc(world->machine_count, sizeof(*list));
	size_t count = 0;

	for (size_t i = 0; i < world->machine_count; i++) {
		const struct sim_machine *machine = &world->machines[i];

		if (machine->steward)
			list[count++] = (struct record_steward){
				.contact = {.id = machine->id,
					    .addr = machine->addr,
					    .incarnation = machine->incarnation,
					    .steward = true},
				.position = kad_place(&machine->id)};
	}
	*ret_stewards = (struct stewards){0};
	stewards_set(ret_stewards, list, count);
	free(list);
}

/* As some machine wrote it, some time ago. */
static void entry_seal(struct world *world, size_t index, struct record *ret_record,
		       struct buf *ret_envelope)
{
	struct archive *archive = world->archive;
	struct entry *entry = &archive->entries[index];
	size_t writer = world_random(world, world->machine_count);
	struct message message = {.type = MESSAGE_RECORD};
	struct buf payload = {0};
	struct entry_name name;

	while (!world->machines[writer].steward)
		writer = world_random(world, world->machine_count);
	archive_name(archive, index, &name);
	entry->generation = 1;
	entry->hlc = (uint64_t)world_wall(world).ms << CLOCK_BITS;
	*ret_record = (struct record){
		.key = {.kind = RECORD_OBJECT, .uid = entry->uid},
		.version = {.generation = entry->generation, .hlc = entry->hlc},
		.written_ms = world_wall(world).ms,
	};
	buf_append_str(&ret_record->value, "{\"data\":{\"generation\":\"1\"}}");
	ret_record->version.digest = sha256(bytes_buf(&ret_record->value));
	message.record = *ret_record;
	message.record.object = name.ref; /* borrowed */
	message_encode(&message, &payload);
	trust_seal_as(&world->machines[writer], bytes_buf(&payload), ret_envelope);
	buf_deinit(&payload);
}

static void entry_place(struct world *world, const struct stewards *stewards, size_t index)
{
	const struct record_steward *keepers[RECORDS_KEEPERS];
	struct digest digest =
		sha256(bytes_of(world->archive->entries[index].uid.byte, UID_HOME_LEN));
	size_t count = stewards_in_order(stewards, position_of(&digest), RECORDS_KEEPERS, keepers);
	struct buf envelope = {0};
	struct record record;

	entry_seal(world, index, &record, &envelope);
	for (size_t i = 0; i < count; i++)
		machine_keep(network_find(world, &keepers[i]->contact.id), &record.key,
			     bytes_buf(&envelope));
	buf_deinit(&envelope);
	record_deinit(&record);
}

void archive_place(struct world *world)
{
	struct archive *archive = archive_of(world);
	int64_t now_ms = world_wall(world).ms;
	struct stewards stewards;

	archive_stewards(world, &stewards);
	for (size_t i = 0; i < world->machine_count; i++)
		world->machines[i].complete =
			(struct node_complete){.since_ms = now_ms - DAY_MS, .seen_ms = now_ms};
	while (archive->count < archive->cap)
		entry_place(world, &stewards, archive_add(world));
	stewards_deinit(&stewards);
	archive->stored = 0; /* what follows is counted */
}

/* ---- which disks have it ---- */

static struct entry *entry_of(const struct world *world, const struct record_key *key)
{
	if (!world->archive || key->kind != RECORD_OBJECT)
		return NULL;
	return archive_find(world->archive, &key->uid);
}

static bool is_alive(const struct entry *entry)
{
	return entry->hlc && !entry->deleted && !entry->dirty && !entry->pending && !entry->excused;
}

void archive_kept(struct world *world, const struct record_key *key, bool anew)
{
	struct entry *entry = entry_of(world, key);

	if (world->archive)
		world->archive->stored++;
	if (entry)
		entry->copies += anew;
}

void archive_dropped(struct world *world, const struct sim_machine *machine,
		     const struct record_key *key)
{
	struct entry *entry = entry_of(world, key);

	if (!entry)
		return;
	entry->copies--;
	if (entry->copies == 0 && is_alive(entry))
		world_violate(world, &key->uid, "%s drops the last copy of a record",
			      machine->name);
}

/* Have all of its keepers failed within one repair interval? */
static bool is_excused(const struct entry *entry)
{
	int32_t first = entry->failed_s[0], last = entry->failed_s[0];

	for (size_t i = 0; i < RECORDS_KEEPERS; i++) {
		first = entry->failed_s[i] < first ? entry->failed_s[i] : first;
		last = entry->failed_s[i] > last ? entry->failed_s[i] : last;
	}
	return first > 0 && last - first <= ARCHIVE_REPAIR_MS / MS_PER_S;
}

static void copy_fails(struct world *world, const struct sim_machine *machine, struct entry *entry)
{
	memmove(entry->failed_s + 1, entry->failed_s,
		sizeof(entry->failed_s) - sizeof(entry->failed_s[0]));
	entry->failed_s[0] = (int32_t)(machine->ended_us / US_PER_S);
	entry->copies--;
	if (entry->copies > 0 || !is_alive(entry))
		return;
	if (!is_excused(entry)) {
		world_violate(world, &entry->uid,
			      "the last copy of a record is lost with %s, and its keepers did not "
			      "all fail at about the same time",
			      machine->name);
		return;
	}
	entry->excused = true;
	world->archive->excused++;
}

void archive_disk_lost(struct world *world, const struct sim_machine *machine)
{
	for (size_t at = 0; world->archive;) {
		const struct map_entry *kept = map_next(&machine->disk, &at);
		struct record_key key = {.kind = RECORD_NONE};
		struct entry *entry;

		if (!kept)
			return;
		machine_disk_key(kept->key, &key);
		entry = entry_of(world, &key);
		if (entry)
			copy_fails(world, machine, entry);
	}
}
