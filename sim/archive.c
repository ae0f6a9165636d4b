/* SPDX-License-Identifier: Apache-2.0 */
#include "archive_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/sha256.h"
#include "overlay/kad.h"
#include "records/steward.h"

enum {
	PART = 20,               /* one record in so many is changed, one is deleted */
	READER_MS = 15 * 1000,   /* a machine that has just booted is not asked */
	SETTLED_MS = 2 * 1000,   /* what was acknowledged so long ago must be read */
	SPREAD_MAX = 3,          /* the fullest machine, as a multiple of the average */
	SPREAD_RECORDS_MIN = 50, /* fewer on average say nothing about the spread */
	TOLD_MAX = 1 << 20,      /* machines that are told of a deletion, all deletions together */
	STRICT_BIT = 1,
	LISTS = 3,
	US_TO_MS = 1000,
};

/* Of reads while machines come and go: who has just come may not have it yet. */
static const double reads_found_min = 0.999;

/* A write or read under way. */
struct call {
	size_t entry;
	bool list; /* of all */
	bool dispose, strict;
	uint64_t hlc;
	bool deleted;
	int64_t begin_us;
};

struct archive *archive_of(struct world *world)
{
	if (world->archive)
		return world->archive;
	world->archive = mem_new(struct archive);
	world->archive->cap = (size_t)world->params.records;
	world->archive->entries = mem_alloc(world->archive->cap, sizeof(*world->archive->entries));
	map_init(&world->archive->puts, 1);
	map_init(&world->archive->reads, 2);
	map_init(&world->archive->looks, 3);
	return world->archive;
}

void archive_free(struct archive *archive)
{
	if (!archive)
		return;
	map_for_each (put, &archive->puts)
		free(put->value);
	map_for_each (read, &archive->reads)
		free(read->value);
	map_for_each (look, &archive->looks)
		free(look->value);
	map_deinit(&archive->looks);
	samples_deinit(&archive->look_time);
	samples_deinit(&archive->list_time);
	map_deinit(&archive->puts);
	map_deinit(&archive->reads);
	samples_deinit(&archive->put_time);
	samples_deinit(&archive->read_time);
	free(archive->entries);
	free(archive);
}

static struct bytes call_key(const struct sim_machine *machine, uint64_t token, uint64_t space[2])
{
	space[0] = (uint64_t)machine->index << 32 | machine->process;
	space[1] = token;
	return bytes_of(space, 2 * sizeof(*space));
}

/* A machine that has been there for a while; NULL: there is none. */
static struct sim_machine *some_machine(struct world *world)
{
	size_t first = world_random(world, world->machine_count);

	for (size_t i = 0; i < world->machine_count; i++) {
		struct sim_machine *machine = &world->machines[(first + i) % world->machine_count];

		if (machine->node && machine->steward &&
		    world->now_us - machine->started_us >= READER_MS * US_PER_MS)
			return machine;
	}
	return NULL;
}

size_t archive_namespaces(const struct archive *archive)
{
	return (archive->cap + ARCHIVE_NAMESPACE - 1) / ARCHIVE_NAMESPACE;
}

static void namespace_name(const struct archive *archive, size_t number, char name[32])
{
	if (archive_namespaces(archive) > 1)
		(void)snprintf(name, 32, "ns-%zu", number);
	else
		(void)snprintf(name, 32, "default");
}

void archive_name(const struct archive *archive, size_t index, struct entry_name *ret_name)
{
	static char kind[] = "ConfigMap";
	const struct entry *entry = &archive->entries[index];

	namespace_name(archive, index % archive_namespaces(archive), ret_name->namespace);
	(void)snprintf(ret_name->name, sizeof(ret_name->name), "r%02x%02x%02x%02x%02x%02x",
		       entry->uid.byte[0], entry->uid.byte[1], entry->uid.byte[2],
		       entry->uid.byte[3], entry->uid.byte[4], entry->uid.byte[5]);
	ret_name->ref = (struct object_ref){entry->uid, ret_name->namespace, kind, ret_name->name};
}

