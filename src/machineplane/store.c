/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store: durable records on disk, in LMDB under D/fabric/records.
 *
 * Writes are collected while the loop turns and committed together, one transaction and one fsync,
 * on a worker thread; the node hears of each when the commit is done. Certificates of the records'
 * writers are kept beside them, so that what was stored can be opened again without asking anyone.
 *
 * Records are sealed under a key of this machine (D/fabric/records.key), all of them, so that no
 * kind with a secret in it can be forgotten: a copied or discarded disk image without that file
 * says nothing.
 */
#include "machineplane/fabric.h"

#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/list.h"
#include "base/mem.h"
#include "identity/envelope.h"
#include "io/clock.h"
#include "machineplane/vault.h"

enum {
	STORE_MAP_BYTES = 1 << 30, /* address space, not memory: 200,000 records of 4 KiB */
	STORE_KEY_LEN = 1 + 2 * UID_LEN,
	STORE_DATABASES = 3,
};

struct write {
	struct list link;
	struct record_key key;
	struct record_version version;
	struct buf envelope; /* empty: forget the key */
	struct digest issuer;
	struct buf chain; /* of the issuer, empty: not at hand */
	struct buf meta;  /* not a record, but what this machine keeps under this name */
	bool secret;      /* it is sealed, as records are */
	bool chain_only;  /* nothing but the chain is written */
};

struct store {
	struct fabric *fabric;
	struct vault vault;
	MDB_env *env;
	MDB_dbi records, leaves, meta;
	struct list waiting, writing; /* struct write */
	uv_work_t work;
	bool busy, closing;
	int result; /* of the commit under way */
};

static void key_encode(const struct record_key *key, uint8_t out[STORE_KEY_LEN])
{
	out[0] = (uint8_t)key->kind;
	memcpy(out + 1, key->uid.byte, UID_LEN);
	memcpy(out + 1 + UID_LEN, key->sub.byte, UID_LEN);
}

static MDB_val val(struct bytes bytes)
{
	/* LMDB reads through this pointer only; its struct has no const form. */
	return (MDB_val){.mv_size = bytes.len, .mv_data = (void *)(uintptr_t)bytes.ptr};
}

static int open_databases(struct store *store)
{
	MDB_txn *txn;
	int result = mdb_txn_begin(store->env, NULL, 0, &txn);

	if (result)
		return result;
	result = mdb_dbi_open(txn, "records", MDB_CREATE, &store->records);
	if (result == 0)
		result = mdb_dbi_open(txn, "leaves", MDB_CREATE, &store->leaves);
	if (result == 0)
		result = mdb_dbi_open(txn, "meta", MDB_CREATE, &store->meta);
	if (result == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return result;
}

static int open_environment(struct store *store, struct err *err)
{
	struct buf path = {0};
	int result;

	buf_append_format(&path, "%s/fabric/records", store->fabric->settings.options.state_dir);
	result = mkdir(buf_cstr(&path), 0700) == 0 || errno == EEXIST ? 0 : errno;
	if (result == 0)
		result = mdb_env_create(&store->env);
	if (result == 0)
		result = mdb_env_set_mapsize(store->env, STORE_MAP_BYTES);
	if (result == 0)
		result = mdb_env_set_maxdbs(store->env, STORE_DATABASES);
	if (result == 0)
		result = mdb_env_open(store->env, buf_cstr(&path), MDB_NOTLS, 0600);
	if (result == 0)
		result = open_databases(store);
	if (result)
		result = err_set(err, -EIO, "%s: %s", buf_cstr(&path), mdb_strerror(result));
	buf_deinit(&path);
	return result;
}

static int open_vault(struct store *store, struct err *err)
{
	struct buf path = {0};
	int result;

	buf_append_format(&path, "%s/fabric/records.key",
			  store->fabric->settings.options.state_dir);
	result = vault_open(buf_cstr(&path), &store->vault, err);
	buf_deinit(&path);
	return result;
}

struct store *store_open(struct fabric *fabric, struct err *err)
{
	struct store *store = mem_new(struct store);

	store->fabric = fabric;
	list_init(&store->waiting);
	list_init(&store->writing);
	store->work.data = store;
	if (open_vault(store, err) == 0 && open_environment(store, err) == 0)
		return store;
	store_close(store);
	return NULL;
}

static void write_free(struct write *write)
{
	list_remove(&write->link);
	buf_deinit(&write->envelope);
	buf_deinit(&write->chain);
	buf_deinit(&write->meta);
	free(write);
}

/* @write's value under @key; none: nothing any more. */
static int write_value(const struct store *store, MDB_txn *txn, MDB_dbi dbi, MDB_val *key,
		       const struct write *write)
{
	struct buf sealed = {0};
	MDB_val value = val(bytes_buf(&write->envelope));
	int result;

	if (!write->envelope.len) {
		result = mdb_del(txn, dbi, key, NULL);
		return result == MDB_NOTFOUND ? 0 : result;
	}
	if (!write->meta.len || write->secret) {
		vault_seal(&store->vault, bytes_buf(&write->envelope), &sealed);
		value = val(bytes_buf(&sealed));
	}
	result = mdb_put(txn, dbi, key, &value, 0);
	buf_deinit(&sealed);
	return result;
}

static int write_apply(struct store *store, MDB_txn *txn, const struct write *write)
{
	uint8_t bytes[STORE_KEY_LEN];
	MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes}, issuer, chain;
	int result = 0;

	key_encode(&write->key, bytes);
	if (write->meta.len)
		key = val(bytes_buf(&write->meta));
	if (!write->chain_only)
		result = write_value(store, txn, write->meta.len ? store->meta : store->records,
				     &key, write);
	if (result || !write->chain.len)
		return result;
	issuer = val(bytes_of(write->issuer.byte, ID_LEN));
	chain = val(bytes_buf(&write->chain));
	return mdb_put(txn, store->leaves, &issuer, &chain, 0);
}

