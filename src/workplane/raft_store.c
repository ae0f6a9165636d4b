/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/raft_store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <uv.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/entropy.h"

/* Keys: a letter, and for entries their index so that they lie in its order. */
enum {
	KEY_ENTRY = 'e',
	KEY_ID = 'i',
	KEY_META = 'm',
	KEY_SNAPSHOT = 's',
	KEY_LEN = 1 + sizeof(uint64_t),
	BYTE_BITS = 8,
};

struct key {
	uint8_t byte[KEY_LEN];
};

struct write {
	struct list link;
	uint64_t number, index;
	enum raft_effect_type type;
	size_t entry_count;
	struct buf value;    /* SAVE, SAVE_SNAPSHOT: encoded */
	struct buf *entries; /* WRITE: each encoded */
};

struct raft_store {
	struct loop *loop;
	struct raft_store_handler handler;
	MDB_env *env;
	MDB_dbi dbi;
	int lock_fd;
	uint64_t id;
	struct list waiting, writing; /* struct write */
	uv_work_t work;
	struct loop_hook *flush;
	bool busy, broken;
	int result; /* of the commit under way */

	struct raft_entry *entries; /* as loaded */
	size_t entry_count, entry_cap;
	struct buf snapshot;
};

static struct key key_make(uint8_t letter, uint64_t index)
{
	struct key key = {.byte = {letter}};

	for (size_t i = KEY_LEN - 1; i > 0; i--, index >>= BYTE_BITS)
		key.byte[i] = (uint8_t)index;
	return key;
}

static uint64_t key_index(const MDB_val *key)
{
	const uint8_t *byte = key->mv_data;
	uint64_t index = 0;

	for (size_t i = 1; i < KEY_LEN; i++)
		index = index << BYTE_BITS | byte[i];
	return index;
}

static bool key_is_entry(const MDB_val *key)
{
	return key->mv_size == KEY_LEN && *(const uint8_t *)key->mv_data == KEY_ENTRY;
}

static MDB_val val(const void *ptr, size_t len)
{
	/* LMDB reads through this pointer only; its struct has no const form. */
	return (MDB_val){.mv_size = len, .mv_data = (void *)(uintptr_t)ptr};
}

static int put(const struct raft_store *store, MDB_txn *txn, struct key key, const void *ptr,
	       size_t len)
{
	MDB_val name = val(key.byte, KEY_LEN), value = val(ptr, len);

	return mdb_put(txn, store->dbi, &name, &value, 0);
}

static int get(const struct raft_store *store, MDB_txn *txn, uint8_t letter,
	       struct bytes *ret_value)
{
	struct key key = key_make(letter, 0);
	MDB_val name = val(key.byte, KEY_LEN), value;
	int result = mdb_get(txn, store->dbi, &name, &value);

	if (result == 0)
		*ret_value = bytes_of(value.mv_data, value.mv_size);
	return result;
}

