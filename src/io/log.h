/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log: one event per line on standard error, as text or JSON.
 *
 * An event has a level, a stable id that operators and tests may search for ("peer-refused":
 * lower-case words joined by hyphens, never changed once released), and a sentence. Each line is
 * one write, so lines of several processes do not mix. Only programs and adapters log; cores
 * return effects and counters.
 *
 * What a peer can trigger goes through a struct log_limit, so that nobody can fill a disk.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
};

enum {
	LOG_LINE_MAX = 2048,  /* a longer sentence is cut */
	LOG_NODE_MAX = 64,    /* a DNS label and its zero */
	LOG_PROCESS_MAX = 16, /* "fabric", "host", ... */
	LOG_LIMIT_KEYS = 256, /* keys remembered; the least recent one is forgotten first */
};

struct log_config {
	const char *node;    /* copied; NULL: left out */
	const char *process; /* copied; NULL: left out */
	enum log_level min;  /* events below it are dropped */
	bool json;
};

/* Before the first event, or again to change something. Without it: text, from LOG_LEVEL_INFO. */
void log_init(const struct log_config *config);

/* Write one event. Line breaks and control characters in the sentence are escaped. */
void log_event(enum log_level level, const char *event, const char *format, ...) _printf_(3, 4);

/* One line without its break, as log_event() would write it at @at. For tests and other sinks. */
void log_format(enum log_level level, const char *event, const char *sentence, struct wall at,
		struct buf *out);

/*
 * At most one event per key and interval. Zeroed is ready to use, with one minute; the key is
 * hashed together with the event's id.
 */
struct log_limit {
	struct {
		uint64_t key;
		struct mono last;
		uint64_t suppressed;
	} slot[LOG_LIMIT_KEYS];
	int64_t interval_us; /* 0: one minute */
};

/* Whether an event of @key may pass at @now, and how many were held back since the last one. */
bool log_limit_pass(struct log_limit *limit, struct bytes key, struct mono now,
		    uint64_t *ret_suppressed);

/* log_event() unless @key had one within the interval. Adds "(n more like this)". */
void log_event_limited(struct log_limit *limit, struct bytes key, enum log_level level,
		       const char *event, const char *format, ...) _printf_(5, 6);