/* On the worker thread; nobody else touches store->writing or writes to LMDB meanwhile. */
static void commit(uv_work_t *work)
{
	struct store *store = work->data;
	MDB_txn *txn;

	store->result = mdb_txn_begin(store->env, NULL, 0, &txn);
	if (store->result)
		return;
	list_for_each (it, &store->writing) {
		store->result = write_apply(store, txn, list_entry(it, struct write, link));
		if (store->result)
			break;
	}
	if (store->result)
		mdb_txn_abort(txn);
	else
		store->result = mdb_txn_commit(txn);
}

static void committed(uv_work_t *work, int status)
{
	struct store *store = work->data;
	bool stored = status == 0 && store->result == 0;

	store->busy = false;
	if (!stored)
		log_event(LOG_LEVEL_ERROR, "store-failed", "records could not be written: %s",
			  mdb_strerror(store->result));
	list_for_each_safe (it, &store->writing) {
		struct write *write = list_entry(it, struct write, link);

		if (write->envelope.len && !write->meta.len && !store->closing)
			node_persisted(store->fabric->node, clock_mono(), &write->key,
				       &write->version, stored);
		write_free(write);
	}
}

void store_flush(struct store *store)
{
	if (store->busy || list_is_empty(&store->waiting))
		return;
	list_for_each_safe (it, &store->waiting) {
		list_remove(it);
		list_append(&store->writing, it);
	}
	store->busy = true;
	(void)uv_queue_work(loop_uv(store->fabric->loop), &store->work, commit, committed);
}

/* The chain of the issuer of an envelope, if that is at hand. */
static void add_chain(struct store *store, struct write *write, struct bytes bytes)
{
	struct node_trust trust = fabric_node_trust(store->fabric);
	struct envelope envelope;
	struct leaf leaf;

	if (envelope_parse(bytes, &envelope) != 0)
		return;
	write->issuer = envelope.issuer;
	if (!trust.ops->leaf_get(trust.self, &envelope.issuer, &leaf))
		return;
	for (size_t i = 0; i < leaf.cert_count; i++) {
		buf_append_bytes(&write->chain, bytes_buf(&leaf.certs[i]));
		buf_deinit(&leaf.certs[i]);
	}
}

void store_put(struct store *store, const struct record_key *key,
	       const struct record_version *version, struct bytes bytes)
{
	struct write *write = mem_new(struct write);

	write->key = *key;
	write->version = *version;
	buf_append_bytes(&write->envelope, bytes);
	add_chain(store, write, bytes);
	list_append(&store->waiting, &write->link);
}

void store_keep_issuer(struct store *store, struct bytes envelope)
{
	struct write *write = mem_new(struct write);

	write->chain_only = true;
	add_chain(store, write, envelope);
	list_append(&store->waiting, &write->link);
}

void store_forget(struct store *store, const struct record_key *key)
{
	struct write *write = mem_new(struct write);

	write->key = *key;
	list_append(&store->waiting, &write->link);
}

bool store_leaf(struct store *store, const struct digest *leaf, struct buf *ret_chain)
{
	MDB_val key = val(bytes_of(leaf->byte, ID_LEN)), value;
	MDB_txn *txn;
	bool found;

	if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	found = mdb_get(txn, store->leaves, &key, &value) == 0;
	if (found)
		buf_append(ret_chain, value.mv_data, value.mv_size);
	mdb_txn_abort(txn);
	return found;
}

static int restore_record(struct store *store, struct bytes sealed)
{
	struct buf envelope = {0};
	int outcome = vault_unseal(&store->vault, sealed, &envelope);

	if (outcome == 0)
		outcome = node_restore(store->fabric->node, clock_mono(), bytes_buf(&envelope));
	buf_deinit(&envelope);
	return outcome;
}

/* Who wrote a record is looked up with it (trust.c): all that there ever were might not fit into
 * the cache of chains. */
static size_t restore_records(struct store *store, MDB_txn *txn)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	size_t count = 0;

	if (mdb_cursor_open(txn, store->records, &cursor) != 0)
		return 0;
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
		int outcome = restore_record(store, bytes_of(value.mv_data, value.mv_size));

		if (outcome == 0)
			count++;
		else
			log_event(LOG_LEVEL_WARN, "record-unreadable",
				  "a stored record was left out (outcome %d)", outcome);
	}
	mdb_cursor_close(cursor);
	return count;
}

