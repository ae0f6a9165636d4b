/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/session.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	CHUNK = 16 * 1024, /* above conmon's packets, below FRAME_PAYLOAD_MAX */
	PACKET_STDOUT = 2,
	PACKET_STDERR = 3,
	END_OF_INPUT = 4, /* EOT: what a terminal's driver takes for the end, by default */
};

/* A descriptor and what is awaited of it. */
struct end {
	int fd; /* -1: closed */
	struct loop_watch *watch;
	int events;
};

struct session {
	struct loop *loop;
	struct end client, in, out, err;
	bool same; /* @in is @out: a terminal, or conmon's socket */
	bool is_packets, is_terminal;
	struct session_handler handler;
	struct buf from_client; /* frames that the process has not taken yet */
	struct buf to_client;
	size_t written; /* of the first frame's payload, to @in */
	bool in_full;   /* waits for the process to read */
	bool in_closed;
	uint8_t chunk[CHUNK];
	bool ending, has_status;
	bool told_drained;
	int32_t code;
	char text[ERR_TEXT_MAX];
};

enum step {
	STEP_IDLE,
	STEP_MOVED,
	STEP_OVER, /* the session may be gone */
};

static void pump(struct session *session);

static void on_event(void *user, int events);
static void on_client(void *user, int events);

static void end_await(struct session *session, struct end *end, int events)
{
	if (end->fd < 0 || end->events == events)
		return;
	end->events = events;
	if (end->watch)
		loop_watch_set(end->watch, events);
	else if (loop_watch_new(session->loop, end->fd, events,
				end == &session->client ? on_client : on_event, session,
				&end->watch) != 0)
		abort(); /* a pipe, socket or terminal can always be watched */
}

static void end_close(struct end *end)
{
	loop_watch_free(end->watch);
	end->watch = NULL;
	if (end->fd >= 0)
		(void)close(end->fd);
	end->fd = -1;
	end->events = 0;
}

static void close_all(struct session *session)
{
	end_close(&session->client);
	end_close(&session->in);
	end_close(&session->out);
	end_close(&session->err);
}

static void session_over(struct session *session, bool gone)
{
	close_all(session);
	/* The last touch: the owner may free it in there. */
	session->handler.ended(session->handler.user, gone);
}

/* ---- from the client */

static int in_fd(const struct session *session)
{
	return session->same ? session->out.fd : session->in.fd;
}

/* The process takes no more: the rest is dropped as it comes. */
static void in_close(struct session *session)
{
	if (session->is_packets && session->out.fd >= 0)
		(void)shutdown(session->out.fd, SHUT_WR);
	end_close(&session->in);
	session->in_closed = true; /* its output goes on */
	session->in_full = false;
}

static bool in_is_open(const struct session *session)
{
	return !session->in_closed && in_fd(session) >= 0;
}

/* True when all of @data has been taken, or is not wanted. */
static bool write_input(struct session *session, struct bytes data)
{
	while (in_is_open(session) && session->written < data.len) {
		ssize_t put = write(in_fd(session), data.ptr + session->written,
				    data.len - session->written);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EAGAIN) {
			session->in_full = true;
			return false;
		}
		if (put < 0)
			in_close(session);
		else
			session->written += (size_t)put;
	}
	session->in_full = false;
	return true;
}

static bool take_close(struct session *session, struct bytes payload)
{
	const uint8_t end = END_OF_INPUT;

	if (payload.len != 1 || payload.ptr[0] != FRAME_STDIN)
		return true;
	if (session->is_terminal)
		return write_input(session, bytes_of(&end, 1));
	in_close(session);
	return true;
}

static void resize(struct session *session, struct frame_size size)
{
	const struct winsize window = {.ws_row = size.rows, .ws_col = size.columns};

	if (session->is_terminal && session->out.fd >= 0)
		(void)ioctl(session->out.fd, TIOCSWINSZ, &window);
	if (session->handler.resize)
		session->handler.resize(session->handler.user, size);
}

/* False: it has to wait. */
static bool take_frame(struct session *session, const struct frame *frame)
{
	struct frame_size size;

	switch (frame->channel) {
	case FRAME_STDIN:
		return write_input(session, frame->payload);
	case FRAME_CLOSE:
		return take_close(session, frame->payload);
	case FRAME_RESIZE:
		if (frame_read_size(frame->payload, &size))
			resize(session, size);
		return true;
	case FRAME_STDOUT:
	case FRAME_STDERR:
	case FRAME_STATUS:
	default:
		return true; /* not the client's to say */
	}
}

/* Carry out what has arrived. False: the client speaks nonsense. */
static bool take_frames(struct session *session)
{
	size_t at = 0;
	int r;

	for (;;) {
		struct frame frame;
		size_t used = 0;

		r = frame_next(
			bytes_of(session->from_client.ptr + at, session->from_client.len - at),
			&frame, &used);
		if (r != 0 || !take_frame(session, &frame))
			break;
		session->written = 0;
		at += used;
	}
	buf_consume(&session->from_client, at);
	return r != FRAME_E_MALFORMED;
}

/* 1: something came; 0: nothing for now; negative: the client has gone. */
static int read_client(struct session *session)
{
	ssize_t got;

	if (session->from_client.len >= SESSION_HELD_MAX)
		return 0;
	buf_reserve(&session->from_client, CHUNK);
	got = recv(session->client.fd, session->from_client.ptr + session->from_client.len, CHUNK,
		   MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0)
		return -1;
	session->from_client.len += (size_t)got;
	return 1;
}

