/* SPDX-License-Identifier: Apache-2.0 */
/* Raft store: what was durable is there again, in whatever order it was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "workplane/raft_store.h"

enum {
	WAIT_MS = 20 * 1000,
	PATH_LEN = 300,
};

struct disk {
	struct loop *loop;
	struct raft_store *store;
	struct raft_saved saved;
	char dir[64];
	uint64_t durable, next;
	bool moved, failed;
};

static void on_durable(void *user, uint64_t write)
{
	struct disk *disk = user;

	assert_true(write > disk->durable);
	disk->durable = write;
	disk->moved = true;
}

static void on_failed(void *user, const char *text)
{
	struct disk *disk = user;

	assert_true(strlen(text) > 0);
	disk->failed = disk->moved = true;
}

static void open_store(struct disk *disk)
{
	struct raft_store_handler handler = {on_durable, on_failed, disk};
	struct err err = {0};

	assert_int_equal(raft_store_open(disk->loop, disk->dir, &handler, &disk->store, &err), 0);
	assert_int_equal(raft_store_load(disk->store, &disk->saved, &err), 0);
}

static void reopen(struct disk *disk)
{
	raft_store_close(disk->store);
	open_store(disk);
}

static int setup(void **state)
{
	struct disk *disk = mem_new(struct disk);

	(void)snprintf(disk->dir, sizeof(disk->dir), "/tmp/magik-raft-store-XXXXXX");
	assert_non_null(mkdtemp(disk->dir));
	disk->loop = loop_new();
	open_store(disk);
	*state = disk;
	return 0;
}

static int teardown(void **state)
{
	struct disk *disk = *state;
	char path[PATH_LEN];

	raft_store_close(disk->store);
	loop_free(disk->loop);
	(void)snprintf(path, sizeof(path), "%s/data.mdb", disk->dir);
	(void)unlink(path);
	(void)rmdir(disk->dir);
	free(disk);
	return 0;
}

static void wait_moved(struct disk *disk)
{
	disk->moved = false;
	assert_true(loop_run_until(disk->loop, &disk->moved, mono_add_ms(clock_mono(), WAIT_MS)));
}

static void write_one(struct disk *disk, struct raft_effect effect)
{
	effect.write = ++disk->next;
	raft_store_write(disk->store, &effect);
}

static void settle(struct disk *disk)
{
	while (disk->durable < disk->next && !disk->failed)
		wait_moved(disk);
}

/* @count entries of @term from @index on, whose data is their index. */
static void write_entries(struct disk *disk, uint64_t index, size_t count, uint64_t term)
{
	struct raft_entry *entries = mem_alloc(count, sizeof(*entries));
	uint64_t *data = mem_alloc(count, sizeof(*data));

	for (size_t i = 0; i < count; i++) {
		data[i] = index + i;
		entries[i] = (struct raft_entry){.term = term,
						 .kind = RAFT_ENTRY_COMMAND,
						 .data = (uint8_t *)&data[i],
						 .len = sizeof(data[i])};
	}
	write_one(disk, (struct raft_effect){.type = RAFT_WRITE,
					     .index = index,
					     .entries = entries,
					     .entry_count = count});
	free(entries);
	free(data);
}

static void assert_entries(const struct disk *disk, uint64_t first, const uint64_t *terms,
			   size_t count)
{
	assert_int_equal(disk->saved.first, first);
	assert_int_equal(disk->saved.entry_count, count);
	for (size_t i = 0; i < count; i++) {
		uint64_t data;

		assert_int_equal(disk->saved.entries[i].term, terms[i]);
		assert_int_equal(disk->saved.entries[i].len, sizeof(data));
		memcpy(&data, disk->saved.entries[i].data, sizeof(data));
		assert_int_equal(data, first + i);
	}
}

static void test_an_empty_one_has_an_id_and_nothing_else(void **state)
{
	struct disk *disk = *state;
	uint64_t id = raft_store_id(disk->store);

	assert_int_not_equal(id, 0);
	assert_true(uid_is_none(&disk->saved.meta.cluster));
	assert_int_equal(disk->saved.snapshot.index, 0);
	assert_entries(disk, 1, NULL, 0);
	reopen(disk);
	assert_int_equal(raft_store_id(disk->store), id);
}