size_t store_restore(struct store *store)
{
	MDB_txn *txn;
	size_t count;

	if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) != 0)
		return 0;
	count = restore_records(store, txn);
	mdb_txn_abort(txn);
	return count;
}

/* ---- what this machine keeps for itself */

static void meta_put(struct store *store, const char *name, struct bytes value)
{
	struct write *write = mem_new(struct write);

	buf_append_str(&write->meta, name);
	buf_append_bytes(&write->envelope, value);
	list_append(&store->waiting, &write->link);
}

static void meta_get(struct store *store, const char *name, struct buf *ret_value)
{
	MDB_val key = val(bytes_str(name)), value;
	MDB_txn *txn;

	if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) != 0)
		return;
	if (mdb_get(txn, store->meta, &key, &value) == 0)
		buf_append(ret_value, value.mv_data, value.mv_size);
	mdb_txn_abort(txn);
}

/* A plain struct as it was written; false: none was, or by a version that had another one. */
static bool meta_get_struct(struct store *store, const char *name, void *ret, size_t size)
{
	struct buf value = {0};
	bool right;

	meta_get(store, name, &value);
	right = value.len == size;
	if (right)
		memcpy(ret, value.ptr, size);
	buf_deinit(&value);
	return right;
}

struct fabric_time_kept store_time(struct store *store)
{
	struct fabric_time_kept kept = {0};

	(void)meta_get_struct(store, "time", &kept, sizeof(kept));
	return kept;
}

void store_keep_time(struct store *store, const struct fabric_time_kept *kept)
{
	meta_put(store, "time", bytes_of(kept, sizeof(*kept)));
}

struct node_complete store_complete(struct store *store)
{
	struct node_complete complete = {0};

	(void)meta_get_struct(store, "complete", &complete, sizeof(complete));
	return complete;
}

void store_keep_complete(struct store *store, const struct node_complete *complete)
{
	if (complete->since_ms)
		meta_put(store, "complete", bytes_of(complete, sizeof(*complete)));
}

bool store_standing(struct store *store, struct records_standing *ret)
{
	return meta_get_struct(store, "standing", ret, sizeof(*ret));
}

void store_keep_standing(struct store *store, const struct records_standing *standing)
{
	if (standing->among_ms)
		meta_put(store, "standing", bytes_of(standing, sizeof(*standing)));
}

struct note_names {
	char confirmed[sizeof("confirmed/") + UID_TEXT_LEN],
		object[sizeof("object/") + UID_TEXT_LEN];
};

static struct note_names note_names(const struct uid *pod_uid)
{
	struct id_text uid = uid_text(pod_uid);
	struct note_names names;

	(void)snprintf(names.confirmed, sizeof(names.confirmed), "confirmed/%.*s",
		       (int)UID_TEXT_LEN, uid.text);
	(void)snprintf(names.object, sizeof(names.object), "object/%.*s", (int)UID_TEXT_LEN,
		       uid.text);
	return names;
}

void store_note(struct store *store, const struct uid *pod_uid, int64_t confirmed_ms,
		struct bytes object)
{
	struct note_names names = note_names(pod_uid);
	struct write *write;

	meta_put(store, names.confirmed,
		 bytes_of(&confirmed_ms, confirmed_ms ? sizeof(confirmed_ms) : 0));
	if (confirmed_ms && !object.len)
		return;
	write = mem_new(struct write);
	buf_append_str(&write->meta, names.object);
	write->secret = true;
	if (confirmed_ms) {
		buf_append_bytes(&write->envelope, object);
		add_chain(store, write, object);
	}
	list_append(&store->waiting, &write->link);
}

struct node_note store_read_note(struct store *store, const struct uid *pod_uid,
				 struct buf *ret_object)
{
	struct note_names names = note_names(pod_uid);
	struct node_note note = {0};
	struct buf sealed = {0};

	(void)meta_get_struct(store, names.confirmed, &note.confirmed_ms,
			      sizeof(note.confirmed_ms));
	meta_get(store, names.object, &sealed);
	if (sealed.len && vault_unseal(&store->vault, bytes_buf(&sealed), ret_object) == 0)
		note.object = bytes_buf(ret_object);
	buf_deinit(&sealed);
	return note;
}

/* What is waiting is written before the process ends: it may have been promised to nobody yet, but
 * it costs one commit and saves a synchronisation. */
void store_close(struct store *store)
{
	if (!store)
		return;
	store->closing = true;
	while (store->busy)
		(void)uv_run(loop_uv(store->fabric->loop), UV_RUN_ONCE);
	list_for_each_safe (it, &store->waiting) {
		list_remove(it);
		list_append(&store->writing, it);
	}
	if (store->env && !list_is_empty(&store->writing))
		commit(&store->work);
	list_for_each_safe (written, &store->writing)
		write_free(list_entry(written, struct write, link));
	if (store->env)
		mdb_env_close(store->env);
	vault_close(&store->vault);
	free(store);
}
