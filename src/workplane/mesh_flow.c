/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP: a flow is a conversation of one socket here with one replica's application. Each datagram is
 * a message of its own, small ones in a QUIC DATAGRAM; nobody waits for any.
 *
 *   begun here:   SEEKING --replicas are known--> the link is asked for --open--> OPEN
 *   by others:    the first packet says what for; judged like a stream; a socket for each
 *
 * Flows end by silence, as those of any connection tracker do. Where there are too many, the one
 * silent for longest gives way. A flow that fails says so to whoever began it, and the next
 * datagram begins another, with another replica.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/clock.h"
#include "workplane/mesh_internal.h"

enum {
	WAITING_MAX = 16,             /* datagrams of a flow before its replica is found */
	WAITING_BYTES_MAX = 64 << 10, /* of these */
	SWEEP_MS = 5000,
	LEAVING_IDLE_MS = 1000, /* whoever waits longer for an answer asks another replica */
	LEAVING_SWEEP_MS = 250,
	RECEIVE_ROUNDS = 32, /* datagrams of one socket before others have their turn */
};

struct datagram {
	struct list link;
	size_t len;
	uint8_t data[];
};

/* Begun here. */
struct mesh_flow {
	struct list link;
	struct mesh *mesh;
	struct mesh_route route;
	struct link_waiter waiter;
	struct contact replica;
	struct mesh_link *on; /* NULL: not yet */
	uint64_t id;
	bool answered;
	struct mono used;
	struct list waiting; /* struct datagram */
	size_t waiting_count, waiting_bytes;
	mesh_flow_fn *fn;
	void *user;
};

/* Begun by another pod. */
struct answered {
	struct list link;
	struct mesh *mesh;
	struct mesh_link *from;
	uint64_t id;
	int fd;
	struct loop_watch *watch;
	struct mono used;
};

/* A number means something on one connection. */
struct answered_key {
	const struct mesh_link *from;
	uint64_t id;
};

static void on_sweep(void *user);

static void begin_sweeping(struct mesh *mesh)
{
	if (mesh->flow_timer)
		return;
	mesh->flow_timer = loop_timer_new(mesh->loop, on_sweep, mesh);
	loop_timer_set(mesh->flow_timer, mono_add_ms(clock_mono(), SWEEP_MS));
}

/* ---- begun here ---- */

static void flow_free(struct mesh_flow *flow)
{
	struct mesh *mesh = flow->mesh;

	while (!list_is_empty(&flow->waiting)) {
		struct datagram *datagram = list_first(&flow->waiting, struct datagram, link);

		list_remove(&datagram->link);
		free(datagram);
	}
	list_remove(&flow->link);
	list_remove(&flow->waiter.link);
	(void)map_remove(&mesh->flow_ids, bytes_of(&flow->id, sizeof(flow->id)));
	mesh_route_deinit(&flow->route);
	free(flow);
}

static void flow_end(struct mesh_flow *flow)
{
	mesh_flow_fn *fn = flow->fn;
	void *user = flow->user;
	struct mesh *mesh = flow->mesh;

	flow_free(flow);
	fn(user, NULL);
	mesh_look_drained(mesh);
}

static void flow_touch(struct mesh_flow *flow)
{
	flow->used = clock_mono();
	list_remove(&flow->link);
	list_append(&flow->mesh->flows, &flow->link);
}

static void flow_say(struct mesh_flow *flow, struct bytes data)
{
	struct work_message message = {.type = WORK_PACKET};

	message.packet = (struct work_packet){
		.flow = flow->id, .has_open = !flow->answered, .open = flow->route.open};
	buf_append_bytes(&message.packet.payload, data);
	(void)mesh_link_send(flow->on, &message); /* lost, as UDP may be */
	work_message_deinit(&message);
}

