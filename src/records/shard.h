/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shards: the index of a large fabric, by which records are found that are kept elsewhere
 * (docs/protocol.md, 8).
 *
 * A row says under which uid the record of a (kind, namespace, name) is; the record itself is then
 * fetched from its keepers and judged by its signature, so that a wrong row misleads nobody, it
 * only costs a question. The rows of one (kind, namespace) are a *shard*, held in memory by the
 * SHARD_KEEPERS stewards that would keep a record there: SHA-256("index KIND/NAMESPACE/BITS").
 * Beyond SHARD_ROWS_MAX rows it splits by the next bit of SHA-256(name); two halves that have
 * become small merge again. BITS are the bits so far, "" at the root.
 *
 * Soft state: the controller of a record says its row again every SHARD_RENEW_MS, and a row that
 * nobody has confirmed for SHARD_ROW_MS is dropped; a deleted record's row says so for
 * SHARD_GONE_MS, so that no late copy brings it back. Holders compare their shards with each other
 * and hand them on to machines that are nearer.
 *
 * Of the namespaced kinds a shard of namespace "*" lists the namespaces that have such objects; the
 * holders of those root shards write its rows.
 *
 * Sans-IO: events in, effects out (shards_next_effect() until NULL, shards_tick() at
 * shards_deadline()). Who is near to a key is the caller's to say: SHARDS_LOCATE asks it to look
 * that up, @nearest what it knows by itself, which is right for keys near to this machine.
 */
#pragma once

#include "base/time.h"
#include "wire/message.h"

enum {
	SHARD_KEEPERS = 5,           /* as of records: three may fail at once */
	SHARD_READS = 3,             /* holders that a question goes to */
	SHARD_ROWS_MAX = 1000,       /* more are split: a list of them is a message of 100 KiB */
	SHARD_MERGE_ROWS = 400,      /* of two halves together: far from the next split */
	SHARD_HOLD_MAX = 2000,       /* of one shard, while it splits or cannot: then refused */
	SHARD_COUNT_MAX = 16384,     /* shards held here, */
	SHARD_TOTAL_MAX = 200000,    /* and rows of all: 40 MiB. Beyond: refused and counted */
	SHARD_RENEW_MS = 600 * 1000, /* a machine with 500 records says one row a second */
	SHARD_ROW_MS = 1500 * 1000,  /* 2.5 renewals */
	SHARD_GONE_MS = 3000 * 1000, /* longer than any row lives unconfirmed */
	SHARD_BATCH_MS = 60 * 1000,  /* rows that are due so soon go with those that are due now */
	SHARD_SYNC_MS = 30 * 1000,   /* a shard is compared with one other holder's */
	SHARD_REPORT_MS = 60 * 1000, /* a half tells its parent how large it is */
	SHARD_SPLIT_MS = 200 * 1000, /* a parent that hears of no half for so long forgets */
	SHARD_MERGING_MS = 200 * 1000, /* a merged one still names its halves: both had a chance to
					* hand their rows up */
	SHARD_ANSWER_MS = 700,         /* a holder that has not answered by then is passed by; */
	SHARD_SLOW_MS = 1500,          /* the first answer of all is waited for so long */
	SHARD_ATTEMPTS = 3,
	SHARD_PLACE_MS = 60 * 1000,        /* who is near to a key is remembered so long, of */
	SHARD_PLACES_MAX = 1024,           /* so many keys */
	SHARD_CALLS_MAX = 64,              /* questions under way; more wait */
	SHARD_WAITING_MAX = 8192,          /* beyond: new ones fail, and rows are said later */
	SHARD_READS_MAX = 256,             /* lookups and lists under way */
	SHARD_WALK_MAX = 65536,            /* rows that one list returns */
	SHARD_READ_MS = 8000,              /* then a lookup or list ends with what it has */
	SHARD_ONCE_MS = 120 * 1000,        /* a row that is said once is dropped after this, */
	SHARD_ONCE_ROW_MS = 300 * 1000,    /* and by its holders after this, unless its controller
					    * says it: it may have been written in part and lost */
	SHARD_HOLDERS_MS = 60 * 60 * 1000, /* rows that are said again go to those who had them
					    * the last time, while all of them answer */
	SHARD_RETRY_MS = 20 * 1000,        /* a row that could not be said is said again */
};

