/* SPDX-License-Identifier: Apache-2.0 */
/*
 * College: who the registrars of a StatefulSet are (market/tenure.h), and how one that is lost is
 * replaced by agreement of the others.
 *
 * The registrars that a set has one after another are numbered, and differ by one each time. Most
 * of those of one number decide who comes after them, by Paxos: a registrar that has seen nothing
 * of another one for COLLEGE_LOST_MS proposes a steward in its place.
 *
 *   proposer                              registrar
 *     PREPARE ballot, whom --------------> sees nothing of that one either: on disk, then
 *          <------------------------------ PROMISE, with what it has accepted before
 *     ACCEPT ballot, the next ones ------> no higher ballot was promised: on disk, then
 *                                          ACCEPTED, to all: most of them have decided
 *
 * From its ACCEPTED on a registrar gives nothing more as one of the old number. What is decided is
 * written into the StatefulSet by those who decided it; everyone else goes by that. The new one
 * asks the others for their books (READ, BOOK), and counts when it has those of most of them on its
 * disk. A book is given away only after its owner has moved on to the new number.
 *
 * That is why an ordinal is not given twice: of those who gave it at the old number, most of them,
 * one at most is gone, and each of the others had it in its book when it moved. The new registrar
 * reads of so many that one of them is among those; so as many hold it as before. Who has missed a
 * number reads all anew.
 *
 * An operator who has lost most of them for good makes others under a higher epoch. They know
 * nothing: for COLLEGE_SETTLE_MS they give only what machines say that they run.
 */
#pragma once

#include "market/tenure.h"

enum {
	COLLEGE_LOST_MS = 60 * 1000,  /* a registrar is not heard of: it is replaced; a machine that
				       * starts again is back by then */
	COLLEGE_AGREE_MS = 30 * 1000, /* the others agree to that: they may have noticed later */
	COLLEGE_RANK_MS = 3000,       /* between the first, the second, ... to do something */
	COLLEGE_FINISH_MS = 5000,     /* what was accepted and came to no end is taken up */
	COLLEGE_PROPOSE_MS = 5000,    /* for a ballot; then a higher one */
	COLLEGE_RESEND_MS = 500,      /* what was not answered */
	COLLEGE_TICK_MS = 2000,       /* who is lost? */
	COLLEGE_SHOW_MS = 10 * 1000,  /* does the StatefulSet say so? */
	COLLEGE_SETTLE_MS = 15 * 1000, /* machines hear of an object, and claim what they run */
	COLLEGES_MAX = 8192,           /* StatefulSets of one registrar; 3 KiB each */
};

struct colleges;

enum college_effect_type {
	COLLEGE_SEND,  /* @message to @to; its entries are borrowed until the next call */
	COLLEGE_WRITE, /* @message to the disk: colleges_writing() and colleges_written() follow */
	COLLEGE_CLAIM, /* @ordinal of @message.set to the disk: registry_claims() */
	COLLEGE_DROP,  /* its ordinals are to be forgotten: registry_drop(), also from the disk */
	COLLEGE_LOOK,  /* there are others than we know: look at the StatefulSet @message.set */
};

struct college_effect {
	enum college_effect_type type;
	struct addr_peer to;
	struct college message;
	uint32_t ordinal;
};

/* What the caller knows of the fabric. */
struct college_view {
	void *arg;
	bool (*is_alive)(void *arg, const struct addr_peer *machine);
	/* A live steward that is none of @present; false: there is none. */
	bool (*pick)(void *arg, const struct uid *set, const struct registrars *present,
		     struct addr_peer *ret_peer);
	/* It is time to see that the StatefulSet says who its registrars are. */
	void (*show)(void *arg, const struct uid *set, const struct registrars *present);
};

/* < 0, 0, > 0: @a is older, the same, newer. */
int registrars_compare(const struct registrars_id *a, const struct registrars_id *b);

/* The place of a machine among them; SIZE_MAX: it is none of them. */
size_t registrars_index(const struct registrars *registrars, const struct node_id *machine);

/* @registry is this machine's, and outlives them. Never NULL. */
struct colleges *colleges_new(const struct node_id *self, struct registry *registry, uint64_t seed);
void colleges_free(struct colleges *colleges);

/* Its StatefulSet says that these are the registrars. */
void colleges_learn(struct colleges *colleges, struct mono now, const struct uid *set,
		    const struct registrars *registrars);

/* Who they are, as far as this machine, one of them, knows; NULL: it does not. */
const struct registrars *colleges_find(const struct colleges *colleges, const struct uid *set);

enum college_standing {
	COLLEGE_STRANGER, /* we know nothing of these, or are none of them, or not yet */
	COLLEGE_OLD,      /* there are newer ones */
	COLLEGE_BUSY,     /* the next ones are being decided, or we are on our way to the disk */
	COLLEGE_SETTLING, /* after an operator's reset: only what runs may be given */
	COLLEGE_SERVING,
};

/* How we stand to those of @id, of whom a machine asks for an ordinal. */
enum college_standing colleges_standing(const struct colleges *colleges, struct mono now,
					const struct uid *set, const struct registrars_id *id);

void colleges_hear(struct colleges *colleges, struct mono now, const struct node_id *from,
		   const struct college *message);
void colleges_tick(struct colleges *colleges, struct mono now, const struct college_view *view);
struct mono colleges_deadline(const struct colleges *colleges);

/* NULL: nothing is to be done. Valid until the next call of any function. */
const struct college_effect *colleges_next_effect(struct colleges *colleges);

/* What COLLEGE_WRITE asks for is on its way under @serial; it is on disk, or could not be stored.
 */
void colleges_writing(struct colleges *colleges, const struct uid *set, uint64_t serial);
void colleges_written(struct colleges *colleges, const struct uid *set, uint64_t serial,
		      bool stored);

/* What was on the disk. */
void colleges_restore(struct colleges *colleges, struct mono now, const struct college *written);

/* The StatefulSet has been deleted. True: something of it was here. */
bool colleges_forget(struct colleges *colleges, const struct uid *set);
