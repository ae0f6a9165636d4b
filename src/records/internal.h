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
#include "records/home.h"
#include "records/index.h"
#include "records/records.h"
#include "records/steward.h"

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
	RECORDS_AGREED_MS = 60 * 1000, /* then those who differ in what both keep compare again */
	RECORDS_SYNC_AGAIN_MS = 100,   /* when one round could not carry everything */
};

struct writer;

struct item {
	struct record_item shown;
	unsigned refs;
	uint8_t key[RECORD_KEY_LEN];
	uint8_t bucket;
	uint64_t fold;         /* its share of the bucket's digest */
	struct list in_bucket; /* of struct records.buckets */
	struct list in_writer; /* of struct writer.items; memory kinds only */
	struct list in_home;   /* of struct home.items */
	struct home *home;     /* while it is in the table */
	bool value_is_lent;    /* by the envelope */
	bool kept;             /* not only a copy of what others keep */
	struct mono heard;     /* from its writer, or else from a keeper for the first time */
	uint8_t had;           /* bits: which of the home's keepers have it; while it is not ours */
	struct writer *written; /* memory kinds only */
	struct item *same_name; /* OBJECT: the next younger one of the same name */
	bool unsaved;           /* the disk could not store it; it is tried again */
	bool doubted;           /* it may have been deleted: doubt.c; set while not in the table */
};

/* A machine that writes records which live in memory, and whether it is there. */
struct writer {
	struct node_id id;
	struct list items;
	size_t count, bytes;
	bool up, lost;
	struct mono since;
};

enum put_stage {
	PUT_LOCATING, /* its keepers are being looked up */
	PUT_ASKING,   /* the first of them decides whether it may be written */
	PUT_SENDING,
};

struct put {
	struct list link;
	enum put_stage stage;
	uint64_t expected; /* UINT64_MAX: whatever there is */
	size_t asked;      /* of the keepers: who is asked */
	struct mono ask_until;
	uint64_t token;
	struct record_key key;
	struct record_version version;
	struct item *item;
	struct mono report_at, resend_at, end_at;
	struct contact *keepers; /* the others, nearest first; ourselves are @self */
	bool *acked;
	size_t keeper_count;
	bool self, self_acked, self_failed, reported;
	bool late;       /* whoever has it first is enough */
	unsigned sought; /* so often keepers were silent, and others found in their place */
};

/* A peer that is told when our disk has this version, or a newer one. */
struct waiter {
	struct list link;
	struct waiter *next; /* who waits for the same key */
	struct node_id from;
	struct record_key key;
	struct record_version version;
};

struct queued {
	struct records_effect effect;
	struct item *item, *rival;
	struct contact *contacts; /* LOCATED */
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
	uint64_t position; /* ours */
	struct stewards stewards;
	bool large;            /* not every steward keeps everything */
	bool unsized;          /* whether it is large is not known yet */
	struct map homes;      /* home -> struct home */
	struct map partners;   /* node id -> struct partner */
	struct mono repair_at; /* the next partner or offer that is due */
	struct mono sole_at;   /* from then on we are alone, if nobody comes */
	int64_t sole_since;    /* fabric ms; 0: we never were */
	uint64_t fold;         /* xor of all in the table */

	struct map electors;     /* node id -> struct elector: apart.c */
	struct map standings;    /* node id -> int64_t: since when it says that it is apart */
	int64_t apart_ms;        /* fabric ms: we are apart since; 0: we are not */
	int64_t among_ms;        /* fabric ms: then we were not */
	bool apart_borrowed;     /* by the word of others */
	struct mono among_since; /* most are here */
	struct mono old_news;    /* something durable came late, the last time */
	int64_t complete_ms;     /* fabric ms: all deletions since are known; 0: who knows */

	struct map items;                  /* key -> item: the newest version of each */
	struct index by_key[RECORD_KINDS]; /* all of a kind; presences of one workload adjoin */
	struct map kinds;                  /* Kubernetes kind -> struct index by namespace, name */
	struct map names;                  /* namespace, kind, name -> the oldest such object */
	struct map buried;                 /* uid -> deleted object with presences */
	struct map doubts;                 /* uid -> object that is hidden: doubt.c */
	size_t doubted_count;              /* those that are shown */
	bool doubts_hidden;
	int64_t doubt_until_ms; /* fabric ms; 0: nothing is doubted */
	struct bucket *buckets; /* SYNC_BUCKETS; none where nothing is copied to others */
	size_t gone_count, clash_count, unsaved_count;
	size_t bytes; /* of all items in the table */
	struct map writers;

	struct list places, locates, regions; /* locate.c */
	size_t region_count;
	struct map places_by_id;
	size_t locate_count;
	struct map wanted;   /* key -> struct wanted: want.c */
	struct list fetches; /* fetch.c */
	size_t fetch_count;

