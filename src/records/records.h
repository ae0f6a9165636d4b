/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: how a fabric remembers without a control plane (docs/protocol.md, 8).
 *
 * A record is a small signed, versioned value, held by its keepers. Sans-IO: events in, effects out
 * (records_next_effect() until NULL, records_tick() at records_deadline()). The store here is the
 * memory; durable kinds (OBJECT, TOMBSTONE) are written to disk by the caller on RECORDS_PERSIST
 * and are acknowledged only after records_persisted().
 *
 * A record lies at its *home*, the first UID_HOME_LEN bytes of its object's uid, and is kept by the
 * K = min(RECORDS_KEEPERS, stewards) live stewards that are drawn, always the same, from the
 * RECORDS_AROUND whose positions (overlay/kad.h) are nearest to SHA-256(home): steward.h. In a
 * fabric no larger than the pool K is all stewards, and every other machine has a copy of
 * everything to read from. In a larger one:
 *  - Who is nearest is known without asking in our own neighbourhood, which the caller keeps us
 *    informed of (records_set_near()); elsewhere it is looked up (RECORDS_LOCATE) and remembered
 *    for a while.
 *  - Keepers of one home are *partners*: they compare what they share, two by two. When a steward
 *    comes that is nearer, or one is lost, the others bring the new keeper what it lacks at once.
 *    Who is no keeper any more offers what it has to those who are, and drops it, after
 *    RECORDS_DROP_MS, only when all of them have said that they have it.
 *  - Other machines have copies of what they wrote or fetched (records_fetch()), and no news of it.
 *
 * Rules:
 *  - The newest version of a key wins (record_version_compare); merging is commutative, associative
 *    and idempotent, so two keepers that exchanged everything hold the same bytes.
 *  - A TOMBSTONE ends the OBJECT of its uid for good (RECORDS_TOMBSTONE_MS at least), whatever its
 *    version; after that those who know all deletions say what was one (apart.c, doubt.c).
 * Presences outlive it: a pod is there until its machine writes that it is gone.
 *  - Writers: OBJECT and TOMBSTONE by a steward of the namespace; PRESENCE and NODE only by the
 *    machine they are about. The caller passes the verified issuer; records checks the rule.
 *  - hlc more than RECORDS_CLOCK_AHEAD_MS ahead of fabric time is refused.
 *  - PRESENCE and NODE live as long as their machine: records_peer_lost() forgets them, and copies
 *    that others still hold are not taken back until records_peer_up().
 *  - Two OBJECTs of one (namespace, kind, name): the older (smaller creation clock, then uid) is
 * the one that records_find() returns; the other is reported by RECORDS_NAME_CLASH, again from time
 *    to time, until its controller has disposed of it.
 *
 * Machines that are no stewards run records too: they keep a copy of everything to read from, are
 * not waited for, and write to no disk.
 */
#pragma once

#include "base/err.h"
#include "base/time.h"
#include "wire/message.h"
#include "wire/presence.h"