size_t archive_add(struct world *world)
{
	struct archive *archive = archive_of(world);
	struct entry *entry = &archive->entries[archive->count];
	uint32_t index = (uint32_t)archive->count;

	for (size_t i = 0; i < UID_LEN; i += sizeof(uint64_t)) {
		uint64_t random = world_random(world, UINT64_MAX);

		memcpy(entry->uid.byte + i, &random, sizeof(random));
	}
	entry->uid = uid_from_random(entry->uid.byte);
	memcpy(entry->uid.byte + UID_LEN - sizeof(index), &index, sizeof(index));
	return archive->count++;
}

struct entry *archive_find(const struct archive *archive, const struct uid *uid)
{
	uint32_t index;

	memcpy(&index, uid->byte + UID_LEN - sizeof(index), sizeof(index));
	if (index >= archive->count || !uid_equal(&archive->entries[index].uid, uid))
		return NULL;
	return &archive->entries[index];
}

/* ---- writes ---- */

static void begun(struct world *world, const struct sim_machine *machine, struct map *calls,
		  uint64_t token, const struct call *call)
{
	uint64_t space[2];
	struct call *kept = mem_new(struct call);

	(void)world;
	*kept = *call;
	free(map_put(calls, call_key(machine, token, space), kept));
}

static void write_entry(struct world *world, size_t index)
{
	struct archive *archive = archive_of(world);
	struct entry *entry = &archive->entries[index];
	struct sim_machine *machine = some_machine(world);
	struct entry_name name;
	struct node_put put = {.object = &name.ref, .expected_hlc = UINT64_MAX};
	char json[64];
	uint64_t token = 0, hlc = 0;
	int r;

	if (!machine || entry->pending || entry->deleted || entry->excused)
		return;
	archive_name(archive, index, &name);
	put.generation = ++entry->generation;
	(void)snprintf(json, sizeof(json), "{\"data\":{\"generation\":\"%u\"}}", entry->generation);
	put.json = bytes_str(json);
	machine_call(machine,
		     r = node_put(machine->node, machine_now(world, machine), &put, &token, &hlc));
	archive->written++;
	archive->refused += r != 0;
	if (r)
		return;
	entry->pending = true;
	begun(world, machine, &archive->puts, token,
	      &(struct call){.entry = index, .hlc = hlc, .begin_us = world->now_us});
	machine_pump(world, machine);
}

static void dispose_entry(struct world *world, size_t index)
{
	struct archive *archive = archive_of(world);
	struct entry *entry = &archive->entries[index];
	struct sim_machine *machine = some_machine(world);
	struct entry_name name;
	struct uid none = {0};
	uint64_t token = 0;
	int r;

	if (!machine || entry->pending || entry->deleted || entry->excused || !entry->hlc)
		return;
	archive_name(archive, index, &name);
	machine_call(machine, r = node_dispose(machine->node, machine_now(world, machine),
					       &name.ref, &none, 0, &token));
	if (r)
		return;
	entry->pending = true;
	begun(world, machine, &archive->puts, token,
	      &(struct call){.entry = index, .dispose = true, .begin_us = world->now_us});
	machine_pump(world, machine);
}

void archive_put_done(struct world *world, const struct sim_machine *machine,
		      const struct node_effect *effect)
{
	struct archive *archive = world->archive;
	uint64_t space[2];
	struct call *call =
		archive ? map_remove(&archive->puts, call_key(machine, effect->token, space))
			: NULL;
	struct entry *entry;

	if (!call)
		return;
	entry = &archive->entries[call->entry];
	entry->pending = false;
	if (!effect->quorum) {
		archive->partly++;
		entry->dirty = true;
	} else {
		archive->acked++;
		entry->acked_us = world->now_us;
		entry->deleted = call->dispose;
		entry->dirty = entry->dirty && !call->dispose;
		if (call->hlc)
			entry->hlc = call->hlc;
		samples_add(&archive->put_time, world->now_us - call->begin_us);
	}
	free(call);
}