/* Entries from @first up to, not including, @end are gone. */
static int delete_entries(const struct raft_store *store, MDB_txn *txn, uint64_t first,
			  uint64_t end)
{
	struct key from = key_make(KEY_ENTRY, first);
	MDB_val key = val(from.byte, KEY_LEN), value;
	MDB_cursor *cursor;
	int result = mdb_cursor_open(txn, store->dbi, &cursor);

	if (result)
		return result;
	result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	while (result == 0 && key_is_entry(&key) && key_index(&key) < end) {
		result = mdb_cursor_del(cursor, 0);
		if (result == 0)
			result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return result == MDB_NOTFOUND ? 0 : result;
}

static int apply_entries(const struct raft_store *store, MDB_txn *txn, const struct write *write)
{
	int result = delete_entries(store, txn, write->index, UINT64_MAX);

	for (size_t i = 0; i < write->entry_count && result == 0; i++)
		result = put(store, txn, key_make(KEY_ENTRY, write->index + i),
			     write->entries[i].ptr, write->entries[i].len);
	return result;
}

static int apply_snapshot(const struct raft_store *store, MDB_txn *txn, const struct write *write)
{
	int result = put(store, txn, key_make(KEY_SNAPSHOT, 0), write->value.ptr, write->value.len);

	if (result)
		return result;
	return delete_entries(store, txn, 0, write->entry_count == 0 ? UINT64_MAX : write->index);
}

static int apply(const struct raft_store *store, MDB_txn *txn, const struct write *write)
{
	if (write->type == RAFT_SAVE)
		return put(store, txn, key_make(KEY_META, 0), write->value.ptr, write->value.len);
	if (write->type == RAFT_WRITE)
		return apply_entries(store, txn, write);
	if (write->type == RAFT_TRUNCATE)
		return delete_entries(store, txn, write->index, UINT64_MAX);
	return apply_snapshot(store, txn, write);
}

/* On the worker thread; nobody else touches store->writing or LMDB meanwhile. */
static void commit(uv_work_t *work)
{
	struct raft_store *store = work->data;
	MDB_txn *txn;

	store->result = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (store->result)
		return;
	list_for_each (it, &store->writing) {
		store->result = apply(store, txn, list_entry(it, struct write, link));
		if (store->result)
			break;
	}
	if (store->result)
		mdb_txn_abort(txn);
	else
		store->result = mdb_txn_commit(txn);
}

static void write_free(struct write *write)
{
	for (size_t i = 0; i < write->entry_count && write->entries; i++)
		buf_deinit(&write->entries[i]);
	free(write->entries);
	buf_deinit(&write->value);
	list_remove(&write->link);
	free(write);
}

static void free_writes(struct list *writes)
{
	list_for_each_safe (it, writes)
		write_free(list_entry(it, struct write, link));
}

static void committed(uv_work_t *work, int status)
{
	struct raft_store *store = work->data;
	uint64_t last = 0;

	store->busy = false;
	list_for_each (it, &store->writing)
		last = list_entry(it, struct write, link)->number;
	free_writes(&store->writing);
	if (status == 0 && store->result == 0) {
		store->handler.durable(store->handler.user, last);
		return;
	}
	store->broken = true;
	free_writes(&store->waiting);
	store->handler.failed(store->handler.user, mdb_strerror(store->result));
}

static void flush(void *user)
{
	struct raft_store *store = user;

	if (store->busy || list_is_empty(&store->waiting))
		return;
	list_for_each_safe (it, &store->waiting) {
		list_remove(it);
		list_append(&store->writing, it);
	}
	store->busy = true;
	(void)uv_queue_work(loop_uv(store->loop), &store->work, commit, committed);
}

static void copy_entries(struct write *write, const struct raft_effect *effect)
{
	write->entries = mem_alloc(effect->entry_count, sizeof(*write->entries));
	for (size_t i = 0; i < effect->entry_count; i++)
		raft_entry_encode(&effect->entries[i], &write->entries[i]);
}

void raft_store_write(struct raft_store *store, const struct raft_effect *effect)
{
	struct write *write;

	if (store->broken)
		return;
	write = mem_new(struct write);
	write->number = effect->write;
	write->type = effect->type;
	write->index = effect->index;
	write->entry_count = effect->entry_count;
	if (effect->type == RAFT_SAVE)
		raft_meta_encode(&effect->meta, &write->value);
	else if (effect->type == RAFT_WRITE)
		copy_entries(write, effect);
	else if (effect->type == RAFT_SAVE_SNAPSHOT)
		raft_snapshot_encode(effect->snapshot, &write->value);
	else
		assert(effect->type == RAFT_TRUNCATE);
	list_append(&store->waiting, &write->link);
}

void raft_store_release(struct raft_store *store)
{
	for (size_t i = 0; i < store->entry_count; i++)
		free(store->entries[i].data);
	free(store->entries);
	store->entries = NULL;
	store->entry_count = store->entry_cap = 0;
	buf_deinit(&store->snapshot);
}

static int load_entry(struct raft_store *store, const MDB_val *value)
{
	if (store->entry_count == store->entry_cap) {
		store->entry_cap = store->entry_cap ? 2 * store->entry_cap : 16;
		store->entries =
			mem_resize(store->entries, store->entry_cap, sizeof(*store->entries));
	}
	if (store->entry_count >= RAFT_LOG_ENTRIES_MAX ||
	    raft_entry_decode(bytes_of(value->mv_data, value->mv_size),
			      &store->entries[store->entry_count]) != 0)
		return err_origin(-EBADMSG);
	store->entry_count++;
	return 0;
}

static int load_entries(struct raft_store *store, MDB_txn *txn, struct raft_saved *saved)
{
	struct key from = key_make(KEY_ENTRY, 0);
	MDB_val key = val(from.byte, KEY_LEN), value;
	MDB_cursor *cursor;
	int result = 0;

	if (mdb_cursor_open(txn, store->dbi, &cursor) != 0)
		return err_origin(-EIO);
	for (int got = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	     got == 0 && key_is_entry(&key) && result == 0;
	     got = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		if (store->entry_count == 0)
			saved->first = key_index(&key);
		else if (key_index(&key) != saved->first + store->entry_count)
			result = err_origin(-EBADMSG);
		if (result == 0)
			result = load_entry(store, &value);
	}
	mdb_cursor_close(cursor);
	return result;
}

static int load(struct raft_store *store, MDB_txn *txn, struct raft_saved *saved)
{
	struct bytes value;
	int result;

	if (get(store, txn, KEY_META, &value) == 0 && raft_meta_decode(value, &saved->meta) != 0)
		return err_origin(-EBADMSG);
	if (get(store, txn, KEY_SNAPSHOT, &value) == 0 &&
	    raft_snapshot_decode(value, &store->snapshot, &saved->snapshot) != 0)
		return err_origin(-EBADMSG);
	saved->first = saved->snapshot.index + 1;
	result = load_entries(store, txn, saved);
	saved->entries = store->entries;
	saved->entry_count = store->entry_count;
	if (result == 0 && (saved->first == 0 || saved->first > saved->snapshot.index + 1))
		result = err_origin(-EBADMSG);
	return result;
}

int raft_store_load(struct raft_store *store, struct raft_saved *ret_saved, struct err *err)
{
	MDB_txn *txn;
	int result = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);

	assert(!store->busy);
	raft_store_release(store);
	*ret_saved = (struct raft_saved){0};
	if (result)
		return err_set(err, -EIO, "read the log: %s", mdb_strerror(result));
	result = load(store, txn, ret_saved);
	mdb_txn_abort(txn);
	if (result < 0)
		return err_set(err, result, "read the log: %s",
			       result == -EBADMSG ? "it makes no sense" : strerror(-result));
	store->broken = false;
	return 0;
}

