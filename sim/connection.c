/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: made with one round trip, known to both ends by a number, given up after a silence.
 *
 * Who dials has a connection after one round trip, who was dialled half a round trip later, or when
 * the first message on it comes. Both ends hear the same number; when the numbers differ or one end
 * has none, the connection is dead: the other end hears of it when it sends something (a stateless
 * reset), or by the silence. While two machines have a connection a second handshake adds nothing
 * but its cost.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	IDLE_US = 60 * 1000 * 1000,         /* quic/endpoint.c: a silent connection is given up */
	DIAL_TIMEOUT_US = 10 * 1000 * 1000, /* quic/endpoint.c: an unanswered handshake */
	/* machineplane/peers.c: what waits for one dial, and dials of one machine under way. */
	WAIT_BYTES_MAX = MESSAGE_LEN_MAX + 256 * 1024,
	WAIT_COUNT_MAX = 64,
	DIALS_MAX = 512,
	/* Bytes of UDP payload and datagrams of a handshake, both ways; measured: network.c. */
	HANDSHAKE_BYTES = 2562 + 1610,
	HANDSHAKE_DATAGRAMS = 7,
	IP_UDP_BYTES = 28,
	/* An unanswered dial: first flights of 1200 bytes, again after 0.3, 0.6, ... seconds. */
	DIAL_LOST_DATAGRAMS = 6,
	DIAL_DATAGRAM = 1200,
	CLOSE_BYTES = 39,
};

/* A handshake under way, and what waits for it. */
struct sim_dial {
	struct sim_dial *next;
	struct node_id id; /* whom it expects, or none */
	struct addr addr;
	struct sim_event *first, *last; /* packets */
	size_t bytes, count;
	bool cancelled;
};

static void packets_drop(struct world *world, struct sim_dial *dial)
{
	while (dial->first) {
		struct sim_event *packet = dial->first;

		dial->first = packet->next;
		world_event_free(world, packet);
	}
	dial->last = NULL;
}

static void dial_free(struct world *world, struct sim_dial *dial)
{
	packets_drop(world, dial);
	free(dial);
}

void network_dials_drop(struct world *world, struct sim_machine *machine)
{
	while (machine->dials) {
		struct sim_dial *dial = machine->dials;

		machine->dials = dial->next;
		dial_free(world, dial);
	}
	machine->dial_count = 0;
}

/* ---- what the nodes hear ---- */

static void connected(struct world *world, struct sim_machine *machine,
		      const struct sim_machine *other)
{
	struct node_peer peer = {.id = other->id, .addr = other->addr, .steward = other->steward};

	links_leaf(&machine->links, other->index); /* shown in the handshake */
	machine_call(machine, node_connected(machine->node, machine_now(world, machine), &peer));
	machine_pump(world, machine);
}

static void disconnected(struct world *world, struct sim_machine *machine,
			 const struct sim_machine *other)
{
	links_disconnect(&machine->links, other->index);
	machine_call(machine, node_disconnected(machine->node, machine_now(world, machine),
						&other->id, &other->addr));
	machine_pump(world, machine);
}

static uint32_t connection_of(const struct sim_machine *machine, const struct sim_machine *other)
{
	const struct sim_link *link = links_find(&machine->links, other->index);

	return link ? link->connection : 0;
}

/* ---- dialling ---- */

static bool would_answer(const struct world *world, const struct sim_machine *machine,
			 const struct sim_machine *target)
{
	int64_t since_us;

	return target && target->node && target != machine &&
	       network_talks(world, machine->index, target->index, &since_us);
}

/* When the dialling machine will know: a round trip, longer when the other one is starved. */
static int64_t answer_in(struct world *world, struct sim_machine *machine,
			 struct sim_machine *target)
{
	int64_t begun_us, answered_us, there_us, back_us;