/* So many each millisecond, from the first entry on. */
static void write_some(struct world *world, uint64_t per_ms)
{
	struct archive *archive = archive_of(world);

	for (uint64_t i = 0; i < per_ms && archive->count < archive->cap; i++)
		write_entry(world, archive_add(world));
	if (archive->count < archive->cap)
		world_action(world, world->now_us / US_PER_MS + 1, write_some, per_ms);
}

void archive_write(struct world *world, int64_t at_ms, int64_t for_ms)
{
	int64_t per_ms = (world->params.records + for_ms - 1) / for_ms;

	world_action(world, at_ms, write_some, (uint64_t)per_ms);
}

/* Each deletion is told to all machines: in a large fabric that takes longer than all the rest. */
static bool may_dispose(struct world *world)
{
	struct archive *archive = archive_of(world);

	return archive->disposed++ < (TOLD_MAX / world->machine_count);
}

static void change(struct world *world, uint64_t index)
{
	if (index % 2)
		write_entry(world, index);
	else if (may_dispose(world))
		dispose_entry(world, index);
}

void archive_change(struct world *world, int64_t at_ms, int64_t for_ms)
{
	for (int64_t i = 0; i < world->params.records; i += PART / 2)
		world_action(world, at_ms + (int64_t)world_random(world, (uint64_t)for_ms), change,
			     (uint64_t)(i + (i / (PART / 2)) % 2));
}

/* ---- reads ---- */

static void read_entry(struct world *world, uint64_t strict)
{
	struct archive *archive = archive_of(world);
	size_t index = archive->count ? world_random(world, archive->count) : 0;
	const struct entry *entry = &archive->entries[index];
	struct sim_machine *machine = some_machine(world);
	uint64_t token = 0;
	int r;

	if (!machine || !archive->count || entry->pending || entry->dirty || entry->excused ||
	    !entry->hlc || world->now_us - entry->acked_us < SETTLED_MS * US_PER_MS)
		return;
	machine_call(machine, r = node_fetch(machine->node, machine_now(world, machine),
					     &entry->uid, &token));
	if (r)
		return;
	archive->reads_begun++;
	begun(world, machine, &archive->reads, token,
	      &(struct call){.entry = index,
			     .strict = strict,
			     .hlc = entry->hlc,
			     .deleted = entry->deleted,
			     .begin_us = world->now_us});
	machine_pump(world, machine);
}

void archive_read(struct world *world, int64_t at_ms, int64_t for_ms, int64_t count, bool strict)
{
	for (int64_t i = 0; i < count; i++)
		world_action(world, at_ms + i * for_ms / count, read_entry,
			     strict ? STRICT_BIT : 0);
}

void archive_fetched(struct world *world, const struct sim_machine *machine,
		     const struct node_effect *effect)
{
	struct archive *archive = world->archive;
	struct record_key key = {.kind = RECORD_OBJECT};
	uint64_t space[2];
	struct call *call =
		archive ? map_remove(&archive->reads, call_key(machine, effect->token, space))
			: NULL;
	const struct record_item *item;
	bool right;

	if (!call)
		return;
	key.uid = archive->entries[call->entry].uid;
	item = records_get(node_records(machine->node), &key);
	right = call->deleted ? !item : item && item->record.version.hlc >= call->hlc;
	if (!right && !call->deleted &&
	    (archive->entries[call->entry].deleted || archive->entries[call->entry].excused))
		right = true; /* meanwhile */
	archive->reads_found += right;
	archive->reads_missed += !right;
	samples_add(&archive->read_time, world->now_us - call->begin_us);
	if (!right) {
		archive->strict_missed += call->strict;
		world_tell(world, &key.uid, "%s reads %s of a record that %s; %u of %u answered",
			   machine->name, item ? "an old version" : "nothing",
			   call->deleted ? "was deleted" : "is there", effect->stored,
			   effect->keepers);
	}
	free(call);
}

/* ---- by name, and as a list ---- */

