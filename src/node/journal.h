/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Journal: what has happened to objects, for people (Kubernetes Events).
 *
 * Nothing is sent when something happens. Each keeper of an object sees its records change and
 * notes what that means (witness.c): the same words, times and counts on every keeper, for they
 * follow from the records. Who wants to read asks some keepers (journal_read.c) and has *copies*
 * for a while. The same happening, that is the same words about the same object, is one entry, in
 * whatever order and from whomever it comes: merging is commutative and idempotent.
 *
 * In memory only, for JOURNAL_KEPT_MS at most. Beyond a limit the oldest entry goes: of that
 * object, of what that machine has written, of all. Copies never displace what this machine noted.
 *
 * Happenings are copied. Pure.
 */
#pragma once

#include "base/attr.h"
#include "base/time.h"
#include "wire/message.h"

enum {
	JOURNAL_MAX = 4096,            /* noted here: about 2 MiB */
	JOURNAL_PER_OBJECT_MAX = 32,   /* the last words about one pod tell its story */
	JOURNAL_PER_WRITER_MAX = 1024, /* a quarter for what one machine writes: a quota per peer */
	JOURNAL_COPIES_MAX = 16384,    /* a list of 5000 pods; 8 MiB, for half a minute */
	JOURNAL_COPY_MS = 30 * 1000,   /* as copies of records */
	JOURNAL_KEPT_MS = 3600 * 1000, /* as Kubernetes by default */
	JOURNAL_PAGE_BYTES_MAX = 64 << 10,
};

struct journal;

struct journal *journal_new(uint64_t seed);
void journal_free(struct journal *journal);

/*
 * This machine has noted @what about an object at the home of @home; it follows from what @writer
 * wrote. A higher count of the same moves its last time. What is too old or no valid happening is
 * dropped. Whether it is news.
 */
bool journal_note(struct journal *journal, struct wall fabric, const struct uid *home,
		  const struct node_id *writer, const struct happening *what);

/* A keeper of that home says so. Whether it is news. */
bool journal_hear(struct journal *journal, struct mono now, struct wall fabric,
		  const struct uid *home, const struct happening *what);

/* Forget copies that were not heard again. */
void journal_sweep(struct journal *journal, struct mono now);

/* What was noted here about objects at the home of @home, behind the number @after. The caller
 * deinitialises the page. */
void journal_read(const struct journal *journal, struct wall fabric, const struct uid *home,
		  uint64_t after, struct journal_page *ret_page);

/* All that is known, noted or heard, in @namespace (NULL: all). @id: of the happening itself, the
 * same on every machine. */
typedef void journal_fn(void *arg, const struct happening *what, const struct uid *id);
void journal_each(const struct journal *journal, struct wall fabric, const char *namespace,
		  journal_fn *each, void *arg);

/* How many entries there are: noted here, and copies. */
size_t journal_noted(const struct journal *journal);
size_t journal_copies(const struct journal *journal);