enum {
	RECORDS_KEEPERS = 5,         /* K = min(5, stewards) acknowledge */
	RECORDS_AROUND = 8,          /* that may be keepers of a home: records/steward.h */
	RECORDS_QUORUM = 3,          /* of 5; a majority when fewer */
	RECORDS_ACK_MS = 500,        /* then the write is reported with what it has */
	RECORDS_DISK_MS = 10 * 1000, /* but for our own disk alone it is waited so long: nothing
				      * may be called lost that will be there in a moment */
	RECORDS_READS = 3, /* keepers that a fetch hears; one of them has what a quorum has */
	RECORDS_COPY_MS = 30 * 1000, /* a copy of what is kept elsewhere, after its last fetch */
	RECORDS_LOCATE_MS = 5000,    /* for the lookup of the keepers of a write */
	RECORDS_RENEW_MS = 5 * 60 * 1000,  /* what a machine says of itself is brought to its
					    * keepers again, in a large fabric */
	RECORDS_STALE_MS = 16 * 60 * 1000, /* and forgotten by them when it was not, three times */
	RECORDS_ASK_MS = 500,    /* for the first keeper's word on a condition; then the next one */
	RECORDS_RESEND_MS = 150, /* unacknowledged copies are sent again */
	RECORDS_SYNC_MS = 5000,  /* anti-entropy with one random partner */
	RECORDS_REPAIR_MS = 1000, /* a new partner is compared with after about so long: one that
				   * is told of many times in a row is asked once */
	RECORDS_DROP_MS = 5 * 60 * 1000, /* what is no longer ours is kept for so long: a machine
					  * that restarts is back by then */
	RECORDS_SOLE_MS = 60 * 1000,  /* a steward that knows no other one for so long is alone */
	RECORDS_PLACE_MS = 60 * 1000, /* who keeps a distant home is looked up again after this */
	RECORDS_OLD_NEWS_MS = 5000,   /* longer than a write takes to its keepers */
	RECORDS_CLOCK_AHEAD_MS = 30 * 1000, /* as clocks may differ */
	RECORDS_HLC_SHIFT = 16,             /* hybrid clock = fabric ms << 16, and a counter */
	RECORDS_TOMBSTONE_MS = 7 * 24 * 3600 * 1000,
	RECORDS_APART_MS = 6 * 24 * 3600 * 1000, /* cut off for longer, others may have forgotten
						  * tombstones: a day less than they are kept,
						  * for clocks differ, and deletions travel */
	RECORDS_APART_EVER = 1,                  /* apart since then: it cannot say */
	RECORDS_ELECTORS_MAX = 64,  /* stewards of which more than half make most of the fabric */
	RECORDS_COUNT_MAX = 200000, /* per keeper, all kinds; beyond: refused and counted */
	RECORDS_PER_WRITER_MAX = 20000,          /* presences of one machine: a quota per peer */
	RECORDS_BYTES_MAX = 512 << 20,           /* of values and envelopes, all kinds */
	RECORDS_BYTES_PER_WRITER_MAX = 32 << 20, /* 20,000 pods with a status of 800 bytes, twice */
};

/* Who signed a record, as the caller verified it. */
struct record_writer {
	struct node_id id;
	bool steward; /* of the record's namespace */
};

struct records_config {
	struct node_id self;
	bool keeper; /* this machine is a steward: it keeps records */
	bool alone;  /* nothing is copied to others, and what they send about themselves is kept as
		      * long as they are not lost (node.h: records_stay) */
	uint64_t seed;
};

/* A steward, and the first 8 bytes of its position as a big-endian number. */
struct record_steward {
	struct contact contact;
	uint64_t position;
};

/* How long a tombstone is kept where somebody is apart, at most: what is deleted in so long a time
 * fits in. */
#define RECORDS_HELD_MS (90LL * 24 * 3600 * 1000)

/* What a keeper writes down of how it is among the others: apart.c. Zeroed: nothing. */
struct records_standing {
	int64_t apart_ms; /* fabric time: cut off from most others since; 0: it is not */
	int64_t among_ms; /* it was among them then */
	bool borrowed;    /* it has that only from those it was among */
	size_t elector_count;
	struct node_id electors[RECORDS_ELECTORS_MAX];
};

enum records_result {
	_RECORDS_E_OK,
	RECORDS_E_OLD,      /* an equal or newer version is known; harmless */
	RECORDS_E_DELETED,  /* a tombstone covers it */
	RECORDS_E_WRITER,   /* the writer may not write this record */
	RECORDS_E_CLOCK,    /* its hlc is too far ahead */
	RECORDS_E_FULL,     /* a limit or the writer's quota is reached */
	RECORDS_E_FAR,      /* it is kept elsewhere */
	RECORDS_E_ABSENT,   /* it was deleted while its sender was cut off: RECORDS_ABSENT */
	RECORDS_E_UNHEARD,  /* it may have been, for all its sender has said yet */
	RECORDS_E_CONFLICT, /* put: the name exists, or the expected version is not the current one
			     */
};

