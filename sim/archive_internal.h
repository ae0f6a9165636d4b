/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the archive: what it knows of each record (archive.c, archive_place.c). */
#pragma once

#include "archive.h"
#include "records/steward.h"
#include "samples.h"

enum {
	ARCHIVE_NAMESPACE = 20000, /* records of one namespace: a list is of one */
	/* Who was lost so long ago has been replaced: it is missed after 10 s, whoever is a keeper
	 * now is compared with soon, and has what it lacks after two rounds. */
	ARCHIVE_REPAIR_MS = 30 * 1000,
};

struct entry {
	struct uid uid; /* ends with the entry's index */
	uint64_t hlc;   /* of the newest acknowledged version */
	uint64_t pending_hlc;
	uint32_t generation;
	bool pending, deleted, dirty; /* dirty: a change was not acknowledged */
	bool excused;                 /* all who had it were lost within one repair interval */
	int64_t acked_us;
	uint32_t copies;                   /* disks that have it */
	int32_t failed_s[RECORDS_KEEPERS]; /* when the last ones that had it failed for good */
};

struct archive {
	struct entry *entries;
	size_t count, cap;
	struct map puts, reads, looks; /* machine, token -> struct call */
	/* A lookup or list that says that it may lack something is counted apart. */
	uint64_t looks_begun, looks_unsure, looks_missed;
	uint64_t lists_begun, lists_unsure, lists_lacking, listed, listed_wrong;
	struct samples look_time, list_time;
	uint64_t written, acked, partly, refused;
	uint64_t reads_begun, reads_found, reads_missed, strict_missed;
	struct samples put_time, read_time;
	size_t held_min;
	uint64_t lacking, held, machines_max;
	double mean, most;
	size_t shard_largest;
	uint64_t disposed;
	uint64_t stored;  /* what disks were given to keep: copies of all records and tombstones */
	uint64_t excused; /* records of which all copies were lost within one repair interval */
};

/* Made when it is asked for first. */
struct archive *archive_of(struct world *world);

/* Records of one kind are spread over so many namespaces: entry I is in number I modulo that. */
size_t archive_namespaces(const struct archive *archive);

/* All machines that are stewards, whether they run or not. */
void archive_stewards(const struct world *world, struct stewards *ret_stewards);

/* An entry as others see it; valid as long as this is. */
struct entry_name {
	char namespace[32], name[32];
	struct object_ref ref;
};
void archive_name(const struct archive *archive, size_t index, struct entry_name *ret_name);

/* The next entry, with a new uid. */
size_t archive_add(struct world *world);

/* Which entry a record is about; NULL: it is none of ours. */
struct entry *archive_find(const struct archive *archive, const struct uid *uid);
