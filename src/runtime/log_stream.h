/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log stream: from a container's log file into a socket, as fast as its reader takes it.
 *
 * Follows the file as it grows, also when conmon cuts it and begins anew, until the run ends or the
 * reader goes away.
 */
#pragma once

#include "base/attr.h"
#include "io/loop.h"
#include "runtime/log_line.h"

struct log_stream;

struct log_source {
	const char *path;
	bool ended; /* nothing will be added to it */
	struct log_options options;
};

/* Writes to @fd, which it owns: one end of a stream socket pair. @done is called once, from the
 * loop, when all has been written or the reader is gone; the owner then frees the stream. */
_must_use_ int log_stream_new(struct loop *loop, const struct log_source *source, int fd,
			      loop_fn done, void *user, struct log_stream **ret_stream);
void log_stream_free(struct log_stream *stream);

/* The run is over: write what there is, then be done. */
void log_stream_end(struct log_stream *stream);
