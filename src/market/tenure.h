/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenure: which machine has an ordinal of a StatefulSet, so that an ordinal runs at most once.
 *
 * Up to TENURE_REGISTRARS_MAX stewards, an odd number, are chosen when the StatefulSet is made: its
 * registrars (kube/statefulset.h). One that is lost is replaced (market/college.h). Each writes
 * down, before it says so, to which machine and pod it has given an ordinal. A machine starts a pod
 * of an ordinal only when most of the registrars have given it: of two machines one at most can
 * have that, whatever is lost or late, and on the smaller side of a partition nobody has. How many
 * controllers tender it does not matter.
 *
 *   machine                               registrar
 *     ASK  ------------------------------>  free, its own, a lower epoch: written down, then
 *          <------------------------------ GIVEN
 *          <------------------------------ HELD, otherwise: by whom
 *     RELEASE --------------------------->  free, if it was this pod's
 *          <------------------------------ QUERY, when somebody else asks: do you still have it?
 *     RELEASE or KEEP ------------------->
 *
 * An ordinal is given back when nothing is left of its pod; a RELEASE that was lost is made up for
 * by the QUERY. As long as its machine is away it stays with it, unless
 *  - it is asked for with a higher epoch: a user has given it up (kube_release());
 *  - it may be replaced (magik.io/on-lost), and its machine has not answered TENURE_QUERIES queries
 *    for TENURE_SILENCE_MS: then its epoch rises.
 *
 * When three machines ask at once and none has most, all but the one with the smallest pod uid give
 * back what they have.
 */
#pragma once

#include "base/time.h"
#include "wire/message.h"

enum {
	TENURE_REGISTRARS_MAX = 5, /* as many as keep a record */
	TENURE_ASK_MS = 500,       /* who has not answered is asked again */
	TENURE_WAIT_MS = 9000,     /* then the start has failed: before its controller stops waiting
				    * for it (CONTROLLER_PENDING_MS) */
	TENURE_QUERY_MS = 1000,    /* between two queries about one ordinal */
	TENURE_QUERIES = 4,
	TENURE_SILENCE_MS = 6000,         /* longer than a machine stalls, shorter than is asked */
	TENURE_STALE_MS = 5000,           /* after so long without one a silence begins anew */
	TENURE_REGISTRY_MAX = 65536,      /* ordinals; 200 bytes each */
	TENURE_OF_ONE_MACHINE_MAX = 4096, /* more than it can run */
	TENURE_RIVALS_MAX = 7,            /* of one claim: more than ask for one ordinal at once */
	TENURE_PAGE_MAX = MESSAGE_TENURES_MAX,
};

/* ---- a registrar's book ---- */

struct registry;

enum registry_result {
	_REGISTRY_E_OK,   /* it has it, and that is on disk: GIVEN */
	REGISTRY_E_WRITE, /* it is to be written down: registry_written() follows */
	REGISTRY_E_WAIT,  /* that is under way */
	REGISTRY_E_HELD,  /* somebody else has it */
	REGISTRY_E_QUERY, /* the same, and that machine is to be asked */
	REGISTRY_E_FULL,  /* no room for more ordinals, or for more of that machine */
};

/* Never NULL. */
struct registry *registry_new(uint64_t seed);
void registry_free(struct registry *registry);

/* An ASK. *ret_entry: what stands in the book then (of E_FULL: nothing). */
_must_use_ int registry_ask(struct registry *registry, struct mono now, const struct tenure *ask,
			    struct tenure *ret_entry);

/* The disk has what REGISTRY_E_WRITE asked for, or could not store it. True: *ret_entry is given.
 */
_must_use_ bool registry_written(struct registry *registry, const struct uid *set, uint32_t ordinal,
				 uint64_t serial, bool stored, struct tenure *ret_entry);

/* A RELEASE. True: the ordinal is free now, and to be removed from the disk. */
_must_use_ bool registry_release(struct registry *registry, const struct tenure *release);

/* A KEEP. */
void registry_keep(struct registry *registry, const struct tenure *keep);

/* What was on the disk; each claim of it. */
void registry_restore(struct registry *registry, const struct tenure *entry);

/* ---- of a new registrar: market/college.h ---- */

/* Another registrar has given @given. False: there is no room for that, or not now. */
_must_use_ bool registry_claim(struct registry *registry, const struct tenure *given);

/* 0: all of @set is on disk; REGISTRY_E_WRITE: *ret_ordinal is to be written down, as in
 * registry_ask(); REGISTRY_E_WAIT: that is under way. */
_must_use_ int registry_unwritten(struct registry *registry, const struct uid *set,
				  uint32_t *ret_ordinal);

/* Who may have an ordinal: what is to be written down of it. Returns how many. */
size_t registry_claims(const struct registry *registry, const struct uid *set, uint32_t ordinal,
		       struct tenure ret_claims[TENURE_RIVALS_MAX + 1]);

/* Claims of @set, the ordinals @from on; *ret_next: the first that is left out, or 0. Returns how
 * many, TENURE_PAGE_MAX at most. */
size_t registry_page(const struct registry *registry, const struct uid *set, uint64_t from,
		     struct tenure *ret_page, uint64_t *ret_next);

/* Some ordinal of @set, which has been deleted, is forgotten; false: there is none. */
_must_use_ bool registry_drop(struct registry *registry, const struct uid *set,
			      uint32_t *ret_ordinal);
size_t registry_count(const struct registry *registry);

/* ---- what a machine has heard ---- */

enum candidacy_answer {
	CANDIDACY_NONE,
	CANDIDACY_GIVEN,
	CANDIDACY_HELD,
};

enum candidacy_state {
	CANDIDACY_OPEN,
	CANDIDACY_WON,  /* most of the registrars have given it */
	CANDIDACY_LOST, /* somebody else is to have it */
};

/* The caller fills @ask, and candidacy_set() the rest. */
struct candidacy {
	struct tenure ask;
	struct {
		struct node_id id;
		enum candidacy_answer answer;
		struct uid holder;       /* HELD: by that pod */
		struct registrars later; /* it says that these are the registrars now; or none */
	} registrar[TENURE_REGISTRARS_MAX];
	size_t count;
	uint64_t epoch; /* the highest with which it was given */
};

/* These are to be asked, and not those before. */
void candidacy_set(struct candidacy *candidacy, const struct registrars *registrars);

/* @from says that they are @later now. True: most of those who are asked say so. */
_must_use_ bool candidacy_later(struct candidacy *candidacy, const struct node_id *from,
				const struct registrars *later);

/* A GIVEN or HELD of @from; what belongs to another ask, or comes of no registrar, is ignored. */
enum candidacy_state candidacy_hear(struct candidacy *candidacy, const struct node_id *from,
				    const struct tenure *word);
