/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apart: a steward that ran, but was cut off from the others for longer than tombstones are kept.
 *
 *	with the others --most electors are lost--> apart --soon back--> with the others
 *	                                              |
 *	      long apart --digests agree with all partners that are not apart--> with the others
 *
 * The *electors* are the stewards that we kept something with when we were last among more than
 * half of them; of two halves the one counts in which the smallest id is. One that stays away is no
 * elector any more after APART_FORGET_MS, so that a fabric may shrink.
 *
 * Who is apart says since when, in all that it sends when it compares. It goes on as ever, but its
 * tombstones do not expire. When it meets others after a long time they judge what it brings: an
 * object made before it was cut off, that a steward which was not apart and knows all deletions
 * since then does not know, has been deleted there, and gets its tombstone anew. What was made
 * later is news. What those who were apart have deleted themselves their tombstones tell.
 *
 * Where nobody is left among most of the others, nobody has forgotten a tombstone: so nothing is
 * judged, and nothing comes back.
 *
 * A steward that has never agreed with anybody cannot say (RECORDS_APART_EVER): it takes the word
 * of those that it agrees with first.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "records/internal.h"

enum {
	APART_FORGET_MS = 10 * 60 * 1000, /* longer than a restart, and than losses of one event
					   * that are noticed one by one */
	APART_CALM_MS = 10 * 60 * 1000,   /* among most of the others, and nobody knows better */
	APART_SLACK_MS = 2 * 60 * 1000,   /* what was made so shortly before may not have reached
					   * the others, or the end was noticed so late */
	STANDINGS_MAX = 4096,             /* as many as machines with records in memory */
};

struct elector {
	struct node_id id;
	struct mono seen;
	bool here;
};

static struct bytes id_key(const struct node_id *id)
{
	return bytes_of(id->byte, ID_LEN);
}

static bool is_long_ago(const struct records *records, int64_t then_ms)
{
	return records->fabric.ms - then_ms > RECORDS_APART_MS;
}

static bool is_long_apart(const struct records *records)
{
	return records->apart_ms > RECORDS_APART_EVER && is_long_ago(records, records->apart_ms);
}

bool records_is_long_apart(const struct records *records)
{
	return is_long_apart(records);
}

/* ---- who is there ---- */

static struct elector *last_elector(const struct records *records)
{
	struct elector *last = NULL;

	map_for_each (entry, &records->electors) {
		struct elector *elector = entry->value;

		if (!last || memcmp(elector->id.byte, last->id.byte, ID_LEN) > 0)
			last = elector;
	}
	return last;
}

/* Of more than there is room for those with the smallest ids: everywhere the same. */
static void elector_add(struct records *records, const struct node_id *id)
{
	struct elector *elector = map_get(&records->electors, id_key(id));

	if (!elector) {
		elector = mem_new(struct elector);
		elector->id = *id;
		(void)map_put(&records->electors, id_key(id), elector);
	}
	elector->seen = records->now;
	elector->here = true;
	if (records->electors.count > RECORDS_ELECTORS_MAX)
		free(map_remove(&records->electors, id_key(&last_elector(records)->id)));
}

static bool is_here(const struct records *records, const struct node_id *id)
{
	const struct partner *partner = partner_find(records, id);

	return partner && partner->homes > 0;
}

static void look_around(struct records *records)
{
	map_for_each (entry, &records->electors) {
		struct elector *elector = entry->value;

		elector->here = is_here(records, &elector->id);
		if (elector->here)
			elector->seen = records->now;
	}
}

static bool is_among_most(const struct records *records)
{
	struct node_id first = records->config.self;
	size_t all = 1, here = 1;
	bool with_first = true;

	map_for_each (entry, &records->electors) {
		const struct elector *elector = entry->value;

		all++;
		here += elector->here;
		if (memcmp(elector->id.byte, first.byte, ID_LEN) < 0) {
			first = elector->id;
			with_first = elector->here;
		}
	}
	return 2 * here > all || (2 * here == all && with_first);
}

static void electors_clear(struct records *records)
{
	map_for_each (entry, &records->electors) {
		struct elector *elector = entry->value;

		(void)map_remove(&records->electors, id_key(&elector->id));
		free(elector);
	}
}