static bool refresh(struct world *world, struct sim_machine *machine, const char *namespace,
		    const char *name, const struct call *call)
{
	struct node_scope scope = {"ConfigMap", namespace, name};
	uint64_t token = 0;
	int r;

	machine_call(machine,
		     r = node_refresh(machine->node, machine_now(world, machine), &scope, &token));
	if (r)
		return false;
	begun(world, machine, &archive_of(world)->looks, token, call);
	machine_pump(world, machine);
	return true;
}

static void look_up(struct world *world, uint64_t argument)
{
	struct archive *archive = archive_of(world);
	size_t index = archive->count ? world_random(world, archive->count) : 0;
	const struct entry *entry = &archive->entries[index];
	struct sim_machine *machine = some_machine(world);
	struct call call = {.entry = index, .hlc = entry->hlc, .begin_us = world->now_us};
	struct entry_name name;

	(void)argument;
	if (!machine || !archive->count || entry->pending || entry->dirty || entry->excused ||
	    !entry->hlc)
		return;
	call.deleted = entry->deleted;
	archive_name(archive, index, &name);
	archive->looks_begun += refresh(world, machine, name.namespace, name.name, &call);
}

/* All of one namespace. */
static void list_all(struct world *world, uint64_t argument)
{
	struct archive *archive = archive_of(world);
	struct sim_machine *machine = some_machine(world);
	struct call call = {.list = true, .begin_us = world->now_us};
	char namespace[32];

	call.entry = argument % archive_namespaces(archive);
	namespace_name(archive, call.entry, namespace);
	if (machine)
		archive->lists_begun += refresh(world, machine, namespace, NULL, &call);
}

void archive_look(struct world *world, int64_t at_ms, int64_t for_ms, int64_t count)
{
	for (int64_t i = 0; i < count; i++)
		world_action(world, at_ms + i * for_ms / count, look_up, 0);
	for (int64_t i = 0; i < LISTS; i++)
		world_action(world, at_ms + i * for_ms / LISTS, list_all, (uint64_t)i);
}

static bool look_is_right(const struct archive *archive, const struct sim_machine *machine,
			  const struct call *call)
{
	const struct record_item *item;
	struct entry_name name;

	archive_name(archive, call->entry, &name);
	item = records_find(node_records(machine->node), name.ref.namespace, name.ref.kind,
			    name.ref.name);
	return call->deleted ? !item : item && item->record.version.hlc >= call->hlc;
}

/* All that were acknowledged, and none that was deleted. */
static void check_list(struct world *world, const struct sim_machine *machine, size_t namespace,
		       bool complete)
{
	struct archive *archive = world->archive;
	size_t wrong = 0, count = 0;

	for (size_t i = namespace; i < archive->count; i += archive_namespaces(archive)) {
		const struct entry *entry = &archive->entries[i];
		struct call call = {.entry = i, .hlc = entry->hlc, .deleted = entry->deleted};

		count++;
		if (!entry->hlc || entry->dirty || entry->pending || entry->excused ||
		    look_is_right(archive, machine, &call))
			continue;
		wrong++;
	}
	if (wrong)
		world_tell(world, NULL, "%s lists %zu of %zu records wrong, and calls it %s",
			   machine->name, wrong, count, complete ? "complete" : "incomplete");
	archive->lists_unsure += !complete;
	archive->lists_lacking += wrong > 0;
	archive->listed += complete ? count : 0;
	archive->listed_wrong += complete ? wrong : 0;
}

void archive_refreshed(struct world *world, const struct sim_machine *machine,
		       const struct node_effect *effect)
{
	struct archive *archive = world->archive;
	uint64_t space[2];
	struct call *call =
		archive ? map_remove(&archive->looks, call_key(machine, effect->token, space))
			: NULL;

	if (!call)
		return;
	if (call->list) {
		check_list(world, machine, call->entry, effect->complete);
		samples_add(&archive->list_time, world->now_us - call->begin_us);
	} else {
		if (!look_is_right(archive, machine, call)) {
			archive->looks_missed += effect->complete;
			archive->looks_unsure += !effect->complete;
			world_tell(world, &archive->entries[call->entry].uid,
				   "%s looks it up in vain; the index is %s", machine->name,
				   effect->complete ? "complete" : "not complete");
		}
		samples_add(&archive->look_time, world->now_us - call->begin_us);
	}
	free(call);
}

