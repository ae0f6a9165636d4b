/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/log_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

enum {
	CHUNK = 64 * 1024,
	/* A longer line never comes from conmon, which splits them; it would be dropped. */
	LINE_MAX_LEN = 1 << 20,
	TAIL_FIRST = 64 * 1024,
};

struct log_stream {
	struct loop *loop;
	int file, out, notify;
	struct loop_watch *out_watch, *notify_watch;
	struct log_filter filter;
	off_t offset;
	struct buf raw;  /* an unfinished line */
	struct buf text; /* for the reader */
	bool ended;      /* the file grows no more */
	bool full;       /* the limit has been reached */
	bool finished, deferred;
	loop_fn done;
	void *user;
};

static void stream_pump(struct log_stream *stream);

static void stream_finish(struct log_stream *stream)
{
	if (stream->finished)
		return;
	stream->finished = true;
	loop_watch_free(stream->out_watch);
	loop_watch_free(stream->notify_watch);
	stream->out_watch = stream->notify_watch = NULL;
	stream->done(stream->user);
}

/* 1: all written; 0: wait; negative: the reader is gone. */
static int stream_write(struct log_stream *stream)
{
	while (stream->text.len > 0) {
		ssize_t put = send(stream->out, stream->text.ptr, stream->text.len,
				   MSG_NOSIGNAL | MSG_DONTWAIT);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EAGAIN)
			return 0;
		if (put < 0)
			return err_origin(-errno);
		buf_consume(&stream->text, (size_t)put);
	}
	return 1;
}

static void stream_filter(struct log_stream *stream)
{
	size_t start = 0;

	while (!stream->full && start < stream->raw.len) {
		const uint8_t *feed =
			memchr(stream->raw.ptr + start, '\n', stream->raw.len - start);
		size_t len;

		if (!feed)
			break;
		len = (size_t)(feed - stream->raw.ptr) - start;
		stream->full = !log_filter_line(
			&stream->filter, bytes_of(stream->raw.ptr + start, len), &stream->text);
		start += len + 1;
	}
	if (start > 0)
		buf_consume(&stream->raw, start);
	if (stream->raw.len > LINE_MAX_LEN)
		buf_clear(&stream->raw);
}

/* Read one piece; false at the end of what there is. */
static bool stream_read(struct log_stream *stream)
{
	struct stat info;
	ssize_t got;

	/* Cut by conmon: it begins anew. */
	if (fstat(stream->file, &info) == 0 && info.st_size < stream->offset) {
		stream->offset = 0;
		buf_clear(&stream->raw);
	}
	buf_reserve(&stream->raw, CHUNK);
	got = pread(stream->file, stream->raw.ptr + stream->raw.len, CHUNK, stream->offset);
	if (got <= 0)
		return false;
	stream->raw.len += (size_t)got;
	stream->offset += got;
	stream_filter(stream);
	return true;
}

static void stream_pump(struct log_stream *stream)
{
	for (;;) {
		int r = stream_write(stream);

		if (r < 0) {
			stream_finish(stream);
			return;
		}
		if (r == 0) {
			loop_watch_set(stream->out_watch, LOOP_READABLE | LOOP_WRITABLE);
			return;
		}
		if (stream->full)
			break;
		if (stream_read(stream))
			continue;
		if (stream->ended || !stream->filter.options.follow)
			break;
		loop_watch_set(stream->out_watch, LOOP_READABLE);
		return;
	}
	stream_finish(stream);
}

static void on_out(void *user, int events)
{
	struct log_stream *stream = user;
	char ignored[64];

	/* The reader never writes: what can be read is its end. */
	if (events & LOOP_READABLE &&
	    recv(stream->out, ignored, sizeof(ignored), MSG_DONTWAIT) == 0) {
		stream_finish(stream);
		return;
	}
	stream_pump(stream);
}

static void on_notify(void *user, int events)
{
	struct log_stream *stream = user;
	char ignored[4096];

	(void)events;
	while (read(stream->notify, ignored, sizeof(ignored)) > 0)
		continue;
	stream_pump(stream);
}

static void on_first(void *user)
{
	struct log_stream *stream = user;

	stream->deferred = false;
	if (stream->user)
		stream_pump(stream);
	else
		free(stream);
}

/* Look at ever longer pieces from the end, until the tail is in one. */
static void seek_tail(struct log_stream *stream, int64_t lines)
{
	struct stat info;
	struct buf piece = {0};

	if (fstat(stream->file, &info) < 0)
		return;
	for (off_t len = TAIL_FIRST;; len *= 4) {
		off_t from = info.st_size > len ? info.st_size - len : 0;
		size_t want = (size_t)(info.st_size - from), skip = 0;
		const uint8_t *feed;
		ssize_t got;
		int64_t start;

		buf_clear(&piece);
		buf_reserve(&piece, want + 1);
		got = pread(stream->file, piece.ptr, want, from);
		piece.len = got > 0 ? (size_t)got : 0;
		/* Unless it is the file's first, the piece begins inside some line. */
		feed = from > 0 && piece.len > 0 ? memchr(piece.ptr, '\n', piece.len) : NULL;
		if (feed)
			skip = (size_t)(feed - piece.ptr) + 1;
		start = log_tail_start(bytes_of(piece.ptr + skip, piece.len - skip), lines);
		if (start >= 0 || from == 0) {
			stream->offset = start >= 0 ? from + (off_t)skip + (off_t)start : 0;
			break;
		}
	}
	buf_deinit(&piece);
}

static int stream_open(struct log_stream *stream, const struct log_source *source)
{
	int r;

	stream->file = open(source->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (stream->file < 0)
		return err_origin(-errno);
	r = loop_watch_new(stream->loop, stream->out, LOOP_READABLE, on_out, stream,
			   &stream->out_watch);
	if (r < 0 || source->ended || !source->options.follow)
		return r;
	stream->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (stream->notify < 0 || inotify_add_watch(stream->notify, source->path, IN_MODIFY) < 0)
		return err_origin(-errno);
	return loop_watch_new(stream->loop, stream->notify, LOOP_READABLE, on_notify, stream,
			      &stream->notify_watch);
}

int log_stream_new(struct loop *loop, const struct log_source *source, int fd, loop_fn done,
		   void *user, struct log_stream **ret_stream)
{
	struct log_stream *stream = mem_new(struct log_stream);
	int r;

	stream->loop = loop;
	stream->file = stream->notify = -1;
	stream->out = fd;
	stream->ended = source->ended;
	stream->filter.options = source->options;
	stream->done = done;
	stream->user = user;
	r = stream_open(stream, source);
	if (r < 0) {
		log_stream_free(stream);
		return r;
	}
	if (source->options.tail_lines >= 0)
		seek_tail(stream, source->options.tail_lines);
	stream->deferred = true;
	loop_defer(loop, on_first, stream);
	*ret_stream = stream;
	return 0;
}

void log_stream_free(struct log_stream *stream)
{
	if (!stream)
		return;
	loop_watch_free(stream->out_watch);
	loop_watch_free(stream->notify_watch);
	if (stream->file >= 0)
		(void)close(stream->file);
	if (stream->notify >= 0)
		(void)close(stream->notify);
	(void)close(stream->out);
	buf_deinit(&stream->raw);
	buf_deinit(&stream->text);
	stream->user = NULL;
	/* A deferred call cannot be taken back: it frees the rest. */
	if (!stream->deferred)
		free(stream);
}

void log_stream_end(struct log_stream *stream)
{
	stream->ended = true;
	if (!stream->deferred && !stream->finished)
		stream_pump(stream);
}