/* Who comes is one of them, who has been away for long is none any more. */
static void renew_electors(struct records *records)
{
	map_for_each (entry, &records->electors) {
		struct elector *elector = entry->value;

		if (elector->here || mono_since_us(records->now, elector->seen) <
					     APART_FORGET_MS * (int64_t)US_PER_MS)
			continue;
		(void)map_remove(&records->electors, id_key(&elector->id));
		free(elector);
	}
	map_for_each (entry, &records->partners) {
		const struct partner *partner = entry->value;

		if (partner->homes > 0)
			elector_add(records, &partner->contact.id);
	}
}

/* ---- what others say of themselves ---- */

static const int64_t *standing_of(const struct records *records, const struct node_id *id)
{
	return map_get(&records->standings, id_key(id));
}

static void standings_clear(struct records *records)
{
	map_for_each (entry, &records->standings)
		free(entry->value);
	map_deinit(&records->standings);
	map_init(&records->standings, prng_next(&records->prng));
}

void apart_heard(struct records *records, const struct node_id *from, int64_t apart_ms)
{
	if (!records->config.keeper)
		return;
	if (records->standings.count >= STANDINGS_MAX) /* they say it again */
		standings_clear(records);
	free(map_put(&records->standings, id_key(from), mem_copy(&apart_ms, sizeof(apart_ms))));
}

void apart_lost(struct records *records, const struct node_id *id)
{
	free(map_remove(&records->standings, id_key(id)));
}

/* ---- the end of it ---- */

static bool is_compared(const struct records *records, const struct partner *partner)
{
	return partner->homes > 0 && (!records->large || partner->lasting > 0);
}

/* What those say that we compare with. */
struct word {
	bool free;        /* somebody is not apart, */
	bool agreed;      /* and we have the same as all those */
	int64_t since_ms; /* of those who are apart and have the same as we: the earliest; or none
			   */
};

/* In a large fabric two may never think the same of what both keep: having all that the other has
 * is enough for who is new. */
static bool agrees(const struct records *records, const struct partner *partner)
{
	bool is_new = records->large && records->apart_ms == RECORDS_APART_EVER;

	return partner->same || (is_new && partner->settled);
}

static struct word word_of_partners(const struct records *records)
{
	struct word word = {.agreed = true};

	map_for_each (entry, &records->partners) {
		const struct partner *partner = entry->value;
		const int64_t *standing = standing_of(records, &partner->contact.id);

		if (!standing || !is_compared(records, partner))
			continue;
		if (*standing == 0) {
			word.free = true;
			word.agreed &= agrees(records, partner);
		} else if (*standing > RECORDS_APART_EVER && agrees(records, partner) &&
			   (!word.since_ms || *standing < word.since_ms)) {
			word.since_ms = *standing;
		}
	}
	return word;
}

static void end(struct records *records)
{
	records->apart_ms = 0;
	records->apart_borrowed = false;
	electors_clear(records);
	records->among_ms = records->fabric.ms;
	renew_electors(records);
}

/* Among most of them for so long that whoever is not apart would have been heard. */
static bool is_calm(const struct records *records)
{
	return mono_since_us(records->now, records->among_since) >=
	       APART_CALM_MS * (int64_t)US_PER_MS;
}

/* While it is short what we have ourselves counts alone: those who were cut off with us may not
 * have noticed yet. */
static void check_end(struct records *records, bool among_most)
{
	bool own = among_most && !records->apart_borrowed;
	bool is_short = records->apart_ms > RECORDS_APART_EVER && !is_long_apart(records);
	struct word word = word_of_partners(records);

	if (is_short && !records->apart_borrowed) {
		if (own)
			end(records);
	} else if (word.free ? word.agreed : own && is_calm(records)) {
		end(records);
	} else if (records->apart_ms == RECORDS_APART_EVER && word.since_ms) {
		records->apart_ms = word.since_ms;
		records->apart_borrowed = true;
	}
}

void apart_tick(struct records *records)
{
	bool among_most;

	if (!records->config.keeper || records->config.alone)
		return;
	look_around(records);
	among_most = is_among_most(records);
	if (!among_most)
		records->among_since = records->now;
	if (among_most && (records->apart_ms == 0 || records->apart_ms == RECORDS_APART_EVER)) {
		records->among_ms = records->fabric.ms;
		renew_electors(records);
	} else if (records->apart_ms == 0) {
		records->apart_ms = records->among_ms - APART_SLACK_MS;
	}
	if (records->apart_ms)
		check_end(records, among_most);
}

