/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/log_line.h"

#include <string.h>
#include <time.h>

/* Two or four digits as a number; -1 if they are none. */
static int digits(const uint8_t *at, int count)
{
	int value = 0;

	for (int i = 0; i < count; i++) {
		if (at[i] < '0' || at[i] > '9')
			return -1;
		value = value * 10 + at[i] - '0';
	}
	return value;
}

/* "2026-11-21T16:29:18.511451088+00:00"; conmon runs with TZ=UTC, so the offset is always zero. */
static bool time_parse(struct bytes text, int64_t *ret_ms)
{
	enum {
		SECONDS_LEN = 19,
	};
	struct tm parts = {0};
	const uint8_t *at = text.ptr;

	if (text.len < SECONDS_LEN + 4 || at[4] != '-' || at[7] != '-' || at[10] != 'T' ||
	    at[13] != ':' || at[16] != ':' || at[19] != '.')
		return false;
	parts.tm_year = digits(at, 4) - 1900;
	parts.tm_mon = digits(at + 5, 2) - 1;
	parts.tm_mday = digits(at + 8, 2);
	parts.tm_hour = digits(at + 11, 2);
	parts.tm_min = digits(at + 14, 2);
	parts.tm_sec = digits(at + 17, 2);
	if (parts.tm_year < 0 || parts.tm_mon < 0 || parts.tm_mday < 0 || parts.tm_hour < 0 ||
	    parts.tm_min < 0 || parts.tm_sec < 0 || digits(at + 20, 3) < 0)
		return false;
	*ret_ms = (int64_t)timegm(&parts) * 1000 + digits(at + 20, 3);
	return true;
}

/* The part up to the next space, which is dropped. */
static struct bytes take_word(struct bytes *rest)
{
	const uint8_t *space = rest->len > 0 ? memchr(rest->ptr, ' ', rest->len) : NULL;
	struct bytes word = {.ptr = rest->ptr, .len = space ? (size_t)(space - rest->ptr) : 0};

	if (space) {
		rest->ptr = space + 1;
		rest->len -= word.len + 1;
	}
	return word;
}

bool log_line_parse(struct bytes line, struct log_line *ret_line)
{
	struct log_line parsed = {0};
	struct bytes stream, tag;

	parsed.time = take_word(&line);
	stream = take_word(&line);
	tag = take_word(&line);
	if (stream.len == 0 || tag.len == 0 || (tag.ptr[0] != 'F' && tag.ptr[0] != 'P'))
		return false;
	if (!time_parse(parsed.time, &parsed.at_ms))
		return false;
	parsed.is_partial = tag.ptr[0] == 'P';
	parsed.text = line;
	*ret_line = parsed;
	return true;
}

/* Kubernetes writes UTC as "Z". */
static void append_time(struct bytes time, struct buf *out)
{
	const char *utc = "+00:00";
	size_t len = strlen(utc);

	if (time.len > len && memcmp(time.ptr + time.len - len, utc, len) == 0) {
		buf_append(out, time.ptr, time.len - len);
		buf_append(out, "Z ", 2);
		return;
	}
	buf_append_bytes(out, time);
	buf_append(out, " ", 1);
}

bool log_filter_line(struct log_filter *filter, struct bytes line, struct buf *out)
{
	const struct log_options *options = &filter->options;
	size_t start = out->len, more;
	struct log_line parsed;

	if (!log_line_parse(line, &parsed))
		return true;
	if (options->since_ms > 0 && parsed.at_ms < options->since_ms)
		return true;
	if (options->timestamps && !filter->inside)
		append_time(parsed.time, out);
	buf_append_bytes(out, parsed.text);
	if (!parsed.is_partial)
		buf_append(out, "\n", 1);
	filter->inside = parsed.is_partial;
	more = out->len - start;
	if (options->limit_bytes > 0 && filter->passed + (int64_t)more >= options->limit_bytes) {
		out->len = start + (size_t)(options->limit_bytes - filter->passed);
		filter->passed = options->limit_bytes;
		return false;
	}
	filter->passed += (int64_t)more;
	return true;
}

/*
 * The last line of the application is complete with a raw line tagged F. So its N last ones begin
 * right after the last but N of those.
 */
int64_t log_tail_start(struct bytes log, int64_t lines)
{
	size_t end = log.len;
	int64_t full = 0;

	if (lines <= 0)
		return (int64_t)log.len;
	while (end > 0) {
		const uint8_t *feed = end > 1 ? memrchr(log.ptr, '\n', end - 1) : NULL;
		size_t start = feed ? (size_t)(feed - log.ptr) + 1 : 0;
		struct log_line parsed;

		if (log.ptr[end - 1] == '\n' &&
		    log_line_parse(bytes_of(log.ptr + start, end - start - 1), &parsed) &&
		    !parsed.is_partial && ++full > lines)
			return (int64_t)end;
		end = start;
	}
	return full == lines ? 0 : -1;
}
