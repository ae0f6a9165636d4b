/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions after names over TCP (RFC 7766): two bytes of length before each message. One question
 * at a time on a connection; the next one waits in the socket.
 */
#include "workplane/front_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"

enum {
	LENGTH_LEN = 2,
	QUESTION_MAX = 512, /* a name of 255 bytes, and what EDNS may add */
	BYTE_BITS = 8,
};

struct dns_conn {
	struct list link;
	struct front *front;
	struct loop_watch *watch;
	struct loop_timer *timer;
	int fd;
	uint8_t in[LENGTH_LEN + QUESTION_MAX];
	size_t in_len;
	struct buf out;
	bool asking, resolving; /* a question is under way; resolver_ask() has not returned */
	bool broken;            /* to be freed when it has */
};

static void conn_free(struct dns_conn *conn)
{
	resolver_forget(conn->front->resolver, conn);
	list_remove(&conn->link);
	conn->front->stats.dns--;
	loop_watch_free(conn->watch);
	loop_timer_free(conn->timer);
	(void)close(conn->fd);
	buf_deinit(&conn->out);
	free(conn);
}

static void conn_end(struct dns_conn *conn)
{
	if (conn->resolving)
		conn->broken = true;
	else
		conn_free(conn);
}

static void on_idle(void *user)
{
	conn_free(user);
}

static void rest(struct dns_conn *conn)
{
	loop_timer_set(conn->timer, mono_add_ms(clock_mono(), FRONT_DNS_IDLE_MS));
	loop_watch_set(conn->watch, conn->out.len > 0 ? LOOP_WRITABLE
				    : conn->asking    ? 0
						      : LOOP_READABLE);
}

static void flush(struct dns_conn *conn)
{
	while (conn->out.len > 0) {
		ssize_t sent = send(conn->fd, conn->out.ptr, conn->out.len, MSG_NOSIGNAL);

		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0) {
			conn_end(conn);
			return;
		}
		buf_consume(&conn->out, (size_t)sent);
	}
	rest(conn);
}

static void on_answer(void *user, struct bytes answer)
{
	struct dns_conn *conn = user;
	uint8_t length[LENGTH_LEN] = {(uint8_t)(answer.len >> BYTE_BITS), (uint8_t)answer.len};

	conn->asking = false;
	if (answer.len == 0) { /* it was no question */
		conn_end(conn);
		return;
	}
	buf_append(&conn->out, length, sizeof(length));
	buf_append_bytes(&conn->out, answer);
	flush(conn);
}

/* The whole message with its length, once that is there. */
static size_t wanted(const struct dns_conn *conn)
{
	return LENGTH_LEN + ((size_t)conn->in[0] << BYTE_BITS | conn->in[1]);
}

static void ask(struct dns_conn *conn)
{
	size_t len = conn->in_len - LENGTH_LEN;

	conn->in_len = 0;
	conn->asking = true;
	conn->resolving = true;
	conn->front->stats.questions++;
	resolver_ask(conn->front->resolver, bytes_of(conn->in + LENGTH_LEN, len), true, on_answer,
		     conn);
	conn->resolving = false;
	if (conn->broken)
		conn_free(conn);
	else
		rest(conn);
}

/* Read up to @want bytes of a message: 1 when they are there, 0 when not yet, -1 at the end. */
static int fill(struct dns_conn *conn, size_t want)
{
	while (conn->in_len < want) {
		ssize_t got = recv(conn->fd, conn->in + conn->in_len, want - conn->in_len, 0);

		if (got < 0 && errno == EAGAIN)
			return 0;
		if (got <= 0)
			return -1;
		conn->in_len += (size_t)got;
	}
	return 1;
}

static void on_event(void *user, int events)
{
	struct dns_conn *conn = user;
	int r;

	(void)events;
	if (conn->out.len > 0) {
		flush(conn);
		return;
	}
	if (conn->asking)
		return;
	r = fill(conn, LENGTH_LEN);
	if (r > 0)
		r = wanted(conn) > LENGTH_LEN && wanted(conn) <= sizeof(conn->in)
			    ? fill(conn, wanted(conn))
			    : -1;
	if (r > 0)
		ask(conn);
	else if (r < 0)
		conn_free(conn);
}

void front_dns_accept(struct front *front, int fd)
{
	struct dns_conn *conn;

	/* The one that has been there for longest gives way. */
	if (front->stats.dns >= FRONT_DNS_MAX)
		conn_free(list_first(&front->dns, struct dns_conn, link));
	conn = mem_new(struct dns_conn);
	conn->front = front;
	conn->fd = fd;
	list_append(&front->dns, &conn->link);
	front->stats.dns++;
	conn->timer = loop_timer_new(front->config.loop, on_idle, conn);
	if (loop_watch_new(front->config.loop, fd, LOOP_READABLE, on_event, conn, &conn->watch) < 0)
		conn_free(conn);
	else
		rest(conn);
}

void front_dns_stop(struct front *front)
{
	list_for_each_safe (it, &front->dns)
		conn_free(list_entry(it, struct dns_conn, link));
}