/* ---- to the client */

/* False: the client has gone. */
static bool flush(struct session *session)
{
	while (session->to_client.len > 0) {
		ssize_t put = send(session->client.fd, session->to_client.ptr,
				   session->to_client.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno == EAGAIN;
		buf_consume(&session->to_client, (size_t)put);
	}
	return true;
}

static void append_output(struct session *session, enum frame_channel channel, struct bytes data)
{
	if (session->is_packets && data.len > 0) {
		channel = data.ptr[0] == PACKET_STDERR ? FRAME_STDERR : FRAME_STDOUT;
		data = bytes_of(data.ptr + 1, data.len - 1);
	}
	if (data.len > 0)
		frame_append(&session->to_client, channel, data);
}

/* Read what @end has. True when it may have more. */
static bool read_output(struct session *session, struct end *end, enum frame_channel channel)
{
	ssize_t got;

	if (end->fd < 0 || session->to_client.len >= SESSION_HELD_MAX)
		return false;
	got = read(end->fd, session->chunk, sizeof(session->chunk));
	if (got < 0 && errno == EINTR)
		return true;
	/* Its process is gone: who else holds the other end will not be waited for. */
	if (got < 0 && errno == EAGAIN && !session->ending)
		return false;
	if (got <= 0) {
		end_close(end);
		return false;
	}
	append_output(session, channel, bytes_of(session->chunk, (size_t)got));
	return true;
}

static bool output_is_over(const struct session *session)
{
	return session->out.fd < 0 && session->err.fd < 0;
}

/* One round in both directions. */
static enum step step(struct session *session)
{
	bool moved = read_output(session, &session->out, FRAME_STDOUT);

	moved = read_output(session, &session->err, FRAME_STDERR) || moved;
	if (session->ending && output_is_over(session) && !session->has_status) {
		session->has_status = true;
		frame_append_status(&session->to_client, session->code, session->text);
	}
	if (!flush(session))
		goto gone;
	if (session->has_status) {
		if (session->to_client.len > 0)
			return STEP_IDLE;
		session_over(session, false);
		return STEP_OVER;
	}
	if (!session->ending && !session->in_full) {
		int r = read_client(session);

		if (r < 0 || !take_frames(session))
			goto gone;
		moved = r > 0 || moved;
	}
	return moved ? STEP_MOVED : STEP_IDLE;
gone:
	session_over(session, true);
	return STEP_OVER;
}

static void await(struct session *session)
{
	bool room = session->to_client.len < SESSION_HELD_MAX;
	int out = room ? LOOP_READABLE : 0;

	end_await(session, &session->client,
		  LOOP_HANGUP |
			  (session->in_full || session->ending ||
					   session->from_client.len >= SESSION_HELD_MAX
				   ? 0
				   : LOOP_READABLE) |
			  (session->to_client.len > 0 ? LOOP_WRITABLE : 0));
	if (session->same && session->in_full)
		out |= LOOP_WRITABLE;
	else if (!session->same)
		end_await(session, &session->in, session->in_full ? LOOP_WRITABLE : 0);
	end_await(session, &session->out, out);
	end_await(session, &session->err, room ? LOOP_READABLE : 0);
}

static void pump(struct session *session)
{
	enum {
		ROUNDS_MAX = 16, /* others want the loop, too */
	};

	enum step result = STEP_MOVED;

	if (session->in_full && !session->ending && !take_frames(session)) {
		session_over(session, true);
		return;
	}
	for (int i = 0; i < ROUNDS_MAX && result == STEP_MOVED; i++)
		result = step(session);
	if (result == STEP_OVER)
		return;
	await(session);
	if (output_is_over(session) && !session->told_drained) {
		session->told_drained = true;
		if (session->handler.drained)
			session->handler.drained(session->handler.user);
	}
}

static void on_event(void *user, int events)
{
	(void)events;
	pump(user);
}

static void on_client(void *user, int events)
{
	struct session *session = user;

	/* Whoever has gone wants nothing of what has not been read any more. */
	if (events & LOOP_HANGUP)
		session_over(session, true);
	else
		pump(session);
}

static void set_nonblocking(int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int session_new(struct loop *loop, int socket, const struct session_ends *ends,
		const struct session_handler *handler, struct session **ret_session)
{
	struct session *session = mem_new(struct session);

	session->loop = loop;
	session->client.fd = socket;
	session->same = ends->is_packets || ends->is_terminal;
	session->in.fd = session->same ? -1 : ends->in;
	session->out.fd = ends->out;
	session->err.fd = ends->err;
	session->is_packets = ends->is_packets;
	session->is_terminal = ends->is_terminal;
	session->handler = *handler;
	set_nonblocking(ends->in);
	set_nonblocking(ends->out);
	set_nonblocking(ends->err);
	await(session);
	*ret_session = session;
	return 0;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	close_all(session);
	buf_deinit(&session->from_client);
	buf_deinit(&session->to_client);
	free(session);
}

void session_end(struct session *session, int32_t code, const char *text)
{
	assert(!session->ending);
	session->ending = true;
	session->code = code;
	(void)snprintf(session->text, sizeof(session->text), "%s", text);
	end_close(&session->in);
	pump(session);
}
