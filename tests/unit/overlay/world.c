/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum event_type {
	EVENT_MESSAGE,
	EVENT_DIALLED,
	EVENT_SENT, /* a connection was made for a message, or not */
	EVENT_IDLE,
	EVENT_CLOSED,
};

struct world_event {
	struct mono at;
	uint64_t sequence;
	enum event_type type;
	size_t from, to;
	unsigned waited; /* for a stalled machine to answer a dial */
	struct message message;
	struct node_id id; /* of a dial */
	struct addr addr;
};

void world_init(struct world *world)
{
	*world = (struct world){0};
}

void world_deinit(struct world *world)
{
	for (size_t i = 0; i < world->machine_count; i++)
		overlay_free(world->machines[i].overlay);
	for (size_t i = 0; i < world->event_count; i++) {
		message_deinit(&world->events[i]->message);
		free(world->events[i]);
	}
	free(world->events);
}

struct wall world_fabric(const struct world *world)
{
	return (struct wall){.ms = WORLD_FABRIC_MS + world->now.us / US_PER_MS};
}

static bool event_is_earlier(const struct world_event *a, const struct world_event *b)
{
	return a->at.us != b->at.us ? a->at.us < b->at.us : a->sequence < b->sequence;
}

static void events_put(struct world *world, struct world_event *event)
{
	size_t at = world->event_count++;

	if (world->event_count > world->event_cap) {
		world->event_cap = world->event_cap ? world->event_cap * 2 : 64;
		world->events = mem_resize(world->events, world->event_cap, sizeof(*world->events));
	}
	for (; at > 0 && event_is_earlier(event, world->events[(at - 1) / 2]); at = (at - 1) / 2)
		world->events[at] = world->events[(at - 1) / 2];
	world->events[at] = event;
}

static struct world_event *events_take(struct world *world)
{
	struct world_event *first = world->events[0], *last = world->events[--world->event_count];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < world->event_count) {
		if (child + 1 < world->event_count &&
		    event_is_earlier(world->events[child + 1], world->events[child]))
			child++;
		if (event_is_earlier(last, world->events[child]))
			break;
		world->events[at] = world->events[child];
		at = child;
	}
	world->events[at] = last;
	return first;
}

static struct world_event *world_schedule(struct world *world, enum event_type type, int64_t in_us)
{
	struct world_event *event = mem_new(struct world_event);

	event->type = type;
	event->at = mono_add_us(world->now, in_us);
	event->sequence = world->sequence++;
	events_put(world, event);
	return event;
}

static void world_note(struct world *world, uint64_t what)
{
	world->trace = (world->trace ^ what ^ (uint64_t)world->now.us) * 0x100000001b3U;
}

static size_t machine_by_id(const struct world *world, const struct node_id *id)
{
	size_t n = (size_t)id->byte[ID_LEN - 1] * 256 + id->byte[0] - 1; /* world_start() */

	return n < world->machine_count && node_id_equal(&world->machines[n].id, id)
		       ? n
		       : WORLD_MACHINES_MAX;
}

static size_t machine_by_addr(const struct world *world, const struct addr *addr)
{
	for (size_t i = 0; i < world->machine_count; i++) {
		if (world->machines[i].up && addr_equal(&world->machines[i].addr, addr))
			return i;
	}
	return WORLD_MACHINES_MAX;
}

static void effect_send(struct world *world, size_t from, const struct overlay_effect *effect)
{
	size_t to = machine_by_id(world, &effect->to);
	bool connected = to != WORLD_MACHINES_MAX && world->machines[from].connected[to];
	struct world_event *event;
	struct buf encoded = {0};

	message_encode(&effect->message, &encoded); /* it must be within the limits */
	world_note(world, encoded.len);
	world->machines[from].sent++;
	world->machines[from].bytes_sent += encoded.len;
	buf_deinit(&encoded);
	if (!connected && addr_is_none(&effect->addr))
		return;
	if (world->drop == effect->message.type) {
		world->drop = MESSAGE_NONE;
		return;
	}
	event = world_schedule(world, connected ? EVENT_MESSAGE : EVENT_SENT,
			       connected ? WORLD_DELAY_US : 2 * WORLD_DELAY_US);
	event->from = from;
	event->to = to;
	event->id = effect->to;
	event->addr = effect->addr;
	message_copy(&effect->message, &event->message);
}

