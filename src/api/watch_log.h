/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watch log: what has happened to the objects of one resource since a gateway began to look.
 *
 * It holds the last composed text of every object (the view), in the order of lists, and, bounded,
 * the changes that led there, each with the text before and after. Texts are shared and counted.
 * So a list or a watch composes nothing: it reads texts.
 *
 * Versions: machines' clocks differ, so a record may arrive here after one with a higher version.
 * Every change therefore gets a stamp of this log, max(its own version, last stamp + 1); a list
 * is answered with the last stamp and a watch resumes behind the last change whose stamp is not
 * above the version it names. A version below the first one that the log still remembers has
 * expired.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "records/index.h"

enum {
	WATCH_LOG_CHANGES_MAX = 4096,   /* a reconnecting client is seconds behind, not hours */
	WATCH_LOG_BYTES_MAX = 16 << 20, /* of texts that only the log still holds, roughly */
	WATCH_LOG_PARSED_MAX = 64,      /* texts kept parsed, for all who look at one change */
};

/* One composed object as compact JSON; shared. */
struct watch_text {
	unsigned refs;
	struct uid workload; /* whose pods or status it shows; none: not of a workload */
	uint64_t version;    /* its resourceVersion */
	char *key;           /* "namespace/name"; set by the log */
	json_t *parsed;      /* or NULL: see watch_log_parse() */
	struct buf cells;    /* of its row in a Table (kube_cells()); empty: nobody made them */
	size_t metadata_at, metadata_len; /* of the text; with cells */
	size_t len;
	char json[];
};

/* An object of the view. */
struct watch_entry {
	const char *key; /* its text's */
	struct watch_text *text;
	struct list in_workload;
};

/* The objects of one workload. */
struct watch_workload {
	struct uid uid;
	struct list entries; /* struct watch_entry */
};

struct watch_change {
	uint64_t stamp;
	struct watch_text *before; /* NULL: it was not there */
	struct watch_text *after;  /* NULL: it is gone */
};

struct watch_log {
	struct map view;      /* "namespace/name" -> struct watch_entry */
	struct index order;   /* the same, by key */
	struct map workloads; /* uid -> struct watch_workload */
	struct watch_text *parsed[WATCH_LOG_PARSED_MAX];
	size_t parsed_count;
	struct watch_change *changes; /* a ring */
	size_t first, count;
	uint64_t first_sequence; /* of the oldest change still there; the next one is + count */
	uint64_t floor;          /* versions below it have expired */
	uint64_t stamp;
	size_t bytes;
	uint64_t used_ms; /* loop time of the last list or watch: housekeeping */
};

struct watch_text *watch_text_new(const char *json, size_t len, const struct uid *workload,
				  uint64_t version);
struct watch_text *watch_text_ref(struct watch_text *text);
void watch_text_unref(struct watch_text *text);

/* Of a text with cells: what its member "metadata" is. Borrowed. */
static inline struct bytes watch_text_metadata(const struct watch_text *text)
{
	return bytes_of(text->json + text->metadata_at, text->metadata_len);
}

/* A log that begins at @version. */
struct watch_log *watch_log_new(uint64_t version);
void watch_log_free(struct watch_log *log);

/* Put an object into the view without a change: the state the log begins with. Takes @text. */
void watch_log_seed(struct watch_log *log, const char *key, struct watch_text *text);

/* The object under @key; NULL when there is none. */
struct watch_text *watch_log_find(const struct watch_log *log, const char *key);

/* Iterate the view in order: start where @from (NULL: the beginning) is or would be. */
size_t watch_log_from(const struct watch_log *log, const char *from);
struct watch_text *watch_log_next(const struct watch_log *log, size_t *position);

/* The objects of one workload, NULL when there are none. */
const struct watch_workload *watch_log_workload(const struct watch_log *log,
						const struct uid *workload);

/* @text as JSON; borrowed, until watch_log_forget_parsed(). NULL for NULL. */
const json_t *watch_log_parse(struct watch_log *log, struct watch_text *text);
void watch_log_forget_parsed(struct watch_log *log);

/* Is @text an object of @namespace (NULL: any)? */
bool watch_text_is_in(const struct watch_text *text, const char *namespace);

/* The object under @key is now @text (taken over), or gone (NULL, at @version). A text equal to the
 * one before is no change. True when something changed. */
bool watch_log_note(struct watch_log *log, const char *key, struct watch_text *text,
		    uint64_t version);

/* The sequence number behind the changes up to @version; false when it has expired. */
_must_use_ bool watch_log_position(const struct watch_log *log, uint64_t version,
				   uint64_t *ret_sequence);

/* The sequence number of the next change to come. */
uint64_t watch_log_end(const struct watch_log *log);

/* The change with that number; NULL when it is still to come or (see below) forgotten. */
const struct watch_change *watch_log_at(const struct watch_log *log, uint64_t sequence);

/* Whether that change was there and has been forgotten. */
bool watch_log_forgot(const struct watch_log *log, uint64_t sequence);
