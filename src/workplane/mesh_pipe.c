/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes between a socket of an application and a stream, in both directions until both have ended.
 *
 * Back-pressure needs no count of its own: what the socket does not take is not given back to the
 * stream's window, so the other side stops; what the stream does not take is not read from the
 * socket any further. The end of one direction is passed on by itself (half-close); anything else
 * that ends one side resets the other.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "workplane/mesh_internal.h"

enum {
	PIPE_ROUNDS = 2, /* chunks read before others have their turn */
};

struct mesh_pipe {
	struct mesh_stream events; /* first */
	struct list link;
	struct mesh *mesh;
	struct quic_stream *stream; /* NULL: gone, in order */
	int fd;                     /* MESH_FD_NONE: broken, and closed */
	struct loop_watch *watch;
	struct buf in;  /* for the socket */
	struct buf out; /* for the stream */
	bool in_end, in_shut, out_end;
	loop_fn ended;
	void *user;
};

void mesh_fd_reset(int fd)
{
	struct linger now = {.l_onoff = 1};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)close(fd);
}

static void drop_fd(struct mesh_pipe *pipe, bool reset)
{
	loop_watch_free(pipe->watch);
	pipe->watch = NULL;
	if (pipe->fd != MESH_FD_NONE) {
		if (reset)
			mesh_fd_reset(pipe->fd);
		else
			(void)close(pipe->fd);
	}
	pipe->fd = MESH_FD_NONE;
}

static void pipe_free(struct mesh_pipe *pipe)
{
	list_remove(&pipe->link);
	buf_deinit(&pipe->in);
	buf_deinit(&pipe->out);
	free(pipe);
}

/* Both sides are gone, or were given up. */
static void pipe_end(struct mesh_pipe *pipe, bool reset)
{
	loop_fn ended = pipe->ended;
	void *user = pipe->user;

	drop_fd(pipe, reset);
	pipe_free(pipe);
	ended(user);
}

/* The socket has failed: the other side is to see that, and closed() will follow. */
static void pipe_break(struct mesh_pipe *pipe)
{
	drop_fd(pipe, true);
	buf_clear(&pipe->in);
	buf_clear(&pipe->out);
	if (pipe->stream)
		quic_stream_reset(pipe->stream, MESH_RETRY_CODE);
	else
		pipe_end(pipe, true);
}

static void set_watch(struct mesh_pipe *pipe)
{
	bool read = !pipe->out_end && pipe->out.len == 0 && pipe->stream;

	if (pipe->watch)
		loop_watch_set(pipe->watch,
			       (read ? LOOP_READABLE : 0) | (pipe->in.len > 0 ? LOOP_WRITABLE : 0));
}

/* ---- from the stream to the socket ---- */