/* Shards are bounded, and their rows are spread over the machines. */
static void check_index(struct world *world)
{
	struct archive *archive = world->archive;

	for (size_t i = 0; i < world->machine_count; i++) {
		struct shards_counts counts;

		if (!world->machines[i].node)
			continue;
		counts = node_index_counts(world->machines[i].node);
		if (counts.largest > archive->shard_largest)
			archive->shard_largest = counts.largest;
		if (counts.largest > SHARD_ROWS_MAX)
			world_violate(world, NULL, "a shard of %s has %zu rows",
				      world->machines[i].name, counts.largest);
	}
	if (archive->looks_missed)
		world_violate(world, NULL,
			      "%" PRIu64 " of %" PRIu64
			      " lookups by name missed and did not say so",
			      archive->looks_missed, archive->looks_begun);
	if ((double)archive->looks_unsure > (1 - reads_found_min) * (double)archive->looks_begun)
		world_violate(world, NULL, "%" PRIu64 " of %" PRIu64 " lookups by name failed",
			      archive->looks_unsure, archive->looks_begun);
	if (archive->listed_wrong)
		world_violate(world, NULL,
			      "%" PRIu64 " of %" PRIu64
			      " records in lists are wrong, and the lists "
			      "are called complete",
			      archive->listed_wrong, archive->listed);
	/* A record that was acknowledged in part and then lost may leave its name in the index for
	 * a while: such a list is right, and cannot know that. */
	if (archive->lists_begun && archive->lists_lacking == archive->lists_begun)
		world_violate(world, NULL, "no list was right");
	if (!archive->looks_begun || archive->looks.count)
		world_violate(world, NULL, "%zu of %" PRIu64 " lookups by name have not ended",
			      archive->looks.count, archive->looks_begun);
}

/* ---- the end ---- */

struct placed {
	uint64_t position;
	const struct sim_machine *machine;
};

static struct placed *running_stewards(const struct world *world, size_t *ret_count)
{
	struct placed *list = mem_alloc(world->machine_count, sizeof(*list));
	size_t count = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		if (world->machines[i].node && world->machines[i].steward)
			list[count++] = (struct placed){kad_place(&world->machines[i].id),
							&world->machines[i]};
	*ret_count = count;
	return list;
}

/* Insert into what is in the order of @rank, of which @max are kept. */
static size_t insert_by(uint64_t *rank, const struct sim_machine **machines, size_t count,
			size_t max, uint64_t its, const struct sim_machine *machine)
{
	size_t at = count;

	if (count == max && its >= rank[count - 1])
		return count;
	if (count < max)
		count++;
	else
		at--;
	for (; at > 0 && rank[at - 1] > its; at--) {
		rank[at] = rank[at - 1];
		machines[at] = machines[at - 1];
	}
	rank[at] = its;
	machines[at] = machine;
	return count;
}

/* By looking at each: nothing clever that could be wrong in the same way as what is checked. */
static size_t true_keepers(const struct placed *list, size_t count, uint64_t target,
			   const struct sim_machine *keepers[RECORDS_KEEPERS])
{
	const struct sim_machine *around[RECORDS_AROUND];
	uint64_t distance[RECORDS_AROUND], lot[RECORDS_KEEPERS];
	size_t near = 0, found = 0;

	for (size_t i = 0; i < count; i++)
		near = insert_by(distance, around, near, RECORDS_AROUND, list[i].position ^ target,
				 list[i].machine);
	for (size_t i = 0; i < near; i++)
		found = insert_by(lot, keepers, found, RECORDS_KEEPERS, steward_lot(distance[i]),
				  around[i]);
	return found;
}

