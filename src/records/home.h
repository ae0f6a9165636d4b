/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Homes and partners: what is kept here, and with whom.
 *
 * A home is the first UID_HOME_LEN bytes of a uid (identity/derive.h); what shares one lies
 * together. Its keepers are K of the stewards nearest to SHA-256(home) (steward.h). A partner
 * is another keeper of a home that we keep, or of one that we still have and no longer keep.
 *
 * Where every steward keeps everything all homes are ours, no home names its keepers, and the
 * partners are all other stewards.
 */
#pragma once

#include "base/list.h"
#include "base/time.h"
#include "records/records.h"

struct partner {
	struct contact contact;
	uint64_t position;
	size_t homes;    /* whose keepers it is among; 0: it is about to be forgotten */
	uint64_t fold;   /* xor over what both of us keep: equal on both sides, or they sync */
	uint64_t theirs; /* its fold when it was heard of last */
	/* What was found with these folds: it has nothing that we lack. We may differ in what we
	 * think both keep, and then the folds never become equal. */
	uint64_t agreed_theirs, agreed_ours;
	struct mono agreed_until;
	struct mono sync_at;    /* to be compared with, out of turn; MONO_NEVER: in turn */
	bool settled;           /* we had all that it has since what we share last became more */
	bool same;              /* and it lacked nothing that we have, either: apart.c */
	size_t lasting;         /* of these homes, those with durable records: its life matters */
	bool known;             /* the caller has been told of it */
	int64_t complete_since; /* of what we share, fabric ms: records_fetch(); 0: not known */
};

struct home {
	uint64_t id;       /* the bytes as a number, whatever the byte order: only compared */
	uint64_t position; /* of SHA-256(home) */
	struct list items; /* struct item.in_home */
	size_t count, kept_count, durable_count;  /* of the kept ones, those on disk */
	struct partner *keepers[RECORDS_KEEPERS]; /* the others, in order; none while all that
						   * is here are copies */
	size_t keeper_count;
	bool mine;              /* we are among its keepers */
	bool far;               /* not even near: its keepers are those that were looked up */
	uint64_t radius;        /* distance of those around it: who is nearer changes its keepers */
	struct mono offer_at;   /* not mine: it is offered to its keepers then */
	unsigned offers;        /* that not all have answered, in a row */
	struct mono drop_at;    /* and is kept until then at least */
	struct mono copy_until; /* copies of what others keep may be read until then */
};

struct item;

uint64_t home_id(const struct uid *uid);
uint64_t home_position(const struct uid *uid);

/* Of a record: that of its object; of the facts of a machine: of its own id. */
const struct uid *record_home(const struct record *record);

enum home_claim {
	HOME_MINE,
	HOME_NEAR, /* we are nearly among its keepers: others may know less, or more, than we do */
	HOME_FAR,
};
enum home_claim home_claim(const struct records *records, const struct uid *uid);

/* Not mine: who keeps it? What is far from us is looked up; false: that is under way. */
_must_use_ bool home_find_keepers(struct records *records, struct home *home);

/* A record that we do not have: what is kept elsewhere would be refused when it came, and whoever
 * names it will find out. The home of a tombstone is known only when it has come. */
bool home_is_wanted(const struct records *records, const struct record_key *key);

struct home *home_find(const struct records *records, const struct uid *uid);

/* The item comes under its home, or leaves it. */
void home_insert(struct records *records, struct item *item);
void home_remove(struct records *records, struct item *item);

/* Is it kept by both of us? Where everything is kept everywhere: always. */
bool home_is_shared(const struct records *records, const struct item *item,
		    const struct partner *partner);

struct partner *partner_find(const struct records *records, const struct node_id *id);

/* The known stewards have changed. */
void homes_update(struct records *records, const struct record_steward *list, size_t count,
		  bool all);

/* What we share with each of them is compared soon. */
void partners_compare(struct records *records);

/* Those with whom we keep nothing any more go. */
void partners_sweep(struct records *records);

/* What we say to @partner (NULL: nobody in particular) of what we share: since when we know all
 * deletions in it; 0: since nobody knows when. */
int64_t partner_complete_since(const struct records *records, const struct partner *partner);

/* Both of us have the same; @complete_since is what it says of it. */
void partner_settle(struct records *records, struct partner *partner, int64_t complete_since);

/* From when on we know all deletions in the home at @position; 0: we cannot say. */
int64_t home_complete_since(const struct records *records, uint64_t position);

/* A keeper that nobody shares anything with for RECORDS_SOLE_MS knows what is deleted from then. */
void homes_note_sole(struct records *records);

void homes_init(struct records *records);
void homes_deinit(struct records *records);
