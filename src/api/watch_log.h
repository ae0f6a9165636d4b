/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watch log: what has happened to the objects of one resource since a gateway began to look.
 *
 * It holds the last composed text of every object (the view) and, bounded, the changes that led
 * there, each with the text before and after. Texts are shared and counted.
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

#include "base/attr.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/map.h"

enum {
	WATCH_LOG_CHANGES_MAX = 4096,   /* a reconnecting client is seconds behind, not hours */
	WATCH_LOG_BYTES_MAX = 16 << 20, /* of texts that only the log still holds, roughly */
};

/* One composed object as compact JSON; shared. */
struct watch_text {
	unsigned refs;
	struct uid workload; /* whose pods or status it shows; none: not of a workload */
	uint64_t version;    /* its resourceVersion */
	size_t len;
	char json[];
};

struct watch_change {
	uint64_t stamp;
	struct watch_text *before; /* NULL: it was not there */
	struct watch_text *after;  /* NULL: it is gone */
};

struct watch_log {
	struct map view;              /* "namespace/name" -> struct watch_text */
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

/* A log that begins at @version. */
struct watch_log *watch_log_new(uint64_t version);
void watch_log_free(struct watch_log *log);

/* Put an object into the view without a change: the state the log begins with. Takes @text. */
void watch_log_seed(struct watch_log *log, const char *key, struct watch_text *text);

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