static bool has(const struct sim_machine *machine, const struct entry *entry)
{
	const struct records *records = node_records(machine->node);
	struct record_key key = {.kind = RECORD_OBJECT, .uid = entry->uid};
	const struct record_item *object = records_get(records, &key), *tombstone;

	key.kind = RECORD_TOMBSTONE;
	tombstone = records_get(records, &key);
	if (entry->deleted)
		return !object && tombstone && tombstone->durable;
	return object && object->durable && object->record.version.hlc >= entry->hlc;
}

static void check_entry(struct world *world, const struct entry *entry, const struct placed *list,
			size_t count)
{
	const struct sim_machine *nearest[RECORDS_KEEPERS];
	struct digest digest = sha256(bytes_of(entry->uid.byte, UID_HOME_LEN));
	uint64_t target = 0;
	size_t keepers, held = 0;

	for (size_t i = 0; i < sizeof(target); i++)
		target = target << 8 | digest.byte[i];
	keepers = true_keepers(list, count, target, nearest);
	for (size_t i = 0; i < keepers; i++)
		held += has(nearest[i], entry);
	world->archive->held += held;
	world->archive->lacking += held < keepers;
	if (held < world->archive->held_min)
		world->archive->held_min = held;
	if (held == keepers)
		return;
	for (size_t i = 0; i < keepers; i++)
		world_tell(world, &entry->uid, "%s is keeper %zu and has it%s", nearest[i]->name, i,
			   has(nearest[i], entry) ? "" : " not");
	world_violate(world, &entry->uid, "%zu of %zu keepers have a record that is %s", held,
		      keepers, entry->deleted ? "deleted" : "there");
}

static void check_spread(struct world *world)
{
	struct archive *archive = world->archive;
	double sum = 0;
	size_t stewards = 0;

	for (size_t i = 0; i < world->machine_count; i++) {
		double count;

		if (!world->machines[i].node || !world->machines[i].steward)
			continue;
		count = (double)world->machines[i].disk.count;
		sum += count;
		stewards++;
		if (count > archive->most)
			archive->most = count;
	}
	archive->mean = stewards ? sum / (double)stewards : 0;
	if (archive->mean >= SPREAD_RECORDS_MIN && archive->most > SPREAD_MAX * archive->mean)
		world_violate(world, NULL,
			      "one machine keeps %.0f records, and all %.1f on average",
			      archive->most, archive->mean);
}

void archive_check(struct world *world)
{
	struct archive *archive = archive_of(world);
	size_t count;
	struct placed *list = running_stewards(world, &count);

	archive->held_min = RECORDS_KEEPERS;
	archive->held = archive->lacking = 0;
	for (size_t i = 0; i < archive->count; i++)
		if (archive->entries[i].hlc && !archive->entries[i].dirty &&
		    !archive->entries[i].excused)
			check_entry(world, &archive->entries[i], list, count);
	free(list);
	check_spread(world);
	check_index(world);
	if (archive->strict_missed)
		world_violate(world, NULL, "%" PRIu64 " reads of a quiet fabric missed",
			      archive->strict_missed);
	if ((double)archive->reads_found <
	    reads_found_min * (double)(archive->reads_found + archive->reads_missed))
		world_violate(world, NULL, "%" PRIu64 " of %" PRIu64 " reads missed",
			      archive->reads_missed, archive->reads_begun);
	if ((!archive->acked && !world->params.placed) || !archive->reads_found)
		world_violate(world, NULL, "nothing was written or read");
}

/* ---- figures ---- */

