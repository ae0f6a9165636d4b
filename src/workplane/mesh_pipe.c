/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes between a socket of an application and a stream, in both directions until both have ended.
 *
 * Back-pressure needs no count of its own: what the socket does not take is not given back to the
 * stream's window, so the other side stops; no more is read from the socket than the stream has
 * room for. The end of one direction is passed on by itself (half-close); anything else
 * that ends one side resets the other.
 *
 * A system call costs more than the bytes of a packet are worth, so what the packets of one turn of
 * the loop bring is collected, and given to the socket at the turn's end, or when it is a chunk.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "workplane/mesh_internal.h"

enum {
	CALM_MS = 1000,
	CALM_BYTES = 256 << 10, /* carried in that time: less cannot have taken much memory */
	CALM_KEPT = 4 << 20,    /* free memory that is not given back at once */
	PIPE_ROUNDS = 2,        /* chunks read before others have their turn */
	PIPE_SMALL = 1024, /* a packet with more is seldom alone: room for many is made at once */
	PIPE_FULL = MESH_PIPE_CHUNK - 2048, /* the next packet may not fit into that room */
};

struct mesh_pipe {
	struct mesh_stream events; /* first */
	struct list link;
	struct list due; /* on mesh->pipes_due while the turn's end has something to do */
	struct mesh *mesh;
	struct quic_stream *stream; /* NULL: gone, in order */
	int fd;                     /* MESH_FD_NONE: broken, and closed */
	struct loop_watch *watch;
	struct buf in; /* for the socket */
	bool in_end, in_shut, out_end;
	bool in_stuck; /* the socket has no room: it says when it has */
	bool out_full; /* the stream has none */
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
	list_remove(&pipe->due);
	buf_deinit(&pipe->in);
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
	list_remove(&pipe->due);
	if (pipe->stream)
		quic_stream_reset(pipe->stream, MESH_RETRY_CODE);
	else
		pipe_end(pipe, true);
}

