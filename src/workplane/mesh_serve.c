/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream that another pod has opened here: it says what it wants, we judge who it is, connect to
 * our own pod's application, and answer.
 *
 *   HEAD --judged--> CONNECTING --connected--> a pipe
 *     '-----refused-----'------> REFUSED
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "service/policy.h"
#include "workplane/mesh_internal.h"

enum serve_state {
	SERVE_HEAD,
	SERVE_CONNECTING,
	SERVE_REFUSED, /* the answer is on its way */
};

struct serving {
	struct mesh_stream events; /* first */
	struct list link;
	struct mesh *mesh;
	struct mesh_link *from;
	struct quic_stream *stream;
	enum serve_state state;
	struct buf head; /* what has come: no more than the window, for nothing is given back */
	bool end;
	uint16_t port;
	int fd;
	bool v6;
	struct loop_watch *watch;
	struct loop_timer *timer;
};

static void drop_socket(struct serving *serving)
{
	loop_watch_free(serving->watch);
	serving->watch = NULL;
	if (serving->fd != MESH_FD_NONE)
		(void)close(serving->fd);
	serving->fd = MESH_FD_NONE;
}

static void serving_free(struct serving *serving)
{
	drop_socket(serving);
	list_remove(&serving->link);
	loop_timer_free(serving->timer);
	buf_deinit(&serving->head);
	free(serving);
}

static void one_less(void *user)
{
	struct mesh *mesh = user;

	mesh->served_count--;
	mesh_load_changed(mesh);
	mesh_look_drained(mesh);
}

static void answer(struct serving *serving, enum work_opened outcome)
{
	struct buf bytes = {0};

	work_opened_encode(outcome, &bytes);
	(void)!quic_stream_write(serving->stream, bytes_buf(&bytes)); /* it is the first */
	buf_deinit(&bytes);
}

static void count_refusal(struct mesh *mesh, enum work_opened outcome)
{
	if (outcome == WORK_DENIED)
		mesh->stats.refused_policy++;
	else if (outcome == WORK_UNREACHABLE)
		mesh->stats.unreachable++;
	else
		mesh->stats.refused_other++;
}

/* The caller gives the stream up when it has read that. */
static void refuse(struct serving *serving, enum work_opened outcome)
{
	drop_socket(serving);
	serving->state = SERVE_REFUSED;
	count_refusal(serving->mesh, outcome);
	answer(serving, outcome);
	quic_stream_finish(serving->stream);
	loop_timer_set(serving->timer, mono_add_ms(clock_mono(), MESH_PREAMBLE_MS));
}

/* ---- judging ---- */

static uint16_t port_of(const struct service_record *record, const struct work_open *open)
{
	for (size_t i = 0; i < record->port_count; i++)
		if (record->ports[i].protocol == open->protocol &&
		    strcmp(record->ports[i].name, open->port_name) == 0)
			return record->ports[i].number;
	return 0;
}

static bool is_kept(const struct mesh *mesh, uint16_t port)
{
	for (size_t i = 0; i < mesh->kept_count; i++)
		if (mesh->kept_ports[i] == port)
			return true;
	return false;
}

void mesh_keep_port(struct mesh *mesh, uint16_t port)
{
	if (mesh->kept_count < MESH_KEPT_PORTS_MAX)
		mesh->kept_ports[mesh->kept_count++] = port;
}

enum work_opened mesh_serve_judge(struct mesh *mesh, const struct mesh_link *link,
				  const struct work_open *open, uint16_t *ret_port)
{
	const struct service_name *caller = &link->peer->name;

	if (!policy_admits(&mesh->record.policy, mesh->record.namespace, caller->namespace,
			   caller->name)) {
		log_event_limited(&mesh->log_limit, bytes_str(caller->name), LOG_LEVEL_INFO,
				  "call-denied", "%s/%s is not admitted", caller->namespace,
				  caller->name);
		return WORK_DENIED;
	}
	if (mesh->leaving)
		return WORK_LEAVING;
	*ret_port = open->port ? open->port : port_of(&mesh->record, open);
	if (is_kept(mesh, *ret_port))
		return WORK_DENIED;
	return *ret_port ? WORK_ACCEPTED : WORK_NO_PORT;
}

/* ---- connecting ---- */