struct shards_config {
	struct node_id self;
	bool steward; /* holds shards */
	uint64_t seed;
	/* Up to @max stewards nearest to @key as this machine knows, itself included, nearest
	 * first.
	 */
	size_t (*nearest)(void *arg, const struct digest *key, struct contact *ret_contacts,
			  size_t max);
	/* Does this machine still answer for that record? Asked before a row is said again; NULL:
	 * it does. */
	bool (*answers_for)(void *arg, const char *kind, const struct index_row *row);
	void *arg;
};

enum shards_effect_type {
	SHARDS_SEND,   /* @message to @to */
	SHARDS_LOCATE, /* look up the stewards nearest to @key; then shards_located() with @token */
	SHARDS_FOUND,  /* the lookup or list @token has ended with @rows */
};

/* A row with what its shard says of it; borrowed. */
struct shards_row {
	const char *kind, *namespace;
	struct index_row row;
};

struct shards_effect {
	enum shards_effect_type type;
	struct contact to;
	struct message message;
	struct digest key;
	uint64_t token;
	const struct shards_row *rows; /* none of them gone */
	size_t row_count;
	bool complete; /* FOUND: somebody answered for every shard; else a row may be missing */
};

struct shards_counts {
	size_t shards, rows, own;
	size_t largest; /* rows of one shard that is not just being split */
	uint64_t splits, merges, refused;
};

struct shards;

struct shards *shards_new(const struct shards_config *config, struct mono now);
void shards_free(struct shards *shards);

/*
 * This machine answers for the record that @row names: its row is said at once if it is new or
 * newer, and again from time to time, until shards_disown() or, when it is gone, SHARD_GONE_MS.
 */
void shards_own(struct shards *shards, struct mono now, const char *kind, const char *namespace,
		const struct index_row *row);
/* The same, but said only now: who wrote a record need not wait until its controller has it. */
void shards_say(struct shards *shards, struct mono now, const char *kind, const char *namespace,
		const struct index_row *row);
void shards_disown(struct shards *shards, const char *kind, const char *namespace,
		   const struct index_row *row);

/*
 * As things lie where they have been for long: for simulations and tests that begin so.
 *
 * shards_layout() shows each shard that @rows of one (kind, namespace) make, each row in the leaf
 * that has it; what is shown is borrowed. shards_hold(): this machine has held that part until now,
 * each row confirmed as long ago as it says. shards_said(): it has said that row to the holders of
 * its leaf, and says it again when that is due, at some moment within SHARD_RENEW_MS.
 */
struct shards_part {
	struct shard_id id;
	bool split; /* its rows are those of its halves, so many each: */
	size_t halves[2];
	const struct index_row *rows;
	size_t row_count;
};

typedef void shards_layout_fn(void *arg, const struct shards_part *part);

void shards_layout(const char *kind, const char *namespace, const struct index_row *rows,
		   size_t count, shards_layout_fn *each, void *arg);
void shards_hold(struct shards *shards, struct mono now, const struct shards_part *part);
void shards_said(struct shards *shards, struct mono now, const struct shard_id *leaf,
		 const struct index_row *row, const struct contact *holders, size_t count);

/* INDEX_ROWS, INDEX_ASK or INDEX_ANSWER from @from; @steward: its certificate says so. Rows of
 * others are refused. */
void shards_receive(struct shards *shards, struct mono now, const struct contact *from,
		    bool steward, const struct message *message);

/* The stewards nearest to what SHARDS_LOCATE asked for, nearest first, this machine included. */
void shards_located(struct shards *shards, struct mono now, uint64_t token,
		    const struct contact *contacts, size_t count);

/* Look up one name, or list a (kind, namespace); namespace NULL: all of them. SHARDS_FOUND follows.
 * 0, or -EBUSY beyond SHARD_READS_MAX. */
_must_use_ int shards_find(struct shards *shards, struct mono now, const char *kind,
			   const char *namespace, const char *name, uint64_t *ret_token);
_must_use_ int shards_walk(struct shards *shards, struct mono now, const char *kind,
			   const char *namespace, uint64_t *ret_token);

void shards_tick(struct shards *shards, struct mono now);
struct mono shards_deadline(const struct shards *shards);

/* The next effect, or NULL. Valid until the next call of any function of these shards. */
const struct shards_effect *shards_next_effect(struct shards *shards);

struct shards_counts shards_counts(const struct shards *shards);

/* Where a shard is: SHA-256 of its name. */
struct digest shard_key(const struct shard_id *shard);