	if (!would_answer(world, machine, target))
		return DIAL_TIMEOUT_US;
	begun_us = processors_handshake(world, machine, world->now_us);
	there_us = begun_us - world->now_us + network_latency(world, machine, target);
	answered_us = processors_handshake(world, target, world->now_us + there_us);
	there_us = answered_us - world->now_us;
	back_us = network_latency(world, target, machine);
	if (target->stalled_until_us > world->now_us + there_us)
		there_us = target->stalled_until_us - world->now_us;
	return there_us + back_us < DIAL_TIMEOUT_US ? there_us + back_us : DIAL_TIMEOUT_US;
}

static struct sim_dial *find_dial(const struct sim_machine *machine, const struct node_id *id,
				  const struct addr *addr)
{
	struct sim_dial *dial = machine->dials;

	while (dial && !(node_id_equal(&dial->id, id) && addr_equal(&dial->addr, addr)))
		dial = dial->next;
	return dial;
}

static struct sim_dial *dial_new(struct world *world, struct sim_machine *machine,
				 const struct node_id *id, const struct addr *addr)
{
	bool full = machine->dial_count >= DIALS_MAX;
	struct sim_dial *dial = mem_new(struct sim_dial);
	struct sim_event *event =
		world_event(world, SIM_DIALLED,
			    full ? 0 : answer_in(world, machine, network_find_addr(world, addr)));

	dial->id = *id;
	dial->addr = *addr;
	dial->cancelled = full;
	dial->next = machine->dials;
	machine->dials = dial;
	machine->dial_count++;
	event->to = machine->index;
	event->process = machine->process;
	event->dial = dial;
	world->totals.dials++;
	return dial;
}

void network_dial(struct world *world, struct sim_machine *from, const struct node_id *to,
		  const struct addr *addr)
{
	if (!find_dial(from, to, addr))
		(void)dial_new(world, from, to, addr);
}

void network_dial_with(struct world *world, struct sim_machine *from, const struct node_id *to,
		       const struct addr *addr, struct bytes packet)
{
	struct sim_dial *dial = find_dial(from, to, addr);
	struct sim_event *event;

	if (!dial && from->dial_count < DIALS_MAX)
		dial = dial_new(world, from, to, addr);
	if (!dial || dial->cancelled || dial->count >= WAIT_COUNT_MAX ||
	    dial->bytes + packet.len > WAIT_BYTES_MAX) {
		world->totals.lost++;
		return;
	}
	event = network_packet_new(world, from, packet);
	dial->bytes += packet.len;
	dial->count++;
	if (dial->last)
		dial->last->next = event;
	else
		dial->first = event;
	dial->last = event;
}

/* The number of the connection between the two: the one they are about to have, or have. */
static uint32_t number_of(struct world *world, const struct sim_machine *machine,
			  const struct sim_machine *target)
{
	const struct sim_link *ours = links_find(&machine->links, target->index);
	const struct sim_link *theirs = links_find(&target->links, machine->index);

	if (theirs && theirs->connection &&
	    (theirs->opening || (ours && ours->connection == theirs->connection)))
		return theirs->connection;
	return ++world->connection_last;
}

static void open_connection(struct world *world, struct sim_machine *machine,
			    struct sim_machine *target, const struct sim_dial *dial)
{
	uint32_t number = number_of(world, machine, target);
	struct sim_link *link = links_get(&machine->links, target->index);
	struct sim_event *event = world_event_new(world, SIM_ACCEPTED, 0);

	link->connection = number;
	link->opening = true;
	event->from = machine->index;
	event->to = target->index;
	event->connection = number;
	world_schedule(world, event, network_latency(world, machine, target));
	world->totals.handshakes++;
	metrics_dialled(world, dial->first ? sim_event_bytes(dial->first) : (struct bytes){0});
	world->totals.handshake_bytes += HANDSHAKE_BYTES + HANDSHAKE_DATAGRAMS * IP_UDP_BYTES;
	connected(world, machine, target);
}

/* Send what has waited, if there is a connection by now. */
static void flush(struct world *world, struct sim_machine *machine, struct sim_dial *dial)
{
	struct sim_machine *far = network_find(world, &dial->id);
	uint32_t connection = far ? connection_of(machine, far) : 0;

	while (connection && dial->first) {
		struct sim_event *packet = dial->first;

		dial->first = packet->next;
		network_transmit(world, packet, far, connection);
	}
}