/* How much of @data the socket takes; -1: it has failed. */
static ssize_t to_socket(struct mesh_pipe *pipe, struct bytes data)
{
	ssize_t sent = 0;

	if (data.len > 0)
		sent = send(pipe->fd, data.ptr, data.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	pipe->mesh->stats.bytes_in += (uint64_t)sent;
	if (pipe->stream)
		quic_stream_consumed(pipe->stream, (size_t)sent);
	return sent;
}

/* After all its bytes. */
static void pass_end_on(struct mesh_pipe *pipe)
{
	if (!pipe->in_end || pipe->in.len > 0 || pipe->in_shut)
		return;
	pipe->in_shut = true;
	(void)shutdown(pipe->fd, SHUT_WR); /* if it has failed the next read says so */
}

static void on_data(struct mesh_stream *events, struct bytes data, bool end)
{
	struct mesh_pipe *pipe = container_of(events, struct mesh_pipe, events);
	ssize_t sent = 0;

	if (pipe->fd == MESH_FD_NONE) {
		quic_stream_consumed(pipe->stream, data.len);
		return;
	}
	if (pipe->in.len == 0)
		sent = to_socket(pipe, data);
	if (sent < 0) {
		pipe_break(pipe);
		return;
	}
	buf_append(&pipe->in, data.ptr + sent, data.len - (size_t)sent);
	pipe->in_end = pipe->in_end || end;
	pass_end_on(pipe);
	set_watch(pipe);
}

/* False: the pipe has ended, or broken. */
static bool flush_in(struct mesh_pipe *pipe)
{
	ssize_t sent = to_socket(pipe, bytes_buf(&pipe->in));

	if (sent < 0) {
		pipe_break(pipe);
		return false;
	}
	buf_consume(&pipe->in, (size_t)sent);
	if (pipe->in.len == 0)
		buf_deinit(&pipe->in); /* a quiet connection holds no memory */
	pass_end_on(pipe);
	if (pipe->stream || pipe->in.len > 0)
		return true;
	pipe_end(pipe, false);
	return false;
}

/* ---- from the socket to the stream ---- */

static void finish_out(struct mesh_pipe *pipe)
{
	if (pipe->out_end && pipe->out.len == 0 && pipe->stream)
		quic_stream_finish(pipe->stream);
}

/* False: no more for now. */
static bool read_chunk(struct mesh_pipe *pipe)
{
	ssize_t len = recv(pipe->fd, pipe->mesh->chunk, MESH_PIPE_CHUNK, MSG_DONTWAIT);
	size_t taken;

	if (len < 0) {
		if (errno != EAGAIN && errno != EINTR)
			pipe_break(pipe);
		return false;
	}
	pipe->out_end = len == 0;
	pipe->mesh->stats.bytes_out += (uint64_t)len;
	taken = quic_stream_write(pipe->stream, bytes_of(pipe->mesh->chunk, (size_t)len));
	buf_append(&pipe->out, pipe->mesh->chunk + taken, (size_t)len - taken);
	finish_out(pipe);
	return len == MESH_PIPE_CHUNK && pipe->out.len == 0;
}

static void on_writable(struct mesh_stream *events)
{
	struct mesh_pipe *pipe = container_of(events, struct mesh_pipe, events);

	if (pipe->fd == MESH_FD_NONE || pipe->out.len == 0)
		return;
	buf_consume(&pipe->out, quic_stream_write(pipe->stream, bytes_buf(&pipe->out)));
	if (pipe->out.len == 0)
		buf_deinit(&pipe->out);
	finish_out(pipe);
	set_watch(pipe);
}

static void on_socket(void *user, int events)
{
	struct mesh_pipe *pipe = user;

	if ((events & LOOP_WRITABLE) && pipe->in.len > 0 && !flush_in(pipe))
		return;
	for (int i = 0; (events & LOOP_READABLE) && i < PIPE_ROUNDS; i++)
		if (pipe->out_end || pipe->out.len > 0 || !pipe->stream || !read_chunk(pipe))
			break;
	/* It may have broken in there: then it waits for the stream's end only. */
	if (pipe->fd != MESH_FD_NONE)
		set_watch(pipe);
}

/* ---- life ---- */

/* In order, both directions have ended; but what has come may not all be with the application. */
static void on_closed(struct mesh_stream *events, const struct err *why)
{
	struct mesh_pipe *pipe = container_of(events, struct mesh_pipe, events);

	pipe->stream = NULL;
	if (why || pipe->fd == MESH_FD_NONE || pipe->in.len == 0) {
		pipe_end(pipe, why != NULL);
		return;
	}
	set_watch(pipe);
}

void mesh_pipe_new(struct mesh *mesh, int fd, struct quic_stream *stream, struct bytes early,
		   bool early_end, loop_fn ended, void *user)
{
	struct mesh_pipe *pipe = mem_new(struct mesh_pipe);

	*pipe = (struct mesh_pipe){
		.events = {.data = on_data, .writable = on_writable, .closed = on_closed},
		.mesh = mesh,
		.stream = stream,
		.fd = fd,
		.ended = ended,
		.user = user,
	};
	list_append(&mesh->pipes, &pipe->link);
	if (!mesh->chunk)
		mesh->chunk = mem_alloc(1, MESH_PIPE_CHUNK);
	quic_stream_set_user(stream, &pipe->events);
	if (loop_watch_new(mesh->loop, fd, LOOP_READABLE, on_socket, pipe, &pipe->watch) < 0) {
		pipe_break(pipe);
		return;
	}
	if (early.len > 0 || early_end)
		on_data(&pipe->events, early, early_end);
}

void mesh_pipes_free(struct mesh *mesh)
{
	list_for_each_safe (it, &mesh->pipes) {
		struct mesh_pipe *pipe = list_entry(it, struct mesh_pipe, link);

		drop_fd(pipe, true);
		pipe_free(pipe);
	}
	free(mesh->chunk);
}