enum records_effect_type {
	RECORDS_SEND,     /* @message to @to; a RECORD is sent as the envelope it came in */
	RECORDS_PERSIST,  /* write @item's envelope durably, then call records_persisted() */
	RECORDS_FORGET,   /* remove @key from the disk */
	RECORDS_CHANGED,  /* a record changed: the watch stream, in arrival order */
	RECORDS_PUT_DONE, /* a put is stored on @stored of @keepers, quorum or not */
	RECORDS_LOCATE,   /* look up the machines nearest to @target, then records_located() with
			   * @key.uid */
	RECORDS_LOCATED,  /* a records_locate() has ended: @contacts keep it, nearest first */
	RECORDS_NEAR,     /* durable records are kept with @to from now on, or (@near false) no
			   * longer: its life matters */
	RECORDS_FETCHED, /* a fetch has ended: @stored of @keepers have answered; @quorum: enough of
			  * them, and all that they named is here */
	RECORDS_NAME_CLASH, /* @item lost its name to an older object */
	RECORDS_ABSENT, /* @item, which is not kept here, was deleted so long ago that its tombstone
			 * is gone: it is to be deleted again */
	RECORDS_RIVALS, /* two versions of an object met: @item stays, @rival is the older one;
			 * whether its writer knew of it only the values say */
};

/* A record as kept. Borrowed: valid until the next event. */
struct record_item {
	struct record record;
	struct buf envelope; /* the exact signed bytes */
	struct node_id writer;
	struct wall accepted; /* fabric time of first acceptance here */
	bool durable;         /* it is on our disk */
};

enum records_change {
	RECORDS_ADDED,
	RECORDS_MODIFIED,
	RECORDS_REMOVED, /* gone presence, or an object whose tombstone arrived */
	RECORDS_DROPPED, /* it lives on elsewhere, and is not kept here any more */
};

struct records_effect {
	enum records_effect_type type;
	struct node_id to;
	struct addr addr; /* SEND, NEAR: where it is, or none when that is not known */
	bool near;
	struct digest target;           /* LOCATE */
	const struct contact *contacts; /* LOCATED; ourselves among them if we are one */
	size_t contact_count;
	bool is_envelope; /* SEND: @envelope, else @message */
	struct bytes envelope;
	struct message message;
	const struct record_item *item;  /* PERSIST, CHANGED, NAME_CLASH, RIVALS */
	const struct record_item *rival; /* RIVALS; CHANGED: the end of a presence, when it came */
	struct record_key key;
	enum records_change change;
	uint64_t token; /* PUT_DONE, FETCHED, LOCATED */
	uint32_t stored, keepers;
	bool quorum;
	bool conflict; /* PUT_DONE: the first keeper has another version than was expected */
	int64_t complete_since; /* FETCHED: below; 0: nobody can say */
};

struct records;

struct records *records_new(const struct records_config *config);
void records_free(struct records *records);

/* The live stewards (ourselves included when we are one), whenever that set changes. */
void records_set_stewards(struct records *records, struct mono now, const struct node_id *ids,
			  size_t count);

/* The same in a fabric larger than the pool: all live stewards of our neighbourhood by distance,
 * and some of everywhere, ourselves included when we are one; in any order. */
void records_set_near(struct records *records, struct mono now, const struct record_steward *list,
		      size_t count);

/* While the caller does not know whether the fabric is large (@sized false) this machine cannot
 * tell what is its to keep: it takes what is written to it, but asks nobody for what it lacks, and
 * compares with nobody. From then on it does, with all it has been told of. */
void records_set_sized(struct records *records, struct mono now, bool sized);

/* Who keeps the home of @uid? RECORDS_LOCATED with *ret_token follows, at once where it is known.
 */
_must_use_ int records_locate(struct records *records, struct mono now, const struct uid *uid,
			      uint64_t *ret_token);

/* What RECORDS_LOCATE asked for: the machines nearest to the home of @home, stewards and others,
 * nearest first, without ourselves; none when the lookup failed. */
