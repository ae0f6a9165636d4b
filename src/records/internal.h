/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the records: the table of items and what its files share.
 *
 * An item is one version of one record and never changes what it says; a newer version is a new
 * item. The table and queued effects hold references to items, so an effect stays true whatever
 * happens before the caller takes it.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "records/index.h"
#include "records/records.h"

enum {
	RECORD_KINDS = RECORD_NODE + 1,
	RECORD_KEY_LEN = 1 + 2 * UID_LEN,
	RECORDS_GONE_MS = 10 * 60 * 1000, /* a pod's end is remembered against late copies */
	RECORDS_STRANGER_MS = 30 * 1000,  /* memory of a machine that never came up here */
	RECORDS_SWEEP_MS = 60 * 1000,     /* between two looks for what has expired */
	RECORDS_WRITERS_MAX = 4096,       /* machines with records in memory, or known as lost */
	RECORDS_PUTS_MAX = 4096,          /* writes under way; the oldest is reported as it is */
	RECORDS_WAITERS_MAX = 8192,       /* peers that wait for our disk; they ask again */
	RECORDS_SYNC_SEND_MAX = 1024,     /* records sent for one message of a peer */
	RECORDS_SYNC_BYTES_MAX = 8 << 20,
	RECORDS_SYNC_AGAIN_MS = 100, /* when one round could not carry everything */
};

struct writer;

struct item {
	struct record_item shown;
	unsigned refs;
	uint8_t key[RECORD_KEY_LEN];
	uint8_t bucket;
	uint64_t fold;          /* its share of the bucket's digest */
	struct list in_bucket;  /* of struct records.buckets */
	struct list in_writer;  /* of struct writer.items; memory kinds only */
	struct writer *written; /* memory kinds only */
	struct item *same_name; /* OBJECT: the next younger one of the same name */
	bool unsaved;           /* the disk could not store it; it is tried again */
};

/* A machine that writes records which live in memory, and whether it is there. */
struct writer {
	struct node_id id;
	struct list items;
	size_t count, bytes;
	bool up, lost;
	struct mono since;
};

struct put {
	struct list link;
	uint64_t token;
	struct record_key key;
	struct record_version version;
	struct item *item;
	struct mono report_at, resend_at, end_at;
	struct node_id *keepers; /* the others; ourselves are @self */
	bool *acked;
	size_t keeper_count;
	bool self, self_acked, self_failed, reported;
	bool late; /* whoever has it first is enough */
};

/* A peer that is told when our disk has this version, or a newer one. */
struct waiter {
	struct list link;
	struct node_id from;
	struct record_key key;
	struct record_version version;
};

struct queued {
	struct records_effect effect;
	struct item *item;
};

/* What two machines compare, to find where they differ. */
struct bucket {
	struct list items;
	uint64_t fold;
	size_t count;
};

struct records {
	struct records_config config;
	struct prng prng;
	struct mono now;
	struct wall fabric;
	uint64_t clock;
	struct node_id *stewards; /* live, ascending */
	size_t steward_count;

	struct map items;                  /* key -> item: the newest version of each */
	struct index by_key[RECORD_KINDS]; /* all of a kind; presences of one workload adjoin */
	struct map kinds;                  /* Kubernetes kind -> struct index by namespace, name */
	struct map names;                  /* namespace, kind, name -> the oldest such object */
	struct map buried;                 /* uid -> deleted object with presences */
	struct bucket *buckets; /* SYNC_BUCKETS; none where nothing is copied to others */
	size_t gone_count, clash_count, unsaved_count;
	size_t bytes; /* of all items in the table */
	struct map writers;

	struct list puts, waiters;
	size_t put_count, waiter_count;
	uint64_t token;
	struct mono sync_at, sweep_at;

	struct queued *effects;
	size_t effect_count, effect_cap, effect_next;
};

/* item.c */
struct item *item_new(const struct record *record, struct bytes envelope,
		      const struct node_id *writer);
struct item *item_ref(struct item *item);
void item_unref(struct item *item);
size_t item_bytes(const struct item *item);
bool item_is_live(const struct item *item); /* not the memory of a pod that is gone */
uint64_t item_created_hlc(const struct item *item);
struct digest item_distance(const struct uid *uid, const struct node_id *id);
bool kind_is_durable(enum record_kind kind);
void record_key_bytes(const struct record_key *key, uint8_t out[RECORD_KEY_LEN]);

/* table.c */
void table_init(struct records *records);
void table_deinit(struct records *records);
struct item *table_find(const struct records *records, const struct record_key *key);
/* Insert @item in the place of the older version of its key, if any. Takes the reference. */
void table_insert(struct records *records, struct item *item);
void table_remove(struct records *records, struct item *item);
const struct item *table_tombstone(const struct records *records, const struct uid *uid);
bool table_has_presence(const struct records *records, const struct uid *workload);

/* name.c */
struct item *name_find(const struct records *records, const char *namespace, const char *kind,
		       const char *name);
void name_insert(struct records *records, struct item *item);
void name_remove(struct records *records, struct item *item);
void name_report_clashes(struct records *records); /* all that there are */
struct index *name_kind_index(const struct records *records, const char *kind);

/* writer.c */
struct writer *writer_find(const struct records *records, const struct node_id *id);
struct writer *writer_get(struct records *records, const struct node_id *id); /* NULL: full */
void writer_heard(struct records *records, const struct node_id *id);
void writer_add(struct writer *writer, struct item *item);
void writer_drop(struct item *item);
void writer_sweep(struct records *records);
void writers_deinit(struct records *records);

/* merge.c */
void merge_remove(struct records *records, struct item *item);
void merge_sweep(struct records *records);

/* put.c */
void put_start(struct records *records, struct item *item, uint64_t *ret_token);
void put_acked(struct records *records, const struct node_id *from, const struct record_ack *ack);
void put_saved(struct records *records, const struct record_key *key,
	       const struct record_version *version, bool stored);
void put_tick(struct records *records);
struct mono put_deadline(const struct records *records);
void puts_deinit(struct records *records);

/* ack.c: what we tell those who sent us a record */
void ack_send(struct records *records, const struct node_id *to, const struct record *record,
	      const char *refusal);
void ack_later(struct records *records, const struct node_id *to, const struct record *record);
void ack_saved(struct records *records, const struct record_key *key,
	       const struct record_version *version, bool stored);
void acks_deinit(struct records *records);

/* sync.c */
bool sync_is_steward(const struct records *records, const struct node_id *id);
void sync_start(struct records *records, const struct node_id *with);
void sync_summary_received(struct records *records, const struct node_id *from,
			   const struct sync_summary *summary);
void sync_keys_received(struct records *records, const struct node_id *from,
			const struct sync_keys *keys);
void sync_want_received(struct records *records, const struct node_id *from,
			const struct sync_want *want);
void sync_tick(struct records *records);

/* effect.c */
struct records_effect *effect_queue(struct records *records, enum records_effect_type type,
				    struct item *item);
struct message *effect_send(struct records *records, const struct node_id *to,
			    enum message_type type);
void effect_send_item(struct records *records, const struct node_id *to, struct item *item);
void effect_changed(struct records *records, struct item *item, enum records_change change);
void records_effects_deinit(struct records *records);
