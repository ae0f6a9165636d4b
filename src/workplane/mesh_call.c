/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of our application on its way to another pod.
 *
 *   SEEKING --replicas are known--> DIALLING --the link is open--> ASKED --accepted--> a pipe
 *               ^                      |                             |
 *               '----the next one------'---refused, silent, gone-----'
 *
 * Nothing of the application's is read before a replica has accepted, so that another can be asked
 * whatever happens until then. That costs a round trip; a connection that is lost costs more.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "workplane/mesh_internal.h"

struct mesh_call {
	struct mesh_stream events; /* first */
	struct list link;
	struct mesh *mesh;
	struct mesh_route route;
	struct link_waiter waiter;
	struct loop_timer *timer;
	struct mono begun, asked;
	struct contact replica;
	struct mesh_link *on;       /* while ASKED */
	struct quic_stream *stream; /* while ASKED */
	struct buf head;            /* of the answer, and what came behind it */
	int fd;
};

static void call_next(struct mesh_call *call);

static void call_free(struct mesh_call *call)
{
	list_remove(&call->link);
	list_remove(&call->waiter.link);
	loop_timer_free(call->timer);
	mesh_route_deinit(&call->route);
	buf_deinit(&call->head);
	free(call);
}

static void call_fail(struct mesh_call *call, const char *why)
{
	struct mesh *mesh = call->mesh;

	const struct mesh_name *target = &call->route.targets[0];

	log_event_limited(&mesh->log_limit, bytes_str(target->name), LOG_LEVEL_INFO, "call-failed",
			  "no connection to %s/%s: %s", target->namespace, target->name, why);
	mesh->stats.unserved++;
	mesh_fd_reset(call->fd);
	mesh->call_count--;
	call_free(call);
	mesh_look_drained(mesh);
}

/* The stream is nobody's from here on. */
static void call_leave_stream(struct mesh_call *call)
{
	if (!call->stream)
		return;
	quic_stream_set_user(call->stream, NULL);
	quic_stream_reset(call->stream, MESH_RETRY_CODE);
	call->stream = NULL;
	call->on = NULL;
	buf_clear(&call->head);
}

static void call_retry(struct mesh_call *call, bool failed)
{
	if (failed)
		mesh_route_failed(&call->route, &call->replica.id);
	call_leave_stream(call);
	call->mesh->stats.retried++;
	call_next(call);
}

static void on_pipe_ended(void *user)
{
	struct mesh *mesh = user;

	mesh->call_count--;
	mesh_look_drained(mesh);
}

/* @len bytes of what has come are the answer. */
static void call_accepted(struct mesh_call *call, size_t len, bool end)
{
	struct bytes early = bytes_of(call->head.ptr + len, call->head.len - len);

	mesh_route_worked(&call->route, &call->replica.id);
	call->mesh->stats.accepted++;
	quic_stream_consumed(call->stream, len);
	mesh_pipe_new(call->mesh, call->fd, call->stream, early, end, on_pipe_ended, call->mesh);
	call_free(call);
}

static void on_data(struct mesh_stream *events, struct bytes data, bool end)
{
	struct mesh_call *call = container_of(events, struct mesh_call, events);
	enum work_opened outcome;
	size_t len;

	buf_append_bytes(&call->head, data);
	if (work_opened_decode(bytes_buf(&call->head), &outcome, &len) != 0 || (len == 0 && end)) {
		call_retry(call, true);
		return;
	}
	if (len == 0)
		return;
	if (outcome == WORK_ACCEPTED) {
		call_accepted(call, len, end);
	} else if (outcome == WORK_DENIED) {
		call_leave_stream(call);
		call_fail(call, work_opened_text(outcome)); /* the others would say the same */
	} else {
		call_retry(call, outcome == WORK_UNREACHABLE);
	}
}

static void on_closed(struct mesh_stream *events, const struct err *why)
{
	struct mesh_call *call = container_of(events, struct mesh_call, events);

	(void)why;
	call->stream = NULL;
	call->on = NULL;
	buf_clear(&call->head);
	call_retry(call, true);
}

static void call_ask(struct mesh_call *call, struct mesh_link *link)
{
	struct buf open = {0};

	if (quic_stream_open(link->conn, call, &call->stream) != 0) {
		call->stream = NULL;
		call_retry(call, false);
		return;
	}
	link->streams++;
	call->on = link;
	call->asked = clock_mono();
	quic_stream_set_user(call->stream, &call->events);
	work_open_encode(&call->route.open, &open);
	(void)!quic_stream_write(call->stream, bytes_buf(&open)); /* a new stream has room */
	buf_deinit(&open);
	loop_timer_set(call->timer, mono_add_ms(call->asked, MESH_ANSWER_MS));
}

static void on_link(struct link_waiter *waiter, struct mesh_link *link, bool open)
{
	struct mesh_call *call = container_of(waiter, struct mesh_call, waiter);

	if (open)
		call_ask(call, link);
	else
		call_retry(call, true);
}

static void call_next(struct mesh_call *call)
{
	struct mono now = clock_mono();
	bool late = mono_reached(now, mono_add_ms(call->begun, MESH_ORDER_MS));

	while (!late && mesh_route_next(&call->route, &call->replica)) {
		struct mesh_link *link = mesh_link_get(call->mesh, &call->replica);

		if (link && link->state == LINK_OPEN) {
			call_ask(call, link);
			return;
		}
		if (link) {
			mesh_link_wait(link, &call->waiter);
			loop_timer_set(call->timer, mono_add_ms(now, MESH_ANSWER_MS));
			return;
		}
		mesh_route_failed(&call->route, &call->replica.id);
	}
	call_fail(call, late ? "nobody has answered in time" : "no replica is ready, or left");
}

/* The identity does not come, or a replica says nothing. A link on which nothing at all has come
 * meanwhile is closed, unless others still hope for it. */
static void on_time(void *user)
{
	struct mesh_call *call = user;

	if (call->route.question_count > 0) {
		call_fail(call, "nobody has answered in time");
		return;
	}
	list_remove(&call->waiter.link);
	if (call->on && call->on->streams == 1 && call->on->heard.us < call->asked.us)
		mesh_link_give_up(call->mesh, call->on, "no answer");
	call_retry(call, true);
}

static void on_known(struct mesh_route *route)
{
	call_next(container_of(route, struct mesh_call, route));
}

void mesh_open(struct mesh *mesh, const struct mesh_order *order, int fd)
{
	struct mesh_call *call;

	mesh->stats.opened++;
	if (mesh->call_count >= MESH_CALLS_MAX) {
		mesh->stats.unserved++;
		mesh_fd_reset(fd);
		return;
	}
	call = mem_new(struct mesh_call);
	call->events = (struct mesh_stream){.data = on_data, .closed = on_closed};
	call->mesh = mesh;
	call->fd = fd;
	call->waiter.ready = on_link;
	call->route.known = on_known;
	call->begun = clock_mono();
	list_init(&call->waiter.link);
	list_append(&mesh->calls, &call->link);
	mesh->call_count++;
	call->timer = loop_timer_new(mesh->loop, on_time, call);
	loop_timer_set(call->timer, mono_add_ms(call->begun, MESH_ORDER_MS));
	if (mesh_route_init(&call->route, mesh, order))
		return;
	mesh->stats.unserved++;
	mesh_fd_reset(fd);
	mesh->call_count--;
	call_free(call);
}

void mesh_calls_free(struct mesh *mesh)
{
	list_for_each_safe (it, &mesh->calls) {
		struct mesh_call *call = list_entry(it, struct mesh_call, link);

		mesh_fd_reset(call->fd);
		call_free(call);
	}
}
