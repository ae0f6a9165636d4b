/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "consensus.h"

static struct raft_entry copy_entry(const struct raft_entry *entry)
{
	struct raft_entry copy = *entry;

	copy.data = entry->len > 0 ? (uint8_t *)mem_copy(entry->data, entry->len) : NULL;
	return copy;
}

static void free_write(struct cw_write *write)
{
	for (size_t i = 0; i < write->entry_count && write->entries; i++)
		free(write->entries[i].data);
	free(write->entries);
	free((uint8_t *)(uintptr_t)write->snapshot.data.ptr);
}

static int64_t latency(struct cw *cw, const struct cw_disk *disk)
{
	return disk->latency_us + (int64_t)cw_random(cw, (uint64_t)disk->latency_us + 1);
}

/* What comes while one flush is under way shares the next. */
static int64_t next_flush(struct cw *cw, struct cw_disk *disk)
{
	if (cw->now_us >= disk->flush_us && disk->next_us > disk->flush_us)
		disk->flush_us = disk->next_us;
	if (cw->now_us >= disk->flush_us) {
		disk->flush_us = disk->next_us = cw->now_us + latency(cw, disk);
		return disk->flush_us;
	}
	if (disk->next_us <= disk->flush_us)
		disk->next_us = disk->flush_us + latency(cw, disk);
	return disk->next_us;
}

void cw_disk_write(struct cw *cw, struct cw_member *member, const struct raft_effect *effect)
{
	struct cw_disk *disk = &member->disk;
	struct cw_event event = {.type = CW_DISK_DONE, .slot = member->slot, .life = member->life};
	struct cw_write *write;

	if (disk->write_count == disk->write_cap) {
		disk->write_cap = disk->write_cap ? 2 * disk->write_cap : 16;
		disk->writes = mem_resize(disk->writes, disk->write_cap, sizeof(*disk->writes));
	}
	write = &disk->writes[disk->write_count++];
	*write = (struct cw_write){
		.number = effect->write,
		.type = effect->type,
		.index = effect->index,
		.meta = effect->meta,
		.entry_count = effect->entry_count,
	};
	if (effect->type == RAFT_WRITE) {
		write->entries = mem_alloc(effect->entry_count, sizeof(*write->entries));
		for (size_t i = 0; i < effect->entry_count; i++)
			write->entries[i] = copy_entry(&effect->entries[i]);
	} else if (effect->type == RAFT_SAVE_SNAPSHOT) {
		write->snapshot = *effect->snapshot;
		write->snapshot.data =
			bytes_of(mem_copy(effect->snapshot->data.ptr, effect->snapshot->data.len),
				 effect->snapshot->data.len);
	}
	write->done_us = next_flush(cw, disk);
	cw_push(cw, write->done_us - cw->now_us, &event);
}

static void drop_from(struct cw_disk *disk, uint64_t index)
{
	while (disk->entry_count > 0 && disk->first + disk->entry_count > index)
		free(disk->entries[--disk->entry_count].data);
}

static void drop_before(struct cw_disk *disk, uint64_t index)
{
	size_t gone = 0;

	while (gone < disk->entry_count && disk->first + gone < index)
		free(disk->entries[gone++].data);
	disk->entry_count -= gone;
	if (gone > 0)
		memmove(disk->entries, disk->entries + gone,
			disk->entry_count * sizeof(*disk->entries));
	disk->first = index;
}

static void put_entries(struct cw_disk *disk, struct cw_write *write)
{
	drop_from(disk, write->index);
	if (disk->entry_count == 0)
		disk->first = write->index;
	assert(disk->first + disk->entry_count == write->index);
	if (disk->entry_count + write->entry_count > disk->entry_cap) {
		disk->entry_cap = 2 * (disk->entry_count + write->entry_count);
		disk->entries = mem_resize(disk->entries, disk->entry_cap, sizeof(*disk->entries));
	}
	for (size_t i = 0; i < write->entry_count; i++) {
		disk->entries[disk->entry_count++] = write->entries[i];
		write->entries[i].data = NULL;
	}
}

static void carry_out(struct cw_disk *disk, struct cw_write *write)
{
	if (write->type == RAFT_SAVE) {
		disk->meta = write->meta;
	} else if (write->type == RAFT_WRITE) {
		put_entries(disk, write);
	} else if (write->type == RAFT_TRUNCATE) {
		drop_from(disk, write->index);
	} else {
		free((uint8_t *)(uintptr_t)disk->snapshot.data.ptr);
		disk->snapshot = write->snapshot;
		write->snapshot.data = (struct bytes){0};
		drop_before(disk, write->index);
		if (write->entry_count == 0)
			drop_from(disk, 0);
	}
}

static uint64_t carry_out_first(struct cw_disk *disk, size_t count)
{
	uint64_t last = 0;

	for (size_t i = 0; i < count; i++) {
		last = disk->writes[i].number;
		carry_out(disk, &disk->writes[i]);
		free_write(&disk->writes[i]);
	}
	disk->write_count -= count;
	if (disk->write_count > 0)
		memmove(disk->writes, disk->writes + count,
			disk->write_count * sizeof(*disk->writes));
	return last;
}

uint64_t cw_disk_done(struct cw *cw, struct cw_member *member)
{
	struct cw_disk *disk = &member->disk;
	size_t count = 0;

	while (count < disk->write_count && disk->writes[count].done_us <= cw->now_us)
		count++;
	return carry_out_first(disk, count);
}

/* Any number of the last writes that were not acknowledged is lost. */
void cw_disk_crash(struct cw *cw, struct cw_member *member)
{
	struct cw_disk *disk = &member->disk;

	(void)carry_out_first(disk, (size_t)cw_random(cw, disk->write_count + 1));
	while (disk->write_count > 0)
		free_write(&disk->writes[--disk->write_count]);
	disk->flush_us = disk->next_us = 0;
}

void cw_disk_wipe(struct cw_member *member)
{
	struct cw_disk *disk = &member->disk;
	int64_t latency_us = disk->latency_us;

	while (disk->write_count > 0)
		free_write(&disk->writes[--disk->write_count]);
	drop_from(disk, 0);
	free(disk->entries);
	free(disk->writes);
	free((uint8_t *)(uintptr_t)disk->snapshot.data.ptr);
	*disk = (struct cw_disk){.latency_us = latency_us};
}

struct raft_saved cw_disk_saved(const struct cw_member *member)
{
	const struct cw_disk *disk = &member->disk;

	return (struct raft_saved){
		.meta = disk->meta,
		.snapshot = disk->snapshot,
		.first = disk->first,
		.entries = disk->entries,
		.entry_count = disk->entry_count,
	};
}