static void test_what_was_written_is_there_again(void **state)
{
	struct disk *disk = *state;
	struct raft_meta meta = {.epoch = 2, .term = 7, .vote = UINT64_MAX, .timeout_ms = 300};

	memset(meta.cluster.byte, 5, UID_LEN);
	write_one(disk, (struct raft_effect){.type = RAFT_SAVE, .meta = meta});
	write_entries(disk, 1, 3, 6);
	write_entries(disk, 3, 2, 7); /* instead of the third */
	settle(disk);
	reopen(disk);
	assert_true(uid_equal(&disk->saved.meta.cluster, &meta.cluster));
	assert_int_equal(disk->saved.meta.epoch, 2);
	assert_int_equal(disk->saved.meta.term, 7);
	assert_int_equal(disk->saved.meta.vote, UINT64_MAX);
	assert_int_equal(disk->saved.meta.timeout_ms, 300);
	assert_false(disk->saved.meta.superseded);
	assert_entries(disk, 1, (const uint64_t[]){6, 6, 7, 7}, 4);

	write_one(disk, (struct raft_effect){.type = RAFT_TRUNCATE, .index = 2});
	settle(disk);
	reopen(disk);
	assert_entries(disk, 1, (const uint64_t[]){6}, 1);
}

static void write_snapshot(struct disk *disk, uint64_t snapshot, uint64_t first, size_t kept)
{
	struct raft_snapshot content = {
		.index = snapshot,
		.term = 3,
		.members = {.list = {{.id = 9, .ordinal = 1, .epoch = 4, .voter = true}},
			    .count = 1},
		.data = bytes_str("the state"),
	};

	write_one(disk, (struct raft_effect){.type = RAFT_SAVE_SNAPSHOT,
					     .index = first,
					     .entry_count = kept,
					     .snapshot = &content});
}

static void assert_snapshot(const struct disk *disk, uint64_t index)
{
	const struct raft_snapshot *snapshot = &disk->saved.snapshot;

	assert_int_equal(snapshot->index, index);
	assert_int_equal(snapshot->term, 3);
	assert_int_equal(snapshot->members.count, 1);
	assert_int_equal(snapshot->members.list[0].id, 9);
	assert_int_equal(snapshot->members.list[0].epoch, 4);
	assert_true(bytes_equal(snapshot->data, bytes_str("the state")));
}

static void test_a_snapshot_takes_the_place_of_entries(void **state)
{
	struct disk *disk = *state;

	write_entries(disk, 1, 300, 3); /* of more than one page */
	write_snapshot(disk, 299, 299, 2);
	settle(disk);
	reopen(disk);
	assert_snapshot(disk, 299);
	assert_entries(disk, 299, (const uint64_t[]){3, 3}, 2);

	write_snapshot(disk, 400, 401, 0); /* of another member: nothing of ours is left */
	settle(disk);
	reopen(disk);
	assert_snapshot(disk, 400);
	assert_entries(disk, 401, NULL, 0);
}

static void test_a_second_process_is_refused(void **state)
{
	struct disk *disk = *state;
	struct raft_store_handler handler = {on_durable, on_failed, disk};
	struct raft_store *second;
	struct err err = {0};

	assert_int_equal(raft_store_open(disk->loop, disk->dir, &handler, &second, &err), -EBUSY);
	assert_non_null(strstr(err.text, "another process"));
}

/* The largest file that may be written. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_a_full_disk_loses_nothing_that_was_durable(void **state)
{
	struct disk *disk = *state;
	struct err err = {0};
	struct rlimit before;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	write_entries(disk, 1, 2, 1);
	settle(disk);
	limit_files(64 << 10);
	write_entries(disk, 3, 4000, 1);
	wait_moved(disk);
	assert_true(disk->failed);
	assert_int_equal(disk->durable, 1);
	write_entries(disk, 3, 1, 1); /* is not taken */
	limit_files(before.rlim_cur);

	assert_int_equal(raft_store_load(disk->store, &disk->saved, &err), 0);
	assert_entries(disk, 1, (const uint64_t[]){1, 1}, 2);
	disk->failed = false;
	write_entries(disk, 3, 1, 2);
	settle(disk);
	assert_false(disk->failed);
	reopen(disk);
	assert_entries(disk, 1, (const uint64_t[]){1, 1, 2}, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_empty_one_has_an_id_and_nothing_else, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_what_was_written_is_there_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_snapshot_takes_the_place_of_entries, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_second_process_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_full_disk_loses_nothing_that_was_durable,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
