/* SPDX-License-Identifier: Apache-2.0 */
#include "io/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"

enum {
	LOG_INTERVAL_US_DEFAULT = 60 * US_PER_S,
};

/* The process's one log: the sink is a property of the process, like standard error itself. */
static struct {
	char node[LOG_NODE_MAX];
	char process[LOG_PROCESS_MAX];
	enum log_level min;
	bool json;
} sink = {.min = LOG_LEVEL_INFO};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(const struct log_config *config)
{
	(void)snprintf(sink.node, sizeof(sink.node), "%s", config->node ? config->node : "");
	(void)snprintf(sink.process, sizeof(sink.process), "%s",
		       config->process ? config->process : "");
	sink.min = config->min;
	sink.json = config->json;
}

static bool log_wants(enum log_level level)
{
	return level >= sink.min;
}

/* Escapes serve both forms: a peer's text may not start a line, nor move an operator's cursor. */
static void append_escaped(struct buf *out, const char *text, bool json)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (json && (c == '"' || c == '\\'))
			buf_append_format(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_append_format(out, "\\u%04x", c);
		else
			buf_append(out, text, 1);
	}
}

static void append_json_field(struct buf *out, const char *name, const char *value)
{
	if (!*value)
		return;
	buf_append_format(out, "%s\"%s\":\"", out->len > 1 ? "," : "", name);
	append_escaped(out, value, true);
	buf_append_str(out, "\"");
}

void log_format(enum log_level level, const char *event, const char *sentence, struct wall at,
		struct buf *out)
{
	time_t seconds = (time_t)(at.ms / MS_PER_S);
	char date[40], stamp[64];
	struct tm utc;

	if (!gmtime_r(&seconds, &utc) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc))
		(void)snprintf(date, sizeof(date), "-");
	(void)snprintf(stamp, sizeof(stamp), "%s.%03dZ", date, (int)(at.ms % MS_PER_S));
	if (sink.json) {
		struct buf line = {0};

		buf_append_str(&line, "{");
		append_json_field(&line, "time", stamp);
		append_json_field(&line, "level", level_names[level]);
		append_json_field(&line, "node", sink.node);
		append_json_field(&line, "process", sink.process);
		append_json_field(&line, "event", event);
		append_json_field(&line, "message", sentence);
		buf_append_str(&line, "}");
		buf_append_bytes(out, bytes_buf(&line));
		buf_deinit(&line);
		return;
	}
	buf_append_format(out, "%s %-5s ", stamp, level_names[level]);
	if (*sink.node)
		buf_append_format(out, "%s ", sink.node);
	if (*sink.process)
		buf_append_format(out, "%s ", sink.process);
	buf_append_format(out, "[%s] ", event);
	append_escaped(out, sentence, false);
}

static void log_write(enum log_level level, const char *event, const char *sentence)
{
	struct buf line = {0};

	log_format(level, event, sentence, clock_wall(), &line);
	buf_append_str(&line, "\n");
	/* A log nobody can read any more is no reason to stop working. */
	if (write(STDERR_FILENO, line.ptr, line.len) < 0)
		(void)0;
	buf_deinit(&line);
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
	char sentence[LOG_LINE_MAX];
	va_list args;

	if (!log_wants(level))
		return;
	va_start(args, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	log_write(level, event, sentence);
}

/* FNV-1a: the table is small and a collision only hides a line, so no keyed hash is needed. */
static uint64_t hash_more(uint64_t hash, struct bytes bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		hash = (hash ^ bytes.ptr[i]) * 1099511628211ull;
	return hash;
}

static bool limit_pass(struct log_limit *limit, uint64_t key, struct mono now,
		       uint64_t *ret_suppressed)
{
	int64_t interval_us = limit->interval_us ? limit->interval_us : LOG_INTERVAL_US_DEFAULT;
	size_t at = 0;

	for (size_t i = 0; i < LOG_LIMIT_KEYS; i++) {
		if (limit->slot[i].key == key) {
			at = i;
			break;
		}
		if (limit->slot[i].last.us < limit->slot[at].last.us)
			at = i;
	}
	if (limit->slot[at].key == key && mono_since_us(now, limit->slot[at].last) < interval_us) {
		limit->slot[at].suppressed++;
		return false;
	}
	*ret_suppressed = limit->slot[at].key == key ? limit->slot[at].suppressed : 0;
	limit->slot[at].key = key;
	limit->slot[at].last = now;
	limit->slot[at].suppressed = 0;
	return true;
}

bool log_limit_pass(struct log_limit *limit, struct bytes key, struct mono now,
		    uint64_t *ret_suppressed)
{
	/* The low bit keeps a key apart from an unused slot. */
	return limit_pass(limit, hash_more(14695981039346656037ull, key) | 1, now, ret_suppressed);
}

void log_event_limited(struct log_limit *limit, struct bytes key, enum log_level level,
		       const char *event, const char *format, ...)
{
	uint64_t hash = hash_more(hash_more(14695981039346656037ull, bytes_str(event)), key) | 1;
	char sentence[LOG_LINE_MAX];
	uint64_t suppressed;
	va_list args;
	int len;

	if (!log_wants(level) || !limit_pass(limit, hash, clock_mono(), &suppressed))
		return;
	va_start(args, format);
	len = vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	if (suppressed && len > 0 && (size_t)len < sizeof(sentence))
		(void)snprintf(sentence + len, sizeof(sentence) - (size_t)len,
			       " (%" PRIu64 " more like this)", suppressed);
	log_write(level, event, sentence);
}
