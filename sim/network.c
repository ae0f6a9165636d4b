/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network as QUIC leaves it: messages on connections. A lost datagram is sent again and so
 * arrives late; a message whose way is cut waits and arrives when the cut heals before the
 * connection is given up. Messages overtake each other. What machines spend on cryptography and on
 * system calls is modelled where they share processors (processor.c); what travels besides the
 * messages is counted.
 */
#include "world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	RESEND_US = 60 * 1000, /* QUIC's first retransmission on a short path, roughly */
	RESENDS_MAX = 5,
	RETRY_CUT_US = 300 * 1000, /* a cut path is tried again, then after twice the time */
	RETRY_CUT_DOUBLINGS_MAX = 5,
	PER_THOUSAND = 1000,
	/*
	 * Bytes of UDP payload, measured with build/bench/quic_bench on the real transport with a
	 * fabric's own certificates. A message that is alone is acknowledged by a datagram of its
	 * own unless something goes back within the time an acknowledgement may wait.
	 */
	DATAGRAM_MESSAGE_MAX = 1120,
	DATAGRAM_OVERHEAD = 17,
	STREAM_DATAGRAM = 1160,
	STREAM_OVERHEAD = 32, /* of each datagram */
	ACK_BYTES = 32,
	IP_UDP_BYTES = 28,
	ACKS_PER_1000 = 700, /* messages that need an acknowledgement of their own */
};

enum {
	REGIONS = 6,
};

/*
 * One way in microseconds between six regions of a large provider (east, middle and west of North
 * America, Ireland, Frankfurt, Tokyo): half of the round trips that are published for them.
 */
static const int64_t region_us[REGIONS][REGIONS] = {
	{0, 6000, 33000, 35000, 45000, 77000},   {6000, 0, 25000, 40000, 49000, 70000},
	{33000, 25000, 0, 64000, 72000, 50000},  {35000, 40000, 64000, 0, 13000, 105000},
	{45000, 49000, 72000, 13000, 0, 112000}, {77000, 70000, 50000, 105000, 112000, 0},
};

enum {
	NEAR_US = 100, /* in one room: 0.1 to 0.5 ms */
	NEAR_JITTER_US = 400,
	REGION_JITTER_PERCENT = 8, /* of the way between regions, at most */
	PERCENT = 100,
};

void network_init(struct world *world)
{
	const struct params *params = &world->params;

	world->network = (struct sim_network){
		.latency_us = NEAR_US,
		.jitter_us = NEAR_JITTER_US + params->jitter_ms * US_PER_MS,
		.loss = (uint32_t)params->loss,
		.vanish = (uint32_t)params->vanish,
		.duplication = (uint32_t)params->duplication,
	};
	if (processors_are_shared(world)) /* there is no way between them */
		world->network.latency_us = world->network.jitter_us = 0;
	map_init(&world->network.mute, 1);
	for (size_t i = 0; i < world->machine_count && params->profile == PARAMS_WAN; i++)
		world->machines[i].region = (uint8_t)world_random(world, REGIONS);
}

void network_deinit(struct world *world)
{
	map_for_each (entry, &world->network.mute)
		free(entry->value);
	map_deinit(&world->network.mute);
}

struct sim_machine *network_find(struct world *world, const struct node_id *id)
{
	struct sim_machine *machine;
	uint32_t index;

	if (!sim_directory_find(world->directory, id, &index))
		return NULL;
	machine = &world->machines[index];
	return node_id_equal(&machine->id, id) ? machine : NULL;
}

/* The address holds the index; its port, how often the machine has moved: machine_init(). */
struct sim_machine *network_find_addr(struct world *world, const struct addr *addr)
{
	size_t index = (size_t)addr->ip[1] << 16 | (size_t)addr->ip[2] << 8 | addr->ip[3];

	if (index >= world->machine_count || !addr_equal(&world->machines[index].addr, addr))
		return NULL;
	return &world->machines[index];
}

/* ---- ways ---- */

uint8_t network_side(const struct world *world, size_t machine)
{
	return world->machines[machine].side;
}

bool network_reaches(const struct world *world, size_t from, size_t to)
{
	return !world->network.is_cut || world->machines[from].side == world->machines[to].side;
}

static uint64_t pair_of(size_t from, size_t to)
{
	return (uint64_t)from * SIM_MACHINES_MAX + to;
}

struct sim_mute {
	int64_t since_us;
};

static const struct sim_mute *find_mute(const struct world *world, size_t from, size_t to)
{
	uint64_t pair = pair_of(from, to);

	if (!world->network.mute.count)
		return NULL;
	return map_get(&world->network.mute, bytes_of(&pair, sizeof(pair)));
}

bool network_is_mute(const struct world *world, size_t from, size_t to)
{
	return find_mute(world, from, to) != NULL;
}

void network_mute(struct world *world, size_t from, size_t to, bool mute)
{
	uint64_t pair = pair_of(from, to);
	struct bytes key = bytes_of(&pair, sizeof(pair));
	struct sim_mute *entry;

	if (!mute) {
		free(map_remove(&world->network.mute, key));
	} else if (!network_is_mute(world, from, to)) {
		entry = mem_new(struct sim_mute);
		entry->since_us = world->now_us;
		(void)map_put(&world->network.mute, key, entry);
		network_watch(world, &world->machines[from]);
		network_watch(world, &world->machines[to]);
	}
}

bool network_talks(const struct world *world, size_t a, size_t b, int64_t *ret_since_us)
{
	const struct sim_mute *mute = find_mute(world, a, b);

	if (!mute)
		mute = find_mute(world, b, a);
	if (!mute && network_reaches(world, a, b))
		return true;
	*ret_since_us = mute ? mute->since_us : world->network.cut_us;
	return false;
}

