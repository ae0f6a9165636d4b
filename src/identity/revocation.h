/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revocations: the set of what is not to be trusted any more. It grows only, is on every machine,
 * and is kept for as long as the longest certificate that an admitter can have signed.
 *
 * An entry is the envelope of a REVOCATION, signed by a machine with the role admit; its id is the
 * SHA-256 of that envelope. Two machines with the same entries have the same fold. An entry counts
 * from the time of its envelope on: what its subject signed before stays valid.
 *
 *	machine   by key. Its leaf is refused; so are those of the pods it runs, and, if it is an
 *	          admitter, the intermediates that carry its key in their name, which turns the
 *	          leaves they signed into renew-only
 *	user      by name: every credential of that name that was issued until then
 *	serial    one certificate
 *
 * Who was an admitter may have been broken. So an entry is void when its signer was itself revoked
 * before the time it names: it is not taken, and is dropped when the older one comes later. What an
 * entry says thus follows from the set alone, in whatever order it came.
 *
 * Pure; times are fabric time. What one signer can put in is bounded, and what all can.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "identity/cert.h"
#include "wire/message.h"

enum {
	REVOCATIONS_MAX = MESSAGE_REVOKED_MAX, /* about 1 KiB each, with the signer's chain */
	REVOCATIONS_OF_ONE_MAX = 4096,         /* one broken admitter leaves room for the others */
};

/* No certificate outlives the intermediate it was signed under: CERT_ADMIT_LIFE_MS. */
#define REVOCATION_KEEP_MS (10 * 365 * (int64_t)24 * 3600 * 1000)

enum revocation_result {
	_REVOCATION_E_OK,
	REVOCATION_E_KNOWN,
	REVOCATION_E_VOID, /* its signer was revoked before */
	REVOCATION_E_OLD,  /* its subject could not come back */
	REVOCATION_E_FULL,
};

/* One entry, the set's. */
struct revocation_entry {
	struct list link;
	struct digest id;
	struct node_id signer;
	struct wall at;
	struct revocation what;
	struct buf envelope;
	struct buf
		chain; /* the signer's, DER one behind the other: to judge it without a network */
};

struct revocations {
	struct list entries; /* oldest first; of one time in order of id */
	struct map by_id;
	struct map by_subject; /* -> the entry that counts of several */
	size_t count;
	struct digest fold;
	bool fold_is_stale;
};

void revocations_init(struct revocations *set, uint64_t seed);
void revocations_deinit(struct revocations *set);

/*
 * Add what @envelope says, which the caller has verified: @what, signed by @signer at @at. All is
 * copied. @now: fabric time; 0 when it is not known. 0 or REVOCATION_E_*.
 */
struct revocation_claim {
	const struct revocation *what;
	struct node_id signer;
	struct wall at;
	struct bytes envelope, chain;
};
_must_use_ int revocations_add(struct revocations *set, const struct revocation_claim *claim,
			       struct wall now);

bool revocations_has(const struct revocations *set, const struct digest *id);

/* The fold of all ids; zeroes when there are none. */
struct digest revocations_fold(struct revocations *set);

/* All ids, in the set's order; @ret_ids has room for set->count. */
void revocations_ids(const struct revocations *set, struct digest *ret_ids);

/* The next entry in order; @entry NULL: the first. NULL: no more. */
const struct revocation_entry *revocations_next(const struct revocations *set,
						const struct revocation_entry *entry);

/* A certificate, as far as revocations tell them apart. */
struct revocation_subject {
	enum cert_kind kind;
	struct node_id key;
	const char *name;
	const uint8_t *serial; /* CERT_SERIAL_LEN bytes; NULL: not known */
	struct wall not_before;
};

/* Is @subject revoked by an entry of a time before @before? */
bool revocations_hit(const struct revocations *set, const struct revocation_subject *subject,
		     struct wall before);

/* The same of a machine by its key. WALL_NEVER: whenever. */
bool revocations_hit_machine(const struct revocations *set, const struct node_id *machine,
			     struct wall before);

#define WALL_NEVER ((struct wall){INT64_MAX})