uint64_t raft_store_id(const struct raft_store *store)
{
	return store->id;
}

/* The member's id: what it has been, or a new one. */
static int find_id(struct raft_store *store)
{
	struct bytes value;
	MDB_txn *txn;
	int result = mdb_txn_begin(store->env, NULL, 0, &txn);

	if (result)
		return result;
	result = mdb_dbi_open(txn, NULL, 0, &store->dbi);
	if (result == 0)
		result = get(store, txn, KEY_ID, &value);
	if (result == 0 && value.len == sizeof(store->id)) {
		memcpy(&store->id, value.ptr, sizeof(store->id));
	} else if (result == MDB_NOTFOUND) {
		do
			store->id = entropy_u64();
		while (store->id == 0);
		result = put(store, txn, key_make(KEY_ID, 0), &store->id, sizeof(store->id));
	}
	if (result == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return result;
}

int raft_store_renew(struct raft_store *store, struct err *err)
{
	MDB_txn *txn;
	int result;

	if (store->busy)
		return err_set(err, -EBUSY, "it is being written");
	free_writes(&store->waiting);
	raft_store_release(store);
	result = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (result == 0) {
		result = mdb_drop(txn, store->dbi, 0);
		if (result == 0)
			result = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	if (result == 0)
		result = find_id(store);
	return result ? err_set(err, -EIO, "begin anew: %s", mdb_strerror(result)) : 0;
}

/* One process at a time, also if one was not ended properly. */
static int take_lock(struct raft_store *store, const char *dir, struct err *err)
{
	store->lock_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->lock_fd < 0)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, errno == EWOULDBLOCK ? -EBUSY : -errno, "%s: %s", dir,
			       errno == EWOULDBLOCK ? "another process has it" : strerror(errno));
	return 0;
}

static int open_environment(struct raft_store *store, const char *dir, struct err *err)
{
	int result = mdb_env_create(&store->env);

	if (result == 0)
		result = mdb_env_set_mapsize(store->env, RAFT_STORE_MAP_BYTES);
	if (result == 0)
		result = mdb_env_open(store->env, dir, MDB_NOTLS | MDB_NOLOCK, 0600);
	if (result == 0)
		result = find_id(store);
	return result ? err_set(err, -EIO, "%s: %s", dir, mdb_strerror(result)) : 0;
}

int raft_store_open(struct loop *loop, const char *dir, const struct raft_store_handler *handler,
		    struct raft_store **ret_store, struct err *err)
{
	struct raft_store *store = mem_new(struct raft_store);
	int r;

	store->loop = loop;
	store->handler = *handler;
	store->work.data = store;
	list_init(&store->waiting);
	list_init(&store->writing);
	r = take_lock(store, dir, err);
	if (r == 0)
		r = open_environment(store, dir, err);
	if (r < 0) {
		raft_store_close(store);
		return r;
	}
	store->flush = loop_hook_new(loop, flush, store);
	*ret_store = store;
	return 0;
}

static void ignore_durable(void *user, uint64_t write)
{
	(void)user;
	(void)write;
}

static void ignore_failure(void *user, const char *text)
{
	(void)user;
	(void)text;
}

void raft_store_close(struct raft_store *store)
{
	if (!store)
		return;
	loop_hook_free(store->flush);
	free_writes(&store->waiting);
	store->handler.durable = ignore_durable;
	store->handler.failed = ignore_failure;
	while (store->busy)
		(void)uv_run(loop_uv(store->loop), UV_RUN_ONCE);
	raft_store_release(store);
	if (store->env)
		mdb_env_close(store->env);
	if (store->lock_fd >= 0)
		(void)close(store->lock_fd);
	free(store);
}