static void flow_open(struct mesh_flow *flow, struct mesh_link *link)
{
	flow->on = link;
	while (!list_is_empty(&flow->waiting)) {
		struct datagram *datagram = list_first(&flow->waiting, struct datagram, link);

		flow_say(flow, bytes_of(datagram->data, datagram->len));
		list_remove(&datagram->link);
		free(datagram);
	}
	flow->waiting_count = flow->waiting_bytes = 0;
}

static void flow_seek(struct mesh_flow *flow)
{
	while (mesh_route_next(&flow->route, &flow->replica)) {
		struct mesh_link *link = mesh_link_get(flow->mesh, &flow->replica);

		if (link && link->state == LINK_OPEN) {
			flow_open(flow, link);
			return;
		}
		if (link) {
			mesh_link_wait(link, &flow->waiter);
			return;
		}
		mesh_route_failed(&flow->route, &flow->replica.id);
	}
	flow_end(flow);
}

static void on_link(struct link_waiter *waiter, struct mesh_link *link, bool open)
{
	struct mesh_flow *flow = container_of(waiter, struct mesh_flow, waiter);

	if (open) {
		flow_open(flow, link);
		return;
	}
	mesh_route_failed(&flow->route, &flow->replica.id);
	flow_seek(flow);
}

static void on_known(struct mesh_route *route)
{
	flow_seek(container_of(route, struct mesh_flow, route));
}

struct mesh_flow *mesh_flow_new(struct mesh *mesh, const struct mesh_order *order, mesh_flow_fn *fn,
				void *user)
{
	struct mesh_flow *flow;

	flow = list_first(&mesh->flows, struct mesh_flow, link);
	if (flow && mesh->flow_ids.count >= MESH_FLOWS_MAX)
		flow_end(flow);
	flow = mem_new(struct mesh_flow);
	flow->mesh = mesh;
	flow->id = ++mesh->next_flow;
	flow->fn = fn;
	flow->user = user;
	flow->route.known = on_known;
	flow->waiter.ready = on_link;
	list_init(&flow->waiter.link);
	list_init(&flow->waiting);
	list_init(&flow->link);
	(void)map_put(&mesh->flow_ids, bytes_of(&flow->id, sizeof(flow->id)), flow);
	flow_touch(flow);
	begin_sweeping(mesh);
	if (mesh_route_init(&flow->route, mesh, order))
		return flow;
	flow_free(flow);
	return NULL;
}

void mesh_flow_send(struct mesh_flow *flow, struct bytes data)
{
	struct datagram *datagram;

	flow_touch(flow);
	if (data.len > MESH_DATAGRAM_MAX)
		return;
	if (flow->on) {
		flow_say(flow, data);
		return;
	}
	if (flow->waiting_count == WAITING_MAX ||
	    flow->waiting_bytes + data.len > WAITING_BYTES_MAX)
		return;
	datagram = mem_alloc(1, sizeof(*datagram) + data.len);
	datagram->len = data.len;
	if (data.len > 0)
		memcpy(datagram->data, data.ptr, data.len);
	list_append(&flow->waiting, &datagram->link);
	flow->waiting_count++;
	flow->waiting_bytes += data.len;
}

void mesh_flow_free(struct mesh_flow *flow)
{
	struct work_message end = {.type = WORK_PACKET_END};

	if (!flow)
		return;
	end.packet_end = (struct work_packet_end){.flow = flow->id, .outcome = WORK_ACCEPTED};
	if (flow->on)
		(void)mesh_link_send(flow->on, &end); /* else silence ends it over there */
	flow_free(flow);
}

static void came_back(struct mesh *mesh, const struct mesh_link *link, struct work_packet *packet)
{
	struct mesh_flow *flow =
		map_get(&mesh->flow_ids, bytes_of(&packet->flow, sizeof(packet->flow)));
	struct bytes data = bytes_buf(&packet->payload);

	if (!flow || flow->on != link)
		return;
	if (!flow->answered)
		mesh_route_worked(&flow->route, &flow->replica.id);
	flow->answered = true;
	flow_touch(flow);
	flow->fn(flow->user, &data);
}

