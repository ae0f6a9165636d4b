/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_port.h"

#include <errno.h>
#include <stdio.h>

/* True: it stays. Else it has ended. */
static bool end_with(struct api_stream *stream, const char *why)
{
	struct err err = {0};

	if (why) {
		err.code = -ECONNREFUSED;
		(void)snprintf(err.text, sizeof(err.text), "%s", why);
	}
	stream->sink->end(stream->arg, &err);
	return false;
}

static bool echo(struct api_stream *stream)
{
	struct bytes bytes = bytes_buf(&stream->echo);

	if (bytes.len) {
		stream->paused = !stream->sink->data(stream->arg, bytes);
		buf_clear(&stream->echo);
	}
	if (stream->finished)
		return end_with(stream, NULL);
	if (stream->full) {
		stream->full = false;
		stream->sink->writable(stream->arg);
	}
	return true;
}

bool fake_port_step(struct api_stream *stream)
{
	if (!stream->begun && stream->port != FAKE_PORT_ECHO && stream->port != FAKE_PORT_GREETING)
		return end_with(stream, "connection refused");
	if (!stream->begun) {
		stream->begun = true;
		stream->sink->begin(stream->arg);
	}
	if (stream->port == FAKE_PORT_ECHO)
		return echo(stream);
	(void)stream->sink->data(stream->arg, bytes_str("good day\n"));
	return end_with(stream, NULL);
}

bool fake_port_write(void *self, struct api_stream *stream, struct bytes bytes)
{
	(void)self;
	buf_append_bytes(&stream->echo, bytes);
	stream->full = stream->echo.len >= FAKE_PORT_FULL;
	return !stream->full;
}

void fake_port_finish(void *self, struct api_stream *stream)
{
	(void)self;
	stream->finished = true;
}