static void dial_failed(struct world *world, struct sim_machine *machine,
			const struct sim_dial *dial)
{
	const struct sim_machine *other = network_find(world, &dial->id);

	world->totals.dials_failed++;
	world->totals.handshake_bytes +=
		DIAL_LOST_DATAGRAMS * (uint64_t)(DIAL_DATAGRAM + IP_UDP_BYTES);
	/* It says nothing about a machine to which a connection stands. */
	if (other && connection_of(machine, other))
		return;
	machine_call(machine, node_disconnected(machine->node, machine_now(world, machine),
						&dial->id, &dial->addr));
	machine_pump(world, machine);
}

void network_dialled(struct world *world, struct sim_event *event)
{
	struct sim_machine *machine = &world->machines[event->to];
	struct sim_dial *dial = event->dial, **at = &machine->dials;
	struct sim_machine *target;

	if (!machine->node || machine->process != event->process)
		return; /* the dial went with its process */
	target = network_find_addr(world, &dial->addr);
	while (*at != dial)
		at = &(*at)->next;
	*at = dial->next;
	machine->dial_count--;
	if (!dial->cancelled && would_answer(world, machine, target) &&
	    (node_id_is_none(&dial->id) || node_id_equal(&dial->id, &target->id)))
		open_connection(world, machine, target, dial);
	else
		dial_failed(world, machine, dial);
	flush(world, machine, dial);
	dial_free(world, dial);
}

/* ---- the other end ---- */

/* @target learns of the connection that @machine has opened to it. */
static void accept_connection(struct world *world, struct sim_machine *machine,
			      struct sim_machine *target, struct sim_link *link)
{
	uint32_t number = link->connection;

	link->opening = false;
	links_get(&target->links, machine->index)->connection = number;
	connected(world, target, machine);
}

void network_accepted(struct world *world, const struct sim_event *event)
{
	struct sim_machine *machine = &world->machines[event->from];
	struct sim_machine *target = &world->machines[event->to];
	struct sim_link *link = links_find(&machine->links, target->index);

	if (target->node && link && link->connection == event->connection && link->opening)
		accept_connection(world, machine, target, link);
}

static void reset_in(struct world *world, uint32_t from, uint32_t to, uint32_t connection,
		     int64_t in_us)
{
	struct sim_event *event = world_event_new(world, SIM_RESET, 0);

	event->from = from;
	event->to = to;
	event->connection = connection;
	world_schedule(world, event, in_us);
}

static void answer_with_reset(struct world *world, const struct sim_event *packet)
{
	world->totals.resets++;
	reset_in(world, packet->to, packet->from, packet->connection,
		 network_latency(world, &world->machines[packet->to],
				 &world->machines[packet->from]));
}

bool network_arrives(struct world *world, const struct sim_event *packet)
{
	struct sim_machine *from = &world->machines[packet->from];
	struct sim_machine *to = &world->machines[packet->to];
	struct sim_link *link;

	if (connection_of(to, from) == packet->connection)
		return true;
	link = links_find(&from->links, to->index);
	if (!link || link->connection != packet->connection)
		return false;
	if (link->opening) {
		accept_connection(world, from, to, link);
		return true;
	}
	answer_with_reset(world, packet);
	return false;
}

/* ---- ends ---- */

void network_reset(struct world *world, const struct sim_event *event)
{
	struct sim_machine *machine = &world->machines[event->to];
	struct sim_machine *other = &world->machines[event->from];

	if (machine->node && event->connection &&
	    connection_of(machine, other) == event->connection)
		disconnected(world, machine, other);
}