static void effect_deliver(struct world *world, size_t n, const struct overlay_effect *effect)
{
	struct world_machine *machine = &world->machines[n];
	struct uid broadcast = effect->broadcast;

	machine->delivered++;
	if (machine->relays)
		overlay_relay(machine->overlay, world->now, &broadcast);
}

static void effect_apply(struct world *world, size_t n, const struct overlay_effect *effect)
{
	struct world_machine *machine = &world->machines[n];
	struct world_event *event;

	switch (effect->type) {
	case OVERLAY_SEND:
		effect_send(world, n, effect);
		break;
	case OVERLAY_DIAL:
		machine->dials++;
		event = world_schedule(world, EVENT_DIALLED, 2 * WORLD_DELAY_US);
		event->from = n;
		event->id = effect->to;
		event->addr = effect->addr;
		break;
	case OVERLAY_CLOSE:
		event = world_schedule(world, EVENT_CLOSED, 0);
		event->from = n;
		event->to = machine_by_id(world, &effect->to);
		break;
	case OVERLAY_JOINED:
		machine->joined++;
		break;
	case OVERLAY_SUSPECTED:
		machine->suspected++;
		break;
	case OVERLAY_LOST:
		machine->lost++;
		machine->lost_at = world->now;
		break;
	case OVERLAY_DELIVER:
		effect_deliver(world, n, effect);
		break;
	case OVERLAY_FOUND:
		machine->found++;
		machine->found_count = effect->contact_count;
		if (effect->contact_count > 0)
			machine->found_first = effect->contacts[0];
		break;
	}
}

static void machine_effects(struct world *world, size_t n)
{
	struct world_machine *machine = &world->machines[n];
	const struct overlay_effect *effect;

	while ((effect = overlay_next_effect(machine->overlay))) {
		world_note(world, (uint64_t)effect->type << 16 | n);
		effect_apply(world, n, effect);
	}
	machine->deadline = overlay_deadline(machine->overlay);
}

static void machine_connected(struct world *world, size_t n, size_t to)
{
	struct world_machine *machine = &world->machines[n], *peer = &world->machines[to];

	machine->connected[to] = true;
	overlay_connected(machine->overlay, world->now,
			  &(struct contact){.id = peer->id, .addr = peer->addr},
			  world_fabric(world));
	machine_effects(world, n);
}

static void machine_disconnected(struct world *world, size_t n, size_t to)
{
	struct world_machine *machine = &world->machines[n], *peer = &world->machines[to];

	machine->connected[to] = false;
	if (!machine->up)
		return;
	overlay_disconnected(machine->overlay, world->now, &peer->id, &peer->addr);
	machine_effects(world, n);
}

static void event_dialled(struct world *world, const struct world_event *event)
{
	size_t from = event->from, to = machine_by_addr(world, &event->addr);
	struct world_machine *machine = &world->machines[from];
	bool reached = to != WORLD_MACHINES_MAX && to != from && !world->cut[from][to] &&
		       !world->cut[to][from] && !world->machines[to].stalled;

	if (!machine->up)
		return;
	if (reached &&
	    (node_id_is_none(&event->id) || node_id_equal(&event->id, &world->machines[to].id))) {
		machine_connected(world, from, to);
		machine_connected(world, to, from);
		return;
	}
	overlay_disconnected(machine->overlay, world->now, &event->id, &event->addr);
	machine_effects(world, from);
}

static void event_message(struct world *world, struct world_event *event)
{
	struct world_machine *machine = &world->machines[event->to];

	if (!machine->up || world->cut[event->from][event->to] ||
	    world->one_way[event->from][event->to] || !machine->connected[event->from])
		return;
	if (machine->stalled) {
		struct world_event *later =
			world_schedule(world, EVENT_MESSAGE, WORLD_WAIT_MS * US_PER_MS);

		later->from = event->from;
		later->to = event->to;
		message_copy(&event->message, &later->message);
		return;
	}
	overlay_receive(machine->overlay, world->now, &world->machines[event->from].id,
			&event->message, world_fabric(world));
	machine_effects(world, event->to);
}

