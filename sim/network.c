/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network as QUIC leaves it: messages on connections. A lost datagram is sent again and so
 * arrives late; a message whose way is cut waits and arrives when the cut heals before the
 * connection is given up. Messages overtake each other.
 */
#include "world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	RESEND_US = 60 * 1000, /* QUIC's first retransmission on a short path, roughly */
	RESENDS_MAX = 5,
	RETRY_CUT_US = 300 * 1000, /* a cut path is tried again */
	IDLE_US = 6 * 1000 * 1000, /* a silent connection is given up */
	DIAL_TIMEOUT_US = 2 * 1000 * 1000,
};

struct sim_machine *network_find(struct world *world, const struct node_id *id)
{
	return map_get(&world->machines_by_id, bytes_of(id->byte, ID_LEN));
}

static struct sim_machine *find_addr(struct world *world, const struct addr *addr)
{
	for (size_t i = 0; i < world->machine_count; i++)
		if (addr_equal(&world->machines[i].addr, addr))
			return &world->machines[i];
	return NULL;
}

bool network_reaches(const struct world *world, size_t from, size_t to)
{
	return world->network.side[from] == world->network.side[to];
}

static int64_t some_latency(struct world *world)
{
	const struct sim_network *network = &world->network;
	int64_t latency_us = network->latency_us;

	latency_us += (int64_t)world_random(world, (uint64_t)network->jitter_us + 1);
	for (int i = 0; i < RESENDS_MAX && world_random(world, 1000) < network->loss; i++)
		latency_us += (int64_t)RESEND_US << i;
	return latency_us;
}

/* ---- connections ---- */

static void connected(struct world *world, struct sim_machine *machine,
		      const struct sim_machine *other)
{
	struct node_peer peer = {.id = other->id, .addr = other->addr, .steward = other->steward};

	machine->leaves[other->index] = true; /* shown in the handshake */
	node_connected(machine->node, machine_now(world, machine), &peer);
	machine_pump(world, machine);
}

static void disconnected(struct world *world, struct sim_machine *machine,
			 const struct sim_machine *other)
{
	machine->connections[other->index] = 0;
	if (!machine->node)
		return;
	node_disconnected(machine->node, machine_now(world, machine), &other->id, &other->addr);
	machine_pump(world, machine);
}

void network_dial(struct world *world, size_t from, const struct node_id *to,
		  const struct addr *addr)
{
	const struct sim_machine *target = find_addr(world, addr);
	bool reached = target && target->node && target->index != from &&
		       network_reaches(world, from, target->index);
	struct sim_event *event =
		world_event(world, SIM_DIAL, reached ? 2 * some_latency(world) : DIAL_TIMEOUT_US);

	event->from = event->to = from;
	event->process = world->machines[from].process;
	event->addr = *addr;
	event->id = *to;
}

void network_dialled(struct world *world, const struct sim_event *event)
{
	struct sim_machine *machine = &world->machines[event->to];
	struct sim_machine *target = find_addr(world, &event->addr);

	if (!machine->node || machine->process != event->process)
		return;
	if (!target || !target->node || target == machine ||
	    !network_reaches(world, machine->index, target->index) ||
	    (!node_id_is_none(&event->id) && !node_id_equal(&event->id, &target->id))) {
		node_disconnected(machine->node, machine_now(world, machine), &event->id,
				  &event->addr);
		machine_pump(world, machine);
		return;
	}
	machine->connections[target->index] = target->connections[machine->index] =
		++world->connection_last;
	connected(world, machine, target);
	connected(world, target, machine);
}

/* Look at the connection again when it would have been given up. */
static void watch(struct world *world, size_t from, size_t to)
{
	struct sim_event *event;

	if (!world->machines[from].connections[to])
		return;
	event = world_event(world, SIM_IDLE, IDLE_US);
	event->from = from;
	event->to = to;
	event->connection = world->machines[from].connections[to];
}