/* Nothing that was sent before is overtaken by the end. */
void network_close(struct world *world, struct sim_machine *from, const struct node_id *to)
{
	struct sim_machine *far = network_find(world, to);
	uint32_t number = far ? connection_of(from, far) : 0;
	int64_t since_us;

	for (struct sim_dial *dial = from->dials; dial; dial = dial->next)
		if (node_id_equal(&dial->id, to)) {
			packets_drop(world, dial);
			dial->cancelled = true;
		}
	if (!number)
		return;
	world->totals.overhead_bytes += CLOSE_BYTES + IP_UDP_BYTES;
	if (network_talks(world, from->index, far->index, &since_us))
		reset_in(world, from->index, far->index, number,
			 network_latency(world, from, far) + world->network.jitter_us);
	reset_in(world, far->index, from->index, number, 0);
}

/* Since when is this connection dead? False: it is not. */
static bool is_dead(const struct world *world, const struct sim_machine *machine,
		    const struct sim_link *link, int64_t *ret_since_us)
{
	const struct sim_machine *far = &world->machines[link->peer_plus_1 - 1];

	if (!link->opening && connection_of(far, machine) != link->connection) {
		*ret_since_us = far->ended_us;
		return true;
	}
	if (!far->node) {
		*ret_since_us = far->ended_us;
		return true;
	}
	return !network_talks(world, machine->index, far->index, ret_since_us);
}

static void watch_in(struct world *world, struct sim_machine *machine, int64_t in_us)
{
	if (machine->idle_queued || !machine->node)
		return;
	machine->idle_queued = true;
	world_event(world, SIM_IDLE, in_us)->to = machine->index;
}

void network_watch(struct world *world, struct sim_machine *machine)
{
	watch_in(world, machine, IDLE_US);
}

/* The dead connections whose time is over go into @dead. Returns when the next one's is. */
static int64_t find_dead(const struct world *world, const struct sim_machine *machine,
			 uint32_t *dead, size_t *ret_count)
{
	int64_t next_us = INT64_MAX, since_us;
	size_t count = 0;

	for (uint32_t i = 0; i < machine->links.cap; i++) {
		const struct sim_link *link = &machine->links.link[i];

		if (!link->connection || !is_dead(world, machine, link, &since_us))
			continue;
		if (world->now_us - since_us >= IDLE_US)
			dead[count++] = link->peer_plus_1 - 1;
		else if (since_us + IDLE_US < next_us)
			next_us = since_us + IDLE_US;
	}
	*ret_count = count;
	return next_us;
}

void network_idle(struct world *world, struct sim_machine *machine)
{
	uint32_t *dead;
	int64_t next_us;
	size_t count;

	machine->idle_queued = false;
	if (!machine->node)
		return;
	dead = mem_alloc(machine->links.count, sizeof(*dead));
	next_us = find_dead(world, machine, dead, &count);
	for (size_t i = 0; i < count; i++)
		if (connection_of(machine, &world->machines[dead[i]]))
			disconnected(world, machine, &world->machines[dead[i]]);
	free(dead);
	if (next_us != INT64_MAX)
		watch_in(world, machine, next_us - world->now_us);
}

void network_process_ended(struct world *world, struct sim_machine *machine)
{
	for (uint32_t i = 0; i < machine->links.cap; i++)
		if (machine->links.link[i].connection)
			network_watch(world,
				      &world->machines[machine->links.link[i].peer_plus_1 - 1]);
	links_deinit(&machine->links);
	network_dials_drop(world, machine);
}

void network_sides_changed(struct world *world)
{
	const struct sim_machine *machines = world->machines;

	world->network.cut_us = world->now_us;
	world->network.is_cut = false;
	for (size_t i = 1; i < world->machine_count; i++)
		world->network.is_cut |= machines[i].side != machines[0].side;
	for (size_t i = 0; world->network.is_cut && i < world->machine_count; i++)
		network_watch(world, &world->machines[i]);
}

void network_join(struct world *world, struct sim_machine *a, struct sim_machine *b)
{
	uint32_t number = ++world->connection_last;

	links_get(&a->links, b->index)->connection = number;
	links_get(&b->links, a->index)->connection = number;
	connected(world, a, b);
	connected(world, b, a);
}
