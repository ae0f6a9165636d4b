/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A visit: one connection by a node port. It is one end of an api_stream (streams.c), which knows
 * whether the pod is here or elsewhere. Until a pod has taken it nothing is read from the client,
 * so another one can be tried.
 */
#include "machineplane/ingress.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	CHUNK = 16 * 1024,
	ROUNDS = 4, /* chunks of one connection in a turn of the loop */
};

struct visit {
	struct list link;
	struct ingress_visits *visits;
	int fd;
	struct loop_watch *watch; /* NULL: no pod has taken it yet */
	int events;
	struct api_stream *stream; /* NULL: it has ended, or there is none yet */
	struct buf out;            /* for the client, not yet taken */
	bool opening;              /* streams_open() has not returned */
	bool held;                 /* the pod takes no more */
	bool client_ended, pod_ended;
	/* What ingress_order says. */
	char *namespace, *service;
	uint16_t port;
	struct ingress_replica tries[INGRESS_TRIES_MAX];
	size_t count, at;
};

void ingress_visits_init(struct ingress_visits *visits, struct fabric *fabric)
{
	*visits = (struct ingress_visits){.fabric = fabric};
	list_init(&visits->open);
}

static void visit_free(struct visit *visit)
{
	list_remove(&visit->link);
	visit->visits->count--;
	if (visit->stream)
		streams_close(visit->stream);
	loop_watch_free(visit->watch);
	(void)close(visit->fd);
	buf_deinit(&visit->out);
	free(visit->namespace);
	free(visit->service);
	free(visit);
}

void ingress_visits_deinit(struct ingress_visits *visits)
{
	list_for_each_safe (it, &visits->open)
		visit_free(list_entry(it, struct visit, link));
}

/* The client sees a reset, as from a host where nobody listens. */
static void refuse(int fd)
{
	struct linger at_once = {.l_onoff = 1};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

static void visit_break(struct visit *visit)
{
	refuse(visit->fd);
	visit_free(visit);
}

static void await(struct visit *visit)
{
	int events = (visit->stream && !visit->held && !visit->client_ended ? LOOP_READABLE : 0) |
		     (visit->out.len ? LOOP_WRITABLE : 0);

	if (!visit->watch || visit->events == events)
		return;
	visit->events = events;
	loop_watch_set(visit->watch, events);
}

/* As much as the client takes now. False: it has gone. */
static bool put(struct visit *visit)
{
	size_t len = 0;
	bool there = true;

	while (there && len < visit->out.len) {
		ssize_t sent = send(visit->fd, visit->out.ptr + len, visit->out.len - len,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		there = sent >= 0 || errno == EAGAIN;
		if (sent < 0)
			break;
		len += (size_t)sent;
	}
	buf_consume(&visit->out, len);
	return there;
}

/* Give the client what waits for it. False: it has gone, and so has @visit. */
static bool flush(struct visit *visit)
{
	if (!put(visit)) {
		visit_break(visit);
		return false;
	}
	if (visit->pod_ended && visit->out.len == 0) {
		visit_free(visit);
		return false;
	}
	await(visit);
	return true;
}

/* ---- the client ---- */

static void client_read(struct visit *visit)
{
	static uint8_t chunk[CHUNK];

	for (int i = 0; i < ROUNDS && visit->stream && !visit->held; i++) {
		ssize_t len = read(visit->fd, chunk, sizeof(chunk));

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (len < 0) {
			visit_break(visit);
			return;
		}
		if (len == 0) {
			visit->client_ended = true;
			streams_finish(visit->stream);
			break;
		}
		visit->held = !streams_write(visit->stream, bytes_of(chunk, (size_t)len));
	}
	await(visit);
}

static void on_client(void *user, int events)
{
	struct visit *visit = user;

	if (events & LOOP_WRITABLE) {
		bool waited = visit->out.len > 0;

		if (!flush(visit))
			return;
		if (waited && visit->out.len == 0 && visit->stream)
			streams_resume(visit->stream);
		return; /* it may have ended in there; what can be read is told again */
	}
	client_read(visit);
}

/* ---- the pod ---- */

static void try_next(struct visit *visit);

static void on_begin(void *arg)
{
	struct visit *visit = arg;

	visit->events = LOOP_READABLE;
	/* Without a watch nothing is read, and the stream ends with the pod's patience. */
	(void)!loop_watch_new(visit->visits->fabric->loop, visit->fd, LOOP_READABLE, on_client,
			      visit, &visit->watch);
}

/* The visit must outlive this call, so a client that has gone is found out by its watch. */
static bool on_data(void *arg, struct bytes bytes)
{
	struct visit *visit = arg;

	buf_append_bytes(&visit->out, bytes);
	(void)put(visit);
	await(visit);
	return visit->out.len == 0;
}

static void on_writable(void *arg)
{
	struct visit *visit = arg;

	visit->held = false;
	await(visit);
}

static void on_end(void *arg, const struct err *err)
{
	struct visit *visit = arg;

	visit->stream = NULL;
	if (visit->opening)
		return;
	if (!visit->watch) {
		try_next(visit);
	} else if (err->code) {
		visit_break(visit);
	} else {
		visit->pod_ended = true;
		(void)flush(visit);
	}
}

static const struct api_stream_sink sink = {
	.begin = on_begin, .data = on_data, .writable = on_writable, .end = on_end};

/* One replica after the other, until one cannot be known to fail. */
static void try_next(struct visit *visit)
{
	while (visit->at < visit->count) {
		const struct ingress_replica *replica = &visit->tries[visit->at++];
		struct api_stream_request request = {
			.kind = API_STREAM_INGRESS,
			.pod = replica->pod,
			.machine = replica->machine,
			.namespace = visit->namespace,
			.service = visit->service,
			.port = visit->port,
		};

		visit->opening = true;
		visit->stream =
			streams_open(visit->visits->fabric->streams, &request, &sink, visit);
		visit->opening = false;
		if (visit->stream)
			return;
	}
	visit_break(visit);
}

void ingress_visit(struct ingress_visits *visits, int fd, const struct ingress_order *order)
{
	struct visit *visit;
	int on = 1;

	if (order->count == 0 || visits->count >= INGRESS_VISITS_MAX) {
		refuse(fd);
		(void)close(fd);
		return;
	}
	/* A client that vanishes without a word is forgotten some day. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	visit = mem_new(struct visit);
	visit->visits = visits;
	visit->fd = fd;
	visit->namespace = mem_strdup(order->namespace);
	visit->service = mem_strdup(order->service);
	visit->port = order->port;
	visit->count = order->count;
	for (size_t i = 0; i < order->count; i++)
		visit->tries[i] = order->tries[i];
	list_append(&visits->open, &visit->link);
	visits->count++;
	try_next(visit);
}