void records_located(struct records *records, struct mono now, const struct uid *home,
		     const struct contact *contacts, size_t count);

/* The next hybrid clock value for a record written now; also advances past all seen values. */
uint64_t records_clock_next(struct records *records, struct wall fabric);

/* The newest clock value seen: the resourceVersion of a list. */
uint64_t records_clock(const struct records *records);

/*
 * Store a record that this machine has just signed (@envelope) and copy it to its keepers.
 * RECORDS_PUT_DONE with *ret_token follows: when a quorum has it, or after RECORDS_ACK_MS, or, when
 * nobody has it by then and our disk is still busy with it, with the first who has.
 * @expected_hlc: 0 = must not exist yet, UINT64_MAX = whatever there is, else the current version:
 * then the first keeper of its home decides, and the record is to be read here only from PUT_DONE
 * on. RECORDS_E_CONFLICT says what is known here at once, @conflict of PUT_DONE what the first
 * keeper has said. When it does not answer the next ones are asked, and at last nobody.
 */
_must_use_ int records_put(struct records *records, struct mono now, struct wall fabric,
			   const struct record *record, struct bytes envelope,
			   uint64_t expected_hlc, uint64_t *ret_token);

/*
 * Bring what the keepers of @uid's home have: the object itself and all of the same home, that is
 * what was derived from it, its tombstones, and the presences of its pods. RECORDS_FETCHED with
 * *ret_token follows, at once where this machine keeps that home itself (records_keeps()), else
 * when enough keepers have answered; @stored of @keepers, 0 when nobody did. Then the reads below
 * find it: the newest version of each that RECORDS_READS of the keepers know, and nothing of that
 * home which they do not know any more. What is kept elsewhere stays readable here for
 * RECORDS_COPY_MS after the last fetch; changes do not come by themselves.
 *
 * @complete_since: every deletion in that home since then (fabric ms) is known to one who answered,
 * even if its tombstone has expired. An object that nobody knows, but that was confirmed after it,
 * has been deleted; one that was confirmed before it may only have been lost, and is to be
 * published again by who has it.
 */
_must_use_ int records_fetch(struct records *records, struct mono now, const struct uid *uid,
			     uint64_t *ret_token);

/* The up to @max stewards that keep the home of @uid as far as known here, ourselves included when
 * we are one: in their order, and right where the home is in our neighbourhood. Returns how many.
 */
size_t records_nearest(const struct records *records, const struct uid *uid,
		       struct contact *ret_contacts, size_t max);

/* Where the home of @uid lies among all: what is next to it is kept by the same machines. */
uint64_t records_home_position(const struct uid *uid);

/* Is the home of @uid kept here? Then reads of it need no fetch. In a fabric where every steward
 * keeps everything that is so everywhere, for the others have a copy. */
bool records_keeps(const struct records *records, const struct uid *uid);

/* As records_receive(), a write on a condition (RECORD_PUT): taken only while the version we have
 * is
 * @expected_hlc. */
_must_use_ int records_receive_put(struct records *records, struct mono now, struct wall fabric,
				   const struct node_id *from, const struct record_writer *writer,
				   const struct record *record, struct bytes envelope,
				   uint64_t expected_hlc);

/* A record arrived from peer @from, signed by @writer. Acknowledged to @from unless it is refused.
 */
_must_use_ int records_receive(struct records *records, struct mono now, struct wall fabric,
			       const struct node_id *from, const struct record_writer *writer,
			       const struct record *record, struct bytes envelope);

/* RECORD_ACK, SYNC_SUMMARY, SYNC_KEYS or SYNC_WANT from @from. */
void records_receive_message(struct records *records, struct mono now, const struct node_id *from,
			     const struct message *message);

/* A record read back from the disk at start: valid when it was first accepted, so not judged again.
 */
_must_use_ int records_restore(struct records *records, const struct record *record,
			       struct bytes envelope, const struct record_writer *writer);