/* ---- begun by others ---- */

static struct bytes key_bytes(const struct answered_key *key)
{
	return bytes_of(key, sizeof(*key));
}

static void answered_free(struct answered *answered)
{
	struct mesh *mesh = answered->mesh;
	struct answered_key key = {answered->from, answered->id};

	list_remove(&answered->link);
	(void)map_remove(&mesh->answered_ids, key_bytes(&key));
	loop_watch_free(answered->watch);
	(void)close(answered->fd);
	free(answered);
	mesh_load_changed(mesh);
	mesh_look_drained(mesh);
}

static void tell_end(struct mesh_link *to, uint64_t id, enum work_opened outcome)
{
	const struct work_message end = {
		.type = WORK_PACKET_END,
		.packet_end = {.flow = id, .back = true, .outcome = outcome}};

	(void)mesh_link_send(to, &end); /* or silence tells it */
}

static void answered_touch(struct answered *answered)
{
	answered->used = clock_mono();
	list_remove(&answered->link);
	list_append(&answered->mesh->answered, &answered->link);
}

/* The application's answers. ECONNREFUSED is its host's word that nobody listens. */
static void on_socket(void *user, int events)
{
	struct answered *answered = user;
	struct mesh *mesh = answered->mesh;

	(void)events;
	for (int i = 0; i < RECEIVE_ROUNDS; i++) {
		struct work_message message = {.type = WORK_PACKET};
		ssize_t len = recv(answered->fd, mesh->chunk, MESH_PIPE_CHUNK, MSG_DONTWAIT);

		if (len < 0 && errno == ECONNREFUSED) {
			mesh->stats.unreachable++;
			tell_end(answered->from, answered->id, WORK_UNREACHABLE);
			answered_free(answered);
			return;
		}
		if (len < 0)
			return;
		message.packet = (struct work_packet){.flow = answered->id, .back = true};
		buf_append(&message.packet.payload, mesh->chunk, (size_t)len);
		(void)mesh_link_send(answered->from, &message);
		mesh->stats.bytes_out += (uint64_t)len;
		work_message_deinit(&message);
		answered_touch(answered);
	}
}

static enum work_opened answered_new(struct mesh *mesh, struct mesh_link *link,
				     const struct work_packet *packet, struct answered **ret)
{
	struct answered_key key = {link, packet->flow};
	enum work_opened outcome;
	struct answered *answered;
	uint16_t port;
	int fd;

	if (!packet->has_open || packet->open.protocol != SERVICE_UDP)
		return WORK_UNREACHABLE; /* its first packet was lost: the next will say */
	outcome = mesh_serve_judge(mesh, link, &packet->open, &port);
	if (outcome != WORK_ACCEPTED)
		return outcome;
	answered = list_first(&mesh->answered, struct answered, link);
	if (answered && mesh->answered_ids.count >= MESH_FLOWS_MAX)
		answered_free(answered);
	fd = mesh_serve_connect(SOCK_DGRAM, port, false);
	if (fd < 0)
		return WORK_BUSY;
	answered = mem_new(struct answered);
	*answered = (struct answered){.mesh = mesh, .from = link, .id = packet->flow, .fd = fd};
	list_init(&answered->link);
	if (!mesh->chunk)
		mesh->chunk = mem_alloc(1, MESH_PIPE_CHUNK);
	(void)map_put(&mesh->answered_ids, key_bytes(&key), answered);
	answered_touch(answered);
	begin_sweeping(mesh);
	mesh->stats.served++;
	mesh_load_changed(mesh);
	*ret = answered;
	if (loop_watch_new(mesh->loop, fd, LOOP_READABLE, on_socket, answered, &answered->watch) <
	    0) {
		answered_free(answered);
		return WORK_BUSY;
	}
	return WORK_ACCEPTED;
}

