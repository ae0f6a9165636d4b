/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the shards share; nobody else includes this. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "records/shard.h"

/* A row as it is held. */
struct row {
	struct index_row row; /* its age is counted from @heard */
	uint64_t fold;
	struct mono heard;
};

struct half {
	bool known;
	uint32_t rows;
	struct mono heard;
};

/*
 *   LEAF --more than SHARD_ROWS_MAX--> SPLIT --both halves small--> LEAF (merged_at)
 *   LEAF --its parent is whole again, rows handed up--> HANDED --SHARD_MERGING_MS--> (forgotten)
 */
enum shard_state {
	SHARD_LEAF,
	SHARD_SPLIT,  /* @rows are left until both halves have them */
	SHARD_HANDED, /* up to its parent: others are told so */
};

struct shard {
	struct shard_id id;
	struct digest key;
	enum shard_state state;
	struct map rows; /* row key -> struct row */
	uint64_t fold;
	size_t live; /* rows that are not gone */
	struct half halves[2];
	unsigned handing;    /* calls that hand its rows to others */
	bool handed;         /* all of them ended well so far */
	struct mono changed; /* of its state */
	bool merged;         /* LEAF: it was split until @changed */
	struct mono sync_due, report_due;
};

/* A row that this machine says. */
struct own {
	struct list urgent;
	char *kind, *namespace;
	struct index_row row;
	struct mono due;
	struct mono since; /* it says this */
	bool once;         /* until somebody has taken it, or SHARD_ONCE_MS */
	bool said;         /* its holders have it; from now on it is only said again */
	uint32_t depth;    /* said: of the shard that took it */
};

/* A lookup or a list. */
struct read {
	struct list link;
	uint64_t token;
	bool walk, incomplete;
	char *name;
	char *kind;
	size_t calls;    /* under way for it */
	struct map rows; /* namespace, row key -> struct read_row */
	struct mono deadline;
};

struct read_row {
	char *namespace;
	struct index_row row;
};

enum call_purpose {
	CALL_WRITE,  /* rows of ours to all holders */
	CALL_SPLIT,  /* rows of a shard here to all holders of a half */
	CALL_MOVE,   /* a whole shard to those who are nearer, then forget it */
	CALL_UP,     /* a whole half to all holders of its parent, then forget it */
	CALL_SYNC,   /* compare with one holder */
	CALL_COPY,   /* what that one lacks */
	CALL_REPORT, /* to all holders of the parent */
	CALL_ASK,    /* of SHARD_READS holders, for a read */
};

enum target_state {
	TARGET_WAITING,
	TARGET_ANSWERED,
};

struct target {
	struct contact contact;
	enum target_state state;
};

/* One question to the holders of a shard. */
struct call {
	struct list link; /* in waiting or active */
	uint64_t request;
	enum call_purpose purpose;
	struct shard_id shard;  /* whose holders are asked */
	struct shard_id origin; /* SPLIT, MOVE, UP, SYNC: the shard here that it is about */
	struct index_row *rows;
	size_t row_count;
	bool made, from_hint;
	bool anew;     /* WRITE: of some of the rows nobody has heard before */
	bool is_split; /* MOVE, SYNC: the shard here, and */
	uint32_t count;
	uint64_t fold;
	struct read *read;
	struct target targets[SHARD_KEEPERS];
	size_t target_count;
	bool located;
	unsigned attempt;
	size_t answered, ok, split, unknown, merged;
	struct mono started;
};

struct place {
	struct contact contacts[SHARD_KEEPERS];
	size_t count;
	struct mono until, known_until; /* the latter for what is only said again */
};

struct shards {
	struct shards_config config;
	struct prng prng;
	struct mono now;
	struct map shards; /* text -> struct shard */
	size_t row_count;
	struct map own;     /* kind, namespace, row key -> struct own */
	struct list urgent; /* of these: to be said now */
	struct map places;  /* text -> struct place */
	struct map hints;   /* kind/namespace -> depth + 1 of a leaf, as a pointer's value */
	struct list waiting, active; /* struct call */
	size_t waiting_count, active_count;
	struct map calls; /* request -> struct call, active */
	struct list reads;
	size_t read_count;
	uint64_t request;
	struct mono own_due, shards_due;
	struct list effects; /* struct queued */
	struct queued *shown;
	struct shards_counts counts;
};