void network_idle(struct world *world, const struct sim_event *event)
{
	struct sim_machine *near = &world->machines[event->from];
	struct sim_machine *far = &world->machines[event->to];

	if (near->connections[far->index] != event->connection)
		return;
	/* Still good: both ends know it and hear each other. */
	if (far->connections[near->index] == event->connection &&
	    network_reaches(world, near->index, far->index))
		return;
	disconnected(world, near, far);
}

void network_close(struct world *world, size_t from, const struct node_id *to)
{
	struct sim_machine *near = &world->machines[from];
	struct sim_machine *far = network_find(world, to);

	if (!far || !near->connections[far->index])
		return;
	disconnected(world, near, far);
	disconnected(world, far, near);
}

void network_process_ended(struct world *world, size_t machine)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		world->machines[machine].connections[i] = 0;
		watch(world, i, machine);
	}
}

void network_sides_changed(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++)
		for (size_t j = 0; j < world->machine_count; j++)
			if (i != j && !network_reaches(world, i, j))
				watch(world, i, j);
}

/* ---- packets ---- */

static void tell_packet(struct world *world, const struct sim_machine *from,
			const struct sim_machine *to, struct bytes packet)
{
	struct message message;
	struct node_id issuer;

	if (!trust_peek(packet, &issuer, &message))
		return;
	if (message.type != MESSAGE_RECORD && message.type != MESSAGE_BID &&
	    message.type != MESSAGE_TENDER && message.type != MESSAGE_RELEASE)
		world_tell(world, NULL, "%s -> %s %s", from->name, to->name,
			   message_type_name(message.type));
	message_deinit(&message);
}

static void send_once(struct world *world, const struct sim_machine *from,
		      const struct sim_machine *to, struct bytes packet)
{
	struct sim_event *event = world_event(world, SIM_PACKET, some_latency(world));

	event->from = from->index;
	event->to = to->index;
	event->connection = from->connections[to->index];
	buf_append_bytes(&event->bytes, packet);
	world->totals.packets++;
	world->totals.bytes += packet.len;
}

void network_send(struct world *world, size_t from, const struct node_id *to, struct bytes packet)
{
	const struct sim_machine *near = &world->machines[from];
	const struct sim_machine *far = network_find(world, to);

	if (!far || !near->connections[far->index])
		return;
	tell_packet(world, near, far, packet);
	if (world->network.mute[from][far->index] ||
	    world_random(world, 1000) < world->network.vanish)
		return;
	if (world_random(world, 1000) < world->network.duplication)
		send_once(world, near, far, packet);
	send_once(world, near, far, packet);
}

/* A broken host starts every award that passes by (SIM_BUG_AWARD_WITHOUT_BID_CHECK). */
static void obey_any_award(struct world *world, struct bytes packet)
{
	struct sim_machine *machine = &world->machines[world_random(world, world->machine_count)];
	struct message message;
	struct node_id issuer;

	if (!trust_peek(packet, &issuer, &message))
		return;
	if (message.type == MESSAGE_AWARD && machine->node) {
		for (size_t i = 0; i < message.award.assignment_count; i++)
			message.award.assignments[i].pod_uid.byte[0] ^= 0xff;
		host_start(world, machine, &message.award);
	}
	message_deinit(&message);
}

void network_packet(struct world *world, struct sim_event *event)
{
	struct sim_machine *machine = &world->machines[event->to];
	struct sim_machine *from = &world->machines[event->from];

	if (!machine->node || machine->connections[from->index] != event->connection)
		return;
	if (!network_reaches(world, event->from, event->to)) {
		struct sim_event *again = world_event(world, SIM_PACKET, RETRY_CUT_US);

		again->from = event->from;
		again->to = event->to;
		again->connection = event->connection;
		again->bytes = event->bytes;
		event->bytes = (struct buf){0};
		return;
	}
	if (world->bug == SIM_BUG_AWARD_WITHOUT_BID_CHECK)
		obey_any_award(world, bytes_buf(&event->bytes));
	node_receive(machine->node, machine_now(world, machine), &from->id,
		     bytes_buf(&event->bytes));
	machine_pump(world, machine);
}