static void came_in(struct mesh *mesh, struct mesh_link *link, const struct work_packet *packet)
{
	struct answered_key key = {link, packet->flow};
	struct answered *answered = map_get(&mesh->answered_ids, key_bytes(&key));
	enum work_opened outcome = WORK_ACCEPTED;

	if (!answered)
		outcome = answered_new(mesh, link, packet, &answered);
	if (outcome != WORK_ACCEPTED) {
		mesh->stats.refused_policy += outcome == WORK_DENIED;
		mesh->stats.refused_other += outcome != WORK_DENIED;
		tell_end(link, packet->flow, outcome);
		return;
	}
	answered_touch(answered);
	mesh->stats.bytes_in += packet->payload.len;
	/* A full socket loses datagrams; one refused says so when it is read. */
	(void)!send(answered->fd, packet->payload.ptr, packet->payload.len,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- both ---- */

void mesh_flow_packet(struct mesh *mesh, struct mesh_link *link, struct work_packet *packet)
{
	if (packet->back)
		came_back(mesh, link, packet);
	else
		came_in(mesh, link, packet);
}

void mesh_flow_ended(struct mesh *mesh, struct mesh_link *link, const struct work_packet_end *end)
{
	struct answered_key key = {link, end->flow};
	struct answered *answered = map_get(&mesh->answered_ids, key_bytes(&key));
	struct mesh_flow *flow = map_get(&mesh->flow_ids, bytes_of(&end->flow, sizeof(end->flow)));

	if (!end->back && answered)
		answered_free(answered);
	if (!end->back || !flow || flow->on != link)
		return;
	if (end->outcome == WORK_UNREACHABLE)
		mesh_route_failed(&flow->route, &flow->replica.id);
	flow_end(flow);
}

void mesh_flow_link_closed(struct mesh *mesh, const struct mesh_link *link)
{
	list_for_each_safe (it, &mesh->answered) {
		struct answered *answered = list_entry(it, struct answered, link);

		if (answered->from == link)
			answered_free(answered);
	}
	/* Whoever is told may begin another flow, or end others: from the start each time. */
	for (struct list *it = mesh->flows.next; it != &mesh->flows;) {
		struct mesh_flow *flow = list_entry(it, struct mesh_flow, link);

		it = it->next;
		if (flow->on != link)
			continue;
		flow_end(flow);
		it = mesh->flows.next;
	}
}

static void on_sweep(void *user)
{
	struct mesh *mesh = user;
	int64_t idle_ms = mesh->leaving ? LEAVING_IDLE_MS : MESH_FLOW_IDLE_MS;
	struct mono now = clock_mono(), before = mono_add_ms(now, -idle_ms);

	while (!list_is_empty(&mesh->answered)) {
		struct answered *oldest = list_first(&mesh->answered, struct answered, link);

		if (oldest->used.us > before.us)
			break;
		tell_end(oldest->from, oldest->id, WORK_LEAVING);
		answered_free(oldest);
	}
	while (!list_is_empty(&mesh->flows)) {
		struct mesh_flow *oldest = list_first(&mesh->flows, struct mesh_flow, link);

		if (oldest->used.us > before.us)
			break;
		flow_end(oldest);
	}
	loop_timer_set(mesh->flow_timer,
		       mono_add_ms(now, mesh->leaving ? LEAVING_SWEEP_MS : SWEEP_MS));
}

void mesh_flows_leave(struct mesh *mesh)
{
	if (mesh->flow_timer)
		loop_timer_set(mesh->flow_timer, clock_mono());
}

void mesh_flows_free(struct mesh *mesh)
{
	list_for_each_safe (it, &mesh->answered) {
		struct answered *answered = list_entry(it, struct answered, link);

		loop_watch_free(answered->watch);
		(void)close(answered->fd);
		free(answered);
	}
	list_for_each_safe (it, &mesh->flows)
		flow_free(list_entry(it, struct mesh_flow, link));
	map_deinit(&mesh->flow_ids);
	map_deinit(&mesh->answered_ids);
	loop_timer_free(mesh->flow_timer);
}
