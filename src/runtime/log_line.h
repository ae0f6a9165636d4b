/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines: the format conmon writes, and what of it a reader wants. Pure.
 *
 *   2026-11-21T16:29:18.511451088+00:00 stdout F text
 *
 * P instead of F: the application's line goes on in the next one of that stream. A log is only
 * half foreign: time and tag are conmon's, the text is the container's and may be anything.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/bytes.h"

struct log_options {
	bool follow;
	bool timestamps;
	int64_t tail_lines;  /* negative: all */
	int64_t limit_bytes; /* 0: no limit */
	int64_t since_ms;    /* wall clock; 0: from the start */
};

struct log_line {
	struct bytes time; /* as written */
	int64_t at_ms;
	bool is_partial;
	struct bytes text;
};

/* @line without its line feed. False if it is not of this format. */
_must_use_ bool log_line_parse(struct bytes line, struct log_line *ret_line);

/* Zeroed but for @options. */
struct log_filter {
	struct log_options options;
	bool inside; /* the line before was partial */
	int64_t passed;
};

/* Append to @out what the reader gets of @line. False once the limit has been reached. */
bool log_filter_line(struct log_filter *filter, struct bytes line, struct buf *out);

/* Where the last @lines lines of the application begin in @log, a piece that starts with a line.
 * Negative if there are not so many in it. */
int64_t log_tail_start(struct bytes log, int64_t lines);
