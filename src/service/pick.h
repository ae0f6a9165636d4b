/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pick: which replica a connection goes to.
 *
 * Out of those that are ready, healthy and not leaving: of two random ones the less loaded, for
 * that keeps the most loaded replica within a constant of the mean (Mitzenmacher 2001) without
 * anybody knowing all loads, and spares callers from running after the same least one. What was
 * picked here since a replica last told its load counts too.
 *
 * When asked to, replicas of the caller's own machine come before those of its region, and these
 * before the rest. One that failed is left out for a while, at first PICK_EXCLUDED_MS, twice as
 * long each further time; when nothing else is left the one excluded first is tried again, for a
 * connection that cannot be made is no worse than none. One attempt never tries a replica twice.
 */
#pragma once

#include "base/time.h"
#include "wire/work.h"

enum {
	PICK_EXCLUDED_MS = 1000,
	PICK_EXCLUDED_MAX_MS = 30 * 1000,
	PICK_FAILURES_MAX = 256, /* replicas remembered as failed; the oldest gives way */
	PICK_TRIED_MAX = 8,      /* replicas that one attempt may try */
	PICK_LOAD_EACH = 20,     /* what a connection since the last word of a load counts */
};

enum pick_preference {
	PICK_ANYWHERE,
	PICK_REGION,  /* the own region first, then anywhere */
	PICK_MACHINE, /* the own machine first, then region, then anywhere */
};

struct pick;

/* One attempt to connect: begins as zeroes but for what the caller prefers. */
struct pick_attempt {
	enum pick_preference preference;
	uint64_t machine;   /* of the caller */
	const char *region; /* of the caller; NULL: not told */
	struct node_id tried[PICK_TRIED_MAX];
	size_t tried_count;
};

struct pick *pick_new(uint64_t seed);
void pick_free(struct pick *pick);

/* The next replica of @records for @attempt, which remembers it as tried; NULL: there is none left.
 */
const struct service_record *pick_next(struct pick *pick, struct mono now,
				       const struct service_record *const *records, size_t count,
				       struct pick_attempt *attempt);

/* No connection to @peer came about, or it did. */
void pick_failed(struct pick *pick, struct mono now, const struct node_id *peer);
void pick_worked(struct pick *pick, const struct node_id *peer);