/* ---- judging what others bring ---- */

int64_t records_apart_since(const struct records *records)
{
	return records->apart_ms;
}

/* Tombstones that are older than they need to be matter while somebody is apart. */
bool apart_holds(const struct records *records, const struct record *tombstone)
{
	if (records->fabric.ms - tombstone->written_ms > RECORDS_HELD_MS)
		return false;
	if (records->apart_ms > RECORDS_APART_EVER && tombstone->written_ms >= records->apart_ms)
		return true;
	map_for_each (entry, &records->standings) {
		int64_t since_ms = *(const int64_t *)entry->value;

		if (since_ms > RECORDS_APART_EVER && tombstone->written_ms >= since_ms)
			return true;
	}
	return false;
}

static int64_t complete_since(const struct records *records, const struct uid *home)
{
	return records->large ? home_complete_since(records, home_position(home))
			      : records->complete_ms;
}

/* An object that we do not know, although it was made so long ago that its tombstone may be gone.
 */
static bool is_strange(const struct records *records, const struct record *record,
		       int64_t created_ms)
{
	return record->key.kind == RECORD_OBJECT && is_long_ago(records, created_ms) &&
	       !table_find(records, &record->key) &&
	       home_claim(records, record_home(record)) == HOME_MINE;
}

int apart_judge(const struct records *records, const struct node_id *from,
		const struct record *record)
{
	uint64_t created = record->created_hlc ? record->created_hlc : record->version.hlc;
	int64_t created_ms = (int64_t)(created >> RECORDS_HLC_SHIFT), complete_ms;
	const int64_t *standing = standing_of(records, from);

	if (!records->config.keeper || records->apart_ms == RECORDS_APART_EVER ||
	    is_long_apart(records) || !is_strange(records, record, created_ms) ||
	    fault_is_planted(FAULT_APART))
		return 0;
	complete_ms = complete_since(records, record_home(record));
	if (!standing || !partner_find(records, from))
		return !records->large && complete_ms > 0 && complete_ms <= created_ms
			       ? RECORDS_E_UNHEARD
			       : 0;
	if (*standing <= RECORDS_APART_EVER || !is_long_ago(records, *standing) ||
	    created_ms > *standing)
		return 0;
	if (complete_ms <= 0) /* in a moment */
		return records->large ? 0 : RECORDS_E_UNHEARD;
	return complete_ms <= *standing ? RECORDS_E_ABSENT : 0;
}

/* ---- what is written down ---- */

void records_set_complete(struct records *records, int64_t since_ms)
{
	records->complete_ms = since_ms;
}

void records_set_standing(struct records *records, struct mono now,
			  const struct records_standing *kept)
{
	records->now = now;
	if (!records->config.keeper || records->config.alone)
		return;
	records->apart_ms = kept->among_ms ? kept->apart_ms : RECORDS_APART_EVER;
	records->apart_borrowed = kept->borrowed;
	records->among_ms = kept->among_ms;
	records->among_since = now;
	for (size_t i = 0; i < kept->elector_count && i < RECORDS_ELECTORS_MAX; i++)
		elector_add(records, &kept->electors[i]);
}

void records_standing(const struct records *records, struct records_standing *ret)
{
	*ret = (struct records_standing){
		.apart_ms = records->apart_ms,
		.among_ms = records->among_ms,
		.borrowed = records->apart_borrowed,
	};
	map_for_each (entry, &records->electors)
		ret->electors[ret->elector_count++] = ((const struct elector *)entry->value)->id;
}

void records_elector_left(struct records *records, const struct node_id *id)
{
	free(map_remove(&records->electors, id_key(id)));
}

void apart_init(struct records *records)
{
	map_init(&records->electors, prng_next(&records->prng));
	map_init(&records->standings, prng_next(&records->prng));
}

void apart_deinit(struct records *records)
{
	map_for_each (entry, &records->electors)
		free(entry->value);
	map_deinit(&records->electors);
	standings_clear(records);
	map_deinit(&records->standings);
}