void archive_text(struct world *world, struct buf *out)
{
	struct archive *archive = world->archive;

	if (!archive)
		return;
	buf_append_format(out,
			  "  %zu records: %" PRIu64 " writes acknowledged, %" PRIu64
			  " only in part, within %.1f ms (p50), %.1f ms (p99)\n",
			  archive->count, archive->acked, archive->partly,
			  (double)samples_percentile(&archive->put_time, 50) / US_TO_MS,
			  (double)samples_percentile(&archive->put_time, 99) / US_TO_MS);
	buf_append_format(out,
			  "  %" PRIu64 " reads, %" PRIu64
			  " of them missed, within %.1f ms (p50), %.1f ms (p99)\n",
			  archive->reads_begun, archive->reads_missed,
			  (double)samples_percentile(&archive->read_time, 50) / US_TO_MS,
			  (double)samples_percentile(&archive->read_time, 99) / US_TO_MS);
	buf_append_format(out,
			  "  %" PRIu64 " lookups by name, %" PRIu64 " of them missed, %" PRIu64
			  " failed, within %.1f ms (p50), %.1f ms (p99); %" PRIu64
			  " lists, %" PRIu64 " of them not called complete, %" PRIu64
			  " lacking something, %" PRIu64 " of %" PRIu64
			  " rows in the others wrong, within %.1f ms (p50), %.1f ms (most)\n",
			  archive->looks_begun, archive->looks_missed, archive->looks_unsure,
			  (double)samples_percentile(&archive->look_time, 50) / US_TO_MS,
			  (double)samples_percentile(&archive->look_time, 99) / US_TO_MS,
			  archive->lists_begun, archive->lists_unsure, archive->lists_lacking,
			  archive->listed_wrong, archive->listed,
			  (double)samples_percentile(&archive->list_time, 50) / US_TO_MS,
			  (double)samples_percentile(&archive->list_time, 100) / US_TO_MS);
	buf_append_format(out,
			  "  each is held by %zu of its keepers at least, %" PRIu64
			  " lack one; %.1f on a machine (mean), %.0f (most); %zu rows in the "
			  "largest shard\n",
			  archive->held_min, archive->lacking, archive->mean, archive->most,
			  archive->shard_largest);
	buf_append_format(out,
			  "  disks were given %" PRIu64 " copies; of %" PRIu64
			  " records all copies were lost within one repair interval\n",
			  archive->stored, archive->excused);
}

static void json_count(struct buf *out, const char *name, uint64_t value)
{
	buf_append_format(out, "\"%s\":%" PRIu64 ",", name, value);
}

static void json_times(struct buf *out, const char *name, struct samples *times)
{
	buf_append_format(out, "\"%s\":{\"p50\":%.3f,\"p99\":%.3f},", name,
			  (double)samples_percentile(times, 50) / US_TO_MS,
			  (double)samples_percentile(times, 99) / US_TO_MS);
}

void archive_json(struct world *world, struct buf *out)
{
	struct archive *archive = world->archive;

	if (!archive)
		return;
	buf_append_str(out, "\"records\":{");
	json_count(out, "count", archive->count);
	json_count(out, "written", archive->written);
	json_count(out, "acknowledged", archive->acked);
	json_count(out, "partly", archive->partly);
	json_count(out, "reads", archive->reads_begun);
	json_count(out, "reads_missed", archive->reads_missed);
	json_count(out, "lacking", archive->lacking);
	json_count(out, "copies_stored", archive->stored);
	json_count(out, "excused", archive->excused);
	json_count(out, "lookups", archive->looks_begun);
	json_count(out, "lookups_missed", archive->looks_missed + archive->looks_unsure);
	json_count(out, "lists", archive->lists_begun);
	json_count(out, "lists_incomplete", archive->lists_unsure);
	json_count(out, "lists_lacking", archive->lists_lacking);
	json_count(out, "list_rows_wrong", archive->listed_wrong);
	json_count(out, "shard_rows_max", archive->shard_largest);
	json_times(out, "write_ms", &archive->put_time);
	json_times(out, "read_ms", &archive->read_time);
	json_times(out, "lookup_ms", &archive->look_time);
	json_times(out, "list_ms", &archive->list_time);
	buf_append_format(out, "\"kept_mean\":%.1f,\"kept_max\":%.0f,\"spread\":%.3f},",
			  archive->mean, archive->most,
			  archive->mean > 0 ? archive->most / archive->mean : 0);
}