/* The connection that a message needed; one that was made meanwhile serves as well. */
static void event_sent(struct world *world, struct world_event *event)
{
	size_t from = event->from, to = event->to;

	if (!world->machines[from].up)
		return;
	if (to == WORLD_MACHINES_MAX || !world->machines[from].connected[to])
		event_dialled(world, event);
	if (to == WORLD_MACHINES_MAX || !world->machines[from].connected[to])
		return;
	event_message(world, event);
}

static void event_closed(struct world *world, const struct world_event *event)
{
	size_t from = event->from, to = event->to;

	if (to == WORLD_MACHINES_MAX || !world->machines[from].connected[to])
		return;
	machine_disconnected(world, from, to);
	if (world->machines[to].connected[from] && !world->cut[from][to])
		machine_disconnected(world, to, from);
}

/* The transport of @from gives a connection up that has had no life in it. */
static void event_idle(struct world *world, const struct world_event *event)
{
	size_t from = event->from, to = event->to;
	bool broken = world->cut[from][to] || world->cut[to][from] || !world->machines[to].up ||
		      !world->machines[to].connected[from];

	if (world->machines[from].connected[to] && broken)
		machine_disconnected(world, from, to);
}

/* A stalled machine answers a dial when it wakes, or too late. */
static bool event_waits(struct world *world, struct world_event *event)
{
	size_t to = machine_by_addr(world, &event->addr);

	if ((event->type != EVENT_DIALLED && event->type != EVENT_SENT) ||
	    to == WORLD_MACHINES_MAX || !world->machines[to].stalled ||
	    event->waited++ == WORLD_DIAL_MS / WORLD_WAIT_MS)
		return false;
	event->at = mono_add_ms(world->now, WORLD_WAIT_MS);
	events_put(world, event);
	return true;
}

static void world_event_run(struct world *world)
{
	struct world_event *event = events_take(world);

	if (event_waits(world, event))
		return;
	switch (event->type) {
	case EVENT_MESSAGE:
		event_message(world, event);
		break;
	case EVENT_DIALLED:
		event_dialled(world, event);
		break;
	case EVENT_SENT:
		event_sent(world, event);
		break;
	case EVENT_IDLE:
		event_idle(world, event);
		break;
	case EVENT_CLOSED:
		event_closed(world, event);
		break;
	}
	message_deinit(&event->message);
	free(event);
}

/* The running machine whose deadline is first, or WORLD_MACHINES_MAX. */
static size_t world_next_tick(const struct world *world, struct mono *ret_at)
{
	size_t first = WORLD_MACHINES_MAX;

	*ret_at = MONO_NEVER;
	for (size_t i = 0; i < world->machine_count; i++) {
		const struct world_machine *machine = &world->machines[i];

		if (!machine->up || machine->stalled || machine->deadline.us >= ret_at->us)
			continue;
		*ret_at = machine->deadline;
		first = i;
	}
	return first;
}

void world_run_ms(struct world *world, int64_t ms)
{
	struct mono end = mono_add_ms(world->now, ms), at;

	for (;;) {
		size_t n = world_next_tick(world, &at);
		struct mono event_at = world->event_count ? world->events[0]->at : MONO_NEVER;

		if (mono_min(at, event_at).us > end.us)
			break;
		if (mono_min(at, event_at).us > world->now.us)
			world->now = mono_min(at, event_at);
		if (event_at.us <= at.us) {
			world_event_run(world);
		} else {
			overlay_tick(world->machines[n].overlay, world->now, world_fabric(world));
			machine_effects(world, n);
		}
	}
	world->now = end;
}