int64_t network_latency(struct world *world, const struct sim_machine *from,
			const struct sim_machine *to)
{
	const struct sim_network *network = &world->network;
	int64_t latency_us = network->latency_us;
	int64_t way_us = region_us[from->region][to->region];

	latency_us += (int64_t)world_random(world, (uint64_t)network->jitter_us + 1);
	if (way_us)
		latency_us +=
			way_us + (int64_t)world_random(
					 world, (uint64_t)way_us * REGION_JITTER_PERCENT / PERCENT);
	if (!network->loss)
		return latency_us;
	for (int i = 0; i < RESENDS_MAX && world_random(world, PER_THOUSAND) < network->loss; i++)
		latency_us += (int64_t)RESEND_US << i;
	return latency_us;
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

static void count_packet(struct sim_totals *totals, size_t len)
{
	bool small = len <= DATAGRAM_MESSAGE_MAX;
	size_t datagrams = small ? 1 : (len + STREAM_DATAGRAM - 1) / STREAM_DATAGRAM;
	size_t overhead = IP_UDP_BYTES + (small ? DATAGRAM_OVERHEAD : STREAM_OVERHEAD);

	totals->packets++;
	totals->bytes += len;
	totals->datagrams += datagrams;
	totals->overhead_bytes += datagrams * overhead;
	totals->ack_bytes += (ACK_BYTES + IP_UDP_BYTES) * ACKS_PER_1000 / PER_THOUSAND;
}

struct sim_event *network_packet_new(struct world *world, const struct sim_machine *from,
				     struct bytes packet)
{
	struct sim_event *event = world_event_new(world, SIM_PACKET, packet.len);

	event->from = from->index;
	if (packet.len)
		memcpy(event + 1, packet.ptr, packet.len);
	return event;
}

/* Takes the event. */
void network_transmit(struct world *world, struct sim_event *event, struct sim_machine *to,
		      uint32_t connection)
{
	struct sim_machine *from = &world->machines[event->from];

	event->to = to->index;
	event->connection = connection;
	if (world->tells_packets)
		tell_packet(world, from, to, sim_event_bytes(event));
	count_packet(&world->totals, event->len);
	if (network_is_mute(world, from->index, to->index) ||
	    (world->network.vanish && world_random(world, PER_THOUSAND) < world->network.vanish)) {
		world_event_free(world, event);
		return;
	}
	if (world->network.duplication &&
	    world_random(world, PER_THOUSAND) < world->network.duplication) {
		struct sim_event *twin = network_packet_new(world, from, sim_event_bytes(event));

		twin->to = to->index;
		twin->connection = connection;
		world_schedule(world, twin, network_latency(world, from, to));
	}
	world_schedule(world, event,
		       processors_sent(world, from) + network_latency(world, from, to));
}

void network_send(struct world *world, struct sim_machine *from, const struct node_id *to,
		  const struct addr *addr, struct bytes packet)
{
	struct sim_machine *far = network_find(world, to);
	const struct sim_link *link = far ? links_find(&from->links, far->index) : NULL;
	struct buf altered = {0};
	bool dropped = false;

	if (from->tamper && far) {
		buf_append_bytes(&altered, packet);
		dropped = !from->tamper(world, from, far, &altered, from->tamper_argument);
		packet = bytes_buf(&altered);
	}
	if (dropped)
		; /* a byzantine machine keeps it to itself */
	else if (link && link->connection)
		network_transmit(world, network_packet_new(world, from, packet), far,
				 link->connection);
	else if (!addr_is_none(addr))
		network_dial_with(world, from, to, addr, packet);
	buf_deinit(&altered);
}

void network_inject(struct world *world, size_t from, size_t to, struct bytes packet, int64_t in_us)
{
	struct sim_machine *near = &world->machines[from];
	const struct sim_link *link = links_find(&near->links, (uint32_t)to);
	struct sim_event *event;

	if (!link || !link->connection)
		return;
	event = network_packet_new(world, near, packet);
	event->to = (uint32_t)to;
	event->connection = link->connection;
	world_schedule(world, event, in_us);
}

static void receive(struct world *world, const struct sim_machine *from,
		    struct sim_machine *machine, struct bytes packet)
{
	metrics_packet(world, from->index, machine->index, packet);
	if (machine->overhear)
		machine->overhear(world, machine, packet);
	machine_call(machine,
		     node_receive(machine->node, machine_now(world, machine), &from->id, packet));
	machine_pump(world, machine);
}

bool network_packet(struct world *world, struct sim_event *event)
{
	struct sim_machine *machine = &world->machines[event->to];
	struct sim_machine *from = &world->machines[event->from];
	struct buf altered = {0};

	if (!machine->node)
		return true;
	if (!network_reaches(world, event->from, event->to)) {
		uint32_t doublings = event->tries < RETRY_CUT_DOUBLINGS_MAX
					     ? event->tries
					     : RETRY_CUT_DOUBLINGS_MAX;

		event->tries++;
		world_schedule(world, event, (int64_t)RETRY_CUT_US << doublings);
		return false;
	}
	if (!network_arrives(world, event))
		return true;
	if (world->bug == SIM_BUG_NONE) {
		receive(world, from, machine, sim_event_bytes(event));
	} else if (bug_packet(world, sim_event_bytes(event), &altered)) {
		receive(world, from, machine,
			altered.len ? bytes_buf(&altered) : sim_event_bytes(event));
		buf_deinit(&altered);
	}
	return true;
}