/* shard_id.c: names and positions. Buffers are appended to. */
void shard_text(const struct shard_id *shard, struct buf *out);
uint32_t name_position(const char *name);
bool shard_covers(const struct shard_id *shard, const char *name);
struct shard_id shard_for(const char *kind, const char *namespace, uint32_t depth,
			  uint32_t position);                            /* borrows */
struct shard_id shard_child(const struct shard_id *shard, unsigned bit); /* borrows */
struct shard_id shard_parent(const struct shard_id *shard);              /* borrows */
void row_key(const struct index_row *row, struct buf *out);
uint64_t row_fold(const struct index_row *row);

/* shard_rows.c: a shard and its rows. */
struct shard *shard_find(const struct shards *shards, const struct shard_id *id);
struct shard *shard_make(struct shards *shards, const struct shard_id *id); /* NULL: a limit */
void shard_forget(struct shards *shards, struct shard *shard);
/* False when a limit refuses it. */
bool shard_merge_row(struct shards *shards, struct shard *shard, const struct index_row *row);
void shard_drop_rows(struct shards *shards, struct shard *shard);
void shard_expire(struct shards *shards, struct shard *shard);
/* Copies of the rows that @name (NULL: any) and @half (NULL: any) select; the caller frees them. */
size_t shard_rows(const struct shards *shards, const struct shard *shard, const char *name,
		  const struct shard_id *half, struct index_row **ret_rows);

/* shard_hold.c: what a holder does. */
bool shard_is_large(const struct shard_id *shard, size_t rows); /* it splits */
void hold_rows(struct shards *shards, const struct contact *from, const struct index_rows *rows);
void hold_ask(struct shards *shards, const struct contact *from, const struct index_ask *ask);
void hold_tick(struct shards *shards);
void hold_ended(struct shards *shards, struct call *call); /* a call of a holder's */
void hold_differs(struct shards *shards, struct call *call, const struct contact *from,
		  const struct index_answer *answer);

/* shard_call.c */
struct call *shard_call_new(struct shards *shards, enum call_purpose purpose,
			    const struct shard_id *shard);           /* then shard_call_start() */
void shard_call_add(struct call *call, const struct index_row *row); /* a copy */
void shard_call_start(struct shards *shards, struct call *call);
void shard_call_start_with(struct shards *shards, struct call *call, const struct contact *target);
/* Who holds @shard: asked without a lookup until @until, and until @known_until by who only says
 * again what they have. */
void shard_place_note(struct shards *shards, const struct shard_id *shard,
		      const struct contact *contacts, size_t count, struct mono until,
		      struct mono known_until);
void calls_answer(struct shards *shards, const struct contact *from,
		  const struct index_answer *answer);
void calls_tick(struct shards *shards);
struct mono calls_deadline(const struct shards *shards);
void calls_deinit(struct shards *shards);
void shard_call_free(struct shards *shards, struct call *call);

/* shard_own.c */
void own_tick(struct shards *shards);
void own_ended(struct shards *shards, struct call *call);
void own_deinit(struct shards *shards);
uint32_t hint_get(const struct shards *shards, const char *kind, const char *namespace);
void hint_set(struct shards *shards, const struct shard_id *leaf);

/* shard_read.c */
void read_answered(struct shards *shards, struct call *call, const struct index_answer *answer);
void read_ended(struct shards *shards, struct call *call);
void reads_tick(struct shards *shards);
void read_free(struct shards *shards, struct read *read);

/* shard.c */
struct queued {
	struct list link;
	struct shards_effect effect;
	struct shards_row *rows; /* owned with their strings */
};

struct queued *shards_queue(struct shards *shards, enum shards_effect_type type);
struct message *shards_send(struct shards *shards, const struct contact *to,
			    enum message_type type);