void world_start(struct world *world, size_t n, uint16_t host)
{
	struct world_machine *machine = &world->machines[n];
	struct overlay_config config = {.seed = n + 1, .pool = world->pool};
	char name[16], addr[32];

	(void)snprintf(name, sizeof(name), "n%zu", n);
	(void)snprintf(addr, sizeof(addr), "10.0.%d.%d:7946", host / 256, host % 256);
	memset(machine->id.byte, (int)(n + 1) % 256, sizeof(machine->id.byte));
	machine->id.byte[ID_LEN - 1] = (uint8_t)((n + 1) / 256);
	if (!addr_parse(addr, &machine->addr))
		abort();
	config.self = (struct member){
		.id = machine->id,
		.addr = machine->addr,
		.name = name,
		.incarnation = (uint64_t)world_fabric(world).ms,
	};
	overlay_free(machine->overlay);
	machine->overlay = overlay_new(&config, world->now);
	machine->up = machine->relays = true;
	machine->deadline = overlay_deadline(machine->overlay);
	if (n >= world->machine_count)
		world->machine_count = n + 1;
}

void world_bootstrap(struct world *world, size_t n, size_t at)
{
	overlay_bootstrap(world->machines[n].overlay, world->now, &world->machines[at].addr);
	machine_effects(world, n);
}

void world_broadcast(struct world *world, size_t n, const char *text)
{
	overlay_broadcast(world->machines[n].overlay, world->now, bytes_str(text));
	machine_effects(world, n);
}

void world_find(struct world *world, size_t n, const struct digest *target, bool providers)
{
	uint64_t token;

	if (overlay_find(world->machines[n].overlay, world->now, target, providers, &token) != 0)
		abort();
	machine_effects(world, n);
}

void world_watch(struct world *world, size_t n, size_t about)
{
	struct contact contact = overlay_contact(world->machines[about].overlay);

	if (!overlay_watch(world->machines[n].overlay, world->now, &contact))
		abort();
	machine_effects(world, n);
}

size_t world_connections(const struct world *world, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		count += world->machines[n].connected[i];
	return count;
}

static void world_expect_idle(struct world *world, size_t from, size_t to)
{
	struct world_event *event =
		world_schedule(world, EVENT_IDLE, WORLD_IDLE_MS * (int64_t)US_PER_MS);

	event->from = from;
	event->to = to;
}

void world_crash(struct world *world, size_t n)
{
	world->machines[n].up = false;
	memset(world->machines[n].connected, 0, sizeof(world->machines[n].connected));
	for (size_t i = 0; i < world->machine_count; i++)
		world_expect_idle(world, i, n);
}

void world_stall(struct world *world, size_t n, bool stalled)
{
	world->machines[n].stalled = stalled;
}

void world_cut(struct world *world, size_t a, size_t b, bool cut)
{
	world->cut[a][b] = world->cut[b][a] = cut;
	if (cut) {
		world_expect_idle(world, a, b);
		world_expect_idle(world, b, a);
	}
}

void world_inject(struct world *world, size_t from, size_t to, const struct message *message)
{
	overlay_receive(world->machines[to].overlay, world->now, &world->machines[from].id, message,
			world_fabric(world));
	machine_effects(world, to);
}

bool world_knows(const struct world *world, size_t observer, size_t about)
{
	struct overlay_peer peer;

	return overlay_find_peer(world->machines[observer].overlay, &world->machines[about].id,
				 &peer);
}

enum member_state world_state(const struct world *world, size_t observer, size_t about)
{
	struct overlay_peer peer;

	if (!overlay_find_peer(world->machines[observer].overlay, &world->machines[about].id,
			       &peer))
		return MEMBER_DEAD;
	return peer.state;
}

bool world_is_whole(const struct world *world)
{
	size_t up = 0;

	for (size_t i = 0; i < world->machine_count; i++)
		up += world->machines[i].up;
	for (size_t i = 0; i < world->machine_count; i++) {
		if (!world->machines[i].up)
			continue;
		if (overlay_alive_count(world->machines[i].overlay) != up)
			return false;
		for (size_t k = 0; k < world->machine_count; k++) {
			if (k != i && world->machines[k].up &&
			    (!world->machines[i].connected[k] ||
			     world_state(world, i, k) != MEMBER_ALIVE))
				return false;
		}
	}
	return true;
}