static void set_watch(struct mesh_pipe *pipe)
{
	bool read = !pipe->out_end && !pipe->out_full && pipe->stream;

	if (pipe->watch)
		loop_watch_set(pipe->watch,
			       (read ? LOOP_READABLE : 0) | (pipe->in_stuck ? LOOP_WRITABLE : 0));
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

/* False: the pipe has ended, or broken. */
static bool flush_in(struct mesh_pipe *pipe)
{
	ssize_t sent = to_socket(pipe, bytes_buf(&pipe->in));

	if (sent < 0) {
		pipe_break(pipe);
		return false;
	}
	buf_consume(&pipe->in, (size_t)sent);
	pipe->in_stuck = pipe->in.len > 0;
	pass_end_on(pipe);
	if (pipe->stream || pipe->in_stuck) {
		set_watch(pipe);
		return true;
	}
	pipe_end(pipe, false);
	return false;
}

/* Under load memory is kept, for taking it anew costs more than many a packet. A second after the
 * last of it everything that is free goes back. */
static void on_calm(void *user)
{
	struct mesh *mesh = user;
	uint64_t carried = mesh->stats.bytes_in + mesh->stats.bytes_out;

	if (carried - mesh->calm_bytes >= CALM_BYTES) {
		mesh->calm_bytes = carried;
		loop_timer_set(mesh->calm_timer, mono_add_ms(clock_mono(), CALM_MS));
		return;
	}
	mesh->calm_due = false;
	quic_socket_trim(mesh->socket);
	(void)malloc_trim(0);
}

static void look_for_calm(struct mesh *mesh)
{
	uint64_t carried = mesh->stats.bytes_in + mesh->stats.bytes_out;

	if (mesh->calm_due || carried - mesh->calm_bytes < CALM_BYTES)
		return;
	mesh->calm_due = true;
	mesh->calm_bytes = carried;
	loop_timer_set(mesh->calm_timer, mono_add_ms(clock_mono(), CALM_MS));
}

/* A quiet connection holds no memory. */
static void release_in(struct mesh_pipe *pipe)
{
	if (pipe->in.len == 0)
		buf_deinit(&pipe->in);
}

static void on_data(struct mesh_stream *events, struct bytes data, bool end)
{
	struct mesh_pipe *pipe = container_of(events, struct mesh_pipe, events);

	if (pipe->fd == MESH_FD_NONE) {
		quic_stream_consumed(pipe->stream, data.len);
		return;
	}
	if (pipe->in.len == 0 && data.len > PIPE_SMALL)
		buf_reserve(&pipe->in, MESH_PIPE_CHUNK);
	buf_append(&pipe->in, data.ptr, data.len);
	pipe->in_end = pipe->in_end || end;
	if (pipe->in_stuck)
		return;
	if (list_is_empty(&pipe->due))
		list_append(&pipe->mesh->pipes_due, &pipe->due);
	if (pipe->in.len >= PIPE_FULL)
		(void)flush_in(pipe);
}

/* Before the QUIC socket sends what the turn has caused: the room that this makes is told then. */
void mesh_pipes_flush(void *user)
{
	struct mesh *mesh = user;

	while (!list_is_empty(&mesh->pipes_due)) {
		struct mesh_pipe *pipe = list_first(&mesh->pipes_due, struct mesh_pipe, due);

		list_remove(&pipe->due);
		if (pipe->in_stuck || flush_in(pipe))
			release_in(pipe);
	}
	look_for_calm(mesh);
}

/* ---- from the socket to the stream ---- */

/* False: no more for now. */
static bool read_chunk(struct mesh_pipe *pipe)
{
	size_t room = quic_stream_room(pipe->stream), wanted;
	ssize_t len;

	pipe->out_full = room == 0;
	if (pipe->out_full)
		return false;
	wanted = room < MESH_PIPE_CHUNK ? room : MESH_PIPE_CHUNK;
	len = recv(pipe->fd, pipe->mesh->chunk, wanted, MSG_DONTWAIT);
	if (len < 0) {
		if (errno != EAGAIN && errno != EINTR)
			pipe_break(pipe);
		return false;
	}
	pipe->mesh->stats.bytes_out += (uint64_t)len;
	/* What it does not take for want of life is of no use to anybody. */
	(void)!quic_stream_write(pipe->stream, bytes_of(pipe->mesh->chunk, (size_t)len));
	pipe->out_end = len == 0;
	if (pipe->out_end)
		quic_stream_finish(pipe->stream);
	return (size_t)len == wanted;
}

static void on_writable(struct mesh_stream *events)
{
	struct mesh_pipe *pipe = container_of(events, struct mesh_pipe, events);

	pipe->out_full = false;
	set_watch(pipe);
}

static void on_socket(void *user, int events)
{
	struct mesh_pipe *pipe = user;

	if ((events & LOOP_WRITABLE) && pipe->in_stuck) {
		if (!flush_in(pipe))
			return;
		release_in(pipe);
	}
	for (int i = 0; (events & LOOP_READABLE) && i < PIPE_ROUNDS; i++)
		if (pipe->out_end || pipe->out_full || !pipe->stream || !read_chunk(pipe))
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
	list_init(&pipe->due);
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

void mesh_pipes_init(struct mesh *mesh)
{
	list_init(&mesh->pipes);
	list_init(&mesh->pipes_due);
	mesh->calm_timer = loop_timer_new(mesh->loop, on_calm, mesh);
	(void)mallopt(M_TRIM_THRESHOLD, CALM_KEPT);
}

void mesh_pipes_free(struct mesh *mesh)
{
	loop_timer_free(mesh->calm_timer);
	list_for_each_safe (it, &mesh->pipes) {
		struct mesh_pipe *pipe = list_entry(it, struct mesh_pipe, link);

		drop_fd(pipe, true);
		pipe_free(pipe);
	}
	free(mesh->chunk);
	mesh->chunk = NULL;
}