	struct list puts, waiters; /* oldest first */
	struct map waiters_by_key; /* key -> struct waiter */
	size_t put_count, waiter_count;
	uint64_t token;
	struct mono sync_at, sweep_at, renew_at;

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
/* Where the objects of @namespace begin in such an index, and where those behind it begin. */
size_t name_first_in(const struct index *index, const char *namespace);
size_t name_first_behind(const struct index *index, const char *namespace);

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
/* It is kept elsewhere: no more is said about it than that it is not here. */
void merge_drop(struct records *records, struct item *item);
/* A write that its first keeper has agreed to. Takes the reference. */
void merge_agreed(struct records *records, struct item *item);
void merge_sweep(struct records *records);

/* doubt.c */
bool doubt_is_due(const struct records *records, const struct item *item);
void doubt_hide(struct records *records, struct item *item); /* takes the reference */
/* Nothing happens to what is not in doubt. */
void doubt_lives(struct records *records, const struct uid *uid);
void doubt_ends(struct records *records, const struct uid *uid);
void doubts_deinit(struct records *records);

/* apart.c */
/* @from says since when it is apart; then it is lost. */
void apart_heard(struct records *records, const struct node_id *from, int64_t apart_ms);
void apart_lost(struct records *records, const struct node_id *id);
void apart_tick(struct records *records);
/* A tombstone that has expired, but not for those who are apart. */
bool apart_holds(const struct records *records, const struct record *tombstone);
/* 0, RECORDS_E_ABSENT or RECORDS_E_UNHEARD: what @from brings, and we do not have. */
_must_use_ int apart_judge(const struct records *records, const struct node_id *from,
			   const struct record *record);
void apart_init(struct records *records);
void apart_deinit(struct records *records);

/* put.c */
/* @item is in the table, unless it waits for the first keeper's word: put_must_ask(). */
void put_start(struct records *records, struct item *item, uint64_t expected_hlc,
	       uint64_t *ret_token);
bool put_must_ask(const struct records *records, const struct record *record,
		  uint64_t expected_hlc);
bool put_is_open(const struct records *records, const struct item *item);
void put_renew(struct records *records); /* bring our own word to its keepers again */
void put_refused(struct records *records, const struct record_ack *ack);
void put_located(struct records *records, const struct uid *home);
void put_acked(struct records *records, const struct node_id *from, const struct record_ack *ack);
void put_saved(struct records *records, const struct record_key *key,
	       const struct record_version *version, bool stored);
void put_tick(struct records *records);
struct mono put_deadline(const struct records *records);
void puts_deinit(struct records *records);

/* ack.c: what we tell those who sent us a record */
void ack_send(struct records *records, const struct node_id *to, const struct record *record,
	      const char *refusal);
void ack_send_conflict(struct records *records, const struct node_id *to,
		       const struct record *record);
void ack_later(struct records *records, const struct node_id *to, const struct record *record);
void ack_saved(struct records *records, const struct record_key *key,
	       const struct record_version *version, bool stored);
void acks_init(struct records *records);
void acks_deinit(struct records *records);

/* sync.c */
void sync_start(struct records *records, const struct node_id *with);
void sync_summary_received(struct records *records, const struct node_id *from,
			   const struct sync_summary *summary);
void sync_keys_received(struct records *records, const struct node_id *from,
			const struct sync_keys *keys);
void sync_want_received(struct records *records, const struct node_id *from,
			const struct sync_want *want);
void sync_tick(struct records *records);

/* want.c: what was asked for and may be on its way */
/* False: another peer was asked for it a moment ago. True: @from is asked now. */
_must_use_ bool want_may_ask(struct records *records, const struct node_id *from,
			     const struct sync_entry *entry);
void want_sweep(struct records *records);
void want_init(struct records *records);
void want_deinit(struct records *records);

/* handover.c: what is no longer ours */
void handover_tick(struct records *records);
void handover_offered(struct records *records, const struct node_id *from,
		      const struct sync_offer *offer);
void handover_had(struct records *records, const struct node_id *from,
		  const struct sync_offer *have);
void handover_acked(struct records *records, const struct node_id *from,
		    const struct record_ack *ack);

/* locate.c: who keeps a home */
/* The keepers of a home, nearest first, ourselves among them if we are one. False: they are being
 * looked up; put_located() and fetch_located() are called when that has ended. */
_must_use_ bool place_keepers(struct records *records, const struct uid *home,
			      struct contact ret_keepers[RECORDS_KEEPERS], size_t *ret_count);
/* One of them did not answer: the next one who asks has them looked up again. */
void place_doubt(struct records *records, const struct uid *home);
/* @id, who was taken for one of them, is silent: others are in its place. */
void place_without(struct records *records, const struct uid *home, const struct node_id *id);
bool place_is_old(const struct records *records, const struct uid *home);
void locate_init(struct records *records);
void locate_deinit(struct records *records);

/* fetch.c */
bool fetch_is_open(const struct records *records, const struct uid *home);
void fetch_asked(struct records *records, const struct node_id *from, const struct fetch *fetch);
void fetch_answered(struct records *records, const struct node_id *from,
		    const struct fetched *fetched);
void fetch_located(struct records *records, const struct uid *home);
void fetch_record(struct records *records, const struct item *item); /* it has come */
void fetch_tick(struct records *records);
struct mono fetch_deadline(const struct records *records);
void fetches_deinit(struct records *records);
void copies_sweep(struct records *records);

/* effect.c */
struct records_effect *effect_queue(struct records *records, enum records_effect_type type,
				    struct item *item);
struct message *effect_send(struct records *records, const struct node_id *to,
			    enum message_type type);
void effect_send_item(struct records *records, const struct node_id *to, struct item *item);
void effect_send_item_to(struct records *records, const struct contact *to, struct item *item);
void effect_located(struct records *records, const struct uid *home, uint64_t token,
		    const struct contact *keepers, size_t count);
/* Two versions of one object. */
void effect_rivals(struct records *records, struct item *item, struct item *rival);
void effect_changed(struct records *records, struct item *item, enum records_change change);
/* @old is removed by @end, the last word about it. */
void effect_ended(struct records *records, struct item *old, struct item *end);
void records_effects_deinit(struct records *records);