int mesh_serve_connect(int type, uint16_t port, bool v6)
{
	struct sockaddr_in v4_name = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6_name = {.sin6_family = AF_INET6,
				       .sin6_port = htons(port),
				       .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const struct sockaddr *name =
		v6 ? (const struct sockaddr *)&v6_name : (const struct sockaddr *)&v4_name;
	socklen_t len = v6 ? sizeof(v6_name) : sizeof(v4_name);
	int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return err_origin(-errno);
	if (type == SOCK_STREAM)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (connect(fd, name, len) < 0 && errno != EINPROGRESS)
		r = err_origin(-errno);
	if (r == 0)
		return fd;
	(void)close(fd);
	return r;
}

static void on_connected(void *user, int events);

/* An application listens on IPv4, on IPv6 only, or not at all. */
static void connect_next(struct serving *serving)
{
	int r;

	drop_socket(serving);
	serving->fd = mesh_serve_connect(SOCK_STREAM, serving->port, serving->v6);
	if (serving->fd < 0) {
		serving->fd = MESH_FD_NONE;
		if (serving->v6) {
			refuse(serving, WORK_UNREACHABLE);
			return;
		}
		serving->v6 = true;
		connect_next(serving);
		return;
	}
	r = loop_watch_new(serving->mesh->loop, serving->fd, LOOP_WRITABLE, on_connected, serving,
			   &serving->watch);
	if (r < 0)
		refuse(serving, WORK_BUSY);
}

static void on_connected(void *user, int events)
{
	struct serving *serving = user;
	struct mesh *mesh = serving->mesh;
	socklen_t len = sizeof(int);
	int error = 0, fd = serving->fd;

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
		if (serving->v6) {
			refuse(serving, WORK_UNREACHABLE);
			return;
		}
		serving->v6 = true;
		connect_next(serving);
		return;
	}
	loop_watch_free(serving->watch);
	serving->watch = NULL;
	serving->fd = MESH_FD_NONE;
	answer(serving, WORK_ACCEPTED);
	mesh->stats.served++;
	mesh_pipe_new(mesh, fd, serving->stream, bytes_buf(&serving->head), serving->end, one_less,
		      mesh);
	serving_free(serving);
}

/* ---- events ---- */

static void on_data(struct mesh_stream *events, struct bytes data, bool end)
{
	struct serving *serving = container_of(events, struct serving, events);
	enum work_opened outcome;
	struct work_open open;
	size_t len;

	serving->end = serving->end || end;
	if (serving->state == SERVE_REFUSED) {
		quic_stream_consumed(serving->stream, data.len);
		return;
	}
	buf_append_bytes(&serving->head, data);
	if (serving->state != SERVE_HEAD)
		return;
	if (work_open_decode(bytes_buf(&serving->head), &open, &len) != 0 || (len == 0 && end) ||
	    (len > 0 && open.protocol != SERVICE_TCP)) {
		quic_stream_reset(serving->stream, MESH_RETRY_CODE);
		return;
	}
	if (len == 0)
		return;
	buf_consume(&serving->head, len);
	quic_stream_consumed(serving->stream, len);
	outcome = mesh_serve_judge(serving->mesh, serving->from, &open, &serving->port);
	if (outcome != WORK_ACCEPTED) {
		refuse(serving, outcome);
		return;
	}
	serving->state = SERVE_CONNECTING;
	loop_timer_set(serving->timer, mono_add_ms(clock_mono(), MESH_CONNECT_MS));
	connect_next(serving);
}

static void on_closed(struct mesh_stream *events, const struct err *why)
{
	struct serving *serving = container_of(events, struct serving, events);
	struct mesh *mesh = serving->mesh;

	(void)why;
	serving_free(serving);
	one_less(mesh);
}

static void on_time(void *user)
{
	struct serving *serving = user;

	if (serving->state == SERVE_CONNECTING)
		refuse(serving, WORK_UNREACHABLE);
	else
		quic_stream_reset(serving->stream, MESH_RETRY_CODE);
}

void mesh_serve_stream(struct mesh *mesh, struct mesh_link *link, struct quic_stream *stream)
{
	struct serving *serving = mem_new(struct serving);

	*serving = (struct serving){
		.events = {.data = on_data, .closed = on_closed},
		.mesh = mesh,
		.from = link,
		.stream = stream,
		.fd = MESH_FD_NONE,
	};
	list_append(&mesh->served, &serving->link);
	mesh->served_count++;
	mesh_load_changed(mesh);
	quic_stream_set_user(stream, &serving->events);
	serving->timer = loop_timer_new(mesh->loop, on_time, serving);
	loop_timer_set(serving->timer, mono_add_ms(clock_mono(), MESH_PREAMBLE_MS));
	if (mesh->served_count > MESH_SERVED_MAX)
		refuse(serving, WORK_BUSY);
}

void mesh_serves_free(struct mesh *mesh)
{
	list_for_each_safe (it, &mesh->served)
		serving_free(list_entry(it, struct serving, link));
}