/*
 * A keeper that was away for longer than tombstones are kept does not know which of the objects on
 * its disk have been deleted meanwhile. All on its disk that were made until @until (fabric time;
 * 0: none), and those that will be restored, are *doubted* until another keeper turns out to have
 * them, or records_vouch() says what became of them: others do not get to know of them, and reads
 * find them, unless they were restored while doubts were to be hidden.
 */
void records_doubt(struct records *records, struct mono now, struct wall until);
void records_doubts_hide(struct records *records);                  /* those restored from now on */
void records_doubts_show(struct records *records, struct mono now); /* all, from now on */
void records_vouch(struct records *records, struct mono now, const struct uid *uid, bool lives);
size_t records_doubts(const struct records *records);
const struct record_item *records_doubted(const struct records *records, const struct uid *uid);
size_t records_list_doubts(const struct records *records, struct uid *ret_uids, size_t max);

/*
 * Who was cut off for longer than tombstones are kept does not bring back what others deleted:
 * apart.c. They judge by what they know: in a small fabric by all deletions since @since_ms (fabric
 * time; 0: they cannot say), in a large one as records_fetch() says.
 */
void records_set_complete(struct records *records, int64_t since_ms);
/* What was written down, at a start; and what is to be. */
void records_set_standing(struct records *records, struct mono now,
			  const struct records_standing *kept);
void records_standing(const struct records *records, struct records_standing *ret);
int64_t records_apart_since(const struct records *records);
/* Cut off for so long that it may keep what others have deleted. */
bool records_is_long_apart(const struct records *records);
/* It has left for good: not to be missed. */
void records_elector_left(struct records *records, const struct node_id *id);

/* The disk has (or could not store) what RECORDS_PERSIST asked for. */
void records_persisted(struct records *records, struct mono now, const struct record_key *key,
		       const struct record_version *version, bool stored);

/* A machine is there; start anti-entropy with it if it keeps records. */
void records_peer_up(struct records *records, struct mono now, const struct node_id *peer);

/* Forget presences and facts of a machine that was lost; they come back when it does. */
void records_peer_lost(struct records *records, struct mono now, const struct node_id *peer);

void records_tick(struct records *records, struct mono now, struct wall fabric);
struct mono records_deadline(const struct records *records);
void records_expect(const struct records *records); /* base/cache.h */
const struct records_effect *records_next_effect(struct records *records);

/* Reads. Results are borrowed, valid until the next event. Deleted objects are not found. */
const struct record_item *records_get(const struct records *records, const struct record_key *key);
const struct record_item *records_find(const struct records *records, const char *namespace,
				       const char *kind, const char *name);

/* Iterate live records of one kind (OBJECT: of one Kubernetes kind unless NULL, or then of the home
 * of @uid unless that is NULL; PRESENCE: of one workload unless @uid is NULL) in a stable order;
 * NULL at the end. *position starts at 0. */
const struct record_item *records_next(const struct records *records, enum record_kind kind,
				       const char *object_kind, const struct uid *uid,
				       size_t *position);

/* The same for the objects of one Kubernetes kind in one namespace, without a look at others. */
const struct record_item *records_next_in(const struct records *records, const char *object_kind,
					  const char *namespace, size_t *position);

/* The first namespace behind @after (NULL: the first of all) in which there is an object; NULL:
 * none. What lies in no namespace does not count. */
const char *records_next_namespace(const struct records *records, const char *after);

/* The last version of a deleted object, kept while presences of it are known; NULL otherwise. */
const struct record_item *records_buried(const struct records *records, const struct uid *uid);

/* Is a tombstone of @uid known here? */
bool records_is_deleted(const struct records *records, const struct uid *uid);
size_t records_count(const struct records *records, enum record_kind kind);

/* When the last durable record came that had been written RECORDS_OLD_NEWS_MS before, or earlier:
 * as long as they come we have not heard all that others have. */
struct mono records_old_news(const struct records *records);

/* The controller of an object: its first live keeper. None when no steward lives. */
struct node_id records_controller(const struct records *records, const struct uid *uid);
